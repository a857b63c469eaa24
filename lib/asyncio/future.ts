/**
 * {@linkcode Future}: a result that is not there yet.
 * @module
 */

import { detachedError } from "../_detached_error.ts";
import { type CancelOrigin, originHere } from "./cancel_origin.ts";
import { current, type Frame, policy } from "./_current.ts";
import { awaitFuture } from "./_native_await.ts";
import { type Context, inheritedContext } from "./context.ts";
import type { Suspension } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { CancelledError, cancelledError, InvalidStateError } from "./exceptions.ts";
import { callerStack, describeFunction, Handle } from "./handle.ts";
import type { Runnable } from "./_runnable.ts";
import type { Task } from "./task.ts";

/** The states of a {@linkcode Future}, as `toString()` shows them. */
export type FutureState = "pending" | "cancelled" | "finished";

/** Options of {@linkcode Future}. */
export interface FutureOptions {
  /** The loop it belongs to. The current one by default. */
  loop?: EventLoop | undefined;
}

/** Options of {@linkcode Future.addDoneCallback}. */
export interface DoneCallbackOptions {
  /** The context to call it in. A copy of the current one by default. */
  context?: Context | undefined;
}

/** A function to be called with a future when that is done: an observer of it, and then what the loop runs. */
class DoneCallback implements Frame, Runnable {
  readonly fn: (future: never) => unknown;
  readonly #future: Future<unknown>;
  _context: Context | undefined;

  constructor(fn: (future: never) => unknown, future: Future<unknown>, context: Context | undefined) {
    this.fn = fn;
    this.#future = future;
    this._context = context;
  }

  get _loop(): EventLoop {
    return this.#future._loop;
  }

  get _task(): null {
    return null;
  }

  get _native(): null {
    return null;
  }

  _run(): void {
    current.frame = this;
    try {
      this.fn(this.#future as never);
    } catch (error) {
      this._loop._callbackFailed(error, this._asHandle(), `Exception in callback ${describeFunction(this.fn)}`);
    }
  }

  toString(): string {
    return String(this._asHandle());
  }

  /** As messages show it. */
  _asHandle(): Handle {
    return new Handle(this.fn as (...args: never[]) => unknown, [this.#future], this._loop, this._context);
  }
}

/** What waits for a future, and goes on when that is done: strands, and functions to be called. */
type Observers = Runnable | Runnable[] | undefined;

const PENDING = 0;
const CANCELLED = 1;
const FINISHED = 2;
const FAILED = 3;

/**
 * An exception that nobody has taken note of; the report outlives the future.
 *
 * @internal
 */
export interface Unretrieved {
  /** What it failed with, or a copy. */
  exception: unknown;
  /** The very exception, while somebody has it. */
  original?: WeakRef<Error>;
  readonly label: string;
  readonly future: WeakRef<Future<unknown>>;
  readonly loop: EventLoop;
}

/** What a future failed with. */
interface Failure {
  readonly exception: unknown;
  unretrieved: Unretrieved | null;
}

/** The stacks where futures were made that were made in debug mode. */
const origins = new WeakMap<object, string>();

const collected = new FinalizationRegistry<Unretrieved>((report) => report.loop._reportUnretrieved(report));

/** Lets go of what would keep the future from being collected. Most exceptions are retrieved before this runs. */
function letGo(report: Unretrieved): void {
  if (!report.loop._unretrieved.has(report)) return;
  const { exception } = report;
  if (exception instanceof Error) report.original = new WeakRef(exception);
  report.exception = detachedError(exception);
}

/**
 * The outcome of an operation that has not ended yet: pending, then a result, an exception, or cancelled. CPython's
 * `asyncio.Future`.
 *
 * A generator waits for it with `yield* future`, native code with `await future`. Waiting for one that is done does not
 * suspend a generator. Done callbacks are never called at once: each is scheduled with {@linkcode EventLoop.callSoon}.
 *
 * @typeParam T The type of the result.
 *
 * @example
 * ```ts
 * import { getEventLoop } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * const future = loop.createFuture<string>();
 * loop.callLater(5, () => future.setResult("ready"));
 * assertEquals(await future, "ready");
 * ```
 */
export class Future<T> implements PromiseLike<T> {
  /** @internal */
  readonly _loop: EventLoop;
  /**
   * Set by the iterator just before it yields the future: tells `yield* future` from `yield future`.
   *
   * @internal
   */
  _blocking = false;
  /** @internal */
  _cancelMessage: unknown = undefined;
  #state: typeof PENDING | typeof CANCELLED | typeof FINISHED | typeof FAILED = PENDING;
  /**
   * One field for what it never has at a time, as there may be a million futures:
   *
   * - pending: what waits for it, a {@linkcode Runnable}, an array of them, or `undefined`;
   * - finished: the result;
   * - failed: a {@linkcode Failure};
   * - cancelled: the error that a task ended with, until that is handed out; else what asked for it, if that is known.
   */
  #content: unknown = undefined;

  /**
   * Pending. {@linkcode EventLoop.createFuture} is the same.
   *
   * @param options The loop.
   */
  constructor(options?: FutureOptions) {
    this._loop = options?.loop ?? current.frame?._loop ?? policy.getEventLoop();
    if (this._loop.debug) origins.set(this, callerStack());
  }

  /** The loop it belongs to. */
  getLoop(): EventLoop {
    return this._loop;
  }

  /** Whether it has a result or an exception, or was cancelled. */
  done(): boolean {
    return this.#state !== PENDING;
  }

  /** Whether it was cancelled. */
  cancelled(): boolean {
    return this.#state === CANCELLED;
  }

  /**
   * Cancels it and schedules its callbacks.
   *
   * @param message What to tell whoever waits: the `reason` of the {@linkcode CancelledError}.
   * @returns `false` if it was done already.
   */
  cancel(message?: unknown): boolean {
    this._markRetrieved();
    if (this.#state !== PENDING) return false;
    this._cancelMessage = message;
    this._end(CANCELLED, originHere());
    return true;
  }

  /**
   * The result.
   *
   * @returns The result.
   * @throws {InvalidStateError} If it is not done: wait for it with `yield*` or `await`.
   * @throws {CancelledError} If it was cancelled.
   * @throws {unknown} Its exception, if it has one.
   */
  result(): T {
    if (this.#state === FINISHED) return this.#content as T;
    if (this.#state === PENDING) {
      throw new InvalidStateError(
        `Cannot get the result of ${this} as it is not done: wait for it with yield* or await first`,
      );
    }
    throw this._takeError();
  }

  /**
   * The exception.
   *
   * @returns The exception, `null` if it has a result. What was thrown may be `null` as well; {@linkcode Future.result}
   * tells.
   * @throws {InvalidStateError} If it is not done.
   * @throws {CancelledError} If it was cancelled.
   */
  exception(): unknown {
    if (this.#state === CANCELLED) throw this._takeError();
    if (this.#state === PENDING) {
      throw new InvalidStateError(
        `Cannot get the exception of ${this} as it is not done: wait for it with yield* or await first`,
      );
    }
    return this.#state === FAILED ? this._takeError() : null;
  }

  /**
   * Ends it with a result.
   *
   * @param value The result.
   * @throws {InvalidStateError} If it is done already.
   */
  setResult(value: T): void {
    this._requirePending("set a result of");
    this._end(FINISHED, value);
  }

  /**
   * Ends it with an exception.
   *
   * @param exception The exception, or a class of exceptions, of which an instance is made.
   * @throws {InvalidStateError} If it is done already.
   */
  setException(exception: unknown): void {
    this._requirePending("set an exception of");
    if (typeof exception === "function" && (exception === Error || exception.prototype instanceof Error)) {
      exception = Reflect.construct(exception, []);
    }
    const failure: Failure = { exception, unretrieved: null };
    this._end(FAILED, failure);
    const report = failure.unretrieved = {
      exception,
      label: String(this),
      future: new WeakRef(this as Future<unknown>),
      loop: this._loop,
    };
    this._loop._unretrieved.add(report);
    collected.register(this, report, report);
    queueMicrotask(() => letGo(report));
  }

  /**
   * Has `callback(future)` scheduled when it is done; now, if it is already. The same one added twice is called twice.
   *
   * @param callback What to call.
   * @param options The context.
   */
  addDoneCallback(callback: (future: this) => unknown, options?: DoneCallbackOptions): void {
    if (typeof callback !== "function") {
      throw new TypeError(`Cannot add ${Deno.inspect(callback)} as a done callback: pass a function`);
    }
    this._whenDone(callback, options?.context ?? inheritedContext());
  }

  /**
   * Takes `callback` off, as often as it was added.
   *
   * @param callback What was added.
   * @returns How many times it had been.
   */
  removeDoneCallback(callback: (future: this) => unknown): number {
    return this._removeObservers((observer) => observer instanceof DoneCallback && observer.fn === callback);
  }

  /** Waits for it in a generator coroutine: `const value = yield* future`. */
  [Symbol.iterator](): Iterator<Suspension, T, unknown> {
    return this as unknown as Iterator<Suspension, T, unknown>;
  }

  /**
   * The steps of `yield* future`: gives the future to the task that drives the generator, then its result. The future is
   * its own iterator, as one more object for each wait would be felt: `yield*` begins with `undefined`, and a task goes
   * on with `null`.
   *
   * @internal
   */
  next(sent?: unknown): IteratorResult<Suspension, T> {
    if (this.#state === FINISHED) return { done: true, value: this.#content as T };
    // Not by `result()`: V8 never compiles what always throws, unless it becomes a part of what calls it.
    if (this.#state !== PENDING) throw this._takeError();
    if (sent !== undefined || this._blocking) {
      throw new InvalidStateError(`Cannot go on as ${this} is still pending: wait for it with yield* or await`);
    }
    this._blocking = true;
    return { done: false, value: this as Future<unknown> };
  }

  /** @internal */
  throw(error: unknown): never {
    throw error;
  }

  /** @internal */
  return(value: T): IteratorResult<Suspension, T> {
    return { done: true, value };
  }

  /**
   * Waits for it in native code: what `await future` calls.
   *
   * @typeParam A What `onFulfilled` returns.
   * @typeParam B What `onRejected` returns.
   * @param onFulfilled What to call with the result.
   * @param onRejected What to call with the exception.
   * @returns A promise of what they return.
   */
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return awaitFuture(this).then(onFulfilled, onRejected);
  }

  /** The class, the state and the outcome, for messages. */
  toString(): string {
    return `<${[this.constructor.name, ...this._describe()].join(" ")}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /**
   * The parts of `toString()` after the name of the class.
   *
   * @internal
   */
  _describe(): string[] {
    const parts: string[] = [["pending", "cancelled", "finished", "finished"][this.#state]!];
    if (this.#state === FINISHED) {
      parts.push(`result=${Deno.inspect(this.#content, { depth: 1 })}`);
    }
    if (this.#state === FAILED) parts.push(`exception=${this._peekError()}`);
    if (this.#state === PENDING && this.#content !== undefined) {
      const names = listOf(this.#content as Observers)
        .map((entry) => entry instanceof DoneCallback ? describeFunction(entry.fn) : describeObserver(entry));
      parts.push(`cb=[${names.join(", ")}]`);
    }
    const origin = origins.get(this);
    if (origin !== undefined) parts.push(`created at ${origin}`);
    return parts;
  }

  /** @internal */
  _requirePending(action: string): void {
    if (this.#state !== PENDING) {
      throw new InvalidStateError(`Cannot ${action} ${this} as it is done: check done() first`);
    }
  }

  /**
   * Has `callback(future)` scheduled when it is done, or now.
   *
   * @internal
   */
  _whenDone(callback: (future: this) => unknown, context?: Context): void {
    this._inform(new DoneCallback(callback, this as Future<unknown>, context));
  }

  /**
   * Has the loop run `observer` when this future is done, or now.
   *
   * @internal
   */
  _inform(observer: Runnable): void {
    if (this.#state === PENDING) this._observe(observer);
    else this._loop._enqueue(observer);
  }

  /**
   * Has a strand go on, or a function called, when this future is done, which it is not yet.
   *
   * @internal
   */
  _observe(observer: Runnable): void {
    const observers = this.#content as Observers;
    if (observers === undefined) this.#content = observer;
    else if (Array.isArray(observers)) observers.push(observer);
    else this.#content = [observers, observer];
  }

  /**
   * Takes observers off; how many there were.
   *
   * @internal
   */
  _removeObservers(isMeant: (observer: Runnable) => boolean): number {
    if (this.#state !== PENDING) return 0;
    const list = listOf(this.#content as Observers);
    const kept = list.filter((observer) => !isMeant(observer));
    if (kept.length < list.length) {
      this.#content = kept.length === 0 ? undefined : kept;
    }
    return list.length - kept.length;
  }

  /**
   * Whether waiting for it, which is done, throws.
   *
   * @internal
   */
  _throws(): boolean {
    return this.#state === CANCELLED || this.#state === FAILED;
  }

  /**
   * What waiting for it throws.
   *
   * @internal
   */
  _takeError(): unknown {
    if (this.#state === FAILED) {
      this._markRetrieved();
      return this._peekError();
    }
    const cancelled = this.#content;
    if (!(cancelled instanceof CancelledError)) return this._cancelledError();
    this.#content = cancelled.origin;
    return cancelled;
  }

  /**
   * What asked for its cancellation.
   *
   * @internal
   */
  get _cancelOrigin(): CancelOrigin | undefined {
    if (this.#state !== CANCELLED) return undefined;
    const cancelled = this.#content as CancelledError | CancelOrigin | undefined;
    return cancelled instanceof CancelledError ? cancelled.origin : cancelled;
  }

  /**
   * An error that says how it was cancelled.
   *
   * @internal
   */
  _cancelledError(): CancelledError {
    return this._cancelOrigin?._error(this._cancelMessage) ?? cancelledError(this._cancelMessage, undefined);
  }

  /**
   * Ends it as cancelled, with the error that a coroutine ended with, or by what has asked for it.
   *
   * @internal
   */
  _endCancelled(by: CancelledError | CancelOrigin | undefined): void {
    if (by instanceof CancelledError) this._cancelMessage = undefined;
    this._end(CANCELLED, by);
  }

  /**
   * Ends a task, whose `setResult` is closed to everybody else.
   *
   * @internal
   */
  _endWithResult(value: T): void {
    this._end(FINISHED, value);
  }

  /**
   * Takes note that somebody knows of the exception.
   *
   * @internal
   */
  _markRetrieved(): void {
    if (this.#state !== FAILED) return;
    const failure = this.#content as Failure;
    const report = failure.unretrieved;
    if (report === null) return;
    this._loop._unretrieved.delete(report);
    collected.unregister(report);
    failure.unretrieved = null;
  }

  /**
   * What it failed with, without counting as having asked for it.
   *
   * @internal
   */
  _peekError(): unknown {
    return (this.#content as Failure).exception;
  }

  /**
   * No private method, as each class that has any costs each instance a field.
   *
   * @internal
   */
  _end(state: typeof CANCELLED | typeof FINISHED | typeof FAILED, content: unknown): void {
    const observers = this.#content as Observers;
    this.#state = state;
    this.#content = content;
    if (observers === undefined) return;
    if (!Array.isArray(observers)) this._loop._enqueue(observers);
    else for (const observer of observers) this._loop._enqueue(observer);
  }
}

function listOf(observers: Observers): Runnable[] {
  return observers === undefined ? [] : Array.isArray(observers) ? observers : [observers];
}

/**
 * Whether `value` is a {@linkcode Future} or a {@linkcode Task} of this library. CPython's `asyncio.isfuture`.
 *
 * @param value Anything.
 */
export function isfuture(value: unknown): value is Future<unknown> {
  return value instanceof Future;
}

function describeObserver(observer: Runnable & { readonly _task?: Task<unknown> }): string {
  return observer._task === undefined ? String(observer) : `wakeup of ${observer._task.getName()}`;
}
