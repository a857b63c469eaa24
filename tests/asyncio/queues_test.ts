import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  aiter,
  createTask,
  DeadlockError,
  LifoQueue,
  PriorityQueue,
  Queue,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  RuntimeError,
  sleep,
  type Task,
  TimeoutError,
  ValueError,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";
import { eachKind, ended, KINDS, ofKind, on, settle, type Steps, taskOf, thrownBy } from "./_kinds.ts";

/** All items that are in a queue. */
function drain<T>(queue: Queue<T>): T[] {
  return Array.from({ length: queue.qsize() }, () => queue.getNowait());
}

function filled<T>(queue: Queue<T>, items: Iterable<T>): Queue<T> {
  for (const item of items) queue.putNowait(item);
  return queue;
}

/** Gets items until the queue is shut down and empty. */
function* consume<T>(queue: Queue<T>, got: T[]): Steps<void> {
  try {
    for (;;) got.push(yield* on(queue.get()));
  } catch (error) {
    if (!(error instanceof QueueShutDown)) throw error;
  }
}

for (const Class of [Queue, PriorityQueue, LifoQueue]) {
  const { name } = Class;
  const make = (maxsize?: number): Queue<number> => new Class<number>(maxsize);

  Deno.test(`${name} is empty and without limit by default`, () => {
    const queue = make();
    assertEquals([queue.maxsize, queue.qsize(), queue.empty(), queue.full()], [0, 0, true, false]);
    filled(queue, Array(100).keys());
    assertEquals([queue.qsize(), queue.empty(), queue.full()], [100, false, false]);
  });

  Deno.test(`${name} is full with maxsize items; a fraction counts as a whole one, 0 and less as no limit`, () => {
    for (const [maxsize, fits] of [[1, 1], [2, 2], [1.3, 2], [0.5, 1]] as const) {
      const queue = make(maxsize);
      assertEquals(queue.maxsize, maxsize);
      for (let i = 0; i < fits; i++) {
        assertEquals(queue.full(), false);
        queue.putNowait(i);
      }
      assert(queue.full());
      assertThrows(
        () => queue.putNowait(9),
        QueueFull,
        `Cannot put an item into <${name} ${fits} of ${maxsize} items> as it is full: wait for room with put()`,
      );
      assertEquals([queue.qsize(), queue.statistics().unfinished], [fits, fits]);
    }
    for (const maxsize of [0, -1, -0.5, -Infinity, Infinity]) assert(!filled(make(maxsize), Array(50).keys()).full());
  });

  for (const maxsize of [NaN, "2", null, true, 2n, {}]) {
    Deno.test(`${name} refuses to be for ${Deno.inspect(maxsize)} items`, () => {
      assertThrows(
        () => new Class(maxsize as never),
        Number.isNaN(maxsize) ? ValueError : TypeError,
        `Cannot make a ${name} for ${Deno.inspect(maxsize)} items: pass a number, 0 for no limit`,
      );
    });
  }

  Deno.test(`${name}.getNowait() refuses an empty queue`, () => {
    const queue = make(2);
    const message = `Cannot get an item of <${name} 0 of 2 items> as it is empty: wait for one with get()`;
    assertThrows(() => queue.getNowait(), QueueEmpty, message);
    queue.putNowait(1);
    assertEquals(queue.getNowait(), 1);
    assertThrows(() => queue.getNowait(), QueueEmpty, message);
  });

  eachKind(`${name}.put() and get() let nobody else run when they need not wait`, function* ({ loop }) {
    const queue = make(1);
    let ran = false;
    loop.callSoon(() => ran = true);
    assertEquals(yield* on(queue.put(7)), undefined);
    assertEquals(yield* on(queue.get()), 7);
    assertEquals(ran, false);
  });

  eachKind(`${name}.get() waits for an item, put() for room`, function* ({ task }) {
    const queue = make(1);
    const getting = task(() => on(queue.get()));
    yield* settle();
    assert(!getting.done());
    yield* on(queue.put(1));
    assertEquals(yield* on(getting), 1);
    yield* on(queue.put(2));
    const putting = task(() => on(queue.put(3)));
    yield* settle();
    assert(!putting.done());
    assertEquals(queue.qsize(), 1);
    assertEquals(yield* on(queue.get()), 2);
    yield* on(putting);
    assertEquals(yield* on(queue.get()), 3);
  });

  eachKind(`${name} serves getters and putters of both kinds in the order in which they came`, function* () {
    const queue = make(1);
    const order: number[] = [];
    const getters = Array.from({ length: 6 }, (_, i) =>
      taskOf(KINDS[i % 2]!, function* () {
        yield* on(queue.get());
        order.push(i);
      }));
    yield* settle();
    for (let i = 0; i < 6; i++) {
      yield* on(queue.put(i));
      yield* settle();
    }
    yield* ended(...getters);
    assertEquals(order, [0, 1, 2, 3, 4, 5]);
    queue.putNowait(99);
    const putters = Array.from({ length: 6 }, (_, i) => taskOf(KINDS[i % 2]!, () => on(queue.put(i))));
    yield* settle();
    const got: number[] = [];
    for (let i = 0; i < 7; i++) {
      got.push(queue.getNowait());
      yield* settle();
    }
    yield* ended(...putters);
    assertEquals(got, [99, 0, 1, 2, 3, 4, 5]);
  });

  eachKind(`${name}.getNowait() and putNowait() serve those that wait`, function* ({ task }) {
    const queue = make(2);
    const getters = [task(() => on(queue.get())), task(() => on(queue.get()))];
    yield* settle();
    filled(queue, [1, 2]);
    yield* ended(...getters);
    assertEquals(getters.map((each) => each.result()).sort(), [1, 2]);
    filled(queue, [3, 4]);
    const putters = [task(() => on(queue.put(5))), task(() => on(queue.put(6)))];
    yield* settle();
    drain(queue);
    yield* ended(...putters);
    assertEquals(drain(queue).sort(), [5, 6]);
  });

  // As documented, and in CPython: one that does not have to wait may be faster than one that was woken.
  eachKind(`${name}.get() that was woken waits on when the item is gone`, function* ({ task }) {
    const queue = make();
    const getting = task(() => on(queue.get()));
    yield* settle();
    queue.putNowait(1);
    assertEquals(queue.getNowait(), 1);
    yield* settle();
    assertEquals([getting.done(), queue.statistics().gettersWaiting], [false, 1]);
    queue.putNowait(2);
    assertEquals(yield* on(getting), 2);
  });

  eachKind(`${name}.put() that was woken waits on when the room is gone`, function* ({ task }) {
    const queue = filled(make(1), [1]);
    const putting = task(() => on(queue.put(3)));
    yield* settle();
    assertEquals(queue.getNowait(), 1);
    queue.putNowait(2);
    yield* settle();
    assertEquals([putting.done(), queue.statistics().puttersWaiting], [false, 1]);
    assertEquals(queue.getNowait(), 2);
    yield* on(putting);
    assertEquals(queue.getNowait(), 3);
  });

  eachKind(`${name}.get() that is cancelled before it begins, or while it waits, takes nothing`, function* ({ task }) {
    const queue = make();
    const never = task(() => on(queue.get()));
    never.cancel();
    const waiting = task(() => on(queue.get()));
    const other = task(() => on(queue.get()));
    yield* settle();
    assertEquals(queue.statistics().gettersWaiting, 2);
    waiting.cancel();
    waiting.cancel();
    queue.putNowait(1);
    yield* ended(never, waiting, other);
    assert(never.cancelled() && waiting.cancelled());
    assertEquals(other.result(), 1);
    assertEquals(queue.statistics().gettersWaiting, 0);
  });

  for (const times of [1, 2]) {
    eachKind(`${name}.get() that is cancelled ${times} times when its item has come leaves it to the next`, function* (
      { task },
    ) {
      const queue = make();
      const first = task(() => on(queue.get()));
      const second = task(() => on(queue.get()));
      yield* settle();
      queue.putNowait(1);
      for (let i = 0; i < times; i++) first.cancel();
      yield* ended(first, second);
      assert(first.cancelled());
      assertEquals(second.result(), 1);
    });

    eachKind(`${name}.put() that is cancelled ${times} times when it has room leaves it to the next`, function* (
      { task },
    ) {
      const queue = filled(make(1), [0]);
      const first = task(() => on(queue.put(1)));
      const second = task(() => on(queue.put(2)));
      yield* settle();
      queue.getNowait();
      for (let i = 0; i < times; i++) first.cancel();
      yield* ended(first, second);
      assert(first.cancelled() && !second.cancelled());
      assertEquals(drain(queue), [2]);
    });
  }

  eachKind(`${name}.get() that is cancelled when its item has come, with nobody behind, leaves it there`, function* (
    { task },
  ) {
    const queue = make();
    const getting = task(() => on(queue.get()));
    yield* settle();
    queue.putNowait(1);
    getting.cancel();
    yield* ended(getting);
    assert(getting.cancelled());
    assertEquals(drain(queue), [1]);
  });

  eachKind(`${name}.put() that is cancelled before it begins, or while it waits, puts nothing`, function* ({ task }) {
    const queue = filled(make(1), [0]);
    const never = task(() => on(queue.put(1)));
    never.cancel();
    const waiting = task(() => on(queue.put(2)));
    const other = task(() => on(queue.put(3)));
    yield* settle();
    assertEquals(queue.statistics().puttersWaiting, 2);
    waiting.cancel();
    waiting.cancel();
    queue.getNowait();
    yield* ended(never, waiting, other);
    assert(never.cancelled() && waiting.cancelled() && !other.cancelled());
    assertEquals(drain(queue), [3]);
    assertEquals(queue.statistics(), { size: 0, unfinished: 2, gettersWaiting: 0, puttersWaiting: 0 });
  });

  eachKind(`${name}.get() and put() take a time limit, and nothing is lost when it coincides`, function* ({ task }) {
    const queue = make(1);
    assertInstanceOf(yield* thrownBy(waitFor(queue.get(), 5)), TimeoutError);
    const limited = task(() => on(waitFor(queue.get(), 5)));
    const putting = task(function* () {
      yield* on(sleep(5));
      yield* on(queue.put(1));
    });
    yield* ended(limited, putting);
    assertEquals(queue.qsize(), limited.exception() === null ? 0 : 1);
    drain(queue);
    yield* on(queue.put(2));
    assertInstanceOf(yield* thrownBy(waitFor(queue.put(3), 5)), TimeoutError);
    assertEquals(drain(queue), [2]);
  });

  eachKind(`${name}.join() waits until taskDone() was called for each item`, function* ({ task }) {
    const queue = make();
    yield* on(queue.join());
    filled(queue, [1, 2, 3]);
    const joins = [task(() => on(queue.join())), task(() => on(queue.join()))];
    for (let i = 0; i < 3; i++) {
      yield* settle();
      assert(!joins[0]!.done() && !joins[1]!.done());
      yield* on(queue.get());
      yield* settle();
      assert(!joins[0]!.done());
      queue.taskDone();
    }
    yield* ended(...joins);
    assertEquals(joins.map((each) => each.result()), [undefined, undefined]);
    queue.putNowait(4);
    const again = task(() => on(queue.join()));
    yield* settle();
    assert(!again.done());
    again.cancel();
    yield* ended(again);
    assert(again.cancelled());
  });

  eachKind(`${name}.join() goes on also when an item is put in the tick in which all is done`, function* ({ task }) {
    const queue = filled(make(), [1]);
    const join = task(() => on(queue.join()));
    yield* settle();
    queue.getNowait();
    queue.taskDone();
    queue.putNowait(2);
    yield* ended(join);
    join.result();
  });

  Deno.test(`${name}.taskDone() refuses to be called more often than items were put`, () => {
    const queue = make();
    const message = `Cannot be done with an item of <${name} 0 items>: taskDone() was called for each that was put`;
    assertThrows(() => queue.taskDone(), ValueError, message);
    queue.putNowait(1);
    queue.getNowait();
    queue.taskDone();
    assertThrows(() => queue.taskDone(), ValueError, message);
    assertEquals(queue.statistics().unfinished, 0);
  });

  eachKind(`${name}.shutdown() refuses puts at once, and gets when the queue is empty`, function* () {
    const queue = filled(make(5), [1, 2]);
    queue.shutdown();
    const refused = `Cannot use <${name} 2 of 5 items, shut down>: it was shut down`;
    assertThrows(() => queue.putNowait(3), QueueShutDown, refused);
    assertInstanceOf(yield* thrownBy(queue.put(3)), QueueShutDown);
    assertEquals([queue.qsize(), queue.statistics().unfinished], [2, 2]);
    assertEquals([yield* on(queue.get()), queue.getNowait()].sort(), [1, 2]);
    assertThrows(() => queue.getNowait(), QueueShutDown, `<${name} 0 of 5 items, shut down>`);
    assertInstanceOf(yield* thrownBy(queue.get()), QueueShutDown);
    queue.shutdown();
    queue.taskDone();
    queue.taskDone();
    yield* on(queue.join());
    assertThrows(() => queue.taskDone(), ValueError);
  });

  eachKind(`${name}.shutdown() of a full queue refuses puts, not as full`, function* () {
    const queue = filled(make(1), [1]);
    queue.shutdown();
    assertThrows(() => queue.putNowait(2), QueueShutDown);
    assertInstanceOf(yield* thrownBy(queue.put(2)), QueueShutDown);
  });

  for (const immediate of [false, true]) {
    eachKind(`${name}.shutdown({ immediate: ${immediate} }) frees those that wait to get`, function* ({ task }) {
      const queue = make();
      const getters = [1, 2, 3].map(() => task(() => on(queue.get())));
      yield* settle();
      queue.putNowait(1);
      queue.shutdown({ immediate });
      yield* ended(...getters);
      const errors = getters.map((each) => each.exception());
      assertEquals(errors.filter((error) => error instanceof QueueShutDown).length, immediate ? 3 : 2);
      assertEquals(errors[0] === null, !immediate);
      assertEquals(queue.statistics(), {
        size: 0,
        unfinished: immediate ? 0 : 1,
        gettersWaiting: 0,
        puttersWaiting: 0,
      });
    });

    eachKind(`${name}.shutdown({ immediate: ${immediate} }) frees those that wait to put`, function* ({ task }) {
      const queue = filled(make(1), [0]);
      const putters = [1, 2].map((item) => task(() => on(queue.put(item))));
      yield* settle();
      queue.shutdown({ immediate });
      yield* ended(...putters);
      for (const each of putters) assertInstanceOf(each.exception(), QueueShutDown);
      assertEquals(drain(queue), immediate ? [] : [0]);
    });

    eachKind(
      `${name}.shutdown({ immediate: ${immediate} }) in the tick in which a putter got room`,
      function* ({ task }) {
        const queue = filled(make(1), [0]);
        const putting = task(() => on(queue.put(1)));
        yield* settle();
        queue.getNowait();
        queue.shutdown({ immediate });
        assertInstanceOf(yield* thrownBy(putting), QueueShutDown);
        assertEquals([queue.qsize(), queue.statistics().unfinished], [0, 1]);
      },
    );

    eachKind(`${name}.shutdown({ immediate: ${immediate} }) in the tick in which a getter is cancelled`, function* (
      { task },
    ) {
      const queue = make();
      const getters = [1, 2].map(() => task(() => on(queue.get())));
      yield* settle();
      getters[0]!.cancel();
      queue.shutdown({ immediate });
      yield* ended(...getters);
      assert(getters[0]!.cancelled());
      assertInstanceOf(getters[1]!.exception(), QueueShutDown);
    });

    eachKind(`${name}.shutdown({ immediate: ${immediate} }) lets join() wait for what was taken`, function* ({ task }) {
      const queue = filled(make(), [1, 2, 3]);
      const join = task(() => on(queue.join()));
      queue.getNowait();
      yield* settle();
      queue.shutdown({ immediate });
      yield* settle();
      assertEquals([join.done(), queue.statistics().unfinished], [false, immediate ? 1 : 3]);
      while (queue.statistics().unfinished > 0) queue.taskDone();
      yield* ended(join);
      join.result();
    });
  }

  eachKind(
    `${name}.shutdown({ immediate: true }) frees join() when nothing was taken, also after a first one`,
    function* (
      { task },
    ) {
      const queue = filled(make(), [1, 2]);
      const join = task(() => on(queue.join()));
      yield* settle();
      queue.shutdown();
      yield* settle();
      assert(!join.done());
      queue.shutdown({ immediate: true });
      yield* ended(join);
      join.result();
      assertEquals(queue.statistics(), { size: 0, unfinished: 0, gettersWaiting: 0, puttersWaiting: 0 });
    },
  );

  loopTest(`${name} as an async iterable gives what is left at shutdown, and ends`, async () => {
    const queue = filled(make(), [1, 2]);
    queue.shutdown();
    const got: number[] = [];
    for await (const item of queue) got.push(item);
    assertEquals(got.sort(), [1, 2]);
    for await (const _ of queue) throw new Error("there is nothing left");
  });

  loopTest(`${name} as an async iterable waits for items, and ends when it is shut down meanwhile`, async () => {
    const queue = make(1);
    const got: number[] = [];
    const consumer = createTask(async () => {
      for await (const item of queue) {
        got.push(item);
        queue.taskDone();
      }
      return "ended";
    });
    for (let i = 0; i < 5; i++) await queue.put(i);
    await queue.join();
    assertEquals(got, [0, 1, 2, 3, 4]);
    assert(!consumer.done());
    queue.shutdown();
    assertEquals(await consumer, "ended");
  });

  loopTest(`${name} as an async iterable loses no item by break, return and throw`, async () => {
    const queue = filled(make(), [5, 5, 5, 5]);
    for await (const _ of queue) break;
    assertEquals(queue.qsize(), 3);
    await (async () => {
      for await (const _ of queue) return;
    })();
    assertEquals(queue.qsize(), 2);
    const error = new RangeError("in the loop");
    const thrown = await assertRejects(async () => {
      for await (const _ of queue) throw error;
    });
    assertStrictEquals(thrown, error);
    assertEquals(queue.qsize(), 1);
    for await (const _ of queue) {
      queue.shutdown();
    }
    assertEquals(queue.qsize(), 0);
  });

  for (const when of ["while it waits", "in the tick in which an item comes"]) {
    loopTest(`${name} as an async iterable loses no item when the task is cancelled ${when}`, async () => {
      const queue = make();
      const got: number[] = [];
      const consumer = createTask(async () => {
        for await (const item of queue) got.push(item);
      });
      queue.putNowait(1);
      await sleep(1);
      if (when !== "while it waits") queue.putNowait(2);
      consumer.cancel();
      await assertRejects(async () => await consumer);
      assert(consumer.cancelled());
      queue.putNowait(3);
      assertEquals([got, drain(queue).sort()], [[1], when === "while it waits" ? [3] : [2, 3]]);
      assertEquals(queue.statistics().gettersWaiting, 0);
    });
  }

  loopTest(`${name} as an async iterable throws other errors than that of the end`, async () => {
    const queue = make();
    const consumer = createTask(async () => {
      for await (const _ of queue);
    });
    await sleep(1);
    consumer.cancel("stop");
    const error = await assertRejects(async () => await consumer, Error, "stop");
    assertEquals(error.name, "CancelledError");
  });

  eachKind(`${name} shows what is in it, in toString(), inspect and statistics()`, function* ({ task }) {
    for (const maxsize of [0, 2]) {
      const queue = make(maxsize);
      const of = maxsize > 0 ? " of 2" : "";
      const shows = (size: number, tail: string, unfinished: number, gettersWaiting = 0, puttersWaiting = 0): void => {
        const text = `<${name} ${size}${of} items${tail}>`;
        assertEquals([String(queue), Deno.inspect(queue)], [text, text]);
        assertEquals(queue.statistics(), { size, unfinished, gettersWaiting, puttersWaiting });
      };
      shows(0, "", 0);
      const getting = task(() => on(queue.get()));
      yield* settle();
      shows(0, "", 0, 1);
      filled(queue, [1, 2]);
      shows(2, "", 2);
      yield* ended(getting);
      shows(1, "", 2);
      queue.putNowait(3);
      if (maxsize > 0) {
        const putting = task(() => on(queue.put(4)));
        yield* settle();
        shows(2, "", 3, 0, 1);
        putting.cancel();
        yield* ended(putting);
      }
      queue.shutdown();
      shows(2, ", shut down", 3);
    }
  });

  for (const kind of KINDS) {
    Deno.test(`${name} that nobody will fill is named by the DeadlockError (${kind})`, async () => {
      const queue = make(1);
      using loop = virtualLoop();
      const getting = loop.createTask(ofKind(kind, () => on(queue.get())), { name: "getting" });
      const error = await assertRejects(() => loop.runUntilComplete(getting), DeadlockError);
      assertEquals(error.blocked.map((task) => [task.name, task.waitsFor]), [
        ["getting", `get() of <${name} 0 of 1 items>`],
      ]);
      filled(queue, [1]);
      assertEquals(await loop.runUntilComplete(getting), 1);
      filled(queue, [2]);
      const putting = loop.createTask(ofKind(kind, () => on(queue.put(3))), { name: "putting" });
      const full = await assertRejects(() => loop.runUntilComplete(putting), DeadlockError);
      assertEquals(full.blocked.map((task) => task.waitsFor), [`put() of <${name} 1 of 1 items>`]);
      drain(queue);
      await loop.runUntilComplete(putting);
    });

    Deno.test(`${name}.join() that nobody will end is named by the DeadlockError (${kind})`, async () => {
      const queue = filled(make(), [1]);
      using loop = virtualLoop();
      const joining = loop.createTask(ofKind(kind, () => on(queue.join())), { name: "joining" });
      const error = await assertRejects(() => loop.runUntilComplete(joining), DeadlockError);
      assertEquals(error.blocked.map((task) => task.waitsFor), [`join() of <${name} 1 items>`]);
      queue.taskDone();
      await loop.runUntilComplete(joining);
    });

    Deno.test(`${name} belongs to the loop in which somebody waited first (${kind})`, async () => {
      const queue = make(1);
      using one = virtualLoop();
      using two = virtualLoop();
      const both = function* () {
        yield* on(queue.put(1));
        yield* on(queue.get());
      };
      for (const loop of [one, two, one]) await loop.runUntilComplete(ofKind(kind, both));
      await one.runUntilComplete(ofKind(kind, () => thrownBy(waitFor(queue.get(), 1))));
      const message = "as it is bound to a different event loop: make one for each loop";
      const refused = await two.runUntilComplete(ofKind(kind, () => thrownBy(queue.get())));
      assertInstanceOf(refused, RuntimeError);
      assertEquals(refused.message, `Cannot wait for <${name} 0 of 1 items> ${message}`);
      filled(queue, [1]);
      const put = await two.runUntilComplete(ofKind(kind, () => thrownBy(queue.put(2))));
      assertInstanceOf(put, RuntimeError);
      assertEquals(put.message, `Cannot wait for <${name} 1 of 1 items> ${message}`);
      assertEquals(queue.statistics(), { size: 1, unfinished: 4, gettersWaiting: 0, puttersWaiting: 0 });
    });
  }

  Deno.test(`${name} works at the top level`, async () => {
    const queue = make(1);
    const producer = (async () => {
      for (let i = 0; i < 3; i++) await queue.put(i);
      await queue.join();
      queue.shutdown();
    })();
    assertEquals(await queue.get(), 0);
    queue.taskDone();
    const got: number[] = [];
    for await (const item of queue) {
      got.push(item);
      queue.taskDone();
    }
    await producer;
    assertEquals(got, [1, 2]);
  });

  eachKind(`${name} gives consumers of both kinds every item once`, function* () {
    const queue = make(2);
    const got: number[] = [];
    const consumers = Array.from({ length: 4 }, (_, i) => taskOf(KINDS[i % 2]!, () => consume(queue, got)));
    for (let i = 0; i < 100; i++) yield* on(queue.put(i));
    queue.shutdown();
    yield* ended(...consumers);
    assertEquals(got.toSorted((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i));
  });
}

Deno.test("QueueEmpty, QueueFull and QueueShutDown are errors with their names", () => {
  for (const Class of [QueueEmpty, QueueFull, QueueShutDown]) {
    const error = new Class("what was tried");
    assertInstanceOf(error, Error);
    assertEquals(String(error), `${Class.name}: what was tried`);
    assertEquals(new Class().message, "");
  }
});

Deno.test("Queue gives items in the order in which they were put, undefined as well", () => {
  const queue = filled(new Queue<unknown>(), [3, undefined, "a", null, NaN, 1]);
  assertEquals(drain(queue), [3, undefined, "a", null, NaN, 1]);
});

loopTest("Queue as an async iterable gives undefined as an item", async () => {
  const queue = filled(new Queue<undefined>(), [undefined, undefined]);
  queue.shutdown();
  let count = 0;
  for await (const item of queue) {
    assertEquals(item, undefined);
    count++;
  }
  assertEquals(count, 2);
});

loopTest("Queue as an async iterable may be read by several loops at once, each item by one", async () => {
  const queue = new Queue<number>(1);
  const got: number[] = [];
  const consumers = [1, 2, 3].map(() =>
    createTask(async () => {
      for await (const item of queue) got.push(item);
    })
  );
  for (let i = 0; i < 10; i++) await queue.put(i);
  queue.shutdown();
  for (const each of consumers) await each;
  assertEquals(got, Array.from({ length: 10 }, (_, i) => i));
});

Deno.test("LifoQueue gives the item first that was put last", () => {
  const queue = filled(new LifoQueue<number>(), [1, 3, 2]);
  assertEquals(queue.getNowait(), 2);
  queue.putNowait(4);
  assertEquals(drain(queue), [4, 3, 1]);
});

const ORDERS: readonly [name: string, sorted: readonly unknown[]][] = [
  ["numbers by value", [-Infinity, -1.5, -1, 0, 1, 2, 10, Infinity]],
  ["bigints and numbers by value", [-3n, -1, 0n, 1.5, 2n, 10, 11n]],
  ["strings by their characters", ["", "A", "B", "a", "aa", "b", "é"]],
  // As in Python, where strings are ordered by code points.
  ["strings by code points", ["z", "\uFFFD", "\u{1F600}"]],
  ["booleans as numbers", [false, true, 2]],
  ["dates by their time", [new Date(0), new Date(1), new Date(2_000_000)]],
  ["arrays element by element", [[0, 9], [1], [1, 0], [1, 0, 0], [1, 2], [2], [10, 0]]],
  ["nested arrays", [[[1, 2], "a"], [[1, 2], "b"], [[1, 3], "a"], [[2], "a"]]],
  ["arrays that begin with strings", [["a", 2], ["b", 1], ["b", 2]]],
  ["objects by their valueOf()", [1, 2, 3].map((n) => ({ valueOf: () => n }))],
];

for (const [what, sorted] of ORDERS) {
  Deno.test(`PriorityQueue orders ${what}`, () => {
    for (const items of [sorted, sorted.toReversed(), sorted.toSorted((a, b) => (String(a) < String(b) ? 1 : -1))]) {
      assertEquals(drain(filled(new PriorityQueue<unknown>(), items)), [...sorted]);
    }
  });
}

Deno.test("PriorityQueue gives equal items in the order in which they were put", () => {
  const equal: [number, object][] = Array.from({ length: 50 }, (_, i) => [i % 3, { i }]);
  const queue = filled(new PriorityQueue<[number, object]>(), equal);
  const expected = [0, 1, 2].flatMap((rest) => equal.filter(([n]) => n === rest));
  for (const [i, item] of drain(queue).entries()) assertStrictEquals(item, expected[i]);
  const compared = filled(new PriorityQueue<string>(0, { compare: () => 0 }), ["c", "a", "b"]);
  assertEquals(drain(compared), ["c", "a", "b"]);
  assertEquals(drain(filled(new PriorityQueue<unknown>(), [1n, 1, true])), [1n, 1, true]);
  assertEquals(drain(filled(new PriorityQueue<number>(), [0, -0])), [0, -0]);
});

Deno.test("PriorityQueue gives equal items in their order also when it is emptied in between", () => {
  const queue = new PriorityQueue<[number, string]>();
  const got: string[] = [];
  filled(queue, [[1, "a"], [1, "b"], [0, "first"]]);
  got.push(queue.getNowait()[1], queue.getNowait()[1]);
  filled(queue, [[1, "c"], [0, "second"]]);
  got.push(...drain(queue).map((item) => item[1]));
  assertEquals(got, ["first", "a", "second", "b", "c"]);
});

// "[priority, job] is ordered by its priority, whatever the job is".
for (
  const jobs of [
    [{}, { a: 1 }, () => {}],
    [null, 1, undefined],
    ["text", 7, "more"],
    [[], "text", 3],
    [[1, {}], "text", [1, 2]],
    [NaN, 1, 0.5],
  ] as unknown[][]
) {
  Deno.test(`PriorityQueue orders [priority, job] by priority, with jobs ${Deno.inspect(jobs)}`, () => {
    const queue = new PriorityQueue<[number, unknown]>();
    for (const priority of [2, 0, 1]) for (const job of jobs) queue.putNowait([priority, job]);
    assertEquals(drain(queue).map(([priority]) => priority), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
  });
}

Deno.test("PriorityQueue takes no item that would make a later getNowait() throw", () => {
  const queue = new PriorityQueue<[number, unknown]>();
  for (const item of [[0, 1], [1, "a"], [1, 2]] as [number, unknown][]) {
    try {
      queue.putNowait(item);
    } catch (error) {
      assertInstanceOf(error, TypeError);
    }
  }
  assertEquals(drain(queue).map(([priority]) => priority).at(0), 0);
});

for (const item of [undefined, null, NaN, {}, () => {}, Symbol("s"), [], [NaN, 1], [null], [{}], new Date(NaN)]) {
  eachKind(`PriorityQueue refuses ${Deno.inspect(item)}, which has no order, at once`, function* ({ task }) {
    const queue = new PriorityQueue<unknown>(1);
    assertThrows(() => queue.putNowait(item), TypeError, `Cannot order ${Deno.inspect(item, { depth: 1 })}`);
    const putting = task(function* () {
      yield* on(queue.put(item));
    });
    assertInstanceOf(yield* thrownBy(putting), TypeError);
    assertEquals(queue.statistics(), { size: 0, unfinished: 0, gettersWaiting: 0, puttersWaiting: 0 });
  });
}

eachKind(
  "PriorityQueue.put() refuses an item without order at once, also when there is no room for it",
  function* ({ task }) {
    const queue = filled(new PriorityQueue<unknown>(1), [1]);
    const putting = task(function* () {
      yield* on(waitFor(queue.put({}), 5));
    });
    assertInstanceOf(yield* thrownBy(putting), TypeError);
    assertEquals(drain(queue), [1]);
  },
);

Deno.test("PriorityQueue refuses an item of another kind than those in it", () => {
  for (const [first, second] of [[1, "1"], ["a", 1n], [[1], 1], [[1], ["a"]], [new Date(0), "a"]]) {
    const queue = filled(new PriorityQueue<unknown>(), [first]);
    const error = assertThrows(() => queue.putNowait(second), TypeError, "Cannot order ");
    assert(error.message.includes("items of one kind"), error.message);
    assertEquals(queue.statistics().unfinished, 1);
    assertEquals(drain(queue), [first]);
  }
});

Deno.test("PriorityQueue with compare takes any item and orders as it says", () => {
  const queue = new PriorityQueue<{ rank: number } | null>(0, { compare: (a, b) => (b?.rank ?? 0) - (a?.rank ?? 0) });
  filled(queue, [{ rank: 1 }, null, { rank: 3 }, { rank: 2 }]);
  assertEquals(drain(queue), [{ rank: 3 }, { rank: 2 }, { rank: 1 }, null]);
  assertEquals(drain(filled(new PriorityQueue<number>(0, { compare: undefined }), [2, 1])), [1, 2]);
});

Deno.test("PriorityQueue refuses a compare that is no function, and the bad maxsize before items are put", () => {
  for (const compare of [null, 1, "size", {}]) {
    assertThrows(
      () => new PriorityQueue(0, { compare: compare as never }),
      TypeError,
      `Cannot compare items with ${Deno.inspect(compare)}: pass a function`,
    );
  }
});

for (
  const [what, answer] of [["NaN", NaN], ["undefined", undefined], ["true", true], ["a bigint", 1n], ["text", "1"]]
) {
  Deno.test(`PriorityQueue whose compare returns ${what} refuses the item and stays as it was`, () => {
    let nonsense = false;
    const queue = new PriorityQueue<number>(0, { compare: (a, b) => nonsense ? answer as number : a - b });
    filled(queue, [3, 1, 2]);
    nonsense = true;
    assertThrows(() => queue.putNowait(0), TypeError, `Cannot order items by ${Deno.inspect(answer)}`);
    assertThrows(() => queue.getNowait(), TypeError, "compare(a, b) has to return a number");
    assertEquals(queue.statistics(), { size: 3, unfinished: 3, gettersWaiting: 0, puttersWaiting: 0 });
    nonsense = false;
    assertEquals(drain(queue), [1, 2, 3]);
  });
}

Deno.test("PriorityQueue whose compare throws, at any call, loses no item and stays in order", () => {
  const error = new RangeError("cannot tell");
  for (let failAt = 1; failAt <= 60; failAt++) {
    let calls = 0;
    const compare = (a: number, b: number): number => {
      if (++calls === failAt) throw error;
      return a - b;
    };
    const queue = new PriorityQueue<number>(0, { compare });
    const put: number[] = [];
    for (const item of [5, 3, 8, 1, 9, 2, 7, 4, 6, 0]) {
      try {
        queue.putNowait(item);
        put.push(item);
      } catch (thrown) {
        assertStrictEquals(thrown, error);
      }
    }
    assertEquals(queue.statistics().unfinished, put.length);
    const got: number[] = [];
    while (!queue.empty()) {
      try {
        got.push(queue.getNowait());
      } catch (thrown) {
        assertStrictEquals(thrown, error);
      }
    }
    assertEquals(got, put.toSorted(), `compare failed at call ${failAt}`);
  }
});

eachKind("PriorityQueue.put() that is refused when it has room leaves the room to the next", function* ({ task }) {
  const queue = filled(new PriorityQueue<unknown>(2), [1, 2]);
  const bad = task(() => on(queue.put("text")));
  const good = task(() => on(queue.put(3)));
  yield* settle();
  queue.getNowait();
  assertInstanceOf(yield* thrownBy(bad), TypeError);
  yield* settle();
  assertEquals([good.done(), drain(queue)], [true, [2, 3]]);
});

eachKind("PriorityQueue.get() whose compare throws leaves the item to the next", function* ({ task }) {
  let fails = false;
  const error = new RangeError("cannot tell");
  const queue = new PriorityQueue<number>(0, {
    compare: (a, b) => {
      if (fails) throw error;
      return a - b;
    },
  });
  const getters = Array.from({ length: 4 }, () =>
    task(function* () {
      try {
        return yield* on(queue.get());
      } finally {
        fails = false;
      }
    }));
  yield* settle();
  filled(queue, [1, 2, 3]);
  fails = true;
  yield* settle();
  assertStrictEquals(getters[0]!.exception(), error);
  assertEquals(getters.slice(1).map((each) => each.done() && each.result()), [1, 2, 3]);
  for (const each of getters) each.cancel();
  yield* ended(...getters);
});

eachKind("PriorityQueue.shutdown({ immediate: true }) drops items that compare cannot order", function* ({ task }) {
  let fails = false;
  const queue = new PriorityQueue<number>(5, {
    compare: (a, b) => {
      if (fails) throw new RangeError("cannot tell");
      return a - b;
    },
  });
  filled(queue, [1, 2, 3, 4, 5]);
  const putting: Task<void> = task(() => on(queue.put(6)));
  const joining: Task<void> = task(() => on(queue.join()));
  yield* settle();
  fails = true;
  queue.shutdown({ immediate: true });
  yield* settle();
  assert(putting.done() && joining.done());
  assertInstanceOf(putting.exception(), QueueShutDown);
  assertEquals(queue.statistics(), { size: 0, unfinished: 0, gettersWaiting: 0, puttersWaiting: 0 });
});

loopTest("aiter() over a Queue goes on after a wait that was cancelled", function* () {
  const queue = new Queue<number>();
  const got: number[] = [];
  using items = aiter(queue);
  try {
    yield* waitFor(items.more(), 1);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
  }
  for (const item of [1, 2, 3]) queue.putNowait(item);
  queue.shutdown();
  while (yield* items.more()) got.push(items.value);
  assertEquals(got, [1, 2, 3]);
});

for (const how of ["close()", "using"]) {
  loopTest(`aiter() over a Queue that ends by ${how} ends the wait for an item, and takes none`, function* () {
    const queue = new Queue<number>();
    const other = createTask(queue.get());
    const items = aiter(queue);
    const reader = createTask(items.more());
    yield* sleep(1);
    if (how === "using") { using _items = items; }
    else yield* items.close();
    assertEquals(yield* reader, false);
    queue.putNowait(1);
    queue.putNowait(2);
    assertEquals([yield* other, queue.qsize()], [1, 1]);
  });
}

loopTest("aiter() over a Queue that is closed when its item has come leaves that to the next", function* () {
  const queue = new Queue<number>();
  const items = aiter(queue);
  const reader = createTask(items.more());
  const other = createTask(queue.get());
  yield* sleep(1);
  queue.putNowait(1);
  yield* items.close();
  assertEquals([yield* reader, yield* other], [false, 1]);
});
