import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type AsyncItems,
  CancelledError,
  type Coroutine,
  createTask,
  DeadlockError,
  events,
  forEach,
  nextEvent,
  run,
  RuntimeError,
  sleep,
  taskGroup,
  timeout,
  TimeoutError,
  ValueError,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";

/** A target that knows how many listeners it has. */
class Target extends EventTarget {
  readonly listeners = new Map<string, number>();

  get count(): number {
    return [...this.listeners.values()].reduce((sum, n) => sum + n, 0);
  }

  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners.set(args[0], (this.listeners.get(args[0]) ?? 0) + 1);
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners.set(args[0], this.listeners.get(args[0])! - 1);
    super.removeEventListener(...args);
  }

  emit(detail: unknown, type = "thing"): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function detailOf(event: Event): unknown {
  return (event as CustomEvent).detail;
}

/** Fails to compile if the type of `_value` is not exactly `T`. */
function typed<T>(): <V>(_value: V & ([V, T] extends [T, V] ? unknown : never)) => void {
  return () => {};
}

// -- Types

loopTest("nextEvent() and events() know the types of the events of a target", () => {
  function compile(socket: WebSocket, worker: Worker, signal: AbortSignal, own: Target): void {
    typed<Coroutine<MessageEvent>>()(nextEvent(socket, "message"));
    typed<Coroutine<CloseEvent>>()(nextEvent(socket, "close", { filter: (event) => event.wasClean }));
    typed<Coroutine<Event>>()(nextEvent(socket, "open"));
    typed<Coroutine<ErrorEvent>>()(nextEvent(worker, "error"));
    typed<Coroutine<Event>>()(nextEvent(signal, "abort"));
    typed<Coroutine<Event>>()(nextEvent(own, "whatever"));
    typed<AsyncItems<MessageEvent>>()(events(socket, "message", { until: ["close"] }));
    // @ts-expect-error: no property of the event
    nextEvent(socket, "close", { filter: (event) => event.wasDirty });
    // @ts-expect-error: no target
    nextEvent({}, "close");
  }
  assert(compile.length > 0);
  return Promise.resolve();
});

// -- nextEvent()

loopTest("nextEvent() gives the first event that passes the filter, in both kinds of coroutine", async () => {
  const target = new Target();
  const filter = (event: Event): boolean => detailOf(event) === 2;
  const tasks = [
    createTask(function* () {
      return yield* nextEvent(target, "thing", { filter });
    }),
    createTask(async () => await nextEvent(target, "thing", { filter })),
  ];
  await sleep(0);
  assertEquals(target.count, 2);
  for (const n of [1, 2, 3]) target.emit(n);
  for (const task of tasks) assertEquals(detailOf(await task), 2);
  assertEquals(target.count, 0);
});

loopTest("nextEvent() listens when it is awaited, and not before", async () => {
  const target = new Target();
  const next = nextEvent(target, "thing");
  target.emit(1);
  assertEquals(target.count, 0);
  const task = createTask(next);
  await sleep(0);
  target.emit(2);
  assertEquals(detailOf(await task), 2);
});

loopTest("nextEvent() cancelled takes its listeners off, also at the moment of the event", async () => {
  const target = new Target();
  const { signal } = new AbortController();
  for (const emits of [false, true]) {
    const task = createTask(nextEvent(target, "thing", { signal }));
    await sleep(0);
    assertEquals(target.count, 1);
    if (emits) target.emit(1);
    task.cancel();
    await assertRejects(async () => await task, CancelledError);
    assertEquals(target.count, 0);
  }
});

loopTest("nextEvent() under a timeout() that is over takes its listener off", async () => {
  const target = new Target();
  await assertRejects(async () => await timeout(5, () => nextEvent(target, "thing")), TimeoutError);
  assertEquals(target.count, 0);
});

loopTest("nextEvent() throws the reason of its signal", async () => {
  const target = new Target();
  const controller = new AbortController();
  const task = createTask(nextEvent(target, "thing", { signal: controller.signal }));
  await sleep(0);
  controller.abort(new RangeError("enough"));
  await assertRejects(async () => await task, RangeError, "enough");
  assertEquals(target.count, 0);
  await assertRejects(
    async () => await nextEvent(target, "thing", { signal: controller.signal }),
    RangeError,
    "enough",
  );
});

loopTest("nextEvent() throws what its filter throws, which may also prevent the default", async () => {
  const target = new Target();
  const failing = createTask(nextEvent(target, "thing", {
    filter: () => {
      throw new RangeError("in the filter");
    },
  }));
  const preventing = createTask(nextEvent(target, "thing", {
    filter: (event) => {
      event.preventDefault();
      return true;
    },
  }));
  await sleep(0);
  assertEquals(target.dispatchEvent(new Event("thing", { cancelable: true })), false);
  await assertRejects(async () => await failing, RangeError, "in the filter");
  assert((await preventing).defaultPrevented);
});

loopTest("nextEvent() and events() refuse what is no target", () => {
  for (const bad of [undefined, null, {}, "window"]) {
    assertThrows(() => nextEvent(bad as never, "thing"), TypeError, "pass an EventTarget");
    assertThrows(() => events(bad as never, "thing"), TypeError, "pass an EventTarget");
  }
  return Promise.resolve();
});

Deno.test("nextEvent() on a virtual clock is a wait like any other", async () => {
  const target = new Target();
  using loop = virtualLoop();
  await loop.runUntilComplete(function* () {
    loop.callLater(60_000, () => target.emit(1));
    yield* nextEvent(target, "thing");
    assertEquals(loop.time(), 60_000);
  });
  await assertRejects(() => loop.runUntilComplete(nextEvent(target, "never")), DeadlockError);
});

// -- events()

loopTest("events() loses none between two waits, in both kinds of coroutine", async () => {
  const target = new Target();
  const generator = events(target, "thing");
  const native = events(target, "thing");
  target.emit(1);
  target.emit(2);
  const tasks = [
    createTask(function* () {
      const seen: unknown[] = [];
      using items = generator;
      while (yield* items.more()) {
        seen.push(detailOf(items.value));
        if (seen.length === 4) break;
        yield* sleep(5);
      }
      return seen;
    }),
    createTask(async () => {
      const seen: unknown[] = [];
      for await (const event of native) {
        seen.push(detailOf(event));
        if (seen.length === 4) break;
        await sleep(5);
      }
      return seen;
    }),
  ];
  await sleep(2);
  target.emit(3);
  await sleep(20);
  target.emit(4);
  for (const task of tasks) assertEquals(await task, [1, 2, 3, 4]);
  assertEquals(target.count, 0);
});

loopTest("events() cancelled in a wait loses none, also at the moment of the event", async () => {
  const target = new Target();
  using items = events(target, "thing");
  const task = createTask(items.more());
  await sleep(0);
  target.emit(1);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assert(await items.more());
  assertEquals(detailOf(items.value), 1);
});

loopTest("for await over events() cancelled takes the listeners off", async () => {
  const target = new Target();
  const task = createTask(async () => {
    for await (const _ of events(target, "thing"));
  });
  await sleep(0);
  await sleep(0);
  assertEquals(target.count, 1);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals(target.count, 0);
});

loopTest("events().close() ends the wait of another task, and drops what is kept", async () => {
  const target = new Target();
  const items = events(target, "thing");
  const task = createTask(items.more());
  await sleep(0);
  await items.close();
  assertEquals([await task, target.count], [false, 0]);
  const kept = events(target, "thing");
  target.emit(1);
  await kept.close();
  assertEquals(await kept.more(), false);
});

loopTest("events() end with an event in until, after those that are kept", async () => {
  const target = new Target();
  using items = events(target, "thing", { until: ["end", "failure"] });
  assertEquals(target.count, 3);
  target.emit(1);
  target.emit(2);
  target.emit(null, "failure");
  target.emit(3);
  assertEquals(target.count, 0);
  const seen: unknown[] = [];
  while (await items.more()) seen.push(detailOf(items.value));
  assertEquals(seen, [1, 2]);
  const waiting = events(target, "thing", { until: ["end"] });
  const task = createTask(waiting.more());
  await sleep(0);
  target.emit(null, "end");
  assertEquals(await task, false);
});

loopTest("events() end with the reason of their signal, told once, after those that are kept", async () => {
  const target = new Target();
  const controller = new AbortController();
  const items = events(target, "thing", { signal: controller.signal });
  target.emit(1);
  controller.abort(new RangeError("enough"));
  assertEquals(target.count, 0);
  assert(await items.more());
  await assertRejects(async () => await items.more(), RangeError, "enough");
  assertEquals(await items.more(), false);
  assertThrows(() => events(target, "thing", { signal: controller.signal }), RangeError, "enough");
  assertEquals(target.count, 0);
});

loopTest("events() filter what they keep, and end with what the filter throws", async () => {
  const target = new Target();
  const items = events(target, "thing", {
    filter: (event) => {
      if (detailOf(event) === 4) throw new RangeError("in the filter");
      return (detailOf(event) as number) % 2 === 1;
    },
  });
  for (const n of [1, 2, 3, 4, 5]) target.emit(n);
  const seen: unknown[] = [];
  await assertRejects(
    async () => {
      while (await items.more()) seen.push(detailOf(items.value));
    },
    RangeError,
    "in the filter",
  );
  assertEquals([seen, target.count], [[1, 3], 0]);
});

for (
  const [overflow, kept, error] of [
    ["throw", [1, 2], 'Cannot keep more than 2 events "thing"'],
    ["drop-oldest", [3, 4], null],
    ["drop-newest", [1, 2], null],
  ] as const
) {
  loopTest(`events() with overflow ${overflow} keep ${kept.join(" and ")} of four`, async () => {
    const target = new Target();
    const items = events(target, "thing", { maxsize: 2, overflow });
    for (const n of [1, 2, 3, 4]) target.emit(n);
    const seen: unknown[] = [];
    for (const _ of kept) {
      assert(await items.more());
      seen.push(detailOf(items.value));
    }
    assertEquals(seen, [...kept]);
    if (error === null) {
      assertEquals(target.count, 1);
      await items.close();
    } else await assertRejects(async () => await items.more(), RuntimeError, error);
    assertEquals(target.count, 0);
  });
}

loopTest("events() keep 1024 by default, and all with maxsize Infinity", async () => {
  const target = new Target();
  const bounded = events(target, "thing");
  const unbounded = events(target, "thing", { maxsize: Infinity });
  for (let n = 0; n < 1025; n++) target.emit(n);
  let count = 0;
  await assertRejects(async () => {
    while (await bounded.more()) count++;
  }, RuntimeError);
  assertEquals(count, 1024);
  count = 0;
  assertEquals(
    await forEach(unbounded, () => {
      count++;
      return count < 1025;
    }),
    false,
  );
  assertEquals(target.count, 0);
  for (const maxsize of [0, -1, 1.5, NaN]) {
    assertThrows(() => events(target, "thing", { maxsize }), RangeError, "maxsize");
  }
  assertThrows(() => events(target, "thing", { overflow: "drop" as never }), ValueError, "overflow");
  assertEquals(target.count, 0);
});

// -- With the host

Deno.test("events() and nextEvent() talk over a WebSocket", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    createTask(function* () {
      using messages = events(socket, "message", { until: ["close"] });
      while (yield* messages.more()) {
        if (messages.value.data === "bye") socket.close(1000, "bye");
        else socket.send(`echo ${messages.value.data}`);
      }
    });
    return response;
  });
  const seen = await run(function* () {
    const socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}`);
    const seen: string[] = [];
    using messages = events(socket, "message", { until: ["close"] });
    yield* nextEvent(socket, "open");
    for (const word of ["one", "two", "three"]) socket.send(word);
    yield* taskGroup(function* (group) {
      const closed = group.createTask(nextEvent(socket, "close"));
      while (yield* messages.more()) {
        seen.push(messages.value.data);
        if (seen.length === 3) socket.send("bye");
      }
      const { code, reason } = yield* closed;
      seen.push(`${code} ${reason}`);
    });
    return seen;
  });
  assertEquals(seen, ["echo one", "echo two", "echo three", "1000 bye"]);
  await server.shutdown();
});

Deno.test("events() hear a worker, and are left by break", async () => {
  const source = "onmessage = (event) => { for (let n = 0; n < event.data; n++) postMessage(n); };";
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
  const seen = await run(async () => {
    const seen: number[] = [];
    const messages = events(worker, "message");
    worker.postMessage(5);
    for await (const event of messages) {
      seen.push(event.data);
      if (seen.length === 5) break;
    }
    return seen;
  });
  worker.terminate();
  assertEquals(seen, [0, 1, 2, 3, 4]);
});

Deno.test("nextEvent() that its loop has left behind does no harm", async () => {
  const target = new Target();
  const loop = virtualLoop();
  const task = loop.createTask(nextEvent(target, "thing"));
  await loop.runUntilComplete(sleep(0));
  assertEquals(target.count, 1);
  loop.close();
  target.emit(1);
  assertStrictEquals(task.done(), false);
});
