/**
 * The error classes of `asyncio`.
 *
 * JavaScript has no `BaseException`: a `catch` clause catches a {@linkcode CancelledError} like any other error. Code
 * that goes on after an error lets it through: `if (error instanceof CancelledError) throw error`.
 *
 * @module
 */

import type { CancelOrigin } from "./cancel_origin.ts";
import { RuntimeError, TimeoutError } from "../futures/errors.ts";

export { RuntimeError, TimeoutError };

/** Options of {@linkcode CancelledError}. */
export interface CancelledErrorOptions extends ErrorOptions {
  /** What asked for the cancellation. Nothing by default. */
  origin?: CancelOrigin | undefined;
}

/**
 * A task or a future was cancelled. Thrown into a task where it waits, and by whatever waits for a cancelled future. What
 * one task cancels at a time gets one and the same error. It has no stack; its `origin` says where it comes from.
 *
 * CPython's `asyncio.CancelledError`; not the class of that name in `futures`, which is for calls that an executor
 * never ran.
 */
export class CancelledError extends Error {
  /** What was passed to `cancel()`, as it was passed; `undefined` if nothing was. */
  readonly reason: unknown;
  /** What asked for the cancellation; `undefined` if the error was made by other code than this library's. */
  readonly origin: CancelOrigin | undefined;

  /**
   * Makes one.
   *
   * @param reason What was passed to `cancel()`.
   * @param options The `cause` and the origin.
   */
  constructor(reason?: unknown, options?: CancelledErrorOptions) {
    super(reason === undefined || reason === null ? "" : String(reason), options);
    this.name = "CancelledError";
    this.reason = reason ?? undefined;
    this.origin = options?.origin;
  }
}

/** V8 leaves out the frames above `new.target`; this one is never on the stack, so that it leaves out all. */
function Nowhere(): void {}
Nowhere.prototype = CancelledError.prototype;

/**
 * As `new CancelledError()`, with an empty stack: where the loop makes one there is nothing to be seen but the loop. It
 * takes half the time, and holds on to nothing but what it tells.
 *
 * @internal
 */
export function cancelledError(message: unknown, origin: CancelOrigin | undefined): CancelledError {
  return Reflect.construct(CancelledError, [message, { origin }], Nowhere);
}

/**
 * A future was asked for what its state does not allow, such as a second result. CPython's `asyncio.InvalidStateError`.
 */
export class InvalidStateError extends Error {
  /**
   * Makes one.
   *
   * @param message The step that was tried and the state of the future.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "InvalidStateError";
  }
}

/** Something could be had by waiting only, and was asked for without waiting. Trio's and anyio's `WouldBlock`. */
export class WouldBlock extends Error {
  /**
   * Makes one.
   *
   * @param message What was asked for.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "WouldBlock";
  }
}

/** An argument of the right type and a wrong value. Python's `ValueError`; a `RangeError` to JavaScript. */
export class ValueError extends RangeError {
  /**
   * Makes one.
   *
   * @param message What was passed and what to pass instead.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ValueError";
  }
}

/**
 * The stream ended before what was asked for had come. Python's `asyncio.IncompleteReadError`, an `EOFError`.
 */
export class IncompleteReadError extends Error {
  /** What had come, which may be nothing. It has left the reader's buffer. */
  readonly partial: Uint8Array<ArrayBuffer>;
  /** How many bytes were asked for; `null` if it was a separator. */
  readonly expected: number | null;

  /**
   * Makes one.
   *
   * @param partial What had come.
   * @param expected How many bytes were asked for, `null` if that is not known.
   */
  constructor(partial: Uint8Array<ArrayBuffer>, expected: number | null) {
    super(`${partial.length} bytes read on a total of ${expected ?? "undefined"} expected bytes`);
    this.name = "IncompleteReadError";
    this.partial = partial;
    this.expected = expected;
  }
}

/**
 * A separator has not come within the limit of the reader. Python's `asyncio.LimitOverrunError`. What was read stays in
 * the buffer.
 */
export class LimitOverrunError extends Error {
  /** How many bytes can be read and thrown away without touching a separator. */
  readonly consumed: number;

  /**
   * Makes one.
   *
   * @param message What happened.
   * @param consumed How many bytes hold no separator.
   */
  constructor(message: string, consumed: number) {
    super(message);
    this.name = "LimitOverrunError";
    this.consumed = consumed;
  }
}

/** A signal was sent to a process that has ended. Python's `ProcessLookupError`. */
export class ProcessLookupError extends Error {
  /**
   * Makes one.
   *
   * @param message Which process, and how it ended.
   */
  constructor(message?: string) {
    super(message);
    this.name = "ProcessLookupError";
  }
}

/** A class of errors. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** Which errors {@linkcode ExceptionGroup.split} is after: those of a class, of one of several, or that a function picks. */
export type ErrorCondition = ErrorClass | readonly ErrorClass[] | ((error: unknown) => boolean);

function isErrorClass(value: unknown): value is ErrorClass {
  return typeof value === "function" && (value === Error || value.prototype instanceof Error);
}

function toPredicate(condition: ErrorCondition): (error: unknown) => boolean {
  const classes = Array.isArray(condition) ? condition : [condition];
  if (classes.length > 0 && classes.every(isErrorClass)) {
    return (error) => classes.some((Class) => error instanceof Class);
  }
  if (typeof condition === "function") return condition as (error: unknown) => boolean;
  throw new TypeError(
    `Cannot split by ${Deno.inspect(condition, { depth: 1 })}: pass a class of errors, a list of them, or a function`,
  );
}

/**
 * Several errors at once, such as those of the tasks of a task group. Python's `ExceptionGroup`.
 *
 * @example
 * ```ts
 * import { ExceptionGroup, taskGroup } from "@skein/skein/asyncio";
 * import { assert, assertEquals, assertRejects } from "@std/assert";
 *
 * const error = await assertRejects(async () => {
 *   await taskGroup(function* (group) {
 *     group.createTask(() => Promise.reject(new RangeError("one")));
 *   });
 * });
 * assert(error instanceof ExceptionGroup);
 * assertEquals(error.errors.map(String), ["RangeError: one"]);
 * ```
 *
 * @example What Python does with `except* RangeError as group`
 * ```ts
 * import { ExceptionGroup, taskGroup } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * try {
 *   await taskGroup(function* (group) {
 *     group.createTask(() => Promise.reject(new RangeError("too far")));
 *   });
 * } catch (error) {
 *   if (!(error instanceof ExceptionGroup)) throw error;
 *   const [outOfRange, rest] = error.split(RangeError);
 *   assertEquals(outOfRange?.errors.map(String), ["RangeError: too far"]);
 *   if (rest !== null) throw rest;
 * }
 * ```
 */
export class ExceptionGroup extends AggregateError {
  readonly #text: string;

  /**
   * Makes one.
   *
   * @param message What the errors have in common.
   * @param errors The errors, at least one.
   * @param options The `cause`.
   * @throws {ValueError} If there is no error in it.
   */
  constructor(message: string, errors: Iterable<unknown>, options?: ErrorOptions) {
    const list = [...errors];
    if (list.length === 0) {
      throw new ValueError("Cannot make an ExceptionGroup of no errors: pass at least one");
    }
    const count = list.length === 1 ? "1 sub-exception" : `${list.length} sub-exceptions`;
    super(list, `${message} (${count})`, options);
    this.name = "ExceptionGroup";
    this.#text = message;
  }

  /**
   * Parts those of the errors that fit from the others. Groups among them are parted, too, and keep their place.
   *
   * @param condition A class of errors, a list of them, or a function that is asked about each error, and about each
   * group first: one that fits is taken as a whole.
   * @returns A group of those that fit and one of the others; `null` for one that would be empty.
   * @throws {TypeError} If `condition` is none of these.
   */
  split(condition: ErrorCondition): [matching: ExceptionGroup | null, rest: ExceptionGroup | null] {
    const fits = toPredicate(condition);
    if (fits(this)) return [this, null];
    const matching: unknown[] = [];
    const others: unknown[] = [];
    for (const error of this.errors) {
      if (error instanceof ExceptionGroup) {
        const [inside, outside] = error.split(fits);
        if (inside !== null) matching.push(inside);
        if (outside !== null) others.push(outside);
      } else if (fits(error)) matching.push(error);
      else others.push(error);
    }
    return [this.#with(matching), this.#with(others)];
  }

  /**
   * Those of the errors that fit: the first that {@linkcode ExceptionGroup.split} gives.
   *
   * @param condition As of `split`.
   * @returns A group of those that fit, or `null` if none does.
   * @throws {TypeError} If `condition` is none.
   */
  subgroup(condition: ErrorCondition): ExceptionGroup | null {
    return this.split(condition)[0];
  }

  /**
   * A group of other errors with the message of this one. A class of groups of your own overrides it, so that `split` and
   * `subgroup` make groups of that class.
   *
   * @param errors The errors, at least one.
   * @returns The group.
   */
  derive(errors: Iterable<unknown>): ExceptionGroup {
    return new ExceptionGroup(this.#text, errors);
  }

  #with(errors: readonly unknown[]): ExceptionGroup | null {
    if (errors.length === 0) return null;
    const group = this.derive(errors);
    if ("cause" in this) Object.defineProperty(group, "cause", Object.getOwnPropertyDescriptor(this, "cause")!);
    if (this.stack !== undefined) group.stack = this.stack;
    return group;
  }
}

/**
 * A {@linkcode Barrier} was aborted or reset while a task waited at it, or is broken. CPython's
 * `asyncio.BrokenBarrierError`.
 */
export class BrokenBarrierError extends RuntimeError {
  /**
   * Makes one.
   *
   * @param message What happened to the barrier.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BrokenBarrierError";
  }
}

/**
 * The program was told to end from the keyboard. `run()` rejects with it after Ctrl-C. A task that throws it ends the
 * loop's run, as in CPython.
 */
export class KeyboardInterrupt extends Error {
  /**
   * Makes one.
   *
   * @param message What to say about it.
   */
  constructor(message?: string) {
    super(message);
    this.name = "KeyboardInterrupt";
  }
}

/**
 * Asks for the end of the program. A task that throws it ends the loop's run, which rejects with it. Python's
 * `SystemExit`.
 */
export class SystemExit extends Error {
  /** The exit code asked for. */
  readonly code: number;

  /**
   * Makes one.
   *
   * @param code The exit code.
   */
  constructor(code = 0) {
    super(String(code));
    this.name = "SystemExit";
    this.code = code;
  }
}

/** A task that cannot go on, as {@linkcode DeadlockError} lists it. */
export interface BlockedTask {
  /** The name of the task. */
  readonly name: string;
  /** What it waits for, as text. */
  readonly waitsFor: string;
}

/**
 * Nothing is left to run, no timer is set, and yet the loop was to run until something is done. Only a loop on a
 * virtual clock can know that. CPython has nothing like it: there the program hangs.
 */
export class DeadlockError extends Error {
  /** Every task that is not done, in the order of creation. */
  readonly blocked: readonly BlockedTask[];

  /**
   * Makes one.
   *
   * @param message What was waited for.
   * @param blocked The tasks that are not done.
   */
  constructor(message: string, blocked: readonly BlockedTask[]) {
    super(message + blocked.map((task) => `\n  ${task.name} waits for ${task.waitsFor}`).join(""));
    this.name = "DeadlockError";
    this.blocked = blocked;
  }
}

/**
 * The cancellation that code has ended with, the newest if there are several: a disposer of `await using` that waits in
 * code that is cancelled may be cancelled as well, and the language makes one SuppressedError of both. With any other
 * error in it that is no cancellation but an error.
 *
 * @internal
 */
export function cancellationIn(error: unknown): CancelledError | null {
  if (error instanceof CancelledError) return error;
  // By its name, as the class is a new one, and what is compiled for older engines brings its own.
  if (!(error instanceof Error && error.name === "SuppressedError" && "suppressed" in error && "error" in error)) {
    return null;
  }
  const newest = cancellationIn(error.error);
  return newest !== null && cancellationIn(error.suppressed) !== null ? newest : null;
}

/**
 * Whether `error` is one of those that end the run of a loop rather than a task alone.
 *
 * @internal
 */
export function endsLoop(error: unknown): boolean {
  return error instanceof KeyboardInterrupt || error instanceof SystemExit;
}
