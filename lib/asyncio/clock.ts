/**
 * {@linkcode Clock}: what an event loop asks for the time and for a wake-up.
 * @module
 */

/** A wake-up that was asked for and can be called off. */
export interface WakeUp {
  /** Calls it off. Nothing happens if it has come already. */
  cancel(): void;
}

/**
 * Where an event loop gets the time from. {@linkcode MonotonicClock} unless it is told otherwise.
 */
export interface Clock {
  /**
   * Whether the time stands still while code runs and leaps to the next timer once nothing else can happen. The loop
   * then lets native promises settle before it waits, and reports a deadlock when there is nothing to wait for.
   */
  readonly virtual: boolean;
  /** The time in milliseconds, from any start; it never goes back. */
  time(): number;
  /**
   * Asks for `wake` to be called when the time is `deadline`, or later.
   *
   * @param deadline A time of this clock; `Infinity` to be kept alive without a deadline.
   * @param wake What to call.
   * @returns The wake-up, or `null` if the deadline is here already: `wake` is not called then.
   */
  wakeAt(deadline: number, wake: () => void): WakeUp | null;
}

/** The longest wait of one host timer; a timer that is further away is waited for in several steps. CPython's limit. */
const MAXIMUM_WAIT = 24 * 3600 * 1000;

/** The time of the machine since the program's start, `performance.now()`. */
export class MonotonicClock implements Clock {
  readonly virtual: boolean = false;

  time(): number {
    return performance.now();
  }

  wakeAt(deadline: number, wake: () => void): WakeUp {
    // Rounded up: a host timer that fires early costs a turn for nothing.
    const timer = setTimeout(wake, Math.min(Math.max(0, Math.ceil(deadline - performance.now())), MAXIMUM_WAIT));
    return { cancel: () => clearTimeout(timer) };
  }
}
