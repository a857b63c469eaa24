import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Future, QueueFullError } from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, Gate, hold, makeFresh, poolTest, until } from "./_helpers.ts";

forEachPool("submit() throws QueueFullError when maxQueue calls wait, and takes some again later", async (kind) => {
  const same = makeFresh();
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1, maxQueue: 2 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const waiting = [1, 2].map((n) => pool.submit(same, n));
  const error = assertThrows(() => pool.submit(same, 3), QueueFullError, "2 calls wait");
  assertEquals(error.name, "QueueFullError");
  assertThrows(() => pool.submit(same, 3), QueueFullError);
  assertEquals(assertAddsUp(pool.statistics()).submitted, 3, "what was refused does not count");
  await gate.open(0);
  assertEquals(await running, 0);
  assertEquals(await Promise.all(waiting), [1, 2]);
  assertEquals(await pool.submit(same, 3), 3);
});

forEachPool("submit() takes what the workers will run and maxQueue calls more before any has started", async (kind) => {
  const same = makeFresh();
  await using pool = kind.create({ maxWorkers: 2, maxQueue: 3 });
  const futures = [1, 2, 3, 4, 5].map((n) => pool.submit(same, n));
  assertThrows(() => pool.submit(same, 6), QueueFullError);
  assertEquals(await Promise.all(futures), [1, 2, 3, 4, 5]);
});

forEachPool("submit() takes another call when one that waits was cancelled", async (kind) => {
  const same = makeFresh();
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1, maxQueue: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const waiting = pool.submit(same, 1);
  assertThrows(() => pool.submit(same, 2), QueueFullError);
  assert(waiting.cancel());
  const other = pool.submit(same, 3);
  assertThrows(() => pool.submit(same, 4), QueueFullError);
  await gate.open(0);
  assertEquals([await running, await other], [0, 3]);
  assertAddsUp(pool.statistics());
});

forEachPool(`submit() with onFull "wait" takes all calls, and room() says when there is some`, async (kind) => {
  const same = makeFresh();
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1, maxQueue: 2, onFull: "wait" });
  await pool.room();
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const futures = [1, 2, 3, 4].map((n) => pool.submit(same, n));
  let hasRoom = false;
  const room = pool.room().then(() => hasRoom = true);
  for (let n = 0; n < 100; n++) await Promise.resolve();
  assertEquals(hasRoom, false);
  await gate.open(0);
  await room;
  assertEquals(await Promise.all([running, ...futures]), [0, 1, 2, 3, 4]);
});

forEachPool("room() lets many producers share a small queue, which refuses none of them", async (kind) => {
  const same = makeFresh();
  await using pool = kind.create({ maxWorkers: 2, maxQueue: 4 });
  const order: number[] = [];
  const produce = async (producer: number) => {
    for (let n = 0; n < 50; n++) {
      await pool.room();
      const future = pool.submit(same, producer * 100 + n);
      future.addDoneCallback(() => order.push(producer));
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, producer) => produce(producer)));
  await pool.shutdown();
  assertEquals(order.length, 400);
});

forEachPool("room() passes on the room that a producer did not use", async (kind) => {
  const same = makeFresh();
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1, maxQueue: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  pool.submit(same, 1);
  // Only the last of them submits something.
  const waiters = [pool.room(), pool.room(), pool.room().then(() => pool.submit(same, 2).result())];
  await gate.open(0);
  await running;
  assertEquals((await Promise.all(waiters))[2], 2);
});

forEachPool("room() resolves when the pool is shut down, and submit() says so", async (kind) => {
  const same = makeFresh();
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1, maxQueue: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const last = pool.submit(same, 1);
  const room = pool.room();
  const down = pool.shutdown();
  await room;
  assertThrows(() => pool.submit(same, 2), Error, "after shutdown");
  await gate.open(0);
  assertEquals([await running, await last], [0, 1]);
  await down;
});

forEachPool("map() over an endless iterable needs no buffersize on a pool with maxQueue", async (kind) => {
  const same = makeFresh();
  await using pool = kind.create({ maxWorkers: 2, maxQueue: 20 });
  let read = 0;
  function* naturals(): Generator<number> {
    while (true) yield read++;
  }
  let taken = 0;
  for await (const value of pool.map(same, naturals())) {
    assertEquals(value, taken++);
    assert(read - taken <= 21, `${read} were read, ${taken} taken`);
    if (taken === 2000) break;
  }
});

forEachPool("map() over an endless async iterable reads no further than maxQueue ahead", async (kind) => {
  const same = makeFresh();
  await using pool = kind.create({ maxWorkers: 2, maxQueue: 5 });
  let read = 0;
  async function* naturals(): AsyncGenerator<number> {
    while (true) yield await Promise.resolve(read++);
  }
  let taken = 0;
  for await (const value of pool.map(same, naturals())) {
    assertEquals(value, taken++);
    assert(read - taken <= 7, `${read} were read, ${taken} taken`);
    if (taken === 300) break;
  }
});

forEachPool("map() waits its turn when others have filled the queue, and throws no QueueFullError", async (kind) => {
  const same = makeFresh();
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1, maxQueue: 2 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const others = [1, 2].map((n) => pool.submit(same, n));
  const results = Array.fromAsync(pool.map(same, [5, 6, 7, 8, 9]));
  async function* source(): AsyncGenerator<number> {
    yield* [15, 16, 17];
  }
  const more = Array.fromAsync(pool.map(same, source(), { chunksize: 2 }));
  await gate.open(0);
  assertEquals(await results, [5, 6, 7, 8, 9]);
  assertEquals(await more, [15, 16, 17]);
  assertEquals([await running, ...await Promise.all(others)], [0, 1, 2]);
});

// -- Order

forEachPool("submitWith() with priority runs the higher one first, and takes back nothing that runs", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const order: number[] = [];
  const futures = [0, -1, 10, 0, 10, 2.5].map((priority, n) => {
    const future = pool.submitWith({ priority }, (n: number) => n, n);
    future.addDoneCallback(() => order.push(n));
    return future;
  });
  await gate.open(0);
  await Promise.all([running, ...futures]);
  assertEquals(order, [2, 4, 5, 0, 3, 1]);
});

forEachPool("submitWith() refuses a priority that is no finite number", async (kind) => {
  const same = makeFresh();
  await using pool = kind.create();
  for (const priority of [NaN, Infinity, "5" as never]) {
    assertThrows(() => pool.submitWith({ priority }, same, 1), RangeError, "as priority");
  }
});

forEachPool("map() of many items does not keep another map, or a submit, from the workers", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  // Long enough that none is handed out ahead.
  const slow = (x: number) => {
    for (const end = performance.now() + 3; performance.now() < end;);
    return x;
  };
  const flood = pool.map(slow, Array.from({ length: 500 }, (_, n) => n));
  const small = pool.map(slow, [1, 2, 3]);
  const single = pool.submit(slow, 9);
  const urgent = pool.map(slow, [4], { priority: 1 });
  await gate.open(0);
  assertEquals(await Array.fromAsync(urgent), [4]);
  assertEquals(await single, 9);
  assertEquals(await Array.fromAsync(small), [1, 2, 3]);
  assert(pool.statistics().completed < 40, `${pool.statistics().completed} calls came before`);
  await flood.close();
  assertEquals(await running, 0);
});

forEachPool("submitWith() with group lets two users take turns", async (kind) => {
  const same = makeFresh();
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const order: string[] = [];
  const [ann, bob] = [{}, {}];
  const futures: Future<unknown>[] = [];
  for (const [name, group, count] of [["ann", ann, 5], ["bob", bob, 2]] as const) {
    for (let n = 0; n < count; n++) {
      const future = pool.submitWith({ group }, same, n);
      future.addDoneCallback(() => order.push(name));
      futures.push(future);
    }
  }
  await gate.open(0);
  await Promise.all([running, ...futures]);
  assertEquals(order, ["ann", "bob", "ann", "bob", "ann", "ann", "ann"]);
});

poolTest("ThreadPoolExecutor() with bad limits says what is wrong", async () => {
  const { ThreadPoolExecutor } = await import("../../lib/futures/mod.ts");
  for (
    const [options, message] of [
      [{ maxQueue: 0 }, "maxQueue"],
      [{ maxQueue: NaN }, "maxQueue"],
      [{ onFull: "drop" }, "onFull"],
      [{ minWorkers: 3, maxWorkers: 2 }, "minWorkers"],
      [{ minWorkers: -1 }, "minWorkers"],
      [{ idleTimeout: -1 }, "idleTimeout"],
      [{ startTimeout: NaN }, "startTimeout"],
      [{ maxTasksPerWorker: 0 }, "maxTasksPerWorker"],
      [{ maxMemory: 0.5 }, "maxMemory"],
      [{ retries: -1 }, "retries"],
      [{ retries: 1.5 }, "retries"],
    ] as const
  ) assertThrows(() => new ThreadPoolExecutor(options as never), Error, message);
  await until(() => true);
});

forEachPool("room() that has let somebody in holds though calls are taken back meanwhile", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2, maxQueue: 50 });
  const quick = makeFresh();
  await Promise.all(Array.from({ length: 50 }, (_, n) => pool.submit(quick, n)));
  // Some take much longer than the pool has learnt, so that what is behind them is taken back again and again.
  const uneven = (n: number) => {
    for (const end = performance.now() + (n % 100 === 0 ? 12 : 0); performance.now() < end;);
    return n;
  };
  const futures: Future<number>[] = [];
  for (let n = 1; n <= 3000; n++) {
    await pool.room();
    futures.push(pool.submit(uneven, n));
  }
  assertEquals((await Promise.all(futures)).length, 3000);
});

forEachPool("room() resolves at once after shutdown(), also if somebody was let in before", async (kind) => {
  const pool = kind.create({ maxQueue: 1 });
  await pool.room();
  await pool.shutdown();
  await pool.room();
});
