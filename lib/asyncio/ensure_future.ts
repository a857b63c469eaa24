/**
 * {@linkcode ensureFuture}: the future of anything that can be awaited.
 * @module
 */

import { policy } from "./_current.ts";
import { adopt, type Awaitable, type AwaitedOf, iscoroutine, isPromise, notAwaitable } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { ValueError } from "./exceptions.ts";
import { type Future, isfuture } from "./future.ts";

/** Options of {@linkcode ensureFuture}. */
export interface EnsureFutureOptions {
  /** The loop. The current one by default. */
  loop?: EventLoop | undefined;
}

/**
 * A future is given back as it is; a coroutine or a function becomes a task, a promise a future, the future of an
 * executor's call what {@linkcode wrapFuture} makes of it. CPython's `asyncio.ensure_future`.
 *
 * @typeParam A The type of the awaitable.
 * @param awaitable What to await.
 * @param options The loop.
 * @returns The future.
 * @throws {TypeError} If it cannot be awaited.
 * @throws {ValueError} If it is a future of another loop than the one passed.
 *
 * @example
 * ```ts
 * import { ensureFuture } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const future = ensureFuture(Promise.resolve(1));
 * assertEquals(ensureFuture(future), future);
 * assertEquals(await future, 1);
 * ```
 */
export function ensureFuture<A extends Awaitable<unknown>>(
  awaitable: A,
  options: EnsureFutureOptions = {},
): Future<AwaitedOf<A>> {
  return toFuture(awaitable, options.loop) as Future<AwaitedOf<A>>;
}

function toFuture(awaitable: unknown, loop: EventLoop | undefined): Future<unknown> {
  if (isfuture(awaitable)) {
    if (loop !== undefined && awaitable._loop !== loop) {
      throw new ValueError(`Cannot use ${awaitable} on this loop: it is attached to a different one`);
    }
    return awaitable;
  }
  if (iscoroutine(awaitable) || typeof awaitable === "function") {
    return (loop ?? policy.getEventLoop()).createTask(awaitable as Awaitable<unknown>);
  }
  if (isPromise(awaitable)) return adopt(awaitable, loop);
  throw notAwaitable(awaitable);
}
