import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  CancelledError,
  createTask,
  currentTask,
  eagerTaskFactory,
  ExceptionGroup,
  KeyboardInterrupt,
  sleep,
  type Task,
  type TaskGroup,
  taskGroup,
  timeout,
  TimeoutError,
  wait,
} from "../../lib/asyncio/mod.ts";
import { loopTest, reportsOf, virtualLoop } from "./_helpers.ts";

const fail = (time: number, message: string) => async (): Promise<never> => {
  await sleep(time);
  throw new Error(message);
};

const messages = (error: ExceptionGroup): string[] => error.errors.map((each) => (each as Error).message);

loopTest("taskGroup() ends when the body and all tasks have, with the result of the body", async (loop) => {
  const result = await taskGroup(function* (group) {
    group.createTask(sleep(30));
    yield* sleep(1);
    return "body";
  });
  assertEquals([result, loop.time()], ["body", 30]);
});

loopTest("taskGroup() collects the errors of the body and of tasks that fail while they are cancelled", async () => {
  const error = await assertRejects(async () => {
    await taskGroup(async (group) => {
      group.createTask(fail(1, "first"));
      group.createTask(async () => {
        try {
          await sleep(100);
        } finally {
          await fail(1, "second")();
        }
      });
      try {
        await sleep(100);
      } catch {
        throw new Error("body");
      }
    });
  }, ExceptionGroup);
  assertEquals(messages(error), ["first", "second", "body"]);
  assertEquals(error.message, "unhandled errors in a TaskGroup (3 sub-exceptions)");
  assertEquals(currentTask()!.cancelling(), 0);
});

loopTest("taskGroup() cancels its tasks when the body throws", async () => {
  const tasks: Task<void>[] = [];
  const error = await assertRejects(async () => {
    await taskGroup(async (group) => {
      tasks.push(group.createTask(sleep(100)));
      await sleep(1);
      throw new Error("body");
    });
  }, ExceptionGroup);
  assertEquals([messages(error), tasks[0]!.cancelled()], [["body"], true]);
});

loopTest("taskGroup() does not mind a task that is cancelled", async () => {
  const result = await taskGroup(async (group) => {
    const task = group.createTask(sleep(100));
    group.createTask(sleep(5));
    await sleep(1);
    task.cancel();
    return "fine";
  });
  assertEquals(result, "fine");
});

loopTest("taskGroup() lets tasks add tasks while it waits", async (loop) => {
  const add = (group: TaskGroup, depth: number) => async (): Promise<void> => {
    await sleep(10);
    if (depth > 0) group.createTask(add(group, depth - 1));
  };
  await taskGroup(async (group) => {
    group.createTask(add(group, 3));
    await sleep(0);
  });
  assertEquals(loop.time(), 40);
});

loopTest("taskGroup() cancelled from outside cancels its tasks and is cancelled", async () => {
  const children: Task<void>[] = [];
  const task = createTask(taskGroup(async (group) => {
    children.push(group.createTask(sleep(100)));
    await sleep(1);
  }));
  await sleep(5);
  task.cancel("outside");
  await assertRejects(async () => await task, CancelledError, "outside");
  assert(children[0]!.cancelled());
  assertEquals(task.cancelling(), 1);
});

loopTest("taskGroup() with errors and a cancellation from outside throws the errors, then cancels", async () => {
  const log: string[] = [];
  const task = createTask(async () => {
    try {
      await taskGroup(async (group) => {
        group.createTask(async () => {
          try {
            await sleep(100);
          } finally {
            await fail(1, "while cancelled")();
          }
        });
        await sleep(100);
      });
    } catch (error) {
      assertInstanceOf(error, ExceptionGroup);
      log.push(...messages(error));
    }
    assertEquals(currentTask()!.cancelling(), 1);
    await sleep(1);
    log.push("never");
  });
  await sleep(1);
  task.cancel();
  await wait([task]);
  assertEquals([task.cancelled(), log], [true, ["while cancelled"]]);
});

loopTest("taskGroup() nested hands the inner group on as one error", async () => {
  const error = await assertRejects(async () => {
    await taskGroup(async (outer) => {
      outer.createTask(sleep(100));
      await taskGroup(async (inner) => {
        inner.createTask(fail(1, "inner"));
        await sleep(100);
      });
    });
  }, ExceptionGroup);
  assertInstanceOf(error.errors[0], ExceptionGroup);
  assertEquals([error.errors.length, messages(error.errors[0])], [1, ["inner"]]);
});

loopTest("timeout() around taskGroup() is a TimeoutError", async (loop) => {
  await assertRejects(async () => {
    await timeout(10, () => taskGroup((group) => group.createTask(sleep(100))));
  }, TimeoutError);
  assertEquals([loop.time(), currentTask()!.cancelling()], [10, 0]);
});

loopTest("TaskGroup.createTask() passes name and the eager start on", async (loop) => {
  loop.setTaskFactory(eagerTaskFactory);
  await taskGroup(async (group) => {
    const task = group.createTask(
      function* () {
        return currentTask()!.getName();
      }(),
      { name: "named" },
    );
    assert(task.done());
    assertEquals(await task, "named");
  });
});

loopTest("TaskGroup.createTask() of an eager task that fails at once ends the group", async (loop) => {
  loop.setTaskFactory(eagerTaskFactory);
  const others: Task<void>[] = [];
  const error = await assertRejects(async () => {
    await taskGroup(function* (group) {
      group.createTask(function* () {
        throw new Error("at once");
      }());
      others.push(group.createTask(sleep(100)));
      yield* sleep(200);
    });
  }, ExceptionGroup);
  assertEquals([messages(error), others[0]!.cancelled(), loop.time()], [["at once"], true, 0]);
});

loopTest("TaskGroup.cancel() from another task ends the group without an error", async (loop) => {
  let group: TaskGroup;
  const task = createTask(taskGroup(async (entered) => {
    group = entered;
    group.createTask(sleep(100));
    await sleep(100);
    return "never";
  }));
  await sleep(5);
  group!.cancel();
  group!.cancel();
  assertEquals([await task, loop.time(), task.cancelling()], [undefined, 5, 0]);
  group!.cancel();
});

loopTest("TaskGroup.cancel() does not hide an error", async () => {
  const error = await assertRejects(async () => {
    await taskGroup(async (group) => {
      group.createTask(async () => {
        try {
          await sleep(100);
        } catch {
          throw new Error("in cleanup");
        }
      });
      await sleep(1);
      group.cancel();
    });
  }, ExceptionGroup);
  assertEquals(messages(error), ["in cleanup"]);
});

loopTest("TaskGroup.toString() shows the state", async () => {
  let group: TaskGroup;
  await taskGroup(async (entered) => {
    group = entered;
    entered.createTask(sleep(1));
    assertEquals(String(group), "<TaskGroup tasks=1 errors=0 entered>");
    await sleep(5);
  });
  assertEquals(String(group!), "<TaskGroup tasks=0 errors=0 exited>");
});

Deno.test("taskGroup() throws a KeyboardInterrupt bare and reports what it displaces", async () => {
  using loop = virtualLoop();
  const reports = reportsOf(loop);
  const main = loop.createTask(taskGroup(async (group) => {
    group.createTask(fail(1, "displaced"));
    group.createTask(async () => {
      await sleep(1);
      throw new KeyboardInterrupt();
    });
    await sleep(100);
  }));
  await assertRejects(() => loop.runUntilComplete(main), KeyboardInterrupt);
  // The task of the group ends with it as well, which ends the second run.
  await assertRejects(() => loop.runUntilComplete(wait([main])), KeyboardInterrupt);
  assertInstanceOf(main.exception(), KeyboardInterrupt);
  assertEquals(reports.map((report) => String(report.exception)), ["Error: displaced"]);
});
