/**
 * Prints the loop's figures next to those of CPython and of bare native code, all of one run: `deno task bench:loop
 * [python]`.
 */

import { type Case, loopCases, nativeAwait } from "./_loop_cases.ts";

const ROUNDS = 5;
const [python = "python3"] = Deno.args;

/** Operations a second in one run. */
async function rate({ operations, run }: Case): Promise<number> {
  const start = performance.now();
  await run();
  return operations / (performance.now() - start) * 1000;
}

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
}

async function measure(each: Case): Promise<number> {
  const rates: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) rates.push(await rate(each));
  // The first one compiles.
  return median(rates.slice(1));
}

const millions = (rate: number | undefined): string => rate === undefined ? "-" : `${(rate / 1e6).toFixed(2)} M/s`;

const script = new URL("python/loop_bench.py", import.meta.url).pathname;
const { stdout } = await new Deno.Command(python, {
  args: [script],
  stderr: "inherit",
}).output();
const cpython: Record<string, number> = JSON.parse(
  new TextDecoder().decode(stdout),
);

// By turns, so that whatever else the machine does slows both down.
const [switching, ...others] = loopCases;
const pairs: { native: number; skein: number }[] = [];
for (let round = 0; round <= 2 * ROUNDS; round++) {
  pairs.push({
    native: await rate(nativeAwait),
    skein: await rate(switching!),
  });
}
const warm = pairs.slice(ROUNDS);
const ratio = median(warm.map(({ native, skein }) => skein / native));
console.log(
  `bare native: ${nativeAwait.name}: ${millions(median(warm.map((pair) => pair.native)))}`,
);
console.log(
  `${switching!.name}: ${millions(median(warm.map((pair) => pair.skein)))} (CPython ${
    millions(cpython[switching!.name])
  }), ` +
    `${ratio.toFixed(2)} of the bare await`,
);
for (const each of others) {
  console.log(
    `${each.name}: ${millions(await measure(each))} (CPython ${millions(cpython[each.name])})`,
  );
}
