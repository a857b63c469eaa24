/**
 * What native code has begun and not waited for ends with that code.
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CancelledError,
  cancelScope,
  coroutine,
  createTask,
  Event,
  Lock,
  moveOnAfter,
  Queue,
  Semaphore,
  sleep,
  timeout,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest, runProgram } from "./_helpers.ts";
import { eachKind, KINDS, makerOf, on, type Steps } from "./_kinds.ts";

eachKind("Native code that has left a Promise.race holds no lock, and is in no queue", function* ({ co }) {
  const lock = new Lock();
  const semaphore = new Semaphore(1);
  const queue = new Queue<string>();
  const held = yield* on(lock.acquire());
  yield* on(semaphore.acquire());
  const racing = co(function* (): Steps<string> {
    return yield* on(timeout(100, async () => {
      return await Promise.race([lock.acquire(), semaphore.acquire(), queue.get(), sleep(5, "in time")]) as string;
    }));
  });
  assertEquals(yield* on(createTask(racing as () => PromiseLike<string>)), "in time");
  held.release();
  semaphore.release();
  queue.putNowait("item");
  yield* on(sleep(1));
  assertEquals([lock.locked(), semaphore.locked(), queue.qsize()], [false, false, 1]);
});

loopTest("Native code that is left in the moment in which its turn has come passes it on", async () => {
  const lock = new Lock();
  const held = await lock.acquire();
  const queue = new Queue<string>();
  const event = new Event();
  const winner = createTask(async () => {
    await Promise.race([
      event.wait(),
      lock.acquire(),
      queue.get(),
      (async () => {
        using _ = await lock.acquire();
        await sleep(1);
      })(),
    ]);
    return "won";
  });
  await sleep(1);
  // All of them in one tick: the event is first.
  event.set();
  held.release();
  queue.putNowait("item");
  assertEquals(await winner, "won");
  using _ = await lock.acquire();
  assertEquals([lock.locked(), queue.qsize()], [true, 1]);
});

for (const kind of KINDS) {
  const co = makerOf(kind);
  loopTest(`A coroutine that native code leaves behind cleans up (${kind})`, async (loop) => {
    const log: unknown[] = [];
    const lock = new Lock();
    const left = coroutine(co(function* (): Steps<void> {
      using _ = yield* on(lock.acquire());
      try {
        yield* on(sleep(1000));
      } catch (error) {
        const { origin, reason } = error as CancelledError;
        log.push(error instanceof CancelledError, origin?.kind, reason);
        throw error;
      } finally {
        // Cancelled once: it can wait for its end.
        yield* on(sleep(10));
        log.push("cleaned up");
      }
    }));
    const task = createTask(async () => {
      await Promise.race([left(), sleep(5)]);
      return "ended";
    });
    assertEquals([await task, loop.time(), lock.locked()], ["ended", 5, true]);
    await sleep(20);
    assertEquals(log, [true, "left behind", "The code that has begun this wait has ended", "cleaned up"]);
    assertEquals([lock.locked(), task.cancelled(), task.cancelling()], [false, false, 0]);
  });
}

loopTest("What is in a shield when it is left behind goes on to the end of that", async () => {
  const log: string[] = [];
  const task = createTask(async () => {
    const shielded = cancelScope(async () => {
      await sleep(20);
      log.push("shielded");
    }, { shield: true });
    await Promise.race([shielded, sleep(5)]);
    log.push("task");
  });
  await task;
  await sleep(30);
  assertEquals(log, ["task", "shielded"]);
});

loopTest("Tasks and futures that native code has stopped waiting for are left alone", async (loop) => {
  const background = createTask(sleep(20, "background"));
  const future = loop.createFuture<string>();
  const task = createTask(async () => await Promise.race([background, future, sleep(5, "in time")]));
  assertEquals(await task, "in time");
  assertEquals(await background, "background");
  future.setResult("future");
  assertEquals(await future, "future");
});

loopTest("Native code that waits for the host when it is left behind goes on with a CancelledError", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  let thrown: unknown;
  const waiting = coroutine(async () => await promise);
  const outcome = await moveOnAfter(100, async () => {
    const left = waiting().then(null, (error) => {
      thrown = error;
    });
    await Promise.race([left, Promise.resolve()]);
    return "ended";
  });
  assertEquals(outcome, { cancelled: false, value: "ended" });
  await sleep(1);
  assert(thrown instanceof CancelledError);
  resolve("too late");
});

loopTest("The rest of a Promise.all that has failed is cancelled when the code ends by that", async () => {
  const log: string[] = [];
  const task = createTask(async () => {
    await Promise.all([
      sleep(1).then(() => Promise.reject(new RangeError("one"))),
      (async () => {
        try {
          await sleep(1000);
        } finally {
          log.push("cancelled");
        }
      })(),
    ]);
  });
  await wait([task]);
  await assertRejects(async () => await task, RangeError, "one");
  assertEquals(log, ["cancelled"]);
});

Deno.test("Native code that nobody waits for ends without a word, and its errors do not", async () => {
  const program = (left: string): string => `
    const { run, createTask, sleep } = asyncio;
    await run(async () => {
      await createTask(async () => {
        ${left}
        await sleep(1);
      });
      await sleep(20);
    });
    console.log("end");
  `;
  const silent = [
    `void sleep(60_000).then(() => console.log("went on"));`,
    `void (async () => { await sleep(60_000); console.log("went on"); })();`,
    `void (async () => { await using _ = { [Symbol.asyncDispose]: async () => await sleep(1) }; await sleep(60_000); })();`,
    `createTask(async () => { await sleep(5); console.log("task"); });`,
  ];
  const results = await Promise.all(silent.map((left) => runProgram(program(left))));
  assertEquals(results.map((result) => [result.code, result.stdout, result.stderr]), [
    [0, "end\n", ""],
    [0, "end\n", ""],
    [0, "end\n", ""],
    [0, "task\nend\n", ""],
  ]);
  const { code, stderr } = await runProgram(
    program(`void (async () => { try { await sleep(60_000); } finally { throw new RangeError("mine"); } })();`),
  );
  assertEquals(code, 1);
  assert(stderr.includes("RangeError: mine"));
});
