/**
 * The events of a pool.
 * @module
 */

import type { WorkerExit } from "./errors.ts";
import type { Future } from "./future.ts";
import type { WorkerInfo } from "./pool_statistics.ts";

/** How a call ended. */
export type TaskOutcome = "completed" | "failed" | "crashed" | "cancelled";

/** A call started or ended. */
export class TaskEvent extends Event {
  /** The name of the function. */
  readonly task: string;
  /** The future of the call; of a chunk of `map`, one that nobody else has. */
  readonly future: Future<unknown>;
  /** The worker that runs it or ran it; `undefined` for a call that never came to one. */
  readonly worker: WorkerInfo | undefined;
  /** How it ended; `undefined` when it starts. */
  readonly outcome: TaskOutcome | undefined;

  /** @internal */
  constructor(
    type: "taskstart" | "taskend",
    { task, future, worker, outcome }: {
      task: string;
      future: Future<unknown>;
      worker: WorkerInfo | undefined;
      outcome?: TaskOutcome;
    },
  ) {
    super(type);
    this.task = task;
    this.future = future;
    this.worker = worker;
    this.outcome = outcome;
  }
}

/** A worker takes calls, or is gone. */
export class WorkerEvent extends Event {
  /** The worker. */
  readonly worker: WorkerInfo;
  /** How it ended; `undefined` when it starts. */
  readonly exit: WorkerExit | undefined;
  /** Whether it died of itself, and not because the pool had no more use for it. */
  readonly crashed: boolean;

  /** @internal */
  constructor(
    type: "workerstart" | "workerexit",
    { worker, exit, crashed = false }: { worker: WorkerInfo; exit?: WorkerExit; crashed?: boolean },
  ) {
    super(type);
    this.worker = worker;
    this.exit = exit;
    this.crashed = crashed;
  }
}

/** The events of a pool by their names. */
export interface PoolEventMap {
  /**
   * A call starts. Of calls that travel in batches the pool learns that only with their outcome; then it comes just
   * before `taskend`. A thread's call that is cancelled in the moment in which it would start has one, too.
   */
  taskstart: TaskEvent;
  /** A call has its outcome: comes after `taskstart`, if the call ever started. The future is done. */
  taskend: TaskEvent;
  /** A worker has started, and takes calls. */
  workerstart: WorkerEvent;
  /** A worker is gone. */
  workerexit: WorkerEvent;
}
