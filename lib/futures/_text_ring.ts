/**
 * A ring of bytes in shared memory, by which one thread hands texts to another one, in their order.
 *
 * Part of a worker's program, so it uses nothing from around it.
 * @module
 */

import type { IsPlain } from "./_plain_data.ts";

/**
 * Either end of the ring: one thread writes, the other one reads. Places in it are numbers of bytes since the beginning,
 * which wrap around as 32-bit integers do.
 */
export interface TextRing {
  /** Where the next text goes, at the earliest. */
  readonly end: number;
  /** Writes a text. Gives its place, from which on it goes to `end`; `undefined` if there is no room for it now. */
  write(text: string): number | undefined;
  /** Tells the reader that what ends by now can be read. */
  publish(): void;
  /** The place up to which all can be read. */
  published(): number;
  read(start: number, end: number): string;
  /** Says that nothing before this place is read again. */
  release(end: number): void;
}

/** Makes an end of the ring in `memory`, whose size is a power of two and 8. */
export function makeTextRing(memory: SharedArrayBuffer): TextRing {
  const size = memory.byteLength - 8;
  const bytes = new Uint8Array(memory, 0, size);
  const words = new Int32Array(memory, size, 2);
  const PUBLISHED = 0;
  const RELEASED = 1;
  const utf8 = new TextEncoder();
  const decoder = new TextDecoder();
  /** Where texts are decoded from, as that takes longer from shared memory. */
  let copy = new Uint8Array(0);
  let end = Atomics.load(words, PUBLISHED);

  return {
    get end() {
      return end;
    },
    write(text) {
      const most = 3 * text.length;
      const rest = size - (end & (size - 1));
      // In one piece.
      const start = most > rest ? end + rest : end;
      if (((start + most - Atomics.load(words, RELEASED)) | 0) > size) return undefined;
      const at = start & (size - 1);
      end = (start + utf8.encodeInto(text, bytes.subarray(at, at + most)).written) | 0;
      return start | 0;
    },
    publish() {
      Atomics.store(words, PUBLISHED, end);
    },
    published: () => Atomics.load(words, PUBLISHED),
    read(start, end) {
      const length = (end - start) | 0;
      if (!(length >= 0 && length <= size)) throw new RangeError(`a text of ${length} bytes`);
      if (copy.length < length) copy = new Uint8Array(2 * length);
      const at = start & (size - 1);
      copy.set(bytes.subarray(at, at + length));
      return decoder.decode(copy.subarray(0, length));
    },
    release(end) {
      Atomics.store(words, RELEASED, end);
    },
  };
}

/**
 * Writes a value as JSON, if that keeps it, in no more than about `limit` characters, and there is room. Where it stands
 * is put into `places`, from `at` on.
 */
export function putValue(
  ring: TextRing,
  isPlain: IsPlain,
  limit: number,
  places: Float64Array,
  at: number,
  value: unknown,
): boolean {
  if (!isPlain(value, limit)) return false;
  const start = ring.write(JSON.stringify(value));
  if (start === undefined) return false;
  places[at] = start;
  places[at + 1] = ring.end;
  return true;
}

/** The value that stands where `places` says, from `at` on. */
export function getValue(ring: TextRing, places: Float64Array, at: number): unknown {
  return JSON.parse(ring.read(places[at]!, places[at + 1]!));
}
