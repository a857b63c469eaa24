import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  ContextVar,
  copyContext,
  createTask,
  Future,
  InvalidStateError,
  isfuture,
  sleep,
  wait,
} from "../../lib/asyncio/mod.ts";
import { Future as CallFuture } from "../../lib/futures/mod.ts";
import { loopTest, reportsOf, virtualLoop } from "./_helpers.ts";

loopTest("Future.addDoneCallback() never calls at once, not even for a future that is done", function* (loop) {
  const future = loop.createFuture<number>();
  const log: string[] = [];
  future.addDoneCallback(() => log.push("before"));
  future.setResult(1);
  future.addDoneCallback(() => log.push("after"));
  log.push("set");
  yield* sleep(0);
  assertEquals(log, ["set", "before", "after"]);
});

loopTest("Future.addDoneCallback() twice calls twice, in order, with the future", function* (loop) {
  const future = loop.createFuture<number>();
  const got: unknown[] = [];
  const callback = (done: unknown): number => got.push(done);
  future.addDoneCallback(callback);
  future.addDoneCallback(() => got.push("between"));
  future.addDoneCallback(callback);
  future.setResult(1);
  yield* sleep(0);
  assertEquals(got, [future, "between", future]);
});

loopTest("Future.removeDoneCallback() takes all copies off and counts them", function* (loop) {
  const future = loop.createFuture<number>();
  const log: string[] = [];
  const callback = (): number => log.push("removed");
  assertEquals(future.removeDoneCallback(callback), 0);
  future.addDoneCallback(callback);
  future.addDoneCallback(() => log.push("kept"));
  future.addDoneCallback(callback);
  assertEquals(future.removeDoneCallback(callback), 2);
  assertEquals(future.removeDoneCallback(callback), 0);
  future.setResult(1);
  yield* sleep(0);
  assertEquals(log, ["kept"]);
});

loopTest("Future.addDoneCallback() takes the context of its call, or the one that is passed", function* (loop) {
  const variable = new ContextVar("variable", { default: "none" });
  const future = loop.createFuture<void>();
  const seen: string[] = [];
  variable.set("at the call");
  future.addDoneCallback(() => seen.push(variable.get()));
  const context = copyContext();
  context.run(() => variable.set("passed"));
  future.addDoneCallback(() => seen.push(variable.get()), { context });
  variable.set("later");
  future.setResult();
  yield* sleep(0);
  assertEquals(seen, ["at the call", "passed"]);
});

loopTest("Future that is done does not suspend a generator", function* (loop) {
  const future = loop.createFuture<number>();
  const log: string[] = [];
  future.setResult(1);
  loop.callSoon(() => log.push("callback"));
  yield* future;
  log.push("after");
  assertEquals(log, ["after"]);
});

loopTest("Future.cancel() keeps the message as it was passed", async (loop) => {
  for (const message of ["text", 5, { key: "value" }, new Error("reason")]) {
    const future = loop.createFuture<void>();
    assert(future.cancel(message));
    const error = await assertRejects(async () => await future, CancelledError);
    assertStrictEquals(error.reason, message);
    assert(future.cancelled() && future.done());
    assertEquals(future.cancel(), false);
  }
});

loopTest("Future.result() and exception() of a cancelled future throw CancelledError", function* (loop) {
  const future = loop.createFuture<void>();
  future.cancel();
  assertThrows(() => future.result(), CancelledError);
  assertThrows(() => future.exception(), CancelledError);
  yield* sleep(0);
});

loopTest("Future that failed with a CancelledError is not cancelled", function* (loop) {
  const future = loop.createFuture<void>();
  const error = new CancelledError("as an exception");
  future.setException(error);
  assertEquals(future.cancelled(), false);
  assertStrictEquals(future.exception(), error);
  yield* sleep(0);
});

loopTest("Future.setException() takes a class and makes an instance", function* (loop) {
  const future = loop.createFuture<void>();
  future.setException(RangeError);
  assertInstanceOf(future.exception(), RangeError);
  yield* sleep(0);
});

for (const value of [undefined, null, 0, ""]) {
  loopTest(`Future.setException() of ${Deno.inspect(value)} is thrown all the same`, async (loop) => {
    const future = loop.createFuture<string>();
    future.setException(value);
    const caught: unknown[] = [];
    try {
      await future;
    } catch (error) {
      caught.push(error);
    }
    function* waiting() {
      try {
        yield* future;
      } catch (error) {
        caught.push(error);
      }
    }
    await createTask(waiting());
    assertEquals(caught, [value, value]);
  });
}

loopTest("Future lets all who wait go on, in the order they came", async (loop) => {
  const future = loop.createFuture<string>();
  const log: string[] = [];
  const tasks = Array.from({ length: 5 }, (_, i) =>
    createTask(function* () {
      log.push(`${i} ${yield* future}`);
    }()));
  await sleep(0);
  future.setResult("set");
  await wait(tasks);
  assertEquals(log, ["0 set", "1 set", "2 set", "3 set", "4 set"]);
});

loopTest("Future that someone who waits is cancelled for is cancelled itself", async (loop) => {
  const future = loop.createFuture<void>();
  const task = createTask(async () => await future);
  await sleep(0);
  task.cancel("why");
  await wait([task]);
  assert(future.cancelled());
});

Deno.test("Future.toString() shows the state, the outcome and the callbacks", () => {
  using loop = virtualLoop();
  reportsOf(loop);
  const future = loop.createFuture<unknown>();
  assertEquals(String(future), "<Future pending>");
  future.addDoneCallback(function notify() {});
  assertEquals(String(future), "<Future pending cb=[notify()]>");
  future.setResult({ a: 1 });
  assertEquals(String(future), "<Future finished result={ a: 1 }>");
  const failed = loop.createFuture<void>();
  failed.setException(new RangeError("bad"));
  assertEquals(String(failed), "<Future finished exception=RangeError: bad>");
  const cancelled = loop.createFuture<void>();
  cancelled.cancel();
  assertEquals(String(cancelled), "<Future cancelled>");
  assertEquals(Deno.inspect(cancelled), "<Future cancelled>");
});

Deno.test("Future.getLoop() is the loop it was made on", () => {
  using loop = virtualLoop();
  assertStrictEquals(loop.createFuture().getLoop(), loop);
  assertStrictEquals(new Future({ loop }).getLoop(), loop);
});

Deno.test("isfuture() knows futures and tasks of asyncio only", async () => {
  using loop = virtualLoop();
  const task = loop.createTask(sleep(0));
  assert(isfuture(loop.createFuture()) && isfuture(task));
  for (const other of [Promise.resolve(), sleep(0), new CallFuture(), {}, null, undefined]) assert(!isfuture(other));
  await loop.runUntilComplete(task);
});

Deno.test("Future iterated by hand while pending throws InvalidStateError", () => {
  using loop = virtualLoop();
  const iterator = loop.createFuture<void>()[Symbol.iterator]();
  iterator.next();
  assertThrows(() => iterator.next(), InvalidStateError, "pending");
});

Deno.test("Future exceptions that were asked for are not reported at close", () => {
  const loop = virtualLoop();
  const reports = reportsOf(loop);
  const failed = (): Future<void> => {
    const future = loop.createFuture<void>();
    future.setException(new Error("asked for"));
    return future;
  };
  failed().exception();
  assertThrows(() => failed().result(), Error, "asked for");
  failed().cancel();
  const unseen = failed();
  loop.close();
  assertEquals(reports.map((report) => report.future), [unseen]);
  assert(reports[0]!.message.startsWith("Future exception was never retrieved"), reports[0]!.message);
});
