/** How workers die: beside `crash_test.ts`, by what is outside of a task's own hands. */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import {
  type Future,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  reportProgress,
  WorkerCrashedError,
} from "../../lib/futures/mod.ts";
import { assertAddsUp, assertAllGone, forEachPool, Gate, hold, pidsOf, poolTest, until } from "./_helpers.ts";

const same = <T>(x: T): T => x;

/**
 * Sends a signal until the process is gone: the handlers of the runtime take the first SIGSEGV for one of theirs, and
 * wait for it to come again, as a real one would.
 */
async function strike(pid: number, signal: Deno.Signal): Promise<void> {
  try {
    while (true) {
      Deno.kill(pid, signal);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  } catch {
    // It is gone.
  }
}

/** Runs `victim` beside a call that holds, and sees to it that only the victim suffers, and the pool goes on. */
async function besideOthers(
  options: ProcessPoolExecutorOptions,
  victim: (pool: ProcessPoolExecutor) => Future<unknown>,
  check: (error: WorkerCrashedError) => void,
): Promise<void> {
  let pids: Set<number>;
  {
    using gate = new Gate();
    await using pool = new ProcessPoolExecutor({ maxWorkers: 2, permissions: { net: ["127.0.0.1"] }, ...options });
    pids = pidsOf(pool);
    const other = pool.submit(hold, gate.port, 0);
    await gate.started(0);
    const future = victim(pool);
    const queued = [1, 2, 3].map((n) => pool.submit(same, n));
    const error = await future.exception();
    assertInstanceOf(error, WorkerCrashedError);
    check(error);
    assertEquals(await Promise.all(queued), [1, 2, 3]);
    await gate.open(0);
    assertEquals(await other, 0);
    assertEquals(await pool.submit(same, 9), 9);
    const { crashed, completed, workersCrashed, workers } = assertAddsUp(pool.statistics());
    assertEquals({ crashed, completed, workersCrashed, workers }, {
      crashed: 1,
      completed: 5,
      workersCrashed: 1,
      workers: 2,
    });
  }
  assert(pids.size >= 2);
  await assertAllGone(pids);
}

poolTest(
  "ProcessPoolExecutor.submit() rejects with WorkerCrashedError the call that runs out of memory",
  () =>
    besideOthers(
      { v8Flags: ["--max-old-space-size=48"] },
      (pool) =>
        pool.submit(() => {
          const hoard: number[][] = [];
          while (true) hoard.push(new Array(100_000).fill(1.5));
        }),
      (error) => {
        assert(error.signal === "SIGTRAP" || error.signal === "SIGABRT" || error.code !== 0, error.message);
        assertStringIncludes(error.stderr, "out of memory");
      },
    ),
);

poolTest(
  "ProcessPoolExecutor.submit() rejects with WorkerCrashedError the call that closes its stdout",
  () =>
    besideOthers({}, (pool) =>
      pool.submit(() => {
        Deno.stdout.close();
        return "a result that cannot be told";
      }), (error) => assertEquals(error.code, 1)),
);

for (const signal of ["SIGKILL", "SIGSEGV"] as const) {
  poolTest(
    `ProcessPoolExecutor.submit() rejects with WorkerCrashedError the call whose child gets ${signal}`,
    () =>
      besideOthers({}, (pool) =>
        pool.submitWith({ onProgress: (pid) => void strike(pid as number, signal) }, () => {
          reportProgress(Deno.pid);
          while (true);
        }), (error) => {
        assertEquals(error.signal, signal);
        assertStringIncludes(error.message, signal);
      }),
  );

  poolTest(`ProcessPoolExecutor.submit() loses no call when a child gets ${signal} while it starts`, async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
    const futures = [1, 2, 3, 4].map((n) => pool.submit(same, n));
    await Promise.resolve();
    await strike(pool.workers()[0]!.pid!, signal);
    assertEquals(await Promise.all(futures), [1, 2, 3, 4]);
    // The other one may have run them all before its death is known.
    await until(() => pool.statistics().workersCrashed === 1);
    assertEquals(assertAddsUp(pool.statistics()).crashed, 0);
  });

  poolTest(`ProcessPoolExecutor.submit() does not mind a child that gets ${signal} while it is idle`, async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
    await pool.warmUp();
    const exits: unknown[] = [];
    pool.addEventListener("workerexit", ({ exit, crashed }) => exits.push([exit?.signal, crashed]));
    for (const { pid } of pool.workers()) strike(pid!, signal);
    const keepAlive = setInterval(() => {}, 1000);
    await until(() => exits.length === 2);
    clearInterval(keepAlive);
    assertEquals(exits, [[signal, true], [signal, true]]);
    assertEquals(pool.workers(), []);
    assertEquals(await Promise.all([1, 2, 3].map((n) => pool.submit(same, n))), [1, 2, 3]);
    await assertNoOneElse(pool);
  });
}

async function assertNoOneElse(pool: ProcessPoolExecutor): Promise<void> {
  const pids = new Set(pool.workers().map(({ pid }) => pid));
  assert(pids.has(await pool.submit(() => Deno.pid)));
}

poolTest("ProcessPoolExecutor.submit() settles a call whose child is killed at any moment of it", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const bytes = new Uint8Array(8 * 2 ** 20).fill(7);
  let crashes = 0;
  // The child reads the argument, runs, or writes its result, which does not fit into a pipe.
  for (let delay = 0; delay < 60; delay += 3) {
    await pool.warmUp();
    const pid = pool.workers()[0]!.pid!;
    const future = pool.submit((bytes: Uint8Array) => bytes, bytes);
    const behind = pool.submit(same, delay);
    await new Promise((resolve) => setTimeout(resolve, delay));
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It is through, and was closed.
    }
    const outcome = await future.result().catch((error) => error);
    if (outcome instanceof Error) {
      assertInstanceOf(outcome, WorkerCrashedError);
      crashes++;
    } else assertEquals([outcome.length, outcome[0], outcome.at(-1)], [bytes.length, 7, 7]);
    const next = await behind.result().catch((error) => error);
    assert(next === delay || next instanceof WorkerCrashedError);
  }
  assert(crashes > 0, "it was never killed in time");
  assertAddsUp(pool.statistics());
});

poolTest("ProcessPoolExecutor.submit() gives the right results of tasks that write garbage to stdout", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
  const garbage = (seed: number) => {
    const bytes = new Uint8Array(10_000);
    let state = seed * 2654435761 >>> 0;
    for (let i = 0; i < bytes.length; i++) {
      state = (state * 1664525 + 1013904223) >>> 0;
      bytes[i] = state >>> 24;
    }
    for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
    return { seed };
  };
  // It comes out of this program's stdout, which is not the place for it.
  const { write } = Deno.stdout;
  let written = 0;
  Deno.stdout.write = (bytes) => {
    written += bytes.length;
    return Promise.resolve(bytes.length);
  };
  try {
    const futures = Array.from({ length: 200 }, (_, n) => pool.submit(garbage, n));
    assertEquals(await Promise.all(futures), Array.from({ length: 200 }, (_, seed) => ({ seed })));
    await pool.shutdown();
  } finally {
    Deno.stdout.write = write;
  }
  assertEquals(written, 200 * 10_000);
});

forEachPool(
  "submit() rejects only the call that overflows the stack, with RangeError, and the worker lives",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await pool.submit(() => (globalThis as { mark?: number }).mark = 5);
    const error = await pool.submit(() => {
      const recurse = (n: number): number => 1 + recurse(n + 1);
      return recurse(0);
    }).exception();
    assertInstanceOf(error, RangeError);
    assertStringIncludes(error.message, "call stack");
    assertEquals(await pool.submit(() => (globalThis as { mark?: number }).mark), 5);
  },
);

forEachPool("submit() goes on after deaths of several workers at a time", async (kind) => {
  await using pool = kind.create({ maxWorkers: 3 });
  for (let round = 0; round < 3; round++) {
    const futures = Array.from(
      { length: 30 },
      (_, n) => pool.submit((n: number) => n % 10 === 3 ? Deno.exit(n) : n, n),
    );
    for (const [n, outcome] of (await Promise.allSettled(futures)).entries()) {
      if (n % 10 !== 3) assertEquals<unknown>(outcome, { status: "fulfilled", value: n });
      else assertInstanceOf((outcome as PromiseRejectedResult).reason, WorkerCrashedError);
    }
  }
  assertEquals(assertAddsUp(pool.statistics()).crashed, 9);
});
