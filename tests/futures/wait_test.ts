import { assert, assertEquals, assertRejects } from "@std/assert";
import { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Future, wait } from "../../lib/futures/mod.ts";
import { forEachPool, Gate, hold } from "./_helpers.ts";

function futures(count: number): Future<number>[] {
  return Array.from({ length: count }, () => new Future<number>());
}

/** Whether a promise is settled once all microtasks are through. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const turn = new Promise((resolve) => setTimeout(resolve, 0, pending));
  return await Promise.race([promise, turn]) !== pending;
}

Deno.test("wait() with ALL_COMPLETED waits for all, also for those that fail or are cancelled", async () => {
  const [a, b, c] = futures(3) as [Future<number>, Future<number>, Future<number>];
  const waiting = wait([a, b, c], { returnWhen: ALL_COMPLETED });
  a.setResult(1);
  b.setException(new Error("x"));
  assert(!await isSettled(waiting));
  c.cancel();
  assertEquals(await waiting, { done: new Set([a, b, c]), notDone: new Set() });
});

Deno.test("wait() waits for all by default", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  const waiting = wait([a, b]);
  a.setException(new Error("x"));
  assert(!await isSettled(waiting));
  b.setResult(1);
  assertEquals((await waiting).done.size, 2);
});

for (
  const [what, end] of [
    ["has a result", (f) => f.setResult(1)],
    ["has an exception", (f) => f.setException(undefined)],
    ["is cancelled", (f) => f.cancel()],
  ] as [string, (future: Future<number>) => unknown][]
) {
  Deno.test(`wait() with FIRST_COMPLETED returns when one ${what}`, async () => {
    for (const early of [true, false]) {
      const [a, b] = futures(2) as [Future<number>, Future<number>];
      if (early) end(b);
      const waiting = wait([a, b], { returnWhen: FIRST_COMPLETED });
      if (!early) {
        assert(!await isSettled(waiting));
        end(b);
      }
      assertEquals(await waiting, { done: new Set([b]), notDone: new Set([a]) });
    }
  });
}

Deno.test("wait() with FIRST_EXCEPTION returns at the first exception, though it be undefined", async () => {
  for (const thrown of [new Error("x"), undefined, null, 0]) {
    const [a, b, c, d] = futures(4) as [Future<number>, Future<number>, Future<number>, Future<number>];
    const waiting = wait([a, b, c, d], { returnWhen: FIRST_EXCEPTION });
    a.setResult(1);
    b.cancel();
    assert(!await isSettled(waiting), "a result and a cancellation are no exceptions");
    c.setException(thrown);
    assertEquals(await waiting, { done: new Set([a, b, c]), notDone: new Set([d]) });
  }
});

Deno.test("wait() with FIRST_EXCEPTION returns at once for an exception that was there before", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  a.setException(new Error("x"));
  assertEquals(await wait([a, b], { returnWhen: FIRST_EXCEPTION }), { done: new Set([a]), notDone: new Set([b]) });
});

Deno.test("wait() with FIRST_EXCEPTION waits for all if none throws", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  a.cancel();
  const waiting = wait([a, b], { returnWhen: FIRST_EXCEPTION });
  assert(!await isSettled(waiting));
  b.setResult(1);
  assertEquals((await waiting).done, new Set([a, b]));
});

Deno.test("wait() counts a cancelled future as done before its executor has taken note, and after", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  a.cancel();
  b.cancel();
  b.setRunningOrNotifyCancel();
  assertEquals(await wait([a, b]), { done: new Set([a, b]), notDone: new Set() });
});

for (const timeout of [0, -1, 1, { milliseconds: 1 }]) {
  Deno.test(`wait() with timeout ${Deno.inspect(timeout)} returns what is there`, async () => {
    const [a, b] = futures(2) as [Future<number>, Future<number>];
    a.setResult(1);
    for (const returnWhen of [ALL_COMPLETED, FIRST_EXCEPTION] as const) {
      assertEquals(await wait([a, b], { timeout, returnWhen }), { done: new Set([a]), notDone: new Set([b]) });
    }
    assert(!b.done());
  });
}

Deno.test("wait() takes a timeout of weeks for what it is", async () => {
  const [a] = futures(1) as [Future<number>];
  const waiting = wait([a], { timeout: { days: 40 } });
  const first = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 10, "waits"))]);
  assertEquals(first, "waits");
  a.setResult(1);
  assertEquals((await waiting).done.size, 1);
});

Deno.test("wait() leaves no timer behind", async () => {
  const [a] = futures(1) as [Future<number>];
  const waiting = wait([a], { timeout: 60_000 });
  a.setResult(1);
  await waiting; // the sanitizer looks for the timer
});

Deno.test("wait() counts the same future once", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  a.setResult(1);
  const { done, notDone } = await wait([a, a, b, b], { timeout: 0 });
  assertEquals([[...done], [...notDone]], [[a], [b]]);
  const waiting = wait([b, b]);
  b.setResult(2);
  assertEquals([...(await waiting).done], [b]);
});

Deno.test("wait() of nothing returns at once", async () => {
  for (const returnWhen of [ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION] as const) {
    assertEquals(await wait([], { returnWhen }), { done: new Set(), notDone: new Set() });
  }
});

Deno.test("wait() takes any iterable", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  a.setResult(1);
  b.setResult(2);
  assertEquals((await wait(new Set([a, b]))).done, new Set([a, b]));
  assertEquals((await wait([a, b].values())).done, new Set([a, b]));
});

Deno.test("wait() keeps the type of the futures", async () => {
  const [a] = futures(1) as [Future<number>];
  a.setResult(1);
  const { done } = await wait([a]);
  for (const future of done) {
    const value: number = await future;
    assertEquals(value, 1);
    // @ts-expect-error -- the result is a number
    const wrong: string = await future;
    assertEquals<unknown>(wrong, 1);
  }
});

for (const bad of [undefined, null, 5, "ab", {}, new Future<number>(), [1], [Promise.resolve(1)], [null]]) {
  Deno.test(`wait() refuses ${Deno.inspect(bad)}`, async () => {
    await assertRejects(async () => await wait(bad as never), TypeError, "Cannot wait for");
  });
}

for (const returnWhen of ["ALL", "", null, 0, "first_completed"]) {
  Deno.test(`wait() refuses returnWhen ${Deno.inspect(returnWhen)}`, async () => {
    await assertRejects(async () => await wait([], { returnWhen: returnWhen as never }), TypeError, "FIRST_COMPLETED");
  });
}

Deno.test("wait() refuses the timeout NaN", async () => {
  await assertRejects(async () => await wait([new Future<number>()], { timeout: NaN }), RangeError, "NaN");
});

forEachPool("submit() gives futures for wait(), of several pools together", async (kind) => {
  using gate = new Gate();
  await using one = kind.create({ maxWorkers: 1 });
  await using other = kind.create({ maxWorkers: 1 });
  const slow = one.submit(hold, gate.port, 1);
  const fast = other.submit((x: number) => x, 2);
  const first = await wait([slow, fast], { returnWhen: FIRST_COMPLETED });
  assertEquals(first, { done: new Set([fast]), notDone: new Set([slow]) });
  await gate.open(1);
  assertEquals((await wait([slow, fast])).done, new Set([slow, fast]));
});

forEachPool("shutdown() with cancelFutures lets wait() return", async (kind) => {
  using gate = new Gate();
  const pool = kind.create({ maxWorkers: 1 });
  const running = pool.submit(hold, gate.port, 1);
  await gate.started(1);
  const queued = [2, 3, 4].map((id) => pool.submit(hold, gate.port, id));
  const end = pool.shutdown({ cancelFutures: true });
  const { done } = await wait(queued);
  assertEquals([done.size, queued.every((future) => future.cancelled())], [3, true]);
  await gate.open(1);
  await end;
  assertEquals(await running, 1);
});
