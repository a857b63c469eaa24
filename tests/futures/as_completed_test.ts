import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { asCompleted, Future, TimeoutError } from "../../lib/futures/mod.ts";
import { forEachPool, Gate, hold } from "./_helpers.ts";

function futures(count: number): Future<number>[] {
  return Array.from({ length: count }, () => new Future<number>());
}

Deno.test("asCompleted() gives those that are done first, then the others in the order in which they finish", async () => {
  const [a, b, c, d, e] = futures(5) as [
    Future<number>,
    Future<number>,
    Future<number>,
    Future<number>,
    Future<number>,
  ];
  d.setResult(4);
  b.cancel();
  const iterator = asCompleted([a, b, c, d, e]);
  const early = [(await iterator.next()).value, (await iterator.next()).value];
  assertEquals(new Set<unknown>(early), new Set<unknown>([b, d]));
  e.setException(new Error("x"));
  a.setResult(1);
  assertStrictEquals((await iterator.next()).value, e);
  assertStrictEquals((await iterator.next()).value, a);
  const last = iterator.next();
  c.cancel();
  assertStrictEquals((await last).value, c);
  assertEquals(await iterator.next(), { done: true, value: undefined });
});

Deno.test("asCompleted() gives back the very futures it was given", async () => {
  const all = futures(3);
  for (const [i, future] of all.entries()) future.setResult(i);
  assertEquals(await Array.fromAsync(asCompleted(all)), all);
});

Deno.test("asCompleted() gives the same future once", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  a.setResult(1);
  const iterator = asCompleted([b, a, a, b]);
  assertStrictEquals((await iterator.next()).value, a);
  b.setResult(2);
  assertStrictEquals((await iterator.next()).value, b);
  assertEquals((await iterator.next()).done, true);
});

Deno.test("asCompleted() of nothing is over at once", async () => {
  assertEquals(await Array.fromAsync(asCompleted([])), []);
  assertEquals(await Array.fromAsync(asCompleted(new Set<Future<number>>(), { timeout: 0 })), []);
});

Deno.test("asCompleted() throws TimeoutError that says how many are unfinished, after those that are done", async () => {
  const [a, b, c] = futures(3) as [Future<number>, Future<number>, Future<number>];
  a.setResult(1);
  for (const timeout of [0, -5, 1, { milliseconds: 1 }]) {
    const iterator = asCompleted([a, b, c], { timeout });
    assertStrictEquals((await iterator.next()).value, a);
    await assertRejects(() => iterator.next(), TimeoutError, "2 (of 3) futures unfinished");
    assertEquals((await iterator.next()).done, true);
  }
  assert(!b.done() && !c.done());
});

Deno.test("asCompleted() measures its time from the call, not from the first step", async () => {
  const [a] = futures(1) as [Future<number>];
  const start = performance.now();
  const iterator = asCompleted([a], { timeout: 5000 });
  // The clock stands in for the time that goes by.
  const now = performance.now.bind(performance);
  performance.now = () => now() + 10_000;
  try {
    await assertRejects(() => iterator.next(), TimeoutError);
  } finally {
    performance.now = now;
  }
  assert(performance.now() - start < 4000);
});

Deno.test("asCompleted() still gives what is done when its time is over", async () => {
  const [a] = futures(1) as [Future<number>];
  const iterator = asCompleted([a], { timeout: 0 });
  a.setResult(1);
  assertStrictEquals((await iterator.next()).value, a);
  assertEquals((await iterator.next()).done, true);
});

Deno.test("asCompleted() takes a timeout of weeks for what it is", async () => {
  const [a] = futures(1) as [Future<number>];
  const step = asCompleted([a], { timeout: { days: 40 } }).next();
  const first = await Promise.race([step, new Promise((resolve) => setTimeout(resolve, 10, "waits"))]);
  assertEquals(first, "waits");
  a.setResult(1);
  assertStrictEquals((await step).value, a);
});

Deno.test("asCompleted() can be left early, and leaves the futures alone", async () => {
  const [a, b] = futures(2) as [Future<number>, Future<number>];
  a.setResult(1);
  for await (const future of asCompleted([a, b], { timeout: 60_000 })) {
    assertStrictEquals(future, a);
    break;
  }
  assert(!b.done());
  b.setResult(2); // whom nobody observes any more
});

Deno.test("asCompleted() answers several steps that wait at the same time", async () => {
  const all = futures(3);
  const iterator = asCompleted(all);
  const steps = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
  for (const future of all.toReversed()) future.setResult(0);
  const given = await Promise.all(steps);
  assertEquals(given.map(({ value }) => all.indexOf(value as Future<number>)).toSorted(), [-1, 0, 1, 2]);
  assertEquals(given.map(({ done }) => done ?? false), [false, false, false, true]);
});

for (const bad of [undefined, null, 5, "ab", {}, [1], [Promise.resolve()]]) {
  Deno.test(`asCompleted() refuses ${Deno.inspect(bad)} at the call`, async () => {
    await assertRejects(async () => await asCompleted(bad as never).next(), TypeError, "Cannot iterate over");
    let thrown = false;
    try {
      asCompleted(bad as never);
    } catch {
      thrown = true;
    }
    assert(thrown);
  });
}

forEachPool("submit() gives futures for asCompleted() in the order in which they finish", async (kind) => {
  using gate = new Gate();
  await using pool = kind.create({ maxWorkers: 3 });
  const all = [0, 1, 2].map((id) => pool.submit(hold, gate.port, id));
  for (const id of [0, 1, 2]) await gate.started(id);
  const order: number[] = [];
  const iterator = asCompleted(all);
  for (const id of [2, 0, 1]) {
    await gate.open(id);
    const { value } = await iterator.next();
    order.push(await (value as Future<number>));
  }
  assertEquals(order, [2, 0, 1]);
});
