/**
 * {@linkcode Condition}: waiting, under a lock, for a state that others bring about.
 * @module
 */

import type { Held } from "./_acquire.ts";
import { patiently } from "./_cancellation.ts";
import { type Coroutine, FunctionCoroutine, type GeneratorCoroutine, isPromise } from "./coroutine.ts";
import { CancelledError, RuntimeError, ValueError } from "./exceptions.ts";
import { Lock, type LockStatistics } from "./lock.ts";
import { QueuedWait, WaitQueue } from "./_wait_queue.ts";

/** What {@linkcode Condition.statistics} gives. */
export interface ConditionStatistics {
  /** How many tasks wait to be notified. */
  readonly tasksWaiting: number;
  /** The lock. */
  readonly lock: LockStatistics;
}

/**
 * A lock, and a queue of tasks that wait, without holding it, to be notified by a task that does. CPython's
 * `asyncio.Condition`.
 *
 * A task that was notified and is cancelled before it goes on passes the notification on to another.
 *
 * @example
 * ```ts
 * import { Condition, createTask } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const condition = new Condition();
 * const basket: string[] = [];
 *
 * const eater = createTask(function* () {
 *   using _held = yield* condition.acquire();
 *   yield* condition.waitFor(() => basket.length > 0);
 *   return basket.pop();
 * }());
 *
 * await createTask(function* () {
 *   using _held = yield* condition.acquire();
 *   basket.push("apple");
 *   condition.notify();
 * }());
 * assertEquals(await eater, "apple");
 * ```
 */
export class Condition {
  readonly #lock: Lock;
  readonly #waiters = new WaitQueue(this, "wait");

  /**
   * Makes one.
   *
   * @param lock The lock, which several conditions may share. One of its own by default.
   * @throws {TypeError} If it is no lock.
   */
  constructor(lock: Lock = new Lock()) {
    if (!(lock instanceof Lock)) {
      throw new TypeError(`Cannot make a Condition over ${Deno.inspect(lock, { depth: 0 })}: pass a Lock, or nothing`);
    }
    this.#lock = lock;
  }

  /** Whether somebody holds the lock. */
  locked(): boolean {
    return this.#lock.locked();
  }

  /**
   * Acquires the lock; see {@linkcode Lock.acquire}.
   *
   * @returns A coroutine of what releases it at the end of the block.
   */
  acquire(): Coroutine<Held> {
    return this.#lock.acquire();
  }

  /**
   * Releases the lock.
   *
   * @throws {RuntimeError} If nobody holds it.
   */
  release(): void {
    this.#lock.release();
  }

  /**
   * Releases the lock, waits to be notified, and takes the lock again. It has it also when it throws: a cancelled task
   * waits for the lock all the same, however often it is cancelled, and throws the last CancelledError then.
   *
   * @returns A coroutine of `true`.
   * @throws {RuntimeError} (when awaited) If nobody holds the lock.
   */
  wait(): Coroutine<true> {
    return new FunctionCoroutine<[], true>(this.#wait, [], this, "Condition.wait");
  }

  /**
   * Waits until `predicate()` gives something truthy; it is called with the lock held, before the first wait and after
   * each one. It cannot be async.
   *
   * @typeParam T The type of what the predicate gives.
   * @param predicate What to ask.
   * @returns A coroutine of what it gave.
   * @throws {RuntimeError} (when awaited) If nobody holds the lock and it has to wait.
   * @throws {TypeError} If `predicate` is no function, or (when awaited) gives a promise.
   */
  waitFor<T>(predicate: () => T): Coroutine<T> {
    if (typeof predicate !== "function") {
      throw new TypeError(`Cannot wait for ${Deno.inspect(predicate, { depth: 0 })}: pass a function that tells`);
    }
    return new FunctionCoroutine<[() => unknown], T>(this.#waitFor, [predicate], this, "Condition.waitFor");
  }

  /**
   * Has tasks go on that wait, those first that came first, as soon as they get the lock.
   *
   * @param n How many at most.
   * @throws {RuntimeError} If nobody holds the lock.
   * @throws {ValueError} If `n` is NaN.
   * @throws {TypeError} If `n` is no number.
   */
  notify(n = 1): void {
    if (typeof n !== "number") {
      throw new TypeError(`Cannot notify ${Deno.inspect(n, { depth: 0 })} tasks: pass a number`);
    }
    if (Number.isNaN(n)) throw new ValueError("Cannot notify NaN tasks: pass a number");
    if (!this.locked()) {
      throw new RuntimeError(`Cannot notify on ${this} as its lock is not acquired: acquire() it first`);
    }
    this.#notify(n);
  }

  /**
   * Has all tasks go on that wait.
   *
   * @throws {RuntimeError} If nobody holds the lock.
   */
  notifyAll(): void {
    this.notify(Infinity);
  }

  /** How it is used at this moment. */
  statistics(): ConditionStatistics {
    return { tasksWaiting: this.#waiters.waiting, lock: this.#lock.statistics() };
  }

  /** The class, the state and how many wait, for messages. */
  toString(): string {
    return `<Condition ${this.locked() ? "locked" : "unlocked"}, ${this.#waiters.waiting} waiting>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  #notify(n: number): void {
    for (let i = 0; i < n && this.#waiters.wakeNext(); i++);
  }

  *#wait(): GeneratorCoroutine<true> {
    if (!this.locked()) {
      throw new RuntimeError(`Cannot wait for ${this} as its lock is not acquired: acquire() it first`);
    }
    const notification = new Notification(this.#waiters);
    notification._enter();
    this.release();
    try {
      try {
        yield* notification;
      } finally {
        yield* this.#reacquire();
      }
    } catch (error) {
      // It may have been notified all the same: somebody else goes on in its place.
      this.#notify(1);
      throw error;
    }
    return true;
  }

  /** Takes the lock, whoever cancels meanwhile. */
  *#reacquire(): GeneratorCoroutine<void> {
    let cancelled: { error: CancelledError } | null = null;
    for (;;) {
      try {
        if (cancelled === null) yield* this.#lock.acquire();
        else yield* patiently(this.#lock.acquire());
        break;
      } catch (error) {
        if (!(error instanceof CancelledError)) throw error;
        cancelled = { error };
      }
    }
    if (cancelled !== null) throw cancelled.error;
  }

  *#waitFor(predicate: () => unknown): GeneratorCoroutine<unknown> {
    for (;;) {
      const result = predicate();
      if (isPromise(result)) {
        throw new TypeError(
          "Cannot wait for a promise of the predicate, which is always truthy: pass a plain function",
        );
      }
      if (result) return result;
      yield* this.wait();
    }
  }
}

/** A wait for `notify()`. */
class Notification extends QueuedWait<void> {
  protected override _arrive(woken: boolean): boolean {
    return woken;
  }

  protected override _value(): void {}

  protected override _giveUp(): void {}
}
