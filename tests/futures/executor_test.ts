import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  Executor,
  Future,
  InvalidStateError,
  type ProcessPoolExecutor,
  RuntimeError,
  type SubmitOptions,
  ThreadPoolExecutor,
} from "../../lib/futures/mod.ts";
import { forEachPool, Gate, hold, onEachWorker, poolTest } from "./_helpers.ts";

forEachPool("submit() returns a future of what the function returns", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const future = pool.submit(
    (a: number, b: string, ...rest: boolean[]) => `${a}${b}${rest.length}`,
    1,
    "x",
    true,
    false,
  );
  assertInstanceOf(future, Future);
  assertEquals(await future, "1x2");
  assertEquals([future.done(), future.running(), future.cancelled(), future.cancel()], [true, false, false, false]);
});

forEachPool("submit() gives what the promise of an async function resolves to", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await pool.submit(async (x: number) => await Promise.resolve(x + 1), 1), 2);
  assertEquals(await pool.submit(() => ({ then: (resolve: (x: number) => void) => resolve(7) })), 7);
  await assertRejects(() => pool.submit(() => Promise.reject(new RangeError("async"))).result(), RangeError, "async");
});

forEachPool("submit() returns before the function runs", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await pool.submit(() => 0);
  const future = pool.submit(() => 1);
  assertEquals([future.running(), future.done()], [false, false]);
  await future;
});

forEachPool("submit() runs calls in the order of their submission", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const futures = Array.from({ length: 300 }, (_, n) =>
    pool.submit((n: number) => {
      const ran = (globalThis as unknown as { ran?: number[] }).ran ??= [];
      return ran.push(n) - 1;
    }, n));
  assertEquals(await Promise.all(futures), Array.from({ length: 300 }, (_, n) => n));
});

forEachPool("submit() runs as many calls at a time as there are workers, and no more", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 2 });
  const futures = [0, 1, 2].map((id) => pool.submit(hold, gate.port, id));
  await gate.started(0);
  await gate.started(1);
  assertEquals(futures.map((future) => future.running()), [true, true, false]);
  await gate.open(1);
  await gate.started(2);
  assertEquals(futures.map((future) => future.running()), [true, false, true]);
  await gate.open(0);
  await gate.open(2);
  assertEquals(await Promise.all(futures), [0, 1, 2]);
  assertEquals(futures.map((future) => future.running()), [false, false, false]);
});

forEachPool("submit() does not let a long call hold up the calls behind it while a worker is free", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 2 });
  // The pool learns that the function is quick, and hands it out in batches ...
  const maybe = async (port: number, id: number) => {
    if (id < 0) return id;
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new Uint8Array(Int32Array.of(id).buffer));
    await connection.read(new Uint8Array(1)).catch(() => null);
    connection.close();
    return id;
  };
  await Promise.all(Array.from({ length: 200 }, () => pool.submit(maybe, gate.port, -1)));
  // ... and then the first of a batch takes for ever.
  const long = pool.submit(maybe, gate.port, 1);
  const others = Array.from({ length: 200 }, () => pool.submit(maybe, gate.port, -2));
  assertEquals((await Promise.all(others)).length, 200);
  assert(!long.done());
  await gate.open(1);
  assertEquals(await long, 1);
});

forEachPool("submit() uses an idle worker before it starts a new one", async (kind) => {
  await using pool = kind.create({ maxWorkers: 4 });
  const count = () => {
    const scope = globalThis as unknown as { calls?: number };
    return scope.calls = (scope.calls ?? 0) + 1;
  };
  for (let n = 1; n <= 5; n++) assertEquals(await pool.submit(count), n);
});

forEachPool("submit() starts workers with memory of their own", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const marks = await onEachWorker(pool, 2, () => {
    const scope = globalThis as unknown as { mark?: string };
    return scope.mark ??= crypto.randomUUID();
  });
  assertEquals(new Set(marks).size, 2);
  assertEquals((globalThis as { mark?: string }).mark, undefined);
});

forEachPool("submit() gets thousands of tiny calls through, in order", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const futures = Array.from({ length: 20_000 }, (_, n) => pool.submit((n: number) => n % 7 === 0 ? String(n) : n, n));
  const results = await Promise.all(futures);
  for (let n = 0; n < results.length; n++) assertStrictEquals(results[n], n % 7 === 0 ? String(n) : n);
});

forEachPool(
  "submit() keeps results of all kinds in order, also those that do not travel as a message",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 2 });
    const values = [0, 1.5, true, false, null, undefined, "s", [1], -0, NaN, Infinity];
    const futures = Array.from(
      { length: 3300 },
      (_, n) => pool.submit((value: unknown) => value, values[n % values.length]),
    );
    for (const [n, result] of (await Promise.all(futures)).entries()) {
      const expected = values[n % values.length];
      if (typeof expected === "object" && expected !== null) {
        assertEquals(result, expected);
      } else assert(Object.is(result, expected), `${Deno.inspect(result)} is not ${Deno.inspect(expected)}`);
    }
  },
);

forEachPool("submit() takes calls from a done callback", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const { promise, resolve } = Promise.withResolvers<number>();
  pool.submit((x: number) => x, 1).addDoneCallback(() => resolve(pool.submit((x: number) => x, 2)));
  assertEquals(await promise, 2);
});

forEachPool("submit() knows more functions than a worker keeps", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const futures = Array.from({ length: 2500 }, (_, n) => pool.submit(new Function(`return ${n}`) as () => number));
  assertEquals(await Promise.all(futures), Array.from({ length: 2500 }, (_, n) => n));
  assertEquals(await pool.submit(new Function("return 0") as () => number), 0);
});

forEachPool("submit() is typed by its function", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const plain: Future<number> = pool.submit((x: number, y: string) => x + y.length, 1, "ab");
  const resolved: Future<number> = pool.submit(async (x: number) => await Promise.resolve(x), 1);
  const nested: Future<{ a: string }> = pool.submit(() => Promise.resolve({ a: "b" }));
  const optional: Future<number> = pool.submit((x: number, y?: number) => x + (y ?? 0), 1);
  assertEquals<unknown>(await Promise.all([plain, resolved, nested, optional]), [3, 1, { a: "b" }, 1]);
  const never = () => {
    // @ts-expect-error -- the argument is a number
    pool.submit((x: number) => x, "1");
    // @ts-expect-error -- an argument is missing
    pool.submit((x: number, y: number) => x + y, 1);
    // @ts-expect-error -- there is an argument too many
    pool.submit((x: number) => x, 1, 2);
    // @ts-expect-error -- the result is a number
    const wrong: Future<string> = pool.submit((x: number) => x, 1);
    // @ts-expect-error -- a future of a promise's value, not of the promise
    const promise: Future<Promise<number>> = pool.submit((x: number) => Promise.resolve(x), 1);
    // @ts-expect-error -- the argument is a number
    pool.submitWith({}, (x: number) => x, "1");
    // @ts-expect-error -- the items are strings
    pool.map((x: number) => x, ["a"]);
    // @ts-expect-error -- the second of each pair is a number
    pool.starmap((x: string, y: number) => x + y, [["a", "b"]]);
    // @ts-expect-error -- there is no such option
    pool.submitWith({ timeOut: 5 }, () => 1);
    return [wrong, promise];
  };
  assertEquals(typeof never, "function");
  const first: IteratorResult<number, void> = await pool.map(async (x: number) => await Promise.resolve(x), [1]).next();
  assertEquals(first.value, 1);
});

forEachPool("submit() runs on while nobody waits", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  pool.submit((x: number) => x, 1).addDoneCallback((future) => resolve(future.done()));
  assert(await promise);
});

forEachPool("submit() gives a future whose outcome only its pool sets", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const future = pool.submit((x: number) => x + 1, 1);
  assertThrows(
    () => future.setResult(7),
    InvalidStateError,
    ": pending>: its pool does that",
  );
  assertThrows(() => future.setException(new RangeError()), InvalidStateError, "Cannot set an exception of");
  assertEquals(await future, 2);
  assertThrows(() => future.setResult(7), InvalidStateError);
});

forEachPool("submit() describes its future by the name of the function", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const future = pool.submit(function adder(x: number): number {
    return x + 1;
  }, 1);
  await future;
  assertEquals(String(future), "<Future of adder: finished returned 2>");
});

for (const maxWorkers of [0, -1, 1.5, NaN, Infinity, "2", null, 2n]) {
  for (const name of ["ThreadPoolExecutor", "ProcessPoolExecutor"] as const) {
    poolTest(`${name}() refuses maxWorkers ${Deno.inspect(maxWorkers)}`, async () => {
      const { [name]: Pool } = await import("../../lib/futures/mod.ts");
      assertThrows(() => new Pool({ maxWorkers: maxWorkers as never }), RangeError, "maxWorkers");
    });
  }
}

for (const maxTasksPerChild of [0, -1, 1.5, NaN, "2"]) {
  poolTest(`ProcessPoolExecutor() refuses maxTasksPerChild ${Deno.inspect(maxTasksPerChild)}`, async () => {
    const { ProcessPoolExecutor } = await import("../../lib/futures/mod.ts");
    assertThrows(
      () => new ProcessPoolExecutor({ maxTasksPerChild: maxTasksPerChild as never }),
      RangeError,
      "maxTasksPerChild",
    );
  });
}

poolTest("ThreadPoolExecutor() names its threads by the prefix and a number", async () => {
  using gate = new Gate();
  await using pool = new ThreadPoolExecutor({ maxWorkers: 2, threadNamePrefix: "spinner" });
  const holding = pool.submit(hold, gate.port, 0);
  await gate.started(0);
  const names = [await pool.submit(() => (self as unknown as { name: string }).name)];
  await gate.open(0);
  await holding;
  assertEquals(names, ["spinner_1"]);
});

poolTest("ThreadPoolExecutor() makes up a prefix of its own for each pool", async () => {
  const names: string[] = [];
  for (let n = 0; n < 2; n++) {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    names.push(await pool.submit(() => (self as unknown as { name: string }).name));
  }
  for (const name of names) assert(/^ThreadPoolExecutor-\d+_0$/.test(name), name);
  assert(names[0] !== names[1]);
});

Deno.test("ThreadPoolExecutor() and ProcessPoolExecutor() start nothing before the first call", async () => {
  const { ProcessPoolExecutor } = await import("../../lib/futures/mod.ts");
  const { liveWorkers } = await import("../../lib/futures/_pool.ts");
  const pools: (ThreadPoolExecutor | ProcessPoolExecutor)[] = [new ThreadPoolExecutor(), new ProcessPoolExecutor()];
  assertEquals(liveWorkers.size, 0);
  for (const pool of pools) await pool.shutdown();
});

Deno.test("Executor makes submit(), map(), starmap() and disposal out of submitWith() and shutdown()", async () => {
  let shutdowns = 0;
  class Here extends Executor {
    override submitWith<A extends unknown[], R>(
      _options: SubmitOptions,
      fn: (...args: A) => R,
      ...args: A
    ): Future<Awaited<R>> {
      const future = new Future<Awaited<R>>();
      Promise.try(fn, ...args).then((value) => future.setResult(value), (error) => future.setException(error));
      return future;
    }
    override shutdown(): Promise<void> {
      shutdowns++;
      return Promise.resolve();
    }
  }
  {
    await using executor = new Here();
    assertEquals(await executor.submit((x: number) => x + 1, 1), 2);
    assertEquals(await Array.fromAsync(executor.map((x: number) => x + 1, [1, 2])), [2, 3]);
    assertEquals(await Array.fromAsync(executor.map((x: number) => x + 1, [1, 2, 3], { chunksize: 2 })), [2, 3, 4]);
    assertEquals(await Array.fromAsync(executor.starmap((x: number, y: number) => x * y, [[1, 2], [3, 4]])), [2, 12]);
  }
  assertEquals(shutdowns, 1);
});

forEachPool("submit() after shutdown() throws RuntimeError, and so does map()", async (kind) => {
  const pool = kind.create();
  await pool.submit(() => 1);
  await pool.shutdown();
  assertThrows(() => pool.submit(() => 1), RuntimeError, "after shutdown");
  assertThrows(() => pool.submitWith({}, () => 1), RuntimeError, "after shutdown");
  assertThrows(() => pool.map((x: number) => x, [1]), RuntimeError, "after shutdown");
});
