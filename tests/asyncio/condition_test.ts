import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  Condition,
  createTask,
  DeadlockError,
  Lock,
  RuntimeError,
  sleep,
  type Task,
  TimeoutError,
  ValueError,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { acquirableSuite } from "./_acquirable_suite.ts";
import { virtualLoop } from "./_helpers.ts";
import { eachKind, ended, KINDS, ofKind, on, settle, type Steps, taskOf, thrownBy } from "./_kinds.ts";

acquirableSuite({
  name: "Condition",
  make: () => new Condition(),
  waiting: (condition) => (condition as Condition).statistics().lock.tasksWaiting,
  shows: (locked, waiting) => `<Lock ${locked ? "locked" : "unlocked"}, ${waiting} waiting>`,
});

/** Waits under the lock, and tells when it goes on. */
function* waits(condition: Condition, done: () => void): Steps<void> {
  using _held = yield* on(condition.acquire());
  assertEquals(yield* on(condition.wait()), true);
  done();
}

/** Does something under the lock. */
function* under(condition: Condition, action: () => void): Steps<void> {
  using _held = yield* on(condition.acquire());
  action();
}

eachKind("Condition.wait() releases the lock, and has it again when it goes on", function* ({ task }) {
  const condition = new Condition();
  const steps: string[] = [];
  const waiting = task(function* () {
    using _held = yield* on(condition.acquire());
    steps.push("waits");
    yield* on(condition.wait());
    assert(condition.locked());
    steps.push("goes on");
  });
  yield* settle();
  assertEquals(condition.statistics(), { tasksWaiting: 1, lock: { locked: false, tasksWaiting: 0 } });
  {
    using _held = yield* on(condition.acquire());
    condition.notify();
    yield* settle();
    steps.push("released");
    assertEquals(condition.statistics(), { tasksWaiting: 0, lock: { locked: true, tasksWaiting: 1 } });
  }
  yield* ended(waiting);
  waiting.result();
  assertEquals(steps, ["waits", "released", "goes on"]);
  assert(!condition.locked());
});

eachKind("Condition.notify() wakes as many as it says, those first that came first", function* ({ task }) {
  for (
    const [n, woken] of [[undefined, 1], [1, 1], [3, 3], [1.5, 2], [0, 0], [-1, 0], [9, 5], [Infinity, 5]] as const
  ) {
    const condition = new Condition();
    const order: number[] = [];
    const tasks = Array.from(
      { length: 5 },
      (_, i) => taskOf(KINDS[i % 2]!, () => waits(condition, () => order.push(i))),
    );
    yield* settle();
    yield* on(task(() => under(condition, () => condition.notify(n))));
    yield* settle();
    assertEquals(order, Array.from({ length: woken }, (_, i) => i), `notify(${n})`);
    yield* on(task(() => under(condition, () => condition.notifyAll())));
    yield* ended(...tasks);
    assertEquals(order, [0, 1, 2, 3, 4]);
  }
});

eachKind("Condition.notify() and notifyAll() that find nobody are forgotten", function* ({ task }) {
  const condition = new Condition();
  yield* under(condition, () => {
    condition.notify(3);
    condition.notifyAll();
  });
  const late = task(() => waits(condition, () => {}));
  yield* settle();
  assert(!late.done());
  yield* under(condition, () => condition.notify());
  yield* ended(late);
  late.result();
});

eachKind("Condition.notify() called twice wakes two, not one twice", function* ({ task }) {
  const condition = new Condition();
  const order: number[] = [];
  const tasks = [0, 1, 2].map((i) => task(() => waits(condition, () => order.push(i))));
  yield* settle();
  yield* under(condition, () => {
    condition.notify();
    condition.notify();
  });
  yield* settle();
  assertEquals(order, [0, 1]);
  yield* under(condition, () => condition.notify());
  yield* ended(...tasks);
});

eachKind("Condition.wait() that is cancelled has the lock when it throws", function* ({ task }) {
  const condition = new Condition();
  let locked: boolean | undefined;
  const waiting = task(function* () {
    using _held = yield* on(condition.acquire());
    try {
      yield* on(condition.wait());
    } finally {
      locked = condition.locked();
    }
  });
  yield* settle();
  waiting.cancel();
  yield* ended(waiting);
  assert(waiting.cancelled());
  assertEquals(locked, true);
  assertEquals(condition.statistics(), { tasksWaiting: 0, lock: { locked: false, tasksWaiting: 0 } });
});

eachKind("Condition.wait() that is cancelled waits for the lock that another task holds", function* ({ task }) {
  const condition = new Condition();
  const waiting = task(() => waits(condition, () => {}));
  yield* settle();
  const held = yield* on(condition.acquire());
  waiting.cancel();
  yield* settle();
  assert(!waiting.done());
  assertEquals(condition.statistics(), { tasksWaiting: 0, lock: { locked: true, tasksWaiting: 1 } });
  held.release();
  yield* ended(waiting);
  assert(waiting.cancelled());
  assert(!condition.locked());
});

eachKind("Condition.wait() throws the last CancelledError, however often it is cancelled", function* ({ task }) {
  const condition = new Condition();
  let caught: unknown;
  const waiting: Task<void> = task(function* () {
    using _held = yield* on(condition.acquire());
    try {
      yield* on(condition.wait());
    } catch (error) {
      caught = error;
      throw error;
    }
  });
  yield* settle();
  const held = yield* on(condition.acquire());
  for (const reason of ["one", "two", "three", "four"]) {
    waiting.cancel(reason);
    yield* settle();
    assert(!waiting.done());
  }
  held.release();
  assertStrictEquals(yield* thrownBy(waiting), caught);
  assertInstanceOf(caught, CancelledError);
  assertEquals(caught.reason, "four");
  assert(waiting.cancelled());
  assert(!condition.locked());
});

eachKind("Condition.wait() that is cancelled in the tick in which it gets the lock back", function* ({ task }) {
  const condition = new Condition();
  const waiting = task(() => waits(condition, () => {}));
  yield* settle();
  const held = yield* on(condition.acquire());
  condition.notify();
  yield* settle();
  held.release();
  waiting.cancel("late");
  const error = yield* thrownBy(waiting);
  assertInstanceOf(error, CancelledError);
  assertEquals(error.reason, "late");
  assertEquals(condition.statistics(), { tasksWaiting: 0, lock: { locked: false, tasksWaiting: 0 } });
});

for (const times of [1, 2]) {
  eachKind(
    `Condition.wait() cancelled ${times} times in the tick of its notification passes it on`,
    function* ({ task }) {
      const condition = new Condition();
      const order: number[] = [];
      const tasks = [0, 1, 2].map((i) => task(() => waits(condition, () => order.push(i))));
      yield* settle();
      yield* under(condition, () => {
        condition.notify();
        for (let i = 0; i < times; i++) tasks[0]!.cancel();
      });
      yield* settle();
      assertEquals(order, [1]);
      assert(tasks[0]!.cancelled());
      yield* under(condition, () => condition.notify());
      yield* ended(...tasks);
      assertEquals(order, [1, 2]);
    },
  );
}

// CPython 3.13, test_cancelled_wakeup_relock.
eachKind("Condition.wait() cancelled while it takes the lock again passes its notification on", function* ({ task }) {
  const condition = new Condition();
  const order: number[] = [];
  const tasks = [0, 1].map((i) => task(() => waits(condition, () => order.push(i))));
  yield* settle();
  const held = yield* on(condition.acquire());
  condition.notify();
  yield* settle();
  tasks[0]!.cancel();
  yield* settle();
  held.release();
  yield* ended(...tasks);
  assert(tasks[0]!.cancelled());
  assertEquals(order, [1]);
});

eachKind("Condition.notify() after a cancel() in the same tick goes to another", function* ({ task }) {
  const condition = new Condition();
  const order: number[] = [];
  const tasks = [0, 1].map((i) => task(() => waits(condition, () => order.push(i))));
  yield* settle();
  yield* under(condition, () => {
    tasks[0]!.cancel();
    condition.notify();
  });
  yield* ended(...tasks);
  assert(tasks[0]!.cancelled());
  assertEquals(order, [1]);
});

eachKind("Condition.wait() takes a time limit, and has the lock after it", function* () {
  const condition = new Condition();
  using _held = yield* on(condition.acquire());
  assertInstanceOf(yield* thrownBy(waitFor(condition.wait(), 5)), TimeoutError);
  assert(condition.locked());
  assertEquals(condition.statistics().tasksWaiting, 0);
});

eachKind("Condition.wait(), notify() and notifyAll() refuse a lock that nobody holds", function* () {
  const condition = new Condition();
  for (const call of [condition.wait(), condition.waitFor(() => false)]) {
    const error = yield* thrownBy(call);
    assertInstanceOf(error, RuntimeError);
    assertEquals(
      error.message,
      "Cannot wait for <Condition unlocked, 0 waiting> as its lock is not acquired: acquire() it first",
    );
  }
  for (const notify of [() => condition.notify(), () => condition.notify(0), () => condition.notifyAll()]) {
    assertThrows(
      notify,
      RuntimeError,
      "Cannot notify on <Condition unlocked, 0 waiting> as its lock is not acquired: acquire() it first",
    );
  }
  assertThrows(
    () => condition.release(),
    RuntimeError,
    "Cannot release <Lock unlocked, 0 waiting> as it is not acquired",
  );
});

eachKind("Condition.waitFor() gives the first truthy value, and asks with the lock held", function* ({ task }) {
  const condition = new Condition();
  let value: unknown = 0;
  let asked = 0;
  const waiting = task(function* () {
    using _held = yield* on(condition.acquire());
    return yield* on(condition.waitFor(() => {
      assert(condition.locked());
      asked++;
      return value;
    }));
  });
  yield* settle();
  assertEquals(asked, 1);
  for (const falsy of ["", null, NaN]) {
    value = falsy;
    yield* under(condition, () => condition.notifyAll());
    yield* settle();
  }
  assertEquals([asked, waiting.done()], [4, false]);
  value = "something";
  yield* settle();
  assertEquals(waiting.done(), false, "without a notification nobody asks");
  yield* under(condition, () => condition.notify());
  assertEquals(yield* on(waiting), "something");
  assertEquals(asked, 5);
});

eachKind("Condition.waitFor() needs no lock when it need not wait", function* ({ loop }) {
  const condition = new Condition();
  let ran = false;
  loop.callSoon(() => ran = true);
  assertEquals(yield* on(condition.waitFor(() => 42)), 42);
  assertEquals(ran, false);
});

eachKind("Condition.waitFor() throws what the predicate throws, with the lock held", function* ({ task }) {
  const condition = new Condition();
  const error = new RangeError("no answer");
  let fails = false;
  const waiting = task(function* () {
    using _held = yield* on(condition.acquire());
    try {
      yield* on(condition.waitFor(() => {
        if (fails) throw error;
        return false;
      }));
    } finally {
      assert(condition.locked());
    }
  });
  yield* settle();
  fails = true;
  yield* under(condition, () => condition.notify());
  assertStrictEquals(yield* thrownBy(waiting), error);
  assert(!condition.locked());
});

eachKind("Condition.waitFor() that is cancelled has the lock when it throws", function* ({ task }) {
  const condition = new Condition();
  const waiting = task(function* () {
    using _held = yield* on(condition.acquire());
    try {
      yield* on(condition.waitFor(() => false));
    } finally {
      assert(condition.locked());
    }
  });
  yield* settle();
  waiting.cancel();
  yield* ended(waiting);
  assert(waiting.cancelled());
  assert(!condition.locked());
});

eachKind("Condition over a lock of the caller's shares it, also with other conditions", function* ({ task }) {
  const lock = new Lock();
  const full = new Condition(lock);
  const empty = new Condition(lock);
  const steps: string[] = [];
  const waiting = [
    task(() => waits(full, () => steps.push("full"))),
    task(() => waits(empty, () => steps.push("empty"))),
  ];
  yield* settle();
  const held = yield* on(lock.acquire());
  assert(full.locked() && empty.locked());
  empty.notify();
  held.release();
  yield* settle();
  assertEquals(steps, ["empty"]);
  yield* under(empty, () => full.notify());
  yield* ended(...waiting);
  assertEquals(steps, ["empty", "full"]);
});

Deno.test("Condition refuses what is no lock", () => {
  for (const lock of [null, 1, {}, new Condition(), { acquire() {}, release() {}, locked: () => true }]) {
    assertThrows(() => new Condition(lock as never), TypeError, "Cannot make a Condition over ");
  }
  assertThrows(() => new Condition(7 as never), TypeError, "Cannot make a Condition over 7: pass a Lock, or nothing");
});

eachKind("Condition.notify() and waitFor() refuse bad arguments at once", function* () {
  const condition = new Condition();
  using _held = yield* on(condition.acquire());
  assertThrows(() => condition.notify("2" as never), TypeError, 'Cannot notify "2" tasks: pass a number');
  assertThrows(() => condition.notify(null as never), TypeError, "Cannot notify null tasks: pass a number");
  assertThrows(() => condition.notify(NaN), ValueError, "Cannot notify NaN tasks: pass a number");
  for (const predicate of [undefined, true, "ready", Promise.resolve(true)]) {
    assertThrows(() => condition.waitFor(predicate as never), TypeError, "pass a function that tells");
  }
});

eachKind("Condition shows its state and how many wait, in toString(), inspect and statistics()", function* ({ task }) {
  const condition = new Condition();
  const shows = (locked: boolean, tasksWaiting: number, lockWaiting = 0): void => {
    const text = `<Condition ${locked ? "locked" : "unlocked"}, ${tasksWaiting} waiting>`;
    assertEquals([String(condition), Deno.inspect(condition)], [text, text]);
    assertEquals(condition.locked(), locked);
    assertEquals(condition.statistics(), { tasksWaiting, lock: { locked, tasksWaiting: lockWaiting } });
  };
  shows(false, 0);
  const tasks = [1, 2].map(() => task(() => waits(condition, () => {})));
  yield* settle();
  shows(false, 2);
  const held = yield* on(condition.acquire());
  shows(true, 2);
  condition.notifyAll();
  shows(true, 0);
  yield* settle();
  shows(true, 0, 2);
  held.release();
  yield* ended(...tasks);
  shows(false, 0);
});

for (const kind of KINDS) {
  Deno.test(`Condition belongs to the loop in which somebody waited first, and keeps its lock if not (${kind})`, async () => {
    const condition = new Condition();
    using one = virtualLoop();
    using two = virtualLoop();
    const waited = ofKind(kind, function* () {
      using _held = yield* on(condition.acquire());
      const error = yield* thrownBy(waitFor(condition.wait(), 1));
      assert(condition.locked());
      return error;
    });
    assertInstanceOf(await one.runUntilComplete(waited), TimeoutError);
    const error = await two.runUntilComplete(ofKind(kind, function* () {
      using _held = yield* on(condition.acquire());
      const error = yield* thrownBy(condition.wait());
      assert(condition.locked());
      return error;
    }));
    assertInstanceOf(error, RuntimeError);
    assertEquals(
      error.message,
      "Cannot wait for <Condition locked, 0 waiting> as it is bound to a different event loop: make one for each loop",
    );
    assert(!condition.locked());
  });

  Deno.test(`Condition that nobody will notify is named by the DeadlockError (${kind})`, async () => {
    const condition = new Condition();
    using loop = virtualLoop();
    const main = loop.createTask(ofKind(kind, () => waits(condition, () => {})), { name: "main" });
    const error = await assertRejects(() => loop.runUntilComplete(main), DeadlockError);
    assertEquals(error.blocked.map((task) => [task.name, task.waitsFor]), [
      ["main", "wait() of <Condition unlocked, 1 waiting>"],
    ]);
    await loop.runUntilComplete(ofKind(kind, () => under(condition, () => condition.notify())));
    await loop.runUntilComplete(main);
  });
}

Deno.test("Condition works at the top level", async () => {
  const condition = new Condition();
  let ready = false;
  const other = createTask(async () => {
    using _held = await condition.acquire();
    ready = true;
    condition.notify();
  });
  {
    using _held = await condition.acquire();
    assertEquals(await condition.waitFor(() => ready), true);
  }
  await other;
  assert(!condition.locked());
});

eachKind(
  "Condition passes a producer's items to consumers of both kinds, some of them cancelled",
  function* ({ task }) {
    const condition = new Condition();
    const items: number[] = [];
    const got: number[] = [];
    const consumers = Array.from({ length: 8 }, (_, i) =>
      taskOf(KINDS[i % 2]!, function* () {
        using _held = yield* on(condition.acquire());
        yield* on(condition.waitFor(() => items.length > 0));
        got.push(items.shift()!);
      }));
    const producer = task(function* () {
      for (let i = 0; i < 5; i++) {
        yield* under(condition, () => {
          items.push(i);
          condition.notify();
        });
        if (i % 2 === 0) consumers[i]!.cancel();
        yield* on(sleep(1));
      }
    });
    yield* ended(producer);
    yield* settle();
    assertEquals(got, [0, 1, 2, 3, 4]);
    // The others had got an item by then.
    assertEquals(consumers.map((each) => each.done() && each.cancelled()), consumers.map((_, i) => i === 0));
    for (const each of consumers) each.cancel();
    yield* ended(...consumers);
  },
);
