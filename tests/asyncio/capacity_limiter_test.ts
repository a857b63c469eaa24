import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  CapacityLimiter,
  type Coroutine,
  createTask,
  currentTask,
  RuntimeError,
  sleep,
  type Task,
  ValueError,
  wait,
  WouldBlock,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";
import { eachKind, KINDS, makerOf, on, type Steps } from "./_kinds.ts";

eachKind(
  "CapacityLimiter.acquire() borrows for the current task, and the end of the block gives back",
  function* ({ co }) {
    const limiter = new CapacityLimiter(2);
    yield* on(createTask(co(function* (): Steps<void> {
      using held = yield* on(limiter.acquire());
      assertEquals([limiter.borrowedTokens, limiter.availableTokens, limiter.totalTokens], [1, 1, 2]);
      assertStrictEquals(limiter.statistics().borrowers[0], currentTask());
      assert(held);
      yield* on(sleep(1));
    })));
    assertEquals(limiter.statistics(), { borrowedTokens: 0, totalTokens: 2, borrowers: [], tasksWaiting: 0 });
  },
);

eachKind("CapacityLimiter refuses a second token to who holds or waits for one", function* ({ loop }) {
  const limiter = new CapacityLimiter(1);
  const refused = function* (waiting: Coroutine<unknown>): Steps<void> {
    try {
      yield* on(waiting);
    } catch (error) {
      return assert(error instanceof RuntimeError && error.message.includes("token already"), String(error));
    }
    throw new Error("not refused");
  };
  yield* on(limiter.acquire());
  yield* refused(limiter.acquire());
  assertThrows(() => limiter.acquireNowait(), RuntimeError, "holds a token already");
  const waiter = createTask(limiter.acquireOnBehalfOf("guest"));
  yield* on(sleep(0));
  yield* refused(limiter.acquireOnBehalfOf("guest"));
  waiter.cancel();
  yield* on(wait([waiter]));
  limiter.release();
  limiter.acquireOnBehalfOfNowait("guest");
  yield* refused(limiter.acquireOnBehalfOf("guest"));
  limiter.releaseOnBehalfOf("guest");
  assertEquals([limiter.borrowedTokens, loop.time()], [0, 0]);
});

eachKind("CapacityLimiter: first come, first served, also against acquireNowait()", function* ({ co }) {
  const limiter = new CapacityLimiter(1);
  const order: number[] = [];
  yield* on(limiter.acquire());
  const tasks = [1, 2, 3].map((n) =>
    createTask(co(function* (): Steps<void> {
      using _held = yield* on(limiter.acquire());
      order.push(n);
      yield* on(sleep(1));
    }))
  );
  yield* on(sleep(0));
  assertThrows(() => limiter.acquireOnBehalfOfNowait("x"), WouldBlock, "without waiting");
  limiter.release();
  assertEquals([limiter.borrowedTokens, limiter.statistics().tasksWaiting], [1, 2]);
  assertThrows(() => limiter.acquireOnBehalfOfNowait("x"), WouldBlock);
  yield* on(wait(tasks));
  assertEquals(order, [1, 2, 3]);
  limiter.acquireNowait();
  limiter.release();
});

eachKind("CapacityLimiter.totalTokens can be changed while in use", function* ({ co }) {
  const limiter = new CapacityLimiter(0);
  const started: number[] = [];
  const tasks = [1, 2, 3, 4].map((n) =>
    createTask(co(function* (): Steps<void> {
      using _held = yield* on(limiter.acquire());
      started.push(n);
      yield* on(sleep(10));
    }))
  );
  yield* on(sleep(1));
  assertEquals(started, []);
  limiter.totalTokens = 2;
  yield* on(sleep(1));
  assertEquals(started, [1, 2]);
  limiter.totalTokens = 1;
  assertEquals([limiter.availableTokens, limiter.borrowedTokens], [-1, 2]);
  yield* on(sleep(11));
  assertEquals([started, limiter.availableTokens], [[1, 2, 3], 0]);
  limiter.totalTokens = Infinity;
  yield* on(sleep(1));
  assertEquals([started, limiter.availableTokens], [[1, 2, 3, 4], Infinity]);
  yield* on(wait(tasks));
  assertEquals(String(limiter), "<CapacityLimiter 0 of Infinity borrowed, 0 waiting>");
});

loopTest("CapacityLimiter passes a token on whose new holder is cancelled in that moment", async () => {
  const limiter = new CapacityLimiter(1);
  await limiter.acquire();
  const first = createTask(limiter.acquire());
  const second = createTask(limiter.acquireOnBehalfOf("second"));
  await sleep(0);
  limiter.release();
  first.cancel();
  await wait([first, second]);
  assertEquals([first.cancelled(), limiter.statistics().borrowers], [true, ["second"]]);
});

loopTest("CapacityLimiter refuses bad numbers, borrowers and releases", async () => {
  for (const total of [-1, 1.5, NaN, -Infinity, "3", null] as number[]) {
    assertThrows(() => new CapacityLimiter(total), ValueError, "totalTokens");
    const limiter = new CapacityLimiter(1);
    assertThrows(() => limiter.totalTokens = total, ValueError, "totalTokens");
    assertEquals(limiter.totalTokens, 1);
  }
  const limiter = new CapacityLimiter(1);
  assertThrows(() => limiter.release(), RuntimeError, "holds none");
  assertThrows(() => limiter.releaseOnBehalfOf("nobody"), RuntimeError, "holds none");
  for (const nobody of [null, undefined]) {
    assertThrows(() => limiter.acquireOnBehalfOf(nobody), TypeError, "pass who holds it");
    assertThrows(() => limiter.acquireOnBehalfOfNowait(nobody), TypeError, "pass who holds it");
  }
  await sleep(0);
});

Deno.test("CapacityLimiter.acquireNowait() and release() need a task", () => {
  const limiter = new CapacityLimiter(1);
  assertThrows(() => limiter.acquireNowait(), RuntimeError, "outside of a task");
  assertThrows(() => limiter.release(), RuntimeError, "outside of a task");
});

for (const kind of KINDS) {
  const co = makerOf(kind);
  Deno.test(`CapacityLimiter: random users, changes and cancellations lose no token (${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ at: fc.nat(10), time: fc.nat(5), cancelAt: fc.option(fc.nat(15), { nil: null }) }),
          { maxLength: 10 },
        ),
        fc.array(fc.record({ at: fc.nat(15), total: fc.nat(3) }), { maxLength: 4 }),
        async (users, changes) => {
          using loop = virtualLoop();
          const limiter = new CapacityLimiter(2);
          let highest = 2;
          let holding = 0;
          const entered: number[] = [];
          const tasks: Task<unknown>[] = [];
          await loop.runUntilComplete(async () => {
            for (const { at, total } of changes) {
              loop.callLater(at, () => {
                limiter.totalTokens = total;
                highest = Math.max(highest, total);
              });
            }
            loop.callLater(16, () => limiter.totalTokens = 2);
            users.forEach(({ at, time, cancelAt }, id) => {
              const task = createTask(co(function* (): Steps<void> {
                yield* on(sleep(at));
                using _held = yield* on(limiter.acquire());
                entered.push(id);
                assert(++holding <= highest);
                try {
                  yield* on(sleep(time));
                } finally {
                  holding--;
                }
              }));
              tasks.push(task);
              if (cancelAt !== null) loop.callLater(cancelAt, () => task.cancel());
            });
            await sleep(100);
          });
          for (const task of tasks) assert(task.done() && (task.cancelled() || !task.exception()));
          assertEquals([limiter.borrowedTokens, limiter.availableTokens, limiter.statistics().tasksWaiting], [0, 2, 0]);
          // Nobody has overtaken who came before; timers of one time run in the order of their making.
          const come = (id: number) => users[id]!.at * 100 + id;
          if (users.every(({ at }) => at > 0)) assertEquals(entered, entered.toSorted((a, b) => come(a) - come(b)));
        },
      ),
      { numRuns: 200, seed: 5 },
    );
  });
}

loopTest("CapacityLimiter refuses a borrower who waits as often as he asks", function* () {
  const limiter = new CapacityLimiter(1);
  const held = yield* limiter.acquireOnBehalfOf("first");
  const waiting = createTask(limiter.acquireOnBehalfOf("second"));
  yield* sleep(0);
  for (let i = 0; i < 2; i++) {
    const again = createTask(limiter.acquireOnBehalfOf("second"));
    yield* wait([again]);
    assert(again.exception() instanceof RuntimeError);
  }
  held.release();
  yield* waiting;
  assertEquals(limiter.statistics().borrowers, ["second"]);
});
