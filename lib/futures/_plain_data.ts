/**
 * What JSON keeps as it is: it takes some times less for a small value than the engine's structured clone.
 *
 * Part of a worker's program, so it uses nothing from around it.
 * @module
 */

/** Whether JSON keeps the value as it is, and is the faster way, with a text of no more than about `limit` characters. */
export type IsPlain = (value: unknown, limit: number) => boolean;

/** Makes an {@linkcode IsPlain}. */
export function makeIsPlain(): IsPlain {
  /** What is longer is copied faster than it is escaped. */
  const MAX_STRING = 4096;
  /** More objects than that are looked up in a set. */
  const FEW = 48;

  const few: unknown[] = [];
  let many: Set<unknown> | undefined;
  /** How many characters the text may still have. */
  let room = 0;
  /** How many more fractions there are than objects: as text they take longer. */
  let fractions = 0;

  /** No `undefined`, NaN, -0, shared or circular reference, and nothing with a class. */
  function keeps(value: unknown): boolean {
    switch (typeof value) {
      case "string":
        return value.length < MAX_STRING && (room -= value.length + 3) >= 0;
      case "boolean":
        return (room -= 5) >= 0;
      case "number":
        if (Number.isInteger(value)) return (room -= 6) >= 0 && (value !== 0 || !Object.is(value, -0));
        return (room -= 18) >= 0 && Number.isFinite(value) && ++fractions < 64;
      case "object":
        break;
      default:
        return false;
    }
    if ((room -= 4) < 0) return false;
    if (value === null) return true;
    if (isSeen(value)) return false;
    fractions--;
    const prototype = Object.getPrototypeOf(value);
    if (Array.isArray(value)) {
      if (prototype !== Array.prototype) return false;
      const before = room;
      for (let i = 0; i < value.length; i++) {
        if (!keeps(value[i])) return false;
        // Items are mostly alike, so it need not be found out the long way that there is no room for all.
        if (i === 0 && (before - room) * value.length > 2 * before) return false;
      }
      return Object.keys(value).length === value.length;
    }
    if (prototype !== Object.prototype) return false;
    // Faster than a list of the keys; what is inherited, if somebody gave all objects something, harms nobody.
    for (const key in value) {
      room -= key.length + 4;
      if (key === "toJSON" || !keeps((value as Record<string, unknown>)[key])) return false;
    }
    return true;
  }

  /** Whether it is the second time that the object is met. */
  function isSeen(value: object): boolean {
    if (many !== undefined) return many.size === many.add(value).size;
    if (few.includes(value)) return true;
    if (few.push(value) > FEW) many = new Set(few);
    return false;
  }

  let isInside = false;
  return (value, limit) => {
    // A getter has come here. Or somebody has told all objects, or all arrays, what JSON is to make of them.
    if (isInside || "toJSON" in few) return false;
    isInside = true;
    room = limit;
    fractions = 0;
    try {
      return keeps(value);
    } catch {
      return false; // too deep, or a getter threw: it is met again
    } finally {
      isInside = false;
      few.length = 0;
      many = undefined;
    }
  };
}
