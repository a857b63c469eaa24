import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  checkCancelled,
  fromModule,
  ProcessPoolExecutor,
  reportProgress,
  taskSignal,
  ThreadPoolExecutor,
  TimeoutError,
} from "../../lib/futures/mod.ts";
import { fixture, forEachPool, Gate, hold, makeQuick, poolTest } from "./_helpers.ts";

const spin = () => {
  while (true) checkCancelled();
};
const busy = (ms: number) => {
  for (const end = performance.now() + ms; performance.now() < end;);
  return ms;
};

forEachPool("submitWith() with a signal that is aborted already throws its reason", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  for (const reason of [new RangeError("why"), "text", null]) {
    let thrown: unknown = "nothing";
    try {
      pool.submitWith({ signal: AbortSignal.abort(reason) }, () => 1);
    } catch (error) {
      thrown = error;
    }
    assertStrictEquals(thrown, reason);
  }
  assertThrows(() => pool.submitWith({ signal: AbortSignal.abort() }, () => 1), DOMException);
  assertEquals(await pool.submit((x: number) => x, 1), 1);
});

forEachPool(
  "submitWith() with a signal rejects a queued call at once with the reason, and it never runs",
  async (kind) => {
    using gate = new Gate();
    await using pool = kind.create({ maxWorkers: 1 });
    const running = pool.submit(hold, gate.port, 0);
    await gate.started(0);
    const controller = new AbortController();
    const mark = () => (globalThis as { mark?: boolean }).mark = true;
    const queued = [1, 2, 3].map(() => pool.submitWith({ signal: controller.signal }, mark));
    const other = pool.submit((x: number) => x, 5);
    const reason = new RangeError("why");
    controller.abort(reason);
    for (const future of queued) {
      assert(future.done() && !future.cancelled());
      assertStrictEquals(await future.exception(), reason);
      assertEquals(future.cancel(), false);
    }
    await gate.open(0);
    assertEquals([await running, await other], [0, 5]);
    assertEquals(await pool.submit(() => (globalThis as { mark?: boolean }).mark ?? false), false);
  },
);

forEachPool("submitWith() with a signal rejects a running call at once, and no other call is lost", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const controller = new AbortController();
  const running = pool.submitWith({ signal: controller.signal }, hold, gate.port, 0);
  const others = [1, 2, 3].map((n) => pool.submit((n: number) => n, n));
  await gate.started(0);
  assert(running.running());
  controller.abort("why");
  assertEquals([running.done(), running.running(), running.cancelled()], [true, false, false]);
  assertEquals(await running.exception(), "why");
  // The thread would wait for ever: another one has taken its place.
  assertEquals(await Promise.all(others), [1, 2, 3]);
  await gate.open(0);
});

forEachPool("submitWith() with a signal that aborts after the end changes nothing", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const controller = new AbortController();
  const future = pool.submitWith({ signal: controller.signal }, (x: number) => x, 1);
  assertEquals(await future, 1);
  controller.abort();
  assertEquals(await future.result(), 1);
});

forEachPool("submitWith() with one signal for many calls gives up all of them, and only those", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 2 });
  const controller = new AbortController();
  const innocent = pool.submit(hold, gate.port, 0);
  const guilty = pool.submitWith({ signal: controller.signal }, hold, gate.port, 1);
  await gate.started(0);
  await gate.started(1);
  const queued = Array.from(
    { length: 50 },
    (_, n) =>
      n % 2 === 0
        ? pool.submitWith({ signal: controller.signal }, (n: number) => n, n)
        : pool.submit((n: number) => n, n),
  );
  controller.abort("why");
  assertEquals(await guilty.exception(), "why");
  const outcomes = await Promise.allSettled(queued);
  for (const [n, outcome] of outcomes.entries()) {
    assertEquals<unknown>(
      outcome,
      n % 2 === 0 ? { status: "rejected", reason: "why" } : { status: "fulfilled", value: n },
    );
  }
  await gate.open(0);
  assertEquals(await innocent, 0);
});

forEachPool("submitWith() with a signal for calls behind a long one does not harm that one", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await makeQuick(busy, () => pool.submit(busy, 0));
  for (let round = 0; round < 5; round++) {
    const controllers = [new AbortController(), new AbortController()];
    const long = pool.submit(busy, 30);
    const behind = [0, 1, 0, 1].map((n) => pool.submitWith({ signal: controllers[n]!.signal }, busy, 0));
    const last = pool.submit(busy, 0);
    for (let n = 0; n < round; n++) await new Promise((resolve) => setTimeout(resolve));
    controllers[1]!.abort("one");
    await Promise.resolve();
    controllers[0]!.abort("zero");
    assertEquals(await long, 30);
    assertEquals(await last, 0);
    for (const future of behind) await future.exception();
  }
});

forEachPool(
  "submitWith() with timeout rejects a running call with TimeoutError, and no other call is lost",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await pool.submit(() => 0);
    const late = pool.submitWith({ timeout: 20 }, spin);
    const others = [1, 2, 3].map((n) => pool.submit((n: number) => n, n));
    const error = await late.exception();
    assertInstanceOf(error, TimeoutError);
    assert(error.message.includes("20 ms") && error.message.includes("spin"), error.message);
    assertEquals(await Promise.all(others), [1, 2, 3]);
  },
);

forEachPool("submitWith() with timeout counts from the start of the call, not from its submission", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  const first = pool.submit(hold, gate.port, 0);
  const second = pool.submitWith({ timeout: 5_000 }, (x: number) => x, 1);
  const tight = pool.submitWith({ timeout: 1_000 }, (x: number) => x, 2);
  await gate.started(0);
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // longer than the limit of a call that waits
  assertEquals([second.done(), tight.done()], [false, false]);
  await gate.open(0);
  assertEquals([await first, await second, await tight], [0, 1, 2]);
});

forEachPool("submitWith() with timeout leaves a call alone that ends in time, and its time", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await pool.submitWith({ timeout: 60_000 }, (x: number) => x, 1), 1);
  assertEquals(await pool.submitWith({ timeout: { days: 40 } }, busy, 20), 20);
  assertEquals(await pool.submitWith({ timeout: null }, (x: number) => x, 1), 1);
  assertEquals(await pool.submitWith({ timeout: Infinity }, busy, 5), 5);
});

forEachPool("submitWith() with timeout works for call after call of a batch", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const maybe = (n: number) => {
    while (n % 10 === 9) checkCancelled();
    return n;
  };
  await Promise.all(Array.from({ length: 100 }, () => pool.submit(maybe, 0)));
  const futures = Array.from(
    { length: 30 },
    (_, n) => pool.submitWith({ timeout: n % 10 === 9 ? 20 : 60_000 }, maybe, n),
  );
  for (const [n, future] of futures.entries()) {
    if (n % 10 === 9) assertInstanceOf(await future.exception(), TimeoutError);
    else assertEquals(await future, n);
  }
});

for (const timeout of [NaN, -1, { years: 1 }]) {
  forEachPool(`submitWith() refuses the timeout ${Deno.inspect(timeout)}`, async (kind) => {
    await using pool = kind.create();
    assertThrows(() => pool.submitWith({ timeout }, () => 1), RangeError, "timeout");
  });
}

forEachPool("submitWith() refuses a timeout that is no length of time", async (kind) => {
  await using pool = kind.create();
  for (const timeout of ["5", true, 5n]) {
    assertThrows(() => pool.submitWith({ timeout: timeout as never }, () => 1), TypeError, "timeout");
  }
});

poolTest("ProcessPoolExecutor.submitWith() with timeout kills a loop without end", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const before = await pool.submit(() => Deno.pid);
  const future = pool.submitWith({ timeout: 200 }, () => {
    while (true);
  });
  assertInstanceOf(await future.exception(), TimeoutError);
  const after = await pool.submit(() => Deno.pid);
  assert(before !== after);
  // A process that is gone cannot be signalled.
  const start = performance.now();
  while (isAlive(before)) {
    assert(performance.now() - start < 5000, "the child lives on");
    await new Promise((resolve) => setTimeout(resolve));
  }
});

poolTest("ProcessPoolExecutor.submitWith() with a signal kills a loop without end", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const before = await pool.submit(() => Deno.pid);
  const controller = new AbortController();
  const started = Promise.withResolvers<unknown>();
  const future = pool.submitWith({ signal: controller.signal, onProgress: started.resolve }, () => {
    reportProgress("started");
    while (true);
  });
  await started.promise;
  controller.abort("why");
  assertEquals(await future.exception(), "why");
  assert(before !== await pool.submit(() => Deno.pid));
});

function isAlive(pid: number): boolean {
  try {
    Deno.kill(pid, 0 as never);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return isAliveByShell(pid);
    return false;
  }
}

function isAliveByShell(pid: number): boolean {
  return new Deno.Command("sh", { args: ["-c", `kill -0 ${pid}`], stdout: "null", stderr: "null" }).outputSync()
    .success;
}

// -- What the task sees

poolTest(
  "checkCancelled() throws CancelledError in a thread whose call was given up, and does nothing before",
  async () => {
    using _gate = new Gate(); // what is given up does not keep the program alive; a listener does
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const state = new Int32Array(new SharedArrayBuffer(12));
    const controller = new AbortController();
    const future = pool.submitWith({ signal: controller.signal }, (state: Int32Array) => {
      checkCancelled();
      Atomics.store(state, 0, 1);
      Atomics.notify(state, 0);
      try {
        while (true) checkCancelled();
      } catch (error) {
        Atomics.store(state, 1, (error as Error).name === "CancelledError" ? 1 : 2);
        Atomics.store(state, 2, 1);
        Atomics.notify(state, 2);
      }
    }, state);
    await Atomics.waitAsync(state, 0, 0).value;
    controller.abort();
    await assertRejects(() => future.result(), DOMException);
    await Atomics.waitAsync(state, 2, 0).value;
    assertEquals(state[1], 1);
  },
);

poolTest("checkCancelled() of one call does not tell the next one", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  await pool.submitWith({ timeout: 10 }, spin).exception();
  assertEquals(
    await pool.submit(() => {
      checkCancelled();
      return taskSignal().aborted;
    }),
    false,
  );
});

poolTest("taskSignal() aborts with CancelledError in a thread whose call was given up", async () => {
  using _gate = new Gate(); // what is given up does not keep the program alive; a listener does
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const state = new Int32Array(new SharedArrayBuffer(12));
  const controller = new AbortController();
  const future = pool.submitWith({ signal: controller.signal }, async (state: Int32Array) => {
    const signal = taskSignal();
    if (signal !== taskSignal()) throw new Error("one call has one signal");
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve());
    Atomics.store(state, 0, 1);
    Atomics.notify(state, 0);
    await promise;
    Atomics.store(state, 1, signal.reason.name === "CancelledError" ? 1 : 2);
    Atomics.store(state, 2, 1);
    Atomics.notify(state, 2);
  }, state);
  await Atomics.waitAsync(state, 0, 0).value;
  controller.abort("why");
  assertEquals(await future.exception(), "why");
  await Atomics.waitAsync(state, 2, 0).value;
  assertEquals(state[1], 1);
});

forEachPool("submit() gives each call a taskSignal() of its own", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const look = () => {
    const scope = globalThis as { signals?: Set<AbortSignal> };
    scope.signals ??= new Set();
    scope.signals.add(taskSignal());
    checkCancelled();
    return scope.signals.size;
  };
  assertEquals([await pool.submit(look), await pool.submit(look)], [1, 2]);
});

forEachPool("submit() of an importable function has checkCancelled() and taskSignal() by import", async (kind) => {
  const { looksAtItself } = await import("./fixtures/context.ts");
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await pool.submit(looksAtItself), [false, true]);
});

Deno.test("checkCancelled() does nothing outside of a task", () => {
  assertEquals(checkCancelled(), undefined);
});

Deno.test("taskSignal() never aborts outside of a task", () => {
  assertEquals(taskSignal().aborted, false);
});

poolTest("ThreadPoolExecutor.submitWith() waits at shutdown for no thread that was given up", async () => {
  const pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const future = pool.submitWith({ timeout: 20 }, (stop: Int32Array) => {
    while (Atomics.load(stop, 0) === 0);
  }, stop);
  assertInstanceOf(await future.exception(), TimeoutError);
  await pool.shutdown();
  Atomics.store(stop, 0, 1); // lets the thread go that nobody could stop
});

/** Keeps a thread busy outside of any call, so that what it is handed has not started; gives what lets it go. */
async function block(pool: ThreadPoolExecutor): Promise<() => void> {
  const state = new Int32Array(new SharedArrayBuffer(8));
  await pool.submit((state: Int32Array) => {
    setTimeout(() => {
      Atomics.store(state, 0, 1);
      Atomics.notify(state, 0);
      Atomics.wait(state, 1, 0);
    });
  }, state);
  const alive = setInterval(() => {}, 1000); // as neither an idle pool nor waitAsync() keeps the program alive
  await Atomics.waitAsync(state, 0, 0).value;
  clearInterval(alive);
  return () => {
    Atomics.store(state, 1, 1);
    Atomics.notify(state, 1);
  };
}

/** Lets pass the microtasks in which calls are handed out. */
async function handedOut(): Promise<void> {
  for (let n = 0; n < 5; n++) await Promise.resolve();
}

for (const how of ["cancelled", "aborted"]) {
  poolTest(
    `ThreadPoolExecutor.submitWith() with timeout holds for a call behind one that is ${how} before it started`,
    async () => {
      await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
      const maybe = (hang: boolean) => {
        // Ends in the end, or a time limit that is lost would hold up the tests for ever.
        const end = performance.now() + 10_000;
        while (hang && performance.now() < end) checkCancelled();
      };
      await makeQuick(maybe, () => pool.submit(maybe, false));
      const open = await block(pool);
      const controller = new AbortController();
      const first = pool.submitWith({ signal: controller.signal }, maybe, false);
      const second = pool.submitWith({ timeout: 20 }, maybe, true);
      await handedOut();
      if (how === "cancelled") assertEquals(first.cancel(), true);
      else controller.abort("why");
      assert(first.done());
      open();
      await first.exception().catch(() => {});
      const error = await second.exception();
      assertInstanceOf(error, TimeoutError);
      assert(error.message.includes("20 ms"), error.message);
    },
  );
}

/** Waits at a gate, or comes back at once: a function that the pool takes for a quick one. */
const holdOr = async (port: number, id: number) => {
  if (port === 0) return id;
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new Uint8Array(Int32Array.of(id).buffer));
  await connection.read(new Uint8Array(1)).catch(() => null);
  connection.close();
  return id;
};

forEachPool(
  "submitWith() with a signal for a call behind a long one harms neither it nor its worker, though the program is busy",
  async (kind) => {
    using gate = new Gate();
    await using pool = kind.create({ maxWorkers: 1 });
    await Promise.all(Array.from({ length: 300 }, (_, n) => pool.submit(holdOr, 0, n)));
    await pool.submit(() => (globalThis as { mark?: string }).mark = "the same worker");
    const controller = new AbortController();
    const long = pool.submit(holdOr, gate.port, 0);
    const behind = pool.submitWith({ signal: controller.signal }, holdOr, 0, 1);
    await handedOut();
    controller.abort("why");
    busy(80); // longer than a child has to answer
    assertEquals(await behind.exception(), "why");
    const next = pool.submit(() => (globalThis as { mark?: string }).mark);
    await gate.started(0);
    assertEquals([long.running(), next.done()], [true, false]);
    await gate.open(0);
    assertEquals(await long, 0);
    assertEquals(await next, "the same worker");
  },
);

poolTest(
  "ThreadPoolExecutor.submitWith() with a signal leaves what it takes back to be cancelled at once",
  async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const state = new Int32Array(new SharedArrayBuffer(12));
    const task = (state: Int32Array, wait: boolean) => {
      Atomics.add(state, 2, 1);
      if (!wait) return;
      Atomics.store(state, 0, 1);
      Atomics.notify(state, 0);
      Atomics.wait(state, 1, 0);
    };
    await makeQuick(task, () => pool.submit(task, state, false));
    state[2] = 0;
    const controller = new AbortController();
    const running = pool.submitWith({ signal: controller.signal }, task, state, true);
    const behind = pool.submit(task, state, false);
    await Atomics.waitAsync(state, 0, 0).value;
    controller.abort("why");
    assertEquals([behind.cancel(), behind.cancelled()], [true, true]);
    assertEquals(await running.exception(), "why");
    Atomics.store(state, 1, 1);
    Atomics.notify(state, 1);
    assertEquals(await pool.submit((x: number) => x, 1), 1);
    assertEquals(state[2], 1);
  },
);

forEachPool(
  "submitWith() with timeout does not count the import of a module that the pool knew before",
  async (kind) => {
    const { half } = fromModule<typeof import("./fixtures/slow.ts")>(fixture("slow.ts"));
    await using pool = kind.create({ maxWorkers: 1 });
    assertEquals(await pool.submitWith({ timeout: 200 }, half, 4), 2);
  },
);

forEachPool("submitWith() with timeout ends a worker that does not come to the call", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await pool.submit(() => {
    // It keeps the worker busy when the call is over.
    setTimeout(() => {
      // A thread burns on, so not for ever.
      for (const end = performance.now() + 1000; performance.now() < end;);
    }, 0);
  });
  let error: unknown = null;
  // The first of them may come before the timer.
  while (error === null) error = await pool.submitWith({ timeout: 200 }, () => 1).exception();
  assertInstanceOf(error, TimeoutError);
  assertEquals(await pool.submitWith({ timeout: 10_000 }, (x: number) => x, 5), 5);
  assertEquals(pool.statistics().workersStarted, 2);
});

forEachPool(
  "submitWith() with timeout and retries runs a call elsewhere to which its worker does not come",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await pool.submit(() => {
      setTimeout(() => {
        for (const end = performance.now() + 1000; performance.now() < end;);
      }, 0);
    });
    const results = [];
    for (let n = 0; n < 3; n++) {
      const call = pool.submitWith(
        { timeout: 300, retries: 1, retryOn: (error) => error instanceof TimeoutError },
        () => 1,
      );
      results.push(await call);
    }
    assertEquals(results, [1, 1, 1]);
  },
);
