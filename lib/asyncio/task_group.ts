/**
 * {@linkcode taskGroup} and {@linkcode TaskGroup}: tasks that end together.
 * @module
 */

import { CancelRequest, enterRegion, leaveRegion, patiently, type Region, strandHere } from "./_cancellation.ts";
import { wake } from "./_waiter.ts";
import { cancelFor, CancelOrigin } from "./cancel_origin.ts";
import {
  type Awaitable,
  type AwaitedOf,
  callNative,
  closeCoroutine,
  type Coroutine,
  coroutine,
  type GeneratorCoroutine,
} from "./coroutine.ts";
import { cancellationIn, CancelledError, endsLoop, ExceptionGroup, RuntimeError } from "./exceptions.ts";
import type { Future } from "./future.ts";
import type { Strand } from "./_strand.ts";
import type { Task, TaskOptions } from "./task.ts";

/**
 * Tasks that end together: what {@linkcode taskGroup} gives to its body. CPython's `asyncio.TaskGroup`.
 *
 * - The group ends when the body and all tasks have.
 * - The first error, of the body or of a task, cancels all others; what they throw is collected and thrown as one
 *   {@linkcode ExceptionGroup}.
 * - A task that is cancelled is no error.
 */
export class TaskGroup {
  #state: "created" | "entered" | "exiting" | "exited" = "created";
  #parent: Task<unknown> | null = null;
  #strand: Strand | null = null;
  #region: Region | null = null;
  /** The cancellation of the parent by the group itself, which it then has to take back. */
  #parentCancelled: CancelRequest | null = null;
  #aborting = false;
  readonly #tasks = new Set<Task<unknown>>();
  readonly #errors: unknown[] = [];
  /** An error that is thrown as it is, whatever the others are, in a box. */
  #fatal: { error: unknown } | null = null;
  #allDone: Future<void> | null = null;

  /**
   * Starts a task in the group.
   *
   * @typeParam A The type of the coroutine.
   * @param coroutine What to run.
   * @param options Name, context, eager start and signal.
   * @returns The task.
   * @throws {RuntimeError} If the group has ended or is being cancelled. The coroutine is closed then.
   */
  createTask<A extends Awaitable<unknown>>(coroutine: A, options?: TaskOptions): Task<AwaitedOf<A>> {
    const refusal = this.#state === "created"
      ? "has not been entered: call it in the body"
      : this.#state !== "entered" && this.#tasks.size === 0
      ? "is finished: make a new one"
      : this.#aborting
      ? "is shutting down: an error or cancel() has ended it"
      : null;
    if (refusal !== null) {
      closeCoroutine(coroutine);
      throw new RuntimeError(`Cannot create a task in a TaskGroup that ${refusal}`);
    }
    const task = this.#parent!._loop.createTask(coroutine as Awaitable<AwaitedOf<A>>, options);
    this.#tasks.add(task as Task<unknown>);
    task.addDoneCallback(this.#taskDone as (task: unknown) => void);
    // The first step of an eager task may have ended the group.
    if (this.#aborting && !task.done()) cancelFor(this.#origin(), task);
    return task;
  }

  /**
   * Cancels what is left of the body and all tasks; the group then ends without an error. A second call does nothing,
   * nor does one after the end. CPython has it from 3.15 on.
   */
  cancel(): void {
    if (this.#state === "exited" || (this.#state === "exiting" && this.#tasks.size === 0)) return;
    if (!this.#aborting) this.#abort();
    if (this.#parent !== null && this.#parentCancelled === null) this.#cancelParent(this.#parent);
  }

  /** The state, for messages. */
  toString(): string {
    const parts = [`tasks=${this.#tasks.size}`, `errors=${this.#errors.length}`];
    parts.push(this.#aborting ? "cancelling" : this.#state);
    return `<TaskGroup ${parts.join(" ")}>`;
  }

  /** @internal */
  _enter(strand: Strand): void {
    this.#parent = strand._task;
    this.#strand = strand;
    this.#region = enterRegion(strand);
    this.#state = "entered";
    if (this.#aborting) this.cancel();
  }

  /**
   * Waits for the tasks and throws what is to be thrown.
   *
   * @internal
   */
  *_exit(thrown: { error: unknown } | null): GeneratorCoroutine<void> {
    const strand = this.#strand!;
    try {
      yield* this.#end(thrown);
    } finally {
      // A group that somebody keeps does not keep the code.
      this.#strand = null;
      leaveRegion(strand, this.#region!);
    }
  }

  *#end(thrown: { error: unknown } | null): GeneratorCoroutine<void> {
    this.#state = "exiting";
    const parent = this.#parent!;
    let cancellation = thrown === null ? null : cancellationIn(thrown.error);
    const failure = cancellation === null ? thrown : null;
    if (thrown !== null) {
      if (endsLoop(thrown.error)) this.#fatal ??= thrown;
      if (!this.#aborting) this.#abort();
    }
    // More than once: tasks of the group may add tasks to it while it waits.
    while (this.#tasks.size > 0) {
      this.#allDone ??= parent._loop.createFuture<void>();
      try {
        if (this.#aborting) yield* patiently(this.#allDone);
        else yield* this.#allDone;
      } catch (error) {
        if (!(error instanceof CancelledError)) throw error;
        if (!this.#aborting) {
          cancellation = error;
          this.#abort();
        }
      }
      this.#allDone = null;
    }
    this.#state = "exited";
    if (this.#fatal !== null) {
      for (const error of this.#errors) {
        if (error === this.#fatal.error) continue;
        parent._loop.callExceptionHandler({
          message: "Error in a TaskGroup that a fatal error has ended",
          exception: error,
          task: parent,
        });
      }
      throw this.#fatal.error;
    }
    // What is left after the group's own cancellation is taken back comes from outside, and goes on to the outside.
    if (this.#parentCancelled !== null) {
      parent._withdraw(this.#parentCancelled);
      if (parent._askedAt(this.#region) === 0) cancellation = null;
    }
    if (cancellation !== null && this.#errors.length === 0) {
      throw cancellation;
    }
    if (failure !== null) this.#errors.push(failure.error);
    if (this.#errors.length === 0) return;
    // The errors go first; the cancellation comes at the next wait, and is counted as before.
    parent._renew(this.#strand!);
    throw new ExceptionGroup("unhandled errors in a TaskGroup", this.#errors);
  }

  #abort(): void {
    this.#aborting = true;
    const origin = this.#origin();
    for (const task of this.#tasks) if (!task.done()) cancelFor(origin, task);
  }

  #cancelParent(parent: Task<unknown>): void {
    this.#parentCancelled = new CancelRequest(this.#region, undefined, this.#origin());
    parent._request(this.#parentCancelled, this.#strand!);
  }

  #origin(): CancelOrigin {
    return new CancelOrigin("task group", this.#parent, this);
  }

  readonly #taskDone = (task: Task<unknown>): void => {
    this.#tasks.delete(task);
    if (this.#tasks.size === 0) wake(this.#allDone);
    if (task.cancelled() || !task._throws()) return;
    const error = task._takeError();
    this.#errors.push(error);
    if (endsLoop(error)) this.#fatal ??= { error };
    const parent = this.#parent!;
    if (parent.done()) {
      parent._loop.callExceptionHandler({
        message: `Error in a task of a TaskGroup whose parent ${parent} is done`,
        exception: error,
        task,
      });
      return;
    }
    if (!this.#aborting && this.#parentCancelled === null) {
      // The body is cancelled where it waits, as the tasks are.
      this.#abort();
      this.#cancelParent(parent);
    }
  };
}

const grouped = coroutine(
  function* taskGroup(body: (group: TaskGroup) => unknown): GeneratorCoroutine<unknown> {
    const group = new TaskGroup();
    group._enter(yield* strandHere());
    let result: unknown;
    try {
      result = yield* callNative(() => body(group));
    } catch (error) {
      yield* group._exit({ error });
      return undefined;
    }
    yield* group._exit(null);
    return result;
  },
);

/**
 * Runs `body` in the current task with a group for it to start tasks in, and ends when all of them have. CPython's
 * `async with asyncio.TaskGroup() as group`.
 *
 * @typeParam A The type of what the body returns.
 * @param body A `function*` or an `async` function.
 * @returns What awaiting the body gives; `undefined` if {@linkcode TaskGroup.cancel} has cut it short.
 * @throws {ExceptionGroup} (when awaited) If the body or a task throws.
 * @throws {TypeError} If `body` is no function.
 *
 * @example
 * ```ts
 * import { sleep, taskGroup } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const sum = await taskGroup(async (group) => {
 *   const a = group.createTask(sleep(2, 1));
 *   const b = group.createTask(sleep(1, 2));
 *   return await a + await b;
 * });
 * assertEquals(sum, 3);
 * ```
 */
export function taskGroup<A extends Awaitable<unknown>>(body: (group: TaskGroup) => A): Coroutine<AwaitedOf<A>> {
  if (typeof body !== "function") {
    throw new TypeError(
      `Cannot run ${Deno.inspect(body, { depth: 0 })} in a task group: pass a function* or an async function`,
    );
  }
  return grouped(body) as Coroutine<AwaitedOf<A>>;
}
