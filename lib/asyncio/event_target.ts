/**
 * {@linkcode nextEvent} and {@linkcode events}: what an `EventTarget` dispatches, for tasks.
 * @module
 */

import { Deque } from "../_deque.ts";
import { positiveInteger } from "../_positive_integer.ts";
import { wake } from "./_waiter.ts";
import { AsyncItems, type ItemSource } from "./async_iteration.ts";
import { type Coroutine, coroutine, type GeneratorCoroutine } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import { RuntimeError, ValueError } from "./exceptions.ts";
import type { Future } from "./future.ts";

/**
 * The names of the events that a target has a property for, such as `"message"` for `onmessage`; and any other name.
 *
 * @typeParam T The type of the target.
 */
export type EventName<T> =
  | { [K in keyof T]: K extends `on${infer Name}` ? Name : never }[keyof T]
  | (string & Record<never, never>);

/**
 * The type of an event, which is what the handler `on...` of the target takes, and else `Event`.
 *
 * @typeParam T The type of the target.
 * @typeParam K The name of the event.
 */
export type EventOf<T, K extends string> = `on${K}` extends keyof T
  ? NonNullable<T[`on${K}`]> extends (this: never, event: infer E, ...rest: never[]) => unknown
    ? E extends Event ? E : Event
  : Event
  : Event;

/** Options of {@linkcode nextEvent}. */
export interface NextEventOptions<E> {
  /** Ends the wait with its reason when it aborts. */
  signal?: AbortSignal | undefined;
  /** Whether an event counts. It is called while the event is dispatched, so it may also call `preventDefault()`. */
  filter?: ((event: E) => boolean) | undefined;
}

/** Options of {@linkcode events}. */
export interface EventsOptions<E, K extends string = string> extends NextEventOptions<E> {
  /**
   * How many events are kept that nobody has taken, `Infinity` for all.
   * @default {1024}
   */
  maxsize?: number | undefined;
  /**
   * What becomes of an event that is one too many: `"throw"` ends the events, and after those that are kept the wait
   * throws {@linkcode RuntimeError}; `"drop-oldest"` and `"drop-newest"` lose one without a word.
   * @default {"throw"}
   */
  overflow?: "throw" | "drop-oldest" | "drop-newest" | undefined;
  /** The events of the target that end these, such as `["close"]` of a WebSocket. None by default. */
  until?: readonly K[] | undefined;
}

/** Calls `listener` for events of a target until the function that it returns is called. */
function listen(target: EventTarget, types: Iterable<string>, listener: (event: Event) => void): () => void {
  for (const type of types) target.addEventListener(type, listener);
  return () => {
    for (const type of types) target.removeEventListener(type, listener);
  };
}

function checkTarget(target: unknown): void {
  const { addEventListener } = (target ?? {}) as { addEventListener?: unknown };
  if (typeof addEventListener !== "function") {
    throw new TypeError(`Cannot listen to ${Deno.inspect(target, { depth: 0 })}: pass an EventTarget`);
  }
}

const waiting = coroutine(function* nextEvent(
  target: EventTarget,
  type: string,
  { signal, filter }: NextEventOptions<Event>,
): GeneratorCoroutine<Event> {
  signal?.throwIfAborted();
  const loop = getRunningLoop();
  const future = loop.createFuture<Event>();
  /** Settles the future, of a loop that may be gone. */
  const settle = (outcome: () => void): void => {
    if (!future.done() && !loop.isClosed()) outcome();
  };
  const stop = listen(target, [type], (event) =>
    settle(() => {
      try {
        if (filter === undefined || filter(event)) future.setResult(event);
      } catch (error) {
        future.setException(error);
      }
    }));
  const abort = (): void => settle(() => future.setException(signal!.reason));
  signal?.addEventListener("abort", abort);
  try {
    return yield* future;
  } finally {
    stop();
    signal?.removeEventListener("abort", abort);
  }
});

/**
 * The next event that a target dispatches. It listens from when it is awaited, and until the wait is over; one event
 * after the other, without a gap between them, is what {@linkcode events} gives.
 *
 * The code that waits goes on after the event was dispatched: what has to happen during that goes into `filter`. To a
 * virtual clock this is a wait like any other, over which time leaps.
 *
 * @typeParam T The type of the target.
 * @typeParam K The name of the event.
 * @param target The target.
 * @param type The name of the event.
 * @param options A filter, and a signal that ends the wait.
 * @returns A coroutine of the event.
 * @throws {TypeError} If `target` is no `EventTarget`.
 *
 * @example
 * ```ts
 * import { createTask, nextEvent, run, sleep } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const controller = new AbortController();
 * await run(function* () {
 *   const task = createTask(nextEvent(controller.signal, "abort"));
 *   yield* sleep(0);
 *   controller.abort();
 *   assertEquals((yield* task).type, "abort");
 * });
 * ```
 */
export function nextEvent<T extends EventTarget, const K extends EventName<T> & string>(
  target: T,
  type: K,
  options: NextEventOptions<EventOf<T, K>> = {},
): Coroutine<EventOf<T, K>> {
  checkTarget(target);
  return waiting(target, type, options as NextEventOptions<unknown>) as Coroutine<Event> as Coroutine<EventOf<T, K>>;
}

class EventBuffer implements ItemSource<Event> {
  readonly #kept = new Deque<Event>();
  readonly #stops: (() => void)[] = [];
  readonly #type: string;
  readonly #maxsize: number;
  readonly #options: EventsOptions<Event>;
  #end: { readonly error?: unknown } | undefined;
  #waiter: Future<void> | undefined;

  constructor(target: EventTarget, type: string, options: EventsOptions<Event>) {
    const { signal, until = [], maxsize = 1024, overflow = "throw" } = options;
    this.#type = type;
    this.#options = options;
    this.#maxsize = maxsize === Infinity ? Infinity : positiveInteger(maxsize, "maxsize", ValueError);
    if (overflow !== "throw" && overflow !== "drop-oldest" && overflow !== "drop-newest") {
      throw new ValueError(
        `Cannot use ${Deno.inspect(overflow)} as overflow: pass "throw", "drop-oldest" or "drop-newest"`,
      );
    }
    signal?.throwIfAborted();
    this.#stops.push(listen(target, [type], this.#add), listen(target, [...until], () => this.#finish({})));
    if (signal) this.#stops.push(listen(signal, ["abort"], () => this.#finish({ error: signal.reason })));
  }

  *next(): GeneratorCoroutine<IteratorResult<Event, unknown>> {
    while (this.#kept.length === 0 && this.#end === undefined) {
      this.#waiter = getRunningLoop().createFuture<void>();
      try {
        yield* this.#waiter;
      } finally {
        this.#waiter = undefined;
      }
    }
    const event = this.#kept.shift();
    if (event !== undefined) return { done: false, value: event };
    const end = this.#end!;
    // An error is told once.
    this.#end = {};
    if ("error" in end) throw end.error;
    return { done: true, value: undefined };
  }

  close(): void {
    while (this.#kept.shift() !== undefined);
    this.#end = undefined;
    this.#finish({});
  }

  readonly #add = (event: Event): void => {
    const { filter, overflow = "throw" } = this.#options;
    try {
      if (filter !== undefined && !filter(event)) return;
    } catch (error) {
      this.#finish({ error });
      return;
    }
    if (this.#kept.length < this.#maxsize) this.#kept.push(event);
    else if (overflow === "drop-oldest") {
      this.#kept.shift();
      this.#kept.push(event);
    } else if (overflow === "throw") {
      this.#finish({
        error: new RuntimeError(
          `Cannot keep more than ${this.#maxsize} events "${this.#type}" that nobody has taken: take them faster, raise maxsize, or choose an overflow that drops some`,
        ),
      });
    }
    wake(this.#waiter);
  };

  #finish(end: { readonly error?: unknown }): void {
    this.#end ??= end;
    for (const stop of this.#stops.splice(0)) stop();
    wake(this.#waiter);
  }
}

/**
 * The events that a target dispatches from now on, one after the other; none is lost between two waits. They end when
 * the loop over them is left, by {@linkcode AsyncItems.close}, by an event in `until`, or with the reason of `signal`;
 * those that are kept come first, except after `close()`.
 *
 * @typeParam T The type of the target.
 * @typeParam K The name of the event.
 * @param target The target. It is listened to at once.
 * @param type The name of the event.
 * @param options A filter, what ends the events, and how many are kept.
 * @returns The events. `using` sees to it that the listeners are taken off.
 * @throws {TypeError} If `target` is no `EventTarget`.
 * @throws {ValueError} If `maxsize` is neither a whole number of at least 1 nor `Infinity`.
 * @throws {ValueError} If `overflow` is none of the three.
 *
 * @example
 * ```ts
 * import { events, run } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const channel = new MessageChannel();
 * const got: number[] = [];
 * await run(function* () {
 *   using messages = events(channel.port1, "message");
 *   channel.port1.start();
 *   channel.port2.postMessage(1);
 *   channel.port2.postMessage(2);
 *   while (yield* messages.more()) {
 *     got.push(messages.value.data);
 *     if (got.length === 2) break;
 *   }
 * });
 * channel.port1.close();
 * channel.port2.close();
 * assertEquals(got, [1, 2]);
 * ```
 */
export function events<T extends EventTarget, const K extends EventName<T> & string>(
  target: T,
  type: K,
  options: EventsOptions<EventOf<T, K>, EventName<T> & string> = {},
): AsyncItems<EventOf<T, K>> {
  checkTarget(target);
  const source: ItemSource<Event> = new EventBuffer(target, type, options as EventsOptions<unknown>);
  return new AsyncItems(source as ItemSource<EventOf<T, K>>);
}
