/**
 * {@linkcode Future}: the outcome of work that runs somewhere else.
 * @module
 */

import { after } from "../_after.ts";
import { type DurationLike, toMilliseconds } from "../_duration.ts";
import { CancelledError, InvalidStateError, RuntimeError, TimeoutError } from "./errors.ts";

export type { DurationLike };

/**
 * Where a {@linkcode Future} stands. `CANCELLED` becomes `CANCELLED_AND_NOTIFIED` when the executor has taken note of
 * it; both count as done.
 */
export type FutureState = "PENDING" | "RUNNING" | "CANCELLED" | "CANCELLED_AND_NOTIFIED" | "FINISHED";

type Observer = () => void;

/**
 * Calls `observer` once when `future` is done, at once if it already is; the function returned takes it off again.
 *
 * What `wait`, `asCompleted` and `map` build on: unlike a done callback it can be removed, and it runs before those.
 */
export let observe: (future: Future<unknown>, observer: Observer) => () => void;

/** Whether a call ended with an exception. To ask is not to look at it. */
export let hasException: (future: Future<unknown>) => boolean;

/** Calls `callback` when somebody asks `future` for its outcome. `false`: somebody has. */
export let whenRetrieved: (future: Future<unknown>, callback: () => void) => boolean;

/**
 * Who knows of something better than a promise for the code that awaits a future, if there is such: the library of
 * tasks, whose cancellation is to reach the call. `undefined` from it means that a promise will do.
 */
export const waiting: { wait?: <T>(future: Future<T>) => Promise<T> | undefined } = {};

/** The outcome of a done future without a promise in between: what a loop over many of them needs. */
export let outcomeOf: <T>(future: Future<T>) => { value: T } | { error: unknown };

/**
 * The outcome of a call that an {@linkcode Executor} runs: pending, running, then a result, an exception, or cancelled.
 *
 * A future can be awaited as it is; `await future` is `await future.result()`.
 *
 * Where it differs from CPython's: {@linkcode Future.result} and {@linkcode Future.exception} return promises, because
 * JavaScript does not block.
 *
 * @typeParam T The type of the result.
 *
 * @example
 * ```ts
 * import { Future } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * const future = new Future<number>();
 * future.addDoneCallback((f) => console.log("done:", f.done()));
 * future.setResult(42);
 * assertEquals(await future, 42);
 * ```
 */
export class Future<T> implements PromiseLike<T> {
  #state: FutureState = "PENDING";
  #value: T | undefined;
  #error: unknown;
  #failed = false;
  // `never`, as a future of a narrower type stands in for one of a wider type.
  #callbacks: ((future: never) => unknown)[] | undefined;
  #observers: Set<Observer> | undefined;
  #promise: Promise<T> | undefined;
  /** Until the promise is settled. `never`, as with the callbacks. */
  #resolvers: { resolve: (value: never) => void; reject: (reason: unknown) => void } | undefined;
  #onRetrieval: (() => void) | undefined;

  static {
    observe = (future, observer) => {
      if (future.done()) {
        observer();
        return () => {};
      }
      const observers = future.#observers ??= new Set();
      observers.add(observer);
      return () => observers.delete(observer);
    };
    hasException = (future) => future.#failed;
    whenRetrieved = (future, callback) => {
      if (future.#promise !== undefined) return false;
      future.#onRetrieval = callback;
      return true;
    };
    outcomeOf = (future) => {
      future.#onRetrieval?.();
      if (future.#state === "FINISHED" && !future.#failed) return { value: future.#value as never };
      return { error: future.#failed ? future.#error : future.#cancelledError() };
    };
  }

  /**
   * Cancels the call if it has not started.
   *
   * @returns `true` if the call will never run, also when it had been cancelled before; `false` if it runs or is done.
   */
  cancel(): boolean {
    if (this.#state === "RUNNING" || this.#state === "FINISHED") return false;
    if (this.#state === "PENDING") {
      this.#state = "CANCELLED";
      this.#settle();
    }
    return true;
  }

  /** Whether the call was cancelled before it started. */
  cancelled(): boolean {
    return this.#state === "CANCELLED" || this.#state === "CANCELLED_AND_NOTIFIED";
  }

  /** Whether the call is being run at this moment. */
  running(): boolean {
    return this.#state === "RUNNING";
  }

  /** Whether there is an outcome: a result, an exception, or a cancellation. */
  done(): boolean {
    return this.#state === "FINISHED" || this.cancelled();
  }

  /**
   * The result of the call.
   *
   * @param timeout How long to wait for it, in milliseconds or as a duration; without it, as long as it takes.
   * @returns A promise of the result. It rejects with the exception of the call, with {@linkcode CancelledError} if the
   * call was cancelled, and with {@linkcode TimeoutError} if the time is over first, which leaves the call alone.
   */
  result(timeout?: DurationLike | null): Promise<T> {
    const limit = toMilliseconds(timeout, "timeout");
    if (limit === Infinity || this.done()) return this.#toPromise();
    return new Promise<T>((resolve, reject) => {
      const callOff = after(limit, () => {
        stop();
        reject(new TimeoutError(`The future has no result after ${limit} ms: it is ${this.#describe()}`));
      });
      const stop = observe(this, () => {
        callOff();
        resolve(this.#toPromise());
      });
    });
  }

  /**
   * The exception that the call threw.
   *
   * @param timeout How long to wait for the outcome, in milliseconds or as a duration; without it, as long as it takes.
   * @returns A promise of what was thrown, or of `null` if the call returned. It rejects with {@linkcode
   * CancelledError} and {@linkcode TimeoutError} as {@linkcode Future.result} does.
   */
  exception(timeout?: DurationLike | null): Promise<unknown> {
    return this.result(timeout).then(() => null, (error) => {
      if (!this.#failed) throw error;
      return this.#error;
    });
  }

  /**
   * Calls `callback` with this future when it is done, at once if it already is. Callbacks run in the order in which
   * they were added; what one throws is printed with `console.error`, and the next one runs all the same.
   *
   * @param callback What to call.
   */
  addDoneCallback(callback: (future: Future<T>) => unknown): void {
    if (typeof callback !== "function") {
      throw new TypeError(`Cannot add a done callback that is not a function: ${Deno.inspect(callback)}`);
    }
    if (this.done()) this.#call(callback);
    else (this.#callbacks ??= []).push(callback);
  }

  /**
   * For executors: says that the call is about to start.
   *
   * @returns `true` if it may start; `false` if it was cancelled and must not.
   * @throws {RuntimeError} If it has started or ended already.
   */
  setRunningOrNotifyCancel(): boolean {
    if (this.#state === "CANCELLED") {
      this.#state = "CANCELLED_AND_NOTIFIED";
      return false;
    }
    if (this.#state !== "PENDING") {
      throw new RuntimeError(`Cannot start a call twice: the future is ${this.#describe()}`);
    }
    this.#state = "RUNNING";
    return true;
  }

  /**
   * For executors and tests: ends the call with a result.
   *
   * @param value The result.
   * @throws {InvalidStateError} If there is an outcome already, or the future is a pool's, which sets it itself. (CPython's
   * pool would lose its worker by it.)
   */
  setResult(value: T): void {
    this.#assertOpen("a result");
    this.#value = value;
    this.#state = "FINISHED";
    this.#settle();
  }

  /**
   * For executors and tests: ends the call with an exception.
   *
   * @param error What the call threw; any value, as `throw` takes any.
   * @throws {InvalidStateError} As `setResult`.
   */
  setException(error: unknown): void {
    this.#assertOpen("an exception");
    this.#error = error;
    this.#failed = true;
    this.#state = "FINISHED";
    this.#settle();
  }

  /**
   * Makes a future awaitable. As a promise's `then`.
   *
   * @param onFulfilled Gets the result.
   * @param onRejected Gets the exception, or the {@linkcode CancelledError}.
   * @returns A promise of what the handler returns.
   */
  then<R1 = T, R2 = never>(
    onFulfilled?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onRejected?: ((reason: unknown) => R2 | PromiseLike<R2>) | null,
  ): Promise<R1 | R2> {
    return (waiting.wait?.(this) ?? this.#toPromise()).then(onFulfilled, onRejected);
  }

  /** The state and the outcome, for people: `<Future finished returned 42>`. */
  toString(): string {
    return `<${this.constructor.name} ${this.#describe()}>`;
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  #describe(): string {
    if (this.#state === "PENDING" && this.running()) return "running";
    if (this.#state !== "FINISHED") return this.#state.toLowerCase().replaceAll("_", " ");
    return this.#failed
      ? `finished raised ${this.#error instanceof Error ? this.#error.name : Deno.inspect(this.#error)}`
      : `finished returned ${Deno.inspect(this.#value, { depth: 1, strAbbreviateSize: 60 })}`;
  }

  #assertOpen(what: string): void {
    if (this.done()) throw new InvalidStateError(`Cannot set ${what} of ${this}: it has an outcome already`);
  }

  #cancelledError(): CancelledError {
    return new CancelledError("The future was cancelled before its call ran");
  }

  #settle(): void {
    const observers = this.#observers;
    const callbacks = this.#callbacks;
    this.#observers = this.#callbacks = undefined;
    this.#settlePromise();
    if (observers) { for (const observer of observers) observer(); }
    if (callbacks) { for (const callback of callbacks) this.#call(callback); }
  }

  // One promise for all who wait, made when the first one does: most futures of a map are never awaited one by one.
  #toPromise(): Promise<T> {
    this.#onRetrieval?.();
    if (this.#promise === undefined) {
      // Not `new Promise()`: its executor is one more closure for each call.
      const resolvers = Promise.withResolvers<T>();
      this.#promise = resolvers.promise;
      this.#resolvers = resolvers;
      if (this.done()) this.#settlePromise();
    }
    return this.#promise;
  }

  #settlePromise(): void {
    const resolvers = this.#resolvers;
    if (resolvers === undefined) return;
    this.#resolvers = undefined;
    if (this.cancelled()) resolvers.reject(this.#cancelledError());
    else if (this.#failed) resolvers.reject(this.#error);
    else resolvers.resolve(this.#value as never);
  }

  #call(callback: (future: never) => unknown): void {
    try {
      callback(this as never);
    } catch (error) {
      console.error(`A done callback of ${this} threw:`, error);
    }
  }
}
