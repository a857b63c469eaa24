/**
 * What a pool counts of its calls and workers.
 * @module
 */

import { Histogram } from "./histogram.ts";

/** The counts behind `PoolExecutor.statistics()`. */
export class PoolCounters {
  submitted = 0;
  completed = 0;
  failed = 0;
  crashed = 0;
  cancelled = 0;
  retried = 0;
  workersStarted = 0;
  workersCrashed = 0;
  readonly waitTime: Histogram = new Histogram();
  readonly runTime: Histogram = new Histogram();
}

/**
 * The time, read once for all that happens in one go: to read it takes as long as to settle a call.
 */
export class CoarseClock {
  #now: number | undefined;

  /** Milliseconds. */
  get now(): number {
    return this.#now ??= performance.now();
  }

  /** What was going on is over: the time is to be read anew. */
  expire(): void {
    this.#now = undefined;
  }
}
