/**
 * {@linkcode ThreadPoolExecutor}.
 * @module
 */

import { BrokenThreadPoolError } from "./errors.ts";
import { Pool } from "./_pool.ts";
import { assertPermissionNames } from "./_permissions.ts";
import { PoolExecutor } from "./pool_executor.ts";
import type { PoolOptions } from "./pool_options.ts";
import { commonSettings } from "./_pool_settings.ts";
import { requireOptions, shown } from "../_require.ts";
import { CAN_UNREF_THREADS, ThreadTransport } from "./_thread_transport.ts";

/**
 * Options of {@linkcode ThreadPoolExecutor}.
 *
 * @typeParam I The types of the initializer's arguments.
 */
export interface ThreadPoolExecutorOptions<I extends unknown[] = unknown[]> extends PoolOptions<I> {
  /**
   * How many threads there are at the most. They are started as they are needed.
   * @default {Math.min(32, navigator.hardwareConcurrency + 4)}
   */
  maxWorkers?: number | undefined;
  /**
   * What the names of the threads begin with; a number follows. A task sees its thread's as `self.name`.
   * @default {"ThreadPoolExecutor-N"}
   */
  threadNamePrefix?: string | undefined;
  /**
   * What a task may do, as in the options of `Worker`: `"none"`, `"inherit"` or a list. Only where Deno was started with
   * `--unstable-worker-options`, or its configuration says so: else Deno ends the program, with code 70. A thread
   * without the permission to read cannot import local modules. By default it may do what the program may.
   */
  permissions?: Deno.PermissionOptions | undefined;
}

/**
 * Milliseconds. To start a thread holds the program up for some 8 ms; so they are started one by one, with time for the
 * first one to begin, which may be all that a few small calls need.
 */
const START_PAUSE = 3;

let pools = 0;

/**
 * Runs calls in Web Workers: threads with memory of their own, so they use all cores. Arguments and results are copied
 * (structured clone), moved (`transfer`) or, as a `SharedArrayBuffer`, shared. An object of the platform that cannot be
 * copied, such as a `URL`, is refused as an argument, a result or a value of a stream; where it is a part of one, Deno
 * makes an empty object of it.
 *
 * It needs no permission for functions that travel by their source; importing a local module in a thread needs
 * `--allow-read`. A thread has the permissions of the program.
 *
 * A running call cannot be killed in a thread. `signal` and `timeout` reject its future at once and tell it; the thread
 * is replaced and burns on until the call ends. What may hang belongs into a {@linkcode ProcessPoolExecutor}. A thread
 * that runs out of memory takes the program with it.
 *
 * A pool that is not shut down does not keep the program alive once its work is done.
 *
 * Where it differs from CPython's: threads run JavaScript in parallel; a worker that dies is replaced and fails only
 * the call that it ran.
 *
 * @typeParam I The types of the initializer's arguments.
 *
 * @example
 * ```ts
 * import { ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * function countPrimes(limit: number): number {
 *   let count = 0;
 *   next: for (let n = 2; n < limit; n++) {
 *     for (let d = 2; d * d <= n; d++) if (n % d === 0) continue next;
 *     count++;
 *   }
 *   return count;
 * }
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
 * assertEquals(await pool.submit(countPrimes, 100), 25);
 * assertEquals(await Array.fromAsync(pool.map(countPrimes, [10, 1000])), [4, 168]);
 * ```
 */
export class ThreadPoolExecutor<I extends unknown[] = unknown[]> extends PoolExecutor {
  /**
   * Makes a pool. Its threads are started as calls come in, one after another, as to start one holds the program up
   * for some milliseconds.
   *
   * @param options How many threads, their names, and what they run first.
   * @throws {RangeError} If a count is not a whole number of at least 1, or a time is negative.
   * @throws {TypeError} If the initializer or its arguments cannot be sent to a worker, or a permission is none of
   * Deno's.
   * @throws {RuntimeError} While a worker imports a script that makes pools without a guard.
   */
  constructor(options: ThreadPoolExecutorOptions<I> = {}) {
    requireOptions(options, "the options of ThreadPoolExecutor", "{ maxWorkers: 4 }");
    const { maxWorkers = Math.min(32, navigator.hardwareConcurrency + 4), permissions } = options;
    const common = commonSettings(options, maxWorkers, false);
    const maxMemory = common.maxMemory === Infinity ? null : common.maxMemory;
    if (typeof permissions === "object") assertPermissionNames(permissions);
    const prefix: unknown = options.threadNamePrefix ?? `ThreadPoolExecutor-${pools++}`;
    if (typeof prefix !== "string") {
      throw new TypeError(`Cannot use ${shown(prefix)} as threadNamePrefix: pass a string`);
    }
    super(
      new Pool({
        ...common,
        name: "ThreadPoolExecutor",
        workerName: (index) => `${prefix}_${index}`,
        Broken: BrokenThreadPoolError,
        toProcess: false,
        revokesAtOnce: true,
        canUnref: CAN_UNREF_THREADS,
        importsAtStart: false,
        startPause: START_PAUSE,
        start: ({ name, modules }, initializer, events) =>
          new ThreadTransport(name, { permissions, modules: [...modules], maxMemory }, initializer, events),
      }),
    );
  }
}
