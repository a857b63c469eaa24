import { current, type Frame } from "./_current.ts";
import type { Suspension } from "./coroutine.ts";

/** How many calls a chain may grow by before the strand takes the next one over. */
const SPAN = 16;

let caller: Frame | null = null;
let calls = 0;

/**
 * A call of a coroutine whose generator the strand drives, and not the generator that has called it.
 *
 * V8 goes through all generators of a chain of `yield*` at each wait of the innermost, and once more when that goes on.
 * So where many calls are begun without a wait, as one from within the other, every 16th hands its generator to the
 * strand when it waits for the first time, which goes on with the caller when it has ended. A step of a longer chain
 * touches the innermost few generators only; a shorter one costs nothing, and keeps its whole stack.
 */
export class Call<T> implements Iterator<Suspension, T, unknown> {
  readonly generator: Generator<Suspension, T, unknown>;
  #state: "new" | "running" | "over" = "new";
  /** What the strand has driven before. */
  #caller: Iterator<unknown, unknown, unknown> | null = null;
  /** What it waits for first, until the strand takes that; at the end the result. */
  #value: unknown = undefined;

  constructor(generator: Generator<Suspension, T, unknown>) {
    this.generator = generator;
  }

  /** For the caller at the beginning and at the end, and for the strand in between. */
  next(sent: unknown): IteratorResult<Suspension, T> {
    if (this.#state === "over") return { done: true, value: this.#value as T };
    const result = this.generator.next(sent);
    if (this.#state === "running" || result.done) return result;
    this.#state = "running";
    this.#value = result.value;
    return { done: false, value: this as unknown as Suspension };
  }

  throw(error: unknown): IteratorResult<Suspension, T> {
    if (this.#state === "over") throw error;
    return this.generator.throw(error);
  }

  return(value: T): IteratorResult<Suspension, T> {
    return this.#state === "over" ? { done: true, value } : this.generator.return(value);
  }

  /** The strand goes on with this; what it waits for first. */
  begin(caller: Iterator<unknown, unknown, unknown>): unknown {
    this.#caller = caller;
    const first = this.#value;
    this.#value = undefined;
    return first;
  }

  /** The strand goes on with the caller, which gets `result`, or what is thrown into it. */
  end(result?: T): Iterator<unknown, unknown, unknown> {
    this.#state = "over";
    this.#value = result;
    return this.#caller!;
  }
}

/** What `yield*` drives for a call of a coroutine: its generator, or where a chain grows long a {@linkcode Call}. */
export function called<T>(generator: Generator<Suspension, T, unknown>): Iterator<Suspension, T, unknown> {
  const { frame } = current;
  if (frame !== caller) {
    caller = frame;
    calls = 0;
  }
  if (++calls % SPAN !== 0) return generator;
  // Native code drives what it awaits itself, to the first wait.
  return frame !== null && frame === frame._task ? new Call(generator) : generator;
}

/** What a task drives itself. */
export function uncalled<T>(iterator: Iterator<Suspension, T, unknown>): Iterator<Suspension, T, unknown> {
  return iterator instanceof Call ? iterator.generator : iterator;
}

/** Counts calls anew, as an iteration of a loop begins. */
export function forgetCalls(): void {
  caller = null;
}
