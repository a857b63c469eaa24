/**
 * Which worker is given which call, and when: see {@linkcode Dispatcher}.
 * @module
 */

import { after } from "../_after.ts";
import type { FunctionRef } from "./_function_ref.ts";
import type { PoolSettings } from "./_pool_settings.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import type { Task } from "./_task.ts";
import { TaskQueue } from "./_task_queue.ts";

/**
 * How much work a worker is given ahead, in milliseconds: enough to hide a round trip, too little to hold anybody up.
 */
const AHEAD = 2;
/**
 * A worker whose only call takes less than this, in milliseconds, is given one more however long that takes: what it costs
 * to wait for the next call would be a good part of it.
 */
const SHORT = 10;
/** What a call counts for that takes long, or nobody knows how long. Milliseconds. */
const LONG = 1e6;

/** What the pool does for its dispatcher. */
export interface Crew {
  /** The workers that take calls, or will when they have started. */
  readonly workers: ReadonlySet<PoolWorker>;
  /** Calls `handOut`, and sees to what comes of it. */
  dispatch(): void;
  /** Starts a worker more, if that can be done. */
  start(): boolean;
  /** Gives a worker no more calls. */
  retire(worker: PoolWorker): void;
  /** Takes back what a worker has not started; it is queued again. */
  takeBack(worker: PoolWorker): void;
  /** The worker may have got a call. */
  handed(worker: PoolWorker): void;
  /** A worker has a call that was given up while it was handed over. */
  stop(worker: PoolWorker, task: Task): void;
  /** A call cannot be handed to any worker, as its arguments cannot be cloned. */
  refuse(task: Task, cause: unknown): void;
}

/** The calls that wait, and how they are handed out. */
export class Dispatcher {
  readonly #settings: PoolSettings;
  readonly #crew: Crew;
  readonly #queue = new TaskQueue();
  /** How many of the calls in the queue are over. */
  #stale = 0;
  #handing = false;
  /** Set while no worker more is started. */
  #stopPause: (() => void) | undefined;

  constructor(settings: PoolSettings, crew: Crew) {
    this.#settings = settings;
    this.#crew = crew;
  }

  /** Queues a call. */
  push(task: Task): void {
    this.#queue.push(task);
  }

  /** Queues a call that had its turn and comes back. */
  unshift(task: Task): void {
    this.#queue.unshift(task);
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Whether as many calls wait as may. Those that a worker takes, or will when it has started, do not wait. */
  isFull(): boolean {
    const { maxQueue, maxWorkers } = this.#settings;
    const { workers } = this.#crew;
    if (this.#queue.length < maxQueue) return false;
    this.handOut();
    let free = maxWorkers - workers.size;
    for (const worker of workers) if (worker.count === 0) free++;
    return this.#queue.length - this.#stale >= maxQueue + free;
  }

  /** Takes note that a call that is queued is over. It stays there for a while. */
  leave(task: Task): void {
    if (task.queued) this.#stale++;
  }

  /** Keeps what is over from being more than what is not. */
  tidy(): void {
    if (this.#stale < 1000 || this.#stale < this.#queue.length / 2) return;
    this.#queue.sweep((task) => {
      if (task.done()) this.#dropped(task);
      return task.done();
    });
  }

  /** Takes everything out, and calls `each` for what is not over. */
  clear(each: (task: Task) => void): void {
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      if (task.done()) this.#dropped(task);
      else each(task);
    }
  }

  /** Starts no more workers for what waits now: nothing does. */
  rest(): void {
    this.#stopPause?.();
    this.#stopPause = undefined;
  }

  /** Hands out what can be, and starts workers for what cannot. */
  handOut(): void {
    // Not again from a callback of what is being handed out.
    if (this.#handing) return;
    this.#handing = true;
    try {
      this.#dropDone();
      if (!this.isEmpty) this.#handToWorkers();
      if (this.isEmpty) this.#shareOut();
    } finally {
      this.#handing = false;
    }
  }

  #handToWorkers(): void {
    const queue = this.#queue;
    const { workers } = this.#crew;
    let idle = 0;
    for (const worker of workers) if (worker.count === 0) idle++;
    while (idle < queue.length && this.#startOne()) idle++;
    // First those that have nothing to do; only then ahead, so that no call waits behind another one while a worker is
    // idle.
    let free = 0;
    for (const worker of workers) if (worker.ready && worker.count === 0) free++;
    for (const worker of workers) {
      if (worker.ready && worker.count === 0) this.#hand(worker, Math.ceil(queue.length / free--));
    }
    // Who starts will have nothing to do, either.
    let starting = false;
    for (const worker of workers) if (worker.count === 0) starting = true;
    for (const worker of workers) {
      if (queue.length === 0) break;
      if (!worker.ready || worker.count === 0 || worker.stuck) continue;
      if (worker.load < AHEAD / 2) this.#hand(worker, queue.length);
      else if (!starting && worker.count === 1 && worker.load < SHORT) this.#hand(worker, 1);
    }
  }

  #startOne(): boolean {
    const { maxWorkers, startPause } = this.#settings;
    const { size } = this.#crew.workers;
    if (size > 0 && this.#stopPause !== undefined || size >= maxWorkers || !this.#crew.start()) return false;
    if (startPause > 0) {
      this.#stopPause?.();
      this.#stopPause = after(startPause, () => {
        this.#stopPause = undefined;
        this.#crew.dispatch();
      });
    }
    return true;
  }

  /** Takes back what waits in one worker while another one has nothing to do, unless it is over in a moment. */
  #shareOut(): void {
    let free = false;
    let most: PoolWorker | undefined;
    for (const worker of this.#crew.workers) {
      if (!worker.ready) continue;
      if (worker.count === 0) free = true;
      else if (worker.count > 1 && !worker.stuck && worker.load > (most?.load ?? AHEAD)) most = worker;
    }
    if (!free || most === undefined) return;
    // Once, until it has come through: it may have started all that it holds.
    most.stuck = true;
    this.#crew.takeBack(most);
  }

  /** Takes what was cancelled or given up off the front of the queue; with nothing else left, that is all of it. */
  #dropDone(): void {
    for (let task = this.#queue.peek(); task?.done(); task = this.#queue.peek()) {
      this.#queue.shift();
      this.#dropped(task);
    }
  }

  #dropped(task: Task): void {
    this.#stale--;
    if (task.cancelled()) task.setRunningOrNotifyCancel();
  }

  /** Gives a worker up to `share` calls: one, or as many as take some milliseconds. */
  #hand(worker: PoolWorker, share: number): void {
    const queue = this.#queue;
    const batch: Task[] = [];
    let load = worker.load;
    let transfer: readonly Transferable[] = [];
    const room = Math.min(share, worker.room);
    while (batch.length < room) {
      this.#dropDone();
      const task = queue.peek();
      if (task === undefined) break;
      const { cost, settings } = task;
      const first = worker.count + batch.length === 0;
      // One is given ahead in any case, where it is asked for one.
      if (!first && load + cost > AHEAD && !(worker.count === 1 && share === 1)) break;
      if (!this.#canImport(worker, settings.ref)) {
        if (first) this.#crew.retire(worker);
        break;
      }
      // What is moved can be sent once only: such a call has a worker to itself, and nothing is ever taken back from
      // it.
      const moves = settings.transfer.length > 0;
      if (moves && !first) break;
      queue.shift();
      task.load = moves ? LONG : Math.min(cost, LONG);
      load += task.load;
      batch.push(task);
      transfer = settings.transfer;
      if (moves) break;
    }
    if (batch.length > 0) this.#send(worker, batch, transfer);
    this.#crew.handed(worker);
  }

  #send(worker: PoolWorker, batch: readonly Task[], transfer: readonly Transferable[]): void {
    // Calls are mostly alike: where one had to go alone, the next one will. To offer all that are left each time would
    // take the longer the more they are.
    let company = batch.length;
    for (let at = 0; at < batch.length;) {
      // A getter of another one's arguments may have ended it.
      if (batch[at]!.done()) {
        at++;
        continue;
      }
      let end = at + 1;
      while (end < batch.length && end < at + company && !batch[end]!.done()) end++;
      const offered = batch.slice(at, end);
      try {
        const count = worker.send(offered, transfer);
        at += count;
        company = count < offered.length ? 1 : 2 * company;
      } catch (cause) {
        this.#crew.refuse(batch[at++]!, cause);
        company = 1;
      }
    }
    // By a getter of its own arguments, or of those that went along.
    for (const task of batch) if (task.done() && task.worker === worker) this.#crew.stop(worker, task);
  }

  #canImport(worker: PoolWorker, { origin }: FunctionRef): boolean {
    return !this.#settings.importsAtStart || origin.kind === "source" || origin.url.startsWith("data:") ||
      worker.modules.has(origin.url);
  }
}
