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
  Future,
  MapIterator,
  NotCloneableError,
  NotImportableError,
  ProcessPoolExecutor,
  RuntimeError,
  TimeoutError,
} from "../../lib/futures/mod.ts";
import { forEachPool, Gate, hold, poolTest } from "./_helpers.ts";

/** Counts from 0 without end, and keeps account of what was read. */
class Source {
  pulled = 0;
  closed = false;
  *sync(end = Infinity): Generator<number, void, void> {
    try {
      while (this.pulled < end) yield this.pulled++;
    } finally {
      this.closed = true;
    }
  }
  async *async(end = Infinity): AsyncGenerator<number, void, void> {
    try {
      while (this.pulled < end) {
        await Promise.resolve();
        yield this.pulled++;
      }
    } finally {
      this.closed = true;
    }
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

forEachPool("map() gives the results in the order of the items, however long each takes", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 2 });
  const results = pool.map(async (x: number) => {
    await Promise.resolve();
    return x * x;
  }, [3, 1, 2]);
  assertInstanceOf(results, MapIterator);
  assertEquals(await Array.fromAsync(results), [9, 1, 4]);
  const held = pool.starmap(hold, [[gate.port, 0], [gate.port, 1]]);
  await gate.started(0);
  await gate.open(1);
  await gate.open(0);
  assertEquals(await Array.fromAsync(held), [0, 1]);
});

forEachPool("map() of nothing is over at once", async (kind) => {
  await using pool = kind.create();
  assertEquals(await Array.fromAsync(pool.map((x: number) => x, [])), []);
  assertEquals(await Array.fromAsync(pool.map((x: number) => x, new Source().async(0))), []);
});

forEachPool("map() reads all items at the call", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const source = new Source();
  const results = pool.map((x: number) => x, source.sync(10));
  assertEquals([source.pulled, source.closed], [10, true]);
  assertEquals((await Array.fromAsync(results)).length, 10);
});

forEachPool("map() with buffersize reads exactly that many items ahead", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const source = new Source();
  const results = pool.map((x: number) => x * 2, source.sync(), { buffersize: 3 });
  assertEquals(source.pulled, 3);
  for (let n = 0; n < 20; n++) {
    assertEquals(await results.next(), { done: false, value: n * 2 });
    assertEquals(source.pulled, 4 + n);
  }
  await results.close();
  assertEquals([source.pulled, source.closed], [23, true]);
});

forEachPool("map() with buffersize and chunksize reads exactly that many chunks ahead", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const source = new Source();
  const results = pool.map((x: number) => x, source.sync(), { buffersize: 2, chunksize: 5 });
  assertEquals(source.pulled, 10);
  for (let n = 0; n < 17; n++) {
    assertEquals(await results.next(), { done: false, value: n });
    assertEquals(source.pulled, 15 + 5 * Math.floor(n / 5));
  }
  await results.close();
});

forEachPool("map() with buffersize streams an endless async iterable", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const source = new Source();
  const results = pool.map((x: number) => x * 2, source.async(), { buffersize: 3 });
  let n = 0;
  for await (const result of results) {
    assertEquals(result, 2 * n++);
    assert(source.pulled <= n + 4, `${source.pulled} items were read for ${n} results`);
    if (n === 300) break;
  }
  assert(source.closed);
});

forEachPool("map() reads an async iterable to its end without buffersize", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const source = new Source();
  assertEquals(
    await Array.fromAsync(pool.map((x: number) => x, source.async(50))),
    Array.from({ length: 50 }, (_, n) => n),
  );
});

forEachPool("map() waits for slow tasks of a slow async iterable", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 2 });
  const more = Promise.withResolvers<void>();
  async function* items(): AsyncGenerator<[number, number]> {
    yield [gate.port, 0];
    await more.promise;
    yield [gate.port, 1];
    yield [gate.port, 2];
  }
  const results = pool.starmap(hold, items());
  const first = results.next();
  await gate.started(0);
  more.resolve();
  await gate.started(1); // an item arrives while the first result is being waited for
  await gate.open(0);
  assertEquals(await first, { done: false, value: 0 });
  await gate.open(1);
  await gate.open(2);
  assertEquals(await Array.fromAsync(results), [1, 2]);
});

for (const chunksize of [1, 2, 3, 7, 100]) {
  forEachPool(`map() with chunksize ${chunksize} gives the same results`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 2 });
    const expected = Array.from({ length: 20 }, (_, n) => n * n);
    const items = Array.from({ length: 20 }, (_, n) => n);
    assertEquals(await Array.fromAsync(pool.map((x: number) => x * x, items, { chunksize })), expected);
    assertEquals(
      await Array.fromAsync(pool.map(async (x: number) => await Promise.resolve(x * x), items, { chunksize })),
      expected,
    );
    assertEquals(
      await Array.fromAsync(pool.map((x: number) => x * x, new Source().async(20), { chunksize })),
      expected,
    );
  });
}

for (const chunksize of [1, 3]) {
  forEachPool(
    `map() with chunksize ${chunksize} gives the results before an error, then the error, and is over`,
    async (kind) => {
      await using pool = kind.create({ maxWorkers: 1 });
      const results = pool.map(
        (x: number) => {
          if (x === 4) throw new RangeError("four");
          return x;
        },
        [0, 1, 2, 3, 4, 5, 6, 7],
        { chunksize },
      );
      for (let n = 0; n < 4; n++) assertEquals(await results.next(), { done: false, value: n });
      await assertRejects(() => results.next(), RangeError, "four");
      for (let n = 0; n < 2; n++) assertEquals(await results.next(), { done: true, value: undefined });
    },
  );
}

for (const thrown of [undefined, null, 0]) {
  forEachPool(`map() passes on that a call threw ${thrown}`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    for (const chunksize of [1, 2]) {
      const results = pool.map(
        (x: unknown) => {
          throw x;
        },
        [thrown],
        { chunksize },
      );
      const outcome = await results.next().then(
        () => "resolved",
        (error) => Object.is(error, thrown) ? "rejected" : error,
      );
      assertEquals(outcome, "rejected");
      assertEquals((await results.next()).done, true);
    }
  });
}

forEachPool("map() cancels what has not started when a call throws, and closes the items", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const source = new Source();
  const results = pool.map(
    (x: number) => {
      if (x === 1) throw new Error("one");
      const scope = globalThis as unknown as { last?: number };
      scope.last = x;
      return x;
    },
    source.sync(),
    { buffersize: 2 },
  );
  const blocked = pool.submit(hold, gate.port, 0);
  assertEquals((await results.next()).value, 0);
  await gate.open(0);
  await blocked;
  await assertRejects(() => results.next(), Error, "one");
  assert(source.closed);
});

forEachPool("map() throws what a sync iterable throws at the call", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  function* items(): Generator<number> {
    yield 1;
    throw new RangeError("items");
  }
  assertThrows(() => pool.map((x: number) => x, items()), RangeError, "items");
});

forEachPool("map() throws what a sync iterable throws later, when it comes to it", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  function* items(): Generator<number> {
    yield 1;
    yield 2;
    throw new RangeError("items");
  }
  const results = pool.map((x: number) => x, items(), { buffersize: 1 });
  assertEquals((await results.next()).value, 1);
  await assertRejects(() => results.next(), RangeError, "items");
  assertEquals((await results.next()).done, true);
});

for (const early of [true, false]) {
  forEachPool(
    `map() throws what an async iterable throws, ${early ? "though nobody waited then" : "to who waits for it"}`,
    async (kind) => {
      await using pool = kind.create({ maxWorkers: 1 });
      const failed = Promise.withResolvers<void>();
      async function* items(): AsyncGenerator<number> {
        yield 1;
        if (!early) await failed.promise;
        failed.resolve();
        throw new RangeError("items");
      }
      const results = pool.map((x: number) => x, items());
      if (early) {
        await failed.promise;
        await turn();
      }
      assertEquals((await results.next()).value, 1);
      const next = results.next();
      failed.resolve();
      await assertRejects(() => next, RangeError, "items");
      assertEquals((await results.next()).done, true);
    },
  );
}

forEachPool("map() closes the items when they cannot be submitted", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const source = new Source();
  assertThrows(() => pool.map(Math.sqrt, source.sync()), TypeError, "native");
  assert(source.closed);
});

for (const chunksize of [1, 2, 5]) {
  forEachPool(
    `map() with chunksize ${chunksize} throws when items of an async iterable cannot be submitted, and closes it`,
    async (kind) => {
      for (const more of chunksize === 1 ? [true] : [false, true]) {
        await using pool = kind.create({ maxWorkers: 1 });
        let closed = false;
        const seen: number[] = [];
        const taken = Promise.withResolvers<void>();
        const items = async function* (): AsyncGenerator<number, void, void> {
          try {
            yield* [1, 2];
            if (chunksize <= 2) await taken.promise;
            yield 3;
            pool.shutdown();
            while (more) yield 4;
          } finally {
            closed = true;
          }
        };
        const error = await assertRejects(async () => {
          for await (const value of pool.map((x: number) => x, items(), { chunksize })) {
            if (seen.push(value) === 2) taken.resolve();
          }
        }, RuntimeError);
        assertStringIncludes(error.message, "after shutdown");
        assertEquals(seen, { 1: [1, 2, 3], 2: [1, 2], 5: [] }[chunksize]);
        assert(closed);
      }
    },
  );
}

forEachPool("map() with timeout throws TimeoutError once the time is over, and cancels the rest", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  await pool.submit(() => 0);
  const results = pool.starmap(hold, [[gate.port, 0], [gate.port, 1]], { timeout: 20 });
  await assertRejects(() => results.next(), TimeoutError, "20 ms");
  assertEquals((await results.next()).done, true);
  await gate.open(0);
  assertEquals(await pool.submit((x: number) => x, 5), 5);
});

forEachPool("map() with timeout counts from the call, and still gives what is there", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const results = pool.starmap(hold, [[gate.port, 0], [gate.port, 1]], { timeout: 60_000 });
  await gate.open(0);
  await gate.started(1);
  const now = performance.now.bind(performance);
  performance.now = () => now() + 100_000;
  try {
    assertEquals(await results.next(), { done: false, value: 0 });
    await assertRejects(() => results.next(), TimeoutError);
  } finally {
    performance.now = now;
  }
  await gate.open(1);
});

forEachPool("map() takes a timeout of weeks for what it is", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await Array.fromAsync(pool.map((x: number) => x, [1, 2], { timeout: { days: 40 } })), [1, 2]);
});

forEachPool("map() does not take a TimeoutError of the function for its own", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const results = pool.map(
    () => {
      throw Object.assign(new Error("the function's"), { name: "TimeoutError" });
    },
    [1],
    { timeout: 60_000 },
  );
  await assertRejects(() => results.next(), Error, "the function's");
});

forEachPool("map() with an aborted signal throws its reason at the call, and reads nothing", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const source = new Source();
  const reason = new RangeError("why");
  assertThrows(
    () => pool.map((x: number) => x, source.sync(), { signal: AbortSignal.abort(reason) }),
    RangeError,
    "why",
  );
  assertEquals(source.pulled, 0);
});

forEachPool("map() with a signal that aborts throws its reason once, and cancels the rest", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const controller = new AbortController();
  const results = pool.starmap(hold, [[gate.port, 0], [gate.port, 1], [gate.port, 2]], { signal: controller.signal });
  const next = results.next();
  await gate.started(0);
  const reason = new RangeError("why");
  controller.abort(reason);
  assertStrictEquals(await next.catch((error) => error), reason);
  for (let n = 0; n < 2; n++) assertEquals(await results.next(), { done: true, value: undefined });
  await gate.open(0);
  assertEquals(await pool.submit((x: number) => x, 5), 5);
});

forEachPool("map() whose signal aborts between two steps throws at the next one", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const controller = new AbortController();
  const results = pool.map((x: number) => x, [1, 2, 3], { signal: controller.signal });
  assertEquals((await results.next()).value, 1);
  controller.abort(null);
  assertEquals(await results.next().then(() => "resolved", (reason) => reason), null);
  assertEquals((await results.next()).done, true);
});

forEachPool("map() does not mind a signal that aborts after the end", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const controller = new AbortController();
  const results = pool.map((x: number) => x, [1], { signal: controller.signal });
  assertEquals(await Array.fromAsync(results), [1]);
  controller.abort();
  assertEquals((await results.next()).done, true);
});

for (
  const [what, leave] of [
    ["close()", (results: MapIterator<unknown>) => results.close()],
    ["return()", (results: MapIterator<unknown>) => results.return()],
    ["disposal", (results: MapIterator<unknown>) => results[Symbol.asyncDispose]()],
    ["break", async (results: MapIterator<unknown>) => {
      for await (const _ of results) break;
    }],
  ] as const
) {
  for (const mode of ["sync", "async"] as const) {
    forEachPool(`map() ends by ${what}: it closes its ${mode} items and cancels what has not started`, async (kind) => {
      await using pool = kind.create({ maxWorkers: 1 });
      const source = new Source();
      const results = pool.map((x: number) => x, source[mode](), { buffersize: 3 });
      assertEquals((await results.next()).value, 0);
      const pulled = source.pulled;
      await leave(results);
      assert(source.closed);
      assert(source.pulled <= pulled + 4);
      const after = source.pulled;
      for (let n = 0; n < 2; n++) assertEquals(await results.next(), { done: true, value: undefined });
      assertEquals(source.pulled, after);
      await results.close();
      assertEquals(await pool.submit((x: number) => x, 1), 1);
    });
  }
}

forEachPool("map() gives no result after close(), though some of a chunk are there", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const results = pool.map(() => undefined, [1, 2, 3, 4], { chunksize: 4 });
  assertEquals((await results.next()).done, false);
  await results.close();
  assertEquals((await results.next()).done, true);
});

forEachPool("map() throws nothing after close(), though a call of the chunk threw", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const results = pool.map(
    (x: number) => {
      if (x === 1) throw new Error("one");
      return x;
    },
    [0, 1],
    { chunksize: 2 },
  );
  assertEquals((await results.next()).done, false);
  await results.close();
  assertEquals((await results.next()).done, true);
});

forEachPool("map() ends a step that waits when it is closed", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const results = pool.starmap(hold, [[gate.port, 0], [gate.port, 1]]);
  const step = results.next();
  await gate.started(0);
  await results.close();
  assertEquals((await step).done, true);
  await gate.open(0);
});

forEachPool("map() answers several steps at a time in order", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const results = pool.map((x: number) => x, new Source().async(4), { buffersize: 1 });
  const steps = await Promise.all(Array.from({ length: 6 }, () => results.next()));
  assertEquals(steps.map(({ value }) => value), [0, 1, 2, 3, undefined, undefined]);
  assertEquals(steps.map(({ done }) => done), [false, false, false, false, true, true]);
});

forEachPool("starmap() calls with each list of arguments, of any length", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const lists: number[][] = [[], [1], [1, 2], [1, 2, 3]];
  const sum = (...args: number[]) => args.reduce((a, b) => a + b, 0);
  assertEquals(await Array.fromAsync(pool.starmap(sum, lists)), [0, 1, 3, 6]);
  assertEquals(await Array.fromAsync(pool.starmap(sum, lists, { chunksize: 3 })), [0, 1, 3, 6]);
});

for (const value of [0, -1, 1.5, NaN, "2", Infinity]) {
  forEachPool(`map() refuses chunksize and buffersize ${Deno.inspect(value)}`, async (kind) => {
    await using pool = kind.create();
    const source = new Source();
    const fn = (x: number) => x;
    assertThrows(() => pool.map(fn, source.sync(), { chunksize: value as number }), RangeError, "chunksize");
    assertThrows(() => pool.map(fn, source.sync(), { buffersize: value as number }), RangeError, "buffersize");
    assertEquals(source.pulled, 0);
  });
}

forEachPool("map() takes buffersize null for no limit", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await Array.fromAsync(pool.map((x: number) => x, [1, 2], { buffersize: null, timeout: null })), [1, 2]);
});

forEachPool("map() refuses what is not iterable", async (kind) => {
  await using pool = kind.create();
  for (const bad of [5, {}, null, undefined, Promise.resolve([1])]) {
    assertThrows(() => pool.map((x: number) => x, bad as never), TypeError, "iterable");
  }
});

forEachPool("map() reports what cannot be cloned at its place, and the pool goes on", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const results = pool.map((x: unknown) => typeof x, [1, () => 1, 2]);
  assertEquals((await results.next()).value, "number");
  await assertRejects(() => results.next(), TypeError, "function");
  assertEquals(await pool.submit((x: number) => x, 1), 1);
});

forEachPool("map() lets shutdown() end it", async (kind) => {
  const pool = kind.create({ maxWorkers: 1 });
  const source = new Source();
  const results = pool.map((x: number) => x, source.sync(), { buffersize: 2 });
  assertEquals((await results.next()).value, 0);
  await pool.shutdown();
  // What is submitted already comes; then there is no pool that could take more.
  const rest: unknown[] = [];
  await (async () => {
    for await (const x of results) rest.push(x);
  })().catch(() => {});
  assertEquals(rest, [1, 2].slice(0, rest.length));
  assert(source.closed);
});

Deno.test("MapIterator gives results of any executor's futures", async () => {
  const futures: Future<number>[] = [];
  const results = new MapIterator<number>(
    {
      submit() {
        const future = new Future<number>();
        futures.push(future);
        return future;
      },
      submitChunk: () => undefined,
    },
    [1, 2, 3],
    (item) => [item],
    {},
  );
  const first = results.next();
  futures[1]!.setResult(20);
  futures[0]!.setResult(10);
  assertEquals((await first).value, 10);
  assertEquals((await results.next()).value, 20);
  const last = results.next();
  await results.close();
  assertEquals((await last).done, true);
  assert(futures[2]!.cancelled(), "the one that was waited for is cancelled, too");
});

forEachPool("map() with chunksize names the variable that the function misses", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const outside = Number("5");
  await assertRejects(
    () => Array.fromAsync(pool.map((x: number) => x + outside, [1, 2], { chunksize: 2 })),
    NotImportableError,
    "outside",
  );
  await assertRejects(
    () => Array.fromAsync(pool.map(async (x: number) => await Promise.resolve(x + outside), [1, 2], { chunksize: 2 })),
    NotImportableError,
    "outside",
  );
});

poolTest("ProcessPoolExecutor.map() with chunksize says where a permission comes from", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  await assertRejects(
    () => Array.fromAsync(pool.map((path: string) => Deno.readTextFileSync(path), ["/a", "/b"], { chunksize: 2 })),
    Deno.errors.NotCapable,
    "ProcessPoolExecutor({ permissions",
  );
});

forEachPool("map() with chunksize gives the results before one that cannot be cloned", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  for (const bad of [1, 2, 3, 4]) {
    const given: unknown[] = [];
    const items = [1, 2, 3, 4].map((x) => [x, bad] as [number, number]);
    const results = pool.starmap((x: number, bad: number): unknown => x === bad ? { run: () => 1 } : x, items, {
      chunksize: 4,
    });
    const error = await assertRejects(async () => {
      for await (const value of results) given.push(value);
    }, NotCloneableError);
    assertEquals(given, [1, 2, 3, 4].slice(0, bad - 1));
    assert(error.message.includes("result.run") && !error.message.includes("values"), error.message);
  }
});
