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

async function onThreads(unit: number): Promise<void> {
  console.log(bold("Thread pool:"));
  await using pool = new ThreadPoolExecutor({ maxWorkers: 3 });
  await submit(pool, sleepAndSquare, unit);
  const values = [1, 2, 3, 1, 2, 3, 1, 2, 3];
  const results = await Array.fromAsync(pool.starmap(sleepAndSquare, values.map((value) => [value, unit])));
  console.log("Mapped results: ", `[${results.join(", ")}]`);
  await waitAndComplete(pool, unit);
}

async function onProcesses(unit: number): Promise<void> {
  console.log(bold("Process pool:"));
  await using pool = new ProcessPoolExecutor({ maxWorkers: 3 });
  // If no process can be started, this call says so, and not each of those that follow.
  await pool.submit(() => null);
  await submit(pool, power);
  const values = Array.from({ length: 30 }, (_, i) => i % 3 + 1);
  const results = await Array.fromAsync(pool.map(power, values));
  console.log("Mapped results: ", `[${results.join(", ")}]`);
  await waitAndComplete(pool, unit);
}

async function submit<A extends unknown[]>(
  pool: Executor,
  fn: (value: number, ...rest: A) => number,
  ...rest: A
): Promise<void> {
  const future1 = pool.submit(fn, 10, ...rest);
  const future2 = pool.submit(fn, 20, ...rest);
  const future3 = pool.submit(fn, 30, ...rest);
  console.log("From future 1: ", await future1.result());
  console.log("From future 2: ", await future2.result());
  future3.addDoneCallback(async (future) => console.log("From callback of future 3: ", await future.result()));
  await wait([future3]);
}

async function waitAndComplete(pool: Executor, unit: number): Promise<void> {
  for (const returnWhen of [FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED] as const) {
    const futures = [10, 20, 30].map((value) => pool.submit(squareSmall, value, unit));
    const { done, notDone } = await wait(futures, { returnWhen });
    console.log(`${returnWhen}: ${done.size} done, ${notDone.size} not done`);
    // Whoever asks for the exceptions need not be told of them.
    await Promise.all(futures.map((future) => future.exception()));
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
        if (only.includes("threads")) await onThreads(unit);
        if (only.includes("processes")) await onProcesses(unit);
      }),
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
