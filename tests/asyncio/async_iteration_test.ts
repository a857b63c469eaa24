import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  aiter,
  anext,
  asCompleted,
  AsyncItems,
  CancelledError,
  createTask,
  currentTask,
  EventLoop,
  forEach,
  getRunningLoop,
  moveOnAfter,
  Queue,
  RuntimeError,
  sleep,
  StopAsyncIteration,
  StreamReader,
  timeout,
  TimeoutError,
} from "../../lib/asyncio/mod.ts";
import { bytes, loopTest, reportsOf, text, virtualLoop } from "./_helpers.ts";

/** Counts up, and notes down how it ends. */
async function* counting(log: string[], cleanup = 0): AsyncGenerator<number, void, unknown> {
  try {
    for (let n = 1;; n++) {
      await sleep(1);
      yield n;
    }
  } catch (error) {
    log.push((error as Error).name);
    throw error;
  } finally {
    if (cleanup > 0) await sleep(cleanup);
    log.push("closed");
  }
}

/** A stream that is filled by hand, and notes down how it ends. */
function manualStream<T>(log: string[] = []): {
  stream: ReadableStream<T>;
  controller: ReadableStreamDefaultController<T>;
} {
  let controller!: ReadableStreamDefaultController<T>;
  const stream = new ReadableStream<T>({
    start(given) {
      controller = given;
    },
    cancel() {
      log.push("cancelled");
    },
  });
  return { stream, controller };
}

/** An iterator whose questions are answered by hand. */
class Oracle implements AsyncIterableIterator<string> {
  readonly questions: PromiseWithResolvers<IteratorResult<string>>[] = [];
  returned = 0;

  next(): Promise<IteratorResult<string>> {
    const question = Promise.withResolvers<IteratorResult<string>>();
    this.questions.push(question);
    return question.promise;
  }

  return(): Promise<IteratorResult<string>> {
    this.returned++;
    // As an async generator, which answers this after the question before.
    return this.questions.at(-1)!.promise.then(() => ({ done: true, value: undefined }));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

// -- The loop

loopTest("AsyncItems.more() goes through a generator, and using closes it on break", function* () {
  const log: string[] = [];
  const seen: number[] = [];
  {
    using items = aiter(counting(log));
    while (yield* items.more()) {
      if (items.value === 2) continue;
      if (items.value === 4) break;
      seen.push(items.value);
    }
  }
  // No time leaps before the end of the generator, which comes in microtasks.
  yield* sleep(1);
  assertEquals([seen, log], [[1, 3], ["closed"]]);
});

loopTest("AsyncItems left by using cleans up in a task of its own", function* () {
  const log: string[] = [];
  {
    using items = aiter(counting(log, 5));
    assert(yield* items.more());
  }
  yield* sleep(4);
  assertEquals(log, []);
  yield* sleep(2);
  assertEquals(log, ["closed"]);
});

loopTest("AsyncItems.more() goes through a generator in native code, and await using waits for its end", async () => {
  const log: string[] = [];
  {
    await using items = aiter(counting(log, 5));
    while (await items.more()) if (items.value === 3) break;
    assertEquals(log, []);
  }
  assertEquals(log, ["closed"]);
});

loopTest("AsyncItems ends with its source, once and for all", function* () {
  using items = aiter(ReadableStream.from(["a"]));
  assert(yield* items.more());
  assertEquals(items.value, "a");
  assertEquals([yield* items.more(), yield* items.more()], [false, false]);
  assertThrows(() => items.value, RuntimeError, "call more() first");
  const numbers = aiter((async function* () {
    yield 1;
  })());
  assertEquals([yield* numbers.more(), yield* numbers.more(), yield* numbers.more()], [true, false, false]);
});

loopTest("AsyncItems.close() is waited for, and a second one does nothing", function* () {
  const log: string[] = [];
  const items = aiter(counting(log, 5));
  assert(yield* items.more());
  yield* items.close();
  assertEquals(log, ["closed"]);
  yield* items.close();
  assertEquals([log, yield* items.more()], [["closed"], false]);
  assertThrows(() => items.value, RuntimeError);
});

loopTest("AsyncItems.close() of what was never begun calls return()", function* () {
  const log: string[] = [];
  yield* aiter(counting(log)).close();
  // An async generator that has not begun runs nothing at its end.
  assertEquals(log, []);
  const oracle = new Oracle();
  oracle.questions.push(Promise.withResolvers());
  oracle.questions[0]!.resolve({ done: true, value: undefined });
  yield* aiter(oracle).close();
  assertEquals(oracle.returned, 1);
});

loopTest("AsyncItems runs an async generator in the task that reads", async () => {
  async function* who(): AsyncGenerator<{ task: unknown }, void, unknown> {
    yield { task: currentTask() };
    await sleep(1);
    yield { task: currentTask() };
  }
  const task = createTask(function* () {
    const seen: unknown[] = [];
    using items = aiter(who());
    while (yield* items.more()) seen.push(items.value.task);
    return seen;
  });
  const native = createTask(async () => {
    const seen: unknown[] = [];
    for await (const item of aiter(who())) seen.push(item.task);
    return seen;
  });
  assertEquals((await task).map((seen) => seen === task), [true, true]);
  assertEquals((await native).map((seen) => seen === native), [true, true]);
});

loopTest("AsyncItems passes the exception of its source on, and is at its end then", function* () {
  using items = aiter((async function* () {
    yield 1;
    throw new RangeError("in the source");
  })());
  assert(yield* items.more());
  try {
    yield* items.more();
    assert(false);
  } catch (error) {
    assertEquals(String(error), "RangeError: in the source");
  }
  assertEquals(yield* items.more(), false);
});

loopTest("AsyncItems.more() refuses a second reader at the same time", async () => {
  const oracle = new Oracle();
  const items = aiter(oracle);
  const task = createTask(items.more());
  await sleep(0);
  await assertRejects(async () => await items.more(), RuntimeError, "one reader at a time");
  oracle.questions[0]!.resolve({ done: false, value: "only" });
  assert(await task);
  assertEquals(items.value, "only");
});

loopTest("aiter() and anext() refuse what they cannot read", async () => {
  for (const bad of [undefined, null, 1, [1], {}]) {
    assertThrows(() => aiter(bad as never), TypeError, "Cannot iterate over");
    if (!Array.isArray(bad)) assertThrows(() => anext(bad as never), TypeError, "Cannot take the next item");
  }
  const stream = ReadableStream.from([1]);
  const items = aiter(stream);
  assertThrows(() => aiter(stream), TypeError, "locked");
  assertStrictEquals(aiter(items), items);
  await items.close();
  assertThrows(() => forEach(items, 1 as never), TypeError, "pass a function");
});

loopTest("AsyncItems names an answer of next() that is none", async () => {
  const items = aiter({ [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(1 as never) }) });
  await assertRejects(async () => await items.more(), TypeError, "{ done, value }");
  const throwing = aiter({
    [Symbol.asyncIterator]: () => ({
      next: () => {
        throw new RangeError("at once");
      },
    }),
  });
  await assertRejects(async () => await throwing.more(), RangeError, "at once");
  assertEquals(await throwing.more(), false);
  await throwing.close();
});

loopTest("AsyncItems gives the futures of asCompleted() without awaiting them", function* () {
  const tasks = [createTask(sleep(2, "slow")), createTask(sleep(1, "fast"))];
  const order: unknown[] = [];
  using items = aiter(asCompleted(tasks));
  while (yield* items.more()) order.push(items.value);
  assertEquals(order, [tasks[1], tasks[0]]);
});

// -- Cancelling

loopTest(
  "AsyncItems.more() cancelled cancels what an async generator awaits, whose cleanup runs in the task",
  async () => {
    const log: string[] = [];
    const task = createTask(function* () {
      using items = aiter(counting(log, 5));
      while (yield* items.more());
    });
    await sleep(2.5);
    task.cancel("enough");
    await assertRejects(async () => await task, CancelledError, "enough");
    assertEquals(log, ["CancelledError", "closed"]);
  },
);

loopTest("AsyncItems.more() under a timeout() that is over ends a generator, as in CPython", function* () {
  const log: string[] = [];
  using items = aiter(counting(log));
  let late: unknown;
  try {
    yield* timeout(0.5, () => items.more());
  } catch (error) {
    late = error;
  }
  assert(late instanceof TimeoutError);
  assertEquals([log, yield* items.more()], [["CancelledError", "closed"], false]);
});

loopTest("AsyncItems.more() cancelled loses no item that the host answers late", async () => {
  const oracle = new Oracle();
  const items = aiter(oracle);
  for (let i = 0; i < 2; i++) {
    const task = createTask(items.more());
    await sleep(0);
    task.cancel();
    await assertRejects(async () => await task, CancelledError);
  }
  assertEquals(oracle.questions.length, 1);
  oracle.questions[0]!.resolve({ done: false, value: "late" });
  assert(await items.more());
  assertEquals(items.value, "late");
  const next = createTask(items.more());
  await sleep(0);
  oracle.questions[1]!.resolve({ done: true, value: undefined });
  assertEquals(await next, false);
});

loopTest("AsyncItems.more() tells a late failure of the source to the next wait", async () => {
  const oracle = new Oracle();
  const items = aiter(oracle);
  const task = createTask(items.more());
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  oracle.questions[0]!.reject(new RangeError("late"));
  await assertRejects(async () => await items.more(), RangeError, "late");
  assertEquals(await items.more(), false);
});

loopTest("AsyncItems of a generator that was given up in a wait for the host ends", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const log: string[] = [];
  async function* waits(): AsyncGenerator<number, void, unknown> {
    try {
      await promise;
      await sleep(0);
      yield 1;
    } catch (error) {
      log.push((error as Error).name);
      throw error;
    }
  }
  const items = aiter(waits());
  const task = createTask(items.more());
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  resolve();
  assertEquals(await items.more(), false);
  assertEquals(log, ["CancelledError"]);
});

loopTest("AsyncItems left while next() never answers calls return() and does not wait for it", async () => {
  const oracle = new Oracle();
  const task = createTask(function* () {
    using items = aiter(oracle);
    while (yield* items.more());
  });
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals(oracle.returned, 1);
  // Nobody is told of it, as nobody waits any more.
  oracle.questions[0]!.reject(new RangeError("late"));
  await sleep(0);
  const items = aiter(new Oracle());
  const waiting = createTask(items.more());
  await sleep(0);
  waiting.cancel();
  await assertRejects(async () => await waiting, CancelledError);
  await items.close();
});

for (const [name, leave] of [["break", 1], ["an exception", 2], ["return", 3]] as const) {
  loopTest(`for await over AsyncItems left by ${name} waits for the end of the source`, async () => {
    const log: string[] = [];
    async function loop(): Promise<void> {
      for await (const n of aiter(counting(log, 5))) {
        if (n < 2) continue;
        if (leave === 1) break;
        if (leave === 2) throw new RangeError("in the body");
        return;
      }
    }
    if (leave === 2) await assertRejects(loop, RangeError);
    else await loop();
    assertEquals(log, ["closed"]);
  });
}

loopTest("for await over AsyncItems cancelled in the wait closes a stream, and in the body as well", async () => {
  for (const inBody of [false, true]) {
    const log: string[] = [];
    const { stream, controller } = manualStream<number>(log);
    controller.enqueue(1);
    const task = createTask(async () => {
      for await (const _ of aiter(stream)) if (inBody) await sleep(1000);
    });
    for (let i = 0; i < 5; i++) await sleep(0);
    task.cancel();
    await assertRejects(async () => await task, CancelledError);
    assertEquals([log, stream.locked], [["cancelled"], false]);
  }
});

// -- Streams

loopTest("AsyncItems of a stream left early cancels and unlocks it", function* () {
  const log: string[] = [];
  const { stream, controller } = manualStream<number>(log);
  controller.enqueue(1);
  {
    using items = aiter(stream);
    assert(yield* items.more());
    assert(stream.locked);
  }
  assertEquals([log, stream.locked], [["cancelled"], false]);
});

loopTest("AsyncItems of a stream cancelled in the wait loses no chunk", async () => {
  const { stream, controller } = manualStream<string>();
  const items = aiter(stream);
  const task = createTask(items.more());
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  controller.enqueue("late");
  controller.close();
  assert(await items.more());
  assertEquals(items.value, "late");
  assertEquals([await items.more(), stream.locked], [false, false]);
});

loopTest("AsyncItems of a stream cancelled at the moment of its chunk loses none", async () => {
  const { stream, controller } = manualStream<string>();
  const items = aiter(stream);
  const task = createTask(function* () {
    return yield* items.more();
  });
  await sleep(0);
  controller.enqueue("just");
  // The promise of the read settles in microtasks; the task has not gone on yet when it is cancelled.
  for (let i = 0; i < 3; i++) await null;
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assert(await items.more());
  assertEquals(items.value, "just");
  await items.close();
});

loopTest("AsyncItems of a stream with preventCancel leaves the rest to somebody else", async () => {
  const log: string[] = [];
  const { stream, controller } = manualStream<number>(log);
  controller.enqueue(1);
  const task = createTask(async () => {
    await using items = aiter(stream, { preventCancel: true });
    while (await items.more());
  });
  for (let i = 0; i < 5; i++) await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals([log, stream.locked], [[], false]);
  controller.enqueue(2);
  controller.close();
  assertEquals(await Array.fromAsync(stream), [2]);
});

loopTest("AsyncItems of a stream that fails throws, and unlocks it", async () => {
  const { stream, controller } = manualStream<number>();
  const items = aiter(stream);
  controller.error(new RangeError("broken"));
  await assertRejects(async () => await items.more(), RangeError, "broken");
  assertEquals([await items.more(), stream.locked], [false, false]);
  await items.close();
});

loopTest("AsyncItems.close() of a stream ends a wait that another task has", async () => {
  for (const preventCancel of [false, true]) {
    const { stream } = manualStream<number>();
    const items = aiter(stream, { preventCancel });
    const task = createTask(items.more());
    await sleep(0);
    await items.close();
    assertEquals([await task, stream.locked], [false, false]);
  }
});

loopTest("AsyncItems.close() waits for the stream's cancel(), and throws what that throws", async () => {
  const { promise, reject } = Promise.withResolvers<void>();
  const items = aiter(new ReadableStream<number>({ cancel: () => promise }));
  const task = createTask(items.close());
  await sleep(0);
  assertEquals(task.done(), false);
  reject(new RangeError("in cancel"));
  await assertRejects(async () => await task, RangeError, "in cancel");
});

Deno.test("AsyncItems[Symbol.dispose]() gives its error to the exception handler", async () => {
  for (
    const source of [
      new ReadableStream<number>({
        cancel: () => Promise.reject(new RangeError("closing")),
      }),
      {
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.resolve({ done: false as const, value: 1 }),
          return: () => {
            throw new RangeError("closing");
          },
        }),
      },
    ]
  ) {
    using loop = new EventLoop();
    const reports = reportsOf(loop);
    await loop.runUntilComplete(function* () {
      {
        using _ = aiter(source);
      }
      yield* sleep(1);
    });
    assertEquals(reports.map((report) => `${report.message}: ${report.exception}`), [
      "Closing an async iterable failed: RangeError: closing",
    ]);
  }
});

Deno.test("AsyncItems on a virtual clock: time stands while the host is asked", async () => {
  using loop = virtualLoop();
  const { stream, controller } = manualStream<string>();
  await loop.runUntilComplete(function* () {
    let leapt = false;
    loop.callLater(1000, () => {
      leapt = true;
    });
    // Later than anything that the loop could do by itself.
    setTimeout(() => {
      controller.enqueue("chunk");
      controller.close();
    }, 5);
    using items = aiter(stream);
    assert(yield* items.more());
    assertEquals([items.value, leapt], ["chunk", false]);
    assertEquals(yield* items.more(), false);
  });
});

Deno.test("AsyncItems can be read outside of tasks", async () => {
  const items = aiter(ReadableStream.from([1, 2, 3]));
  assertEquals(await Array.fromAsync(items), [1, 2, 3]);
  const log: string[] = [];
  for await (const n of aiter(counting(log))) if (n === 2) break;
  assertEquals(log, ["closed"]);
});

// -- anext()

loopTest("anext() gives items, then its default, and throws without one", async () => {
  async function* two(): AsyncGenerator<number, void, unknown> {
    yield 1;
    await sleep(1);
    yield 2;
  }
  const iterator = two();
  assertEquals(await anext(iterator), 1);
  const task = createTask(function* () {
    return [yield* anext(iterator), yield* anext(iterator, "none"), yield* anext(iterator, undefined)] as const;
  });
  assertEquals(await task, [2, "none", undefined]);
  await assertRejects(async () => await anext(iterator), StopAsyncIteration);
});

loopTest("anext() of an iterator knows of an answer that is still to come", async () => {
  const oracle = new Oracle();
  const task = createTask(anext(oracle));
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  oracle.questions[0]!.resolve({ done: false, value: "late" });
  assertEquals(await anext(oracle), "late");
  assertEquals(oracle.questions.length, 1);
});

// -- forEach()

loopTest("forEach() takes each kind of body, and says whether it came to the end", async () => {
  const seen: number[] = [];
  const source = () => ReadableStream.from([1, 2, 3]);
  assertEquals(
    await forEach(source(), function* (n) {
      yield* sleep(1);
      seen.push(n);
    }),
    true,
  );
  assertEquals(
    await forEach(source(), async (n) => {
      await sleep(1);
      seen.push(10 * n);
      return n < 2;
    }),
    false,
  );
  assertEquals(await forEach(source(), (n) => void seen.push(100 * n)), true);
  assertEquals(await createTask(forEach(source(), (n) => n < 3)), false);
  assertEquals(seen, [1, 2, 3, 10, 20, 100, 200, 300]);
});

for (const [name, stop] of [["false", "stop"], ["an exception", "throw"], ["a cancellation", "cancel"]] as const) {
  loopTest(`forEach() left by ${name} waits for the end of the source`, async () => {
    const log: string[] = [];
    const task = createTask(forEach(counting(log, 5), function* (n) {
      if (n < 3) return;
      log.push("leaves");
      if (stop === "throw") throw new RangeError("in the body");
      if (stop === "stop") return false;
      yield* getRunningLoop().createFuture<void>();
    }));
    if (stop === "cancel") {
      await sleep(10);
      task.cancel();
      await assertRejects(async () => await task, CancelledError);
    } else if (stop === "throw") await assertRejects(async () => await task, RangeError, "in the body");
    else assertEquals(await task, false);
    assertEquals(log, ["leaves", "closed"]);
  });
}

Deno.test("forEach() throws the error of its body, and reports that of closing", async () => {
  using loop = virtualLoop();
  const reports = reportsOf(loop);
  const source = new ReadableStream<number>({
    start: (controller) => controller.enqueue(1),
    cancel: () => Promise.reject(new RangeError("closing")),
  });
  await assertRejects(
    () =>
      loop.runUntilComplete(forEach(source, () => {
        throw new TypeError("in the body");
      })),
    TypeError,
    "in the body",
  );
  assertEquals(reports.map((report) => String(report.exception)), ["RangeError: closing"]);
});

loopTest("forEach() throws what closing throws when its body says that it is enough", async () => {
  const source = new ReadableStream<number>({
    start: (controller) => controller.enqueue(1),
    cancel: () => Promise.reject(new RangeError("closing")),
  });
  await assertRejects(async () => await forEach(source, () => false), RangeError, "closing");
  assert(!source.locked);
});

loopTest("AsyncItems is what aiter() makes", () => {
  assert(aiter(ReadableStream.from([])) instanceof AsyncItems);
  return Promise.resolve();
});

loopTest("AsyncItems of a stream passes on whatever it fails with", async () => {
  for (const reason of [undefined, null, "text", new CancelledError("of the stream")]) {
    const { stream, controller } = manualStream<number>();
    const items = aiter(stream);
    controller.error(reason);
    let thrown: { error: unknown } | undefined;
    try {
      await items.more();
    } catch (error) {
      thrown = { error };
    }
    assertStrictEquals(thrown!.error, reason);
    assertEquals([await items.more(), stream.locked], [false, false]);
  }
});

// -- What of this library has items

/** Has items after 10 ms: what gives two of them, and how they are told. */
const SLOW: Record<string, () => AsyncIterable<unknown>> = {
  "a StreamReader": () => {
    const reader = new StreamReader();
    getRunningLoop().callLater(10, () => {
      reader.feedData(bytes("one\ntwo\n"));
      reader.feedEof();
    });
    return reader;
  },
  "asCompleted()": () => asCompleted([sleep(11, "two"), sleep(10, "one")]),
  "a Queue": () => {
    const queue = new Queue<string>();
    getRunningLoop().callLater(10, () => {
      queue.putNowait("one");
      queue.putNowait("two");
      queue.shutdown();
    });
    return queue;
  },
};

function told(item: unknown): string {
  return item instanceof Uint8Array
    ? text(item).trimEnd()
    : typeof item === "string"
    ? item
    : String(futureResult(item));
}

function futureResult(future: unknown): unknown {
  return (future as { result(): unknown }).result();
}

for (const [name, make] of Object.entries(SLOW)) {
  for (const asIterator of [false, true]) {
    const what = asIterator ? `the iterator of ${name}` : name;
    const source = () => asIterator ? make()[Symbol.asyncIterator]() as AsyncIterableIterator<unknown> : make();

    loopTest(`aiter() of ${what} loses nothing to a wait that is cancelled`, function* () {
      using items = aiter(source());
      assertEquals(yield* moveOnAfter(1, () => items.more()), { cancelled: true, value: undefined });
      try {
        yield* timeout(1, () => items.more());
      } catch (error) {
        assert(error instanceof TimeoutError);
      }
      const seen: string[] = [];
      while (yield* items.more()) seen.push(told(items.value));
      assertEquals(seen, ["one", "two"]);
    });

    loopTest(`aiter() of ${what} loses nothing to a wait that is cancelled in native code`, async () => {
      const items = aiter(source());
      assertEquals(await moveOnAfter(1, () => items.more()), { cancelled: true, value: undefined });
      await assertRejects(async () => await timeout(1, async () => await items.more()), TimeoutError);
      const seen: string[] = [];
      for await (const item of items) seen.push(told(item));
      assertEquals(seen, ["one", "two"]);
    });
  }

  loopTest(`anext() of ${name} goes on after a wait that was cancelled`, function* () {
    const iterator = make()[Symbol.asyncIterator]();
    assertEquals((yield* moveOnAfter(1, () => anext(iterator))).cancelled, true);
    const seen = [told(yield* anext(iterator)), told(yield* anext(iterator)), yield* anext(iterator, "end")];
    assertEquals(seen, ["one", "two", "end"]);
  });
}

loopTest("aiter(asCompleted()) throws for each that has not ended in time", function* () {
  using items = aiter(asCompleted([sleep(1, "in time"), sleep(100), sleep(100)], { timeout: 10 }));
  assertEquals([yield* items.more(), told(items.value)], [true, "in time"]);
  for (let i = 0; i < 2; i++) {
    let thrown: unknown;
    try {
      yield* items.more();
    } catch (error) {
      thrown = error;
    }
    assert(thrown instanceof TimeoutError);
  }
  assertEquals(yield* items.more(), false);
  yield* sleep(100);
});
