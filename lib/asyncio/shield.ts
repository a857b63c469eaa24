/**
 * {@linkcode shield}: keeps a cancellation away.
 * @module
 */

import { cancelFor } from "./cancel_origin.ts";
import type { Awaitable, AwaitedOf } from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import type { Future } from "./future.ts";

const reported = new WeakSet<Future<unknown>>();

/** Reports the exception of a future that nobody waits for any more, once however many shields it had. */
function report(inner: Future<unknown>): void {
  if (inner.cancelled() || !inner._throws() || reported.has(inner)) return;
  reported.add(inner);
  inner._loop.callExceptionHandler({
    message: "Exception in shielded future after its shield was cancelled",
    exception: inner._takeError(),
    future: inner,
  });
}

/**
 * Waits for `awaitable` without passing a cancellation on to it: whoever waits is cancelled, and it runs on. CPython's
 * `asyncio.shield`.
 *
 * If it fails after that, the exception handler is told. If it is cancelled itself, so is whoever waits.
 *
 * @typeParam A The type of the awaitable.
 * @param awaitable What to shield. A task is held by its loop, so that it cannot get lost here.
 * @returns A future to await; a future that is done is given back as it is.
 * @throws {TypeError} If it cannot be awaited.
 *
 * @example
 * ```ts
 * import { createTask, shield, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const saving = createTask(sleep(5, "saved"));
 * const shielded = shield(saving);
 * shielded.cancel();
 * assertEquals(await saving, "saved");
 * ```
 */
export function shield<A extends Awaitable<unknown>>(awaitable: A): Future<AwaitedOf<A>> {
  const inner = ensureFuture(awaitable);
  if (inner.done()) return inner;
  const outer = inner._loop.createFuture<AwaitedOf<A>>();
  const innerDone = (): void => {
    if (outer.cancelled()) {
      inner._markRetrieved();
      return;
    }
    if (inner.cancelled()) cancelFor(inner._cancelOrigin ?? null, outer);
    else if (inner._throws()) outer.setException(inner._takeError());
    else outer.setResult(inner.result());
  };
  inner.addDoneCallback(innerDone);
  outer.addDoneCallback(() => {
    if (inner.done()) return;
    inner.removeDoneCallback(innerDone);
    inner.removeDoneCallback(report);
    inner.addDoneCallback(report);
  });
  return outer;
}
