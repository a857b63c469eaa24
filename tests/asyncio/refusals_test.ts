import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ContextVar, copyContext, createTask, RuntimeError, sleep, ValueError, wait } from "../../lib/asyncio/mod.ts";
import { loopTest, reportsOf, virtualLoop } from "./_helpers.ts";

loopTest("createTask() with a signal that has aborted never starts the body", function* () {
  for (const eagerStart of [false, true]) {
    let ran = false;
    const task = createTask(
      function* () {
        ran = true;
        yield* sleep(1);
      }(),
      { signal: AbortSignal.abort("before"), eagerStart },
    );
    yield* wait([task]);
    assertEquals([ran, task.cancelled()], [false, true]);
  }
});

loopTest("sleep() that was closed refuses to be awaited", async () => {
  const closed = sleep(5);
  closed.close();
  await assertRejects(async () => await closed, RuntimeError);
});

Deno.test("Task.getStack() does not count as retrieving the exception", async () => {
  const loop = virtualLoop();
  const reports = reportsOf(loop);
  const task = loop.createTask(function* () {
    throw new Error("unseen");
  }());
  await loop.runUntilComplete(sleep(1));
  task.getStack();
  loop.close();
  assertEquals(reports.length, 1);
});

Deno.test("EventLoop.addSignalHandler() refuses coroutine functions", () => {
  using loop = virtualLoop();
  assertThrows(() => loop.addSignalHandler("SIGUSR1", async () => {}), TypeError);
  assertThrows(() => loop.addSignalHandler("SIGUSR1", function* () {}), TypeError);
});

Deno.test("sleep(NaN) throws ValueError", () => {
  assertThrows(() => sleep(NaN), ValueError);
});

Deno.test("ContextVar.reset() refuses a token twice, of another variable and of another context", () => {
  const variable = new ContextVar<number>("variable");
  const token = variable.set(1);
  variable.reset(token);
  assertThrows(() => variable.reset(token), RuntimeError);
  assertThrows(() => variable.reset(new ContextVar<number>("other").set(1)), ValueError);
  const elsewhere = copyContext().run(() => variable.set(5));
  assertThrows(() => variable.reset(elsewhere), ValueError);
  assert(true);
});
