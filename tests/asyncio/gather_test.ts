import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  asCompleted,
  CancelledError,
  createTask,
  type Future,
  gather,
  sleep,
  ValueError,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";

Deno.test("gather() gives the results in the order of the arguments, whatever their times and kinds", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ time: fc.nat(20), kind: fc.nat(3) }), { maxLength: 20 }),
      async (children) => {
        using loop = virtualLoop();
        const results = await loop.runUntilComplete(() =>
          gather(children.map(({ time, kind }, i) => {
            const made = [
              () => sleep(time, i),
              () => async () => await sleep(time, i),
              () => createTask(sleep(time, i)),
              () =>
                (function* () {
                  return yield* sleep(time, i);
                })(),
            ][kind]!();
            return made as Future<number>;
          }))
        );
        assertEquals(results, children.map((_, i) => i));
        assertEquals(loop.time(), Math.max(0, ...children.map(({ time }) => time)));
      },
    ),
    { numRuns: 100, seed: 2 },
  );
});

loopTest("gather() of nothing is done", (loop) => {
  const outer = gather([]);
  assertEquals([outer.done(), outer.result(), outer.cancel(), outer.getLoop() === loop], [true, [], false, true]);
  return sleep(0);
});

loopTest("gather() runs an awaitable that is passed twice once", async () => {
  let runs = 0;
  const once = (function* () {
    runs++;
    yield* sleep(1);
    return {};
  })();
  const [a, b] = await gather([once, once]);
  assertStrictEquals(a, b);
  assertEquals(runs, 1);
});

loopTest("gather() has the result of a task that is passed twice in both places, be it done or not", async () => {
  const [first, second] = [createTask(sleep(0, "first")), createTask(sleep(1, "second"))];
  await first;
  assertEquals(await gather([second, first, second, first]), ["second", "first", "second", "first"]);
  assertEquals(await gather([second, first, second]), ["second", "first", "second"]);
  const failing = createTask(async () => {
    await sleep(1);
    throw new Error("planned");
  });
  const results = await gather([failing, first, failing], { returnExceptions: true });
  assertEquals(results.map(String), ["Error: planned", "first", "Error: planned"]);
});

loopTest("gather() takes the first exception; later ones are no news", async () => {
  const fail = (time: number) => async () => {
    await sleep(time);
    throw new Error(`at ${time}`);
  };
  await assertRejects(async () => await gather([fail(20), fail(10), fail(30)]), Error, "at 10");
  await sleep(100);
});

loopTest("gather() with a child that is cancelled fails, and is not cancelled; the others run on", async () => {
  const [child, other] = [createTask(sleep(10)), createTask(sleep(20, "other"))];
  const outer = gather([child, other]);
  child.cancel("child");
  await wait([outer]);
  assertEquals(outer.cancelled(), false);
  assertInstanceOf(outer.exception(), CancelledError);
  assertEquals(await other, "other");
});

loopTest("gather().cancel() cancels each child, and ends cancelled even where exceptions are results", async () => {
  const children = [createTask(sleep(10)), createTask(sleep(20))];
  const outer = gather(children, { returnExceptions: true });
  await sleep(0);
  assert(outer.cancel("all"));
  await assertRejects(async () => await outer, CancelledError, "all");
  assert(children.every((child) => child.cancelled()));
});

loopTest("gather().cancel() is false when each child is done", async (loop) => {
  const children = [loop.createFuture<number>(), loop.createFuture<number>()];
  const outer = gather(children);
  for (const child of children) child.setResult(1);
  assertEquals([outer.done(), outer.cancel()], [false, false]);
  assertEquals(await outer, [1, 1]);
});

loopTest("gather() with returnExceptions has exceptions and cancellations among the results", async () => {
  const cancelled = createTask(sleep(10));
  const results = gather([sleep(1, "fine"), () => Promise.reject(new RangeError("bad")), cancelled], {
    returnExceptions: true,
  });
  cancelled.cancel();
  const [fine, bad, gone] = await results;
  assertEquals(fine, "fine");
  assertInstanceOf(bad, RangeError);
  assertInstanceOf(gone, CancelledError);
});

loopTest("gather(), wait() and asCompleted() refuse what is no list, and say how it is done", async () => {
  const task = createTask(sleep(1));
  const gathered = gather([task]);
  const functions = { gather, wait, asCompleted } as Record<string, (...args: unknown[]) => unknown>;
  for (const [name, fn] of Object.entries(functions)) {
    for (const bad of [task, gathered, sleep(1), () => Promise.resolve(), undefined, null, 5]) {
      const error = assertThrows(() => fn(bad, task), TypeError);
      assertEquals(
        error.message,
        `Cannot use ${
          Deno.inspect(bad, { depth: 0 })
        } as what ${name}() waits for: pass a list, as in ${name}([task, another])`,
      );
    }
  }
  await gathered;
});

loopTest("gather() refuses futures of several loops", (loop) => {
  using other = virtualLoop();
  assertThrows(() => gather([loop.createFuture(), other.createFuture()]), ValueError, "different");
  return sleep(0);
});
