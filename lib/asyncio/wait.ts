/**
 * {@linkcode wait}: waits for the first, or all, of several futures.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { toDelay } from "./_delay.ts";
import { Future as CallFuture, hasException } from "../futures/future.ts";
import { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, type ReturnWhen } from "../futures/wait.ts";
import { type Coroutine, coroutine, type GeneratorCoroutine } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import { ValueError } from "./exceptions.ts";
import { type Future, isfuture } from "./future.ts";
import type { Runnable } from "./_runnable.ts";
import { requireOptions } from "../_require.ts";
import { requireList } from "./_require.ts";
import { wake } from "./_waiter.ts";
import { onCallDone } from "./wrap_future.ts";

export { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, type ReturnWhen };

/** Options of {@linkcode wait}. */
export interface WaitOptions {
  /** How long to wait, in milliseconds or as a duration. No limit by default. */
  timeout?: DurationLike | null | undefined;
  /**
   * What to wait for.
   * @default {ALL_COMPLETED}
   */
  returnWhen?: ReturnWhen | undefined;
}

/** What {@linkcode wait} gives. */
export interface WaitResult<F> {
  /** Those that are done, in the order they were passed. */
  done: Set<F>;
  /** The others. */
  pending: Set<F>;
}

/** Tells a `wait()` that a future is done. */
class Completion<F> implements Runnable {
  readonly oneDone: (future: F | undefined) => void;
  readonly #future: F | undefined;

  constructor(oneDone: (future: F | undefined) => void, future?: F) {
    this.oneDone = oneDone;
    this.#future = future;
  }

  _run(): void {
    this.oneDone(this.#future);
  }

  toString(): string {
    return "wait()";
  }
}

/** Whether it has an exception. As in CPython, who asks that has taken note of it. */
function failed(future: Future<unknown> | CallFuture<unknown>): boolean {
  if (future.cancelled()) return false;
  if (future instanceof CallFuture) return hasException(future);
  future._markRetrieved();
  return future._throws();
}

const waiting = coroutine(function* <F extends Future<unknown> | CallFuture<unknown>>(
  futures: Set<F>,
  limit: number,
  returnWhen: ReturnWhen,
): GeneratorCoroutine<WaitResult<F>> {
  const loop = getRunningLoop();
  const waiter = loop.createFuture<void>();
  const timer = limit === Infinity ? undefined : loop.callLater(limit, wake, waiter);
  let left = futures.size;
  const oneDone = (future: F | undefined): void => {
    left--;
    if (left > 0 && returnWhen !== FIRST_COMPLETED && (future === undefined || !failed(future))) return;
    timer?.cancel();
    wake(waiter);
  };
  // Which one it is matters for the first exception only. All others have the same observer: there may be many.
  const known = returnWhen === FIRST_EXCEPTION;
  const completion = new Completion<F>(oneDone);
  const stops: (() => void)[] = [];
  for (const future of futures) {
    if (future instanceof CallFuture) stops.push(onCallDone(future, loop, () => oneDone(known ? future : undefined)));
    else future._inform(known ? new Completion(oneDone, future) : completion);
  }
  const isOwn = (observer: Runnable): boolean => observer instanceof Completion && observer.oneDone === oneDone;
  try {
    yield* waiter;
  } finally {
    timer?.cancel();
    for (const stop of stops) stop();
    if (left > 0) { for (const future of futures) if (!(future instanceof CallFuture)) future._removeObservers(isOwn); }
  }
  const pending = new Set<F>();
  if (left === 0) return { done: futures, pending };
  for (const future of futures) if (!future.done()) pending.add(future);
  for (const future of pending) futures.delete(future);
  return { done: futures, pending };
});

/**
 * Waits until the first, or all, of `futures` are done, or the time is over. It cancels nothing, and throws none of
 * their exceptions. CPython's `asyncio.wait`.
 *
 * @typeParam F The type of the futures.
 * @param futures Futures and tasks, and futures of an executor's calls; the result has the very ones that were passed.
 * Coroutines are refused: make tasks of them, to find them in the result.
 * @param options What to wait for, and how long.
 * @returns Those that are done, and the others.
 * @throws {ValueError} If there are none, or `returnWhen` is not one of the three.
 * @throws {TypeError} If it is no iterable, or something in it is no future.
 *
 * @example
 * ```ts
 * import { createTask, FIRST_COMPLETED, sleep, wait } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const tasks = [createTask(sleep(1)), createTask(sleep(60_000))];
 * const { done, pending } = await wait(tasks, { returnWhen: FIRST_COMPLETED });
 * assertEquals([done.size, pending.size], [1, 1]);
 * for (const task of pending) task.cancel();
 * ```
 */
export function wait<F extends Future<unknown> | CallFuture<unknown>>(
  futures: Iterable<F>,
  options: WaitOptions = {},
): Coroutine<WaitResult<F>> {
  requireOptions(options, "the options of wait()", "{ timeout: 1000 }");
  const { returnWhen = ALL_COMPLETED } = options;
  requireList(futures, "wait");
  const set = new Set(futures);
  if (set.size === 0) {
    throw new ValueError("Cannot wait for an empty set of futures: check its size first");
  }
  if (returnWhen !== FIRST_COMPLETED && returnWhen !== FIRST_EXCEPTION && returnWhen !== ALL_COMPLETED) {
    throw new ValueError(
      `Cannot wait with returnWhen ${Deno.inspect(returnWhen)}: pass FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED`,
    );
  }
  for (const future of set) {
    if (!isfuture(future) && !((future as unknown) instanceof CallFuture)) {
      throw new TypeError(
        `Cannot wait for ${
          Deno.inspect(future, { depth: 0 })
        }: pass futures and tasks; make a task of it with createTask()`,
      );
    }
  }
  return waiting(set, toDelay(options.timeout, "timeout"), returnWhen) as Coroutine<WaitResult<F>>;
}
