/** A child may send anything: its parent gets a message, output or an error, and never holds more than the limit. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import v8 from "node:v8";
import { findUncloneable } from "../../lib/futures/_cloneable.ts";
import { makeCodec, type V8 } from "../../lib/futures/_codec.ts";
import { makeIsPlain } from "../../lib/futures/_plain_data.ts";
import { decodeError } from "../../lib/futures/_error_codec.ts";
import { PacketReader } from "../../lib/futures/_packet_reader.ts";
import { LONG } from "./_helpers.ts";

const RUNS = LONG ? 100_000 : 3000;
const LIMIT = 50_000;
const KEY = Uint8Array.from({ length: 16 }, (_, i) => 200 + i);
const codec = makeCodec(v8 as unknown as V8, findUncloneable, makeIsPlain());

function packet(channel: number, last: boolean, body: Uint8Array, length = body.length): Uint8Array {
  return Uint8Array.from([...KEY, channel, last ? 1 : 0, length & 255, length >> 8, ...body, 10]);
}

/** The packets of a message, each of at most `size` bytes. */
function packets(payload: Uint8Array, size: number, channel = 0): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    parts.push(packet(channel, at + size >= payload.length, payload.subarray(at, at + size)));
  }
  return parts;
}

/** What is deep or refers to itself. */
function nested(depth: number, kind: number): unknown {
  let value: unknown = 1;
  for (let n = 0; n < depth; n++) value = kind === 0 ? [value] : kind === 1 ? { value } : new Map([[1, value]]);
  return value;
}

const circle: Record<string, unknown> = {};
circle["self"] = circle;

const message = fc.oneof(
  fc.tuple(
    fc.constantFrom("result", "error", "progress", "yield", "exit", "broken"),
    fc.integer(),
    fc.double(),
    fc.anything(),
  )
    .map((list) => {
      try {
        return codec.encode(list);
      } catch {
        return codec.encode(["result", 0, 0, 1]);
      }
    }),
  fc.uint8Array({ maxLength: 200 }),
  // A clone that says it is much larger than it is.
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Uint8Array.from([2, 0xff, 0x0f, ...bytes])),
  fc.constantFrom(0x41, 0x61, 0x42, 0x22, 0x63, 0x5a, 0x3b, 0x27, 0x7e).chain((tag) =>
    fc.uint8Array({ maxLength: 6 }).map((rest) =>
      Uint8Array.from([2, 0xff, 0x0f, tag, 0xff, 0xff, 0xff, 0x7f, ...rest])
    )
  ),
  fc.tuple(fc.nat(2000), fc.nat(2)).map(([depth, kind]) => codec.encode(["result", 0, 0, nested(depth, kind)])),
  fc.constant(codec.encode(["error", 0, 0, circle])),
);

/** Bytes as a child might send them: whole, cut, out of order, too long, too short, changed. */
const stream = fc.tuple(
  fc.array(fc.tuple(message, fc.integer({ min: 1, max: 3000 }), fc.nat(2)), { maxLength: 4 }),
  fc.constantFrom("whole", "truncated", "oversized", "shuffled", "flipped", "endless"),
  fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
).map(([messages, damage, seeds]) => {
  let parts = messages.flatMap(([payload, size, channel]) => packets(payload, size, channel));
  const at = (n: number) => seeds[n]! % Math.max(1, parts.length);
  if (damage === "shuffled") parts = parts.toSorted((a, b) => (a.length * seeds[0]!) % 7 - (b.length * seeds[0]!) % 7);
  if (damage === "oversized") parts.splice(at(0), 0, packet(0, false, new Uint8Array(10), seeds[1]! & 0xffff));
  if (damage === "endless") parts = Array.from({ length: 20 }, () => packet(0, false, new Uint8Array(4000).fill(7)));
  const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
  if (damage === "truncated") return bytes.subarray(0, seeds[2]! % (bytes.length + 1));
  if (damage === "flipped") {
    for (const seed of seeds) if (bytes.length > 0) bytes[seed % bytes.length]! ^= 1 << (seed % 8);
  }
  return bytes;
});

Deno.test(`PacketReader, makeCodec() and decodeError() of ${RUNS} hostile streams: an error, or what they say`, () => {
  let messages = 0;
  let refused = 0;
  fc.assert(
    fc.property(stream, fc.integer({ min: 1, max: 9000 }), (bytes, step) => {
      let taken = 0;
      const reader = new PacketReader(KEY, LIMIT, {
        output: (bytes) => taken += bytes.length,
        message: (channel, payload) => {
          messages++;
          assert(payload.length <= (channel === 0 ? LIMIT : 65536));
          taken += payload.length;
          let value: unknown;
          try {
            value = channel === 0 ? codec.decode(payload) : JSON.parse(new TextDecoder().decode(payload));
          } catch (error) {
            assert(error instanceof Error);
            return;
          }
          if (!Array.isArray(value)) return;
          try {
            decodeError(value[3]);
          } catch (error) {
            assert(error instanceof Error);
          }
        },
      });
      const before = Deno.memoryUsage().external;
      try {
        for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
        reader.end();
      } catch (error) {
        // The child is ended for it.
        assert(error instanceof RangeError, String(error));
        refused++;
      }
      assert(taken <= bytes.length, "nothing comes twice");
      assert(Deno.memoryUsage().external - before < 20 * LIMIT + 2 ** 20, "it allocates more than it was sent");
    }),
    { numRuns: RUNS, seed: 1, endOnFailure: true },
  );
  assert(messages > RUNS / 3 && refused > RUNS / 20, `${messages} messages, ${refused} refused`);
  assertEquals(Object.keys(Object.prototype), [], "no prototype was polluted");
});

Deno.test("PacketReader refuses a message beyond its limit before it holds it", () => {
  const reader = new PacketReader(KEY, LIMIT, { output: () => {}, message: () => {} });
  const part = packet(0, false, new Uint8Array(4000));
  assertThrows(
    () => {
      for (let n = 0; n < 100; n++) reader.push(part);
    },
    RangeError,
    "more than 50000 bytes",
  );
});

Deno.test("PacketReader holds no more than it was sent, whatever the size of the packets", () => {
  const reader = new PacketReader(KEY, 2 ** 30, { output: () => {}, message: () => {} });
  const part = packet(0, false, Uint8Array.of(1));
  const before = Deno.memoryUsage();
  for (let n = 0; n < 50_000; n++) reader.push(part);
  const { external, heapUsed } = Deno.memoryUsage();
  assert(external - before.external < 30e6 && heapUsed - before.heapUsed < 60e6, "a part costs more than its bytes");
});

Deno.test("decodeError() of what is nested without end is an error, not an end of the program", () => {
  let encoded: Record<string, unknown> = { kind: "value", value: 1 };
  for (let n = 0; n < 200_000; n++) {
    encoded = { kind: "error", base: "Error", name: "E", message: "", stack: "", properties: [], cause: encoded };
  }
  assertThrows(() => decodeError(encoded), Error);
  assertThrows(() => decodeError({ ...encoded, cause: undefined, properties: 5 }), Error);
});
