/**
 * Tasks: three computations that take turns, a step each every second.
 *
 * ```sh
 * deno run jsr:@skein/skein/recipes/tasks --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/tasks";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual", "--number=3"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import { createTask, run, sleep, wait } from "../lib/asyncio/mod.ts";
import { VIRTUAL, wholeNumber } from "./_options.ts";
import { makeLoop, runRecipe } from "./_recipe.ts";

function* factorial(number: number) {
  let product = 1n;
  for (let i = 2; i <= number; i++) {
    console.log(`Asyncio.Task: Compute factorial(${i})`);
    yield* sleep(1000);
    product *= BigInt(i);
  }
  console.log(bold(`Asyncio.Task - factorial(${number}) = ${product}`));
}

function* fibonacci(number: number) {
  let [a, b] = [0n, 1n];
  for (let i = 0; i < number; i++) {
    console.log(`Asyncio.Task: Compute fibonacci (${i})`);
    yield* sleep(1000);
    [a, b] = [b, a + b];
  }
  console.log(bold(`Asyncio.Task - fibonacci(${number}) = ${a}`));
}

function* binomialCoefficient(n: number, k: number) {
  let result = 1n;
  for (let i = 1; i <= k; i++) {
    result = result * BigInt(n - i + 1) / BigInt(i);
    console.log(`Asyncio.Task: Compute binomialCoeff (${i})`);
    yield* sleep(1000);
  }
  console.log(bold(`Asyncio.Task - binomialCoeff(${n} , ${k}) = ${result}`));
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "tasks",
    about: "A factorial, a Fibonacci number and a binomial coefficient, each a task that makes one step a second.",
    permissions: "Needs no permission.",
    options: {
      number: wholeNumber("of which number the factorial and the Fibonacci number", { from: 0, otherwise: 10 }),
      n: wholeNumber("the binomial coefficient: out of how many", { from: 0, otherwise: 20 }),
      k: wholeNumber("the binomial coefficient: how many", { from: 0, otherwise: 10 }),
      virtual: VIRTUAL,
    },
    run: async ({ number, n, k, virtual }) => {
      await run(function* () {
        const tasks = [
          createTask(factorial(number)),
          createTask(fibonacci(number)),
          createTask(binomialCoefficient(n, k)),
        ];
        yield* wait(tasks);
      }, { loopFactory: () => makeLoop(virtual) });
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
