/**
 * {@linkcode PoolExecutor}: what both pools have in common.
 * @module
 */

import { decodeChunk } from "./_chunk.ts";
import type { Pool } from "./_pool.ts";
import {
  type ChunkOutcome,
  Executor,
  type MapAdmission,
  type ShutdownOptions,
  type SubmitOptions,
} from "./executor.ts";
import type { Future } from "./future.ts";
import type { PoolEventMap } from "./pool_events.ts";
import type { PoolStatistics, WorkerInfo } from "./pool_statistics.ts";
import { positiveInteger } from "../_positive_integer.ts";
import { requireOptions } from "../_require.ts";
import { requireSubmitOptions } from "./_submit_options.ts";
import { TaskStream } from "./stream.ts";
import { CALL } from "./_task.ts";

/** Options of {@linkcode PoolExecutor.streamWith}. */
export interface StreamOptions extends Omit<SubmitOptions, "retries" | "retryOn"> {
  /**
   * How many values the generator may be ahead of its reader.
   * @default {16}
   */
  buffersize?: number | undefined;
}

const CHUNK = { chunk: true } as const;

/** An {@linkcode Executor} that runs calls in workers: {@linkcode ThreadPoolExecutor} and {@linkcode ProcessPoolExecutor}. */
export abstract class PoolExecutor extends Executor {
  readonly #pool: Pool;

  /** @internal */
  constructor(pool: Pool) {
    super();
    this.#pool = pool;
  }

  /**
   * Schedules a call: see {@linkcode Executor.submitWith}.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param options How to run it.
   * @param fn The function.
   * @param args Its arguments.
   * @returns The future of the call.
   */
  override submitWith<A extends unknown[], R>(
    options: SubmitOptions,
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    requireSubmitOptions(options);
    return this.#pool.submit(options, fn, args, CALL) as unknown as Future<Awaited<R>>;
  }

  /**
   * Schedules calls as one task: see {@linkcode Executor.submitChunk}.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function.
   * @param lists The arguments of each call.
   * @param options How to run them.
   * @returns The future of all the calls.
   */
  protected override submitChunk<A extends unknown[], R>(
    fn: (...args: A) => R,
    lists: readonly A[],
    options: SubmitOptions,
  ): Future<ChunkOutcome<Awaited<R>>> {
    return decodeChunk(this.#pool.submit(options, fn, lists, CHUNK));
  }

  /**
   * What keeps `map` from reading on: `maxQueue`.
   *
   * @returns The limit, if there is one.
   */
  protected override admission(): MapAdmission | undefined {
    return this.#pool.admission();
  }

  /**
   * Runs a generator, or an async one, in a worker and gives back what it yields. It is ahead of its reader by 16 values
   * at the most, so a stream without end takes constant memory. It occupies its worker until it is over.
   *
   * If the reader leaves, the generator returns at its next `yield`, and runs its `finally` blocks; who leaves waits for
   * that, and for no longer than the `timeout` of {@linkcode PoolExecutor.streamWith}. What it throws, the iteration
   * throws. It is not run again when its worker dies.
   *
   * `shutdown()` waits for the end of the stream as for any call, so read it to the end, leave it (`break`, `return()`,
   * `await using`), or shut down with `cancelFutures`. While it waits for its reader it does not keep the program alive.
   *
   * @typeParam A The types of the arguments.
   * @typeParam T The type of the values.
   * @param fn A generator function, or any other that returns an iterable.
   * @param args Its arguments.
   * @returns The values, as an async iterable.
   * @throws As {@linkcode Executor.submit}.
   *
   * @example
   * ```ts
   * import { ThreadPoolExecutor } from "@skein/skein/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor();
   * const seen: number[] = [];
   * const squares = pool.stream(function* () {
   *   for (let n = 1;; n++) yield n * n;
   * });
   * for await (const square of squares) {
   *   if (square > 20) break;
   *   seen.push(square);
   * }
   * assertEquals(seen, [1, 4, 9, 16]);
   * ```
   */
  stream<A extends unknown[], T>(
    fn: (...args: A) => Iterable<T> | AsyncIterable<T>,
    ...args: A
  ): TaskStream<Awaited<T>> {
    return this.streamWith({}, fn, ...args);
  }

  /**
   * As {@linkcode PoolExecutor.stream}, with options. `timeout` is that of all of the generator, with the time that it
   * waits for its reader.
   *
   * @typeParam A The types of the arguments.
   * @typeParam T The type of the values.
   * @param options How to run it.
   * @param fn A generator function, or any other that returns an iterable.
   * @param args Its arguments.
   * @returns The values, as an async iterable.
   * @throws {RangeError} If `buffersize` is not a whole number of at least 1; else as {@linkcode Executor.submitWith}.
   */
  streamWith<A extends unknown[], T>(
    options: StreamOptions,
    fn: (...args: A) => Iterable<T> | AsyncIterable<T>,
    ...args: A
  ): TaskStream<Awaited<T>> {
    requireSubmitOptions(options);
    const { buffersize = 16, ...callOptions } = options;
    positiveInteger(buffersize, "buffersize");
    const pool = this.#pool;
    return new TaskStream<Awaited<T>>({
      start: (stream) => pool.submit({ ...callOptions, retries: 0 }, fn, args, { stream }),
      grant: (task, count) => pool.grant(task, count),
      stop: (task) => pool.stopStream(task),
    }, buffersize);
  }

  /**
   * Starts workers before there are calls for them, so that the first calls need not wait for it.
   *
   * @param count How many there are to be at the least; `maxWorkers` by default.
   * @returns A promise that resolves when so many have started and run their initializer.
   * @throws {RangeError} If `count` is not a whole number from 1 to `maxWorkers`.
   * @throws {BrokenExecutorError} If they cannot start.
   */
  async warmUp(count: number = this.#pool.maxWorkers): Promise<void> {
    if (positiveInteger(count, "count") > this.#pool.maxWorkers) {
      throw new RangeError(`Cannot start ${count} workers: maxWorkers is ${this.#pool.maxWorkers}`);
    }
    await this.#pool.warmUp(count);
  }

  /**
   * Waits until fewer calls wait than `maxQueue` allows; those who wait come in one after another. It reserves nothing:
   * the call is to be submitted right after it.
   *
   * @returns A promise that resolves when there is room, at once if there is; also when the pool takes no more calls,
   * which the next `submit` will say.
   *
   * @example A producer that is never ahead of the workers by more than 100 calls
   * ```ts
   * import { ThreadPoolExecutor } from "@skein/skein/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor({ maxQueue: 100 });
   * let sum = 0;
   * for (let n = 1; n <= 1000; n++) {
   *   await pool.room();
   *   pool.submit((x: number) => x, n).result().then((x) => sum += x);
   * }
   * await pool.shutdown();
   * assertEquals(sum, 500500);
   * ```
   */
  room(): Promise<void> {
    return this.#pool.room();
  }

  /**
   * How the pool fares: its workers, what became of the calls, and how long they took.
   *
   * @returns The figures at this moment; they do not change any more.
   */
  statistics(): PoolStatistics {
    return this.#pool.statistics();
  }

  /**
   * The workers, those that take no more calls included.
   *
   * @returns What is known of each at this moment.
   */
  workers(): WorkerInfo[] {
    return this.#pool.workers();
  }

  /**
   * Listens to what happens in the pool. A pool that nobody listens to makes no events. As with any event target, what a
   * listener throws is reported as an uncaught error, which ends the program unless somebody handles it.
   *
   * @typeParam K The name of the event.
   * @param type The event; see {@linkcode PoolEventMap}.
   * @param listener What to call with it.
   * @param options As of any event target.
   *
   * @example
   * ```ts
   * import { ThreadPoolExecutor } from "@skein/skein/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor();
   * const log: string[] = [];
   * pool.addEventListener("taskend", ({ task, outcome }) => log.push(`${task} ${outcome}`));
   * await pool.submit(function double(x: number) {
   *   return 2 * x;
   * }, 4);
   * await Promise.resolve();
   * assertEquals(log, ["double completed"]);
   * ```
   */
  addEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void {
    this.#pool.observer.listen(type);
    this.#pool.observer.target.addEventListener(type, listener as (event: Event) => void, options);
  }

  /**
   * Listens no longer.
   *
   * @typeParam K The name of the event.
   * @param type The event.
   * @param listener What was to be called.
   * @param options As of any event target.
   */
  removeEventListener<K extends keyof PoolEventMap>(
    type: K,
    listener: (event: PoolEventMap[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void {
    this.#pool.observer.target.removeEventListener(type, listener as (event: Event) => void, options);
  }

  /**
   * Ends the pool when its work is done: see {@linkcode Executor.shutdown}.
   *
   * @param options Whether to wait, and what becomes of calls that have not started.
   * @returns A promise that resolves when the workers are gone.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    requireOptions(options, "the options of shutdown()", "{ cancelFutures: true }");
    return this.#pool.shutdown(options);
  }
}
