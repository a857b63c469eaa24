/**
 * What holds for every kind of task: generator tasks, native tasks, and tasks that start eagerly, on a virtual clock.
 */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import {
  allTasks,
  type Awaitable,
  CancelledError,
  ContextVar,
  createTask,
  currentTask,
  eagerTaskFactory,
  EventLoop,
  ExceptionGroup,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  gather,
  type GeneratorCoroutine,
  InvalidStateError,
  RuntimeError,
  shield,
  sleep,
  taskGroup,
  timeout,
  TimeoutError,
  wait,
  waitFor,
  type Yieldable,
} from "../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../lib/testing/mod.ts";

/** What a step of a body gives: something to await, or nothing. */
type Step = () => Awaitable<unknown> | void;

/** A function that makes a coroutine, of either kind. */
type Made = () => PromiseLike<unknown> | GeneratorCoroutine<unknown>;

interface Kind {
  readonly name: string;
  readonly eager: boolean;
  /** A function that awaits what each step returns; it returns the last result. */
  body(...steps: Step[]): Made;
  /** As `body`, with steps that run if the first throws, and steps that run in any case. */
  guarded(
    block: Step,
    onError: (error: unknown) => Awaitable<unknown> | void,
    last?: Step,
  ): Made;
}

function* generatorSteps(steps: Step[]): GeneratorCoroutine<unknown> {
  let result: unknown;
  for (const step of steps) {
    const awaitable = step();
    result = awaitable === undefined ? undefined : yield* awaitable as Yieldable<unknown>;
  }
  return result;
}

const generator: Omit<Kind, "name" | "eager"> = {
  body: (...steps) => () => generatorSteps(steps),
  guarded: (block, onError, last) => () =>
    (function* () {
      try {
        return yield* generatorSteps([block]);
      } catch (error) {
        return yield* generatorSteps([() => onError(error)]);
      } finally {
        if (last !== undefined) yield* generatorSteps([last]);
      }
    })(),
};

const native: Omit<Kind, "name" | "eager"> = {
  body: (...steps) => async () => {
    let result: unknown;
    for (const step of steps) result = await step();
    return result;
  },
  guarded: (block, onError, last) => async () => {
    try {
      return await block();
    } catch (error) {
      return await onError(error);
    } finally {
      if (last !== undefined) await last();
    }
  },
};

const kinds: Kind[] = [
  { name: "generator", eager: false, ...generator },
  { name: "native", eager: false, ...native },
  { name: "eager generator", eager: true, ...generator },
  { name: "eager native", eager: true, ...native },
];

function each(
  name: string,
  test: (kind: Kind, loop: EventLoop) => PromiseLike<unknown>,
): void {
  for (const kind of kinds) {
    Deno.test(`${name} (${kind.name})`, async () => {
      using loop = new EventLoop({ clock: new VirtualClock() });
      if (kind.eager) loop.setTaskFactory(eagerTaskFactory);
      await loop.runUntilComplete(() => test(kind, loop));
    });
  }
}

each("a task returns what its coroutine returns", async ({ body }) => {
  assertEquals(
    await createTask(body(() => sleep(5), () => sleep(1, "result"))),
    "result",
  );
});

each("a task fails with what its coroutine throws", async ({ body }) => {
  const error = new Error("thrown");
  const task = createTask(body(() => sleep(1), () => {
    throw error;
  }));
  assertStrictEquals(await assertRejects(async () => await task), error);
  assertStrictEquals(task.exception(), error);
});

each("sleep() takes its time and no more", async ({ body }, loop) => {
  await gather([
    createTask(body(() => sleep(30))),
    createTask(body(() => sleep(10), () => sleep({ milliseconds: 15 }))),
  ]);
  assertEquals(loop.time(), 30);
});

each("tasks take turns in the order they were made in", async ({ body }) => {
  const order: string[] = [];
  const turns = (name: string): Made =>
    body(
      ...[0, 1, 2].flatMap((i): Step[] => [() => void order.push(name + i), () => sleep(0)]),
    );
  await gather([createTask(turns("a")), createTask(turns("b"))]);
  assertEquals(order, ["a0", "b0", "a1", "b1", "a2", "b2"]);
});

each("cancel() throws where the task waits", async ({ guarded }) => {
  let caught: unknown;
  const task = createTask(guarded(() => sleep(1000), (error) => {
    caught = error;
    throw error;
  }));
  await sleep(1);
  assert(task.cancel("enough"));
  assertEquals(task.cancelling(), 1);
  await assertRejects(async () => await task, CancelledError, "enough");
  assertInstanceOf(caught, CancelledError);
  assertEquals(caught.reason, "enough");
  assert(task.cancelled());
  assert(!task.cancel());
});

each("a task that catches its cancellation goes on", async ({ guarded }) => {
  const task = createTask(guarded(() => sleep(1000), () => sleep(1, "saved")));
  await sleep(1);
  task.cancel();
  assertEquals(await task, "saved");
  assert(!task.cancelled());
});

each(
  "cleanup in finally may wait, and the cancellation goes on after it",
  async ({ body, guarded }) => {
    const log: string[] = [];
    // The case that generators unwound with return() lose: https://github.com/thefrontside/effection/issues/1190
    const inner = guarded(
      () => sleep(1000),
      (error) => {
        throw error;
      },
      () => sleep(5),
    );
    const task = createTask(
      body(() => inner(), () => void log.push("went on")),
    );
    await sleep(1);
    task.cancel();
    await wait([task]);
    assert(task.cancelled());
    assertEquals(log, []);
  },
);

each(
  "cancel() reaches through the task that is waited for",
  async ({ body }) => {
    const inner = createTask(body(() => sleep(1000)));
    const outer = createTask(body(() => inner));
    await sleep(1);
    outer.cancel();
    await wait([outer, inner]);
    assert(inner.cancelled() && outer.cancelled());
  },
);

each(
  "a task that cancels itself is cancelled at its next wait",
  async ({ body }) => {
    const log: string[] = [];
    const task = createTask(body(
      () => {
        currentTask()!.cancel();
        log.push("still running");
      },
      () => sleep(10),
      () => void log.push("never"),
    ));
    await wait([task]);
    assert(task.cancelled());
    assertEquals(log, ["still running"]);
  },
);

each("currentTask() and its context hold across waits", async ({ body }) => {
  const variable = new ContextVar("variable", { default: "outside" });
  const seen: unknown[] = [];
  const task = createTask(
    body(
      () => void variable.set("inside"),
      () => sleep(1),
      () => void seen.push(currentTask()?.getName(), variable.get()),
      () => timeout(10, () => sleep(2)),
      () => void seen.push(currentTask()?.getName(), variable.get()),
    ),
    { name: "me" },
  );
  await task;
  assertEquals(seen, ["me", "inside", "me", "inside"]);
  assertEquals(variable.get(), "outside");
});

each(
  "timeout() turns its own cancellation into a TimeoutError",
  async ({ body }, loop) => {
    const task = createTask(body(() => timeout(20, body(() => sleep(1000)))));
    await assertRejects(async () => await task, TimeoutError);
    assertEquals(loop.time(), 20);
    assertEquals(task.cancelling(), 0);
  },
);

each("timeout() leaves a cancellation from outside alone", async ({ body }) => {
  const task = createTask(body(() => timeout(20, body(() => sleep(1000)))));
  await sleep(1);
  task.cancel();
  await wait([task]);
  assert(task.cancelled());
});

each(
  "waitFor() cancels what takes too long and waits for its end",
  async ({ body, guarded }, loop) => {
    let cleaned = false;
    const inner = createTask(guarded(() => sleep(1000), (error) => {
      throw error;
    }, () => body(() => sleep(5), () => void (cleaned = true))()));
    await assertRejects(
      async () => await createTask(body(() => waitFor(inner, 10))),
      TimeoutError,
    );
    assert(cleaned);
    assertEquals(loop.time(), 15);
  },
);

each(
  "gather() passes the first error on and lets the others run",
  async ({ body }) => {
    const other = createTask(body(() => sleep(20, "other")));
    const failing = createTask(body(() => sleep(1), () => {
      throw new RangeError("first");
    }));
    await assertRejects(
      async () => await gather([other, failing]),
      RangeError,
      "first",
    );
    assertEquals(await other, "other");
    assertEquals(await gather([other, failing], { returnExceptions: true }), [
      "other",
      failing.exception(),
    ]);
  },
);

each(
  "wait() ends with the first, the first error, or all",
  async ({ body }) => {
    const [a, b, c] = [
      createTask(body(() => sleep(5))),
      createTask(body(() => sleep(10), () => {
        throw new Error();
      })),
      createTask(body(() => sleep(15))),
    ];
    const all = [a, b, c];
    assertEquals(
      (await wait(all, { returnWhen: FIRST_COMPLETED })).done,
      new Set([a]),
    );
    assertEquals(
      (await wait([b, c], { returnWhen: FIRST_EXCEPTION })).done,
      new Set([b]),
    );
    assertEquals((await wait(all, { timeout: 1 })).pending, new Set([c]));
    assertEquals((await wait(all)).pending.size, 0);
  },
);

each("shield() keeps the cancellation away", async ({ body }) => {
  const inner = createTask(body(() => sleep(10, "kept")));
  const outer = createTask(body(() => shield(inner)));
  await sleep(1);
  outer.cancel();
  await wait([outer]);
  assert(outer.cancelled());
  assertEquals(await inner, "kept");
});

each("taskGroup() cancels the rest on the first error", async ({ body }) => {
  let other: unknown;
  const error = await assertRejects(async () =>
    await taskGroup(async (group) => {
      other = group.createTask(body(() => sleep(1000)));
      group.createTask(body(() => sleep(1), () => {
        throw new RangeError("one");
      }));
      await sleep(500);
    })
  );
  assertInstanceOf(error, ExceptionGroup);
  assertEquals(error.errors.map((e) => (e as Error).message), ["one"]);
  assert((other as { cancelled(): boolean }).cancelled());
});

each("TaskGroup.cancel() ends the group without an error", async ({ body }) => {
  const tasks: { cancelled(): boolean }[] = [];
  await taskGroup(async (group) => {
    tasks.push(group.createTask(body(() => sleep(1000))));
    await sleep(1);
    group.cancel();
    group.cancel();
    await sleep(1000);
  });
  assertEquals(tasks.map((task) => task.cancelled()), [true]);
  assertEquals(currentTask()!.cancelling(), 0);
});

each("a task that awaits itself fails", async ({ body }) => {
  let self: Awaitable<unknown> | undefined = undefined;
  const task = createTask(body(() => sleep(0), () => self!));
  self = task;
  await assertRejects(async () => await task, RuntimeError, "in itself");
});

each("result() of a task that is not done throws", async ({ body }) => {
  const task = createTask(body(() => sleep(1)));
  try {
    task.result();
    throw new Error("not reached");
  } catch (error) {
    assertInstanceOf(error, InvalidStateError);
  }
  await task;
});

each("allTasks() has the tasks that are not done", async ({ body }) => {
  const task = createTask(body(() => sleep(1)));
  assert(allTasks().has(task));
  await task;
  assert(!allTasks().has(task));
});
