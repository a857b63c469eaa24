/**
 * Prints the loop's figures next to those of CPython and of bare native code, all of one run: `deno task bench:loop
 * [python]`.
 */

import { createTask, EventLoop, gather, getRunningLoop, sleep, wait } from "../lib/asyncio/mod.ts";
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

console.log(`a parked task: ${await parkedBytes()} bytes`);
console.log(`HTTP beside 1,000 spinning tasks: ${(await httpLatency()).toFixed(2)} ms in the median`);

/** What a task takes that waits for a future; needs `--v8-flags=--expose-gc`. */
function parkedBytes(): Promise<number> {
  const { gc } = globalThis as unknown as { gc(): void };
  const count = 100_000;
  return new EventLoop().runUntilComplete(function* () {
    const event = getRunningLoop().createFuture();
    function* parked() {
      yield* event;
    }
    gc();
    const before = Deno.memoryUsage().heapUsed;
    const tasks = Array.from({ length: count }, () => createTask(parked()));
    yield* sleep(0);
    gc();
    const bytes = Math.round((Deno.memoryUsage().heapUsed - before) / count);
    for (const task of tasks) task.cancel();
    yield* wait(tasks);
    return bytes;
  }());
}

/** Milliseconds from request to response of a server in this program, whose loop never rests. */
async function httpLatency(): Promise<number> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("ok"));
  const latencies: number[] = [];
  let over = false;
  function* spin() {
    while (!over) yield* sleep(0);
  }
  await new EventLoop().runUntilComplete(async () => {
    const tasks = Array.from({ length: 1000 }, () => createTask(spin()));
    for (let i = 0; i < 100; i++) {
      const start = performance.now();
      await (await fetch(`http://127.0.0.1:${server.addr.port}/`)).text();
      latencies.push(performance.now() - start);
    }
    over = true;
    await gather(tasks);
  });
  return median(latencies);
}
