/**
 * {@linkcode Future}: a result that is not there yet.
 * @module
 */

import { detachedError } from "../_detached_error.ts";
import { type CancelOrigin, originHere } from "./cancel_origin.ts";
import { current, policy } from "./_current.ts";
import { awaitFuture } from "./_native_await.ts";
import { type Context, inheritedContext } from "./context.ts";
import type { Suspension } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { CancelledError, InvalidStateError } from "./exceptions.ts";
import { callerStack, describeFunction, Handle } from "./handle.ts";
import type { Runnable } from "./_ready_queue.ts";

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

interface DoneCallback {
  readonly fn: (future: never) => unknown;
  readonly context: Context | undefined;
}

/** What waits for a future: what goes on as it is, such as a coroutine, or a function to be called. */
type Observer = Runnable | DoneCallback;

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
  /**
   * The stack where it was made, in debug mode.
   *
   * @internal
   */
  _origin: string | undefined = undefined;
  #state: typeof PENDING | typeof CANCELLED | typeof FINISHED | typeof FAILED = PENDING;
  #outcome: unknown = undefined;
  #observers: Observer | Observer[] | undefined = undefined;
  #unretrieved: Unretrieved | undefined = undefined;
  /**
   * When it is cancelled: the error that a task ended with, until that is handed out; else what asked for it. One field
   * for both, as every future has it.
   */
  #cancelled: CancelledError | CancelOrigin | undefined = undefined;

  /**
   * Pending. {@linkcode EventLoop.createFuture} is the same.
   *
   * @param options The loop.
   */
  constructor(options?: FutureOptions) {
    this._loop = options?.loop ?? current.frame?._loop ?? policy.getEventLoop();
    if (this._loop.debug) this._origin = callerStack();
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
    this.#retrieve();
    if (this.#state !== PENDING) return false;
    this.#state = CANCELLED;
    this._cancelMessage = message;
    this.#cancelled = originHere();
    this.#notify();
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
    if (this.#state === FINISHED) return this.#outcome as T;
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
    this.#outcome = value;
    this.#state = FINISHED;
    this.#notify();
  }

  /**
   * Ends it with an exception.
   *
   * @param exception The exception, or a class of exceptions, of which an instance is made.
   * @throws {InvalidStateError} If it is done already.
   */
  setException(exception: unknown): void {
    this._requirePending("set an exception of");
    if (
      typeof exception === "function" &&
      (exception === Error || exception.prototype instanceof Error)
    ) {
      exception = Reflect.construct(exception, []);
    }
    this.#outcome = exception;
    this.#state = FAILED;
    this.#unretrieved = {
      exception,
      label: String(this),
      future: new WeakRef(this as Future<unknown>),
      loop: this._loop,
    };
    this._loop._unretrieved.add(this.#unretrieved);
    collected.register(this, this.#unretrieved, this.#unretrieved);
    const report = this.#unretrieved;
    queueMicrotask(() => letGo(report));
    this.#notify();
  }

  /**
   * Has `callback(future)` scheduled when it is done; now, if it is already. The same one added twice is called twice.
   *
   * @param callback What to call.
   * @param options The context.
   */
  addDoneCallback(
    callback: (future: this) => unknown,
    options?: DoneCallbackOptions,
  ): void {
    if (typeof callback !== "function") {
      throw new TypeError(
        `Cannot add ${Deno.inspect(callback)} as a done callback: pass a function`,
      );
    }
    const entry: DoneCallback = {
      fn: callback,
      context: options?.context ?? inheritedContext(),
    };
    if (this.#state === PENDING) this._observe(entry);
    else this.#schedule(entry);
  }

  /**
   * Takes `callback` off, as often as it was added.
   *
   * @param callback What was added.
   * @returns How many times it had been.
   */
  removeDoneCallback(callback: (future: this) => unknown): number {
    const observers = this.#observers;
    if (observers === undefined) return 0;
    const list = Array.isArray(observers) ? observers : [observers];
    const kept = list.filter((entry) => !("fn" in entry) || entry.fn !== callback);
    if (kept.length < list.length) {
      this.#observers = kept.length === 0 ? undefined : kept;
    }
    return list.length - kept.length;
  }

  /** Waits for it in a generator coroutine: `const value = yield* future`. */
  [Symbol.iterator](): Iterator<Suspension, T, unknown> {
    return new FutureIterator(this);
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
    const parts: string[] = [
      ["pending", "cancelled", "finished", "finished"][this.#state]!,
    ];
    if (this.#state === FINISHED) {
      parts.push(`result=${Deno.inspect(this.#outcome, { depth: 1 })}`);
    }
    if (this.#state === FAILED) parts.push(`exception=${this.#outcome}`);
    const observers = this.#observers;
    if (observers !== undefined) {
      const names = (Array.isArray(observers) ? observers : [observers])
        .map((entry) => "fn" in entry ? describeFunction(entry.fn) : String(entry));
      parts.push(`cb=[${names.join(", ")}]`);
    }
    if (this._origin !== undefined) parts.push(`created at ${this._origin}`);
    return parts;
  }

  /** @internal */
  _requirePending(action: string): void {
    if (this.#state !== PENDING) {
      throw new InvalidStateError(
        `Cannot ${action} ${this} as it is done: check done() first`,
      );
    }
  }

  /**
   * Has a strand go on, or a function called, when this future is done, which it is not yet.
   *
   * @internal
   */
  _observe(observer: Observer): void {
    const observers = this.#observers;
    if (observers === undefined) this.#observers = observer;
    else if (Array.isArray(observers)) observers.push(observer);
    else this.#observers = [observers, observer];
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
      this.#retrieve();
      return this.#outcome;
    }
    const cancelled = this.#cancelled;
    if (!(cancelled instanceof CancelledError)) return this._cancelledError();
    this.#cancelled = cancelled.origin;
    return cancelled;
  }

  /**
   * What asked for its cancellation.
   *
   * @internal
   */
  get _cancelOrigin(): CancelOrigin | undefined {
    const cancelled = this.#cancelled;
    return cancelled instanceof CancelledError ? cancelled.origin : cancelled;
  }

  /**
   * A new error that says how it was cancelled.
   *
   * @internal
   */
  _cancelledError(): CancelledError {
    return new CancelledError(this._cancelMessage, { origin: this._cancelOrigin });
  }

  /**
   * Ends it as cancelled, with the error that a coroutine ended with, or by what has asked for it.
   *
   * @internal
   */
  _endCancelled(by: CancelledError | CancelOrigin | undefined): void {
    this.#cancelled = by;
    if (by instanceof CancelledError) this._cancelMessage = undefined;
    this.#state = CANCELLED;
    this.#notify();
  }

  /**
   * Ends a task, whose `setResult` is closed to everybody else.
   *
   * @internal
   */
  _endWithResult(value: T): void {
    this.#outcome = value;
    this.#state = FINISHED;
    this.#notify();
  }

  /**
   * Takes note that somebody knows of the exception.
   *
   * @internal
   */
  _markRetrieved(): void {
    this.#retrieve();
  }

  /**
   * What it failed with, without counting as having asked for it.
   *
   * @internal
   */
  _peekError(): unknown {
    return this.#outcome;
  }

  #retrieve(): void {
    if (this.#unretrieved === undefined) return;
    this._loop._unretrieved.delete(this.#unretrieved);
    collected.unregister(this.#unretrieved);
    this.#unretrieved = undefined;
  }

  #notify(): void {
    const observers = this.#observers;
    if (observers === undefined) return;
    this.#observers = undefined;
    if (!Array.isArray(observers)) this.#schedule(observers);
    else for (const observer of observers) this.#schedule(observer);
  }

  #schedule(observer: Observer): void {
    if ("fn" in observer) {
      this._loop._enqueue(
        new Handle(
          observer.fn as (...args: never[]) => unknown,
          [this],
          this._loop,
          observer.context,
        ),
      );
    } else this._loop._enqueue(observer);
  }
}

/** The two steps of `yield* future`: give the future to the task that drives the generator, then take its result. */
class FutureIterator<T> implements Iterator<Suspension, T, unknown> {
  readonly #future: Future<T>;
  #asked = false;

  constructor(future: Future<T>) {
    this.#future = future;
  }

  next(): IteratorResult<Suspension, T> {
    const future = this.#future;
    if (!future.done()) {
      if (this.#asked) {
        throw new InvalidStateError(
          `Cannot go on as ${future} is still pending: wait for it with yield* or await`,
        );
      }
      this.#asked = true;
      future._blocking = true;
      return { done: false, value: future as Future<unknown> };
    }
    return { done: true, value: future.result() };
  }

  throw(error: unknown): never {
    throw error;
  }

  return(value: T): IteratorResult<Suspension, T> {
    return { done: true, value };
  }
}

/**
 * Whether `value` is a {@linkcode Future} or a {@linkcode Task} of this library. CPython's `asyncio.isfuture`.
 *
 * @param value Anything.
 */
export function isfuture(value: unknown): value is Future<unknown> {
  return value instanceof Future;
}
