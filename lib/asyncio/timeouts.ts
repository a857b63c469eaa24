/**
 * {@linkcode timeout} and {@linkcode timeoutAt}: limit the time of a block of code.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { CancelRequest, enterRegion, leaveRegion, type Region, strandHere } from "./_cancellation.ts";
import { CancelOrigin } from "./cancel_origin.ts";
import { toDelay } from "./_delay.ts";
import {
  type Awaitable,
  type AwaitedOf,
  callNative,
  type Coroutine,
  coroutine,
  type GeneratorCoroutine,
} from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import { cancellationIn, RuntimeError, TimeoutError } from "./exceptions.ts";
import type { Handle } from "./handle.ts";
import type { Strand } from "./_strand.ts";

type State = "created" | "active" | "expiring" | "expired" | "finished";

/** Where the exit of a timeout finds that its block did not throw. */
const NOTHING = Symbol("nothing");

/** The limit on a block of code: what {@linkcode timeout} gives to its body. CPython's `asyncio.Timeout`. */
export class Timeout {
  #state: State = "created";
  #when: number;
  #strand: Strand | null = null;
  #region: Region | null = null;
  #cancelRequestsBefore = 0;
  #request: CancelRequest | null = null;
  #timer: Handle | null = null;

  /**
   * Made by {@linkcode timeout} and {@linkcode timeoutAt}.
   *
   * @param when The time, in milliseconds of the loop's clock; `Infinity` for none.
   */
  constructor(when: number) {
    this.#when = when;
  }

  /** The time at which it expires, in milliseconds of the loop's clock; `null` for never. */
  when(): number | null {
    return this.#when === Infinity ? null : this.#when;
  }

  /**
   * Aborts when the code in the block is cancelled, also by this time limit: for `fetch` and the like. What {@linkcode
   * Task.signal} is directly in the block.
   *
   * @throws {RuntimeError} If the block has ended.
   */
  get signal(): AbortSignal {
    if (this.#strand === null) {
      throw new RuntimeError("Cannot take the signal of a timeout that has ended: take it in its body");
    }
    return this.#strand._task._signalAt(this.#region);
  }

  /** Whether the time was over before the block was. */
  expired(): boolean {
    return this.#state === "expiring" || this.#state === "expired";
  }

  /**
   * Changes the time.
   *
   * @param when The time, in milliseconds of the loop's clock, which may be past; `null` for never.
   * @throws {RuntimeError} If the block has not begun or has ended, or the time is over.
   * @throws {ValueError} If `when` is NaN.
   */
  reschedule(when: number | null): void {
    if (this.#state === "created") {
      throw new RuntimeError("Cannot reschedule a timeout that has not been entered: do it in its body");
    }
    if (this.#state !== "active") {
      throw new RuntimeError(`Cannot change state of ${this.#state} Timeout: it can be rescheduled only in its body`);
    }
    this.#when = toDelay(when, "when");
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#when === Infinity) return;
    const loop = getRunningLoop();
    const expire = (): void => {
      const strand = this.#strand!;
      const task = strand._task;
      this.#request = new CancelRequest(this.#region, undefined, new CancelOrigin("timeout", task, this));
      task._request(this.#request, strand);
      this.#state = "expiring";
      this.#timer = null;
    };
    this.#timer = this.#when <= loop.time() ? loop.callSoon(expire) : loop.callAt(this.#when, expire);
  }

  /** The state and the time, for messages. */
  toString(): string {
    const when = this.#state === "active" ? ` when=${this.when()}` : "";
    return `<Timeout [${this.#state}]${when}>`;
  }

  /** @internal */
  _enter(strand: Strand): void {
    this.#state = "active";
    this.#strand = strand;
    this.#region = enterRegion(strand);
    this.#cancelRequestsBefore = strand._task._askedAt(this.#region);
    this.reschedule(this.when());
  }

  /**
   * Ends it; the error to throw instead of `error`, if it is this timeout that it comes from.
   *
   * @internal
   */
  _exit(error: unknown): unknown {
    this.#timer?.cancel();
    this.#timer = null;
    const strand = this.#strand!;
    const region = this.#region!;
    // A timeout that somebody keeps does not keep the code.
    this.#strand = null;
    leaveRegion(strand, region);
    if (this.#state === "expiring") {
      this.#state = "expired";
      // If others have cancelled the task as well, the cancellation is theirs.
      const task = strand._task;
      task._withdraw(this.#request!);
      const ours = task._askedAt(region) <= this.#cancelRequestsBefore;
      if (ours && cancellationIn(error) !== null) {
        return new TimeoutError(`The time limit of the block is over`, {
          cause: error,
        });
      }
    } else if (this.#state === "active") this.#state = "finished";
    return error;
  }
}

/** What {@linkcode timeout} limits. */
export type TimeoutBody<A extends Awaitable<unknown>> = (scope: Timeout) => A;

const limited = coroutine(function* timeout(
  toWhen: () => number,
  body: (scope: Timeout) => unknown,
): GeneratorCoroutine<unknown> {
  const scope = new Timeout(toWhen());
  scope._enter(yield* strandHere());
  let result: unknown;
  try {
    result = yield* callNative(() => body(scope));
  } catch (error) {
    throw scope._exit(error);
  }
  scope._exit(NOTHING);
  return result;
});

/**
 * Runs `body` in the current task and cancels it when `delay` is over, which then throws {@linkcode TimeoutError}.
 * CPython's `async with asyncio.timeout(delay)`.
 *
 * The time counts from when it is awaited. CPython adds the TimeoutError to the chain of contexts of an error that the
 * body turns the cancellation into; errors have no such chain here.
 *
 * @typeParam A The type of what the body returns.
 * @param delay Milliseconds or a duration; `null` for no limit, to be set by `scope.reschedule()`.
 * @param body A `function*` or an `async` function.
 * @returns What awaiting the body gives.
 * @throws {TimeoutError} (when awaited) If the time is over.
 * @throws {ValueError} If `delay` is NaN.
 *
 * @example
 * ```ts
 * import { sleep, timeout, TimeoutError } from "@skein/skein/asyncio";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(
 *   async () => {
 *     await timeout(5, function* () {
 *       yield* sleep({ hours: 1 });
 *     });
 *   },
 *   TimeoutError,
 * );
 * ```
 */
export function timeout<A extends Awaitable<unknown>>(
  delay: DurationLike | null,
  body: TimeoutBody<A>,
): Coroutine<AwaitedOf<A>> {
  const limit = toDelay(delay, "delay");
  return limitedBy(() => limit === Infinity ? limit : getRunningLoop().time() + limit, body);
}

/**
 * As {@linkcode timeout}, to a time of the loop's clock. CPython's `asyncio.timeout_at`.
 *
 * @typeParam A The type of what the body returns.
 * @param when The time, in milliseconds of {@linkcode EventLoop.time}; `null` for no limit.
 * @param body A `function*` or an `async` function.
 * @returns What awaiting the body gives.
 * @throws {TimeoutError} (when awaited) If the time is over.
 * @throws {ValueError} If `when` is NaN.
 */
export function timeoutAt<A extends Awaitable<unknown>>(
  when: number | null,
  body: TimeoutBody<A>,
): Coroutine<AwaitedOf<A>> {
  const time = toDelay(when, "when");
  return limitedBy(() => time, body);
}

function limitedBy<A extends Awaitable<unknown>>(toWhen: () => number, body: TimeoutBody<A>): Coroutine<AwaitedOf<A>> {
  if (typeof body !== "function") {
    throw new TypeError(
      `Cannot limit ${
        Deno.inspect(body, { depth: 0 })
      }: pass a function* or an async function; for an awaitable take waitFor()`,
    );
  }
  return limited(toWhen, body) as Coroutine<AwaitedOf<A>>;
}
