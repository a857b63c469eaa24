/**
 * {@linkcode Task}: a coroutine that a loop runs.
 * @module
 */

import { CancelRequest, reaches, type Region } from "./_cancellation.ts";
import { cancelFor, CancelOrigin, originHere } from "./cancel_origin.ts";
import { uncalled } from "./_call.ts";
import { current, currentNative, policy } from "./_current.ts";
import { Context, inheritedContext } from "./context.ts";
import {
  type Awaitable,
  type AwaitedOf,
  awaiting,
  callNative,
  Coroutine,
  isAwaitable,
  notAwaitable,
  type Suspension,
} from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { cancellationIn, type CancelledError, endsLoop, RuntimeError } from "./exceptions.ts";
import { Future } from "./future.ts";
import type { NativeCall } from "./_native_call.ts";
import { RegionSignals } from "./_region_signals.ts";
import {
  BEGINNING,
  cancelStrand,
  isShieldedFrom,
  runStrand,
  startStrand,
  type Strand,
  type Waitable,
} from "./_strand.ts";

/** Options of {@linkcode createTask} and {@linkcode EventLoop.createTask}. */
export interface TaskOptions {
  /** The name, for messages; `Task-1`, `Task-2` ... by default. */
  name?: unknown;
  /** The context it runs in. A copy of the current one by default. */
  context?: Context | undefined;
  /**
   * Whether it starts at once and runs to its first wait before `createTask` returns.
   * @default {false}
   */
  eagerStart?: boolean | undefined;
  /** Cancels the task when it aborts, with its reason as the message. */
  signal?: AbortSignal | undefined;
}

/** Options of the constructor of {@linkcode Task}. */
export interface TaskConstructorOptions extends TaskOptions {
  /** The loop. The current one by default. */
  loop?: EventLoop | undefined;
}

/** A place in the code of a task, as {@linkcode Task.getStack} gives it. */
export interface TaskFrame {
  /** The function, and for a task that runs its line. */
  readonly text: string;
}

let count = 0;

/**
 * A coroutine that a loop runs, and the future of its outcome. CPython's `asyncio.Task`. Made by {@linkcode
 * createTask}.
 *
 * The loop holds a task until it is done: unlike in CPython, it cannot be collected before.
 *
 * @typeParam T What the coroutine returns.
 */
export class Task<T> extends Future<T> {
  /** @internal */
  _context: Context | undefined;
  /**
   * Whether there are cancellations that have yet to be thrown, or that last: the strands have to look at each step.
   *
   * @internal
   */
  _alert = false;
  /** @internal */
  _waiter: Waitable | null = BEGINNING;
  /** @internal */
  _region: Region | null = null;
  /** @internal */
  _iterator: Iterator<unknown, unknown, unknown>;
  /**
   * The tasks of a loop are a list through these.
   *
   * @internal
   */
  _previous: Task<unknown> | undefined = undefined;
  /** @internal */
  _next: Task<unknown> | undefined = undefined;
  #name: string | number;
  /**
   * What it was asked for. The origin alone stands for a single request for the whole task that needs nothing any more but
   * to be counted: that is all that most tasks are ever asked for, thousands at once.
   */
  #requests: CancelRequest[] | CancelOrigin | undefined = undefined;
  #coroutine: Awaitable<T> | undefined;
  /**
   * The signals that its code has asked for.
   *
   * @internal
   */
  _signals: RegionSignals | undefined = undefined;

  /** @internal */
  get _task(): this {
    return this;
  }

  /** @internal */
  get _native(): null {
    return null;
  }

  /**
   * Starts. {@linkcode createTask} is the way to make one.
   *
   * @param coroutine What to run.
   * @param options Loop, name, context, eager start and signal.
   * @throws {TypeError} If `coroutine` cannot be awaited.
   */
  constructor(coroutine: Awaitable<T>, options: TaskConstructorOptions = {}) {
    if (!isAwaitable(coroutine)) throw notAwaitable(coroutine);
    super(options);
    const { name, context, signal } = options;
    this.#name = name === undefined || name === null ? ++count : String(name);
    this._context = context ?? inheritedContext();
    this.#coroutine = coroutine;
    this._iterator = iteratorOf(coroutine);
    if (signal !== undefined) this.#follow(signal);
    const loop = this._loop;
    if (options.eagerStart === true && loop.isRunning() && !this._alert) this.#startEagerly();
    else {
      loop._enqueue(this);
      loop._tasks.add(this as Task<unknown>);
    }
  }

  /** The name. */
  getName(): string {
    return typeof this.#name === "number" ? `Task-${this.#name}` : this.#name;
  }

  /**
   * Changes the name.
   *
   * @param name The name; made a string.
   */
  setName(name: unknown): void {
    this.#name = String(name);
  }

  /** What it runs; `null` if it was started eagerly and has ended at once. */
  getCoro(): Awaitable<T> | null {
    return this.#coroutine ?? null;
  }

  /** The context it runs in. */
  getContext(): Context {
    return this._context ??= new Context();
  }

  /**
   * A signal that aborts when the code that asks for it is cancelled, with a {@linkcode CancelledError} as its reason:
   * for `fetch` and the like. In a `timeout`, a `waitFor`, a task group or a cancel scope it is another one than outside
   * of it, which aborts with that as well; so take it where it is needed, and anew for each call. Code that is not of
   * the task gets the signal of the task as a whole.
   *
   * A signal that has aborted is replaced by a new one as soon as the cancellation is taken back
   * ({@linkcode Task.uncancel}).
   */
  get signal(): AbortSignal {
    const error = this.#native()?._givenUp;
    return error ? AbortSignal.abort(error) : this._signalAt(this._place());
  }

  /**
   * Asks for the cancellation: a {@linkcode CancelledError} is thrown where it waits, or at its next wait. The
   * coroutine may catch it and go on. Code in a {@linkcode CancelScope} with a `shield` is spared until it has left that.
   *
   * @param message What to tell: the `reason` of the error.
   * @returns `false` if the task is done; else `true`, every time.
   */
  override cancel(message?: unknown): boolean {
    this._markRetrieved();
    if (this.done()) return false;
    const origin = originHere();
    const waiter = this._waiter;
    const isFirst = this.#requests === undefined && this._signals === undefined;
    if (!isFirst || this._region !== null || !(waiter instanceof Future)) {
      this._request(new CancelRequest(null, message, origin));
      return true;
    }
    this.#requests = origin;
    if (!cancelFor(origin, waiter, message)) {
      const request = this.#all()[0]!;
      request.message = message;
      this.#take(request, this as Task<unknown>, false);
    }
    return true;
  }

  /** How many cancellations were asked for and not taken back. */
  cancelling(): number {
    return this.#count(() => true);
  }

  /**
   * Takes one cancellation back. Whoever cancels a task for a purpose of its own, as `timeout` does, calls this when
   * the purpose is served. What a {@linkcode CancelScope} has asked for is taken back by that alone.
   *
   * @returns How many are left.
   */
  uncancel(): number {
    const last = this.#all().findLast((request) => !request.lasting);
    if (last !== undefined) this.#remove(last);
    return this.cancelling();
  }

  /**
   * Not for tasks: a task has the result of its coroutine.
   *
   * @param _value Not used.
   * @throws {RuntimeError} Always.
   */
  override setResult(_value: T): never {
    throw new RuntimeError(`Cannot set a result of ${this}: a task has the result of its coroutine`);
  }

  /**
   * Not for tasks: a task has the exception of its coroutine.
   *
   * @param _exception Not used.
   * @throws {RuntimeError} Always.
   */
  override setException(_exception: unknown): never {
    throw new RuntimeError(`Cannot set an exception of ${this}: a task has the exception of its coroutine`);
  }

  /**
   * Where the task is.
   *
   * V8 tells nothing of a generator that is suspended but its function: for such a task that is the one frame. For the
   * task that runs at this moment these are all frames, the innermost last; for one that failed, those of its
   * exception.
   *
   * @param limit How many frames at most: the innermost of a running task, the outermost of an exception.
   * @returns The frames, the outermost first.
   */
  getStack(limit?: number): TaskFrame[] {
    if (this.done()) {
      if (!this._throws() || this.cancelled()) return [];
      const frames = stackOf(this._peekError());
      return limit === undefined ? frames : frames.slice(0, limit);
    }
    const frames = current.frame?._task === this as unknown ? stackOf(new Error()) : [{
      text: `${this.#describeCoroutine()}, waits for ${this._waitsFor()}`,
    }];
    return limit === undefined ? frames : frames.slice(-limit);
  }

  /**
   * Prints where the task is, to stderr.
   *
   * @param limit How many frames at most.
   */
  printStack(limit?: number): void {
    const frames = this.getStack(limit);
    const what = !this.done() ? "Stack" : this._throws() ? "Traceback" : "No stack";
    console.error([`${what} for ${this}`, ...frames.map((frame) => `  at ${frame.text}`)].join("\n"));
  }

  /**
   * What it waits for, as text.
   *
   * @internal
   */
  _waitsFor(): string {
    return String(this._waiter ?? "its next turn");
  }

  /** @internal */
  override _describe(): string[] {
    const [state, ...rest] = super._describe();
    const asked = !this.done() && this.cancelling() > 0;
    const parts = [asked ? "cancelling" : state!, `name='${this.getName()}'`];
    parts.push(`coro=${this.#describeCoroutine()}`);
    const waiter = this._waiter;
    if (!this.done() && (waiter instanceof Future || waiter instanceof Coroutine)) {
      parts.push(`wait_for=${waiter instanceof Task ? `<Task ${waiter.getName()}>` : waiter}`);
    }
    return [...parts, ...rest];
  }

  /**
   * The region of the code that runs, if that is of this task.
   *
   * @internal
   */
  _place(): Region | null {
    const native = this.#native();
    if (native !== null) return native._region;
    return current.frame === this as unknown ? (current.here ?? this)._region : null;
  }

  /**
   * Takes a request for a cancellation in, and cancels what `strand` waits for, if it gets through to that. If all that
   * keeps it from there is a shield, signals from outside of that wait until it is left, as the code does.
   *
   * @internal
   */
  _request(request: CancelRequest, strand: Strand = this as Task<unknown>): void {
    if (this.done()) return;
    // An array that grows takes room for 17 at once.
    if (this.#requests === undefined) this.#requests = [request];
    else this.#all().push(request);
    this.#take(request, strand, cancelStrand(strand, request));
  }

  /** Takes note of whether what `strand` waits for has accepted a request. */
  #take(request: CancelRequest, strand: Strand, accepted: boolean): void {
    if (!accepted && !request.lasting) {
      request.pending = true;
      this._cancelMessage = request.message;
    }
    this.#updateAlert();
    if (!accepted && isShieldedFrom(strand, request)) return;
    this._signals?.abort(request);
  }

  /**
   * Takes a request back. Where that was done already by {@linkcode Task.uncancel}, another one, as they are counted.
   *
   * @internal
   */
  _withdraw(request: CancelRequest): void {
    if (this.#all().includes(request)) this.#remove(request);
    else if (!request.lasting) this.uncancel();
  }

  /**
   * Has the last of the requests for the code of `strand` thrown once more.
   *
   * @internal
   */
  _renew(strand: Strand): void {
    const last = this.#all().findLast((request) => !request.lasting && reaches(request, strand._region));
    if (last === undefined) return;
    this.#remove(last);
    this._request(new CancelRequest(last.level, undefined, last.origin), strand);
  }

  /**
   * How many cancellations code in `place` knows of.
   *
   * @internal
   */
  _askedAt(place: Region | null): number {
    return this.#count((request) => reaches(request, place));
  }

  /**
   * How many of these are those of cancel scopes.
   *
   * @internal
   */
  _lastingAt(place: Region | null): number {
    return this.#count((request) => request.lasting && reaches(request, place));
  }

  /**
   * The error to throw into code in `place` that goes on; `null` for none.
   *
   * @internal
   */
  _takeDue(place: Region | null, turn: boolean): CancelledError | null {
    const due = this.#due(place, turn);
    if (due === undefined) return null;
    this._accept(place);
    return due.origin._error(due.message);
  }

  /**
   * Cancels a wait that has just begun, if it is due.
   *
   * @internal
   */
  _cancelWait(strand: Strand): void {
    const due = this.#due(strand._region, true);
    if (due === undefined) return;
    if (cancelStrand(strand, due)) this._accept(strand._region);
    this._signals?.abortAround(strand._region, due);
  }

  /**
   * Takes note that a cancellation is thrown into code in `place`: one for all that were asked for.
   *
   * @internal
   */
  _accept(place: Region | null): void {
    if (this.#requests === undefined) return;
    for (const request of this.#all()) if (reaches(request, place)) request.pending = false;
    this.#updateAlert();
  }

  #due(place: Region | null, lasting: boolean): CancelRequest | undefined {
    const requests = this.#all();
    return requests.findLast((request) => request.pending && reaches(request, place)) ??
      (lasting ? requests.find((request) => request.lasting && reaches(request, place)) : undefined);
  }

  #count(counts: (request: CancelRequest) => boolean): number {
    let sum = 0;
    for (const request of this.#all()) if (counts(request)) sum += request.count;
    return sum;
  }

  /** The requests as objects. */
  #all(): CancelRequest[] {
    if (this.#requests instanceof CancelOrigin) this.#requests = [new CancelRequest(null, undefined, this.#requests)];
    return this.#requests ?? [];
  }

  /** Has one request for the whole task stand for the earlier ones, so that a task can be cancelled for ever. */
  #join(): void {
    const requests = this.#all();
    let pending: CancelRequest | undefined;
    let thrown: CancelRequest | undefined;
    for (let i = requests.length - 1; i >= 0; i--) {
      const request = requests[i]!;
      if (request.level !== null) continue;
      const later = request.pending ? pending : thrown;
      if (later !== undefined) {
        later.count += request.count;
        requests.splice(i, 1);
      } else if (request.pending) pending = request;
      else thrown = request;
    }
  }

  #remove(request: CancelRequest): void {
    const requests = this.#all();
    if (request.count > 1) {
      request.count--;
      return;
    }
    requests.splice(requests.indexOf(request), 1);
    if (request.pending) {
      // As in CPython, what is to be thrown is taken back with the last request only.
      const { level } = request;
      const heir = requests.findLast((other) =>
        !other.lasting && (reaches(other, level) || reaches(request, other.level))
      );
      if (heir !== undefined) {
        heir.pending = true;
        heir.message = request.message;
      }
    }
    this.#updateAlert();
    this._signals?.renew((region) => this._askedAt(region) === 0);
  }

  /** The native code of this task that runs. */
  #native(): NativeCall | null {
    const native = currentNative();
    return native?._task === this as unknown ? native : null;
  }

  /**
   * The signal of code in a region.
   *
   * @internal
   */
  _signalAt(region: Region | null): AbortSignal {
    return (this._signals ??= new RegionSignals()).at(region);
  }

  #updateAlert(): void {
    const requests = this.#all();
    if (requests.length > 1) this.#join();
    this._alert = requests.some((request) => request.pending || request.lasting);
  }

  /** @internal */
  _run(): void {
    runStrand(this as Task<unknown>);
  }

  /** @internal */
  _returned(value: unknown): void {
    this._loop._tasks.remove(this as Task<unknown>);
    const due = this._alert ? this.#due(null, false) : undefined;
    if (due !== undefined) {
      // Cancelled in its last step: the result is dropped.
      this._accept(null);
      this._endCancelled(due.origin);
    } else this._endWithResult(value as T);
  }

  /** @internal */
  _threw(error: unknown): void {
    this._loop._tasks.remove(this as Task<unknown>);
    const cancellation = cancellationIn(error);
    if (cancellation !== null) this._endCancelled(cancellation);
    else {
      super.setException(error);
      if (endsLoop(error)) throw error;
    }
  }

  /** The first step at once, as `this` task, within the step of another. */
  #startEagerly(): void {
    const { frame, here } = current;
    const loop = this._loop;
    loop._tasks.add(this as Task<unknown>);
    try {
      startStrand(this as Task<unknown>);
    } finally {
      current.frame = frame;
      current.here = here;
    }
    if (this.done()) this.#coroutine = undefined;
  }

  #follow(signal: AbortSignal): void {
    const cancel = (): void => {
      cancelFor(new CancelOrigin("signal", null, signal), this, signal.reason);
    };
    if (signal.aborted) {
      cancel();
      return;
    }
    signal.addEventListener("abort", cancel, { once: true });
    this._whenDone(() => signal.removeEventListener("abort", cancel));
  }

  #describeCoroutine(): string {
    const coroutine = this.#coroutine;
    if (coroutine === undefined) return "done";
    if (typeof coroutine === "function") {
      return `${coroutine.name || "anonymous"}()`;
    }
    if ("name" in coroutine) return `${coroutine.name}()`;
    return coroutine instanceof Promise ? "promise" : "generator";
  }
}

/** A generator is driven as it is; all else through one. */
function iteratorOf(coroutine: Awaitable<unknown>): Iterator<Suspension, unknown, unknown> {
  if (coroutine instanceof Coroutine) return begin(coroutine);
  if (typeof coroutine === "function") return callNative(coroutine);
  return "next" in coroutine && !(coroutine instanceof Future) ? coroutine : awaiting(coroutine);
}

/** Begins a coroutine. One that was awaited before, or closed, fails the task, and not whoever makes it. */
function begin(coroutine: Coroutine<unknown>): Iterator<Suspension, unknown, unknown> {
  try {
    return uncalled(coroutine[Symbol.iterator]());
  } catch (error) {
    return {
      next: () => {
        throw error;
      },
    };
  }
}

function stackOf(error: unknown): TaskFrame[] {
  const stack = error instanceof Error ? error.stack ?? "" : "";
  return stack.split("\n").filter((line) => line.startsWith("    at ")).map((
    line,
  ) => ({ text: line.slice(7) })).reverse();
}

/**
 * Starts a task in the current loop: its first step is scheduled, and it runs alongside. CPython's
 * `asyncio.create_task`.
 *
 * What an async function has begun and not waited for when it ends, as `void sleep(5).then(...)` or the losers of a
 * `Promise.race`, is cancelled then: nobody could give back what it takes. Give what is to go on a task of its own.
 * Futures and tasks that the function has stopped waiting for are left alone.
 *
 * @typeParam A The type of the coroutine.
 * @param coroutine What to run. An async function goes in as a function, so that it runs in the task from its first
 * line.
 * @param options Name, context, eager start and signal.
 * @returns The task.
 * @throws {TypeError} If `coroutine` cannot be awaited.
 *
 * @example
 * ```ts
 * import { createTask, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const task = createTask(async () => {
 *   await sleep(1);
 *   return "native";
 * });
 * assertEquals(await task, "native");
 * ```
 */
export function createTask<A extends Awaitable<unknown>>(coroutine: A, options?: TaskOptions): Task<AwaitedOf<A>> {
  return (current.frame?._loop ?? policy.getEventLoop()).createTask(coroutine as Awaitable<AwaitedOf<A>>, options);
}
