import { Call } from "./_call.ts";
import { current } from "./_current.ts";
import type { NativeCall } from "./_native_call.ts";
import { type CancelRequest, reaches, type Region, StrandQuery } from "./_cancellation.ts";
import { cancelFor } from "./cancel_origin.ts";
import { CancelledError, RuntimeError } from "./exceptions.ts";
import { Future } from "./future.ts";
import type { Runnable } from "./_runnable.ts";
import type { Task } from "./task.ts";

/** What a strand can wait for: a future, a call of native code, or a turn in a queue. */
export interface Waitable {
  /** Cancels it; `false` if that cannot be done. Futures have no use for the request. */
  cancel(message: unknown, request: CancelRequest): boolean;
  /** Whether waiting for it, which is done, throws. */
  _throws(): boolean;
  /** What that throws. */
  _takeError(): unknown;
  toString(): string;
}

/** What is handed to a strand to be waited for, other than a future. */
export interface Yielded extends Waitable {
  /** Whether it was yielded by `yield*`, and not by a `yield` that should be one. */
  readonly _blocking: boolean;
  /** Has a strand go on when it is done. */
  _observe(strand: Strand): void;
}

/** Where the outcome of a strand of native code goes. */
export interface StrandOwner {
  _strandReturned(value: unknown, strand: Strand): void;
  _strandThrew(error: unknown, strand: Strand): void;
}

/**
 * A generator that a task drives. The task of a generator coroutine is one itself, from beginning to end; native code in
 * a task has one for each Skein awaitable that it awaits at that moment. A strand is in the ready queue at most once, as
 * itself: a switch between tasks makes no object.
 */
export interface Strand extends Runnable {
  readonly _task: Task<unknown>;
  /** What it waits for; `null` while it runs or is in the ready queue after a bare `yield`. */
  _waiter: Waitable | null;
  /** The innermost scope that its code is in. */
  _region: Region | null;
  /** Its generator, or a call that this waits for. */
  _iterator: Iterator<unknown, unknown, unknown>;
  _returned(value: unknown): void;
  _threw(error: unknown): void;
}

/** What native code in a task awaits. */
export class NativeStrand implements Strand {
  readonly _task: Task<unknown>;
  _waiter: Waitable | null = null;
  _region: Region | null = null;
  _iterator: Iterator<unknown, unknown, unknown>;
  readonly #owner: StrandOwner;

  constructor(task: Task<unknown>, iterator: Iterator<unknown, unknown, unknown>, owner: StrandOwner) {
    this._task = task;
    this._iterator = iterator;
    this.#owner = owner;
  }

  _run(): void {
    runStrand(this);
  }

  _returned(value: unknown): void {
    this.#owner._strandReturned(value, this);
  }

  _threw(error: unknown): void {
    this.#owner._strandThrew(error, this);
  }
}

/** What a strand waits for before its first step. */
export const BEGINNING: Waitable = {
  cancel: () => false,
  _throws: () => false,
  _takeError: () => undefined,
  toString: () => "its next turn",
};

/**
 * That of all generators. Where V8 knows what is called it makes that a part of the caller: a step is quicker, and what
 * is thrown out of a generator is thrown once, and not again by the function between the two.
 */
const { next: generatorNext } = Object.getPrototypeOf(function* () {}.prototype) as Generator<unknown, unknown>;

/** The next step, as the loop calls it. */
export function runStrand(strand: Strand): void {
  const waiter = strand._waiter;
  if (waiter === null) {
    if (strand._task._alert) step(strand, false, undefined, true);
    else advance(strand, false, undefined, null);
    return;
  }
  strand._waiter = null;
  if (waiter === BEGINNING) {
    if (strand._task._alert) step(strand, false, undefined, true);
    else startStrand(strand);
    return;
  }
  // The end of native code is no wake-up of the task: a cancellation that was asked for comes when the task waits, not
  // before.
  const alert = strand._task._alert && !isNativeCall(waiter);
  // The value is not passed in: who waits reads it from what it waited for.
  const throws = waiter._throws();
  if (alert) step(strand, throws, throws ? waiter._takeError() : undefined);
  else if (throws) fail(strand, waiter);
  else advance(strand, false, undefined, null);
}

/** Goes on where `waiter`, which it has waited for, throws. */
function fail(strand: Strand, waiter: Waitable): void {
  const isFuture = waiter instanceof Future;
  const itself = strand._iterator === waiter as unknown;
  // Of native code, and of a future that native code awaits, there is nothing left that could catch it.
  if (itself && (isFuture || isNativeCall(waiter))) strand._threw(waiter._takeError());
  // A future throws it into the code that waits: V8 takes less than half as long for that as for what is thrown in.
  else if (isFuture) advance(strand, false, undefined, null);
  else advance(strand, true, waiter._takeError(), null);
}

/** The first step within what runs already: a cancellation that was asked for comes when it waits, not before. */
export function startStrand(strand: Strand): void {
  strand._waiter = null;
  advance(strand, false, undefined, undefined);
}

/** Cancels what it waits for, if the request gets here. */
export function cancelStrand(strand: Strand, request: CancelRequest): boolean {
  const waiter = strand._waiter;
  if (waiter === null || !reaches(request, strand._region)) return false;
  return cancelFor(request.origin, waiter, request.message, request);
}

/** Cancels it as nobody waits for it any more, also if what it waits for is done. Code in a shield is left to go on. */
export function leaveStrand(strand: Strand, request: CancelRequest): void {
  const waiter = strand._waiter;
  if (!reaches(request, strand._region)) return;
  const accepted = isNativeCall(waiter)
    ? waiter._leave(request)
    : waiter !== null && cancelFor(request.origin, waiter, request.message, request);
  if (!accepted) strand._waiter = failed(request.origin._error(request.message));
}

/** Whether a shield is what keeps the request from code that it is meant for. */
export function isShieldedFrom(strand: Strand, request: CancelRequest): boolean {
  const waiter = strand._waiter;
  return !reaches(request, strand._region) || isNativeCall(waiter) && waiter._isShieldedFrom(request);
}

/** `turn` says that what has ended is a wait for nothing but the next turn, which could not be cancelled. */
function step(strand: Strand, throwing: boolean, error: unknown, turn = false): void {
  if (strand._task._alert) {
    const due = strand._task._takeDue(strand._region, turn);
    if (due !== null) {
      if (!throwing || !(error instanceof CancelledError)) error = due;
      throwing = true;
    }
  }
  advance(strand, throwing, error, null);
}

/** `sent` tells the iterator whether it begins (`undefined`) or goes on. */
function advance(strand: Strand, throwing: boolean, error: unknown, sent: null | undefined): void {
  const task = strand._task;
  current.frame = task;
  current.here = strand === task ? null : strand;
  let result: IteratorResult<unknown, unknown>;
  try {
    const iterator = strand._iterator;
    if (!throwing) {
      result = iterator.next === generatorNext
        ? generatorNext.call(iterator as Generator<unknown, unknown>, sent)
        : iterator.next(sent);
    } else if (iterator.throw !== undefined) result = iterator.throw(error);
    else throw error;
  } catch (thrown) {
    end(strand, true, thrown);
    return;
  }
  takeStep(strand, result);
}

/** What the strand drives has ended: it goes on with the caller, or has ended itself. */
function end(strand: Strand, throwing: boolean, outcome: unknown): void {
  const iterator = strand._iterator;
  if (iterator instanceof Call) {
    strand._iterator = iterator.end(throwing ? undefined : outcome);
    advance(strand, throwing, outcome, null);
  } else if (throwing) strand._threw(outcome);
  else strand._returned(outcome);
}

/** Takes what the iterator gave. */
export function takeStep(strand: Strand, result: IteratorResult<unknown, unknown>): void {
  if (result.done) end(strand, false, result.value);
  else if (result.value === undefined || result.value === null) {
    strand._task._loop._enqueue(strand);
  } else wait(strand, result.value);
}

function wait(strand: Strand, yielded: unknown): void {
  const task = strand._task;
  if (yielded instanceof Future) {
    const blocking = yielded._blocking;
    yielded._blocking = false;
    if (yielded._loop !== task._loop) {
      throwLater(
        strand,
        `Cannot wait for ${yielded} in ${task} as it is attached to a different loop: make it on the loop that runs the task`,
      );
      return;
    }
    if (!blocking) {
      throwLater(strand, `Cannot yield ${yielded} in ${task}: write yield* instead of yield`);
      return;
    }
    if (yielded === task) {
      throwLater(strand, `Cannot await ${task} in itself: it would wait for ever`);
      return;
    }
    yielded._observe(strand);
    strand._waiter = yielded;
  } else if ((yielded as Partial<Yielded>)._blocking === true) {
    const waitable = yielded as Yielded;
    waitable._observe(strand);
    strand._waiter = waitable;
  } else if (yielded instanceof Call) {
    const value = yielded.begin(strand._iterator);
    strand._iterator = yielded;
    takeStep(strand, { done: false, value });
    return;
  } else if (yielded instanceof StrandQuery) {
    yielded.strand = strand;
    advance(strand, false, undefined, null);
    return;
  } else {
    const what = Deno.inspect(yielded, { depth: 0 });
    throwLater(
      strand,
      `Task got bad yield: ${what}. Write yield* with a coroutine, a future or a task, or a bare yield`,
    );
    return;
  }
  if (task._alert) task._cancelWait(strand);
}

function throwLater(strand: Strand, message: string): void {
  strand._waiter = failed(new RuntimeError(message));
  strand._task._loop._enqueue(strand);
}

/** What throws in a strand that is about to go on. */
function failed(error: unknown): Waitable {
  return { cancel: () => false, _throws: () => true, _takeError: () => error, toString: () => "its next turn" };
}

function isNativeCall(value: Waitable | null): value is NativeCall {
  return (value as Partial<NativeCall> | null)?._isNativeCall === true;
}
