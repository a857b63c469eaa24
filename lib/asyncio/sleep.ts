/**
 * {@linkcode sleep}: waits for a time.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { toDelay } from "./_delay.ts";
import { awaitedBefore, Coroutine, FunctionCoroutine, type Suspension, watch } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import type { Future } from "./future.ts";
import type { TimerHandle } from "./handle.ts";

const SUSPENDED: IteratorResult<Suspension, never> = {
  done: false,
  value: undefined,
};
const DONE: IteratorResult<Suspension, undefined> = {
  done: true,
  value: undefined,
};

/**
 * A bare `yield`, and its own iterator: the shortest way once through the ready queue. It holds nothing, so there is
 * only one, which may be awaited again and again: a `yield*` begins with `next(undefined)`, and a task goes on with
 * `next(null)`.
 */
class Turn extends Coroutine<undefined> implements Iterator<Suspension, undefined, unknown> {
  override get name(): string {
    return "sleep";
  }

  override [Symbol.iterator](): this {
    return this;
  }

  next(sent: unknown): IteratorResult<Suspension, undefined> {
    return sent === undefined ? SUSPENDED : DONE;
  }

  throw(error: unknown): never {
    throw error;
  }

  override close(): void {}
}

const TURN = new Turn();

function* turn<T>(result: T): Generator<Suspension, T, unknown> {
  yield;
  return result;
}

/**
 * A wait for a time, and its own iterator: a generator would take three times the room, and there may be a million of
 * them.
 */
class Sleep<T> extends Coroutine<T> implements Iterator<Suspension, T, unknown> {
  /** NaN when it was closed. */
  #delay: number;
  readonly #result: T;
  #future: Future<T> | null = null;
  #timer: TimerHandle | null = null;

  constructor(delay: number, result: T) {
    super();
    this.#delay = delay;
    this.#result = result;
    watch?.register(this, "sleep", this);
  }

  override get name(): string {
    return "sleep";
  }

  override [Symbol.iterator](): this {
    if (this.#future !== null || Number.isNaN(this.#delay)) throw awaitedBefore(this);
    watch?.unregister(this);
    return this;
  }

  next(): IteratorResult<Suspension, T> {
    if (this.#future === null) {
      const loop = getRunningLoop();
      const future = this.#future = loop.createFuture<T>();
      this.#timer = loop.callLater(this.#delay, wakeUp, future as Future<unknown>, this.#result);
      future._blocking = true;
      return { done: false, value: future as Future<unknown> };
    }
    this.#timer?.cancel();
    return { done: true, value: this.#future.result() };
  }

  throw(error: unknown): never {
    this.#timer?.cancel();
    throw error;
  }

  return(value: T): IteratorResult<Suspension, T> {
    this.#timer?.cancel();
    return { done: true, value };
  }

  override close(): void {
    this.#delay = NaN;
    watch?.unregister(this);
  }
}

function wakeUp(future: Future<unknown>, result: unknown): void {
  if (!future.done()) future.setResult(result);
}

/**
 * Waits for `delay`, or for one turn of the other tasks if that is 0 or less. CPython's `asyncio.sleep`.
 *
 * @param delay Milliseconds or a duration.
 * @returns A coroutine.
 * @throws {ValueError} If `delay` is NaN.
 * @throws {TypeError} If `delay` is neither a number nor a duration.
 *
 * @example
 * ```ts
 * import { sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await sleep(5, "rested"), "rested");
 * await sleep({ milliseconds: 5 });
 * ```
 */
export function sleep(delay: DurationLike): Coroutine<void>;
/**
 * As the other form, with a result.
 *
 * @typeParam T The type of the result.
 * @param delay Milliseconds or a duration.
 * @param result What awaiting it gives.
 * @returns A coroutine.
 */
export function sleep<T>(delay: DurationLike, result: T): Coroutine<T>;
export function sleep<T>(delay: DurationLike, result?: T): Coroutine<T | undefined> {
  if (delay === 0 && result === undefined && watch === undefined) return TURN;
  if (delay === null || delay === undefined) {
    throw new TypeError(`Cannot sleep for ${delay}: pass milliseconds, or a duration such as { seconds: 1 }`);
  }
  const time = toDelay(delay, "delay");
  if (time <= 0) {
    const unwatched = result === undefined && watch === undefined;
    return unwatched ? TURN : new FunctionCoroutine(turn<T | undefined>, [result], undefined, "sleep");
  }
  return new Sleep(time, result);
}
