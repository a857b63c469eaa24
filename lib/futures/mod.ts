/**
 * CPython's `concurrent.futures` for Deno: calls that run in threads ({@linkcode ThreadPoolExecutor}, over Web Workers)
 * or in sandboxed processes ({@linkcode ProcessPoolExecutor}), and futures of their results.
 *
 * ```ts
 * import { ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor();
 * const future = pool.submit((base: number, exponent: number) => base ** exponent, 2, 10);
 * assertEquals(await future, 1024);
 * ```
 *
 * A function travels to its worker in one of three ways:
 * 1. By its source, if it uses nothing but its arguments and globals. An `import()` in it takes a full address (`node:`,
 *    `npm:`, `jsr:`, an URL), as it belongs to no file.
 * 2. As an {@linkcode importable} function of its module.
 * 3. As a function of another module, through {@linkcode fromModule}.
 *
 * @module
 */

export * from "./as_completed.ts";
export * from "./errors.ts";
export * from "./executor.ts";
export { type DurationLike, Future, type FutureState } from "./future.ts";
export * from "./importable.ts";
export * from "./map.ts";
export { Histogram } from "./histogram.ts";
export * from "./pool_events.ts";
export * from "./pool_executor.ts";
export * from "./pool_options.ts";
export * from "./pool_statistics.ts";
export * from "./process_pool_executor.ts";
export { TaskStream } from "./stream.ts";
export * from "./task_context.ts";
export * from "./thread_pool_executor.ts";
export {
  ALL_COMPLETED,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  type ReturnWhen,
  wait,
  type WaitOptions,
  type WaitResult,
} from "./wait.ts";
