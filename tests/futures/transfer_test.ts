import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { NotCloneableError, ThreadPoolExecutor } from "../../lib/futures/mod.ts";
import { forEachPool, poolTest } from "./_helpers.ts";

const sum = (bytes: Uint8Array) => bytes.reduce((a, b) => a + b, 0);

forEachPool("submitWith() with transfer moves a buffer: it is gone here", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const bytes = Uint8Array.of(1, 2, 3);
  assertEquals(await pool.submitWith({ transfer: [bytes.buffer] }, sum, bytes), 6);
  assertEquals([bytes.length, bytes.buffer.byteLength, bytes.buffer.detached], [0, 0, true]);
});

forEachPool("submitWith() with transfer moves each call's own buffers", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  await Promise.all(Array.from({ length: 50 }, () => pool.submit(sum, new Uint8Array(1))));
  const all = Array.from({ length: 100 }, (_, n) => Uint8Array.of(n, 1));
  const futures = all.map((bytes, n) =>
    n % 3 === 0 ? pool.submit(sum, bytes) : pool.submitWith({ transfer: [bytes.buffer] }, sum, bytes)
  );
  assertEquals(await Promise.all(futures), all.map((_, n) => n + 1));
  assertEquals(all.map((bytes) => bytes.buffer.detached), all.map((_, n) => n % 3 !== 0));
});

forEachPool("submitWith() with transfer moves the buffers of calls behind a long one", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const busySum = (bytes: Uint8Array, ms: number) => {
    for (const end = performance.now() + ms; performance.now() < end;);
    return bytes.reduce((a, b) => a + b, 0);
  };
  // The pool takes the function for a quick one, and would hand it out ahead.
  await Promise.all(Array.from({ length: 500 }, () => pool.submit(busySum, new Uint8Array(1), 0)));
  for (let round = 0; round < 5; round++) {
    const futures = Array.from({ length: 8 }, (_, n) => {
      const bytes = Uint8Array.of(n, 1);
      return pool.submitWith({ transfer: [bytes.buffer] }, busySum, bytes, n < 1 ? 30 : 0);
    });
    assertEquals(await Promise.all(futures), [1, 2, 3, 4, 5, 6, 7, 8]);
  }
});

forEachPool("submitWith() with transfer moves also what is no argument", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const buffer = new ArrayBuffer(8);
  assertEquals(await pool.submitWith({ transfer: [buffer] }, () => 1), 1);
  assert(buffer.detached);
});

forEachPool("submitWith() with an empty transfer copies", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const bytes = Uint8Array.of(1, 2, 3);
  assertEquals(await pool.submitWith({ transfer: [] }, sum, bytes), 6);
  assertEquals(bytes.length, 3);
});

forEachPool(
  "submitWith() with a transfer that cannot be moved rejects, does not run, and the pool goes on",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const mark = () => (globalThis as { marked?: boolean }).marked = true;
    const detached = new ArrayBuffer(4);
    structuredClone(null, { transfer: [detached] });
    for (const transfer of [[detached], [{}], [5]]) {
      const [bad, good] = [pool.submitWith({ transfer: transfer as never }, mark), pool.submit((x: number) => [x], 7)];
      assertInstanceOf(await bad.exception(), Error);
      assertEquals(await good, [7]);
    }
    assertEquals(await pool.submit(() => (globalThis as { marked?: boolean }).marked ?? false), false);
  },
);

forEachPool("submitWith() with a transfer that cannot be moved sends nothing of the call", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const detached = new ArrayBuffer(4);
  structuredClone(null, { transfer: [detached] });
  const first = (bytes: Uint8Array) => bytes[0];
  // Large, so that they travel on their own.
  const [one, other] = [new Uint8Array(100_000).fill(1), new Uint8Array(100_000).fill(2)];
  assertInstanceOf(await pool.submitWith({ transfer: [detached] }, first, one).exception(), Error);
  assertEquals(await pool.submit(first, other), 2);
});

forEachPool("submitWith() with transfer does not move the buffer of a call that is cancelled before", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const buffer = new ArrayBuffer(8);
  const future = pool.submitWith({ transfer: [buffer] }, () => 1);
  assert(future.cancel());
  await pool.submit(() => 0);
  assert(!buffer.detached);
});

poolTest(
  "ThreadPoolExecutor.submitWith() with transfer moves a message port, which then talks to the task",
  async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const { port1, port2 } = new MessageChannel();
    const answer = Promise.withResolvers<unknown>();
    port1.onmessage = (event) => answer.resolve(event.data);
    await pool.submitWith({ transfer: [port2] }, (port: MessagePort) => {
      port.postMessage("hello");
      port.close();
    }, port2);
    assertEquals(await answer.promise, "hello");
    port1.close();
  },
);

poolTest(
  "ThreadPoolExecutor.submit() rejects with NotCloneableError for a message port that is not transferred",
  async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const { port1, port2 } = new MessageChannel();
    assertInstanceOf(await pool.submit((port: unknown) => typeof port, port2).exception(), NotCloneableError);
    port1.close();
    port2.close();
  },
);
