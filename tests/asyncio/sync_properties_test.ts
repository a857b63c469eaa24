/**
 * Properties of what tasks wait for, on random schedules: generators and native code mixed, with cancellations at any
 * moment, on a virtual clock. A wake-up that is lost ends a schedule with a DeadlockError.
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  Condition,
  createTask,
  Event,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  QueueShutDown,
  Semaphore,
  sleep,
  type Task,
} from "../../lib/asyncio/mod.ts";
import { virtualLoop } from "./_helpers.ts";
import { ended, type Kind, KINDS, ofKind, on, type Steps, taskOf } from "./_kinds.ts";

const RUNS = { numRuns: 1000, seed: 7 };

const kind = fc.constantFrom(...KINDS);

/** Steps between the milliseconds are turns of the loop, so that things happen in one tick, just before and just after. */
const pause = fc.record({ time: fc.nat(4), turns: fc.nat(2) });
type Pause = { time: number; turns: number };

function* rest({ time, turns }: Pause): Steps<void> {
  if (time > 0) yield* on(sleep(time));
  for (let i = 0; i < turns; i++) yield* on(sleep(0));
}

/** A test of a property of schedules; `run` is the body of a task on a loop of its own. */
function property<T>(name: string, schedule: fc.Arbitrary<T>, run: (schedule: T) => Steps<void>): void {
  Deno.test(name, () =>
    fc.assert(
      fc.asyncProperty(schedule, async (schedule) => {
        using loop = virtualLoop();
        await loop.runUntilComplete(ofKind("generator", () => run(schedule)));
      }),
      RUNS,
    ));
}

/** Calls `check` in the middle of each millisecond, when all has come to rest, until all tasks have ended. */
function* watching(tasks: Task<unknown>[], check: () => void): Steps<void> {
  yield* on(sleep(0.5));
  for (let time = 0; tasks.some((task) => !task.done()); time++) {
    assert(time < 500, "somebody waits for ever");
    check();
    yield* on(sleep(1));
  }
  check();
}

/** Cancels tasks at moments of their own. */
function cancelling(cancels: readonly { at: Pause; whom: number }[], tasks: Task<unknown>[]): Task<void>[] {
  return cancels.map(({ at, whom }) =>
    taskOf("generator", function* () {
      yield* rest(at);
      tasks[whom % tasks.length]?.cancel();
    })
  );
}

/** Throws on what a task failed with. */
function results(tasks: Task<unknown>[]): void {
  for (const task of tasks) if (!task.cancelled()) task.result();
}

const cancels = fc.array(
  fc.record({ at: fc.record({ time: fc.nat(12), turns: fc.nat(3) }), whom: fc.nat(20) }),
  { maxLength: 6 },
);

interface Visit {
  kind: Kind;
  before: Pause;
  hold: Pause;
  /** Whom it cancels in the tick in which it releases, before or after that. */
  victim: number | null;
  victimFirst: boolean;
  early: boolean;
}

const visit: fc.Arbitrary<Visit> = fc.record({
  kind,
  before: pause,
  hold: pause,
  victim: fc.option(fc.nat(20), { nil: null }),
  victimFirst: fc.boolean(),
  early: fc.boolean(),
});

for (
  const [name, make, sizes] of [
    ["Lock", () => new Lock(), [1]],
    ["Semaphore", (n: number) => new Semaphore(n), [1, 2, 3]],
    ["BoundedSemaphore", (n: number) => new BoundedSemaphore(n), [1, 2, 3]],
  ] as [string, (n: number) => Lock | Semaphore, number[]][]
) {
  property(
    `${name} has no more holders than it may, serves in order, and lets nobody wait for nothing`,
    fc.record({ size: fc.constantFrom(...sizes), visits: fc.array(visit, { minLength: 2, maxLength: 9 }), cancels }),
    function* ({ size, visits, cancels }) {
      const source = make(size);
      const asked: number[] = [];
      const entered: number[] = [];
      let inside = 0;
      const tasks: Task<void>[] = visits.map(({ kind, before, hold, victim, victimFirst, early }, i) =>
        taskOf(kind, function* () {
          yield* rest(before);
          asked.push(i);
          using held = yield* on(source.acquire());
          entered.push(i);
          inside++;
          assert(inside <= size, `${inside} hold it at once`);
          try {
            yield* rest(hold);
          } finally {
            const cancel = (): void => {
              // Not itself: that would be a cancellation of what comes after the block.
              if (victim !== null && victim % visits.length !== i) tasks[victim % visits.length]!.cancel();
            };
            if (victimFirst) cancel();
            inside--;
            if (early) held.release();
            if (!victimFirst) cancel();
          }
        })
      );
      const others = cancelling(cancels, tasks);
      yield* watching(tasks, () => {
        if (source.statistics().tasksWaiting > 0) assertEquals(inside, size, "somebody waits for what is free");
      });
      yield* ended(...others);
      results(tasks);
      const got = new Set(entered);
      assertEquals(entered, asked.filter((i) => got.has(i)));
      // What was not cancelled got it.
      assertEquals(tasks.filter((task, i) => !task.cancelled() && !got.has(i)).length, 0);
      assertEquals(inside, 0);
      assert(!source.locked());
      assertEquals(
        source.statistics(),
        name === "Lock" ? { locked: false, tasksWaiting: 0 } : { value: size, tasksWaiting: 0 },
      );
    },
  );
}

interface Worker {
  kind: Kind;
  before: Pause;
  steps: Pause[];
  victim: number | null;
}

const worker: fc.Arbitrary<Worker> = fc.record({
  kind,
  before: pause,
  steps: fc.array(pause, { minLength: 1, maxLength: 4 }),
  victim: fc.option(fc.nat(20), { nil: null }),
});

for (
  const [name, make, next] of [
    ["Queue", (n: number) => new Queue<number>(n), (items: number[]) => items[0]],
    ["PriorityQueue", (n: number) => new PriorityQueue<number>(n), (items: number[]) => Math.min(...items)],
    ["LifoQueue", (n: number) => new LifoQueue<number>(n), (items: number[]) => items.at(-1)],
  ] as [string, (n: number) => Queue<number>, (items: number[]) => number | undefined][]
) {
  property(
    `${name} loses and doubles no item, keeps its order and its size, and lets nobody wait for nothing`,
    fc.record({
      maxsize: fc.constantFrom(0, 1, 2, 3),
      producers: fc.array(worker, { minLength: 1, maxLength: 4 }),
      consumers: fc.array(worker, { minLength: 1, maxLength: 4 }),
      joiners: fc.array(fc.record({ kind, before: pause }), { maxLength: 2 }),
      cancels,
      shutdown: fc.record({ at: fc.record({ time: fc.nat(20), turns: fc.nat(3) }), immediate: fc.boolean() }),
      iterates: fc.boolean(),
    }),
    function* ({ maxsize, producers, consumers, joiners, cancels, shutdown, iterates }) {
      const queue = make(maxsize);
      /** What has to be in the queue. */
      const inside: number[] = [];
      const seen = new Set<number>();
      let unfinished = 0;
      let timesFinished = 0;
      let serial = 0;
      let isShutDown = false;
      let joinersWaiting = 0;
      const tasks: Task<unknown>[] = [];
      const finish = (count: number): void => {
        unfinished -= count;
        if (count > 0 && unfinished === 0) timesFinished++;
      };
      const cancel = (victim: number | null, self: Task<unknown>): void => {
        const task = victim === null ? undefined : tasks[victim % tasks.length];
        if (task !== self) task?.cancel();
      };
      const took = (item: number): void => {
        assertEquals(item, next(inside));
        inside.splice(inside.indexOf(item), 1);
        assert(!seen.has(item), "an item was given twice");
        seen.add(item);
      };

      for (const { kind, before, steps, victim } of producers) {
        const task: Task<void> = taskOf(kind, function* () {
          yield* rest(before);
          for (const step of steps) {
            // So that priorities differ from the order in which items are put.
            const item = (++serial * 7) % 101;
            try {
              yield* on(queue.put(item));
            } catch (error) {
              if (!(error instanceof QueueShutDown)) throw error;
              assert(isShutDown);
              return;
            }
            inside.push(item);
            unfinished++;
            assert(maxsize === 0 || inside.length <= maxsize, "more items than it takes");
            assertEquals(queue.qsize(), inside.length);
            cancel(victim, task);
            yield* rest(step);
          }
        });
        tasks.push(task);
      }
      for (const { kind, before, steps, victim } of consumers) {
        const task: Task<void> = iterates && kind === "native"
          ? iterating(before, steps, victim)
          : taskOf(kind, function* () {
            yield* rest(before);
            for (let i = 0;; i++) {
              let item: number;
              try {
                item = yield* on(queue.get());
              } catch (error) {
                if (!(error instanceof QueueShutDown)) throw error;
                assert(isShutDown && inside.length === 0);
                return;
              }
              took(item);
              try {
                cancel(victim, task);
                yield* rest(steps[i % steps.length]!);
              } finally {
                finish(1);
                queue.taskDone();
              }
            }
          });
        tasks.push(task);
      }
      function iterating(before: Pause, steps: Pause[], victim: number | null): Task<void> {
        const native = async (pause: Pause): Promise<void> => {
          if (pause.time > 0) await sleep(pause.time);
          for (let i = 0; i < pause.turns; i++) await sleep(0);
        };
        const task: Task<void> = createTask(async () => {
          await native(before);
          let i = 0;
          for await (const item of queue) {
            took(item);
            try {
              cancel(victim, task);
              await native(steps[i++ % steps.length]!);
            } finally {
              finish(1);
              queue.taskDone();
            }
          }
          assert(isShutDown && inside.length === 0);
        });
        return task;
      }
      const joining = joiners.map(({ kind, before }) =>
        taskOf(kind, function* () {
          yield* rest(before);
          const [wasFinished, times] = [unfinished === 0, timesFinished];
          joinersWaiting++;
          yield* on(queue.join());
          joinersWaiting--;
          assert(wasFinished || timesFinished > times, "join() returned while there was work");
        })
      );
      const others = cancelling(cancels, tasks);
      others.push(taskOf("generator", function* () {
        yield* rest(shutdown.at);
        const { immediate } = shutdown;
        isShutDown = true;
        queue.shutdown({ immediate });
        if (immediate) finish(inside.splice(0).length);
        assertEquals(queue.qsize(), inside.length);
      }));

      yield* watching([...tasks, ...others], () => {
        const { size, unfinished: open, gettersWaiting, puttersWaiting } = queue.statistics();
        assertEquals([size, open], [inside.length, unfinished]);
        if (gettersWaiting > 0) assert(size === 0 && !isShutDown, "a getter waits although there are items");
        if (puttersWaiting > 0) assert(size === maxsize && !isShutDown, "a putter waits although there is room");
        if (joinersWaiting > 0) assert(unfinished > 0, "join() waits although all is done");
      });
      results(tasks);
      results(others);
      // What nobody took is still there, in its order.
      while (inside.length > 0) {
        took(queue.getNowait());
        finish(1);
        queue.taskDone();
      }
      assert(queue.empty());
      yield* ended(...joining);
      results(joining);
      assertEquals(queue.statistics(), { size: 0, unfinished: 0, gettersWaiting: 0, puttersWaiting: 0 });
    },
  );
}

const STEP = fc.oneof(
  fc.record({ do: fc.constant("wait" as const), kind }),
  fc.record({ do: fc.constant("wait" as const), kind }),
  fc.record({ do: fc.constant("set" as const), clear: fc.boolean(), cancels: fc.array(fc.nat(9), { maxLength: 2 }) }),
  fc.record({ do: fc.constant("clear" as const) }),
  fc.record({ do: fc.constant("cancel" as const), whom: fc.nat(9) }),
);

property(
  "Event.set() wakes all that wait and nobody else, whoever is cancelled",
  fc.array(fc.record({ step: STEP, settles: fc.boolean() }), { minLength: 3, maxLength: 20 }),
  function* (steps) {
    const event = new Event();
    /** Who waits, and who has to have gone on when all has come to rest. */
    let waiting: Task<unknown>[] = [];
    let due: Task<unknown>[] = [];
    let isSet = false;
    const begun = new Set<Task<unknown>>();
    for (const { step, settles } of steps) {
      if (step.do === "wait") {
        const task: Task<true> = taskOf(step.kind, function* () {
          begun.add(task);
          return yield* on(event.wait());
        });
        waiting.push(task);
        // Those that have not begun are not there yet when it is set and cleared.
        yield* on(sleep(0));
        if (isSet) due.push(...waiting.splice(0));
      } else if (step.do === "cancel") {
        const all = [...waiting, ...due];
        if (all.length > 0) all[step.whom % all.length]!.cancel();
      } else if (step.do === "clear") {
        event.clear();
        isSet = false;
      } else {
        for (const whom of step.cancels) waiting[whom % Math.max(1, waiting.length)]?.cancel();
        event.set();
        if (step.clear) event.clear();
        isSet = !step.clear;
        due.push(...waiting.splice(0));
      }
      if (!settles) continue;
      yield* on(sleep(1));
      for (const task of due) assert(task.done(), "somebody was not woken");
      results(due);
      due = [];
      waiting = waiting.filter((task) => !task.done() || !task.cancelled());
      for (const task of waiting) assert(!task.done(), "somebody was woken too early");
      assertEquals(event.statistics(), { set: isSet, tasksWaiting: waiting.length });
    }
    event.set();
    yield* ended(...waiting, ...due);
    results([...waiting, ...due]);
  },
);

const ROUND = fc.record({
  arrivals: fc.array(kind, { maxLength: 4 }),
  notify: fc.oneof(fc.nat(4), fc.constant(Infinity)),
  /** Who is cancelled before the notification, after it in the same tick, and while the lock is taken again. */
  before: fc.array(fc.nat(9), { maxLength: 2 }),
  after: fc.array(fc.nat(9), { maxLength: 2 }),
  later: fc.array(fc.nat(9), { maxLength: 2 }),
});

property(
  "Condition.notify(n) wakes min(n, waiting) in order, and a notification of who is cancelled goes to another",
  fc.array(ROUND, { minLength: 1, maxLength: 6 }),
  function* (rounds) {
    const condition = new Condition();
    let waiting: Task<number>[] = [];
    let serial = 0;
    for (const round of rounds) {
      for (const kind of round.arrivals) {
        const number = serial++;
        waiting.push(taskOf(kind, function* () {
          using _held = yield* on(condition.acquire());
          try {
            assertEquals(yield* on(condition.wait()), true);
          } finally {
            assert(condition.locked(), "wait() ended without the lock");
          }
          return number;
        }));
      }
      yield* on(sleep(1));
      assertEquals(condition.statistics(), { tasksWaiting: waiting.length, lock: { locked: false, tasksWaiting: 0 } });
      const cancelled = new Set<Task<number>>();
      const cancel = (whom: number): void => {
        const task = waiting[whom % Math.max(1, waiting.length)];
        task?.cancel();
        if (task !== undefined) cancelled.add(task);
      };
      {
        using _held = yield* on(condition.acquire());
        round.before.forEach(cancel);
        condition.notify(round.notify);
        round.after.forEach(cancel);
        yield* on(sleep(1));
        round.later.forEach(cancel);
        yield* on(sleep(1));
        assert(waiting.every((task) => !task.done()), "somebody went on without the lock");
      }
      yield* on(sleep(1));
      const live = waiting.filter((task) => !cancelled.has(task));
      const woken = live.filter((task) => task.done());
      for (const task of cancelled) assert(task.done() && task.cancelled());
      results(woken);
      // Who is cancelled wakes another in any case, as in CPython: a waiter asks again what it waits for.
      const least = Math.min(round.notify, live.length);
      const most = Math.min(round.notify + cancelled.size, live.length);
      assert(woken.length >= least && woken.length <= most, `${woken.length} woken, not ${least} to ${most}`);
      assertEquals(woken, live.slice(0, woken.length), "not in the order in which they came");
      waiting = live.slice(woken.length);
    }
    {
      using _held = yield* on(condition.acquire());
      condition.notifyAll();
    }
    yield* ended(...waiting);
    results(waiting);
    assertEquals(condition.statistics(), { tasksWaiting: 0, lock: { locked: false, tasksWaiting: 0 } });
  },
);

property(
  "Barrier makes groups of the places from 0 on, and lets nobody wait while there is a full group",
  fc.record({
    parties: fc.integer({ min: 1, max: 4 }),
    arrivals: fc.array(fc.record({ kind, before: pause, rounds: fc.integer({ min: 1, max: 3 }) }), { maxLength: 9 }),
  }),
  function* ({ parties, arrivals }) {
    const barrier = new Barrier(parties);
    const places: number[] = [];
    const tasks = arrivals.map(({ kind, before, rounds }) =>
      taskOf(kind, function* () {
        for (let round = 0; round < rounds; round++) {
          yield* rest(before);
          places.push(yield* on(barrier.wait()));
        }
      })
    );
    for (let time = 0; time < 20; time++) {
      yield* on(sleep(time === 0 ? 0.5 : 1));
      assert(barrier.nWaiting < parties, "a full group waits");
      assertEquals(places.length % parties, 0, "a part of a group went on");
    }
    for (let i = 0; i < places.length; i += parties) {
      assertEquals(places.slice(i, i + parties).sort(), Array.from({ length: parties }, (_, place) => place));
    }
    for (const task of tasks) task.cancel();
    yield* ended(...tasks);
    results(tasks);
    assertEquals(String(barrier), `<Barrier filling, 0 of ${parties}>`);
  },
);

property(
  "Barrier with cancellations, reset() and abort() is as new when all have gone, and lets nobody wait for nothing",
  fc.record({
    parties: fc.integer({ min: 1, max: 4 }),
    arrivals: fc.array(fc.record({ kind, before: pause }), { minLength: 1, maxLength: 9 }),
    cancels,
    breaks: fc.array(fc.record({ at: pause, abort: fc.boolean() }), { maxLength: 3 }),
  }),
  function* ({ parties, arrivals, cancels, breaks }) {
    const barrier = new Barrier(parties);
    const tasks = arrivals.map(({ kind, before }) =>
      taskOf(kind, function* () {
        yield* rest(before);
        const place = yield* on(barrier.wait());
        assert(place >= 0 && place < parties);
      })
    );
    const others = cancelling(cancels, tasks);
    for (const { at, abort } of breaks) {
      others.push(taskOf("generator", function* () {
        yield* rest(at);
        yield* on(abort ? barrier.abort() : barrier.reset());
      }));
    }
    for (let time = 0; time < 20; time++) {
      yield* on(sleep(time === 0 ? 0.5 : 1));
      assert(barrier.nWaiting < parties, "a full group waits");
      if (barrier.broken) assert(tasks.every((task) => task.done() || time < 5), "somebody waits at a broken barrier");
      const text = String(barrier);
      assert(!text.includes("draining") && !text.includes("resetting"), text);
      const pending = tasks.filter((task) => !task.done()).length;
      if (time > 5) assertEquals(pending, barrier.nWaiting, "somebody waits who is not counted");
    }
    for (const task of tasks) task.cancel();
    yield* ended(...tasks, ...others);
    for (const task of tasks) {
      if (task.cancelled()) continue;
      const error = task.exception();
      if (error !== null && !(error instanceof BrokenBarrierError)) throw error;
    }
    results(others);
    yield* on(barrier.reset());
    assertEquals(String(barrier), `<Barrier filling, 0 of ${parties}>`);
    const group = Array.from({ length: parties }, (_, i) => taskOf(KINDS[i % 2]!, () => on(barrier.wait())));
    yield* ended(...group);
    assertEquals(group.map((task) => task.result()), group.map((_, i) => i));
  },
);
