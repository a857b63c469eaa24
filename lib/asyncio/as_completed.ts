/**
 * {@linkcode asCompleted}: awaitables in the order they end.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { toDelay } from "./_delay.ts";
import { policy } from "./_current.ts";
import {
  type Awaitable,
  type AwaitedOf,
  type Coroutine,
  coroutine,
  type GeneratorCoroutine,
  isAwaitable,
} from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import type { EventLoop } from "./event_loop.ts";
import { limited } from "./_limited.ts";
import { TimeoutError } from "./exceptions.ts";
import type { Future } from "./future.ts";
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
 * A future that is done, as `for await` gives it: one of those that were passed. Its type has no `then`, as TypeScript
 * takes the elements of an async iterable for awaited where JavaScript does not await them.
 *
 * @typeParam T The type of the result.
 */
export type CompletedFuture<T> = Omit<Future<T>, "then">;

/**
 * What {@linkcode asCompleted} returns.
 *
 * `for (const next of it) { const value = yield* next; }` gives the results: each `next` is a coroutine, and the first
 * that is awaited gets what ends first. `for await (const future of it)` gives the futures that were passed; {@linkcode
 * AsCompleted.next} does so in a generator, which has no `for await`.
 *
 * @typeParam T The type of the results.
 */
export class AsCompleted<T> implements Iterable<Coroutine<T>>, AsyncIterable<CompletedFuture<T>> {
  readonly #loop: EventLoop;
  readonly #todo: Set<Future<T>>;
  readonly #done: (Future<T> | null)[] = [];
  readonly #getters: Future<void>[] = [];
  #left: number;
  #timer: Handle | undefined;

  /** @internal */
  constructor(futures: Set<Future<T>>, loop: EventLoop, limit: number) {
    this.#loop = loop;
    this.#todo = futures;
    this.#left = futures.size;
    for (const future of futures) future.addDoneCallback(this.#completed);
    if (futures.size > 0 && limit < Infinity) {
      this.#timer = loop.callLater(limit, this.#expired);
    }
  }

  /** The results, in the order in which they come. */
  *[Symbol.iterator](): Generator<Coroutine<T>, void, unknown> {
    while (this.#left > 0) {
      this.#left--;
      yield this.#result();
    }
  }

  /** The futures that were passed, in the order in which they end. */
  [Symbol.asyncIterator](): AsyncIterableIterator<CompletedFuture<T>> {
    // No async generator: that would await the futures that it yields.
    const iterator: AsyncIterableIterator<CompletedFuture<T>> = {
      next: async () => {
        if (this.#left === 0) return { done: true, value: undefined };
        this.#left--;
        return { done: false, value: (await this.#box()).future };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /**
   * The future that ends next, for generators: `const future = yield* it.next()`.
   *
   * @returns A coroutine of the future; of `null` when there is none left.
   */
  next(): Coroutine<Future<T> | null> {
    if (this.#left === 0) return nothing() as Coroutine<null>;
    this.#left--;
    return this.#future();
  }

  readonly #completed = (future: Future<T>): void => {
    if (!this.#todo.delete(future)) return;
    this.#put(future);
    if (this.#todo.size === 0) this.#timer?.cancel();
  };

  readonly #expired = (): void => {
    for (const future of this.#todo) {
      future.removeDoneCallback(this.#completed);
      this.#put(null);
    }
    this.#todo.clear();
  };

  #put(item: Future<T> | null): void {
    this.#done.push(item);
    this.#wakeNext();
  }

  #wakeNext(): void {
    for (;;) {
      const getter = this.#getters.shift();
      if (getter === undefined) return;
      if (!getter.done()) {
        getter.setResult();
        return;
      }
    }
  }

  *#take(): GeneratorCoroutine<Future<T>> {
    while (this.#done.length === 0) {
      const getter = this.#loop.createFuture<void>();
      this.#getters.push(getter);
      try {
        yield* getter;
      } catch (error) {
        getter.cancel();
        const index = this.#getters.indexOf(getter);
        if (index >= 0) this.#getters.splice(index, 1);
        // Woken and cancelled at once: what it was woken for is somebody else's.
        if (this.#done.length > 0 && !getter.cancelled()) this.#wakeNext();
        throw error;
      }
    }
    const future = this.#done.shift()!;
    if (future === null) {
      throw new TimeoutError(`The time limit of asCompleted() is over`);
    }
    return future;
  }

  readonly #result: () => Coroutine<T> = coroutine(
    function* (this: AsCompleted<T>): GeneratorCoroutine<T> {
      return (yield* this.#take()).result();
    }.bind(this),
  ) as () => Coroutine<T>;

  readonly #future: () => Coroutine<Future<T>> = coroutine(
    function* (this: AsCompleted<T>): GeneratorCoroutine<Future<T>> {
      return yield* this.#take();
    }.bind(this),
  ) as () => Coroutine<Future<T>>;

  readonly #box: () => Coroutine<{ future: Future<T> }> = coroutine(
    function* (
      this: AsCompleted<T>,
    ): GeneratorCoroutine<{ future: Future<T> }> {
      return { future: yield* this.#take() };
    }.bind(this),
  ) as () => Coroutine<{ future: Future<T> }>;
}

const nothing = coroutine(function* (): GeneratorCoroutine<null> {
  return null;
});

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
 * @throws {RangeError} If the limit is no whole number from 1 on.
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
): AsCompleted<AwaitedOf<A>> {
  if (isAwaitable(awaitables)) {
    throw new TypeError(
      `Cannot iterate over ${Deno.inspect(awaitables, { depth: 0 })}: pass a list of awaitables`,
    );
  }
  const time = toDelay(options.timeout, "timeout");
  const loop = policy.getEventLoop();
  const futures = new Set<Future<AwaitedOf<A>>>();
  const list = options.limit === undefined ? awaitables : limited(awaitables, options.limit);
  for (const awaitable of new Set(list)) {
    futures.add(ensureFuture(awaitable, { loop }));
  }
  return new AsCompleted<AwaitedOf<A>>(futures, loop, time);
}
