import { currentNative } from "./_current.ts";
import type { Future } from "./future.ts";

/** What native code that awaits `future` waits for. */
export function awaitFuture<T>(future: Future<T>): Promise<T> {
  const native = currentNative();
  return native === null ? settled(future) : native.run<T>(future[Symbol.iterator](), true);
}

/** The outcome of a future for code in no task: its loop runs until the future is done. */
export function settled<T>(future: Future<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const settle = (): void => {
      future._loop._leave(settle);
      if (future._throws()) reject(future._takeError());
      else resolve(future.result());
    };
    if (future.done()) settle();
    else {
      future._whenDone(settle);
      future._loop._enter(settle, reject);
    }
  });
}
