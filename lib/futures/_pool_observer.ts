/**
 * What tells the world of a pool's events, if somebody listens.
 * @module
 */

import type { WorkerExit } from "./errors.ts";
import { type PoolEventMap, TaskEvent, type TaskOutcome, WorkerEvent } from "./pool_events.ts";
import type { WorkerInfo } from "./pool_statistics.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import type { Task } from "./_task.ts";

/** A worker as its pool shows it. */
export function infoOf(worker: PoolWorker): WorkerInfo {
  const state = worker.retired ? "retired" : !worker.ready ? "starting" : worker.count === 0 ? "idle" : "busy";
  return { name: worker.name, pid: worker.transport.pid, state, tasksRun: worker.tasksRun };
}

export class PoolObserver {
  readonly target: EventTarget = new EventTarget();
  readonly #types = new Set<string>();
  /** Whether somebody ever listened to what becomes of calls: nobody pays for it who does not. */
  seesTasks = false;

  listen(type: keyof PoolEventMap): void {
    this.#types.add(type);
    if (type === "taskstart" || type === "taskend") this.seesTasks = true;
  }

  started(worker: PoolWorker, task: Task): void {
    if (task.announced || !this.#types.has("taskstart")) return;
    task.announced = true;
    const { settings: { ref: { name } } } = task;
    this.target.dispatchEvent(new TaskEvent("taskstart", { task: name, future: task, worker: infoOf(worker) }));
  }

  ended(worker: PoolWorker | undefined, task: Task, outcome: TaskOutcome): void {
    if (!this.#types.has("taskend")) return;
    const { settings: { ref: { name } } } = task;
    const info = worker === undefined ? undefined : infoOf(worker);
    this.target.dispatchEvent(new TaskEvent("taskend", { task: name, future: task, worker: info, outcome }));
  }

  workerStarted(worker: PoolWorker): void {
    if (!this.#types.has("workerstart")) return;
    this.target.dispatchEvent(new WorkerEvent("workerstart", { worker: infoOf(worker) }));
  }

  workerExited(worker: PoolWorker, exit: WorkerExit, crashed: boolean): void {
    if (!this.#types.has("workerexit")) return;
    this.target.dispatchEvent(new WorkerEvent("workerexit", { worker: infoOf(worker), exit, crashed }));
  }
}
