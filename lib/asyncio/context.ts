/**
 * {@linkcode ContextVar} and {@linkcode Context}: values that belong to a task and to what it starts. Python's
 * `contextvars`.
 * @module
 */

import { current, currentFrame, type Frame, frames } from "./_current.ts";
import { RuntimeError, ValueError } from "./exceptions.ts";

type Values = ReadonlyMap<ContextVar<unknown>, unknown>;

const NO_VALUES: Values = new Map();

/**
 * A mapping of context variables to values. Each task and each callback has one, a copy of the one it was made in.
 * Python's `contextvars.Context`.
 *
 * @example
 * ```ts
 * import { Context, ContextVar } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const user = new ContextVar("user", { default: "nobody" });
 * const context = new Context();
 * context.run(() => user.set("ada"));
 * assertEquals(context.get(user), "ada");
 * assertEquals(user.get(), "nobody");
 * ```
 */
export class Context {
  /**
   * Never changed, always replaced: that makes copies free.
   *
   * @internal
   */
  _values: Values = NO_VALUES;
  #entered = false;

  /** How many variables have a value. */
  get size(): number {
    return this._values.size;
  }

  /**
   * The value of a variable here, without its default.
   *
   * @typeParam T The type of the value.
   * @param variable The variable.
   * @returns The value, `undefined` if it has none.
   */
  get<T>(variable: ContextVar<T>): T | undefined {
    return this._values.get(variable as ContextVar<unknown>) as T | undefined;
  }

  /**
   * Whether a variable has a value here.
   *
   * @param variable The variable.
   */
  has(variable: ContextVar<unknown>): boolean {
    return this._values.has(variable);
  }

  /** A copy: what is set in one of the two is not seen in the other. */
  copy(): Context {
    const copy = new Context();
    copy._values = this._values;
    return copy;
  }

  /** The variables that have a value here, and the values. */
  [Symbol.iterator](): IterableIterator<[ContextVar<unknown>, unknown]> {
    return this._values.entries();
  }

  /**
   * Calls `fn(...args)` in this context, in which what it sets stays.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function. If it is async, this context stays its own through its awaits.
   * @param args Its arguments.
   * @returns What `fn` returns.
   * @throws {RuntimeError} If this context is being run already.
   */
  run<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): R {
    if (this.#entered) {
      throw new RuntimeError(
        "Cannot run a function in a context that is entered already: run it in a copy()",
      );
    }
    const outer = currentFrame();
    const frame: Frame = {
      _loop: outer?._loop ?? null,
      _task: outer?._task ?? null,
      _native: outer?._native ?? null,
      _context: this,
    };
    const before = current.frame;
    this.#entered = true;
    if (before !== null) current.frame = frame;
    try {
      return frames.run(frame, fn, ...args);
    } finally {
      current.frame = before;
      this.#entered = false;
    }
  }
}

/** What {@linkcode ContextVar.set} gives, to undo it with {@linkcode ContextVar.reset}, once. */
export interface Token<T> {
  /** The variable that was set. */
  readonly variable: ContextVar<T>;
  /** The value before; absent if it had none. */
  readonly oldValue?: T;
}

/** The contexts that tokens were made in; used ones are taken out. */
const contexts = new WeakMap<Token<never>, Context>();

/** Options of {@linkcode ContextVar}. */
export interface ContextVarOptions<T> {
  /** The value where none was set. */
  default?: T;
}

/**
 * A variable with a value of its own in each {@linkcode Context}: in each task, and in what a task starts. Python's
 * `contextvars.ContextVar`.
 *
 * @typeParam T The type of the value.
 *
 * @example
 * ```ts
 * import { ContextVar, createTask } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const user = new ContextVar<string>("user");
 * user.set("ada");
 * await createTask(function* () {
 *   assertEquals(user.get(), "ada");
 *   user.set("grace");
 * }());
 * assertEquals(user.get(), "ada");
 * ```
 */
export class ContextVar<T> {
  /** The name, for messages. */
  readonly name: string;
  readonly #options: ContextVarOptions<T>;

  /**
   * Makes one.
   *
   * @param name The name, for messages.
   * @param options The default.
   */
  constructor(name: string, options: ContextVarOptions<T> = {}) {
    this.name = name;
    this.#options = options;
  }

  /**
   * The value in the current context.
   *
   * @param fallback What to return if it has none; else it is the variable's default.
   * @returns The value.
   * @throws {ReferenceError} If it has no value and there is no default. Python's `LookupError`.
   */
  get(fallback?: T): T {
    const values = (currentFrame() ?? OUTSIDE)._context?._values;
    const value = values?.get(this as ContextVar<unknown>);
    if (value !== undefined || values?.has(this as ContextVar<unknown>)) {
      return value as T;
    }
    if (fallback !== undefined) return fallback;
    if ("default" in this.#options) return this.#options.default as T;
    throw new ReferenceError(
      `Cannot get context variable "${this.name}": it has no value in this context; set one, or give a default`,
    );
  }

  /**
   * Sets the value in the current context.
   *
   * @param value The value.
   * @returns What undoes it.
   */
  set(value: T): Token<T> {
    const context = currentContext();
    const variable = this as ContextVar<unknown>;
    const had = context._values.has(variable);
    const token: Token<T> = had ? { variable: this, oldValue: context._values.get(variable) as T } : { variable: this };
    contexts.set(token as Token<never>, context);
    context._values = new Map(context._values).set(variable, value);
    return token;
  }

  /**
   * Gives the variable back the value it had before a {@linkcode ContextVar.set}.
   *
   * @param token What that `set` returned.
   * @throws {ValueError} If the token is of another variable, or of another context.
   * @throws {RuntimeError} If the token was used before.
   */
  reset(token: Token<T>): void {
    if (token.variable !== this) {
      throw new ValueError(`Cannot reset context variable "${this.name}" with a token of "${token.variable.name}"`);
    }
    const context = currentContext();
    const origin = contexts.get(token as Token<never>);
    if (origin === undefined) {
      throw new RuntimeError(`Cannot reset context variable "${this.name}" with a token that was used before`);
    }
    if (origin !== context) {
      throw new ValueError(
        `Cannot reset context variable "${this.name}" with a token that was made in another context`,
      );
    }
    contexts.delete(token as Token<never>);
    const values = new Map(context._values);
    if ("oldValue" in token) {
      values.set(this as ContextVar<unknown>, token.oldValue);
    } else values.delete(this as ContextVar<unknown>);
    context._values = values;
  }
}

/** The frame of code outside all loops. */
const OUTSIDE: Frame = {
  _loop: null,
  _task: null,
  _native: null,
  _context: new Context(),
};

/**
 * The context of the code that is running, itself and not a copy.
 *
 * @internal
 */
export function currentContext(): Context {
  const frame = currentFrame() ?? OUTSIDE;
  return frame._context ??= new Context();
}

/**
 * A copy of the current context. Python's `contextvars.copy_context()`.
 *
 * @example
 * ```ts
 * import { ContextVar, copyContext } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const depth = new ContextVar("depth", { default: 0 });
 * copyContext().run(() => depth.set(1));
 * assertEquals(depth.get(), 0);
 * ```
 */
export function copyContext(): Context {
  return currentContext().copy();
}

/**
 * The copy of the current context that something made now gets; `undefined` for an empty one.
 *
 * @internal
 */
export function inheritedContext(): Context | undefined {
  const context = (currentFrame() ?? OUTSIDE)._context;
  return context === undefined || context._values.size === 0 ? undefined : context.copy();
}
