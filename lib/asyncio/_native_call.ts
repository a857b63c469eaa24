import { current, type Frame, frames } from "./_current.ts";
import type { Context } from "./context.ts";
import { afterMicrotasks } from "./_host.ts";
import type { Suspension } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { CancelRequest, type Region } from "./_cancellation.ts";
import { CancelOrigin } from "./cancel_origin.ts";
import { cancellationIn, CancelledError } from "./exceptions.ts";
import { Strand, type StrandOwner, type Waitable } from "./_strand.ts";
import type { Task } from "./task.ts";

/** A promise that is settled by a strand. */
interface Settle {
  /** Whether the strand waits for a future that is there without it, and has begun nothing itself. */
  readonly bystander: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * A call of native code by a task, which waits for its promise.
 *
 * The call follows the native code through its awaits. Each Skein awaitable that the code awaits becomes a strand of
 * the call, driven by the task as its own generator is: so the code runs in the task, and cancelling the task cancels
 * what the code waits for.
 *
 * If it waits for something else, a promise of the host, nobody can throw into it. It is told by the task's signal, has
 * one turn of the host to take notice, and is left to itself after that: the task goes on with a CancelledError.
 */
export class NativeCall implements Frame, Waitable, StrandOwner {
  readonly _loop: EventLoop;
  readonly _task: Task<unknown>;
  readonly _context: Context;
  /** The region that the call is in. */
  readonly _region: Region | null;
  readonly #strands = new Map<Strand, Settle>();
  #observer: Strand | null = null;
  #state: "new" | "running" | "returned" | "threw" | "abandoned" = "new";
  #outcome: unknown;
  /** The round of the loop in which this code was last let go on; see `EventLoop._released`. */
  #releasedIn = -1;
  /** Calls off that this call is given up, which is about to happen. */
  #pardon: (() => void) | null = null;
  /** Calls off the look at whether this code has begun to wait for the host. */
  #unwatch: (() => void) | null = null;
  /** What it was given up for. */
  #givenUp: CancelRequest | null = null;

  constructor(task: Task<unknown>) {
    this._task = task;
    this._loop = task._loop;
    this._context = task.getContext();
    this._region = task._place();
  }

  get _isNativeCall(): true {
    return true;
  }

  get _blocking(): true {
    return true;
  }

  get _native(): NativeCall {
    return this;
  }

  /** Whether it has ended. One that was given up has not: what it still awaits throws. */
  get _over(): boolean {
    return this.#state === "returned" || this.#state === "threw";
  }

  /** What it was given up for; `null` if it was not. */
  get _givenUp(): CancelledError | null {
    return this.#givenUp === null ? null : errorOf(this.#givenUp);
  }

  /** Calls `fn` on behalf of the task. */
  enter<R>(fn: (signal: AbortSignal) => R): R {
    const before = current.frame;
    const call = fn.length > 0 ? () => fn(this._task.signal) : fn as () => R;
    current.frame = this;
    try {
      return frames.run(this, call);
    } finally {
      current.frame = before;
    }
  }

  /** Waits for what `enter` returned. */
  *wait<T>(promise: PromiseLike<T>): Generator<Suspension, T, unknown> {
    this.#state = "running";
    this._loop._nativeCalls++;
    this.#released();
    promise.then(
      (value) => this.#settle("returned", value),
      (error) => this.#settle("threw", error),
    );
    yield this as unknown as Suspension;
    return this.#outcome as T;
  }

  /** Runs `iterator` as a strand, for native code that awaits it. */
  run<T>(iterator: Iterator<unknown, T, unknown>, bystander = false): Promise<T> {
    if (this.#state === "abandoned") return Promise.reject(errorOf(this.#givenUp!));
    const task = this._task;
    const before = current.frame;
    const here = task._here;
    // Within what runs already: a cancellation that was asked for comes when it waits, not before.
    current.frame = task;
    task._here = this;
    let result: IteratorResult<unknown, T>;
    try {
      result = iterator.next();
    } catch (error) {
      return Promise.reject(error);
    } finally {
      current.frame = before;
      task._here = here;
    }
    // Where there is nothing to wait for, the code goes on as if it had not asked.
    return result.done ? Promise.resolve(result.value) : this.#park(iterator, result, bystander);
  }

  #park<T>(
    iterator: Iterator<unknown, T, unknown>,
    result: IteratorYieldResult<unknown>,
    bystander: boolean,
  ): Promise<T> {
    this.#parked();
    return new Promise<T>((resolve, reject) => {
      const strand = new Strand(this._task, iterator, this);
      strand._region = this._region;
      this.#strands.set(strand, {
        resolve: resolve as (value: unknown) => void,
        reject,
        bystander,
      });
      this._loop._parkedNatives++;
      const before = current.frame;
      const here = this._task._here;
      strand._stepped(result);
      current.frame = before;
      this._task._here = here;
      // A loop on a virtual clock may have fallen asleep until the host had answered this code, as it now has.
      this._loop._wake();
    });
  }

  _strandReturned(value: unknown, strand: Strand): void {
    this.#take(strand)?.resolve(value);
  }

  _strandThrew(error: unknown, strand: Strand): void {
    this.#take(strand)?.reject(error);
  }

  cancel(_message: unknown, request: CancelRequest): boolean {
    if (this.#state !== "running") return false;
    if (this.#strands.size > 0) {
      let accepted = false;
      for (const strand of [...this.#strands.keys()]) {
        accepted = strand._cancel(request) || accepted;
      }
      return accepted;
    }
    const taken = this._task._abortSignal(request, this._region);
    if (this.#pardon === null) {
      this._loop._nativeTurns++;
      this.#pardon = afterMicrotasks(() => {
        this.#endGrace();
        if (this.#state === "running" && this.#strands.size === 0) {
          this._task._accept(this._region);
          // What the code has begun meanwhile may follow a newer signal.
          this._task._abortSignal(request, this._region);
          this.#givenUp = request;
          this.#settle("abandoned", errorOf(request));
        } else this._loop._wake();
      });
    }
    // Code that took the signal has been told by it, and is not told a second time by its next await.
    return taken;
  }

  /** Gives it up as nobody waits for it any more; whether it had not ended yet. */
  _leave(request: CancelRequest): boolean {
    if (this.#state !== "running") return false;
    if (this.#strands.size > 0) {
      for (const strand of [...this.#strands.keys()]) strand._leave(request);
    } else {
      this.#givenUp = request;
      this.#settle("abandoned", errorOf(request));
    }
    return true;
  }

  _isShieldedFrom(request: CancelRequest): boolean {
    for (const strand of this.#strands.keys()) if (strand._isShieldedFrom(request)) return true;
    return false;
  }

  _observe(strand: Strand): void {
    this.#observer = strand;
  }

  _throws(): boolean {
    return this.#state === "threw" || this.#state === "abandoned";
  }

  _takeError(): unknown {
    return this.#outcome;
  }

  /** What the code waits for, for messages. */
  toString(): string {
    const waits = [...this.#strands.keys()].map((strand) => String(strand._waiter ?? "its next turn"));
    return waits.length > 0 ? waits.join(" and ") : "a promise of the host";
  }

  #take(strand: Strand): Settle | undefined {
    const settle = this.#strands.get(strand);
    this.#strands.delete(strand);
    this._loop._parkedNatives--;
    this.#released();
    if (this._task._alert && this.#strands.size === 0 && this.#state === "running") {
      this.#watch(this.#observer!);
    }
    return settle;
  }

  /** Cancels a wait for the host if one comes now, which tells nobody that it begins. */
  #watch(observer: Strand): void {
    if (this.#unwatch !== null) return;
    this._loop._nativeTurns++;
    this.#unwatch = afterMicrotasks(() => {
      this.#endWatch();
      if (this.#strands.size === 0) this._task._cancelWait(observer);
      this._loop._wake();
    });
  }

  #endWatch(): void {
    if (this.#unwatch === null) return;
    this.#unwatch();
    this.#unwatch = null;
    this._loop._nativeTurns--;
  }

  #settle(state: "returned" | "threw" | "abandoned", outcome: unknown): void {
    if (this.#state !== "running") return;
    this.#parked();
    this.#endGrace();
    this.#endWatch();
    this.#state = state;
    this.#outcome = outcome;
    this._loop._nativeCalls--;
    if (this.#strands.size > 0 && !this._loop.isClosed()) this.#leaveStrands();
    if (this.#observer !== null) this._loop._resume(this.#observer);
  }

  /** Cancels what the code has begun and not waited for, so that it takes nothing that nobody would give back. */
  #leaveStrands(): void {
    ignoreUnhandled();
    const origin = new CancelOrigin("left behind", this._task);
    const request = new CancelRequest(this._region, "The code that has begun this wait has ended", origin);
    for (const [strand, { bystander }] of [...this.#strands]) if (!bystander) strand._leave(request);
  }

  #endGrace(): void {
    if (this.#pardon === null) return;
    this.#pardon();
    this.#pardon = null;
    this._loop._nativeTurns--;
  }

  #released(): void {
    if (this.#releasedIn !== this._loop._round) this._loop._released++;
    this.#releasedIn = this._loop._round;
  }

  #parked(): void {
    if (this.#releasedIn === this._loop._round) this._loop._released--;
    this.#releasedIn = -1;
  }
}

let ignoring = false;

/** Code that was left behind is nobody's: that its cancellation is handled by nobody must not end the program. */
function ignoreUnhandled(): void {
  if (ignoring) return;
  ignoring = true;
  globalThis.addEventListener("unhandledrejection", (event) => {
    if (cancellationIn(event.reason)?.origin?.kind === "left behind") event.preventDefault();
  });
}

function errorOf(request: CancelRequest): CancelledError {
  return new CancelledError(request.message, { origin: request.origin });
}
