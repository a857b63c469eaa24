/**
 * {@linkcode waitFor}: waits for one awaitable, for a limited time.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { toDelay } from "./_delay.ts";
import { untilDone } from "./_waiter.ts";
import {
  adopt,
  type Awaitable,
  type AwaitedOf,
  awaiting,
  type Coroutine,
  coroutine,
  type GeneratorCoroutine,
  isAwaitable,
  isPromise,
  isYieldable,
  notAwaitable,
} from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import { CancelledError, TimeoutError } from "./exceptions.ts";
import { timeout } from "./timeouts.ts";

const waiting = coroutine(
  function* waitFor(awaitable: Awaitable<unknown>, limit: number): GeneratorCoroutine<unknown> {
    if (limit > 0) {
      return yield* timeout(limit === Infinity ? null : limit, function* () {
        return yield* awaiting(awaitable);
      });
    }
    const future = ensureFuture(awaitable);
    if (future.done()) return future.result();
    future.cancel();
    yield* untilDone(future);
    try {
      return future.result();
    } catch (error) {
      if (error instanceof CancelledError) {
        throw new TimeoutError("The time limit of waitFor() was over at once", {
          cause: error,
        });
      }
      throw error;
    }
  },
);

/**
 * Waits for `awaitable`, and cancels it when the time is over. CPython's `asyncio.wait_for`.
 *
 * If the time is over it waits until the awaitable has ended; what that gives in spite of the cancellation is passed
 * on. Cancelling the wait cancels the awaitable. With a limit of 0 or less only what is done already is taken.
 *
 * @typeParam A The type of the awaitable.
 * @param awaitable What to wait for.
 * @param limit Milliseconds or a duration; `null` for no limit.
 * @returns What awaiting it gives.
 * @throws {TimeoutError} (when awaited) If the time is over.
 * @throws {TypeError} If it cannot be awaited.
 *
 * @example
 * ```ts
 * import { sleep, TimeoutError, waitFor } from "@skein/skein/asyncio";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * assertEquals(await waitFor(sleep(1, "in time"), { seconds: 60 }), "in time");
 * await assertRejects(async () => await waitFor(sleep({ hours: 1 }), 5), TimeoutError);
 * ```
 */
export function waitFor<A extends Awaitable<unknown>>(
  awaitable: A,
  limit: DurationLike | null,
): Coroutine<AwaitedOf<A>> {
  if (!isAwaitable(awaitable)) throw notAwaitable(awaitable);
  const time = toDelay(limit, "limit");
  // A promise runs already: it is taken in here, where it comes from.
  const taken = typeof awaitable !== "function" && !isYieldable(awaitable) &&
      isPromise(awaitable)
    ? adopt(awaitable)
    : awaitable;
  return waiting(taken, time) as Coroutine<AwaitedOf<A>>;
}
