import { assertEquals, assertThrows } from "@std/assert";
import {
  ContextVar,
  copyContext,
  coroutine,
  currentTask,
  EventLoop,
  getRunningLoop,
  run,
  RuntimeError,
  sleep,
  ValueError,
} from "../../lib/asyncio/mod.ts";
import { runProgram, startProgram } from "./_helpers.ts";

Deno.test("EventLoop.addSignalHandler() calls the callback of the loop with its arguments", async () => {
  const got = await run(async () => {
    const loop = getRunningLoop();
    const future = loop.createFuture<unknown[]>();
    loop.addSignalHandler(
      "SIGUSR1",
      (a: number, b: string) => future.setResult([a, b, getRunningLoop() === loop, currentTask()]),
      1,
      "two",
    );
    Deno.kill(Deno.pid, "SIGUSR1");
    return await future;
  });
  assertEquals(got, [1, "two", true, null]);
});

Deno.test("EventLoop.addSignalHandler() wakes a loop that waits, and replaces the handler before", async () => {
  await run(async () => {
    const loop = getRunningLoop();
    const future = loop.createFuture<string>();
    loop.addSignalHandler("SIGUSR1", () => future.setResult("old"));
    loop.addSignalHandler("SIGUSR1", () => future.setResult("new"));
    loop.callLater(0, () => Deno.kill(Deno.pid, "SIGUSR1"));
    assertEquals(await future, "new");
  });
});

Deno.test("EventLoop.addSignalHandler() calls while tasks spin", async () => {
  await run(function* () {
    let got = false;
    getRunningLoop().addSignalHandler("SIGUSR1", () => got = true);
    Deno.kill(Deno.pid, "SIGUSR1");
    while (!got) yield* sleep(0);
  });
});

Deno.test("EventLoop.removeSignalHandler() says whether there was one, and takes it off", async () => {
  using loop = new EventLoop();
  assertEquals(loop.removeSignalHandler("SIGUSR2"), false);
  let calls = 0;
  loop.addSignalHandler("SIGUSR2", () => calls++);
  // Another listener, as the signal ends the program when there is none.
  const { promise, resolve } = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGUSR2", resolve);
  assertEquals(loop.removeSignalHandler("SIGUSR2"), true);
  assertEquals(loop.removeSignalHandler("SIGUSR2"), false);
  Deno.kill(Deno.pid, "SIGUSR2");
  await loop.runUntilComplete(() => promise);
  Deno.removeSignalListener("SIGUSR2", resolve);
  assertEquals(calls, 0);
});

Deno.test("EventLoop.close() takes the signal handlers off", () => {
  const loop = new EventLoop();
  loop.addSignalHandler("SIGUSR2", () => {});
  loop.close();
  assertEquals(loop.removeSignalHandler("SIGUSR2"), false);
});

Deno.test("EventLoop.addSignalHandler() refuses signals that cannot be handled", () => {
  using loop = new EventLoop();
  // As in CPython: "sig 9 cannot be caught" is a RuntimeError, "invalid signal number" a ValueError.
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    assertThrows(() => loop.addSignalHandler(signal, () => {}), RuntimeError, `"${signal}" as it cannot be caught`);
  }
  assertThrows(() => loop.addSignalHandler("SIGNOT" as Deno.Signal, () => {}), ValueError, "none of that name");
  assertThrows(() => loop.addSignalHandler(15 as unknown as Deno.Signal, () => {}), TypeError, '"SIGTERM"');
  assertEquals(loop.removeSignalHandler("SIGKILL"), false);
});

Deno.test("EventLoop.addSignalHandler() leaves nothing open when run() has ended", async () => {
  const { code, stdout, stderr } = await runProgram(`
    await asyncio.run(async () => {
      const loop = asyncio.getRunningLoop();
      const stop = loop.createFuture();
      loop.addSignalHandler("SIGUSR1", () => stop.setResult("asked to stop"));
      Deno.kill(Deno.pid, "SIGUSR1");
      console.log(await stop);
    });
  `);
  assertEquals([code, stdout, stderr], [0, "asked to stop\n", ""]);
});

Deno.test("EventLoop.addSignalHandler() refuses what is no function, coroutine functions and a closed loop", () => {
  const loop = new EventLoop();
  assertThrows(() => loop.addSignalHandler("SIGUSR2", 1 as never), TypeError, "pass a function");
  for (const fn of [async () => {}, function* () {}, coroutine(function* named() {})]) {
    assertThrows(() => loop.addSignalHandler("SIGUSR2", fn), TypeError, "pass a function that calls createTask()");
  }
  loop.close();
  assertThrows(() => loop.addSignalHandler("SIGUSR2", () => {}), RuntimeError, "closed");
});

Deno.test("EventLoop.addSignalHandler() keeps the handler before when the new one is refused", async () => {
  await run(function* () {
    const loop = getRunningLoop();
    const got = loop.createFuture<string>();
    loop.addSignalHandler("SIGUSR1", () => got.setResult("first"));
    assertThrows(() => loop.addSignalHandler("SIGUSR1", "second" as never), TypeError);
    Deno.kill(Deno.pid, "SIGUSR1");
    assertEquals(yield* got, "first");
  });
});

Deno.test("EventLoop.addSignalHandler() calls back in the context of the call, the same each time", async () => {
  // In CPython 3.13 the same program gives [1, 11] and 2: the handle has a copy of the context, made once.
  const variable = new ContextVar<number>("variable");
  const seen: number[] = [];
  const after = await run(function* () {
    const loop = getRunningLoop();
    const done = loop.createFuture<void>();
    variable.set(1);
    loop.addSignalHandler("SIGUSR1", () => {
      seen.push(variable.get());
      variable.set(variable.get() + 10);
      if (seen.length === 2) done.setResult();
      else Deno.kill(Deno.pid, "SIGUSR1");
    });
    variable.set(2);
    Deno.kill(Deno.pid, "SIGUSR1");
    yield* done;
    return variable.get();
  });
  assertEquals([seen, after], [[1, 11], 2]);
  assertEquals(copyContext().has(variable), false);
});

Deno.test("EventLoop.addSignalHandler() of two loops that run at once calls both", async () => {
  using one = new EventLoop();
  using two = new EventLoop();
  const got: string[] = [];
  const listen = (loop: EventLoop, name: string) =>
    loop.runUntilComplete(function* () {
      const signalled = loop.createFuture<void>();
      loop.addSignalHandler("SIGUSR1", () => {
        got.push(name);
        signalled.setResult();
      });
      ready[name]!.resolve();
      yield* signalled;
    });
  const ready: Record<string, PromiseWithResolvers<void>> = {
    one: Promise.withResolvers<void>(),
    two: Promise.withResolvers<void>(),
  };
  const runs = [listen(one, "one"), listen(two, "two")];
  await ready.one!.promise;
  await ready.two!.promise;
  Deno.kill(Deno.pid, "SIGUSR1");
  await Promise.all(runs);
  assertEquals(got.sort(), ["one", "two"]);
});

Deno.test("EventLoop.addSignalHandler() for SIGINT takes the place of what run() does, until it is removed", async () => {
  const program = await startProgram(`
    try {
      await asyncio.run(function* () {
        const loop = asyncio.getRunningLoop();
        const first = loop.createFuture();
        loop.addSignalHandler("SIGINT", () => first.setResult("the handler"));
        console.log("listening");
        console.log(yield* first);
        console.log(loop.removeSignalHandler("SIGINT"));
        yield* loop.createFuture();
      });
    } catch (error) {
      console.log(error.name);
    }
  `);
  await program.printed("listening");
  program.child.kill("SIGINT");
  await program.printed("true");
  program.child.kill("SIGINT");
  const { code, stdout, stderr } = await program.ended();
  assertEquals([code, stdout, stderr], [0, "listening\nthe handler\ntrue\nKeyboardInterrupt\n", ""]);
});

Deno.test("EventLoop.addSignalHandler() that throws goes to the exception handler, and the loop goes on", async () => {
  await run(function* () {
    const loop = getRunningLoop();
    const told = loop.createFuture<unknown>();
    loop.setExceptionHandler((_, context) => told.setResult(context.exception));
    loop.addSignalHandler("SIGUSR1", () => {
      throw new RangeError("in the handler");
    });
    Deno.kill(Deno.pid, "SIGUSR1");
    assertEquals(String(yield* told), "RangeError: in the handler");
    yield* sleep(0);
  });
});

Deno.test("EventLoop.addSignalHandler() keeps no program alive when its loop does not run", async () => {
  const { code, stdout, stderr } = await runProgram(`
    const loop = new asyncio.EventLoop();
    loop.addSignalHandler("SIGUSR1", () => {});
    console.log("end");
  `);
  assertEquals([code, stdout, stderr], [0, "end\n", ""]);
});

Deno.test("EventLoop.addSignalHandler() ends a program that waits for nothing else", async () => {
  const program = await startProgram(`
    await asyncio.run(function* () {
      const loop = asyncio.getRunningLoop();
      const stop = loop.createFuture();
      loop.addSignalHandler("SIGTERM", (what) => stop.setResult(what), "terminated");
      console.log("ready");
      console.log(yield* stop);
    });
  `);
  await program.printed("ready");
  program.child.kill("SIGTERM");
  const { code, stdout, stderr } = await program.ended();
  assertEquals([code, stdout, stderr], [0, "ready\nterminated\n", ""]);
});
