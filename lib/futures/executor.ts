/**
 * {@linkcode Executor}: what all executors have in common.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import type { Future } from "./future.ts";
import { MapIterator, type Submitter } from "./map.ts";
import { NO_OPTIONS } from "./_no_options.ts";
import { requireArguments, requireMapOptions } from "./_submit_options.ts";

/** Options of {@linkcode Executor.submitWith}. */
export interface SubmitOptions {
  /**
   * Gives the call up when it aborts. A call that has not started never runs. One that runs is stopped: a child process
   * is killed; a thread cannot be, so the call is told ({@linkcode checkCancelled}, {@linkcode taskSignal}) and a new
   * worker takes the place of its own. The future rejects at once with the signal's reason.
   */
  signal?: AbortSignal | undefined;
  /**
   * How long the call may take, in milliseconds or as a duration, counted from its start. After that it is stopped as
   * by `signal`, and the future rejects with {@linkcode TimeoutError}. No limit by default.
   */
  timeout?: DurationLike | null | undefined;
  /**
   * What is moved to the worker instead of copied: array buffers, and for threads also message ports and the like. To a
   * process everything is copied, but what is listed here is gone on this side all the same.
   */
  transfer?: readonly Transferable[] | undefined;
  /**
   * Values that go along beside the arguments, copied at once: the call reads them with {@linkcode taskContext}. An
   * executor of your own may leave them out.
   */
  context?: Readonly<Record<string, unknown>> | undefined;
  /**
   * The higher, the earlier the call gets a worker; what has started is not interrupted. Any finite number.
   * @default {0}
   */
  priority?: number | undefined;
  /**
   * Whose call it is, as any value. Of calls with the same priority the groups take turns, one call each, so that who
   * submits a million calls does not keep another one from the workers. Each `map` is a group of its own, and the calls
   * without a group are one together.
   */
  group?: unknown;
  /**
   * How often the call is run again if its worker dies, or `retryOn` asks for it. By default what the pool says, which
   * is 0 by default.
   */
  retries?: number | undefined;
  /**
   * Whether a call that ended with `error` is to run again; `attempt` counts from 1. By default what the pool says,
   * which is by default: if its worker died.
   */
  retryOn?: ((error: unknown, attempt: number) => boolean) | undefined;
  /** Gets what the call passes to {@linkcode reportProgress}, in order and before its outcome. */
  onProgress?: ((value: unknown) => void) | undefined;
}

/** Options of {@linkcode Executor.map} and {@linkcode Executor.starmap}. */
export interface MapOptions {
  /**
   * How long all of the iteration may take, counted from the call of `map`, in milliseconds or as a duration. No limit
   * by default.
   */
  timeout?: DurationLike | null | undefined;
  /**
   * How many items travel as one task. Tiny calls are batched without it; it saves the future that each call has
   * otherwise.
   * @default {1}
   */
  chunksize?: number | undefined;
  /**
   * How many tasks are submitted ahead of the results that were taken. By default a pool with `maxQueue` takes that, and
   * any other executor reads all of the iterable at the call, so that an endless one needs it.
   */
  buffersize?: number | null | undefined;
  /**
   * The priority of the calls, as in {@linkcode SubmitOptions}.
   * @default {0}
   */
  priority?: number | undefined;
  /** Ends the iteration with the signal's reason, and cancels what has not started. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode Executor.shutdown}. */
export interface ShutdownOptions {
  /**
   * Whether the promise waits until all work is done and all workers are gone.
   * @default {true}
   */
  wait?: boolean | undefined;
  /**
   * Whether calls that have not started are cancelled. Streams of a pool that have started end at their next `yield`,
   * and throw {@linkcode CancelledError} at their readers.
   * @default {false}
   */
  cancelFutures?: boolean | undefined;
  /**
   * How long the work may take that is left, in milliseconds or as a duration. After that the pool ends at once: what
   * runs fails with the {@linkcode BrokenExecutorError} of the pool, and its worker is killed as far as that can be
   * done; what has not started is cancelled. It holds with `wait: false`, too. No limit by default.
   */
  timeout?: DurationLike | null | undefined;
}

/** What keeps {@linkcode Executor.map} from reading on. */
export interface MapAdmission {
  /** How many calls are submitted ahead of the results that were taken. */
  readonly ahead: number;
  /** Whether no more calls are taken for now. */
  isFull(): boolean;
  /** Whether others wait for room, and come first. */
  isCrowded(): boolean;
  /** Resolves when there is room for one. */
  room(): Promise<void>;
}

/** What the calls of a chunk returned, up to the first that threw. */
export interface ChunkOutcome<R> {
  /** The results, in order. */
  readonly values: readonly R[];
  /** What the call after them threw; absent if none did. */
  readonly failure?: { readonly error: unknown };
}

/**
 * Runs functions somewhere else. An executor of your own implements {@linkcode Executor.submitWith} and {@linkcode
 * Executor.shutdown}; all else is built on these.
 *
 * CPython's `concurrent.futures.Executor`.
 *
 * @example An executor that runs everything at once, here
 * ```ts
 * import { Executor, Future, type SubmitOptions } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * class HereExecutor extends Executor {
 *   override submitWith<A extends unknown[], R>(
 *     _options: SubmitOptions,
 *     fn: (...args: A) => R,
 *     ...args: A
 *   ): Future<Awaited<R>> {
 *     const future = new Future<Awaited<R>>();
 *     future.setRunningOrNotifyCancel();
 *     Promise.try(fn, ...args).then((value) => future.setResult(value), (error) => future.setException(error));
 *     return future;
 *   }
 *   override shutdown(): Promise<void> {
 *     return Promise.resolve();
 *   }
 * }
 *
 * await using executor = new HereExecutor();
 * assertEquals(await Array.fromAsync(executor.map((x: number) => x + 1, [1, 2, 3])), [2, 3, 4]);
 * ```
 */
export abstract class Executor implements AsyncDisposable {
  /**
   * Schedules `fn(...args)` and returns its future. CPython's `submit(fn, *args)`.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns; of an async function the future has what its promise resolves to.
   * @param fn The function.
   * @param args Its arguments. They are copied when the call is handed to a worker.
   * @returns The future of the call.
   * @throws {TypeError} If `fn` cannot be sent to a worker at all.
   * @throws {RuntimeError} After {@linkcode Executor.shutdown}.
   * @throws {BrokenExecutorError} If the executor is broken.
   */
  submit<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Future<Awaited<R>> {
    return this.submitWith(NO_OPTIONS, fn, ...args);
  }

  /**
   * As {@linkcode Executor.submit}, with options.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param options How to run it.
   * @param fn The function.
   * @param args Its arguments.
   * @returns The future of the call.
   * @throws {unknown} The reason of `options.signal`, if that is aborted already; {@linkcode NotCloneableError} if a
   * value of `options.context` cannot be copied; else as {@linkcode Executor.submit}.
   */
  abstract submitWith<A extends unknown[], R>(
    options: SubmitOptions,
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>>;

  /**
   * For executors that can run several calls as one task: what `chunksize` is built on. By default `undefined`: they
   * cannot.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param _fn The function.
   * @param _lists The arguments of each call.
   * @param _options How to run them.
   * @returns The future of all the calls.
   */
  protected submitChunk<A extends unknown[], R>(
    _fn: (...args: A) => R,
    _lists: readonly A[],
    _options: SubmitOptions,
  ): Future<ChunkOutcome<Awaited<R>>> | undefined {
    return undefined;
  }

  /**
   * For executors that take only so many calls: what keeps {@linkcode Executor.map} from reading on. By default there
   * is no limit.
   *
   * @returns How many calls `map` submits ahead, whether no more are taken for now, and a promise of the time when some
   * are.
   */
  protected admission(): MapAdmission | undefined {
    return undefined;
  }

  /**
   * Calls `fn` for each item and gives the results back in the order of the items. CPython's `map(fn, iterable)`.
   *
   * All items are submitted at the call, unless `buffersize` is set or the iterable is an async one, which is read as
   * it comes. If a call throws, the iteration throws that and is over, and what has not started is cancelled; so it is
   * when the iteration is left.
   *
   * @typeParam T The type of the items.
   * @typeParam R What the function returns.
   * @param fn The function of one item.
   * @param iterable The items.
   * @param options Time limit, chunks, read-ahead and signal.
   * @returns The results, as an async iterable.
   * @throws {RangeError} If `chunksize` or `buffersize` is not a whole number of at least 1.
   *
   * @example
   * ```ts
   * import { ThreadPoolExecutor } from "@skein/skein/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor();
   * const squares: number[] = [];
   * for await (const square of pool.map((x: number) => x * x, [1, 2, 3])) squares.push(square);
   * assertEquals(squares, [1, 4, 9]);
   * ```
   */
  map<T, R>(
    fn: (item: T) => R,
    iterable: Iterable<T> | AsyncIterable<T>,
    options: MapOptions = {},
  ): MapIterator<Awaited<R>> {
    return this.#map(
      (callOptions) => ({
        submit: (args) => this.submitWith(callOptions, fn, ...(args as [T])),
        submitChunk: (lists) => this.submitChunk(fn, lists as [T][], callOptions),
      }),
      iterable,
      (item) => [item],
      options,
    );
  }

  /**
   * Calls `fn` with each list of arguments; else as {@linkcode Executor.map}. What `map(fn, xs, ys)` is in CPython.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function.
   * @param iterable The lists of arguments.
   * @param options Time limit, chunks, read-ahead and signal.
   * @returns The results, as an async iterable.
   * @throws {RangeError} If `chunksize` or `buffersize` is not a whole number of at least 1.
   *
   * @example
   * ```ts
   * import { ThreadPoolExecutor } from "@skein/skein/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor();
   * const powers = pool.starmap((x: number, y: number) => x ** y, [[2, 3], [3, 2]]);
   * assertEquals(await Array.fromAsync(powers), [8, 9]);
   * ```
   */
  starmap<A extends unknown[], R>(
    fn: (...args: A) => R,
    iterable: Iterable<Readonly<A>> | AsyncIterable<Readonly<A>>,
    options: MapOptions = {},
  ): MapIterator<Awaited<R>> {
    return this.#map(
      (callOptions) => ({
        submit: (args) => this.submitWith(callOptions, fn, ...(args as A)),
        submitChunk: (lists) => this.submitChunk(fn, lists as A[], callOptions),
      }),
      iterable,
      requireArguments,
      options,
    );
  }

  #map<R>(
    toSubmitter: (callOptions: SubmitOptions) => Submitter<R>,
    iterable: Iterable<unknown> | AsyncIterable<unknown>,
    toArgs: (item: never) => readonly unknown[],
    options: MapOptions,
  ): MapIterator<R> {
    requireMapOptions(options);
    const submitter = toSubmitter({ group: Symbol("map"), priority: options.priority });
    return new MapIterator<R>({ ...submitter, admission: this.admission() }, iterable, toArgs, options);
  }

  /**
   * Accepts no more calls, and ends the workers when all work is done. Calling it again does no harm.
   *
   * @param options Whether to wait, and what becomes of calls that have not started.
   * @returns A promise that resolves when the executor is done; at once with `wait: false`, and the work is finished
   * all the same.
   */
  abstract shutdown(options?: ShutdownOptions): Promise<void>;

  /** `await using` an executor shuts it down at the end of the block, and waits for its work. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
