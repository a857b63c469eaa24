/**
 * Coroutines: {@linkcode Coroutine}, {@linkcode coroutine} and what can be awaited.
 * @module
 */

import { Future as CallFuture } from "../futures/future.ts";
import { called } from "./_call.ts";
import { currentFrame, currentNative, policy } from "./_current.ts";
import { settled } from "./_native_await.ts";
import { NativeCall } from "./_native_call.ts";
import { RuntimeError } from "./exceptions.ts";
import { Future } from "./future.ts";
import { wrapFuture } from "./wrap_future.ts";

/**
 * What a coroutine hands to the task that drives it when it waits. Made by `yield*`; a bare `yield` lets the other
 * tasks run once.
 */
export type Suspension = Future<unknown> | null | undefined | void;

/** A generator that can be awaited: what calling a `function*` returns. */
export type GeneratorCoroutine<T> = Generator<Suspension, T, unknown>;

/** What `yield*` takes and can give a task. */
export interface Yieldable<T> {
  /** Starts it. */
  [Symbol.iterator](): Iterator<Suspension, T, unknown>;
}

/**
 * What can be awaited: a coroutine, a future or task, a promise, the future of an executor's call, or a function of any
 * of these. The function is called when the awaiting begins, so that its code runs in the task from the start; it gets
 * the signal that aborts when the task is cancelled.
 */
export type Awaitable<T> =
  | Coroutine<T>
  | Future<T>
  | GeneratorCoroutine<T>
  | PromiseLike<T>
  | ((signal: AbortSignal) => Coroutine<T> | Future<T> | GeneratorCoroutine<T> | PromiseLike<T>);

/** The type that awaiting an `A` gives. */
export type AwaitedOf<A> = A extends (signal: AbortSignal) => infer R ? AwaitedOf<R>
  : A extends Future<infer T> ? T
  : A extends Coroutine<infer T> ? T
  : A extends Generator<unknown, infer T, unknown> ? T
  : A extends PromiseLike<infer T> ? T
  : never;

/**
 * Something that has not begun: `yield*` runs it in the generator that waits, `await` in the task of the native code
 * that waits, or in a task of its own outside of tasks. It can be awaited once.
 *
 * @typeParam T What awaiting it gives.
 */
export abstract class Coroutine<T> implements PromiseLike<T>, Yieldable<T> {
  /** The name, for messages. */
  abstract readonly name: string;

  /** Begins it in a generator coroutine: `const value = yield* coroutine`. */
  abstract [Symbol.iterator](): Iterator<Suspension, T, unknown>;

  /** Lets go of it unstarted. Awaiting it after that throws. */
  abstract close(): void;

  /**
   * Begins it in native code: what `await coroutine` calls.
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
    const native = currentNative();
    const outcome: Promise<T> = native === null
      ? settled(policy.getEventLoop().createTask<T>(this))
      : native.run<T>(this[Symbol.iterator]());
    return outcome.then(onFulfilled, onRejected);
  }

  /** The name, for messages. */
  toString(): string {
    return `<coroutine ${this.name}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}

/**
 * A coroutine over a function that is called when it begins.
 *
 * @internal
 */
export class FunctionCoroutine<A extends unknown[], T> extends Coroutine<T> {
  override readonly name: string;
  #call: { fn: (...args: A) => unknown; self: unknown; args: A } | undefined;

  constructor(fn: (...args: A) => unknown, args: A, self?: unknown, name: string = fn.name || "anonymous") {
    super();
    this.name = name;
    this.#call = { fn, self, args };
    watch?.register(this, name, this);
  }

  override [Symbol.iterator](): Iterator<Suspension, T, unknown> {
    const call = this.#call;
    if (call === undefined) throw awaitedBefore(this);
    this.#call = undefined;
    watch?.unregister(this);
    if (isGeneratorFunction(call.fn)) {
      return called(Reflect.apply(call.fn, call.self, call.args) as GeneratorCoroutine<T>);
    }
    return callNative(() => Reflect.apply(call.fn, call.self, call.args)) as Iterator<Suspension, T, unknown>;
  }

  override close(): void {
    this.#call = undefined;
    watch?.unregister(this);
  }
}

const forgotten = new FinalizationRegistry<string>((name) => console.warn(`Coroutine ${name}() was never awaited`));
let watchers = 0;

/**
 * Where coroutines are registered until they are awaited, while there is a loop in debug mode.
 *
 * @internal
 */
export let watch: FinalizationRegistry<string> | undefined;

/**
 * Takes note of a loop that enters debug mode or leaves it.
 *
 * @internal
 */
export function watchCoroutines(enters: boolean): void {
  watchers += enters ? 1 : -1;
  watch = watchers > 0 ? forgotten : undefined;
}

/**
 * Calls a function that may be async, in the current task, and waits for what it returns.
 *
 * @internal
 */
export function callNative(fn: (signal: AbortSignal) => unknown): NativeCall {
  return new NativeCall(fn);
}

/**
 * What waits for the outcome of a function; `null` if that is a promise, which its call follows.
 *
 * @internal
 */
export function iteratorOf(outcome: unknown): Iterator<unknown, unknown, unknown> | null {
  if (isYieldable(outcome)) return outcome[Symbol.iterator]();
  if (outcome instanceof CallFuture) return wrapFuture(outcome)[Symbol.iterator]();
  if (isPromise(outcome)) return null;
  if (typeof outcome === "function") return callNative(outcome as (signal: AbortSignal) => unknown);
  throw new TypeError(`Cannot await ${Deno.inspect(outcome, { depth: 0 })}: the function has to return an awaitable`);
}

/**
 * Waits for any awaitable within the current task.
 *
 * @internal
 */
export function* awaiting<T>(awaitable: Awaitable<T>): GeneratorCoroutine<T> {
  if (typeof awaitable === "function") {
    return (yield* callNative(awaitable)) as T;
  }
  if (isYieldable(awaitable)) return yield* awaitable as Yieldable<T>;
  if (isPromise(awaitable)) return yield* adopt(awaitable as PromiseLike<T>);
  throw notAwaitable(awaitable);
}

/**
 * A future of a promise. Cancelling it leaves the promise to itself, a rejection of which is handled then; the call of
 * an executor is cancelled.
 *
 * @internal
 */
export function adopt<T>(promise: PromiseLike<T>, loop = policy.getEventLoop()): Future<T> {
  if (promise instanceof CallFuture) return wrapFuture<T>(promise, { loop });
  const future = new Future<T>({ loop });
  const outside = currentFrame() === undefined;
  let waiting = true;
  const settled = (): void => {
    if (!waiting) return;
    waiting = false;
    loop._countNative(outside, -1);
  };
  loop._countNative(outside, 1);
  future._whenDone(settled);
  const settle = (end: () => void): void => {
    settled();
    if (!future.done() && !loop.isClosed()) end();
  };
  promise.then(
    (value) => settle(() => future.setResult(value)),
    (error) =>
      settle(() => {
        future.setException(error);
      }),
  );
  return future;
}

/** @internal */
export function isYieldable(value: unknown): value is Yieldable<unknown> {
  return value instanceof Future || value instanceof Coroutine || isGenerator(value);
}

/** @internal */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** @internal */
export function awaitedBefore(coroutine: Coroutine<unknown>): RuntimeError {
  return new RuntimeError(
    `Cannot await ${coroutine} a second time, or a closed one: call the function again for a new one`,
  );
}

/** @internal */
export function notAwaitable(value: unknown): TypeError {
  return new TypeError(
    `Cannot await ${
      Deno.inspect(value, { depth: 0 })
    }: pass a coroutine, a future, a task, a promise, or a function that returns one`,
  );
}

const GENERATOR = Object.getPrototypeOf(function* () {}.prototype) as object;
const GENERATOR_FUNCTION = Object.getPrototypeOf(function* () {}) as object;
const ASYNC_FUNCTION = Object.getPrototypeOf(async function () {}) as object;
const coroutineFunctions = new WeakSet<(...args: never[]) => unknown>();

function isGenerator(value: unknown): value is GeneratorCoroutine<unknown> {
  return typeof value === "object" && value !== null && Object.prototype.isPrototypeOf.call(GENERATOR, value);
}

function isGeneratorFunction(value: unknown): boolean {
  return typeof value === "function" && Object.getPrototypeOf(value) === GENERATOR_FUNCTION;
}

/**
 * Makes a coroutine function of a `function*` or an `async` function: calling it begins nothing, awaiting what it
 * returns does.
 *
 * @typeParam A The types of the arguments.
 * @typeParam R What the function returns.
 * @param fn The function.
 * @returns The coroutine function.
 * @throws {TypeError} If `fn` is no function.
 *
 * @example
 * ```ts
 * import { coroutine, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const later = coroutine(function* <T>(value: T) {
 *   yield* sleep(1);
 *   return value;
 * });
 * assertEquals(await later(42), 42);
 * ```
 */
export function coroutine<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => Coroutine<AwaitedOf<R>> {
  if (typeof fn !== "function") {
    throw new TypeError(
      `Cannot make a coroutine function of ${Deno.inspect(fn)}: pass a function* or an async function`,
    );
  }
  const made = function (this: unknown, ...args: A): Coroutine<AwaitedOf<R>> {
    return new FunctionCoroutine<A, AwaitedOf<R>>(fn, args, this);
  };
  Object.defineProperty(made, "name", { value: fn.name });
  coroutineFunctions.add(made as (...args: never[]) => unknown);
  return made;
}

/**
 * Whether `value` is a coroutine: a {@linkcode Coroutine}, or a generator, which is taken for one.
 *
 * CPython's generators have not been coroutines since 3.12; here they are what coroutines are made of.
 *
 * @param value Anything.
 */
export function iscoroutine(value: unknown): value is Coroutine<unknown> | GeneratorCoroutine<unknown> {
  return value instanceof Coroutine || isGenerator(value);
}

/**
 * Whether `value` is a function whose calls can be awaited: made by {@linkcode coroutine}, a `function*`, or an `async`
 * function.
 *
 * @param value Anything.
 */
export function iscoroutinefunction(value: unknown): boolean {
  if (typeof value !== "function") return false;
  const kind = Object.getPrototypeOf(value);
  return kind === GENERATOR_FUNCTION || kind === ASYNC_FUNCTION ||
    coroutineFunctions.has(value as (...args: never[]) => unknown);
}

/**
 * Whether `value` can be awaited in any of the ways of {@linkcode Awaitable}.
 *
 * @internal
 */
export function isAwaitable(value: unknown): value is Awaitable<unknown> {
  return typeof value === "function" || isYieldable(value) || isPromise(value);
}

/**
 * Lets go of a coroutine that will not be run.
 *
 * @internal
 */
export function closeCoroutine(value: unknown): void {
  if (value instanceof Coroutine) value.close();
  else if (isGenerator(value)) value.return(undefined);
}
