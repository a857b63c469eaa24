/**
 * What holds for everything that one task at a time can hold: a lock, a condition, a semaphore of one.
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import {
  CancelledError,
  type Coroutine,
  createTask,
  DeadlockError,
  Held,
  RuntimeError,
  sleep,
  type Task,
  TimeoutError,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";
import { eachKind, ended, type Kind, KINDS, ofKind, on, settle, taskOf, thrownBy } from "./_kinds.ts";

/** What can be acquired. */
export interface Acquirable {
  acquire(): Coroutine<Held>;
  release(): void;
  locked(): boolean;
}

/** What the suite has to know of a class. */
export interface AcquirableSuite {
  /** The class. */
  readonly name: string;
  /** Makes one that one task at a time can hold. */
  make(): Acquirable;
  /** How many wait. */
  waiting(source: Acquirable): number;
  /** What messages call that which is acquired. */
  shows(locked: boolean, waiting: number): string;
}

export function acquirableSuite({ name, make, waiting, shows }: AcquirableSuite): void {
  const acquire = `${name}.acquire()`;

  eachKind(`${acquire} gives what releases it, once`, function* () {
    const source = make();
    const held = yield* on(source.acquire());
    assertInstanceOf(held, Held);
    assert(source.locked());
    held.release();
    assert(!source.locked());
    const next = yield* on(source.acquire());
    held.release();
    held[Symbol.dispose]();
    assert(source.locked(), "a second release took it from the next holder");
    next.release();
    assert(!source.locked());
  });

  eachKind(`${acquire} lets nobody else run when it is free`, function* ({ loop }) {
    const source = make();
    let ran = false;
    loop.callSoon(() => ran = true);
    yield* on(source.acquire());
    assertEquals(ran, false);
    source.release();
  });

  eachKind(`${acquire} with using releases it at the end of the block, also when the block throws`, function* () {
    const source = make();
    {
      using _held = yield* on(source.acquire());
      assert(source.locked());
    }
    assert(!source.locked());
    const error = new RangeError("in the block");
    try {
      using _held = yield* on(source.acquire());
      throw error;
    } catch (thrown) {
      assertStrictEquals(thrown, error);
    }
    assert(!source.locked());
  });

  eachKind(`${acquire} with using releases it when the task is cancelled in the block`, function* ({ task }) {
    const source = make();
    const holder = task(function* () {
      using _held = yield* on(source.acquire());
      yield* on(sleep(100));
    });
    const next = task(() => on(source.acquire()));
    yield* settle();
    holder.cancel();
    yield* ended(holder, next);
    assert(holder.cancelled());
    assertInstanceOf(next.result(), Held);
  });

  eachKind(`${acquire} with using lets go of it at an early release()`, function* () {
    const source = make();
    {
      using held = yield* on(source.acquire());
      held.release();
      assert(!source.locked());
      yield* on(source.acquire());
    }
    assert(source.locked());
  });

  for (const kinds of [["generator"], ["native"], ["generator", "native"]] as Kind[][]) {
    eachKind(`${acquire} serves in the order of the calls, ${kinds.join(" and ")}`, function* () {
      const source = make();
      const order: number[] = [];
      const tasks = Array.from({ length: 6 }, (_, i) =>
        taskOf(kinds[i % kinds.length]!, function* () {
          using _held = yield* on(source.acquire());
          order.push(i);
          yield* on(sleep(1));
        }));
      yield* ended(...tasks);
      assertEquals(order, [0, 1, 2, 3, 4, 5]);
      assert(!source.locked());
    });
  }

  eachKind(`${acquire} is not overtaken when it is released and asked for in one tick`, function* ({ task }) {
    const source = make();
    const order: string[] = [];
    const held = yield* on(source.acquire());
    const first = task(function* () {
      using _held = yield* on(source.acquire());
      order.push("first");
    });
    yield* settle();
    held.release();
    {
      using _again = yield* on(source.acquire());
      order.push("again");
    }
    yield* ended(first);
    assertEquals(order, ["first", "again"]);
  });

  eachKind(`${acquire} of a task that is cancelled before it begins takes nothing`, function* ({ task }) {
    const source = make();
    const never = task(() => on(source.acquire()));
    never.cancel();
    yield* ended(never);
    assert(never.cancelled());
    assert(!source.locked());
  });

  eachKind(`${acquire} of a task that is cancelled while it runs waits for nothing`, function* ({ task }) {
    const source = make();
    const free = make();
    yield* on(source.acquire());
    let got = false;
    const running: Task<void> = task(function* () {
      running.cancel();
      // What need not be waited for is given in spite of the cancellation, as in CPython.
      yield* on(free.acquire());
      got = true;
      yield* on(source.acquire());
    });
    yield* ended(running);
    assert(got && running.cancelled());
    assertEquals(waiting(source), 0);
    source.release();
    assert(!source.locked());
  });

  eachKind(`${acquire} that is cancelled while it waits leaves the others in their order`, function* ({ task }) {
    const source = make();
    const held = yield* on(source.acquire());
    const order: number[] = [];
    const tasks = Array.from({ length: 5 }, (_, i) =>
      task(function* () {
        using _held = yield* on(source.acquire());
        order.push(i);
      }));
    yield* settle();
    assertEquals(waiting(source), 5);
    for (const i of [0, 2, 4]) {
      tasks[i]!.cancel();
      tasks[i]!.cancel();
    }
    yield* ended(tasks[0]!, tasks[2]!, tasks[4]!);
    assertEquals(waiting(source), 2);
    held.release();
    yield* ended(...tasks);
    assertEquals(order, [1, 3]);
    assertEquals(tasks.map((each) => each.cancelled()), [true, false, true, false, true]);
    assert(!source.locked());
  });

  for (const times of [1, 2]) {
    eachKind(`${acquire} that is cancelled ${times} times when its turn has come leaves it to the next`, function* (
      { task },
    ) {
      const source = make();
      const held = yield* on(source.acquire());
      const first = task(() => on(source.acquire()));
      const second = task(() => on(source.acquire()));
      yield* settle();
      held.release();
      for (let i = 0; i < times; i++) assert(first.cancel());
      yield* ended(first, second);
      assert(first.cancelled());
      assertInstanceOf(second.result(), Held);
      assert(source.locked());
    });
  }

  eachKind(`${acquire} that is cancelled just before the release leaves it to the next`, function* ({ task }) {
    const source = make();
    const held = yield* on(source.acquire());
    const first = task(() => on(source.acquire()));
    const second = task(() => on(source.acquire()));
    yield* settle();
    first.cancel();
    held.release();
    yield* ended(first, second);
    assert(first.cancelled());
    assertInstanceOf(second.result(), Held);
  });

  // test_cancel_race and test_finished_waiter_cancelled of CPython: one is woken and cancelled, one comes meanwhile.
  eachKind(`${acquire} that comes while a woken one is being cancelled is served in its turn`, function* ({ task }) {
    const source = make();
    const order: string[] = [];
    const enter = (label: string): Task<void> =>
      task(function* () {
        using _held = yield* on(source.acquire());
        order.push(label);
        yield* on(sleep(1));
      });
    const held = yield* on(source.acquire());
    const first = enter("first");
    const second = enter("second");
    yield* settle();
    held.release();
    first.cancel();
    const late = enter("late");
    yield* ended(first, second, late);
    assertEquals(order, ["second", "late"]);
    assert(!source.locked());
  });

  eachKind(`${acquire} does not wait behind those that have all been cancelled`, function* ({ task, loop }) {
    const source = make();
    const held = yield* on(source.acquire());
    const waiters = [task(() => on(source.acquire())), task(() => on(source.acquire()))];
    yield* settle();
    for (const each of waiters) each.cancel();
    held.release();
    let ran = false;
    loop.callSoon(() => ran = true);
    yield* on(source.acquire());
    assertEquals(ran, false);
    yield* ended(...waiters);
    assert(source.locked());
  });

  eachKind(`${acquire} after a time limit is as if it had not waited`, function* ({ task }) {
    const source = make();
    const held = yield* on(source.acquire());
    assertInstanceOf(yield* thrownBy(waitFor(source.acquire(), 5)), TimeoutError);
    assertEquals(waiting(source), 0);
    const next = task(() => on(source.acquire()));
    yield* settle();
    held.release();
    yield* ended(next);
    assertInstanceOf(next.result(), Held);
  });

  eachKind(`${acquire} gets nothing or all of it when the time limit and the release coincide`, function* ({ task }) {
    for (const [limit, release] of [[5, 5], [5, 4], [4, 5]] as const) {
      const source = make();
      const held = yield* on(source.acquire());
      const limited = task(() => on(waitFor(source.acquire(), limit)));
      const releasing = task(function* () {
        yield* on(sleep(release));
        held.release();
      });
      yield* ended(limited, releasing);
      const failed = limited.exception() !== null;
      assertEquals(source.locked(), !failed);
      if (!failed) limited.result().release();
      assert(!source.locked());
    }
  });

  loopTest(`${acquire} in an eager task takes it at once, or waits`, function* () {
    const source = make();
    const first = createTask(source.acquire(), { eagerStart: true });
    assert(first.done() && source.locked());
    const second = createTask(source.acquire(), { eagerStart: true });
    assertEquals(waiting(source), 1);
    first.result().release();
    assertInstanceOf(yield* second, Held);
  });

  for (const kind of KINDS) {
    Deno.test(`${acquire} belongs to the loop in which somebody waited first (${kind})`, async () => {
      const source = make();
      using one = virtualLoop();
      using two = virtualLoop();
      // Without waiting, any loop will do.
      for (const loop of [one, two, one]) {
        await loop.runUntilComplete(ofKind(kind, function* () {
          using _held = yield* on(source.acquire());
        }));
      }
      await one.runUntilComplete(ofKind(kind, function* () {
        yield* on(source.acquire());
        yield* thrownBy(waitFor(source.acquire(), 1));
      }));
      const error = await two.runUntilComplete(ofKind(kind, () => thrownBy(source.acquire())));
      assertInstanceOf(error, RuntimeError);
      assertEquals(
        error.message,
        `Cannot wait for ${shows(true, 0)} as it is bound to a different event loop: make one for each loop`,
      );
      assertEquals(waiting(source), 0);
      source.release();
      await two.runUntilComplete(ofKind(kind, () => on(source.acquire())));
    });
  }

  Deno.test(`${acquire} works at the top level`, async () => {
    const source = make();
    const order: string[] = [];
    const waits = async (): Promise<void> => {
      using _held = await source.acquire();
      order.push("second");
    };
    let second: Promise<void>;
    {
      using _held = await source.acquire();
      second = waits();
      await sleep(0);
      order.push("first");
    }
    await second;
    assertEquals(order, ["first", "second"]);
    assert(!source.locked());
  });

  for (const kind of KINDS) {
    Deno.test(`${acquire} that nobody will release is named by the DeadlockError (${kind})`, async () => {
      const source = make();
      using loop = virtualLoop();
      const main = loop.createTask(
        ofKind(kind, function* () {
          yield* on(source.acquire());
          yield* on(source.acquire());
        }),
        { name: "main" },
      );
      const error = await assertRejects(() => loop.runUntilComplete(main), DeadlockError);
      assertEquals(error.blocked.map(({ name, waitsFor }) => [name, waitsFor]), [
        ["main", `acquire() of ${shows(true, 1)}`],
      ]);
      source.release();
      await loop.runUntilComplete(main);
    });
  }

  Deno.test(`${acquire} by two awaits of one native task are two waiters`, async () => {
    using loop = virtualLoop();
    const source = make();
    const steps: string[] = [];
    await loop.runUntilComplete(async () => {
      const enter = async (label: string): Promise<void> => {
        using _held = await source.acquire();
        steps.push(`${label} in`);
        await sleep(1);
        steps.push(`${label} out`);
      };
      const held = await source.acquire();
      const task = loop.createTask(async () => void await Promise.all([enter("a"), enter("b")]));
      await sleep(1);
      assertEquals(waiting(source), 2);
      held.release();
      await task;
      const again = await source.acquire();
      const cancelled = loop.createTask(async () => void await Promise.all([enter("c"), enter("d")]));
      await sleep(1);
      cancelled.cancel();
      await assertRejects(async () => await cancelled, CancelledError);
      assertEquals(waiting(source), 0);
      again.release();
    });
    assertEquals(steps, ["a in", "a out", "b in", "b out"]);
    assert(!source.locked());
  });

  Deno.test(`${acquire} whose iterator is closed or thrown at while it waits leaves the queue`, async () => {
    using loop = virtualLoop();
    await loop.runUntilComplete(function* () {
      const source = make();
      yield* source.acquire();
      const begin = (): Iterator<unknown> => {
        const iterator = source.acquire()[Symbol.iterator]();
        assertEquals(iterator.next().done, false);
        return iterator;
      };
      const error = new RangeError("thrown in");
      let caught: unknown;
      const closed = begin();
      const thrown = begin();
      assertEquals(waiting(source), 2);
      closed.return?.();
      try {
        thrown.throw?.(error);
      } catch (thrown) {
        caught = thrown;
      }
      assertStrictEquals(caught, error);
      assertEquals(waiting(source), 0);
      const next = loop.createTask(source.acquire());
      yield* sleep(1);
      source.release();
      yield* next;
    });
  });
}
