/**
 * {@linkcode map}: calls of a coroutine function for each of many items, so many at a time.
 * @module
 */

import { Deque } from "../_deque.ts";
import { positiveInteger } from "../_positive_integer.ts";
import { untilDone, wake } from "./_waiter.ts";
import {
  type Awaitable,
  type AwaitedOf,
  awaiting,
  type Coroutine,
  FunctionCoroutine,
  type GeneratorCoroutine,
} from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import { cancellationIn, CancelledError, endsLoop, ValueError } from "./exceptions.ts";
import type { Future } from "./future.ts";
import { Lock } from "./lock.ts";
import { createTask, type Task } from "./task.ts";
import { type TaskGroup, taskGroup } from "./task_group.ts";

/** Options of {@linkcode map}. */
export interface MapOptions {
  /** How many calls may be in flight, counting results that nobody has taken yet: a whole number from 1 on. */
  limit: number;
  /**
   * Whether the results come in the order of the items; if not, as the calls end.
   * @default {true}
   */
  ordered?: boolean | undefined;
}

/** A call, and its result when it is there. */
interface Call<R> {
  outcome: { value: R } | null;
}

/**
 * The results of a {@linkcode map}.
 *
 * Native code takes them by `for await`, which ends the map however it is left. Generators call {@linkcode
 * Mapping.next}, and {@linkcode Mapping.close} if they do not go on to the end: calls that have begun run on otherwise,
 * and no others begin. {@linkcode Mapping.toArray} takes them all.
 *
 * @typeParam R The type of the results.
 */
export class Mapping<R> implements AsyncIterable<R>, AsyncDisposable {
  readonly #call: (item: unknown, signal: AbortSignal) => Awaitable<R>;
  readonly #items: Iterable<unknown> | AsyncIterable<unknown>;
  readonly #limit: number;
  readonly #ordered: boolean;
  /** In the order in which the results are given: all calls, or those that have ended. */
  readonly #calls = new Deque<Call<R>>();
  /** Two calls of `next()` get their results one after the other. */
  readonly #turn = new Lock();
  /** What `next()` waits for. */
  #news: Future<void> | null = null;
  /** The calls that are in flight or not taken. */
  #open = 0;
  /** What the reader waits for when there are enough of them. */
  #room: Future<void> | null = null;
  #driver: Task<unknown> | null = null;
  #failure: { error: unknown } | null = null;
  #closed = false;

  /** @internal */
  constructor(
    call: (item: unknown, signal: AbortSignal) => Awaitable<R>,
    items: Iterable<unknown> | AsyncIterable<unknown>,
    limit: number,
    ordered: boolean,
  ) {
    this.#call = call;
    this.#items = items;
    this.#limit = limit;
    this.#ordered = ordered;
  }

  /**
   * The next result. Nothing begins before the first call of this. If it is cancelled, the map is closed.
   *
   * @returns A coroutine of `{ done: false, value }`, or of `{ done: true }` at the end.
   * @throws {unknown} (when awaited) What a call or the iterable has thrown, once, after the results that were there.
   */
  next(): Coroutine<IteratorResult<R, undefined>> {
    return new FunctionCoroutine<[], IteratorResult<R, undefined>>(this.#next, [], this, "Mapping.next");
  }

  /**
   * All results that are left.
   *
   * @returns A coroutine of them.
   * @throws {unknown} (when awaited) What a call or the iterable has thrown.
   */
  toArray(): Coroutine<R[]> {
    return new FunctionCoroutine<[], R[]>(this.#toArray, [], this, "Mapping.toArray");
  }

  /**
   * Cancels the calls that run, waits until they have ended, and closes the iterable.
   *
   * @returns A coroutine. A second call does nothing.
   */
  close(): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this.#stop, [], this, "Mapping.close");
  }

  /** The results, for native code. Leaving the loop closes the map. */
  [Symbol.asyncIterator](): AsyncIterableIterator<R, undefined> {
    const iterator: AsyncIterableIterator<R, undefined> = {
      next: async () => await this.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** {@linkcode Mapping.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** How far it is, for messages. */
  toString(): string {
    return `<Mapping ${this.#closed ? "closed" : `${this.#open} open`}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  *#next(): GeneratorCoroutine<IteratorResult<R, undefined>> {
    try {
      using _turn = yield* this.#turn.acquire();
      this.#start();
      for (;;) {
        const outcome = this.#take();
        if (outcome !== null) return { done: false, value: outcome.value };
        if (this.#driver === null || this.#driver.done()) return this.#end();
        this.#news = this.#driver._loop.createFuture<void>();
        yield* this.#news;
      }
    } catch (error) {
      if (error instanceof CancelledError && !this.#closed) yield* this.#stop();
      throw error;
    }
  }

  *#toArray(): GeneratorCoroutine<R[]> {
    const results: R[] = [];
    for (;;) {
      const step = yield* this.next();
      if (step.done) return results;
      results.push(step.value);
    }
  }

  #start(): void {
    if (this.#driver !== null || this.#closed) return;
    this.#driver = createTask(taskGroup((group) => this.#read(group)), { name: "map" });
    this.#driver.addDoneCallback(() => wake(this.#news));
  }

  *#read(group: TaskGroup): GeneratorCoroutine<void> {
    const loop = getRunningLoop();
    const source = open(this.#items);
    let between = true;
    try {
      for (;;) {
        while (this.#open >= this.#limit) {
          this.#room = loop.createFuture<void>();
          yield* this.#room;
        }
        between = false;
        const step = source.waits ? yield* awaiting(() => source.next() as Promise<unknown>) : source.next();
        const { done, value } = step as IteratorResult<unknown>;
        if (done) return;
        between = true;
        const call: Call<R> = { outcome: null };
        this.#open++;
        if (this.#ordered) this.#calls.push(call);
        group.createTask(this.#run(call, value, group));
      }
    } catch (error) {
      if (cancellationIn(error) !== null) throw error;
      this.#fail(error, group);
    } finally {
      if (between) yield* source.close();
      else source.abandon();
    }
  }

  *#run(call: Call<R>, item: unknown, group: TaskGroup): GeneratorCoroutine<void> {
    try {
      const value = yield* awaiting(bind(this.#call, item) as () => PromiseLike<R>);
      call.outcome = { value };
    } catch (error) {
      this.#fail(error, group);
      return;
    }
    if (!this.#ordered) this.#calls.push(call);
    if (this.#calls.peek()?.outcome) wake(this.#news);
  }

  /** The first error ends all; what the others throw when they are cancelled is no news. */
  #fail(error: unknown, group: TaskGroup): void {
    if (endsLoop(error)) throw error;
    if (this.#closed || this.#failure !== null) return;
    this.#failure = { error };
    group.cancel();
  }

  #take(): { value: R } | null {
    if (this.#closed) return null;
    const outcome = this.#calls.peek()?.outcome ?? null;
    if (outcome === null) return null;
    this.#calls.shift();
    this.#open--;
    wake(this.#room);
    return outcome;
  }

  #end(): IteratorResult<R, undefined> {
    const failure = this.#failure;
    const driver = this.#driver;
    const closed = this.#closed;
    this.#closed = true;
    this.#failure = null;
    if (failure !== null) throw failure.error;
    // The end of the program cancels all tasks, this one too.
    if (!closed && driver?._throws()) throw driver._takeError();
    return { done: true, value: undefined };
  }

  *#stop(): GeneratorCoroutine<void> {
    this.#closed = true;
    this.#failure = null;
    const driver = this.#driver;
    if (driver === null || driver.done()) {
      driver?._markRetrieved();
      return;
    }
    driver.cancel();
    let cancelled: { error: CancelledError } | null = null;
    while (!driver.done()) {
      try {
        yield* untilDone(driver);
      } catch (error) {
        if (!(error instanceof CancelledError)) throw error;
        cancelled = { error };
      }
    }
    driver._markRetrieved();
    if (cancelled !== null) throw cancelled.error;
  }
}

/** A call for one item. The signal is there only for those who take it, as it is not for nothing. */
function bind<R>(call: (item: unknown, signal: AbortSignal) => R, item: unknown): (signal: AbortSignal) => R {
  return call.length > 1 ? (signal) => call(item, signal) : () => (call as (item: unknown) => R)(item);
}

/** The iterator of a sync or async iterable. */
interface Source {
  /** Whether `next` has to be waited for. */
  readonly waits: boolean;
  next(): unknown;
  /** Closes it. */
  close(): GeneratorCoroutine<void>;
  /** Closes it if it is in the middle of a step, without waiting; it has ended or thrown by itself if not. */
  abandon(): void;
}

function open(items: Iterable<unknown> | AsyncIterable<unknown>): Source {
  const iterator = isAsync(items) ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const waits = isAsync(items);
  let stepping = false;
  const settled = (): void => {
    stepping = false;
  };
  return {
    waits,
    next: () => {
      if (!waits) return iterator.next();
      stepping = true;
      const step = Promise.resolve(iterator.next());
      step.then(settled, settled);
      return step;
    },
    *close() {
      if (iterator.return === undefined) return;
      if (waits) yield* awaiting(() => Promise.resolve(iterator.return!()));
      else iterator.return();
    },
    abandon: () => {
      if (!stepping || iterator.return === undefined) return;
      Promise.resolve(iterator.return()).then(null, () => {});
    },
  };
}

function isAsync(items: Iterable<unknown> | AsyncIterable<unknown>): items is AsyncIterable<unknown> {
  return Symbol.asyncIterator in Object(items);
}

/**
 * Calls `call` for each of `items`, each call in a task of its own and at most `limit` at a time, and gives the results.
 * CPython's asyncio has no such function.
 *
 * - The items are read as there is room for them: they may be endless, and may come asynchronously.
 * - If a call throws, or the iterable does, the calls that run are cancelled and waited for. The results that are
 *   there come first, in their order, then the error.
 * - Leaving early cancels the calls that run and waits for them: leaving a `for await`, `close()`, or a cancelled
 *   `next()`.
 * - A result that nobody takes holds a place: no faster than the results are taken are items read.
 *
 * @typeParam T The type of the items.
 * @typeParam A The type of what `call` returns.
 * @param call A `function*` or an `async` function of one item; it also gets the signal of its task.
 * @param items A sync or async iterable.
 * @param options How many at a time, and in which order.
 * @returns An async iterable of the results; generators call its `next()`.
 * @throws {ValueError} If the limit is no whole number from 1 on.
 * @throws {TypeError} If `call` is no function, or `items` no iterable.
 *
 * @example
 * ```ts
 * import { map, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * async function double(n: number) {
 *   await sleep(10 - n);
 *   return 2 * n;
 * }
 *
 * const results: number[] = [];
 * await run(async () => {
 *   for await (const result of map(double, [1, 2, 3, 4], { limit: 2 })) results.push(result);
 * });
 * assertEquals(results, [2, 4, 6, 8]);
 * ```
 *
 * @example In a generator, over an endless iterable
 * ```ts
 * import { map, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * function* naturals() {
 *   for (let n = 1;; n++) yield n;
 * }
 *
 * const first = await run(function* () {
 *   const squares = map((n: number) => sleep(1, n * n), naturals(), { limit: 3, ordered: false });
 *   const results: number[] = [];
 *   while (results.length < 5) results.push((yield* squares.next()).value!);
 *   yield* squares.close();
 *   return results;
 * });
 * assertEquals(first, [1, 4, 9, 16, 25]);
 * ```
 */
export function map<T, A extends Awaitable<unknown>>(
  call: (item: T, signal: AbortSignal) => A,
  items: Iterable<T> | AsyncIterable<T>,
  options: MapOptions,
): Mapping<AwaitedOf<A>> {
  if (typeof call !== "function") {
    throw new TypeError(`Cannot map with ${Deno.inspect(call, { depth: 0 })}: pass a function* or an async function`);
  }
  const iterable = typeof items === "string" || typeof items === "object" && items !== null &&
      (Symbol.iterator in items || Symbol.asyncIterator in items);
  if (!iterable) {
    throw new TypeError(`Cannot map over ${Deno.inspect(items, { depth: 0 })}: pass an iterable or an async iterable`);
  }
  const { ordered = true } = options ?? {};
  const limit = positiveInteger(options?.limit, "limit", ValueError);
  return new Mapping<AwaitedOf<A>>(
    call as (item: unknown, signal: AbortSignal) => Awaitable<AwaitedOf<A>>,
    items,
    limit,
    ordered,
  );
}
