/**
 * A call on its way through a pool.
 * @module
 */

import { InvalidStateError } from "./errors.ts";
import type { SubmitOptions } from "./executor.ts";
import { Future } from "./future.ts";
import type { FunctionRef } from "./_function_ref.ts";
import { type CommonSettings, toRetries, toTimeLimit } from "./_pool_settings.ts";
import type { PoolWorker } from "./_pool_worker.ts";

/** What a call is made with. */
export interface TaskSettings {
  readonly ref: FunctionRef;
  readonly isChunk: boolean;
  readonly transfer: readonly Transferable[];
  /** Milliseconds, from the start of the call. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** The higher, the earlier. */
  readonly priority: number;
  /** Whose call it is: groups take turns. */
  readonly group: unknown;
  /** How often it may run again, and whether it shall. */
  readonly retries: number;
  readonly retryOn: ((error: unknown, attempt: number) => boolean) | undefined;
  readonly onProgress: ((value: unknown) => void) | undefined;
  readonly stream: StreamSink | undefined;
}

/** Where the values of a call go that is a stream. */
export interface StreamSink {
  /** How many values the call may send before it is told that some were taken. */
  readonly window: number;
  /** Whether nobody reads it any more. */
  readonly isStopped: boolean;
  /**
   * Takes the next value.
   *
   * @returns Whether it was the last one that the call may send: it waits for its reader now.
   * @throws {TypeError} If the call may send no more.
   */
  push(value: unknown): boolean;
}

/** Who is told of the cancellation of a call. */
export interface TaskOwner {
  /** It is being cancelled: before anybody else is told. */
  cancelling(task: Task): void;
  /** It was cancelled, and a worker had it, or none. */
  cancelled(task: Task, worker: PoolWorker | undefined): void;
}

/** What a call is beside a plain one. */
export interface CallKind {
  /** One call for each of the arguments, which are lists of arguments. */
  readonly chunk?: true;
  readonly stream?: StreamSink;
}

/** A plain call. */
export const CALL: CallKind = {};

/**
 * What a call is made with, from its options and those of its pool.
 *
 * @throws {RangeError} If one of them is out of its range.
 * @throws {TypeError} If one of them is of the wrong kind.
 */
export function taskSettings(
  ref: FunctionRef,
  { signal, timeout, transfer, priority = 0, group, retries, retryOn, onProgress }: SubmitOptions,
  pool: CommonSettings,
  { chunk, stream }: CallKind,
): TaskSettings {
  if (!Number.isFinite(priority)) throw new RangeError(`Cannot use ${priority} as priority: pass a finite number`);
  return {
    ref,
    isChunk: chunk === true,
    transfer: transfer ?? [],
    timeout: toTimeLimit(timeout, "timeout"),
    signal,
    priority,
    group,
    retries: retries === undefined ? pool.retries : toRetries(retries),
    retryOn: retryOn ?? pool.retryOn,
    onProgress,
    stream,
  };
}

/** The future of a call, and what its pool has to know of it. */
export class Task extends Future<unknown> {
  /** Those that are being handed to a worker. */
  static handing: readonly Task[] = [];

  readonly settings: TaskSettings;
  /** The worker that has the call, and its number there; nobody while it is queued. */
  worker: PoolWorker | undefined;
  seq = -1;
  /** The milliseconds that the worker's load was counted up by. */
  load = 0;

  /** Whether it is in the queue. */
  queued = false;
  /** When it was submitted. */
  submittedAt = 0;
  /** How often it has run. */
  attempts = 1;
  /** Whether it is a stream that waits for its reader. */
  stalled = false;
  /** Whether it is a stream that the pool has asked to end. */
  cut = false;
  /** Whether its start was told to those who listen. */
  announced = false;

  /** What the calls of a chunk have returned that do not run again. */
  results: readonly unknown[] = [];
  /** The arguments; of a chunk, a list of arguments for each call. Dropped when the call is over. */
  args: readonly unknown[];
  /** What goes along beside the arguments; dropped with them. */
  context: Readonly<Record<string, unknown>> | undefined;

  readonly #owner: TaskOwner | undefined;

  constructor(settings: TaskSettings, args: readonly unknown[], owner?: TaskOwner) {
    super();
    this.settings = settings;
    this.args = args;
    this.#owner = owner;
  }

  /** How long the call is expected to take; `Infinity` if nobody knows. */
  get cost(): number {
    const { ref, isChunk } = this.settings;
    return ref.cost === undefined ? Infinity : isChunk ? ref.cost * this.args.length : ref.cost;
  }

  /** Learns from how long the call took. */
  learn(duration: number): void {
    const { ref, isChunk } = this.settings;
    const sample = isChunk ? duration / Math.max(1, this.args.length) : duration;
    // One call during which the thread was put aside by the system says little, so no sample counts for much more than
    // the ones before it. Calls that really take longer now get there in some steps.
    ref.cost = ref.cost === undefined ? sample : 0.8 * ref.cost + 0.2 * Math.min(sample, 4 * ref.cost + 0.05);
  }

  override cancel(): boolean {
    if (this.done()) return super.cancel();
    if (Task.handing.includes(this)) return false; // a getter of its arguments asks, when it is too late
    // What a worker has may be running: it is asked, over shared memory where there is some.
    const { worker } = this;
    if (worker !== undefined && !worker.revoke(this)) return false;
    this.#owner?.cancelling(this);
    super.cancel();
    this.#owner?.cancelled(this, worker);
    return true;
  }

  /** For its pool: ends the call with a result. */
  succeed(value: unknown): void {
    super.setResult(value);
  }

  /** For its pool: ends the call with an exception. */
  fail(error: unknown): void {
    super.setException(error);
  }

  override setResult(): void {
    this.#refuse("a result");
  }

  override setException(): void {
    this.#refuse("an exception");
  }

  // The pool would wait for the call for ever.
  #refuse(what: string): never {
    throw new InvalidStateError(
      `Cannot set ${what} of ${this}: its pool does that; cancel() it, or make a new Future() for an outcome of your own`,
    );
  }

  override running(): boolean {
    return this.worker !== undefined && !this.done() && this.worker.isRunning(this);
  }

  override toString(): string {
    return super.toString().replace("Task", `Future of ${this.settings.ref.name}:`);
  }
}
