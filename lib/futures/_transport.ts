/**
 * What the scheduling core asks of a worker, whatever the worker is. A third executor is a third implementation of
 * {@linkcode Transport}.
 * @module
 */

import type { WorkerExit } from "./errors.ts";
import type { FunctionRef } from "./_function_ref.ts";
import type { Call, Definition } from "./_protocol.ts";

/**
 * How a worker reports. None of these is called from within a call of a {@linkcode Transport}'s methods. They throw if
 * what the worker says makes no sense; then it is not to be used any more.
 */
export interface TransportEvents {
  /** The initializer has run, if there is one: the worker takes calls. */
  ready(): void;
  /** The initializer threw. */
  broken(error: unknown): void;
  /** The call returned. */
  succeeded(seq: number, duration: number, value: unknown): void;
  /** The call threw. */
  failed(seq: number, duration: number, error: unknown): void;
  /** The running call says how far it is. */
  progress(seq: number, value: unknown): void;
  /** The running call, a stream, has a value. */
  yielded(seq: number, value: unknown): void;
  /** The worker holds more memory than it may. */
  large(): void;
  /** The calls that were sent with this one as the first, or the initializer, cannot be read by the worker. */
  unreadable(seq: number): void;
  /** Some results have been reported, and no more are there for now: the time to send more work. */
  drained(): void;
  /** These calls were taken back: they have not started and never will. */
  returned(seqs: readonly number[]): void;
  /** The worker runs a call that was abandoned: it gets no more, and may be gone soon. */
  lost(): void;
  /** The worker is gone. `message` says how, for people; `cause` is the error that it died of, if one is known. */
  exited(exit: TransportExit): void;
}

/** How a worker ended: for people, too. */
export interface TransportExit extends WorkerExit {
  readonly message: string;
  readonly cause?: unknown;
}

/**
 * One worker, seen from the pool. Calls are numbered; the worker runs them one at a time, in the order of their
 * numbers.
 */
export interface Transport {
  /** The id of the process, if it is one. */
  readonly pid?: number;
  /** Tells the worker about a function, before its first call. */
  define(ref: FunctionRef): void;
  /**
   * Hands over the first of the calls, and as many of those behind it as can go along; they get the numbers from `first`
   * on. Of an object that several of them were given, each gets a copy of its own. The pool keeps fewer than `SLOTS`
   * numbers in use.
   *
   * @returns How many were handed over.
   * @throws If an argument of the first call cannot be cloned; then nothing was sent.
   */
  send(first: number, calls: readonly Call[], transfer: readonly Transferable[]): number;
  /** Says of the call that is sent next that it is a stream, which may send so many values. */
  openStream(seq: number, credit: number): void;
  /** Lets a stream send so many values more. */
  grant(seq: number, count: number): void;
  /** Asks the generator of a stream to return. */
  stopStream(seq: number): void;
  /** Forgets all definitions, so that a worker does not gather them without end. */
  forget(): void;
  /** Whether the call runs at this moment, `head` being the oldest one whose outcome is not known. */
  isRunning(seq: number, head: number): boolean;
  /** Of a worker that is gone: whether the call may have started. */
  mayHaveStarted(seq: number, head: number): boolean;
  /** Takes a call back if it has not started. `true`: it never will; nothing more is reported for it. */
  revoke(seq: number): boolean;
  /**
   * Takes back all calls that have not started.
   *
   * @returns Those that are taken back. Where that cannot be known at once, they are reported by `returned` instead.
   */
  takeBack(): readonly number[];
  /**
   * The outcome of this call interests nobody any more. If the worker runs it, it is told or killed, whatever can be
   * done, and that is reported by `lost`. The calls behind it were taken back before.
   *
   * @returns Whether the worker is lost already.
   */
  abandon(seq: number, head: number): boolean;
  /** Ends the worker, which is idle. */
  close(): void;
  /** Ends the worker, whatever it does, as far as that can be done; `why` is how it will be said to have ended. */
  kill(signal: Deno.Signal, why?: string): void;
  /** Whether the worker keeps the program alive. */
  setRef(ref: boolean): void;
}

/** The definition of a function, as it is sent. */
export function definitionOf(ref: FunctionRef): Definition {
  const { origin } = ref;
  return origin.kind === "module"
    ? [ref.id, ref.name, origin.url, origin.key, origin.registered]
    : [ref.id, ref.name, null, origin.source, false];
}
