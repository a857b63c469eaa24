/**
 * {@linkcode MapIterator}: what `map` and `starmap` return.
 * @module
 */

import { after } from "../_after.ts";
import { Deque } from "../_deque.ts";
import { toMilliseconds } from "../_duration.ts";
import { positiveInteger } from "../_positive_integer.ts";
import { TimeoutError } from "./errors.ts";
import type { ChunkOutcome, MapAdmission, MapOptions } from "./executor.ts";
import { type Future, observe, outcomeOf } from "./future.ts";

/**
 * How the items are submitted.
 *
 * @ignore
 */
export interface Submitter<R> {
  /** One call. */
  submit(args: readonly unknown[]): Future<R>;
  /** Many calls as one task; `undefined` where there is no such thing. */
  submitChunk(lists: readonly (readonly unknown[])[]): Future<ChunkOutcome<R>> | undefined;
  /** What keeps the iteration from reading on. */
  readonly admission?: MapAdmission | undefined;
}

/** A submitted task: the future of one result, or of a chunk of them. */
type Submitted<R> = { readonly one: Future<R> } | { readonly chunk: Future<ChunkOutcome<R>> };

/**
 * The results of {@linkcode Executor.map}, in the order of the items: an async iterable that can also be asked for one
 * result at a time.
 *
 * @typeParam R The type of the results.
 */
export class MapIterator<R> implements AsyncIterableIterator<R, void, void>, AsyncDisposable {
  readonly #submitter: Submitter<R>;
  readonly #toArgs: (item: never) => readonly unknown[];
  readonly #chunksize: number;
  readonly #limit: number;
  readonly #deadline: number;
  /** How many tasks may be ahead. */
  readonly #ahead: number;
  readonly #signal: AbortSignal | undefined;

  /** The items that were not read yet; `undefined` when all were. */
  #source: Iterator<unknown> | AsyncIterator<unknown> | undefined;
  readonly #isAsync: boolean;
  readonly #submitted = new Deque<Submitted<R>>();
  /** Results that were not taken yet. */
  readonly #values = new Deque<R>();
  /** What is thrown when all before it was taken: by a call of a chunk, by the source, or by the signal. */
  #failure: { readonly error: unknown } | undefined;
  #reading: Promise<void> | undefined;
  /** It has waited for room, and may submit a task though others wait. */
  #admitted = false;
  #ended = false;
  /** One step at a time, however many are asked for. */
  #last: Promise<unknown> = Promise.resolve();
  /** Ends the wait of a step. */
  #interrupt: (() => void) | undefined;

  /**
   * For {@linkcode Executor.map}.
   *
   * @param submitter How the items are submitted.
   * @param iterable The items.
   * @param toArgs The arguments of an item.
   * @param options As of `map`.
   * @ignore
   */
  constructor(
    submitter: Submitter<R>,
    iterable: Iterable<unknown> | AsyncIterable<unknown>,
    toArgs: (item: never) => readonly unknown[],
    options: MapOptions,
  ) {
    const { chunksize = 1, buffersize, timeout, signal } = options;
    positiveInteger(chunksize, "chunksize");
    if (buffersize !== undefined && buffersize !== null) positiveInteger(buffersize, "buffersize");
    this.#submitter = submitter;
    this.#toArgs = toArgs;
    this.#chunksize = chunksize;
    this.#ahead = buffersize ?? submitter.admission?.ahead ?? Infinity;
    this.#limit = toMilliseconds(timeout, "timeout");
    this.#deadline = performance.now() + this.#limit;
    this.#signal = signal;
    signal?.throwIfAborted();
    const items = iterable as Partial<Iterable<unknown> & AsyncIterable<unknown>>;
    this.#isAsync = typeof items?.[Symbol.asyncIterator] === "function";
    if (!this.#isAsync && typeof items?.[Symbol.iterator] !== "function") {
      throw new TypeError(
        `Cannot map over ${Deno.inspect(iterable, { depth: 0 })}: it is neither an iterable nor an async iterable`,
      );
    }
    this.#source = this.#isAsync ? items[Symbol.asyncIterator]!() : items[Symbol.iterator]!();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (this.#isAsync) this.#readOn();
    else this.#readSync(this.#ahead);
  }

  /**
   * The next result.
   *
   * @returns As of any async iterator. It rejects with what the call threw, with {@linkcode TimeoutError} when the time
   * is over, and with the signal's reason; each of these ends the iteration.
   */
  next(): Promise<IteratorResult<R, void>> {
    const step = this.#last.then(() => this.#step());
    this.#last = step.catch(() => {});
    return step;
  }

  /**
   * Ends the iteration: reads no more items and cancels what has not started. What `break` in a `for await` does.
   *
   * @returns The end of an iteration.
   */
  async return(): Promise<IteratorResult<R, void>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Ends the iteration, as CPython 3.16's `close()`. Calling it again does no harm. */
  async close(): Promise<void> {
    const reading = this.#reading !== undefined;
    const source = this.#end();
    this.#interrupt?.();
    // A source that is about to give an item returns after that only, which may be never.
    if (reading) abandon(source);
    else await source?.return?.();
  }

  /** A `MapIterator` is its own iterator. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** `await using` one closes it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #onAbort = (): void => {
    const failure = { error: this.#signal?.reason };
    abandon(this.#end(failure));
    this.#interrupt?.();
  };

  async #step(): Promise<IteratorResult<R, void>> {
    try {
      while (true) {
        if (this.#values.length > 0) return { done: false, value: this.#values.shift() as R };
        if (this.#failure !== undefined && this.#submitted.length === 0) throw this.#failure.error;
        if (this.#ended) break;
        // As CPython does: the place of the result that is about to be taken is filled first.
        if (!this.#isAsync) {
          this.#readSync(this.#submitter.admission === undefined ? 1 : this.#ahead - this.#submitted.length + 1);
        }
        const submitted = this.#submitted.shift();
        this.#readOn();
        if (submitted !== undefined) await this.#take(submitted);
        else if (this.#reading !== undefined) await this.#wait(this.#reading);
        // Others have filled the queue.
        else if (this.#source !== undefined) await this.#wait(this.#room());
        else if (this.#failure === undefined) break;
      }
    } catch (error) {
      abandon(this.#end());
      throw error;
    }
    this.#end();
    return { done: true, value: undefined };
  }

  /** Waits for a task and takes its results. What it waits for is cancelled, too, if the wait ends before it. */
  async #take(submitted: Submitted<R>): Promise<void> {
    const future = "one" in submitted ? submitted.one : submitted.chunk;
    if (!future.done()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const stop = observe(future, resolve);
      try {
        await this.#wait(promise);
      } finally {
        stop();
        if (!future.done()) letGo(future);
      }
      if (this.#ended) return;
    }
    if ("one" in submitted) {
      const outcome = outcomeOf(submitted.one);
      if ("error" in outcome) throw outcome.error;
      this.#values.push(outcome.value);
      return;
    }
    const outcome = outcomeOf(submitted.chunk);
    if ("error" in outcome) throw outcome.error;
    const { values, failure } = outcome.value;
    for (const value of values) this.#values.push(value);
    if (failure === undefined) return;
    // Nothing after it counts.
    abandon(this.#stop());
    this.#failure = failure;
  }

  /** Waits for `promise`, but not beyond the deadline or the end of the iteration. */
  async #wait(promise: Promise<void>): Promise<void> {
    const { promise: interrupted, resolve, reject } = Promise.withResolvers<void>();
    this.#interrupt = resolve;
    const callOff = after(
      this.#deadline - performance.now(),
      () => reject(new TimeoutError(`The results of map() are not all there after ${this.#limit} ms`)),
    );
    try {
      await Promise.race([promise, interrupted]);
    } finally {
      callOff();
      this.#interrupt = undefined;
    }
  }

  #isFull(): boolean {
    const { admission } = this.#submitter;
    return admission !== undefined && (admission.isFull() || (!this.#admitted && admission.isCrowded()));
  }

  /** Waits for room in the queue of the pool. */
  async #room(): Promise<void> {
    await this.#submitter.admission!.room();
    this.#admitted = true;
  }

  /** Reads items and submits them, up to `tasks` tasks. */
  #readSync(tasks: number): void {
    const source = this.#source as Iterator<unknown> | undefined;
    try {
      for (let submitted = 0; submitted < tasks && this.#source !== undefined; submitted++) {
        if (this.#isFull()) return;
        const lists: (readonly unknown[])[] = [];
        while (lists.length < this.#chunksize) {
          // A source that throws is not to be told that it is over.
          this.#source = undefined;
          const { done, value } = source!.next();
          if (done) break;
          this.#source = source;
          lists.push(this.#toArgs(value as never));
        }
        this.#submit(lists);
      }
    } catch (error) {
      abandon(this.#end());
      throw error;
    }
  }

  /** Reads items of an async iterable for as long as there is room ahead. */
  #readOn(): void {
    if (
      !this.#isAsync || this.#reading !== undefined || this.#source === undefined ||
      this.#submitted.length >= this.#ahead || this.#isFull()
    ) return;
    this.#reading = this.#readTask().catch((error) => {
      if (this.#ended || this.#failure !== undefined) return; // the iteration stopped meanwhile
      this.#source = undefined;
      // It is thrown after the results of the items before it.
      this.#failure = { error };
    }).then(() => {
      this.#reading = undefined;
      this.#readOn();
    });
  }

  /** Reads the items of one task, and submits it. */
  async #readTask(): Promise<void> {
    const source = this.#source as AsyncIterator<unknown>;
    const lists: (readonly unknown[])[] = [];
    while (lists.length < this.#chunksize) {
      const { done, value } = await source.next();
      if (this.#source !== source) return; // the iteration stopped meanwhile
      if (done) {
        this.#source = undefined;
        break;
      }
      lists.push(this.#toArgs(value as never));
    }
    const rest = this.#source;
    // Others may have filled the queue meanwhile.
    while (lists.length > 0 && this.#isFull()) {
      await this.#room();
      if (this.#ended || this.#source !== rest) return;
    }
    try {
      this.#submit(lists);
    } catch (error) {
      abandon(rest);
      throw error;
    }
  }

  #submit(lists: readonly (readonly unknown[])[]): void {
    if (lists.length === 0) return;
    this.#admitted = false;
    const chunk = this.#chunksize > 1 ? this.#submitter.submitChunk(lists) : undefined;
    if (chunk !== undefined) this.#submitted.push({ chunk });
    else for (const args of lists) this.#submitted.push({ one: this.#submitter.submit(args) });
  }

  /**
   * Reads and submits no more, and cancels what has not started. Gives back the source if it was not read to its end.
   */
  #stop(): Iterator<unknown> | AsyncIterator<unknown> | undefined {
    const source = this.#source;
    this.#source = undefined;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    for (let next = this.#submitted.shift(); next !== undefined; next = this.#submitted.shift()) {
      letGo("one" in next ? next.one : next.chunk);
    }
    return source;
  }

  /** Ends: there will be no more results, nor errors but `failure`. */
  #end(failure?: { readonly error: unknown }): Iterator<unknown> | AsyncIterator<unknown> | undefined {
    this.#ended = true;
    this.#failure = failure;
    while (this.#values.length > 0) this.#values.shift();
    return this.#stop();
  }
}

/**
 * Cancels a call, or takes its outcome for known if it can no longer be cancelled: the iteration has ended with another
 * one.
 */
function letGo(future: Future<unknown>): void {
  if (!future.cancel()) observe(future, () => outcomeOf(future));
}

/** Lets go of a source without waiting for it: there is another error to be told. */
function abandon(source: Iterator<unknown> | AsyncIterator<unknown> | undefined): void {
  Promise.try(() => source?.return?.()).catch(() => {});
}
