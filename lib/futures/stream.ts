/**
 * {@linkcode TaskStream}: the values of a generator that runs in a worker.
 * @module
 */

import { Deque } from "../_deque.ts";
import type { Future } from "./future.ts";
import { observe, outcomeOf } from "./future.ts";
import type { StreamSink, Task } from "./_task.ts";

/** How a {@linkcode TaskStream} gets at its call. */
interface Source {
  /** Submits the call. */
  start(sink: StreamSink): Task;
  /** Lets the call send so many values more. */
  grant(task: Task, count: number): void;
  /** Asks the generator to return. */
  stop(task: Task): void;
}

/**
 * What {@linkcode PoolExecutor.stream} returns: an async iterable of what a generator yields in a worker. The generator
 * is ahead of its reader by `buffersize` values at the most, and waits then.
 *
 * @typeParam T The type of the values.
 */
export class TaskStream<T> implements AsyncIterableIterator<T, void, void>, AsyncDisposable {
  readonly #source: Source;
  readonly #window: number;
  readonly #task: Task;
  readonly #values = new Deque<T>();
  /** How many values the call may send. */
  #credit: number;
  #wake: (() => void) | undefined;
  #ended = false;
  /** One step at a time, however many are asked for. */
  #last: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(source: Source, window: number) {
    this.#source = source;
    this.#window = this.#credit = window;
    const isStopped = () => this.#ended;
    this.#task = source.start({
      window,
      get isStopped() {
        return isStopped();
      },
      push: (value) => {
        if (this.#credit-- <= 0) throw new TypeError("more values of a stream than it was asked for");
        if (this.#ended) return false;
        this.#values.push(value as T);
        this.#wake?.();
        return this.#credit === 0;
      },
    });
    observe(this.#task, () => this.#wake?.());
  }

  /** The future of the call: done when the generator is. Its result is `undefined`. */
  get future(): Future<unknown> {
    return this.#task;
  }

  /**
   * The next value.
   *
   * @returns As of any async iterator. It rejects with what the generator threw, and as {@linkcode Future.result} does;
   * that ends the iteration.
   */
  next(): Promise<IteratorResult<T, void>> {
    const step = this.#last.then(() => this.#step());
    this.#last = step.catch(() => {});
    return step;
  }

  /**
   * Ends the iteration: the generator returns at its next `yield`, and runs its `finally` blocks. What `break` in a
   * `for await` does.
   *
   * @returns A promise of the end of the iteration, which waits for the generator. It rejects with what that throws
   * meanwhile.
   */
  async return(): Promise<IteratorResult<T, void>> {
    if (!this.#ended) {
      this.#ended = true;
      while (this.#values.length > 0) this.#values.shift();
      this.#wake?.();
      // What it threw while it was ahead would have come after what nobody reads.
      if (this.#task.done()) outcomeOf(this.#task);
      else if (!this.#task.cancel()) await this.#stop();
    }
    return { done: true, value: undefined };
  }

  /** A `TaskStream` is its own iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** `await using` one ends it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #stop(): Promise<void> {
    this.#source.stop(this.#task);
    try {
      await this.#task;
    } catch (error) {
      // It may be taken back before it starts.
      if (!this.#task.cancelled()) throw error;
    }
  }

  async #step(): Promise<IteratorResult<T, void>> {
    while (!this.#ended) {
      if (this.#values.length > 0) {
        const value = this.#values.shift() as T;
        this.#refill();
        return { done: false, value };
      }
      if (this.#task.done()) {
        this.#ended = true;
        const outcome = outcomeOf(this.#task);
        if ("error" in outcome) throw outcome.error;
        break;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    return { done: true, value: undefined };
  }

  /** Half the window at a time: a message for each value would cost more than the value. */
  #refill(): void {
    const taken = this.#window - this.#credit - this.#values.length;
    if (taken < this.#window / 2 || this.#task.done()) return;
    this.#credit += taken;
    this.#source.grant(this.#task, taken);
  }
}
