/**
 * {@linkcode Event}: something that happens, for any number of tasks to wait for.
 * @module
 */

import type { Coroutine } from "./coroutine.ts";
import { QueuedWait, WaitQueue } from "./_wait_queue.ts";

/** What {@linkcode Event.statistics} gives. */
export interface EventStatistics {
  /** Whether it is set. */
  readonly set: boolean;
  /** How many tasks wait for it. */
  readonly tasksWaiting: number;
}

/**
 * A flag that tasks wait for. CPython's `asyncio.Event`; not the `Event` of the DOM.
 *
 * {@linkcode Event.set} wakes all that wait at that moment, also if {@linkcode Event.clear} follows at once.
 *
 * @example
 * ```ts
 * import { createTask, Event } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const ready = new Event();
 * const task = createTask(async () => {
 *   await ready.wait();
 *   return "gone on";
 * });
 * ready.set();
 * assertEquals(await task, "gone on");
 * ```
 */
export class Event {
  readonly #waiters = new WaitQueue(this, "wait");
  #set = false;

  /** Whether it is set. */
  isSet(): boolean {
    return this.#set;
  }

  /** Sets it and wakes all that wait for it, in the order in which they came. */
  set(): void {
    if (this.#set) return;
    this.#set = true;
    this.#waiters.wakeAll();
  }

  /** Takes it back: who waits from now on waits for the next {@linkcode Event.set}. */
  clear(): void {
    this.#set = false;
  }

  /**
   * Waits until it is set, not at all if it is.
   *
   * @returns A coroutine of `true`.
   * @throws {RuntimeError} (when awaited) If tasks of another loop have waited for it.
   */
  wait(): Coroutine<true> {
    return new EventWait(this, this.#waiters);
  }

  /** How it is used at this moment. */
  statistics(): EventStatistics {
    return { set: this.#set, tasksWaiting: this.#waiters.waiting };
  }

  /** The class, the state and how many wait, for messages. */
  toString(): string {
    return `<Event ${this.#set ? "set" : "unset"}, ${this.#waiters.waiting} waiting>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}

class EventWait extends QueuedWait<true> {
  readonly #event: Event;

  constructor(event: Event, waiters: WaitQueue) {
    super(waiters);
    this.#event = event;
  }

  protected override _arrive(woken: boolean): boolean {
    return woken || this.#event.isSet();
  }

  protected override _value(): true {
    return true;
  }

  protected override _giveUp(): void {}
}
