import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { type ErrorCondition, ExceptionGroup, run, taskGroup, ValueError } from "../../lib/asyncio/mod.ts";

class OSError extends Error {
  override name = "OSError";
}

const inner = new ExceptionGroup("in", [new TypeError("2"), new ValueError("3")]);
const group = new ExceptionGroup("top", [new ValueError("1"), inner, new OSError("4")]);

/** As `message[errors]`, which the values below were printed as by CPython 3.13. */
function shown(error: unknown): string {
  if (error === null) return "None";
  if (!(error instanceof ExceptionGroup)) return `${(error as Error).name} ${(error as Error).message}`;
  return `${error.message.replace(/ \(.*$/, "")}[${error.errors.map(shown).join(", ")}]`;
}

for (
  const [what, condition, matching, rest] of [
    ["a class", ValueError, "top[ValueError 1, in[ValueError 3]]", "top[in[TypeError 2], OSError 4]"],
    ["classes", [TypeError, OSError], "top[in[TypeError 2], OSError 4]", "top[ValueError 1, in[ValueError 3]]"],
    ["a class of none of them", URIError, "None", "top[ValueError 1, in[TypeError 2, ValueError 3], OSError 4]"],
    [
      "a function that takes a group",
      (error: unknown) => error === inner,
      "top[in[TypeError 2, ValueError 3]]",
      "top[ValueError 1, OSError 4]",
    ],
    [
      "a function that takes an error",
      (error: unknown) => (error as Error).message === "3",
      "top[in[ValueError 3]]",
      "top[ValueError 1, in[TypeError 2], OSError 4]",
    ],
  ] as [string, ErrorCondition, string, string][]
) {
  Deno.test(`ExceptionGroup.split() by ${what} parts the errors as CPython does`, () => {
    assertEquals(group.split(condition).map(shown), [matching, rest]);
    assertEquals(shown(group.subgroup(condition)), matching);
  });
}

Deno.test("ExceptionGroup.split() gives the very group where all of it fits", () => {
  for (const condition of [Error, ExceptionGroup]) {
    const [matching, rest] = group.split(condition);
    assertStrictEquals(matching, group);
    assertEquals(rest, null);
  }
});

Deno.test("ExceptionGroup.split() keeps the class that derive() makes, the cause and the stack", () => {
  class Mine extends ExceptionGroup {
    override derive(errors: Iterable<unknown>): Mine {
      return new Mine("mine", errors);
    }
  }
  const cause = new Error("why");
  const mine = new Mine("mine", [new ValueError("1"), new TypeError("2")], { cause });
  for (const part of mine.split(ValueError)) {
    assertInstanceOf(part, Mine);
    assertEquals([part.message, part.cause, part.stack], ["mine (1 sub-exception)", cause, mine.stack]);
    assertEquals(Object.keys(part), Object.keys(mine));
  }
  assertEquals("cause" in group.subgroup(ValueError)!, false);
});

Deno.test("ExceptionGroup.split() refuses what is no condition", () => {
  for (const bad of [5, "x", [], [5], null, undefined, {}]) {
    assertThrows(() => group.split(bad as never), TypeError, "pass a class of errors, a list of them, or a function");
  }
});

Deno.test("ExceptionGroup.split() parts what a task group throws", async () => {
  const fail = async (error: Error) => await Promise.reject(error);
  const rest = await run(async () => {
    try {
      await taskGroup(function* (tasks) {
        tasks.createTask(() => fail(new ValueError("a")));
        tasks.createTask(() => fail(new OSError("b")));
      });
    } catch (error) {
      assertInstanceOf(error, ExceptionGroup);
      const [values, rest] = error.split(ValueError);
      assertEquals(values!.errors.map(String), ["ValueError: a"]);
      return rest;
    }
  });
  assertEquals(rest!.errors.map(String), ["OSError: b"]);
});
