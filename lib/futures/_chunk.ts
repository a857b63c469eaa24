/**
 * The outcome of a chunk, as the worker sends it, made into the one that `map` takes.
 * @module
 */

import { decodeError } from "./_error_codec.ts";
import type { ChunkOutcome } from "./executor.ts";
import { Future, observe, outcomeOf } from "./future.ts";
import type { ChunkResult } from "./_protocol.ts";
import type { Task } from "./_task.ts";

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
  const { values, error } = Object(value) as ChunkResult;
  if (!Array.isArray(values)) throw new TypeError("Cannot read the results that a worker sent for a chunk");
  return { values, ...(error === undefined ? {} : { failure: { error: decodeError(error) } }) };
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
