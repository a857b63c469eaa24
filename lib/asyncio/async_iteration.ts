/**
 * {@linkcode aiter}, {@linkcode anext} and {@linkcode forEach}: async iterables and streams, one item after the other.
 * @module
 */

import { currentFrame } from "./_current.ts";
import {
  adopt,
  type Awaitable,
  callNative,
  type Coroutine,
  coroutine,
  FunctionCoroutine,
  type GeneratorCoroutine,
  isAwaitable,
  isPromise,
} from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { cancellationIn, RuntimeError } from "./exceptions.ts";

/** There is no further item. Thrown by {@linkcode anext} without a default. Python's `StopAsyncIteration`. */
export class StopAsyncIteration extends Error {
  /**
   * Makes one.
   *
   * @param message What has ended.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StopAsyncIteration";
  }
}

/** Options of {@linkcode aiter} and {@linkcode forEach}. */
export interface AsyncItemsOptions {
  /**
   * Of a stream: whether it is only let go of at the end, so that somebody else may read on, where else it is cancelled.
   * As in `stream.values()`. A chunk that came in the very moment in which the wait for it was cancelled is not put back.
   * @default {false}
   */
  preventCancel?: boolean | undefined;
}

/**
 * Where {@linkcode AsyncItems} come from.
 *
 * @internal
 */
export interface ItemSource<T> {
  /** Waits for the next item within the current task. When that is cancelled the item is there for the next wait. */
  next(): GeneratorCoroutine<IteratorResult<T, unknown>>;
  /** Lets go of what it holds. What it returns is waited for where that can be done. */
  close(): unknown;
}

/**
 * Where the iterators of this library have their {@linkcode ItemSource}, for {@linkcode aiter} and {@linkcode anext} to
 * read it rather than the iterator. From a `next()` that rejects as its wait was cancelled it cannot be known whether that
 * has ended the iterator, as it does an async generator, or lets it be.
 *
 * @internal
 */
export const itemSource: unique symbol = Symbol("itemSource");

/**
 * An iterator over an {@linkcode ItemSource}.
 *
 * @internal
 */
export interface SourcedIterator<T> extends AsyncIterableIterator<T> {
  /** Where its items come from. */
  readonly [itemSource]: ItemSource<T>;
}

/**
 * The items of an async iterable, a stream or events, for one reader. Made by {@linkcode aiter} and {@linkcode events}.
 *
 * A generator has no `for await`; its loop is `while (yield* items.more())`, with the item in `items.value`. `using`
 * lets go of the source however the loop is left: by its end, `break`, `return`, an exception, or a cancellation. In
 * native code there is also `for await (const item of items)`, which does so by itself.
 *
 * A wait that is cancelled, as by a {@linkcode timeout}, loses nothing: the next one gets the item. Only what an async
 * generator awaits is cancelled with it, as in CPython, which ends a generator that does not catch that.
 *
 * @typeParam T The type of the items.
 *
 * @example
 * ```ts
 * import { aiter, run } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const words: string[] = [];
 * await run(function* () {
 *   using items = aiter(new Blob(["ab", "cd"]).stream().pipeThrough(new TextDecoderStream()));
 *   while (yield* items.more()) words.push(items.value);
 * });
 * assertEquals(words.join(""), "abcd");
 * ```
 */
export class AsyncItems<T> implements AsyncIterable<T>, Disposable, AsyncDisposable {
  readonly #source: ItemSource<T>;
  #item: { readonly value: T } | undefined;
  #waiting = false;
  #closed = false;
  #loop: EventLoop | undefined;

  /** @internal */
  constructor(source: ItemSource<T>) {
    this.#source = source;
  }

  /**
   * The item that {@linkcode AsyncItems.more} has come to.
   *
   * @throws {RuntimeError} If there is none: before the first `more()`, and after the end.
   */
  get value(): T {
    if (this.#item === undefined) {
      throw new RuntimeError(
        "Cannot read value as there is no item: call more() first, and go on only if it gives true",
      );
    }
    return this.#item.value;
  }

  /**
   * Goes on to the next item.
   *
   * @returns A coroutine of whether there is one.
   * @throws {RuntimeError} If somebody else waits for the next item.
   */
  more(): Coroutine<boolean> {
    return new FunctionCoroutine<[], boolean>(this._more, [], this, "AsyncItems.more");
  }

  /**
   * Lets go of the source: an iterator is told to `return()`, which is waited for; a stream is cancelled and unlocked;
   * listeners are taken off. A second call does nothing.
   *
   * An iterator whose `next()` was cancelled and has not answered is not waited for: it may never answer. In a
   * {@linkcode CancelScope} that is cancelled, the waits of an async generator that is told to return throw.
   */
  close(): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this._close, [], this, "AsyncItems.close");
  }

  /** Begins {@linkcode AsyncItems.close} without waiting, for `using`. Its error goes to the exception handler. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    const loop = currentFrame()?._loop ?? this.#loop;
    const report = (exception: unknown): void => {
      if (loop) loop.callExceptionHandler({ message: "Closing an async iterable failed", exception });
      else reportError(exception);
    };
    try {
      const closing = this.#release();
      if (!isPromise(closing)) return;
      loop?._countNative(false, 1);
      Promise.resolve(closing).catch(report).then(() => {
        loop?._countNative(false, -1);
        loop?._wake();
      });
    } catch (error) {
      report(error);
    }
  }

  /** {@linkcode AsyncItems.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For `for await`, which closes it when it is left, and when the wait for an item throws or is cancelled. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    const iterator: SourcedIterator<T> = {
      next: async () => {
        try {
          if (await this.more()) return { done: false, value: this.value };
        } catch (error) {
          // The language does not call return() after that.
          await closeAfter(this as AsyncItems<unknown>);
          throw error;
        }
        return { done: true, value: undefined };
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
      [itemSource]: this.#source,
    };
    return iterator;
  }

  /** @internal */
  *_more(): GeneratorCoroutine<boolean> {
    if (this.#waiting) {
      throw new RuntimeError("Cannot wait for the next item as somebody else does: one reader at a time");
    }
    this.#item = undefined;
    if (this.#closed) return false;
    this.#loop = currentFrame()?._loop ?? undefined;
    this.#waiting = true;
    let result: IteratorResult<T, unknown>;
    try {
      result = yield* this.#source.next();
    } finally {
      this.#waiting = false;
    }
    if (result.done || this.#closed) return false;
    this.#item = { value: result.value };
    return true;
  }

  /** @internal */
  *_close(): GeneratorCoroutine<void> {
    if (this.#closed) return;
    yield* callNative(async () => {
      await this.#release();
    });
  }

  #release(): unknown {
    this.#closed = true;
    this.#item = undefined;
    return this.#source.close();
  }
}

/** Closes after an error, which is the one that counts; what closing throws is reported. */
const closeAfter = coroutine(function* closeAfter(items: AsyncItems<unknown>): GeneratorCoroutine<void> {
  try {
    yield* items._close();
  } catch (exception) {
    if (cancellationIn(exception) !== null) throw exception;
    currentFrame()?._loop?.callExceptionHandler({ message: "Closing an async iterable failed", exception });
  }
});

/** What was asked of somebody else, and has not been taken by a reader. */
class Question<T> {
  readonly promise: Promise<T>;
  pending = true;
  /** How many readers have waited for it. */
  waits = 0;
  #reason: unknown = NONE;

  constructor(promise: PromiseLike<T>) {
    this.promise = Promise.resolve(promise);
    this.promise.then(
      () => {
        this.pending = false;
      },
      // Also handles a rejection that comes when nobody waits any more.
      (reason) => {
        this.pending = false;
        this.#reason = reason;
      },
    );
  }

  /** Whether `error` is the answer, and not what ended the wait for it. */
  threw(error: unknown): boolean {
    return this.#reason === error;
  }
}

const NONE = Symbol("none");

class IteratorSource<T> implements ItemSource<T> {
  readonly #iterator: AsyncIterator<T>;
  #question: Question<IteratorResult<T, unknown>> | undefined;
  #over = false;

  constructor(iterator: AsyncIterator<T>) {
    this.#iterator = iterator;
  }

  *next(): GeneratorCoroutine<IteratorResult<T, unknown>> {
    if (this.#over) return { done: true, value: undefined };
    let ended = true;
    try {
      // As native code of this task, so that cancelling reaches what an async generator awaits.
      const result = (yield* callNative(() => {
        this.#question ??= new Question(this.#iterator.next());
        this.#question.waits++;
        return this.#question.promise;
      })) as IteratorResult<T, unknown>;
      if (typeof result !== "object" || result === null) {
        throw new TypeError(
          `Cannot take ${Deno.inspect(result, { depth: 0 })} from next(): an async iterator gives { done, value }`,
        );
      }
      ended = result.done === true;
      this.#question = undefined;
      return result;
    } catch (error) {
      const question = this.#question;
      if (question === undefined) throw error;
      // The wait was cancelled and not what was asked for, which is there for the next wait.
      ended = question.threw(error);
      // The cancellation of an earlier wait has come to where the generator noticed, and ended it.
      if (ended && question.waits > 1 && cancellationIn(error) !== null) return { done: true, value: undefined };
      throw error;
    } finally {
      this.#over = ended;
    }
  }

  close(): unknown {
    if (this.#over) return undefined;
    this.#over = true;
    const returned = this.#iterator.return?.();
    if (!this.#question?.pending) return returned;
    // A generator answers this only after the question that nobody waits for any more.
    Promise.resolve(returned).catch(() => {});
    return undefined;
  }
}

class StreamSource<T> implements ItemSource<T> {
  readonly #reader: ReadableStreamDefaultReader<T>;
  readonly #preventCancel: boolean;
  #question: Question<ReadableStreamReadResult<T>> | undefined;
  #over = false;

  constructor(stream: ReadableStream<T>, preventCancel: boolean) {
    if (stream.locked) {
      throw new TypeError("Cannot read a ReadableStream that is locked: somebody else reads it; tee() it before that");
    }
    this.#reader = stream.getReader();
    this.#preventCancel = preventCancel;
  }

  *next(): GeneratorCoroutine<IteratorResult<T, unknown>> {
    if (this.#over) return { done: true, value: undefined };
    const question = this.#question ??= new Question(this.#reader.read());
    try {
      const result = yield* adopt(question.promise);
      this.#question = undefined;
      if (result.done) this.#end();
      return result as IteratorResult<T, unknown>;
    } catch (error) {
      if (question.threw(error)) {
        this.#question = undefined;
        // A reader that was let go of meanwhile has nothing to report.
        if (this.#over) return { done: true, value: undefined };
        this.#end();
      }
      throw error;
    }
  }

  close(): unknown {
    if (this.#over) return undefined;
    const cancelled = this.#preventCancel ? undefined : this.#reader.cancel();
    this.#end();
    return cancelled;
  }

  #end(): void {
    this.#over = true;
    this.#reader.releaseLock();
  }
}

/** Iterators that have been asked: whoever asks next has to know of an answer that is still to come. */
const known = new WeakMap<object, AsyncItems<unknown>>();

function itemsOf<T>(iterator: AsyncIterator<T>): AsyncItems<T> {
  let items = known.get(iterator);
  if (items === undefined) {
    const source = (iterator as Partial<SourcedIterator<T>>)[itemSource] ?? new IteratorSource(iterator);
    items = new AsyncItems<T>(source) as AsyncItems<unknown>;
    known.set(iterator, items);
  }
  return items as AsyncItems<T>;
}

/**
 * The items of an async iterable or a stream, for a loop in a generator coroutine. Python's `aiter`.
 *
 * @typeParam T The type of the items.
 * @param source An async iterable, such as what an `async function*` returns, or a `ReadableStream`, which is locked
 * from now on.
 * @param options What becomes of a stream at the end.
 * @returns The items. `using` sees to it that the source is let go of.
 * @throws {TypeError} If it is neither, or a stream that is locked.
 *
 * @example
 * ```ts
 * import { aiter, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * async function* count() {
 *   for (let n = 1;; n++) {
 *     await sleep(1);
 *     yield n;
 *   }
 * }
 * const sum = await run(function* () {
 *   let sum = 0;
 *   using numbers = aiter(count());
 *   while (yield* numbers.more()) {
 *     if (numbers.value > 3) break;
 *     sum += numbers.value;
 *   }
 *   return sum;
 * });
 * assertEquals(sum, 6);
 * ```
 */
export function aiter<T>(source: AsyncIterable<T> | ReadableStream<T>, options: AsyncItemsOptions = {}): AsyncItems<T> {
  if (source instanceof AsyncItems) return source;
  if (source instanceof ReadableStream) {
    return new AsyncItems<T>(new StreamSource<T>(source, options.preventCancel ?? false));
  }
  if (typeof source?.[Symbol.asyncIterator] !== "function") {
    throw new TypeError(
      `Cannot iterate over ${Deno.inspect(source, { depth: 0 })}: pass an async iterable or a ReadableStream`,
    );
  }
  return itemsOf(source[Symbol.asyncIterator]());
}

const next = coroutine(function* anext(
  iterator: AsyncItems<unknown> | AsyncIterator<unknown>,
  fallback: readonly unknown[],
): GeneratorCoroutine<unknown> {
  const items = iterator instanceof AsyncItems ? iterator : itemsOf(iterator);
  if (yield* items._more()) return items.value;
  if (fallback.length > 0) return fallback[0];
  throw new StopAsyncIteration("There is no further item");
});

/**
 * The next item. Python's `anext`.
 *
 * @typeParam T The type of the items.
 * @param iterator What {@linkcode aiter} returned, or an async iterator.
 * @returns A coroutine of the item.
 * @throws {StopAsyncIteration} If there is none.
 * @throws {TypeError} If it is no async iterator.
 * @throws {RuntimeError} If somebody else waits for the next item.
 *
 * @example
 * ```ts
 * import { aiter, anext, run } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await run(function* () {
 *   using items = aiter(ReadableStream.from(["only"]));
 *   assertEquals(yield* anext(items), "only");
 *   assertEquals(yield* anext(items, "none"), "none");
 * });
 * ```
 */
export function anext<T>(iterator: AsyncItems<T> | AsyncIterator<T>): Coroutine<T>;
/**
 * The next item, or a default.
 *
 * @typeParam T The type of the items.
 * @typeParam D The type of the default.
 * @param iterator What {@linkcode aiter} returned, or an async iterator.
 * @param fallback What to give if there is none.
 * @returns A coroutine of the item.
 */
export function anext<T, D>(iterator: AsyncItems<T> | AsyncIterator<T>, fallback: D): Coroutine<T | D>;
export function anext(
  iterator: AsyncItems<unknown> | AsyncIterator<unknown>,
  ...fallback: readonly unknown[]
): Coroutine<unknown> {
  if (!(iterator instanceof AsyncItems) && typeof iterator?.next !== "function") {
    throw new TypeError(
      `Cannot take the next item of ${Deno.inspect(iterator, { depth: 0 })}: pass what aiter() returns`,
    );
  }
  return next(iterator, fallback);
}

const each = coroutine(function* forEach(
  source: AsyncIterable<unknown>,
  body: (item: never) => unknown,
  options: AsyncItemsOptions,
): GeneratorCoroutine<boolean> {
  const items = aiter(source, options);
  try {
    while (yield* items._more()) {
      const { value } = items;
      const goesOn = yield* callNative(() => {
        const outcome = body(value as never);
        return isAwaitable(outcome) ? outcome : Promise.resolve(outcome);
      });
      if (goesOn === false) {
        yield* items._close();
        return false;
      }
    }
  } catch (error) {
    yield* closeAfter(items);
    throw error;
  }
  yield* items._close();
  return true;
});

/**
 * Calls `body` for each item, one after the other, and lets go of the source at the end: also when `body` throws or the
 * task is cancelled. An iterator's `return()` is waited for, where `using` with {@linkcode aiter} does not wait.
 *
 * @typeParam T The type of the items.
 * @param source An async iterable or a `ReadableStream`.
 * @param body A generator function, an async function or a plain one. If it gives `false`, that was the last item.
 * @param options What becomes of a stream at the end.
 * @returns A coroutine of whether it came to the end of the source.
 * @throws {TypeError} If `source` is neither, or `body` no function.
 *
 * @example
 * ```ts
 * import { forEach, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const seen: number[] = [];
 * await run(forEach(ReadableStream.from([1, 2, 3]), function* (n) {
 *   yield* sleep(n);
 *   seen.push(n);
 *   return n < 2;
 * }));
 * assertEquals(seen, [1, 2]);
 * ```
 */
export function forEach<T>(
  source: AsyncIterable<T> | ReadableStream<T>,
  body: (item: T) => Awaitable<boolean | void> | boolean | void,
  options: AsyncItemsOptions = {},
): Coroutine<boolean> {
  if (typeof body !== "function") {
    throw new TypeError(`Cannot call ${Deno.inspect(body, { depth: 0 })} for each item: pass a function`);
  }
  return each(source, body, options);
}
