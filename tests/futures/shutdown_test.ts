import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { BrokenProcessPoolError, ProcessPoolExecutor, RuntimeError, wait } from "../../lib/futures/mod.ts";
import { assertNoWorkerLeft, forEachPool, Gate, hold, makeQuick, poolTest, until } from "./_helpers.ts";

forEachPool("shutdown() waits for what runs and what is queued", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  const futures = [0, 1, 2].map((id) => pool.submit(hold, gate.port, id));
  await gate.started(0);
  let over = false;
  const end = pool.shutdown().then(() => over = true);
  assertThrows(() => pool.submit(() => 1), RuntimeError, "after shutdown");
  for (const id of [0, 1, 2]) {
    await gate.started(id);
    assert(!over);
    await gate.open(id);
  }
  await end;
  assertNoWorkerLeft();
  assertEquals(await Promise.all(futures), [0, 1, 2]);
});

forEachPool("shutdown() of a pool that never ran anything, twice, and with any options", async (kind) => {
  const pool = kind.create();
  await pool.shutdown();
  await pool.shutdown({ wait: false });
  await pool.shutdown({ cancelFutures: true });
  await pool[Symbol.asyncDispose]();
  assertThrows(() => pool.submit(() => 1), RuntimeError);
});

forEachPool("shutdown() called several times at a time resolves each time when all is done", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  const future = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const ends = [pool.shutdown(), pool.shutdown(), pool[Symbol.asyncDispose]()];
  await gate.open(0);
  await Promise.all(ends);
  assertNoWorkerLeft();
  assert(future.done());
});

forEachPool("shutdown() with wait: false resolves at once, and the work is finished all the same", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  const futures = [0, 1].map((id) => pool.submit(hold, gate.port, id));
  await gate.started(0);
  await pool.shutdown({ wait: false });
  assertEquals(futures.map((future) => future.done()), [false, false]);
  assertThrows(() => pool.submit(() => 1), RuntimeError);
  await gate.open(0);
  await gate.open(1);
  assertEquals(await Promise.all(futures), [0, 1]);
  await pool.shutdown();
});

forEachPool("shutdown() with cancelFutures cancels what has not started, and lets finish what has", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const queued = Array.from({ length: 20 }, (_, n) => pool.submit((n: number) => n, n));
  const callbacks: boolean[] = [];
  for (const future of queued) future.addDoneCallback((f) => callbacks.push(f.cancelled()));
  const end = pool.shutdown({ cancelFutures: true });
  assertEquals(callbacks, queued.map(() => true));
  await gate.open(0);
  await end;
  assertEquals(await running, 0);
});

forEachPool("shutdown() with cancelFutures before the workers are up cancels all", async (kind) => {
  const pool = kind.create({ maxWorkers: 2 });
  const queued = Array.from({ length: 20 }, (_, n) => pool.submit((n: number) => n, n));
  await pool.shutdown({ cancelFutures: true });
  assertEquals(queued.map((future) => future.cancelled()), queued.map(() => true));
});

forEachPool("shutdown() with cancelFutures may come after one without", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const queued = pool.submit((n: number) => n, 1);
  const first = pool.shutdown();
  assert(!queued.done());
  const second = pool.shutdown({ cancelFutures: true });
  assert(queued.cancelled());
  await gate.open(0);
  await Promise.all([first, second]);
  assertEquals(await running, 0);
});

forEachPool("shutdown() with cancelFutures settles each of thousands of tiny calls", async (kind) => {
  const pool = kind.create({ maxWorkers: 2 });
  await Promise.all(Array.from({ length: 200 }, (_, n) => pool.submit((n: number) => n, n)));
  const futures = Array.from({ length: 5000 }, (_, n) => pool.submit((n: number) => n, n));
  await futures[100];
  await pool.shutdown({ cancelFutures: true });
  const { notDone } = await wait(futures, { timeout: 0 });
  assertEquals(notDone.size, 0);
  for (const [n, future] of futures.entries()) if (!future.cancelled()) assertEquals(await future, n);
  assert(futures.some((future) => future.cancelled()));
});

forEachPool("shutdown() by await using waits for the work of the block", async (kind) => {
  const future = await (async () => {
    await using pool = kind.create({ maxWorkers: 1 });
    return [pool.submit((n: number) => n, 3)];
  })();
  assert(future[0]!.done());
  assertNoWorkerLeft();
});

forEachPool("shutdown() lets the pool take no call from a done callback", async (kind) => {
  const pool = kind.create({ maxWorkers: 1 });
  let thrown: unknown;
  pool.submit(() => 1).addDoneCallback(() => {
    try {
      pool.submit(() => 2);
    } catch (error) {
      thrown = error;
    }
  });
  await pool.shutdown();
  assertInstanceOf(thrown, RuntimeError);
});

// -- terminateWorkers, killWorkers

for (const how of ["terminateWorkers", "killWorkers"] as const) {
  poolTest(`ProcessPoolExecutor.${how}() ends what runs, cancels what is queued, and shuts the pool down`, async () => {
    const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const pid = await pool.submit(() => Deno.pid);
    const running = pool.submit(() => {
      while (true);
    });
    const queued = [1, 2].map((n) => pool.submit((n: number) => n, n));
    while (!running.running()) await new Promise((resolve) => setTimeout(resolve));
    await pool[how]();
    assertInstanceOf(await running.exception(), BrokenProcessPoolError);
    assertEquals(queued.map((future) => future.cancelled()), [true, true]);
    assertThrows(() => pool.submit(() => 1), RuntimeError);
    await pool.shutdown();
    const { success } = await new Deno.Command("sh", { args: ["-c", `kill -0 ${pid}`], stdout: "null", stderr: "null" })
      .output();
    assert(!success, "the child lives");
  });

  poolTest(
    `ProcessPoolExecutor.${how}() does no harm to a pool that did not start, is idle, ended or is broken`,
    async () => {
      const fresh = new ProcessPoolExecutor({ maxWorkers: 1 });
      await fresh[how]();
      await fresh[how]();
      await fresh.shutdown();
      const idle = new ProcessPoolExecutor({ maxWorkers: 1 });
      await idle.submit(() => 1);
      await idle[how]();
      await idle.shutdown();
      await idle[how]();
      const broken = new ProcessPoolExecutor({
        maxWorkers: 1,
        initializer: () => {
          throw new Error("x");
        },
      });
      await broken.submit(() => 1).exception();
      await broken[how]();
      await broken.shutdown();
    },
  );

  poolTest(`ProcessPoolExecutor.${how}() while a child starts`, async () => {
    const pool = new ProcessPoolExecutor({ maxWorkers: 2 });
    const future = pool.submit(() => 1);
    await Promise.resolve();
    await Promise.resolve();
    await pool[how]();
    await pool.shutdown();
    assert(future.done());
  });
}

poolTest(
  "ProcessPoolExecutor.terminateWorkers() leaves a child that has been handed calls time to clean up",
  async () => {
    const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const exits: unknown[] = [];
    pool.addEventListener("workerexit", ({ exit }) => exits.push(exit?.code));
    // Longer than a child that owes an answer is waited for.
    await pool.submit(() => Deno.addSignalListener("SIGTERM", () => setTimeout(() => Deno.exit(7), 100)));
    const neverOr = (never: boolean) => never ? new Promise<number>(() => {}) : 0;
    await makeQuick(neverOr, () => pool.submit(neverOr, false));
    const running = pool.submit(neverOr, true);
    const handed = [1, 2, 3].map(() => pool.submit(neverOr, false));
    await until(() => running.running());
    assertEquals(handed[2]!.cancel(), false, "they are handed out");
    await pool.terminateWorkers();
    await pool.shutdown();
    assertEquals(exits, [7]);
  },
);

// -- maxTasksPerChild

for (const [how, signal] of [["terminateWorkers", "SIGTERM"], ["killWorkers", "SIGKILL"]] as const) {
  poolTest(
    `ProcessPoolExecutor.${how}() sends ${signal}, and cancels what a child was handed but has not started`,
    async () => {
      using gate = new Gate();
      const pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { net: ["127.0.0.1"] } });
      const holdOr = async (port: number) => {
        if (port > 0) await Deno.connect({ hostname: "127.0.0.1", port }).then((it) => it.read(new Uint8Array(1)));
      };
      await makeQuick(holdOr, () => pool.submit(holdOr, 0));
      const running = pool.submit(holdOr, gate.port);
      const handed = [1, 2, 3].map(() => pool.submit(holdOr, 0));
      // Not at once if the child still owes an answer.
      await until(() => running.running());
      assertEquals(handed[2]!.cancel(), false, "they are handed out");
      const { kill } = Deno.ChildProcess.prototype;
      const sent: unknown[] = [];
      Deno.ChildProcess.prototype.kill = function (signal) {
        sent.push(signal);
        kill.call(this, signal);
      };
      let ended: Promise<void>;
      try {
        ended = pool[how]();
      } finally {
        Deno.ChildProcess.prototype.kill = kill;
      }
      assertEquals(sent, [signal]);
      assertEquals(handed.map((future) => future.cancelled()), [true, true, true]);
      assertInstanceOf(await running.exception(), BrokenProcessPoolError);
      await ended;
      await pool.shutdown();
    },
  );
}

poolTest("ProcessPoolExecutor.submit() runs maxTasksPerChild calls in each child", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 2 });
  const pids = await Promise.all(Array.from({ length: 6 }, () => pool.submit(() => Deno.pid)));
  const [a, b, c, d, e, f] = pids;
  assertEquals([a === b, c === d, e === f], [true, true, true]);
  assertEquals(new Set(pids).size, 3);
});

poolTest("ProcessPoolExecutor.submit() with maxTasksPerChild 1 takes a new child for each call", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 2, maxTasksPerChild: 1 });
  const pids = await Promise.all(Array.from({ length: 6 }, () => pool.submit(() => Deno.pid)));
  assertEquals(new Set(pids).size, 6);
});

poolTest("ProcessPoolExecutor.submit() with maxTasksPerChild loses no call of thousands", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 2, maxTasksPerChild: 500 });
  const results = await Promise.all(Array.from({ length: 3000 }, (_, n) => pool.submit((n: number) => n, n)));
  assertEquals(results, Array.from({ length: 3000 }, (_, n) => n));
});

poolTest("ProcessPoolExecutor.submit() keeps a child without maxTasksPerChild", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const pid = await pool.submit(() => Deno.pid);
  for (let n = 0; n < 5; n++) assertStrictEquals(await pool.submit(() => Deno.pid), pid);
  assert(pid !== Deno.pid);
});

poolTest(
  "ProcessPoolExecutor.submit() does not count a call that a child gave back against maxTasksPerChild",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerChild: 3 });
    const spin = (ms: number) => {
      const end = performance.now() + ms;
      while (performance.now() < end);
      return Deno.pid;
    };
    // The first call makes calls seem short, so that the next two are handed out together; the second takes longer than
    // a worker has for what it was given ahead.
    const first = await pool.submit(spin, 0);
    const pids = await Promise.all([pool.submit(spin, 100), pool.submit(spin, 0)]);
    assertEquals(pids, [first, first]);
  },
);
