import { QueuedWait, type WaitQueue } from "./_wait_queue.ts";

/** What can be acquired: a lock, a semaphore. */
export interface Acquirable {
  /** Those who wait for it. */
  readonly _waiters: WaitQueue;
  /** Takes it, if it is free or the turn of who asks has come; whether it did. */
  _take(woken: boolean): boolean;
  /** Takes note that somebody waits no longer, and passes on what he was woken for. */
  _passOn(woken: boolean): void;
  /** Gives it back. */
  release(): void;
}

/**
 * What `acquire()` gives: `using held = yield* lock.acquire()` releases the lock at the end of the block, however it
 * ends.
 */
export class Held implements Disposable {
  readonly #source: { release(): void };
  #released = false;

  /** @internal */
  constructor(source: { release(): void }) {
    this.#source = source;
  }

  /** Gives back what was acquired, before the end of the block. A second call does nothing. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#source.release();
  }

  /** {@linkcode Held.release}, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }
}

/** A call of `acquire()`. */
export class Acquire extends QueuedWait<Held> {
  readonly #source: Acquirable;

  constructor(source: Acquirable) {
    super(source._waiters);
    this.#source = source;
  }

  protected override _arrive(woken: boolean): boolean {
    return this.#source._take(woken);
  }

  protected override _value(): Held {
    return new Held(this.#source);
  }

  protected override _giveUp(woken: boolean): void {
    this.#source._passOn(woken);
  }
}
