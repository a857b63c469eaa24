/**
 * {@linkcode PoolExecutor}: what both pools have in common.
 * @module
 */

import { decodeChunk } from "./_chunk.ts";
import type { Pool } from "./_pool.ts";
import { type ChunkOutcome, Executor, type ShutdownOptions, type SubmitOptions } from "./executor.ts";
import type { Future } from "./future.ts";

/** An {@linkcode Executor} that runs calls in workers: {@linkcode ThreadPoolExecutor} and {@linkcode ProcessPoolExecutor}. */
export abstract class PoolExecutor extends Executor {
  readonly #pool: Pool;

  /** @internal */
  constructor(pool: Pool) {
    super();
    this.#pool = pool;
  }

  /**
   * Schedules a call: see {@linkcode Executor.submitWith}.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param options How to run it.
   * @param fn The function.
   * @param args Its arguments.
   * @returns The future of the call.
   */
  override submitWith<A extends unknown[], R>(
    options: SubmitOptions,
    fn: (...args: A) => R,
    ...args: A
  ): Future<Awaited<R>> {
    return this.#pool.submit(options, fn, args, false) as unknown as Future<Awaited<R>>;
  }

  /**
   * Schedules calls as one task: see {@linkcode Executor.submitChunk}.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R What the function returns.
   * @param fn The function.
   * @param lists The arguments of each call.
   * @returns The future of all the calls.
   */
  protected override submitChunk<A extends unknown[], R>(
    fn: (...args: A) => R,
    lists: readonly A[],
  ): Future<ChunkOutcome<Awaited<R>>> {
    return decodeChunk(this.#pool.submit({}, fn, lists, true));
  }

  /**
   * Ends the pool when its work is done: see {@linkcode Executor.shutdown}.
   *
   * @param options Whether to wait, and what becomes of calls that have not started.
   * @returns A promise that resolves when the workers are gone.
   */
  override shutdown(options: ShutdownOptions = {}): Promise<void> {
    return this.#pool.shutdown(options);
  }
}
