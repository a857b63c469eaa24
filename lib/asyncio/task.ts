/**
 * {@linkcode Task}: a coroutine that a loop runs.
 * @module
 */

import { current, policy } from "./_current.ts";
import { Context, inheritedContext } from "./context.ts";
import { type Awaitable, type AwaitedOf, awaiting, isAwaitable, notAwaitable } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { CancelledError, endsLoop, RuntimeError } from "./exceptions.ts";
import { Future } from "./future.ts";
import { Strand } from "./_strand.ts";

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
   * Set when the next step has to throw a CancelledError.
   *
   * @internal
   */
  _mustCancel = false;
  /**
   * The tasks of a loop are a list through these: a set would cost as much as all the rest of making a task.
   *
   * @internal
   */
  _previous: Task<unknown> | undefined = undefined;
  /** @internal */
  _next: Task<unknown> | undefined = undefined;
  #name: string | number;
  #cancelRequests = 0;
  #coroutine: Awaitable<T> | undefined;
  #strand: Strand;
  #controller: AbortController | undefined = undefined;
  #unfollow: (() => void) | undefined = undefined;

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
    // A generator is driven as it is; all else through one.
    const iterator = "next" in coroutine ? coroutine : awaiting(coroutine);
    this.#strand = new Strand(this as Task<unknown>, iterator, this);
    if (signal !== undefined) this.#follow(signal);
    const loop = this._loop;
    if (options.eagerStart === true && loop.isRunning() && !this._mustCancel) this.#startEagerly();
    else {
      loop._enqueue(this.#strand);
      loop._register(this as Task<unknown>);
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
   * A signal that aborts when the task is cancelled, with a {@linkcode CancelledError} as its reason: for `fetch` and
   * the like. A task that takes its cancellation back ({@linkcode Task.uncancel}), as `timeout` does, has a new one
   * after that; so take it anew for each call.
   */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /**
   * Asks for the cancellation: a {@linkcode CancelledError} is thrown where it waits, or at its next wait. The
   * coroutine may catch it and go on.
   *
   * @param message What to tell: the `reason` of the error.
   * @returns `false` if the task is done; else `true`, every time.
   */
  override cancel(message?: unknown): boolean {
    this._markRetrieved();
    if (this.done()) return false;
    this.#cancelRequests++;
    const cancelled = this.#strand._cancel(message);
    if (!cancelled) {
      this._mustCancel = true;
      this._cancelMessage = message;
    }
    this._abortSignal(message);
    return true;
  }

  /** How many cancellations were asked for and not taken back. */
  cancelling(): number {
    return this.#cancelRequests;
  }

  /**
   * Takes one cancellation back. Whoever cancels a task for a purpose of its own, as `timeout` does, calls this when
   * the purpose is served.
   *
   * @returns How many are left.
   */
  uncancel(): number {
    if (this.#cancelRequests > 0) {
      this.#cancelRequests--;
      if (this.#cancelRequests === 0) {
        this._mustCancel = false;
        if (this.#controller?.signal.aborted) this.#controller = undefined;
      }
    }
    return this.#cancelRequests;
  }

  /**
   * Not for tasks: a task has the result of its coroutine.
   *
   * @param _value Not used.
   * @throws {RuntimeError} Always.
   */
  override setResult(_value: T): never {
    throw new RuntimeError(
      `Cannot set a result of ${this}: a task has the result of its coroutine`,
    );
  }

  /**
   * Not for tasks: a task has the exception of its coroutine.
   *
   * @param _exception Not used.
   * @throws {RuntimeError} Always.
   */
  override setException(_exception: unknown): never {
    throw new RuntimeError(
      `Cannot set an exception of ${this}: a task has the exception of its coroutine`,
    );
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
    console.error(
      [`${what} for ${this}`, ...frames.map((frame) => `  at ${frame.text}`)]
        .join("\n"),
    );
  }

  /**
   * What it waits for, as text.
   *
   * @internal
   */
  _waitsFor(): string {
    return String(this.#strand._waiter ?? "its next turn");
  }

  /** @internal */
  override _describe(): string[] {
    const [state, ...rest] = super._describe();
    const asked = !this.done() &&
      (this.#cancelRequests > 0 || this._mustCancel);
    const parts = [asked ? "cancelling" : state!, `name='${this.getName()}'`];
    parts.push(`coro=${this.#describeCoroutine()}`);
    if (!this.done() && this.#strand._waiter instanceof Future) {
      const waiter = this.#strand._waiter;
      parts.push(
        `wait_for=${waiter instanceof Task ? `<Task ${waiter.getName()}>` : waiter}`,
      );
    }
    return [...parts, ...rest];
  }

  /**
   * Aborts the signal; whether anybody had taken it, and is told by that.
   *
   * @internal
   */
  _abortSignal(message: unknown): boolean {
    if (this.#controller === undefined || this.#controller.signal.aborted) {
      return false;
    }
    this.#controller.abort(new CancelledError(message));
    return true;
  }

  /** @internal */
  _strandReturned(value: unknown): void {
    this.#finish();
    if (this._mustCancel) {
      // Cancelled in its last step: the result is dropped.
      this._mustCancel = false;
      this._endCancelled(undefined);
    } else this._endWithResult(value as T);
  }

  /** @internal */
  _strandThrew(error: unknown): void {
    this.#finish();
    if (error instanceof CancelledError) this._endCancelled(error);
    else {
      super.setException(error);
      if (endsLoop(error)) throw error;
    }
  }

  #finish(): void {
    this.#unfollow?.();
    this._loop._unregister(this as Task<unknown>);
  }

  /** The first step at once, as `this` task, within the step of another. */
  #startEagerly(): void {
    const before = current.frame;
    const loop = this._loop;
    loop._register(this as Task<unknown>);
    try {
      this.#strand._start();
    } finally {
      current.frame = before;
    }
    if (this.done()) this.#coroutine = undefined;
  }

  #follow(signal: AbortSignal): void {
    const cancel = (): void => {
      this.cancel(signal.reason);
    };
    if (signal.aborted) {
      cancel();
      return;
    }
    signal.addEventListener("abort", cancel, { once: true });
    this.#unfollow = () => signal.removeEventListener("abort", cancel);
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
export function createTask<A extends Awaitable<unknown>>(
  coroutine: A,
  options?: TaskOptions,
): Task<AwaitedOf<A>> {
  return (current.frame?._loop ?? policy.getEventLoop()).createTask(
    coroutine as Awaitable<AwaitedOf<A>>,
    options,
  );
}
