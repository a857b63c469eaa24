import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  CancelledError,
  NotCloneableError,
  reportProgress,
  ThreadPoolExecutor,
  TimeoutError,
  WorkerCrashedError,
} from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, Gate, hold, poolTest, until } from "./_helpers.ts";

forEachPool("stream() gives what a generator yields, in order, and ends with it", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const count = function* (n: number) {
    for (let i = 0; i < n; i++) yield i;
  };
  for (const n of [0, 1, 8, 16, 17, 1000]) {
    assertEquals(await Array.fromAsync(pool.stream(count, n)), Array.from({ length: n }, (_, i) => i));
  }
  const mixed = await Array.fromAsync(pool.stream(async function* () {
    yield 1;
    await new Promise((resolve) => setTimeout(resolve));
    yield { a: [null, undefined] };
    yield "text";
  }));
  assertEquals(mixed, [1, { a: [null, undefined] }, "text"]);
  assertEquals(await Array.fromAsync(pool.stream(() => [1, 2, 3])), [1, 2, 3]);
  assertEquals(assertAddsUp(pool.statistics()).completed, 8);
});

forEachPool("stream() lets the generator be ahead by buffersize values, and no more", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const produced = new Int32Array(new SharedArrayBuffer(4));
  for (const buffersize of [1, 2, 7]) {
    Atomics.store(produced, 0, 0);
    const stream = pool.streamWith({ buffersize }, function* (produced: Int32Array | null) {
      let n = 0;
      while (true) {
        if (produced !== null) Atomics.add(produced, 0, 1);
        yield ++n;
      }
    }, kind.isProcess ? null : produced);
    for (let taken = 1; taken <= 40; taken++) {
      assertEquals((await stream.next()).value, taken);
      const ahead = Atomics.load(produced, 0) - taken;
      assert(kind.isProcess || ahead <= buffersize, `${ahead} ahead of ${buffersize}`);
    }
    await stream.return();
    assertEquals(await stream.next(), { done: true, value: undefined });
  }
});

forEachPool("stream() throws what the generator throws, after the values before it", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const seen: number[] = [];
  await assertRejects(
    async () => {
      const stream = pool.stream(function* () {
        yield 1;
        yield 2;
        throw new RangeError("the generator's");
      });
      for await (const value of stream) seen.push(value);
    },
    RangeError,
    "the generator's",
  );
  assertEquals(seen, [1, 2]);
  assertEquals(await pool.submit((x: number) => x, 1), 1);
});

forEachPool("stream() that is left runs the generator's finally blocks, and the worker goes on", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await pool.submit(() => (globalThis as { mark?: string }).mark = "");
  const endless = function* () {
    try {
      for (let n = 0;; n++) yield n;
    } finally {
      (globalThis as { mark?: string }).mark += "finally";
    }
  };
  for await (const value of pool.stream(endless)) {
    if (value === 40) break;
  }
  assertEquals(await pool.submit(() => (globalThis as { mark?: string }).mark), "finally");
  {
    await using stream = pool.stream(endless);
    await stream.next();
  }
  assertEquals(await pool.submit(() => (globalThis as { mark?: string }).mark), "finallyfinally");
});

forEachPool("stream() that is left rejects return() with what the generator throws then", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const stream = pool.stream(function* () {
    try {
      for (let n = 0;; n++) yield n;
    } finally {
      JSON.parse("in finally");
    }
  });
  await stream.next();
  await assertRejects(() => stream.return(), SyntaxError);
  assertEquals(await pool.submit((x: number) => x, 1), 1);
});

forEachPool("stream() that is left throws nothing that the generator threw ahead of its reader", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const stream = pool.stream(function* () {
    yield 1;
    throw new RangeError("too early");
  });
  assertEquals((await stream.next()).value, 1);
  assertInstanceOf(await stream.future.exception(), RangeError);
  assertEquals(await stream.return(), { done: true, value: undefined });
});

forEachPool("stream() that is left behind a long call ends, whether a worker has it or not", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const quick = function* (): Generator<number> {
    yield 1;
  };
  // The pool takes both for quick ones, and hands them out ahead.
  const holdOr = new Function("port", "id", `return port === 0 ? 0 : (${hold})(port, id);`) as typeof hold;
  for (let n = 0; n < 50; n++) await Array.fromAsync(pool.stream(quick));
  await Promise.all(Array.from({ length: 200 }, () => pool.submit(holdOr, 0, 0)));
  const long = pool.submit(holdOr, gate.port, 0);
  const streams = [1, 2, 3].map(() => pool.stream(quick));
  for (let n = 0; n < 5; n++) await Promise.resolve();
  const left = Promise.all(streams.map((stream) => stream.return()));
  await gate.started(0);
  await gate.open(0);
  await left;
  assertEquals(await long, 0);
  assertEquals(await Array.fromAsync(pool.stream(quick)), [1]);
  assertAddsUp(pool.statistics());
});

forEachPool("stream() that is left before it starts never runs", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const stream = pool.stream(function* () {
    yield 1;
  });
  await stream.return();
  assertEquals(stream.future.cancelled(), true);
  assertEquals(assertAddsUp(pool.statistics()).cancelled, 1);
});

forEachPool("stream() may be asked for several values at a time", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const stream = pool.stream(function* () {
    yield* [1, 2];
  });
  const results = await Promise.all([stream.next(), stream.next(), stream.next(), stream.next()]);
  assertEquals(results.map(({ value }) => value), [1, 2, undefined, undefined]);
});

forEachPool("stream() of many at a time mixes nothing up", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const count = function* (from: number) {
    for (let n = 0; n < 100; n++) yield from + n;
  };
  const all = await Promise.all([1000, 2000, 3000, 4000].map((from) => Array.fromAsync(pool.stream(count, from))));
  for (const [i, values] of all.entries()) {
    assertEquals(values, Array.from({ length: 100 }, (_, n) => 1000 * (i + 1) + n));
  }
});

forEachPool("stream() of what is no iterable, or cannot be cloned, says so", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await assertRejects(
    () => Array.fromAsync(pool.stream((() => 5) as never)),
    TypeError,
    "not an iterable",
  );
  const seen: unknown[] = [];
  const error = await assertRejects(async () => {
    const stream = pool.stream(function* bad() {
      yield 1;
      yield { f: () => 1 };
    });
    for await (const value of stream) seen.push(value);
  }, NotCloneableError);
  assertStringIncludes(error.message, "value.f is a function");
  assertEquals(seen, [1]);
  assertEquals(await pool.submit((x: number) => x, 1), 1);
  assertThrows(() => pool.streamWith({ buffersize: 0 }, () => []), RangeError, "buffersize");
});

forEachPool("stream() whose worker dies throws WorkerCrashedError, and is not run again", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1, retries: 5 });
  const seen: number[] = [];
  await assertRejects(async () => {
    const stream = pool.stream(function* () {
      for (let n = 0; n < 3; n++) yield n;
      Deno.exit(3);
    });
    for await (const value of stream) seen.push(value);
  }, WorkerCrashedError);
  assertEquals(seen, [0, 1, 2]);
  assertEquals(assertAddsUp(pool.statistics()).crashed, 1);
});

forEachPool("streamWith() with timeout ends a generator that waits for its reader", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const stream = pool.streamWith({ timeout: 50, buffersize: 1 }, function* () {
    for (let n = 0;; n++) yield n;
  });
  assertEquals((await stream.next()).value, 0);
  await stream.future.exception();
  await assertRejects(async () => {
    while (!(await stream.next()).done);
  }, TimeoutError);
  assertEquals(await pool.submit((x: number) => x, 1), 1);
  await until(() => pool.statistics().retired === 0);
});

forEachPool("stream() that is left ends at its next yield, though it may send more and never waits", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const stream = pool.streamWith({ buffersize: 1000 }, function* () {
    const counter = globalThis as { steps?: number };
    counter.steps = 0;
    for (let n = 0;; n++) {
      counter.steps++;
      for (const end = performance.now() + 10; performance.now() < end;);
      yield n;
    }
  });
  assertEquals((await stream.next()).value, 0);
  await stream.return();
  const steps = await pool.submit(() => (globalThis as { steps?: number }).steps!);
  assert(steps < 500, `it took ${steps} steps more`);
});

forEachPool("stream() awaits the promises that a plain generator yields, as for await does", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const promises = function* (last: string) {
    try {
      yield Promise.resolve(1);
      yield 2;
      yield last === "rejects" ? Promise.reject(new RangeError("of a promise")) : Promise.resolve(3);
      yield 4;
    } finally {
      (globalThis as { mark?: string }).mark = last;
    }
  };
  assertEquals(await Array.fromAsync(pool.stream(promises, "resolves")), [1, 2, 3, 4]);
  await assertRejects(() => Array.fromAsync(pool.stream(promises, "rejects")), RangeError, "of a promise");
  assertEquals(await pool.submit(() => (globalThis as { mark?: string }).mark), "rejects");
});

forEachPool("stream() that nobody reads on is ended by shutdown() with cancelFutures, and says so", async (kind) => {
  const directory = await Deno.makeTempDir();
  const pool = kind.create({ maxWorkers: 2, ...(kind.isProcess ? { permissions: { write: [directory] } } : {}) });
  const stream = pool.streamWith({ buffersize: 2 }, function* (file: string) {
    try {
      for (let n = 0;; n++) yield n;
    } finally {
      Deno.writeTextFileSync(file, "finally");
    }
  }, `${directory}/mark`);
  const whole = pool.stream(() => [1, 2, 3]);
  assertEquals((await stream.next()).value, 0);
  await whole.future;
  await pool.shutdown({ cancelFutures: true });
  assertEquals(await Deno.readTextFile(`${directory}/mark`), "finally");
  await assertRejects(() => Array.fromAsync(stream), CancelledError);
  assertEquals(await Array.fromAsync(whole), [1, 2, 3]);
  const { completed, failed } = assertAddsUp(pool.statistics());
  assertEquals([completed, failed], [1, 1]);
  await Deno.remove(directory, { recursive: true });
});

forEachPool(
  "stream() that was left returns as it would when the pool is shut down with cancelFutures",
  async (kind) => {
    using gate = new Gate();
    const pool = kind.create({ maxWorkers: 1 });
    const stream = pool.stream(
      async function* (port: number, hold: string) {
        try {
          for (let n = 0;; n++) yield n;
        } finally {
          await new Function(`return ${hold}`)()(port, 0);
        }
      },
      gate.port,
      hold.toString(),
    );
    await stream.next();
    const left = stream.return();
    await gate.started(0);
    const end = pool.shutdown({ cancelFutures: true });
    await gate.open(0);
    assertEquals(await left, { done: true, value: undefined });
    await end;
    assertEquals(assertAddsUp(pool.statistics()).completed, 1);
  },
);

// -- Progress

forEachPool("reportProgress() reaches onProgress, in order and before the outcome", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  for (let round = 0; round < 20; round++) {
    const seen: unknown[] = [];
    const futures = [1, 2, 3].map((n) =>
      pool.submitWith({ onProgress: (value) => seen.push(value) }, (n: number) => {
        for (let i = 0; i < 3; i++) reportProgress([n, i]);
        return n;
      }, n)
    );
    for (const [n, future] of futures.entries()) future.addDoneCallback(() => seen.push(`done ${n + 1}`));
    assertEquals(await Promise.all(futures), [1, 2, 3]);
    assertEquals(
      seen,
      [1, 2, 3].flatMap((n) => [[n, 0], [n, 1], [n, 2], `done ${n}`]),
    );
  }
});

forEachPool("reportProgress() arrives while the call runs", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const first = Promise.withResolvers<unknown>();
  const future = pool.submitWith({ onProgress: first.resolve }, async () => {
    reportProgress("on my way");
    await new Promise(() => {});
  });
  assertEquals(await first.promise, "on my way");
  assertEquals(future.done(), false);
  await pool.shutdown({ timeout: 0 });
  await future.exception();
});

forEachPool("reportProgress() of an async call, of an importable one, and of one that throws", async (kind) => {
  const { reportsProgress } = await import("./fixtures/context.ts");
  await using pool = kind.create({ maxWorkers: 1 });
  const seen: unknown[] = [];
  const onProgress = (value: unknown) => void seen.push(value);
  assertEquals(await pool.submitWith({ onProgress }, reportsProgress, 2), 2);
  const error = await pool.submitWith({ onProgress }, async () => {
    reportProgress("a");
    await new Promise((resolve) => setTimeout(resolve));
    reportProgress("b");
    throw new RangeError("x");
  }).exception();
  assertInstanceOf(error, RangeError);
  assertEquals(seen, [0, 1, "a", "b"]);
});

forEachPool("reportProgress() of what cannot be cloned throws in the task", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const error = await pool.submitWith({ onProgress: () => {} }, () => reportProgress(() => 1)).exception();
  assertInstanceOf(error, NotCloneableError);
  assertEquals(await pool.submit(() => reportProgress(1)), undefined, "nobody listens");
});

poolTest("reportProgress() with an onProgress that throws does no harm", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const { error } = console;
  const printed: unknown[] = [];
  console.error = (...args) => printed.push(args);
  try {
    const onProgress = () => {
      throw new RangeError("of the listener");
    };
    assertEquals(await pool.submitWith({ onProgress }, () => reportProgress(1)), undefined);
  } finally {
    console.error = error;
  }
  assertEquals(printed.length, 1);
});

Deno.test("reportProgress() outside of a task does nothing", () => {
  assertEquals(reportProgress(1), undefined);
});

forEachPool("stream() of what cannot be cloned leaves the next calls alone", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const stream = pool.stream(function* (_f: unknown) {
    yield 1;
  }, () => 1);
  await assertRejects(() => stream.next(), NotCloneableError);
  assertEquals(await pool.submit((x: number) => [x], 5), [5]);
});

forEachPool("reportProgress() by what a call has left behind says nothing after its outcome", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const leaves = async () => {
    const rest = async () => {
      for (let i = 0; i < 30; i++) {
        await null;
        reportProgress(i);
      }
    };
    void rest();
    await null;
    return 1;
  };
  assertEquals(await Promise.all([1, 2, 3, 4, 5].map(() => pool.submit(leaves))), [1, 1, 1, 1, 1]);
});
