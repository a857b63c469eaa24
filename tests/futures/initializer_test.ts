import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  BrokenExecutorError,
  BrokenProcessPoolError,
  BrokenThreadPoolError,
  ProcessPoolExecutor,
  RuntimeError,
  ThreadPoolExecutor,
} from "../../lib/futures/mod.ts";
import { getInitialized, initialize } from "./fixtures/tasks.ts";
import { forEachPool, onEachWorker, poolTest } from "./_helpers.ts";

type Scope = { mark?: unknown };

forEachPool("submit() runs after the initializer with its initargs, once in each worker", async (kind) => {
  await using pool = kind.create({
    maxWorkers: 2,
    initializer: (a: number, b: { c: string }) => {
      const scope = globalThis as unknown as { inits?: unknown[] };
      (scope.inits ??= []).push([a, b.c]);
    },
    initargs: [1, { c: "x" }],
  });
  const inits = await onEachWorker(pool, 2, () => (globalThis as unknown as { inits?: unknown[] }).inits);
  assertEquals(inits, [[[1, "x"]], [[1, "x"]]]);
  assertEquals(await pool.submit(() => (globalThis as unknown as { inits: unknown[] }).inits.length), 1);
});

forEachPool("submit() waits for an async initializer", async (kind) => {
  await using pool = kind.create({
    maxWorkers: 1,
    initializer: async () => {
      await new Promise((resolve) => setTimeout(resolve));
      (globalThis as unknown as Scope).mark = "ready";
    },
  });
  assertEquals(await pool.submit(() => (globalThis as unknown as Scope).mark), "ready");
});

forEachPool("submit() runs after an importable initializer", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1, initializer: initialize, initargs: ["value"] });
  assertEquals(await pool.submit(getInitialized), "value");
});

poolTest(
  "ProcessPoolExecutor.submit() runs after an importable initializer in a child without permissions",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, initializer: initialize, initargs: [5] });
    assertEquals(await pool.submit(() => 1), 1);
    assertEquals(await pool.submit(getInitialized), 5);
  },
);

for (
  const [what, initializer] of [
    ["throws", () => {
      throw new RangeError("no luck");
    }],
    ["rejects", async () => {
      await Promise.resolve();
      throw new RangeError("no luck");
    }],
  ] as const
) {
  forEachPool(
    `submit() after an initializer that ${what}: every pending and every later call gets the pool's error`,
    async (kind) => {
      const pool = kind.create({ maxWorkers: 2, initializer });
      const futures = [1, 2, 3, 4, 5].map((n) => pool.submit((n: number) => n, n));
      for (const future of futures) {
        const error = await future.exception();
        assertInstanceOf(error, kind.Broken);
        assertInstanceOf(error, BrokenExecutorError);
        assertInstanceOf(error, RuntimeError);
        assertStringIncludes(error.message, "no luck");
        assertInstanceOf(error.cause, RangeError);
      }
      const later = assertThrows(() => pool.submit(() => 1), kind.Broken, "no luck");
      assertInstanceOf(later.cause, RangeError);
      assertThrows(() => pool.map((x: number) => x, [1]), kind.Broken);
      await pool.shutdown();
      await pool.shutdown();
    },
  );
}

forEachPool("submit() after an initializer that throws undefined breaks the pool all the same", async (kind) => {
  await using pool = kind.create({
    maxWorkers: 1,
    initializer: () => {
      throw undefined;
    },
  });
  await assertRejects(() => pool.submit(() => 1).result(), kind.Broken);
  assertThrows(() => pool.submit(() => 1), kind.Broken);
});

forEachPool("submit() after an initializer that misses a variable names it", async (kind) => {
  const outside = 1;
  await using pool = kind.create({ maxWorkers: 1, initializer: () => outside });
  const error = await pool.submit(() => 1).exception();
  assertInstanceOf(error, kind.Broken);
  assertStringIncludes(error.message, "outside");
});

forEachPool("submit() with initargs that cannot be cloned says so, and leaves no worker", async (kind) => {
  // At the construction or at the first call: it must say what is wrong.
  let error: unknown;
  try {
    await using pool = kind.create({ maxWorkers: 1, initializer: (f: unknown) => f, initargs: [1, { deep: () => 1 }] });
    error = await pool.submit(() => 1).exception();
  } catch (thrown) {
    error = thrown;
  }
  assertInstanceOf(error, Error);
  const all = Deno.inspect(error);
  assertStringIncludes(all, "deep");
  assert(/init/.test(error.message), error.message);
});

forEachPool("submit() after an initializer that ends the worker breaks the pool in the end", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1, initializer: () => Deno.exit(3) });
  const error = await pool.submit(() => 1).exception();
  assertInstanceOf(error, kind.Broken);
  assertStringIncludes(error.message, "start");
  assertStringIncludes(error.message, "3");
  assertThrows(() => pool.submit(() => 1), kind.Broken);
});

for (const initializer of [Math.sqrt, (() => 1).bind(null), class {}, "x", 5, null]) {
  forEachPool(`submit() never comes to it: the initializer ${Deno.inspect(initializer)} is refused`, async (kind) => {
    await Promise.resolve();
    assertThrows(() => kind.create({ initializer: initializer as never }), TypeError);
  });
}

poolTest("ThreadPoolExecutor with initargs that can no longer be cloned breaks, and ends the thread", async () => {
  const { terminate } = Worker.prototype;
  let ended = 0;
  Worker.prototype.terminate = function (this: Worker): void {
    ended++;
    terminate.call(this);
  };
  try {
    const options: { done?: () => void } = {};
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1, initializer: (x: unknown) => x, initargs: [options] });
    options.done = () => {};
    assertInstanceOf(await pool.submit(() => 1).exception(), BrokenThreadPoolError);
    assertEquals(ended, 1);
  } finally {
    Worker.prototype.terminate = terminate;
  }
});

poolTest("ProcessPoolExecutor with initargs that can no longer be cloned breaks, and ends the process", async () => {
  const { spawn } = Deno.Command.prototype;
  const children: Deno.ChildProcess[] = [];
  Deno.Command.prototype.spawn = function (this: Deno.Command): Deno.ChildProcess {
    const child = spawn.call(this);
    children.push(child);
    return child;
  };
  try {
    const options: { done?: () => void } = {};
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, initializer: (x: unknown) => x, initargs: [options] });
    options.done = () => {};
    assertInstanceOf(await pool.submit(() => 1).exception(), BrokenProcessPoolError);
    assertEquals(await Promise.all(children.map(async (child) => (await child.status).signal)), ["SIGKILL"]);
  } finally {
    Deno.Command.prototype.spawn = spawn;
  }
});
