import { type Awaitable, awaiting, closeCoroutine, Coroutine, iscoroutine, type Suspension } from "./coroutine.ts";
import { ValueError } from "./exceptions.ts";
import { Semaphore } from "./semaphore.ts";
import { positiveInteger } from "../_positive_integer.ts";

/**
 * Awaitables of which at most `limit` run at a time, in their order. One that runs already is left as it is and takes no
 * place: it cannot be held up any more.
 *
 * Each has a task of its own from the beginning, which waits for its turn: so those that have not begun are cancelled,
 * fail and are named like all others, and what gathers them need not know of the limit.
 */
export function limited<A extends Awaitable<unknown>>(awaitables: Iterable<A>, limit: number): A[] {
  const semaphore = new Semaphore(positiveInteger(limit, "limit", ValueError));
  const made = new Map<A, A>();
  return Array.from(awaitables, (awaitable) => {
    if (!iscoroutine(awaitable) && typeof awaitable !== "function") return awaitable;
    let one = made.get(awaitable);
    if (one === undefined) {
      one = new Limited(awaitable, semaphore) as Awaitable<unknown> as A;
      made.set(awaitable, one);
    }
    return one;
  });
}

/** A coroutine that begins when it has its turn. It is its own iterator, so that it learns of a cancellation before. */
class Limited extends Coroutine<unknown> implements Iterator<Suspension, unknown, unknown> {
  readonly #awaitable: Awaitable<unknown>;
  readonly #semaphore: Semaphore;
  readonly #steps: Generator<Suspension, unknown, unknown>;
  #begun = false;

  constructor(awaitable: Awaitable<unknown>, semaphore: Semaphore) {
    super();
    this.#awaitable = awaitable;
    this.#semaphore = semaphore;
    this.#steps = this.#run();
  }

  override get name(): string {
    const awaitable = this.#awaitable as { name?: string };
    return awaitable.name || "anonymous";
  }

  override [Symbol.iterator](): this {
    return this;
  }

  next(sent: unknown): IteratorResult<Suspension, unknown> {
    return this.#steps.next(sent);
  }

  throw(error: unknown): IteratorResult<Suspension, unknown> {
    this.close();
    return this.#steps.throw(error);
  }

  override close(): void {
    if (!this.#begun) closeCoroutine(this.#awaitable);
  }

  *#run(): Generator<Suspension, unknown, unknown> {
    using _held = yield* this.#semaphore.acquire();
    this.#begun = true;
    return yield* awaiting(this.#awaitable);
  }
}
