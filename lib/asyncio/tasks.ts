/**
 * {@linkcode currentTask} and {@linkcode allTasks}.
 * @module
 */

import { currentFrame, currentNative } from "./_current.ts";
import { getRunningLoop } from "./current_loop.ts";
import type { EventLoop } from "./event_loop.ts";
import type { Task } from "./task.ts";

/**
 * The task that runs the code that calls this. It follows generators through `yield*` and native code through `await`.
 *
 * Native code that a generator calls by itself, not by awaiting a function or a {@linkcode coroutine}, is in the task
 * up to its first `await` only.
 *
 * @param loop The loop to ask. The current one by default.
 * @returns The task; `null` in a callback, between the tasks, and outside of loops.
 *
 * @example
 * ```ts
 * import { createTask, currentTask } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const task = createTask(async () => {
 *   await null;
 *   return currentTask()?.getName();
 * }, { name: "me" });
 * assertEquals(await task, "me");
 * ```
 */
export function currentTask(loop?: EventLoop): Task<unknown> | null {
  const frame = currentFrame();
  if (frame === undefined || (frame._native !== null && currentNative() === null)) return null;
  return loop === undefined || frame._loop === loop ? frame._task : null;
}

/**
 * The tasks of a loop that are not done.
 *
 * @param loop The loop. The running one by default.
 * @returns The tasks, in the order they were made in.
 * @throws {RuntimeError} If none is passed and none runs.
 */
export function allTasks(loop: EventLoop = getRunningLoop()): Set<Task<unknown>> {
  return new Set(loop._tasks);
}
