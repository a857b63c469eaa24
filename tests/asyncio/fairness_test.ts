import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  aiter,
  BoundedSemaphore,
  createTask,
  EventLoop,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  QueueShutDown,
  RuntimeError,
  Semaphore,
  sleep,
  type Task,
  TimeoutError,
  ValueError,
  wait,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

for (const [name, make] of [["Lock", () => new Lock()], ["Semaphore", () => new Semaphore(1)]] as const) {
  loopTest(`${name}.acquire() serves in the order of the calls, generators and native code alike`, async () => {
    const source = make();
    const order: number[] = [];
    const tasks: Task<void>[] = [];
    for (let i = 0; i < 6; i += 2) {
      tasks.push(createTask(function* () {
        using _held = yield* source.acquire();
        order.push(i);
        yield* sleep(1);
      }));
      tasks.push(createTask(async () => {
        using _held = await source.acquire();
        order.push(i + 1);
        await sleep(1);
      }));
    }
    await wait(tasks);
    assertEquals(order, [0, 1, 2, 3, 4, 5]);
    assert(!source.locked());
  });

  loopTest(`${name}.acquire() that is cancelled when its turn has come leaves it to the next`, function* () {
    const source = make();
    const held = yield* source.acquire();
    const first = createTask(source.acquire());
    const second = createTask(source.acquire());
    yield* sleep(0);
    held.release();
    first.cancel();
    yield* wait([first, second]);
    assert(first.cancelled());
    assert(!second.cancelled());
    assert(source.locked());
  });
}

Deno.test("Lock.acquire() refuses to wait in a second loop", async () => {
  const lock = new Lock();
  using one = new EventLoop();
  using two = new EventLoop();
  await one.runUntilComplete(function* () {
    yield* lock.acquire();
    const waiting = createTask(lock.acquire());
    yield* sleep(0);
    waiting.cancel();
  });
  const error = await two.runUntilComplete(function* () {
    try {
      yield* lock.acquire();
    } catch (error) {
      return error;
    }
  });
  assert(error instanceof RuntimeError);
  assertEquals(
    error.message,
    "Cannot wait for <Lock locked, 0 waiting> as it is bound to a different event loop: make one for each loop",
  );
});

Deno.test("BoundedSemaphore.release() throws when it was not acquired as often", () => {
  assertThrows(() => new BoundedSemaphore(2).release(), ValueError, "more often");
});

loopTest("Queue gives native code and generators the same items, none lost and none doubled", async () => {
  const queue = new Queue<number>(2);
  const got: number[] = [];
  const native = createTask(async () => {
    for await (const item of queue) got.push(item);
  });
  const generator = createTask(function* () {
    try {
      for (;;) got.push(yield* queue.get());
    } catch (error) {
      if (!(error instanceof QueueShutDown)) throw error;
    }
  });
  for (let i = 0; i < 100; i++) await queue.put(i);
  queue.shutdown();
  await wait([native, generator]);
  assertEquals(got.toSorted((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i));
});

Deno.test("PriorityQueue and LifoQueue give items in their order", () => {
  const least = new PriorityQueue<[number, string]>();
  const last = new LifoQueue<[number, string]>();
  for (const item of [[2, "a"], [10, "b"], [1, "c"], [2, "d"]] as [number, string][]) {
    least.putNowait(item);
    last.putNowait(item);
  }
  const all = (queue: Queue<[number, string]>) => Array.from({ length: 4 }, () => queue.getNowait()[1]).join("");
  assertEquals([all(least), all(last)], ["cadb", "dcba"]);
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
