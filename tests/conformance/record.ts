/** Records the corpus anew from CPython: `deno task conformance:record [count] [python]`. */

import { writeCorpus } from "./corpus.ts";
import { generate } from "./program.ts";
import { pythonTraces } from "./python.ts";

const [count = "6000", python = "python3"] = Deno.args;
const programs = Array.from(
  { length: Number(count) },
  (_, seed) => generate(seed),
);
const traces = await Array.fromAsync(pythonTraces(programs, python));
if (traces.length < programs.length) {
  throw new Error(
    `${python} ended after ${traces.length} of ${programs.length} programs`,
  );
}
await writeCorpus(traces);
console.log(`${traces.length} traces`);
