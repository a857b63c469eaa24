import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { DeadlockError, Event, RuntimeError, sleep, type Task, TimeoutError, waitFor } from "../../lib/asyncio/mod.ts";
import { virtualLoop } from "./_helpers.ts";
import { eachKind, ended, KINDS, ofKind, on, settle, taskOf, thrownBy } from "./_kinds.ts";

eachKind("Event.wait() gives true, at once when it is set", function* ({ loop, task }) {
  const event = new Event();
  const waits = task(() => on(event.wait()));
  yield* settle();
  assert(!waits.done());
  event.set();
  assert(event.isSet());
  assertEquals(yield* on(waits), true);
  let ran = false;
  loop.callSoon(() => ran = true);
  assertEquals(yield* on(event.wait()), true);
  assertEquals(ran, false);
});

eachKind("Event.set() wakes all that wait, in the order in which they came", function* () {
  const event = new Event();
  const order: number[] = [];
  const tasks = Array.from({ length: 6 }, (_, i) =>
    taskOf(KINDS[i % 2]!, function* () {
      yield* on(event.wait());
      order.push(i);
    }));
  yield* settle();
  event.set();
  event.set();
  yield* ended(...tasks);
  assertEquals(order, [0, 1, 2, 3, 4, 5]);
});

eachKind(
  "Event.set() wakes all that wait also when clear() follows at once, and nobody after that",
  function* ({ task }) {
    const event = new Event();
    const before = [task(() => on(event.wait())), task(() => on(event.wait()))];
    yield* settle();
    event.set();
    event.clear();
    const after = task(() => on(event.wait()));
    assertEquals([yield* on(before[0]!), yield* on(before[1]!)], [true, true]);
    yield* settle();
    assert(!event.isSet() && !after.done());
    event.set();
    assertEquals(yield* on(after), true);
  },
);

eachKind("Event.set(), clear() and set() again wake those that came in between", function* ({ task }) {
  const event = new Event();
  const first = task(() => on(event.wait()));
  yield* settle();
  event.set();
  event.clear();
  const second = taskOf("generator", () => on(event.wait()), { eagerStart: true });
  assertEquals(event.statistics(), { set: false, tasksWaiting: 1 });
  event.set();
  yield* ended(first, second);
  assertEquals([first.result(), second.result()], [true, true]);
});

eachKind("Event.clear() makes later calls of wait() wait, and may be called when it is not set", function* ({ task }) {
  const event = new Event();
  event.clear();
  event.set();
  event.clear();
  assert(!event.isSet());
  const waits = task(() => on(event.wait()));
  yield* settle();
  assert(!waits.done());
  waits.cancel();
  yield* ended(waits);
});

eachKind("Event.wait() that is cancelled leaves the others waiting", function* ({ task }) {
  const event = new Event();
  const [first, second, third] = [1, 2, 3].map(() => task(() => on(event.wait()))) as [
    Task<true>,
    Task<true>,
    Task<true>,
  ];
  const never = task(() => on(event.wait()));
  never.cancel();
  yield* settle();
  second.cancel();
  second.cancel();
  yield* ended(second, never);
  assert(second.cancelled() && never.cancelled());
  assertEquals(event.statistics(), { set: false, tasksWaiting: 2 });
  event.set();
  first.cancel();
  yield* ended(first, third);
  assert(first.cancelled(), "a woken task that is cancelled in the same tick is cancelled");
  assertEquals(third.result(), true);
  assertEquals(event.statistics(), { set: true, tasksWaiting: 0 });
});

eachKind("Event.wait() takes a time limit", function* () {
  const event = new Event();
  assertInstanceOf(yield* thrownBy(waitFor(event.wait(), 5)), TimeoutError);
  assertEquals(event.statistics(), { set: false, tasksWaiting: 0 });
});

eachKind("Event shows its state and how many wait, in toString(), inspect and statistics()", function* ({ task }) {
  const event = new Event();
  const shows = (set: boolean, tasksWaiting: number): void => {
    const text = `<Event ${set ? "set" : "unset"}, ${tasksWaiting} waiting>`;
    assertEquals([String(event), Deno.inspect(event)], [text, text]);
    assertEquals([event.isSet(), event.statistics()], [set, { set, tasksWaiting }]);
  };
  shows(false, 0);
  const tasks = [1, 2, 3].map(() => task(() => on(event.wait())));
  yield* settle();
  shows(false, 3);
  tasks[1]!.cancel();
  shows(false, 2);
  event.set();
  shows(true, 0);
  yield* ended(...tasks);
  event.clear();
  shows(false, 0);
});

for (const kind of KINDS) {
  Deno.test(`Event belongs to the loop in which somebody waited first (${kind})`, async () => {
    const event = new Event();
    using one = virtualLoop();
    using two = virtualLoop();
    event.set();
    for (const loop of [one, two]) {
      assertEquals(await loop.runUntilComplete(ofKind(kind, () => on(event.wait()))), true);
    }
    event.clear();
    await one.runUntilComplete(ofKind(kind, () => thrownBy(waitFor(event.wait(), 1))));
    const error = await two.runUntilComplete(ofKind(kind, () => thrownBy(event.wait())));
    assertInstanceOf(error, RuntimeError);
    assertEquals(
      error.message,
      "Cannot wait for <Event unset, 0 waiting> as it is bound to a different event loop: make one for each loop",
    );
  });
}

Deno.test("Event.wait() works at the top level", async () => {
  const event = new Event();
  const waits = event.wait().then();
  await sleep(0);
  assertEquals(event.statistics().tasksWaiting, 1);
  event.set();
  assertEquals([await waits, await event.wait()], [true, true]);
});

Deno.test("Event that nobody will set is named by the DeadlockError", async () => {
  for (const kind of KINDS) {
    const event = new Event();
    using loop = virtualLoop();
    const main = loop.createTask(ofKind(kind, () => on(event.wait())), { name: "main" });
    const error = await assertRejects(() => loop.runUntilComplete(main), DeadlockError);
    assertEquals(error.blocked.map((task) => [task.name, task.waitsFor]), [[
      "main",
      "wait() of <Event unset, 1 waiting>",
    ]]);
    event.set();
    assertEquals(await loop.runUntilComplete(main), true);
  }
});
