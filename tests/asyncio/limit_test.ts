import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  asCompleted,
  type Awaitable,
  CancelledError,
  type Coroutine,
  coroutine,
  createTask,
  EventLoop,
  gather,
  sleep,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";

/** Jobs that count how many of them run. */
class Gauge {
  running = 0;
  most = 0;
  readonly started: number[] = [];

  job(id: number, time: number): Coroutine<number> {
    return this.#job(id, time);
  }

  readonly #job = coroutine(function* (this: Gauge, id: number, time: number) {
    this.started.push(id);
    this.most = Math.max(this.most, ++this.running);
    try {
      yield* sleep(time);
      return id;
    } finally {
      this.running--;
    }
  }.bind(this));
}

for (const limit of [0, -1, 1.5, NaN, Infinity, "3", null, {}] as number[]) {
  Deno.test(`gather() and asCompleted() refuse a limit of ${Deno.inspect(limit)} at once`, () => {
    for (const list of [[], [() => sleep(1)]]) {
      assertThrows(() => gather(list, { limit }), RangeError, "pass a whole number of at least 1");
      assertThrows(() => asCompleted(list, { limit }), RangeError, "pass a whole number of at least 1");
    }
  });
}

Deno.test("gather() with a limit: never more at a time, each once, results in order, begun in order", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ time: fc.nat(10), kind: fc.nat(4) }), { maxLength: 15 }),
      fc.integer({ min: 1, max: 6 }),
      async (jobs, limit) => {
        using loop = virtualLoop();
        const gauge = new Gauge();
        const results = await loop.runUntilComplete(() =>
          gather(
            jobs.map(({ time, kind }, id): Awaitable<number> =>
              [
                () => gauge.job(id, time),
                () => () => gauge.job(id, time),
                () => async () => await gauge.job(id, time),
                () =>
                  (function* () {
                    return yield* gauge.job(id, time);
                  })(),
                // Runs already.
                () => createTask(sleep(time, id)),
              ][kind]!() as Awaitable<number>
            ),
            { limit },
          )
        );
        const lazy = jobs.map((_, id) => id).filter((id) => jobs[id]!.kind < 4);
        assertEquals(results, jobs.map((_, id) => id));
        assertEquals(gauge.started, lazy);
        assert(gauge.most <= limit, `${gauge.most} of ${limit}`);
        assertEquals(gauge.most >= Math.min(limit, lazy.length, 1), true);
      },
    ),
    { numRuns: 150, seed: 3 },
  );
});

loopTest("gather() with a limit uses all of it", async (loop) => {
  const gauge = new Gauge();
  await gather(Array.from({ length: 10 }, (_, id) => gauge.job(id, 10)), { limit: 4 });
  assertEquals([gauge.most, loop.time()], [4, 30]);
});

loopTest("gather() with a limit: what runs already takes no place", async (loop) => {
  const tasks = [createTask(sleep(50)), createTask(sleep(50)), loop.createFuture<void>()];
  const started: number[] = [];
  const all = gather([...tasks, () => {
    started.push(loop.time());
    tasks[2]!.cancel();
    return sleep(1);
  }], { limit: 1, returnExceptions: true });
  await all;
  assertEquals(started, [0]);
});

loopTest("gather() with a limit that is cancelled never begins those that wait for their turn", async () => {
  const gauge = new Gauge();
  const closed: string[] = [];
  class Closing extends (Object.getPrototypeOf(sleep(1).constructor) as typeof Coroutine<void>) {
    override readonly name = "closing";
    override *[Symbol.iterator]() {}
    override close(): void {
      closed.push("closed");
    }
  }
  const all = gather([gauge.job(0, 100), gauge.job(1, 100), gauge.job(2, 100), new Closing()], {
    limit: 2,
    returnExceptions: true,
  });
  await sleep(5);
  assert(all.cancel("all"));
  await assertRejects(async () => await all, CancelledError, "all");
  await sleep(500);
  assertEquals([gauge.started, gauge.running, closed], [[0, 1], 0, ["closed"]]);
  // Before any of them has begun.
  const none = gather([gauge.job(3, 1), new Closing()], { limit: 1 });
  none.cancel();
  await wait([none]);
  assertInstanceOf(none.exception(), CancelledError);
  assertEquals([gauge.started, closed.length], [[0, 1], 2]);
});

loopTest("gather() with a limit: after an exception the others still run, also those that have not begun", async () => {
  const gauge = new Gauge();
  const all = gather([() => Promise.reject(new RangeError("first")), ...[1, 2, 3].map((id) => gauge.job(id, 5))], {
    limit: 2,
  });
  await assertRejects(async () => await all, RangeError, "first");
  await sleep(50);
  assertEquals([gauge.started, gauge.running, gauge.most], [[1, 2, 3], 0, 2]);
});

loopTest("gather() with a limit runs what is passed twice once", async () => {
  const gauge = new Gauge();
  const job = gauge.job(1, 5);
  assertEquals(await gather([job, gauge.job(2, 5), job], { limit: 1 }), [1, 2, 1]);
  assertEquals(gauge.started, [1, 2]);
});

loopTest("gather() with a limit refuses what cannot be awaited, at once", async () => {
  assertThrows(() => gather([5 as never], { limit: 1 }), TypeError, "Cannot await 5");
  assertEquals(await gather([], { limit: 1 }), []);
});

loopTest("asCompleted() with a limit gives each once as it ends, never more at a time", async (loop) => {
  const gauge = new Gauge();
  const results: number[] = [];
  for await (const done of asCompleted([30, 10, 5, 1].map((time) => gauge.job(time, time)), { limit: 2 })) {
    results.push(done.result());
  }
  assertEquals([results, gauge.most, loop.time()], [[10, 5, 1, 30], 2, 30]);
});

Deno.test("gather() with a limit at the top level", async () => {
  const loop = new EventLoop();
  assertEquals(await loop.runUntilComplete(() => gather([sleep(1, "a"), sleep(1, "b")], { limit: 1 })), ["a", "b"]);
  loop.close();
});
