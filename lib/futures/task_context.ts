/**
 * What a function may ask about the task that it runs as: {@linkcode checkCancelled}, {@linkcode taskSignal}, {@linkcode
 * taskContext} and {@linkcode reportProgress}.
 * @module
 */

/** How the program of a worker shows its running task to the modules that it imports. */
interface TaskContext {
  checkCancelled(): void;
  taskSignal(): AbortSignal;
  reportProgress(value: unknown): void;
  taskContext(): Readonly<Record<string, unknown>>;
}

const CONTEXT: unique symbol = Symbol.for("@skein/skein.task") as never;

function context(): TaskContext | undefined {
  return (globalThis as { [CONTEXT]?: TaskContext })[CONTEXT];
}

/**
 * Inside a task: throws if nobody waits for the task any more, because its `signal` was aborted or its `timeout` is
 * over. A long loop calls it now and then, since a thread cannot be stopped from outside. It reads shared memory, so it
 * works without letting go of the thread, and costs some ten nanoseconds. Outside a task it does nothing.
 *
 * A function that travels by its source text may use it by this name, imported or not.
 *
 * @throws {CancelledError} If the task was given up.
 *
 * @example
 * ```ts
 * import { checkCancelled, ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertRejects } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor();
 * const future = pool.submitWith({ timeout: 20 }, () => {
 *   while (true) checkCancelled();
 * });
 * await assertRejects(() => future.result(), Error, "20 ms");
 * ```
 */
export function checkCancelled(): void {
  context()?.checkCancelled();
}

/**
 * Inside a task: a signal that aborts when nobody waits for the task any more, for `fetch` and whatever else takes one.
 * It aborts while the task awaits; a loop that never awaits uses {@linkcode checkCancelled}. Outside a task it is a
 * signal that never aborts.
 *
 * A function that travels by its source text may use it by this name, imported or not.
 *
 * @returns The signal of the running task.
 *
 * @example
 * ```ts
 * import { taskSignal, ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor();
 * assertEquals(await pool.submit(() => taskSignal().aborted), false);
 * ```
 */
export function taskSignal(): AbortSignal {
  return context()?.taskSignal() ?? new AbortController().signal;
}

const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({});

/**
 * Inside a task: the values that went along with it, as {@linkcode SubmitOptions.context} names them. Outside a task,
 * and in one that was submitted without, there are none.
 *
 * A function that travels by its source text may use it by this name, imported or not.
 *
 * @returns The values by their names. A copy, which cannot be changed.
 *
 * @example
 * ```ts
 * import { taskContext, ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor();
 * const future = pool.submitWith({ context: { request: 7 } }, () => taskContext().request);
 * assertEquals(await future, 7);
 * ```
 */
export function taskContext(): Readonly<Record<string, unknown>> {
  return context()?.taskContext() ?? NOTHING;
}

/**
 * Inside a task: tells the program how far the task is. `onProgress` of {@linkcode SubmitOptions} gets the values, in
 * order and before the outcome of the call; without it, and outside a task, nothing happens. Nobody waits for them to be
 * taken, so a thread that reports without end fills the memory of a program that is busy: what makes much data is a
 * {@linkcode PoolExecutor.stream}. What a call has left running when it ended counts as a part of the call that its
 * worker runs now.
 *
 * A function that travels by its source text may use it by this name, imported or not.
 *
 * @param value Anything that can be cloned.
 * @throws {NotCloneableError} If it cannot be.
 *
 * @example
 * ```ts
 * import { reportProgress, ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor();
 * const seen: unknown[] = [];
 * await pool.submitWith({ onProgress: (value) => seen.push(value) }, () => {
 *   for (let percent = 0; percent <= 100; percent += 50) reportProgress(percent);
 * });
 * assertEquals(seen, [0, 50, 100]);
 * ```
 */
export function reportProgress(value: unknown): void {
  context()?.reportProgress(value);
}
