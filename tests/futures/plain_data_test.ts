/** What JSON keeps as it is. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { makeIsPlain } from "../../lib/futures/_plain_data.ts";

const isPlain = makeIsPlain();
const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
});

/** Whether both are the same to the bit, the order of properties and the places of items included. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const keys = Reflect.ownKeys(a);
  return keys.length === Reflect.ownKeys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(a[key as never], b[key as never]));
}

Deno.test("makeIsPlain() says yes to nothing that JSON would change", () => {
  fc.assert(
    fc.property(anything, (value) => {
      if (isPlain(value, 10_000)) assert(same(JSON.parse(JSON.stringify(value)), value));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("makeIsPlain() says yes to JSON, but for -0", () => {
  const negativeZero = (value: unknown): boolean =>
    Object.is(value, -0) || (typeof value === "object" && value !== null && Object.values(value).some(negativeZero));
  fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
    assertEquals(isPlain(value, 100_000), !negativeZero(value), Deno.inspect(value));
  }));
});

Deno.test("makeIsPlain() says no to what JSON changes", () => {
  const shared = {};
  const circular: unknown[] = [];
  circular.push(circular);
  let deep: unknown = [];
  for (let i = 0; i < 100_000; i++) deep = [deep];
  const values: unknown[] = [
    undefined,
    1n,
    Symbol(),
    () => {},
    [undefined],
    { a: undefined },
    [NaN],
    [Infinity],
    [-0],
    new Date(0),
    new Map(),
    new (class extends Array {})(),
    Object.create(null),
    Object.assign([1], { a: 1 }),
    // deno-lint-ignore no-sparse-arrays
    [1, , 2],
    { toJSON: 1 },
    [shared, shared],
    Array.from({ length: 40 }, () => shared),
    circular,
    deep,
    {
      get a(): number {
        throw new Error("not now");
      },
    },
  ];
  for (const value of values) assert(!isPlain(value, Infinity), Deno.inspect(value, { getters: false, depth: 2 }));
});

Deno.test("makeIsPlain() says no to what is longer than the limit, and looks at no more of it", () => {
  assert(isPlain(["x".repeat(80)], 100));
  assert(!isPlain(["x".repeat(100)], 100));
  assert(isPlain(Array(10).fill(1), 100));
  assert(!isPlain(Array(30).fill(1), 100));
  let looks = 0;
  const item = {
    get a() {
      looks++;
      return "text";
    },
  };
  assert(
    !isPlain(
      Array.from({ length: 1000 }, () => Object.create(Object.prototype, Object.getOwnPropertyDescriptors(item))),
      1000,
    ),
  );
  assertEquals(looks, 1, "items are taken for alike");
});

Deno.test("makeIsPlain() says no to all objects once somebody has told them what JSON is to make of them", () => {
  for (const prototype of [Object.prototype, Array.prototype]) {
    Object.defineProperty(prototype, "toJSON", { value: () => "changed", configurable: true });
    try {
      assert(!isPlain([1], 100));
      assert(!isPlain({ a: [1] }, 100));
    } finally {
      delete (prototype as { toJSON?: unknown }).toJSON;
    }
  }
  assert(isPlain([1], 100));
});
