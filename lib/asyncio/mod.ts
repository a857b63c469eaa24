/**
 * CPython's `asyncio` for Deno: an event loop, futures and tasks, over generators and over async functions.
 *
 * ```ts
 * import { gather, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * function* double(n: number) {
 *   yield* sleep({ milliseconds: n });
 *   return 2 * n;
 * }
 *
 * const results = await run(function* () {
 *   return yield* gather([double(1), double(2), double(3)]);
 * });
 * assertEquals(results, [2, 4, 6]);
 * ```
 *
 * @module
 */

export type { DurationLike } from "../_duration.ts";
export * from "./as_completed.ts";
export { aiter, anext, AsyncItems, type AsyncItemsOptions, forEach, StopAsyncIteration } from "./async_iteration.ts";
export * from "./barrier.ts";
export { type CancelKind, CancelOrigin } from "./cancel_origin.ts";
export * from "./cancel_scope.ts";
export * from "./capacity_limiter.ts";
export * from "./clock.ts";
export * from "./condition.ts";
export { Context, ContextVar, type ContextVarOptions, copyContext, type Token } from "./context.ts";
export {
  type Awaitable,
  type AwaitedOf,
  Coroutine,
  coroutine,
  type GeneratorCoroutine,
  iscoroutine,
  iscoroutinefunction,
  type Suspension,
  type Yieldable,
} from "./coroutine.ts";
export * from "./current_loop.ts";
export * from "./eager.ts";
export * from "./ensure_future.ts";
export * from "./event.ts";
export * from "./event_loop.ts";
export * from "./event_target.ts";
export {
  type BlockedTask,
  BrokenBarrierError,
  CancelledError,
  type CancelledErrorOptions,
  DeadlockError,
  type ErrorClass,
  type ErrorCondition,
  ExceptionGroup,
  IncompleteReadError,
  InvalidStateError,
  KeyboardInterrupt,
  LimitOverrunError,
  ProcessLookupError,
  RuntimeError,
  SystemExit,
  TimeoutError,
  ValueError,
  WouldBlock,
} from "./exceptions.ts";
export { type DoneCallbackOptions, Future, type FutureOptions, type FutureState, isfuture } from "./future.ts";
export * from "./gather.ts";
export { Handle, TimerHandle } from "./handle.ts";
export * from "./lock.ts";
export * from "./map.ts";
export * from "./queues.ts";
export * from "./runners.ts";
export * from "./semaphore.ts";
export { type ClientConnected, Server } from "./server.ts";
export * from "./shield.ts";
export * from "./sleep.ts";
export { type ReadTransport, StreamReader, type StreamReaderOptions } from "./stream_reader.ts";
export { type ExtraInfo, type StartTlsOptions, StreamWriter } from "./stream_writer.ts";
export * from "./streams.ts";
export * from "./subprocess.ts";
export { createTask, Task, type TaskConstructorOptions, type TaskFrame, type TaskOptions } from "./task.ts";
export * from "./task_group.ts";
export * from "./tasks.ts";
export * from "./threads.ts";
export { Timeout, timeout, timeoutAt, type TimeoutBody } from "./timeouts.ts";
export * from "./wait.ts";
export { waitFor } from "./wait_for.ts";
export { wrapFuture, type WrapFutureOptions } from "./wrap_future.ts";
