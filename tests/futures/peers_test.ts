/**
 * What other pools of JavaScript get wrong under Deno, each row a case in which at least one of six well-known libraries
 * hangs, loses what was thrown, or cannot go on: a call rejects with something useful, and the next one runs.
 */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { NotCloneableError, TimeoutError, WorkerCrashedError } from "../../lib/futures/mod.ts";
import { assertAddsUp, forEachPool, type PoolKind, runScript, until } from "./_helpers.ts";

/** One worker, as that is where a lost one shows. */
const ROWS: Record<
  string,
  [options: { timeout?: number }, body: () => unknown, check: (error: Error, kind: PoolKind) => void]
> = {
  "a task that throws an error of its own class": [
    {},
    () => {
      class AppError extends TypeError {
        override name = "AppError";
        code = "E_APP";
      }
      throw new AppError("of the application", { cause: new RangeError("the cause") });
    },
    (error) => {
      assertInstanceOf(error, TypeError, "the nearest class that both sides know");
      assertEquals([error.name, error.message], ["AppError", "of the application"]);
      assertEquals((error as unknown as { code: string }).code, "E_APP");
      assertInstanceOf(error.cause, RangeError);
      assertStringIncludes(error.stack ?? "", "skein:task");
    },
  ],
  "process.exit(3) in a task": [
    {},
    async () => (await import("node:process")).default.exit(3),
    (error) => {
      assertInstanceOf(error, WorkerCrashedError);
      assertEquals(error.code, 3);
    },
  ],
  "a busy loop with a time limit": [
    { timeout: 100 },
    () => {
      // A thread cannot be stopped, and burns on until then.
      for (const end = performance.now() + 2000; performance.now() < end;);
    },
    (error) => assertInstanceOf(error, TimeoutError),
  ],
  "an uncaught error in a timer": [
    {},
    () => {
      setTimeout(() => {
        throw new RangeError("in a timer");
      });
      return new Promise(() => {});
    },
    (error, kind) => {
      assertInstanceOf(error, WorkerCrashedError);
      assertStringIncludes(kind.isProcess ? error.stderr : error.message, "in a timer");
    },
  ],
  "a function as the result": [
    {},
    function giveFunction() {
      return { run: () => 1 };
    },
    (error) => {
      assertInstanceOf(error, NotCloneableError);
      assertStringIncludes(error.message, "result.run is a function");
    },
  ],
  "self.close() in a task": [
    {},
    () => {
      self.close();
      return new Promise(() => {});
    },
    (error) => assertInstanceOf(error, WorkerCrashedError),
  ],
};

for (const [what, [options, body, check]] of Object.entries(ROWS)) {
  forEachPool(`submit() with one worker survives ${what}`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await pool.warmUp();
    const future = pool.submitWith(options, body);
    const next = pool.submit((x: number) => x, 5);
    const error = await future.exception();
    assertInstanceOf(error, Error);
    check(error, kind);
    assertEquals(await next, 5);
    assertEquals(await pool.submit((x: number) => x, 6), 6);
    if (kind.isProcess) await until(() => pool.statistics().retired === 0);
    const { completed, failed, crashed, submitted } = assertAddsUp(pool.statistics());
    assertEquals([completed, failed + crashed, submitted], [2, 1, 3]);
  });
}

for (const kind of ["thread", "process"]) {
  Deno.test(`${kind === "thread" ? "Thread" : "Process"}PoolExecutor() without shutdown lets the program exit`, async () => {
    const begin = performance.now();
    const { code, signal } = await runScript("lifetime.ts", [kind, "forgotten"]);
    assertEquals([code, signal], [0, null]);
    assert(performance.now() - begin < 10_000);
  });
}
