import type { ChunkResult, ToWorker } from "./_protocol.ts";
import type { Link } from "./_task_runner.ts";
import type { Parts } from "./_worker_program.ts";

/** What a thread is told first: the memory of the slots, that of the calls' texts, and that of the results'. */
export type ThreadMemory = readonly [slots: SharedArrayBuffer, calls: SharedArrayBuffer, results: SharedArrayBuffer];

/** The program of a thread. Small results go through shared memory, and wake the parent once for many. */
export function threadProgram(parts: Parts): void {
  const { SLOTS, SLOT_ARGS, MAX_TEXT, SlotState, slotWord, stateOf } = parts;
  const isPlain = parts.makeIsPlain();
  let run: ((message: ToWorker) => void) | undefined;

  // The first message is the memory; the others are for the runner.
  const post = parts.takeChannel((data: ToWorker | ThreadMemory) => {
    parts.freeMovedBuffers();
    if (run !== undefined) return run(data as ToWorker);
    const [memory, callTexts, resultTexts] = data as ThreadMemory;
    const slots = parts.layOutSlots(memory, SLOTS);
    const texts = parts.makeTextRing(resultTexts);
    const { parentBell, states, numbers, durations, args } = slots;

    /** Where the value stands that is the result of the call in a slot. */
    const write = (slot: number, value: unknown): number => {
      const state = stateOf(value, SlotState);
      if (state === SlotState.NUMBER) numbers[slot] = value as number;
      if (state !== SlotState.SENT) return state;
      return parts.putValue(texts, isPlain, MAX_TEXT, args, slot * SLOT_ARGS, value) ? SlotState.TEXT : state;
    };

    /** Sends a message that ends with a value. */
    const postValue = (head: readonly unknown[], value: unknown): void => {
      const copied = parts.copyLargeBuffers([[value]], isPlain);
      post([...head, copied === undefined ? value : copied.lists[0]![0]], copied?.buffers);
    };

    /** Refuses what would arrive as something else. */
    const check = (value: unknown): void => {
      const found = parts.isForeign(value) ? parts.findUncloneable(value, false) : null;
      if (found !== null) throw new TypeError(found);
    };

    const link: Link = {
      result(seq, duration, value, follows, isChunk) {
        if (isChunk) { for (const each of (value as ChunkResult).values) check(each); }
        else check(value);
        const slot = seq % SLOTS;
        const state = follows ? SlotState.SENT : write(slot, value);
        // The state first: with its outcome known, the parent may give the slot to another call.
        if (state === SlotState.SENT) {
          Atomics.store(states, slot, slotWord(seq, SLOTS, state));
          postValue(["result", seq, duration], value);
          return;
        }
        durations[slot] = duration;
        Atomics.store(states, slot, slotWord(seq, SLOTS, state));
        parts.ring(parentBell);
      },
      send(message) {
        if (message[0] === "progress" || message[0] === "yield") {
          const [kind, seq, value] = message;
          check(value);
          return postValue([kind, seq], value);
        }
        if (message[0] === "error") {
          Atomics.store(states, message[1] % SLOTS, slotWord(message[1], SLOTS, SlotState.SENT));
        }
        post(message);
      },
      findUncloneable: (value) => parts.findUncloneable(value, false),
      // The resident set is that of the whole program.
      memory: ({ heapUsed, external }) => heapUsed + external,
      permissionHint: "",
      inbox: parts.makeInbox(slots, parts.makeTextRing(callTexts), parts),
    };
    run = parts.taskRunner(states, link, parts);
  }, () => run?.(["unreadable"]));
  parts.refuseMessages();
}
