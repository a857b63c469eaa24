/**
 * {@linkcode wrapFuture}: a future of `concurrent.futures` as one of `asyncio`.
 * @module
 */

import { CancelledError as CallCancelledError } from "../futures/errors.ts";
import { Future as CallFuture, observe, outcomeOf, waiting } from "../futures/future.ts";
import { currentNative, policy } from "./_current.ts";
import type { EventLoop } from "./event_loop.ts";
import { Future } from "./future.ts";

/** Options of {@linkcode wrapFuture}. */
export interface WrapFutureOptions {
  /** The loop. The current one by default. */
  loop?: EventLoop | undefined;
}

/**
 * Wraps the future of a call in an executor. Cancelling one of the two cancels the other, as long as the call has not
 * started; one that runs is left to itself. CPython's `asyncio.wrap_future`.
 *
 * Whatever takes an awaitable does this by itself, `await` in a task included: `yield* wrapFuture(pool.submit(fn))` is
 * for generators, and for a future with callbacks.
 *
 * @typeParam T The type of the result.
 * @param future What an executor's `submit` returned; a future of `asyncio` is given back as it is.
 * @param options The loop.
 * @returns The future to await in a task.
 * @throws {TypeError} If it is neither.
 *
 * @example
 * ```ts
 * import { run, wrapFuture } from "@skein/skein/asyncio";
 * import { ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor();
 * const sum = await run(function* () {
 *   return yield* wrapFuture(pool.submit((a: number, b: number) => a + b, 1, 2));
 * });
 * assertEquals(sum, 3);
 * ```
 */
export function wrapFuture<T>(future: CallFuture<T> | Future<T>, options: WrapFutureOptions = {}): Future<T> {
  if (future instanceof Future) return future;
  if (!(future instanceof CallFuture)) {
    throw new TypeError(
      `Cannot wrap ${Deno.inspect(future, { depth: 0 })}: pass a future of concurrent.futures, which submit() returns`,
    );
  }
  const source: CallFuture<T> = future;
  return wrapCall(source, options.loop ?? policy.getEventLoop(), () => source.cancel());
}

/**
 * As {@linkcode wrapFuture}; `onCancel` is called when the future that it returns was cancelled before the call ended.
 *
 * @internal
 */
export function wrapCall<T>(source: CallFuture<T>, loop: EventLoop, onCancel: () => void): Future<T> {
  const wrapped = new Future<T>({ loop });
  const stop = onCallDone(source, loop, () => {
    if (wrapped.done()) return;
    const outcome = outcomeOf(source);
    if ("value" in outcome) wrapped.setResult(outcome.value);
    else if (outcome.error instanceof CallCancelledError && source.cancelled()) wrapped.cancel();
    else wrapped.setException(outcome.error);
  });
  wrapped._whenDone(() => {
    stop();
    if (wrapped.cancelled()) onCancel();
  });
  return wrapped;
}

/**
 * Has `callback` called in the loop when a call is over. That is not to look at its outcome.
 *
 * @returns What calls it off.
 * @internal
 */
export function onCallDone(source: CallFuture<unknown>, loop: EventLoop, callback: () => void): () => void {
  let open = true;
  const close = (): void => {
    if (open) loop._countNative(false, -1);
    open = false;
  };
  loop._countNative(false, 1);
  const stop = observe(source, () => {
    close();
    if (!loop.isClosed()) loop.callSoonThreadsafe(callback);
  });
  return () => {
    close();
    stop();
  };
}

/** Native code that awaits a call in a task waits as for any future of that task, so that cancelling reaches the call. */
waiting.wait = <T>(future: CallFuture<T>): Promise<T> | undefined => {
  const native = currentNative();
  return native === null ? undefined : native.run<T>(wrapFuture(future, { loop: native._loop })[Symbol.iterator]());
};
