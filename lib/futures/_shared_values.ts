/**
 * Memory that a program shares with a worker: it is told of it once, by a message, and then knows it by its number.
 * @module
 */

import type { ToWorker } from "./_protocol.ts";

/** A `SharedArrayBuffer`, or a view of one. */
export type SharedValue = SharedArrayBuffer | ArrayBufferView<SharedArrayBuffer>;

/** Whether the value is memory that can be shared, of a size that stays. */
export function isShared(value: unknown): value is SharedValue {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  return buffer instanceof SharedArrayBuffer && !buffer.growable;
}

/** The shared memory that a worker knows. What nobody uses any more it is told to let go of. */
export class SharedValues {
  readonly #ids = new WeakMap<SharedValue, number>();
  readonly #gone: FinalizationRegistry<number>;
  readonly #post: (message: ToWorker) => void;
  #next = 0;

  constructor(post: (message: ToWorker) => void) {
    this.#post = post;
    this.#gone = new FinalizationRegistry((id) => post(["unshare", id]));
  }

  /** The number of a value; `undefined` if the worker is told of it now, by a message that a call must not overtake. */
  idOf(value: SharedValue): number | undefined {
    const known = this.#ids.get(value);
    if (known !== undefined) return known;
    let buffer: number | undefined;
    if (ArrayBuffer.isView(value)) {
      this.idOf(value.buffer);
      buffer = this.#ids.get(value.buffer);
    }
    const id = this.#next++;
    this.#post(["share", id, value, buffer]);
    this.#ids.set(value, id);
    this.#gone.register(value, id);
    return undefined;
  }
}
