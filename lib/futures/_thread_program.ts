import type { ToWorker } from "./_protocol.ts";
import type { Link } from "./_task_runner.ts";
import type { Parts } from "./_worker_program.ts";

/**
 * The program of a thread. Results that are numbers, booleans and the like go through shared memory, and wake the
 * parent once for many.
 */
export function threadProgram(parts: Parts): void {
  const { SLOTS, SlotState, slotWord, stateOf } = parts;
  let run: ((message: ToWorker | null) => void) | undefined;

  // The first message is the memory, the others are for the runner.
  const post = parts.takeChannel((data: ToWorker | null | SharedArrayBuffer) => {
    if (run !== undefined) return run(data as ToWorker | null);
    const slots = parts.layOutSlots(data as SharedArrayBuffer, SLOTS);
    const { woken, states, numbers, durations } = slots;

    const link: Link = {
      result(seq, duration, value, follows) {
        const slot = seq % SLOTS;
        const state = follows ? SlotState.SENT : stateOf(value, SlotState);
        // The state first: with its outcome known, the parent may give the slot to another call.
        if (state === SlotState.SENT) {
          Atomics.store(states, slot, slotWord(seq, SLOTS, state));
          post(["result", seq, duration, value]);
          return;
        }
        if (state === SlotState.NUMBER) numbers[slot] = value as number;
        durations[slot] = duration;
        Atomics.store(states, slot, slotWord(seq, SLOTS, state));
        if (Atomics.exchange(woken, 0, 1) === 0) post(null);
      },
      send(message) {
        if (message[0] === "error") {
          Atomics.store(states, message[1] % SLOTS, slotWord(message[1], SLOTS, SlotState.SENT));
        }
        post(message);
      },
      findUncloneable: (value) => parts.findUncloneable(value, false),
      // The resident set is that of the whole program.
      memory: ({ heapUsed, external }) => heapUsed + external,
      permissionHint: "",
      inbox: parts.makeInbox(slots, parts),
    };
    run = parts.taskRunner(states, link, parts);
  }, () => run?.(["unreadable"]));
}
