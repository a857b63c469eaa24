/**
 * Runs the programs of a range of seeds on Skein and on CPython and compares the traces: `deno run -A compare.ts <first
 * seed> <count> [python] [native]`. With `native`, the interpreter is rewritten with `async` and `await`.
 */

import { execute } from "./interpret.ts";
import { keepsOrder, nativeInterpreter } from "./native.ts";
import { generate } from "./program.ts";
import { pythonTraces } from "./python.ts";

const [first = "0", count = "1000", python = "python3", native] = Deno.args;
const programs = Array.from(
  { length: Number(count) },
  (_, i) => generate(Number(first) + i),
);
const run = native === "native" ? await nativeInterpreter() : execute;
let different = 0;
let events = 0;
let left = 0;
let i = 0;
for await (const expected of pythonTraces(programs, python)) {
  const program = programs[i++]!;
  if (run !== execute && !keepsOrder(program, expected)) {
    left++;
    continue;
  }
  const actual = await run(program);
  events += expected.length;
  const at = expected.findIndex((line, k) => line !== actual[k]);
  if (at < 0 && actual.length === expected.length) continue;
  if (++different <= 5) {
    const line = at < 0 ? expected.length : at;
    console.log(`seed ${program.seed}, event ${line}, eager ${program.eager}`);
    for (let k = Math.max(0, line - 8); k < line; k++) {
      console.log(`    ${expected[k]}`);
    }
    for (let k = line; k < line + 4; k++) {
      console.log(
        `    python ${expected[k] ?? "(none)"}   |   skein ${actual[k] ?? "(none)"}`,
      );
    }
  }
}
console.log(`${i - left} programs, ${events} events, ${different} different`);
if (left > 0) console.log(`${left} left out: their order is not kept in native code`);
if (different > 0 || i < programs.length) Deno.exit(1);
