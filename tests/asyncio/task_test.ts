import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import {
  allTasks,
  CancelledError,
  coroutine,
  createEagerTaskFactory,
  createTask,
  currentTask,
  eagerTaskFactory,
  ensureFuture,
  gather,
  getRunningLoop,
  iscoroutine,
  iscoroutinefunction,
  sleep,
  Task,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";

loopTest("Task.cancel() before the first step keeps the body from running", async () => {
  for (const kind of ["generator", "native"]) {
    let ran = false;
    const task = createTask(
      kind === "native"
        ? async () => {
          ran = true;
          await sleep(0);
        }
        : (function* () {
          ran = true;
        })(),
    );
    task.cancel("before");
    await assertRejects(async () => await task, CancelledError, "before");
    assertEquals(ran, false, kind);
  }
});

loopTest("Task.cancel() in the tick of setResult() loses the value", async (loop) => {
  for (const kind of ["generator", "native"]) {
    const future = loop.createFuture<number>();
    const got: unknown[] = [];
    const task = createTask(
      kind === "native" ? async () => got.push(await future) : (function* () {
        got.push(yield* future);
      })(),
    );
    await sleep(0);
    future.setResult(1);
    assert(task.cancel());
    await wait([task]);
    assertEquals([got, task.cancelled()], [[], true], kind);
  }
});

loopTest("Task that returns with a cancellation pending ends cancelled", async () => {
  const task = createTask(function* () {
    currentTask()!.cancel("pending");
    return "lost";
  }());
  await assertRejects(async () => await task, CancelledError);
  assert(task.cancelled());
});

loopTest("Task that throws CancelledError by itself is cancelled, though nobody called cancel()", async () => {
  const task = createTask(async () => {
    await sleep(0);
    throw new CancelledError("mine");
  });
  await assertRejects(async () => await task, CancelledError, "mine");
  assertEquals([task.cancelled(), task.cancelling()], [true, 0]);
});

loopTest("Task.cancel() is true each time, and throws each time", async () => {
  const caught: unknown[] = [];
  const task = createTask(function* () {
    for (let i = 0; i < 3; i++) {
      try {
        yield* sleep(1000);
      } catch (error) {
        caught.push((error as CancelledError).reason);
      }
    }
    return "done";
  }());
  for (let i = 0; i < 3; i++) {
    await sleep(1);
    assert(task.cancel(i));
  }
  assertEquals([await task, caught, task.cancelling()], ["done", [0, 1, 2], 3]);
  assertEquals(task.cancel(), false);
});

loopTest("Task.uncancel() stops at 0, and calls off a cancellation that has not been thrown", async () => {
  const task = createTask(function* () {
    const self = currentTask()!;
    assertEquals(self.uncancel(), 0);
    self.cancel();
    self.cancel();
    assertEquals([self.uncancel(), self.uncancel(), self.uncancel()], [1, 0, 0]);
    yield* sleep(1);
    return "not cancelled";
  }());
  assertEquals(await task, "not cancelled");
});

Deno.test("Task.cancelling() is the number of cancel() less that of uncancel(), never below 0", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 40 }), async (calls) => {
      using loop = virtualLoop();
      const task = loop.createTask(sleep(10));
      let expected = 0;
      for (const cancels of calls) {
        if (cancels) {
          assert(task.cancel());
          expected++;
        } else {
          expected = Math.max(0, expected - 1);
          assertEquals(task.uncancel(), expected);
        }
        assertEquals(task.cancelling(), expected);
      }
      await loop.runUntilComplete(wait([task]));
      assertEquals(task.cancelled(), expected > 0);
    }),
    { numRuns: 200, seed: 1 },
  );
});

loopTest("Task.signal aborts with the CancelledError, and is a new one after uncancel()", async () => {
  const task = createTask(async (signal) => {
    assertStrictEquals(currentTask()!.signal, signal);
    try {
      await sleep(1000);
    } catch {
      assertInstanceOf(signal.reason, CancelledError);
      assertEquals(signal.reason.reason, "why");
      currentTask()!.uncancel();
    }
    return [signal.aborted, currentTask()!.signal.aborted];
  });
  await sleep(1);
  task.cancel("why");
  assertEquals(await task, [true, false]);
});

loopTest("createTask() with a signal cancels the task when that aborts, with the reason", async () => {
  const controller = new AbortController();
  const task = createTask(sleep(1000), { signal: controller.signal });
  await sleep(1);
  controller.abort("enough");
  const error = await assertRejects(async () => await task, CancelledError);
  assertEquals(error.reason, "enough");
});

loopTest("createTask() lets go of its signal when the task is done", async () => {
  const controller = new AbortController();
  const task = createTask(sleep(1, "done"), { signal: controller.signal });
  assertEquals(await task, "done");
  controller.abort();
  assertEquals([task.cancelled(), task.cancelling()], [false, 0]);
});

loopTest("Task.cancel() gives up native code that waits for a promise of the host, and tells it so", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { promise: told, resolve: tell } = Promise.withResolvers<unknown>();
  const task = createTask(async () => {
    await promise;
    try {
      await sleep(1);
    } catch (error) {
      tell(error);
    }
  });
  await sleep(0);
  task.cancel("why");
  await assertRejects(async () => await task, CancelledError, "why");
  resolve();
  assertInstanceOf(await told, CancelledError);
});

loopTest("Task.cancel() waits for native code that takes the signal and cleans up with Skein", async (loop) => {
  let cleaned = -1;
  const task = createTask(async (signal) => {
    try {
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    } finally {
      await sleep(5);
      cleaned = loop.time();
    }
  });
  await sleep(0);
  task.cancel();
  await wait([task]);
  assertEquals([task.cancelled(), cleaned], [true, 5]);
});

loopTest("Task.cancel() cancels a fetch that takes the signal", async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const { promise: answer, resolve: end } = Promise.withResolvers<Response>();
  const server = Deno.serve({ port: 0, onListen: () => {} }, () => {
    resolve();
    return answer;
  });
  const task = createTask(async (signal) => await fetch(`http://127.0.0.1:${server.addr.port}`, { signal }));
  await asked;
  task.cancel("enough");
  await assertRejects(async () => await task, CancelledError, "enough");
  end(new Response());
  await server.shutdown();
});

loopTest("Task unwinds by throw: cleanup that waits in nested generators runs, and what follows does not", async () => {
  // The case that unwinding by return() loses: https://github.com/thefrontside/effection/issues/1190
  const log: string[] = [];
  function* innermost() {
    try {
      yield* sleep(1000);
    } catch (error) {
      log.push((error as Error).name);
      throw error;
    } finally {
      yield* sleep(1);
      log.push("inner cleaned");
    }
  }
  function* middle() {
    try {
      yield* innermost();
      log.push("never");
    } finally {
      yield* sleep(1);
      log.push("middle cleaned");
    }
    log.push("never");
  }
  const task = createTask(middle());
  await sleep(1);
  task.cancel();
  await wait([task]);
  assert(task.cancelled());
  assertEquals(log, ["CancelledError", "inner cleaned", "middle cleaned"]);
});

loopTest("100,000 parked tasks are cancelled, and none is left", async (loop) => {
  const count = 100_000;
  const tasks = Array.from({ length: count }, () =>
    createTask(function* () {
      yield* loop.createFuture<void>();
    }()));
  await sleep(0);
  assertEquals(allTasks().size, count + 1);
  for (const task of tasks) task.cancel();
  await gather(tasks, { returnExceptions: true });
  assert(tasks.every((task) => task.cancelled()));
  assertEquals(allTasks().size, 1);
});

loopTest("Task.getName() counts on by itself, and setName() makes strings", async () => {
  const [a, b] = [createTask(sleep(0)), createTask(sleep(0))];
  const number = (task: Task<void>): number => Number(/^Task-(\d+)$/.exec(task.getName())![1]);
  assertEquals(number(b), number(a) + 1);
  assertEquals(createTask(sleep(0), { name: 5 }).getName(), "5");
  a.setName(7);
  assertEquals(a.getName(), "7");
  await sleep(1);
});

loopTest("Task.toString() shows state, name, coroutine and what it waits for", async (loop) => {
  const future = loop.createFuture<void>();
  const task = createTask(
    coroutine(function* work() {
      yield* future;
    })(),
    { name: "me" },
  );
  assertEquals(String(task), "<Task pending name='me' coro=work()>");
  await sleep(0);
  assertEquals(String(task), "<Task pending name='me' coro=work() wait_for=<Future pending cb=[wakeup of me]>>");
  task.cancel();
  assert(String(task).startsWith("<Task cancelling name='me'"));
  await wait([task]);
  assertEquals(String(task), "<Task cancelled name='me' coro=work()>");
});

loopTest("Task.getCoro(), getContext() and getLoop() are what it was made with", async (loop) => {
  const coro = sleep(1);
  const task = createTask(coro);
  assertStrictEquals(task.getCoro(), coro);
  assertStrictEquals(task.getLoop(), loop);
  assertStrictEquals(task.getContext(), task.getContext());
  await task;
});

loopTest(
  "Task.getStack() has one frame for a task that waits, and those of the exception for one that failed",
  async () => {
    const waiting = createTask(sleep(1), { name: "waiting" });
    const running = createTask(function* inner() {
      return currentTask()!.getStack();
    }());
    const failing = createTask(function* () {
      throw new Error("failed");
    }());
    await wait([running, failing]);
    assertEquals(waiting.getStack().length, 1);
    assert(waiting.getStack()[0]!.text.startsWith("sleep()"));
    assert(running.result().some((frame) => frame.text.includes("task_test.ts")));
    assert(failing.getStack().some((frame) => frame.text.includes("task_test.ts")));
    assertEquals([failing.getStack(1).length, failing.getStack(0).length, running.getStack()], [1, 0, []]);
    failing.exception();
    await waiting;
  },
);

loopTest("allTasks() has them in the order they were made in, and forgets those that are done", async (loop) => {
  const tasks = [30, 10, 20].map((time) => createTask(sleep(time)));
  assertEquals([...allTasks()].slice(-3), tasks);
  await sleep(15);
  assertEquals([...allTasks(loop)].slice(-2), [tasks[0]!, tasks[2]!]);
  await wait(tasks);
});

loopTest("EventLoop.setTaskFactory() makes the tasks of createTask(), ensureFuture() and gather()", async (loop) => {
  const names: unknown[] = [];
  loop.setTaskFactory((factoryLoop, coroutine, options) => {
    assertStrictEquals(factoryLoop, loop);
    names.push(options.name);
    return new Task(coroutine, { ...options, loop });
  });
  assert(loop.getTaskFactory() !== null);
  await createTask(sleep(0), { name: "named" });
  await ensureFuture(sleep(0));
  await gather([sleep(0)]);
  loop.setTaskFactory(null);
  await createTask(sleep(0));
  assertEquals([names, loop.getTaskFactory()], [["named", undefined, undefined], null]);
});

loopTest("createTask() with eagerStart runs to the first wait before it returns", function* (loop) {
  const log: unknown[] = [];
  const outer = currentTask();
  const task = createTask(
    function* () {
      log.push(currentTask()!.getName(), allTasks().has(currentTask()!));
      yield* sleep(1);
      log.push("later");
      return "result";
    }(),
    { eagerStart: true, name: "eager" },
  );
  log.push("returned");
  assertStrictEquals(currentTask(), outer);
  assertEquals(log, ["eager", true, "returned"]);
  assertEquals(yield* task, "result");
  assertEquals(loop.time(), 1);
});

loopTest("createTask() with eagerStart is done at once when nothing is waited for", function* () {
  const task = createTask(
    function* () {
      return 1;
    }(),
    { eagerStart: true },
  );
  assertEquals([task.done(), task.result(), task.getCoro(), task.cancel()], [true, 1, null, false]);
  assert(!allTasks().has(task));
  const failed = createTask(
    function* () {
      throw new RangeError("at once");
    }(),
    { eagerStart: true },
  );
  assertInstanceOf(failed.exception(), RangeError);
});

loopTest("createTask() with eagerStart: false overrules the eager factory", function* (loop) {
  loop.setTaskFactory(eagerTaskFactory);
  const lazy = createTask(function* () {}(), { eagerStart: false });
  assertEquals(lazy.done(), false);
  yield* lazy;
});

Deno.test("createTask() with eagerStart outside of a running loop starts in its turn", async () => {
  using loop = virtualLoop();
  let started = false;
  const task = loop.createTask(
    function* () {
      started = true;
    }(),
    { eagerStart: true },
  );
  assertEquals(started, false);
  await loop.runUntilComplete(task);
  assertEquals(started, true);
});

loopTest("gather() of eager tasks that are done is done at once", function* (loop) {
  loop.setTaskFactory(eagerTaskFactory);
  const one = function* (n: number) {
    return n;
  };
  const outer = gather([one(1), one(2)]);
  assertEquals([outer.done(), outer.result()], [true, [1, 2]]);
});

loopTest("createEagerTaskFactory() makes tasks of one's own class", function* (loop) {
  class Own<T> extends Task<T> {}
  loop.setTaskFactory(createEagerTaskFactory((coroutine, options) => new Own(coroutine, options)));
  const task = createTask(function* () {
    return 1;
  }());
  assert(task instanceof Own && task.done());
  assertStrictEquals(task.getLoop(), getRunningLoop());
  loop.setTaskFactory(null);
});

Deno.test("iscoroutine() and iscoroutinefunction() know each kind", () => {
  const made = coroutine(async () => await sleep(0));
  const unstarted = made();
  for (const value of [unstarted, sleep(0), function* () {}()]) assert(iscoroutine(value), Deno.inspect(value));
  for (const value of [made, Promise.resolve(), null, 5, () => {}]) assert(!iscoroutine(value));
  for (const value of [made, function* () {}, async () => {}]) assert(iscoroutinefunction(value));
  for (const value of [() => {}, unstarted, null, 5]) assert(!iscoroutinefunction(value));
});

loopTest("coroutine() runs nothing before it is awaited, and keeps this, name and arguments", async () => {
  const log: number[] = [];
  const counter = {
    start: 10,
    add: coroutine(async function add(this: { start: number }, n: number) {
      log.push(n);
      return await sleep(0, this.start + n);
    }),
  };
  const sum = counter.add(5);
  assertEquals([log, sum.name, counter.add.name, String(sum)], [[], "add", "add", "<coroutine add>"]);
  assertEquals(await sum, 15);
});

loopTest("ensureFuture() gives a future back, and makes one of a promise", async (loop) => {
  const future = loop.createFuture<number>();
  assertStrictEquals(ensureFuture(future), future);
  assertEquals(await ensureFuture(Promise.resolve(1)), 1);
  const error = new Error("rejected");
  assertStrictEquals(await assertRejects(async () => await ensureFuture(Promise.reject(error))), error);
  using other = virtualLoop();
  let refused: unknown;
  try {
    ensureFuture(future, { loop: other });
  } catch (thrown) {
    refused = thrown;
  }
  assertEquals((refused as Error).name, "ValueError");
});

loopTest("createTask() of sleep(0) takes two turns", async () => {
  // As asyncio.create_task(asyncio.sleep(0)) in CPython 3.13.
  const task = createTask(sleep(0));
  const done: boolean[] = [];
  await createTask(function* () {
    for (let i = 0; i < 4; i++) {
      done.push(task.done());
      yield* sleep(0);
    }
  });
  assertEquals(done, [false, true, true, true]);
});

loopTest(
  "createTask() of a function follows promises that others have made, from whatever context they call back",
  async () => {
    const callers: (() => void)[] = [];
    class Theirs<T> extends Promise<T> {
      override then<A, B>(
        onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
        onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
      ): Promise<A | B> {
        callers.push(() => void super.then(onFulfilled, onRejected));
        return new Promise(() => {});
      }
    }
    const results = createTask(() => Theirs.resolve("subclass"));
    const thenable = createTask(() =>
      ({
        then: (onFulfilled: (value: string) => void) => void callers.push(() => onFulfilled("thenable")),
      }) as unknown as PromiseLike<string>
    );
    const failing = createTask(() => Theirs.reject(new Error("planned")));
    await sleep(0);
    assertEquals([callers.length, results.done()], [3, false]);
    // In the context of another task.
    const other = createTask(async () => {
      for (const call of callers) call();
      await sleep(0);
      return "other";
    });
    assertEquals(await gather([results, thenable, other]), ["subclass", "thenable", "other"]);
    await assertRejects(async () => await failing, Error, "planned");
  },
);
