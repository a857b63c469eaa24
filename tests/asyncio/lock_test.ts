import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { Lock, RuntimeError } from "../../lib/asyncio/mod.ts";
import { acquirableSuite } from "./_acquirable_suite.ts";
import { eachKind, ended, on, settle, thrownBy } from "./_kinds.ts";

acquirableSuite({
  name: "Lock",
  make: () => new Lock(),
  waiting: (lock) => (lock as Lock).statistics().tasksWaiting,
  shows: (locked, waiting) => `<Lock ${locked ? "locked" : "unlocked"}, ${waiting} waiting>`,
});

eachKind("Lock shows its state and how many wait, in toString(), inspect and statistics()", function* ({ task }) {
  const lock = new Lock();
  const shows = (locked: boolean, tasksWaiting: number): void => {
    const text = `<Lock ${locked ? "locked" : "unlocked"}, ${tasksWaiting} waiting>`;
    assertEquals([String(lock), Deno.inspect(lock)], [text, text]);
    assertEquals([lock.locked(), lock.statistics()], [locked, { locked, tasksWaiting }]);
  };
  shows(false, 0);
  const held = yield* on(lock.acquire());
  shows(true, 0);
  const tasks = [1, 2, 3].map(() => task(() => on(lock.acquire())));
  yield* settle();
  shows(true, 3);
  tasks[1]!.cancel();
  shows(true, 2);
  held.release();
  // Its turn has come, so it does not wait any more; the lock is nobody's until it runs.
  shows(false, 1);
  yield* ended(tasks[0]!);
  shows(true, 1);
  tasks[2]!.cancel();
  yield* ended(...tasks);
  shows(true, 0);
});

eachKind("Lock.release() refuses a lock that nobody holds", function* () {
  const lock = new Lock();
  const message = "Cannot release <Lock unlocked, 0 waiting> as it is not acquired: release it once for each acquire()";
  assertThrows(() => lock.release(), RuntimeError, message);
  const held = yield* on(lock.acquire());
  lock.release();
  assertThrows(() => lock.release(), RuntimeError, message);
  assertThrows(() => held.release(), RuntimeError, message);
  held.release();
  assert(!lock.locked());
});

eachKind("Lock.release() may be called by another task than the one that acquired it", function* ({ task }) {
  const lock = new Lock();
  yield* ended(task(() => on(lock.acquire())));
  assert(lock.locked());
  lock.release();
  assert(!lock.locked());
});

eachKind(
  "Lock.release() twice in a tick refuses the second, although somebody is about to take it",
  function* ({ task }) {
    const lock = new Lock();
    yield* on(lock.acquire());
    const next = task(() => on(lock.acquire()));
    yield* settle();
    lock.release();
    assertThrows(() => lock.release(), RuntimeError, "not acquired");
    yield* ended(next);
    assert(lock.locked());
  },
);

eachKind("Lock is not reentrant", function* ({ task }) {
  const lock = new Lock();
  const twice = task(function* () {
    using _outer = yield* on(lock.acquire());
    using _inner = yield* on(lock.acquire());
  });
  yield* settle();
  assertEquals(lock.statistics(), { locked: true, tasksWaiting: 1 });
  twice.cancel();
  yield* ended(twice);
  assertEquals(lock.statistics(), { locked: false, tasksWaiting: 0 });
});

// CPython 3.13, test_cancel_release_race: the lock is released while a cancelled waiter is still in its queue.
eachKind("Lock is free again after a cancelled waiter, a release and a newcomer in one tick", function* ({ task }) {
  const lock = new Lock();
  yield* on(lock.acquire());
  const cancelled = task(() => on(lock.acquire()));
  yield* settle();
  cancelled.cancel();
  lock.release();
  const newcomer = task(function* () {
    using _held = yield* on(lock.acquire());
  });
  yield* ended(cancelled, newcomer);
  assert(cancelled.cancelled() && !newcomer.cancelled());
  assertEquals(lock.statistics(), { locked: false, tasksWaiting: 0 });
});

eachKind(
  "Lock.acquire() by a thousand tasks, every other one cancelled, serves the rest in order",
  function* ({ task }) {
    const lock = new Lock();
    const order: number[] = [];
    const held = yield* on(lock.acquire());
    const tasks = Array.from({ length: 1000 }, (_, i) =>
      task(function* () {
        using _held = yield* on(lock.acquire());
        order.push(i);
      }));
    yield* settle();
    for (let i = 0; i < 1000; i += 2) tasks[i]!.cancel();
    held.release();
    yield* ended(...tasks);
    assertEquals(order, Array.from({ length: 500 }, (_, i) => 2 * i + 1));
  },
);

eachKind("Lock.acquire() throws the CancelledError with its message", function* ({ task }) {
  const lock = new Lock();
  yield* on(lock.acquire());
  const waits = task(() => on(lock.acquire()));
  yield* settle();
  waits.cancel("no more");
  const error = yield* thrownBy(waits);
  assertInstanceOf(error, Error);
  assertEquals([error.name, error.message], ["CancelledError", "no more"]);
});
