/**
 * Small calls travel in the memory that a thread shares with its parent, as numbers and the like or as text: to send a
 * message costs the parent more than to run such a call costs the worker, and to be woken by one takes longer still. So a worker that has run out of calls
 * looks for more for a moment, where that has lately paid off, before it goes to sleep.
 * @module
 */

import type { makeBell } from "./_bell.ts";
import type { Given, SharedSlots, SlotState, slotWord, valueOf } from "./_protocol.ts";
import type { SharedValue } from "./_shared_values.ts";
import type { getValue, TextRing } from "./_text_ring.ts";

/**
 * For how long a worker, or its parent, looks for what it expects before it goes to sleep, in milliseconds: what
 * it takes the other side to be woken and to answer. A machine with one processor has better things to do.
 */
export const POLL: number = navigator.hardwareConcurrency > 1 ? 0.08 : 0;

/** Whether it is worth while to look. */
export interface Patience {
  /** Asked before each wait. */
  has(): boolean;
  /** Tells whether something was found in time. */
  learn(found: boolean): void;
}

/**
 * A {@linkcode Patience} that wears out when nothing is found: to look in vain costs some times what is won otherwise,
 * and where the other side waits for this processor, all looks are in vain. `pause` is how many waits are let pass first.
 * Part of the worker's program.
 */
export function makePatience(POLL: number, pause = 0): Patience {
  let vain = 0;
  return {
    has: () => POLL > 0 && --pause < 0,
    learn(found) {
      vain = found ? Math.max(0, vain - 0.25) : Math.min(vain + 1, 4);
      pause = 2 ** vain - 1;
    },
  };
}

/**
 * Calls `callback` in a turn of the event loop of its own. The global is looked up when it is needed, as Deno loads it then:
 * that takes 3 ms and 2 MiB of memory. Part of the worker's program.
 */
export function nextTurn(callback: () => void): void {
  (globalThis as unknown as { setImmediate(callback: () => void): void }).setImmediate(callback);
}

/** What the functions of the worker's program use from around them. */
interface Parts {
  readonly SLOTS: number;
  readonly SLOT_ARGS: number;
  readonly TEXT_SHAPE: number;
  readonly SlotState: typeof SlotState;
  readonly slotWord: typeof slotWord;
  readonly valueOf: typeof valueOf;
  readonly getValue: typeof getValue;
  readonly POLL: number;
  readonly makeBell: typeof makeBell;
  readonly makePatience: typeof makePatience;
  readonly nextTurn: typeof nextTurn;
}

/** The calls of a worker that come by the memory. */
export interface Inbox {
  /** Takes note that the worker is awake, as a message has come. */
  awake(): void;
  /**
   * Takes note that a message with a call, the next one that was to come, cannot be read.
   *
   * @returns The call, if it was not taken back.
   */
  lose(): number | undefined;
  /** Takes note that the calls before the number `seq` have come. */
  skipTo(seq: number): void;
  /**
   * Calls `found` for each call that is there, in turn, up to the first that comes as a message, or whose function or
   * shared memory does.
   */
  take(knows: (id: number) => boolean, found: (seq: number, id: number, given: Given) => void): void;
  /** Takes note of shared memory, which calls have by this number. A view is one of the `buffer` with that number. */
  share(id: number, value: SharedValue, buffer?: number): void;
  /** Forgets it. */
  unshare(id: number): void;
  /** Calls `resume` as soon as there is something to take, in a turn of the event loop of its own. */
  wait(resume: () => void): void;
}

/** Makes the {@linkcode Inbox} of a worker. Part of its program. */
export function makeInbox(
  { workerBell, sent, states, ids, shapes, args }: SharedSlots,
  texts: TextRing,
  { SLOTS, SLOT_ARGS, TEXT_SHAPE, SlotState, slotWord, valueOf, getValue, POLL, makeBell, makePatience, nextTurn }:
    Parts,
): Inbox {
  /** The number of the next call. */
  let next = 0;
  let isParked = false;
  /** Whether the last call came by the memory. While it looks for more of these, messages are late. */
  let small = false;
  let waits = 0;
  /** The calls that were met, and whose messages have not come. */
  const due: number[] = [];
  /** The calls before this number have come, or are among these. */
  let met = 0;
  /** What gives what is known by a number. */
  const shared = new Map<number, () => SharedValue>();
  let look = () => {};
  const bell = makeBell(workerBell, () => look());
  // A worker that runs a few calls only does without what `nextTurn` loads.
  const patience = makePatience(POLL, 4);

  const isSent = () => ((Atomics.load(sent, 0) - next) | 0) > 0;
  /** Whether there is something to take. A call that travels as a message wakes this worker by itself. */
  const isMore = () => {
    const slot = next % SLOTS;
    return isSent() && (ids[slot] !== 0 || Atomics.load(states, slot) !== slotWord(next, SLOTS, SlotState.HANDED));
  };

  /**
   * What the call in a slot was given; `undefined` if it shares memory of which this worker has not been told yet, as
   * that message was for a call before it, which was taken back. Garbage, or an error, if the slot has gone to another
   * call meanwhile.
   */
  function read(slot: number): Given | undefined {
    const shape = shapes[slot]!;
    const first = slot * SLOT_ARGS;
    if (shape === TEXT_SHAPE) return getValue(texts, args, first) as Given;
    const values: unknown[] = [];
    for (let i = 0; i < (shape & 15); i++) {
      const state = (shape >> (4 * i + 4)) & 15;
      const number = args[first + i]!;
      if (state !== SlotState.SHARED) values.push(valueOf(state, number, SlotState));
      else if (shared.has(number)) values.push(shared.get(number)!());
      else return undefined;
    }
    return values;
  }

  /** Takes note of a message with the next call, which may have been taken back: the message comes all the same. */
  function meet(slot: number): void {
    if (ids[slot] !== 0 || next < met) return;
    const word = Atomics.load(states, slot);
    if (word !== slotWord(next, SLOTS, SlotState.HANDED) && word !== slotWord(next, SLOTS, SlotState.REVOKED)) return;
    due.push(next);
    met = next + 1;
  }

  function awake(): void {
    waits++;
    if (!isParked) return;
    isParked = false;
    bell.ignore();
  }

  return {
    awake,
    lose() {
      if (due.length === 0) meet(next % SLOTS); // it may be here before it counts as sent
      const seq = due.shift();
      if (seq === undefined) return next;
      next = Math.max(next, seq + 1); // those behind it do not wait for it, or their messages would be taken for its own
      return Atomics.load(states, seq % SLOTS) === slotWord(seq, SLOTS, SlotState.HANDED) ? seq : undefined;
    },
    skipTo(seq) {
      next = Math.max(next, seq);
      met = Math.max(met, seq);
      while (due.length > 0 && due[0]! < seq) due.shift();
      small = false;
    },
    take(knows, found) {
      // Before it is known which calls were sent, so that all that ends here belongs to one of these.
      const end = texts.published();
      for (; isSent(); next++) {
        const slot = next % SLOTS;
        const handed = slotWord(next, SLOTS, SlotState.HANDED);
        meet(slot);
        // Otherwise it was taken back, and the slot may have another call already.
        if (Atomics.load(states, slot) !== handed) continue;
        const id = ids[slot]!;
        if (!knows(id)) return;
        let given: Given | undefined;
        try {
          given = read(slot);
        } catch (error) {
          if (Atomics.load(states, slot) === handed) throw error;
        }
        if (given !== undefined) {
          small = true;
          found(next, id, given);
        } else if (Atomics.load(states, slot) === handed) return;
      }
      texts.release(end);
    },
    share(id, value, buffer) {
      if (buffer === undefined) return void shared.set(id, () => value);
      const memory = shared.get(buffer)!();
      const { byteOffset, byteLength } = value as ArrayBufferView;
      const View = value.constructor as new (memory: unknown, at: number, length: number) => SharedValue;
      const length = (value as { length?: number }).length ?? byteLength;
      // A new one for each call, as what is copied is new, too.
      shared.set(id, () => new View(memory, byteOffset, length));
    },
    unshare(id) {
      shared.delete(id);
    },
    wait(resume) {
      const mine = ++waits;
      const looks = small && patience.has();
      const until = looks ? performance.now() + POLL : 0;
      // Each look is in a turn of the event loop, which is never kept from messages, timers, and what calls have left
      // behind.
      look = () => {
        if (mine !== waits) return;
        if (isMore()) {
          if (looks && !isParked) patience.learn(true);
          awake();
          resume();
        } else if (looks && !isParked && performance.now() < until) nextTurn(look);
        else {
          if (looks && !isParked) patience.learn(false);
          park();
        }
      };
      const park = () => {
        isParked = true;
        // In this order: whether a call is stored before or after, it is seen here, or the parent rings.
        bell.listen();
        if (isMore()) nextTurn(look);
      };
      if (looks || isMore()) nextTurn(look);
      else park();
    },
  };
}
