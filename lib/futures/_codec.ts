/**
 * Values as bytes, for the pipes of a process: JSON for plain data, and for everything else the engine's structured
 * clone, which takes some times as long for what is small, and half as long again for what is large.
 *
 * Part of the child's program as well, so it uses nothing from around it.
 * @module
 */

import type { IsPlain } from "./_plain_data.ts";
import type { Call } from "./_protocol.ts";

/** The part of `node:v8` that is used. */
export interface V8 {
  Serializer: new () => {
    writeHeader(): void;
    writeRawBytes(bytes: Uint8Array): void;
    transferArrayBuffer(id: number, buffer: ArrayBuffer): void;
    writeValue(value: unknown): boolean;
    releaseBuffer(): Uint8Array<ArrayBuffer>;
  };
  Deserializer: new (bytes: Uint8Array) => {
    readHeader(): boolean;
    transferArrayBuffer(id: number, buffer: ArrayBuffer): void;
    readValue(): unknown;
  };
}

/** Values to bytes and back. */
export interface Codec {
  /**
   * @param room How many bytes to leave free in front, for a header: to put one there later is a copy of everything.
   * @param attached Takes the large buffers that the bytes are without; `decode` needs them, or copies of them.
   * @throws {TypeError} If the value cannot be cloned into another process; the message says where and what.
   */
  encode(value: unknown, room?: number, attached?: ArrayBuffer[]): Uint8Array<ArrayBuffer>;
  /**
   * As `encode` of `["result", seq, duration, value]`, but faster. The bytes are valid until it is called again.
   *
   * @throws {TypeError} As `encode`.
   */
  encodeResult(seq: number, duration: number, value: unknown): Uint8Array<ArrayBuffer>;
  /**
   * As `encode` of `["run", first, calls]`, with the first of the calls, and as many of those behind it as can go along
   * and have, of an object that several were given, each a copy of its own.
   *
   * @throws {TypeError} As `encode`, for the first one.
   */
  encodeRun(first: number, calls: readonly Call[], room: number, attached: ArrayBuffer[]): EncodedRun;
  /** @throws {Error} If the bytes are not of `encode`. */
  decode(bytes: Uint8Array, attached?: readonly ArrayBuffer[]): unknown;
}

/** Some calls as bytes, and how many these are. */
export interface EncodedRun {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly count: number;
}

/** A codec. The functions are those of `_cloneable.ts` and `_plain_data.ts`: parameters, as a worker's program has no imports. */
export function makeCodec(
  v8: V8,
  findUncloneable: (value: unknown, toProcess: boolean, seen?: Set<unknown>) => string | null,
  isPlain: IsPlain,
): Codec {
  const JSON_FORMAT = 1;
  const CLONE_FORMAT = 2;
  /** What most results are. The format, the value's place among the constants, the call's number, duration and value. */
  const RESULT_FORMAT = 3;
  /**
   * What many calls are. The format and the number of the first one; for each call its id, how many arguments it has, and
   * those: the place among the constants, or a number behind what is no such place.
   */
  const RUN_FORMAT = 4;
  const CONSTANTS = [undefined, null, false, true];
  const result = new Uint8Array(26);
  const resultView = new DataView(result.buffer);
  let run = new Uint8Array(1024);
  let runView = new DataView(run.buffer);
  /** How many characters, so that the text is none that the engine refuses. */
  const MAX_JSON = 2 ** 26;
  /** A buffer of so many bytes need not be among the others. */
  const LARGE = 65536;
  const utf8 = new TextEncoder();
  const text = new TextDecoder();

  let front = "\x01";

  function decodeRun(view: DataView): unknown {
    const calls: unknown[] = [];
    for (let at = 9; at < view.byteLength;) {
      const args: unknown[] = [];
      const count = view.getUint8(at + 4);
      calls.push(view.getInt32(at, true), args);
      at += 5;
      for (let j = 0; j < count; j++) {
        const constant = view.getUint8(at++);
        if (constant < CONSTANTS.length) args.push(CONSTANTS[constant]);
        else {
          args.push(view.getFloat64(at, true));
          at += 8;
        }
      }
    }
    return ["run", view.getFloat64(1, true), calls];
  }

  /** The calls up to the first that has other arguments than numbers, booleans, `null` and `undefined`. */
  function encodeNumbers(first: number, calls: readonly Call[], room: number): EncodedRun | undefined {
    runView.setUint8(room, RUN_FORMAT);
    runView.setFloat64(room + 1, first, true);
    let end = room + 9;
    let count = 0;
    for (const [id, args] of calls) {
      if (!Array.isArray(args) || args.length > 255) break;
      const needed = end + 5 + 9 * args.length;
      if (needed > run.length) {
        const grown = new Uint8Array(2 * needed);
        grown.set(run);
        run = grown;
        runView = new DataView(run.buffer);
      }
      runView.setInt32(end, id, true);
      runView.setUint8(end + 4, args.length);
      const at = encodeConstants(args, end + 5);
      if (at === undefined) break;
      end = at;
      count++;
    }
    return count === 0 ? undefined : { bytes: run.slice(0, end), count };
  }

  /** Puts the arguments of a call into `run`, from `at` on. Gives where they end; `undefined` if there are others. */
  function encodeConstants(args: readonly unknown[], at: number): number | undefined {
    for (let j = 0; j < args.length; j++) {
      const value = args[j];
      if (typeof value === "number") {
        runView.setUint8(at, CONSTANTS.length);
        runView.setFloat64(at + 1, value, true);
        at += 9;
      } else {
        const constant = CONSTANTS.indexOf(value as undefined);
        if (constant === -1) return undefined;
        runView.setUint8(at++, constant);
      }
    }
    return at;
  }

  /** The calls up to the first whose arguments JSON does not keep. */
  function encodePlain(first: number, calls: readonly Call[], room: number): EncodedRun | undefined {
    let count = 0;
    while (count < calls.length && isPlain(calls[count], MAX_JSON)) count++;
    if (count === 0) return undefined;
    return { bytes: encodeJson(["run", first, calls.slice(0, count).flat()], room), count };
  }

  /**
   * The calls up to the first that cannot be cloned, or that was given an object which one before it was given as well:
   * there would be one copy of it for both.
   */
  function encodeClones(
    first: number,
    calls: readonly Call[],
    room: number,
    attached: ArrayBuffer[],
  ): EncodedRun | undefined {
    const all = new Set();
    let count = 0;
    for (; count < calls.length; count++) {
      const seen = new Set();
      if (findUncloneable(calls[count], true, seen) !== null || !seen.isDisjointFrom(all)) break;
      for (const each of seen) all.add(each);
    }
    if (count === 0) return undefined;
    return { bytes: encodeClone(["run", first, calls.slice(0, count).flat()], all, room, attached), count };
  }

  /** By the engine. `seen` are the objects that there are in the value. */
  function encodeClone(
    value: unknown,
    seen: ReadonlySet<unknown>,
    room: number,
    attached: ArrayBuffer[] | undefined,
  ): Uint8Array<ArrayBuffer> {
    const serializer = new v8.Serializer();
    if (attached !== undefined) {
      for (const buffer of seen) {
        if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < LARGE || buffer.resizable) continue;
        serializer.transferArrayBuffer(attached.length, buffer);
        attached.push(buffer);
      }
    }
    const start = new Uint8Array(room + 1);
    start[room] = CLONE_FORMAT;
    serializer.writeRawBytes(start);
    serializer.writeHeader();
    serializer.writeValue(value);
    return serializer.releaseBuffer();
  }

  function encodeJson(value: unknown, room: number): Uint8Array<ArrayBuffer> {
    if (front.length !== room + 1) front = "\0".repeat(room) + "\x01"; // JSON_FORMAT
    return utf8.encode(front + JSON.stringify(value));
  }

  const codec: Codec = {
    encode(value, room = 0, attached) {
      if (value === undefined) return new Uint8Array(room);
      if (isPlain(value, MAX_JSON)) return encodeJson(value, room);
      // The serializer itself would turn a Blob or an URL into {} without a word.
      const seen = new Set();
      const found = findUncloneable(value, true, seen);
      if (found !== null) throw new TypeError(found);
      return encodeClone(value, seen, room, attached);
    },
    encodeResult(seq, duration, value) {
      let constant = -1;
      if (typeof value === "number") resultView.setFloat64(18, value, true);
      else if ((constant = CONSTANTS.indexOf(value as undefined)) === -1) {
        return codec.encode(["result", seq, duration, value]);
      }
      result[0] = RESULT_FORMAT;
      result[1] = constant === -1 ? CONSTANTS.length : constant;
      resultView.setFloat64(2, seq, true);
      resultView.setFloat64(10, duration, true);
      return result;
    },
    encodeRun(first, calls, room, attached) {
      const numbers = encodeNumbers(first, calls, room);
      if (numbers !== undefined) return numbers;
      if (calls.length > 1) {
        try {
          const some = encodePlain(first, calls, room) ?? encodeClones(first, calls, room, attached);
          if (some !== undefined) return some;
        } catch {
          attached.length = 0; // together they are too long, or somebody's getter threw
        }
      }
      return { bytes: codec.encode(["run", first, calls[0]], room, attached), count: 1 };
    },
    decode(bytes, attached = []) {
      if (bytes.length === 0) return undefined;
      if (bytes[0] === RESULT_FORMAT) {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const constant = bytes[1]!;
        const value = constant === CONSTANTS.length ? view.getFloat64(18, true) : CONSTANTS[constant];
        return ["result", view.getFloat64(2, true), view.getFloat64(10, true), value];
      }
      if (bytes[0] === RUN_FORMAT) return decodeRun(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
      const body = bytes.subarray(1);
      switch (bytes[0]) {
        case JSON_FORMAT:
          return JSON.parse(text.decode(body));
        case CLONE_FORMAT: {
          const deserializer = new v8.Deserializer(body);
          deserializer.readHeader();
          for (let i = 0; i < attached.length; i++) deserializer.transferArrayBuffer(i, attached[i]!);
          return deserializer.readValue();
        }
        default:
          throw new TypeError(`Unknown format ${bytes[0]}`);
      }
    },
  };
  return codec;
}
