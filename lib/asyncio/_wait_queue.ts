import { Coroutine, type Suspension, watch } from "./coroutine.ts";
import { type EventLoop, getRunningLoop } from "./event_loop.ts";
import { RuntimeError } from "./exceptions.ts";
import { Future } from "./future.ts";

/** The loop that something belongs to: the first one in which somebody had to wait for it. */
export class LoopBinding {
  readonly #owner: object;
  #loop: EventLoop | null = null;

  constructor(owner: object) {
    this.#owner = owner;
  }

  /** The running loop, if it is the one. */
  loop(): EventLoop {
    const loop = getRunningLoop();
    this.#loop ??= loop;
    if (loop !== this.#loop) {
      throw new RuntimeError(
        `Cannot wait for ${this.#owner} as it is bound to a different event loop: make one for each loop`,
      );
    }
    return loop;
  }
}

/** What a task waits for in a {@linkcode WaitQueue}. */
export class Waiter extends Future<void> {
  readonly #queue: WaitQueue;
  /** The queue is a list through these: a waiter leaves from anywhere in it at once. */
  _previous: Waiter | null = null;
  _next: Waiter | null = null;

  constructor(queue: WaitQueue, loop: EventLoop) {
    super({ loop });
    this.#queue = queue;
  }

  /** Whether its turn has come. */
  get woken(): boolean {
    return this.done() && !this.cancelled();
  }

  override cancel(message?: unknown): boolean {
    const accepted = super.cancel(message);
    if (accepted) this.#queue._cancelled();
    return accepted;
  }

  override toString(): string {
    return String(this.#queue);
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
  #head: Waiter | null = null;
  #tail: Waiter | null = null;
  /** All before it are woken or cancelled, so that the search for the next to be woken does not begin anew each time. */
  #cursor: Waiter | null = null;
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

  /** Appends a waiter; whoever awaits it calls `leave` after that in any case. */
  enter(): Waiter {
    const waiter = new Waiter(this, this.#binding.loop());
    waiter._previous = this.#tail;
    if (this.#tail === null) this.#head = waiter;
    else this.#tail._next = waiter;
    this.#tail = waiter;
    this.#cursor ??= waiter;
    this.#live++;
    this.#waiting++;
    return waiter;
  }

  /** Takes a waiter out. */
  leave(waiter: Waiter): void {
    // One that still waits is thrown at from outside, and must not be woken any more.
    waiter.cancel();
    if (!waiter.cancelled()) this.#live--;
    const { _previous: previous, _next: next } = waiter;
    if (previous === null) this.#head = next;
    else previous._next = next;
    if (next === null) this.#tail = previous;
    else next._previous = previous;
    if (this.#cursor === waiter) this.#cursor = next;
  }

  /** Wakes a waiter, unless it has been woken or cancelled already. */
  wake(waiter: Waiter): void {
    if (waiter.done()) return;
    this.#waiting--;
    waiter.setResult();
  }

  /** Wakes the first in the queue, unless it has been woken or cancelled already. */
  wakeFirst(): void {
    if (this.#head !== null) this.wake(this.#head);
  }

  /** Wakes the first that still waits; whether there was one. */
  wakeNext(): boolean {
    let waiter = this.#cursor;
    while (waiter !== null && waiter.done()) waiter = waiter._next;
    this.#cursor = waiter;
    if (waiter !== null) this.wake(waiter);
    return waiter !== null;
  }

  /** Wakes all that wait. */
  wakeAll(): void {
    while (this.wakeNext());
  }

  /** Takes note that a waiter was cancelled. */
  _cancelled(): void {
    this.#live--;
    this.#waiting--;
  }

  toString(): string {
    return `${this.#verb}() of ${this.#owner}`;
  }
}

/**
 * A wait for one's turn in a {@linkcode WaitQueue}, and its own iterator: where there is nothing to wait for, it is the
 * only object that is made.
 */
export abstract class QueuedWait<T> extends Coroutine<T> implements Iterator<Suspension, T, unknown> {
  readonly #queue: WaitQueue;
  #waiter: Waiter | null = null;
  #fresh = true;

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
    if (!this.#fresh) {
      throw new RuntimeError(`Cannot await ${this} a second time, or a closed one: call it again for a new one`);
    }
    this.#fresh = false;
    watch?.unregister(this);
    return this;
  }

  next(): IteratorResult<Suspension, T> {
    const waiter = this.#waiter;
    if (waiter !== null) {
      // Throws if whoever drives this goes on before its time.
      waiter.result();
      this.#waiter = null;
      this.#queue.leave(waiter);
    }
    const woken = waiter !== null;
    try {
      if (this._arrive(woken)) return { done: true, value: this._value() };
    } catch (error) {
      // What it was woken for is somebody else's.
      if (woken) this._giveUp(true);
      throw error;
    }
    const next = this.#waiter = this.#queue.enter();
    next._blocking = true;
    return { done: false, value: next };
  }

  throw(error: unknown): IteratorResult<Suspension, T> {
    this.#leave();
    throw error;
  }

  return(value: T): IteratorResult<Suspension, T> {
    this.#leave();
    return { done: true, value };
  }

  override close(): void {
    this.#fresh = false;
    watch?.unregister(this);
  }

  /** Has it look again whether the wait is over. */
  wake(): void {
    if (this.#waiter !== null) this.#queue.wake(this.#waiter);
  }

  #leave(): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    this.#waiter = null;
    this.#queue.leave(waiter);
    this._giveUp(waiter.woken);
  }
}
