/**
 * {@linkcode Barrier}: where tasks wait for each other.
 * @module
 */

import { Condition } from "./condition.ts";
import { type Coroutine, FunctionCoroutine, type GeneratorCoroutine } from "./coroutine.ts";
import { BrokenBarrierError, ValueError } from "./exceptions.ts";

type State = "filling" | "draining" | "resetting" | "broken";

/** What {@linkcode Barrier.statistics} gives. */
export interface BarrierStatistics {
  /** How many tasks it takes. */
  readonly parties: number;
  /** How many of them are there. */
  readonly tasksWaiting: number;
  /** Whether it was aborted. */
  readonly broken: boolean;
}

/**
 * A place where tasks wait until so many are there, and then go on together; it can be used again and again. CPython's
 * `asyncio.Barrier`.
 *
 * @example
 * ```ts
 * import { Barrier, gather } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const barrier = new Barrier(3);
 * const places = await gather([barrier.wait(), barrier.wait(), barrier.wait()]);
 * assertEquals(places.sort(), [0, 1, 2]);
 * ```
 */
export class Barrier {
  readonly #condition = new BarrierCondition(this);
  readonly #parties: number;
  #state: State = "filling";
  #count = 0;

  /**
   * Makes one.
   *
   * @param parties How many tasks it takes: a whole number of at least 1.
   * @throws {ValueError} If it is anything else.
   */
  constructor(parties: number) {
    if (!Number.isInteger(parties) || parties < 1) {
      throw new ValueError(
        `Cannot make a Barrier for ${Deno.inspect(parties, { depth: 0 })} tasks: pass a whole number of at least 1`,
      );
    }
    this.#parties = parties;
  }

  /** How many tasks it takes. */
  get parties(): number {
    return this.#parties;
  }

  /** How many tasks are there and wait for the others. */
  get nWaiting(): number {
    return this.#state === "filling" ? this.#count : 0;
  }

  /** Whether it was aborted. */
  get broken(): boolean {
    return this.#state === "broken";
  }

  /**
   * Waits until as many tasks wait as it takes. One that comes while a group goes on waits until all of that have gone.
   *
   * @returns A coroutine of the task's place in its group: how many were there when it came. Where others were cancelled
   * while the group filled, two may have the same place, as in CPython.
   * @throws {BrokenBarrierError} (when awaited) If the barrier is broken, or is aborted or reset meanwhile.
   */
  wait(): Coroutine<number> {
    return new FunctionCoroutine<[], number>(this.#wait, [], this, "Barrier.wait");
  }

  /**
   * Makes it empty: tasks that wait throw {@linkcode BrokenBarrierError}. A broken one can be used again after it.
   *
   * @returns A coroutine.
   */
  reset(): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this.#reset, [], this, "Barrier.reset");
  }

  /**
   * Breaks it: tasks that wait, or will, throw {@linkcode BrokenBarrierError}.
   *
   * @returns A coroutine.
   */
  abort(): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this.#abort, [], this, "Barrier.abort");
  }

  /** How it is used at this moment. */
  statistics(): BarrierStatistics {
    return { parties: this.#parties, tasksWaiting: this.nWaiting, broken: this.broken };
  }

  /** The class, the state and how many of how many are there, for messages. */
  toString(): string {
    return `<Barrier ${this.#state}, ${this.#count} of ${this.#parties}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  *#wait(): GeneratorCoroutine<number> {
    using _held = yield* this.#condition.acquire();
    yield* this.#condition.waitFor(() => this.#state !== "draining" && this.#state !== "resetting");
    if (this.broken) throw new BrokenBarrierError(`Cannot wait at ${this} as it was aborted: reset() it`);
    const place = this.#count++;
    try {
      if (place + 1 === this.#parties) {
        this.#state = "draining";
        this.#condition.notifyAll();
      } else yield* this.#fill();
      return place;
    } finally {
      this.#count--;
      this.#leave();
    }
  }

  *#fill(): GeneratorCoroutine<void> {
    yield* this.#condition.waitFor(() => this.#state !== "filling");
    if (this.#state === "broken" || this.#state === "resetting") {
      throw new BrokenBarrierError(`Cannot go on waiting at ${this} as it was ${this.broken ? "aborted" : "reset"}`);
    }
  }

  #leave(): void {
    if (this.#count > 0) return;
    if (this.#state === "resetting" || this.#state === "draining") this.#state = "filling";
    this.#condition.notifyAll();
  }

  *#reset(): GeneratorCoroutine<void> {
    using _held = yield* this.#condition.acquire();
    this.#state = this.#count > 0 ? "resetting" : "filling";
    this.#condition.notifyAll();
  }

  *#abort(): GeneratorCoroutine<void> {
    using _held = yield* this.#condition.acquire();
    this.#state = "broken";
    this.#condition.notifyAll();
  }
}

/** The condition of a barrier, which is nobody's business but in messages: there it goes by the name of the barrier. */
class BarrierCondition extends Condition {
  readonly #barrier: Barrier;

  constructor(barrier: Barrier) {
    super();
    this.#barrier = barrier;
  }

  override toString(): string {
    return String(this.#barrier);
  }
}
