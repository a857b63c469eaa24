/**
 * The error classes of `concurrent.futures`, and those that its JavaScript form needs on top.
 *
 * The names are set in the constructors, so that they are own properties and survive a structured clone of the error.
 * @module
 */

/** An operation that is not allowed in the state that its object is in. Python's `RuntimeError`. */
export class RuntimeError extends Error {
  /**
   * Makes the error.
   *
   * @param message What was tried, why it is not allowed, and what to do instead.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RuntimeError";
  }
}

/**
 * The future was cancelled before its function ran; or, inside a task, {@linkcode checkCancelled} found that nobody
 * waits for it any more. CPython's `concurrent.futures.CancelledError`.
 */
export class CancelledError extends Error {
  /**
   * Makes the error.
   *
   * @param message What was cancelled.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CancelledError";
  }
}

/** The time allowed for a wait or for a task is over. CPython's `TimeoutError`. */
export class TimeoutError extends Error {
  /**
   * Makes the error.
   *
   * @param message What took too long, and the limit that it had.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TimeoutError";
  }
}

/**
 * A future was asked for a step that its state forbids, such as a second result. CPython's
 * `concurrent.futures.InvalidStateError`.
 */
export class InvalidStateError extends Error {
  /**
   * Makes the error.
   *
   * @param message The step that was tried and the state that the future is in.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "InvalidStateError";
  }
}

/**
 * The executor cannot run anything any more: its workers fail to start, or it was told to break when one dies. Every
 * pending future and every later `submit` gets it. CPython's `BrokenExecutor`.
 */
export class BrokenExecutorError extends RuntimeError {
  /**
   * Makes the error.
   *
   * @param message What broke the executor.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BrokenExecutorError";
  }
}

/** {@linkcode BrokenExecutorError} of a {@linkcode ThreadPoolExecutor}. CPython's `BrokenThreadPool`. */
export class BrokenThreadPoolError extends BrokenExecutorError {
  /**
   * Makes the error.
   *
   * @param message What broke the pool.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BrokenThreadPoolError";
  }
}

/** {@linkcode BrokenExecutorError} of a {@linkcode ProcessPoolExecutor}. CPython's `BrokenProcessPool`. */
export class BrokenProcessPoolError extends BrokenExecutorError {
  /**
   * Makes the error.
   *
   * @param message What broke the pool.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BrokenProcessPoolError";
  }
}

/** The pool takes no more calls for now: as many wait as `maxQueue` allows. */
export class QueueFullError extends RuntimeError {
  /**
   * Makes the error.
   *
   * @param message The limit, and what to do.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "QueueFullError";
  }
}

/**
 * A worker could not get at the function: its module or its name is not there, or its source needs something from
 * around it.
 */
export class NotImportableError extends Error {
  /**
   * Makes the error.
   *
   * @param message The function, what is missing, and how to write it instead.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NotImportableError";
  }
}

/**
 * An argument or a result cannot be copied to the other side: it holds a function, a symbol, a promise, an open
 * resource and the like.
 */
export class NotCloneableError extends TypeError {
  /**
   * Makes the error.
   *
   * @param message Where in which value, and what it is.
   * @param options The `cause`.
   */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NotCloneableError";
  }
}

/** How a worker ended. */
export interface WorkerExit {
  /** The exit code, where there is one: of the child process, or the argument of `Deno.exit()` in a thread. */
  code?: number;
  /** The signal that ended the child process, such as `"SIGKILL"`. */
  signal?: string;
  /** The last lines that the child process wrote to its stderr. */
  stderr?: string;
}

/** The worker died while it ran this task. Only this future gets it; the pool replaces the worker and goes on. */
export class WorkerCrashedError extends Error {
  /** The exit code of the worker, if it had one. */
  readonly code: number | undefined;
  /** The signal that ended the child process, if one did. */
  readonly signal: string | undefined;
  /** The last lines that the child process wrote to its stderr; empty for a thread, which shares the program's. */
  readonly stderr: string;

  /**
   * Makes the error.
   *
   * @param message What the worker was doing, and how it ended.
   * @param options How it ended, in parts, and the `cause`.
   */
  constructor(message?: string, options: ErrorOptions & WorkerExit = {}) {
    super(message, options);
    this.name = "WorkerCrashedError";
    this.code = options.code;
    this.signal = options.signal;
    this.stderr = options.stderr ?? "";
  }
}

// Tells an error of Skein's from one of another class with that name, when it comes back from a worker.
const SKEIN: unique symbol = Symbol.for("@skein/skein.error") as never;
for (
  const { prototype, name } of [
    BrokenExecutorError,
    BrokenProcessPoolError,
    BrokenThreadPoolError,
    CancelledError,
    InvalidStateError,
    NotCloneableError,
    NotImportableError,
    QueueFullError,
    RuntimeError,
    TimeoutError,
    WorkerCrashedError,
  ]
) Object.defineProperty(prototype, SKEIN, { value: name });
