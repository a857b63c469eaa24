/**
 * Disposers that wait in code that is cancelled: what the language makes of several cancellations is one.
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import {
  CancelledError,
  cancelScope,
  createTask,
  currentTask,
  ExceptionGroup,
  failAfter,
  gather,
  map,
  moveOnAfter,
  openConnection,
  run,
  sleep,
  startServer,
  taskGroup,
  timeout,
  TimeoutError,
  wait,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { cancellationIn } from "../../lib/asyncio/exceptions.ts";
import { loopTest } from "./_helpers.ts";
import { eachKind, on, type Steps } from "./_kinds.ts";

const MOVED_ON = { cancelled: true, value: undefined } as const;

/** Has a disposer that waits. */
function slow(error?: Error): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      if (error) throw error;
      await sleep(10);
    },
  };
}

async function uses(...errors: Error[]): Promise<void> {
  await using _a = slow(errors[0]);
  await using _b = slow();
  await sleep(1000);
}

Deno.test("cancellationIn() takes a SuppressedError for the newest of its parts, if all are cancellations", () => {
  const [first, second, third] = [new CancelledError(1), new CancelledError(2), new CancelledError(3)];
  assertStrictEquals(cancellationIn(first), first);
  assertStrictEquals(cancellationIn(new SuppressedError(second, first)), second);
  assertStrictEquals(cancellationIn(new SuppressedError(third, new SuppressedError(second, first))), third);
  for (const other of [new RangeError(), undefined, null, "CancelledError"]) {
    assertEquals(cancellationIn(other), null);
    assertEquals(cancellationIn(new SuppressedError(other, first)), null);
    assertEquals(cancellationIn(new SuppressedError(first, other)), null);
    assertEquals(cancellationIn(new SuppressedError(third, new SuppressedError(second, other))), null);
  }
});

loopTest("A cancelled scope catches what its disposers make of the cancellation", async (loop) => {
  assertEquals(await moveOnAfter(20, () => uses()), MOVED_ON);
  assertEquals([loop.time(), currentTask()!.cancelling()], [20, 0]);
  await assertRejects(async () => await failAfter(20, () => uses()), TimeoutError);
  assertEquals(await cancelScope((scope) => (scope.cancel(), uses())), MOVED_ON);
  assertEquals(await moveOnAfter(20, () => moveOnAfter(100, () => uses())), MOVED_ON);
});

loopTest("A cancelled scope throws on what a disposer has thrown", async () => {
  const thrown = await assertRejects(async () => await moveOnAfter(20, () => uses(new RangeError("mine"))));
  assertInstanceOf(thrown, SuppressedError);
  assertInstanceOf(thrown.error, RangeError);
});

loopTest("timeout() throws TimeoutError for what its disposers make of the cancellation", async () => {
  const task = createTask(async () => {
    const body = async (): Promise<void> => {
      await using _ = {
        async [Symbol.asyncDispose]() {
          await timeout(1, () => sleep(100)).then(null, () => Promise.reject(new CancelledError("disposer")));
        },
      };
      await sleep(1000);
    };
    await assertRejects(async () => await timeout(10, body), TimeoutError);
    assertEquals(await moveOnAfter(20, () => timeout(30, () => uses())), MOVED_ON);
    assertEquals(currentTask()!.cancelling(), 0);
  });
  await task;
});

loopTest("Task that is cancelled again while it disposes ends as cancelled", async () => {
  const task = createTask(() => uses());
  await sleep(5);
  task.cancel("first");
  await sleep(1);
  task.cancel("second");
  await wait([task]);
  assert(task.cancelled());
  const error = await assertRejects(async () => await task, CancelledError);
  assertEquals((error as CancelledError).reason, "second");
});

eachKind("Task groups take what disposers make of cancellations for no error", function* ({ co }) {
  const group = moveOnAfter(
    20,
    co(function* (): Steps<void> {
      yield* on(taskGroup(async (group) => {
        group.createTask(moveOnAfter(5, () => uses()));
        group.createTask(() => uses());
        await uses();
      }));
    }) as () => PromiseLike<void>,
  );
  assertEquals(yield* on(group), MOVED_ON);
  let thrown: unknown;
  try {
    yield* on(taskGroup(async (group) => {
      group.createTask(async () => {
        await sleep(1);
        throw new RangeError("one");
      });
      await moveOnAfter(20, () => uses());
      await uses();
    }));
  } catch (error) {
    thrown = error;
  }
  assertInstanceOf(thrown, ExceptionGroup);
  assertEquals(thrown.errors.map(String), ["RangeError: one"]);
  assertEquals(currentTask()!.cancelling(), 0);
});

loopTest("gather() and map() pass scopes with disposers that wait", async () => {
  assertEquals(await gather([moveOnAfter(5, () => uses())]), [MOVED_ON]);
  const read = async (): Promise<void> => {
    for await (const _ of map(() => uses(), [1, 2, 3], { limit: 2 }));
  };
  assertEquals(await moveOnAfter(5, read), MOVED_ON);
});

Deno.test("run() cancels tasks that dispose, and reports no error", async () => {
  await run(async (): Promise<void> => {
    createTask(() => uses());
    createTask(moveOnAfter(5, () => uses()));
    await sleep(2);
  });
});

eachKind("waitFor() with a limit of 0 waits for what it has cancelled, in a cancelled scope too", function* ({ co }) {
  const log: string[] = [];
  const inner = co(function* (): Steps<void> {
    try {
      yield* on(sleep(1000));
    } finally {
      yield* on(sleep(10));
      log.push("inner");
    }
  });
  const outcome = yield* on(moveOnAfter(
    5,
    co(function* (): Steps<void> {
      const task = createTask(inner as () => PromiseLike<void>);
      yield* on(sleep(1));
      try {
        yield* on(sleep(1000));
      } finally {
        try {
          yield* on(waitFor(task, 0));
        } catch (error) {
          log.push((error as Error).name);
        }
      }
    }) as () => PromiseLike<void>,
  ));
  assertEquals(outcome, MOVED_ON);
  assertEquals(log, ["inner", "TimeoutError"]);
});

Deno.test("Server.serveForever() waits for its connections, in a cancelled scope too", async () => {
  const log: string[] = [];
  await run(async () => {
    const server = await startServer(async (reader) => {
      await reader.read();
      log.push("handler");
    }, { host: "127.0.0.1" });
    const { port } = server.addresses[0] as Deno.NetAddr;
    const [, writer] = await openConnection("127.0.0.1", port);
    const serving = createTask(cancelScope(async (scope) => {
      createTask(async () => {
        await sleep(1);
        scope.cancel();
        await sleep(1);
        writer.close();
      });
      await server.serveForever();
    }));
    const { cancelled } = await serving;
    log.push(`cancelled ${cancelled}`);
  });
  assertEquals(log, ["handler", "cancelled true"]);
});
