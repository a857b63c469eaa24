/**
 * Small calls on their way to a thread, in the memory that it shares with its parent: the other side of
 * {@linkcode makeInbox}.
 * @module
 */

import { makeIsPlain } from "./_plain_data.ts";
import {
  type Call,
  type Given,
  MAX_TEXT,
  type SharedSlots,
  SLOT_ARGS,
  SLOTS,
  SlotState,
  stateOf,
  TEXT_SHAPE,
  type ToWorker,
} from "./_protocol.ts";
import { isShared, SharedValues } from "./_shared_values.ts";
import { makeTextRing, putValue, type TextRing } from "./_text_ring.ts";

const isPlain = makeIsPlain();

/** Writes calls where their thread looks for them. */
export class Outbox {
  readonly #slots: SharedSlots;
  readonly #texts: TextRing;
  readonly #shared: SharedValues;

  /** `texts` is the memory of a ring; `post` sends a message, which what is written later does not overtake. */
  constructor(slots: SharedSlots, texts: SharedArrayBuffer, post: (message: ToWorker) => void) {
    this.#slots = slots;
    this.#texts = makeTextRing(texts);
    this.#shared = new SharedValues(post);
  }

  /**
   * Writes the calls from the number `first` on into their slots, which nobody looks at yet, up to the first that has to
   * travel as a message, as it is not small.
   *
   * @returns How many were written.
   */
  write(first: number, calls: readonly Call[]): number {
    for (let i = 0; i < calls.length; i++) {
      const [id, given] = calls[i]!;
      const slot = (first + i) % SLOTS;
      try {
        if (!this.#writeValues(slot, given) && !this.#writeText(slot, given)) return i;
      } catch {
        return i; // a getter threw when it was read again: that is no fault of the calls before it
      }
      this.#slots.ids[slot] = id;
    }
    return calls.length;
  }

  /** What was written has been sent. */
  publish(): void {
    this.#texts.publish();
  }

  /** Writes arguments that are numbers and the like, or shared memory. */
  #writeValues(slot: number, given: Given): boolean {
    if ("context" in given || given.length > SLOT_ARGS) return false;
    const { shapes, args } = this.#slots;
    let shape = given.length;
    for (let i = 0; i < given.length; i++) {
      const value = given[i];
      let state = stateOf(value, SlotState);
      if (state === SlotState.NUMBER) args[slot * SLOT_ARGS + i] = value as number;
      else if (state === SlotState.SENT) {
        const id = isShared(value) ? this.#shared.idOf(value) : undefined;
        if (id === undefined) return false;
        args[slot * SLOT_ARGS + i] = id;
        state = SlotState.SHARED;
      }
      shape |= state << (4 * i + 4);
    }
    shapes[slot] = shape;
    return true;
  }

  #writeText(slot: number, given: Given): boolean {
    const { shapes, args } = this.#slots;
    if (!putValue(this.#texts, isPlain, MAX_TEXT, args, slot * SLOT_ARGS, given)) return false;
    shapes[slot] = TEXT_SHAPE;
    return true;
  }
}
