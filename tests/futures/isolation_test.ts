/** What a hostile task can do: nothing beyond its worker. */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { ProcessPoolExecutor, WorkerCrashedError } from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, poolTest, runScript } from "./_helpers.ts";

const same = (x: number): number => x;

// -- Permissions

const STEPS: Record<string, () => unknown> = {
  "reads a file of the system": () => Deno.readTextFileSync("/etc/passwd"),
  "writes a file": () => Deno.writeTextFile("/tmp/skein-isolation", "x"),
  "opens a socket": () => Deno.connect({ hostname: "127.0.0.1", port: 9 }),
  "listens": () => Deno.listen({ port: 0 }),
  "fetches": () => fetch("http://127.0.0.1:8080/"),
  "starts a program": () => new Deno.Command("/bin/true").outputSync(),
  "reads the environment": () => Deno.env.get("HOME"),
  "asks for the name of the host": () => Deno.hostname(),
  "loads a library": () => Deno.dlopen("libc.so.6", {}),
  "kills its parent": () => Deno.kill(Deno.ppid, "SIGKILL"),
  "makes a worker with more permissions": async () => {
    const worker = new Worker("data:text/javascript,postMessage(Deno.readTextFileSync('/etc/passwd'))", {
      type: "module",
    });
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Deno.errors.NotCapable(event.message));
    };
    await promise;
  },
};

for (const [what, step] of Object.entries(STEPS)) {
  poolTest(`ProcessPoolExecutor() with permissions "none" gives NotCapable to a task that ${what}`, async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: "none" });
    const futures = [pool.submit(step), pool.submit(same, 1)];
    assertInstanceOf(await futures[0]!.exception(), Deno.errors.NotCapable);
    assertEquals(await futures[1], 1);
    const { failed, completed, workersStarted } = assertAddsUp(pool.statistics());
    assertEquals({ failed, completed, workersStarted }, { failed: 1, completed: 1, workersStarted: 1 });
  });
}

Deno.test("ThreadPoolExecutor() with permissions gives NotCapable where Deno allows permissions of threads", async () => {
  const flags = ["--allow-read", "--unstable-worker-options"];
  const { code, stdout, stderr } = await runScript("thread_permissions.ts", [], flags);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "NotCapable\n1\nread\n");
});

Deno.test("ThreadPoolExecutor() with permissions ends the program where Deno does not allow them, as is documented", async () => {
  const { code, stderr } = await runScript("thread_permissions.ts", [], ["--allow-read"]);
  assertEquals(code, 70);
  assertStringIncludes(stderr, "--unstable-worker-options");
});

// -- Environment

poolTest("ProcessPoolExecutor() shows its tasks nothing of the program's environment unless it is passed", async () => {
  Deno.env.set("SKEIN_SECRET", "secret");
  try {
    const names = () => Object.keys(Deno.env.toObject());
    const DENOS = /^(DENO_|HOME|PATH|.*PROXY|NO_COLOR|NPM_CONFIG_REGISTRY|SSL_|SYSTEMROOT|TEMP|TMP|USERPROFILE|XDG_)/;
    await using pool = new ProcessPoolExecutor({
      maxWorkers: 1,
      permissions: { env: true, run: true },
      env: { SKEIN_PASSED: "passed" },
    });
    const seen = await pool.submit(names);
    assertEquals(seen.filter((name) => !DENOS.test(name)), ["SKEIN_PASSED"]);
    const printed = await pool.submit(() =>
      new TextDecoder().decode(new Deno.Command("/usr/bin/env", { stdout: "piped" }).outputSync().stdout)
    );
    assertStringIncludes(printed, "SKEIN_PASSED=passed");
    assert(!printed.includes("secret"));
    await using open = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { env: true }, env: "inherit" });
    assertEquals(await open.submit(() => Deno.env.get("SKEIN_SECRET")), "secret");
  } finally {
    Deno.env.delete("SKEIN_SECRET");
  }
});

// -- What it sends

/** Values that would change a prototype if they were merged without care. */
const POLLUTING = `{ "__proto__": { "polluted": 1 }, "constructor": { "prototype": { "polluted": 1 } } }`;

forEachPool("submit() of tasks whose results, errors and values name prototypes changes none", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const isClean = () =>
    ({} as { polluted?: number }).polluted === undefined && Object.keys(Object.prototype).length === 0;
  const result = await pool.submit((text: string) => JSON.parse(text) as object, POLLUTING);
  assertEquals(Object.getPrototypeOf(result), Object.prototype);
  await pool.submit((text: string) => ({ bytes: new Uint8Array(100), ...JSON.parse(text) as object }), POLLUTING);
  const error = await pool.submit((text: string) => {
    const error = new Error("x", { cause: JSON.parse(text) });
    for (const key of ["__proto__", "constructor", "toString"]) {
      Object.defineProperty(error, key, { value: JSON.parse(text), enumerable: true });
    }
    throw error;
  }, POLLUTING).exception();
  assertInstanceOf(error, Error);
  const seen: unknown[] = [];
  await pool.submitWith({ onProgress: (value) => seen.push(value) }, (text: string) => {
    reportProgress(JSON.parse(text));
  }, POLLUTING);
  assertEquals(seen.length, 1);
  await Array.fromAsync(pool.stream((text: string) => [JSON.parse(text) as object], POLLUTING));
  await Array.fromAsync(pool.map((text: string) => JSON.parse(text) as object, [POLLUTING], { chunksize: 2 }));
  assert(isClean());
});
declare function reportProgress(value: unknown): void;

forEachPool("submit() with maxTasksPerWorker 1 keeps what a task does to its globals from all others", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1, maxTasksPerWorker: 1 });
  const futures = [
    pool.submit(() => {
      // All that the program of the worker might use for the next call.
      for (const { prototype } of [Array, Map, Promise, Function] as unknown as { prototype: object }[]) {
        for (const key of Object.getOwnPropertyNames(prototype)) {
          try {
            if (key !== "constructor") (prototype as Record<string, unknown>)[key] = () => 666;
          } catch {
            // Not that one.
          }
        }
      }
      Math.max = () => 666;
      Object.defineProperty(Object.prototype, "length", { value: 666 });
    }),
    ...[1, 2, 3].map((n) => pool.submit((n: number) => [Math.max(n, 0), [n].map((x) => x)[0]].join(), n)),
  ];
  const [first, ...rest] = await Promise.allSettled(futures);
  // It may have broken its own worker by it, which is its own business.
  assert(first!.status === "fulfilled" || first!.reason instanceof Error);
  assertEquals(rest.map((outcome) => (outcome as PromiseFulfilledResult<unknown>).value), ["1,1", "2,2", "3,3"]);
  assert(Math.max(1, 2) === 2);
});

poolTest("ProcessPoolExecutor.submit() lets no task give the outcome of another one's call", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxTasksPerWorker: 1 });
  /** Gets at the key of the packets, and sends its own outcome and those of the calls that might come next. */
  const forge = () => {
    const proto = Object.getPrototypeOf(Uint8Array.prototype) as { subarray: Uint8Array["subarray"] };
    const { subarray } = proto;
    proto.subarray = function (this: Uint8Array<ArrayBuffer>, start?: number, end?: number) {
      if (this.length !== 4096 && this.length !== 512) {
        return subarray.call(this, start, end) as Uint8Array<ArrayBuffer>;
      }
      proto.subarray = subarray;
      const key = this.slice(0, 16);
      const bodies = [0, 1, 2, 3].map((seq) =>
        new TextEncoder().encode(`\x01${JSON.stringify(["result", seq, 0, "forged"])}`)
      );
      return Uint8Array.from(bodies.flatMap((body) => [...key, 0, 1, body.length, 0, ...body, 10]));
    };
    return "the task's own";
  };
  const futures = [pool.submit(forge), ...["a", "b", "c"].map((text) => pool.submit((text: string) => text, text))];
  assertEquals(await futures[0], "forged", "what it gives for itself is its own business");
  assertEquals(await Promise.all(futures.slice(1)), ["a", "b", "c"]);
  assertAddsUp(pool.statistics());
});

poolTest(
  "ProcessPoolExecutor.submit() ends a child that floods the pipe with more than maxResultSize, and goes on",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, maxResultSize: 2 ** 20 });
    const error = await pool.submit(() => new Uint8Array(200 * 2 ** 20)).exception();
    assertInstanceOf(error, WorkerCrashedError);
    assertEquals(await pool.submit(same, 1), 1);
  },
);

const PATH = Deno.env.get("PATH")!;

poolTest("ProcessPoolExecutor() keeps its pipe from programs that tasks start", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { run: ["cat"] }, env: { PATH } });
  await pool.submit(() => void new Deno.Command("cat", { stdout: "null" }).spawn());
  for (let n = 0; n < 50; n++) assertEquals(await pool.submit((n: number) => n, n), n);
  const read = pool.submit(async () => {
    const { stdout } = await new Deno.Command("cat", { stdin: "inherit" }).output();
    return stdout.length;
  });
  assertEquals(await read, 0);
});

poolTest("ProcessPoolExecutor() ends a worker from whose pipe a task has read, and hangs on nothing", async () => {
  await using pool = new ProcessPoolExecutor({
    maxWorkers: 1,
    permissions: { run: ["head"], env: true },
    env: { PATH },
  });
  const thief = async () => {
    const { spawn } = await import("node:child_process");
    for (let n = 0; n < 10; n++) spawn("head", ["-c", "7"], { stdio: ["inherit", "ignore", "ignore"] });
    await new Promise((resolve) => setTimeout(resolve, 100));
  };
  await pool.submit(thief);
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, (_, n) => pool.submit((n: number) => n, n).result().catch((error) => error)),
  );
  // The worker may also be found out by a call that comes later.
  outcomes.push(await pool.submit((n: number) => n, outcomes.length).result().catch((error) => error));
  for (const [n, outcome] of outcomes.entries()) if (outcome !== n) assertInstanceOf(outcome, WorkerCrashedError);
  assertEquals(await pool.submit(() => 1), 1);
});

poolTest(
  "ProcessPoolExecutor() gives tasks without permission to write nothing that is stored on the disk",
  async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const types = await pool.submit(() => [typeof caches, typeof localStorage, typeof sessionStorage]);
    assertEquals(types, ["undefined", "undefined", "undefined"]);
  },
);

poolTest("ProcessPoolExecutor.submit() of a task that asks somebody at a terminal finds nobody there", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const pid = await pool.submit(() => Deno.pid);
  const answers = await pool.submitWith({ timeout: 10_000 }, () => [prompt("name?"), confirm("sure?"), alert("so!")]);
  assertEquals(answers, [null, false, undefined]);
  assertEquals(await pool.submit(() => Deno.pid), pid);
});
