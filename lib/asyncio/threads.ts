/**
 * {@linkcode toThread}, {@linkcode toThreadWith} and {@linkcode runCoroutineThreadsafe}: between a loop and threads.
 * @module
 */

import { Future as CallFuture } from "../futures/future.ts";
import { currentContext } from "./context.ts";
import {
  type Awaitable,
  type AwaitedOf,
  closeCoroutine,
  type Coroutine,
  coroutine,
  type GeneratorCoroutine,
  isAwaitable,
} from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import { getRunningLoop } from "./current_loop.ts";
import type { EventLoop, RunInExecutorOptions } from "./event_loop.ts";
import { isfuture } from "./future.ts";

const threaded = coroutine(function* toThread(
  options: RunInExecutorOptions,
  fn: (...args: unknown[]) => unknown,
  args: unknown[],
): GeneratorCoroutine<unknown> {
  const { context = currentContext() } = options;
  return yield* getRunningLoop().runInExecutorWith({ ...options, context }, null, fn, ...args);
});

/**
 * Runs `fn(...args)` in a thread of the loop's default executor. CPython's `asyncio.to_thread`.
 *
 * Of the context variables those go along that are made to ({@linkcode ContextVarOptions.travels}); a worker shares no
 * objects with the program. Cancelling the wait takes back a call that has not started, and does not stop one that
 * runs: see {@linkcode toThreadWith}.
 *
 * @typeParam A The types of the arguments.
 * @typeParam R What the function returns.
 * @param fn The function, which travels as with an executor's `submit`.
 * @param args Its arguments.
 * @returns A coroutine of what it returns.
 *
 * @example A variable that travels; in an importable function it would be `user.get()`
 * ```ts
 * import { ContextVar, run, toThread } from "@skein/skein/asyncio";
 * import { taskContext } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * const user = new ContextVar<string>("user", { travels: true });
 * const greeting = await run(function* () {
 *   user.set("ada");
 *   return yield* toThread((word: string) => `${word}, ${taskContext().user}`, "Hello");
 * });
 * assertEquals(greeting, "Hello, ada");
 * ```
 */
export function toThread<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Coroutine<Awaited<R>> {
  return toThreadWith({}, fn, ...args);
}

/**
 * As {@linkcode toThread}, with options.
 *
 * @typeParam A The types of the arguments.
 * @typeParam R What the function returns.
 * @param options What cancelling does, and how to run it.
 * @param fn The function.
 * @param args Its arguments.
 * @returns A coroutine of what it returns.
 *
 * @example A call that ends when nobody waits for it any more
 * ```ts
 * import { run, TimeoutError, toThreadWith, waitFor } from "@skein/skein/asyncio";
 * import { checkCancelled } from "@skein/skein/futures";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(() =>
 *   run(function* () {
 *     const call = toThreadWith({ abandon: false }, () => {
 *       while (true) checkCancelled();
 *     });
 *     yield* waitFor(call, 20);
 *   }), TimeoutError);
 * ```
 */
export function toThreadWith<A extends unknown[], R>(
  options: RunInExecutorOptions,
  fn: (...args: A) => R,
  ...args: A
): Coroutine<Awaited<R>> {
  return threaded(
    options,
    fn as (...args: never[]) => unknown as (...args: unknown[]) => unknown,
    args,
  ) as Coroutine<Awaited<R>>;
}

/**
 * Has a loop run a coroutine, for code outside of it. CPython's `asyncio.run_coroutine_threadsafe`.
 *
 * @typeParam A The type of the coroutine.
 * @param awaitable What to run.
 * @param loop The loop.
 * @returns A future of `concurrent.futures`. Cancelling it cancels the task, and the other way round.
 * @throws {TypeError} If it is no coroutine.
 * @throws {RuntimeError} If the loop is closed.
 */
export function runCoroutineThreadsafe<A extends Awaitable<unknown>>(
  awaitable: A,
  loop: EventLoop,
): CallFuture<AwaitedOf<A>> {
  if (isfuture(awaitable) || !isAwaitable(awaitable)) {
    throw new TypeError(`Cannot run ${Deno.inspect(awaitable, { depth: 0 })}: a coroutine object is required`);
  }
  const outside = new CallFuture<AwaitedOf<A>>();
  if (loop.isClosed()) closeCoroutine(awaitable);
  loop.callSoonThreadsafe(() => {
    try {
      const task = ensureFuture(awaitable, { loop });
      outside.addDoneCallback(() => {
        if (outside.cancelled() && !loop.isClosed()) {
          loop.callSoonThreadsafe(() => task.cancel());
        }
      });
      task.addDoneCallback(() => {
        if (task.cancelled()) outside.cancel();
        if (!outside.setRunningOrNotifyCancel()) return;
        if (task._throws()) outside.setException(task._takeError());
        else outside.setResult(task.result());
      });
    } catch (error) {
      if (outside.setRunningOrNotifyCancel()) outside.setException(error);
      throw error;
    }
  });
  return outside;
}
