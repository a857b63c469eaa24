import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { ProcessPoolExecutor, ThreadPoolExecutor, TimeoutError, WorkerCrashedError } from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, poolTest, until } from "./_helpers.ts";

/** A task that asks the program, over a gate, whether this attempt is to end its worker. */
const perhapsCrash = async (port: number, id: number): Promise<string> => {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new Uint8Array(Int32Array.of(id).buffer));
  const answer = new Uint8Array(1);
  await connection.read(answer);
  if (answer[0] === 1) Deno.exit(9);
  return "done";
};

/** Answers the tasks that ask: the first `crashes` attempts are told to crash. */
function oracle(crashes: number): { port: number; asked: () => number; [Symbol.dispose](): void } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let asked = 0;
  (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4));
      await connection.write(Uint8Array.of(++asked <= crashes ? 1 : 2));
      connection.close();
    }
  })().catch(() => {});
  return { port: listener.addr.port, asked: () => asked, [Symbol.dispose]: () => listener.close() };
}

forEachPool("submit() does not run a call again whose worker died, unless it was asked to", async (kind) => {
  using judge = oracle(1);
  await using pool = kind.create({ maxWorkers: 1 });
  assertInstanceOf(await pool.submit(perhapsCrash, judge.port, 0).exception(), WorkerCrashedError);
  assertEquals(judge.asked(), 1);
  assertEquals(assertAddsUp(pool.statistics()).retried, 0);
});

forEachPool("submitWith() with retries runs a call again whose worker died", async (kind) => {
  using judge = oracle(2);
  await using pool = kind.create({ maxWorkers: 1 });
  const others = [1, 2, 3].map((n) => pool.submit((n: number) => n, n));
  assertEquals(await pool.submitWith({ retries: 2 }, perhapsCrash, judge.port, 0), "done");
  assertEquals(await Promise.all(others), [1, 2, 3]);
  assertEquals(judge.asked(), 3);
  const { retried, crashed, completed, workersCrashed } = assertAddsUp(pool.statistics());
  assertEquals({ retried, crashed, completed, workersCrashed }, {
    retried: 2,
    crashed: 0,
    completed: 4,
    workersCrashed: 2,
  });
});

forEachPool("submit() on a pool with retries gives up a call that kills its worker again and again", async (kind) => {
  using judge = oracle(Infinity);
  await using pool = kind.create({ maxWorkers: 1, retries: 2 });
  const error = await pool.submit(perhapsCrash, judge.port, 0).exception();
  assertInstanceOf(error, WorkerCrashedError);
  assertEquals(error.code, 9);
  assertEquals(judge.asked(), 3);
  assertEquals(await pool.submit((n: number) => n, 9), 9);
  const { retried, crashed } = assertAddsUp(pool.statistics());
  assertEquals([retried, crashed], [2, 1]);
  assertInstanceOf(
    await pool.submitWith({ retries: 0 }, perhapsCrash, judge.port, 0).exception(),
    WorkerCrashedError,
  );
  assertEquals(judge.asked(), 4, "a call may want none");
});

forEachPool("submitWith() with retryOn decides by the error and the attempt", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const seen: [string, number][] = [];
  const retryOn = (error: unknown, attempt: number) => {
    seen.push([(error as Error).message, attempt]);
    return attempt < 3;
  };
  const error = await pool.submitWith({ retries: 10, retryOn }, () => {
    throw new RangeError("no");
  }).exception();
  assertInstanceOf(error, RangeError);
  assertEquals(seen, [["no", 1], ["no", 2], ["no", 3]]);
  assertEquals(assertAddsUp(pool.statistics()).failed, 1);
});

forEachPool("submitWith() with retryOn runs a call again whose time was over", async (kind) => {
  using judge = oracle(0);
  await using pool = kind.create({ maxWorkers: 1 });
  await pool.submit(() => 1);
  const hang = async (port: number) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new Uint8Array(4));
    await connection.read(new Uint8Array(1));
    await new Promise(() => {});
  };
  const future = pool.submitWith(
    { timeout: 200, retries: 2, retryOn: (error) => error instanceof TimeoutError },
    hang,
    judge.port,
  );
  assertInstanceOf(await future.exception(), TimeoutError);
  assertEquals(judge.asked(), 3);
  assertEquals(await pool.submit((n: number) => n, 9), 9);
  await until(() => pool.workers().filter(({ pid }) => pid !== undefined).length <= 1);
  const { retried, failed } = assertAddsUp(pool.statistics());
  assertEquals([retried, failed], [2, 1]);
});

forEachPool("submitWith() with a retryOn that throws fails with the error of the call", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const { error } = console;
  const printed: unknown[] = [];
  console.error = (...args) => printed.push(args);
  try {
    const retryOn = () => {
      throw new Error("of retryOn");
    };
    const future = pool.submitWith({ retries: 1, retryOn }, () => {
      throw new RangeError("of the call");
    });
    assertInstanceOf(await future.exception(), RangeError);
  } finally {
    console.error = error;
  }
  assertEquals(printed.length, 1);
});

poolTest("submitWith() with a retryOn that returns no boolean says so, and runs nothing again", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const { error } = console;
  const printed: unknown[][] = [];
  console.error = (...args) => printed.push(args);
  try {
    for (const answer of [Promise.resolve(true), 1, undefined]) {
      const future = pool.submitWith({ retries: 5, retryOn: () => answer as never }, () => {
        throw new RangeError("of the call");
      });
      assertInstanceOf(await future.exception(), RangeError);
    }
  } finally {
    console.error = error;
  }
  assertEquals(printed.length, 3);
  assertStringIncludes((printed[0]![1] as Error).message, "it returned Promise");
  assertEquals(pool.statistics().retried, 0);
});

forEachPool("map() with retries and chunksize runs a call of a chunk again that threw, and no other", async (kind) => {
  for (const chunksize of [1, 3, 10]) {
    await using pool = kind.create({ maxWorkers: 1, retries: 2, retryOn: (error) => error instanceof RangeError });
    // Throws at the first two attempts of each third one, and counts.
    const flaky = (n: number) => {
      const counts = ((globalThis as { counts?: number[] }).counts ??= []);
      counts[n] = (counts[n] ?? 0) + 1;
      if (n % 3 === 0 && counts[n] < 3) throw new RangeError(`the attempt ${counts[n]} of ${n}`);
      if (n === 11) throw new TypeError("at once");
      return n;
    };
    const seen: number[] = [];
    await assertRejects(
      async () => {
        for await (const n of pool.map(flaky, Array.from({ length: 12 }, (_, n) => n), { chunksize })) seen.push(n);
      },
      TypeError,
      "at once",
    );
    assertEquals(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assertEquals(
      await pool.submit(() => (globalThis as { counts?: number[] }).counts),
      [3, 1, 1, 3, 1, 1, 3, 1, 1, 3, 1, 1],
    );
    assertEquals(assertAddsUp(pool.statistics()).retried, 8);
  }
});

forEachPool("map() with retries and chunksize throws the error of a call that never succeeds", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1, retries: 2, retryOn: () => true });
  const seen: number[] = [];
  await assertRejects(
    async () => {
      const results = pool.map(
        (n: number) => {
          if (n === 3) throw new RangeError("never");
          return n;
        },
        [1, 2, 3, 4],
        { chunksize: 4 },
      );
      for await (const n of results) seen.push(n);
    },
    RangeError,
    "never",
  );
  assertEquals(seen, [1, 2]);
  assertEquals(assertAddsUp(pool.statistics()).retried, 2);
});

forEachPool("submitWith() with retries can be cancelled between two attempts", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  let attempts = 0;
  const future = pool.submitWith({
    retries: Infinity,
    retryOn: () => {
      if (++attempts === 2) assert(future.cancel());
      return true;
    },
  }, () => {
    throw new Error("again");
  });
  const [settled] = await Promise.allSettled([future]);
  assertEquals((settled as PromiseRejectedResult).reason.name, "CancelledError");
  assertEquals(attempts, 2);
  assertEquals(assertAddsUp(pool.statistics()).cancelled, 1);
});

forEachPool("submitWith() with retries does not run again what was moved to the worker that died", async (kind) => {
  using judge = oracle(Infinity);
  await using pool = kind.create({ maxWorkers: 1, retries: 5 });
  const buffer = new ArrayBuffer(8);
  const error = await pool.submitWith(
    { transfer: [buffer] },
    async (port: number, buffer: ArrayBuffer) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new Uint8Array(4));
      await connection.read(new Uint8Array(1));
      Deno.exit(buffer.byteLength);
    },
    judge.port,
    buffer,
  ).exception();
  assertInstanceOf(error, WorkerCrashedError);
  assertEquals(judge.asked(), 1);
});

forEachPool("map() on a pool with retries survives the death of workers", async (kind) => {
  using judge = oracle(3);
  await using pool = kind.create({ maxWorkers: 2, retries: 3 });
  const ports = Array.from({ length: 10 }, () => judge.port);
  const ask = async (port: number) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new Uint8Array(4));
    const answer = new Uint8Array(1);
    await connection.read(answer);
    if (answer[0] === 1) Deno.exit(9);
    return 1;
  };
  assertEquals(await Array.fromAsync(pool.map(ask, ports)), new Array(10).fill(1));
  assertEquals(await Array.fromAsync(pool.map(ask, ports, { chunksize: 3 })), new Array(10).fill(1));
  assertEquals(assertAddsUp(pool.statistics()).retried, 3);
});

poolTest("ProcessPoolExecutor.submit() with retries survives children that are killed while they run", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, retries: 3 });
  const busy = pool.submit(() => {
    for (const end = performance.now() + 300; performance.now() < end;);
    return "through";
  });
  for (let n = 0; n < 3; n++) {
    await until(() => pool.workers().some(({ state }) => state === "busy"));
    Deno.kill(pool.workers().find(({ state }) => state === "busy")!.pid!, "SIGKILL");
    await until(() => !pool.workers().some(({ state }) => state === "busy"));
  }
  assertEquals(await busy, "through");
});

poolTest("ProcessPoolExecutor.submitWith() whose retryOn kills the workers fails, and the pool ends", async () => {
  const pool = new ProcessPoolExecutor({ maxWorkers: 1, retries: 5 });
  const future = pool.submitWith({
    retryOn: () => {
      pool.killWorkers();
      return true;
    },
  }, () => {
    throw new RangeError("no");
  });
  assertInstanceOf(await future.exception(), RangeError);
  await pool.shutdown();
});
