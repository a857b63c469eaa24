/**
 * {@linkcode wrapFuture}: a future of `concurrent.futures` as one of `asyncio`.
 * @module
 */

import { CancelledError as CallCancelledError } from "../futures/errors.ts";
import { type Future as CallFuture, outcomeOf } from "../futures/future.ts";
import { policy } from "./_current.ts";
import type { EventLoop } from "./event_loop.ts";
import { Future } from "./future.ts";

/** Options of {@linkcode wrapFuture}. */
export interface WrapFutureOptions {
  /** The loop. The current one by default. */
  loop?: EventLoop | undefined;
}

/**
 * Wraps the future of a call in an executor. Cancelling one of the two cancels the other. CPython's
 * `asyncio.wrap_future`.
 *
 * @typeParam T The type of the result.
 * @param future What an executor's `submit` returned; a future of `asyncio` is given back as it is.
 * @param options The loop.
 * @returns The future to await in a task.
 */
export function wrapFuture<T>(
  future: CallFuture<T> | Future<T>,
  options: WrapFutureOptions = {},
): Future<T> {
  if (future instanceof Future) return future;
  const source: CallFuture<T> = future;
  const loop = options.loop ?? policy.getEventLoop();
  const wrapped = new Future<T>({ loop });
  let waiting = true;
  const settled = (): void => {
    if (waiting) loop._adopted(false, -1);
    waiting = false;
  };
  loop._adopted(false, 1);
  wrapped._observe({
    fn: () => {
      settled();
      if (wrapped.cancelled()) source.cancel();
    },
    context: undefined,
  });
  source.addDoneCallback(() => {
    settled();
    if (loop.isClosed()) return;
    loop.callSoonThreadsafe(() => {
      if (wrapped.done()) return;
      const outcome = outcomeOf(source);
      if ("value" in outcome) wrapped.setResult(outcome.value);
      else if (
        outcome.error instanceof CallCancelledError && source.cancelled()
      ) wrapped.cancel();
      else wrapped.setException(outcome.error);
    });
  });
  return wrapped;
}
