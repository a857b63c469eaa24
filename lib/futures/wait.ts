/**
 * {@linkcode wait}, and the constants that say what to wait for.
 * @module
 */

import { after } from "../_after.ts";
import { type DurationLike, toMilliseconds } from "../_duration.ts";
import { requireOptions } from "../_require.ts";
import { Future, hasException, observe } from "./future.ts";

/** For `returnWhen`: as soon as any future is done. */
export const FIRST_COMPLETED = "FIRST_COMPLETED";
/**
 * For `returnWhen`: as soon as any future ends with an exception, or all are done. A cancelled future does not count as
 * an exception.
 */
export const FIRST_EXCEPTION = "FIRST_EXCEPTION";
/** For `returnWhen`: when all futures are done. */
export const ALL_COMPLETED = "ALL_COMPLETED";

/** What {@linkcode wait} waits for. */
export type ReturnWhen = typeof FIRST_COMPLETED | typeof FIRST_EXCEPTION | typeof ALL_COMPLETED;

/** Options of {@linkcode wait}. */
export interface WaitOptions {
  /**
   * How long to wait at the most, in milliseconds or as a duration. Running out of time is no error: the rest is in
   * `notDone`. No limit by default.
   */
  timeout?: DurationLike | null | undefined;
  /**
   * When to return.
   * @default {ALL_COMPLETED}
   */
  returnWhen?: ReturnWhen | undefined;
}

/** What {@linkcode wait} found. */
export interface WaitResult<F> {
  /** The futures that are finished or cancelled. */
  done: Set<F>;
  /** The others. They run on. */
  notDone: Set<F>;
}

/** `futures` as a set of its own, checked. */
export function uniqueFutures<F extends Future<unknown>>(futures: Iterable<F>, who: string): Set<F> {
  if (futures === null || typeof futures !== "object" || !(Symbol.iterator in futures)) {
    throw new TypeError(
      `Cannot ${who} ${Deno.inspect(futures, { depth: 0 })}: pass an iterable of futures, such as [future]`,
    );
  }
  const unique = new Set(futures);
  for (const future of unique) {
    if (!(future instanceof Future)) {
      throw new TypeError(
        `Cannot ${who} ${Deno.inspect(future, { depth: 0 })}: it is not a Future of concurrent.futures`,
      );
    }
  }
  return unique;
}

/**
 * Waits until one or all of some futures are done.
 *
 * Where it differs from CPython's: a future that was cancelled counts as done at once, also one that its executor has
 * not taken note of yet. (CPython waits for ever for one that was cancelled by `shutdown(cancel_futures=True)`.)
 *
 * @param futures The futures, of one or of several executors. The same one twice counts once.
 * @param options The time limit, and what to wait for.
 * @returns The futures that are done and those that are not.
 * @throws {TypeError} If `futures` is not an iterable of futures, or `returnWhen` is none of the three constants.
 *
 * @example
 * ```ts
 * import { FIRST_COMPLETED, ThreadPoolExecutor, wait } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
 * const futures = [1, 2, 3].map((n) => pool.submit((x: number) => x * x, n));
 * const first = await wait(futures, { returnWhen: FIRST_COMPLETED });
 * const all = await wait(futures);
 * assertEquals([first.done.size >= 1, all.done.size, all.notDone.size], [true, 3, 0]);
 * ```
 */
export function wait<F extends Future<unknown>>(
  futures: Iterable<F>,
  options: WaitOptions = {},
): Promise<WaitResult<F>> {
  requireOptions(options, "the options of wait()", "{ timeout: 1000 }");
  const { timeout, returnWhen = ALL_COMPLETED } = options;
  const unique = uniqueFutures(futures, "wait for");
  const limit = toMilliseconds(timeout, "timeout");
  if (returnWhen !== FIRST_COMPLETED && returnWhen !== FIRST_EXCEPTION && returnWhen !== ALL_COMPLETED) {
    throw new TypeError(
      `Cannot wait until ${Deno.inspect(returnWhen)}: returnWhen is FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED`,
    );
  }
  return new Promise((resolve) => {
    let missing = 0;
    for (const future of unique) if (!future.done()) missing++;
    const enough = (future: F) => {
      switch (returnWhen) {
        case FIRST_COMPLETED:
          return true;
        case FIRST_EXCEPTION:
          return !future.cancelled() && hasException(future);
        case ALL_COMPLETED:
          return false;
      }
    };
    const stops: (() => void)[] = [];
    let callOff = () => {};
    const finish = () => {
      callOff();
      for (const stop of stops) stop();
      const result: WaitResult<F> = { done: new Set(), notDone: new Set() };
      for (const future of unique) (future.done() ? result.done : result.notDone).add(future);
      resolve(result);
    };
    if (missing === 0 || limit <= 0 || unique.values().some((future) => future.done() && enough(future))) {
      return finish();
    }
    for (const future of unique) {
      if (future.done()) continue;
      stops.push(observe(future, () => {
        if (--missing === 0 || enough(future)) finish();
      }));
    }
    callOff = after(limit, finish);
  });
}
