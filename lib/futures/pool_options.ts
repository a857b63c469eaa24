/**
 * {@linkcode PoolOptions}: what both pools can be told.
 * @module
 */

import type { DurationLike } from "../_duration.ts";

/**
 * Options that {@linkcode ThreadPoolExecutor} and {@linkcode ProcessPoolExecutor} have in common.
 *
 * @typeParam I The types of the initializer's arguments.
 */
export interface PoolOptions<I extends unknown[] = unknown[]> {
  /** Runs in each worker before its first call. If it throws, the pool is broken. */
  initializer?: ((...args: I) => unknown) | undefined;
  /** The arguments of the initializer. */
  initargs?: Readonly<I> | undefined;
  /**
   * How long a worker may take to start, the imports of its modules and the initializer included, in milliseconds or as
   * a duration. One that takes longer is ended, and another one is started; the third in a row breaks the pool. No
   * limit by default.
   */
  startTimeout?: DurationLike | null | undefined;
  /**
   * How many workers there are at the least. They are started with the pool, and `idleTimeout` leaves them alone.
   * @default {0}
   */
  minWorkers?: number | undefined;
  /**
   * How long a worker may have nothing to do before it is closed, in milliseconds or as a duration. By default it lives
   * as long as the pool.
   */
  idleTimeout?: DurationLike | null | undefined;
  /**
   * How many calls a worker runs before a new one takes its place. With 1, each call has a worker that nobody used
   * before: what tasks of strangers need, as tasks in one worker can change each other's globals. Without it, a worker
   * lives as long as the pool.
   */
  maxTasksPerWorker?: number | undefined;
  /**
   * How many bytes of memory a worker may hold; one that is found to hold more after a call runs no further one, and a
   * new one takes its place. Of a process it is what the system counts (the resident set, some 50 MB for a start), of a
   * thread its heap and its buffers, with what is not collected yet. Quick calls that a thread was handed together run
   * to the last of them. No limit by default.
   */
  maxMemory?: number | undefined;
  /**
   * How many calls may wait for a worker; short ones that a worker was handed ahead do not count. What happens to more is
   * up to `onFull`. {@linkcode PoolExecutor.map} reads no
   * further while the pool is full, so with `maxQueue` it takes an endless iterable in constant memory. No limit by
   * default.
   */
  maxQueue?: number | undefined;
  /**
   * What `submit` does when the pool is full. `"reject"`: it throws {@linkcode QueueFullError}. `"wait"`: it takes the
   * call, which waits as others do; who submits is to ask for {@linkcode PoolExecutor.room} first, as JavaScript has no
   * call that blocks.
   * @default {"reject"}
   */
  onFull?: "reject" | "wait" | undefined;
  /**
   * How often a call is run again whose worker died, or whose outcome `retryOn` asks to be tried again. A call whose
   * arguments were transferred is never run again, as they are gone. In a chunk of `map` the call that threw runs again,
   * and when its worker dies, all of the chunk that has not come back.
   * @default {0}
   */
  retries?: number | undefined;
  /**
   * Whether a call that ended with `error` is to run again; `attempt` counts from 1. By default when its worker died
   * ({@linkcode WorkerCrashedError}), and for nothing else.
   */
  retryOn?: ((error: unknown, attempt: number) => boolean) | undefined;
  /**
   * What becomes of the pool when a worker dies: it gets a new one, or breaks, which is CPython's way. Then all pending
   * calls fail with {@linkcode BrokenExecutorError}; that of the call which the worker ran has the
   * {@linkcode WorkerCrashedError} as its cause.
   * @default {"replace"}
   */
  onWorkerExit?: "replace" | "break" | undefined;
}
