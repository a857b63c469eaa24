import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type Future,
  Histogram,
  type PoolStatistics,
  WorkerCrashedError,
  type WorkerInfo,
} from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, Gate, hold, makeFresh, makeQuick, poolTest, until } from "./_helpers.ts";

/** The counts that are not 0. */
function counts(statistics: PoolStatistics): Record<string, number> {
  const { submitted, queued, running, completed, failed, crashed, cancelled, retried } = assertAddsUp(statistics);
  const all = { submitted, queued, running, completed, failed, crashed, cancelled, retried };
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
}

forEachPool("statistics() adds up through all that can become of a call", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  assertEquals(counts(pool.statistics()), {});
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  assertEquals(counts(pool.statistics()), { submitted: 1, running: 1 });
  const same = makeFresh();
  const futures = [1, 2, 3].map((n) => pool.submit(same, n));
  const controller = new AbortController();
  const aborted = pool.submitWith({ signal: controller.signal }, same, 1);
  assertEquals(counts(pool.statistics()), { submitted: 5, running: 1, queued: 4 });
  futures[0]!.cancel();
  assertEquals(counts(pool.statistics()), { submitted: 5, running: 1, queued: 3, cancelled: 1 });
  controller.abort();
  assertEquals(counts(pool.statistics()), { submitted: 5, running: 1, queued: 2, cancelled: 1, failed: 1 });
  await aborted.exception();
  const thrower = pool.submit(() => {
    throw new Error("x");
  });
  const crasher = pool.submit(() => Deno.exit(3));
  const unsendable = pool.submit((x: unknown) => x, () => 1);
  await gate.open(0);
  await Promise.all([
    running,
    futures[1],
    futures[2],
    thrower.exception(),
    crasher.exception(),
    unsendable.exception(),
  ]);
  assertEquals(counts(pool.statistics()), { submitted: 8, completed: 3, failed: 3, crashed: 1, cancelled: 1 });
  const { workersStarted, workersCrashed, runTime, waitTime } = pool.statistics();
  assert(workersStarted >= 1);
  assertEquals(workersCrashed, 1);
  assertEquals([runTime.count, waitTime.count], [4, 4], "three returned and one threw");
  await pool.shutdown();
  const { workers, retired } = assertAddsUp(pool.statistics());
  assertEquals([workers, retired], [0, 0]);
});

forEachPool("statistics() adds up in the callbacks of thousands of calls", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const futures = Array.from({ length: 3000 }, (_, n) =>
    pool.submit((n: number) => {
      if (n % 100 === 0) throw new Error("x");
      return n;
    }, n));
  let checked = 0;
  for (const [n, future] of futures.entries()) {
    if (n % 50 === 0) {
      future.addDoneCallback(() => {
        const { completed, failed, cancelled } = assertAddsUp(pool.statistics());
        assertEquals(completed + failed + cancelled, futures.filter((future) => future.done()).length);
        checked++;
      });
    }
    if (n % 7 === 0) future.cancel();
  }
  await Promise.allSettled(futures);
  assertEquals(checked, 60);
  const { completed, failed, cancelled } = assertAddsUp(pool.statistics());
  assertEquals(completed + failed + cancelled, 3000);
  assert(completed > 2000 && cancelled > 0 && failed > 0);
});

forEachPool("statistics() counts a call before the callbacks of its future, however it ended", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({
    maxWorkers: 1,
    retryOn: (error) => look() && !(error instanceof WorkerCrashedError),
  });
  const futures: Future<unknown>[] = [];
  let looks = 0;
  const look = (): boolean => {
    const { queued, running, crashed, failed, cancelled, completed } = assertAddsUp(pool.statistics());
    assertEquals(completed + failed + crashed + cancelled, futures.filter((future) => future.done()).length);
    assertEquals(queued + running, futures.filter((future) => !future.done()).length);
    looks++;
    return true;
  };
  const quick = (n: number) => n === 0 ? Deno.exit(1) : n;
  await makeQuick(quick, () => {
    const future = pool.submit(quick, 1);
    futures.push(future);
    return future;
  });
  const held = pool.submit(hold, gate.port, 0);
  futures.push(held);
  await gate.started(0);
  // Handed ahead together: the first one kills the worker, and the rest goes to the next one.
  for (const n of [1, 0, 2, 3, 4, 5]) futures.push(pool.submit(quick, n));
  const throws = pool.submitWith({ retries: 2 }, () => {
    throw new Error("x");
  });
  futures.push(throws);
  for (const future of futures) future.addDoneCallback(look);
  const before = looks;
  futures.at(-2)!.cancel();
  assertEquals(looks, before + 1);
  await gate.open(0);
  await Promise.allSettled(futures);
  assert(looks >= before + 10);
  const { crashed, cancelled, failed, retried } = pool.statistics();
  assertEquals([crashed, cancelled, failed, retried], [1, 1, 1, 2]);
});

forEachPool("statistics() adds up after killing, shutting down with cancelFutures, and breaking", async (kind) => {
  using gate = new Gate();
  {
    const pool = kind.create({ maxWorkers: 1 });
    const running = pool.submit(hold, gate.port, 0);
    await gate.started(0);
    const same = makeFresh();
    const futures = Array.from({ length: 100 }, () => pool.submit(same, 1));
    const down = pool.shutdown({ cancelFutures: true });
    assertEquals(futures.every((future) => future.cancelled()), true);
    assertEquals(counts(pool.statistics()), { submitted: 101, running: 1, cancelled: 100 });
    await gate.open(0);
    await running;
    await down;
    assertEquals(counts(pool.statistics()), { submitted: 101, completed: 1, cancelled: 100 });
  }
  const broken = kind.create({
    maxWorkers: 1,
    initializer: () => {
      throw new Error("no");
    },
  });
  const futures = [1, 2, 3].map((n) => broken.submit((n: number) => n, n));
  await Promise.allSettled(futures);
  assertEquals(counts(broken.statistics()), { submitted: 3, failed: 3 });
  await broken.shutdown();
});

poolTest("ThreadPoolExecutor.statistics() counts the threads that run on what was given up", async () => {
  const { ThreadPoolExecutor } = await import("../../lib/futures/mod.ts");
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const stuck = pool.submitWith({ timeout: 20 }, (flag: Int32Array) => {
    Atomics.wait(flag, 0, 0);
  }, flag);
  await stuck.exception();
  assertEquals(await pool.submit((x: number) => x, 2), 2, "another thread took its place");
  const { workers, retired, failed, completed } = assertAddsUp(pool.statistics());
  assertEquals({ workers, retired, failed, completed }, { workers: 1, retired: 1, failed: 1, completed: 1 });
  assertEquals(pool.workers().map(({ state }) => state), ["idle", "retired"]);
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
  await until(() => pool.statistics().retired === 0);
});

// -- Workers

forEachPool("workers() shows each worker with its name, its process and what it has run", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 2 });
  assertEquals(pool.workers(), []);
  const first = pool.submit(hold, gate.port, 0);
  await Promise.resolve();
  assertEquals(pool.workers().map(({ state }) => state), ["starting"]);
  await gate.started(0);
  const [info] = pool.workers() as [WorkerInfo];
  assertEquals([info.state, info.tasksRun], ["busy", 0]);
  await gate.open(0);
  await first;
  await until(() => pool.workers()[0]!.state === "idle");
  const [{ name, pid, tasksRun }] = pool.workers() as [WorkerInfo];
  assertEquals(tasksRun, 1);
  if (kind.isProcess) assertEquals(pid, await pool.submit(() => Deno.pid));
  else assertEquals([name, pid], [await pool.submit(() => self.name), undefined]);
});

// -- Events

forEachPool("addEventListener() tells of the start and the end of workers and calls", async (kind) => {
  const pool = kind.create({ maxWorkers: 1 });
  const log: string[] = [];
  pool.addEventListener("workerstart", ({ worker }) => log.push(`workerstart ${worker.state}`));
  pool.addEventListener("taskstart", ({ task, worker }) => log.push(`taskstart ${task} ${worker?.name === name}`));
  pool.addEventListener("taskend", ({ task, outcome, future }) => {
    log.push(`taskend ${task} ${outcome} ${future.done()}`);
  });
  const exits: unknown[] = [];
  pool.addEventListener("workerexit", ({ crashed, exit }) => {
    log.push(`workerexit ${crashed}`);
    exits.push(exit?.code);
  });
  let name = "";
  pool.addEventListener("workerstart", ({ worker }) => name = worker.name, { once: true });
  await pool.submit(function good() {
    return 1;
  });
  await pool.submit(function bad() {
    throw new Error("x");
  }).exception();
  await pool.submit(function end() {
    Deno.exit(3);
  }).exception();
  await until(() => log.length === 8);
  assertEquals(log, [
    "workerstart idle",
    "taskstart good true",
    "taskend good completed true",
    "taskstart bad true",
    "taskend bad failed true",
    "taskstart end true",
    "taskend end crashed true",
    "workerexit true",
  ]);
  assertEquals(exits, [3]);
  await pool.shutdown();
});

forEachPool("addEventListener() tells of every call of a batch, the start before the end", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  await Promise.all(Array.from({ length: 500 }, (_, n) => pool.submit((n: number) => n, n)));
  const started = new Set<unknown>();
  const ended = new Set<unknown>();
  const onEnd = (event: { future: unknown }) => {
    assert(started.has(event.future));
    ended.add(event.future);
  };
  pool.addEventListener("taskstart", ({ future }) => started.add(future));
  pool.addEventListener("taskend", onEnd);
  const futures = Array.from({ length: 500 }, (_, n) => pool.submit((n: number) => n, n));
  await Promise.all(futures);
  assertEquals([started.size, ended.size], [500, 500]);
  pool.removeEventListener("taskend", onEnd);
  await pool.submit((n: number) => n, 1);
  assertEquals(ended.size, 500);
});

forEachPool("addEventListener() tells of a cancelled call that it never started", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const log: string[] = [];
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  pool.addEventListener("taskstart", ({ task }) => log.push(`start ${task}`));
  pool.addEventListener("taskend", ({ task, outcome, worker }) => log.push(`${task} ${outcome} ${worker?.name}`));
  pool.submit(function never() {
    return 1;
  }).cancel();
  assertEquals(log, ["never cancelled undefined"]);
  await gate.open(0);
  await running;
});

// -- Histogram

Deno.test("Histogram.percentile() is off by an eighth at the most", () => {
  const times = fc.array(fc.double({ min: 0.02, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 200 });
  fc.assert(fc.property(times, fc.integer({ min: 1, max: 100 }), (times, percent) => {
    const histogram = new Histogram();
    for (const time of times) histogram.record(time);
    const sorted = times.toSorted((a, b) => a - b);
    const exact = sorted[Math.ceil(times.length * percent / 100) - 1]!;
    const shown = histogram.percentile(percent);
    assert(shown >= exact * 0.999 && shown <= exact * 1.125 + 0.002, `${shown} for ${exact}`);
    assertEquals([histogram.min, histogram.max, histogram.count], [sorted[0], sorted.at(-1), times.length]);
    assert(Math.abs(histogram.mean - times.reduce((a, b) => a + b) / times.length) < 1e-6 * histogram.max);
  }));
});

Deno.test("Histogram is all zeros while it is empty, and takes what is out of its range", () => {
  const histogram = new Histogram();
  assertEquals(histogram.toJSON(), { count: 0, min: 0, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 });
  for (const time of [-5, 0, NaN, 1e12]) histogram.record(time);
  assertEquals([histogram.count, histogram.min, histogram.max], [4, 0, 1e12]);
  assertEquals(histogram.percentile(100) > 2e6, true);
  assertThrows(() => histogram.percentile(101), RangeError, "101");
  assertThrows(() => histogram.percentile(NaN), RangeError);
  const copy = histogram.clone();
  histogram.record(1);
  assertEquals(copy.count, 4);
  assertInstanceOf(copy, Histogram);
  assert(Deno.inspect(copy).startsWith("Histogram {"));
});
