import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  asCompleted,
  type AwaitedOf,
  CancelledError,
  ContextVar,
  copyContext,
  type Coroutine,
  coroutine,
  createTask,
  ensureFuture,
  EventLoop,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  type Future,
  gather,
  getRunningLoop,
  run,
  runCoroutineThreadsafe,
  RuntimeError,
  shield,
  sleep,
  type Task,
  taskGroup,
  timeout,
  TimeoutError,
  toThread,
  toThreadWith,
  ValueError,
  wait,
  waitFor,
  wrapFuture,
} from "../../lib/asyncio/mod.ts";
import {
  CancelledError as CallCancelledError,
  checkCancelled,
  Executor,
  Future as CallFuture,
  NotCloneableError,
  ProcessPoolExecutor,
  type SubmitOptions,
  taskContext,
} from "../../lib/futures/mod.ts";
import { assertNoWorkerLeft, forEachPool, Gate, hold, poolTest } from "../futures/_helpers.ts";
import { loopTest, reportsOf, virtualLoop } from "./_helpers.ts";
import { change, nested, read, readInTask, stays, user } from "./fixtures/travels.ts";

function double(n: number): number {
  return 2 * n;
}

/** Fails to compile if the type of `_value` is not exactly `T`. */
function typed<T>(): <V>(_value: V & ([V, T] extends [T, V] ? unknown : never)) => void {
  return () => {};
}

/** An executor that keeps its calls to itself. */
class Shelf extends Executor {
  readonly calls: CallFuture<unknown>[] = [];
  readonly options: SubmitOptions[] = [];

  override submitWith<A extends unknown[], R>(
    options: SubmitOptions,
    _fn: (...args: A) => R,
    ..._args: A
  ): CallFuture<Awaited<R>> {
    const call = new CallFuture<Awaited<R>>();
    this.calls.push(call as CallFuture<unknown>);
    this.options.push(options);
    return call;
  }

  override shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

// -- Types

loopTest("runInExecutor() and toThread() infer arguments and results", async (loop) => {
  const shelf = new Shelf();
  const later = (n: number, s = ""): Promise<string> => Promise.resolve(s.repeat(n));
  typed<Future<number>>()(loop.runInExecutor(shelf, double, 1));
  typed<Future<string>>()(loop.runInExecutorWith({ abandon: false }, shelf, later, 1, "a"));
  typed<AwaitedOf<CallFuture<number>>>()(1 as number);
  typed<Future<number>>()(ensureFuture(shelf.submit(double, 1)));
  typed<Future<[number, string]>>()(gather([shelf.submit(double, 1), shelf.submit(later, 1)]));
  // @ts-expect-error: an argument of another type
  loop.runInExecutor(shelf, double, "1");
  // @ts-expect-error: an argument too many
  loop.runInExecutor(shelf, double, 1, 2);
  const coroutines = [toThread(later, 1), toThreadWith({ timeout: 1 }, later, 1, "a")];
  typed<Coroutine<string>[]>()(coroutines);
  // @ts-expect-error: an argument is missing
  coroutines.push(toThread(later));
  for (const each of coroutines) each.close();
  const task = createTask(sleep(0, "task"));
  const call = shelf.submit(double, 1);
  const { done } = await wait([call, task], { returnWhen: FIRST_COMPLETED });
  typed<Set<CallFuture<number> | Task<string>>>()(done);
  assertEquals([...done], [task]);
  shelf.calls.forEach((each) => each.cancel());
});

// -- Cancelling

forEachPool("submit() awaited by native code is taken back when its task is cancelled", async ({ create }) => {
  using gate = new Gate();
  await run(async () => {
    await using pool = create({ maxWorkers: 1 });
    const first = pool.submit(hold, gate.port, 1);
    await gate.started(1);
    const call = pool.submit(hold, gate.port, 2);
    const task = createTask(async () => await call);
    await sleep(0);
    task.cancel("enough");
    await assertRejects(async () => await task, CancelledError, "enough");
    await sleep(0);
    assert(call.cancelled());
    await gate.open(1);
    assertEquals(await first, 1);
  });
});

forEachPool("submit() can be awaited in a task, with its result and its exception", async ({ create }) => {
  await run(async () => {
    await using pool = create({ maxWorkers: 1 });
    assertEquals(await pool.submit(double, 1), 2);
    assertEquals(await createTask(() => pool.submit(double, 2)), 4);
    assertEquals(
      await createTask(function* () {
        return yield* wrapFuture(pool.submit(double, 3));
      }),
      6,
    );
    await assertRejects(
      async () =>
        await pool.submit(() => {
          throw new RangeError("in the worker");
        }),
      RangeError,
      "in the worker",
    );
  });
});

forEachPool("runInExecutor() cancelled leaves a running call alone", async ({ create }) => {
  using gate = new Gate();
  await run(async () => {
    await using pool = create({ maxWorkers: 1 });
    const call = pool.submit(hold, gate.port, 1);
    const wrapped = wrapFuture(call);
    await gate.started(1);
    wrapped.cancel();
    await assertRejects(async () => await wrapped, CancelledError);
    assertEquals([call.done(), call.running()], [false, true]);
    await gate.open(1);
    assertEquals(await call, 1);
  });
});

forEachPool("runInExecutorWith({ abandon: false }) stops a running call when it is cancelled", async ({ create }) => {
  using gate = new Gate();
  await run(async () => {
    await using pool = create({ maxWorkers: 1 });
    const loop = getRunningLoop();
    const task = createTask(async () => await loop.runInExecutorWith({ abandon: false }, pool, hold, gate.port, 1));
    await gate.started(1);
    task.cancel("enough");
    await assertRejects(async () => await task, CancelledError, "enough");
    // The gate is closed, and the only worker held at it: another one has taken its place.
    assertEquals(await loop.runInExecutor(pool, double, 21), 42);
  });
});

poolTest("runInExecutorWith({ abandon: false }) kills the process of a running call", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await run(async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { net: ["127.0.0.1"] } });
    const call = getRunningLoop().runInExecutorWith({ abandon: false }, pool, hold, listener.addr.port, 1);
    using connection = await listener.accept();
    await connection.read(new Uint8Array(4));
    call.cancel();
    await assertRejects(async () => await call, CancelledError);
    // Only the end of the process closes its side.
    const end = await connection.read(new Uint8Array(1)).catch((error) => error);
    assert(end === null || end instanceof Deno.errors.ConnectionReset);
  });
});

forEachPool("runInExecutorWith({ abandon: false }) takes back a call that waits", async ({ create }) => {
  using gate = new Gate();
  await run(async () => {
    await using pool = create({ maxWorkers: 1 });
    const loop = getRunningLoop();
    const first = loop.runInExecutor(pool, hold, gate.port, 1);
    await gate.started(1);
    const second = loop.runInExecutorWith({ abandon: false }, pool, hold, gate.port, 2);
    second.cancel();
    await assertRejects(async () => await second, CancelledError);
    const third = loop.runInExecutor(pool, hold, gate.port, 3);
    await gate.open(1);
    await gate.started(3);
    await gate.open(3);
    assertEquals([await first, await third], [1, 3]);
  });
});

poolTest("toThreadWith({ abandon: false }) tells the thread", async () => {
  const states = new Int32Array(new SharedArrayBuffer(4));
  await run(async () => {
    const task = createTask(toThreadWith(
      { abandon: false },
      (states: Int32Array) => {
        Atomics.store(states, 0, 1);
        Atomics.notify(states, 0);
        try {
          while (true) checkCancelled();
        } finally {
          Atomics.store(states, 0, 2);
          Atomics.notify(states, 0);
        }
      },
      states,
    ));
    await Atomics.waitAsync(states, 0, 0).value;
    task.cancel();
    await assertRejects(async () => await task, CancelledError);
    await Atomics.waitAsync(states, 0, 1).value;
    assertEquals(states[0], 2);
  });
});

poolTest("toThreadWith() has the signal, the time limit and the transfer of submitWith()", async () => {
  using gate = new Gate();
  await run(async () => {
    const controller = new AbortController();
    const stopped = createTask(
      toThreadWith({ abandon: false, signal: controller.signal }, hold, gate.port, 1),
    );
    await gate.started(1);
    controller.abort(new RangeError("by the signal"));
    await assertRejects(async () => await stopped, RangeError, "by the signal");
    await assertRejects(async () => await toThreadWith({ timeout: 1 }, hold, gate.port, 2), TimeoutError, "1 ms");
    const bytes = new Uint8Array(8);
    assertEquals(await toThreadWith({ transfer: [bytes.buffer] }, (b: Uint8Array) => b.length, bytes), 8);
    assertEquals(bytes.length, 0);
  });
});

loopTest("runInExecutorWith() passes its options on, and not what is the loop's", async (loop) => {
  const shelf = new Shelf();
  const { signal } = new AbortController();
  loop.runInExecutorWith({ signal, timeout: 5, context: copyContext() }, shelf, double, 1);
  loop.runInExecutorWith({ abandon: false }, shelf, double, 1);
  assertEquals(shelf.options[0], { signal, timeout: 5, context: undefined });
  assertEquals(Object.keys(shelf.options[1]!), ["context", "signal"]);
  for (const call of shelf.calls) call.cancel();
  await sleep(0);
});

loopTest("runInExecutorWith({ abandon: false }) whose call ends in the same moment stops nothing", async (loop) => {
  const shelf = new Shelf();
  const future = loop.runInExecutorWith({ abandon: false }, shelf, double, 1);
  const [call] = shelf.calls;
  call!.setRunningOrNotifyCancel();
  future.cancel();
  call!.setResult(2);
  await sleep(0);
  await sleep(0);
  assertEquals(shelf.options[0]!.signal!.aborted, false);
  assert(future.cancelled());
});

// -- Context variables

forEachPool("runInExecutorWith({ context }) takes the variables along that travel", async ({ create }) => {
  await run(async () => {
    await using pool = create({ maxWorkers: 1 });
    const loop = getRunningLoop();
    stays.set("here");
    assertEquals(await loop.runInExecutorWith({ context: copyContext() }, pool, read), ["nobody", "default of stays"]);
    user.set({ name: "ada" });
    const context = copyContext();
    user.set("grace");
    assertEquals(await loop.runInExecutorWith({ context }, pool, read), [{ name: "ada" }, "default of stays"]);
    assertEquals(await loop.runInExecutor(pool, read), ["nobody", "default of stays"]);
    const source = () => taskContext();
    assertEquals(await loop.runInExecutorWith({ context }, pool, source), { user: { name: "ada" } });
    assertEquals(await loop.runInExecutor(pool, source), {});
  });
});

forEachPool("runInExecutorWith({ context }) gives each call a context of its own", async ({ create }) => {
  await run(async () => {
    await using pool = create({ maxWorkers: 1 });
    const loop = getRunningLoop();
    user.set("ada");
    const context = copyContext();
    // Handed over together, and run by one worker.
    const calls = ["one", "two"].map((value) => loop.runInExecutorWith({ context }, pool, change, value));
    assertEquals(await gather(calls), [["ada", "one"], ["ada", "two"]]);
    assertEquals(await loop.runInExecutorWith({ context }, pool, readInTask), ["ada", "of the task", "ada"]);
    assertEquals(user.get(), "ada");
  });
});

poolTest("toThread() takes the variables along that travel, from worker to worker", async () => {
  await run(function* () {
    user.set("ada");
    assertEquals(yield* toThread(read), ["ada", "default of stays"]);
    assertEquals(yield* toThread(nested), ["ada", "default of stays"]);
    const native = createTask(async () => {
      user.set("grace");
      return await toThread(read);
    });
    assertEquals(yield* native, ["grace", "default of stays"]);
  });
});

poolTest("toThread() names the variable that cannot be copied, and runs nothing", async () => {
  await run(async () => {
    user.set({ greet: () => {} });
    await assertRejects(
      async () => await toThread(double, 1),
      NotCloneableError,
      "Cannot send the context of double to a worker: user.greet is a function",
    );
    stays.set((() => {}) as never);
    user.set("ada");
    assertEquals(await toThread(double, 1), 2);
  });
});

poolTest("toThread() copies the variables when it is called on", async () => {
  await run(async () => {
    const value = { name: "ada" };
    user.set(value);
    const task = createTask(toThread(read));
    await sleep(0);
    value.name = "changed";
    assertEquals(await task, [{ name: "ada" }, "default of stays"]);
  });
});

loopTest("runInExecutorWith({ context }) refuses two variables of one name", (loop) => {
  const [one, two] = [1, 2].map(() => new ContextVar<number>("same", { travels: true })) as [
    ContextVar<number>,
    ContextVar<number>,
  ];
  one.set(1);
  const shelf = new Shelf();
  assertThrows(
    () => {
      two.set(2);
      loop.runInExecutorWith({ context: copyContext() }, shelf, double, 1);
    },
    ValueError,
    'context variable "same"',
  );
  assertEquals(shelf.calls, []);
  return Promise.resolve();
});

forEachPool("submitWith({ context }) gives the values to taskContext(), frozen", async ({ create, isProcess }) => {
  await using pool = create({ maxWorkers: 1 });
  const context = { a: 1, b: [1, 2] };
  const call = pool.submitWith({ context }, () => {
    const before = taskContext();
    return [before, Object.isFrozen(before)] as const;
  });
  context.a = 2;
  assertEquals(await call, [{ a: 1, b: [1, 2] }, true]);
  assertEquals(taskContext(), {});
  assertThrows(() => pool.submitWith({ context: { f: () => {} } }, double, 1), NotCloneableError, "f is a function");
  assertThrows(() => pool.submitWith({ context: 1 as never }, double, 1), TypeError, "as context");
  const shared = { memory: new SharedArrayBuffer(1) };
  const read = () => taskContext().memory instanceof SharedArrayBuffer;
  if (isProcess) assertThrows(() => pool.submitWith({ context: shared }, read), NotCloneableError, "memory is a");
  else assert(await pool.submitWith({ context: shared }, read));
  assertEquals(await pool.submit(() => taskContext()), {});
});

// -- Futures of calls among other awaitables

loopTest("gather(), shield(), waitFor(), timeout() and groups take futures of calls as they are", async () => {
  const calls = Array.from({ length: 6 }, () => new CallFuture<number>());
  const [a, b, c, d, e, f] = calls as [
    CallFuture<number>,
    CallFuture<number>,
    CallFuture<number>,
    CallFuture<number>,
    CallFuture<number>,
    CallFuture<number>,
  ];
  const group = createTask(taskGroup(function* (group) {
    const task = group.createTask(d);
    return yield* task;
  }));
  const all = createTask(async () => [
    await gather([a, a]),
    await shield(b),
    await waitFor(c, 60_000),
    await timeout(60_000, () => e),
    await ensureFuture(f),
  ]);
  await sleep(0);
  for (const [i, call] of calls.entries()) call.setResult(i);
  assertEquals(await all, [[0, 0], 1, 2, 4, 5]);
  assertEquals(await group, 3);
});

for (
  const [name, start] of Object.entries<(call: CallFuture<number>) => Future<unknown>>({
    "createTask(call)": (call) => createTask(call),
    "createTask(() => call)": (call) => createTask(() => call),
    "await call": (call) => createTask(async () => await call),
    "await call.then()": (call) => createTask(async () => await call.then((value) => value + 1)),
    "await Promise.all([call])": (call) => createTask(async () => await Promise.all([call])),
    "yield* wrapFuture(call)": (call) =>
      createTask(function* () {
        return yield* wrapFuture(call);
      }),
    "ensureFuture(call)": (call) => ensureFuture(call),
    "gather([call])": (call) => gather([call]),
    "waitFor(call)": (call) => createTask(waitFor(call, null)),
    "timeout(() => call)": (call) => createTask(timeout(null, () => call)),
    "an async function that returns call": (call) =>
      createTask(async () => {
        await sleep(0);
        return call;
      }),
  })
) {
  loopTest(`${name} cancelled cancels a call that has not started, and leaves one that runs`, async () => {
    const pending = new CallFuture<number>();
    const running = new CallFuture<number>();
    running.setRunningOrNotifyCancel();
    const futures = [start(pending), start(running)];
    for (let i = 0; i < 4; i++) await sleep(0);
    for (const future of futures) {
      assert(future.cancel("enough"));
      await assertRejects(async () => await future, CancelledError);
    }
    await sleep(0);
    assert(pending.cancelled());
    assertEquals([running.done(), running.running()], [false, true]);
    running.setResult(1);
    await sleep(0);
  });
}

loopTest("shield() keeps a call from being cancelled", async () => {
  const call = new CallFuture<number>();
  const task = createTask(async () => await shield(call));
  await sleep(0);
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals(call.done(), false);
  call.setResult(1);
  await sleep(0);
});

Deno.test("Future of a call awaited outside of tasks needs no loop", async () => {
  const call = new CallFuture<number>();
  queueMicrotask(() => call.setResult(1));
  assertEquals(await call, 1);
});

loopTest("a call that was cancelled cancels who awaits it", async () => {
  const call = new CallFuture<number>();
  const task = createTask(async () => await call);
  await sleep(0);
  call.cancel();
  await assertRejects(async () => await task, CancelledError);
  assert(task.cancelled());
});

loopTest("wait() gives back the very futures of calls, and takes no note of their exceptions", async () => {
  const calls = [new CallFuture<number>(), new CallFuture<number>(), new CallFuture<number>()];
  const task = createTask(sleep(0));
  const [first, second, third] = calls as [CallFuture<number>, CallFuture<number>, CallFuture<number>];
  const waiting = createTask(wait([...calls, task], { returnWhen: FIRST_EXCEPTION }));
  await sleep(0);
  first.setResult(1);
  await sleep(0);
  await sleep(0);
  assertEquals(waiting.done(), false);
  second.setException(new RangeError("of the call"));
  const { done, pending } = await waiting;
  assertEquals([...done], [first, second, task]);
  assertEquals([...pending], [third]);
  assert(done.has(first));
  await assertRejects(() => second.result(), RangeError);
  third.cancel();
  assertEquals([...(await wait([third])).done], [third]);
});

loopTest("wait() cancelled leaves calls alone", async () => {
  const call = new CallFuture<number>();
  const task = createTask(wait([call]));
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals(call.done(), false);
  // The clock does not wait for what nobody waits for.
  await sleep(1000);
});

loopTest("asCompleted() gives the very futures of calls, and their results", async () => {
  const calls = [new CallFuture<string>(), new CallFuture<string>(), new CallFuture<string>()];
  const [first, second, third] = calls as [CallFuture<string>, CallFuture<string>, CallFuture<string>];
  const results = createTask(function* () {
    const results: string[] = [];
    for (const next of asCompleted(calls)) {
      try {
        results.push(yield* next);
      } catch (error) {
        results.push(String(error));
      }
    }
    return results;
  });
  const futures = createTask(async () => {
    const futures: unknown[] = [];
    for await (const future of asCompleted(calls)) {
      typed<CallFuture<string> & { readonly then: never }>()(future);
      futures.push(future);
    }
    return futures;
  });
  const nexts = createTask(function* () {
    const items = asCompleted(calls);
    return [yield* items.next(), yield* items.next(), yield* items.next(), yield* items.next()];
  });
  await sleep(0);
  third.setResult("third");
  await sleep(0);
  first.setException(new RangeError("first"));
  await sleep(0);
  second.setResult("second");
  assertEquals(await results, ["third", "RangeError: first", "second"]);
  for (const [i, call] of [third, first, second].entries()) {
    assertStrictEquals((await futures)[i], call);
    assertStrictEquals((await nexts)[i], call);
  }
  assertStrictEquals((await nexts)[3], null);
});

loopTest("wrapFuture() refuses what is no future", () => {
  assertThrows(() => wrapFuture(Promise.resolve(1) as never), TypeError, "concurrent.futures");
  return Promise.resolve();
});

// -- Between two loops

/** Runs `body` in a loop of its own while a second one runs. */
async function twoLoops(body: (other: EventLoop) => PromiseLike<unknown>): Promise<void> {
  const [here, there] = [virtualLoop(), virtualLoop()];
  const reports = [reportsOf(here), reportsOf(there)];
  const forever = there.runForever();
  try {
    await here.runUntilComplete(() => body(there));
  } finally {
    there.stop();
    await forever;
    here.close();
    there.close();
  }
  assertEquals(reports.flat().map((report) => report.message), []);
}

Deno.test("runCoroutineThreadsafe() between two loops on virtual clocks, each of which keeps its own time", () =>
  twoLoops(async (other) => {
    const before = getRunningLoop().time();
    const call = runCoroutineThreadsafe(async () => {
      assertStrictEquals(getRunningLoop(), other);
      await sleep(60_000);
      return other.time();
    }, other);
    typed<CallFuture<number>>()(call);
    assertEquals(await call, 60_000);
    assertEquals(getRunningLoop().time(), before);
  }));

Deno.test("runCoroutineThreadsafe() between two loops passes errors on", () =>
  twoLoops(async (other) => {
    const call = runCoroutineThreadsafe(function* () {
      yield* sleep(1);
      throw new RangeError("there");
    }, other);
    await assertRejects(async () => await call, RangeError, "there");
  }));

Deno.test("runCoroutineThreadsafe() between two loops: cancelling the wait cancels the task over there", () =>
  twoLoops(async (other) => {
    const { promise: started, resolve: start } = Promise.withResolvers<void>();
    const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
    const call = runCoroutineThreadsafe(async () => {
      start();
      try {
        await other.createFuture();
      } catch (error) {
        end(error);
        throw error;
      }
    }, other);
    const task = createTask(async () => await call);
    await started;
    await sleep(0);
    task.cancel("here");
    await assertRejects(async () => await task, CancelledError, "here");
    assertInstanceOf(await ended, CancelledError);
    assert(call.cancelled());
  }));

Deno.test("runCoroutineThreadsafe() between two loops: a task that is cancelled over there cancels the wait", () =>
  twoLoops(async (other) => {
    const call = runCoroutineThreadsafe(async () => {
      const self = createTask(sleep(60_000));
      self.cancel("there");
      await self;
    }, other);
    const task = createTask(async () => await call);
    await assertRejects(async () => await task, CancelledError);
    assert(call.cancelled());
    assert(task.cancelled());
  }));

Deno.test("runCoroutineThreadsafe() cancelled before the other loop has seen it comes to its first wait", async () => {
  const loop = virtualLoop();
  const ran: string[] = [];
  const call = runCoroutineThreadsafe(function* () {
    ran.push("before");
    yield* sleep(1);
    ran.push("after");
  }, loop);
  call.cancel();
  await loop.runUntilComplete(sleep(2));
  loop.close();
  // As in CPython, where the cancellation follows the first step of the task.
  assertEquals([ran, call.cancelled()], [["before"], true]);
  await assertRejects(() => call.result(), CallCancelledError);
});

Deno.test("runCoroutineThreadsafe() on a closed loop throws, and closes the coroutine", async () => {
  const loop = new EventLoop();
  loop.close();
  const unstarted = coroutine(function* nothing() {})();
  assertThrows(() => runCoroutineThreadsafe(unstarted, loop), RuntimeError, "closed");
  await assertRejects(async () => await unstarted, RuntimeError, "a second time");
});

Deno.test("bridges leave no worker", assertNoWorkerLeft);
