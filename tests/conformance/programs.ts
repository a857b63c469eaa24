/**
 * Prints the programs of a range of seeds, one JSON text a line, as `run.py` and `sync_counts.py` read them: `deno run
 * programs.ts <first seed> <count> [every]`.
 */

import { generate } from "./program.ts";

const [first = "0", count = "1000", every = "1"] = Deno.args;
for (let i = 0; i < Number(count); i++) {
  console.log(JSON.stringify(generate(Number(first) + i * Number(every))));
}
