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
import { toMilliseconds } from "../_duration.ts";
import {
  type BrokenExecutorError,
  CancelledError,
  NotCloneableError,
  QueueFullError,
  RuntimeError,
  TimeoutError,
} from "./errors.ts";
import type { MapAdmission, ShutdownOptions, SubmitOptions } from "./executor.ts";
import { type ChunkFailure, failureIn, joinChunk } from "./_chunk.ts";
import { Admission } from "./_admission.ts";
import { type FunctionRef, functionRef } from "./_function_ref.ts";
import { NO_OPTIONS } from "./_no_options.ts";
import { cloneContext, notCloneable } from "./_not_cloneable.ts";
import { CoarseClock, PoolCounters } from "./_pool_counters.ts";
import type { TaskOutcome } from "./pool_events.ts";
import { infoOf, PoolObserver } from "./_pool_observer.ts";
import type { PoolSettings } from "./_pool_settings.ts";
import type { PoolStatistics, WorkerInfo } from "./pool_statistics.ts";
import { PoolWorker } from "./_pool_worker.ts";
import { SignalWatch } from "./_signals.ts";
import { CALL, type CallKind, Task, type TaskOwner, type TaskSettings, taskSettings } from "./_task.ts";
import { TaskQueue } from "./_task_queue.ts";
import type { TransportEvents, TransportExit } from "./_transport.ts";
import { crashError, endingOf, wantsRetry } from "./_worker_crash.ts";
import { IdleWatch, StuckWatch } from "./_worker_watch.ts";
import { expectRetrieval } from "./_unretrieved.ts";

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
/**
 * How long an idle pool waits before it closes its workers, where they cannot but keep the program alive. Milliseconds.
 */
const IDLE = 1000;
/** After how many workers in a row that died while they started a pool is given up. */
const MAX_FAILED_STARTS = 3;

/** The workers of all pools of this program that have not ended: what tests look at to see that none is left. */
export const liveWorkers: Set<PoolWorker> = new Set();

const NOTHING: readonly unknown[] = [];

const LOADING = Symbol.for("@skein/skein.loading");

export class Pool {
  readonly #settings: PoolSettings;
  readonly #queue = new TaskQueue();
  /** The workers that take calls, or will when they have started. */
  readonly #workers = new Set<PoolWorker>();
  /** The workers that get no more calls. */
  readonly #retired = new Set<PoolWorker>();
  /** How many tasks, and calls of `warmUp()`, have not ended. */
  #pending = 0;
  /** How many of them are streams that wait for their readers. */
  #stalled = 0;
  /** How many of the tasks in the queue are over. */
  #stale = 0;
  readonly #counters = new PoolCounters();
  readonly #clock = new CoarseClock();
  readonly #observer = new PoolObserver();
  readonly #admission = new Admission(() => !this.#isFull());
  /** The settings of the last call without options. */
  #plain: TaskSettings | undefined;
  #failedStarts = 0;
  #dispatching = false;
  #handing = false;
  /** How many workers in a row died while nothing was to be done. */
  #idleDeaths = 0;
  readonly #stuckWatch: StuckWatch;
  readonly #idleWatch: IdleWatch;
  #idling: ReturnType<typeof setTimeout> | undefined;
  #shutDown = false;
  #cancelling = false;
  #broken: BrokenExecutorError | undefined;
  readonly #ended = Promise.withResolvers<void>();
  /** Who waits for a worker to start or to end. */
  #watchers: (() => void)[] = [];
  /** The modules that tasks have needed. */
  readonly #modules = new Set<string>();
  readonly #signals = new SignalWatch((task, reason) => this.#abandon(task, reason));

  constructor(settings: PoolSettings) {
    const loading = (globalThis as { [LOADING]?: string })[LOADING];
    if (loading !== undefined) {
      throw new RuntimeError(
        `Cannot make a ${settings.name} while a worker imports ${loading}: the worker would start workers without end. ` +
          `Put the main part of that script under if (import.meta.main) { ... }`,
      );
    }
    this.#settings = settings;
    this.#stuckWatch = new StuckWatch(this.#workers, settings, (worker) => this.#takeBack(worker));
    this.#idleWatch = new IdleWatch(this.#workers, settings, (worker) => this.#retire(worker));
    if (settings.initializer !== undefined) this.#addModule(settings.initializer.ref);
    if (settings.minWorkers > 0) this.#dispatchSoon();
  }

  /** Queues a call. */
  submit(options: SubmitOptions, fn: unknown, args: readonly unknown[], kind: CallKind): Task {
    this.#assertOpen();
    const { signal, context } = options;
    signal?.throwIfAborted();
    const { onFull, maxQueue, name } = this.#settings;
    const ref = functionRef(fn);
    const task = new Task(this.#settingsOf(ref, options, kind), args, this.#owner);
    if (onFull === "reject" && !this.#admission.isGranted && this.#isFull()) {
      throw new QueueFullError(
        `Cannot submit ${ref.name} as ${maxQueue} calls wait in this ${name}, which is its maxQueue: await pool.room() before`,
      );
    }
    if (context) task.context = cloneContext(ref.name, context, this.#settings.toProcess);
    this.#addModule(ref);
    if (signal !== undefined) this.#signals.listen(signal, task);
    task.submittedAt = this.#clock.now;
    this.#counters.submitted++;
    this.#queue.push(task);
    this.#idleDeaths = 0;
    this.#hold();
    this.#dispatchSoon();
    this.#admission.entered();
    return task;
  }

  #settingsOf(ref: FunctionRef, options: SubmitOptions, kind: CallKind): TaskSettings {
    if (options !== NO_OPTIONS || kind !== CALL) return taskSettings(ref, options, this.#settings, kind);
    // A burst of calls is mostly memory, and this a good part of it.
    if (this.#plain?.ref !== ref) this.#plain = taskSettings(ref, options, this.#settings, kind);
    return this.#plain;
  }

  #assertOpen(): void {
    if (this.#broken !== undefined) {
      throw new this.#settings.Broken(this.#broken.message, { cause: this.#broken.cause });
    }
    if (this.#shutDown) throw new RuntimeError("Cannot schedule new futures after shutdown");
  }

  #addModule({ origin }: FunctionRef): void {
    if (origin.kind === "module" && !origin.url.startsWith("data:")) this.#modules.add(origin.url);
  }

  /** As `PoolExecutor.room`. */
  room(): Promise<void> {
    return this.#admission.wait();
  }

  /** What `map` heeds. */
  admission(): MapAdmission | undefined {
    const { maxQueue } = this.#settings;
    if (maxQueue === Infinity) return undefined;
    return {
      ahead: maxQueue,
      isFull: () => this.#isFull(),
      isCrowded: () => this.#admission.isCrowded,
      room: () => this.room(),
    };
  }

  /** As `PoolExecutor.warmUp`. */
  async warmUp(count: number): Promise<void> {
    this.#assertOpen();
    this.#hold();
    this.#idleWatch.pause();
    try {
      while (this.#broken === undefined && !this.#shutDown) {
        while (this.#workers.size < count) {
          if (this.#start()) continue;
          this.#assertOpen();
          throw new RuntimeError(`Cannot start ${count} workers: no more than ${this.#workers.size} would start`);
        }
        let ready = 0;
        for (const worker of this.#workers) if (worker.ready) ready++;
        if (ready >= count) return;
        await new Promise<void>((resolve) => this.#watchers.push(resolve));
      }
      this.#assertOpen();
    } finally {
      this.#idleWatch.resume();
      this.#letGo();
    }
  }

  /** As `PoolExecutor.statistics`. */
  statistics(): PoolStatistics {
    return this.#counters.statistics(this.#workers, this.#retired);
  }

  /** As `PoolExecutor.workers`. */
  workers(): WorkerInfo[] {
    return [...this.#workers, ...this.#retired].map(infoOf);
  }

  get maxWorkers(): number {
    return this.#settings.maxWorkers;
  }

  get observer(): PoolObserver {
    return this.#observer;
  }

  /** Lets a stream send so many values more. */
  grant(task: Task, count: number): void {
    task.worker?.transport.grant(task.seq, count);
    this.#setStalled(task, false);
  }

  /** Asks the generator of a stream to return. */
  stopStream(task: Task): void {
    task.worker?.transport.stopStream(task.seq);
    this.#setStalled(task, false);
  }

  /** As `Executor.shutdown`. */
  shutdown({ wait = true, cancelFutures = false, timeout }: ShutdownOptions): Promise<void> {
    const limit = toMilliseconds(timeout, "timeout");
    this.#shutDown = true;
    this.#tellWatchers();
    const callOff = after(limit, () => this.kill("SIGKILL", `shutdown(), as its time of ${limit} ms is over`));
    this.#ended.promise.then(callOff);
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
    this.#tellWatchers();
    this.#cancelAll();
    for (const worker of [...this.#workers, ...this.#retired]) {
      const tasks = worker.tasks();
      worker.release(tasks.map((task) => task.seq));
      const [running, ...waiting] = tasks;
      worker.transport.kill(signal);
      this.#retire(worker);
      for (const task of waiting) task.cancel();
      if (running !== undefined) this.#fail(worker, running, this.#broken);
    }
    this.#endIfDone();
    return Promise.resolve();
  }

  #cancelAll(): void {
    this.#cancelling = true;
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      if (task.done()) this.#dropped(task);
      else task.cancel();
    }
    for (const worker of this.#workers) {
      if (this.#settings.revokesAtOnce) { for (const task of worker.tasks()) task.cancel(); }
      else if (worker.count > 1) this.#takeBack(worker);
    }
    for (const worker of [...this.#workers, ...this.#retired]) {
      const task = worker.oldest();
      // Nobody may ever read on; who has left already waits for its end as it is.
      if (task?.settings.stream === undefined || task.settings.stream.isStopped || task.done()) continue;
      task.cut = true;
      this.stopStream(task);
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
    this.#handOut();
    if (this.#queue.length === 0) this.#shareOut();
    const { minWorkers, maxQueue, idleTimeout } = this.#settings;
    if (this.#workers.size < minWorkers) this.#keepWorkers();
    if (maxQueue !== Infinity) this.#admission.letIn();
    if (idleTimeout !== Infinity) this.#idleWatch.watch();
    this.#stuckWatch.watch();
    this.#clock.expire();
  }

  /** Whether as many calls wait as may. */
  #isFull(): boolean {
    const { maxQueue, maxWorkers } = this.#settings;
    if (this.#queue.length < maxQueue || this.#broken !== undefined || this.#shutDown) return false;
    // What a worker takes, or will when it has started, does not wait.
    this.#handOut();
    let free = maxWorkers - this.#workers.size;
    for (const worker of this.#workers) if (worker.count === 0) free++;
    return this.#queue.length - this.#stale >= maxQueue + free;
  }

  #handOut(): void {
    // Not again from a callback of what is being handed out.
    if (this.#queue.length === 0 || this.#broken !== undefined || this.#handing) return;
    this.#handing = true;
    try {
      this.#handToWorkers();
    } finally {
      this.#handing = false;
    }
  }

  #handToWorkers(): void {
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
    // Who starts will have nothing to do, either.
    let starting = false;
    for (const worker of this.#workers) if (worker.count === 0) starting = true;
    for (const worker of this.#workers) {
      if (queue.length === 0) break;
      if (!worker.ready || worker.count === 0 || worker.stuck) continue;
      if (worker.load < AHEAD / 2) this.#hand(worker, queue.length);
      else if (!starting && worker.count === 1 && worker.load < SHORT) this.#hand(worker, 1);
    }
  }

  /** Takes back what waits in one worker while another one has nothing to do, unless it is over in a moment. */
  #shareOut(): void {
    let free = false;
    let most: PoolWorker | undefined;
    for (const worker of this.#workers) {
      if (!worker.ready || worker.returning > 0) continue;
      if (worker.count === 0) free = true;
      else if (worker.count > 1 && worker.load > (most?.load ?? AHEAD)) most = worker;
    }
    if (free && most !== undefined) this.#takeBack(most);
  }

  /** Takes what was cancelled or given up off the front of the queue; with nothing else left, that is all of it. */
  #dropDone(): void {
    for (let task = this.#queue.peek(); task?.done(); task = this.#queue.peek()) {
      this.#queue.shift();
      this.#dropped(task);
    }
  }

  /** Takes note that a task was taken out of the queue that is over. */
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
        if (first) this.#retire(worker);
        break;
      }
      // What is moved can be sent once only: such a call has a worker to itself, and nothing is ever taken back from
      // it.
      const moves = settings.transfer.length > 0;
      const alone = moves || task.alone;
      if (alone && !first) break;
      queue.shift();
      task.load = moves ? LONG : Math.min(cost, LONG);
      load += task.load;
      batch.push(task);
      transfer = settings.transfer;
      if (alone) break;
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
      this.#fail(undefined, task, notCloneable(task.settings.ref.name, task.args, this.#settings.toProcess, cause));
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
    const { workerName, maxTasksPerWorker, initializer, startTimeout } = this.#settings;
    const worker = new PoolWorker(workerName(this.#counters.workersStarted), new Set(this.#modules), maxTasksPerWorker);
    // What a worker says that makes no sense is the transport's to deal with: it sees the error.
    const events: TransportEvents = {
      ready: () => {
        if (worker.ready) throw new TypeError("that it is ready, twice");
        worker.ready = true;
        worker.stopTimer();
        worker.progressAt = performance.now();
        this.#failedStarts = 0;
        this.#observer.workerStarted(worker);
        this.#tellWatchers();
        this.#dispatch();
      },
      broken: (error) => {
        if (worker.ready) throw new TypeError("that its initializer threw, after it had not");
        const shown = error instanceof Error ? `${error.name}: ${error.message}` : Deno.inspect(error);
        this.#break(`A worker's initializer threw ${shown}`, error);
      },
      succeeded: (seq, duration, value) => {
        const task = this.#settle(worker, seq, duration);
        if (task === undefined) return;
        const { isChunk, stream, retries } = task.settings;
        if (isChunk) {
          const failure = retries > 0 ? failureIn(value) : undefined;
          if (failure !== undefined && this.#retryRest(task, failure)) return;
          this.#succeed(worker, task, joinChunk(task.results, value));
        } else if (stream === undefined) this.#succeed(worker, task, value);
        // A reader must not take what was cut short for the whole.
        else if (task.cut && value === true) this.#fail(worker, task, new CancelledError("The pool was shut down"));
        else this.#succeed(worker, task, undefined);
      },
      failed: (seq, duration, error) => {
        const task = this.#settle(worker, seq, duration);
        if (task !== undefined && !this.#retry(task, error)) this.#fail(worker, task, error);
      },
      progress: (seq, value) => {
        const task = worker.speaker(seq);
        if (!task.done()) report(task, value);
      },
      yielded: (seq, value) => {
        const task = worker.speaker(seq);
        if (task.done()) return;
        if (task.settings.stream === undefined) throw new TypeError("a value of a call that is no stream");
        if (task.settings.stream.push(value)) this.#setStalled(task, true);
      },
      large: () => {
        this.#takeBack(worker);
        this.#retire(worker);
        this.#dispatchSoon();
      },
      unreadable: (seq) => this.#unreadable(worker, seq),
      drained: () => {
        worker.progressAt = this.#clock.now;
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
    this.#counters.workersStarted++;
    this.#workers.add(worker);
    liveWorkers.add(worker);
    if (this.#pending === 0) worker.transport.setRef(false);
    worker.stopTimer = after(
      startTimeout,
      () => worker.transport.kill("SIGKILL", `did not start within ${startTimeout} ms`),
      // Who waits for it holds the worker.
      { ref: false },
    );
    return true;
  }

  /** Starts workers that are to be there though nobody needs them. */
  #keepWorkers(): void {
    // Those that die without a reason would be started for ever.
    if (this.#idleDeaths === MAX_FAILED_STARTS || this.#shutDown || this.#broken !== undefined) return;
    if (this.#pending === 0 && !this.#settings.canUnref) return;
    while (this.#workers.size < this.#settings.minWorkers && this.#start());
  }

  #tellWatchers(): void {
    const watchers = this.#watchers;
    if (watchers.length > 0) this.#watchers = [];
    for (const watcher of watchers) watcher();
    if (this.#shutDown || this.#broken !== undefined) this.#admission.close();
  }

  /** Takes note that a worker is done with a call. Gives it back if it has no outcome yet. */
  #settle(worker: PoolWorker, seq: number, duration: number): Task | undefined {
    const task = worker.settle(seq);
    if (duration >= 0 && Number.isFinite(duration)) {
      task.learn(duration);
      this.#counters.runTime.record(duration);
      this.#counters.waitTime.record(this.#clock.now - task.submittedAt - duration);
    }
    if (this.#observer.seesTasks && !task.done()) this.#observer.started(worker, task);
    // It may have been given up, which was the outcome then.
    return task.done() ? undefined : task;
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
      if (this.#broken !== undefined) this.#fail(undefined, task, this.#broken);
      else if (this.#cancelling || task.settings.stream?.isStopped) task.cancel();
      else this.#queue.unshift(task);
    }
    this.#dispatchSoon();
  }

  /** A worker cannot read what it was sent: one of these calls has too deep an argument. */
  #unreadable(worker: PoolWorker, seq: number): void {
    if (!worker.ready) {
      const cause = new NotCloneableError("Cannot send the arguments of the initializer: they are nested too deeply");
      return this.#break(cause.message, cause);
    }
    const tasks = worker.tasks();
    const first = tasks.find((task) => task.seq === seq);
    if (first === undefined) throw new TypeError("that it could not read a call that it does not have");
    const suspects = tasks.filter((task) => task.seq >= seq && task.seq < seq + first.company);
    this.#takeBack(worker);
    for (const task of suspects) {
      if (task.worker !== undefined) throw new TypeError("that it could not read a call that it has started");
      if (first.company > 1) task.alone = true;
      else {
        const cause = new RangeError("they are nested too deeply");
        this.#abandon(task, notCloneable(task.settings.ref.name, task.args, false, cause));
      }
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

  #exited(worker: PoolWorker, exit: TransportExit): void {
    const expected = worker.retired;
    worker.stopTimer();
    this.#workers.delete(worker);
    this.#retired.delete(worker);
    liveWorkers.delete(worker);
    const tasks = worker.tasks();
    const running = tasks.filter((task) => worker.mayHaveStarted(task) || task.settings.transfer.length > 0);
    worker.release(tasks.map((task) => task.seq));
    const ending = endingOf(worker, exit);
    const breaks = !expected && this.#settings.onWorkerExit === "break";
    for (const task of running) {
      if (task.done()) continue;
      const error = crashError(ending, exit, task);
      if (breaks || !this.#retry(task, error)) this.#fail(worker, task, error, "crashed");
    }
    if (!expected) {
      this.#counters.workersCrashed++;
      if (this.#pending === 0) this.#idleDeaths++;
    }
    this.#observer.workerExited(worker, exit, !expected);
    if (breaks) this.#break(ending.whole, exit.cause);
    if (!worker.ready && !expected && ++this.#failedStarts === MAX_FAILED_STARTS) {
      const count = `the ${MAX_FAILED_STARTS}rd in a row that died while it started`;
      this.#break(`${ending.short}, ${count}${ending.words}`, exit.cause);
    }
    this.#takenBack(tasks.filter((task) => !running.includes(task)));
    this.#tellWatchers();
    this.#endIfDone();
  }

  /** Gives up: everything that has not started fails, what runs may end. */
  #break(message: string, cause: unknown): void {
    if (this.#broken !== undefined) return;
    this.#broken = new this.#settings.Broken(message, { cause });
    for (let task = this.#queue.shift(); task !== undefined; task = this.#queue.shift()) {
      if (task.done()) this.#dropped(task);
      else this.#fail(undefined, task, this.#broken);
    }
    for (const worker of this.#workers) {
      this.#takeBack(worker);
      this.#retire(worker);
    }
    this.#tellWatchers();
  }

  // -- Tasks

  readonly #owner: TaskOwner = {
    // As everywhere before the callbacks of the future, which may look at the statistics.
    cancelling: (task) => {
      this.#counters.cancelled++;
      if (task.queued) this.#stale++;
    },
    cancelled: (task, worker) => {
      this.#over(undefined, task, "cancelled");
      if (task.queued) return this.#dropStale();
      task.setRunningOrNotifyCancel();
      if (worker !== undefined) this.#watchTime(worker);
      // The worker that had it may have nothing to do now.
      this.#dispatchSoon();
    },
  };

  /** Keeps what was cancelled in the queue from being more than what was not. */
  #dropStale(): void {
    if (this.#stale < 1000 || this.#stale < this.#queue.length / 2) return;
    this.#queue.sweep((task) => {
      if (task.done()) this.#dropped(task);
      return task.done();
    });
  }

  #succeed(worker: PoolWorker, task: Task, value: unknown): void {
    this.#counters.completed++;
    task.setResult(value);
    this.#over(worker, task, "completed");
  }

  #fail(worker: PoolWorker | undefined, task: Task, error: unknown, outcome: "failed" | "crashed" = "failed"): void {
    if (task.done()) return;
    this.#counters[outcome]++;
    expectRetrieval(task, task.settings.ref.name, error);
    task.setException(error);
    this.#over(worker, task, outcome);
  }

  /** Takes note that a task has its outcome. */
  #over(worker: PoolWorker | undefined, task: Task, outcome: TaskOutcome): void {
    const { signal } = task.settings;
    task.args = NOTHING;
    task.context = undefined;
    if (signal !== undefined) this.#signals.unlisten(signal, task);
    this.#setStalled(task, false);
    if (this.#observer.seesTasks) this.#observer.ended(worker, task, outcome);
    this.#letGo();
  }

  /** Keeps the program alive. */
  #hold(): void {
    if (++this.#pending === this.#stalled + 1) this.#setRef(true);
  }

  /** Takes note that a stream waits for its reader, or no longer. One that does keeps nothing alive. */
  #setStalled(task: Task, stalled: boolean): void {
    if (task.stalled === stalled) return;
    task.stalled = stalled;
    this.#stalled += stalled ? 1 : -1;
    if (this.#onlyStalled) this.#setRef(false);
    else if (!stalled && this.#pending === this.#stalled + 1) this.#setRef(true);
  }

  /** Whether all that has not ended waits for somebody to read on; but who shuts down waits for the end of it. */
  get #onlyStalled(): boolean {
    return this.#stalled > 0 && this.#stalled === this.#pending && !this.#shutDown;
  }

  #letGo(): void {
    if (--this.#pending > 0) {
      if (this.#onlyStalled) this.#setRef(false);
      return;
    }
    this.#stuckWatch.stop();
    if (!this.#shutDown) this.#setRef(false);
    this.#endIfDone();
  }

  /** Queues a call again whose attempt ended with `error` and that no worker has any more, if that is wanted. */
  #retry(task: Task, error: unknown): boolean {
    if (!this.#mayRetry(task, error)) return false;
    this.#again(task);
    return true;
  }

  /** As `#retry`, for a chunk in which a call threw: that one runs again, and those behind it, which never did. */
  #retryRest(task: Task, { values, error }: ChunkFailure): boolean {
    if (values.length > 0) task.attempts = 1; // of another one
    if (!this.#mayRetry(task, error)) return false;
    task.results = [...task.results, ...values];
    task.args = task.args.slice(values.length);
    this.#again(task);
    return true;
  }

  #mayRetry(task: Task, error: unknown): boolean {
    const mayRun = (): boolean => !this.#cancelling && this.#broken === undefined;
    // Whoever is asked may end the pool.
    return mayRun() && wantsRetry(task, error) && mayRun();
  }

  #again(task: Task): void {
    task.attempts++;
    this.#counters.retried++;
    this.#queue.push(task);
    this.#dispatchSoon();
  }

  /** Nobody waits for this task any more: it never runs, or it is stopped as far as that can be done. */
  #abandon(task: Task, error: unknown): void {
    if (task.done()) return;
    const { worker } = task;
    const never = worker === undefined || worker.revoke(task);
    if (task.queued) this.#stale++;
    this.#fail(worker, task, error);
    if (worker === undefined) this.#dropStale();
    else {
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

  /** The time of a call is over that a worker runs. */
  #timedOut(worker: PoolWorker, task: Task): void {
    const { ref, timeout } = task.settings;
    const error = new TimeoutError(`The call of ${ref.name} took longer than ${timeout} ms`);
    if (!this.#mayRetry(task, error)) return this.#abandon(task, error);
    if (!worker.revoke(task)) {
      const standIn = new Task(task.settings, []);
      standIn.setException(error);
      worker.replace(task, standIn);
      this.#stop(worker, standIn);
    }
    this.#again(task);
    this.#watchTime(worker);
  }

  // -- Time

  /** Keeps an eye on the time limit of the call that a worker runs. */
  #watchTime(worker: PoolWorker): void {
    const task = worker.oldest();
    if (worker.watched === task && !task?.done()) return;
    worker.stopTimer();
    worker.watched = task;
    if (task === undefined || task.done()) return;
    if (this.#observer.seesTasks) this.#observer.started(worker, task);
    worker.stopTimer = after(task.settings.timeout, () => this.#timedOut(worker, task));
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
    this.#idleWatch.stop();
    for (const worker of this.#workers) this.#retire(worker);
    // What was given up before may never end.
    for (const worker of this.#retired) if (worker.count > 0) worker.transport.kill("SIGKILL");
    if (this.#retired.size === 0) this.#ended.resolve();
  }
}

/** Tells of a task's progress. That who listens throws is not the worker's fault. */
function report({ settings: { onProgress, ref } }: Task, value: unknown): void {
  try {
    onProgress?.(value);
  } catch (error) {
    console.error(`onProgress of a call of ${ref.name} threw:`, error);
  }
}
