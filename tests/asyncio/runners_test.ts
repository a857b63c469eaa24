import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  CancelledError,
  ContextVar,
  copyContext,
  createTask,
  currentTask,
  type EventLoop,
  type ExceptionContext,
  getRunningLoop,
  KeyboardInterrupt,
  run,
  Runner,
  RuntimeError,
  sleep,
  SystemExit,
  type Task,
} from "../../lib/asyncio/mod.ts";
import { reportsOf, runProgram, startProgram, virtualLoop } from "./_helpers.ts";

const loopFactory = (): EventLoop => virtualLoop();

Deno.test("run() takes each kind of awaitable", async () => {
  const options = { loopFactory };
  assertEquals(await run(sleep(1, "coroutine"), options), "coroutine");
  assertEquals(
    await run(
      (function* () {
        yield* sleep(1);
        return "generator";
      })(),
      options,
    ),
    "generator",
  );
  assertEquals(await run(async () => await sleep(1, "async"), options), "async");
  assertEquals(await run(() => sleep(1, "function"), options), "function");
  assertEquals(await run(Promise.resolve("promise"), options), "promise");
});

Deno.test("run() rejects with what main throws, as it is", async () => {
  const error = new RangeError("thrown");
  assertStrictEquals(await assertRejects(() => run(() => Promise.reject(error), { loopFactory })), error);
});

Deno.test("run() closes its loop, which it has made", async () => {
  let loop: EventLoop;
  await run(async () => {
    loop = getRunningLoop();
    await sleep(0);
  });
  assert(loop!.isClosed() && !loop!.isRunning());
});

Deno.test("run() cancels what is left, waits for its cleanup, and reports its errors", async () => {
  const log: string[] = [];
  const reports: ExceptionContext[] = [];
  await run(async () => {
    getRunningLoop().setExceptionHandler((_, context) => reports.push(context));
    createTask(function* () {
      try {
        yield* sleep(1000);
      } finally {
        yield* sleep(5);
        log.push(`cleaned at ${getRunningLoop().time()}`);
      }
    }());
    createTask(async () => {
      try {
        await sleep(1000);
      } catch {
        throw new Error("at the end");
      }
    });
    await sleep(1);
  }, { loopFactory });
  assertEquals(log, ["cleaned at 6"]);
  assertEquals(reports.map((report) => [report.message, String(report.exception)]), [
    ["unhandled exception during asyncio.run() shutdown", "Error: at the end"],
  ]);
});

Deno.test("run() waits for the work of the default executor", async () => {
  const buffer = new Int32Array(new SharedArrayBuffer(4));
  await run(async () => {
    getRunningLoop().runInExecutor(null, (shared: Int32Array) => {
      Atomics.store(shared, 0, 1);
      return 1;
    }, buffer);
    await sleep(0);
  });
  assertEquals(buffer[0], 1);
});

Deno.test("run() cancels main when its signal aborts, with the reason", async () => {
  const controller = new AbortController();
  const error = await assertRejects(
    () =>
      run(async () => {
        getRunningLoop().callLater(5, () => controller.abort("enough"));
        await sleep(1000);
      }, { loopFactory, signal: controller.signal }),
    CancelledError,
  );
  assertEquals(error.reason, "enough");
});

Deno.test("run() with a signal that has aborted never starts main", async () => {
  let started = false;
  await assertRejects(
    () =>
      run(async () => {
        started = true;
        await sleep(1);
      }, { loopFactory, signal: AbortSignal.abort("before") }),
    CancelledError,
    "before",
  );
  assertEquals(started, false);
});

Deno.test("run() lets main catch the cancellation of its signal", async () => {
  const controller = new AbortController();
  const result = await run(function* () {
    getRunningLoop().callSoon(() => controller.abort());
    try {
      yield* sleep(1000);
    } catch {
      return yield* sleep(1, "went on");
    }
  }, { loopFactory, signal: controller.signal });
  assertEquals(result, "went on");
});

for (const Interrupt of [KeyboardInterrupt, SystemExit]) {
  Deno.test(`run() rejects with a ${Interrupt.name} of any task, after the cleanup`, async () => {
    const log: string[] = [];
    await assertRejects(
      () =>
        run(async () => {
          createTask(() => Promise.reject(new Interrupt()));
          try {
            await sleep(1000);
          } finally {
            log.push("cleaned");
          }
        }, { loopFactory: quietLoop }),
      Interrupt,
    );
    assertEquals(log, ["cleaned"]);
  });
}

/** A loop whose reports nobody reads. */
function quietLoop(): EventLoop {
  const loop = virtualLoop();
  reportsOf(loop);
  return loop;
}

Deno.test("several run() at a time do not disturb one another", async () => {
  const main = (name: string) => async () => {
    const loop = getRunningLoop();
    for (let i = 0; i < 20; i++) {
      await sleep(0);
      assertStrictEquals(getRunningLoop(), loop);
      assertEquals(currentTask()!.getName(), name);
    }
    return name;
  };
  const named = (name: string): Promise<string> =>
    run(async () => await createTask(main(name), { name }), { loopFactory });
  assertEquals(await Promise.all(["a", "b", "c"].map(named)), ["a", "b", "c"]);
});

Deno.test("run() within a run is refused, in a task and in a callback", async () => {
  await run(async () => {
    await assertRejects(() => run(sleep(1)), RuntimeError, "while a loop runs this code");
    const loop = getRunningLoop();
    const refused = loop.createFuture<unknown>();
    loop.callSoon(() => {
      run(sleep(1)).catch((error) => refused.setResult(error));
    });
    assert(await refused instanceof RuntimeError);
  }, { loopFactory });
});

Deno.test("Runner.run() shares one context among its runs, unless one is passed", async () => {
  await using runner = new Runner({ loopFactory });
  const variable = new ContextVar("variable", { default: "none" });
  const set = (value: string) => async () => {
    variable.set(value);
    await sleep(0);
  };
  const get = async (): Promise<string> => await sleep(0, variable.get());
  await runner.run(set("first"));
  assertEquals(await runner.run(get), "first");
  const context = copyContext();
  await runner.run(set("elsewhere"), { context });
  assertEquals([await runner.run(get), context.get(variable), variable.get()], ["first", "elsewhere", "none"]);
});

Deno.test("Runner leaves tasks for the next run, and close() cancels them", async () => {
  const runner = new Runner({ loopFactory });
  let task: Task<void>;
  await runner.run(async () => {
    task = createTask(sleep(1000));
    await sleep(1);
  });
  assert(!task!.done());
  await runner.run(sleep(1));
  assert(!task!.done());
  await runner.close();
  assert(task!.cancelled());
});

Deno.test("Runner.run() goes on after a run that failed", async () => {
  await using runner = new Runner({ loopFactory });
  await assertRejects(() => runner.run(() => Promise.reject(new Error("one"))), Error, "one");
  assertEquals(await runner.run(sleep(1, "two")), "two");
});

Deno.test("Runner sets debug mode as told, or leaves it to the loop", async () => {
  for (const debug of [true, false]) {
    await using runner = new Runner({ debug, loopFactory: () => virtualLoop({ debug: !debug }) });
    assertEquals(runner.getLoop().debug, debug);
  }
  await using runner = new Runner({ loopFactory: () => virtualLoop({ debug: true }) });
  assertEquals(runner.getLoop().debug, true);
});

Deno.test("run() turns the first Ctrl-C into a cancellation of main, and rejects with KeyboardInterrupt", async () => {
  const program = await startProgram(`
    try {
      await asyncio.run(async () => {
        console.log("ready");
        try {
          await asyncio.sleep(60_000);
        } catch (error) {
          console.log(error.name, asyncio.currentTask().cancelling());
          await asyncio.sleep(1);
          throw error;
        } finally {
          console.log("cleaned");
        }
      });
    } catch (error) {
      console.log("end:", error.name);
    }
  `);
  await program.printed("ready");
  program.child.kill("SIGINT");
  const { code, signal, stdout, stderr } = await program.ended();
  assertEquals([code, signal, stderr], [0, null, ""]);
  assertEquals(stdout, "ready\nCancelledError 1\ncleaned\nend: KeyboardInterrupt\n");
});

Deno.test("run() gives the result of a main that goes on after Ctrl-C", async () => {
  const program = await startProgram(`
    const result = await asyncio.run(function* () {
      console.log("ready");
      try {
        yield* asyncio.sleep(60_000);
      } catch {
        asyncio.currentTask().uncancel();
        return yield* asyncio.sleep(1, "went on");
      }
    });
    console.log(result);
  `);
  await program.printed("ready");
  program.child.kill("SIGINT");
  const { code, stdout, stderr } = await program.ended();
  assertEquals([code, stdout, stderr], [0, "ready\nwent on\n", ""]);
});

Deno.test("run() rejects with KeyboardInterrupt after Ctrl-C when main waits for the host", async () => {
  const program = await startProgram(`
    try {
      await asyncio.run(async () => {
        console.log("ready");
        await new Promise(() => {});
      });
    } catch (error) {
      console.log("end:", error.name);
    }
  `);
  await program.printed("ready");
  program.child.kill("SIGINT");
  const { code, stdout, stderr } = await program.ended();
  assertEquals([code, stdout, stderr], [0, "ready\nend: KeyboardInterrupt\n", ""]);
});

Deno.test("run() rejects at once at the second Ctrl-C, and still cancels what is left", async () => {
  const program = await startProgram(`
    try {
      await asyncio.run(async () => {
        console.log("ready");
        for (let i = 1; i <= 2; i++) {
          try {
            await asyncio.sleep(60_000);
          } catch (error) {
            console.log("caught", i);
            if (i === 2) throw error;
          }
        }
      });
    } catch (error) {
      console.log("end:", error.name);
    }
  `);
  await program.printed("ready");
  program.child.kill("SIGINT");
  await program.printed("caught 1");
  program.child.kill("SIGINT");
  const { code, signal, stdout, stderr } = await program.ended();
  assertEquals([code, signal, stderr], [0, null, ""]);
  assertEquals(stdout, "ready\ncaught 1\ncaught 2\nend: KeyboardInterrupt\n");
});

Deno.test("run() takes its handler of Ctrl-C off when it ends", async () => {
  const program = await startProgram(`
    await asyncio.run(asyncio.sleep(1));
    console.log("ready");
    setTimeout(() => console.log("late"), 60_000);
  `);
  await program.printed("ready");
  program.child.kill("SIGINT");
  const { signal, stdout } = await program.ended();
  assertEquals([signal, stdout], ["SIGINT", "ready\n"]);
});

Deno.test("run() keeps the program alive while it waits, and holds nothing open after", async () => {
  const { code, stdout, stderr } = await runProgram(`
    const loop = new asyncio.EventLoop();
    loop.callLater(60_000, () => console.log("never"));
    await asyncio.run(async () => {
      const future = asyncio.getRunningLoop().createFuture();
      Deno.unrefTimer(setTimeout(() => future.setResult("woken"), 20));
      console.log(await future);
      asyncio.getRunningLoop().callLater(60_000, () => console.log("never"));
      asyncio.createTask(asyncio.sleep(60_000));
    });
    loop.createTask(asyncio.sleep(60_000));
    console.log("end");
  `);
  assertEquals([code, stdout, stderr], [0, "woken\nend\n", ""]);
});
Deno.test("run() rejects with KeyboardInterrupt at the second Ctrl-C while the loop is busy", async () => {
  const program = await startProgram(`
    let loop;
    try {
      await asyncio.run(function* () {
        loop = asyncio.getRunningLoop();
        console.log("ready");
        for (let i = 1; i <= 2; i++) {
          try {
            for (;;) yield* asyncio.sleep(0);
          } catch {
            console.log("caught", i);
          }
        }
      });
    } catch (error) {
      console.log("end:", error.name, loop.isClosed());
    }
  `);
  await program.printed("ready");
  program.child.kill("SIGINT");
  await program.printed("caught 1");
  program.child.kill("SIGINT");
  const { code, stdout, stderr } = await program.ended();
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "ready\ncaught 1\ncaught 2\nend: KeyboardInterrupt true\n");
});
