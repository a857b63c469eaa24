/**
 * Executors by their methods: submit, map, callbacks, `wait` and `asCompleted`, on threads and on processes.
 *
 * ```sh
 * deno run --allow-run jsr:@skein/skein/recipes/executor_api
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/executor_api";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--only=threads", "--unit=1"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import {
  ALL_COMPLETED,
  asCompleted,
  type Executor,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
  wait,
} from "../lib/futures/mod.ts";
import { someOf, wholeNumber } from "./_options.ts";
import { runRecipe, untilInterrupted } from "./_recipe.ts";

/** Sleeps, and squares. It uses nothing but its arguments, so it travels to a worker by its source. */
function sleepAndSquare(value: number, unit: number): number {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, value * unit);
  return value ** 2;
}

/** Fails, unless the value is small. */
function squareSmall(value: number, unit: number): number {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, value * unit);
  if (value > 10) throw new RangeError(`${value} is too large`);
  return value ** 2;
}

/** Large powers: ((value⁵)⁴)³ / 100000, squared. The quotient is as exact as Python's, which divides integers. */
function power(value: number): number {
  const large = ((BigInt(value) ** 5n) ** 4n) ** 3n;
  return (Number((large << 128n) / 100_000n) / 2 ** 128) ** 2;
}

async function submit(pool: Executor, fn: (value: number, unit: number) => number, unit: number): Promise<void> {
  const future1 = pool.submit(fn, 10, unit);
  const future2 = pool.submit(fn, 20, unit);
  const future3 = pool.submit(fn, 30, unit);
  console.log("From future 1: ", await future1.result());
  console.log("From future 2: ", await future2.result());
  future3.addDoneCallback(async (future) => console.log("From callback of future 3: ", await future.result()));
  await wait([future3]);
}

async function map(pool: Executor, fn: (value: number, unit: number) => number, times: number, unit: number) {
  const values = Array.from({ length: times }, () => [1, 2, 3]).flat();
  const results = await Array.fromAsync(pool.starmap(fn, values.map((value) => [value, unit] as const)));
  console.log("Mapped results: ", `[${results.join(", ")}]`);
}

async function waitAndComplete(pool: Executor, unit: number): Promise<void> {
  for (const returnWhen of [FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED] as const) {
    const futures = [10, 20, 30].map((value) => pool.submit(squareSmall, value, unit));
    const { done, notDone } = await wait(futures, { returnWhen });
    console.log(`${returnWhen}: ${done.size} done, ${notDone.size} not done`);
    await wait(futures);
    for (const future of futures) await future.exception();
  }
  const futures = [30, 20, 10].map((value) => pool.submit(sleepAndSquare, value, unit));
  for await (const future of asCompleted(futures)) console.log("From futures: ", await future.result());
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 1 if no worker could be started; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "executor_api",
    about: "The methods of executors, on a pool of threads and on one of processes.",
    permissions: "Processes need --allow-run; threads need no permission.",
    options: {
      only: someOf("on which pools", ["threads", "processes"]),
      unit: wholeNumber("how many milliseconds a task sleeps for each 1 of its value", { from: 1, otherwise: 100 }),
    },
    run: ({ only, unit }) =>
      untilInterrupted(async () => {
        for (const kind of only) {
          const isThread = kind === "threads";
          console.log(bold(isThread ? "Thread pool:" : "Process pool:"));
          await using pool = isThread
            ? new ThreadPoolExecutor({ maxWorkers: 3 })
            : new ProcessPoolExecutor({ maxWorkers: 3 });
          // If no worker can be started, this call says so, and not each of those that follow.
          await pool.submit(() => null);
          await submit(pool, isThread ? sleepAndSquare : power, unit);
          await map(pool, isThread ? sleepAndSquare : power, isThread ? 3 : 10, unit);
          await waitAndComplete(pool, unit);
        }
      }),
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
