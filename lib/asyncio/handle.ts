/**
 * {@linkcode Handle} and {@linkcode TimerHandle}: callbacks that a loop has been asked to make.
 * @module
 */

import { current } from "./_current.ts";
import { Context } from "./context.ts";
import type { EventLoop } from "./event_loop.ts";

const NO_ARGS: readonly never[] = [];
const GONE = (): void => {};

/**
 * A callback that the loop will make once: what {@linkcode EventLoop.callSoon} returns. CPython's `asyncio.Handle`.
 */
export class Handle {
  /** @internal */
  readonly _loop: EventLoop;
  /** @internal */
  _context: Context | undefined;
  /** @internal */
  _cancelled = false;
  /**
   * The stack where it was made, in debug mode.
   *
   * @internal
   */
  _origin: string | undefined;
  #callback: (...args: never[]) => unknown;
  #args: readonly unknown[];

  /** @internal */
  get _task(): null {
    return null;
  }

  /** @internal */
  get _native(): null {
    return null;
  }

  /**
   * Made by {@linkcode EventLoop.callSoon}.
   *
   * @param callback What to call.
   * @param args Its arguments.
   * @param loop The loop that calls it.
   * @param context The context to call it in; `undefined` for an empty one.
   */
  constructor(
    callback: (...args: never[]) => unknown,
    args: readonly unknown[],
    loop: EventLoop,
    context?: Context | undefined,
  ) {
    this.#callback = callback;
    this.#args = args;
    this._loop = loop;
    this._context = context;
    if (loop.debug) this._origin = callerStack();
  }

  /** Calls it off. The callback and its arguments are let go at once; nothing happens if it has run. */
  cancel(): void {
    if (this._cancelled) return;
    this._cancelled = true;
    if (this._loop.debug) {
      this._origin = `${describeFunction(this.#callback)}, ${this._origin ?? ""}`;
    }
    this.#callback = GONE;
    this.#args = NO_ARGS;
  }

  /** Whether {@linkcode Handle.cancel} was called. */
  cancelled(): boolean {
    return this._cancelled;
  }

  /** The context that the callback is called in. */
  getContext(): Context {
    return this._context ??= new Context();
  }

  /** The class, the callback and the state, for messages. */
  toString(): string {
    return `<${this.constructor.name}${this._cancelled ? " cancelled" : ` ${describeFunction(this.#callback)}`}${
      this._origin === undefined ? "" : ` created at ${this._origin}`
    }>`;
  }

  /** @internal */
  _run(): void {
    if (this._cancelled) return;
    current.frame = this;
    try {
      const args = this.#args;
      if (args.length === 0) (this.#callback as () => unknown)();
      else (this.#callback as (...args: readonly unknown[]) => unknown)(...args);
    } catch (error) {
      this._loop._callbackFailed(error, this, `Exception in callback ${describeFunction(this.#callback)}`);
    }
  }
}

/**
 * A callback at a time: what {@linkcode EventLoop.callLater} and {@linkcode EventLoop.callAt} return. CPython's
 * `asyncio.TimerHandle`.
 */
export class TimerHandle extends Handle {
  /** @internal */
  readonly _when: number;
  /**
   * Whether it is in the loop's heap.
   *
   * @internal
   */
  _scheduled = true;

  /**
   * Made by {@linkcode EventLoop.callLater} and {@linkcode EventLoop.callAt}.
   *
   * @param when The time, in milliseconds of the loop's clock.
   * @param callback What to call.
   * @param args Its arguments.
   * @param loop The loop that calls it.
   * @param context The context to call it in; `undefined` for an empty one.
   */
  constructor(
    when: number,
    callback: (...args: never[]) => unknown,
    args: readonly unknown[],
    loop: EventLoop,
    context?: Context | undefined,
  ) {
    super(callback, args, loop, context);
    this._when = when;
  }

  /** The time it is due, in milliseconds of {@linkcode EventLoop.time}. */
  when(): number {
    return this._when;
  }

  /** Calls it off, as {@linkcode Handle.cancel}. */
  override cancel(): void {
    if (!this._cancelled && this._scheduled) this._loop._timerCancelled();
    super.cancel();
  }
}

/**
 * How a function is named in messages.
 *
 * @internal
 */
export function describeFunction(fn: unknown): string {
  return typeof fn === "function" ? `${fn.name || "anonymous"}()` : Deno.inspect(fn, { depth: 0 });
}

/**
 * The first place of the stack that is outside of this library's loop, and those below it: what follows "created at".
 *
 * @internal
 */
export function callerStack(): string {
  const here = import.meta.url.slice(0, import.meta.url.lastIndexOf("/") + 1);
  const lines = (new Error().stack ?? "").split("\n").slice(1).map((line) => line.trim());
  return lines.filter((line) => !line.includes(here)).join("\n    ").replace(/^at /, "");
}
