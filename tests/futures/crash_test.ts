import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { ProcessPoolExecutor, WorkerCrashedError } from "../../lib/futures/mod.ts";
import { forEachPool, Gate, hold, type PoolKind, poolTest } from "./_helpers.ts";

/** How a task can end its worker. */
const ENDS: Record<string, [body: () => unknown, check: (error: WorkerCrashedError, kind: PoolKind) => void]> = {
  "Deno.exit(7)": [() => Deno.exit(7), (error) => {
    assertEquals(error.code, 7);
    assertStringIncludes(error.message, "7");
  }],
  "Deno.exit()": [() => Deno.exit(), (error) => assertEquals(error.code, 0)],
  "process.exit(5)": [
    async () => (await import("node:process")).default.exit(5),
    (error) => assertEquals(error.code, 5),
  ],
  "self.close()": [() => {
    self.close();
    return new Promise(() => {});
  }, (error) => assertStringIncludes(error.message, "close")],
  "an error in a timer": [
    () => {
      setTimeout(() => {
        throw new RangeError("in a timer");
      });
      return new Promise(() => {});
    },
    (error, kind) => assertStringIncludes(kind.isProcess ? error.stderr : error.message, "in a timer"),
  ],
  "an unhandled rejection": [
    () => {
      Promise.reject(new RangeError("unhandled"));
      return new Promise(() => {});
    },
    (error, kind) => assertStringIncludes(kind.isProcess ? error.stderr : error.message, "unhandled"),
  ],
};

for (const [what, [body, check]] of Object.entries(ENDS)) {
  forEachPool(
    `submit() rejects with WorkerCrashedError only the call that ends its worker by ${what}`,
    async (kind) => {
      using gate = new Gate();
      await using pool = kind.create({ maxWorkers: 2 });
      const other = pool.submit(hold, gate.port, 0);
      await gate.started(0);
      const futures = [pool.submit(body), ...[1, 2, 3].map((n) => pool.submit((n: number) => n, n))];
      const error = await futures[0]!.exception();
      assertInstanceOf(error, WorkerCrashedError);
      check(error, kind);
      assertEquals(await Promise.all(futures.slice(1)), [1, 2, 3]);
      await gate.open(0);
      assertEquals(await other, 0);
      assertEquals(await pool.submit((n: number) => n, 9), 9);
    },
  );
}

forEachPool("submit() does not run again what a dying worker had been handed and may have run", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const maybe = (n: number) => {
    if (n === 50) Deno.exit(1);
    return n;
  };
  await Promise.all(Array.from({ length: 200 }, () => pool.submit(maybe, 0)));
  const futures = Array.from({ length: 200 }, (_, n) => pool.submit(maybe, n));
  const outcomes = await Promise.allSettled(futures);
  for (const [n, outcome] of outcomes.entries()) {
    if (n === 50) assertInstanceOf((outcome as PromiseRejectedResult).reason, WorkerCrashedError);
    else assertEquals<unknown>(outcome, { status: "fulfilled", value: n });
  }
});

forEachPool("submit() survives many crashes in a row", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  for (let n = 0; n < 5; n++) {
    assertInstanceOf(await pool.submit((n: number) => Deno.exit(n), n).exception(), WorkerCrashedError);
  }
  assertEquals(await pool.submit((n: number) => n, 9), 9);
});

forEachPool(`submit() on a pool with onWorkerExit "break" fails all others when a worker dies`, async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1, onWorkerExit: "break" });
  const running = pool.submit(async (port: number) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new Uint8Array(4));
    await connection.read(new Uint8Array(1));
    Deno.exit(3);
  }, gate.port);
  await gate.started(0);
  const queued = [1, 2, 3].map((n) => pool.submit((n: number) => n, n));
  await gate.open(0);
  const error = await running.exception();
  assert(error instanceof WorkerCrashedError || error instanceof kind.Broken);
  for (const future of queued) assertInstanceOf(await future.exception(), kind.Broken);
  assertThrows(() => pool.submit(() => 1), kind.Broken);
  await pool.shutdown();
});

forEachPool("submit() does not mind an idle worker that dies", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(
    await pool.submit(async (port: number) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new Uint8Array(4));
      connection.read(new Uint8Array(1)).then(() => Deno.exit(3)); // not awaited: the call is over before
      return 5;
    }, gate.port),
    5,
  );
  await gate.open(0);
  let outcome: unknown;
  // The next call comes before or after the end of the worker; in the first case it may be the one that was running.
  do outcome = await pool.submit((n: number) => n, 9).result().catch((error) => error); while (
    outcome !== 9 && outcome instanceof WorkerCrashedError
  );
  assertEquals(outcome, 9);
});

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  poolTest(
    `ProcessPoolExecutor.submit() rejects with the signal when a busy child gets ${signal}, and the others run on`,
    async () => {
      using gate = new Gate();
      await using pool = new ProcessPoolExecutor({ maxWorkers: 2, permissions: { net: ["127.0.0.1"] } });
      const other = pool.submit(hold, gate.port, 0);
      await gate.started(0);
      const pid = await pool.submit(() => Deno.pid);
      const busy = pool.submit(() => {
        while (true);
      });
      const queued = pool.submit((n: number) => n, 5);
      while (!busy.running()) await new Promise((resolve) => setTimeout(resolve));
      Deno.kill(pid, signal);
      const error = await busy.exception();
      assertInstanceOf(error, WorkerCrashedError);
      assertEquals(error.signal, signal);
      assertStringIncludes(error.message, signal);
      assertEquals(await queued, 5);
      await gate.open(0);
      assertEquals(await other, 0);
      assert(pid !== await pool.submit(() => Deno.pid));
    },
  );
}

poolTest("WorkerCrashedError carries the last lines that the child wrote to stderr", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const error = await pool.submit(() => {
    for (let n = 1; n <= 20; n++) console.error(`last words ${n}`);
    Deno.exit(4);
  }).exception();
  assertInstanceOf(error, WorkerCrashedError);
  assertEquals(error.code, 4);
  assertStringIncludes(error.stderr, "last words 20\n");
  assertStringIncludes(error.message, "last words 20");
});
