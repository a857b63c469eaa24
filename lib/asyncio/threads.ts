/**
 * {@linkcode toThread} and {@linkcode runCoroutineThreadsafe}: between a loop and threads.
 * @module
 */

import { Future as CallFuture } from "../futures/future.ts";
import {
  type Awaitable,
  type AwaitedOf,
  type Coroutine,
  coroutine,
  type GeneratorCoroutine,
  isAwaitable,
} from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import { type EventLoop, getRunningLoop } from "./event_loop.ts";
import { isfuture } from "./future.ts";

const threaded = coroutine(function* toThread(
  fn: (...args: unknown[]) => unknown,
  args: unknown[],
): GeneratorCoroutine<unknown> {
  return yield* getRunningLoop().runInExecutor(null, fn, ...args);
});

/**
 * Runs `fn(...args)` in a thread of the loop's default executor. CPython's `asyncio.to_thread`.
 *
 * Context variables do not go along: a worker shares no objects with the program. Cancelling the wait does not stop the
 * call.
 *
 * @typeParam A The types of the arguments.
 * @typeParam R What the function returns.
 * @param fn The function, which travels as with an executor's `submit`.
 * @param args Its arguments.
 * @returns A coroutine of what it returns.
 */
export function toThread<A extends unknown[], R>(
  fn: (...args: A) => R,
  ...args: A
): Coroutine<Awaited<R>> {
  return threaded(
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
 */
export function runCoroutineThreadsafe<A extends Awaitable<unknown>>(
  awaitable: A,
  loop: EventLoop,
): CallFuture<AwaitedOf<A>> {
  if (isfuture(awaitable) || !isAwaitable(awaitable)) {
    throw new TypeError(
      `Cannot run ${Deno.inspect(awaitable, { depth: 0 })}: a coroutine object is required`,
    );
  }
  const outside = new CallFuture<AwaitedOf<A>>();
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
