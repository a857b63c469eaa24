/**
 * {@linkcode CapacityLimiter}: for so many borrowers at a time, a number that may change.
 * @module
 */

import { Held } from "./_acquire.ts";
import type { Coroutine } from "./coroutine.ts";
import { RuntimeError, ValueError, WouldBlock } from "./exceptions.ts";
import { currentTask } from "./tasks.ts";
import { QueuedWait, WaitQueue } from "./_wait_queue.ts";

/** What {@linkcode CapacityLimiter.statistics} gives. */
export interface CapacityLimiterStatistics {
  /** How many tokens are borrowed. */
  readonly borrowedTokens: number;
  /** How many there are. */
  readonly totalTokens: number;
  /** Who holds one, in the order in which they got it. */
  readonly borrowers: readonly unknown[];
  /** How many tasks wait for one. */
  readonly tasksWaiting: number;
}

/**
 * A number of tokens, each of which one borrower holds at a time: a {@linkcode Semaphore} that knows who holds it, and
 * whose size can be changed while it is in use. Trio's and anyio's `CapacityLimiter`; CPython's asyncio has none.
 *
 * Strictly first come, first served. A borrower is the current task, or what is passed to `acquireOnBehalfOf()`, and
 * holds one token only: a task that could acquire a second one would sooner or later wait for itself.
 *
 * @example
 * ```ts
 * import { CapacityLimiter, gather, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const limiter = new CapacityLimiter(2);
 * let most = 0;
 * function* job() {
 *   using _held = yield* limiter.acquire();
 *   most = Math.max(most, limiter.borrowedTokens);
 *   yield* sleep(1);
 * }
 * await gather(Array.from({ length: 6 }, job));
 * assertEquals([most, limiter.availableTokens], [2, 2]);
 * ```
 */
export class CapacityLimiter {
  /** @internal */
  readonly _waiters: WaitQueue = new WaitQueue(this, "acquire");
  #total = 0;
  readonly #borrowers = new Set<unknown>();
  readonly #waiting = new Set<unknown>();
  /** Tokens of those who have been woken and have not run since. */
  #granted = 0;

  /**
   * Makes one.
   *
   * @param totalTokens How many tokens there are: a whole number from 0 on, or `Infinity`.
   * @throws {ValueError} If it is anything else.
   */
  constructor(totalTokens: number) {
    this.totalTokens = totalTokens;
  }

  /**
   * How many tokens there are. More of them go to those who wait at once. With fewer, nobody loses what he holds, and
   * nobody gets one until enough have been given back.
   */
  get totalTokens(): number {
    return this.#total;
  }

  set totalTokens(total: number) {
    if (total !== Infinity && (!Number.isInteger(total) || total < 0)) {
      throw new ValueError(
        `Cannot use ${Deno.inspect(total, { depth: 0 })} as totalTokens: pass a whole number from 0 on, or Infinity`,
      );
    }
    this.#total = total;
    this.#grant();
  }

  /** How many tokens are borrowed. */
  get borrowedTokens(): number {
    return this.#borrowers.size + this.#granted;
  }

  /** How many are left; below 0 if there are fewer by now than are borrowed. */
  get availableTokens(): number {
    return this.#total - this.borrowedTokens;
  }

  /**
   * Borrows a token for the current task, when one is left and all who came before have one.
   *
   * @returns A coroutine of what gives it back at the end of the block: `using held = yield* limiter.acquire()`.
   * @throws {RuntimeError} (when awaited) If the task has one or waits for one.
   */
  acquire(): Coroutine<Held> {
    return new Borrow(this, null);
  }

  /**
   * As {@linkcode CapacityLimiter.acquire}, for another borrower than the current task.
   *
   * @param borrower Who holds it: anything but `null` and `undefined`, compared by identity.
   * @returns A coroutine of what gives it back.
   * @throws {TypeError} If there is no borrower.
   * @throws {RuntimeError} (when awaited) If the borrower has one or waits for one.
   */
  acquireOnBehalfOf(borrower: unknown): Coroutine<Held> {
    return new Borrow(this, { borrower: asBorrower(borrower) });
  }

  /**
   * Borrows a token for the current task without waiting.
   *
   * @returns What gives it back.
   * @throws {WouldBlock} If none is left, or others wait.
   * @throws {RuntimeError} If the task has one or waits for one, or outside of tasks.
   */
  acquireNowait(): Held {
    return this.acquireOnBehalfOfNowait(this._self());
  }

  /**
   * As {@linkcode CapacityLimiter.acquireNowait}, for another borrower than the current task.
   *
   * @param borrower Who holds it.
   * @returns What gives it back.
   * @throws {WouldBlock} If none is left, or others wait.
   * @throws {TypeError} If there is no borrower.
   * @throws {RuntimeError} If the borrower has one or waits for one.
   */
  acquireOnBehalfOfNowait(borrower: unknown): Held {
    if (!this._borrow(asBorrower(borrower))) {
      throw new WouldBlock(`Cannot borrow from ${this} without waiting: await acquire()`);
    }
    return this._held(borrower);
  }

  /**
   * Gives the token of the current task back.
   *
   * @throws {RuntimeError} If it has none.
   */
  release(): void {
    this.releaseOnBehalfOf(this._self());
  }

  /**
   * Gives the token of a borrower back.
   *
   * @param borrower Who holds it.
   * @throws {RuntimeError} If he has none.
   */
  releaseOnBehalfOf(borrower: unknown): void {
    if (!this.#borrowers.delete(borrower)) {
      throw new RuntimeError(
        `Cannot give a token back to ${this} as ${describe(borrower)} holds none: release it once for each acquire()`,
      );
    }
    this.#grant();
  }

  /** How it is used at this moment. */
  statistics(): CapacityLimiterStatistics {
    return {
      borrowedTokens: this.borrowedTokens,
      totalTokens: this.#total,
      borrowers: [...this.#borrowers],
      tasksWaiting: this._waiters.waiting,
    };
  }

  /** How it is used, for messages. */
  toString(): string {
    return `<CapacityLimiter ${this.borrowedTokens} of ${this.#total} borrowed, ${this._waiters.waiting} waiting>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /**
   * The current task, as a borrower.
   *
   * @internal
   */
  _self(): unknown {
    const task = currentTask();
    if (task === null) {
      throw new RuntimeError(
        "Cannot borrow a token outside of a task, as the task is the borrower: use acquireOnBehalfOf()",
      );
    }
    return task;
  }

  /**
   * Takes a token, if one is free; whether it did.
   *
   * @internal
   */
  _borrow(borrower: unknown): boolean {
    const already = this.#borrowers.has(borrower) ? "holds" : this.#waiting.has(borrower) ? "waits for" : null;
    if (already !== null) {
      throw new RuntimeError(
        `Cannot borrow from ${this} as ${describe(borrower)} ${already} a token already: release it first`,
      );
    }
    if (this.availableTokens < 1 || this._waiters.live > 0) return false;
    this.#borrowers.add(borrower);
    return true;
  }

  /** @internal */
  _wait(borrower: unknown): void {
    this.#waiting.add(borrower);
  }

  /**
   * The end of a wait, with a token or without.
   *
   * @internal
   */
  _arrived(borrower: unknown, granted: boolean, takes: boolean): void {
    this.#waiting.delete(borrower);
    if (granted) this.#granted--;
    if (takes) this.#borrowers.add(borrower);
    this.#grant();
  }

  /** @internal */
  _held(borrower: unknown): Held {
    return new Held({ release: () => this.releaseOnBehalfOf(borrower) });
  }

  #grant(): void {
    while (this.availableTokens >= 1 && this._waiters.wakeNext()) this.#granted++;
  }
}

/** A call of `acquire()`. The current task is known only when it is awaited. */
class Borrow extends QueuedWait<Held> {
  readonly #limiter: CapacityLimiter;
  #borrower: { borrower: unknown } | null;

  constructor(limiter: CapacityLimiter, borrower: { borrower: unknown } | null) {
    super(limiter._waiters);
    this.#limiter = limiter;
    this.#borrower = borrower;
  }

  protected override _arrive(woken: boolean): boolean {
    const { borrower } = this.#borrower ??= { borrower: this.#limiter._self() };
    if (woken) this.#limiter._arrived(borrower, true, true);
    else if (!this.#limiter._borrow(borrower)) {
      this.#limiter._wait(borrower);
      return false;
    }
    return true;
  }

  protected override _value(): Held {
    return this.#limiter._held(this.#borrower!.borrower);
  }

  protected override _giveUp(woken: boolean): void {
    this.#limiter._arrived(this.#borrower!.borrower, woken, false);
  }
}

function asBorrower(borrower: unknown): unknown {
  if (borrower === undefined || borrower === null) {
    throw new TypeError(`Cannot borrow a token on behalf of ${borrower}: pass who holds it, or use acquire()`);
  }
  return borrower;
}

function describe(borrower: unknown): string {
  return Deno.inspect(borrower, { depth: 0 });
}
