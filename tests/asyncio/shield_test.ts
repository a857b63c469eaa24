import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CancelledError, createTask, shield, sleep, wait } from "../../lib/asyncio/mod.ts";
import { loopTest, reportsOf } from "./_helpers.ts";

loopTest("shield() gives a future back that is done", (loop) => {
  const done = loop.createFuture<number>();
  done.setResult(1);
  assertStrictEquals(shield(done), done);
  return sleep(0);
});

loopTest("shield() is cancelled with what it shields, and passes result and exception on", async () => {
  const inner = createTask(sleep(10));
  const outer = shield(inner);
  inner.cancel();
  await assertRejects(async () => await outer, CancelledError);
  assertEquals(await shield(sleep(1, "result")), "result");
  await assertRejects(async () => await shield(() => Promise.reject(new RangeError("failed"))), RangeError, "failed");
});

loopTest("shield() lets a timeout pass and keeps what it shields running", async () => {
  const inner = createTask(sleep(50, "kept"));
  const task = createTask(async () => await shield(inner));
  await sleep(10);
  task.cancel();
  await wait([task]);
  assertEquals([task.cancelled(), inner.done(), await inner], [true, false, "kept"]);
});

loopTest("shield() reports nothing that ends well after its cancellation", async (loop) => {
  const reports = reportsOf(loop);
  const inner = createTask(sleep(5));
  shield(inner).cancel();
  const cancelled = createTask(sleep(5));
  shield(cancelled).cancel();
  await sleep(0);
  cancelled.cancel();
  await wait([inner, cancelled]);
  await sleep(1);
  assertEquals(reports.length, 0);
});
