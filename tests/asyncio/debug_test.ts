import { assert, assertEquals, assertThrows } from "@std/assert";
import { EventLoop, run, sleep } from "../../lib/asyncio/mod.ts";
import { reportsOf, runProgram, virtualLoop } from "./_helpers.ts";
import { neverAwaited } from "./_kinds.ts";

/** What `body` prints as warnings. */
async function warningsOf(body: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = [];
  const { warn } = console;
  console.warn = (message) => void warnings.push(message);
  try {
    await body();
  } finally {
    console.warn = warn;
  }
  return warnings;
}

function spin(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end;);
}

const HERE = "debug_test.ts";

Deno.test("EventLoop.debug shows where a future, a task and a handle were made", async () => {
  using loop = virtualLoop({ debug: true });
  const task = loop.createTask(sleep(0));
  for (const made of [loop.createFuture(), task, loop.callSoon(() => {}), loop.callLater(1, () => {})]) {
    const text = String(made);
    assert(text.includes("created at") && text.includes(HERE), text);
    assert(!text.includes("lib/asyncio/"), text);
    assert(!/created at\s+at /.test(text), text);
  }
  await loop.runUntilComplete(task);
});

Deno.test("EventLoop without debug shows no places", async () => {
  using loop = virtualLoop();
  const task = loop.createTask(sleep(0));
  for (const made of [loop.createFuture(), task, loop.callSoon(() => {})]) assert(!String(made).includes(HERE));
  await loop.runUntilComplete(task);
});

Deno.test("EventLoop.debug shows the callback of a handle that was cancelled", () => {
  using loop = virtualLoop({ debug: true });
  const handle = loop.callSoon(function given() {});
  handle.cancel();
  assert(String(handle).includes("given()"), String(handle));
});

Deno.test("EventLoop.debug tells where the future of an exception that nobody retrieved was made", () => {
  const loop = virtualLoop({ debug: true });
  const reports = reportsOf(loop);
  loop.createFuture().setException(new Error("unseen"));
  loop.close();
  assert(reports[0]!.message.includes(HERE), reports[0]!.message);
});

Deno.test("EventLoop.debug warns of a slow callback and of a slow step of a task", async () => {
  using loop = new EventLoop({ debug: true });
  loop.slowCallbackDuration = 5;
  const printed = await warningsOf(() =>
    loop.runUntilComplete(async () => {
      loop.callSoon(function slow() {
        spin(6);
      });
      await sleep(0);
      await loop.createTask(
        function* () {
          spin(6);
        }(),
        { name: "slow task" },
      );
    })
  );
  // On a machine that is busy, other steps may be slow as well.
  const warnings = printed.filter((warning) => warning.includes("slow"));
  assertEquals(warnings.length, 2, printed.join("\n"));
  assert(/^Executing <Handle slow\(\).* took \d+ ms$/s.test(warnings[0]!), warnings[0]);
  assert(warnings[1]!.includes("slow task"), warnings[1]);
});

Deno.test("EventLoop.debug is silent about callbacks below the limit", async () => {
  using loop = new EventLoop({ debug: true });
  loop.slowCallbackDuration = 60_000;
  assertEquals(await warningsOf(() => loop.runUntilComplete(() => (spin(6), sleep(0)))), []);
});

Deno.test("run() takes debug", async () => {
  const text = await run(async () => await sleep(0, String(new EventLoop({ debug: true }))), { debug: true });
  assert(text.includes("debug=true"));
});

Deno.test("EventLoop.debug warns of coroutines that were never awaited, and of no others", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    const loop = new asyncio.EventLoop({ debug: true });
    const make = (name) => asyncio.coroutine(Object.defineProperty(async () => {}, "name", { value: name }));
    (() => {
      make("forgotten")();
      make("closed")().close();
    })();
    await loop.runUntilComplete(make("awaited")());
    const { promise, resolve } = Promise.withResolvers();
    console.warn = (message) => { console.log(message); resolve(); };
    const tries = setInterval(gc, 1);
    await promise;
    clearInterval(tries);
  `,
    ["--v8-flags=--expose-gc"],
  );
  assertEquals([code, stdout, stderr], [0, "Coroutine forgotten() was never awaited\n", ""]);
});

Deno.test("Future exceptions that nobody retrieved are reported when it is collected", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    const loop = new asyncio.EventLoop();
    const unseen = new Error("unseen");
    const { promise, resolve } = Promise.withResolvers();
    loop.setExceptionHandler((_, context) => {
      console.log(context.message, "|", context.exception.message);
      resolve();
    });
    await loop.runUntilComplete(function* () {
      loop.createTask(function* () { throw unseen; }(), { name: "lost" });
      yield* asyncio.sleep(0);
      yield* asyncio.sleep(0);
    }());
    const tries = setInterval(gc, 1);
    await promise;
    clearInterval(tries);
    loop.close();
    console.log("closed");
  `,
    ["--v8-flags=--expose-gc"],
  );
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.length, 2, stdout);
  assert(lines[0]!.startsWith("Task exception was never retrieved") && lines[0]!.includes("lost"), lines[0]);
});

Deno.test("EventLoop prints to stderr what no handler was set for", async () => {
  const { code, stderr } = await runProgram(`
    const loop = new asyncio.EventLoop();
    loop.callSoon(function failing() { throw new RangeError("in a callback"); });
    await loop.runUntilComplete(asyncio.sleep(0));
    loop.createFuture().setException(new TypeError("unseen"));
    loop.close();
  `);
  assertEquals(code, 0);
  assert(stderr.includes("Exception in callback failing()") && stderr.includes("RangeError: in a callback"), stderr);
  assert(stderr.includes("never retrieved") && stderr.includes("TypeError: unseen"), stderr);
});

Deno.test("EventLoop.debug does not warn of coroutines that were given to a task", async () => {
  const lines = await neverAwaited(`
    await loop.runUntilComplete(asyncio.sleep(1));
    await loop.createTask(new asyncio.Lock().acquire());
    await loop.runUntilComplete(() => asyncio.gather([asyncio.sleep(1), new asyncio.Queue().put(1)]));
  `);
  assertEquals(lines, []);
});

Deno.test("EventLoop.debug does not warn of the coroutine of a task that was cancelled before it began", async () => {
  const lines = await neverAwaited(`
    const make = asyncio.coroutine(async () => {});
    await loop.runUntilComplete(async () => {
      const tasks = [make(), asyncio.sleep(1), new asyncio.Lock().acquire()].map((each) => asyncio.createTask(each));
      for (const task of tasks) task.cancel();
      await asyncio.wait(tasks);
    });
  `);
  assertEquals(lines, []);
});

Deno.test("EventLoop.debug refuses coroutine functions as callbacks, which a loop without takes", () => {
  using loop = virtualLoop({ debug: true });
  using other = virtualLoop();
  for (const fn of [async function named() {}, function* named() {}]) {
    assertThrows(
      () => loop.callSoon(fn),
      TypeError,
      "the coroutine function named with callSoon(): pass a function that",
    );
    assertThrows(() => loop.callLater(1, fn), TypeError, "with callLater()");
    assertThrows(() => loop.callAt(1, fn), TypeError, "with callAt()");
    other.callSoon(fn).cancel();
  }
});
