/**
 * What a parent and its workers say to each other, over threads and over processes alike.
 *
 * Each worker has `SLOTS` slots; the call with the sequence number `seq` is in slot `seq % SLOTS`. The state of a slot
 * is in memory that the parent (or the supervising thread of a child process) shares with the thread that runs the
 * tasks, and changes by compare-and-exchange only. So a call is either started or taken back, never both, however busy
 * the worker is: that is what makes `cancel()` exact. A state carries the generation of its call, because the worker
 * may come upon a call that was taken back long after its slot went to another one.
 * @module
 */

import type { EncodedError } from "./_error_codec.ts";
import type { SharedValue } from "./_shared_values.ts";

/** How many calls a worker may hold at a time: enough for the tiniest tasks, and a power of two. */
export const SLOTS = 1024;

/** The states of a slot, in the order in which a call goes through them. */
export const SlotState = {
  /** Handed to the worker, not started. 0 is a slot that was never used. */
  HANDED: 1,
  RUNNING: 2,
  /** Running, and told that nobody waits for it any more. */
  ABANDONED: 3,
  /** Taken back before it started; the worker skips it. */
  REVOKED: 4,
  /** Over; its outcome is on its way as a message. */
  SENT: 5,
  /** Over; its result is this value. */
  UNDEFINED: 6,
  NULL: 7,
  FALSE: 8,
  TRUE: 9,
  /** Over; its result is in the slot's number. */
  NUMBER: 10,
  /** Over; its result is a text of JSON, whose place is in the slot's arguments. */
  TEXT: 11,
  /** An argument only: it is shared memory, and its number is in the arguments. */
  SHARED: 12,
} as const;

/**
 * What is stored for a call in `state`: the state in the low 4 bits, the generation above. Part of the worker's
 * program.
 */
export function slotWord(seq: number, slots: number, state: number): number {
  return (Math.floor(seq / slots) << 4) | state;
}

/** How a value stands in the memory: `SENT` if it cannot. Part of the worker's program. */
export function stateOf(value: unknown, states: typeof SlotState): number {
  switch (typeof value) {
    case "number":
      return states.NUMBER;
    case "undefined":
      return states.UNDEFINED;
    case "boolean":
      return value ? states.TRUE : states.FALSE;
    default:
      return value === null ? states.NULL : states.SENT;
  }
}

/** The value that stands there. Part of the worker's program. */
export function valueOf(state: number, number: number, states: typeof SlotState): unknown {
  switch (state) {
    case states.NUMBER:
      return number;
    case states.TRUE:
      return true;
    case states.FALSE:
      return false;
    case states.NULL:
      return null;
    default:
      return undefined;
  }
}

/** How many arguments of a call may stand in its slot. */
export const SLOT_ARGS = 4;

/** The shape of a call whose arguments are a text of JSON; its place stands where they would. */
export const TEXT_SHAPE = 15;

/** The characters that a text of JSON may have to go by the memory. What takes longer to write is not held up by a message. */
export const MAX_TEXT = 32_768;

/** The bytes of the memory of a {@linkcode makeTextRing}: enough for what 64 callers at a time send of a kilobyte each. */
export const RING_BYTES = 262_144 + 8;

/**
 * The memory that a parent shares with a thread: some words, and for each slot its state, its result if that is a
 * number, its duration, and its call if that is small.
 */
export interface SharedSlots {
  /** By which the worker tells its parent of results. */
  readonly parentBell: Int32Array;
  /** By which the parent tells its worker of calls. */
  readonly workerBell: Int32Array;
  /** How many calls were sent, in all; it wraps around. */
  readonly sent: Int32Array;
  readonly states: Int32Array;
  readonly numbers: Float64Array;
  /** Milliseconds. */
  readonly durations: Float32Array;
  /** The function's id; 0 if the call travels as a message. */
  readonly ids: Int32Array;
  /** How many arguments the call has, and how each stands there: 4 bits each; or `TEXT_SHAPE`. */
  readonly shapes: Int32Array;
  /** The arguments that are numbers; those of a slot are together. */
  readonly args: Float64Array;
}

/** Lays {@linkcode SharedSlots} over `memory`. Part of the worker's program, so it uses nothing from around it. */
export function layOutSlots(memory: SharedArrayBuffer, slots: number): SharedSlots {
  return {
    numbers: new Float64Array(memory, 0, slots),
    states: new Int32Array(memory, 8 * slots, slots),
    durations: new Float32Array(memory, 12 * slots, slots),
    ids: new Int32Array(memory, 16 * slots, slots),
    shapes: new Int32Array(memory, 20 * slots, slots),
    args: new Float64Array(memory, 24 * slots, 4 * slots),
    parentBell: new Int32Array(memory, 56 * slots, 1),
    workerBell: new Int32Array(memory, 56 * slots + 4, 1),
    sent: new Int32Array(memory, 56 * slots + 8, 1),
  };
}

/** The bytes that {@linkcode layOutSlots} needs. */
export const SHARED_BYTES = 56 * SLOTS + 12;

/** The kinds of frames on the stdin of a child. */
export const FrameKind = {
  /** For the main thread. */
  FORWARD: 0,
  /** The same, with calls in it. */
  RUN: 1,
  /** For the supervisor: take back what has not started. */
  TAKE_BACK: 2,
  /** For nobody: a frame whose number can be looked at. */
  CHECK: 3,
  /** A large buffer in the calls that come next: it is read to where it stays. */
  ATTACH: 4,
  /** From the supervisor: the child is to end. */
  END: 5,
} as const;

/** The bytes of a frame before its body: the body's length, the kind, the number of calls, the number of the first. */
export const HEADER = 16;

/**
 * The memory through which the supervisor of a child hands frames to the main thread: some words, by
 * their places, and a ring of bytes. While a message is on its way nothing is put there, or it would come first.
 */
export const Mail = {
  /** How often something was sent, here or as a message: what the other thread waits for. It wraps around, as the next. */
  SENT: 0,
  /** How many bytes were put into the ring, and how many have been taken out of it. */
  WRITTEN: 1,
  READ: 2,
  /** How many messages were sent, and how many of them have come. */
  MESSAGES: 3,
  RECEIVED: 4,
  /** Nobody sends anything here. */
  TURN: 5,
  WORDS: 6,
  BYTES: 16384,
} as const;

/** A function's definition, sent once before its first call. */
export type Definition = readonly [
  id: number,
  name: string,
  /** The URL of its module, or `null` if it travels as source. */
  url: string | null,
  /** Its name in the module, or its source. */
  text: string,
  /** Whether `importable()` registers it. */
  registered: boolean,
];

/** The arguments of a call, and with them the values that go along beside them. */
export type Given = readonly unknown[] | {
  readonly args: readonly unknown[];
  readonly context: Readonly<Record<string, unknown>>;
};

/** A call: the function's id (negative: once for each of the arguments lists), then the arguments. */
export type Call = readonly [id: number, given: Given];

/** What a parent tells a worker. */
export type ToWorker =
  | readonly [
    "init",
    initializer: readonly [id: number, args: readonly unknown[]] | null,
    modules: readonly string[],
    revoke: readonly ("read" | "import")[],
    /** How many bytes of memory the worker may hold; `null`: no limit. */
    maxMemory: number | null,
  ]
  | readonly ["define", Definition]
  /** From now on the value is known by this number; a view is one of the buffer with that number. It is forgotten. */
  | readonly ["share", id: number, value: SharedValue, buffer: number | undefined]
  | readonly ["unshare", id: number]
  /**
   * Ids and what was {@linkcode Given} in turn, for the sequence numbers from `first` on. Flat, as a clone of many small
   * arrays takes three times as long.
   */
  | readonly ["run", first: number, calls: readonly unknown[]]
  /** Nobody waits for the running call any more. */
  | readonly ["abandon", seq: number]
  /** The call with this number, which comes next, is a stream, and may send so many values. */
  /** A call is a stream; with a credit of 0 it is none after all. */
  | readonly ["stream", seq: number, credit: number]
  /** It may send so many more. */
  | readonly ["credit", seq: number, count: number]
  /** Its generator is to return. */
  | readonly ["stop", seq: number]
  /** Forget all definitions; not those of calls that were sent before. */
  | readonly ["forget"]
  /** From the channel itself: what has come now cannot be read, as something is nested too deeply. */
  | readonly ["unreadable"];

/** What a worker tells its parent. */
export type FromWorker =
  | readonly ["ready"]
  /** The initializer threw. */
  | readonly ["broken", EncodedError]
  | readonly ["result", seq: number, duration: number, value: unknown]
  | readonly ["error", seq: number, duration: number, EncodedError]
  /** A value that the running call reports, or yields as a stream. */
  | readonly ["progress" | "yield", seq: number, value: unknown]
  /** The worker holds more memory than it may. */
  | readonly ["large", bytes: number]
  /** The calls from this number on, or the initializer, have come as something that cannot be read. */
  | readonly ["unreadable", seq: number]
  /** The task called `Deno.exit()`, or `close()`, which has no code. */
  | readonly ["exit", code: number | null]
  /** Calls that were taken back before they started. */
  | readonly ["returned", seqs: readonly number[]];

/** The result of a call with many arguments lists: what they returned, up to the first that threw. */
export interface ChunkResult {
  readonly values: readonly unknown[];
  readonly error?: EncodedError;
}
