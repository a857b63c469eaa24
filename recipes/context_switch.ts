/**
 * Context switches: what runs when, between coroutines that let each other run.
 *
 * ```sh
 * deno run jsr:@skein/skein/recipes/context_switch --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/context_switch";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import { gather, getRunningLoop, run, sleep } from "../lib/asyncio/mod.ts";
import { SEED, VIRTUAL, wholeNumber } from "./_options.ts";
import { makeLoop, makeRandint, runRecipe } from "./_recipe.ts";

async function foo(): Promise<void> {
  console.log("Running in foo");
  await sleep(0);
  console.log("Explicit context switch to foo again");
}

async function bar(): Promise<void> {
  console.log("Explicit context to bar");
  await sleep(0);
  console.log("Implicit context switch back to bar");
}

/** Three coroutines, of which two block, with the time at which they get on. */
async function blockAndWork(): Promise<void> {
  const loop = getRunningLoop();
  const start = loop.time();
  const tic = (): string => `at ${((loop.time() - start) / 1000).toFixed(1)} seconds`;

  async function gr1(): Promise<void> {
    console.log(`gr1 started work: ${tic()}`);
    await sleep({ seconds: 2 });
    console.log(`gr1 ended work: ${tic()}`);
  }
  async function gr2(): Promise<void> {
    console.log(`gr2 started work: ${tic()}`);
    await sleep({ seconds: 2 });
    console.log(`gr2 Ended work: ${tic()}`);
  }
  async function gr3(): Promise<void> {
    console.log(`Let's do some stuff while the coroutines are blocked, ${tic()}`);
    await sleep({ seconds: 1 });
    console.log("Done!");
  }
  await gather([gr1, gr2, gr3]);
}

async function task(pid: number, milliseconds: number): Promise<void> {
  await sleep(milliseconds);
  console.log(`Task ${pid} done`);
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "context_switch",
    about: "Coroutines that let each other run: by sleep(0), while they wait, and in no order at all.",
    permissions: "Needs no permission.",
    options: {
      tasks: wholeNumber("how many tasks of a random length, nine in the introduction", {
        from: 1,
        upTo: 10_000,
        otherwise: 9,
      }),
      seed: SEED,
      virtual: VIRTUAL,
    },
    run: async ({ tasks, seed, virtual }) => {
      const randint = makeRandint(seed);
      const pids = Array.from({ length: tasks }, (_, i) => i + 1);
      await run(async () => {
        await gather([foo, bar]);
        await blockAndWork();

        console.log(bold("Synchronous:"));
        for (const pid of pids) await task(pid, randint(0, 2));

        console.log(bold("Asynchronous:"));
        await gather(pids.map((pid) => () => task(pid, randint(0, 2))));
      }, { loopFactory: () => makeLoop(virtual) });
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
