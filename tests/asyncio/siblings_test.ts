/**
 * Native code can do several things at once. What cancels one of them leaves the others alone.
 * @module
 */

import { assertEquals, assertStrictEquals } from "@std/assert";
import {
  type CancelledError,
  cancelScope,
  type Coroutine,
  coroutine,
  createTask,
  currentTask,
  type EventLoop,
  ExceptionGroup,
  moveOnAfter,
  sleep,
  taskGroup,
  timeout,
  TimeoutError,
  wait,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { loopTest, runProgram } from "./_helpers.ts";
import { eachKind, KINDS, makerOf, on, type Steps } from "./_kinds.ts";

const MOVED_ON = { cancelled: true, value: undefined };

/** What promises come to: a value, or the class of an error. */
async function outcomes(...waits: readonly PromiseLike<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(waits);
  return settled.map((one) => one.status === "fulfilled" ? one.value : one.reason.constructor);
}

/** Waits for the host, until the signal aborts. */
function host(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

for (const kind of KINDS) {
  const co = makerOf(kind);
  const slow = co(function* (): Steps<string> {
    yield* on(sleep(10));
    return "slow";
  });
  const failing = co(function* (): Steps<never> {
    yield* on(sleep(1));
    throw new RangeError("one");
  });
  const limits: Record<string, [() => Coroutine<unknown>, unknown]> = {
    "waitFor()": [() => waitFor(slow as () => PromiseLike<string>, 5), TimeoutError],
    "timeout()": [() => timeout(5, slow as () => PromiseLike<string>), TimeoutError],
    "taskGroup() whose task throws": [
      () =>
        taskGroup(
          co(function* (group): Steps<void> {
            group.createTask(failing as () => PromiseLike<never>);
            yield* on(sleep(100));
          }) as Parameters<typeof taskGroup<PromiseLike<void>>>[0],
        ),
      ExceptionGroup,
    ],
    "taskGroup() that cancels itself": [
      () =>
        taskGroup(
          co(function* (group): Steps<void> {
            group.cancel();
            yield* on(sleep(100));
          }) as Parameters<typeof taskGroup<PromiseLike<void>>>[0],
        ),
      undefined,
    ],
  };
  for (const [name, [ends, how]] of Object.entries(limits)) {
    loopTest(`${name} in a Promise.all leaves the others alone (${kind})`, async (loop) => {
      const others = [
        waitFor(slow as () => PromiseLike<string>, 500),
        timeout(500, slow as () => PromiseLike<string>),
        taskGroup(slow as () => PromiseLike<string>),
        cancelScope(slow as () => PromiseLike<string>),
        sleep(10, "sleeps"),
        (async () => await host(AbortSignal.timeout(1)))(),
      ];
      assertEquals(await outcomes(ends(), ...others), [
        how,
        "slow",
        "slow",
        "slow",
        { cancelled: false, value: "slow" },
        "sleeps",
        DOMException,
      ]);
      assertEquals([loop.time(), currentTask()!.cancelling()], [10, 0]);
    });
  }

  loopTest(`Timeouts in a Promise.all in a timeout end with it, and it alone tells (${kind})`, async (loop) => {
    let inner: unknown[] = [];
    const ending = timeout(5, async () => {
      const second = (async () => await timeout(500, () => sleep(100)))();
      inner = await outcomes(timeout(3, slow as () => PromiseLike<string>), second);
      await second;
    });
    assertEquals(await outcomes(ending), [TimeoutError]);
    assertEquals(inner.map((one) => (one as { name: string }).name), ["TimeoutError", "CancelledError"]);
    assertEquals([loop.time(), currentTask()!.cancelling()], [5, 0]);
  });
}

loopTest("Task.cancel() reaches all that native code does at once, once each", async () => {
  const log: string[] = [];
  const task = createTask(async () => {
    const told = await outcomes(waitFor(sleep(100), 500), timeout(500, () => sleep(100)), taskGroup(() => sleep(100)));
    for (const error of told) log.push((error as { name: string }).name);
    await sleep(1);
    return "went on";
  });
  await sleep(1);
  task.cancel();
  assertEquals(await task, "went on");
  assertEquals(log, ["CancelledError", "CancelledError", "CancelledError"]);
});

/** Cancels what a body does as soon as that waits; whether it has ended so. */
const cancellers: Record<string, (loop: EventLoop, body: () => PromiseLike<void>) => Promise<boolean>> = {
  "Task.cancel()": async (loop, body) => {
    const task = createTask(() => {
      loop.callSoon(() => task.cancel());
      return body();
    });
    await wait([task]);
    return task.cancelled();
  },
  "timeout()": async (_, body) => (await outcomes(timeout(0, body)))[0] === TimeoutError,
  "taskGroup()": async (loop, body) => {
    let ended = false;
    await taskGroup(async (group) => {
      loop.callSoon(() => group.cancel());
      await coroutine(body)();
      ended = true;
    });
    return !ended;
  },
  "an outer scope": async (loop, body) => {
    const { cancelled } = await cancelScope((scope) => {
      loop.callSoon(() => scope.cancel());
      return body();
    });
    return cancelled;
  },
};
for (const [name, cancelling] of Object.entries(cancellers)) {
  for (const kind of KINDS) {
    const co = makerOf(kind);
    loopTest(`CancelScope.shield keeps the signals of native code in it from ${name} (${kind})`, async (loop) => {
      const log: string[] = [];
      // An operation of the host that takes a while.
      const fetching = async (signal: AbortSignal, text: string): Promise<void> => {
        signal.addEventListener("abort", () => log.push(`${text} aborted`));
        await new Promise((resolve) => setTimeout(resolve, 5));
        log.push(text);
      };
      const shielded: Record<string, () => Coroutine<unknown>> = {
        "signal of the task": () =>
          cancelScope(() => fetching(currentTask()!.signal, "signal of the task"), { shield: true }),
        "signal passed in": () =>
          cancelScope(() => (signal: AbortSignal) => fetching(signal, "signal passed in"), { shield: true }),
      };
      for (const shield of Object.values(shielded)) {
        const body = co(function* (): Steps<void> {
          yield* on(shield());
          yield* on(sleep(1));
          log.push("went on");
        });
        assertEquals(await cancelling(loop, body as () => PromiseLike<void>), true);
      }
      assertEquals(log, Object.keys(shielded));
    });
  }
}

loopTest("Task.signal in a scope does not abort with the scope beside it", async (loop) => {
  const outer = currentTask()!.signal;
  const seen: boolean[] = [];
  const beside = async (): Promise<void> => {
    const { signal } = currentTask()!;
    assertStrictEquals(signal, outer);
    await sleep(10);
    seen.push(signal.aborted);
  };
  const told = await outcomes(
    moveOnAfter(5, async () => await host(currentTask()!.signal)),
    moveOnAfter(100, () => Promise.race([host(currentTask()!.signal), loop.createFuture(), sleep(20, "b")])),
    timeout(5, () => (signal: AbortSignal) => host(signal)),
    beside(),
  );
  assertEquals(told, [MOVED_ON, { cancelled: false, value: "b" }, TimeoutError, undefined]);
  assertEquals([seen, outer.aborted], [[false], false]);
});

loopTest("Task.signal is the same before and after shields side by side, and aborts", async () => {
  let before: AbortSignal | undefined;
  const task = createTask(async () => {
    before = currentTask()!.signal;
    await Promise.all([
      cancelScope(() => sleep(10), { shield: true }),
      cancelScope(() => sleep(20), { shield: true }),
    ]);
    assertStrictEquals(currentTask()!.signal, before);
    await sleep(1000);
  });
  await sleep(40);
  assertEquals(before!.aborted, false);
  task.cancel("now");
  await wait([task]);
  assertEquals((before!.reason as CancelledError).reason, "now");
});

loopTest("Task.signal of a block that has ended goes on to follow the code around it", async () => {
  let signal: AbortSignal | undefined;
  const task = createTask(async () => {
    signal = await waitFor((signal) => Promise.resolve(signal), 5);
    await sleep(1000);
  });
  await sleep(10);
  assertEquals(signal!.aborted, false);
  task.cancel();
  await wait([task]);
  assertEquals(signal!.aborted, true);
});

loopTest("Task.signal that a generator asks for in a timeout of native code is the timeout's", async () => {
  let signal: AbortSignal | undefined;
  const outer = currentTask()!.signal;
  const timing = timeout(5, function* () {
    signal = currentTask()!.signal;
    yield* sleep(100);
  });
  assertEquals(await outcomes(timing, sleep(10)), [TimeoutError, undefined]);
  assertEquals([signal!.aborted, outer.aborted], [true, false]);
});

loopTest("Task.signal asked for from outside is that of the whole task", async () => {
  let inner: AbortSignal | undefined;
  const task = createTask(function* () {
    yield* moveOnAfter(10, function* () {
      inner = currentTask()!.signal;
      yield* sleep(100);
    });
    yield* sleep(100);
  });
  await sleep(5);
  const { signal } = task;
  await sleep(10);
  assertEquals([inner!.aborted, signal.aborted], [true, false]);
  task.cancel();
  assertEquals(signal.aborted, true);
  await wait([task]);
});

loopTest("Task.cancel() held by a shield comes after it also to code that has taken the signal", async (loop) => {
  const aborted: boolean[] = [];
  const task = createTask(async () => {
    const { signal } = currentTask()!;
    await cancelScope(() => sleep(10), { shield: true });
    aborted.push(signal.aborted);
    await sleep(1000);
  });
  await sleep(5);
  task.cancel();
  await wait([task]);
  assertEquals([task.cancelled(), loop.time(), aborted], [true, 10, [false]]);
});

eachKind("Task.cancel() that is swallowed is counted, and no more", function* ({ co }) {
  const log: unknown[] = [];
  const worker = createTask(
    co(function* (): Steps<void> {
      for (let i = 0; i < 3; i++) {
        try {
          yield* on(sleep(1000));
        } catch (error) {
          log.push((error as CancelledError).reason);
        }
      }
      const task = currentTask()!;
      task.cancel("self");
      task.cancel("again");
      log.push(task.cancelling(), task.uncancel(), task.uncancel());
      yield* on(sleep(1));
      log.push(task.uncancel(), task.uncancel(), task.uncancel(), task.uncancel());
      yield* on(sleep(1));
      log.push("not cancelled");
    }) as () => PromiseLike<void>,
  );
  yield* on(sleep(1));
  for (const message of ["a", "b", "c"]) {
    worker.cancel(message);
    yield* on(sleep(1));
  }
  yield* on(wait([worker]));
  // CPython 3.13 throws at the first sleep(1) as well: of the five, three are left.
  assertEquals(log, ["a", "b", "c", 5, 4, 3]);
  assertEquals([worker.cancelled(), worker.cancelling()], [true, 3]);
});

Deno.test("Task.cancel() that is swallowed keeps the last task that has called it, and no other", async () => {
  const { stdout } = await runProgram(
    `
    const { createTask, sleep } = asyncio;
    const loop = new asyncio.EventLoop({ clock: new testing.VirtualClock() });
    await loop.runUntilComplete(async () => {
      let over = false;
      const worker = createTask(function* () {
        while (!over) try { yield* sleep(1e9); } catch { /* goes on */ }
      }());
      await sleep(0);
      const refs = [];
      const cancel = () => {
        const task = createTask(function* () { worker.cancel(); }());
        refs.push(new WeakRef(task));
        return task;
      };
      for (let i = 0; i < 20; i++) { await cancel(); await sleep(1); }
      for (let i = 0; i < 5; i++) { await sleep(1); await new Promise((resolve) => setTimeout(resolve, 1)); gc(); }
      console.log(refs.filter((ref) => ref.deref()).length <= 1, worker.cancelling());
      over = true;
      worker.cancel();
    });
    loop.close();
  `,
    ["--v8-flags=--expose-gc"],
  );
  assertEquals(stdout, "true 20\n");
});
