import { patiently } from "./_cancellation.ts";
import type { GeneratorCoroutine } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import type { Future } from "./future.ts";

/** Lets who waits for a future go on, unless that was woken or cancelled already, or its loop is closed. */
export function wake(waiter: Future<void> | null | undefined): void {
  if (waiter && !waiter.done() && !waiter._loop.isClosed()) waiter.setResult();
}

/** Waits until a future is done, whatever comes of it: in a cancelled scope, too. */
export function* untilDone(future: Future<unknown>): GeneratorCoroutine<void> {
  const waiter = getRunningLoop().createFuture<void>();
  const release = (): void => wake(waiter);
  future.addDoneCallback(release);
  try {
    yield* patiently(waiter);
  } finally {
    future.removeDoneCallback(release);
  }
}
