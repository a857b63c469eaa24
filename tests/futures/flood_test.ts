/** More than fits: into a pipe, into a queue, into memory. `deno task chaos` runs the largest of it. */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { ProcessPoolExecutor, WorkerCrashedError } from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, Gate, hold, LONG, poolTest, runScript } from "./_helpers.ts";

const same = <T>(x: T): T => x;
const MEBIBYTE = 2 ** 20;

for (const kind of ["thread", "process"]) {
  const name = kind === "thread" ? "ThreadPoolExecutor" : "ProcessPoolExecutor";

  for (const mode of ["maxQueue", "buffersize", "stream", "room"]) {
    Deno.test(`${name} takes calls without end in constant memory: ${mode}`, async () => {
      const { code, stdout, stderr } = await runScript(
        "flood.ts",
        [kind, mode, LONG ? "400000" : "20000"],
        ["--allow-all", "--v8-flags=--expose-gc"],
      );
      assertEquals([code, stderr], [0, ""]);
      const { grown, most } = JSON.parse(stdout) as { grown: number; most: number };
      assert(grown < 4e6, `it holds ${grown} bytes more after twice as many calls`);
      assert(most < 10e6, `it held ${most} bytes more than at its start`);
    });
  }
}

forEachPool(`submit() of ${LONG ? "1,000,000" : "50,000"} calls that all wait runs them all`, async (kind) => {
  const count = LONG ? 1_000_000 : 50_000;
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 2 });
  const held = [0, 1].map((id) => pool.submit(hold, gate.port, id));
  for (const id of [0, 1]) await gate.started(id);
  let sum = 0;
  const last = Promise.withResolvers<void>();
  for (let n = 1; n <= count; n++) {
    const future = pool.submit(same<number>, n);
    future.addDoneCallback(() => {
      sum += n;
      if (n === count) last.resolve();
    });
  }
  const { queued, running } = assertAddsUp(pool.statistics());
  assertEquals([queued, running], [count, 2]);
  for (const id of [0, 1]) await gate.open(id);
  await Promise.all([last.promise, ...held]);
  await pool.shutdown();
  assertEquals(sum, count * (count + 1) / 2);
  assertEquals(assertAddsUp(pool.statistics()).completed, count + 2);
});

forEachPool("submit() of arguments and results larger than any pipe, both ways at a time", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const bytes = crypto.getRandomValues(new Uint8Array(65536));
  const large = new Uint8Array(3 * MEBIBYTE);
  for (let at = 0; at < large.length; at += bytes.length) large.set(bytes, at);
  const results = await Promise.all(Array.from({ length: 6 }, () => pool.submit(same<Uint8Array>, large)));
  for (const result of results) assertEquals(result.length === large.length && equal(result, large), true);
  const text = "äöü".repeat(500_000);
  assertEquals(await pool.submit(same<string>, text) === text, true);
});

function equal(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

forEachPool(`submit() of an argument of ${LONG ? 256 : 32} MiB, cloned and moved`, async (kind) => {
  const length = (LONG ? 256 : 32) * MEBIBYTE;
  await using pool = kind.create({ maxWorkers: 1 });
  const bytes = new Uint8Array(length);
  bytes[length - 1] = 7;
  const look = (bytes: Uint8Array) => [bytes.length, bytes[bytes.length - 1]!];
  assertEquals(await pool.submit(look, bytes), [length, 7]);
  assertEquals(bytes.length, length);
  assertEquals(await pool.submitWith({ transfer: [bytes.buffer] }, look, bytes), [length, 7]);
  assertEquals(bytes.length, 0);
});

poolTest(
  "ProcessPoolExecutor.submit() rejects a call whose result is larger than maxResultSize, and goes on",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxResultSize: 100_000 });
    const make = (length: number) => "x".repeat(length);
    assertEquals((await pool.submit(make, 99_000)).length, 99_000);
    const error = await pool.submit(make, 200_000).exception();
    assertInstanceOf(error, WorkerCrashedError);
    assertStringIncludes(error.message, "more than 100000 bytes");
    assertEquals((await pool.submit(make, 99_000)).length, 99_000);
  },
);
