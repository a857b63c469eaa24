/**
 * Workers as threads: Web Workers of this program.
 * @module
 */

import { makeBell, ring } from "./_bell.ts";
import { findUncloneable, isForeign } from "./_cloneable.ts";
import { decodeError } from "./_error_codec.ts";
import { NotCloneableError } from "./errors.ts";
import type { FunctionRef } from "./_function_ref.ts";
import { makePatience, nextTurn, POLL } from "./_inbox.ts";
import { copyLargeBuffers, freeMovedBuffers } from "./_large_buffers.ts";
import { Outbox } from "./_outbox.ts";
import { makeIsPlain } from "./_plain_data.ts";
import {
  type Call,
  type FromWorker,
  layOutSlots,
  RING_BYTES,
  SHARED_BYTES,
  SLOT_ARGS,
  SLOTS,
  SlotState,
  slotWord,
  type ToWorker,
  valueOf,
} from "./_protocol.ts";
import { getValue, makeTextRing } from "./_text_ring.ts";
import { type ThreadMemory, threadProgram } from "./_thread_program.ts";
import { definitionOf, type Transport, type TransportEvents } from "./_transport.ts";
import { bootUrl, programSource } from "./_worker_program.ts";

const isPlain = makeIsPlain();

let program: string | undefined;

/**
 * The method by which Deno's own `node:worker_threads` lets go of a Web Worker. It has no public name, so it is looked
 * for. Without it a worker keeps the program alive until the pool is shut down or has been idle for a while.
 */
const setRefOfWorker = Object.getOwnPropertySymbols(Worker.prototype)
  .map((symbol) => ({ symbol, method: (Worker.prototype as unknown as Record<symbol, unknown>)[symbol] }))
  .find(({ symbol, method }) => symbol.description === undefined && typeof method === "function" && method.length === 1)
  ?.method as ((this: Worker, ref: boolean) => void) | undefined;

/** Whether {@linkcode Transport.setRef} works for threads in this version of Deno. */
export const CAN_UNREF_THREADS: boolean = setRefOfWorker !== undefined;

/** What a thread is started with. */
export interface ThreadSettings {
  /** As the options of `Worker` have them. */
  readonly permissions: Deno.PermissionOptions | undefined;
  /** Modules that it imports before its first call, whose time limit they are no part of. */
  readonly modules: readonly string[];
  readonly maxMemory: number | null;
}

/** A Web Worker, seen from its pool. */
export class ThreadTransport implements Transport {
  readonly #worker: Worker;
  readonly #memory: ThreadMemory = [
    new SharedArrayBuffer(SHARED_BYTES),
    new SharedArrayBuffer(RING_BYTES),
    new SharedArrayBuffer(RING_BYTES),
  ];
  readonly #slots = layOutSlots(this.#memory[0], SLOTS);
  readonly #outbox = new Outbox(this.#slots, this.#memory[1], (message) => {
    if (this.#ended) return;
    this.#follows = true;
    this.#post(message);
  });
  readonly #resultTexts = makeTextRing(this.#memory[2]);
  readonly #events: TransportEvents;
  /** The oldest call whose result has not been looked at, and the number after the last one. */
  #head = 0;
  #next = 0;
  readonly #bell = makeBell(this.#slots.parentBell, () => this.#receive(null));
  #ref = true;
  #ended = false;
  /** Whether the next call has to come after a message: of its function, of memory that it shares, that it is a stream. */
  #follows = false;
  /** Whether it looks for results, for how long, and whether that pays off. */
  #watching = false;
  #until = 0;
  readonly #patience = makePatience(POLL);
  /**
   * Whether the last call and its result went by the memory. While it looks for those, messages are late: the event loop
   * runs many immediates before it looks at them.
   */
  #small = false;
  /** How long the last call took, in milliseconds. */
  #duration = Infinity;

  constructor(
    name: string,
    settings: ThreadSettings,
    initializer: { ref: FunctionRef; args: readonly unknown[] } | undefined,
    events: TransportEvents,
  ) {
    this.#events = events;
    program ??= programSource(threadProgram);
    const { permissions, modules, maxMemory } = settings;
    this.#worker = new Worker(
      bootUrl,
      {
        type: "module",
        name,
        ...(permissions === undefined ? {} : { deno: { permissions } }),
      } as WorkerOptions,
    );
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => {
      freeMovedBuffers();
      this.#receive(event.data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault(); // Deno has printed it
      this.#end({ message: `died of an uncaught error: ${event.message}`, cause: event.error ?? undefined });
    };
    this.#worker.onmessageerror = () => this.#receiveUnreadable();
    this.#worker.postMessage(program);
    this.#worker.postMessage(this.#memory);
    if (initializer !== undefined) this.define(initializer.ref);
    try {
      this.#post([
        "init",
        initializer === undefined ? null : [initializer.ref.id, initializer.args],
        modules,
        [],
        maxMemory,
      ]);
    } catch (error) {
      this.#worker.terminate(); // the arguments have changed since they were looked at
      throw error;
    }
  }

  define(ref: FunctionRef): void {
    this.#follows = true;
    this.#post(["define", definitionOf(ref)]);
  }

  send(first: number, calls: readonly Call[], transfer: readonly Transferable[]): number {
    const { states, ids, sent, workerBell } = this.#slots;
    const written = transfer.length === 0 && !this.#follows ? this.#outbox.write(first, calls) : 0;
    const inMemory = written > 0;
    const count = inMemory ? written : 1;
    const next = first + count;
    if (!inMemory) {
      assertKept(calls[0]!, transfer);
      ids[first % SLOTS] = 0;
    }
    for (let seq = first; seq < next; seq++) {
      Atomics.store(states, seq % SLOTS, slotWord(seq, SLOTS, SlotState.HANDED));
    }
    if (!inMemory) {
      const [call, moved] = transfer.length > 0 ? [calls[0]!, transfer] : withCopies(calls[0]!);
      this.#post(["run", first, call], moved);
      this.#follows = false;
    }
    this.#next = next;
    this.#small = inMemory;
    Atomics.store(sent, 0, next | 0);
    if (inMemory) {
      this.#outbox.publish(); // after them, as `take` wants it
      ring(workerBell);
      this.#watch();
    }
    return count;
  }

  openStream(seq: number, credit: number): void {
    this.#follows = true;
    this.#post(["stream", seq, credit]);
  }

  grant(seq: number, count: number): void {
    this.#post(["credit", seq, count]);
  }

  stopStream(seq: number): void {
    this.#post(["stop", seq]);
  }

  forget(): void {
    this.#post(["forget"]);
  }

  isRunning(seq: number): boolean {
    return this.#state(seq) === SlotState.RUNNING;
  }

  mayHaveStarted(seq: number): boolean {
    const state = this.#state(seq);
    return state !== SlotState.HANDED && state !== SlotState.REVOKED;
  }

  revoke(seq: number): boolean {
    return this.#exchange(seq, SlotState.HANDED, SlotState.REVOKED);
  }

  takeBack(): readonly number[] {
    const returned: number[] = [];
    // The newest first: the thread goes on meanwhile, and all that it can still start comes before what is taken back.
    for (let seq = this.#next - 1; seq >= this.#head; seq--) if (this.revoke(seq)) returned.push(seq);
    return returned.reverse();
  }

  abandon(seq: number): boolean {
    // Otherwise it is over, and its outcome on the way.
    const runs = this.#exchange(seq, SlotState.RUNNING, SlotState.ABANDONED);
    if (runs) this.#post(["abandon", seq]);
    return runs;
  }

  close(): void {
    this.#end({ message: "was closed" });
  }

  kill(_signal: Deno.Signal, why = "was terminated"): void {
    this.#end({ message: why });
  }

  setRef(ref: boolean): void {
    if (ref === this.#ref || this.#ended) return;
    this.#ref = ref;
    setRefOfWorker?.call(this.#worker, ref);
  }

  /** The state of a call; `REVOKED` if its slot has gone to another one. */
  #state(seq: number): number {
    const word = Atomics.load(this.#slots.states, seq % SLOTS);
    return word === slotWord(seq, SLOTS, word & 15) ? word & 15 : SlotState.REVOKED;
  }

  #exchange(seq: number, from: number, to: number): boolean {
    const expected = slotWord(seq, SLOTS, from);
    return Atomics.compareExchange(this.#slots.states, seq % SLOTS, expected, slotWord(seq, SLOTS, to)) === expected;
  }

  #post(message: ToWorker, transfer: readonly Transferable[] = []): void {
    this.#worker.postMessage(message, transfer as Transferable[]);
  }

  /**
   * Looks for a moment whether the worker has come through, where that lately paid off, before the event loop goes to
   * sleep.
   */
  #watch(): void {
    const count = this.#next - this.#head;
    if (count === 0 || !this.#small || !(count * this.#duration < POLL)) return;
    if (!this.#watching) {
      if (!this.#patience.has()) return;
      this.#watching = true;
      nextTurn(this.#look);
    }
    this.#until = performance.now() + POLL;
    this.#bell.ignore();
  }

  readonly #look = (): void => {
    let last = this.#next - 1;
    while (last > this.#head && this.#state(last) === SlotState.REVOKED) last--;
    const state = this.#state(last);
    const isOver = this.#head === this.#next || state > SlotState.SENT || state === SlotState.REVOKED;
    if (!isOver && performance.now() < this.#until) {
      nextTurn(this.#look);
      return;
    }
    this.#patience.learn(isOver);
    this.#watching = false;
    this.#receive(null);
  };

  #receive(message: FromWorker | null): void {
    if (this.#ended) return;
    try {
      this.#report(message);
      this.#events.drained();
      this.#watch();
    } catch (error) {
      this.#end({ message: `sent ${error instanceof Error ? error.message : error}` });
    }
  }

  /**
   * A message has come that cannot be read. Deno listens to no more of them then, so the worker is of no use; if the
   * message was a result, that is what its call fails for.
   */
  #receiveUnreadable(): void {
    if (this.#ended) return;
    const message = "sent something that cannot be read, as it is nested too deeply";
    try {
      this.#collect();
      if (this.#state(this.#head) === SlotState.SENT) {
        this.#events.failed(
          this.#head++,
          0,
          new NotCloneableError(`Cannot send the result back: the worker ${message}`),
        );
      }
    } finally {
      this.#end({ message });
    }
  }

  /** The worker cannot read the message with this call, which may have been taken back meanwhile. */
  #loseMessage(seq: number): void {
    // Before the first call it is the initializer's.
    if (this.#next === 0 || this.#state(seq) === SlotState.HANDED) this.#events.unreadable(seq);
  }

  #report(message: FromWorker | null): void {
    this.#collect();
    if (message === null) return;
    switch (message[0]) {
      case "ready":
        this.#events.ready();
        break;
      case "broken":
        this.#events.broken(decodeError(message[1]));
        break;
      case "result":
        this.#head = message[1] + 1;
        this.#small = false;
        this.#duration = message[2];
        this.#events.succeeded(message[1], message[2], message[3]);
        break;
      case "error":
        this.#head = message[1] + 1;
        this.#events.failed(message[1], message[2], decodeError(message[3]));
        break;
      case "progress":
        this.#events.progress(message[1], message[2]);
        break;
      case "yield":
        this.#events.yielded(message[1], message[2]);
        break;
      case "large":
        this.#events.large();
        break;
      case "unreadable":
        this.#loseMessage(message[1]);
        break;
      case "exit":
        this.#end(
          message[1] === null
            ? { message: "was closed by its task, which called close()" }
            : { message: `was ended by its task, which called Deno.exit(${message[1]})`, code: message[1] },
        );
        break;
    }
    this.#collect(); // what is behind it
  }

  /**
   * Reports the results that are in the shared memory, up to the first call that is not over, or whose result comes as
   * a message.
   */
  #collect(): void {
    const { numbers, durations } = this.#slots;
    this.#bell.listen(); // before the look
    while (this.#head < this.#next) {
      const seq = this.#head;
      const slot = seq % SLOTS;
      const state = this.#state(seq);
      if (state !== SlotState.REVOKED && state < SlotState.UNDEFINED) return;
      this.#head++;
      if (state === SlotState.REVOKED) continue;
      this.#small = true;
      this.#duration = durations[slot]!;
      const value = state === SlotState.TEXT ? this.#readText(slot) : valueOf(state, numbers[slot]!, SlotState);
      this.#events.succeeded(seq, this.#duration, value);
    }
  }

  #readText(slot: number): unknown {
    const { args } = this.#slots;
    const at = slot * SLOT_ARGS;
    const value = getValue(this.#resultTexts, args, at);
    this.#resultTexts.release(args[at + 1]!);
    return value;
  }

  #end(exit: Parameters<TransportEvents["exited"]>[0]): void {
    if (this.#ended) return;
    try {
      this.#collect();
    } catch {
      // It is being ended for what it sent.
    }
    // A thread that is busy burns on, but no longer keeps the program alive.
    this.setRef(false);
    this.#ended = true;
    this.#worker.onmessage = null;
    this.#bell.close();
    this.#worker.terminate();
    queueMicrotask(() => this.#events.exited(exit));
  }
}

/** The list of arguments of a call, or those of a chunk. */
function listsOf([id, given]: Call): readonly (readonly unknown[])[] {
  const args = "context" in given ? given.args : given;
  return id < 0 ? args as readonly (readonly unknown[])[] : [args];
}

/** A call with copies of its large buffers in place of those, and what is to be moved with it. */
function withCopies(call: Call): [Call, readonly Transferable[]] {
  const [id, given] = call;
  const context = "context" in given ? given.context : undefined;
  const copied = copyLargeBuffers([...listsOf(call), [context]], isPlain);
  if (copied === undefined) return [call, []];
  const args = id < 0 ? copied.lists.slice(0, -1) : copied.lists[0]!;
  return [[id, context === undefined ? args : { args, context }], copied.buffers];
}

/** Refuses what would arrive as something else. */
function assertKept(call: Call, transfer: readonly Transferable[]): void {
  for (const list of listsOf(call)) {
    for (const value of list) {
      if (!isForeign(value) || transfer.includes(value as Transferable)) continue;
      const found = findUncloneable(value, false);
      if (found !== null) throw new TypeError(found);
    }
  }
}
