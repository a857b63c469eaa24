/**
 * Large buffers on their way between threads. In a message a buffer is copied twice, and by way of memory that the system
 * seldom has at hand; here it is copied once, and the copy is moved.
 *
 * Parts of a worker's program, so they use nothing from around them.
 * @module
 */

import type { IsPlain } from "./_plain_data.ts";

/** Lists of values that can be sent in place of others, and what is to be moved with them. */
export interface Copied {
  readonly lists: readonly (readonly unknown[])[];
  readonly buffers: ArrayBuffer[];
}

/**
 * The values with copies in place of all buffers and views, which stay the same where they were the same; `undefined` if
 * none of them is large, or if there may be others inside of what is here: those could no longer be the same.
 */
export function copyLargeBuffers(lists: readonly (readonly unknown[])[], isPlain: IsPlain): Copied | undefined {
  /** In bytes. From here on it is faster, and always so. */
  const LARGE = 65536;
  /** How much plain data is looked through, in characters. */
  const MAX_PLAIN = 32768;
  let copies: Map<ArrayBuffer, ArrayBuffer>;

  /** What all typed arrays have in common. */
  const typed = (): object => Object.getPrototypeOf(Uint8Array.prototype);

  /** What class of typed arrays one is of, whatever was derived from that; nothing for a `DataView`. */
  const classOf = (view: ArrayBufferView) => Reflect.get(typed(), Symbol.toStringTag, view) as string | undefined;

  /** As the engine has it: a class may have something else by that name. */
  const read = (view: ArrayBufferView, name: keyof Uint8Array): unknown =>
    Reflect.get(classOf(view) === undefined ? DataView.prototype : typed(), name, view);

  const bufferOf = (value: unknown) => ArrayBuffer.isView(value) ? read(value, "buffer") : value;

  function isLarge(value: unknown): boolean {
    const buffer = bufferOf(value);
    return buffer instanceof ArrayBuffer && buffer.byteLength >= LARGE;
  }

  function canBeCopied(value: unknown): boolean {
    if (typeof value === "function" || typeof value === "symbol") return false;
    if (typeof value !== "object" || value === null) return true;
    const buffer = bufferOf(value);
    if (buffer instanceof SharedArrayBuffer) return true;
    return buffer instanceof ArrayBuffer
      ? !buffer.resizable && !buffer.detached && Object.getPrototypeOf(buffer) === ArrayBuffer.prototype &&
        Reflect.ownKeys(buffer).length === 0 // `slice()` would heed some of them
      : isPlain(value, MAX_PLAIN);
  }

  function copy(value: unknown): unknown {
    const buffer = bufferOf(value);
    if (!(buffer instanceof ArrayBuffer)) return value;
    let moved = copies.get(buffer);
    if (moved === undefined) copies.set(buffer, moved = buffer.slice(0));
    if (!ArrayBuffer.isView(value)) return moved;
    // As a clone, it is of the engine's own class.
    const name = classOf(value);
    const View = (globalThis as unknown as Record<string, typeof Uint8Array>)[name ?? "DataView"]!;
    const length = read(value, name === undefined ? "byteLength" : "length") as number;
    return new View(moved, read(value, "byteOffset") as number, length);
  }

  try {
    if (!lists.some((list) => list.some(isLarge)) || !lists.every((list) => list.every(canBeCopied))) return undefined;
    copies = new Map();
    return { lists: lists.map((list) => list.map(copy)), buffers: [...copies.values()] };
  } catch {
    return undefined; // no memory is left, or a task has replaced what is used here: the engine may do without
  }
}

/**
 * Has the engine free buffers that were moved here, if many bytes of them are garbage. It looks for those as it makes a
 * buffer, however small, and not as one arrives: there would be hundreds of megabytes.
 */
export function freeMovedBuffers(): void {
  try {
    new ArrayBuffer(1);
  } catch {
    // A task has replaced it.
  }
}
