import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { BoundedSemaphore, type Held, Semaphore, sleep, type Task, ValueError } from "../../lib/asyncio/mod.ts";
import { acquirableSuite } from "./_acquirable_suite.ts";
import { eachKind, ended, KINDS, on, settle, taskOf } from "./_kinds.ts";

for (const Class of [Semaphore, BoundedSemaphore]) {
  const { name } = Class;

  acquirableSuite({
    name,
    make: () => new Class(1),
    waiting: (semaphore) => (semaphore as Semaphore).statistics().tasksWaiting,
    shows: (locked, waiting) => `<${name} value=${locked ? 0 : 1}, ${waiting} waiting>`,
  });

  Deno.test(`${name} is for one by default`, () => {
    assertEquals(new Class().statistics(), { value: 1, tasksWaiting: 0 });
  });

  for (const value of [-1, 1.5, NaN, Infinity, -Infinity, "2", true, null, 2n, {}]) {
    Deno.test(`${name} refuses to be for ${Deno.inspect(value)}`, () => {
      assertThrows(
        () => new Class(value as never),
        ValueError,
        `Cannot make a ${name} of ${Deno.inspect(value)}: pass a whole number from 0 on`,
      );
    });
  }

  eachKind(`${name} lets in as many as its value, in the order of the calls`, function* () {
    const semaphore = new Class(3);
    const order: number[] = [];
    let inside = 0;
    let most = 0;
    const tasks = Array.from({ length: 10 }, (_, i) =>
      taskOf(KINDS[i % 2]!, function* () {
        using _held = yield* on(semaphore.acquire());
        order.push(i);
        most = Math.max(most, ++inside);
        yield* on(sleep(1 + i % 3));
        inside--;
      }));
    yield* ended(...tasks);
    assertEquals(order, Array.from({ length: 10 }, (_, i) => i));
    assertEquals(most, 3);
    assertEquals(semaphore.statistics(), { value: 3, tasksWaiting: 0 });
  });

  eachKind(`${name} shows its state and how many wait, in toString(), inspect and statistics()`, function* ({ task }) {
    const semaphore = new Class(2);
    const shows = (value: number, tasksWaiting: number, locked: boolean): void => {
      const text = `<${name} value=${value}, ${tasksWaiting} waiting>`;
      assertEquals([String(semaphore), Deno.inspect(semaphore)], [text, text]);
      assertEquals([semaphore.statistics(), semaphore.locked()], [{ value, tasksWaiting }, locked]);
    };
    shows(2, 0, false);
    const held = yield* on(semaphore.acquire());
    shows(1, 0, false);
    yield* on(semaphore.acquire());
    shows(0, 0, true);
    const tasks = [1, 2, 3].map(() => task(() => on(semaphore.acquire())));
    yield* settle();
    shows(0, 3, true);
    tasks[0]!.cancel();
    shows(0, 2, true);
    held.release();
    // Woken, and so counted: nobody else can have it.
    shows(0, 1, true);
    tasks[2]!.cancel();
    yield* ended(...tasks);
    shows(0, 0, true);
  });

  eachKind(`${name}.release() several times in a tick wakes several`, function* ({ task }) {
    const semaphore = new Class(3);
    for (let i = 0; i < 3; i++) yield* on(semaphore.acquire());
    const order: number[] = [];
    const tasks = Array.from({ length: 4 }, (_, i) =>
      task(function* () {
        yield* on(semaphore.acquire());
        order.push(i);
      }));
    yield* settle();
    semaphore.release();
    semaphore.release();
    yield* settle();
    assertEquals(order, [0, 1]);
    semaphore.release();
    yield* settle();
    assertEquals(order, [0, 1, 2]);
    tasks[3]!.cancel();
    yield* ended(...tasks);
  });

  eachKind(`${name}.locked() while somebody is queued, whatever the value`, function* ({ task }) {
    const semaphore = new Class(2);
    yield* on(semaphore.acquire());
    yield* on(semaphore.acquire());
    const waits = task(() => on(semaphore.acquire()));
    yield* settle();
    semaphore.release();
    semaphore.release();
    // One is taken for the woken one; the other is free, but who comes now comes behind it, as in CPython.
    assertEquals(semaphore.statistics(), { value: 1, tasksWaiting: 0 });
    assert(semaphore.locked());
    const late = taskOf("generator", () => on(semaphore.acquire()), { eagerStart: true });
    assertEquals(semaphore.statistics(), { value: 1, tasksWaiting: 1 });
    yield* ended(waits, late);
    assertInstanceOf(late.result(), Object);
    assertEquals(semaphore.statistics(), { value: 0, tasksWaiting: 0 });
  });

  // CPython 3.13, test_acquire_cancel_before_awoken.
  eachKind(`${name}.release() goes to those that are not cancelled`, function* ({ task }) {
    const semaphore = new Class(2);
    yield* on(semaphore.acquire());
    yield* on(semaphore.acquire());
    const tasks = [0, 1, 2, 3].map(() => task(() => on(semaphore.acquire())));
    yield* settle();
    tasks[0]!.cancel();
    tasks[1]!.cancel();
    semaphore.release();
    yield* settle();
    assertEquals(tasks.map((each) => each.done()), [true, true, true, false]);
    assert(!tasks[2]!.cancelled());
    tasks[3]!.cancel();
    yield* ended(...tasks);
  });

  // CPython 3.13, test_acquire_hang: the value must be back when who was woken is cancelled, with nobody behind.
  eachKind(`${name} has its value back when the only one that was woken is cancelled`, function* ({ task }) {
    const semaphore = new Class(1);
    const held = yield* on(semaphore.acquire());
    const cancelled = task(() => on(semaphore.acquire()));
    yield* settle();
    held.release();
    cancelled.cancel();
    yield* ended(cancelled);
    assertEquals(semaphore.statistics(), { value: 1, tasksWaiting: 0 });
    assert(!semaphore.locked());
  });

  // CPython 3.13, test_acquire_no_hang: a second one waits where the first is cancelled after it was woken.
  eachKind(`${name} lets the second go on when two were woken and the first is cancelled`, function* ({ task }) {
    const semaphore = new Class(2);
    yield* on(semaphore.acquire());
    yield* on(semaphore.acquire());
    const tasks = [0, 1, 2].map(() => task(() => on(semaphore.acquire())));
    yield* settle();
    semaphore.release();
    semaphore.release();
    tasks[0]!.cancel();
    yield* ended(...tasks);
    assertEquals(tasks.map((each) => each.cancelled()), [true, false, false]);
    assertEquals(semaphore.statistics(), { value: 0, tasksWaiting: 0 });
  });

  // CPython 3.13, test_acquire_fifo_order_3: newcomers behind a cancelled one that was woken.
  eachKind(`${name} keeps the order when newcomers come behind a woken one that is cancelled`, function* ({ task }) {
    const semaphore = new Class(1);
    const order: string[] = [];
    const enter = (label: string, time: number): Task<void> =>
      task(function* () {
        using _held = yield* on(semaphore.acquire());
        order.push(label);
        yield* on(sleep(time));
      });
    const held: Held = yield* on(semaphore.acquire());
    const a = enter("a", 1);
    const b = enter("b", 1);
    yield* settle();
    held.release();
    a.cancel();
    const c = enter("c", 1);
    const d = enter("d", 1);
    yield* ended(a, b, c, d);
    assertEquals(order, ["b", "c", "d"]);
    assertEquals(semaphore.statistics(), { value: 1, tasksWaiting: 0 });
  });

  eachKind(`${name} of 0 waits until it is released, or refuses that`, function* ({ task }) {
    const semaphore = new Class(0);
    assert(semaphore.locked());
    const waits = task(() => on(semaphore.acquire()));
    yield* settle();
    assert(!waits.done());
    if (Class === BoundedSemaphore) {
      assertThrows(() => semaphore.release(), ValueError, "more often");
      waits.cancel();
    } else semaphore.release();
    yield* ended(waits);
    assertEquals(waits.cancelled(), Class === BoundedSemaphore);
  });
}

Deno.test("Semaphore.release() raises the value above what it was made with", () => {
  const semaphore = new Semaphore(1);
  semaphore.release();
  semaphore.release();
  assertEquals(semaphore.statistics().value, 3);
});

eachKind("BoundedSemaphore.release() refuses to be called more often than acquire()", function* () {
  const semaphore = new BoundedSemaphore(2);
  const message = "Cannot release <BoundedSemaphore value=2, 0 waiting> more often than it was acquired";
  assertThrows(() => semaphore.release(), ValueError, message);
  const held = yield* on(semaphore.acquire());
  held.release();
  assertThrows(() => semaphore.release(), ValueError, message);
  assertEquals(semaphore.statistics(), { value: 2, tasksWaiting: 0 });
});

Deno.test("BoundedSemaphore is a Semaphore, and its error a RangeError", () => {
  assertInstanceOf(new BoundedSemaphore(), Semaphore);
  assertThrows(() => new BoundedSemaphore().release(), RangeError);
});
