/**
 * {@linkcode gather}: the results of several awaitables.
 * @module
 */

import { policy } from "./_current.ts";
import { type Awaitable, type AwaitedOf, isAwaitable, notAwaitable } from "./coroutine.ts";
import { ensureFuture } from "./ensure_future.ts";
import type { EventLoop } from "./event_loop.ts";
import { limited } from "./_limited.ts";
import { Future, isfuture } from "./future.ts";
import type { Runnable } from "./_runnable.ts";
import { requireOptions } from "../_require.ts";
import { requireList } from "./_require.ts";

/** Options of {@linkcode gather}. */
export interface GatherOptions {
  /**
   * Whether exceptions are results like any other, instead of ending the whole.
   * @default {false}
   */
  returnExceptions?: boolean | undefined;
  /**
   * How many may run at a time, a whole number from 1 on. It holds for what has not begun: coroutines, generators and
   * functions, which begin in their order. Promises, futures and tasks run already, and take no place. No limit by
   * default.
   */
  limit?: number | undefined;
}

/** The future of a `gather`: cancelling it cancels what it gathers. */
class GatheringFuture extends Future<unknown[]> {
  readonly #children: Future<unknown>[] = [];
  readonly #doneAlready: Future<unknown>[] = [];
  readonly #returnExceptions: boolean;
  /** Whether all children are there. Without that, nobody has it. */
  #begun = false;
  #unfinished = 0;
  #cancelRequested = false;

  constructor(loop: EventLoop, returnExceptions: boolean) {
    super({ loop });
    this.#returnExceptions = returnExceptions;
  }

  /** One that is passed twice is waited for twice. */
  _add(child: Future<unknown>): void {
    this.#children.push(child);
    this.#unfinished++;
    if (child.done()) this.#doneAlready.push(child);
    else child._observe(new ChildDone(child, this));
  }

  _begin(): void {
    this.#begun = true;
    for (const child of this.#doneAlready) this._childDone(child);
    this.#doneAlready.length = 0;
  }

  override cancel(message?: unknown): boolean {
    if (this.done()) return false;
    let accepted = false;
    for (const child of this.#children) {
      accepted = child.cancel(message) || accepted;
    }
    // From now on it ends as cancelled, also where exceptions are results.
    if (accepted) this.#cancelRequested = true;
    return accepted;
  }

  /** Takes note that a child is done. */
  _childDone(child: Future<unknown>): void {
    this.#unfinished--;
    if (!this.#begun || this.done()) {
      child._markRetrieved();
      return;
    }
    if (!this.#returnExceptions && child._throws()) {
      this.setException(child._takeError());
      return;
    }
    if (this.#unfinished > 0) return;
    const children = this.#children;
    if (this.#cancelRequested) {
      for (const each of children) each._markRetrieved();
      // The message is the one of the last argument, as in CPython.
      const last = children.at(-1)!;
      this.setException(last.cancelled() ? last._takeError() : last._cancelledError());
    } else {
      this.setResult(
        children.map((each) =>
          each.cancelled() ? each._cancelledError() : each._throws() ? each._takeError() : each.result()
        ),
      );
    }
  }
}

/** A call of `_childDone` in the loop: a done callback would take three times the room. */
class ChildDone implements Runnable {
  readonly #child: Future<unknown>;
  readonly #outer: GatheringFuture;

  constructor(child: Future<unknown>, outer: GatheringFuture) {
    this.#child = child;
    this.#outer = outer;
  }

  _run(): void {
    this.#outer._childDone(this.#child);
  }

  toString(): string {
    return "gather()";
  }
}

/**
 * Runs awaitables side by side; the results come in the order of the arguments. CPython's `asyncio.gather`.
 *
 * The first exception is passed on at once, and the others run on. One of them being cancelled counts as such an
 * exception. Cancelling the future that this returns cancels them all. The same awaitable passed twice runs once.
 *
 * With a `limit`, those that have to wait for their turn are like the others: after an exception they still run, and
 * when all are cancelled they never do. The iterable is read at once; for one that is long, endless or asynchronous
 * there is {@linkcode map}.
 *
 * @typeParam A The types of the awaitables.
 * @param awaitables What to run.
 * @param options Whether exceptions are results, and the limit.
 * @returns The future of the results.
 * @throws {ValueError} If futures of several loops are passed.
 * @throws {TypeError} If it is no iterable, or something in it cannot be awaited.
 * @throws {ValueError} If the limit is no whole number from 1 on.
 *
 * @example
 * ```ts
 * import { gather, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await gather([sleep(2, "a"), sleep(1, "b")]), ["a", "b"]);
 * ```
 *
 * @example At most two at a time
 * ```ts
 * import { gather, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * let running = 0;
 * let most = 0;
 * async function job() {
 *   most = Math.max(most, ++running);
 *   await sleep(1);
 *   running--;
 * }
 * await gather(Array.from({ length: 6 }, () => () => job()), { limit: 2 });
 * assertEquals(most, 2);
 * ```
 */
export function gather<const A extends readonly Awaitable<unknown>[]>(
  awaitables: A,
  options?: GatherOptions & { returnExceptions?: false | undefined },
): Future<{ -readonly [K in keyof A]: AwaitedOf<A[K]> }>;
/**
 * As the first form, with exceptions among the results.
 *
 * @typeParam A The types of the awaitables.
 * @param awaitables What to run.
 * @param options Whether exceptions are results, and the limit.
 * @returns The future of the results.
 */
export function gather<const A extends readonly Awaitable<unknown>[]>(
  awaitables: A,
  options: GatherOptions,
): Future<{ -readonly [K in keyof A]: AwaitedOf<A[K]> | unknown }>;
/**
 * As the first form, for awaitables of one type.
 *
 * @typeParam T The type of the results.
 * @param awaitables What to run.
 * @param options Whether exceptions are results, and the limit.
 * @returns The future of the results.
 */
export function gather<T>(
  awaitables: Iterable<Awaitable<T>>,
  options?: GatherOptions & { returnExceptions?: false | undefined },
): Future<T[]>;
/**
 * As the first form, for awaitables of any type.
 *
 * @param awaitables What to run.
 * @param options Whether exceptions are results, and the limit.
 * @returns The future of the results.
 */
export function gather(awaitables: Iterable<Awaitable<unknown>>, options?: GatherOptions): Future<unknown[]>;
export function gather(awaitables: Iterable<Awaitable<unknown>>, options: GatherOptions = {}): Future<unknown> {
  requireList(awaitables, "gather");
  requireOptions(options, "the options of gather()", "{ returnExceptions: true }");
  const { returnExceptions = false, limit } = options;
  const list = limit === undefined ? [...awaitables] : limited(awaitables, limit);
  for (const awaitable of list) {
    if (!isAwaitable(awaitable)) throw notAwaitable(awaitable);
  }
  if (list.length === 0) {
    const empty = new Future<unknown[]>({ loop: policy.getEventLoop() });
    empty.setResult([]);
    return empty;
  }

  let loop = list.find(isfuture)?._loop;
  let outer: GatheringFuture | undefined;
  // Hardly ever is anything passed twice, and a map of ten thousand costs as much as half of all the rest.
  const begun = !list.every(isfuture) && new Set(list).size < list.length ? new Map<unknown, Future<unknown>>() : null;
  for (const awaitable of list) {
    let child = begun?.get(awaitable);
    if (child === undefined) {
      child = ensureFuture(awaitable, { loop });
      begun?.set(awaitable, child);
    }
    loop ??= child._loop;
    outer ??= new GatheringFuture(loop, returnExceptions);
    outer._add(child);
  }
  outer!._begin();
  return outer!;
}
