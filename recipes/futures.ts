/**
 * Futures: two coroutines that deliver their results through futures, and callbacks that print them.
 *
 * ```sh
 * deno run jsr:@skein/skein/recipes/futures --virtual 5 5
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/futures";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual", "5", "5"]), 0);
 * ```
 *
 * @module
 */

import { createTask, type Future, getRunningLoop, run, sleep, wait } from "../lib/asyncio/mod.ts";
import { bigOperand, flag, VIRTUAL } from "./_options.ts";
import { makeLoop, runRecipe } from "./_recipe.ts";

/** A factorial beyond this fills screens, and the time it takes to print it is felt. */
const LARGEST_FACTORIAL = 10_000n;

function* firstCoroutine(future: Future<string>, n: bigint, seconds: number) {
  const sum = n * (n + 1n) / 2n;
  yield* sleep({ seconds });
  future.setResult(`first coroutine (sum of N integers) result = ${sum}`);
}

function* secondCoroutine(future: Future<string>, n: bigint, seconds: number) {
  let product = 1n;
  for (let i = 2n; i <= n; i++) product *= i;
  yield* sleep({ seconds });
  future.setResult(`second coroutine (factorial) result = ${product}`);
}

function gotResult(future: Future<string>): void {
  console.log(future.result());
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "futures",
    about: "The sum of the first N1 integers after four seconds, and the factorial of N2 after three.",
    permissions: "Needs no permission.",
    options: {
      n1: bigOperand("how many integers to sum up"),
      n2: bigOperand("the number whose factorial to compute", { upTo: LARGEST_FACTORIAL }),
      swap: flag("the sum after three seconds, the factorial after four"),
      virtual: VIRTUAL,
    },
    run: async ({ n1, n2, swap, virtual }) => {
      await run(function* () {
        const loop = getRunningLoop();
        const future1 = loop.createFuture<string>();
        const future2 = loop.createFuture<string>();
        const tasks = [
          createTask(firstCoroutine(future1, n1, swap ? 3 : 4)),
          createTask(secondCoroutine(future2, n2, swap ? 4 : 3)),
        ];
        future1.addDoneCallback(gotResult);
        future2.addDoneCallback(gotResult);
        yield* wait(tasks);
      }, { loopFactory: () => makeLoop(virtual) });
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
