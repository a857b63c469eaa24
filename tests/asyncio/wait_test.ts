import { assertEquals, assertRejects } from "@std/assert";
import {
  ALL_COMPLETED,
  CancelledError,
  createTask,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  sleep,
  type Task,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

loopTest("wait() with a timeout throws nothing and cancels nothing", async (loop) => {
  const tasks = [5, 15].map((time) => createTask(sleep(time)));
  const { done, pending } = await wait(tasks, { timeout: 10 });
  assertEquals([[...done], [...pending], loop.time()], [[tasks[0]!], [tasks[1]!], 10]);
  assertEquals((await wait(pending, { timeout: 0 })).pending.size, 1);
  await wait(tasks);
});

loopTest("wait() for FIRST_EXCEPTION takes no notice of a cancelled task", async (loop) => {
  const cancelled = createTask(sleep(100));
  const failing = createTask(async () => {
    await sleep(10);
    throw new Error("failed");
  });
  const slow = createTask(sleep(20));
  cancelled.cancel();
  const { done } = await wait([cancelled, failing, slow], { returnWhen: FIRST_EXCEPTION });
  assertEquals([done, loop.time()], [new Set([cancelled, failing]), 10]);
  await slow;
});

loopTest("wait() for FIRST_EXCEPTION without one waits for all", async (loop) => {
  await wait([sleep(1), sleep(20)].map((each) => createTask(each)), { returnWhen: FIRST_EXCEPTION });
  assertEquals(loop.time(), 20);
});

loopTest(
  "wait() takes note of the exception that it returns for, if others are left, and of no other",
  async (loop) => {
    const reports: boolean[] = [];
    for (const returnWhen of [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION] as const) {
      for (const other of [false, true]) {
        const failing = createTask(() => Promise.reject(new Error("failed")));
        const tasks: Task<unknown>[] = other ? [failing, createTask(sleep(1000))] : [failing];
        if (returnWhen === ALL_COMPLETED) tasks[1]?.cancel();
        const { pending } = await wait(tasks, { returnWhen });
        for (const task of pending) task.cancel();
        reports.push(loop._unretrieved.size > 0);
        failing.exception();
      }
    }
    // Where CPython 3.13 says "Task exception was never retrieved".
    assertEquals(reports, [true, true, true, true, true, false]);
  },
);

loopTest("wait() that is cancelled lets the futures run on", async () => {
  const task = createTask(sleep(10, "ran on"));
  const waiting = createTask(wait([task]));
  await sleep(1);
  waiting.cancel();
  await assertRejects(async () => await waiting, CancelledError);
  assertEquals([String(task).includes("wait()"), await task], [false, "ran on"]);
});

loopTest("wait() takes any iterable, in its order, and each once", async () => {
  const tasks = [3, 1, 2].map((time) => createTask(sleep(time)));
  const iterate = function* () {
    yield* tasks;
    yield tasks[0]!;
  };
  assertEquals([...(await wait(new Set(iterate()))).done], tasks);
  assertEquals((await wait(tasks, { returnWhen: FIRST_COMPLETED })).done.size, 3);
});
