import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  createTask,
  currentTask,
  DeadlockError,
  EventLoop,
  gather,
  getRunningLoop,
  sleep,
} from "../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../lib/testing/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";

Deno.test("EventLoop fires timers in the order of deadline, then of creation, and no cancelled one", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ delay: fc.integer({ min: -3, max: 12 }), cancelled: fc.boolean() }), { maxLength: 60 }),
      async (timers) => {
        using loop = virtualLoop();
        const fired: number[] = [];
        const handles = timers.map(({ delay }, i) => loop.callLater(delay, () => fired.push(i)));
        for (const [i, { cancelled }] of timers.entries()) if (cancelled) handles[i]!.cancel();
        await loop.runUntilComplete(sleep(20));
        const expected = timers.map((timer, i) => ({ ...timer, i })).filter(({ cancelled }) => !cancelled)
          .sort((a, b) => a.delay - b.delay || a.i - b.i).map(({ i }) => i);
        assertEquals(fired, expected);
      },
    ),
    { numRuns: 200, seed: 3 },
  );
});

loopTest("VirtualClock stands still while code runs, and goes on by advance()", function* () {
  const clock = new VirtualClock({ start: 100 });
  using loop = new EventLoop({ clock });
  assertEquals(loop.time(), 100);
  clock.advance({ seconds: 1 });
  assertEquals([clock.time(), loop.time()], [1100, 1100]);
  yield* sleep(0);
});

Deno.test("VirtualClock.advance() makes timers due, which then run late and in order", async () => {
  const clock = new VirtualClock();
  using loop = new EventLoop({ clock });
  const order: string[] = [];
  loop.callLater(20, () => order.push(`b ${loop.time()}`));
  loop.callLater(10, () => order.push(`a ${loop.time()}`));
  loop.callSoon(() => clock.advance(50));
  await loop.runUntilComplete(sleep(0));
  await loop.runUntilComplete(sleep(1));
  assertEquals(order, ["a 50", "b 50"]);
});

loopTest("VirtualClock: an hour with 10,000 sleeping tasks", async (loop) => {
  await gather(Array.from({ length: 10_000 }, (_, i) => sleep(3_600_000 - i)));
  assertEquals(loop.time(), 3_600_000);
});

loopTest("VirtualClock waits for Web Crypto, for a file and for a server before time leaps", async (loop) => {
  const server = Deno.serve({ port: 0, onListen: () => {} }, () => new Response("served"));
  const ticks: number[] = [];
  const ticker = createTask(async () => {
    for (;;) {
      await sleep(10);
      ticks.push(loop.time());
    }
  });
  const native = createTask(async () => {
    // As many turns as the loop waits for code of its own before it sleeps.
    for (let i = 0; i < 300; i++) await null;
    await Deno.readTextFile(new URL(import.meta.url));
    return await (await fetch(`http://127.0.0.1:${server.addr.port}`)).text();
  });
  assertEquals([await native, loop.time(), ticks], ["served", 0, []]);
  await sleep(25);
  assertEquals(ticks, [10, 20]);
  ticker.cancel();
  await server.shutdown();
});

Deno.test("DeadlockError lists each blocked task with what it waits for", async () => {
  using loop = virtualLoop();
  const future = loop.createFuture<void>();
  const waiting = loop.createTask(
    function* () {
      yield* future;
    }(),
    { name: "waiting" },
  );
  const main = loop.createTask(
    function* () {
      yield* waiting;
    }(),
    { name: "main" },
  );
  const error = await assertRejects(() => loop.runUntilComplete(main), DeadlockError);
  assert(error.message.startsWith("Cannot go on with <Task pending name='main'"), error.message);
  assertEquals(error.blocked.map((task) => task.name), ["waiting", "main"]);
  assert(error.message.includes("\n  waiting waits for <Future pending cb=[wakeup of waiting]>"), error.message);
  assert(error.message.includes("\n  main waits for <Task pending name='waiting'"), error.message);
  assert(!loop.isRunning());
  future.setResult();
  await loop.runUntilComplete(main);
  assert(main.done() && waiting.done());
});

Deno.test("DeadlockError reaches code outside that awaits a future of the loop", async () => {
  using loop = virtualLoop();
  const future = loop.createFuture<string>();
  await assertRejects(async () => await future, DeadlockError);
  loop.callLater(5, () => future.setResult("after all"));
  assertEquals(await future, "after all");
});

loopTest("VirtualClock gives each loop a time of its own", async (loop) => {
  await sleep(100);
  assertEquals([loop.time(), virtualLoop().time(), getRunningLoop() === loop], [100, 0, true]);
});

Deno.test("several loops run side by side, each with its own tasks and time", async () => {
  const loops = [virtualLoop(), virtualLoop(), virtualLoop()];
  const results = await Promise.all(loops.map((loop, i) =>
    loop.runUntilComplete(async () => {
      for (let k = 0; k < 10; k++) {
        await sleep(i + 1);
        assert(getRunningLoop() === loop && currentTask()!.getLoop() === loop);
      }
      return loop.time();
    })
  ));
  assertEquals(results, [10, 20, 30]);
  for (const loop of loops) loop.close();
});

Deno.test("VirtualClock goes on when native code that was away awaits a future", async () => {
  const loop = virtualLoop();
  const ended = loop.runUntilComplete(async () => {
    const future = loop.createFuture<string>();
    loop.callLater(3, () => future.setResult("set"));
    // As many turns as the loop waits for code of its own before it sleeps.
    for (let i = 0; i < 300; i++) await null;
    return [await future, loop.time()];
  });
  assertEquals(await ended, ["set", 3]);
  loop.close();
});
