/**
 * What the tests of the recipes share: a recipe in this program with its output caught, and as a program of its own.
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import { RECIPES } from "../../tools/recipes.ts";

/** How a recipe ended, and what it printed. */
export interface RecipeResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls the `main` of a recipe, and catches what it prints. */
export async function callMain(name: string, ...args: string[]): Promise<RecipeResult> {
  const { main } = await import(`../../recipes/${name}.ts`) as { main(args: string[]): Promise<number> };
  const { log, error } = console;
  let stdout = "";
  let stderr = "";
  console.log = (...data: unknown[]) => stdout += `${stripAnsiCode(data.join(" "))}\n`;
  console.error = (...data: unknown[]) => stderr += `${stripAnsiCode(data.join(" "))}\n`;
  try {
    return { code: await main(args), stdout, stderr };
  } finally {
    console.log = log;
    console.error = error;
  }
}

/** Calls the `main` of a recipe, which has to end well, and gives the lines that it prints. */
export async function linesOf(name: string, ...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await callMain(name, ...args);
  assertEquals([code, stderr], [0, ""]);
  return stdout.trimEnd().split("\n");
}

/** A recipe that runs as a program of its own. */
export interface RecipeProgram {
  readonly child: Deno.ChildProcess;
  /** Resolves when it has printed `text`; rejects if it ends without. */
  printed(text: string): Promise<void>;
  /** Resolves when it has ended. */
  ended(): Promise<RecipeResult & { readonly signal: Deno.Signal | null }>;
}

/** Starts a recipe as a program of its own, with the permissions that are documented unless others are given. */
export function startRecipe(
  name: string,
  args: readonly string[] = [],
  permissions: readonly string[] = RECIPES.find((recipe) => recipe.name === name)!.permissions,
): RecipeProgram {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", ...permissions, import.meta.resolve(`../../recipes/${name}.ts`), ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // One that does not end is killed, which fails the test by its signal.
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const stderr = child.stderr.text();
  let stdout = "";
  let look = (): void => {};
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      stdout += text;
      look();
    }
  })();
  return {
    child,
    printed: (text) =>
      new Promise((resolve, reject) => {
        look = () => stdout.includes(text) && resolve();
        look();
        reading.then(async () => reject(new Error(`The recipe ended without "${text}": ${stdout}${await stderr}`)));
      }),
    ended: async () => {
      const { code, signal } = await child.status;
      clearTimeout(timer);
      await reading;
      return { code, signal, stdout, stderr: await stderr };
    },
  };
}

/** The children of a process. */
export async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await new Deno.Command("pgrep", { args: ["-P", String(pid)] }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "").map(Number);
}

/** Waits until a process that is no child of this program is gone. There is no event for that, so it is asked for. */
export async function assertGone(pid: number): Promise<void> {
  const end = performance.now() + 10_000;
  while (true) {
    const { stdout } = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", String(pid)] }).output();
    const state = new TextDecoder().decode(stdout).trim();
    // A zombie that nobody reaps is dead as well.
    if (state === "" || state.startsWith("Z")) return;
    assert(performance.now() < end, `the process ${pid} lives on`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
