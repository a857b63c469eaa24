/**
 * What distinguishes one pool from another.
 * @module
 */

import { type DurationLike, toMilliseconds } from "../_duration.ts";
import { positiveInteger } from "../_positive_integer.ts";
import { requireCallback, shown } from "../_require.ts";
import type { BrokenExecutorError } from "./errors.ts";
import { type FunctionRef, functionRef } from "./_function_ref.ts";
import { assertCloneable } from "./_not_cloneable.ts";
import type { PoolOptions } from "./pool_options.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import type { Transport, TransportEvents } from "./_transport.ts";

/** What a worker runs before its first call. */
export interface Initializer {
  readonly ref: FunctionRef;
  readonly args: readonly unknown[];
}

/** What the options of both pools say. */
export interface CommonSettings {
  readonly maxWorkers: number;
  readonly minWorkers: number;
  readonly initializer: Initializer | undefined;
  /** Milliseconds; `Infinity` for no limit, here as below. */
  readonly startTimeout: number;
  readonly idleTimeout: number;
  readonly maxTasksPerWorker: number;
  /** Bytes. */
  readonly maxMemory: number;
  readonly maxQueue: number;
  readonly onFull: "reject" | "wait";
  readonly retries: number;
  readonly retryOn: ((error: unknown, attempt: number) => boolean) | undefined;
  readonly onWorkerExit: "replace" | "break";
}

/** All that a pool has to know. */
export interface PoolSettings extends CommonSettings {
  /** For messages: `"ThreadPoolExecutor"`. */
  readonly name: string;
  readonly workerName: (index: number) => string;
  readonly Broken: new (message: string, options?: ErrorOptions) => BrokenExecutorError;
  /** Whether arguments go to another process. */
  readonly toProcess: boolean;
  /** Whether it is known at once which calls are taken back. */
  readonly revokesAtOnce: boolean;
  /** Whether a worker can be kept from keeping the program alive. */
  readonly canUnref: boolean;
  /** Whether a worker can import only the modules that it was started with, and `data:` URLs. */
  readonly importsAtStart: boolean;
  /** After how long another worker is started for calls that still wait, in milliseconds. */
  readonly startPause: number;
  readonly start: (worker: PoolWorker, initializer: Initializer | undefined, events: TransportEvents) => Transport;
}

/**
 * Reads the options that both pools have.
 *
 * @throws {RangeError} If a count or a time is out of its range.
 * @throws {TypeError} If something is of the wrong kind.
 */
export function commonSettings<I extends unknown[]>(
  options: PoolOptions<I>,
  maxWorkers: number,
  toProcess: boolean,
): CommonSettings {
  const { minWorkers = 0, maxTasksPerWorker, maxMemory, maxQueue, onFull = "reject", retries = 0, retryOn } = options;
  const { onWorkerExit = "replace" } = options;
  positiveInteger(maxWorkers, "maxWorkers");
  if (minWorkers !== 0) positiveInteger(minWorkers, "minWorkers");
  if (minWorkers > maxWorkers) {
    throw new RangeError(`Cannot use ${minWorkers} as minWorkers: it is more than maxWorkers, which is ${maxWorkers}`);
  }
  if (onFull !== "reject" && onFull !== "wait") {
    throw new TypeError(`Cannot use ${Deno.inspect(onFull)} as onFull: pass "reject" or "wait"`);
  }
  if (onWorkerExit !== "replace" && onWorkerExit !== "break") {
    throw new TypeError(`Cannot use ${Deno.inspect(onWorkerExit)} as onWorkerExit: pass "replace" or "break"`);
  }
  requireCallback(retryOn, "retryOn");
  return {
    maxWorkers,
    minWorkers,
    initializer: toInitializer(options, toProcess),
    startTimeout: toTimeLimit(options.startTimeout, "startTimeout"),
    idleTimeout: toTimeLimit(options.idleTimeout, "idleTimeout"),
    maxTasksPerWorker: limit(maxTasksPerWorker, "maxTasksPerWorker"),
    maxMemory: limit(maxMemory, "maxMemory"),
    maxQueue: limit(maxQueue, "maxQueue"),
    onFull,
    retries: toRetries(retries),
    retryOn,
    onWorkerExit,
  };
}

/** How often a call may run again. */
export function toRetries(value: number): number {
  if (value === 0 || value === Infinity) return value;
  if (Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`Cannot use ${Deno.inspect(value)} as retries: pass a whole number of at least 0`);
}

function limit(value: number | undefined, what: string): number {
  return value === undefined || value === Infinity ? Infinity : positiveInteger(value, what);
}

/** A time limit in milliseconds. */
export function toTimeLimit(value: DurationLike | null | undefined, what: string): number {
  const time = toMilliseconds(value, what);
  if (time < 0) throw new RangeError(`Cannot use ${time} as ${what}: pass at least 0 milliseconds`);
  return time;
}

function toInitializer<I extends unknown[]>(
  { initializer, initargs }: PoolOptions<I>,
  toProcess: boolean,
): Initializer | undefined {
  requireCallback(initializer, "initializer");
  if (initargs !== undefined && !Array.isArray(initargs)) {
    throw new TypeError(`Cannot use ${shown(initargs)} as initargs: pass the list of the initializer's arguments`);
  }
  if (initializer === undefined) return undefined;
  const args = [...initargs ?? []];
  assertCloneable("the initializer", args, toProcess);
  return { ref: functionRef(initializer), args };
}
