import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Deque } from "../lib/_deque.ts";

type Step = ["push", number] | ["unshift", number] | ["shift"] | ["take"] | ["trim"] | ["peek"];

Deno.test("Deque does what an array does", () => {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant("push" as const), fc.integer()) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("unshift" as const), fc.integer()) },
    { weight: 4, arbitrary: fc.tuple(fc.constant("shift" as const)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("take" as const)) },
    fc.tuple(fc.constant("trim" as const)),
    fc.tuple(fc.constant("peek" as const)),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 500 }), (steps) => {
      const deque = new Deque<number>();
      const model: number[] = [];
      for (const [what, item] of steps) {
        switch (what) {
          case "push":
            deque.push(item);
            model.push(item);
            break;
          case "unshift":
            deque.unshift(item);
            model.unshift(item);
            break;
          case "shift":
            assertEquals(deque.shift(), model.shift());
            break;
          case "take":
            assertEquals(deque.take(), model.shift());
            break;
          case "trim":
            deque.trim();
            break;
          case "peek":
            assertEquals(deque.peek(), model[0]);
            break;
        }
        assertEquals(deque.length, model.length);
      }
    }),
  );
});

Deno.test("Deque keeps the order through growing and shrinking", () => {
  const deque = new Deque<number>();
  for (let n = 0; n < 10; n++) deque.push(-1);
  for (let n = 0; n < 10; n++) deque.shift();
  for (let n = 0; n < 50_000; n++) deque.push(n);
  for (let n = -1; n > -1000; n--) deque.unshift(n);
  for (let n = -999; n < 40_000; n++) assertEquals(n % 2 === 0 ? deque.shift() : deque.take(), n);
  for (let n = 40_000; n < 50_000; n++) assertEquals(deque.take(), n);
  for (let n = 0; n < 5; n++) deque.trim();
  assertEquals([deque.length, deque.shift(), deque.peek()], [0, undefined, undefined]);
  deque.push(1);
  assertEquals(deque.shift(), 1);
});

Deno.test("Deque holds undefined as an item", () => {
  const deque = new Deque<number | undefined>();
  deque.push(undefined);
  deque.push(1);
  assertEquals([deque.length, deque.peek(), deque.shift(), deque.length, deque.shift()], [
    2,
    undefined,
    undefined,
    1,
    1,
  ]);
});
