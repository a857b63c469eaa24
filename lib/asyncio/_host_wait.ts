import type { Suspension } from "./coroutine.ts";
import type { Future } from "./future.ts";

/**
 * Waits for a future that something of the host will settle, such as a connection. A virtual clock stands still
 * meanwhile, as it does for a promise of the host.
 */
export function* hostWait<T>(future: Future<T>): Generator<Suspension, T, unknown> {
  future._loop._adopted(false, 1);
  try {
    return yield* future;
  } finally {
    future._loop._adopted(false, -1);
  }
}
