import { assertEquals } from "@std/assert";
import {
  asCompleted,
  type Awaitable,
  Context,
  ContextVar,
  copyContext,
  createTask,
  gather,
  run,
  shield,
  sleep,
  taskGroup,
  timeout,
  wait,
  waitFor,
  type Yieldable,
} from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

const variable = new ContextVar("variable", { default: "none" });

/** One of each kind of thing to wait for. */
const WAITS: Record<string, () => Awaitable<unknown>> = {
  "sleep(0)": () => sleep(0),
  "sleep(1)": () => sleep(1),
  "a task": () => createTask(sleep(1)),
  "a task that sets the variable": () =>
    createTask(async () => {
      variable.set("child");
      await sleep(1);
    }),
  "gather()": () => gather([sleep(1), sleep(2)]),
  "wait()": () => wait([createTask(sleep(1))]),
  "waitFor()": () => waitFor(sleep(1), 10),
  "shield()": () => shield(sleep(1)),
  "asCompleted()": () => asCompleted([sleep(1)]).next(),
  "timeout() with a generator": () =>
    timeout(10, function* () {
      yield* sleep(1);
    }),
  "timeout() with an async function": () => timeout(10, async () => await sleep(1)),
  "taskGroup()": () => taskGroup((group) => group.createTask(sleep(1))),
};

for (const [name, make] of Object.entries(WAITS)) {
  loopTest(`ContextVar keeps its value across ${name} in a generator`, async () => {
    const task = createTask(function* () {
      variable.set("mine");
      yield* make() as Yieldable<unknown>;
      return variable.get();
    }());
    assertEquals([await task, variable.get()], ["mine", "none"]);
  });

  loopTest(`ContextVar keeps its value across ${name} in native code`, async () => {
    const task = createTask(async () => {
      variable.set("mine");
      await make();
      const between = variable.get();
      await null;
      return [between, variable.get()];
    });
    assertEquals([await task, variable.get()], [["mine", "mine"], "none"]);
  });
}

loopTest("ContextVar keeps its value across promises of the host in native code", async () => {
  const task = createTask(async () => {
    variable.set("mine");
    await crypto.subtle.digest("SHA-1", new Uint8Array(8));
    await Promise.all([sleep(1), Promise.resolve()]);
    return variable.get();
  });
  assertEquals(await task, "mine");
});

loopTest("ContextVar set in what timeout() and taskGroup() run is set in the task", async () => {
  await timeout(10, function* () {
    variable.set("in the timeout");
    yield* sleep(1);
  });
  assertEquals(variable.get(), "in the timeout");
  await taskGroup(async () => {
    await sleep(1);
    variable.set("in the group");
  });
  assertEquals(variable.get(), "in the group");
});

loopTest("a task and a callback have a copy of the context they are made in", async (loop) => {
  variable.set("at creation");
  const seen: string[] = [];
  const task = createTask(async () => await sleep(0, variable.get()));
  loop.callSoon(() => seen.push(variable.get()));
  loop.callLater(0, () => {
    seen.push(variable.get());
    variable.set("in the callback");
  });
  variable.set("later");
  assertEquals(await task, "at creation");
  await sleep(1);
  assertEquals([seen, variable.get()], [["at creation", "at creation"], "later"]);
});

loopTest(
  "a task, a callback and a timer take the context that is passed, and leave in it what they set",
  async (loop) => {
    const context = new Context();
    context.run(() => variable.set("passed"));
    const seen: string[] = [];
    const push = (): number => seen.push(variable.get());
    loop.callSoonWith({ context }, push);
    loop.callLaterWith({ context }, 1, push);
    loop.callAtWith({ context }, loop.time() + 1, push);
    const handle = loop.callSoonWith({ context }, push);
    assertEquals(handle.getContext() === context, true);
    await createTask(
      async () => {
        push();
        await sleep(2);
        variable.set("by the task");
      },
      { context },
    );
    assertEquals([seen, context.get(variable)], [Array(5).fill("passed"), "by the task"]);
  },
);

loopTest("the exception handler runs in the context of the task that it is told of", async (loop) => {
  let seen = "";
  const failing = createTask(async () => {
    variable.set("of the task");
    await sleep(0);
    throw new Error("late");
  });
  const outer = shield(failing);
  outer.cancel();
  loop.setExceptionHandler(() => seen = variable.get());
  await wait([failing]);
  await sleep(1);
  assertEquals(seen, "of the task");
});

Deno.test("run() starts in an empty context and does not leak into the caller's", async () => {
  const seen = await run(async () => {
    const before = variable.get();
    variable.set("in run()");
    await sleep(0);
    return [before, variable.get()];
  });
  assertEquals([seen, variable.get()], [["none", "in run()"], "none"]);
});

Deno.test("ContextVar.reset() gives back what was there, or nothing", () => {
  copyContext().run(() => {
    const own = new ContextVar<number>("own");
    const first = own.set(1);
    const second = own.set(2);
    own.reset(second);
    assertEquals(own.get(), 1);
    own.reset(first);
    assertEquals([own.get(7), copyContext().has(own)], [7, false]);
  });
});

Deno.test("Context: size, has(), get() and iteration show what is set in it, and copies part ways", () => {
  const [a, b] = [new ContextVar<number>("a"), new ContextVar<undefined>("b")];
  const context = new Context();
  context.run(() => {
    a.set(1);
    b.set(undefined);
  });
  const copy = context.copy();
  copy.run(() => a.set(2));
  assertEquals([context.size, context.get(a), context.has(b), copy.get(a)], [2, 1, true, 2]);
  assertEquals([...context].map(([{ name }, value]) => [name, value]), [["a", 1], ["b", undefined]]);
});
