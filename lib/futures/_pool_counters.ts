/**
 * What a pool counts of its calls and workers.
 * @module
 */

import { Histogram } from "./histogram.ts";
import type { PoolStatistics } from "./pool_statistics.ts";
import type { PoolWorker } from "./_pool_worker.ts";

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

  /** The figures of a pool with these workers. */
  statistics(workers: ReadonlySet<PoolWorker>, retired: ReadonlySet<PoolWorker>): PoolStatistics {
    let starting = 0;
    let idle = 0;
    let running = 0;
    for (const worker of workers) {
      if (!worker.ready) starting++;
      else if (worker.count === 0) idle++;
    }
    for (const worker of [...workers, ...retired]) if (worker.oldest()?.done() === false) running++;
    const { submitted, completed, failed, crashed, cancelled } = this;
    return {
      workers: workers.size,
      starting,
      idle,
      busy: workers.size - starting - idle,
      retired: retired.size,
      ...this,
      // Also what is between two places at this moment: who asks may be told of the outcome of another call.
      queued: submitted - completed - failed - crashed - cancelled - running,
      running,
      waitTime: this.waitTime.clone(),
      runTime: this.runTime.clone(),
    };
  }
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
