/**
 * What looks after the workers of a pool while nothing else happens.
 * @module
 */

import { LONGEST_TIMER } from "../_after.ts";
import type { PoolSettings } from "./_pool_settings.ts";
import type { PoolWorker } from "./_pool_worker.ts";

/** How much longer than expected a worker may take for a call before those behind it are taken back, in milliseconds. */
const STUCK = 5;

/** Takes back what waits behind a call that takes longer than expected. */
export class StuckWatch {
  readonly #workers: ReadonlySet<PoolWorker>;
  readonly #settings: PoolSettings;
  readonly #takeBack: (worker: PoolWorker) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(workers: ReadonlySet<PoolWorker>, settings: PoolSettings, takeBack: (worker: PoolWorker) => void) {
    this.#workers = workers;
    this.#settings = settings;
    this.#takeBack = takeBack;
  }

  /** Looks at the workers when the first of them could be stuck, if one could. */
  watch(): void {
    if (this.#timer !== undefined) return;
    const rest = this.#rest();
    if (rest === Infinity) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const worker of this.#workers) {
        if (restOf(worker) > 0) continue;
        worker.stuck = true;
        this.#takeBack(worker);
      }
      this.watch();
    }, Math.max(rest, STUCK));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** How long none can be stuck, in milliseconds. */
  #rest(): number {
    let rest = Infinity;
    // Another worker may take it; and without shared memory, only what is back in the queue can be cancelled.
    if (this.#settings.revokesAtOnce && this.#settings.maxWorkers === 1) return rest;
    for (const worker of this.#workers) rest = Math.min(rest, restOf(worker));
    return rest;
  }
}

/** How long a worker may still take for its oldest call while others wait in it, in milliseconds. */
function restOf(worker: PoolWorker): number {
  if (worker.count < 2 || worker.stuck) return Infinity;
  return worker.progressAt + worker.oldest()!.load + STUCK - performance.now();
}

/** Closes workers that have had nothing to do for long. */
export class IdleWatch {
  readonly #workers: ReadonlySet<PoolWorker>;
  readonly #settings: PoolSettings;
  readonly #retire: (worker: PoolWorker) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** How many want idle workers to stay for now. */
  #pauses = 0;

  constructor(workers: ReadonlySet<PoolWorker>, settings: PoolSettings, retire: (worker: PoolWorker) => void) {
    this.#workers = workers;
    this.#settings = settings;
    this.#retire = retire;
  }

  /** Comes back when the first of the idle workers has been idle for too long. */
  watch(): void {
    const { idleTimeout, minWorkers } = this.#settings;
    if (this.#timer !== undefined || this.#pauses > 0 || this.#workers.size <= minWorkers) return;
    let since = Infinity;
    for (const worker of this.#workers) {
      if (worker.ready && worker.count === 0) since = Math.min(since, worker.progressAt);
    }
    if (since === Infinity) return;
    const rest = Math.max(1, Math.min(since + idleTimeout - performance.now(), LONGEST_TIMER));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const end = performance.now() - idleTimeout;
      for (const worker of this.#workers) {
        if (this.#workers.size <= minWorkers) break;
        if (worker.ready && worker.count === 0 && worker.progressAt <= end) this.#retire(worker);
      }
      this.watch();
    }, rest);
    Deno.unrefTimer(this.#timer);
  }

  /** Lets idle workers stay, until `resume()`. */
  pause(): void {
    this.#pauses++;
    this.stop();
  }

  resume(): void {
    if (--this.#pauses === 0 && this.#settings.idleTimeout !== Infinity) this.watch();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
