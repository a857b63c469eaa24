/** What hangs: beside `timeout_test.ts`, what is no task, or cannot be stopped by asking. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type PoolExecutor,
  ProcessPoolExecutor,
  reportProgress,
  TimeoutError,
  WorkerCrashedError,
} from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, type PoolKind, poolTest, until } from "./_helpers.ts";

const same = (x: number): number => x;

/** Bodies that never come to an end; each says first that it runs. Threads are freed of `Atomics.wait` by the memory. */
const HANGS: Record<string, (memory: Int32Array<ArrayBuffer>) => unknown> = {
  "a promise that never settles": () => {
    reportProgress("runs");
    return new Promise(() => {});
  },
  "a loop": () => {
    reportProgress("runs");
    // Not for ever, as a thread cannot be stopped.
    for (const end = performance.now() + 3000; performance.now() < end;);
  },
  "a blocked Atomics.wait()": () => {
    reportProgress("runs");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  },
  "a loop that catches everything": () => {
    reportProgress("runs");
    for (const end = performance.now() + 3000; performance.now() < end;) {
      try {
        checkAll();
      } catch {
        // As some do.
      }
    }
    function checkAll() {
      throw new Error("again");
    }
  },
};

function start(pool: PoolExecutor, body: (memory: Int32Array<ArrayBuffer>) => unknown, timeout?: number) {
  const running = Promise.withResolvers<unknown>();
  const future = pool.submitWith({ timeout, onProgress: running.resolve }, body, new Int32Array(1));
  return { future, running: running.promise };
}

for (const [what, body] of Object.entries(HANGS)) {
  forEachPool(`submitWith() with timeout ends ${what} at once, and the calls behind it run`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await pool.warmUp();
    const begin = performance.now();
    const { future } = start(pool, body, 50);
    const behind = [1, 2, 3].map((n) => pool.submit(same, n));
    assertInstanceOf(await future.exception(), TimeoutError);
    assertEquals(await Promise.all(behind), [1, 2, 3]);
    assert(performance.now() - begin < 2000, "they waited for it");
    const { failed, completed } = assertAddsUp(pool.statistics());
    assertEquals([failed, completed], [1, 3]);
    if (kind.isProcess) await until(() => pool.statistics().retired === 0);
    else assertEquals(pool.statistics().retired, 1);
  });

  forEachPool(`shutdown() with timeout ends a pool that runs ${what}`, async (kind) => {
    const pool = kind.create({ maxWorkers: 1 });
    await pool.warmUp();
    const { future, running } = start(pool, body);
    const queued = pool.submit(same, 1);
    await running;
    const begin = performance.now();
    await pool.shutdown({ timeout: 20 });
    assert(performance.now() - begin < 2000, "it waited");
    const error = await future.exception();
    assertInstanceOf(error, kind.Broken);
    assertStringIncludes(error.message, "shutdown()");
    assertEquals(queued.cancelled(), true);
    const { workers, retired, failed, cancelled } = assertAddsUp(pool.statistics());
    assertEquals({ workers, retired, failed, cancelled }, { workers: 0, retired: 0, failed: 1, cancelled: 1 });
  });
}

forEachPool("shutdown() with timeout waits for work that ends in time, and no longer", async (kind) => {
  const pool = kind.create({ maxWorkers: 1 });
  const futures = [1, 2, 3].map((n) => pool.submit(same, n));
  await pool.shutdown({ timeout: { hours: 1 } });
  assertEquals(await Promise.all(futures), [1, 2, 3]);
  await assertRejects(() => Promise.try(() => pool.shutdown({ timeout: NaN })), RangeError, "timeout");
});

forEachPool("shutdown() with wait: false and timeout ends what hangs later", async (kind) => {
  const pool = kind.create({ maxWorkers: 1 });
  await pool.warmUp();
  const { future, running } = start(pool, HANGS["a promise that never settles"]!);
  await running;
  await pool.shutdown({ wait: false, timeout: 20 });
  assertEquals(future.done(), false);
  assertInstanceOf(await future.exception(), kind.Broken);
  await pool.shutdown();
});

// -- Initializers

const INITIALIZERS: Record<string, () => unknown> = {
  "never returns": () => {
    // As good as never.
    for (const end = performance.now() + 3000; performance.now() < end;);
  },
  "gives a promise that never settles": () => new Promise(() => {}),
};

for (const [what, initializer] of Object.entries(INITIALIZERS)) {
  forEachPool(`startTimeout breaks a pool whose initializer ${what}, and says so`, async (kind) => {
    const pool = kind.create({ maxWorkers: 1, initializer, startTimeout: 150 });
    const error = await pool.submit(same, 1).exception();
    assertInstanceOf(error, kind.Broken);
    assertStringIncludes(error.message, "did not start within 150 ms");
    await pool.shutdown();
  });

  forEachPool(`shutdown() with timeout ends a pool whose initializer ${what}`, async (kind) => {
    const pool = kind.create({ maxWorkers: 2, initializer });
    const futures = [1, 2, 3].map((n) => pool.submit(same, n));
    const begin = performance.now();
    await pool.shutdown({ timeout: 30 });
    assert(performance.now() - begin < 2500, "it waited");
    assertEquals(futures.map((future) => future.cancelled()), [true, true, true]);
    assertAddsUp(pool.statistics());
  });

  forEachPool(`submitWith() with a signal is given up though the initializer ${what}`, async (kind) => {
    const pool = kind.create({ maxWorkers: 1, initializer });
    const controller = new AbortController();
    const future = pool.submitWith({ signal: controller.signal }, same, 1);
    controller.abort(new RangeError("enough"));
    assertInstanceOf(await future.exception(), RangeError);
    await pool.shutdown({ timeout: 0 });
  });
}

forEachPool("startTimeout does not mind an initializer that is slow once", async (kind: PoolKind) => {
  await using pool = kind.create({ maxWorkers: 1, initializer: () => {}, startTimeout: 10_000 });
  assertEquals(await pool.submit(same, 1), 1);
});

// -- Children that do not do what they are told

poolTest("ProcessPoolExecutor.terminateWorkers() kills a child that ignores SIGTERM", async () => {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const { future, running } = start(pool, () => {
    Deno.addSignalListener("SIGTERM", () => {});
    reportProgress("runs");
    return new Promise(() => {});
  });
  await running;
  const exits: unknown[] = [];
  pool.addEventListener("workerexit", ({ exit }) => exits.push(exit?.signal));
  await pool.terminateWorkers();
  assertEquals((await future.exception() as Error).name, "BrokenProcessPoolError");
  await pool.shutdown();
  assertEquals(exits, ["SIGKILL"]);
});

poolTest("ProcessPoolExecutor.submitWith() with timeout kills a child that was stopped", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const { future, running } = start(pool, HANGS["a promise that never settles"]!, 100);
  await running;
  Deno.kill(pool.workers()[0]!.pid!, "SIGSTOP");
  assertInstanceOf(await future.exception(), TimeoutError);
  assertEquals(await pool.submit(same, 1), 1);
});

poolTest("ProcessPoolExecutor.shutdown() kills an idle child that was stopped", async () => {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  await pool.warmUp();
  Deno.kill(pool.workers()[0]!.pid!, "SIGSTOP");
  await pool.shutdown();
});

poolTest("ProcessPoolExecutor.submit() goes on when a child that was stopped goes on", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  await pool.warmUp();
  const pid = pool.workers()[0]!.pid!;
  Deno.kill(pid, "SIGSTOP");
  const futures = [1, 2, 3].map((n) => pool.submit(same, n));
  await new Promise((resolve) => setTimeout(resolve, 30));
  Deno.kill(pid, "SIGCONT");
  assertEquals(await Promise.all(futures), [1, 2, 3]);
  assertEquals(pool.statistics().workersStarted, 1);
});

forEachPool("submit() is not held up by a worker that dies of a hang of its own making", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const error = await pool.submit(async () => {
    setTimeout(() => Deno.exit(4), 5);
    await new Promise(() => {});
  }).exception();
  assertInstanceOf(error, WorkerCrashedError);
  assertEquals(error.code, 4);
});
