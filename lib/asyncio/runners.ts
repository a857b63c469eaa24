/**
 * {@linkcode run} and {@linkcode Runner}: run a program in a loop of its own.
 * @module
 */

import { currentFrame } from "./_current.ts";
import { cancelFor, CancelOrigin } from "./cancel_origin.ts";
import { Context } from "./context.ts";
import { type Awaitable, type AwaitedOf, awaiting, closeCoroutine, isAwaitable, notAwaitable } from "./coroutine.ts";
import { setEventLoop } from "./current_loop.ts";
import { EventLoop } from "./event_loop.ts";
import { cancellationIn, KeyboardInterrupt, RuntimeError } from "./exceptions.ts";
import { isfuture } from "./future.ts";
import { gather } from "./gather.ts";

/** How long the work of the default executor is waited for at the end of a run, in milliseconds. CPython's limit. */
const EXECUTOR_SHUTDOWN_LIMIT = 300_000;

/** Options of {@linkcode Runner}. */
export interface RunnerOptions {
  /** Whether the loop is in debug mode. Left to the loop by default. */
  debug?: boolean | undefined;
  /** Makes the loop; by default a new {@linkcode EventLoop}. */
  loopFactory?: (() => EventLoop) | undefined;
}

/** Options of {@linkcode Runner.run}. */
export interface RunnerRunOptions {
  /** The context to run in. By default one that all runs of the runner share. */
  context?: Context | undefined;
  /** Cancels what is run when it aborts, with its reason as the message. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode run}. */
export interface RunOptions extends RunnerOptions {
  /** Cancels what is run when it aborts, with its reason as the message. */
  signal?: AbortSignal | undefined;
}

/**
 * Runs one program after the other in a loop of its own. CPython's `asyncio.Runner`.
 *
 * While it runs, the first Ctrl-C cancels the main task, which makes the run reject with {@linkcode KeyboardInterrupt}
 * unless the task goes on; the second ends the run at once. A handler of the loop for SIGINT takes its place.
 *
 * @example
 * ```ts
 * import { Runner, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await using runner = new Runner();
 * assertEquals(await runner.run(sleep(1, "first")), "first");
 * assertEquals(await runner.run(sleep(1, "second")), "second");
 * ```
 */
export class Runner implements AsyncDisposable {
  readonly #options: RunnerOptions;
  readonly #context = new Context();
  #loop: EventLoop | null = null;
  #closed = false;

  /**
   * Makes one.
   *
   * @param options The loop and its debug mode.
   */
  constructor(options: RunnerOptions = {}) {
    this.#options = options;
  }

  /**
   * The loop, which is made when it is first needed.
   *
   * @throws {RuntimeError} If the runner is closed.
   */
  getLoop(): EventLoop {
    if (this.#closed) {
      throw new RuntimeError("Runner is closed: make a new one");
    }
    if (this.#loop === null) {
      this.#loop = this.#options.loopFactory?.() ?? new EventLoop();
      if (this.#options.debug !== undefined) {
        this.#loop.debug = this.#options.debug;
      }
    }
    return this.#loop;
  }

  /**
   * Runs `main` as a task to its end.
   *
   * @typeParam A The type of `main`.
   * @param main What to run.
   * @param options The context, and a signal to cancel it.
   * @returns Its result.
   * @throws {RuntimeError} (as a rejection) In code that a loop runs.
   * @throws {KeyboardInterrupt} (as a rejection) If Ctrl-C has ended it.
   */
  async run<A extends Awaitable<unknown>>(main: A, options: RunnerRunOptions = {}): Promise<AwaitedOf<A>> {
    if (!isAwaitable(main)) throw notAwaitable(main);
    if (currentFrame()?._loop?.isRunning()) {
      closeCoroutine(main);
      throw new RuntimeError(
        "Cannot call run() while a loop runs this code: await what you want to run, or createTask() it",
      );
    }
    const loop = this.getLoop();
    setEventLoop(loop);
    const { context = this.#context, signal } = options;
    const coroutine = isfuture(main) ? awaiting(main) : main as Awaitable<unknown>;
    const task = loop.createTask(coroutine, { context, signal });
    let interrupts = 0;
    const interrupt = (): void => {
      // The program's own handler takes the place of this one.
      if (loop._handlesSignal("SIGINT")) return;
      if (++interrupts === 1) cancelFor(new CancelOrigin("interrupt"), task);
      else loop.stop();
    };
    Deno.addSignalListener("SIGINT", interrupt);
    try {
      return await loop.runUntilComplete(task) as AwaitedOf<A>;
    } catch (error) {
      // The second one stopped the loop; the first one cancelled the task, and nobody else did.
      if (interrupts > 1 && !task.done()) throw new KeyboardInterrupt();
      if (interrupts > 0 && cancellationIn(error) !== null && task.uncancel() === 0) throw new KeyboardInterrupt();
      throw error;
    } finally {
      Deno.removeSignalListener("SIGINT", interrupt);
    }
  }

  /**
   * Ends it: cancels all tasks, waits for them and for the work of the default executor, reports their errors, and
   * closes the loop. A second call does nothing.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const loop = this.#loop;
    if (loop === null) return;
    try {
      await cancelAllTasks(loop);
      await loop.shutdownDefaultExecutor(EXECUTOR_SHUTDOWN_LIMIT);
    } finally {
      setEventLoop(null);
      loop.close();
    }
  }

  /** {@linkcode Runner.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function cancelAllTasks(loop: EventLoop): Promise<void> {
  const tasks = [...loop._tasks];
  if (tasks.length === 0) return;
  const origin = new CancelOrigin("shutdown");
  for (const task of tasks) cancelFor(origin, task);
  await loop.runUntilComplete(gather(tasks, { returnExceptions: true }));
  for (const task of tasks) {
    if (task.cancelled() || !task._throws()) continue;
    loop.callExceptionHandler({
      message: "unhandled exception during asyncio.run() shutdown",
      exception: task._takeError(),
      task,
    });
  }
}

/**
 * Runs `main` in a loop of its own, and when it has ended cancels all tasks that are left and closes the loop.
 * CPython's `asyncio.run`.
 *
 * @typeParam A The type of `main`.
 * @param main What to run. An `async` function goes in as a function, so that it runs in the task from its first line:
 * `run(main)`, not `run(main())`.
 * @param options The loop, its debug mode, and a signal to cancel it.
 * @returns Its result.
 * @throws {RuntimeError} (as a rejection) In code that a loop runs.
 * @throws {KeyboardInterrupt} (as a rejection) If Ctrl-C has ended it.
 *
 * @example
 * ```ts
 * import { run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * async function main() {
 *   await sleep(1);
 *   return "done";
 * }
 * assertEquals(await run(main), "done");
 * ```
 */
export async function run<A extends Awaitable<unknown>>(main: A, options: RunOptions = {}): Promise<AwaitedOf<A>> {
  await using runner = new Runner(options);
  return await runner.run(main, { signal: options.signal });
}
