/**
 * {@linkcode ContextVar} and {@linkcode Context}: values that belong to a task and to what it starts. Python's
 * `contextvars`.
 * @module
 */

import { taskContext } from "../futures/task_context.ts";
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
      throw new RuntimeError("Cannot run a function in a context that is entered already: run it in a copy()");
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
  /**
   * Whether the value goes along to workers, with {@linkcode toThread} and whoever names a context. It arrives as a
   * copy, and the call fails at once if it cannot be cloned. The worker finds it by the name of the variable, which is
   * therefore unique among those that travel.
   * @default {false}
   */
  travels?: boolean | undefined;
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
  /** The name, for messages; of a variable that travels, also what workers know it by. */
  readonly name: string;
  /**
   * Whether the value goes along to workers.
   *
   * @internal
   */
  readonly _travels: boolean;
  readonly #options: ContextVarOptions<T>;

  /**
   * Makes one.
   *
   * @param name The name.
   * @param options The default, and whether it travels.
   */
  constructor(name: string, options: ContextVarOptions<T> = {}) {
    this.name = name;
    this.#options = options;
    this._travels = options.travels ?? false;
  }

  /**
   * The value in the current context. In a worker, a variable that travels has the value that came with the call until
   * another one is set.
   *
   * @param fallback What to return if it has none; else it is the variable's default.
   * @returns The value.
   * @throws {ReferenceError} If it has no value and there is no default. Python's `LookupError`.
   */
  get(fallback?: T): T {
    const values = (currentFrame() ?? outside())._context?._values;
    const value = values?.get(this as ContextVar<unknown>);
    if (value !== undefined || values?.has(this as ContextVar<unknown>)) {
      return value as T;
    }
    if (this._travels) {
      const brought = taskContext();
      if (Object.hasOwn(brought, this.name)) return brought[this.name] as T;
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

/** The frames of code outside all loops, by what came along with the call of a worker that the code is part of. */
const outsides = new WeakMap<object, Frame>();

/**
 * The frame of code outside all loops. In a worker each call that something came along with has one of its own, so that
 * what one sets is not there in the next.
 */
function outside(): Frame {
  const brought = taskContext();
  let frame = outsides.get(brought);
  if (frame === undefined) {
    frame = { _loop: null, _task: null, _native: null, _context: new Context() };
    outsides.set(brought, frame);
  }
  return frame;
}

/**
 * The context of the code that is running, itself and not a copy.
 *
 * @internal
 */
export function currentContext(): Context {
  const frame = currentFrame() ?? outside();
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
  const context = (currentFrame() ?? outside())._context;
  return context === undefined || context._values.size === 0 ? undefined : context.copy();
}

/**
 * What goes along to a worker from a context, the current one by default: the values of the variables that travel, over
 * those that came to this worker itself. `undefined` if there are none.
 *
 * @throws {ValueError} If two of the variables have one name.
 * @internal
 */
export function travellingValues(
  context: Context | undefined = (currentFrame() ?? outside())._context,
): Record<string, unknown> | undefined {
  const own: Record<string, unknown> = {};
  for (const [{ name, _travels }, value] of context ?? []) {
    if (!_travels) continue;
    if (Object.hasOwn(own, name)) {
      throw new ValueError(
        `Cannot take context variable "${name}" to a worker as another one of that name has a value, too: give each variable that travels a name of its own`,
      );
    }
    own[name] = value;
  }
  const values = { ...taskContext(), ...own };
  return Object.keys(values).length === 0 ? undefined : values;
}
