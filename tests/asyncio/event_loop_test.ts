import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  asCompleted,
  CancelledError,
  createTask,
  currentTask,
  DeadlockError,
  EventLoop,
  type ExceptionContext,
  gather,
  getRunningLoop,
  InvalidStateError,
  KeyboardInterrupt,
  run,
  RuntimeError,
  setEventLoop,
  shield,
  sleep,
  type Suspension,
  type Task,
  TaskGroup,
  taskGroup,
  type Timeout,
  timeout,
  ValueError,
  wait,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../lib/testing/mod.ts";

function virtualLoop(): EventLoop {
  return new EventLoop({ clock: new VirtualClock() });
}

Deno.test("EventLoop runs what is ready, then due timers, then what these scheduled", async () => {
  using loop = virtualLoop();
  const order: string[] = [];
  loop.callSoon(() => {
    order.push("A");
    loop.callSoon(() => order.push("A2"));
  });
  loop.callSoon(() => order.push("B"));
  loop.callLater(0, () => order.push("T"));
  await loop.runUntilComplete(sleep(1));
  assertEquals(order, ["A", "B", "T", "A2"]);
});

Deno.test("EventLoop runs timers of one deadline in the order they were made in", async () => {
  using loop = virtualLoop();
  const order: number[] = [];
  const expected = Array.from({ length: 100 }, (_, i) => i);
  for (const i of expected) loop.callAt(5, () => order.push(i));
  await loop.runUntilComplete(sleep(6));
  assertEquals(order, expected);
});

Deno.test("EventLoop drops cancelled timers without losing others", async () => {
  using loop = virtualLoop();
  const ran: number[] = [];
  const timers = Array.from(
    { length: 1000 },
    (_, i) => loop.callLater(i % 37, () => ran.push(i)),
  );
  for (const [i, timer] of timers.entries()) if (i % 3 !== 0) timer.cancel();
  await loop.runUntilComplete(sleep(50));
  assertEquals(ran.length, 334);
});

Deno.test("EventLoop.stop() before runForever() lets one iteration run", async () => {
  using loop = new EventLoop();
  const order: string[] = [];
  loop.callSoon(() => {
    order.push("first");
    loop.callSoon(() => order.push("second"));
  });
  loop.stop();
  await loop.runForever();
  assertEquals(order, ["first"]);
});

Deno.test("EventLoop.runUntilComplete() rejects when the loop is stopped before", async () => {
  using loop = virtualLoop();
  loop.callSoon(() => loop.stop());
  await assertRejects(
    () => loop.runUntilComplete(loop.createFuture()),
    RuntimeError,
    "Event loop stopped before Future completed",
  );
});

Deno.test("EventLoop refuses to run inside of a loop", async () => {
  using other = new EventLoop();
  await run(async () => {
    await assertRejects(
      () => other.runForever(),
      RuntimeError,
      "while another loop is running",
    );
    await assertRejects(() => run(sleep(0)), RuntimeError);
    assertThrows(
      () => getRunningLoop().close(),
      RuntimeError,
      "Cannot close a running event loop",
    );
  });
});

Deno.test("EventLoop refuses everything after close()", async () => {
  const loop = new EventLoop();
  loop.close();
  loop.close();
  assertThrows(
    () => loop.callSoon(() => {}),
    RuntimeError,
    "Event loop is closed",
  );
  assertThrows(
    () => loop.callLater(1, () => {}),
    RuntimeError,
    "Event loop is closed",
  );
  assertThrows(
    () => loop.createTask(sleep(1)),
    RuntimeError,
    "Event loop is closed",
  );
  await assertRejects(
    () => loop.runForever(),
    RuntimeError,
    "Event loop is closed",
  );
});

Deno.test("EventLoop gives what a callback throws to the exception handler and goes on", async () => {
  using loop = virtualLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_, context) => contexts.push(context));
  const error = new Error("in a callback");
  loop.callSoon(function failing() {
    throw error;
  });
  await loop.runUntilComplete(sleep(1));
  assertEquals(contexts.length, 1);
  assertStrictEquals(contexts[0]!.exception, error);
  assertEquals(contexts[0]!.message, "Exception in callback failing()");
});

Deno.test("EventLoop reports what a handler threw that throws, together with what it was told", () => {
  using loop = virtualLoop();
  const [told, thrown] = [new Error("told"), new Error("thrown")];
  loop.setExceptionHandler(() => {
    throw thrown;
  });
  const printed: unknown[][] = [];
  const { error } = console;
  console.error = (...args) => void printed.push(args);
  try {
    loop.callExceptionHandler({ message: "what happened", exception: told });
  } finally {
    console.error = error;
  }
  assertEquals(printed.length, 1);
  const [text, exception] = printed[0]!;
  assertStrictEquals(exception, thrown);
  assertStringIncludes(text as string, "Unhandled error in exception handler\ncontext: what happened Error: told");
});

Deno.test("EventLoop ends its run with a KeyboardInterrupt of a task", async () => {
  using loop = virtualLoop();
  loop.setExceptionHandler(() => {});
  loop.createTask(() => Promise.reject(new KeyboardInterrupt()));
  await assertRejects(
    () => loop.runUntilComplete(sleep(10)),
    KeyboardInterrupt,
  );
});

Deno.test("EventLoop reports exceptions that nobody retrieved when it closes, and no others", async () => {
  const loop = virtualLoop();
  const messages: string[] = [];
  loop.setExceptionHandler((_, context) => messages.push(context.message));
  const fail = (name: string): Task<never> => loop.createTask(() => Promise.reject(new Error(name)), { name });
  const seen = fail("seen");
  fail("unseen");
  await loop.runUntilComplete(wait([seen]));
  seen.exception();
  loop.close();
  assertEquals(messages.length, 1);
  assert(
    messages[0]!.includes("never retrieved") && messages[0]!.includes("unseen"),
  );
});

Deno.test("a scheduling method refuses a delay or a callback that is none", () => {
  using loop = virtualLoop();
  assertThrows(() => loop.callLater(NaN, () => {}), RangeError, "NaN");
  assertThrows(
    () => loop.callLater(null as unknown as number, () => {}),
    TypeError,
    "null",
  );
  assertThrows(
    () => loop.callAt(undefined as unknown as number, () => {}),
    TypeError,
  );
  assertThrows(
    () => loop.callSoon(5 as unknown as () => void),
    TypeError,
    "pass a function",
  );
  assertThrows(() => sleep(NaN), RangeError, "NaN");
});

Deno.test("Future refuses a second result, and result() while it is pending", () => {
  using loop = virtualLoop();
  const future = loop.createFuture<number>();
  assertThrows(() => future.result(), InvalidStateError, "not done");
  assertThrows(() => future.exception(), InvalidStateError, "not done");
  future.setResult(1);
  assertThrows(() => future.setResult(2), InvalidStateError, "done");
  assertEquals(String(future), "<Future finished result=1>");
});

Deno.test("Task refuses bad yields, futures of other loops and a result from outside", async () => {
  using loop = virtualLoop();
  using other = virtualLoop();
  function* bad(value: unknown) {
    yield value as Suspension;
  }
  await assertRejects(
    () => loop.runUntilComplete(bad(5)),
    RuntimeError,
    "bad yield: 5",
  );
  await assertRejects(
    () => loop.runUntilComplete(bad(loop.createFuture())),
    RuntimeError,
    "yield*",
  );
  const foreign = other.createFuture();
  await assertRejects(
    () =>
      loop.runUntilComplete(function* () {
        yield* foreign;
      }()),
    RuntimeError,
    "different loop",
  );
  await assertRejects(
    () => loop.runUntilComplete(async () => void await foreign),
    RuntimeError,
    "different loop",
  );
  await loop.runUntilComplete(async () => {
    const task = createTask(sleep(1));
    assertThrows(() => task.setResult(undefined), RuntimeError);
    assertThrows(() => createTask(task), TypeError, "ensureFuture");
    assertThrows(
      () => createTask(5 as unknown as () => Promise<void>),
      TypeError,
      "Cannot await 5",
    );
    await task;
  });
});

Deno.test("waiting functions refuse what they cannot wait for", async () => {
  await run(async () => {
    assertThrows(() => wait([]), ValueError, "empty");
    assertThrows(
      () => wait([sleep(1)] as unknown as Task<void>[]),
      TypeError,
      "createTask()",
    );
    assertThrows(
      () => wait(createTask(sleep(0)) as unknown as Task<void>[]),
      TypeError,
    );
    assertThrows(
      () => gather([5 as unknown as Promise<void>]),
      TypeError,
      "Cannot await 5",
    );
    assertThrows(() => waitFor(sleep(1), NaN), RangeError, "NaN");
    using other = virtualLoop();
    assertThrows(
      () => gather([getRunningLoop().createFuture(), other.createFuture()]),
      ValueError,
      "different",
    );
    await sleep(0);
  });
});

Deno.test("Timeout.reschedule() and TaskGroup.createTask() are refused after the end", async () => {
  await run(async () => {
    let scope: Timeout;
    await timeout(null, async (entered) => {
      scope = entered;
      await sleep(0);
    });
    assertThrows(() => scope.reschedule(1), RuntimeError, "finished");
    let group: TaskGroup;
    await taskGroup(async (entered) => {
      group = entered;
      await sleep(0);
    });
    assertThrows(() => group.createTask(sleep(1)), RuntimeError, "finished");
    assertThrows(
      () => new TaskGroup().createTask(sleep(1)),
      RuntimeError,
      "not been entered",
    );
  });
});

Deno.test("top-level await needs no run()", async () => {
  await sleep(1);
  assertEquals(await gather([sleep(2, "a"), sleep(1, "b")]), ["a", "b"]);
});

Deno.test("asCompleted() gives back the futures it was given, in the order they end", async () => {
  await run(async () => {
    const slow = createTask(sleep(20, "slow"));
    const fast = createTask(sleep(1, "fast"));
    const order: unknown[] = [];
    for await (const task of asCompleted([slow, fast, slow])) {
      order.push(task);
    }
    assertStrictEquals(order[0], fast);
    assertStrictEquals(order[1], slow);
    assertEquals(order.length, 2);
  });
});

Deno.test("shield() reports what its future throws after the cancellation once", async () => {
  using loop = virtualLoop();
  const reports: ExceptionContext[] = [];
  loop.setExceptionHandler((_, context) => reports.push(context));
  await loop.runUntilComplete(async () => {
    const inner = createTask(async () => {
      await sleep(5);
      throw new Error("late");
    });
    for (const shielded of [shield(inner), shield(inner)]) shielded.cancel();
    await wait([inner]);
    await sleep(1);
  });
  assertEquals(reports.map((report) => String(report.exception)), [
    "Error: late",
  ]);
});

Deno.test("Task.cancel() ends a wait for a promise that never settles, and aborts the signal", async () => {
  await run(async () => {
    let signal: AbortSignal | undefined;
    const task = createTask(async (given: AbortSignal) => {
      signal = given;
      await new Promise(() => {});
    });
    await sleep(0);
    task.cancel("enough");
    await assertRejects(async () => await task, CancelledError, "enough");
    assert(signal!.aborted);
    assertInstanceOf(signal!.reason, CancelledError);
  });
});

Deno.test("Task.cancel() ignores the rejection of a promise that it has given up", async () => {
  await run(async () => {
    const { promise, reject } = Promise.withResolvers<void>();
    const task = createTask(() => promise);
    await sleep(0);
    task.cancel();
    await wait([task]);
    reject(new Error("nobody hears this"));
    await sleep(1);
    assert(task.cancelled());
  });
});

Deno.test("currentTask() is the generator's in an async function that it awaits", async () => {
  const names = await run(function* () {
    const task = createTask(
      function* () {
        return yield* timeout(null, async () => {
          await null;
          const before = currentTask()?.getName();
          await sleep(1);
          return [before, currentTask()?.getName()];
        });
      }(),
      { name: "generator" },
    );
    return yield* task;
  });
  assertEquals(names, ["generator", "generator"]);
});

Deno.test("VirtualClock: an hour takes no time", async () => {
  using loop = virtualLoop();
  await loop.runUntilComplete(
    gather(Array.from({ length: 1000 }, (_, i) => createIn(loop, i))),
  );
  assertEquals(loop.time(), 3_600_000);
});

function createIn(loop: EventLoop, i: number): Task<void> {
  return loop.createTask(sleep(3_600_000 - i));
}

Deno.test("VirtualClock waits for a native promise before time leaps", async () => {
  using loop = virtualLoop();
  const server = Deno.serve(
    { port: 0, onListen: () => {} },
    () => new Response("served"),
  );
  const text = await loop.runUntilComplete(async () => {
    const get = async (): Promise<string> => await (await fetch(`http://127.0.0.1:${server.addr.port}`)).text();
    const answer = await waitFor(get, 1000);
    await crypto.subtle.digest("SHA-256", new Uint8Array(8));
    return answer;
  });
  assertEquals([text, loop.time()], ["served", 0]);
  await server.shutdown();
});

Deno.test("DeadlockError names every blocked task and what it waits for, and the loop stays usable", async () => {
  using loop = virtualLoop();
  const error = await assertRejects(
    () =>
      loop.runUntilComplete(async () => {
        const first = createTask(async () => void await loop.createFuture(), {
          name: "first",
        });
        await first;
      }),
    DeadlockError,
  );
  assertEquals(error.blocked.map((task) => task.name).includes("first"), true);
  assert(error.blocked[1]!.waitsFor.includes("Future pending"), error.message);
  assertEquals(await loop.runUntilComplete(sleep(1, "usable")), "usable");
});

Deno.test("an HTTP request is answered while tasks spin", async () => {
  const server = Deno.serve(
    { port: 0, onListen: () => {} },
    () => new Response("served"),
  );
  await run(async () => {
    let stop = false;
    function* spin() {
      while (!stop) yield* sleep(0);
    }
    const spinning = Array.from({ length: 1000 }, () => createTask(spin()));
    const answer = await fetch(`http://127.0.0.1:${server.addr.port}`);
    assertEquals(await answer.text(), "served");
    stop = true;
    await gather(spinning);
  });
  await server.shutdown();
});

Deno.test("setEventLoop() refuses what is no loop", () => {
  assertThrows(() => setEventLoop({} as EventLoop), TypeError);
});

Deno.test("EventLoop() refuses options and a clock that are none, and shows how they look", () => {
  const make = (options: unknown) => () => new EventLoop(options as never);
  assertThrows(make(5), TypeError, "Cannot use 5 as the options of EventLoop: pass an object such as { clock: new");
  assertThrows(make(new VirtualClock()), TypeError, "pass { clock: new VirtualClock() }");
  for (const clock of [{}, 5, null, VirtualClock]) {
    assertThrows(make({ clock }), TypeError, "as the clock of an EventLoop");
  }
});
