import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import v8 from "node:v8";
import { findUncloneable } from "../../lib/futures/_cloneable.ts";
import { makeCodec, type V8 } from "../../lib/futures/_codec.ts";
import { makeIsPlain } from "../../lib/futures/_plain_data.ts";
import type { Call } from "../../lib/futures/_protocol.ts";

const codec = makeCodec(v8 as unknown as V8, findUncloneable, makeIsPlain());
const roundTrip = (value: unknown) => codec.decode(codec.encode(value));

Deno.test("makeCodec() brings any value back as structuredClone() does", () => {
  fc.assert(
    fc.property(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withSparseArray: true,
        withTypedArray: true,
        withUnicodeString: true,
        withBoxedValues: true,
      }),
      (value) => assertEquals(roundTrip(value), structuredClone(value)),
    ),
    { numRuns: 1000 },
  );
});

Deno.test("makeCodec() brings any number back", () => {
  fc.assert(fc.property(fc.double(), (value) => Object.is(roundTrip(value), value)));
  fc.assert(fc.property(fc.double(), (value) => Object.is((roundTrip([value]) as number[])[0], value)));
});

Deno.test("makeCodec() brings any string back, lone surrogates too", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 5000 }), (value) => roundTrip(value) === value));
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0xd7f0, max: 0xe00f })),
      (units) => roundTrip(String.fromCharCode(...units)) === String.fromCharCode(...units),
    ),
  );
});

Deno.test("makeCodec() brings any JSON back, at any size", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => assertEquals(roundTrip(value), structuredClone(value))),
  );
  for (const size of [0, 1, 62, 63, 64, 65, 1000]) {
    const list = Array.from({ length: size }, (_, n) => ({ n }));
    assertEquals(roundTrip(list), list);
    const object = Object.fromEntries(list.entries().map(([n, item]) => [`k${n}`, item]));
    assertEquals(roundTrip(object), object);
  }
  for (const length of [4095, 4096, 4097]) assertEquals(roundTrip(["x".repeat(length)]), ["x".repeat(length)]);
});

Deno.test("makeCodec() does not call toJSON()", () => {
  assertThrows(() => codec.encode({ toJSON: () => 5 }), TypeError, ".toJSON is a function");
  const inherited = Object.create({ toJSON: () => 5 });
  inherited.a = 1;
  assertEquals(roundTrip(inherited), { a: 1 });
  assertEquals(roundTrip(new Date(5)), new Date(5));
});

Deno.test("makeCodec() keeps shared references", () => {
  const shared = { a: 1 };
  const [a, b] = roundTrip([shared, shared]) as [unknown, unknown];
  assertEquals(a === b, true);
});

Deno.test("makeCodec().encodeResult() is as encode() of the message", () => {
  const results = [undefined, null, false, true, 0, -0, 1.5, NaN, -Infinity, "", "text", [1], new Map([[1, 2]])];
  for (const [seq, value] of results.entries()) {
    assertEquals(codec.decode(codec.encodeResult(seq, 0.25, value)), ["result", seq, 0.25, value]);
  }
});

const runOf = (first: number, calls: readonly Call[]): Call[] => {
  const attached: ArrayBuffer[] = [];
  const { bytes, count } = codec.encodeRun(first, calls, 16, attached);
  const [kind, from, flat] = codec.decode(bytes.subarray(16), attached) as [string, number, unknown[]];
  assertEquals([kind, from, flat.length], ["run", first, 2 * count]);
  return Array.from({ length: count }, (_, i) => [flat[2 * i], flat[2 * i + 1]] as unknown as Call);
};

Deno.test("makeCodec().encodeRun() takes all calls that are given numbers and the like", () => {
  const values = [0, -0, 1.5, NaN, -Infinity, 2 ** 53, true, false, null, undefined];
  const calls = Array.from({ length: 500 }, (_, n): Call => [n % 2 ? -n : n, values.slice(n % 11)]);
  const long: Call = [7, new Array(255).fill(1)];
  for (const some of [calls, calls.slice(0, 1), [long]]) {
    assertEquals(runOf(2 ** 40, some), some);
  }
});

Deno.test("makeCodec().encodeRun() takes all calls that are given plain data, each with a copy of its own", () => {
  const one = { a: [1] };
  const given = { args: [one], context: { one: 1 } };
  const calls: Call[] = [[1, [one]], [2, ["text", one]], [-3, [[one], [2]]], [4, given]];
  const taken = runOf(5, calls);
  assertEquals(taken, calls);
  assert((taken[0]![1] as unknown[])[0] !== (taken[1]![1] as unknown[])[1]);
});

Deno.test("makeCodec().encodeRun() takes calls that are cloned, up to one that was given what another one was given", () => {
  const inner = { large: new Uint8Array(1 << 20) };
  const map = new Map<string, unknown>([["inner", inner]]);
  const other = new Map([[1, 2]]);
  for (
    const [calls, count] of [
      [[[1, [map]], [2, [other]], [3, [1n]], [4, [1]]], 4],
      [[[1, [map]], [2, [map]]], 1],
      [[[1, [other]], [2, [map]], [3, [new Set([inner])]]], 2],
      [[[1, [inner.large]], [2, [other]], [3, [inner.large.subarray(1)]], [4, [0]]], 2],
      [[[1, new Array(256).fill(undefined)], [2, [other, other]]], 2],
    ] as [Call[], number][]
  ) {
    assertEquals(runOf(3, calls), calls.slice(0, count));
  }
});

Deno.test("makeCodec().encodeRun() cuts the calls short where another way of encoding begins", () => {
  const [numbers, plain, clone, uncloneable]: Call[] = [[1, [1]], [2, ["text"]], [3, [1n]], [4, [() => {}]]];
  assertEquals(runOf(0, [numbers!, numbers!, plain!]), [numbers, numbers]);
  assertEquals(runOf(0, [plain!, numbers!, plain!, clone!]), [plain, numbers, plain]);
  assertEquals(runOf(0, [clone!, plain!, uncloneable!]), [clone, plain]);
  assertThrows(() => runOf(0, [uncloneable!, plain!]), TypeError, "is a function");
  let reads = 0;
  const fickle: Call = [5, [{
    get sometimes() {
      if (++reads > 1) throw new RangeError("read again");
      return 1;
    },
  }]];
  assertEquals(runOf(0, [plain!, fickle]), [plain], "not the fault of the first");
});

Deno.test("makeCodec().encode() leaves room in front", () => {
  for (const value of [undefined, 5, [1, "x"], new Map([[1, 2]])]) {
    for (const room of [0, 1, 16]) {
      const bytes = codec.encode(value, room);
      assertEquals([...bytes.subarray(0, room)], new Array(room).fill(0));
      assertEquals(codec.decode(bytes.subarray(room)), value);
    }
  }
});

Deno.test("makeCodec().encode() gives large buffers beside the bytes, each once", () => {
  const large = new Uint8Array(100_000).fill(7);
  const value = { large, part: new Int16Array(large.buffer, 10, 20), again: large.buffer, small: Uint8Array.of(1, 2) };
  const attached: ArrayBuffer[] = [];
  const bytes = codec.encode(value, 0, attached);
  assertEquals([attached.length, attached[0] === large.buffer, bytes.length < 1000], [1, true, true]);
  const copies = attached.map((buffer) => buffer.slice());
  const back = codec.decode(bytes, copies) as typeof value;
  assertEquals(back, value);
  assertEquals([back.large.buffer === copies[0], back.part.buffer === copies[0], back.again === copies[0]], [
    true,
    true,
    true,
  ]);
  const resizable = new Uint8Array(new ArrayBuffer(100_000, { maxByteLength: 200_000 }));
  codec.encode(resizable, 0, attached);
  assertEquals(attached.length, 1);
});

Deno.test("makeCodec() refuses bytes that are not its own", () => {
  for (const bytes of [[0], [9, 1], [1], [1, 0x7b], [2], [2, 0xff, 0x0f, 0xff]]) {
    assertThrows(() => codec.decode(Uint8Array.from(bytes)), Error, undefined, String(bytes));
  }
});

Deno.test("findUncloneable() finds nothing in what structuredClone() takes", () => {
  fc.assert(
    fc.property(
      fc.anything({ withDate: true, withMap: true, withSet: true, withTypedArray: true, withBigInt: true }),
      (value) => {
        assertEquals([findUncloneable(value, false), findUncloneable(value, true)], [null, null]);
      },
    ),
  );
});

Deno.test("findUncloneable() says where and what, and comes to an end in a circle", () => {
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  assertEquals(findUncloneable(circular, true), null);
  circular["list"] = [1, { run: () => 1 }];
  assertEquals(findUncloneable(circular, false), ".list[1].run is a function");
  assertEquals(findUncloneable(() => 1, false), " is a function");
  assertEquals(findUncloneable(new Map([[() => 1, 1]]), false), " key is a function");
});
