/**
 * How a loop runs and stops, and what it is to the program.
 */

import { assert, assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import {
  ContextVar,
  createTask,
  EventLoop,
  gather,
  getEventLoop,
  getRunningLoop,
  Handle,
  newEventLoop,
  run,
  setEventLoop,
  sleep,
  TimerHandle,
} from "../../lib/asyncio/mod.ts";
import { loopTest, reportsOf, runProgram, virtualLoop } from "./_helpers.ts";

loopTest("EventLoop runs what a callback schedules in the next iteration", function* (loop) {
  const log: string[] = [];
  loop.callSoon(() => {
    log.push("a");
    loop.callSoon(() => log.push("c"));
    log.push("still a");
  });
  loop.callSoon(() => log.push("b"));
  yield* sleep(0);
  assertEquals(log, ["a", "still a", "b"]);
  yield* sleep(0);
  assertEquals(log.at(-1), "c");
});

Deno.test("EventLoop.stop() lets the iteration end, and keeps the rest for the next run", async () => {
  using loop = virtualLoop();
  const log: string[] = [];
  loop.callSoon(() => {
    loop.stop();
    log.push("stopped");
    loop.callSoon(() => log.push("next run"));
  });
  loop.callSoon(() => log.push("same iteration"));
  loop.callLater(5, () => loop.stop());
  await loop.runForever();
  assertEquals([log, loop.isRunning()], [["stopped", "same iteration"], false]);
  await loop.runForever();
  assertEquals([log.at(-1), loop.time()], ["next run", 5]);
});

Deno.test("EventLoop.stop() twice before a run is one iteration", async () => {
  using loop = virtualLoop();
  let runs = 0;
  const again = (): void => {
    runs++;
    loop.callSoon(again);
  };
  again();
  loop.stop();
  loop.stop();
  await loop.runForever();
  assertEquals(runs, 2);
});

Deno.test("EventLoop.runUntilComplete() leaves no callback on a future that others stop it at", async () => {
  using loop = virtualLoop();
  const future = loop.createFuture<void>();
  loop.callSoon(() => loop.stop());
  await loop.runUntilComplete(future).catch(() => {});
  assertEquals(String(future), "<Future pending>");
});

Deno.test("EventLoop.close() drops what is scheduled", async () => {
  const loop = virtualLoop();
  let ran = false;
  loop.callSoon(() => ran = true);
  loop.callLater(0, () => ran = true);
  loop.close();
  using other = virtualLoop();
  await other.runUntilComplete(sleep(10));
  assertEquals(ran, false);
});

Deno.test("EventLoop.toString() shows the state", () => {
  const loop = virtualLoop();
  assertEquals(String(loop), "<EventLoop running=false closed=false debug=false>");
  loop.close();
  assertEquals(String(loop), "<EventLoop running=false closed=true debug=false>");
});

loopTest("Handle.cancel() calls a callback off, at any time before it runs", function* (loop) {
  const log: string[] = [];
  const handle = loop.callSoon(() => log.push("cancelled"));
  assert(handle instanceof Handle && !handle.cancelled());
  assertEquals(String(handle).startsWith("<Handle anonymous()"), true);
  handle.cancel();
  handle.cancel();
  const later = loop.callLater(5, () => log.push("cancelled"));
  assert(later instanceof TimerHandle);
  assertEquals([later.when(), loop.callAt(7, () => {}).when()], [5, 7]);
  loop.callSoon(() => later.cancel());
  const sameIteration: Handle[] = [];
  loop.callSoon(() => sameIteration[0]!.cancel());
  sameIteration.push(loop.callSoon(() => log.push("cancelled")));
  yield* sleep(10);
  assertEquals([log, handle.cancelled(), later.cancelled(), String(handle)], [[], true, true, "<Handle cancelled>"]);
});

loopTest("EventLoop.callSoon() passes the arguments on", function* (loop) {
  const got: unknown[] = [];
  const take = (...args: unknown[]): number => got.push(args);
  loop.callSoon(take, 1, "two");
  loop.callSoonThreadsafe(take, 3);
  loop.callLater(0, take, 4);
  loop.callAt(0, take);
  yield* sleep(1);
  assertEquals(got, [[1, "two"], [3], [4], []]);
});

Deno.test("EventLoop.setExceptionHandler() replaces the default, and null brings it back", () => {
  using loop = virtualLoop();
  const reports = reportsOf(loop);
  assert(loop.getExceptionHandler() !== null);
  loop.callExceptionHandler({ message: "told" });
  assertEquals(reports, [{ message: "told" }]);
  loop.setExceptionHandler(null);
  assertEquals(loop.getExceptionHandler(), null);
});

Deno.test("EventLoop.callExceptionHandler() reports a handler that throws by the default handler", async () => {
  using loop = virtualLoop();
  const printed: unknown[][] = [];
  const { error } = console;
  loop.setExceptionHandler(() => {
    throw new Error("in the handler");
  });
  let went = false;
  loop.callSoon(() => {
    throw new Error("in a callback");
  });
  loop.callSoon(() => went = true);
  console.error = (...args) => void printed.push(args);
  try {
    await loop.runUntilComplete(sleep(1));
  } finally {
    console.error = error;
  }
  assertEquals([printed.length, went], [1, true]);
  assertStringIncludes(String(printed[0]![0]), "Unhandled error in exception handler\ncontext: Exception in callback");
});

Deno.test("getEventLoop() outside is the one that was set, and inside the one that runs", async () => {
  using loop = newEventLoop();
  const before = getEventLoop();
  setEventLoop(loop);
  try {
    assertStrictEquals(getEventLoop(), loop);
    using other = virtualLoop();
    await other.runUntilComplete(async () => {
      assertStrictEquals(getEventLoop(), other);
      await sleep(0);
      assertStrictEquals(getRunningLoop(), other);
    });
  } finally {
    setEventLoop(null);
  }
  assertStrictEquals(getEventLoop(), before);
});

Deno.test("a task whose context variable was never set costs none", async () => {
  using loop = virtualLoop();
  const variable = new ContextVar("variable", { default: 1 });
  assertEquals(await loop.runUntilComplete(loop.createTask(async () => await sleep(0, variable.get()))), 1);
});

Deno.test("top-level await of each kind of awaitable needs no run()", async () => {
  assertEquals(await sleep(1, "coroutine"), "coroutine");
  assertEquals(await createTask(async () => await sleep(1, "task")), "task");
  assertEquals(await gather([sleep(1, "a"), Promise.resolve("b")]), ["a", "b"]);
  const future = getEventLoop().createFuture<string>();
  getEventLoop().callSoon(() => future.setResult("future"));
  assertEquals(await future, "future");
  assertEquals(getEventLoop().isRunning(), false);
});

Deno.test("top-level await of a second loop's future runs that loop", async () => {
  using loop = virtualLoop();
  assertEquals(await loop.createTask(sleep({ days: 1 }, "a day")), "a day");
  assertEquals([loop.time(), loop.isRunning()], [86_400_000, false]);
});

Deno.test("a program with top-level awaits ends when they have, whatever else is scheduled", async () => {
  const { code, stdout, stderr } = await runProgram(`
    asyncio.createTask(async () => {
      await asyncio.sleep(60_000);
      console.log("never");
    });
    asyncio.getEventLoop().callLater(60_000, () => {});
    console.log(await asyncio.sleep(1, "slept"));
    console.log(await asyncio.gather([asyncio.sleep(2, "a"), asyncio.sleep(1, "b")]));
  `);
  assertEquals([code, stdout, stderr], [0, 'slept\n[ "a", "b" ]\n', ""]);
});

Deno.test("EventLoop.runForever() keeps the program alive with nothing scheduled", async () => {
  const { code, stdout } = await runProgram(`
    const loop = new asyncio.EventLoop();
    Deno.unrefTimer(setTimeout(() => loop.callSoonThreadsafe(() => loop.stop()), 20));
    await loop.runForever();
    console.log("stopped");
  `);
  assertEquals([code, stdout], [0, "stopped\n"]);
});

Deno.test("EventLoop answers HTTP requests while it is 100 % busy", async () => {
  const server = Deno.serve({ port: 0, onListen: () => {} }, () => new Response("served"));
  const url = `http://127.0.0.1:${server.addr.port}`;
  await run(async () => {
    let stop = false;
    function* spin() {
      while (!stop) yield* sleep(0);
    }
    const spinning = Array.from({ length: 1000 }, () => createTask(spin()));
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      assertEquals(await (await fetch(url)).text(), "served");
      times.push(performance.now() - start);
    }
    stop = true;
    await gather(spinning);
    // Generous, as other programs run beside it; a loop that starves the host takes for ever.
    assert(times.sort((a, b) => a - b)[10]! < 500, `took ${times} ms`);
  });
  await server.shutdown();
});

Deno.test("EventLoop lets timers of the host fire while it is 100 % busy", async () => {
  await run(function* () {
    let fired = false;
    setTimeout(() => fired = true, 5);
    while (!fired) yield* sleep(0);
  });
  await new EventLoop().runUntilComplete(sleep(1));
});
