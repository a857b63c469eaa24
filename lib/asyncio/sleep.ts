/**
 * {@linkcode sleep}: waits for a time.
 * @module
 */

import { type DurationLike, toMilliseconds } from "../_duration.ts";
import { Coroutine, FunctionCoroutine, type Suspension } from "./coroutine.ts";
import { getRunningLoop } from "./event_loop.ts";
import { RuntimeError } from "./exceptions.ts";
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
 * A bare `yield`, and its own iterator: the shortest way once through the ready queue. It holds nothing, so there is only
 * one: a `yield*` begins with `next(undefined)`, and a task goes on with `next(null)`.
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
  readonly #delay: number;
  readonly #result: T;
  #future: Future<T> | null = null;
  #timer: TimerHandle | null = null;

  constructor(delay: number, result: T) {
    super();
    this.#delay = delay;
    this.#result = result;
  }

  override get name(): string {
    return "sleep";
  }

  override [Symbol.iterator](): this {
    if (this.#future !== null) {
      throw new RuntimeError(
        "Cannot await a sleep() a second time: call it again for a new one",
      );
    }
    return this;
  }

  next(): IteratorResult<Suspension, T> {
    if (this.#future === null) {
      const loop = getRunningLoop();
      const future = this.#future = loop.createFuture<T>();
      this.#timer = loop.callLater(
        this.#delay,
        wakeUp,
        future as Future<unknown>,
        this.#result,
      );
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

  override close(): void {}
}

function wakeUp(future: Future<unknown>, result: unknown): void {
  if (!future.done()) future.setResult(result);
}

/**
 * Waits for `delay`, or for one turn of the other tasks if that is 0 or less. CPython's `asyncio.sleep`.
 *
 * @param delay Milliseconds or a duration.
 * @returns A coroutine.
 * @throws {RangeError} If `delay` is NaN.
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
export function sleep<T>(
  delay: DurationLike,
  result?: T,
): Coroutine<T | undefined> {
  if (delay === 0 && result === undefined) return TURN;
  if (delay === null || delay === undefined) {
    throw new TypeError(
      `Cannot sleep for ${delay}: pass milliseconds, or a duration such as { seconds: 1 }`,
    );
  }
  const time = toMilliseconds(delay, "delay");
  if (time <= 0) {
    return result === undefined ? TURN : new FunctionCoroutine(turn<T>, [result], undefined, "sleep");
  }
  return new Sleep(time, result);
}
