import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  asCompleted,
  createTask,
  type Future,
  gather,
  type GeneratorCoroutine,
  isfuture,
  sleep,
  type Task,
  TimeoutError,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

loopTest("asCompleted() in a generator gives the results in the order they end", function* (loop) {
  const results: unknown[] = [];
  for (const next of asCompleted([sleep(30, "c"), sleep(10, "a"), sleep(20, "b")])) {
    results.push([yield* next, loop.time()]);
  }
  assertEquals(results, [["a", 10], ["b", 20], ["c", 30]]);
});

loopTest("asCompleted() in native code gives the results in the order they end", async () => {
  const results: unknown[] = [];
  for (const next of asCompleted([sleep(30, "c"), sleep(10, "a"), sleep(20, "b")])) results.push(await next);
  assertEquals(results, ["a", "b", "c"]);
});

loopTest("asCompleted() gives the first that ends to the first that is awaited, whichever that is", function* () {
  const [first, second] = [...asCompleted([sleep(10, "a"), sleep(20, "b")])];
  assertEquals(yield* second!, "a");
  assertEquals(yield* first!, "b");
});

loopTest("asCompleted().next() gives the futures that were passed, and null at the end", function* () {
  const [slow, fast] = [createTask(sleep(20)), createTask(sleep(10))];
  const iterator = asCompleted([slow, fast]);
  assertStrictEquals(yield* iterator.next(), fast);
  assertStrictEquals(yield* iterator.next(), slow);
  assertEquals(yield* iterator.next(), null);
});

loopTest("asCompleted() for await gives new tasks for coroutines, and what failed as well", async () => {
  const failing = createTask(() => Promise.reject(new RangeError("failed")));
  const seen: unknown[] = [];
  for await (const future of asCompleted([sleep(10, "slept"), failing])) {
    assert(isfuture(future));
    seen.push((future as unknown) === failing ? String(future.exception()) : future.result());
  }
  assertEquals(seen, ["RangeError: failed", "slept"]);
});

loopTest("asCompleted() gives one that is passed twice once", async () => {
  const task = createTask(sleep(1, "once"));
  const results: unknown[] = [];
  for (const next of asCompleted([task, task, task])) results.push(await next);
  assertEquals(results, ["once"]);
});

loopTest("asCompleted() of nothing ends at once", async () => {
  assertEquals([...asCompleted([])], []);
  for await (const _ of asCompleted([], { timeout: 1 })) throw new Error("not reached");
});

loopTest("asCompleted() goes on where it was left", async () => {
  const iterator = asCompleted([sleep(1, "a"), sleep(2, "b"), sleep(3, "c")]);
  const results: unknown[] = [];
  for await (const future of iterator) {
    results.push(future.result());
    break;
  }
  for (const next of iterator) results.push(await next);
  assertEquals(results, ["a", "b", "c"]);
});

loopTest("asCompleted() throws TimeoutError for each that is late, in a generator, and these run on", function* (loop) {
  const tasks = [10, 30, 40].map((time) => createTask(sleep(time, time)));
  const results: unknown[] = [];
  for (const next of asCompleted(tasks, { timeout: 20 })) {
    try {
      results.push([yield* next, loop.time()]);
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
      results.push(["late", loop.time()]);
    }
  }
  assertEquals(results, [[10, 10], ["late", 20], ["late", 20]]);
  assertEquals(yield* gather(tasks), [10, 30, 40]);
});

loopTest("asCompleted() throws TimeoutError for each that is late, in native code", async (loop) => {
  const tasks = [10, 30, 40].map((time) => createTask(sleep(time, time)));
  const results: unknown[] = [];
  for (const next of asCompleted(tasks, { timeout: { milliseconds: 20 } })) {
    results.push(await next.then(null, (error) => (error as Error).name));
  }
  assertEquals([results, loop.time()], [[10, "TimeoutError", "TimeoutError"], 20]);
  await wait(tasks);
});

loopTest("asCompleted() for await throws TimeoutError when the time is over", async (loop) => {
  const tasks = [10, 30].map((time) => createTask(sleep(time, time)));
  const results: unknown[] = [];
  await assertRejects(async () => {
    for await (const future of asCompleted(tasks, { timeout: 20 })) results.push(future.result());
  }, TimeoutError);
  assertEquals([results, loop.time(), tasks[1]!.done()], [[10], 20, false]);
  await wait(tasks);
});

loopTest("asCompleted() takes its timer off when all are done", async (loop) => {
  for await (const future of asCompleted([sleep(1, "a")], { timeout: 1000 })) assertEquals(future.result(), "a");
  await sleep(0);
  assertEquals(loop.time(), 1);
});

loopTest("asCompleted() loses nothing when one who waits is cancelled", async (loop) => {
  const futures = [loop.createFuture<string>(), loop.createFuture<string>()];
  const [a, b] = [...asCompleted(futures)];
  const waiting = (next: typeof a): GeneratorCoroutine<string> =>
    next![Symbol.iterator]() as GeneratorCoroutine<string>;
  const [first, second] = [createTask(waiting(a)), createTask(waiting(b))];
  await sleep(0);
  (futures[0] as Future<string>).setResult("kept");
  first.cancel();
  assertEquals(await second, "kept");
  assert(first.cancelled());
});

// CPython 3.13 counts the wait that was cancelled, and ends one future too early.
loopTest("asCompleted() gives its iterator all futures, also when a next() was cancelled", async (loop) => {
  const future = loop.createFuture<string>();
  const iterator = asCompleted([future])[Symbol.asyncIterator]();
  const waiting = createTask(() => iterator.next());
  await sleep(0);
  waiting.cancel();
  await wait([waiting]);
  future.setResult("kept");
  const { done, value } = await iterator.next();
  assertEquals([done, value?.result()], [false, "kept"]);
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

loopTest("asCompleted() refuses a future, a coroutine, and what cannot be awaited", async () => {
  const task = createTask(sleep(1));
  assertThrows(() => asCompleted(task as never), TypeError, "list");
  assertThrows(() => asCompleted(sleep(1) as never), TypeError, "list");
  assertThrows(() => asCompleted([5 as never]), TypeError, "Cannot await 5");
  assertThrows(() => asCompleted([task], { timeout: NaN }), RangeError, "NaN");
  await task;
});

loopTest("asCompleted() gives the very tasks back, to the compiler as well", async () => {
  const names = new Map<Task<number>, string>();
  for (const n of [2, 1]) names.set(createTask(sleep(n, n)), `task ${n}`);
  const seen: [string | undefined, number, boolean][] = [];
  for await (const task of asCompleted(names.keys())) seen.push([names.get(task), task.result(), task.cancelled()]);
  assertEquals(seen, [["task 1", 1, false], ["task 2", 2, false]]);
});
