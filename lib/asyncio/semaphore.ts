/**
 * {@linkcode Semaphore} and {@linkcode BoundedSemaphore}: for so many tasks at a time.
 * @module
 */

import { Acquire, type Held } from "./_acquire.ts";
import type { Coroutine } from "./coroutine.ts";
import { ValueError } from "./exceptions.ts";
import { WaitQueue } from "./_wait_queue.ts";

/** What {@linkcode Semaphore.statistics} gives. */
export interface SemaphoreStatistics {
  /** How many more could acquire it, if nobody waited. */
  readonly value: number;
  /** How many tasks wait for it. */
  readonly tasksWaiting: number;
}

/**
 * A counter that `acquire()` lowers and `release()` raises, and that never goes below 0: `acquire()` waits instead.
 * CPython's `asyncio.Semaphore`.
 *
 * Strictly first come, first served: a newcomer waits behind those who wait, even if the counter is above 0.
 *
 * @example
 * ```ts
 * import { gather, Semaphore, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const semaphore = new Semaphore(2);
 * let running = 0;
 * let most = 0;
 * async function job() {
 *   using _held = await semaphore.acquire();
 *   most = Math.max(most, ++running);
 *   await sleep(1);
 *   running--;
 * }
 * await gather(Array.from({ length: 10 }, () => () => job()));
 * assertEquals(most, 2);
 * ```
 */
export class Semaphore {
  /** @internal */
  readonly _waiters: WaitQueue = new WaitQueue(this, "acquire");
  #value: number;

  /**
   * Makes one.
   *
   * @param value How many may hold it at a time: a whole number from 0 on.
   * @throws {ValueError} If it is anything else.
   */
  constructor(value = 1) {
    if (!Number.isInteger(value) || value < 0) {
      throw new ValueError(
        `Cannot make a ${new.target.name} of ${Deno.inspect(value, { depth: 0 })}: pass a whole number from 0 on`,
      );
    }
    this.#value = value;
  }

  /** Whether `acquire()` would wait: because the counter is 0, or because others wait. */
  locked(): boolean {
    return this.#value === 0 || this._waiters.live > 0;
  }

  /**
   * Lowers the counter, when it is above 0 and all who came before have done so.
   *
   * @returns A coroutine of what raises it again at the end of the block: `using held = yield* semaphore.acquire()`.
   * CPython's gives `True`.
   * @throws {RuntimeError} (when awaited) If tasks of another loop have waited for it.
   */
  acquire(): Coroutine<Held> {
    return new Acquire(this);
  }

  /** Raises the counter; the task that has waited longest goes on. */
  release(): void {
    this.#value++;
    this.#wakeNext();
  }

  /** How it is used at this moment. */
  statistics(): SemaphoreStatistics {
    return { value: this.#value, tasksWaiting: this._waiters.waiting };
  }

  /** The class, the counter and how many wait, for messages. */
  toString(): string {
    return `<${this.constructor.name} value=${this.#value}, ${this._waiters.waiting} waiting>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** @internal */
  _take(woken: boolean): boolean {
    if (!woken) {
      if (this.locked()) return false;
      this.#value--;
    } else this.#wakeAsMany();
    return true;
  }

  /** @internal */
  _passOn(woken: boolean): void {
    if (woken) this.#value++;
    this.#wakeAsMany();
  }

  /** Newcomers had to wait behind those that have gone on by now. */
  #wakeAsMany(): void {
    while (this.#value > 0 && this.#wakeNext());
  }

  /** Lowers the counter for the one it wakes. */
  #wakeNext(): boolean {
    const woken = this._waiters.wakeNext();
    if (woken) this.#value--;
    return woken;
  }
}

/**
 * A {@linkcode Semaphore} that is not released more often than it was acquired. CPython's `asyncio.BoundedSemaphore`.
 *
 * @example
 * ```ts
 * import { BoundedSemaphore } from "@skein/skein/asyncio";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => new BoundedSemaphore(2).release(), RangeError, "more often");
 * ```
 */
export class BoundedSemaphore extends Semaphore {
  readonly #bound: number;

  /**
   * Makes one.
   *
   * @param value How many may hold it at a time: a whole number from 0 on.
   * @throws {ValueError} If it is anything else.
   */
  constructor(value = 1) {
    super(value);
    this.#bound = value;
  }

  /**
   * Raises the counter; the task that has waited longest goes on.
   *
   * @throws {ValueError} If it was not acquired as often.
   */
  override release(): void {
    if (this.statistics().value >= this.#bound) {
      throw new ValueError(`Cannot release ${this} more often than it was acquired`);
    }
    super.release();
  }
}
