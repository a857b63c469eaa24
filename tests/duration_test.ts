import { assertEquals, assertThrows } from "@std/assert";
import { toMilliseconds } from "../lib/_duration.ts";

Deno.test("toMilliseconds() takes milliseconds, durations, and nothing for no limit", () => {
  assertEquals(toMilliseconds(5, "timeout"), 5);
  assertEquals(toMilliseconds(0, "timeout"), 0);
  assertEquals(toMilliseconds(-1.5, "timeout"), -1.5);
  assertEquals(toMilliseconds(Infinity, "timeout"), Infinity);
  assertEquals(toMilliseconds(undefined, "timeout"), Infinity);
  assertEquals(toMilliseconds(null, "timeout"), Infinity);
  assertEquals(toMilliseconds({ seconds: 1, milliseconds: 500 }, "timeout"), 1500);
  assertEquals(toMilliseconds({ days: 1 }, "timeout"), 86_400_000);
  assertEquals(toMilliseconds({ microseconds: 500 }, "timeout"), 0.5);
  assertEquals(toMilliseconds(Temporal.Duration.from({ minutes: 2 }), "timeout"), 120_000);
});

Deno.test("toMilliseconds() refuses what has no length, and says what was passed as what", () => {
  assertThrows(() => toMilliseconds(NaN, "delay"), RangeError, "NaN as delay");
  assertThrows(() => toMilliseconds({ months: 1 }, "delay"), RangeError, "months");
  for (const bad of ["5", "PT5S", true, 5n, Symbol("s"), () => 1]) {
    assertThrows(() => toMilliseconds(bad as never, "delay"), TypeError, "delay");
  }
  for (const bad of [{}, { second: 1 }, { seconds: "x" }]) {
    const error = assertThrows(() => toMilliseconds(bad as never, "delay"), Error, "delay");
    assertEquals(error instanceof TypeError || error instanceof RangeError, true);
  }
});

Deno.test("toMilliseconds() says of a fraction in a duration how to write it", () => {
  for (const bad of [{ seconds: 0.5 }, { milliseconds: 1.5 }]) {
    assertThrows(
      () => toMilliseconds(bad, "delay"),
      RangeError,
      "pass milliseconds, or a duration such as { seconds: 1,",
    );
  }
  assertThrows(() => toMilliseconds({ months: 1 }, "delay"), RangeError, "of fixed length");
});
