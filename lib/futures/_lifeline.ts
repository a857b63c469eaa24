/**
 * What keeps a program alive while it waits for a pool: see {@linkcode Lifeline}.
 * @module
 */

import type { PoolSettings } from "./_pool_settings.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import type { Task } from "./_task.ts";

/**
 * How long an idle pool waits before it closes its workers, where they cannot but keep the program alive. Milliseconds.
 */
const IDLE = 1000;

/** The workers of a pool, as the pool holds them. */
export interface Workers {
  /** Those that take calls, or will when they have started. */
  readonly active: ReadonlySet<PoolWorker>;
  /** Those that get no more calls. */
  readonly retired: ReadonlySet<PoolWorker>;
  /** Gives a worker no more calls. */
  retire(worker: PoolWorker): void;
}

/** Has the workers of a pool keep the program alive while somebody waits for what they do, and no longer. */
export class Lifeline {
  readonly #settings: PoolSettings;
  readonly #workers: Workers;
  /** How many tasks, and calls of `warmUp()`, have not ended. */
  #pending = 0;
  /** How many of them are streams that wait for their readers. */
  #stalled = 0;
  #shutDown = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: PoolSettings, workers: Workers) {
    this.#settings = settings;
    this.#workers = workers;
  }

  /** Whether nobody waits for anything. */
  get isIdle(): boolean {
    return this.#pending === 0;
  }

  /** Takes note that there is something more to wait for. */
  hold(): void {
    if (++this.#pending === this.#stalled + 1) this.#setRef(true);
  }

  /** Takes note that something that was waited for has ended. */
  letGo(): void {
    if (--this.#pending === 0 ? !this.#shutDown : this.#onlyStalled) this.#setRef(false);
  }

  /** Takes note that a stream waits for its reader, or no longer. One that does keeps nothing alive. */
  setStalled(task: Task, stalled: boolean): void {
    if (task.stalled === stalled) return;
    task.stalled = stalled;
    this.#stalled += stalled ? 1 : -1;
    if (this.#onlyStalled) this.#setRef(false);
    else if (!stalled && this.#pending === this.#stalled + 1) this.#setRef(true);
  }

  /** From now on workers are let go of by who ends them. */
  shutDown(): void {
    this.#shutDown = true;
  }

  /** Has all workers keep the program alive until they have ended. */
  holdAll(): void {
    for (const worker of [...this.#workers.active, ...this.#workers.retired]) worker.transport.setRef(true);
  }

  /** Nothing is left to wait for, or to be closed later. */
  end(): void {
    clearTimeout(this.#timer);
  }

  /** Whether all that has not ended waits for somebody to read on; but who shuts down waits for the end of it. */
  get #onlyStalled(): boolean {
    return this.#stalled > 0 && this.#stalled === this.#pending && !this.#shutDown;
  }

  #setRef(ref: boolean): void {
    clearTimeout(this.#timer);
    for (const worker of this.#workers.active) worker.transport.setRef(ref);
    // What was given up and burns on must not.
    if (!ref) { for (const worker of this.#workers.retired) worker.transport.setRef(false); }
    if (ref || this.#settings.canUnref || this.#shutDown) return;
    this.#timer = setTimeout(() => {
      for (const worker of this.#workers.active) this.#workers.retire(worker);
    }, IDLE);
    Deno.unrefTimer(this.#timer);
  }
}
