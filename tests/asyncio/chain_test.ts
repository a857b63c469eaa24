/**
 * Chains of `yield*`, long ones of which are driven by the strand in parts: equal to what the language makes of them.
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import {
  CancelledError,
  cancelScope,
  coroutine,
  createTask,
  currentTask,
  gather,
  type GeneratorCoroutine,
  sleep,
  taskGroup,
  timeout,
} from "../../lib/asyncio/mod.ts";
import { Call } from "../../lib/asyncio/_call.ts";
import { loopTest, virtualLoop } from "./_helpers.ts";

/** What the generator at one level of a chain does. */
interface Level {
  readonly waitBefore: boolean;
  readonly waitAfter: boolean;
  readonly throws: boolean;
  readonly handles: "nothing" | "catch" | "finally" | "wait in finally";
  /** How often it calls the next. */
  readonly calls: number;
}

type Maker = <A extends unknown[], T>(fn: (...args: A) => GeneratorCoroutine<T>) => (...args: A) => Iterable<never, T>;
const plain: Maker = (fn) => fn as never;
const calls: Maker = (fn) => coroutine(fn as never) as never;

function chainOf(make: Maker, levels: readonly Level[], log: string[]): () => Iterable<never, number> {
  const level = make(function* (depth: number): GeneratorCoroutine<number> {
    const plan = levels[depth];
    if (plan === undefined) {
      yield* sleep(1);
      return depth;
    }
    try {
      if (plan.waitBefore) yield* sleep(0);
      let sum = 0;
      for (let i = 0; i < plan.calls; i++) sum += yield* level(depth + 1);
      if (plan.waitAfter) yield* sleep(1);
      if (plan.throws) throw new RangeError(`of ${depth}`);
      return sum + 1;
    } catch (error) {
      log.push(`${depth} ${error}`);
      if (plan.handles !== "catch") throw error;
      return -1;
    } finally {
      if (plan.handles === "wait in finally") yield* sleep(1);
      log.push(`${depth} left`);
    }
  });
  return () => level(0);
}

async function traceOf(make: Maker, levels: readonly Level[], cancelAt: number | null): Promise<string[]> {
  const log: string[] = [];
  using loop = virtualLoop();
  const chain = chainOf(make, levels, log);
  await loop.runUntilComplete(function* () {
    const tasks = ["a", "b"].map((name) =>
      createTask(function* () {
        try {
          log.push(`${name} has ${yield* chain()}`);
        } catch (error) {
          log.push(`${name} ends with ${error}`);
        }
        log.push(`${name} at ${loop.time()}`);
      })
    );
    if (cancelAt !== null) {
      yield* sleep(cancelAt);
      tasks[0]!.cancel("cancelled");
    }
    yield* gather(tasks, { returnExceptions: true });
  });
  return log;
}

Deno.test("A chain of coroutines does what one of plain generators does", async () => {
  const level = fc.record<Level>({
    waitBefore: fc.boolean(),
    waitAfter: fc.boolean(),
    throws: fc.nat(9).map((n) => n === 0),
    handles: fc.constantFrom("nothing", "catch", "finally", "wait in finally"),
    calls: fc.constant(1),
  });
  const silent: Level = { waitBefore: false, waitAfter: false, throws: false, handles: "nothing", calls: 1 };
  const long = fc.tuple(fc.nat(40), fc.array(level, { maxLength: 5 }), fc.nat(40), fc.array(level, { maxLength: 5 }))
    .map(([n, some, m, more]) => [...Array(n).fill(silent), ...some, ...Array(m).fill(silent), ...more] as Level[]);
  await fc.assert(
    fc.asyncProperty(long, fc.option(fc.nat(6)), async (levels, cancelAt) => {
      assertEquals(await traceOf(calls, levels, cancelAt), await traceOf(plain, levels, cancelAt));
    }),
    { numRuns: 150 },
  );
});

Deno.test("A tree of coroutines does what one of plain generators does", async () => {
  const tree = [...Array(18).fill(1), 2, ...Array(17).fill(1), 3, 1, 1].map((calls): Level => ({
    waitBefore: false,
    waitAfter: calls === 2,
    throws: false,
    handles: "finally",
    calls,
  }));
  for (const cancelAt of [null, 0, 1, 3, 7]) {
    assertEquals(await traceOf(calls, tree, cancelAt), await traceOf(plain, tree, cancelAt));
  }
});

const deep = coroutine(function* <T>(depth: number, body: () => Iterable<never, T>): GeneratorCoroutine<T> {
  return depth === 0 ? yield* body() : (yield* deep(depth - 1, body)) as T;
});

for (const kind of ["generator", "native"] as const) {
  loopTest(`A chain of 100 coroutines: scopes, groups, timeouts and native code at its end (${kind})`, async () => {
    const body = () =>
      coroutine(function* () {
        const scope = yield* cancelScope(function* (scope) {
          scope.cancel();
          yield* sleep(1);
        });
        yield* taskGroup(function* (group) {
          group.createTask(sleep(1));
          yield* sleep(2);
        });
        yield* coroutine(async () => await deep(50, () => sleep(1) as never))();
        let late: unknown;
        try {
          yield* timeout(5, () => deep(50, () => sleep(10) as never));
        } catch (error) {
          late = (error as Error).name;
        }
        return [scope.cancelled, late, currentTask()!.getName()];
      })() as never;
    const task = kind === "native"
      ? createTask(async () => await deep(100, body), { name: "t" })
      : createTask(deep(100, body), { name: "t" });
    assertEquals(await task as unknown, [true, "TimeoutError", "t"]);
  });
}

loopTest(
  "Every 16th coroutine that a task begins in a step is driven by the strand, and none in native code",
  async () => {
    const begin = () => Array.from({ length: 40 }, () => deep(0, () => sleep(0) as never)[Symbol.iterator]());
    const indices = (iterators: unknown[]) => iterators.flatMap((it, i) => it instanceof Call ? [i] : []);
    await createTask(function* () {
      assertEquals(indices(begin()), [15, 31]);
      yield* sleep(0);
      assertEquals(indices(begin()), [15, 31]);
    });
    assertEquals(indices(begin()), []);
  },
);

loopTest("Tasks of 40 coroutines made at once begin and end each", async () => {
  const tasks = Array.from({ length: 40 }, (_, i) => createTask(deep(i, () => sleep(1, i) as never)));
  assertEquals(await gather(tasks) as unknown, Array.from({ length: 40 }, (_, i) => i));
});

loopTest("A chain of 100 coroutines that is cancelled ends each of them, and the error has its origin", async () => {
  const task = createTask(deep(100, () => sleep(1000) as never));
  await sleep(1);
  task.cancel("why");
  const error = await assertRejects(async () => await task, CancelledError, "why");
  assert(error.origin?.by === currentTask());
});

loopTest("An error has the stack of all coroutines of a short chain", async () => {
  const fail = coroutine(function* fails(): GeneratorCoroutine<void> {
    yield* sleep(1);
    throw new Error("here");
  });
  const outer = coroutine(function* callsIt(): GeneratorCoroutine<void> {
    yield* fail();
  });
  const error = await assertRejects(async () => await createTask(outer()));
  for (const name of ["fails", "callsIt"]) assertStringIncludes((error as Error).stack!, name);
});
