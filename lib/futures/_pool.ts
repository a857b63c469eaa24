/**
 * The core of the pools: what becomes of calls and of workers. Who is given what is the {@linkcode Dispatcher}'s to say,
 * how long the program waits for it the {@linkcode Lifeline}'s.
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
import { Dispatcher } from "./_dispatcher.ts";
import { type FunctionRef, functionRef } from "./_function_ref.ts";
import { Lifeline } from "./_lifeline.ts";
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
import type { TransportEvents, TransportExit } from "./_transport.ts";
import { crashError, endingOf, wantsRetry } from "./_worker_crash.ts";
import { IdleWatch, StuckWatch } from "./_worker_watch.ts";
import { expectRetrieval } from "./_unretrieved.ts";

/** After how many workers in a row that died while they started a pool is given up. */
const MAX_FAILED_STARTS = 3;

/** The workers of all pools of this program that have not ended: what tests look at to see that none is left. */
export const liveWorkers: Set<PoolWorker> = new Set();

const NOTHING: readonly unknown[] = [];

/**
 * A worker that has not started the call that it has for so long, in milliseconds, when the time of that is over, is
 * blocked by what a call before it has left behind.
 */
const BLOCKED = 100;

const LOADING = Symbol.for("@skein/skein.loading");

export class Pool {
  readonly #settings: PoolSettings;
  /** The workers that take calls, or will when they have started. */
  readonly #workers = new Set<PoolWorker>();
  /** The workers that get no more calls. */
  readonly #retired = new Set<PoolWorker>();
  readonly #counters = new PoolCounters();
  readonly #clock = new CoarseClock();
  readonly #observer = new PoolObserver();
  readonly #admission = new Admission(() => !this.#isFull());
  readonly #lifeline: Lifeline;
  readonly #dispatcher: Dispatcher;
  /** The settings of the last call without options. */
  #plain: TaskSettings | undefined;
  #failedStarts = 0;
  #dispatching = false;
  /** How many workers in a row died while nothing was to be done. */
  #idleDeaths = 0;
  readonly #stuckWatch: StuckWatch;
  readonly #idleWatch: IdleWatch;
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
    this.#lifeline = new Lifeline(settings, {
      active: this.#workers,
      retired: this.#retired,
      retire: (worker) => this.#retire(worker),
    });
    this.#dispatcher = new Dispatcher(settings, {
      workers: this.#workers,
      dispatch: () => this.#dispatch(),
      start: () => this.#start(),
      retire: (worker) => this.#retire(worker),
      takeBack: (worker) => this.#takeBack(worker),
      handed: (worker) => this.#watchTime(worker),
      stop: (worker, task) => {
        if (!worker.revoke(task)) this.#stop(worker, task);
      },
      refuse: (task, cause) => {
        this.#fail(undefined, task, notCloneable(task.settings.ref.name, task.args, settings.toProcess, cause));
        this.#dispatchSoon();
      },
    });
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
    this.#dispatcher.push(task);
    this.#idleDeaths = 0;
    this.#lifeline.hold();
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
    this.#lifeline.hold();
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
    this.#lifeline.setStalled(task, false);
  }

  /** Asks the generator of a stream to return. */
  stopStream(task: Task): void {
    task.worker?.transport.stopStream(task.seq);
    this.#lifeline.setStalled(task, false);
  }

  /** As `Executor.shutdown`. */
  shutdown({ wait = true, cancelFutures = false, timeout }: ShutdownOptions): Promise<void> {
    const limit = toMilliseconds(timeout, "timeout");
    this.#shutDown = true;
    this.#lifeline.shutDown();
    this.#tellWatchers();
    const callOff = after(limit, () => this.kill("SIGKILL", `shutdown(), as its time of ${limit} ms is over`));
    this.#ended.promise.then(callOff);
    if (cancelFutures) this.#cancelAll();
    // Somebody waits for the workers to end, though no task does.
    if (wait) this.#lifeline.holdAll();
    this.#endIfDone();
    return wait ? this.#ended.promise : Promise.resolve();
  }

  /** As `ProcessPoolExecutor.killWorkers`: what is queued is cancelled, what runs ends with its worker. */
  kill(signal: Deno.Signal, what: string): Promise<void> {
    this.#shutDown = true;
    this.#lifeline.shutDown();
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
    this.#dispatcher.clear((task) => task.cancel());
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
    if (this.#broken === undefined) this.#dispatcher.handOut();
    const { minWorkers, maxQueue, idleTimeout } = this.#settings;
    if (this.#workers.size < minWorkers) this.#keepWorkers();
    if (maxQueue !== Infinity) this.#admission.letIn();
    if (idleTimeout !== Infinity) this.#idleWatch.watch();
    this.#stuckWatch.watch();
    this.#clock.expire();
  }

  /** Whether as many calls wait as may. */
  #isFull(): boolean {
    return this.#broken === undefined && !this.#shutDown && this.#dispatcher.isFull();
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
          try {
            const failure = retries > 0 ? failureIn(value) : undefined;
            if (failure !== undefined && this.#retryRest(task, failure)) return;
            this.#succeed(worker, task, joinChunk(task.results, value));
          } catch (error) {
            // What came makes no sense, and the worker no longer has the task: nobody else would end it.
            this.#fail(worker, task, error);
            throw error;
          }
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
        if (task.settings.stream.push(value)) this.#lifeline.setStalled(task, true);
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
    if (this.#lifeline.isIdle) worker.transport.setRef(false);
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
    if (this.#lifeline.isIdle && !this.#settings.canUnref) return;
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
    if (!this.#settings.revokesAtOnce) return;
    try {
      this.#returned(worker, seqs);
    } catch (error) {
      // A task has got at the memory that it shares with us.
      worker.transport.kill("SIGKILL", `sent back ${error instanceof Error ? error.message : error}`);
    }
  }

  #returned(worker: PoolWorker, seqs: readonly number[]): void {
    worker.returning--;
    const tasks = worker.release(seqs);
    this.#watchTime(worker);
    this.#takenBack(tasks);
    if (seqs.includes(worker.overdue)) this.#giveUp(worker);
    else this.#closeIfSpent(worker);
  }

  /** Ends a worker that does not start its calls. */
  #giveUp(worker: PoolWorker): void {
    worker.transport.kill("SIGKILL", "had not started a call when the time of that was over");
    this.#retire(worker);
    this.#dispatchSoon();
  }

  #takenBack(tasks: readonly Task[]): void {
    for (const task of tasks.toReversed()) {
      if (task.done()) continue;
      if (this.#broken !== undefined) this.#fail(undefined, task, this.#broken);
      else if (this.#cancelling || task.settings.stream?.isStopped) task.cancel();
      else this.#dispatcher.unshift(task);
    }
    this.#dispatchSoon();
  }

  /** A worker cannot read the call that it was sent, which has too deep an argument. */
  #unreadable(worker: PoolWorker, seq: number): void {
    if (!worker.ready) {
      const cause = new NotCloneableError("Cannot send the arguments of the initializer: they are nested too deeply");
      return this.#break(cause.message, cause);
    }
    const task = worker.tasks().find((task) => task.seq === seq);
    if (task === undefined) throw new TypeError("that it could not read a call that it does not have");
    this.#takeBack(worker);
    if (task.worker !== undefined) throw new TypeError("that it could not read a call that it has started");
    const cause = new RangeError("they are nested too deeply");
    this.#abandon(task, notCloneable(task.settings.ref.name, task.args, false, cause));
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
      if (breaks) this.#fail(worker, task, new this.#settings.Broken(error.message, { cause: error }), "crashed");
      else if (!this.#retry(task, error)) this.#fail(worker, task, error, "crashed");
    }
    if (!expected) {
      this.#counters.workersCrashed++;
      if (this.#lifeline.isIdle) this.#idleDeaths++;
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
    this.#dispatcher.clear((task) => this.#fail(undefined, task, this.#broken));
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
      this.#dispatcher.leave(task);
    },
    cancelled: (task, worker) => {
      this.#over(undefined, task, "cancelled");
      if (task.queued) return this.#dispatcher.tidy();
      task.setRunningOrNotifyCancel();
      if (worker !== undefined) this.#watchTime(worker);
      // The worker that had it may have nothing to do now.
      this.#dispatchSoon();
    },
  };

  #succeed(worker: PoolWorker, task: Task, value: unknown): void {
    this.#counters.completed++;
    task.succeed(value);
    this.#over(worker, task, "completed");
  }

  #fail(worker: PoolWorker | undefined, task: Task, error: unknown, outcome: "failed" | "crashed" = "failed"): void {
    if (task.done()) return;
    this.#counters[outcome]++;
    expectRetrieval(task, task.settings.ref.name, error);
    task.fail(error);
    this.#over(worker, task, outcome);
  }

  /** Takes note that a task has its outcome. */
  #over(worker: PoolWorker | undefined, task: Task, outcome: TaskOutcome): void {
    const { signal } = task.settings;
    task.args = NOTHING;
    task.context = undefined;
    if (signal !== undefined) this.#signals.unlisten(signal, task);
    this.#lifeline.setStalled(task, false);
    if (this.#observer.seesTasks) this.#observer.ended(worker, task, outcome);
    this.#letGo();
  }

  #letGo(): void {
    this.#lifeline.letGo();
    if (!this.#lifeline.isIdle) return;
    this.#stuckWatch.stop();
    this.#dispatcher.rest();
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
    this.#dispatcher.push(task);
    this.#dispatchSoon();
  }

  /** Nobody waits for this task any more: it never runs, or it is stopped as far as that can be done. */
  #abandon(task: Task, error: unknown): void {
    if (task.done()) return;
    const { worker } = task;
    const never = worker === undefined || worker.revoke(task);
    this.#dispatcher.leave(task);
    this.#fail(worker, task, error);
    if (worker === undefined) this.#dispatcher.tidy();
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
    if (timeout >= BLOCKED) worker.overdue = task.seq;
    if (worker.overdue === task.seq && !worker.mayHaveStarted(task)) this.#takeBack(worker);
    if (!this.#mayRetry(task, error)) return this.#abandon(task, error);
    if (task.worker === undefined) return; // it was taken back, and has not run
    if (!worker.revoke(task)) {
      const standIn = new Task(task.settings, []);
      standIn.fail(error);
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

  #endIfDone(): void {
    if (!this.#shutDown || !this.#lifeline.isIdle) return;
    this.#lifeline.end();
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
