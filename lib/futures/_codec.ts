/**
 * Values as bytes, for the pipes of a process: JSON for small plain data, which costs a microsecond, and the engine's
 * structured clone for everything else, which costs twenty.
 *
 * Part of the child's program as well, so it uses nothing from around it.
 * @module
 */

/** The part of `node:v8` that is used. */
export interface V8 {
  Serializer: new () => {
    writeHeader(): void;
    writeValue(value: unknown): boolean;
    releaseBuffer(): Uint8Array<ArrayBuffer>;
  };
  Deserializer: new (bytes: Uint8Array) => { readHeader(): boolean; readValue(): unknown };
}

/** Values to bytes and back. */
export interface Codec {
  /** @throws {TypeError} If the value cannot be cloned into another process; the message says where and what. */
  encode(value: unknown): Uint8Array<ArrayBuffer>;
  /** @throws {Error} If the bytes are not of `encode`. */
  decode(bytes: Uint8Array): unknown;
}

/** A codec. `findUncloneable` is the one of `_cloneable.ts`: a parameter, as a worker's program has no imports. */
export function makeCodec(v8: V8, findUncloneable: (value: unknown, toProcess: boolean) => string | null): Codec {
  const JSON_FORMAT = 1;
  const CLONE_FORMAT = 2;
  const MAX_JSON_NODES = 64;
  const utf8 = new TextEncoder();
  const text = new TextDecoder();
  const empty = new Uint8Array(0);

  /**
   * Whether JSON keeps the value as it is: no `undefined`, NaN, -0, shared or circular reference, and nothing with a
   * class.
   */
  function isJson(value: unknown, seen: unknown[]): boolean {
    switch (typeof value) {
      case "string":
        return value.length < 4096;
      case "boolean":
        return true;
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0);
      case "object":
        break;
      default:
        return false;
    }
    if (value === null) return true;
    if (seen.length === MAX_JSON_NODES || seen.includes(value)) return false;
    seen.push(value);
    if (Array.isArray(value)) {
      if (value.length > MAX_JSON_NODES || Object.getPrototypeOf(value) !== Array.prototype) return false;
      for (let i = 0; i < value.length; i++) if (!isJson(value[i], seen)) return false;
      return Object.keys(value).length === value.length;
    }
    if (Object.getPrototypeOf(value) !== Object.prototype) return false;
    const keys = Object.keys(value);
    if (keys.length > MAX_JSON_NODES) return false;
    for (const key of keys) {
      if (key === "toJSON" || !isJson((value as Record<string, unknown>)[key], seen)) return false;
    }
    return true;
  }

  return {
    encode(value) {
      if (value === undefined) return empty;
      if (isJson(value, [])) {
        const json = utf8.encode("\x01" + JSON.stringify(value));
        json[0] = JSON_FORMAT;
        return json;
      }
      // The serializer itself would turn a Blob or an URL into {} without a word.
      const found = findUncloneable(value, true);
      if (found !== null) throw new TypeError(found);
      const serializer = new v8.Serializer();
      serializer.writeHeader();
      serializer.writeValue(value);
      const clone = serializer.releaseBuffer();
      const bytes = new Uint8Array(clone.length + 1);
      bytes[0] = CLONE_FORMAT;
      bytes.set(clone, 1);
      return bytes;
    },
    decode(bytes) {
      if (bytes.length === 0) return undefined;
      const body = bytes.subarray(1);
      switch (bytes[0]) {
        case JSON_FORMAT:
          return JSON.parse(text.decode(body));
        case CLONE_FORMAT: {
          const deserializer = new v8.Deserializer(body);
          deserializer.readHeader();
          return deserializer.readValue();
        }
        default:
          throw new TypeError(`Unknown format ${bytes[0]}`);
      }
    },
  };
}
