/**
 * Prints the figures of locks, queues and semaphores next to those of CPython and of npm packages, all of one run:
 * `deno task bench:sync [python]`.
 */

import { questions } from "./_sync_cases.ts";

const ROUNDS = 7;
const [python = "python3"] = Deno.args;
const script = new URL("python/sync_bench.py", import.meta.url).pathname;

/** Operations a second in one run of each question, by its name. */
async function cpython(): Promise<Record<string, number>> {
  const { code, stdout } = await new Deno.Command(python, { args: [script], stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`Cannot compare with ${python}: it ended with ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

// By turns, so that whatever else the machine does slows all of them down.
const rounds: Record<string, Record<string, number>>[] = [];
for (let round = 0; round <= ROUNDS; round++) {
  const rates: Record<string, Record<string, number>> = {};
  const theirs = await cpython();
  for (const { name, operations, contenders } of questions) {
    const row: Record<string, number> = rates[name] = { CPython: theirs[name]! };
    for (const [contender, run] of Object.entries(contenders)) {
      const start = performance.now();
      await run();
      row[contender] = operations / (performance.now() - start) * 1000;
    }
  }
  // The first one compiles.
  if (round > 0) rounds.push(rates);
}

for (const { name, contenders } of questions) {
  console.log(name);
  for (const contender of [...Object.keys(contenders), "CPython"]) {
    const rate = median(rounds.map((round) => round[name]![contender]!));
    const ratio = median(rounds.map((round) => round[name]![contender]! / round[name]!.CPython!));
    console.log(`  ${contender.padEnd(22)} ${(rate / 1e6).toFixed(2).padStart(6)} M/s  ${ratio.toFixed(2)} of CPython`);
  }
}
