/**
 * The contestants' side of the protocol, in Node and in Deno: each line of stdin is a request such as
 * `{"row": "burst", "n": 10000}`, and each gets one line of stdout with the figures that the row gave.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";

/** Sets the answers off from what else a program or its workers print. */
const MARK = "answer: ";

/**
 * Answers requests until stdin ends.
 *
 * @param {Record<string, (request: any) => unknown>} rows For each row a function of the request to a figure, or to an
 * object of several.
 * @param {(error: unknown) => string} explain What to say of an error.
 */
export async function serve(rows, explain = String) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let answer;
    try {
      const row = rows[request.row];
      if (row === undefined) answer = { none: true };
      else {
        const start = performance.now();
        const figures = await row(request);
        const elapsed = performance.now() - start;
        answer = figures === undefined ? { none: true } : {
          figures: typeof figures === "object" ? figures : { value: figures },
          elapsed,
        };
      }
    } catch (error) {
      answer = { error: explain(error) };
    }
    process.stdout.write(`${MARK}${JSON.stringify(answer)}\n`);
  }
  // Whatever a pool has left running.
  process.exit();
}

/** Operations a second. */
export async function rate(n, run) {
  const start = performance.now();
  await run();
  return n / (performance.now() - start) * 1000;
}

/** The middle one, or the one at another share of the order. */
export function quantile(numbers, share = 0.5) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** For results, after the time was taken. */
export function check(holds, what) {
  if (!holds) throw new Error(`Wrong result: ${what}`);
}

/** What each of `count` things takes of the heap, in bytes; needs `--expose-gc`. */
export async function heapBytes(count, make) {
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  const made = await make();
  globalThis.gc();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  check(made.length === count, "heapBytes");
  return bytes;
}
