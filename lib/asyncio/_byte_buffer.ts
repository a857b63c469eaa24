const SMALLEST = 4096;

/** What an empty buffer keeps, so that one flood does not cost its room for ever. */
const KEPT = 64 * 1024;

/**
 * Bytes that come in at the end and go out at the start, in one piece of memory, so that the host's own search runs over
 * them. What goes in is copied: the caller may use its array again. Adding and taking are O(1) a byte.
 */
export class ByteBuffer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  append(data: Uint8Array): void {
    if (this.#end + data.length > this.#bytes.length) this.#makeRoom(data.length);
    this.#bytes.set(data, this.#end);
    this.#end += data.length;
  }

  /** Puts bytes back that were taken. Costs a copy of everything. */
  prepend(data: Uint8Array): void {
    const rest = this.take(this.length);
    this.append(data);
    this.append(rest);
  }

  /** Takes at most `count` bytes out. */
  take(count: number): Uint8Array<ArrayBuffer> {
    const end = Math.min(this.#start + count, this.#end);
    const taken = this.#bytes.slice(this.#start, end);
    this.#start = end;
    if (this.#start === this.#end) this.#empty();
    return taken;
  }

  clear(): void {
    this.#start = this.#end;
    this.#empty();
  }

  /** Where `wanted`, which is not empty, is from `offset` on; -1 if nowhere. */
  indexOf(wanted: Uint8Array, offset: number): number {
    const last = this.#end - wanted.length;
    // Without what lies behind the content, which may be as long.
    const bytes = this.#bytes.subarray(0, this.#end);
    const first = wanted[0]!;
    let at = this.#start + offset;
    while (at <= last) {
      at = bytes.indexOf(first, at);
      if (at < 0 || at > last) return -1;
      let matched = 1;
      while (matched < wanted.length && bytes[at + matched] === wanted[matched]) matched++;
      if (matched === wanted.length) return at - this.#start;
      at++;
    }
    return -1;
  }

  #makeRoom(count: number): void {
    const length = this.length;
    // Moving costs what is left in it, so it has to free as much: else taking a byte at a time from a full buffer would
    // move all of it each time.
    if (length + count <= this.#bytes.length && this.#start >= length) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    } else {
      const bytes = new Uint8Array(Math.max(SMALLEST, 2 * (length + count)));
      bytes.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = bytes;
    }
    this.#start = 0;
    this.#end = length;
  }

  #empty(): void {
    this.#start = this.#end = 0;
    if (this.#bytes.length > KEPT) this.#bytes = new Uint8Array(0);
  }
}
