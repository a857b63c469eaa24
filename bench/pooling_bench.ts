/**
 * How fast the pools are, beside what the platform can do at the best: a bare worker that answers each message, and one
 * that is flooded.
 *
 * The functions are `async` to the letter: one that merely returns a promise is not awaited by `deno bench`.
 *
 * Every group has one baseline, so what counts are the ratios that `deno bench` prints. In the groups of 10,000 calls
 * or messages, divide to get the time of one.
 */

import { ProcessPoolExecutor, ThreadPoolExecutor } from "../lib/futures/mod.ts";

const WORKERS = 2;
const MANY = 10_000;

function evaluate(item: number, count: number): number {
  let i = 0;
  while (i < count) i++;
  return i * item;
}

const same = (x: number): number => x;
const byteLength = (bytes: ArrayBuffer | SharedArrayBuffer): number => bytes.byteLength;

const threads = new ThreadPoolExecutor({ maxWorkers: WORKERS });
const processes = new ProcessPoolExecutor({ maxWorkers: WORKERS });
const pools = { threads, processes };

/** A worker of a few lines, as the limit: it answers every message with the message. */
const bare = new Worker("data:text/javascript,self.onmessage = (e) => self.postMessage(e.data);", { type: "module" });

function pingPong(message: unknown, transfer: Transferable[] = []): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  bare.onmessage = (event) => resolve(event.data);
  bare.postMessage(message, transfer);
  return promise;
}

function flood(count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let answers = 0;
  bare.onmessage = () => {
    if (++answers === count) resolve();
  };
  for (let i = 0; i < count; i++) bare.postMessage(i);
  return promise;
}

// Started and warm, so that no group pays for it but the one that asks for it.
await pingPong(0);
for (const pool of Object.values(pools)) {
  await Promise.all(Array.from({ length: WORKERS }, () => pool.submit(evaluate, 1, 100_000_000)));
  await Promise.all(Array.from({ length: MANY }, (_, i) => pool.submit(same, i)));
}

Deno.bench({ name: "sequential", group: "10 items counted to 100 million", baseline: true, n: 5, warmup: 1 }, () => {
  for (let item = 1; item <= 10; item++) evaluate(item, 100_000_000);
});
for (const [name, pool] of Object.entries(pools)) {
  Deno.bench({ name: `${name}, pool running`, group: "10 items counted to 100 million", n: 5, warmup: 1 }, async () => {
    await Promise.all(Array.from({ length: 10 }, (_, i) => pool.submit(evaluate, i + 1, 100_000_000)));
  });
}
Deno.bench(
  { name: "threads, with start and shutdown", group: "10 items counted to 100 million", n: 5, warmup: 1 },
  async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: WORKERS });
    await Promise.all(Array.from({ length: 10 }, (_, i) => pool.submit(evaluate, i + 1, 100_000_000)));
  },
);
Deno.bench(
  { name: "processes, with start and shutdown", group: "10 items counted to 100 million", n: 5, warmup: 1 },
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: WORKERS });
    await Promise.all(Array.from({ length: 10 }, (_, i) => pool.submit(evaluate, i + 1, 100_000_000)));
  },
);

Deno.bench(
  { name: "limit: bare postMessage flood", group: "10,000 no-op tasks in a burst", baseline: true },
  async () => {
    await flood(MANY);
  },
);
for (const [name, pool] of Object.entries(pools)) {
  Deno.bench({ name, group: "10,000 no-op tasks in a burst" }, async () => {
    await Promise.all(Array.from({ length: MANY }, (_, i) => pool.submit(same, i)));
  });
}

Deno.bench(
  { name: "limit: bare postMessage flood", group: "10,000 no-op tasks, 64 at a time", baseline: true },
  async () => {
    await flood(MANY);
  },
);
for (const [name, pool] of Object.entries(pools)) {
  Deno.bench({ name, group: "10,000 no-op tasks, 64 at a time" }, async () => {
    let next = 0;
    await Promise.all(Array.from({ length: 64 }, async () => {
      while (next < MANY) await pool.submit(same, next++);
    }));
  });
}

Deno.bench(
  { name: "limit: bare postMessage ping-pong", group: "one idle task, submit to result", baseline: true },
  async () => {
    await pingPong(1);
  },
);
for (const [name, pool] of Object.entries(pools)) {
  Deno.bench({ name, group: "one idle task, submit to result" }, async () => {
    await pool.submit(same, 1);
  });
}

Deno.bench({ name: "limit: bare worker", group: "from new to the first result", baseline: true, n: 20 }, async () => {
  const worker = new Worker("data:text/javascript,self.onmessage = (e) => self.postMessage(e.data);", {
    type: "module",
  });
  await new Promise((resolve) => {
    worker.onmessage = resolve;
    worker.postMessage(1);
  });
  worker.terminate();
});
Deno.bench({ name: "threads", group: "from new to the first result", n: 20 }, async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: WORKERS });
  await pool.submit(same, 1);
});
Deno.bench({ name: "processes", group: "from new to the first result", n: 20 }, async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: WORKERS });
  await pool.submit(same, 1);
});

for (const [name, pool] of Object.entries(pools)) {
  for (const chunksize of [1, 10, 100]) {
    Deno.bench({
      name: `chunksize ${chunksize}`,
      group: `map of 10,000 no-op calls on ${name}`,
      baseline: chunksize === 1,
    }, async () => {
      const items = Array.from({ length: MANY }, (_, i) => i);
      for await (const _ of pool.map(same, items, { chunksize }));
    });
  }
}

const MEBIBYTE = 2 ** 20;
const shared = new SharedArrayBuffer(16 * MEBIBYTE);
const buffer = new ArrayBuffer(16 * MEBIBYTE);

Deno.bench({ name: "cloned", group: "a 16 MiB buffer to a task", baseline: true, n: 20, warmup: 2 }, async () => {
  await threads.submit(byteLength, buffer);
});
Deno.bench({ name: "transferred", group: "a 16 MiB buffer to a task", n: 20, warmup: 2 }, async (b) => {
  const moved = new ArrayBuffer(16 * MEBIBYTE);
  b.start();
  await threads.submitWith({ transfer: [moved] }, byteLength, moved);
  b.end();
});
Deno.bench({ name: "shared", group: "a 16 MiB buffer to a task", n: 20, warmup: 2 }, async () => {
  await threads.submit(byteLength, shared);
});
Deno.bench({ name: "copied to a process", group: "a 16 MiB buffer to a task", n: 20, warmup: 2 }, async () => {
  await processes.submit(byteLength, buffer);
});
