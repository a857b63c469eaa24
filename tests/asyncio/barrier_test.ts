import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  Barrier,
  BrokenBarrierError,
  createTask,
  DeadlockError,
  gather,
  RuntimeError,
  sleep,
  type Task,
  TimeoutError,
  ValueError,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { virtualLoop } from "./_helpers.ts";
import { eachKind, ended, KINDS, type KindTools, ofKind, on, settle, taskOf, thrownBy } from "./_kinds.ts";

/** So many tasks that wait at a barrier. */
function waiters(barrier: Barrier, count: number, task: KindTools["task"]): Task<number>[] {
  return Array.from({ length: count }, () => task(() => on(barrier.wait())));
}

/** How tasks ended. */
function outcomes(tasks: Task<number>[]): unknown[] {
  return tasks.map((task) => {
    if (!task.done()) return "pending";
    if (task.cancelled()) return "cancelled";
    const error = task.exception();
    return error === null ? task.result() : error instanceof BrokenBarrierError ? "broken" : error;
  });
}

eachKind(
  "Barrier.wait() of both kinds waits until all are there, and gives places in the order of arrival",
  function* () {
    const barrier = new Barrier(4);
    const order: number[] = [];
    const tasks: Task<number>[] = [];
    for (let i = 0; i < 4; i++) {
      assertEquals([barrier.nWaiting, order], [i, []]);
      tasks.push(taskOf(KINDS[i % 2]!, function* () {
        const place = yield* on(barrier.wait());
        order.push(place);
        return place;
      }));
      yield* settle();
    }
    assertEquals(outcomes(tasks), [0, 1, 2, 3]);
    // As in CPython: the last one need not wait, the others go on in the order in which they came.
    assertEquals(order, [3, 0, 1, 2]);
    assertEquals(barrier.nWaiting, 0);
  },
);

eachKind("Barrier for one task never waits", function* ({ loop }) {
  const barrier = new Barrier(1);
  let ran = false;
  loop.callSoon(() => ran = true);
  assertEquals([yield* on(barrier.wait()), yield* on(barrier.wait())], [0, 0]);
  assertEquals(ran, false);
});

eachKind("Barrier can be used again and again", function* ({ task }) {
  const barrier = new Barrier(3);
  for (let round = 0; round < 3; round++) {
    const tasks = waiters(barrier, 3, task);
    yield* ended(...tasks);
    assertEquals(outcomes(tasks), [0, 1, 2]);
    assertEquals(String(barrier), "<Barrier filling, 0 of 3>");
  }
});

// CPython 3.13, test_filling_tasks_wait_twice: the same tasks, again at once.
eachKind("Barrier takes the tasks of a group that come back at once for the next group", function* ({ task }) {
  const barrier = new Barrier(3);
  const seen: string[] = [];
  const tasks = Array.from({ length: 3 }, () =>
    task(function* () {
      yield* on(barrier.wait());
      seen.push("first");
      yield* on(barrier.wait());
      seen.push("second");
    }));
  yield* ended(...tasks);
  assertEquals(seen, ["first", "first", "first", "second", "second", "second"]);
});

eachKind("Barrier makes groups of those that come in a crowd, and leaves the rest waiting", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 8, task);
  yield* settle();
  assertEquals(outcomes(tasks).filter((outcome) => outcome !== "pending").sort(), [0, 0, 1, 1, 2, 2]);
  assertEquals(barrier.nWaiting, 2);
  const last = task(() => on(barrier.wait()));
  yield* ended(last, ...tasks);
  assertEquals(outcomes([last]), [2]);
});

eachKind("Barrier is draining until all of a group have gone, and who comes meanwhile waits", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 2, task);
  yield* settle();
  assertEquals(yield* on(barrier.wait()), 2);
  assertEquals([String(barrier), barrier.nWaiting], ["<Barrier draining, 2 of 3>", 0]);
  const late = createTask(barrier.wait());
  const later = createTask(barrier.wait());
  yield* ended(...tasks);
  assertEquals(outcomes(tasks), [0, 1]);
  yield* settle();
  assertEquals([outcomes([late, later]), barrier.nWaiting], [["pending", "pending"], 2]);
  yield* on(barrier.wait());
  yield* ended(late, later);
  assertEquals(outcomes([late, later]), [0, 1]);
});

eachKind("Barrier.wait() that is cancelled while others wait makes room for another", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 2, task);
  const never = task(() => on(barrier.wait()));
  never.cancel();
  yield* settle();
  assertEquals(barrier.nWaiting, 2);
  tasks[0]!.cancel();
  tasks[0]!.cancel();
  yield* settle();
  assertEquals(barrier.nWaiting, 1);
  const more = waiters(barrier, 2, task);
  yield* ended(...tasks, ...more);
  assertEquals(outcomes([never, ...tasks]), ["cancelled", "cancelled", 1]);
  // Places are counted, so those of one group differ unless one of it went: as in CPython.
  assertEquals(outcomes(more), [1, 2]);
  assertEquals(String(barrier), "<Barrier filling, 0 of 3>");
});

eachKind("Barrier.wait() that is cancelled while its group goes on leaves the others to go on", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 2, task);
  yield* settle();
  yield* on(barrier.wait());
  tasks[0]!.cancel();
  yield* ended(...tasks);
  assertEquals(outcomes(tasks), ["cancelled", 1]);
  assertEquals([String(barrier), barrier.broken], ["<Barrier filling, 0 of 3>", false]);
  const next = waiters(barrier, 3, task);
  yield* ended(...next);
  assertEquals(outcomes(next), [0, 1, 2]);
});

eachKind("Barrier.wait() that is cancelled while it waits for a group to go leaves no trace", function* ({ task }) {
  const barrier = new Barrier(2);
  const [first] = waiters(barrier, 1, task);
  yield* settle();
  yield* on(barrier.wait());
  assertEquals(String(barrier), "<Barrier draining, 1 of 2>");
  const late = createTask(barrier.wait(), { eagerStart: true });
  late.cancel();
  yield* ended(first!, late);
  assertEquals(outcomes([first!, late]), [0, "cancelled"]);
  assertEquals(String(barrier), "<Barrier filling, 0 of 2>");
});

eachKind("Barrier.wait() takes a time limit", function* () {
  const barrier = new Barrier(2);
  assertInstanceOf(yield* thrownBy(waitFor(barrier.wait(), 5)), TimeoutError);
  assertEquals(barrier.nWaiting, 0);
});

eachKind("Barrier.reset() of one where nobody waits does nothing", function* ({ task }) {
  const barrier = new Barrier(2);
  assertEquals(yield* on(barrier.reset()), undefined);
  const tasks = waiters(barrier, 2, task);
  yield* ended(...tasks);
  assertEquals(outcomes(tasks), [0, 1]);
});

eachKind("Barrier.reset() makes those that wait throw, and it can be used again", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 2, task);
  yield* settle();
  yield* on(barrier.reset());
  assertEquals([String(barrier), barrier.nWaiting, barrier.broken], ["<Barrier resetting, 2 of 3>", 0, false]);
  const late = createTask(barrier.wait(), { eagerStart: true });
  yield* ended(...tasks);
  const error = tasks[0]!.exception();
  assertInstanceOf(error, BrokenBarrierError);
  assertInstanceOf(error, RuntimeError);
  assertEquals(error.message, "Cannot go on waiting at <Barrier resetting, 2 of 3> as it was reset");
  assertEquals(outcomes(tasks), ["broken", "broken"]);
  yield* settle();
  assertEquals(barrier.nWaiting, 1);
  const more = waiters(barrier, 2, task);
  yield* ended(late, ...more);
  assertEquals(outcomes([late, ...more]), [0, 1, 2]);
});

// As in CPython 3.13: those of the group that have not gone on by then throw.
eachKind("Barrier.reset() while a group goes on makes the rest of it throw", function* ({ task }) {
  const barrier = new Barrier(4);
  const tasks = waiters(barrier, 3, task);
  yield* settle();
  const last = task(function* () {
    const place = yield* on(barrier.wait());
    yield* on(barrier.reset());
    return place;
  });
  yield* ended(last, ...tasks);
  assertEquals(outcomes([last, ...tasks]), [3, "broken", "broken", "broken"]);
  assertEquals(String(barrier), "<Barrier filling, 0 of 4>");
});

// CPython 3.13, test_reset_barrier_while_tasks_draining: those that are back already wait for the group to be gone.
eachKind("Barrier.reset() by the last of a group to go on harms nobody", function* ({ task }) {
  const barrier = new Barrier(3);
  let gone = 0;
  const tasks = Array.from({ length: 3 }, () =>
    task(function* () {
      yield* on(barrier.wait());
      if (++gone === 3) yield* on(barrier.reset());
      return yield* on(barrier.wait());
    }));
  yield* ended(...tasks);
  assertEquals(outcomes(tasks).sort(), [0, 1, 2]);
});

eachKind("Barrier.abort() makes those that wait throw, and those that come, until reset()", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 2, task);
  yield* settle();
  assertEquals(yield* on(barrier.abort()), undefined);
  assertEquals([barrier.broken, barrier.nWaiting], [true, 0]);
  yield* ended(...tasks);
  const error = tasks[0]!.exception();
  assertInstanceOf(error, BrokenBarrierError);
  assertEquals(error.message, "Cannot go on waiting at <Barrier broken, 2 of 3> as it was aborted");
  assertEquals(outcomes(tasks), ["broken", "broken"]);
  const late = yield* thrownBy(barrier.wait());
  assertInstanceOf(late, BrokenBarrierError);
  assertEquals(late.message, "Cannot wait at <Barrier broken, 0 of 3> as it was aborted: reset() it");
  yield* on(barrier.reset());
  assert(!barrier.broken);
  const more = waiters(barrier, 3, task);
  yield* ended(...more);
  assertEquals(outcomes(more), [0, 1, 2]);
});

eachKind("Barrier.abort() while a group goes on makes the rest of it throw, and those that wait for it", function* (
  { task },
) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 2, task);
  yield* settle();
  const last = task(function* () {
    const place = yield* on(barrier.wait());
    yield* on(barrier.abort());
    return place;
  });
  const late = waiters(barrier, 2, task);
  yield* ended(last, ...tasks, ...late);
  assertEquals(outcomes([last, ...tasks, ...late]), [2, "broken", "broken", "broken", "broken"]);
  assertEquals(String(barrier), "<Barrier broken, 0 of 3>");
});

eachKind("Barrier.reset() just after abort() makes it usable when those that waited have gone", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = waiters(barrier, 2, task);
  yield* settle();
  yield* on(barrier.abort());
  yield* on(barrier.reset());
  const more = waiters(barrier, 3, task);
  yield* ended(...tasks, ...more);
  assertEquals(outcomes([...tasks, ...more]), ["broken", "broken", 0, 1, 2]);
});

// CPython 3.13, test_abort_barrier_when_exception: one task fails and aborts.
eachKind("Barrier.abort() by a task that fails frees the others", function* ({ task }) {
  const barrier = new Barrier(3);
  const tasks = Array.from({ length: 3 }, (_, i) =>
    task(function* () {
      try {
        if (i === 1) throw new RangeError("fails");
        return yield* on(barrier.wait());
      } catch (error) {
        if (error instanceof RangeError) yield* on(barrier.abort());
        throw error;
      }
    }));
  yield* ended(...tasks);
  assertInstanceOf(tasks[1]!.exception(), RangeError);
  assertEquals(outcomes([tasks[0]!, tasks[2]!]), ["broken", "broken"]);
});

eachKind("Barrier.reset() and abort() that are cancelled before they begin do nothing", function* ({ task }) {
  const barrier = new Barrier(2);
  const [waiting] = waiters(barrier, 1, task);
  yield* settle();
  for (const method of ["reset", "abort"] as const) {
    const call = task(() => on(barrier[method]()));
    call.cancel();
    yield* ended(call);
  }
  yield* settle();
  assertEquals([String(barrier), waiting!.done()], ["<Barrier filling, 1 of 2>", false]);
  yield* on(barrier.wait());
  yield* ended(waiting!);
});

Deno.test("Barrier refuses what is no whole number of at least 1", () => {
  for (const parties of [0, -1, 1.5, NaN, Infinity, "2", undefined, null, 2n]) {
    assertThrows(
      () => new Barrier(parties as never),
      ValueError,
      `Cannot make a Barrier for ${Deno.inspect(parties)} tasks: pass a whole number of at least 1`,
    );
  }
});

eachKind(
  "Barrier shows its state and how many are there, in toString(), inspect and statistics()",
  function* ({ task }) {
    const barrier = new Barrier(2);
    const shows = (state: string, count: number, tasksWaiting: number): void => {
      const text = `<Barrier ${state}, ${count} of 2>`;
      assertEquals([String(barrier), Deno.inspect(barrier)], [text, text]);
      assertEquals(barrier.statistics(), { parties: 2, tasksWaiting, broken: state === "broken" });
      assertEquals([barrier.parties, barrier.nWaiting, barrier.broken], [2, tasksWaiting, state === "broken"]);
    };
    shows("filling", 0, 0);
    const [first] = waiters(barrier, 1, task);
    yield* settle();
    shows("filling", 1, 1);
    yield* on(barrier.wait());
    shows("draining", 1, 0);
    yield* ended(first!);
    shows("filling", 0, 0);
    const [second] = waiters(barrier, 1, task);
    yield* settle();
    yield* on(barrier.reset());
    shows("resetting", 1, 0);
    yield* ended(second!);
    shows("filling", 0, 0);
    second!.exception();
    yield* on(barrier.abort());
    shows("broken", 0, 0);
  },
);

for (const kind of KINDS) {
  Deno.test(`Barrier where somebody is missing is named by the DeadlockError (${kind})`, async () => {
    const barrier = new Barrier(2);
    using loop = virtualLoop();
    const main = loop.createTask(ofKind(kind, () => on(barrier.wait())), { name: "main" });
    const error = await assertRejects(() => loop.runUntilComplete(main), DeadlockError);
    assertEquals(error.blocked.map((task) => [task.name, task.waitsFor]), [
      ["main", "wait() of <Barrier filling, 1 of 2>"],
    ]);
    await loop.runUntilComplete(barrier.wait());
    assertEquals(await loop.runUntilComplete(main), 0);
  });

  Deno.test(`Barrier belongs to the loop in which somebody waited first (${kind})`, async () => {
    const barrier = new Barrier(2);
    using one = virtualLoop();
    using two = virtualLoop();
    await one.runUntilComplete(ofKind(kind, () => thrownBy(waitFor(barrier.wait(), 1))));
    const error = await two.runUntilComplete(ofKind(kind, () => thrownBy(barrier.wait())));
    assertInstanceOf(error, RuntimeError);
    assert(error.message.includes("bound to a different event loop"), error.message);
    assert(error.message.startsWith("Cannot wait for <Barrier "), error.message);
    assertEquals(barrier.nWaiting, 0);
  });
}

Deno.test("Barrier works at the top level", async () => {
  const barrier = new Barrier(3);
  assertEquals(await Promise.all([barrier.wait(), barrier.wait(), barrier.wait()]), [0, 1, 2]);
  const waiting = barrier.wait().then();
  const refused = assertRejects(() => waiting, BrokenBarrierError);
  await sleep(0);
  await barrier.abort();
  await refused;
  await barrier.reset();
  assertEquals(await gather([barrier.wait(), barrier.wait(), barrier.wait()]), [0, 1, 2]);
});
