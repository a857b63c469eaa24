/**
 * {@linkcode Lock}: for one task at a time.
 * @module
 */

import { Acquire, Held } from "./_acquire.ts";
import type { Coroutine } from "./coroutine.ts";
import { RuntimeError } from "./exceptions.ts";
import { WaitQueue } from "./_wait_queue.ts";

export { Held };

/** What {@linkcode Lock.statistics} gives. */
export interface LockStatistics {
  /** Whether somebody holds it. */
  readonly locked: boolean;
  /** How many tasks wait for it. */
  readonly tasksWaiting: number;
}

/**
 * A lock that one task at a time holds. CPython's `asyncio.Lock`.
 *
 * Strictly first come, first served: nobody gets it while others wait who came before. It is not reentrant, and not
 * bound to a task: any may release it. A task that is cancelled while it waits, or just after it was woken, leaves the
 * lock to the next.
 *
 * @example
 * ```ts
 * import { gather, Lock, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const lock = new Lock();
 * const steps: string[] = [];
 *
 * function* generator() {
 *   using _held = yield* lock.acquire();
 *   steps.push("generator in");
 *   yield* sleep(1);
 *   steps.push("generator out");
 * }
 *
 * async function native() {
 *   using _held = await lock.acquire();
 *   steps.push("native");
 * }
 *
 * await gather([generator(), native]);
 * assertEquals(steps, ["generator in", "generator out", "native"]);
 * ```
 */
export class Lock {
  /** @internal */
  readonly _waiters: WaitQueue = new WaitQueue(this, "acquire");
  #locked = false;

  /** Whether somebody holds it. */
  locked(): boolean {
    return this.#locked;
  }

  /**
   * Waits for the lock and takes it.
   *
   * @returns A coroutine of what releases it at the end of the block: `using held = yield* lock.acquire()`. CPython's
   * gives `True`.
   * @throws {RuntimeError} (when awaited) If tasks of another loop have waited for it.
   */
  acquire(): Coroutine<Held> {
    return new Acquire(this);
  }

  /**
   * Gives it to the task that has waited longest.
   *
   * @throws {RuntimeError} If nobody holds it.
   */
  release(): void {
    if (!this.#locked) {
      throw new RuntimeError(`Cannot release ${this} as it is not acquired: release it once for each acquire()`);
    }
    this.#locked = false;
    this._waiters.wakeFirst();
  }

  /** How it is used at this moment. */
  statistics(): LockStatistics {
    return { locked: this.#locked, tasksWaiting: this._waiters.waiting };
  }

  /** The class, the state and how many wait, for messages. */
  toString(): string {
    return `<Lock ${this.#locked ? "locked" : "unlocked"}, ${this._waiters.waiting} waiting>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** @internal */
  _take(woken: boolean): boolean {
    if (!woken && (this.#locked || this._waiters.live > 0)) return false;
    return this.#locked = true;
  }

  /** @internal */
  _passOn(): void {
    if (!this.#locked) this._waiters.wakeFirst();
  }
}
