/**
 * Takes the packets of `packetWriter` out of what a child writes to its stdout.
 * @module
 */

/** What a {@linkcode PacketReader} finds. */
export interface PacketHandlers {
  /** What is not a packet: the task's own output. Valid during the call only. */
  output(bytes: Uint8Array): void;
  /** A whole message. */
  message(channel: number, payload: Uint8Array): void;
}

/** The largest messages, by channel: what a child sends must not make its parent allocate without bound. */
const MAX_LENGTHS: readonly number[] = [0x7fff_ffff, 65536];

const NEWLINE = 0x0a;

/** Splits a stream of bytes into messages and everything else. */
export class PacketReader {
  readonly #key: Uint8Array;
  readonly #handlers: PacketHandlers;
  /** What may be the start of a packet, until the rest is there. */
  #rest: Uint8Array = new Uint8Array(0);
  /** The parts of messages that are not whole yet, by channel. */
  readonly #parts = new Map<number, { chunks: Uint8Array[]; length: number }>();

  constructor(key: Uint8Array, handlers: PacketHandlers) {
    this.#key = key;
    this.#handlers = handlers;
  }

  /** Takes the next bytes. */
  push(chunk: Uint8Array): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    const header = this.#key.length + 4;
    let position = 0;
    while (position < bytes.length) {
      const start = this.#findKey(bytes, position);
      if (start > position) this.#handlers.output(bytes.subarray(position, start));
      position = start;
      if (bytes.length - start < header) break;
      const length = bytes[start + header - 2]! | (bytes[start + header - 1]! << 8);
      const end = start + header + length;
      if (bytes.length <= end) break;
      if (bytes[end] !== NEWLINE) throw new RangeError("a packet without an end");
      this.#part(bytes[start + header - 4]!, bytes[start + header - 3] === 1, bytes.subarray(start + header, end));
      position = end + 1;
    }
    this.#rest = bytes.slice(position);
  }

  /**
   * The stream is over: what looked like the start of a packet was output, unless it has the whole key, which nobody
   * prints. Then it is a packet that the child was writing when it ended.
   */
  end(): void {
    if (this.#rest.length > 0 && this.#rest.length < this.#key.length) this.#handlers.output(this.#rest);
    this.#rest = new Uint8Array(0);
  }

  #part(channel: number, last: boolean, payload: Uint8Array): void {
    const limit = MAX_LENGTHS[channel];
    if (limit === undefined) throw new RangeError(`a packet on channel ${channel}, which there is not`);
    if (!last && payload.length === 0) throw new RangeError("an empty packet");
    let message = this.#parts.get(channel);
    if (last && message === undefined) return this.#handlers.message(channel, payload);
    if (message === undefined) this.#parts.set(channel, message = { chunks: [], length: 0 });
    message.chunks.push(payload.slice());
    message.length += payload.length;
    if (message.length > limit) throw new RangeError(`a message of more than ${limit} bytes`);
    if (!last) return;
    this.#parts.delete(channel);
    const whole = new Uint8Array(message.length);
    let offset = 0;
    for (const chunk of message.chunks) {
      whole.set(chunk, offset);
      offset += chunk.length;
    }
    this.#handlers.message(channel, whole);
  }

  /** Where the key, or what may be its beginning at the end of `bytes`, starts; the length if it is nowhere. */
  #findKey(bytes: Uint8Array, from: number): number {
    const key = this.#key;
    for (let start = bytes.indexOf(key[0]!, from); start !== -1; start = bytes.indexOf(key[0]!, start + 1)) {
      let i = 1;
      while (i < key.length && start + i < bytes.length && bytes[start + i] === key[i]) i++;
      if (i === key.length || start + i === bytes.length) return start;
    }
    return bytes.length;
  }
}
