/**
 * {@linkcode asCompleted}: awaitables in the order they end.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { toDelay } from "./_delay.ts";
import { Future as CallFuture } from "../futures/future.ts";
import { itemSource, type SourcedIterator } from "./async_iteration.ts";
import { policy } from "./_current.ts";
import {
  type Awaitable,
  type AwaitedOf,
  type Coroutine,
  FunctionCoroutine,
  type GeneratorCoroutine,
} from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import type { EventLoop } from "./event_loop.ts";
import { limited } from "./_limited.ts";
import { TimeoutError } from "./exceptions.ts";
import type { Future } from "./future.ts";
import { Queue } from "./queues.ts";
import { requireOptions } from "../_require.ts";
import { requireList } from "./_require.ts";
import { onCallDone, wrapFuture } from "./wrap_future.ts";
import type { Handle } from "./handle.ts";

/** Options of {@linkcode asCompleted}. */
export interface AsCompletedOptions {
  /** How long all of it may take, counted from the call, in milliseconds or as a duration. No limit by default. */
  timeout?: DurationLike | null | undefined;
  /**
   * How many may run at a time, a whole number from 1 on. It holds for what has not begun: coroutines, generators and
   * functions, which begin in their order. Promises, futures and tasks run already, and take no place. No limit by
   * default.
   */
  limit?: number | undefined;
}

/**
 * A future that is done, as `for await` gives it: the very one that was passed. To the compiler it is not awaitable, as
 * the compiler takes for granted that `for await` awaits what it iterates over, which it does not: ask for its `result()`.
 *
 * @typeParam T The type of the result.
 * @typeParam F The type of the future.
 */
export type CompletedFuture<T, F = Future<T>> = F extends unknown ? F & { readonly then: never } : never;

/**
 * What {@linkcode asCompleted} gives for an awaitable: itself if it is a future, a task, or the future of an executor's
 * call, else a future.
 *
 * @typeParam A The type of the awaitable.
 */
export type FutureOf<A> =
  | Extract<A, Future<unknown> | CallFuture<unknown>>
  | ([Exclude<A, Future<unknown> | CallFuture<unknown>>] extends [never] ? never
    : Future<AwaitedOf<Exclude<A, Future<unknown> | CallFuture<unknown>>>>);

/**
 * What {@linkcode asCompleted} returns.
 *
 * `for (const next of it) { const value = yield* next; }` gives the results: each `next` is a coroutine, and the first
 * that is awaited gets what ends first. `for await (const future of it)` gives the futures that were passed; {@linkcode
 * AsCompleted.next} does so in a generator, which has no `for await`.
 *
 * @typeParam T The type of the results.
 * @typeParam F The type of the futures.
 */
export class AsCompleted<T, F = Future<T>> implements Iterable<Coroutine<T>>, AsyncIterable<CompletedFuture<T, F>> {
  readonly #loop: EventLoop;
  readonly #todo: Set<F>;
  /** Those that have ended, and `null` for each that has not when the time is over. */
  readonly #done = new Queue<F | null>();
  readonly #stops: (() => void)[] = [];
  #left: number;
  #timer: Handle | undefined;

  /** @internal */
  constructor(futures: Set<F>, loop: EventLoop, limit: number) {
    this.#loop = loop;
    this.#todo = futures;
    this.#left = futures.size;
    for (const future of futures) {
      if (future instanceof CallFuture) this.#stops.push(onCallDone(future, loop, () => this.#completed(future)));
      else (future as Future<T>).addDoneCallback(this.#completed);
    }
    if (futures.size > 0 && limit < Infinity) {
      this.#timer = loop.callLater(limit, this.#expired);
    }
  }

  /** The results, in the order in which they come. */
  *[Symbol.iterator](): Generator<Coroutine<T>, void, unknown> {
    while (this.#claim()) yield new FunctionCoroutine<[], T>(this.#result, [], this, "AsCompleted.result");
  }

  /** The futures that were passed, in the order in which they end. */
  [Symbol.asyncIterator](): AsyncIterableIterator<CompletedFuture<T, F>> {
    // No async generator: that would await the futures that it yields.
    const iterator: SourcedIterator<CompletedFuture<T, F>> = {
      next: async () =>
        await new FunctionCoroutine<[], IteratorResult<CompletedFuture<T, F>, void>>(
          this.#nextCompleted,
          [],
          this,
          "AsCompleted.next",
        ),
      [Symbol.asyncIterator]: () => iterator,
      [itemSource]: { next: () => this.#nextCompleted(), close: () => {} },
    };
    return iterator;
  }

  /**
   * The future that ends next, for generators: `const future = yield* it.next()`.
   *
   * @returns A coroutine of the future; of `null` when there is none left.
   */
  next(): Coroutine<F | null> {
    return new FunctionCoroutine<[boolean], F | null>(this.#next, [this.#claim()], this, "AsCompleted.next");
  }

  /** Whether there is one left; it is for who asks. */
  #claim(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }

  readonly #completed = (future: F | Future<T>): void => {
    if (!this.#todo.delete(future as F)) return;
    this.#done.putNowait(future as F);
    if (this.#todo.size === 0) this.#timer?.cancel();
  };

  readonly #expired = (): void => {
    for (const stop of this.#stops) stop();
    for (const future of this.#todo) {
      if (!(future instanceof CallFuture)) (future as Future<T>).removeDoneCallback(this.#completed);
      this.#done.putNowait(null);
    }
    this.#todo.clear();
  };

  *#nextCompleted(): GeneratorCoroutine<IteratorResult<CompletedFuture<T, F>, void>> {
    if (!this.#claim()) return { done: true, value: undefined };
    try {
      return { done: false, value: (yield* this.#take()) as CompletedFuture<T, F> };
    } catch (error) {
      // The one that ends next is there for the next wait. After the time limit there is one error for each.
      if (!(error instanceof TimeoutError)) this.#left++;
      throw error;
    }
  }

  *#next(claimed: boolean): GeneratorCoroutine<F | null> {
    return claimed ? yield* this.#take() : null;
  }

  *#result(): GeneratorCoroutine<T> {
    const future = yield* this.#take();
    if (future instanceof CallFuture) return yield* wrapFuture<T>(future, { loop: this.#loop });
    return (future as Future<T>).result();
  }

  *#take(): GeneratorCoroutine<F> {
    const future = yield* this.#done.get();
    if (future === null) throw new TimeoutError(`The time limit of asCompleted() is over`);
    return future;
  }
}

/**
 * Runs awaitables side by side and gives them in the order they end. CPython's `asyncio.as_completed`.
 *
 * When the time is over, every wait for one that has not ended throws {@linkcode TimeoutError}; they run on.
 *
 * @typeParam A The type of the awaitables.
 * @param awaitables What to run. One that is passed twice is given once.
 * @param options The time limit, and how many may run at a time.
 * @returns An iterable and an async iterable.
 * @throws {TypeError} If it is no iterable, or something in it cannot be awaited.
 * @throws {ValueError} If the limit is no whole number from 1 on.
 *
 * @example
 * ```ts
 * import { asCompleted, createTask, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const order: string[] = [];
 * await run(async () => {
 *   const tasks = [createTask(sleep(20, "slow")), createTask(sleep(1, "fast"))];
 *   for await (const task of asCompleted(tasks)) order.push(task.result());
 * });
 * assertEquals(order, ["fast", "slow"]);
 * ```
 */
export function asCompleted<A extends Awaitable<unknown>>(
  awaitables: Iterable<A>,
  options: AsCompletedOptions = {},
): AsCompleted<AwaitedOf<A>, FutureOf<A>> {
  requireList(awaitables, "asCompleted");
  requireOptions(options, "the options of asCompleted()", "{ timeout: 1000 }");
  const time = toDelay(options.timeout, "timeout");
  const loop = policy.getEventLoop();
  const futures = new Set<FutureOf<A>>();
  const list = options.limit === undefined ? awaitables : limited(awaitables, options.limit);
  for (const awaitable of new Set(list)) {
    const future: unknown = awaitable instanceof CallFuture ? awaitable : ensureFuture(awaitable, { loop });
    futures.add(future as FutureOf<A>);
  }
  return new AsCompleted<AwaitedOf<A>, FutureOf<A>>(futures, loop, time);
}
