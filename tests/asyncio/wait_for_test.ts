import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CancelledError, createTask, sleep, TimeoutError, wait, waitFor } from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

for (const limit of [0, -1, -Infinity]) {
  loopTest(`waitFor() with a limit of ${limit} starts no coroutine`, async () => {
    let started = false;
    await assertRejects(async () => {
      await waitFor(
        function* () {
          started = true;
        }(),
        limit,
      );
    }, TimeoutError);
    assertEquals(started, false);
  });

  loopTest(`waitFor() with a limit of ${limit} takes what is done`, async (loop) => {
    const done = loop.createFuture<string>();
    done.setResult("done");
    assertEquals(await waitFor(done, limit), "done");
  });

  loopTest(`waitFor() with a limit of ${limit} waits for the end of what it cancels`, async (loop) => {
    const task = createTask(async () => {
      try {
        await sleep(100);
      } catch {
        return await sleep(5, "in spite of it");
      }
    });
    await sleep(1);
    assertEquals([await waitFor(task, limit), loop.time()], ["in spite of it", 6]);
  });
}

loopTest("waitFor() gives what comes in spite of the cancellation", async (loop) => {
  const result = await waitFor(
    function* () {
      try {
        yield* sleep(100);
      } catch {
        return yield* sleep(5, "late");
      }
    }(),
    10,
  );
  assertEquals([result, loop.time()], ["late", 15]);
});

loopTest("waitFor() throws what is thrown during the cancellation", async () => {
  const error = new RangeError("while cancelled");
  const thrown = await assertRejects(async () => {
    await waitFor(async () => {
      try {
        await sleep(100);
      } catch {
        throw error;
      }
    }, 10);
  });
  assertStrictEquals(thrown, error);
});

loopTest("waitFor() cancelled from outside cancels the awaitable and is cancelled", async () => {
  const inner = createTask(sleep(100));
  const outer = createTask(waitFor(inner, 50));
  await sleep(1);
  outer.cancel();
  await assertRejects(async () => await outer, CancelledError);
  assert(inner.cancelled());
});

loopTest("waitFor() that is cancelled in the instant of the result is cancelled", async (loop) => {
  const future = loop.createFuture<void>();
  const task = createTask(waitFor(future, 50));
  await sleep(0);
  future.setResult();
  task.cancel();
  await wait([task]);
  assert(task.cancelled());
});

loopTest("waitFor() without a limit waits, and leaves no timer", async (loop) => {
  assertEquals(await waitFor(sleep({ hours: 1 }, "an hour"), null), "an hour");
  assertEquals(await waitFor(sleep(1, "a"), Infinity), "a");
  assertEquals(loop.time(), 3_600_001);
});

loopTest("waitFor() takes a promise, which it cannot cancel", async () => {
  assertEquals(await waitFor(Promise.resolve("promise"), 10), "promise");
});
