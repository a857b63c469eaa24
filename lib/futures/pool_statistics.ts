/**
 * {@linkcode PoolStatistics} and {@linkcode WorkerInfo}: what a pool tells of itself.
 * @module
 */

import type { Histogram } from "./histogram.ts";

/**
 * How a pool fares at one moment. It adds up: `submitted` is `queued + running + completed + failed + crashed +
 * cancelled`, and `workers` is `starting + idle + busy`. A chunk of a `map` counts as one call, and so does a stream.
 */
export interface PoolStatistics {
  /** The workers that take calls, or will when they have started. */
  readonly workers: number;
  /** Those that have not started yet. */
  readonly starting: number;
  /** Those that have nothing to do. */
  readonly idle: number;
  /** Those that run a call. */
  readonly busy: number;
  /**
   * The workers that take no more calls but have not ended: such as a thread that runs on what was given up, which Deno
   * cannot stop.
   */
  readonly retired: number;
  /** The calls so far. */
  readonly submitted: number;
  /** The calls that wait, those that were handed to a worker ahead included. */
  readonly queued: number;
  /** The calls that run. */
  readonly running: number;
  /** The calls that returned. */
  readonly completed: number;
  /** The calls that threw, were given up by `signal` or `timeout`, or could not be run. */
  readonly failed: number;
  /** The calls whose worker died. */
  readonly crashed: number;
  /** The calls that were cancelled before they started. */
  readonly cancelled: number;
  /** How often a call was run again. */
  readonly retried: number;
  /** The workers that were started so far. */
  readonly workersStarted: number;
  /** The workers that died of themselves. */
  readonly workersCrashed: number;
  /** From `submit` to the start of the call, in milliseconds; of calls that returned or threw. */
  readonly waitTime: Histogram;
  /** From the start of the call to its end, in milliseconds; of calls that returned or threw. */
  readonly runTime: Histogram;
}

/** A worker of a pool, at one moment. */
export interface WorkerInfo {
  /** Its name; in a thread also `self.name`. */
  readonly name: string;
  /** The id of the process; `undefined` for a thread. */
  readonly pid: number | undefined;
  /** What it does. `"retired"`: it takes no more calls. */
  readonly state: "starting" | "idle" | "busy" | "retired";
  /** How many calls it has run. */
  readonly tasksRun: number;
}
