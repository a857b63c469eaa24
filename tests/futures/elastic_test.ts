import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ProcessPoolExecutor, RuntimeError, ThreadPoolExecutor } from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, Gate, hold, poolTest, until } from "./_helpers.ts";

const same = (x: number): number => x;
/** Counts the calls that its worker has run. */
const nth = (): number => {
  const scope = globalThis as { calls?: number };
  return scope.calls = (scope.calls ?? 0) + 1;
};

// -- warmUp()

forEachPool("warmUp() starts all workers, so that the first calls find them", async (kind) => {
  await using pool = kind.create({ maxWorkers: 3 });
  await pool.warmUp();
  assertEquals(pool.workers().map(({ state }) => state), ["idle", "idle", "idle"]);
  await pool.warmUp();
  await pool.warmUp(2);
  assertEquals(await pool.submit(same, 1), 1);
  assertEquals(pool.statistics().workersStarted, 3);
});

forEachPool("warmUp() starts so many workers as it is told, and refuses more than there may be", async (kind) => {
  await using pool = kind.create({ maxWorkers: 3 });
  await pool.warmUp(1);
  assertEquals(pool.workers().length, 1);
  for (const count of [0, 4, 1.5, NaN]) await assertRejects(() => pool.warmUp(count), RangeError);
});

forEachPool("warmUp() rejects as submit() throws: when the initializer does, and after shutdown()", async (kind) => {
  const broken = kind.create({
    maxWorkers: 2,
    initializer: () => {
      throw new Error("no");
    },
  });
  await assertRejects(() => broken.warmUp(), kind.Broken, "no");
  await assertRejects(() => broken.warmUp(), kind.Broken, "no");
  await broken.shutdown();
  const pool = kind.create({ maxWorkers: 2 });
  const warming = pool.warmUp();
  const down = pool.shutdown();
  await assertRejects(() => warming, RuntimeError);
  await down;
  await assertRejects(() => pool.warmUp(), RuntimeError, "after shutdown");
});

// -- minWorkers, idleTimeout

forEachPool("minWorkers are started with the pool, before the first call", async (kind) => {
  const pool = kind.create({ maxWorkers: 3, minWorkers: 2 });
  const started = Promise.withResolvers<void>();
  let count = 0;
  pool.addEventListener("workerstart", () => {
    if (++count === 2) started.resolve();
  });
  const keepAlive = setInterval(() => {}, 1000);
  await started.promise;
  clearInterval(keepAlive);
  assertEquals(pool.workers().map(({ state }) => state), ["idle", "idle"]);
  await pool.shutdown();
});

forEachPool("minWorkers are there again when one dies while there is nothing to do", async (kind) => {
  await using pool = kind.create({ maxWorkers: 3, minWorkers: 2 });
  await pool.warmUp(2);
  for (let deaths = 1; deaths <= 5; deaths++) {
    // A new call says that workers are worth starting again.
    await pool.submit(() => void setTimeout(() => self.close()));
    await until(() => pool.statistics().workersCrashed === deaths);
    await until(() => pool.workers().filter(({ state }) => state === "idle").length >= 2);
  }
});

forEachPool("idleTimeout closes the workers that have nothing to do, down to minWorkers", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 3, minWorkers: 1, idleTimeout: 30 });
  const futures = [0, 1, 2].map((id) => pool.submit(hold, gate.port, id));
  for (const id of [0, 1, 2]) await gate.started(id);
  assertEquals(pool.statistics().workers, 3);
  for (const id of [0, 1, 2]) await gate.open(id);
  await Promise.all(futures);
  await until(() => pool.statistics().workers === 1 && pool.statistics().retired === 0);
  // Not this one, however long it takes.
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(pool.statistics().workers, 1);
  assertEquals(await pool.submit(same, 5), 5);
  const { workersStarted, workersCrashed } = assertAddsUp(pool.statistics());
  assertEquals([workersStarted, workersCrashed], [3, 0]);
});

forEachPool("idleTimeout of 0 closes a worker as soon as it can, and calls start others", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1, idleTimeout: 0 });
  for (let n = 0; n < 3; n++) {
    assertEquals(await pool.submit(nth), 1);
    await until(() => pool.statistics().workers === 0);
  }
});

forEachPool("idleTimeout leaves a worker alone that is busy for longer", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1, idleTimeout: 20 });
  await pool.submit(nth);
  const busy = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  await new Promise((resolve) => setTimeout(resolve, 60));
  await gate.open(0);
  assertEquals(await busy, 0);
  assertEquals(pool.statistics().workersCrashed, 0);
});

// -- Recycling

forEachPool("maxTasksPerWorker gives a worker so many calls and no more, and stalls nothing", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2, maxTasksPerWorker: 10 });
  const counts = await Promise.all(Array.from({ length: 100 }, () => pool.submit(nth)));
  assert(Math.max(...counts) <= 10);
  assert(counts.filter((count) => count === 1).length >= 10);
});

forEachPool("maxTasksPerWorker of 1 gives each call a worker of its own", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2, maxTasksPerWorker: 1 });
  const counts = await Promise.all(Array.from({ length: 10 }, () => pool.submit(nth)));
  assertEquals(new Set(counts), new Set([1]));
  assertEquals(assertAddsUp(pool.statistics()).workersStarted, 10);
});

poolTest("ProcessPoolExecutor() takes the smaller of maxTasksPerChild and maxTasksPerWorker", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 5, maxTasksPerWorker: 2 });
  const counts = await Promise.all([1, 2, 3, 4].map(() => pool.submit(nth)));
  assertEquals(counts, [1, 2, 1, 2]);
  assertThrows(() => new ProcessPoolExecutor({ maxTasksPerChild: 0 }), RangeError, "maxTasksPerChild");
});

forEachPool("maxMemory replaces a worker that holds more, and loses no call", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1, maxMemory: 200e6 });
  const hoard = (bytes: number) => {
    const scope = globalThis as { hoard?: Uint8Array[] };
    (scope.hoard ??= []).push(new Uint8Array(bytes).fill(1));
    return scope.hoard.length;
  };
  assertEquals(await Promise.all([1, 2, 3].map((bytes) => pool.submit(hoard, bytes))), [1, 2, 3]);
  assertEquals(await pool.submit(hoard, 250e6), 4);
  const more = await Promise.all(Array.from({ length: 20 }, () => pool.submit(hoard, 1)));
  assertEquals(more.at(-1)! < 24, true, "a new worker took over");
  await until(() => pool.statistics().retired === 0);
  const { workersStarted, workersCrashed, completed } = assertAddsUp(pool.statistics());
  assertEquals([workersStarted, workersCrashed, completed], [2, 0, 24]);
});

poolTest("ThreadPoolExecutor gives no call more to a worker whose last result came with too much memory", async () => {
  const hoard = (bytes: number) => {
    const scope = globalThis as { hoard?: Uint8Array[] };
    return (scope.hoard ??= []).push(new Uint8Array(bytes));
  };
  for (let round = 0; round < 5; round++) {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1, maxMemory: 20e6 });
    // So quick that both sides look for calls and results in the memory that they share.
    for (let n = 1; n <= 20; n++) assertEquals(await pool.submit(hoard, 1), n);
    assertEquals(await pool.submit(hoard, 25e6), 21);
    assertEquals(await pool.submit(hoard, 1), 1);
  }
});

forEachPool("all of the elasticity at once never stalls a backlog", async (kind) => {
  await using pool = kind.create({
    maxWorkers: 3,
    minWorkers: 1,
    idleTimeout: 1,
    maxTasksPerWorker: 7,
    maxQueue: 10,
    onFull: "wait",
    maxMemory: 1e9,
  });
  const results: number[] = [];
  for await (const x of pool.map(same, Array.from({ length: 150 }, (_, n) => n))) {
    results.push(x);
    if (x % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals(results, Array.from({ length: 150 }, (_, n) => n));
  assertAddsUp(pool.statistics());
});

forEachPool("warmUp() with an idleTimeout shorter than a start keeps what has started", async (kind) => {
  await using pool = kind.create({ maxWorkers: 3, idleTimeout: 1 });
  await pool.warmUp();
  assertEquals(pool.statistics().workersStarted, 3);
});
