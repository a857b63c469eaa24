/**
 * {@linkcode EventLoop}: runs callbacks and tasks, one after the other.
 * @module
 */

import { Deque } from "../_deque.ts";
import type { DurationLike } from "../_duration.ts";
import { toDelay } from "./_delay.ts";
import { CancelledError as CallCancelledError } from "../futures/errors.ts";
import type { Executor, SubmitOptions } from "../futures/executor.ts";
import { observe, outcomeOf } from "../futures/future.ts";
import { ThreadPoolExecutor } from "../futures/thread_pool_executor.ts";
import { forgetCalls } from "./_call.ts";
import { current, currentFrame, type Frame, frames } from "./_current.ts";
import { afterHostTurn, afterMicrotasks } from "./_host.ts";
import type { Runnable } from "./_runnable.ts";
import { SignalHandlers } from "./_signal_handlers.ts";
import { TaskList } from "./_task_list.ts";
import { TimeSlice } from "./_time_slice.ts";
import { TimerHeap } from "./_timer_heap.ts";
import { forgetOrigin } from "./cancel_origin.ts";
import { type Clock, MonotonicClock, type WakeUp } from "./clock.ts";
import { Context, inheritedContext, travellingValues } from "./context.ts";
import { type Awaitable, type AwaitedOf, closeCoroutine, iscoroutinefunction, watchCoroutines } from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import { DeadlockError, endsLoop, RuntimeError } from "./exceptions.ts";
import { Future, isfuture, type Unretrieved } from "./future.ts";
import { Handle, TimerHandle } from "./handle.ts";
import { Task, type TaskOptions } from "./task.ts";
import { wrapCall, wrapFuture } from "./wrap_future.ts";
import { requireOptions, shown } from "../_require.ts";

/**
 * After how many iterations at most a waiting timer is compared with the time; it is some microseconds late at most.
 */
const ITERATIONS_PER_LOOK = 16;

/**
 * How many turns of the microtask queue native code that was let go on may take to its next wait or its end before the
 * loop goes on without it. Code that takes more only loses its place in the order.
 */
const HOPS = 100;

/** Options of {@linkcode EventLoop}. */
export interface EventLoopOptions {
  /**
   * Where it gets the time from.
   * @default {new MonotonicClock()}
   */
  clock?: Clock | undefined;
  /**
   * Whether it notes where tasks and handles are made and warns of slow callbacks and of coroutines that are never
   * awaited.
   * @default {false}
   */
  debug?: boolean | undefined;
}

/** Options of the methods of {@linkcode EventLoop} that schedule a callback with options. */
export interface ScheduleOptions {
  /** The context to call it in. A copy of the current one by default. */
  context?: Context | undefined;
}

/** Options of {@linkcode EventLoop.runInExecutorWith} and {@linkcode toThreadWith}. */
export interface RunInExecutorOptions extends Omit<SubmitOptions, "context"> {
  /**
   * What becomes of a call that runs when nobody waits for it any more, as its future was cancelled: `true` leaves it to
   * itself, as CPython does; `false` stops it as {@linkcode SubmitOptions.signal} does. A child process is killed. A
   * thread is told ({@linkcode checkCancelled}, {@linkcode taskSignal}) and gets no more calls. Either way who waited
   * goes on at once, since a thread may never end. A call that has not started never runs, except with `true` one that
   * a child process has been handed ahead, of which `cancel()` cannot tell.
   * @default {true}
   */
  abandon?: boolean | undefined;
  /**
   * The context whose variables that travel go along ({@linkcode ContextVarOptions.travels}). `runInExecutorWith` takes
   * none by default, `toThreadWith` the current one.
   */
  context?: Context | undefined;
}

/** What an exception handler is told. */
export interface ExceptionContext {
  /** What happened. */
  readonly message: string;
  /** The exception, if there is one. */
  readonly exception?: unknown;
  /** The future it is about. */
  readonly future?: Future<unknown> | undefined;
  /** The task it is about. */
  readonly task?: Task<unknown> | undefined;
  /** The handle whose callback it is about. */
  readonly handle?: Handle | undefined;
  /** What a handler was told that threw `exception` itself. */
  readonly context?: ExceptionContext | undefined;
}

/** What {@linkcode EventLoop.setExceptionHandler} takes. */
export type ExceptionHandler = (loop: EventLoop, context: ExceptionContext) => unknown;

/** What {@linkcode EventLoop.setTaskFactory} takes. */
export type TaskFactory = <T>(loop: EventLoop, coroutine: Awaitable<T>, options: TaskOptions) => Task<T>;

interface Run {
  readonly until: Future<unknown> | null;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Visitor {
  readonly reject: (error: unknown) => void;
  readonly outside: boolean;
}

/**
 * Runs callbacks and tasks, one after the other, and waits when there are none. CPython's `asyncio.EventLoop`.
 *
 * The order is CPython's. In each iteration the callbacks run that are ready when it begins, the timers that are due
 * after them; what these schedule runs in the next iteration. Timers of one deadline run in the order they were made
 * in.
 *
 * While a loop runs it keeps the program alive; when it does not, it holds nothing open. Its methods that run it return
 * promises, as JavaScript does not block. The host's own I/O, timers and signals are served every few milliseconds
 * however busy it is.
 *
 * @example
 * ```ts
 * import { EventLoop } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * using loop = new EventLoop();
 * const order: string[] = [];
 * loop.callSoon(() => order.push("soon"));
 * loop.callLater({ milliseconds: 1 }, () => loop.stop());
 * await loop.runForever();
 * assertEquals(order, ["soon"]);
 * ```
 */
export class EventLoop implements Disposable {
  #debug = false;
  /** How long a callback may take before debug mode warns of it, in milliseconds. */
  slowCallbackDuration = 100;

  /**
   * Exceptions that nobody has taken note of yet.
   *
   * @internal
   */
  readonly _unretrieved: Set<Unretrieved> = new Set();
  /**
   * Connections, servers and processes, which end with the loop.
   *
   * @internal
   */
  readonly _resources: Set<Disposable> = new Set();
  /**
   * The tasks that are not done.
   *
   * @internal
   */
  readonly _tasks: TaskList = new TaskList();
  /**
   * Native code that was let go on in this round and neither waits again nor has ended.
   *
   * @internal
   */
  _released = 0;
  /**
   * Counts the times that the loop waited for such code; older releases are forgotten.
   *
   * @internal
   */
  _round = 0;
  /**
   * How much native code in the loop this waits for: calls of tasks and promises that futures stand for, until they end.
   * For as long as such code waits for this loop in its turn, it is taken off.
   *
   * @internal
   */
  _nativesInside = 0;
  /**
   * Turns of the host that something waits for.
   *
   * @internal
   */
  _nativeTurns = 0;

  readonly #clock: Clock;
  readonly #ready = new Deque<Runnable>();
  readonly #timers = new TimerHeap();
  /** Handles of the current iteration that are still to run. */
  #todo = 0;
  #run: Run | null = null;
  /** Those outside of the loop who wait for one of its futures; it runs as long as there are any. */
  readonly #visitors = new Map<object, Visitor>();
  /** As `_nativesInside`, of code outside of the loop. */
  #nativesOutside = 0;
  /** Set when code outside of the loop was let go on, which may have more to wait for. */
  #visitorLeft = false;
  #stopping = false;
  #closed = false;
  /** Whether it runs at this moment or has a turn coming, so that nobody needs to wake it. */
  #busy = false;
  /** Whether it waits in the middle of an iteration for native code to go on. */
  #paused = false;
  #hops = 0;
  readonly #timeSlice = new TimeSlice();
  #iterations = 0;
  #now = 0;
  #wakeUp: WakeUp | null = null;
  #wakeUpAt = Infinity;
  /** Calls off what is to be looked at when all microtasks have run. */
  #forgetHost: (() => void) | null = null;
  readonly #taskOptions: { readonly loop: EventLoop };
  #taskFactory: TaskFactory | null = null;
  #exceptionHandler: ExceptionHandler | null = null;
  #executor: Executor | null = null;
  #executorShutDown = false;
  readonly #signalHandlers = new SignalHandlers();
  readonly #enter: (slice: () => void) => void;

  /**
   * A loop that does not run yet.
   *
   * @param options The clock and the debug mode.
   * @throws {TypeError} If `options` is no object, or its clock none.
   */
  constructor(options: EventLoopOptions = {}) {
    this.#clock = clockOf(options) ?? new MonotonicClock();
    this.debug = options.debug ?? false;
    this.#taskOptions = { loop: this };
    const frame: Frame = {
      _loop: this,
      _task: null,
      _native: null,
      _context: undefined,
    };
    // Else the request in whose handler the loop was woken would leak into other tasks.
    this.#enter = frames.alone(frame);
  }

  /**
   * Whether it is in debug mode. What is made while it is knows where it was made. CPython's `get_debug()` and
   * `set_debug()`.
   */
  get debug(): boolean {
    return this.#debug;
  }

  set debug(debug: boolean) {
    if (debug !== this.#debug) watchCoroutines(debug);
    this.#debug = debug;
  }

  // -- Running

  /**
   * Runs until {@linkcode EventLoop.stop} is called. If it was called before, one iteration runs, without waiting.
   *
   * @throws {RuntimeError} (as a rejection) If the loop is closed or runs already, or in code that a loop runs.
   */
  runForever(): Promise<void> {
    return this.#start(null);
  }

  /**
   * Runs until `awaitable` is done.
   *
   * @typeParam A The type of the awaitable.
   * @param awaitable What to wait for; anything but a future becomes a task.
   * @returns Its result.
   * @throws {RuntimeError} (as a rejection) If the loop was stopped before, and where {@linkcode EventLoop.runForever}
   * does.
   * @throws {DeadlockError} (as a rejection) On a virtual clock, if nothing is left that could end it.
   */
  async runUntilComplete<A extends Awaitable<unknown>>(awaitable: A): Promise<AwaitedOf<A>> {
    try {
      this.#checkStart();
    } catch (error) {
      closeCoroutine(awaitable);
      throw error;
    }
    const isNew = !isfuture(awaitable);
    const future = ensureFuture(awaitable, { loop: this });
    const stop = (): void => {
      if (!future.cancelled() && future._throws() && endsLoop(future.exception())) return;
      this.stop();
    };
    future.addDoneCallback(stop);
    try {
      await this.#start(future);
    } catch (error) {
      if (isNew) future._markRetrieved();
      throw error;
    } finally {
      future.removeDoneCallback(stop);
    }
    if (!future.done()) {
      throw new RuntimeError(
        `Event loop stopped before Future completed: ${future}. Call stop() only on a loop that runs by runForever()`,
      );
    }
    return future.result() as AwaitedOf<A>;
  }

  /** Ends the run at the end of the current iteration. What is scheduled stays for the next run. */
  stop(): void {
    this.#stopping = true;
    this._wake();
  }

  /** Whether it runs: by a call of its methods, or because code outside of it awaits one of its futures. */
  isRunning(): boolean {
    return this.#run !== null || this.#visitors.size > 0;
  }

  /** Whether it was closed. */
  isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Ends it for good: what is scheduled is dropped, connections and servers are closed, subprocesses killed, the default
   * executor is told to shut down, and exceptions that nobody has taken note of are reported. A second call does
   * nothing.
   *
   * @throws {RuntimeError} If it runs.
   */
  close(): void {
    if (this.isRunning()) {
      throw new RuntimeError("Cannot close a running event loop: stop it, and close it when its run has ended");
    }
    if (this.#closed) return;
    this.#closed = true;
    this.debug = false;
    this.#busy = false;
    this.#ready.clear();
    this.#timers.clear();
    this.#todo = 0;
    for (const resource of [...this._resources]) resource[Symbol.dispose]();
    this.#signalHandlers.clear();
    this.#executorShutDown = true;
    this.#executor?.shutdown({ wait: false });
    this.#executor = null;
    for (const report of [...this._unretrieved]) {
      this._reportUnretrieved(report);
    }
  }

  /** {@linkcode EventLoop.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The class and the state, for messages. */
  toString(): string {
    return `<${this.constructor.name} running=${this.isRunning()} closed=${this.#closed} debug=${this.debug}>`;
  }

  // -- Scheduling

  /** The time of its clock in milliseconds. Only differences mean something. */
  time(): number {
    return this.#now = this.#clock.time();
  }

  /**
   * Has `callback(...args)` called in the next iteration, in the order of the calls of this method.
   *
   * @typeParam A The types of the arguments.
   * @param callback What to call. An exception that it throws goes to the exception handler, and the loop goes on.
   * @param args Its arguments.
   * @returns The handle to call it off.
   * @throws {RuntimeError} If the loop is closed.
   * @throws {TypeError} If `callback` is no function, or in debug mode a coroutine function: nobody would await it.
   */
  callSoon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    if (typeof callback !== "function") throw notCallable(callback, "callSoon");
    if (this.#debug) refuseCoroutineFunction(callback, "callSoon");
    const handle = new Handle(callback as (...args: never[]) => unknown, args, this, inheritedContext());
    this._enqueue(handle);
    return handle;
  }

  /**
   * As {@linkcode EventLoop.callSoon}, with options.
   *
   * @typeParam A The types of the arguments.
   * @param options The context.
   * @param callback What to call.
   * @param args Its arguments.
   * @returns The handle to call it off.
   */
  callSoonWith<A extends unknown[]>(options: ScheduleOptions, callback: (...args: A) => unknown, ...args: A): Handle {
    const handle = this.callSoon(callback, ...args);
    if (options.context !== undefined) handle._context = options.context;
    return handle;
  }

  /**
   * The same as {@linkcode EventLoop.callSoon}: code of other threads reaches this one as events of the host, at which
   * the loop wakes in any case.
   *
   * @typeParam A The types of the arguments.
   * @param callback What to call.
   * @param args Its arguments.
   * @returns The handle to call it off.
   */
  callSoonThreadsafe<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    return this.callSoon(callback, ...args);
  }

  /**
   * Has `callback(...args)` called after `delay`.
   *
   * @typeParam A The types of the arguments.
   * @param delay Milliseconds or a duration. A negative one counts as past, before those of 0.
   * @param callback What to call.
   * @param args Its arguments.
   * @returns The handle to call it off.
   * @throws {TypeError} If `delay` is `null` or nothing that a delay can be, or `callback` no function, or in debug mode
   * a coroutine function.
   * @throws {ValueError} If `delay` is NaN.
   */
  callLater<A extends unknown[]>(delay: DurationLike, callback: (...args: A) => unknown, ...args: A): TimerHandle {
    return this.#schedule(this.time() + milliseconds(delay, "delay"), callback, args, "callLater");
  }

  /**
   * As {@linkcode EventLoop.callLater}, with options.
   *
   * @typeParam A The types of the arguments.
   * @param options The context.
   * @param delay Milliseconds or a duration.
   * @param callback What to call.
   * @param args Its arguments.
   * @returns The handle to call it off.
   */
  callLaterWith<A extends unknown[]>(
    options: ScheduleOptions,
    delay: DurationLike,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle {
    const handle = this.callLater(delay, callback, ...args);
    if (options.context !== undefined) handle._context = options.context;
    return handle;
  }

  /**
   * Has `callback(...args)` called at a time.
   *
   * @typeParam A The types of the arguments.
   * @param when The time, in milliseconds of {@linkcode EventLoop.time}.
   * @param callback What to call.
   * @param args Its arguments.
   * @returns The handle to call it off.
   * @throws {TypeError} If `when` is no number, or `callback` no function, or in debug mode a coroutine function.
   * @throws {ValueError} If `when` is NaN.
   */
  callAt<A extends unknown[]>(when: number, callback: (...args: A) => unknown, ...args: A): TimerHandle {
    if (typeof when !== "number") {
      throw new TypeError(`Cannot call at ${Deno.inspect(when)}: pass a time in milliseconds of loop.time()`);
    }
    return this.#schedule(toDelay(when, "when"), callback, args, "callAt");
  }

  /**
   * As {@linkcode EventLoop.callAt}, with options.
   *
   * @typeParam A The types of the arguments.
   * @param options The context.
   * @param when The time.
   * @param callback What to call.
   * @param args Its arguments.
   * @returns The handle to call it off.
   */
  callAtWith<A extends unknown[]>(
    options: ScheduleOptions,
    when: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle {
    const handle = this.callAt(when, callback, ...args);
    if (options.context !== undefined) handle._context = options.context;
    return handle;
  }

  // -- Futures and tasks

  /**
   * A pending future of this loop.
   *
   * @typeParam T The type of its result.
   */
  createFuture<T>(): Future<T> {
    return new Future<T>(this.#taskOptions);
  }

  /**
   * Starts a task in this loop. See {@linkcode createTask}.
   *
   * @typeParam T What the coroutine returns.
   * @param coroutine What to run.
   * @param options Name, context, eager start and signal.
   * @returns The task.
   * @throws {RuntimeError} If the loop is closed.
   * @throws {TypeError} If `coroutine` is a future, or cannot be awaited.
   */
  createTask<T>(coroutine: Awaitable<T>, options?: TaskOptions): Task<T> {
    if (isfuture(coroutine)) {
      throw new TypeError(`Cannot make a task of ${coroutine}: it runs already; await it, or use ensureFuture()`);
    }
    if (this.#closed) {
      closeCoroutine(coroutine);
      throw closedError();
    }
    if (this.#taskFactory !== null) {
      return this.#taskFactory(this, coroutine, options ?? {});
    }
    return new Task<T>(coroutine, options === undefined ? this.#taskOptions : { ...options, loop: this });
  }

  /**
   * Sets what {@linkcode EventLoop.createTask} makes tasks with.
   *
   * @param factory Called with the loop, the coroutine and the options; `null` for the default.
   * @throws {TypeError} If it is neither a function nor `null`.
   */
  setTaskFactory(factory: TaskFactory | null): void {
    if (factory !== null && typeof factory !== "function") {
      throw new TypeError(`Cannot use ${Deno.inspect(factory)} as a task factory: pass a function or null`);
    }
    this.#taskFactory = factory;
  }

  /** What {@linkcode EventLoop.createTask} makes tasks with, `null` for the default. */
  getTaskFactory(): TaskFactory | null {
    return this.#taskFactory;
  }

  // -- Threads

  /**
   * Runs `fn(...args)` in an executor. Context variables do not go along, as in CPython; {@linkcode toThread} takes
   * those that travel to the default executor.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param executor The executor, `null` for the default one: a {@linkcode ThreadPoolExecutor} that is made when it is
   * first needed.
   * @param fn The function, which travels as with {@linkcode Executor.submit}.
   * @param args Its arguments.
   * @returns The future of the call. Cancelling it cancels the call if that has not started; one that runs is left to
   * itself.
   * @throws {RuntimeError} If the loop is closed, or its default executor shut down.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from "@skein/skein/asyncio";
   * import { ThreadPoolExecutor } from "@skein/skein/futures";
   * import { assertEquals } from "@std/assert";
   *
   * await using pool = new ThreadPoolExecutor();
   * const power = await run(function* () {
   *   return yield* getRunningLoop().runInExecutor(pool, (x: number, y: number) => x ** y, 2, 10);
   * });
   * assertEquals(power, 1024);
   * ```
   */
  runInExecutor<A extends unknown[], R>(
    executor: Executor | null,
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    return wrapFuture(this.#executorFor(executor).submit(fn, ...args), { loop: this });
  }

  /**
   * As {@linkcode EventLoop.runInExecutor}, with options.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param options What cancelling does, and how to run it.
   * @param executor The executor, `null` for the default one.
   * @param fn The function.
   * @param args Its arguments.
   * @returns The future of the call.
   * @throws {RuntimeError} If the loop is closed, or its default executor shut down.
   * @throws {NotCloneableError} If the value of a variable that travels cannot be copied.
   * @throws {ValueError} If two such variables have one name.
   */
  runInExecutorWith<A extends unknown[], R>(
    options: RunInExecutorOptions,
    executor: Executor | null,
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    const { abandon = true, context, ...rest } = options;
    const target = this.#executorFor(executor);
    const submit: SubmitOptions = { ...rest, context: context && travellingValues(context) };
    if (abandon) return wrapFuture(target.submitWith(submit, fn, ...args), { loop: this });
    const stop = new AbortController();
    const { signal } = options;
    submit.signal = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    const call = target.submitWith(submit, fn, ...args);
    return wrapCall(call, this, () => {
      if (call.cancel() || call.done()) return;
      // That it was stopped is no news to anybody.
      observe(call, () => outcomeOf(call));
      stop.abort(new CallCancelledError("The call was stopped as the wait for it was cancelled"));
    });
  }

  #executorFor(executor: Executor | null): Executor {
    if (this.#closed) throw closedError();
    if (executor !== null) {
      if (typeof executor?.submitWith === "function") return executor;
      throw new TypeError(`Cannot run in ${shown(executor)}: pass an executor, or null for the default one`);
    }
    if (this.#executorShutDown) {
      throw new RuntimeError(
        "Cannot run in the default executor as it has been shut down: pass an executor of your own",
      );
    }
    return this.#executor ??= new ThreadPoolExecutor({
      threadNamePrefix: "asyncio",
    });
  }

  /**
   * Sets the default executor of {@linkcode EventLoop.runInExecutor}.
   *
   * @param executor The executor.
   * @throws {TypeError} If it is no {@linkcode ThreadPoolExecutor}.
   */
  setDefaultExecutor(executor: ThreadPoolExecutor): void {
    if (!(executor instanceof ThreadPoolExecutor)) {
      throw new TypeError(
        `Cannot use ${Deno.inspect(executor, { depth: 0 })} as the default executor: pass a ThreadPoolExecutor`,
      );
    }
    this.#executor = executor;
  }

  /**
   * Shuts the default executor down and waits for its work.
   *
   * @param timeout How long to wait, in milliseconds or as a duration; no limit by default. When it is over a warning
   * is printed.
   */
  async shutdownDefaultExecutor(timeout?: DurationLike | null): Promise<void> {
    const limit = toDelay(timeout, "timeout");
    this.#executorShutDown = true;
    const executor = this.#executor;
    if (executor === null) return;
    this.#executor = null;
    const { promise: late, resolve } = Promise.withResolvers<"late">();
    const timer = limit === Infinity ? undefined : setTimeout(() => resolve("late"), limit);
    if (await Promise.race([executor.shutdown({ wait: true }), late]) === "late") {
      console.warn(`The default executor did not finish its work within ${limit} ms`);
      await executor.shutdown({ wait: false });
    }
    clearTimeout(timer);
  }

  // -- Errors

  /**
   * Sets what is called with errors that nobody else gets.
   *
   * @param handler Called with the loop and what happened; `null` for {@linkcode EventLoop.defaultExceptionHandler}.
   * @throws {TypeError} If it is neither a function nor `null`.
   */
  setExceptionHandler(handler: ExceptionHandler | null): void {
    if (handler !== null && typeof handler !== "function") {
      throw new TypeError(`Cannot use ${Deno.inspect(handler)} as an exception handler: pass a function or null`);
    }
    this.#exceptionHandler = handler;
  }

  /** The handler that was set, or `null`. */
  getExceptionHandler(): ExceptionHandler | null {
    return this.#exceptionHandler;
  }

  /**
   * Prints what happened to stderr.
   *
   * @param context What happened.
   */
  defaultExceptionHandler(context: ExceptionContext): void {
    const text = describeContext(context);
    if ("exception" in context) console.error(text, context.exception);
    else console.error(text);
  }

  /**
   * Reports an error to the exception handler. A handler that throws is reported in its turn, with what it was told, by
   * the default handler.
   *
   * @param context What happened.
   */
  callExceptionHandler(context: ExceptionContext): void {
    const handler = this.#exceptionHandler;
    if (handler === null) {
      this.defaultExceptionHandler(context);
      return;
    }
    const frame = (context.task ??
      (context.future instanceof Task ? context.future : context.handle)) ??
      null;
    const before = current.frame;
    if (frame !== null) current.frame = frame;
    try {
      handler(this, context);
    } catch (exception) {
      if (endsLoop(exception)) throw exception;
      this.defaultExceptionHandler({
        message: "Unhandled error in exception handler",
        exception,
        context,
      });
    } finally {
      current.frame = before;
    }
  }

  // -- Signals

  /**
   * Has `callback(...args)` called, as a callback of the loop and in the context of this call, when the process gets a
   * signal. Replaces the handler that this loop had before; other loops keep theirs, which CPython has one of for the
   * whole process. A handler of SIGINT takes the place of what Ctrl-C does in {@linkcode run}.
   *
   * Handlers keep no program alive; the loop that runs does. Closing the loop takes them off.
   *
   * @typeParam A The types of the arguments.
   * @param signal The signal.
   * @param callback What to call.
   * @param args Its arguments.
   * @throws {TypeError} If `callback` is no function or a coroutine function, or `signal` is no name of a signal.
   * @throws {ValueError} If there is no such signal here.
   * @throws {RuntimeError} If the signal cannot be handled, as SIGKILL and SIGSTOP, or the loop is closed.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from "@skein/skein/asyncio";
   * import { assertEquals } from "@std/assert";
   *
   * const what = await run(function* () {
   *   const loop = getRunningLoop();
   *   const stop = loop.createFuture<string>();
   *   loop.addSignalHandler("SIGTERM", () => stop.setResult("asked to stop"));
   *   Deno.kill(Deno.pid, "SIGTERM");
   *   return yield* stop;
   * });
   * assertEquals(what, "asked to stop");
   * ```
   */
  addSignalHandler<A extends unknown[]>(signal: Deno.Signal, callback: (...args: A) => unknown, ...args: A): void {
    if (typeof callback !== "function") {
      throw notCallable(callback, "addSignalHandler");
    }
    if (iscoroutinefunction(callback)) {
      throw new TypeError(
        `Cannot use the coroutine function ${callback.name} as a signal handler: pass a function that calls createTask()`,
      );
    }
    if (this.#closed) throw closedError();
    const context = inheritedContext() ?? new Context();
    this.#signalHandlers.set(signal, () => {
      this.callSoonWith({ context }, callback, ...args);
    });
  }

  /**
   * Whether this loop has a handler for a signal.
   *
   * @internal
   */
  _handlesSignal(signal: Deno.Signal): boolean {
    return this.#signalHandlers.has(signal);
  }

  /**
   * Takes the handler of a signal off.
   *
   * @param signal The signal.
   * @returns Whether there was one.
   */
  removeSignalHandler(signal: Deno.Signal): boolean {
    return this.#signalHandlers.delete(signal);
  }

  // -- For the rest of the library

  /**
   * Puts an item at the end of the ready queue.
   *
   * @internal
   */
  _enqueue(item: Runnable): void {
    if (!this.#busy) this.#rouse();
    this.#ready.push(item);
  }

  /** What `_enqueue` has to look to when the loop does not run; a closed one never does. */
  #rouse(): void {
    if (this.#closed) throw closedError();
    this._wake();
  }

  /**
   * Has a task go on whose native code has ended: in its place if the loop waits for it to, else in its turn.
   *
   * @internal
   */
  _resume(item: Runnable): void {
    if (this.#closed) return;
    if (this.#paused) {
      this.#ready.unshift(item);
      this.#todo++;
    } else this._enqueue(item);
  }

  /**
   * Sees to it that a turn comes.
   *
   * @internal
   */
  _wake(): void {
    if (this.#busy || !this.isRunning()) return;
    this.#busy = true;
    queueMicrotask(this.#turn);
  }

  /**
   * Keeps the loop running until `key` leaves.
   *
   * @internal
   */
  _enter(key: object, reject: (error: unknown) => void): void {
    if (this.#closed) {
      reject(closedError());
      return;
    }
    const outside = currentFrame() === undefined;
    this.#visitors.set(key, { reject, outside });
    this._countNative(outside, -1);
    this._wake();
  }

  /** @internal */
  _leave(key: object): void {
    const visitor = this.#visitors.get(key);
    if (visitor === undefined) return;
    this.#visitors.delete(key);
    this._countNative(visitor.outside, 1);
    this.#visitorLeft = true;
    // The code that waited runs before the loop goes on.
    this._released++;
  }

  /**
   * Whether its time stands still while the host works for it.
   *
   * @internal
   */
  get _isVirtual(): boolean {
    return this.#clock.virtual;
  }

  /**
   * Counts native code that this waits for, or which waits for this; see `_nativesInside`.
   *
   * @internal
   */
  _countNative(outside: boolean, change: number): void {
    if (outside) this.#nativesOutside += change;
    else this._nativesInside += change;
  }

  /** @internal */
  _timerCancelled(): void {
    this.#timers.cancelled();
  }

  /** @internal */
  _callbackFailed(exception: unknown, handle: Handle, message: string): void {
    if (endsLoop(exception)) throw exception;
    this.callExceptionHandler({ message, exception, handle });
  }

  /** @internal */
  _reportUnretrieved(report: Unretrieved): void {
    if (!this._unretrieved.delete(report)) return;
    const future = report.future.deref();
    const kind = report.label.startsWith("<Task") ? "Task" : "Future";
    this.callExceptionHandler({
      message: `${kind} exception was never retrieved: ${report.label}`,
      exception: report.original?.deref() ?? report.exception,
      ...(future === undefined ? {} : { future }),
    });
  }

  // -- The run

  #checkStart(): void {
    if (this.#closed) throw closedError();
    if (this.#run !== null) {
      throw new RuntimeError("This event loop is already running: await what you want to run, or createTask() it");
    }
    const loop = currentFrame()?._loop;
    if (loop?.isRunning()) {
      throw new RuntimeError(
        "Cannot run the event loop while another loop is running: await what you want to run, or createTask() it",
      );
    }
  }

  #start(until: Future<unknown> | null): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#checkStart();
      this.#run = { until, resolve, reject };
      this._wake();
    });
  }

  /** Ends the run by a call, if there is one. Those who merely wait for a future go on waiting. */
  #end(error?: { error: unknown }): void {
    const run = this.#run;
    this.#run = null;
    this.#stopping = false;
    if (run === null) {
      if (error !== undefined) reportError(error.error);
      return;
    }
    if (error === undefined) run.resolve();
    else run.reject(error.error);
  }

  readonly #turn = (): void => {
    if (this.isRunning()) this.#enter(this.#slice);
    else this.#fallAsleep();
  };

  readonly #turnAfterHost = (): void => {
    this.#now = this.#clock.time();
    this.#timeSlice.begin(this.#inFlight() > 0);
    this.#turn();
  };

  /** Iterations until the loop has to wait, for the host, for native code or for a time. */
  readonly #slice = (): void => {
    const ready = this.#ready;
    const timeSlice = this.#timeSlice;
    const debug = this.debug;
    try {
      for (;;) {
        if (this.#todo === 0 && !this.#beginIteration()) return;
        while (this.#todo > 0) {
          if (timeSlice.isOver()) {
            afterHostTurn(this.#turnAfterHost);
            return;
          }
          this.#todo--;
          const item = ready.take()!;
          if (debug) this.#runTimed(item);
          else item._run();
          if (this._released > 0) {
            this.#paused = true;
            this.#hops = HOPS;
            queueMicrotask(this.#hop);
            return;
          }
        }
        ready.trim();
        if (this.#stopping) this.#end();
      }
    } catch (error) {
      // Only what is meant to end the run gets here: everything else has been given to a task or to the exception
      // handler.
      this.#end({ error });
      queueMicrotask(this.#turn);
    } finally {
      current.frame = null;
      current.here = null;
    }
  };

  /**
   * Goes on once the native code that was let go on waits again or has ended, so that it runs in its place in the
   * order.
   */
  readonly #hop = (): void => {
    if (this._released > 0 && --this.#hops > 0) {
      queueMicrotask(this.#hop);
      return;
    }
    this._released = 0;
    this._round++;
    this.#paused = false;
    if (this.#todo === 0 && this.#stopping) this.#end();
    this.#slice();
  };

  /**
   * The contract of the order. An iteration runs what is ready now: this is the only place where it is settled how many
   * that are, and what they schedule comes after. Timers that are due come behind what was ready before them.
   *
   * @returns Whether there is an iteration to run; if not, the loop waits.
   */
  #beginIteration(): boolean {
    forgetOrigin();
    forgetCalls();
    if (!this.isRunning() || (this.#ready.length === 0 && !this.#stopping && !this.#passTime())) {
      this.#fallAsleep();
      return false;
    }
    const timers = this.#timers;
    if (timers.length > 0) {
      if (timers.next() > this.#now && (this.#clock.virtual || ++this.#iterations >= ITERATIONS_PER_LOOK)) {
        this.#iterations = 0;
        this.#now = this.#clock.time();
      }
      while (timers.next() <= this.#now) this.#ready.push(timers.shift());
    }
    this.#todo = this.#ready.length;
    return true;
  }

  /** Waits for the next timer; whether its time has come at once. */
  #passTime(): boolean {
    const deadline = this.#timers.next();
    if (this.#clock.virtual) {
      // Holds nothing open: if the host has nothing to do either, it is for the host to say that what is waited for
      // never comes.
      if (this.#inFlight() > 0) return false;
      if (this.#visitorLeft || deadline === Infinity) {
        this.#waitForHost(deadline === Infinity && !this.#visitorLeft);
        this.#visitorLeft = false;
        return false;
      }
    } else {
      this.#now = this.#clock.time();
      if (deadline <= this.#now) return true;
    }
    if (this.#wakeUp !== null && this.#wakeUpAt === deadline) return false;
    this.#wakeUp?.cancel();
    this.#wakeUpAt = deadline;
    this.#wakeUp = this.#clock.wakeAt(deadline, () => {
      this.#wakeUp = null;
      if (this.#busy) return;
      this.#busy = true;
      // Not at once: see `afterHostTurn`.
      queueMicrotask(this.#turnAfterHost);
    });
    this.#now = this.#clock.time();
    return this.#wakeUp === null;
  }

  /** Native code that this loop waits for and that does not wait for this loop. */
  #inFlight(): number {
    return Math.max(0, this._nativesInside) + Math.max(0, this.#nativesOutside) + this._nativeTurns;
  }

  /** Lets all microtasks run before time jumps or the loop is found to be stuck. */
  #waitForHost(stuck: boolean): void {
    if (this.#forgetHost !== null) return;
    this.#forgetHost = afterMicrotasks(() => {
      this.#forgetHost = null;
      if (this.#busy || !this.isRunning()) return;
      if (!stuck || this.#inFlight() > 0 || this.#ready.length > 0 || this.#timers.next() < Infinity) this._wake();
      else this.#reportDeadlock();
    });
  }

  #reportDeadlock(): void {
    const blocked = [...this._tasks].map((task) => ({
      name: task.getName(),
      waitsFor: task._waitsFor(),
    }));
    const error = (what: string): DeadlockError =>
      new DeadlockError(`Cannot go on with ${what} as nothing is left to run and no timer is set`, blocked);
    if (this.#run !== null && this.#run.until !== null) {
      this.#end({ error: error(String(this.#run.until)) });
    }
    for (const { reject, outside } of this.#visitors.values()) {
      reject(error("what is awaited"));
      this._countNative(outside, 1);
    }
    this.#visitors.clear();
  }

  #fallAsleep(): void {
    this.#busy = false;
    if (this.isRunning()) return;
    this.#wakeUp?.cancel();
    this.#wakeUp = null;
    this.#forgetHost?.();
    this.#forgetHost = null;
  }

  #runTimed(item: Runnable): void {
    const start = performance.now();
    item._run();
    const took = performance.now() - start;
    if (took >= this.slowCallbackDuration) {
      const what = (item as { readonly _task?: Task<unknown> | null })._task ?? item;
      console.warn(`Executing ${what} took ${took.toFixed(0)} ms`);
    }
  }

  #schedule<A extends unknown[]>(
    when: number,
    callback: (...args: A) => unknown,
    args: A,
    method: string,
  ): TimerHandle {
    if (typeof callback !== "function") throw notCallable(callback, method);
    if (this.#debug) refuseCoroutineFunction(callback, method);
    if (this.#closed) throw closedError();
    const handle = new TimerHandle(when, callback as (...args: never[]) => unknown, args, this, inheritedContext());
    this.#timers.push(handle);
    if (!this.#busy) this._wake();
    return handle;
  }
}

function milliseconds(delay: DurationLike, what: string): number {
  if (delay === null || delay === undefined) {
    throw new TypeError(`Cannot use ${delay} as ${what}: pass milliseconds, or a duration such as { seconds: 1 }`);
  }
  return toDelay(delay, what);
}

function closedError(): RuntimeError {
  return new RuntimeError("Event loop is closed: make a new one");
}

function notCallable(value: unknown, method: string): TypeError {
  return new TypeError(`Cannot schedule ${Deno.inspect(value, { depth: 0 })} with ${method}(): pass a function`);
}

/** The clock that a loop is to have. One that is taken for a real one would have a test wait for hours. */
function clockOf(options: EventLoopOptions): Clock | undefined {
  const example = "{ clock: new VirtualClock() }";
  requireOptions(options, "the options of EventLoop", example);
  if ("wakeAt" in options) throw new TypeError(`Cannot use a clock as the options of EventLoop: pass ${example}`);
  const clock: Partial<Clock> | undefined = options.clock;
  if (clock !== undefined && (typeof clock?.time !== "function" || typeof clock.wakeAt !== "function")) {
    throw new TypeError(
      `Cannot use ${shown(clock)} as the clock of an EventLoop: pass ${example}, or a Clock of yours`,
    );
  }
  return options.clock;
}

/** All but the exception, line by line. */
function describeContext(context: ExceptionContext): string {
  const lines = [context.message || "Unhandled exception in event loop"];
  for (const key of ["future", "task", "handle"] as const) {
    if (context[key] !== undefined) lines.push(`${key}: ${context[key]}`);
  }
  const before = context.context;
  if (before !== undefined) {
    const exception = "exception" in before ? ` ${Deno.inspect(before.exception)}` : "";
    lines.push(`context: ${describeContext(before)}${exception}`);
  }
  return lines.join("\n");
}

/** In debug mode only, as in CPython: a loop that is busy would pay for it with each callback. */
function refuseCoroutineFunction(callback: (...args: never[]) => unknown, method: string): void {
  if (!iscoroutinefunction(callback)) return;
  throw new TypeError(
    `Cannot use the coroutine function ${
      callback.name || "<anonymous>"
    } with ${method}(): pass a function that calls ` +
      `createTask()`,
  );
}
