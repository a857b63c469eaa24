import { originHere } from "./cancel_origin.ts";
import { awaitedBefore, Coroutine, type Suspension, watch } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import type { EventLoop } from "./event_loop.ts";
import { type CancelledError, InvalidStateError, RuntimeError } from "./exceptions.ts";
import type { Strand, Yielded } from "./_strand.ts";

/** The loop that something belongs to: the first one in which somebody had to wait for it. */
export class LoopBinding {
  readonly #owner: object;
  #loop: EventLoop | null = null;

  constructor(owner: object) {
    this.#owner = owner;
  }

  /** Binds it to the running loop, if it is bound to none. */
  check(): void {
    const loop = getRunningLoop();
    this.#loop ??= loop;
    if (loop !== this.#loop) {
      throw new RuntimeError(
        `Cannot wait for ${this.#owner} as it is bound to a different event loop: make one for each loop`,
      );
    }
  }
}

/**
 * Tasks that wait for their turn, first come, first served. What all that can be waited for is built on: locks, events,
 * conditions, semaphores, queues, limiters.
 *
 * A waiter stays in the queue until its task runs again, also when it has been woken or cancelled. So whoever wants to
 * take without waiting can see that others are before him, and the order of what follows a cancellation is CPython's.
 */
export class WaitQueue {
  readonly #owner: object;
  readonly #verb: string;
  readonly #binding: LoopBinding;
  #head: QueuedWait<unknown> | null = null;
  #tail: QueuedWait<unknown> | null = null;
  /** All before it are woken or cancelled, so that the search for the next to be woken does not begin anew each time. */
  #cursor: QueuedWait<unknown> | null = null;
  #live = 0;
  #waiting = 0;

  /**
   * An empty queue.
   *
   * @param owner What is waited for, for messages.
   * @param verb The method that waits, for messages.
   * @param binding The loop, where an owner has several queues.
   */
  constructor(owner: object, verb: string, binding: LoopBinding = new LoopBinding(owner)) {
    this.#owner = owner;
    this.#verb = verb;
    this.#binding = binding;
  }

  /** The method that waits, for messages. */
  get name(): string {
    return `${this.#owner.constructor.name}.${this.#verb}`;
  }

  /** How many are in it and have not been cancelled: those that wait, and those that are about to go on. */
  get live(): number {
    return this.#live;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Appends a wait; it leaves when its task runs again. */
  enter(wait: QueuedWait<unknown>): void {
    this.#binding.check();
    wait._previous = this.#tail;
    if (this.#tail === null) this.#head = wait;
    else this.#tail._next = wait;
    this.#tail = wait;
    this.#cursor ??= wait;
    this.#live++;
    this.#waiting++;
  }

  /** Takes a wait out, which is over. */
  leave(wait: QueuedWait<unknown>): void {
    if (!wait._cancelled) this.#live--;
    const { _previous: previous, _next: next } = wait;
    if (previous === null) this.#head = next;
    else previous._next = next;
    if (next === null) this.#tail = previous;
    else next._previous = previous;
    if (this.#cursor === wait) this.#cursor = next;
    wait._previous = wait._next = null;
  }

  /** Wakes the first in the queue, unless it has been woken or cancelled already. */
  wakeFirst(): void {
    this.#head?._wake();
  }

  /** Wakes the first that still waits; whether there was one. */
  wakeNext(): boolean {
    let wait = this.#cursor;
    while (wait !== null && !wait._waits) wait = wait._next;
    this.#cursor = wait;
    wait?._wake();
    return wait !== null;
  }

  /** Wakes all that wait. */
  wakeAll(): void {
    while (this.wakeNext());
  }

  /** Takes note that a wait is over. */
  _over(cancelled: boolean): void {
    this.#waiting--;
    if (cancelled) this.#live--;
  }

  toString(): string {
    return `${this.#verb}() of ${this.#owner}`;
  }
}

const NEW = 0;
/** Awaited, and not in the queue: it has not arrived there yet, or its turn has come. */
const BEGUN = 1;
const WAITING = 2;
const WOKEN = 3;
const CANCELLED = 4;

/**
 * A wait for one's turn in a {@linkcode WaitQueue}: its own iterator, what its task waits for, and its place in the
 * queue. One object does for all, as tens of thousands may wait.
 */
export abstract class QueuedWait<T> extends Coroutine<T> implements Iterator<Suspension, T, unknown>, Yielded {
  /** The queue is a list through these: a wait leaves from anywhere in it at once. */
  _previous: QueuedWait<unknown> | null = null;
  _next: QueuedWait<unknown> | null = null;
  readonly #queue: WaitQueue;
  #state: typeof NEW | typeof BEGUN | typeof WAITING | typeof WOKEN | typeof CANCELLED = NEW;
  /** Who waits. */
  #strand: Strand | null = null;
  /** What it was cancelled with. */
  #cancellation: CancelledError | null = null;

  constructor(queue: WaitQueue) {
    super();
    this.#queue = queue;
    watch?.register(this, this.name, this);
  }

  override get name(): string {
    return this.#queue.name;
  }

  /** Whether the wait is over, before it (`woken` is false) or when its turn has come. If not, it waits (again). */
  protected abstract _arrive(woken: boolean): boolean;

  /** What it gives when it is over. */
  protected abstract _value(): T;

  /** Undoes what waking it has done, and wakes somebody else with that. */
  protected abstract _giveUp(woken: boolean): void;

  override [Symbol.iterator](): this {
    if (this.#state !== NEW && !this._blocking) throw awaitedBefore(this);
    if (this.#state === NEW) this.#state = BEGUN;
    watch?.unregister(this);
    return this;
  }

  next(): IteratorResult<Suspension, T> {
    if (this._blocking) return { done: false, value: this as unknown as Suspension };
    if (this._waits) {
      throw new InvalidStateError(`Cannot go on as ${this} is still pending: wait for it with yield* or await`);
    }
    if (this._cancelled) throw this._takeError();
    const woken = this.#state === WOKEN;
    if (woken) this.#leave();
    try {
      if (this._arrive(woken)) return { done: true, value: this._value() };
    } catch (error) {
      // What it was woken for is somebody else's.
      if (woken) this._giveUp(true);
      throw error;
    }
    this._enter();
    return { done: false, value: this as unknown as Suspension };
  }

  throw(error: unknown): IteratorResult<Suspension, T> {
    this.#end();
    throw error;
  }

  return(value: T): IteratorResult<Suspension, T> {
    this.#end();
    return { done: true, value };
  }

  override close(): void {
    this.#state = BEGUN;
    watch?.unregister(this);
  }

  /** Takes its place in the queue. Awaiting it does that, unless it was done before. */
  _enter(): void {
    this.#queue.enter(this);
    this.#state = WAITING;
  }

  /** Has it look again whether the wait is over. */
  _wake(): void {
    if (this.#state !== WAITING) return;
    this.#queue._over(false);
    this.#state = WOKEN;
    this.#goOn();
  }

  /** Whether its turn has not come yet. */
  get _waits(): boolean {
    return this.#state === WAITING;
  }

  get _cancelled(): boolean {
    return this.#state === CANCELLED;
  }

  /** Set between `next` and the task's taking note of it. */
  get _blocking(): boolean {
    return this.#state === WAITING && this.#strand === null;
  }

  _observe(strand: Strand): void {
    this.#strand = strand;
  }

  cancel(message?: unknown): boolean {
    if (this.#state !== WAITING) return false;
    this.#queue._over(true);
    this.#state = CANCELLED;
    this.#cancellation = originHere()._error(message);
    this.#goOn();
    return true;
  }

  _throws(): boolean {
    return this.#state === CANCELLED;
  }

  _takeError(): CancelledError {
    return this.#cancellation!;
  }

  /** What is waited for, while it is. */
  override toString(): string {
    return this.#strand === null ? super.toString() : String(this.#queue);
  }

  #goOn(): void {
    const strand = this.#strand;
    strand?._task._loop._enqueue(strand);
  }

  #leave(): void {
    this.#queue.leave(this);
    this.#state = BEGUN;
    this.#strand = null;
  }

  /** Somebody throws at it, or closes it. */
  #end(): void {
    const woken = this.#state === WOKEN;
    // Thrown at from outside, it must not be woken any more.
    if (this.#state === WAITING) {
      this.#queue._over(true);
      this.#state = CANCELLED;
    }
    if (this.#state < WOKEN) return;
    this.#leave();
    this._giveUp(woken);
  }
}
