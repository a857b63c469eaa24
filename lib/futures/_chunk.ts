/**
 * The outcome of a chunk, as the worker sends it, made into the one that `map` takes.
 * @module
 */

import { decodeError } from "./_error_codec.ts";
import type { ChunkOutcome } from "./executor.ts";
import { Future, observe, outcomeOf } from "./future.ts";
import type { ChunkResult } from "./_protocol.ts";
import type { Task } from "./_task.ts";

/** Where a chunk has stopped. */
export interface ChunkFailure {
  /** The results of the calls before. */
  readonly values: readonly unknown[];
  readonly error: unknown;
}

/** The call of a chunk that threw, if one did. */
export function failureIn(value: unknown): ChunkFailure | undefined {
  const { values, error } = resultOf(value);
  return error === undefined ? undefined : { values, error: decodeError(error) };
}

/** The outcome of a chunk as a whole, of which some calls returned these values in another attempt. */
export function joinChunk(before: readonly unknown[], value: unknown): unknown {
  if (before.length === 0) return value;
  const rest = resultOf(value);
  return { ...rest, values: [...before, ...rest.values] };
}

/** The future of a chunk's outcome; cancelling it cancels the task. */
export function decodeChunk<R>(task: Task): Future<ChunkOutcome<R>> {
  const future = new ChunkFuture<R>(task);
  observe(task, () => {
    const outcome = outcomeOf(task);
    if (task.cancelled()) future.cancel();
    else if ("error" in outcome) future.setException(outcome.error);
    else {
      try {
        future.setResult(decodeOutcome<R>(outcome.value));
      } catch (error) {
        future.setException(error);
      }
    }
  });
  return future;
}

function decodeOutcome<R>(value: unknown): ChunkOutcome<R> {
  const { values, error } = resultOf(value);
  return { values: values as R[], ...(error === undefined ? {} : { failure: { error: decodeError(error) } }) };
}

/** @throws {TypeError} If a worker sent something else. */
function resultOf(value: unknown): ChunkResult {
  const result = Object(value) as ChunkResult;
  if (!Array.isArray(result.values)) throw new TypeError("Cannot read the results that a worker sent for a chunk");
  return result;
}

class ChunkFuture<R> extends Future<ChunkOutcome<R>> {
  readonly #task: Task;

  constructor(task: Task) {
    super();
    this.#task = task;
  }

  override cancel(): boolean {
    if (this.done() || this.#task.done()) return super.cancel();
    return this.#task.cancel();
  }

  override running(): boolean {
    return this.#task.running();
  }
}
