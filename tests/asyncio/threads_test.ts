import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  createTask,
  ensureFuture,
  EventLoop,
  gather,
  getRunningLoop,
  run,
  runCoroutineThreadsafe,
  RuntimeError,
  sleep,
  type Timeout,
  timeout,
  TimeoutError,
  toThread,
  wait,
  wrapFuture,
} from "../../lib/asyncio/mod.ts";
import {
  CancelledError as CallCancelledError,
  Future as CallFuture,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "../../lib/futures/mod.ts";
import { assertNoWorkerLeft, Gate, hold } from "../futures/_helpers.ts";
import { loopTest, reportsOf, virtualLoop } from "./_helpers.ts";

function double(n: number): number {
  return 2 * n;
}

function failing(): never {
  throw new RangeError("in the worker");
}

Deno.test("toThread() runs a function in a thread, from a generator and from native code", async () => {
  const results = await run(function* () {
    const native = createTask(async () => await toThread(double, 2));
    return [yield* toThread(double, 1), yield* native];
  });
  assertEquals(results, [2, 4]);
  assertNoWorkerLeft();
});

Deno.test("toThread() throws what the function throws", async () => {
  await assertRejects(() => run(toThread(failing)), RangeError, "in the worker");
  assertNoWorkerLeft();
});

Deno.test("toThread() cancelled leaves the call running, and run() waits for that", async () => {
  using gate = new Gate();
  await run(async () => {
    const task = createTask(toThread(hold, gate.port, 1));
    await gate.started(1);
    task.cancel("enough");
    await assertRejects(async () => await task, CancelledError, "enough");
    await gate.open(1);
  });
  assertNoWorkerLeft();
});

Deno.test("timeout() takes leave of a thread that takes too long", async () => {
  using gate = new Gate();
  await run(async () => {
    const { promise: entered, resolve } = Promise.withResolvers<Timeout>();
    const task = createTask(timeout(null, async (scope) => {
      resolve(scope);
      return await toThread(hold, gate.port, 1);
    }));
    await gate.started(1);
    (await entered).reschedule(0);
    await wait([task]);
    assertInstanceOf(task.exception(), TimeoutError);
    await gate.open(1);
  });
  assertNoWorkerLeft();
});

for (
  const [name, create] of [
    ["ThreadPoolExecutor", () => new ThreadPoolExecutor({ maxWorkers: 1 })],
    [
      "ProcessPoolExecutor",
      () => new ProcessPoolExecutor({ maxWorkers: 1, permissions: { net: ["127.0.0.1"] } }),
    ],
  ] as const
) {
  Deno.test(`EventLoop.runInExecutor() runs in a ${name}`, async () => {
    await run(async () => {
      await using pool = create();
      const loop = getRunningLoop();
      const future = loop.runInExecutor(pool, double, 21);
      assertStrictEquals(future.getLoop(), loop);
      assertEquals(await future, 42);
      assertEquals(await gather([1, 2, 3].map((n) => loop.runInExecutor(pool, double, n))), [2, 4, 6]);
      await assertRejects(async () => await loop.runInExecutor(pool, failing), RangeError, "in the worker");
    });
    assertNoWorkerLeft();
  });

  Deno.test(`EventLoop.runInExecutor() cancelled takes back a call that waits in a ${name}`, async () => {
    using gate = new Gate();
    await run(async () => {
      await using pool = create();
      const loop = getRunningLoop();
      const first = loop.runInExecutor(pool, hold, gate.port, 1);
      const calls = Array.from({ length: 30 }, (_, i) => pool.submit(hold, gate.port, i + 2));
      const last = wrapFuture(calls.at(-1)!);
      await gate.started(1);
      assert(last.cancel());
      await sleep(0);
      assert(calls.at(-1)!.cancelled());
      for (const call of calls.slice(0, -1)) call.cancel();
      await gate.open(1);
      assertEquals(await first, 1);
    });
    assertNoWorkerLeft();
  });
}

Deno.test("EventLoop.setDefaultExecutor() is what runInExecutor(null) and toThread() take", async () => {
  await run(async () => {
    const loop = getRunningLoop();
    const pool = new ThreadPoolExecutor({ maxWorkers: 1, initializer: () => void Reflect.set(globalThis, "mark", 7) });
    loop.setDefaultExecutor(pool);
    const mark = (): unknown => Reflect.get(globalThis, "mark");
    assertEquals([await loop.runInExecutor(null, mark), await toThread(mark)], [7, 7]);
  });
  assertNoWorkerLeft();
});

Deno.test("EventLoop.setDefaultExecutor() refuses what is no ThreadPoolExecutor", async () => {
  using loop = virtualLoop();
  await using processes = new ProcessPoolExecutor({ maxWorkers: 1 });
  for (const executor of [processes, null, {}]) {
    assertThrows(() => loop.setDefaultExecutor(executor as never), TypeError, "ThreadPoolExecutor");
  }
});

Deno.test("EventLoop.shutdownDefaultExecutor() waits for the work, and closes runInExecutor(null) for good", async () => {
  using gate = new Gate();
  await run(async () => {
    const loop = getRunningLoop();
    const call = loop.runInExecutor(null, hold, gate.port, 1);
    await gate.started(1);
    let over = false;
    const shutdown = loop.shutdownDefaultExecutor().then(() => over = true);
    assertThrows(() => loop.runInExecutor(null, double, 1), RuntimeError, "shut down");
    await sleep(1);
    assertEquals([over, call.done()], [false, false]);
    await gate.open(1);
    await shutdown;
    assertEquals(await call, 1);
    await loop.shutdownDefaultExecutor();
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    assertEquals(await loop.runInExecutor(pool, double, 1), 2);
  });
  assertNoWorkerLeft();
});

Deno.test("EventLoop.shutdownDefaultExecutor() with a limit warns when that is over", async () => {
  using gate = new Gate();
  const warnings: string[] = [];
  const { warn } = console;
  try {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    await run(async () => {
      const loop = getRunningLoop();
      loop.setDefaultExecutor(pool);
      const call = loop.runInExecutor(null, hold, gate.port, 1);
      await gate.started(1);
      console.warn = (message) => void warnings.push(message);
      await loop.shutdownDefaultExecutor(1);
      await gate.open(1);
      await call;
    });
  } finally {
    console.warn = warn;
  }
  assertNoWorkerLeft();
  assertEquals(warnings.length, 1);
  assert(warnings[0]!.includes("1 ms"), warnings[0]);
});

Deno.test("EventLoop.close() tells the default executor to shut down", async () => {
  const loop = new EventLoop();
  const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  loop.setDefaultExecutor(pool);
  assertEquals(await loop.runUntilComplete(loop.runInExecutor(null, double, 4)), 8);
  loop.close();
  assertThrows(() => pool.submit(double, 1), Error, "shutdown");
  await pool.shutdown();
  assertNoWorkerLeft();
});

Deno.test("runCoroutineThreadsafe() gives result, exception and cancellation to code outside", async () => {
  const loop = new EventLoop();
  const running = loop.runForever();
  assertEquals(await runCoroutineThreadsafe(sleep(1, "result"), loop), "result");
  assertEquals(await runCoroutineThreadsafe(async () => await sleep(1, "native"), loop), "native");
  await assertRejects(
    async () =>
      void await runCoroutineThreadsafe(
        function* () {
          throw new RangeError("thrown");
        }(),
        loop,
      ),
    RangeError,
    "thrown",
  );
  const cancelled = runCoroutineThreadsafe(async () => {
    throw await sleep(0, new CancelledError());
  }, loop);
  await assertRejects(async () => void await cancelled, CallCancelledError);
  assert(cancelled.cancelled());
  loop.stop();
  await running;
  loop.close();
});

Deno.test("runCoroutineThreadsafe() cancels the task when its future is cancelled", async () => {
  const loop = new EventLoop();
  const running = loop.runForever();
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  const { promise: caught, resolve } = Promise.withResolvers<unknown>();
  const future = runCoroutineThreadsafe(
    function* () {
      try {
        start();
        yield* sleep(60_000);
      } catch (error) {
        resolve(error);
        throw error;
      }
    }(),
    loop,
  );
  await started;
  assert(future.cancel());
  assertInstanceOf(await caught, CancelledError);
  loop.stop();
  await running;
  loop.close();
});

Deno.test("runCoroutineThreadsafe() gives an error of the task factory to the future and to the loop", async () => {
  using loop = virtualLoop();
  const reports = reportsOf(loop);
  const error = new Error("no tasks here");
  const future = runCoroutineThreadsafe(sleep(1), loop);
  const done = loop.createTask(sleep(5));
  loop.setTaskFactory(() => {
    throw error;
  });
  await loop.runUntilComplete(done);
  assertStrictEquals(await future.exception(), error);
  assertEquals(reports.map((report) => report.exception), [error]);
});

loopTest("wrapFuture() hands over result, exception and cancellation of the call", async () => {
  const [fine, bad, gone] = [new CallFuture<number>(), new CallFuture<number>(), new CallFuture<number>()];
  const wrapped = [fine, bad, gone].map((future) => wrapFuture(future));
  const error = new RangeError("of the call");
  fine.setResult(1);
  bad.setException(error);
  gone.cancel();
  await wait(wrapped);
  assertEquals(wrapped[0]!.result(), 1);
  assertStrictEquals(wrapped[1]!.exception(), error);
  assert(wrapped[2]!.cancelled());
});

loopTest("wrapFuture() cancels the call when it is cancelled, and ignores its end when it is done", async () => {
  const source = new CallFuture<number>();
  const wrapped = wrapFuture(source);
  assert(wrapped.cancel());
  assert(!source.cancelled());
  await sleep(0);
  assert(source.cancelled());
  const running = new CallFuture<number>();
  running.setRunningOrNotifyCancel();
  const taken = wrapFuture(running);
  taken.cancel();
  running.setResult(1);
  await sleep(0);
  assert(taken.cancelled());
  assertEquals(await running, 1);
});

loopTest("wrapFuture() gives back a future of asyncio, and takes one that is done", async (loop) => {
  const future = loop.createFuture<number>();
  assertStrictEquals(wrapFuture(future), future);
  const done = new CallFuture<string>();
  done.setResult("done");
  assertEquals(await wrapFuture(done), "done");
  assertEquals(await ensureFuture(wrapFuture(done)), "done");
});

Deno.test("wrapFuture() drops the end of a call silently when its loop is closed", () => {
  const loop = virtualLoop();
  const source = new CallFuture<number>();
  const wrapped = wrapFuture(source, { loop });
  loop.close();
  source.setResult(1);
  assertEquals(wrapped.done(), false);
});
