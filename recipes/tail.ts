/**
 * The output of another program, line by line as it comes: when the program falls silent for too long it is asked to
 * end. Ctrl-C leaves no process behind.
 *
 * ```sh
 * deno run --allow-run jsr:@skein/skein/recipes/tail
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/tail";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--lines=2", "--pause=10", "--timeout=500"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import { createSubprocessExec, DEVNULL, PIPE, run, TimeoutError, waitFor } from "../lib/asyncio/mod.ts";
import { wholeNumber } from "./_options.ts";
import { runRecipe } from "./_recipe.ts";

/** The other program, which runs by its source: it prints some lines, a pause after each, and then only exists. */
async function chatter(lines: number, pause: number): Promise<void> {
  for (let i = 1; i <= lines; i++) {
    console.log(`line ${i} of ${lines}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  setInterval(() => {}, 60_000);
}

async function tail(program: string, args: readonly string[], timeout: number): Promise<void> {
  // The end of the block kills it, if it has not ended by then, and waits until the system has reaped it.
  await using process = await createSubprocessExec(program, args, { stdin: DEVNULL, stdout: PIPE });
  const decoder = new TextDecoder();
  try {
    while (true) {
      // A time-out takes nothing out of the pipe: half a line would be there for the next call.
      const line = await waitFor(process.stdout!.readline(), timeout);
      if (line.length === 0) break;
      console.log(decoder.decode(line).trimEnd());
    }
    console.log(bold("It has closed its output"));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    console.log(bold(`Silent for ${timeout} ms: terminating it`));
    // It may have ended in this very moment.
    if (process.returncode === null) process.terminate();
  }
  console.log(`Return code: ${await process.wait()}`);
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 1 without permission; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "tail",
    about: "Follows the output of a program line by line, and ends the program when it falls silent.",
    permissions: "Needs --allow-run, at least of Deno itself, which is the program; it runs with no permissions.",
    options: {
      lines: wholeNumber("how many lines the program prints", { from: 0, otherwise: 5 }),
      pause: wholeNumber("how long it pauses after each, in milliseconds", { from: 0, upTo: 60_000, otherwise: 300 }),
      timeout: wholeNumber("how long it may be silent, in milliseconds", { from: 1, upTo: 60_000, otherwise: 2000 }),
    },
    run: async ({ lines, pause, timeout }) => {
      // Deno is there wherever this runs, and a program in a data: URL needs neither a file nor the permission to read.
      const program = `data:text/javascript,${encodeURIComponent(`(${chatter})(${lines}, ${pause})`)}`;
      const flags = ["run", "--quiet", "--no-prompt", "--no-config", "--no-lock"];
      await run(() => tail(Deno.execPath(), [...flags, program], timeout));
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
