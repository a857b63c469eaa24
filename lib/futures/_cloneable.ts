/**
 * Says what in a value cannot be sent to a worker, which the engine's own message ("#<Object> could not be cloned")
 * leaves open.
 * @module
 */

/**
 * Where in `value` something cannot be cloned, and what it is, such as `".options.onDone is a function"`; `null` if all
 * of it can. Part of the worker's program, so it uses nothing from around it.
 *
 * @param value What is to be sent.
 * @param toProcess Whether it goes to another process, where shared memory and the objects of the platform (Blob,
 * MessagePort) cannot follow.
 * @param seen Where to put the objects that are met, if they are wanted.
 */
export function findUncloneable(
  value: unknown,
  toProcess: boolean,
  seen: Set<unknown> = new Set(),
): string | null {
  const PLAIN =
    /^\[object (?:Object|Array|Arguments|Map|Set|Date|RegExp|Error|Boolean|Number|String|BigInt|(?:Big)?(?:Ui|I)nt\d+(?:Clamped)?Array|Float\d+Array|ArrayBuffer|DataView)\]$/;

  /** `kept`: also what it is. */
  function cloneable(value: unknown, kept = ""): boolean {
    try {
      const clone: unknown = structuredClone(value);
      return kept === "" || Object.prototype.toString.call(clone) === kept;
    } catch {
      return false;
    }
  }

  /** The way to it is put together on the way back, which is gone by nearly no value. */
  function find(value: unknown): string | null {
    if (typeof value === "function") return " is a function";
    if (typeof value === "symbol") return " is a symbol";
    if (typeof value !== "object" || value === null || seen.has(value)) return null;
    seen.add(value);
    if (Array.isArray(value)) return findIn(value);
    if (ArrayBuffer.isView(value)) {
      seen.add(value.buffer);
      return toProcess && value.buffer instanceof SharedArrayBuffer ? " is a view of shared memory" : null;
    }
    if (value instanceof Map) {
      for (const [key, item] of value) {
        let found = find(key);
        if (found !== null) return ` key${found}`;
        found = find(item);
        if (found !== null) return `.get(${Deno.inspect(key, { depth: 0 })})${found}`;
      }
      return null;
    }
    if (value instanceof Set) {
      for (const item of value) {
        const found = find(item);
        if (found !== null) return ` member${found}`;
      }
      return null;
    }
    // The serializer of processes takes a DOMException for an error without a name and a message.
    if (value instanceof Error && !(toProcess && value instanceof DOMException)) {
      const found = find(value.cause);
      return found === null ? null : `.cause${found}`;
    }
    const tag = Object.prototype.toString.call(value);
    if (tag !== "[object Object]" && !PLAIN.test(tag)) {
      const name = tag.slice("[object ".length, -1);
      const global = (globalThis as Record<string, unknown>)[name];
      const platform = typeof global === "function" && value instanceof global;
      if (platform ? toProcess || !cloneable(value, tag) : !cloneable(value)) return ` is a ${name}`;
    }
    return findIn(value);
  }

  function findIn(value: object): string | null {
    for (const key of Object.keys(value)) {
      const found = find((value as Record<string, unknown>)[key]);
      if (found !== null) return (Array.isArray(value) ? `[${key}]` : `.${key}`) + found;
    }
    return null;
  }

  try {
    return find(value);
  } catch (error) {
    if (error instanceof RangeError && error.message.includes("call stack")) return " is nested too deeply";
    return ` has a property that throws when it is read: ${
      error instanceof Error ? error.message : Deno.inspect(error)
    }`;
  }
}

/**
 * Whether a value may be an object of the platform, such as a URL. In a message Deno makes an empty object of most of
 * these, without a word. Part of the worker's program, so it uses nothing from around it.
 */
export function isForeign(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    !/^\[object (?:Object|Array|Map|Set|Date|RegExp|Error|\w+Array|ArrayBuffer|DataView)\]$/.test(
      Object.prototype.toString.call(value),
    );
}
