import { assertEquals } from "@std/assert";
import { readCorpus } from "./corpus.ts";
import { execute } from "./interpret.ts";
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
