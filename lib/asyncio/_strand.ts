import { current } from "./_current.ts";
import type { NativeCall } from "./_native_call.ts";
import { type CancelRequest, reaches, type Region, StrandQuery } from "./_cancellation.ts";
import { onBehalfOf } from "./cancel_origin.ts";
import { CancelledError, RuntimeError } from "./exceptions.ts";
import { Future } from "./future.ts";
import type { Task } from "./task.ts";

/** What a strand can wait for: a future, a call of native code, or a turn in a queue. */
export interface Waitable {
  /** Whether it was yielded by `yield*`, and not by a `yield` that should be one. */
  readonly _blocking: boolean;
  /** Has a strand go on when it is done. */
  _observe(strand: Strand): void;
  /** Cancels it; `false` if that cannot be done. Futures have no use for the request. */
  cancel(message: unknown, request: CancelRequest): boolean;
  /** Whether waiting for it, which is done, throws. */
  _throws(): boolean;
  /** What that throws. */
  _takeError(): unknown;
  toString(): string;
}

/** Where the outcome of a strand goes. */
export interface StrandOwner {
  _strandReturned(value: unknown, strand: Strand): void;
  _strandThrew(error: unknown, strand: Strand): void;
}

/**
 * A generator that a task drives. The task of a generator coroutine has one from beginning to end; native code in a
 * task has one for each Skein awaitable that it awaits at that moment. A strand is in the ready queue at most once, as
 * itself: a switch between tasks makes no object.
 */
export class Strand {
  readonly _task: Task<unknown>;
  /** What it waits for; `null` while it runs or is in the ready queue after a bare `yield`. */
  _waiter: Waitable | null = null;
  /** The innermost scope that its code is in. */
  _region: Region | null = null;
  readonly #iterator: Iterator<unknown, unknown, unknown>;
  readonly #owner: StrandOwner;
  /** An error to throw at the next step, in a box as anything can be thrown. */
  #pending: { error: unknown } | null = null;

  constructor(
    task: Task<unknown>,
    iterator: Iterator<unknown, unknown, unknown>,
    owner: StrandOwner,
  ) {
    this._task = task;
    this.#iterator = iterator;
    this.#owner = owner;
  }

  /** The next step, as the loop calls it. */
  _run(): void {
    const waiter = this._waiter;
    if (waiter === null && this.#pending === null && !this._task._alert) {
      this.#advance(false, undefined, null);
    } else if (waiter !== null) {
      this._waiter = null;
      // The value is not passed in: who waits reads it from what it waited for.
      const throws = waiter._throws();
      const error = throws ? waiter._takeError() : undefined;
      // The end of native code is no wake-up of the task: a cancellation that was asked for comes when the task waits,
      // not before.
      if (isNativeCall(waiter)) this.#advance(throws, error, null);
      else this._step(throws, error);
    } else if (this.#pending !== null) {
      const { error } = this.#pending;
      this.#pending = null;
      this._step(true, error);
    } else this._step(false, undefined, true);
  }

  /** The first step within what runs already: a cancellation that was asked for comes when it waits, not before. */
  _start(): void {
    this.#advance(false, undefined, undefined);
  }

  /** Cancels what it waits for, if the request gets here. */
  _cancel(request: CancelRequest): boolean {
    const waiter = this._waiter;
    if (waiter === null || !reaches(request, this._region)) return false;
    return onBehalfOf(request.origin, () => waiter.cancel(request.message, request));
  }

  /**
   * Cancels it as nobody waits for it any more, also if what it waits for is done. Code in a shield is left to go on.
   */
  _leave(request: CancelRequest): void {
    const waiter = this._waiter;
    if (!reaches(request, this._region)) return;
    const accepted = isNativeCall(waiter)
      ? waiter._leave(request)
      : waiter !== null && onBehalfOf(request.origin, () => waiter.cancel(request.message, request));
    if (!accepted) this._waiter = failed(new CancelledError(request.message, { origin: request.origin }));
  }

  /** Whether a shield is what keeps the request from code that it is meant for. */
  _isShieldedFrom(request: CancelRequest): boolean {
    const waiter = this._waiter;
    return !reaches(request, this._region) || isNativeCall(waiter) && waiter._isShieldedFrom(request);
  }

  /** `turn` says that what has ended is a wait for nothing but the next turn, which could not be cancelled. */
  _step(throwing: boolean, error: unknown, turn = false): void {
    if (this._task._alert) {
      const due = this._task._takeDue(this._region, turn);
      if (due !== null) {
        if (!throwing || !(error instanceof CancelledError)) error = due;
        throwing = true;
      }
    }
    this.#advance(throwing, error, null);
  }

  /** `sent` tells the iterator whether it begins (`undefined`) or goes on. */
  #advance(throwing: boolean, error: unknown, sent: null | undefined): void {
    const task = this._task;
    current.frame = task;
    if (task._here !== this) task._here = this;
    let result: IteratorResult<unknown, unknown>;
    try {
      if (!throwing) result = this.#iterator.next(sent);
      else if (this.#iterator.throw !== undefined) {
        result = this.#iterator.throw(error);
      } else throw error;
    } catch (thrown) {
      this.#owner._strandThrew(thrown, this);
      return;
    }
    this._stepped(result);
  }

  /** Takes what the iterator gave. */
  _stepped(result: IteratorResult<unknown, unknown>): void {
    if (result.done) this.#owner._strandReturned(result.value, this);
    else if (result.value === undefined || result.value === null) {
      this._task._loop._enqueue(this);
    } else this.#wait(result.value);
  }

  #wait(yielded: unknown): void {
    const task = this._task;
    if (yielded instanceof Future) {
      if (yielded._loop !== task._loop) {
        this.#throwLater(
          `Cannot wait for ${yielded} in ${task} as it is attached to a different loop: make it on the loop that runs the task`,
        );
        return;
      }
      if (!yielded._blocking) {
        this.#throwLater(
          `Cannot yield ${yielded} in ${task}: write yield* instead of yield`,
        );
        return;
      }
      yielded._blocking = false;
      if (yielded === task) {
        this.#throwLater(
          `Cannot await ${task} in itself: it would wait for ever`,
        );
        return;
      }
      yielded._observe(this);
      this._waiter = yielded;
    } else if ((yielded as Partial<Waitable>)._blocking === true) {
      const waitable = yielded as Waitable;
      waitable._observe(this);
      this._waiter = waitable;
    } else if (yielded instanceof StrandQuery) {
      yielded.strand = this;
      this.#advance(false, undefined, null);
      return;
    } else {
      const what = Deno.inspect(yielded, { depth: 0 });
      this.#throwLater(
        `Task got bad yield: ${what}. Write yield* with a coroutine, a future or a task, or a bare yield`,
      );
      return;
    }
    if (task._alert) task._cancelWait(this);
  }

  /** For the description of what it waits for. */
  toString(): string {
    return `wakeup of ${this._task.getName()}`;
  }

  #throwLater(message: string): void {
    this.#pending = { error: new RuntimeError(message) };
    this._task._loop._enqueue(this);
  }
}

/** What throws in a strand that is about to go on. */
function failed(error: unknown): Waitable {
  return { _blocking: false, _observe: () => {}, cancel: () => false, _throws: () => true, _takeError: () => error };
}

function isNativeCall(value: Waitable | null): value is NativeCall {
  return (value as Partial<NativeCall> | null)?._isNativeCall === true;
}
