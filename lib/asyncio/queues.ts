/**
 * {@linkcode Queue}, {@linkcode PriorityQueue} and {@linkcode LifoQueue}: items from some tasks for others.
 * @module
 */

import { Deque } from "../_deque.ts";
import { AsyncItems, type ItemSource } from "./async_iteration.ts";
import type { Coroutine, GeneratorCoroutine } from "./coroutine.ts";
import { ValueError } from "./exceptions.ts";
import { Heap } from "./_heap.ts";
import { compareNaturally, requireOrder } from "./_natural_order.ts";
import { LoopBinding, QueuedWait, WaitQueue } from "./_wait_queue.ts";

/** `getNowait()` found the queue empty. CPython's `asyncio.QueueEmpty`. */
export class QueueEmpty extends Error {
  /**
   * Makes one.
   *
   * @param message What was tried.
   */
  constructor(message?: string) {
    super(message);
    this.name = "QueueEmpty";
  }
}

/** `putNowait()` found the queue full. CPython's `asyncio.QueueFull`. */
export class QueueFull extends Error {
  /**
   * Makes one.
   *
   * @param message What was tried.
   */
  constructor(message?: string) {
    super(message);
    this.name = "QueueFull";
  }
}

/** The queue was shut down: nothing can be put any more, or nothing is left to get. CPython's `asyncio.QueueShutDown`. */
export class QueueShutDown extends Error {
  /**
   * Makes one.
   *
   * @param message What was tried.
   */
  constructor(message?: string) {
    super(message);
    this.name = "QueueShutDown";
  }
}

/** Options of {@linkcode Queue.shutdown}. */
export interface QueueShutdownOptions {
  /**
   * Whether the items are dropped that are in the queue.
   * @default {false}
   */
  immediate?: boolean | undefined;
}

/** What {@linkcode Queue.statistics} gives. */
export interface QueueStatistics {
  /** How many items are in it. */
  readonly size: number;
  /** How many items were put for which {@linkcode Queue.taskDone} has not been called. */
  readonly unfinished: number;
  /** How many tasks wait for an item. */
  readonly gettersWaiting: number;
  /** How many tasks wait for room. */
  readonly puttersWaiting: number;
}

/**
 * A queue: the item that was put first is got first. CPython's `asyncio.Queue`.
 *
 * No item is lost when a task is cancelled that waits to put or to get one. As in CPython, a task that does not have to
 * wait may be faster than one that was woken a moment ago, which then waits on.
 *
 * An async iterable: `for await (const item of queue)`, in a generator a loop over {@linkcode aiter}, gives items until
 * the queue is shut down and empty.
 *
 * @typeParam T The type of the items.
 *
 * @example
 * ```ts
 * import { createTask, Queue } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new Queue<number>(2);
 * const producer = createTask(function* () {
 *   for (let i = 1; i <= 5; i++) yield* queue.put(i);
 *   queue.shutdown();
 * }());
 *
 * let sum = 0;
 * for await (const item of queue) sum += item;
 * assertEquals(sum, 15);
 * await producer;
 * ```
 */
export class Queue<T> implements AsyncIterable<T> {
  readonly #maxsize: number;
  readonly #binding = new LoopBinding(this);
  readonly #getters = new WaitQueue(this, "get", this.#binding);
  readonly #putters = new WaitQueue(this, "put", this.#binding);
  readonly #joiners = new WaitQueue(this, "join", this.#binding);
  readonly #items: Store<T>;
  #unfinished = 0;
  /** @internal */
  _isShutDown = false;

  /**
   * An empty queue.
   *
   * @param maxsize How many items it takes before `put()` waits; without limit if it is 0 or less.
   * @throws {TypeError} If it is no number.
   * @throws {ValueError} If it is NaN.
   */
  constructor(maxsize = 0) {
    if (typeof maxsize !== "number" || Number.isNaN(maxsize)) {
      const shown = Deno.inspect(maxsize, { depth: 0 });
      throw new (typeof maxsize === "number" ? ValueError : TypeError)(
        `Cannot make a ${new.target.name} for ${shown} items: pass a number, 0 for no limit`,
      );
    }
    this.#maxsize = maxsize;
    this.#items = this._store();
  }

  /** How many items it takes; without limit if that is 0 or less. */
  get maxsize(): number {
    return this.#maxsize;
  }

  /** How many items are in it. */
  qsize(): number {
    return this.#items.length;
  }

  /** Whether no item is in it. */
  empty(): boolean {
    return this.qsize() === 0;
  }

  /** Whether {@linkcode Queue.maxsize} items are in it. */
  full(): boolean {
    return this.#maxsize > 0 && this.qsize() >= this.#maxsize;
  }

  /**
   * Puts an item, when there is room for it.
   *
   * @param item The item.
   * @returns A coroutine.
   * @throws {QueueShutDown} (when awaited) If the queue was shut down, or is meanwhile.
   */
  put(item: T): Coroutine<void> {
    return new Put(this, this.#putters, item);
  }

  /**
   * Puts an item.
   *
   * @param item The item.
   * @throws {QueueFull} If there is no room for it.
   * @throws {QueueShutDown} If the queue was shut down.
   */
  putNowait(item: T): void {
    this._requireOpen();
    if (this.full()) {
      throw new QueueFull(`Cannot put an item into ${this} as it is full: wait for room with put()`);
    }
    this.#items.push(item);
    this.#unfinished++;
    this.#getters.wakeNext();
  }

  /**
   * Gets an item, when there is one.
   *
   * @returns A coroutine of the item.
   * @throws {QueueShutDown} (when awaited) If the queue is empty and was shut down, or is meanwhile.
   */
  get(): Coroutine<T> {
    return new Get(this, this.#getters);
  }

  /**
   * Gets an item.
   *
   * @returns The item.
   * @throws {QueueEmpty} If there is none.
   * @throws {QueueShutDown} If there is none and the queue was shut down.
   */
  getNowait(): T {
    if (this.empty()) {
      this._requireOpen();
      throw new QueueEmpty(`Cannot get an item of ${this} as it is empty: wait for one with get()`);
    }
    const item = this.#items.shift() as T;
    this.#putters.wakeNext();
    return item;
  }

  /**
   * Tells that the work on an item is done which was got from here, for {@linkcode Queue.join}.
   *
   * @throws {ValueError} If it is called more often than items were put.
   */
  taskDone(): void {
    if (this.#unfinished === 0) {
      throw new ValueError(`Cannot be done with an item of ${this}: taskDone() was called for each that was put`);
    }
    this.#finish(1);
  }

  /**
   * Waits until {@linkcode Queue.taskDone} has been called for every item that was put.
   *
   * @returns A coroutine.
   */
  join(): Coroutine<void> {
    return new Join(this as Queue<unknown>, this.#joiners);
  }

  /**
   * Ends it: from now on `put()` throws {@linkcode QueueShutDown}, and `get()` does when the queue is empty. Tasks that
   * wait go on with that.
   *
   * @param options Whether the items in it are dropped, which then count as done for {@linkcode Queue.join}.
   * @throws {TypeError} If `options` is no object.
   */
  shutdown(options: QueueShutdownOptions = {}): void {
    if (typeof options !== "object" || options === null) {
      throw new TypeError(`Cannot shut down with ${Deno.inspect(options)}: pass { immediate: true }, or nothing`);
    }
    this._isShutDown = true;
    if (options.immediate) {
      const dropped = this.qsize();
      this.#items.clear();
      this.#finish(Math.min(dropped, this.#unfinished));
    }
    this.#getters.wakeAll();
    this.#putters.wakeAll();
  }

  /** The items as they come, until the queue is shut down and empty. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return new AsyncItems<T>(new QueueItems(this, this.#getters))[Symbol.asyncIterator]();
  }

  /** How it is used at this moment. */
  statistics(): QueueStatistics {
    return {
      size: this.qsize(),
      unfinished: this.#unfinished,
      gettersWaiting: this.#getters.waiting,
      puttersWaiting: this.#putters.waiting,
    };
  }

  /** The class and what is in it, for messages. */
  toString(): string {
    const parts = [`${this.qsize()}${this.#maxsize > 0 ? ` of ${this.#maxsize}` : ""} items`];
    if (this._isShutDown) parts.push("shut down");
    return `<${this.constructor.name} ${parts.join(", ")}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /**
   * Where the items are. Called by the constructor, before that of a subclass has run.
   *
   * @internal
   */
  protected _store(): Store<T> {
    return new Deque<T>();
  }

  /** @internal */
  _requireOpen(): void {
    if (this._isShutDown) throw new QueueShutDown(`Cannot use ${this}: it was shut down`);
  }

  #finish(count: number): void {
    this.#unfinished -= count;
    if (this.#unfinished === 0) this.#joiners.wakeAll();
  }
}

/** Options of {@linkcode PriorityQueue}. */
export interface PriorityQueueOptions<T> {
  /**
   * Which of two items comes first: below 0 for `a`, above 0 for `b`, 0 if they are equal. By default numbers and
   * strings are compared by their value, arrays element by element as Python's tuples are, and other objects by what
   * their `valueOf()` gives.
   */
  compare?: ((a: T, b: T) => number) | undefined;
}

/**
 * A {@linkcode Queue} that gives its least item first. CPython's `asyncio.PriorityQueue`.
 *
 * Of equal items, the one that was put first comes first, which CPython leaves open. So `[priority, job]` is ordered by
 * its priority, whatever the job is.
 *
 * @typeParam T The type of the items.
 *
 * @example
 * ```ts
 * import { PriorityQueue } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const jobs = new PriorityQueue<[number, string]>();
 * jobs.putNowait([2, "sweep"]);
 * jobs.putNowait([1, "answer the door"]);
 * assertEquals(jobs.getNowait(), [1, "answer the door"]);
 *
 * const words = new PriorityQueue<string>(0, { compare: (a, b) => a.length - b.length });
 * words.putNowait("long one");
 * words.putNowait("short");
 * assertEquals(words.getNowait(), "short");
 * ```
 */
export class PriorityQueue<T> extends Queue<T> {
  readonly #compare: ((a: T, b: T) => number) | undefined;

  /**
   * An empty queue.
   *
   * @param maxsize How many items it takes before `put()` waits; without limit if it is 0 or less.
   * @param options How to compare.
   * @throws {TypeError} If `maxsize` is no number, or `compare` no function.
   * @throws {ValueError} If `maxsize` is NaN.
   */
  constructor(maxsize = 0, options: PriorityQueueOptions<T> = {}) {
    const { compare } = options;
    if (compare !== undefined && typeof compare !== "function") {
      throw new TypeError(`Cannot compare items with ${Deno.inspect(compare, { depth: 0 })}: pass a function`);
    }
    super(maxsize);
    this.#compare = compare;
  }

  /**
   * Puts an item, when there is room for it.
   *
   * @param item The item.
   * @returns A coroutine.
   * @throws {TypeError} If it has no order and there is no `compare`.
   * @throws {QueueShutDown} (when awaited) If the queue was shut down, or is meanwhile.
   */
  override put(item: T): Coroutine<void> {
    if (this.#compare === undefined) requireOrder(item);
    return super.put(item);
  }

  /**
   * Puts an item.
   *
   * @param item The item.
   * @throws {QueueFull} If there is no room for it.
   * @throws {QueueShutDown} If the queue was shut down.
   * @throws {TypeError} If it has no order and there is no `compare`.
   */
  override putNowait(item: T): void {
    if (this.#compare === undefined) requireOrder(item);
    super.putNowait(item);
  }

  /** @internal */
  protected override _store(): Store<T> {
    return new Heap<T>((a, b) => (this.#compare ?? compareNaturally)(a, b));
  }
}

/**
 * A {@linkcode Queue} that gives the item first that was put last. CPython's `asyncio.LifoQueue`.
 *
 * @typeParam T The type of the items.
 *
 * @example
 * ```ts
 * import { LifoQueue } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const stack = new LifoQueue<string>();
 * stack.putNowait("plate");
 * stack.putNowait("cup");
 * assertEquals(stack.getNowait(), "cup");
 * ```
 */
export class LifoQueue<T> extends Queue<T> {
  /** @internal */
  protected override _store(): Store<T> {
    return new Stack<T>();
  }
}

/** What a queue keeps its items in. */
interface Store<T> {
  readonly length: number;
  /** Adds one. */
  push(item: T): void;
  /** Takes the one that is next. */
  shift(): T | undefined;
  /** Drops all. */
  clear(): void;
}

class Stack<T> implements Store<T> {
  readonly #items: T[] = [];

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    return this.#items.pop();
  }

  clear(): void {
    this.#items.length = 0;
  }
}

class Put<T> extends QueuedWait<void> {
  readonly #to: Queue<T>;
  readonly #putters: WaitQueue;
  readonly #item: T;

  constructor(to: Queue<T>, putters: WaitQueue, item: T) {
    super(putters);
    this.#to = to;
    this.#putters = putters;
    this.#item = item;
  }

  protected override _arrive(): boolean {
    if (!this.#to.full()) return true;
    this.#to._requireOpen();
    return false;
  }

  protected override _value(): void {
    this.#to.putNowait(this.#item);
  }

  protected override _giveUp(woken: boolean): void {
    if (woken && !this.#to.full()) this.#putters.wakeNext();
  }
}

/** A wait for an item. */
abstract class Taking<T, R> extends QueuedWait<R> {
  protected readonly _queue: Queue<T>;
  readonly #getters: WaitQueue;

  constructor(queue: Queue<T>, getters: WaitQueue) {
    super(getters);
    this._queue = queue;
    this.#getters = getters;
  }

  protected override _giveUp(woken: boolean): void {
    if (woken && !this._queue.empty()) this.#getters.wakeNext();
  }
}

class Get<T> extends Taking<T, T> {
  protected override _arrive(): boolean {
    if (!this._queue.empty()) return true;
    this._queue._requireOpen();
    return false;
  }

  protected override _value(): T {
    return this._queue.getNowait();
  }
}

/** The items of a queue, for a reader who may close them while he waits. */
class QueueItems<T> implements ItemSource<T> {
  readonly #queue: Queue<T>;
  readonly #getters: WaitQueue;
  #next: NextItem<T> | null = null;

  constructor(queue: Queue<T>, getters: WaitQueue) {
    this.#queue = queue;
    this.#getters = getters;
  }

  *next(): GeneratorCoroutine<IteratorResult<T, void>> {
    this.#next = new NextItem(this.#queue, this.#getters);
    return yield* this.#next;
  }

  close(): void {
    this.#next?.end();
  }
}

class NextItem<T> extends Taking<T, IteratorResult<T, void>> {
  #closed = false;

  /** Ends the wait without an item. */
  end(): void {
    this.#closed = true;
    this._wake();
  }

  protected override _arrive(woken: boolean): boolean {
    if (this.#closed && woken) this._giveUp(true);
    return this.#closed || !this._queue.empty() || this._queue._isShutDown;
  }

  protected override _value(): IteratorResult<T, void> {
    if (this.#closed || this._queue.empty()) return { done: true, value: undefined };
    return { done: false, value: this._queue.getNowait() };
  }
}

class Join extends QueuedWait<void> {
  readonly #queue: Queue<unknown>;

  constructor(queue: Queue<unknown>, joiners: WaitQueue) {
    super(joiners);
    this.#queue = queue;
  }

  protected override _arrive(woken: boolean): boolean {
    return woken || this.#queue.statistics().unfinished === 0;
  }

  protected override _value(): void {}

  protected override _giveUp(): void {}
}
