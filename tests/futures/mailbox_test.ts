/** The ways into a child: shared memory, messages, buffers on their own; and what else its thread has to do. */

import { assert, assertEquals } from "@std/assert";
import { ProcessPoolExecutor } from "../../lib/futures/mod.ts";
import { poolTest } from "./_helpers.ts";

poolTest(
  "ProcessPoolExecutor.map() gives each call its own argument, whichever way that goes into a child",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 2, maxQueue: 100 });
    const measure = (load: string | Uint8Array) => `${load.length} ${load.at(-1)} ${"x".repeat(200)}`;
    const buffer = (n: number) => new Uint8Array(70_000 + n).fill(n % 256);
    // By shared memory mostly; what is large by a message, or beside its call.
    const load = (n: number) =>
      n % 500 === 0 ? buffer(n) : n % 701 === 0 ? "x".repeat(20_000) : "x".repeat(200 + n % 10);
    let n = 0;
    for await (const text of pool.map(measure, Array.from({ length: 20_000 }, (_, n) => load(n)))) {
      const { length, [length - 1]: last } = load(n++);
      assertEquals(text, `${length} ${last} ${"x".repeat(200)}`);
    }
    assertEquals([n, pool.statistics().workersStarted], [20_000, 2]);
  },
);

poolTest(
  "ProcessPoolExecutor.submit() keeps the order of calls that come to a child while it is busy, whichever way",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const note = (n: number, _load: string | Uint8Array) => {
      const scope = globalThis as unknown as { notes?: number[] };
      (scope.notes ??= []).push(n);
    };
    const sizes = [0, 1, 300, 7000, 20_000, 0, 5000, 5000, 5000, 5000, 90_000];
    for (let n = 0; n < 2000; n++) {
      const size = sizes[n % sizes.length]!;
      pool.submit(note, n, n % 2 === 0 ? "x".repeat(size) : new Uint8Array(size));
      // Several of them in a frame, several frames in a write, and several writes before the child looks.
      if (n % 3 === 0) await null;
      if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const notes = await pool.submit(() => (globalThis as unknown as { notes: number[] }).notes);
    assertEquals(notes, Array.from({ length: 2000 }, (_, n) => n));
  },
);

poolTest(
  "ProcessPoolExecutor.submit() lets a timer run that a task left behind, though call follows call",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const start = () => {
      const scope = globalThis as unknown as { ticks: number };
      scope.ticks = 0;
      setInterval(() => scope.ticks++, 1);
    };
    const ticks = () => (globalThis as unknown as { ticks: number }).ticks;
    await pool.submit(start);
    const begin = performance.now();
    while (await pool.submit(ticks) < 20) assert(performance.now() - begin < 1000, "it does not run");
  },
);
