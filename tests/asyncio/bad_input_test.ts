import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  asCompleted,
  type Awaitable,
  CancelledError,
  type Context,
  ContextVar,
  copyContext,
  coroutine,
  createTask,
  currentTask,
  ensureFuture,
  EventLoop,
  ExceptionGroup,
  type Future,
  gather,
  getRunningLoop,
  InvalidStateError,
  run,
  runCoroutineThreadsafe,
  Runner,
  RuntimeError,
  setEventLoop,
  shield,
  sleep,
  Task,
  type TaskGroup,
  taskGroup,
  type Timeout,
  timeout,
  timeoutAt,
  ValueError,
  wait,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../lib/testing/mod.ts";
import { loopTest, reportsOf, virtualLoop } from "./_helpers.ts";

function bad(value: unknown): never {
  return value as never;
}

for (const kind of ["generator", "native"]) {
  const awaits = (awaitable: Task<unknown> | Future<unknown>): Awaitable<unknown> =>
    kind === "native" ? async () => await awaitable : (function* () {
      return yield* awaitable;
    })();

  Deno.test(`Task of a ${kind} coroutine refuses to await a task of another loop`, async () => {
    using loop = virtualLoop();
    using other = virtualLoop();
    const foreign = other.createTask(sleep(1));
    const error = await assertRejects(() => loop.runUntilComplete(awaits(foreign)), RuntimeError, "different loop");
    assert(error.message.includes("make it on the loop"), error.message);
    await other.runUntilComplete(foreign);
  });

  loopTest(`Task of a ${kind} coroutine that awaits itself throws on its next turn and can go on`, async () => {
    let self: Task<unknown> | undefined = undefined;
    const task: Task<unknown> = createTask(
      kind === "native"
        ? async () => {
          try {
            return await self;
          } catch (error) {
            return error;
          }
        }
        : (function* () {
          try {
            return yield* self!;
          } catch (error) {
            return error;
          }
        })(),
    );
    self = task;
    assertInstanceOf(await task, RuntimeError);
  });
}

for (const value of [5, "text", {}, [], true, Symbol("s"), function* () {}()]) {
  loopTest(`Task refuses a bare yield of ${Deno.inspect(value)} and goes on`, function* () {
    const task = createTask(function* () {
      try {
        yield bad(value);
      } catch (error) {
        yield* sleep(1);
        return error;
      }
    }());
    const error = yield* task;
    assertInstanceOf(error, RuntimeError);
    assert(error.message.startsWith("Task got bad yield"), error.message);
  });
}

loopTest("Task refuses a bare yield of a future and says to write yield*", function* (loop) {
  const future = loop.createFuture<void>();
  const task = createTask(function* () {
    yield future;
  }());
  yield* wait([task]);
  assertInstanceOf(task.exception(), RuntimeError);
  assert(String(task.exception()).includes("yield*"));
});

Deno.test("Future refuses a second outcome of whatever kind, and says what it has", () => {
  using loop = virtualLoop();
  const end: Record<string, (future: Future<number>) => unknown> = {
    result: (future) => future.setResult(1),
    exception: (future) => future.setException(new Error("first")),
    cancel: (future) => future.cancel(),
  };
  for (const first of Object.values(end)) {
    const future = loop.createFuture<number>();
    first(future);
    const error = assertThrows(() => future.setResult(2), InvalidStateError);
    assert(error.message.includes(String(future)), error.message);
    assertThrows(() => future.setException(new Error()), InvalidStateError, "done()");
    assertEquals(future.cancel(), false);
  }
});

Deno.test("Future.result() and exception() too early say to wait", () => {
  using loop = virtualLoop();
  const future = loop.createFuture<number>();
  assertThrows(() => future.result(), InvalidStateError, "wait for it");
  assertThrows(() => future.exception(), InvalidStateError, "wait for it");
});

Deno.test("Future.addDoneCallback() refuses what is no function", () => {
  using loop = virtualLoop();
  assertThrows(() => loop.createFuture().addDoneCallback(bad(5)), TypeError, "pass a function");
});

loopTest("EventLoop.close() of a running loop is refused, and the loop runs on", async (loop) => {
  assertThrows(() => loop.close(), RuntimeError, "running");
  await sleep(1);
  assert(!loop.isClosed());
});

Deno.test("EventLoop.close() is refused while code outside awaits one of its futures", async () => {
  using loop = virtualLoop();
  const waiting = loop.createTask(sleep(1)).then();
  assertThrows(() => loop.close(), RuntimeError, "running");
  await waiting;
});

Deno.test("EventLoop after close() refuses each way of scheduling and running", async () => {
  const loop = virtualLoop();
  const future = loop.createFuture<void>();
  loop.close();
  const nothing = (): void => {};
  const context: Context = copyContext();
  const attempts: Record<string, () => unknown> = {
    callSoon: () => loop.callSoon(nothing),
    callSoonWith: () => loop.callSoonWith({ context }, nothing),
    callSoonThreadsafe: () => loop.callSoonThreadsafe(nothing),
    callLater: () => loop.callLater(1, nothing),
    callLaterWith: () => loop.callLaterWith({ context }, 1, nothing),
    callAt: () => loop.callAt(1, nothing),
    callAtWith: () => loop.callAtWith({ context }, 1, nothing),
    createTask: () => loop.createTask(sleep(1)),
    runInExecutor: () => loop.runInExecutor(null, nothing),
    addSignalHandler: () => loop.addSignalHandler("SIGUSR1", nothing),
    runCoroutineThreadsafe: () => runCoroutineThreadsafe(sleep(1), loop),
    "new Task": () => new Task(sleep(1), { loop }),
  };
  for (const [name, attempt] of Object.entries(attempts)) {
    assertThrows(attempt, RuntimeError, "Event loop is closed", name);
  }
  await assertRejects(() => loop.runForever(), RuntimeError, "Event loop is closed");
  await assertRejects(() => loop.runUntilComplete(sleep(1)), RuntimeError, "Event loop is closed");
  await assertRejects(async () => await future, RuntimeError, "Event loop is closed");
  loop.stop();
  loop.close();
  assert(loop.isClosed() && !loop.isRunning());
});

loopTest("wait() refuses an empty set, coroutines, a future by itself, and an unknown returnWhen", async () => {
  assertThrows(() => wait([]), ValueError, "empty");
  assertThrows(() => wait(new Set<Task<void>>()), ValueError, "empty");
  assertThrows(() => wait(bad([sleep(1)])), TypeError, "createTask()");
  assertThrows(() => wait(bad([function* () {}()])), TypeError, "createTask()");
  assertThrows(() => wait(bad([Promise.resolve()])), TypeError, "createTask()");
  const task = createTask(sleep(0));
  assertThrows(() => wait(bad(task)), TypeError, "list");
  assertThrows(() => wait(bad(sleep(1))), TypeError, "list");
  assertThrows(() => wait([task], { returnWhen: bad("SOME") }), ValueError, "SOME");
  assertThrows(() => wait([task], { timeout: NaN }), RangeError, "NaN");
  await task;
});

loopTest("each function that takes a delay refuses NaN and says so", (loop) => {
  const body = (): Awaitable<void> => sleep(1);
  const attempts: Record<string, () => unknown> = {
    sleep: () => sleep(NaN),
    callLater: () => loop.callLater(NaN, () => {}),
    callAt: () => loop.callAt(NaN, () => {}),
    waitFor: () => waitFor(sleep(1), NaN),
    timeout: () => timeout(NaN, body),
    timeoutAt: () => timeoutAt(NaN, body),
    advance: () => new VirtualClock().advance(NaN),
  };
  for (const [name, attempt] of Object.entries(attempts)) assertThrows(attempt, RangeError, "NaN", name);
  return sleep(0);
});

loopTest("each function that takes a delay refuses what is none", (loop) => {
  for (const delay of ["5", true, {}, { fortnights: 1 }, { months: 1 }, 5n]) {
    assertThrows(() => sleep(bad(delay)), Error, "pass milliseconds", Deno.inspect(delay));
    assertThrows(() => loop.callLater(bad(delay), () => {}), Error, "pass milliseconds", Deno.inspect(delay));
  }
  for (const delay of [null, undefined]) {
    assertThrows(() => sleep(bad(delay)), TypeError, String(delay));
    assertThrows(() => loop.callLater(bad(delay), () => {}), TypeError, String(delay));
    assertThrows(() => loop.callAt(bad(delay), () => {}), TypeError, String(delay));
  }
  return sleep(0);
});

loopTest("Timeout.reschedule() is refused after the end and when the time is over, with the state", async (loop) => {
  let finished: Timeout;
  await timeout(10, async (scope) => {
    finished = scope;
    await sleep(1);
  });
  assertThrows(() => finished.reschedule(loop.time() + 1), RuntimeError, "finished");
  let expired: Timeout;
  await assertRejects(async () => {
    await timeout(1, async (scope) => {
      expired = scope;
      try {
        await sleep(10);
      } catch (error) {
        assertThrows(() => scope.reschedule(null), RuntimeError, "expiring");
        throw error;
      }
    });
  });
  assertThrows(() => expired.reschedule(null), RuntimeError, "expired");
  await timeout(null, async (scope) => {
    assertThrows(() => scope.reschedule(NaN), RangeError, "NaN");
    await sleep(0);
  });
});

loopTest("TaskGroup.createTask() in a finished group is refused, and the coroutine is closed", async () => {
  let group: TaskGroup;
  await taskGroup(async (entered) => {
    group = entered;
    await sleep(0);
  });
  let entered = false;
  const refused = coroutine(function* () {
    entered = true;
    yield* sleep(0);
  })();
  assertThrows(() => group.createTask(refused), RuntimeError, "finished");
  await assertRejects(async () => await refused, RuntimeError, "second time");
  assertEquals(entered, false);
});

loopTest("TaskGroup.createTask() in a group that is shutting down is refused", async () => {
  await assertRejects(async () => {
    await taskGroup(async (group) => {
      group.createTask(() => Promise.reject(new Error("first")));
      try {
        await sleep(100);
      } finally {
        assertThrows(() => group.createTask(sleep(1)), RuntimeError, "shutting down");
      }
    });
  }, ExceptionGroup);
});

Deno.test("EventLoop tells the exception handler of each callback that throws, whatever it throws", async () => {
  using loop = virtualLoop();
  const reports = reportsOf(loop);
  const thrown = [new Error("error"), "text", undefined, null, new CancelledError()];
  const ran: number[] = [];
  for (const [i, value] of thrown.entries()) {
    loop.callSoon(function throwing() {
      throw value;
    });
    loop.callSoon(() => ran.push(i));
  }
  loop.callLater(1, function late() {
    throw 1;
  });
  await loop.runUntilComplete(sleep(2));
  assertEquals(reports.map((report) => report.exception), [...thrown, 1]);
  assertEquals(ran, [0, 1, 2, 3, 4]);
  assert(reports.every((report) => report.message.startsWith("Exception in callback") && report.handle !== undefined));
});

loopTest("Future tells the exception handler of a done callback that throws, and the others run", async (loop) => {
  const reports = reportsOf(loop);
  const future = loop.createFuture<void>();
  const log: string[] = [];
  future.addDoneCallback(function failing() {
    throw new Error("in a done callback");
  });
  future.addDoneCallback(() => log.push("second"));
  future.setResult();
  await sleep(0);
  assertEquals([log, reports.map(String).length], [["second"], 1]);
  assert(reports[0]!.message.includes("failing()"));
});

Deno.test("EventLoop refuses callbacks that are none, in each method", () => {
  using loop = virtualLoop();
  for (const value of [undefined, null, 5, "name", {}]) {
    assertThrows(() => loop.callSoon(bad(value)), TypeError, "pass a function");
    assertThrows(() => loop.callLater(1, bad(value)), TypeError, "pass a function");
    assertThrows(() => loop.callAt(1, bad(value)), TypeError, "pass a function");
    assertThrows(() => loop.callSoonThreadsafe(bad(value)), TypeError, "pass a function");
    assertThrows(() => loop.addSignalHandler("SIGUSR1", bad(value)), TypeError, "pass a function");
  }
  assertThrows(() => loop.setExceptionHandler(bad(5)), TypeError, "pass a function");
  assertThrows(() => loop.setTaskFactory(bad(5)), TypeError, "pass a function");
  assertThrows(() => setEventLoop(bad({})), TypeError, "EventLoop");
});

loopTest("what takes an awaitable refuses what is none, and names it", async () => {
  for (const value of [5, null, undefined, "text", {}, []]) {
    assertThrows(() => createTask(bad(value)), TypeError, "Cannot await", String(value));
    assertThrows(() => ensureFuture(bad(value)), TypeError, "Cannot await", String(value));
    assertThrows(() => shield(bad(value)), TypeError, "Cannot await", String(value));
    assertThrows(() => waitFor(bad(value), 1), TypeError, "Cannot await", String(value));
    assertThrows(() => gather([bad(value)]), TypeError, "Cannot await", String(value));
    assertThrows(() => runCoroutineThreadsafe(bad(value), getRunningLoop()), TypeError, "coroutine", String(value));
    assertThrows(() => timeout(1, bad(value)), TypeError, "pass a function", String(value));
    assertThrows(() => taskGroup(bad(value)), TypeError, "pass a function", String(value));
    assertThrows(() => coroutine(bad(value)), TypeError, "pass a function", String(value));
  }
  assertThrows(() => runCoroutineThreadsafe(getRunningLoop().createFuture(), getRunningLoop()), TypeError, "coroutine");
  await sleep(0);
});

Deno.test("run() refuses what is no awaitable and leaves nothing behind", async () => {
  await assertRejects(() => run(bad(5)), TypeError, "Cannot await 5");
  await assertRejects(() => new EventLoop().runUntilComplete(bad(5)), TypeError, "Cannot await 5");
});

loopTest("createTask() of a function that returns no awaitable fails the task", async () => {
  const task = createTask(bad(() => 5) as () => Promise<number>);
  await assertRejects(async () => await task, TypeError, "has to return an awaitable");
});

loopTest("Coroutine refuses to be awaited a second time", async () => {
  const once = coroutine(function* () {
    yield* sleep(0);
    return 1;
  })();
  assertEquals(await once, 1);
  await assertRejects(async () => await once, RuntimeError, "second time");
  const slept = sleep(1);
  await slept;
  await assertRejects(async () => await slept, RuntimeError, "second time");
});

loopTest("Task refuses an outcome from outside", async () => {
  const task = createTask(sleep(1));
  assertThrows(() => task.setResult(undefined), RuntimeError, "result of its coroutine");
  assertThrows(() => task.setException(new Error()), RuntimeError, "exception of its coroutine");
  await task;
});

Deno.test("Context.run() refuses a context that is entered", () => {
  const context = copyContext();
  context.run(() => {
    assertThrows(() => context.run(() => {}), RuntimeError, "copy()");
  });
  assertEquals(context.run(() => "free again"), "free again");
});

Deno.test("ContextVar.get() without a value and default names the variable", () => {
  assertThrows(() => new ContextVar("lonely").get(), ReferenceError, "lonely");
});

Deno.test("ContextVar.reset() refuses the token of another variable", () => {
  const [a, b] = [new ContextVar<number>("a"), new ContextVar<number>("b")];
  assertThrows(() => a.reset(b.set(1)), RangeError, '"b"');
});

Deno.test("ExceptionGroup refuses to be empty", () => {
  assertThrows(() => new ExceptionGroup("none", []), ValueError, "at least one");
});

Deno.test("getRunningLoop() and currentTask() outside of loops", () => {
  assertThrows(() => getRunningLoop(), RuntimeError, "No running event loop");
  assertEquals(currentTask(), null);
});

Deno.test("Runner refuses to run after close()", async () => {
  const runner = new Runner({ loopFactory: virtualLoop });
  await runner.close();
  await runner.close();
  assertThrows(() => runner.getLoop(), RuntimeError, "closed");
  await assertRejects(() => runner.run(sleep(1)), RuntimeError, "closed");
});

loopTest("runUntilComplete() within the same loop is refused, and closes the coroutine", async (loop) => {
  const main = coroutine(function* () {
    yield* sleep(0);
  });
  const [first, second] = [main(), main()];
  await assertRejects(() => loop.runUntilComplete(first), RuntimeError, "already running");
  await assertRejects(() => run(second), RuntimeError, "run()");
  for (const refused of [first, second]) {
    await assertRejects(async () => await refused, RuntimeError, "second time");
  }
});

Deno.test("VirtualClock.advance() refuses to go back", () => {
  const clock = new VirtualClock({ start: 5 });
  assertThrows(() => clock.advance(-1), RangeError, "only goes on");
  assertThrows(() => clock.advance(Infinity), RangeError, "only goes on");
  clock.advance({ seconds: 1 });
  assertEquals(clock.time(), 1005);
});

loopTest("gather(), wait() and asCompleted() refuse what is no options, such as a second awaitable", () => {
  const future = getRunningLoop().createFuture<void>();
  for (const options of [5, null, [future]]) {
    assertThrows(
      () => gather([future], bad(options)),
      TypeError,
      "as the options of gather(): pass an object such as {",
    );
    assertThrows(() => wait([future], bad(options)), TypeError, "as the options of wait()");
    assertThrows(() => asCompleted([future], bad(options)), TypeError, "as the options of asCompleted()");
  }
  return sleep(0);
});

loopTest("EventLoop.runInExecutor() refuses what is no executor", (loop) => {
  for (const executor of [() => 1, undefined, {}]) {
    assertThrows(
      () => loop.runInExecutor(bad(executor), () => 1),
      TypeError,
      "pass an executor, or null for the default",
    );
  }
  return sleep(0);
});
