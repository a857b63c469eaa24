/**
 * {@linkcode asCompleted}.
 * @module
 */

import { after } from "../_after.ts";
import { Deque } from "../_deque.ts";
import { type DurationLike, toMilliseconds } from "../_duration.ts";
import { requireOptions } from "../_require.ts";
import { TimeoutError } from "./errors.ts";
import { type Future, observe } from "./future.ts";
import { uniqueFutures } from "./wait.ts";

/** Options of {@linkcode asCompleted}. */
export interface AsCompletedOptions {
  /**
   * How long all of the iteration may take, counted from the call, in milliseconds or as a duration. No limit by
   * default.
   */
  timeout?: DurationLike | null | undefined;
}

/**
 * A future as {@linkcode asCompleted} gives it back. It is the very future that was passed in; for the compiler it is
 * not awaitable, as the compiler takes for granted that `for await` awaits what it iterates over, which it does not. So
 * ask for `future.result()`.
 *
 * @typeParam F The type of the future.
 */
export type CompletedFuture<F> = F & { readonly then: never };

/**
 * Gives back the futures it was given in the order in which they become done: first those that already are.
 *
 * Where it differs from CPython's: it is an async iterable, and a cancelled future is given back as soon as it is
 * cancelled.
 *
 * @typeParam F The type of the futures.
 * @param futures The futures, of one or of several executors. The same one twice is given back once.
 * @param options The time limit. When it is over, the iteration throws {@linkcode TimeoutError}; the futures run on.
 * @returns An async iterable. It may be left at any time. It is no `AsyncGenerator`, as that would await the futures.
 * @throws {TypeError} If `futures` is not an iterable of futures.
 *
 * @example
 * ```ts
 * import { asCompleted, ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor();
 * const futures = [3, 1, 2].map((n) => pool.submit((x: number) => x * 10, n));
 * const results: number[] = [];
 * for await (const future of asCompleted(futures)) results.push(await future.result());
 * assertEquals(results.toSorted(), [10, 20, 30]);
 * ```
 */
export function asCompleted<F extends Future<unknown>>(
  futures: Iterable<F>,
  options: AsCompletedOptions = {},
): AsyncIterableIterator<CompletedFuture<F>, undefined> {
  requireOptions(options, "the options of asCompleted()", "{ timeout: 1000 }");
  const unique = uniqueFutures(futures, "iterate over");
  const limit = toMilliseconds(options.timeout, "timeout");
  const deadline = performance.now() + limit;
  const finished = new Deque<F>();
  let unfinished = unique.size;
  let wake = () => {};
  const stops = [...unique].map((future) =>
    observe(future, () => {
      unfinished--;
      finished.push(future);
      wake();
    })
  );

  const end = (): IteratorResult<CompletedFuture<F>, undefined> => {
    for (const stop of stops) stop();
    while (finished.shift() !== undefined);
    unfinished = 0;
    wake();
    return { done: true, value: undefined };
  };

  const step = async (): Promise<IteratorResult<CompletedFuture<F>, undefined>> => {
    while (finished.length === 0) {
      if (unfinished === 0) return end();
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const callOff = after(deadline - performance.now(), resolve);
      await promise;
      callOff();
      if (finished.length === 0 && unfinished > 0 && performance.now() >= deadline) {
        const message = `${unfinished} (of ${unique.size}) futures unfinished after ${limit} ms`;
        end();
        throw new TimeoutError(message);
      }
    }
    return { done: false, value: finished.shift() as CompletedFuture<F> };
  };

  // One step at a time, however many are asked for.
  let last: Promise<unknown> = Promise.resolve();
  return {
    next() {
      const next = last.then(step);
      last = next.catch(() => {});
      return next;
    },
    return: () => Promise.resolve(end()),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
