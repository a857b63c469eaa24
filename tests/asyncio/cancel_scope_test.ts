import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  allTasks,
  CancelledError,
  CancelOrigin,
  type CancelScope,
  cancelScope,
  Condition,
  type Coroutine,
  coroutine,
  createTask,
  currentTask,
  type EventLoop,
  ExceptionGroup,
  failAfter,
  failAt,
  gather,
  moveOnAfter,
  moveOnAt,
  run,
  Runner,
  RuntimeError,
  shield,
  sleep,
  type Task,
  type TaskGroup,
  taskGroup,
  timeout,
  TimeoutError,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest, runProgram, virtualLoop } from "./_helpers.ts";
import { eachKind, KINDS, type Maker, makerOf, on, type Steps } from "./_kinds.ts";

const MOVED_ON = { cancelled: true, value: undefined } as const;

eachKind("moveOnAfter() gives the result of its body, and takes its timer off", function* ({ co, loop }) {
  const outcome = yield* on(moveOnAfter(
    { seconds: 1 },
    co(function* (scope: CancelScope): Steps<string> {
      assertEquals([scope.deadline, scope.cancelCalled, scope.shield], [1000, false, false]);
      return yield* on(sleep(1, "in time"));
    }),
  ));
  assertEquals(outcome, { cancelled: false, value: "in time" });
  yield* on(sleep(5000));
  assertEquals([currentTask()!.cancelling(), loop.time()], [0, 5001]);
});

eachKind("moveOnAfter() goes on when the time is over, which undefined as a result is not", function* ({ co, loop }) {
  let scope: CancelScope;
  const body = (time: number) =>
    co(function* (entered: CancelScope): Steps<undefined> {
      scope = entered;
      yield* on(sleep(time));
    });
  assertEquals(yield* on(moveOnAfter(10, body(100))), MOVED_ON);
  assertEquals([scope!.cancelCalled, scope!.cancelledCaught, loop.time()], [true, true, 10]);
  assertEquals(String(scope!), "<CancelScope finished deadline=10 cancelled>");
  assertEquals(yield* on(moveOnAfter(10, body(1))), { cancelled: false, value: undefined });
  assertEquals([scope!.cancelCalled, scope!.cancelledCaught, loop.time()], [false, false, 11]);
  assertEquals(currentTask()!.cancelling(), 0);
});

eachKind("moveOnAt(), failAt() take a time of the loop, which may be past", function* ({ co, loop }) {
  const forever = co(function* (): Steps<void> {
    yield* on(sleep(1000));
  });
  yield* on(sleep(20));
  assertEquals([yield* on(moveOnAt(30, forever)), loop.time()], [MOVED_ON, 30]);
  assertEquals([yield* on(moveOnAt(5, forever)), loop.time()], [MOVED_ON, 30]);
  for (const [when, then] of [[40, 40], [5, 40]] as const) {
    try {
      yield* on(failAt(when, forever));
      throw new Error("no TimeoutError");
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
      assertEquals(loop.time(), then);
    }
  }
  assertEquals(
    yield* on(failAt(
      null,
      co(function* (): Steps<number> {
        return yield* on(sleep(1, 5));
      }),
    )),
    5,
  );
});

eachKind(
  "failAfter() throws TimeoutError, by its deadline and by scope.cancel(), and nothing else does",
  function* ({ co }) {
    for (const early of [false, true]) {
      try {
        yield* on(failAfter(
          10,
          co(function* (scope: CancelScope): Steps<void> {
            if (early) scope.cancel("early");
            yield* on(sleep(100));
          }),
        ));
        throw new Error("no TimeoutError");
      } catch (error) {
        assertInstanceOf(error, TimeoutError);
        assertInstanceOf(error.cause, CancelledError);
        assertEquals(error.cause.reason, early ? "early" : undefined);
        assertEquals(error.cause.origin?.kind, early ? "scope" : "deadline");
      }
    }
    const mine = new RangeError("mine");
    try {
      yield* on(failAfter(
        10,
        co(function* (): Steps<void> {
          try {
            yield* on(sleep(100));
          } catch {
            throw mine;
          }
        }),
      ));
    } catch (error) {
      assertStrictEquals(error, mine);
    }
    assertEquals(currentTask()!.cancelling(), 0);
  },
);

eachKind("CancelScope throws at each wait until it is left", function* ({ co, loop }) {
  const log: string[] = [];
  const waits = [() => sleep(5), () => sleep(0), () => loop.createFuture(), () => createTask(sleep(5))];
  const outcome = yield* on(moveOnAfter(
    10,
    co(function* (scope: CancelScope): Steps<string> {
      for (const wait of [() => sleep(100), ...waits]) {
        try {
          yield* on(wait());
          log.push("waited");
        } catch (error) {
          assertInstanceOf(error, CancelledError);
          assertStrictEquals(error.origin?.source, scope);
          log.push(`thrown at ${loop.time()}`);
        }
      }
      assertEquals(currentTask()!.cancelling(), 1);
      return "ended all the same";
    }),
  ));
  assertEquals(log, Array(5).fill("thrown at 10"));
  assertEquals(outcome, { cancelled: false, value: "ended all the same" });
  yield* on(sleep(1));
  assertEquals([currentTask()!.cancelling(), loop.time()], [0, 11]);
});

eachKind("CancelScope.cancel() of the own scope comes at the next wait, once or twice called", function* ({ co }) {
  const log: unknown[] = [];
  const outcome = yield* on(cancelScope(co(function* (scope: CancelScope): Steps<void> {
    scope.cancel("why");
    scope.cancel("again");
    log.push(scope.cancelCalled, scope.cancelledCaught, currentTask()!.cancelling());
    try {
      yield* on(sleep(0));
    } catch (error) {
      log.push((error as CancelledError).reason);
      throw error;
    }
  })));
  assertEquals([outcome, log], [MOVED_ON, [true, false, 1, "why"]]);
});

eachKind("CancelScope.cancel() from another task, and after the end", function* ({ co, loop }) {
  let scope: CancelScope;
  const task = createTask(cancelScope(co(function* (entered: CancelScope): Steps<void> {
    scope = entered;
    yield* on(sleep(100));
  })));
  yield* on(sleep(5));
  scope!.cancel();
  assertEquals([yield* on(task), loop.time()], [MOVED_ON, 5]);
  const kept = yield* on(cancelScope(co(function* (entered: CancelScope): Steps<CancelScope> {
    scope = entered;
    return scope;
  })));
  scope!.cancel();
  scope!.deadline = 0;
  yield* on(sleep(1));
  assertEquals([kept.value!.cancelCalled, currentTask()!.cancelling()], [false, 0]);
});

eachKind(
  "CancelScope that was woken in the moment of its cancellation keeps what it waited for",
  function* ({ co, loop }) {
    const future = loop.createFuture<string>();
    const log: string[] = [];
    const outcome = yield* on(cancelScope(co(function* (scope: CancelScope): Steps<void> {
      loop.callLater(5, () => {
        future.setResult("value");
        scope.cancel();
      });
      log.push(yield* on(future));
      yield* on(sleep(0));
    })));
    assertEquals([outcome, log], [MOVED_ON, ["value"]]);
  },
);

eachKind("CancelScope.deadline can be put off, taken back, and brought forward", function* ({ co, loop }) {
  yield* on(moveOnAfter(
    10,
    co(function* (scope: CancelScope): Steps<void> {
      yield* on(sleep(5));
      scope.deadline += 100;
      yield* on(sleep(50));
      scope.deadline = Infinity;
      yield* on(sleep(500));
      scope.deadline = loop.time() + 7;
      yield* on(sleep(500));
    }),
  ));
  assertEquals(loop.time(), 562);
  assertEquals(
    yield* on(moveOnAfter(
      null,
      co(function* (scope: CancelScope): Steps<void> {
        scope.deadline = 0;
        assert(scope.cancelCalled);
        scope.deadline = Infinity;
        yield* on(sleep(1));
      }),
    )),
    MOVED_ON,
  );
  assertEquals(loop.time(), 562);
});

eachKind("CancelScope in another: the outer one's cancellation goes through the inner one", function* ({ co, loop }) {
  const log: string[] = [];
  const outcome = yield* on(moveOnAfter(
    10,
    co(function* (): Steps<void> {
      yield* on(moveOnAfter(
        20,
        co(function* (scope: CancelScope): Steps<void> {
          try {
            yield* on(sleep(100));
          } finally {
            log.push(`inner cancelled: ${scope.cancelCalled}`);
          }
        }),
      ));
      log.push("never");
    }),
  ));
  assertEquals([outcome, log, loop.time()], [MOVED_ON, ["inner cancelled: false"], 10]);
});

eachKind("CancelScope in another: the inner one moves on, the outer one runs on", function* ({ co, loop }) {
  const outcome = yield* on(moveOnAfter(
    20,
    co(function* (): Steps<unknown> {
      const inner = yield* on(moveOnAfter(
        10,
        co(function* (): Steps<void> {
          yield* on(sleep(100));
        }),
      ));
      yield* on(sleep(5));
      return [inner, loop.time(), currentTask()!.cancelling()];
    }),
  ));
  assertEquals(outcome.value, [MOVED_ON, 15, 0]);
});

eachKind("shield keeps the outer scope's cancellation away until it is left", function* ({ co, loop }) {
  const log: string[] = [];
  const outcome = yield* on(moveOnAfter(
    10,
    co(function* (): Steps<void> {
      yield* on(cancelScope(
        co(function* (): Steps<void> {
          yield* on(sleep(30));
          yield* on(sleep(5));
          log.push(`shielded to ${loop.time()}`);
        }),
        { shield: true },
      ));
      log.push("left");
      yield* on(sleep(0));
      log.push("never");
    }),
  ));
  assertEquals([outcome, log, loop.time()], [MOVED_ON, ["shielded to 35", "left"], 35]);
});

eachKind("shield does not keep its own scope's cancellation away, nor that of what is in it", function* ({ co, loop }) {
  const forever = co(function* (): Steps<void> {
    yield* on(sleep(1000));
  });
  const log: unknown[] = [];
  yield* on(moveOnAfter(
    10,
    co(function* (): Steps<void> {
      log.push(yield* on(moveOnAfter(30, forever, { shield: true })), loop.time());
      yield* on(cancelScope(
        co(function* (): Steps<void> {
          log.push(yield* on(moveOnAfter(5, forever)), loop.time());
          try {
            yield* on(timeout(5, forever));
          } catch (error) {
            log.push((error as Error).name, loop.time());
          }
          // A group in it ends early by its own cancellation.
          yield* on(taskGroup(co(function* (group: TaskGroup): Steps<void> {
            group.createTask(sleep(100));
            group.cancel();
            yield* on(sleep(100));
          })));
          log.push(loop.time());
        }),
        { shield: true },
      ));
    }),
  ));
  assertEquals(log, [MOVED_ON, 30, MOVED_ON, 35, "TimeoutError", 40, 40]);
  assertEquals(currentTask()!.cancelling(), 0);
});

eachKind("shield keeps task.cancel() away until it is left, where it is not swallowed", function* ({ co, loop }) {
  const log: unknown[] = [];
  const task = createTask(co(function* (): Steps<void> {
    yield* on(cancelScope(
      co(function* (): Steps<void> {
        yield* on(sleep(20));
        log.push(currentTask()!.cancelling(), currentTask()!.signal.aborted);
      }),
      { shield: true },
    ));
    log.push("left");
    try {
      yield* on(sleep(100));
    } catch (error) {
      log.push(`${(error as CancelledError).reason} at ${loop.time()}`);
      throw error;
    }
  }));
  yield* on(sleep(5));
  task.cancel("outside");
  task.cancel("outside again");
  yield* on(wait([task]));
  assertEquals(log, [2, false, "left", "outside again at 20"]);
  assert(task.cancelled());
});

eachKind("shield that is the last of a task: the task ends cancelled", function* ({ co }) {
  const task = createTask(cancelScope(
    co(function* (): Steps<string> {
      yield* on(sleep(20));
      return "dropped";
    }),
    { shield: true },
  ));
  yield* on(sleep(5));
  task.cancel();
  yield* on(wait([task]));
  assertEquals([task.cancelled(), task.cancelling()], [true, 1]);
});

eachKind("shield can be switched while its code waits", function* ({ co, loop }) {
  let scope: CancelScope;
  const task = createTask(co(function* (): Steps<void> {
    yield* on(cancelScope(co(function* (entered: CancelScope): Steps<void> {
      scope = entered;
      scope.shield = true;
      yield* on(sleep(100));
    })));
  }));
  yield* on(sleep(5));
  task.cancel();
  yield* on(sleep(5));
  assertEquals(task.done(), false);
  scope!.shield = false;
  yield* on(wait([task]));
  assertEquals([task.cancelled(), loop.time()], [true, 10]);
});

eachKind("shield in a cancelled scope lets cleanup wait", function* ({ co, loop }) {
  const log: unknown[] = [];
  const outcome = yield* on(moveOnAfter(
    10,
    co(function* (): Steps<void> {
      try {
        yield* on(sleep(100));
      } finally {
        log.push(currentTask()!.signal.aborted);
        yield* on(cancelScope(
          co(function* (): Steps<void> {
            log.push(currentTask()!.signal.aborted);
            yield* on(sleep(5));
            log.push(loop.time());
            // What a group waits for is not cut short either.
            yield* on(taskGroup(co(function* (group: TaskGroup): Steps<void> {
              group.createTask(sleep(5));
            })));
            log.push(loop.time());
          }),
          { shield: true },
        ));
      }
    }),
  ));
  assertEquals([outcome, log, loop.time()], [MOVED_ON, [false, false, 15, 20], 20]);
  assertEquals([currentTask()!.cancelling(), currentTask()!.signal.aborted], [0, false]);
});

eachKind("CancelScope does not swallow what comes from task.cancel()", function* ({ co }) {
  for (const both of [false, true]) {
    let scope: CancelScope;
    const task = createTask(co(function* (): Steps<void> {
      yield* on(moveOnAfter(
        100,
        co(function* (entered: CancelScope): Steps<void> {
          scope = entered;
          yield* on(sleep(1000));
        }),
      ));
    }));
    yield* on(sleep(5));
    if (both) scope!.cancel();
    task.cancel("mine");
    yield* on(wait([task]));
    assertEquals([task.cancelled(), scope!.cancelledCaught, task.cancelling()], [true, false, 1]);
  }
});

eachKind("CancelScope works in a task that has got over a cancellation", function* ({ co }) {
  const task = createTask(co(function* (): Steps<unknown> {
    try {
      yield* on(sleep(100));
    } catch { /* goes on */ }
    const outcome = yield* on(moveOnAfter(
      5,
      co(function* (): Steps<void> {
        yield* on(sleep(100));
      }),
    ));
    return [outcome, currentTask()!.cancelling()];
  }));
  yield* on(sleep(0));
  task.cancel();
  assertEquals(yield* on(task), [MOVED_ON, 1]);
});

eachKind("uncancel() does not take back what a scope has asked for", function* ({ co }) {
  const log: unknown[] = [];
  const outcome = yield* on(cancelScope(co(function* (scope: CancelScope): Steps<void> {
    scope.cancel();
    log.push(currentTask()!.uncancel());
    yield* on(sleep(1));
  })));
  assertEquals([outcome, log, currentTask()!.cancelling()], [MOVED_ON, [1], 0]);
});

eachKind(
  "CancelScope around a task group cancels its tasks and waits for them, without spinning",
  function* ({ co, loop }) {
    const log: unknown[] = [];
    const outcome = yield* on(moveOnAfter(
      10,
      co(function* (): Steps<void> {
        yield* on(taskGroup(co(function* (group: TaskGroup): Steps<void> {
          group.createTask(co(function* (): Steps<void> {
            try {
              yield* on(sleep(100));
            } catch (error) {
              log.push((error as CancelledError).origin?.kind);
              // Once: a task of the group is not in the scope itself.
              yield* on(sleep(7));
              log.push(loop.time());
              throw error;
            }
          }));
        })));
      }),
    ));
    assertEquals([outcome, log, loop.time()], [MOVED_ON, ["task group", 17], 17]);
  },
);

eachKind("CancelScope around a failing task group: the errors come through", function* ({ co }) {
  const fails = co(function* (): Steps<void> {
    try {
      yield* on(sleep(100));
    } catch {
      throw new RangeError("cleanup");
    }
  });
  try {
    yield* on(moveOnAfter(
      10,
      co(function* (): Steps<void> {
        yield* on(taskGroup(co(function* (group: TaskGroup): Steps<void> {
          group.createTask(fails);
        })));
      }),
    ));
    throw new Error("nothing thrown");
  } catch (error) {
    assertInstanceOf(error, ExceptionGroup);
    assertEquals(error.errors.map(String), ["RangeError: cleanup"]);
  }
  assertEquals(currentTask()!.cancelling(), 0);
});

eachKind("CancelScope in a task group that fails: the group's cancellation is not swallowed", function* ({ co }) {
  try {
    yield* on(taskGroup(co(function* (group: TaskGroup): Steps<void> {
      group.createTask(co(function* (): Steps<void> {
        yield* on(sleep(5));
        throw new RangeError("child");
      }));
      yield* on(moveOnAfter(
        100,
        co(function* (scope: CancelScope): Steps<void> {
          try {
            yield* on(sleep(50));
          } finally {
            scope.cancel();
          }
        }),
      ));
      throw new Error("never");
    })));
  } catch (error) {
    assertInstanceOf(error, ExceptionGroup);
    assertEquals(error.errors.map(String), ["RangeError: child"]);
  }
  assertEquals(currentTask()!.cancelling(), 0);
});

eachKind("CancelScope and timeout: each tells of its own time", function* ({ co, loop }) {
  const forever = co(function* (): Steps<void> {
    yield* on(sleep(1000));
  });
  assertEquals(
    yield* on(moveOnAfter(
      10,
      co(function* (): Steps<void> {
        yield* on(timeout(20, forever));
      }),
    )),
    MOVED_ON,
  );
  // At the same time the outer one tells, as with two timeouts.
  assertEquals(
    yield* on(moveOnAfter(
      10,
      co(function* (): Steps<void> {
        yield* on(timeout(10, forever));
      }),
    )),
    MOVED_ON,
  );
  assertEquals(loop.time(), 20);
  for (const inner of [20, 10]) {
    try {
      yield* on(timeout(
        10,
        co(function* (): Steps<void> {
          yield* on(moveOnAfter(inner, forever));
          throw new Error("never");
        }),
      ));
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
    }
  }
  assertEquals([loop.time(), currentTask()!.cancelling()], [40, 0]);
});

eachKind("timeout() outside of a shield waits for it", function* ({ co, loop }) {
  try {
    yield* on(timeout(
      10,
      co(function* (): Steps<void> {
        yield* on(cancelScope(
          co(function* (): Steps<void> {
            yield* on(sleep(30));
          }),
          { shield: true },
        ));
        yield* on(sleep(30));
      }),
    ));
  } catch (error) {
    assertInstanceOf(error, TimeoutError);
  }
  assertEquals([loop.time(), currentTask()!.cancelling()], [30, 0]);
});

loopTest("shield lets a timeout through that is in a scope of native code in it", async (loop) => {
  await createTask(function* () {
    yield* cancelScope(async () => {
      await cancelScope(async () => {
        await assertRejects(async () => await timeout(10, () => sleep(1000)), TimeoutError);
      });
    }, { shield: true });
  }());
  assertEquals(loop.time(), 10);
});

eachKind("Condition.wait() in a cancelled scope gets its lock back without spinning", function* ({ co, loop }) {
  const condition = new Condition();
  const task = createTask(co(function* (): Steps<unknown> {
    return yield* on(moveOnAfter(
      10,
      co(function* (): Steps<void> {
        yield* on(condition.acquire());
        try {
          yield* on(condition.wait());
        } finally {
          assert(condition.locked());
          condition.release();
        }
      }),
    ));
  }));
  yield* on(sleep(5));
  yield* on(condition.acquire());
  yield* on(sleep(20));
  condition.release();
  assertEquals([yield* on(task), loop.time()], [MOVED_ON, 25]);
});

loopTest("CancelScope gives native code up that waits for a promise of the host, also after a catch", async (loop) => {
  const never = new Promise<void>(() => {});
  const cancelledSoon = (body: () => Promise<unknown>) =>
    cancelScope((scope) => {
      loop.callSoon(() => scope.cancel());
      return body();
    });
  assertEquals(await cancelledSoon(() => never), MOVED_ON);
  assertEquals(
    await moveOnAfter(10, async () => {
      await sleep(100).then(null, () => {});
      await never;
    }),
    MOVED_ON,
  );
  assertEquals(
    await cancelledSoon(async () => {
      await cancelScope(() => sleep(5), { shield: true });
      await never;
    }),
    MOVED_ON,
  );
  assertEquals(
    await cancelScope(async (scope) => {
      scope.cancel();
      await never;
    }),
    MOVED_ON,
  );
  // A native call of a cancelled scope begins with a wait for the host.
  assertEquals(
    await cancelScope(function* (scope) {
      scope.cancel();
      yield* moveOnAfter(1000, () => never);
    }),
    MOVED_ON,
  );
  assertEquals([loop.time(), currentTask()!.cancelling()], [15, 0]);
});

loopTest("CancelScope aborts the signal of the task, which is fresh after it", async (loop) => {
  const aborted = (signal: AbortSignal) =>
    new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
  for (let i = 0; i < 2; i++) {
    let told: unknown;
    const outcome = await cancelScope(async (scope) => {
      loop.callSoon(() => scope.cancel("signalled"));
      assertEquals(currentTask()!.signal.aborted, false);
      await aborted(currentTask()!.signal).catch((error) => {
        told = error;
        throw error;
      });
    });
    assertEquals((told as CancelledError).reason, "signalled");
    assertEquals([outcome, currentTask()!.signal.aborted], [MOVED_ON, false]);
  }
});

loopTest("A held cancellation aborts the signal when it comes", async () => {
  const task = createTask(async () => {
    const outer = currentTask()!.signal;
    await cancelScope(async () => {
      currentTask()!.cancel();
      await sleep(1);
      assertEquals([outer.aborted, currentTask()!.signal.aborted], [false, false]);
    }, { shield: true });
    assertStrictEquals(currentTask()!.signal, outer);
    await new Promise<void>((_, reject) => outer.addEventListener("abort", () => reject(outer.reason)));
  });
  await wait([task]);
  assert(task.cancelled());
});

loopTest("Scopes that native code runs side by side are independent of each other", async (loop) => {
  const outcomes = await Promise.all([
    moveOnAfter(10, () => sleep(50, "a")),
    moveOnAfter(100, () => sleep(50, "b")),
    moveOnAfter(20, async () => await sleep(50, "c")),
  ]);
  assertEquals(outcomes.map((outcome) => outcome.value), [undefined, "b", undefined]);
  assertEquals([loop.time(), currentTask()!.cancelling()], [50, 0]);
});

loopTest("An outer scope reaches scopes that native code runs side by side, but for the shielded one", async (loop) => {
  const log: string[] = [];
  const outcome = await moveOnAfter(10, async () => {
    await Promise.allSettled([
      moveOnAfter(100, () => sleep(50)).then(null, () => log.push(`first ${loop.time()}`)),
      cancelScope(() => sleep(30), { shield: true }).then(() => log.push(`shielded ${loop.time()}`)),
    ]);
    await sleep(1);
  });
  assertEquals([outcome, log, loop.time()], [MOVED_ON, ["first 10", "shielded 30"], 30]);
});

Deno.test("shield lets cleanup end at the shutdown of run()", async () => {
  const log: unknown[] = [];
  await using runner = new Runner({ loopFactory: () => virtualLoop() });
  await runner.run(async () => {
    createTask(async () => {
      try {
        await sleep(1000);
      } catch (error) {
        log.push((error as CancelledError).origin?.kind);
        throw error;
      } finally {
        await cancelScope(() => sleep(5), { shield: true });
        log.push("cleaned up");
      }
    });
    createTask(async () => {
      await cancelScope(() => sleep(7), { shield: true });
      log.push("finished");
    });
    await sleep(1);
  });
  await runner.close();
  assertEquals(log, ["shutdown", "cleaned up", "finished"]);
});

eachKind("cancelScope() and the others refuse what they cannot run", function* () {
  for (const body of [5, null, sleep(1), "body"] as never[]) {
    assertThrows(() => cancelScope(body), TypeError, "pass a function* or an async function");
    assertThrows(() => moveOnAfter(1, body), TypeError, "pass a function* or an async function");
  }
  assertThrows(() => moveOnAfter(NaN, () => sleep(1)), RangeError, "delay");
  assertThrows(() => failAt(NaN, () => sleep(1)), RangeError, "deadline");
  for (const limited of [moveOnAfter, failAfter, moveOnAt, failAt]) {
    const what = limited === moveOnAfter || limited === failAfter ? "delay" : "deadline";
    const message = `Cannot use undefined as ${what}: pass milliseconds, or null for no limit`;
    assertThrows(() => limited(undefined as never, () => sleep(1)), TypeError, message);
  }
  for (const options of [null, true, "shield"] as never[]) {
    assertThrows(() => cancelScope(() => sleep(1), options), TypeError, "pass { shield: true }, or nothing");
    assertThrows(() => failAfter(1, () => sleep(1), options), TypeError, "pass { shield: true }, or nothing");
  }
  assertThrows(() => cancelScope(() => sleep(1), { shield: 1 as never }), TypeError, "pass true or false");
  yield* on(cancelScope((scope) => {
    assertThrows(() => scope.deadline = NaN, RangeError, "deadline");
    assertThrows(() => scope.shield = "yes" as never, TypeError, "pass true or false");
    return sleep(0);
  }));
});

// Where a cancellation comes from.

/** The origin of the error that `waiting` rejects with. */
async function originOf(waiting: PromiseLike<unknown>): Promise<CancelOrigin> {
  const error = await assertRejects(async () => await waiting, CancelledError);
  assertInstanceOf(error.origin, CancelOrigin);
  return error.origin;
}

loopTest("CancelledError.origin names the task that called cancel(), through tasks, gather and shield", async () => {
  const makers = [
    (inner: ReturnType<typeof createTask>) => inner,
    (inner: ReturnType<typeof createTask>) =>
      createTask(function* () {
        return yield* inner;
      }()),
    (inner: ReturnType<typeof createTask>) => createTask(async () => await inner),
    (inner: ReturnType<typeof createTask>) => createTask(async () => await gather([sleep(1000), inner])),
    (inner: ReturnType<typeof createTask>) => gather([inner]),
  ];
  for (const make of makers) {
    const inner = createTask(sleep(1000));
    const outer = make(inner);
    await sleep(1);
    const canceller = createTask(
      function* () {
        outer.cancel("why");
      }(),
      { name: "canceller" },
    );
    await canceller;
    const [a, b] = [await originOf(outer), await originOf(inner)];
    assertStrictEquals(a.by, canceller);
    assertEquals([a.kind, b.kind, b.by], ["cancel", "cancel", canceller]);
    assertEquals(String(a), "cancel() called in canceller");
    assertStrictEquals((await originOf(inner)).by, canceller);
  }
  const inner = createTask(sleep(1000));
  const shielded = shield(inner);
  inner.cancel();
  assertStrictEquals((await originOf(shielded)).by, currentTask());
});

loopTest("CancelledError: one error for what a task cancels at a time with one message, with no stack", async () => {
  const errorOf = (task: Task<void>) => assertRejects(async () => await task, CancelledError);
  const tasks = Array.from({ length: 4 }, () => createTask(sleep(1000)));
  await sleep(0);
  for (const [i, task] of tasks.entries()) task.cancel(i < 2 ? "why" : i);
  const errors = await Promise.all(tasks.map(errorOf));
  assertStrictEquals(errors[0], errors[1]);
  assertEquals(errors.map((error) => error.reason), ["why", "why", 2, 3]);
  assertEquals(new Set(errors.map((error) => error.origin)).size, 1);
  assertEquals(errors.map((error) => error.stack), errors.map(String));
  const later = createTask(sleep(1000));
  await sleep(0);
  later.cancel("why");
  assertNotStrictEquals(await errorOf(later), errors[0]);
});

loopTest("CancelledError.origin of each kind", async (loop) => {
  const seen = async (body: (notice: (error: unknown) => void) => PromiseLike<unknown>): Promise<CancelOrigin> => {
    let caught: unknown;
    await Promise.resolve(body((error) => caught = error)).catch(() => {});
    assertInstanceOf(caught, CancelledError);
    return caught.origin!;
  };
  const waitAnd = (notice: (error: unknown) => void) => async () => {
    try {
      await sleep(1000);
    } catch (error) {
      notice(error);
      throw error;
    }
  };
  const kinds = [
    await seen(async (notice) => await timeout(1, waitAnd(notice))),
    await seen(async (notice) => await moveOnAfter(1, waitAnd(notice))),
    await seen(async (notice) => {
      await cancelScope((scope) => {
        loop.callLater(1, () => scope.cancel());
        return waitAnd(notice)();
      });
    }),
    await seen(async (notice) => {
      await taskGroup(async (group) => {
        group.createTask(waitAnd(notice));
        await sleep(1);
        group.cancel();
      });
    }),
    await seen(async (notice) => {
      const controller = new AbortController();
      const task = createTask(waitAnd(notice), { signal: controller.signal });
      await sleep(1);
      controller.abort("enough");
      await wait([task]);
    }),
  ];
  assertEquals(kinds.map((origin) => origin.kind), ["timeout", "deadline", "scope", "task group", "signal"]);
  assertEquals(kinds.map((origin) => origin.by), [...Array(4).fill(currentTask()), null]);
  assertEquals(kinds.map((origin) => origin.source?.constructor.name), [
    "Timeout",
    "CancelScope",
    "CancelScope",
    "TaskGroup",
    "AbortSignal",
  ]);
});

loopTest(
  "CancelledError.origin: before the first step, in the last one, of a future, of the signal, of one's own",
  async (loop) => {
    const early = createTask(sleep(1));
    early.cancel();
    assertStrictEquals((await originOf(early)).by, currentTask());
    const last = createTask(function* () {
      currentTask()!.cancel();
    }());
    assertStrictEquals((await originOf(last)).by, last);
    const future = loop.createFuture();
    loop.callSoon(() => future.cancel());
    assertStrictEquals((await originOf(future)).by, null);
    let signal: AbortSignal;
    const native = createTask(async () => {
      signal = currentTask()!.signal;
      await new Promise(() => {});
    });
    await sleep(0);
    native.cancel("x");
    assertStrictEquals((await originOf(native)).by, currentTask());
    assertStrictEquals(signal!.reason.origin.by, currentTask());
    assertEquals(new CancelledError("made by hand").origin, undefined);
  },
);

Deno.test("CancelledError.origin of Ctrl-C", async () => {
  const { stdout } = await runProgram(`
    await asyncio.run(async () => {
      Deno.kill(Deno.pid, "SIGINT");
      try {
        await asyncio.sleep(10_000);
      } catch (error) {
        console.log(error.origin.kind, String(error.origin), error.origin.by);
      }
    });
  `);
  assertEquals(stdout, "interrupt Ctrl-C null\n");
});

Deno.test("CancelledError.origin does not change the message", async () => {
  const error = await assertRejects(async () => {
    await run(async () => {
      const task = createTask(sleep(1000));
      task.cancel("reason");
      await task;
    });
  }, CancelledError);
  assertEquals([error.message, error.reason, String(error)], ["reason", "reason", "CancelledError: reason"]);
});

// Random nestings against a model that knows nothing of tasks.

type Statement =
  | { type: "sleep"; time: number }
  | { type: "scope"; limit: number; shield: boolean; body: Statement[] }
  | { type: "catch"; body: Statement[] };

const statements = fc.letrec<{ statement: Statement; body: Statement[] }>((tie) => ({
  body: fc.array(tie("statement"), { maxLength: 4, depthIdentifier: "nesting" }),
  statement: fc.oneof(
    { depthIdentifier: "nesting", maxDepth: 4 },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("sleep" as const), time: fc.nat(6) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("scope" as const),
        limit: fc.oneof(fc.nat(12), fc.constant(Infinity)),
        shield: fc.boolean(),
        body: tie("body"),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("catch" as const), body: tie("body") }) },
  ),
})).body;

interface Place {
  readonly deadline: number;
  readonly shield: boolean;
  readonly outer: Place | null;
}

/** What the program does, by the rules alone: when each wait and scope ends and how. */
function predict(program: Statement[], cancelAt: number): { trace: string[]; cancelled: boolean; end: number } {
  const trace: string[] = [];
  let now = 0;
  let taken = false;
  const cancelledFrom = (place: Place | null): number => {
    let time = Infinity;
    for (; place !== null; place = place.outer) {
      time = Math.min(time, place.deadline);
      if (place.shield) break;
    }
    return time;
  };
  const open = (place: Place | null): boolean => {
    for (; place !== null; place = place.outer) if (place.shield) return false;
    return true;
  };
  /** Whether it ends by a cancellation. */
  const walk = (body: Statement[], place: Place | null): boolean => {
    for (const statement of body) {
      if (statement.type === "sleep") {
        const cancel = open(place) && !taken ? cancelAt : Infinity;
        const thrownAt = Math.max(now, Math.min(cancelledFrom(place), cancel));
        const thrown = thrownAt <= now + statement.time;
        now = thrown ? thrownAt : now + statement.time;
        trace.push(`${thrown ? "thrown" : "slept"} ${now}`);
        if (!thrown) continue;
        if (cancel <= now) taken = true;
        return true;
      }
      if (statement.type === "catch") {
        walk(statement.body, place);
        continue;
      }
      const before = open(place) && cancelAt <= now;
      const inner: Place = { deadline: now + statement.limit, shield: statement.shield, outer: place };
      const thrown = walk(statement.body, inner);
      const others = !inner.shield && cancelledFrom(place) <= now || open(inner) && cancelAt <= now && !before;
      const caught = thrown && inner.deadline <= now && !others;
      trace.push(`${caught ? "moved on" : thrown ? "passed on" : "ended"} ${now}`);
      if (thrown && !caught) return true;
    }
    return false;
  };
  const thrown = walk(program, null);
  // A cancellation that has not been thrown by the end is, then.
  return { trace, cancelled: thrown || (cancelAt <= now && !taken), end: now };
}

/** What the program really does; and that nothing is left behind by any scope. */
async function perform(
  loop: EventLoop,
  co: Maker,
  program: Statement[],
  cancelAt: number,
): Promise<{ trace: string[]; cancelled: boolean; end: number }> {
  const trace: string[] = [];
  const walk = co(function* (body: Statement[], around: CancelScope[]): Steps<void> {
    for (const statement of body) {
      if (statement.type === "sleep") {
        try {
          yield* on(sleep(statement.time));
          trace.push(`slept ${loop.time()}`);
        } catch (error) {
          trace.push(`thrown ${loop.time()}`);
          throw error;
        }
      } else if (statement.type === "catch") {
        try {
          yield* on(inner(statement.body, around));
        } catch (error) {
          assertInstanceOf(error, CancelledError);
        }
      } else {
        let scope: CancelScope;
        let how = "passed on";
        try {
          const outcome = yield* on(moveOnAfter(statement.limit, (entered) => {
            scope = entered;
            return walk(statement.body, [...around, scope]);
          }, { shield: statement.shield }));
          how = outcome.cancelled ? "moved on" : "ended";
        } finally {
          trace.push(`${how} ${loop.time()}`);
          assertEquals(scope!.cancelledCaught, how === "moved on");
          const asked = around.filter((each) => each.cancelCalled).length + (cancelAt <= loop.time() ? 1 : 0);
          assertEquals(currentTask()!.cancelling(), asked);
        }
      }
    }
  });
  const inner = coroutine(walk);
  const task = loop.createTask(inner(program, []));
  if (cancelAt < Infinity) loop.callAt(cancelAt, () => task.cancel());
  await loop.runUntilComplete(wait([task]));
  const end = loop.time();
  if (!task.cancelled()) task.result();
  assertEquals(task.cancelling(), cancelAt <= end ? 1 : 0);
  return { trace, cancelled: task.cancelled(), end };
}

for (const kind of KINDS) {
  const co = makerOf(kind);
  Deno.test(`Random nestings of scopes, shields and a task.cancel() do what the rules say (${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        statements,
        fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 25 })),
        async (program, cancelAt) => {
          using loop = virtualLoop();
          assertEquals(await perform(loop, co, program, cancelAt), predict(program, cancelAt));
        },
      ),
      { numRuns: 400, seed: 7 },
    );
  });
}

// Random nestings of all that cancels, for what must hold whatever happens.

type Block =
  | { type: "sleep"; time: number }
  | { type: "scope"; limit: number; shield: boolean; body: Block[] }
  | { type: "timeout"; limit: number; body: Block[] }
  | { type: "catch"; body: Block[] }
  | { type: "group"; body: Block[]; child: Block[] }
  | { type: "cancel group" }
  | { type: "cancel scope" }
  | { type: "fail" };

const blocks = fc.letrec<{ block: Block; body: Block[] }>((tie) => ({
  body: fc.array(tie("block"), { maxLength: 4, depthIdentifier: "blocks" }),
  block: fc.oneof(
    { depthIdentifier: "blocks", maxDepth: 4 },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("sleep" as const), time: fc.nat(6) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("scope" as const),
        limit: fc.nat(12),
        shield: fc.boolean(),
        body: tie("body"),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant("timeout" as const), limit: fc.nat(12), body: tie("body") }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("catch" as const), body: tie("body") }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("group" as const), body: tie("body"), child: tie("body") }),
    },
    {
      weight: 1,
      arbitrary: fc.oneof(
        fc.record({ type: fc.constant("cancel group" as const) }),
        fc.record({ type: fc.constant("cancel scope" as const) }),
        fc.record({ type: fc.constant("fail" as const) }),
      ),
    },
  ),
})).body;

for (const kind of KINDS) {
  const co = makerOf(kind);
  Deno.test(`Random nestings of scopes, timeouts, groups and cancellations leave nothing behind (${kind})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        blocks,
        fc.array(fc.integer({ min: 1, max: 25 }), { maxLength: 2 }),
        async (program, cancelAt) => {
          using loop = virtualLoop();
          loop.setExceptionHandler(() => {});
          let cancelled = 0;
          const walk = co(
            function* (body: Block[], scope: CancelScope | null, group: TaskGroup | null): Steps<void> {
              for (const block of body) {
                if (block.type === "sleep") yield* on(sleep(block.time));
                else if (block.type === "fail") throw new RangeError("fail");
                else if (block.type === "cancel group") group?.cancel();
                else if (block.type === "cancel scope") scope?.cancel();
                else if (block.type === "scope") {
                  yield* on(
                    moveOnAfter(block.limit, (inner) => walk(block.body, inner, group), { shield: block.shield }),
                  );
                } else if (block.type === "timeout") {
                  try {
                    yield* on(timeout(block.limit, () => walk(block.body, scope, group)));
                  } catch (error) {
                    if (!(error instanceof TimeoutError)) throw error;
                  }
                } else if (block.type === "catch") {
                  try {
                    yield* on(inner(block.body, scope, group));
                  } catch { /* Goes on, whatever it was. */ }
                  const at = loop.time();
                  yield* on(cancelScope(() => sleep(1), { shield: true }));
                  assertEquals(loop.time(), at + 1);
                } else if (block.type === "group") {
                  yield* on(taskGroup((inside) => {
                    inside.createTask(() => walk(block.child, null, inside));
                    return walk(block.body, scope, inside);
                  }));
                }
              }
            },
          );
          const inner = coroutine(walk);
          const task = loop.createTask(async () => {
            try {
              await inner(program, null, null);
            } finally {
              assertEquals(currentTask()!.cancelling(), cancelled);
              if (cancelled === 0) assertEquals(currentTask()!.signal.aborted, false);
            }
          });
          for (const at of cancelAt) {
            loop.callAt(at, () => {
              if (task.cancel()) cancelled++;
            });
          }
          await loop.runUntilComplete(wait([task]));
          assertEquals(task.cancelling(), cancelled);
          assertEquals(allTasks(loop).size, 0);
          if (!task.cancelled() && task.exception() !== null) {
            const error = task.exception();
            assert(error instanceof RangeError || error instanceof ExceptionGroup, String(error));
          }
        },
      ),
      { numRuns: 400, seed: 11 },
    );
  });
}

type Limited = (delay: number, body: (scope: { signal: AbortSignal }) => Promise<void>) => Coroutine<unknown>;
const limits: readonly (readonly [string, Limited])[] = [["CancelScope", moveOnAfter], ["Timeout", timeout]];

for (const [name, limited] of limits) {
  loopTest(`${name}.signal aborts with the block, and that of the code around it does not`, async () => {
    const outer = currentTask()!.signal;
    const signals: AbortSignal[] = [];
    let kept: { signal: AbortSignal } | undefined;
    await gather([limited(5, async (scope) => {
      kept = scope;
      signals.push(scope.signal);
      assertStrictEquals(currentTask()!.signal, scope.signal);
      await sleep(100);
    })], { returnExceptions: true });
    assertEquals([signals[0]!.aborted, outer.aborted], [true, false]);
    assertInstanceOf(signals[0]!.reason, CancelledError);
    assertThrows(() => kept!.signal, RuntimeError, "that has ended: take it in its body");
  });
}
