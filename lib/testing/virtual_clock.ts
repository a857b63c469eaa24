/**
 * {@linkcode VirtualClock}: a clock for tests, on which no time is lost.
 * @module
 */

import { type DurationLike, toMilliseconds } from "../_duration.ts";
import type { Clock } from "../asyncio/clock.ts";

/** Options of {@linkcode VirtualClock}. */
export interface VirtualClockOptions {
  /**
   * The time it starts at, in milliseconds.
   * @default {0}
   */
  start?: number | undefined;
}

/**
 * A clock that stands still while code runs and leaps to the next timer as soon as nothing is left to run: an hour of
 * waiting takes no time, and the order is the same in each run. Where nothing is left that could go on, the run of the loop
 * rejects with {@linkcode DeadlockError}, which names every task and what it waits for.
 *
 * Native promises that tasks wait for, such as a `fetch`, are waited for before time leaps. What can be known of native
 * code is what it awaits from here: code that waits for a timer of the loop and at the same time, by `Promise.all` or
 * `Promise.race`, for something of the host is taken to wait for the timer.
 *
 * A stand-in that never answers, to test a time limit, is therefore a future of the loop, `() => new Future()`, and not
 * `new Promise(() => {})`, for which the clock waits until the host ends the program. `Date`, `performance.now()`,
 * `setTimeout` and `AbortSignal.timeout()` are the host's and keep real time: code under test asks `loop.time()` and
 * waits by `sleep`.
 *
 * A server and its clients may be in one loop: of a TCP connection between `startServer` and `openConnection` both sides
 * are known, and the clock stands still only while bytes are on their way. What the other side of any other connection, or
 * a process, is waiting for cannot be known: while a task waits for these the clock stands still, and if they in turn wait
 * for a timer of the same loop, for good. That holds for Unix sockets, for sockets of Deno's own in the same program, and
 * while `serveForever()` waits for its next client: in a test of a server, `startServer` is enough.
 *
 * One clock is for one loop.
 *
 * @example
 * ```ts
 * import { EventLoop, sleep } from "@skein/skein/asyncio";
 * import { VirtualClock } from "@skein/skein/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using loop = new EventLoop({ clock: new VirtualClock() });
 * await loop.runUntilComplete(sleep({ hours: 1 }));
 * assertEquals(loop.time(), 3_600_000);
 * ```
 *
 * @example In `run()`, and with a service that never answers
 * ```ts
 * import { EventLoop, Future, run, TimeoutError, waitFor } from "@skein/skein/asyncio";
 * import { VirtualClock } from "@skein/skein/testing";
 * import { assertRejects } from "@std/assert";
 *
 * const ask = () => new Future<string>();
 * const loopFactory = () => new EventLoop({ clock: new VirtualClock() });
 * await assertRejects(() => run(() => waitFor(ask(), { seconds: 30 }), { loopFactory }), TimeoutError);
 * ```
 */
export class VirtualClock implements Clock {
  readonly virtual: boolean = true;
  #now: number;

  /**
   * Makes one.
   *
   * @param options The start.
   */
  constructor(options: VirtualClockOptions = {}) {
    this.#now = options.start ?? 0;
  }

  /** The virtual time in milliseconds. */
  time(): number {
    return this.#now;
  }

  /**
   * Moves the time on while code runs, as if the code had taken that long.
   *
   * @param duration How far, in milliseconds or as a duration.
   * @throws {RangeError} If it is negative or NaN.
   */
  advance(duration: DurationLike): void {
    const step = toMilliseconds(duration, "duration");
    if (!(step >= 0 && step < Infinity)) {
      throw new RangeError(`Cannot move the clock by ${step} ms: time only goes on`);
    }
    this.#now += step;
  }

  wakeAt(deadline: number): null {
    this.#now = Math.max(this.#now, deadline);
    return null;
  }
}
