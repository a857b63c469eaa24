import { clearImmediate, setImmediate } from "node:timers";

/**
 * Enough to keep another thread busy for longer than it takes to ask whether it is done, which would give the result at
 * once.
 */
const SOMETHING = new Uint8Array(16 * 1024);

/** More turns of the microtask queue than the result of an operation takes that was there at once. */
const DRAINED_AFTER = 8;

/** More immediates than the host runs between two looks at its I/O. */
const IMMEDIATES = 128;

/**
 * Calls `callback` after the host's event loop has gone round: its I/O, timers and signals have been served.
 *
 * An immediate is no such turn: the host runs a hundred of them between two looks at its I/O. A timer of 0 ms is one,
 * and costs a wait of up to two milliseconds in which nothing runs. The result of an operation on another thread takes a
 * tenth of one, needs no permission, and the host looks at all the rest on the way; unless the other thread was so quick
 * that the result is there at once, within the same run of the microtask queue. On some machines it nearly always is,
 * as the other thread runs in the place of this one. More than a hundred immediates take no longer, then.
 *
 * In either case the callback is a microtask: in what the host calls itself, an immediate or a timer, each exception
 * takes three times as long, as V8 makes a message of it for the host, also where it is caught.
 */
export function afterHostTurn(callback: () => void): void {
  let drained = false;
  countDown(DRAINED_AFTER, () => {
    drained = true;
  });
  crypto.subtle.digest("SHA-1", SOMETHING).then(() => {
    if (drained) callback();
    else afterImmediates(() => queueMicrotask(callback));
  });
}

/** Calls `callback` after so many immediates that the host has looked at its I/O. */
export function afterImmediates(callback: () => void, count: number = IMMEDIATES): void {
  setImmediate(() => {
    if (count > 1) afterImmediates(callback, count - 1);
    else callback();
  });
}

/**
 * Calls `callback` when all microtasks have run. The host's I/O need not have been looked at.
 *
 * @returns What calls it off.
 */
export function afterMicrotasks(callback: () => void): () => void {
  const immediate = setImmediate(callback);
  return () => clearImmediate(immediate);
}

function countDown(microtasks: number, callback: () => void): void {
  if (microtasks === 0) callback();
  else queueMicrotask(() => countDown(microtasks - 1, callback));
}
