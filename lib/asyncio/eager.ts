/**
 * {@linkcode eagerTaskFactory}: tasks that start at once.
 * @module
 */

import type { Awaitable } from "./coroutine.ts";
import type { EventLoop, TaskFactory } from "./event_loop.ts";
import { Task, type TaskConstructorOptions, type TaskOptions } from "./task.ts";

/**
 * A task factory whose tasks run to their first wait before `createTask` returns. A coroutine that does not wait costs
 * no turn of the loop.
 *
 * @typeParam T What the coroutine returns.
 * @param loop The loop.
 * @param coroutine What to run.
 * @param options The options of `createTask`.
 * @returns The task, perhaps done.
 *
 * @example
 * ```ts
 * import { eagerTaskFactory, run, createTask, getRunningLoop } from "@skein/skein/asyncio";
 * import { assert } from "@std/assert";
 *
 * await run(function* () {
 *   getRunningLoop().setTaskFactory(eagerTaskFactory);
 *   assert(createTask(function* () {}()).done());
 * });
 * ```
 */
export function eagerTaskFactory<T>(loop: EventLoop, coroutine: Awaitable<T>, options: TaskOptions): Task<T> {
  return new Task<T>(coroutine, { eagerStart: true, ...options, loop });
}

/**
 * As {@linkcode eagerTaskFactory}, for a class of tasks of your own.
 *
 * @param constructor Makes the task.
 * @returns The factory.
 */
export function createEagerTaskFactory(
  constructor: <T>(coroutine: Awaitable<T>, options: TaskConstructorOptions) => Task<T>,
): TaskFactory {
  return (loop, coroutine, options) => constructor(coroutine, { eagerStart: true, ...options, loop });
}
