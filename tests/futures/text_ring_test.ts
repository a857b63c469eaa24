/** Texts through memory that two threads share. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { makeTextRing } from "../../lib/futures/_text_ring.ts";

const SIZE = 64;

Deno.test("makeTextRing() gives texts in their order, round and round, and refuses what would run over another", () => {
  const text = fc.string({ unit: "binary", maxLength: 12 });
  // A number: so many texts are read.
  const step = fc.oneof(text, fc.integer({ min: 1, max: 4 }));
  fc.assert(fc.property(
    fc.array(step, { maxLength: 200 }),
    fc.constantFrom(0, 60, 2 ** 31 - 64, 2 ** 31 - 10, -10),
    (steps, origin) => {
      const memory = new SharedArrayBuffer(SIZE + 8);
      new Int32Array(memory, SIZE).fill(origin);
      const writer = makeTextRing(memory);
      const reader = makeTextRing(memory);
      const places: { text: string; start: number; end: number }[] = [];
      for (const step of steps) {
        if (typeof step === "string") {
          const start = writer.write(step);
          if (start !== undefined) places.push({ text: step, start, end: writer.end });
          else assert(places.length > 0 || 6 * step.length > SIZE, `no room for ${step.length} though it is empty`);
          continue;
        }
        for (const { text, start, end } of places.splice(0, step)) {
          assertEquals(reader.read(start, end), text);
          reader.release(end);
        }
      }
      assertEquals(places.map(({ start, end }) => reader.read(start, end)), places.map(({ text }) => text));
    },
  ));
});

Deno.test("makeTextRing() reads nothing that is longer than it is, whoever says so", () => {
  const reader = makeTextRing(new SharedArrayBuffer(SIZE + 8));
  for (const end of [SIZE + 1, 2 ** 28, -1, 2 ** 31, NaN]) {
    if (Number.isNaN(end)) assertEquals(reader.read(0, end), "");
    else assertThrows(() => reader.read(0, end), RangeError, "a text of");
  }
});
