import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { CancelledError, type Executor, type Future, ThreadPoolExecutor, wait } from "../../lib/futures/mod.ts";
import { forEachPool, Gate, hold, onEachWorker, type PoolKind, poolTest, runScript } from "./_helpers.ts";
import { throwCancelledError } from "./fixtures/tasks.ts";

const abs = (n: number) => Math.abs(n);

/** A task that keeps account, in its worker, of the calls that ran. */
const mark = (n: number, ms = 0) => {
  const scope = globalThis as unknown as { ran?: number[] };
  (scope.ran ??= []).push(n);
  if (ms > 0) { for (const end = performance.now() + ms; performance.now() < end;); }
  return n;
};

async function ranOn(pool: Executor, workers: number): Promise<number[]> {
  const lists = await onEachWorker(pool, workers, () => (globalThis as unknown as { ran?: number[] }).ran ?? []);
  return lists.flat().toSorted((a, b) => a - b);
}

forEachPool("submit() gives a future whose cancel() is true while it is queued, and it never runs", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const queued = [1, 2, 3].map((n) => pool.submit(mark, n));
  const calls: boolean[] = [];
  queued[1]!.addDoneCallback((future) => calls.push(future.cancelled()));
  assertEquals(queued[1]!.cancel(), true);
  assertEquals(calls, [true], "callbacks run before cancel() returns");
  assertEquals([queued[1]!.cancelled(), queued[1]!.done(), queued[1]!.running()], [true, true, false]);
  assertEquals(queued[1]!.cancel(), true);
  await assertRejects(() => queued[1]!.result(), CancelledError);
  await gate.open(0);
  assertEquals(await running, 0);
  assertEquals([await queued[0], await queued[2]], [1, 3]);
  assertEquals(await ranOn(pool, 1), [1, 3]);
  assertEquals(calls, [true]);
});

forEachPool("submit() gives a future whose cancel() is false while it runs, and when it is done", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const future = pool.submit(hold, gate.port, 7);
  await gate.started(7);
  assertEquals([future.running(), future.cancel(), future.cancelled(), future.running()], [true, false, false, true]);
  await gate.open(7);
  assertEquals(await future, 7);
  assertEquals([future.running(), future.cancel(), future.cancelled()], [false, false, false]);
});

forEachPool("submit() gives a future that can be cancelled before its worker is up", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const futures = [1, 2, 3].map((n) => pool.submit(mark, n));
  assertEquals(futures.map((future) => future.cancel()), [true, true, true]);
  assertEquals(await ranOn(pool, 1), []);
});

forEachPool("shutdown() ends though futures were cancelled behind one that runs", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const queued = [1, 2, 3].map((n) => pool.submit(mark, n));
  for (const future of queued) assert(future.cancel());
  const end = pool.shutdown();
  await gate.open(0);
  assertEquals(await running, 0);
  await end;
});

poolTest(
  "ThreadPoolExecutor.submit() gives a future whose cancel() also takes back what a thread was handed",
  async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const started = new Int32Array(new SharedArrayBuffer(4));
    const open = new Int32Array(new SharedArrayBuffer(4));
    const count = new Int32Array(new SharedArrayBuffer(4));
    const task = (started: Int32Array, open: Int32Array | null, count: Int32Array) => {
      Atomics.add(count, 0, 1);
      if (open === null) return;
      Atomics.store(started, 0, 1);
      Atomics.notify(started, 0);
      Atomics.wait(open, 0, 0);
    };
    // The pool learns that the function is tiny, so that it hands the next ones out together.
    await Promise.all(Array.from({ length: 500 }, () => pool.submit(task, started, null, count)));
    count[0] = 0;
    const first = pool.submit(task, started, open, count);
    const rest = Array.from({ length: 50 }, () => pool.submit(task, started, null, count));
    await Atomics.waitAsync(started, 0, 0).value;
    assertEquals(rest.map((future) => future.running()), rest.map(() => false));
    assertEquals(rest.map((future) => future.cancel()), rest.map(() => true));
    assertEquals(first.cancel(), false);
    Atomics.store(open, 0, 1);
    Atomics.notify(open, 0);
    await first;
    await pool.submit(() => 0);
    assertEquals(count[0], 1);
  },
);

/** Submits calls of mixed length, cancels some at random times, and looks at what ran. */
async function storm(kind: PoolKind, tasks: number, workers: number): Promise<void> {
  await using pool = kind.create({ maxWorkers: workers });
  // A generator of its own: the same run every time.
  let seed = 12345;
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 2 ** 32;
  const cancelled = new Set<number>();
  const futures: Future<number>[] = [];
  for (let n = 0; n < tasks; n++) {
    const ms = random() < 0.001 ? 5 : random() < 0.01 ? 0.3 : 0;
    futures.push(pool.submit(mark, n, ms));
    if (random() < 0.3) {
      const victim = futures.length - 1 - Math.floor(random() * Math.min(200, futures.length));
      if (futures[victim]!.cancel()) cancelled.add(victim);
    }
    if (n % 500 === 499) await futures[Math.floor(n - random() * 400)]!.exception().catch(() => {});
  }
  const { done, notDone } = await wait(futures);
  assertEquals([done.size, notDone.size], [tasks, 0]);
  const ran = await ranOn(pool, workers);
  assertEquals(new Set(ran).size, ran.length, "a call ran twice");
  const ranSet = new Set(ran);
  for (const [n, future] of futures.entries()) {
    assertEquals(future.cancelled(), cancelled.has(n));
    assertEquals(ranSet.has(n), !cancelled.has(n), `call ${n}`);
    if (!cancelled.has(n)) assertEquals(await future, n);
  }
  assert(cancelled.size > tasks / 20, `only ${cancelled.size} were cancelled`);
}

forEachPool(
  "submit() of 20,000 calls that are cancelled at random: all settle, and exactly those that were not cancelled ran",
  async (kind) => {
    await storm(kind, 20_000, 2);
  },
);

for (const kind of ["thread", "process"]) {
  const name = kind === "thread" ? "ThreadPoolExecutor" : "ProcessPoolExecutor";
  Deno.test(`${name}.submit() holds nothing of its calls when they are over, though their signal lives`, async () => {
    const { code, stdout } = await runScript("memory.ts", [kind], ["--allow-all", "--v8-flags=--expose-gc"]);
    assertEquals(code, 0);
    const { held, grown, observers, failed } = JSON.parse(stdout) as Record<string, number>;
    // A reference or two may be left on a stack or in a cache; five of the calls have crashed.
    assert(failed! < 5, `${failed} futures that failed are held`);
    assert(held! < 100, `${held} of 10000 futures are held`);
    assert(grown! < 3_000_000, `the heap grew by ${grown} bytes in 30,000 calls`);
    assert(observers! < 1_000_000, `wait() and asCompleted() left ${observers} bytes with a future`);
  });
}

forEachPool("submit() gives an error, not a cancellation, for a task that throws CancelledError", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const future = pool.submit(throwCancelledError);
  assertInstanceOf(await future.exception(), CancelledError);
  assertEquals(future.cancelled(), false);
});

Deno.test("ThreadPoolExecutor.submit() lets go of shared memory that nobody uses any more, in its workers, too", async () => {
  const { code, stdout } = await runScript("shared.ts", [], ["--allow-all", "--v8-flags=--expose-gc"]);
  assertEquals(code, 0);
  assert(Number(stdout) < 400, `${stdout} MiB are left of 640`);
});

Deno.test("ThreadTransport has nothing held of calls that are over, though its thread is never out of them", async () => {
  const { code, stdout } = await runScript("never_idle.ts", [], ["--allow-all", "--v8-flags=--expose-gc"]);
  assertEquals(code, 0);
  assert(Number(stdout) < 8_000_000, `${stdout} bytes after 49,000 calls of some 250 each`);
});

forEachPool("Future.cancel() is false in a getter of the arguments that had another pool hand out", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await using other = new ThreadPoolExecutor({ maxWorkers: 1, maxQueue: 1 });
  await other.warmUp();
  const others: Future<number>[] = [];
  const said: boolean[] = [];
  const trap = {
    get value(): unknown {
      // The second has the first handed out at once, to find whether there is room.
      if (others.length === 0) others.push(other.submit(abs, -1), other.submit(abs, -2));
      said.push(future.cancel());
      return new Date(0);
    },
  };
  const future: Future<Date> = pool.submit((it: { value: unknown }) => it.value as Date, trap);
  assertEquals(await future, new Date(0));
  assert(said.length > 0 && !said.includes(true));
  assertEquals(await Promise.all(others), [1, 2]);
});

forEachPool("Future.cancel() is false in a getter of the arguments, as they are being sent", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const said: boolean[] = [];
  const trap = {
    get value(): unknown {
      said.push(future.cancel());
      return new Date(0);
    },
  };
  const future: Future<Date> = pool.submit((it: { value: unknown }) => it.value as Date, trap);
  assertEquals(await future, new Date(0));
  assert(said.length > 0 && !said.includes(true));
  assertEquals([future.cancelled(), pool.statistics().cancelled], [false, 0]);
});
