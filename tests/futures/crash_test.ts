import v8 from "node:v8";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { ProcessPoolExecutor, WorkerCrashedError } from "../../lib/futures/mod.ts";
import { forEachPool, Gate, hold, type PoolKind, poolTest } from "./_helpers.ts";

/** How a task can end its worker. */
const ENDS: Record<string, [body: () => unknown, check: (error: WorkerCrashedError, kind: PoolKind) => void]> = {
  "Deno.exit(7)": [() => Deno.exit(7), (error) => {
    assertEquals(error.code, 7);
    assertStringIncludes(error.message, "7");
  }],
  "Deno.exit()": [() => Deno.exit(), (error) => assertEquals(error.code, 0)],
  "process.exit(5)": [
    async () => (await import("node:process")).default.exit(5),
    (error) => assertEquals(error.code, 5),
  ],
  "self.close()": [() => {
    self.close();
    return new Promise(() => {});
  }, (error) => assertStringIncludes(error.message, "close")],
  "an error in a timer": [
    () => {
      setTimeout(() => {
        throw new RangeError("in a timer");
      });
      return new Promise(() => {});
    },
    (error, kind) => assertStringIncludes(kind.isProcess ? error.stderr : error.message, "in a timer"),
  ],
  "an unhandled rejection": [
    () => {
      Promise.reject(new RangeError("unhandled"));
      return new Promise(() => {});
    },
    (error, kind) => assertStringIncludes(kind.isProcess ? error.stderr : error.message, "unhandled"),
  ],
};

for (const [what, [body, check]] of Object.entries(ENDS)) {
  forEachPool(
    `submit() rejects with WorkerCrashedError only the call that ends its worker by ${what}`,
    async (kind) => {
      using gate = new Gate();
      await using pool = kind.create({ maxWorkers: 2 });
      const other = pool.submit(hold, gate.port, 0);
      await gate.started(0);
      const futures = [pool.submit(body), ...[1, 2, 3].map((n) => pool.submit((n: number) => n, n))];
      const error = await futures[0]!.exception();
      assertInstanceOf(error, WorkerCrashedError);
      check(error, kind);
      assertEquals(await Promise.all(futures.slice(1)), [1, 2, 3]);
      await gate.open(0);
      assertEquals(await other, 0);
      assertEquals(await pool.submit((n: number) => n, 9), 9);
    },
  );
}

forEachPool("submit() does not run again what a dying worker had been handed and may have run", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const maybe = (n: number) => {
    if (n === 50) Deno.exit(1);
    return n;
  };
  await Promise.all(Array.from({ length: 200 }, () => pool.submit(maybe, 0)));
  const futures = Array.from({ length: 200 }, (_, n) => pool.submit(maybe, n));
  const outcomes = await Promise.allSettled(futures);
  for (const [n, outcome] of outcomes.entries()) {
    if (n === 50) assertInstanceOf((outcome as PromiseRejectedResult).reason, WorkerCrashedError);
    else assertEquals<unknown>(outcome, { status: "fulfilled", value: n });
  }
});

forEachPool("submit() survives many crashes in a row", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  for (let n = 0; n < 5; n++) {
    assertInstanceOf(await pool.submit((n: number) => Deno.exit(n), n).exception(), WorkerCrashedError);
  }
  assertEquals(await pool.submit((n: number) => n, 9), 9);
});

forEachPool(`submitWith() with retries on a pool with onWorkerExit "break" runs nothing again`, async (kind) => {
  const pool = kind.create({ maxWorkers: 1, onWorkerExit: "break", retries: 3 });
  const crashing = pool.submit(() => Deno.exit(3));
  assertInstanceOf(await crashing.exception(), kind.Broken);
  assertThrows(() => pool.submit(() => 1), kind.Broken);
  const { retried, crashed } = pool.statistics();
  assertEquals([retried, crashed], [0, 1]);
  await pool.shutdown();
});

forEachPool(
  `submit() on a pool with onWorkerExit "break" fails all calls when a worker dies, as in CPython`,
  async (kind) => {
    using gate = new Gate();
    const pool = kind.create({ maxWorkers: 1, onWorkerExit: "break" });
    const running = pool.submit(async (port: number) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new Uint8Array(4));
      await connection.read(new Uint8Array(1));
      Deno.exit(3);
    }, gate.port);
    await gate.started(0);
    const queued = [1, 2, 3].map((n) => pool.submit((n: number) => n, n));
    await gate.open(0);
    const error = await running.exception();
    assertInstanceOf(error, kind.Broken);
    assertInstanceOf(error.cause, WorkerCrashedError);
    for (const future of queued) assertInstanceOf(await future.exception(), kind.Broken);
    assertThrows(() => pool.submit(() => 1), kind.Broken);
    await pool.shutdown();
  },
);

forEachPool("submit() does not mind an idle worker that dies", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(
    await pool.submit(async (port: number) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new Uint8Array(4));
      connection.read(new Uint8Array(1)).then(() => Deno.exit(3)); // not awaited: the call is over before
      return 5;
    }, gate.port),
    5,
  );
  await gate.open(0);
  let outcome: unknown;
  // The next call comes before or after the end of the worker; in the first case it may be the one that was running.
  do outcome = await pool.submit((n: number) => n, 9).result().catch((error) => error); while (
    outcome !== 9 && outcome instanceof WorkerCrashedError
  );
  assertEquals(outcome, 9);
});

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  poolTest(
    `ProcessPoolExecutor.submit() rejects with the signal when a busy child gets ${signal}, and the others run on`,
    async () => {
      using gate = new Gate();
      await using pool = new ProcessPoolExecutor({ maxWorkers: 2, permissions: { net: ["127.0.0.1"] } });
      const other = pool.submit(hold, gate.port, 0);
      await gate.started(0);
      const pid = await pool.submit(() => Deno.pid);
      const busy = pool.submit(() => {
        while (true);
      });
      const queued = pool.submit((n: number) => n, 5);
      while (!busy.running()) await new Promise((resolve) => setTimeout(resolve));
      Deno.kill(pid, signal);
      const error = await busy.exception();
      assertInstanceOf(error, WorkerCrashedError);
      assertEquals(error.signal, signal);
      assertStringIncludes(error.message, signal);
      assertEquals(await queued, 5);
      await gate.open(0);
      assertEquals(await other, 0);
      assert(pid !== await pool.submit(() => Deno.pid));
    },
  );
}

poolTest("ProcessPoolExecutor.submit() is finished by a child that gets SIGINT, which is for the program", async () => {
  using gate = new Gate();
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { net: ["127.0.0.1"] } });
  const pid = await pool.submit(() => Deno.pid);
  const held = pool.submit(hold, gate.port, 7);
  await gate.started(7);
  Deno.kill(pid, "SIGINT");
  await gate.open(7);
  assertEquals(await held, 7);
  assertEquals(await pool.submit(() => Deno.pid), pid);
});

poolTest("WorkerCrashedError carries the last lines that the child wrote to stderr", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const error = await pool.submit(() => {
    for (let n = 1; n <= 20; n++) console.error(`last words ${n}`);
    Deno.exit(4);
  }).exception();
  assertInstanceOf(error, WorkerCrashedError);
  assertEquals(error.code, 4);
  assertStringIncludes(error.stderr, "last words 20\n");
  assertStringIncludes(error.message, "last words 20");
});

poolTest(
  "WorkerCrashedError says what a task threw that nobody caught, however long and coloured the stack is",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, env: { FORCE_COLOR: "1" } });
    const error = await pool.submit(async () => {
      setTimeout(() => {
        const deep = (n: number): never => {
          if (n > 0) return deep(n - 1);
          throw new Error("thrown in a timer");
        };
        deep(9);
      });
      await new Promise(() => {});
    }).exception();
    assertInstanceOf(error, WorkerCrashedError);
    assertStringIncludes(error.message, "stderr:\nerror: Uncaught");
    assertStringIncludes(error.message, "Error: thrown in a timer");
  },
);

// -- What does a worker no harm

forEachPool("submit() runs on after a task that dispatched messages itself, which it hears", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const heard = pool.submit(() => {
    const heard: string[] = [];
    const listener = (event: Event) => heard.push(event.type);
    for (const type of ["message", "messageerror"]) {
      self.addEventListener(type, listener);
      for (const data of [null, "hello", ["exit"], ["run", 1, []], ["abandon", 0]]) {
        self.dispatchEvent(new MessageEvent(type, { data }));
      }
      self.removeEventListener(type, listener);
    }
    return heard;
  });
  assertEquals(await heard, [...Array(5).fill("message"), ...Array(5).fill("messageerror")]);
  assertEquals(await pool.submit((x: number) => x + 1, 1), 2);
  assertEquals(pool.statistics().workersStarted, 1);
});

forEachPool("submit() runs on after a task that set self.onmessage", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const heard = await pool.submit(() => {
    const scope = self as unknown as { onmessage: unknown; heard: unknown[] };
    scope.heard = [];
    scope.onmessage = (event: MessageEvent) => scope.heard.push(event.data);
    self.addEventListener("message", (event) => scope.heard.push(event));
    return 1;
  });
  assertEquals(heard, 1);
  assertEquals(await pool.submit((n: number) => n, 2), 2);
  assertEquals(await pool.submit(() => (self as unknown as { heard: unknown[] }).heard.length), 0);
});

forEachPool(
  "submit() rejects with an error when a task calls self.postMessage(), and the pool goes on",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await pool.submit(() => (globalThis as { mark?: number }).mark = 5);
    for (
      const message of [["result", 999, 0, 1], ["error"], ["broken", { kind: "value", value: 1 }], ["ready"], 5, null]
    ) {
      const error = await pool.submit((message: unknown) => {
        (self as unknown as { postMessage(message: unknown): void }).postMessage(message);
      }, message).exception();
      assertInstanceOf(error, TypeError);
      assertStringIncludes(error.message, "return the value");
    }
    assertEquals(await pool.submit(() => (globalThis as { mark?: number }).mark), 5, "the worker lives");
  },
);

type Resolve = (value: unknown) => void;

for (
  const [what, body, expected] of [
    ["is plain", () => ({ then: (resolve: Resolve) => resolve(5) }), 5],
    ["has a getter that throws", () => ({
      get then() {
        throw new RangeError("in the getter");
      },
    }), "RangeError: in the getter"],
    ["is a function", () => Object.assign(() => 1, { then: (resolve: Resolve) => resolve(3) }), 3],
    ["calls back twice", () => ({
      then(resolve: Resolve, reject: Resolve) {
        resolve(1);
        resolve(2);
        reject(new Error("after"));
      },
    }), 1],
    ["rejects", () => ({ then: (_: Resolve, reject: Resolve) => reject(new RangeError("no")) }), "RangeError: no"],
    ["throws", () => ({
      then() {
        throw new RangeError("in then");
      },
    }), "RangeError: in then"],
    [
      "gives another one",
      () => ({ then: (resolve: Resolve) => resolve({ then: (resolve: Resolve) => resolve(7) }) }),
      7,
    ],
  ] as [string, () => unknown, unknown][]
) {
  forEachPool(`submit() of a function whose thenable ${what} settles as await does, each time`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await pool.submit(() => (globalThis as { mark?: number }).mark = 5);
    for (let n = 0; n < 2; n++) {
      assertEquals(await pool.submitWith({ timeout: 10_000 }, body).result().catch(String), expected);
      assertEquals(
        await Array.fromAsync(pool.map(body, [1, 2], { chunksize: 2 })).catch(String),
        typeof expected === "string" ? expected : [expected, expected],
      );
    }
    assertEquals(await pool.submit(() => (globalThis as { mark?: number }).mark), 5, "the worker lives");
  });
}

poolTest(
  "ProcessPoolExecutor.submit() fails with its exit code if a listener to the end of the task never ends",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const error = await pool.submit(() => {
      addEventListener("unload", () => {
        while (true);
      });
      Deno.exit(3);
    }).exception();
    assertInstanceOf(error, WorkerCrashedError);
    assertStringIncludes(error.message, "Deno.exit(3)");
    assertEquals(await pool.submit(() => 1), 1);
  },
);

poolTest("ProcessPoolExecutor.submit() shows a task a stdin at its end, and the next call runs", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const pid = await pool.submit(() => Deno.pid);
  assertEquals(
    await pool.submitWith({ timeout: 10_000 }, async () => {
      const buffer = new Uint8Array(65536);
      const whole = await Array.fromAsync(Deno.stdin.readable);
      return [await Deno.stdin.read(buffer), Deno.stdin.readSync(buffer), whole.length];
    }),
    [null, null, 0],
  );
  // A read that nobody waits for takes nothing from the next call either.
  await pool.submit(() => void Deno.stdin.read(new Uint8Array(65536)));
  assertEquals(await pool.submitWith({ timeout: 10_000 }, () => Deno.pid), pid);
});

// -- A child that forges what it sends

/** Packets, and what is printed before them. */
interface Forged {
  readonly printed?: readonly number[];
  readonly channel?: number;
  readonly last?: boolean;
  readonly bodies: readonly (readonly number[])[];
}

/** The packet of a message, blown up to at least the length of the one whose place it takes. */
function forgedMessage(message: readonly unknown[]): Forged {
  return { bodies: [[...new TextEncoder().encode(`\x01${JSON.stringify(message)}${" ".repeat(50)}`)]] };
}

/** A task that sends `forged` in place of the packet of its result. */
function forge({ printed = [], channel = 0, last = true, bodies }: Forged): number {
  const proto = Object.getPrototypeOf(Uint8Array.prototype) as { subarray: Uint8Array["subarray"] };
  const { subarray } = proto;
  proto.subarray = function (this: Uint8Array<ArrayBuffer>, start?: number, end?: number) {
    // Only what writes the packets has a buffer of this size, and the key is at its start.
    if (this.length !== 4096 && this.length !== 512) return subarray.call(this, start, end) as Uint8Array<ArrayBuffer>;
    proto.subarray = subarray;
    const key = this.slice(0, 16);
    const packet = (body: readonly number[]) => [
      ...key,
      channel,
      last ? 1 : 0,
      body.length & 255,
      body.length >> 8,
      ...body,
      10,
    ];
    return Uint8Array.from([...printed, ...bodies.flatMap(packet)]);
  };
  return 1;
}

const text = (text: string) => [...new TextEncoder().encode(text)];

const FORGED: Record<string, Forged> = {
  "the outcome of a later call": forgedMessage(["result", 2, 0, 5]),
  "the outcome of a call that it never had": forgedMessage(["result", 999, 0, 5]),
  "the outcome of a call without a number": forgedMessage(["result", null, 0, 5]),
  "an error that is none": forgedMessage(["error", 0, 0, { kind: "other" }]),
  "an error with parts that are none": forgedMessage(["error", 0, 0, { kind: "error", properties: 5 }]),
  "that its initializer threw": forgedMessage(["broken", { kind: "value", value: 5 }]),
  "that it is ready, twice": forgedMessage(["ready"]),
  "a value of a call that is no stream": forgedMessage(["yield", 0, 5]),
  "a value of a call that it does not run": forgedMessage(["yield", 1, 5]),
  "the progress of a call that it does not run": forgedMessage(["progress", 1, 5]),
  "an unknown message": forgedMessage(["unknown"]),
  "bytes that are no message": { bodies: [new Array(50).fill(3)] },
  "a packet on channel 7": { ...forgedMessage(["result", 0, 0, 5]), channel: 7 },
  "packets without a last one and content": { last: false, bodies: [[], [], [], []] },
  "an answer without end": { channel: 1, last: false, bodies: new Array(20).fill(new Array(4000).fill(3)) },
  "an answer that is none": { channel: 1, bodies: [new Array(50).fill(3)] },
  "that it returns calls that it never had": {
    channel: 1,
    bodies: [text(`{ "running": null, "returned": [999, 1000, 1001, 1002] }`)],
  },
};

for (const [what, forged] of Object.entries(FORGED)) {
  poolTest(`ProcessPoolExecutor.submit() rejects only the call whose child sends ${what}`, async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const futures = [pool.submit(forge, forged), ...[1, 2, 3].map((n) => pool.submit((n: number) => n, n))];
    const error = await futures[0]!.exception();
    assertInstanceOf(error, WorkerCrashedError);
    assertStringIncludes(error.message, "sent ");
    assertEquals(await Promise.all(futures.slice(1)), [1, 2, 3]);
  });
}

poolTest(
  "ProcessPoolExecutor.submit() passes on what a child prints in one go with something that is no packet",
  async () => {
    const { write } = Deno.stdout;
    let output = "";
    Deno.stdout.write = (bytes) => {
      output += new TextDecoder().decode(bytes);
      return Promise.resolve(bytes.length);
    };
    try {
      await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
      const forged = { ...forgedMessage(["result", 0, 0, 5]), channel: 7, printed: text("last words\n") };
      assertInstanceOf(await pool.submit(forge, forged).exception(), WorkerCrashedError);
    } finally {
      Deno.stdout.write = write;
    }
    assertEquals(output, "last words\n");
  },
);

poolTest(
  "ProcessPoolExecutor.submit() loses no call behind one whose child sends the outcome of a later one",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    // The pool takes the function for a quick one, so the child has all of the calls when it forges.
    const maybe = new Function("forged", `return forged === null ? 1 : (${forge})(forged);`) as (
      forged: Forged | null,
    ) => number;
    await Promise.all(Array.from({ length: 300 }, () => pool.submit(maybe, null)));
    const later = forgedMessage(["result", 302, 0, 5]);
    const futures = [later, null, null, null].map((forged) => pool.submit(maybe, forged));
    assertInstanceOf(await futures[0]!.exception(), WorkerCrashedError);
    assertEquals(await Promise.all(futures.slice(1)), [1, 1, 1]);
  },
);

poolTest("ProcessPoolExecutor.submit() learns nothing from a duration that is no number", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  for (const duration of [5n, "5", NaN, -1, {}]) {
    const serializer = new v8.Serializer();
    serializer.writeHeader();
    serializer.writeValue(["result", 0, duration, "x".repeat(100)]);
    await using own = new ProcessPoolExecutor({ maxWorkers: 1 });
    const forged = { bodies: [[2, ...serializer.releaseBuffer()]] };
    assertEquals<unknown>(await own.submit(forge, forged), "x".repeat(100));
    // What was learned is of the function, whatever the pool.
    assertEquals(await Promise.all([1, 2, 3].map(() => pool.submit(forge, forged).cancel())), [true, true, true]);
    assertEquals(await own.submit((n: number) => n, 9), 9);
  }
});

poolTest(
  "ProcessPoolExecutor.map() throws when a child sends null as the results of a chunk, and goes on",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    let thrown: unknown;
    await Array.fromAsync(pool.map(forge, [forgedMessage(["result", 0, 0, null])], { chunksize: 2 }))
      .catch((error) => thrown = error);
    assertInstanceOf(thrown, Error);
    assertEquals(await pool.submit((n: number) => n, 9), 9);
  },
);
