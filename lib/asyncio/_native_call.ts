import { current, currentFrame, type Frame, frames } from "./_current.ts";
import type { Context } from "./context.ts";
import { afterMicrotasks } from "./_host.ts";
import { iteratorOf, type Suspension, type Yieldable } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { CancelRequest, type Region } from "./_cancellation.ts";
import { CancelOrigin } from "./cancel_origin.ts";
import { cancellationIn, type CancelledError, RuntimeError } from "./exceptions.ts";
import {
  cancelStrand,
  isShieldedFrom,
  leaveStrand,
  NativeStrand,
  type Strand,
  type StrandOwner,
  takeStep,
  type Yielded,
} from "./_strand.ts";
import type { Task } from "./task.ts";

/** A wait of native code: the strand of what it awaits, and how the promise of that is settled. */
class Await extends NativeStrand {
  /** Whether it waits for a future that is there without it, and has begun nothing itself. */
  readonly _bystander: boolean;
  readonly _resolve: (value: unknown) => void;
  readonly _reject: (error: unknown) => void;

  constructor(
    call: NativeCall,
    iterator: Iterator<unknown, unknown, unknown>,
    bystander: boolean,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    super(call._task, iterator, call);
    this._region = call._region;
    this._bystander = bystander;
    this._resolve = resolve;
    this._reject = reject;
  }
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
 *
 * It is its own iterator, for whoever awaits it in the task.
 */
export class NativeCall
  implements Frame, Yielded, StrandOwner, Yieldable<unknown>, Iterator<Suspension, unknown, unknown> {
  /** The task; known when the call begins. */
  _task!: Task<unknown>;
  /** The region that the call is in. */
  _region: Region | null = null;
  /** What to call; then what it has given, if that is something to be awaited other than a promise. */
  #code: ((signal: AbortSignal) => unknown) | Iterator<unknown, unknown, unknown> | null;
  /** What the code awaits of Skein: hardly ever more than one at a time. */
  #awaits: Await | Set<Await> | null = null;
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

  constructor(fn: (signal: AbortSignal) => unknown) {
    this.#code = fn;
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

  get _loop(): EventLoop {
    return this._task._loop;
  }

  get _context(): Context | undefined {
    return this._task._context;
  }

  set _context(context: Context | undefined) {
    this._task._context = context;
  }

  /** Whether it has ended. One that was given up has not: what it still awaits throws. */
  get _over(): boolean {
    return this.#state === "returned" || this.#state === "threw";
  }

  /** What it was given up for; `null` if it was not. */
  get _givenUp(): CancelledError | null {
    return this.#givenUp === null ? null : errorOf(this.#givenUp);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(sent?: unknown): IteratorResult<Suspension, unknown> {
    if (typeof this.#code === "function") {
      this.#begin(this.#code);
      sent = undefined;
    }
    if (this.#code !== null) return (this.#code as Iterator<Suspension, unknown, unknown>).next(sent);
    if (this.#state === "running") return { done: false, value: this as unknown as Suspension };
    return { done: true, value: this.#outcome };
  }

  throw(error: unknown): IteratorResult<Suspension, unknown> {
    const inner = this.#inner();
    if (inner?.throw === undefined) throw error;
    return inner.throw(error) as IteratorResult<Suspension, unknown>;
  }

  return(value: unknown): IteratorResult<Suspension, unknown> {
    return this.#inner()?.return?.(value) as IteratorResult<Suspension, unknown> ?? { done: true, value };
  }

  /** What it is left to, once it has begun. Before that it never begins. */
  #inner(): Iterator<unknown, unknown, unknown> | null {
    if (typeof this.#code === "function") this.#code = null;
    return this.#code;
  }

  #begin(fn: (signal: AbortSignal) => unknown): void {
    const task = currentFrame()?._task;
    if (!task) {
      throw new RuntimeError("Cannot call an async function as a coroutine outside of a task: use createTask()");
    }
    this._task = task;
    this._region = task._place();
    this.#code = null;
    const before = current.frame;
    current.frame = this;
    try {
      frames.run(this, NativeCall.#call, this, fn);
    } finally {
      current.frame = before;
    }
  }

  static #call(this: void, call: NativeCall, fn: (signal: AbortSignal) => unknown): void {
    const outcome = fn.length > 0 ? fn(call._task.signal) : (fn as () => unknown)();
    call.#code = iteratorOf(outcome);
    if (call.#code === null) call.#follow(outcome as PromiseLike<unknown>);
  }

  #follow(promise: PromiseLike<unknown>): void {
    this.#state = "running";
    this._loop._nativesInside++;
    this.#released();
    // Reactions of the host's promises run in the context of this call, so that all calls can share them.
    if (promise instanceof Promise && promise.then === then) promise.then(returned, threw);
    else promise.then((value) => this._end("returned", value), (error) => this._end("threw", error));
  }

  /**
   * Runs `iterator` as a strand, for native code that awaits it.
   *
   * @param bystander Whether that is to wait for a future that is there without it, and begins nothing itself.
   */
  run<T>(iterator: Iterator<unknown, T, unknown>, bystander = false): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#run(iterator, bystander, resolve as (value: unknown) => void, reject);
    });
  }

  #run(
    iterator: Iterator<unknown, unknown, unknown>,
    bystander: boolean,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ): void {
    if (this.#state === "abandoned") {
      reject(errorOf(this.#givenUp!));
      return;
    }
    const task = this._task;
    const before = current.frame;
    const here = current.here;
    // Within what runs already: a cancellation that was asked for comes when it waits, not before.
    current.frame = task;
    current.here = this;
    let result: IteratorResult<unknown, unknown>;
    try {
      result = iterator.next();
    } catch (error) {
      current.frame = before;
      current.here = here;
      reject(error);
      return;
    }
    // Where there is nothing to wait for, the code goes on as if it had not asked.
    if (result.done) resolve(result.value);
    else {
      this.#parked();
      const strand = new Await(this, iterator, bystander, resolve, reject);
      this.#add(strand);
      this._loop._nativesInside--;
      takeStep(strand, result);
    }
    current.frame = before;
    current.here = here;
    // A loop on a virtual clock may have fallen asleep until the host had answered this code, as it now has.
    if (!result.done) this._loop._wake();
  }

  _strandReturned(value: unknown, strand: Await): void {
    this.#take(strand);
    strand._resolve(value);
  }

  _strandThrew(error: unknown, strand: Await): void {
    this.#take(strand);
    strand._reject(error);
  }

  cancel(_message: unknown, request: CancelRequest): boolean {
    if (this.#state !== "running") return false;
    if (this.#awaits !== null) {
      let accepted = false;
      for (const strand of this.#strands()) {
        accepted = cancelStrand(strand, request) || accepted;
      }
      return accepted;
    }
    const taken = this._task._signals?.abortAround(this._region, request) ?? false;
    if (this.#pardon === null) {
      this._loop._nativeTurns++;
      this.#pardon = afterMicrotasks(() => {
        this.#endGrace();
        if (this.#state === "running" && this.#awaits === null) {
          this._task._accept(this._region);
          // What the code has begun meanwhile may follow a newer signal.
          this._task._signals?.abortAround(this._region, request);
          this.#givenUp = request;
          this._end("abandoned", errorOf(request));
        } else this._loop._wake();
      });
    }
    // Code that took the signal has been told by it, and is not told a second time by its next await.
    return taken;
  }

  /** Gives it up as nobody waits for it any more; whether it had not ended yet. */
  _leave(request: CancelRequest): boolean {
    if (this.#state !== "running") return false;
    if (this.#awaits !== null) {
      for (const strand of this.#strands()) leaveStrand(strand, request);
    } else {
      this.#givenUp = request;
      this._end("abandoned", errorOf(request));
    }
    return true;
  }

  _isShieldedFrom(request: CancelRequest): boolean {
    for (const strand of this.#strands()) if (isShieldedFrom(strand, request)) return true;
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
    const waits = this.#strands().map((strand) => String(strand._waiter ?? "its next turn"));
    return waits.length > 0 ? waits.join(" and ") : "a promise of the host";
  }

  #strands(): Await[] {
    const awaits = this.#awaits;
    return awaits === null ? [] : awaits instanceof Set ? [...awaits] : [awaits];
  }

  #add(strand: Await): void {
    const awaits = this.#awaits;
    if (awaits === null) this.#awaits = strand;
    else if (awaits instanceof Set) awaits.add(strand);
    else this.#awaits = new Set([awaits, strand]);
  }

  #take(strand: Await): void {
    const awaits = this.#awaits;
    if (awaits === strand || (awaits as Set<Await>).delete(strand) && (awaits as Set<Await>).size === 0) {
      this.#awaits = null;
    }
    this._loop._nativesInside++;
    this.#released();
    if (this._task._alert && this.#awaits === null && this.#state === "running") {
      this.#watch(this.#observer!);
    }
  }

  /** Cancels a wait for the host if one comes now, which tells nobody that it begins. */
  #watch(observer: Strand): void {
    if (this.#unwatch !== null) return;
    this._loop._nativeTurns++;
    this.#unwatch = afterMicrotasks(() => {
      this.#endWatch();
      if (this.#awaits === null) this._task._cancelWait(observer);
      this._loop._wake();
    });
  }

  #endWatch(): void {
    if (this.#unwatch === null) return;
    this.#unwatch();
    this.#unwatch = null;
    this._loop._nativeTurns--;
  }

  _end(state: "returned" | "threw" | "abandoned", outcome: unknown): void {
    if (this.#state !== "running") return;
    this.#parked();
    this.#endGrace();
    this.#endWatch();
    this.#state = state;
    this.#outcome = outcome;
    this._loop._nativesInside--;
    if (this.#awaits !== null && !this._loop.isClosed()) this.#leaveStrands();
    if (this.#observer !== null) this._loop._resume(this.#observer);
  }

  /** Cancels what the code has begun and not waited for, so that it takes nothing that nobody would give back. */
  #leaveStrands(): void {
    ignoreUnhandled();
    const origin = new CancelOrigin("left behind", this._task);
    const request = new CancelRequest(this._region, "The code that has begun this wait has ended", origin);
    for (const strand of this.#strands()) if (!strand._bystander) leaveStrand(strand, request);
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

const { then } = Promise.prototype;
const returned = (value: unknown): void => (frames.get() as NativeCall)._end("returned", value);
const threw = (error: unknown): void => (frames.get() as NativeCall)._end("threw", error);

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
  return request.origin._error(request.message);
}
