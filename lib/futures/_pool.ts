/**
 * The scheduling core of the pools: a queue of calls, workers that are started as they are needed, and hand-out that
 * adapts to how long calls take.
 *
 * What it promises:
 * - Calls start in the order of their submission, as far as several workers allow an order.
 * - A call runs once, or never: it is given to a second worker only if the first one has certainly not started it.
 * - Every task ends: with the call's outcome, cancelled, or with an error that says what came in between.
 * - Tiny calls travel in batches. A call that takes long holds up no call behind it for more than some milliseconds
 *   while a worker is free.
 * @module
 */

import { after } from "../_after.ts";
import { Deque } from "../_deque.ts";
import { toMilliseconds } from "../_duration.ts";
import { type BrokenExecutorError, RuntimeError, TimeoutError, WorkerCrashedError, type WorkerExit } from "./errors.ts";
import type { ShutdownOptions, SubmitOptions } from "./executor.ts";
import { type FunctionRef, functionRef } from "./_function_ref.ts";
import { PoolWorker } from "./_pool_worker.ts";
import { assertCloneable, cloneContext, notCloneable } from "./_not_cloneable.ts";
import { Task } from "./_task.ts";
import type { Transport, TransportEvents } from "./_transport.ts";
import { expectRetrieval } from "./_unretrieved.ts";

/**
 * How much work a worker is given ahead, in milliseconds: enough to hide a round trip, too little to hold anybody up.
 */
const AHEAD = 2;
/** How long a worker may take for what it was given ahead before the rest is taken back, in milliseconds. */
const STUCK = 5;
/**
 * How long an idle pool waits before it closes its workers, where they cannot but keep the program alive. Milliseconds.
 */
const IDLE = 1000;
/** After how many workers in a row that died while they started a pool is given up. */
const MAX_FAILED_STARTS = 3;

/** What a worker runs before its first call. */
export interface Initializer {
  readonly ref: FunctionRef;
  readonly args: readonly unknown[];
}

/** What distinguishes one pool from another. */
export interface PoolSettings {
  /** For messages: `"ThreadPoolExecutor"`. */
  readonly name: string;
  readonly workerName: (index: number) => string;
  readonly maxWorkers: number;
  readonly initializer: Initializer | undefined;
  readonly maxTasksPerWorker: number;
  readonly onWorkerExit: "replace" | "break";
  readonly Broken: new (message: string, options?: ErrorOptions) => BrokenExecutorError;
  /** Whether arguments go to another process. */
  readonly toProcess: boolean;
  /** Whether it is known at once which calls are taken back. */
  readonly revokesAtOnce: boolean;
  /** Whether a worker can be kept from keeping the program alive. */
  readonly canUnref: boolean;
  /** Whether a worker can import only the modules that it was started with, and `data:` URLs. */
  readonly importsAtStart: boolean;
  readonly start: (worker: PoolWorker, initializer: Initializer | undefined, events: TransportEvents) => Transport;
}

/** The workers of all pools of this program that have not ended: what tests look at to see that none is left. */
export const liveWorkers: Set<PoolWorker> = new Set();

const LOADING = Symbol.for("@skein/skein.loading");

/** The initializer of a pool, from its options. */
export function toInitializer(
  { initializer, initargs = [] }: {
    initializer?: ((...args: never[]) => unknown) | undefined;
    initargs?: readonly unknown[] | undefined;
  },
  toProcess: boolean,
): Initializer | undefined {
  if (initializer === undefined) return undefined;
  assertCloneable("the initializer", initargs, toProcess);
  return { ref: functionRef(initializer), args: [...initargs] };
}

export class Pool {
  readonly #settings: PoolSettings;
  readonly #queue = new Deque<Task>();
  /** The workers that take calls, or will when they have started. */
  readonly #workers = new Set<PoolWorker>();
  /** The workers that get no more calls. */
  readonly #retired = new Set<PoolWorker>();
  /** How many tasks have not ended. */
  #pending = 0;
  /** How many tasks were cancelled while they were queued, since the queue was last cleared of them. */
  #stale = 0;
  #started = 0;
  #failedStarts = 0;
  #dispatching = false;
  #watching: ReturnType<typeof setTimeout> | undefined;
  #idling: ReturnType<typeof setTimeout> | undefined;
  #shutDown = false;
  #cancelling = false;
  #broken: BrokenExecutorError | undefined;
  readonly #ended = Promise.withResolvers<void>();
  /** The modules that tasks have needed. */
  readonly #modules = new Set<string>();
  /** One listener a signal, however many tasks it is for. */
  readonly #signals = new Map<AbortSignal, { readonly tasks: Set<Task>; readonly listener: () => void }>();

  constructor(settings: PoolSettings) {
    const loading = (globalThis as { [LOADING]?: string })[LOADING];
    if (loading !== undefined) {
      throw new RuntimeError(
        `Cannot make a ${settings.name} while a worker imports ${loading}: the worker would start workers without end. ` +
          `Put the main part of that script under if (import.meta.main) { ... }`,
      );
    }
    this.#settings = settings;
    if (settings.initializer !== undefined) this.#addModule(settings.initializer.ref);
  }

  /** Queues a call. */
  submit(options: SubmitOptions, fn: unknown, args: readonly unknown[], isChunk: boolean): Task {
    if (this.#broken !== undefined) {
      throw new this.#settings.Broken(this.#broken.message, { cause: this.#broken.cause });
    }
    if (this.#shutDown) throw new RuntimeError("Cannot schedule new futures after shutdown");
    const { signal, timeout, transfer, context } = options;
    signal?.throwIfAborted();
    const limit = toMilliseconds(timeout, "timeout");
    if (limit < 0) throw new RangeError(`Cannot use ${limit} as timeout: pass at least 0 milliseconds`);
    const ref = functionRef(fn);
    const task = new Task({ ref, isChunk, transfer: transfer ?? [], timeout: limit, signal }, args, this.#onCancel);
    if (context) task.context = cloneContext(ref.name, context, this.#settings.toProcess);
    this.#addModule(ref);
    if (signal !== undefined) this.#listen(signal, task);
    this.#queue.push(task);
    if (++this.#pending === 1) this.#setRef(true);
    this.#dispatchSoon();
    return task;
  }

  #addModule({ origin }: FunctionRef): void {
    if (origin.kind === "module" && !origin.url.startsWith("data:")) this.#modules.add(origin.url);
  }

  /** As `Executor.shutdown`. */
  shutdown({ wait = true, cancelFutures = false }: ShutdownOptions): Promise<void> {
    this.#shutDown = true;
    if (cancelFutures) this.#cancelAll();
    // Somebody waits for the workers to end, though no task does.
    if (wait) { for (const worker of [...this.#workers, ...this.#retired]) worker.transport.setRef(true); }
    this.#endIfDone();
    return wait ? this.#ended.promise : Promise.resolve();
  }

  /** As `ProcessPoolExecutor.killWorkers`: what is queued is cancelled, what runs ends with its worker. */
  kill(signal: Deno.Signal, what: string): Promise<void> {
    this.#shutDown = true;
    this.#broken ??= new this.#settings.Broken(`The workers were ended by ${what}`);
    this.#cancelAll();
    for (const worker of [...this.#workers, ...this.#retired]) {
      const tasks = worker.tasks();
      worker.release(tasks.map((task) => task.seq));
      const [running, ...waiting] = tasks;
      worker.transport.kill(signal);
      this.#retire(worker);
      for (const task of waiting) task.cancel();
      if (running !== undefined) this.#fail(running, this.#broken);
    }
    this.#endIfDone();
    return Promise.resolve();
  }

  #cancelAll(): void {
    this.#cancelling = true;
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      task.cancel();
      if (task.cancelled()) task.setRunningOrNotifyCancel();
    }
    for (const worker of this.#workers) {
      if (this.#settings.revokesAtOnce) { for (const task of worker.tasks()) task.cancel(); }
      else if (worker.count > 1) this.#takeBack(worker);
    }
  }

  // -- Handing out

  #dispatchSoon(): void {
    if (this.#dispatching) return;
    this.#dispatching = true;
    // What is submitted in one go is handed out in one go.
    queueMicrotask(() => {
      this.#dispatching = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    this.#dropDone();
    if (this.#queue.length > 0 && this.#broken === undefined) this.#handOut();
    this.#watch();
  }

  #handOut(): void {
    const queue = this.#queue;
    let idle = 0;
    for (const worker of this.#workers) if (worker.count === 0) idle++;
    const { maxWorkers } = this.#settings;
    while (idle < queue.length && this.#workers.size < maxWorkers && this.#broken === undefined) {
      if (!this.#start()) break;
      idle++;
    }
    // First those that have nothing to do; only then ahead, so that no call waits behind another one while a worker is
    // idle.
    let free = 0;
    for (const worker of this.#workers) if (worker.ready && worker.count === 0) free++;
    for (const worker of this.#workers) {
      if (worker.ready && worker.count === 0) this.#hand(worker, Math.ceil(queue.length / free--));
    }
    for (const worker of this.#workers) {
      if (queue.length === 0) break;
      if (worker.ready && worker.count > 0 && !worker.stuck && worker.load < AHEAD / 2) {
        this.#hand(worker, queue.length);
      }
    }
  }

  /** Takes what was cancelled or given up off the front of the queue; with nothing else left, that is all of it. */
  #dropDone(): void {
    for (let task = this.#queue.peek(); task?.done(); task = this.#queue.peek()) {
      this.#queue.shift();
      if (task.cancelled()) task.setRunningOrNotifyCancel();
    }
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
      if (!first && load + cost > AHEAD) break;
      if (!this.#canImport(worker, settings.ref)) {
        if (first) this.#retire(worker);
        break;
      }
      // What is moved can be sent once only: such a call has a worker to itself, and nothing is ever taken back from
      // it.
      const moves = settings.transfer.length > 0;
      if (moves && !first) break;
      queue.shift();
      task.load = moves ? AHEAD : Math.min(cost, AHEAD);
      load += task.load;
      batch.push(task);
      transfer = settings.transfer;
      if (moves) break;
    }
    if (batch.length > 0) this.#send(worker, batch, transfer);
    this.#watchTime(worker);
  }

  #send(worker: PoolWorker, batch: readonly Task[], transfer: readonly Transferable[]): void {
    try {
      worker.send(batch, transfer);
    } catch (cause) {
      if (batch.length > 1) {
        for (const task of batch) this.#send(worker, [task], transfer);
        return;
      }
      const [task] = batch as [Task];
      this.#fail(task, notCloneable(task.settings.ref.name, task.args, this.#settings.toProcess, cause));
      this.#dispatchSoon();
    }
  }

  #canImport(worker: PoolWorker, { origin }: FunctionRef): boolean {
    return !this.#settings.importsAtStart || origin.kind === "source" || origin.url.startsWith("data:") ||
      worker.modules.has(origin.url);
  }

  // -- Workers

  /** Starts a worker. That it cannot is no harm as long as there are others. */
  #start(): boolean {
    const { workerName, maxTasksPerWorker, initializer } = this.#settings;
    const worker = new PoolWorker(workerName(this.#started++), new Set(this.#modules), maxTasksPerWorker);
    // What a worker says that makes no sense is the transport's to deal with: it sees the error.
    const events: TransportEvents = {
      ready: () => {
        if (worker.ready) throw new TypeError("that it is ready, twice");
        worker.ready = true;
        this.#failedStarts = 0;
        this.#dispatch();
      },
      broken: (error) => {
        if (worker.ready) throw new TypeError("that its initializer threw, after it had not");
        const shown = error instanceof Error ? `${error.name}: ${error.message}` : Deno.inspect(error);
        this.#break(`A worker's initializer threw ${shown}`, error);
      },
      succeeded: (seq, duration, value) => this.#settle(worker, seq, duration, (task) => task.setResult(value)),
      failed: (seq, duration, error) => this.#settle(worker, seq, duration, (task) => throwTo(task, error)),
      drained: () => {
        worker.progressAt = performance.now();
        this.#closeIfSpent(worker);
        this.#watchTime(worker);
        this.#dispatch();
      },
      returned: (seqs) => this.#returned(worker, seqs),
      lost: () => this.#retire(worker),
      exited: (exit) => this.#exited(worker, exit),
    };
    try {
      worker.transport = this.#settings.start(worker, initializer, events);
    } catch (error) {
      if (this.#workers.size > 0) return false;
      const { message, cause } = error as Error;
      this.#break(message, cause);
      return false;
    }
    this.#workers.add(worker);
    liveWorkers.add(worker);
    return true;
  }

  #settle(worker: PoolWorker, seq: number, duration: number, set: (task: Task) => void): void {
    const task = worker.settle(seq);
    if (duration >= 0 && Number.isFinite(duration)) task.learn(duration);
    // It may have been given up, which was the outcome then.
    if (task.done()) return;
    set(task);
    this.#over(task);
  }

  /** Takes back what a worker has not started. */
  #takeBack(worker: PoolWorker): void {
    worker.returning++;
    const seqs = worker.transport.takeBack();
    if (this.#settings.revokesAtOnce) this.#returned(worker, seqs);
  }

  #returned(worker: PoolWorker, seqs: readonly number[]): void {
    worker.returning--;
    const tasks = worker.release(seqs);
    this.#watchTime(worker);
    this.#takenBack(tasks);
    this.#closeIfSpent(worker);
  }

  #takenBack(tasks: readonly Task[]): void {
    for (const task of tasks.toReversed()) {
      if (task.done()) continue;
      if (this.#broken !== undefined) this.#fail(task, this.#broken);
      else if (this.#cancelling) task.cancel();
      else this.#queue.unshift(task);
    }
    this.#dispatchSoon();
  }

  /** Gives a worker no more calls; it is closed as soon as it has none. */
  #retire(worker: PoolWorker): void {
    if (!worker.retired) {
      worker.retired = true;
      this.#workers.delete(worker);
      this.#retired.add(worker);
    }
    this.#closeIfSpent(worker);
  }

  #closeIfSpent(worker: PoolWorker): void {
    if (worker.count > 0) return;
    if (worker.retired) worker.transport.close();
    else if (worker.remaining === 0) {
      this.#retire(worker);
      this.#dispatchSoon();
    }
  }

  #exited(worker: PoolWorker, exit: WorkerExit & { message: string; cause?: unknown }): void {
    const expected = worker.retired;
    worker.stopTimer();
    this.#workers.delete(worker);
    this.#retired.delete(worker);
    liveWorkers.delete(worker);
    const tasks = worker.tasks();
    const running = tasks.filter((task) => worker.mayHaveStarted(task) || task.settings.transfer.length > 0);
    worker.release(tasks.map((task) => task.seq));
    const { message, cause, ...how } = exit;
    const last = how.stderr?.trimEnd().split("\n").slice(-5).join("\n");
    const ending = `The worker ${worker.name} ${message}`;
    const words = last ? `; its last lines on stderr:\n${last}` : "";
    for (const task of running) {
      if (task.done()) continue;
      const options = { ...how, ...(cause === undefined ? {} : { cause }) };
      this.#fail(task, new WorkerCrashedError(`${ending} while it ran ${task.settings.ref.name}${words}`, options));
    }
    if (!expected && this.#settings.onWorkerExit === "break") this.#break(ending + words, cause);
    if (!worker.ready && !expected && ++this.#failedStarts === MAX_FAILED_STARTS) {
      this.#break(`${ending}, the ${MAX_FAILED_STARTS}rd in a row that died while it started${words}`, cause);
    }
    this.#takenBack(tasks.filter((task) => !running.includes(task)));
    this.#endIfDone();
  }

  /** Gives up: everything that has not started fails, what runs may end. */
  #break(message: string, cause: unknown): void {
    if (this.#broken !== undefined) return;
    this.#broken = new this.#settings.Broken(message, { cause });
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      if (!task.done()) this.#fail(task, this.#broken);
    }
    for (const worker of this.#workers) {
      this.#takeBack(worker);
      this.#retire(worker);
    }
  }

  // -- Tasks

  readonly #onCancel = (task: Task, worker: PoolWorker | undefined): void => {
    this.#over(task);
    if (worker === undefined) this.#dropStale();
    else {
      task.setRunningOrNotifyCancel();
      this.#watchTime(worker);
      // The worker that had it may have nothing to do now.
      this.#dispatchSoon();
    }
  };

  /** Keeps what was cancelled in the queue from being more than what was not. */
  #dropStale(): void {
    if (++this.#stale < 1000 || this.#stale < this.#queue.length / 2) return;
    this.#stale = 0;
    for (let rest = this.#queue.length; rest > 0; rest--) {
      const task = this.#queue.shift()!;
      if (!task.done()) this.#queue.push(task);
      else if (task.cancelled()) task.setRunningOrNotifyCancel();
    }
  }

  #fail(task: Task, error: unknown): void {
    if (task.done()) return;
    throwTo(task, error);
    this.#over(task);
  }

  /** Takes note that a task has its outcome. */
  #over(task: Task): void {
    const { signal } = task.settings;
    task.args = [];
    task.context = undefined;
    if (signal !== undefined) this.#unlisten(signal, task);
    if (--this.#pending === 0) {
      clearTimeout(this.#watching);
      this.#watching = undefined;
      if (!this.#shutDown) this.#setRef(false);
      this.#endIfDone();
    }
  }

  /** Nobody waits for this task any more: it never runs, or it is stopped as far as that can be done. */
  #abandon(task: Task, error: unknown): void {
    if (task.done()) return;
    const { worker } = task;
    const never = worker === undefined || worker.revoke(task);
    throwTo(task, error);
    this.#over(task);
    if (worker !== undefined) {
      if (!never) this.#stop(worker, task);
      this.#watchTime(worker);
    }
    this.#dispatchSoon();
  }

  /** Stops a worker that runs the task; if it does not, it goes on. */
  #stop(worker: PoolWorker, task: Task): void {
    const { seq } = task;
    const head = worker.oldest()?.seq ?? -1;
    this.#takeBack(worker);
    if (task.worker === worker && worker.transport.abandon(seq, head)) this.#retire(worker);
  }

  #listen(signal: AbortSignal, task: Task): void {
    let entry = this.#signals.get(signal);
    if (entry === undefined) {
      const tasks = new Set<Task>();
      entry = {
        tasks,
        listener: () => {
          for (const task of [...tasks]) this.#abandon(task, signal.reason);
        },
      };
      signal.addEventListener("abort", entry.listener, { once: true });
      this.#signals.set(signal, entry);
    }
    entry.tasks.add(task);
  }

  #unlisten(signal: AbortSignal, task: Task): void {
    const entry = this.#signals.get(signal);
    entry?.tasks.delete(task);
    if (entry?.tasks.size === 0) {
      signal.removeEventListener("abort", entry.listener);
      this.#signals.delete(signal);
    }
  }

  // -- Time

  /** Keeps an eye on the time limit of the call that a worker runs. */
  #watchTime(worker: PoolWorker): void {
    const task = worker.oldest();
    if (worker.watched === task && !task?.done()) return;
    worker.stopTimer();
    worker.watched = task;
    if (task === undefined || task.done()) return;
    const { ref, timeout } = task.settings;
    worker.stopTimer = after(
      timeout,
      () => this.#abandon(task, new TimeoutError(`The call of ${ref.name} took longer than ${timeout} ms`)),
    );
  }

  /** Takes back what waits behind a call that takes longer than expected. */
  #watch(): void {
    if (this.#watching !== undefined || !this.#needsWatch()) return;
    this.#watching = setTimeout(() => {
      this.#watching = undefined;
      if (this.#needsWatch()) {
        const now = performance.now();
        for (const worker of this.#workers) {
          if (worker.count < 2 || worker.stuck || now - worker.progressAt < STUCK) continue;
          worker.stuck = true;
          this.#takeBack(worker);
        }
      }
      this.#watch();
    }, STUCK);
  }

  #needsWatch(): boolean {
    let deep = false;
    // Without shared memory, only what is back in the queue can be cancelled.
    let someone = !this.#settings.revokesAtOnce || this.#workers.size < this.#settings.maxWorkers;
    for (const worker of this.#workers) {
      if (worker.count > 1 && !worker.stuck) deep = true;
      if (worker.count === 0) someone = true;
    }
    return deep && someone;
  }

  // -- Ending

  #setRef(ref: boolean): void {
    clearTimeout(this.#idling);
    for (const worker of this.#workers) worker.transport.setRef(ref);
    // What was given up and burns on must not.
    if (!ref) { for (const worker of this.#retired) worker.transport.setRef(false); }
    if (ref || this.#settings.canUnref || this.#shutDown) return;
    const timer = setTimeout(() => {
      for (const worker of this.#workers) this.#retire(worker);
    }, IDLE);
    Deno.unrefTimer(timer);
    this.#idling = timer;
  }

  #endIfDone(): void {
    if (!this.#shutDown || this.#pending > 0) return;
    clearTimeout(this.#idling);
    for (const worker of this.#workers) this.#retire(worker);
    // What was given up before may never end.
    for (const worker of this.#retired) if (worker.count > 0) worker.transport.kill("SIGKILL");
    if (this.#retired.size === 0) this.#ended.resolve();
  }
}

function throwTo(task: Task, error: unknown): void {
  expectRetrieval(task, task.settings.ref.name, error);
  task.setException(error);
}
