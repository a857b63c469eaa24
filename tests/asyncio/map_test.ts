import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  allTasks,
  CancelledError,
  createTask,
  currentTask,
  map,
  type Mapping,
  moveOnAfter,
  sleep,
  timeout,
  TimeoutError,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";
import { eachKind, KINDS, makerOf, on, type Steps } from "./_kinds.ts";

function* naturals(): Generator<number> {
  for (let n = 1;; n++) yield n;
}

/** What a map gives, taken by `for await` in native code and by `next()` in a generator. */
const takers = [
  ["for await", (mapping: Mapping<number>, enough: number) => async () => {
    const results: number[] = [];
    if (enough === 0) return results;
    for await (const result of mapping) {
      results.push(result);
      if (results.length === enough) break;
    }
    return results;
  }],
  ["next()", (mapping: Mapping<number>, enough: number) =>
    function* () {
      const results: number[] = [];
      while (results.length < enough) {
        const step = yield* mapping.next();
        if (step.done) break;
        results.push(step.value);
      }
      yield* mapping.close();
      return results;
    }],
] as const;

for (const [taking, take] of takers) {
  for (const kind of KINDS) {
    const co = makerOf(kind);
    Deno.test(`map(): never more than limit, each item once, in order, nothing left (${taking}, ${kind})`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            times: fc.array(fc.nat(8), { maxLength: 12 }),
            limit: fc.integer({ min: 1, max: 5 }),
            ordered: fc.boolean(),
            source: fc.nat(2),
            endless: fc.boolean(),
            enough: fc.oneof(fc.nat(8), fc.constant(Infinity)),
          }),
          async ({ times, limit, ordered, source, endless, enough }) => {
            if (endless && enough === Infinity) enough = 5;
            using loop = virtualLoop();
            let running = 0;
            let most = 0;
            const seen: number[] = [];
            let closed = 0;
            let read = 0;
            const time = (i: number) => times[i % times.length] ?? 1;
            const items = function* (): Generator<number> {
              try {
                for (let i = 0; endless || i < times.length; i++) {
                  read++;
                  yield i;
                }
              } finally {
                closed++;
              }
            };
            const asyncItems = async function* () {
              for (const item of items()) {
                if (source === 2) await sleep(1);
                yield item;
              }
            };
            const job = co(function* (i: number): Steps<number> {
              seen.push(i);
              most = Math.max(most, ++running);
              try {
                yield* on(sleep(time(i)));
              } finally {
                running--;
              }
              return i;
            });
            const results = await loop.runUntilComplete(async () => {
              const results = await createTask(take(
                map(job, source === 0 ? items() : asyncItems(), { limit, ordered }),
                enough,
              ));
              assertEquals(running, 0);
              assertEquals([...allTasks()], [currentTask()]);
              return results;
            });
            assert(most <= limit, `${most} of ${limit}`);
            assertEquals(seen, seen.map((_, i) => i));
            assertEquals(closed, read > 0 || (!endless && enough > 0) ? 1 : 0);
            // What is not taken keeps its place.
            assert(read <= results.length + limit + 1);
            if (!endless) assertEquals(results.length, Math.min(times.length, enough));
            else assertEquals(results.length, enough);
            if (ordered) assertEquals(results, results.map((_, i) => i));
            assertEquals(new Set(results).size, results.length);
          },
        ),
        { numRuns: 150, seed: 4 },
      );
    });
  }
}

eachKind("map() begins nothing before it is asked, and then as many as the limit allows", function* ({ co }) {
  const seen: number[] = [];
  const mapping = map(
    co(function* (n: number): Steps<number> {
      seen.push(n);
      yield* on(sleep(1));
      return n;
    }),
    naturals(),
    { limit: 3 },
  );
  yield* on(sleep(5));
  assertEquals(seen, []);
  assertEquals(yield* on(mapping.next()), { done: false, value: 1 });
  yield* on(sleep(50));
  assertEquals(seen, [1, 2, 3, 4]);
  yield* on(mapping.close());
  yield* on(mapping.close());
  assertEquals(yield* on(mapping.next()), { done: true, value: undefined });
  assertEquals(seen, [1, 2, 3, 4]);
});

eachKind("map() that is not ordered gives results as they come", function* ({ co, loop }) {
  const mapping = map(
    co(function* (time: number): Steps<number> {
      return yield* on(sleep(time, time));
    }),
    [30, 10, 20, 1],
    { limit: 2, ordered: false },
  );
  assertEquals(yield* on(mapping.toArray()), [10, 30, 20, 1]);
  assertEquals(loop.time(), 31);
});

eachKind(
  "map(): a call that throws cancels the others; what was there comes first, then the error, then the end",
  function* ({ co, loop }) {
    const log: string[] = [];
    const mapping = map(
      co(function* (n: number): Steps<number> {
        try {
          yield* on(sleep(n === 3 ? 5 : n));
          if (n === 3) throw new RangeError("three");
          return n;
        } catch (error) {
          log.push(`${n} ${(error as Error).name}`);
          yield* on(sleep(2));
          throw error;
        }
      }),
      [1, 2, 3, 40, 50],
      { limit: 5 },
    );
    assertEquals(yield* on(mapping.next()), { done: false, value: 1 });
    yield* on(sleep(100));
    assertEquals(log, ["3 RangeError", "40 CancelledError", "50 CancelledError"]);
    assertEquals(yield* on(mapping.next()), { done: false, value: 2 });
    try {
      yield* on(mapping.next());
      throw new Error("nothing thrown");
    } catch (error) {
      assertEquals(String(error), "RangeError: three");
    }
    assertEquals(yield* on(mapping.next()), { done: true, value: undefined });
    assertEquals([loop.time(), allTasks().size], [101, 1]);
  },
);

eachKind("map(): an iterable that throws ends it like a call", function* ({ co }) {
  for (const asynchronous of [false, true]) {
    const items = function* () {
      yield 1;
      throw new RangeError("items");
    };
    const asyncItems = async function* () {
      yield* items();
    };
    const mapping = map(
      co(function* (n: number): Steps<number> {
        yield* on(sleep(n));
        return n;
      }),
      asynchronous ? asyncItems() : items(),
      { limit: 1 },
    );
    assertEquals(yield* on(mapping.next()), { done: false, value: 1 });
    try {
      yield* on(mapping.toArray());
      throw new Error("nothing thrown");
    } catch (error) {
      assertEquals(String(error), "RangeError: items");
    }
    assertEquals(allTasks().size, 1);
  }
});

eachKind("map(): a call that is cancelled by somebody else counts as a failure", function* ({ co }) {
  const mapping = map(
    co(function* (n: number): Steps<number> {
      if (n === 2) currentTask()!.cancel("two");
      yield* on(sleep(n));
      return n;
    }),
    [1, 2, 3],
    { limit: 1 },
  );
  assertEquals(yield* on(mapping.next()), { done: false, value: 1 });
  try {
    yield* on(mapping.next());
    throw new Error("nothing thrown");
  } catch (error) {
    assertInstanceOf(error, CancelledError);
    assertEquals(error.reason, "two");
  }
  assertEquals([allTasks().size, currentTask()!.cancelling()], [1, 0]);
});

eachKind("map() is closed when who takes from it is cancelled, and waits for its calls", function* ({ co, loop }) {
  const log: string[] = [];
  const job = co(function* (n: number): Steps<number> {
    try {
      yield* on(sleep(100));
      return n;
    } finally {
      yield* on(sleep(5));
      log.push(`${n} ended at ${loop.time()}`);
    }
  });
  const taker = createTask(map(job, naturals(), { limit: 2 }).toArray());
  yield* on(sleep(10));
  taker.cancel();
  yield* on(sleep(2));
  taker.cancel();
  yield* on(wait([taker]));
  assertEquals([taker.cancelled(), log, allTasks().size], [true, ["1 ended at 15", "2 ended at 15"], 1]);

  log.length = 0;
  yield* on(moveOnAfter(5, () => map(job, naturals(), { limit: 1 }).toArray()));
  try {
    yield* on(timeout(5, () => map(job, naturals(), { limit: 1 }).toArray()));
  } catch (error) {
    assertInstanceOf(error, TimeoutError);
  }
  assertEquals([log.length, loop.time(), allTasks().size, currentTask()!.cancelling()], [2, 35, 1, 0]);
});

loopTest("map(): a for await that throws closes it", async () => {
  let running = 0;
  await assertRejects(
    async () => {
      const job = async (n: number) => {
        running++;
        try {
          await sleep(n);
        } finally {
          running--;
        }
      };
      for await (const _ of map(job, naturals(), { limit: 3 })) throw new RangeError("body");
    },
    RangeError,
    "body",
  );
  assertEquals([running, allTasks().size], [0, 1]);
});

loopTest("map(): await using closes it", async () => {
  {
    await using mapping = map((n: number) => sleep(n, n), naturals(), { limit: 3 });
    assertEquals((await mapping.next()).value, 1);
    assert(allTasks().size > 1);
  }
  assertEquals(allTasks().size, 1);
});

loopTest("map(): two who ask at once get their results in order", async () => {
  const mapping = map((n: number) => sleep(10 - n, n), [1, 2, 3], { limit: 3 });
  const steps = await Promise.all([mapping.next(), mapping.next(), mapping.next(), mapping.next()]);
  assertEquals(steps.map((step) => step.value), [1, 2, 3, undefined]);
});

loopTest("map() that is closed while its async iterable never answers does not wait for it", async () => {
  let returned = 0;
  const items: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: () => {
        returned++;
        return new Promise(() => {});
      },
    }),
  };
  const mapping = map((n: number) => sleep(1, n), items, { limit: 1 });
  const taker = createTask(mapping.next());
  await sleep(0);
  await sleep(0);
  await mapping.close();
  assertEquals([await taker, returned, allTasks().size], [{ done: true, value: undefined }, 1, 1]);
});

loopTest("map() takes strings and iterables whose steps are no promises", async () => {
  const one = (item: string | number) => sleep(1, item);
  assertEquals(await map(one, "ab", { limit: 1 }).toArray(), ["a", "b"]);
  let left = 2;
  const items = {
    [Symbol.asyncIterator]: () => ({ next: () => ({ done: left === 0, value: left-- }) }),
  } as unknown as AsyncIterable<number>;
  assertEquals(await map(one, items, { limit: 1 }).toArray(), [2, 1]);
});

loopTest("map() over an async iterable that waits for Skein cancels that wait when it is closed", async (loop) => {
  const log: string[] = [];
  const items = async function* () {
    try {
      yield 1;
      await sleep(1000);
    } finally {
      await sleep(5);
      log.push(`closed at ${loop.time()}`);
    }
  };
  const mapping = map((n: number) => sleep(1, n), items(), { limit: 2 });
  assertEquals((await mapping.next()).value, 1);
  await mapping.close();
  await sleep(10);
  assertEquals([log, allTasks().size], [["closed at 6"], 1]);
});

loopTest("map(): a call that gives nothing to await fails", async () => {
  await assertRejects(
    async () => await map((() => 5) as never, [1], { limit: 1 }).toArray(),
    TypeError,
    "Cannot await 5",
  );
});

for (const limit of [0, -1, 1.5, NaN, Infinity, "3", undefined] as number[]) {
  Deno.test(`map() refuses a limit of ${Deno.inspect(limit)} at once`, () => {
    assertThrows(() => map(() => sleep(1), [], { limit }), RangeError, "pass a whole number of at least 1");
  });
}

Deno.test("map() refuses what is no function or no iterable at once", () => {
  assertThrows(() => map(5 as never, [], { limit: 1 }), TypeError, "pass a function");
  for (const items of [5, null, undefined, {}, () => []] as never[]) {
    assertThrows(() => map(() => sleep(1), items, { limit: 1 }), TypeError, "pass an iterable");
  }
});

loopTest("map() gives each call the signal of its task", async () => {
  const aborted: number[] = [];
  const results = map(
    async (n: number, signal: AbortSignal) => {
      signal.addEventListener("abort", () => aborted.push(n));
      await sleep(10 * n);
      return n;
    },
    [1, 2, 3],
    { limit: 2 },
  );
  for await (const result of results) {
    assertEquals(result, 1);
    break;
  }
  // The third has not begun: nobody asked for more.
  assertEquals(aborted, [2]);
});
