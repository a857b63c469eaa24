import { assertEquals } from "@std/assert";
import { readCorpus } from "./corpus.ts";
import { execute } from "./interpret.ts";
import { keepsOrder, nativeInterpreter } from "./native.ts";
import { generate } from "./program.ts";

Deno.test("every recorded program has CPython's trace, event by event", async () => {
  let seed = 0;
  for await (const expected of readCorpus()) {
    const actual = await execute(generate(seed));
    // Compared as one text first: a deep comparison of millions of strings takes longer than the programs.
    if (actual.join("\n") !== expected.join("\n")) {
      assertEquals(actual, expected, `seed ${seed}`);
    }
    seed++;
  }
  assertEquals(seed, 6000);
});

Deno.test("recorded programs have CPython's trace in native code throughout, where its order is kept", async () => {
  const executeNatively = await nativeInterpreter();
  let seed = 0;
  let compared = 0;
  for await (const expected of readCorpus()) {
    if (seed === 1000) break;
    const program = generate(seed++);
    if (!keepsOrder(program, expected)) continue;
    const actual = await executeNatively(program);
    if (actual.join("\n") !== expected.join("\n")) {
      assertEquals(actual, expected, `seed ${program.seed}`);
    }
    compared++;
  }
  assertEquals(compared, 731);
});
