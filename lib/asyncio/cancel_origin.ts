/**
 * {@linkcode CancelOrigin}: what asked for a cancellation.
 * @module
 */

import type { CancelRequest } from "./_cancellation.ts";
import { currentFrame } from "./_current.ts";
import { type CancelledError, cancelledError } from "./exceptions.ts";
import type { Task } from "./task.ts";

/**
 * What asked for a cancellation:
 *
 * - `"cancel"`: a call of `cancel()` of the task or future, or of one that waits for it;
 * - `"timeout"`: a `timeout()` or `waitFor()` whose time is over;
 * - `"scope"`: the `cancel()` of a cancel scope;
 * - `"deadline"`: a cancel scope whose time is over;
 * - `"task group"`: a task group that ends early;
 * - `"signal"`: an `AbortSignal`;
 * - `"left behind"`: the end of native code that has begun to wait for something, as by `Promise.race`, and not stayed;
 * - `"interrupt"`: Ctrl-C while `run()` runs;
 * - `"shutdown"`: the end of `run()`, which cancels the tasks that are left.
 */
export type CancelKind =
  | "cancel"
  | "timeout"
  | "scope"
  | "deadline"
  | "task group"
  | "signal"
  | "left behind"
  | "interrupt"
  | "shutdown";

const TEXTS: Record<CancelKind, string> = {
  cancel: "cancel() called",
  timeout: "time limit over",
  scope: "scope cancelled",
  deadline: "deadline of a scope over",
  "task group": "task group ended early",
  signal: "signal aborted",
  "left behind": "left behind by code that has ended",
  interrupt: "Ctrl-C",
  shutdown: "end of run()",
};

/**
 * What asked for a cancellation: the `origin` of a `CancelledError`. It stays the same on the way from task to task, so
 * it names the cause and not the last who passed it on.
 *
 * @example
 * ```ts
 * import { CancelledError, createTask, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await run(async () => {
 *   const inner = createTask(sleep(1000));
 *   const outer = createTask(async () => await inner);
 *   await sleep(0);
 *   outer.cancel();
 *   try {
 *     await inner;
 *   } catch (error) {
 *     assertEquals((error as CancelledError).origin?.kind, "cancel");
 *   }
 * });
 * ```
 */
export class CancelOrigin {
  /** What kind of thing asked for it. */
  readonly kind: CancelKind;
  /**
   * The task that called `cancel()`, or in which the scope, timeout or group is; `null` outside of tasks and for what
   * comes from outside the loop.
   */
  readonly by: Task<unknown> | null;
  /** The `CancelScope`, `Timeout`, `TaskGroup` or `AbortSignal`; `null` for the other kinds. */
  readonly source: object | null;
  #error: CancelledError | null = null;

  /** @internal */
  constructor(kind: CancelKind, by: Task<unknown> | null = null, source: object | null = null) {
    this.kind = kind;
    this.by = by;
    this.source = source;
  }

  /**
   * What it throws wherever it gets to: one error for all, as making one takes V8 longer than all the rest of a
   * cancellation.
   *
   * @internal
   */
  _error(message: unknown): CancelledError {
    if (this.#error === null || this.#error.reason !== (message ?? undefined)) {
      this.#error = cancelledError(message, this);
    }
    return this.#error;
  }

  /** What happened and where, for messages. */
  toString(): string {
    return this.by === null ? TEXTS[this.kind] : `${TEXTS[this.kind]} in ${this.by.getName()}`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return `<CancelOrigin ${this}>`;
  }
}

let passedOn: CancelOrigin | null = null;
/** That of the last `cancel()` in this iteration of a loop: all that one task cancels at a time has the same. */
let recent: CancelOrigin | null = null;

/**
 * Cancels `target`, which has the origin given then, as has all that is cancelled by that. No function is called to do
 * so, as one would be made for each of thousands of tasks.
 *
 * @internal
 */
export function cancelFor(
  origin: CancelOrigin | null,
  target: { cancel(message?: unknown, request?: CancelRequest): boolean },
  message?: unknown,
  request?: CancelRequest,
): boolean {
  const before = passedOn;
  passedOn = origin ?? before;
  try {
    return target.cancel(message, request);
  } finally {
    passedOn = before;
  }
}

/**
 * The origin of a `cancel()` that is called now.
 *
 * @internal
 */
export function originHere(): CancelOrigin {
  if (passedOn !== null) return passedOn;
  const by = currentFrame()?._task ?? null;
  return recent !== null && recent.by === by ? recent : recent = new CancelOrigin("cancel", by);
}

/**
 * Has the next `cancel()` count as another one than those before, as an iteration of a loop begins.
 *
 * @internal
 */
export function forgetOrigin(): void {
  recent = null;
}
