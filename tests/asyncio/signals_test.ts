import { assertEquals, assertThrows } from "@std/assert";
import { currentTask, EventLoop, getRunningLoop, run, sleep } from "../../lib/asyncio/mod.ts";
import { runProgram } from "./_helpers.ts";

Deno.test("EventLoop.addSignalHandler() calls the callback of the loop with its arguments", async () => {
  const got = await run(async () => {
    const loop = getRunningLoop();
    const future = loop.createFuture<unknown[]>();
    loop.addSignalHandler(
      "SIGUSR1",
      (a: number, b: string) => future.setResult([a, b, getRunningLoop() === loop, currentTask()]),
      1,
      "two",
    );
    Deno.kill(Deno.pid, "SIGUSR1");
    return await future;
  });
  assertEquals(got, [1, "two", true, null]);
});

Deno.test("EventLoop.addSignalHandler() wakes a loop that waits, and replaces the handler before", async () => {
  await run(async () => {
    const loop = getRunningLoop();
    const future = loop.createFuture<string>();
    loop.addSignalHandler("SIGUSR1", () => future.setResult("old"));
    loop.addSignalHandler("SIGUSR1", () => future.setResult("new"));
    loop.callLater(0, () => Deno.kill(Deno.pid, "SIGUSR1"));
    assertEquals(await future, "new");
  });
});

Deno.test("EventLoop.addSignalHandler() calls while tasks spin", async () => {
  await run(function* () {
    let got = false;
    getRunningLoop().addSignalHandler("SIGUSR1", () => got = true);
    Deno.kill(Deno.pid, "SIGUSR1");
    while (!got) yield* sleep(0);
  });
});

Deno.test("EventLoop.removeSignalHandler() says whether there was one, and takes it off", async () => {
  using loop = new EventLoop();
  assertEquals(loop.removeSignalHandler("SIGUSR2"), false);
  let calls = 0;
  loop.addSignalHandler("SIGUSR2", () => calls++);
  // Another listener, as the signal ends the program when there is none.
  const { promise, resolve } = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGUSR2", resolve);
  assertEquals(loop.removeSignalHandler("SIGUSR2"), true);
  assertEquals(loop.removeSignalHandler("SIGUSR2"), false);
  Deno.kill(Deno.pid, "SIGUSR2");
  await loop.runUntilComplete(() => promise);
  Deno.removeSignalListener("SIGUSR2", resolve);
  assertEquals(calls, 0);
});

Deno.test("EventLoop.close() takes the signal handlers off", () => {
  const loop = new EventLoop();
  loop.addSignalHandler("SIGUSR2", () => {});
  loop.close();
  assertEquals(loop.removeSignalHandler("SIGUSR2"), false);
});

Deno.test("EventLoop.addSignalHandler() refuses signals that cannot be handled", () => {
  using loop = new EventLoop();
  assertThrows(() => loop.addSignalHandler("SIGKILL", () => {}), TypeError);
  assertEquals(loop.removeSignalHandler("SIGKILL"), false);
});

Deno.test("EventLoop.addSignalHandler() leaves nothing open when run() has ended", async () => {
  const { code, stdout, stderr } = await runProgram(`
    await asyncio.run(async () => {
      const loop = asyncio.getRunningLoop();
      const stop = loop.createFuture();
      loop.addSignalHandler("SIGUSR1", () => stop.setResult("asked to stop"));
      Deno.kill(Deno.pid, "SIGUSR1");
      console.log(await stop);
    });
  `);
  assertEquals([code, stdout, stderr], [0, "asked to stop\n", ""]);
});
