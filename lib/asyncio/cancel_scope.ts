/**
 * {@linkcode cancelScope}, {@linkcode moveOnAfter} and {@linkcode failAfter}: blocks of code that can be cancelled by
 * themselves, or shielded from cancellation. Trio's and anyio's cancel scopes.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { CancelRequest, enterRegion, leaveRegion, type Region, strandHere } from "./_cancellation.ts";
import { type CancelKind, CancelOrigin } from "./cancel_origin.ts";
import {
  type Awaitable,
  type AwaitedOf,
  callNative,
  type Coroutine,
  coroutine,
  type GeneratorCoroutine,
} from "./coroutine.ts";
import { toDelay } from "./_delay.ts";
import { requireFlag } from "./_require.ts";
import { cancellationIn, RuntimeError, TimeoutError } from "./exceptions.ts";
import type { Handle } from "./handle.ts";
import type { Strand } from "./_strand.ts";

/** Options of {@linkcode cancelScope}, {@linkcode moveOnAfter} and {@linkcode failAfter}. */
export interface CancelScopeOptions {
  /**
   * Whether cancellations from outside of the scope wait until it is left; see {@linkcode CancelScope.shield}.
   * @default {false}
   */
  shield?: boolean | undefined;
}

/** How a scope ended: with the result of its body, or cancelled. */
export type ScopeOutcome<T> =
  | { readonly cancelled: false; readonly value: T }
  | { readonly cancelled: true; readonly value: undefined };

/** What a scope runs. */
export type CancelScopeBody<A extends Awaitable<unknown>> = (scope: CancelScope) => A;

/**
 * A block of code that can be cancelled by itself: what {@linkcode cancelScope}, {@linkcode moveOnAfter} and {@linkcode
 * failAfter} give to their body. Trio's `CancelScope`.
 *
 * - Once it is cancelled, _every_ wait in it throws {@linkcode CancelledError}, until it is left: code that catches one
 *   gets another at its next wait, where `Task.cancel()` and `timeout` throw once. What has to wait while it cleans up
 *   does so in a scope with a `shield`.
 * - The CancelledError that leaves the scope is caught there, unless somebody else has cancelled the code as well: an
 *   outer scope, or `Task.cancel()`. So is a `SuppressedError` of nothing but CancelledErrors, which `await using` makes
 *   when its disposers wait.
 * - What has cancelled other tasks, or has to take something back, waits for that nevertheless: the ends of task groups
 *   and of `map`, `waitFor()` with a limit of 0, `Server.serveForever()` for its connections, `Condition.wait()` for its
 *   lock. All else that closes something begins to do so, and is cancelled at its first wait like other code: `close()`
 *   and `waitClosed()` of what there is, the `finally` of an async generator, your own disposers.
 * - In the scope is what its body runs in its own task. A task group in the body cancels its tasks when the body is
 *   cancelled, once each, and so does `gather`; a task that is merely started in the body runs on.
 * - While it is cancelled it counts in `Task.cancelling()`; when it has ended, no more.
 */
export class CancelScope {
  #region: Region | null = null;
  #state: "created" | "active" | "finished" = "created";
  #strand: Strand | null = null;
  #deadline: number;
  #shield: boolean;
  #timer: Handle | null = null;
  #request: CancelRequest | null = null;
  #caught = false;
  /** How often its code was cancelled before it was entered: that is none of its business, unless it comes again. */
  #before = 0;

  /** @internal */
  constructor(deadline: number, shield: boolean) {
    this.#deadline = deadline;
    this.#shield = shield;
  }

  /**
   * Aborts when the code in the scope is cancelled: for `fetch` and the like, `fetch(url, { signal: scope.signal })`. What
   * {@linkcode Task.signal} is directly in the body of the scope.
   *
   * @throws {RuntimeError} If the scope has ended.
   */
  get signal(): AbortSignal {
    if (this.#strand === null) {
      throw new RuntimeError("Cannot take the signal of a scope that has ended: take it in its body");
    }
    return this.#strand._task._signalAt(this.#region);
  }

  /** Whether it was cancelled, by {@linkcode CancelScope.cancel} or as its time was over. */
  get cancelCalled(): boolean {
    return this.#request !== null;
  }

  /** Whether it has ended by its cancellation; `false` as long as the body runs. */
  get cancelledCaught(): boolean {
    return this.#caught;
  }

  /**
   * When it is cancelled by itself, in milliseconds of the loop's clock; `Infinity` for never. Setting it to a time that
   * is past cancels at once. Cancelling is final: a later deadline does not take it back.
   */
  get deadline(): number {
    return this.#deadline;
  }

  set deadline(when: number) {
    this.#deadline = toDelay(when, "deadline");
    this.#setTimer();
  }

  /**
   * Whether cancellations from outside of the scope are kept away from the code in it: those of outer scopes, of a
   * `timeout` or a task group around it, of `Task.cancel()`, also at the end of `run()`. They come at the first wait
   * after the scope is left. The scope's own cancellation, and that of scopes, timeouts and groups in it, is not held.
   *
   * A shield that is not left holds up the end of `run()`. Give it a deadline where its code might hang:
   * `moveOnAfter({ seconds: 5 }, cleanUp, { shield: true })`. `Task.signal` is another one in the shield. Other
   * tasks that the code starts and waits for are not reached by what would have cancelled its wait; but whoever cancels
   * them themselves does so, the end of `run()` included.
   *
   * In anyio on asyncio a shield holds off scopes only, and a native `task.cancel()` goes through; but what must finish
   * must do so at the end of the program as well.
   */
  get shield(): boolean {
    return this.#shield;
  }

  set shield(value: boolean) {
    requireFlag(value, "shield");
    if (value === this.#shield) return;
    this.#shield = value;
    if (this.#state !== "active") return;
    this.#region!.holds = value ? "all" : "nothing";
    this.#strand!._task._signals?.change(this.#region!);
    if (!value) this.#strand!._task._cancelWait(this.#strand!);
  }

  /**
   * Cancels the code in the scope. A second call does nothing, nor does one after the end.
   *
   * @param reason What to tell: the `reason` of the errors.
   */
  cancel(reason?: unknown): void {
    this.#cancel("scope", reason);
  }

  /** The state, for messages. */
  toString(): string {
    const parts: string[] = [this.#state];
    if (this.#deadline !== Infinity) parts.push(`deadline=${this.#deadline}`);
    if (this.#shield) parts.push("shield");
    if (this.cancelCalled) parts.push("cancelled");
    return `<CancelScope ${parts.join(" ")}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** @internal */
  _enter(strand: Strand): void {
    this.#state = "active";
    this.#strand = strand;
    const outside = strand._region;
    this.#before = strand._task._askedAt(outside) - strand._task._lastingAt(outside);
    this.#region = enterRegion(strand, this.#shield ? "all" : "nothing");
    this.#setTimer();
  }

  /**
   * Ends it; whether it catches what the body has thrown.
   *
   * @internal
   */
  _exit(thrown: { error: unknown } | null): boolean {
    const strand = this.#strand!;
    const task = strand._task;
    const request = this.#request;
    this.#timer?.cancel();
    this.#state = "finished";
    const region = this.#region!;
    if (request !== null) {
      task._withdraw(request);
      const lasting = task._lastingAt(region);
      const others = lasting > 0 || task._askedAt(region) - lasting > this.#before;
      this.#caught = thrown !== null && cancellationIn(thrown.error) !== null && !others;
    }
    leaveRegion(strand, region);
    // A scope that somebody keeps does not keep the code.
    this.#strand = null;
    return this.#caught;
  }

  /**
   * What has cancelled it, as text.
   *
   * @internal
   */
  _why(): string {
    return String(this.#request?.origin);
  }

  #cancel(kind: CancelKind, reason: unknown): void {
    if (this.#state !== "active" || this.#request !== null) return;
    this.#timer?.cancel();
    const strand = this.#strand!;
    this.#request = new CancelRequest(this.#region, reason, new CancelOrigin(kind, strand._task, this), true);
    strand._task._request(this.#request, strand);
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#state !== "active" || this.#request !== null || this.#deadline === Infinity) return;
    const loop = this.#strand!._task._loop;
    const expire = (): void => this.#cancel("deadline", undefined);
    if (this.#deadline <= loop.time()) expire();
    else this.#timer = loop.callAt(this.#deadline, expire);
  }
}

const NO_OPTIONS: CancelScopeOptions = {};

const scoped = coroutine(function* cancelScope(
  deadlineFrom: (now: number) => number,
  body: (scope: CancelScope) => unknown,
  shield: boolean,
  fails: boolean,
): GeneratorCoroutine<unknown> {
  const strand = yield* strandHere();
  const scope = new CancelScope(deadlineFrom(strand._task._loop.time()), shield);
  scope._enter(strand);
  let value: unknown;
  try {
    value = yield* callNative(() => body(scope));
  } catch (error) {
    if (!scope._exit({ error })) throw error;
    if (fails) throw new TimeoutError(`The block did not end in time: ${scope._why()}`, { cause: error });
    return { cancelled: true, value: undefined };
  }
  scope._exit(null);
  return fails ? value : { cancelled: false, value };
});

function scopedBy<T>(
  deadlineFrom: (now: number) => number,
  body: (scope: CancelScope) => unknown,
  options: CancelScopeOptions = NO_OPTIONS,
  fails = false,
): Coroutine<T> {
  if (typeof body !== "function") {
    throw new TypeError(
      `Cannot run ${Deno.inspect(body, { depth: 0 })} in a cancel scope: pass a function* or an async function`,
    );
  }
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot use ${Deno.inspect(options)} as options of a cancel scope: pass { shield: true }, or nothing`,
    );
  }
  const { shield = false } = options;
  requireFlag(shield, "shield");
  return scoped(deadlineFrom, body, shield, fails) as Coroutine<T>;
}

function after(delay: DurationLike | null): (now: number) => number {
  requireTime(delay, "delay");
  const time = toDelay(delay, "delay");
  return (now) => now + time;
}

/** Refuses what was left out: no limit is asked for by `null`. */
function requireTime(time: unknown, what: string): void {
  if (time !== undefined) return;
  throw new TypeError(`Cannot use undefined as ${what}: pass milliseconds, or null for no limit`);
}

function at(deadline: number | null): (now: number) => number {
  requireTime(deadline, "deadline");
  const time = toDelay(deadline, "deadline");
  return () => time;
}

/**
 * Runs `body` in the current task in a scope that can be cancelled or shielded. Trio's `CancelScope()`.
 *
 * @typeParam A The type of what the body returns.
 * @param body A `function*` or an `async` function, which gets the scope.
 * @param options The shield.
 * @returns The result of the body, or that the scope was cancelled.
 * @throws {TypeError} If `body` is no function.
 *
 * @example
 * ```ts
 * import { cancelScope, createTask, sleep, wait } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const log: string[] = [];
 * const task = createTask(async () => {
 *   try {
 *     await sleep({ hours: 1 });
 *   } finally {
 *     await cancelScope(async () => {
 *       await sleep(5);
 *       log.push("cleaned up");
 *     }, { shield: true });
 *   }
 * });
 * await sleep(0);
 * task.cancel();
 * task.cancel("now!");
 * await wait([task]);
 * assertEquals([log, task.cancelled()], [["cleaned up"], true]);
 * ```
 */
export function cancelScope<A extends Awaitable<unknown>>(
  body: CancelScopeBody<A>,
  options?: CancelScopeOptions,
): Coroutine<ScopeOutcome<AwaitedOf<A>>> {
  return scopedBy(() => Infinity, body, options);
}

/**
 * Runs `body` in the current task and cancels it when `delay` is over; the code after it goes on. Trio's
 * `move_on_after`.
 *
 * The time counts from when it is awaited.
 *
 * @typeParam A The type of what the body returns.
 * @param delay Milliseconds or a duration; `null` for no limit, to be set by `scope.deadline`.
 * @param body A `function*` or an `async` function, which gets the scope.
 * @param options The shield.
 * @returns The result of the body, or that the scope was cancelled.
 * @throws {ValueError} If `delay` is NaN.
 * @throws {TypeError} If `delay` is none, or `body` no function.
 *
 * @example
 * ```ts
 * import { moveOnAfter, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const quick = await moveOnAfter({ seconds: 60 }, () => sleep(1, "quick"));
 * assertEquals(quick, { cancelled: false, value: "quick" });
 *
 * const { value = "nothing" } = await moveOnAfter(5, () => sleep({ hours: 1 }, "slow"));
 * assertEquals(value, "nothing");
 * ```
 */
export function moveOnAfter<A extends Awaitable<unknown>>(
  delay: DurationLike | null,
  body: CancelScopeBody<A>,
  options?: CancelScopeOptions,
): Coroutine<ScopeOutcome<AwaitedOf<A>>> {
  return scopedBy(after(delay), body, options);
}

/**
 * As {@linkcode moveOnAfter}, to a time of the loop's clock. Trio's `move_on_at`.
 *
 * @typeParam A The type of what the body returns.
 * @param deadline The time, in milliseconds of {@linkcode EventLoop.time}; `null` for no limit.
 * @param body A `function*` or an `async` function, which gets the scope.
 * @param options The shield.
 * @returns The result of the body, or that the scope was cancelled.
 * @throws {ValueError} If `deadline` is NaN.
 * @throws {TypeError} If `deadline` is none, or `body` no function.
 */
export function moveOnAt<A extends Awaitable<unknown>>(
  deadline: number | null,
  body: CancelScopeBody<A>,
  options?: CancelScopeOptions,
): Coroutine<ScopeOutcome<AwaitedOf<A>>> {
  return scopedBy(at(deadline), body, options);
}

/**
 * Runs `body` in the current task and cancels it when `delay` is over, which then throws {@linkcode TimeoutError}; so
 * does a scope that is cancelled before. Trio's `fail_after`.
 *
 * It differs from `timeout` in what a {@linkcode CancelScope} differs in: the body cannot go on by catching the
 * cancellation once, and there is the shield.
 *
 * @typeParam A The type of what the body returns.
 * @param delay Milliseconds or a duration; `null` for no limit, to be set by `scope.deadline`.
 * @param body A `function*` or an `async` function, which gets the scope.
 * @param options The shield.
 * @returns What awaiting the body gives.
 * @throws {TimeoutError} (when awaited) If the scope was cancelled.
 * @throws {ValueError} If `delay` is NaN.
 * @throws {TypeError} If `delay` is none, or `body` no function.
 *
 * @example
 * ```ts
 * import { failAfter, sleep, TimeoutError } from "@skein/skein/asyncio";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * assertEquals(await failAfter({ seconds: 60 }, () => sleep(1, "in time")), "in time");
 * await assertRejects(async () => await failAfter(5, () => sleep({ hours: 1 })), TimeoutError);
 * ```
 */
export function failAfter<A extends Awaitable<unknown>>(
  delay: DurationLike | null,
  body: CancelScopeBody<A>,
  options?: CancelScopeOptions,
): Coroutine<AwaitedOf<A>> {
  return scopedBy(after(delay), body, options, true);
}

/**
 * As {@linkcode failAfter}, to a time of the loop's clock. Trio's `fail_at`.
 *
 * @typeParam A The type of what the body returns.
 * @param deadline The time, in milliseconds of {@linkcode EventLoop.time}; `null` for no limit.
 * @param body A `function*` or an `async` function, which gets the scope.
 * @param options The shield.
 * @returns What awaiting the body gives.
 * @throws {TimeoutError} (when awaited) If the scope was cancelled.
 * @throws {ValueError} If `deadline` is NaN.
 * @throws {TypeError} If `deadline` is none, or `body` no function.
 */
export function failAt<A extends Awaitable<unknown>>(
  deadline: number | null,
  body: CancelScopeBody<A>,
  options?: CancelScopeOptions,
): Coroutine<AwaitedOf<A>> {
  return scopedBy(at(deadline), body, options, true);
}
