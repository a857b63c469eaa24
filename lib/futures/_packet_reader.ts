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

/** The largest answer to a question of the parent. */
const MAX_ANSWER = 65536;
/** The room for a message that comes in parts, for a start. */
const FIRST_ROOM = 16384;

const NEWLINE = 0x0a;

/**
 * A key that no task can guess. It begins with a byte that is in no text: otherwise the end of what a task prints could
 * be the start of a packet, and would be kept back until more comes.
 */
export function makeKey(): Uint8Array<ArrayBuffer> {
  const key = crypto.getRandomValues(new Uint8Array(16));
  key[0] = 0xff;
  return key;
}

/** Splits a stream of bytes into messages and everything else. */
export class PacketReader {
  readonly #key: Uint8Array;
  readonly #handlers: PacketHandlers;
  /** The largest messages, by channel: what a child sends must not make its parent allocate without bound. */
  readonly #limits: readonly number[];
  /** What may be the start of a packet, until the rest is there: the first `#kept` bytes of this. */
  #rest: Uint8Array = new Uint8Array(8192);
  #kept = 0;
  /** The parts of messages that are not whole yet, by channel. */
  readonly #parts = new Map<number, { bytes: Uint8Array; length: number }>();

  /** `maxResult` is the largest message with a result, in bytes. */
  constructor(key: Uint8Array, maxResult: number, handlers: PacketHandlers) {
    this.#key = key;
    this.#limits = [maxResult, MAX_ANSWER];
    this.#handlers = handlers;
  }

  /** Takes the next bytes. */
  push(chunk: Uint8Array): void {
    // Behind what is kept, and not together into a new array: who sends byte by byte would make one of them each time.
    const joined = this.#kept > 0;
    const bytes = joined ? this.#keep(chunk) : chunk;
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
      const whole = bytes.subarray(start + header, end);
      const payload = joined ? whole.slice() : whole;
      this.#part(bytes[start + header - 4]!, bytes[start + header - 3] === 1, payload);
      position = end + 1;
    }
    if (joined) {
      this.#rest.copyWithin(0, position, this.#kept);
      this.#kept -= position;
    } else if (position < bytes.length) this.#keep(bytes.subarray(position));
  }

  /** Puts bytes behind what is kept, and gives back all of it. */
  #keep(bytes: Uint8Array): Uint8Array {
    const length = this.#kept + bytes.length;
    if (length > this.#rest.length) {
      const grown = new Uint8Array(2 * length);
      grown.set(this.#rest.subarray(0, this.#kept));
      this.#rest = grown;
    }
    this.#rest.set(bytes, this.#kept);
    this.#kept = length;
    return this.#rest.subarray(0, length);
  }

  /** The stream is over: what looked like the start of a packet was output, unless the whole key is there. */
  end(): void {
    // A child that was killed in the middle of a packet leaves a part of it.
    if (this.#kept > 0 && this.#kept < this.#key.length) this.#handlers.output(this.#rest.subarray(0, this.#kept));
    this.#kept = 0;
  }

  #part(channel: number, last: boolean, payload: Uint8Array): void {
    const limit = this.#limits[channel];
    if (limit === undefined) throw new RangeError(`a packet on channel ${channel}, which there is not`);
    if (!last && payload.length === 0) throw new RangeError("an empty packet");
    let message = this.#parts.get(channel);
    if (last && message === undefined && payload.length <= limit) return this.#handlers.message(channel, payload);
    const length = (message?.length ?? 0) + payload.length;
    if (length > limit) throw new RangeError(`a message of more than ${limit} bytes`);
    if (message === undefined) this.#parts.set(channel, message = { bytes: new Uint8Array(FIRST_ROOM), length: 0 });
    // One growing array: an array for each part would hold many times what tiny parts bring.
    if (length > message.bytes.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * message.bytes.length, limit)));
      grown.set(message.bytes.subarray(0, message.length));
      message.bytes = grown;
    }
    message.bytes.set(payload, message.length);
    message.length = length;
    if (!last) return;
    this.#parts.delete(channel);
    this.#handlers.message(channel, message.bytes.subarray(0, length));
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
