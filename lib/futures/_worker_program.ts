/**
 * The program of a worker, put together from the source text of functions.
 *
 * A worker that is made from a `data:` URL needs no permission, survives `deno compile` and the registry, and finds no file
 * missing. So each of these functions uses its parameters and nothing else from around it; what they share is passed to
 * them as {@linkcode Parts}.
 * @module
 */

import { makeBell, ring } from "./_bell.ts";
import { makeCodec } from "./_codec.ts";
import { findUncloneable, isForeign } from "./_cloneable.ts";
import { encodeError } from "./_error_codec.ts";
import { makeInbox, makePatience, nextTurn, POLL } from "./_inbox.ts";
import { copyLargeBuffers, freeMovedBuffers } from "./_large_buffers.ts";
import { makeIsPlain } from "./_plain_data.ts";
import { packetWriter } from "./_process_program.ts";
import {
  FrameKind,
  HEADER,
  layOutSlots,
  Mail,
  MAX_TEXT,
  SHARED_BYTES,
  SLOT_ARGS,
  SLOTS,
  SlotState,
  slotWord,
  stateOf,
  TEXT_SHAPE,
  valueOf,
} from "./_protocol.ts";
import { refuseMessages, takeChannel } from "./_take_channel.ts";
import { taskRunner } from "./_task_runner.ts";
import { getValue, makeTextRing, putValue } from "./_text_ring.ts";

/** What the program of a worker is built from. */
export interface Parts {
  /** `import()`, which the publisher could not see through. */
  readonly importUrl: (url: string) => Promise<Record<string, unknown>>;
  readonly SLOTS: number;
  readonly SLOT_ARGS: number;
  readonly TEXT_SHAPE: number;
  readonly MAX_TEXT: number;
  readonly SHARED_BYTES: number;
  readonly SlotState: typeof SlotState;
  readonly HEADER: typeof HEADER;
  readonly FrameKind: typeof FrameKind;
  readonly Mail: typeof Mail;
  readonly POLL: number;
  readonly encodeError: typeof encodeError;
  readonly findUncloneable: typeof findUncloneable;
  readonly isForeign: typeof isForeign;
  readonly layOutSlots: typeof layOutSlots;
  readonly slotWord: typeof slotWord;
  readonly stateOf: typeof stateOf;
  readonly valueOf: typeof valueOf;
  readonly makeBell: typeof makeBell;
  readonly ring: typeof ring;
  readonly makeInbox: typeof makeInbox;
  readonly makePatience: typeof makePatience;
  readonly nextTurn: typeof nextTurn;
  readonly makeCodec: typeof makeCodec;
  readonly makeIsPlain: typeof makeIsPlain;
  readonly copyLargeBuffers: typeof copyLargeBuffers;
  readonly freeMovedBuffers: typeof freeMovedBuffers;
  readonly makeTextRing: typeof makeTextRing;
  readonly putValue: typeof putValue;
  readonly getValue: typeof getValue;
  readonly taskRunner: typeof taskRunner;
  readonly packetWriter: typeof packetWriter;
  readonly takeChannel: typeof takeChannel;
  readonly refuseMessages: typeof refuseMessages;
}

/** The parts of a worker's program, as source. */
const PARTS = `{
  importUrl: (url) => import(url),
  SLOTS: ${SLOTS},
  SLOT_ARGS: ${SLOT_ARGS},
  TEXT_SHAPE: ${TEXT_SHAPE},
  MAX_TEXT: ${MAX_TEXT},
  SHARED_BYTES: ${SHARED_BYTES},
  SlotState: ${JSON.stringify(SlotState)},
  HEADER: ${HEADER},
  FrameKind: ${JSON.stringify(FrameKind)},
  Mail: ${JSON.stringify(Mail)},
  encodeError: ${encodeError},
  findUncloneable: ${findUncloneable},
  isForeign: ${isForeign},
  layOutSlots: ${layOutSlots},
  slotWord: ${slotWord},
  stateOf: ${stateOf},
  valueOf: ${valueOf},
  POLL: ${POLL},
  makeBell: ${makeBell},
  ring: ${ring},
  makeInbox: ${makeInbox},
  makePatience: ${makePatience},
  nextTurn: ${nextTurn},
  makeCodec: ${makeCodec},
  makeIsPlain: ${makeIsPlain},
  copyLargeBuffers: ${copyLargeBuffers},
  freeMovedBuffers: ${freeMovedBuffers},
  makeTextRing: ${makeTextRing},
  putValue: ${putValue},
  getValue: ${getValue},
  taskRunner: ${taskRunner},
  packetWriter: ${packetWriter},
  takeChannel: ${takeChannel},
  refuseMessages: ${refuseMessages},
}`;

/** What is the program's own, whatever tasks replace. */
const OWN = ["Atomics", "JSON"];
const COPIES = OWN.map((name) => `Object.create(null, Object.getOwnPropertyDescriptors(${name}))`);

/** The source of the program that calls `main` with the parts, then with `more` (source, too). */
export function programSource(main: { toString(): string }, ...more: string[]): string {
  const call = `(${main})(${[PARTS, ...more].join(", ")})`;
  return `((${OWN.join(", ")}) => ${call})(${COPIES.join(", ")});\n//# sourceURL=skein:worker\n`;
}

/** The URL of a module with this source. */
export function moduleUrl(source: string): string {
  return `data:text/javascript;charset=utf-8,${encodeURIComponent(source)}`;
}

/**
 * What a worker is started with: its program follows as a message, as Deno takes milliseconds for the URL of a module that
 * is long.
 */
export const bootUrl: string = moduleUrl(
  `addEventListener("message", (event) => (0, eval)(event.data), { once: true });`,
);
