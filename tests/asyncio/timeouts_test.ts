import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  createTask,
  currentTask,
  type EventLoop,
  RuntimeError,
  sleep,
  Timeout,
  timeout,
  timeoutAt,
  TimeoutError,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

/** When `task` fails with a TimeoutError. */
async function timedOut(loop: EventLoop, waiting: PromiseLike<unknown>): Promise<number> {
  const error = await assertRejects(async () => await waiting, TimeoutError);
  assertInstanceOf(error.cause, CancelledError);
  return loop.time();
}

loopTest("timeout() gives the result of its body, and takes its timer off", async (loop) => {
  let scope: Timeout;
  const result = await timeout({ seconds: 1 }, async (entered) => {
    scope = entered;
    assertEquals([scope.when(), scope.expired()], [1000, false]);
    return await sleep(1, "in time");
  });
  assertEquals([result, scope!.expired(), String(scope!)], ["in time", false, "<Timeout [finished]>"]);
  await sleep(5000);
  assertEquals([currentTask()!.cancelling(), loop.time()], [0, 5001]);
});

loopTest("timeout() that is over says so", async (loop) => {
  let scope: Timeout;
  const over = timeout(10, function* (entered) {
    scope = entered;
    assertEquals(String(entered), "<Timeout [active] when=10>");
    yield* sleep(100);
  });
  assertEquals(await timedOut(loop, over), 10);
  assertEquals([scope!.expired(), String(scope!), currentTask()!.cancelling()], [true, "<Timeout [expired]>", 0]);
});

for (const delay of [0, -5, -Infinity]) {
  loopTest(`timeout(${delay}) lets the body run to its first wait`, async (loop) => {
    const log: string[] = [];
    const over = timeout(delay, async () => {
      log.push("started");
      await sleep(100);
      log.push("never");
    });
    assertEquals([await timedOut(loop, over), log], [0, ["started"]]);
  });
}

loopTest("timeout(0) lets a body that does not wait end", async () => {
  assertEquals(
    await timeout(0, function* () {
      return "done";
    }),
    "done",
  );
  await sleep(1);
});

loopTest("timeout(null) never ends, until it is rescheduled", async (loop) => {
  const over = timeout(null, async (scope) => {
    assertEquals(scope.when(), null);
    await sleep(50);
    scope.reschedule(loop.time() + 7);
    assertEquals(scope.when(), 57);
    await sleep(100);
  });
  assertEquals(await timedOut(loop, over), 57);
});

loopTest("Timeout.reschedule() puts the end off, takes it back, and brings it forward", async (loop) => {
  await timeout(10, function* (scope) {
    yield* sleep(5);
    scope.reschedule(100);
    yield* sleep(50);
    scope.reschedule(null);
    yield* sleep(500);
  });
  assertEquals(loop.time(), 555);
  const over = timeout(1000, async (scope) => {
    scope.reschedule(loop.time() - 1);
    await sleep(100);
  });
  assertEquals(await timedOut(loop, over), 555);
});

loopTest("Timeout.reschedule() from another task counts", async (loop) => {
  let scope: Timeout;
  const task = createTask(timeout(null, async (entered) => {
    scope = entered;
    await sleep(1000);
  }));
  await sleep(1);
  scope!.reschedule(20);
  assertEquals(await timedOut(loop, task), 20);
});

loopTest("timeoutAt() takes a time of the loop, which may be past", async (loop) => {
  await sleep(100);
  assertEquals(await timedOut(loop, timeoutAt(130, () => sleep(1000))), 130);
  assertEquals(await timedOut(loop, timeoutAt(5, () => sleep(1000))), 130);
  assertEquals(await timeoutAt(null, () => sleep(1, "no limit")), "no limit");
});

for (const [outer, inner, who] of [[10, 20, "outer"], [20, 10, "inner"], [10, 10, "outer"]] as const) {
  loopTest(`timeout() nested: of ${outer} and ${inner} ms the ${who} one tells`, async (loop) => {
    const told: string[] = [];
    try {
      await timeout(outer, async () => {
        try {
          await timeout(inner, () => sleep(1000));
        } catch (error) {
          if (error instanceof TimeoutError) told.push("inner");
          throw error;
        }
      });
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
      if (told.length === 0) told.push("outer");
    }
    assertEquals([told, loop.time(), currentTask()!.cancelling()], [[who], 10, 0]);
  });
}

loopTest("timeout() leaves the task to whoever cancels it at the same time", async () => {
  const task = createTask(timeout(10, () => sleep(1000)));
  await sleep(10);
  task.cancel("mine");
  await wait([task]);
  assert(task.cancelled());
  assertEquals(task.cancelling(), 1);
});

loopTest("timeout() does not touch what else the body throws when time is over", async () => {
  const error = new RangeError("mine");
  const thrown = await assertRejects(async () => {
    await timeout(1, async () => {
      try {
        await sleep(100);
      } catch {
        throw error;
      }
    });
  });
  assertStrictEquals(thrown, error);
  assertEquals(currentTask()!.cancelling(), 0);
});

loopTest("timeout() gives the result of a body that goes on after its time", async () => {
  const result = await timeout(1, function* (scope) {
    try {
      yield* sleep(100);
    } catch {
      return yield* sleep(1, `expired: ${scope.expired()}`);
    }
  });
  assertEquals([result, currentTask()!.cancelling()], ["expired: true", 0]);
});

loopTest("timeout() counts from when it is awaited", async (loop) => {
  const over = timeout(10, () => sleep(100));
  await sleep(50);
  assertEquals(await timedOut(loop, over), 60);
});

loopTest("Timeout.reschedule() before the body is refused", async () => {
  assertThrows(() => new Timeout(5).reschedule(1), RuntimeError, "not been entered");
  await sleep(0);
});

loopTest("timeout() ends a wait for a promise of the host that never settles", async () => {
  let signal: AbortSignal;
  const task = createTask(timeout(null, async (scope) => {
    signal = currentTask()!.signal;
    queueMicrotask(() => scope.reschedule(0));
    await new Promise(() => {});
  }));
  await assertRejects(async () => await task, TimeoutError);
  assert(signal!.aborted);
});

loopTest("timeout() takes a body that gives a function, which gets the task's signal", async () => {
  const result = await timeout({ seconds: 1 }, () => async (signal: AbortSignal) => {
    await sleep(1);
    return signal.aborted;
  });
  assertEquals(result, false);
});
