/** What `then` of coroutines and futures does in native code, whoever calls it: `await`, or the code itself. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Coroutine, type Future, getRunningLoop, sleep } from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

const later = <T>(value: T): Coroutine<T> => sleep(1, value);

function future<T>(value: T, error?: unknown): Future<T> {
  const loop = getRunningLoop();
  const future = loop.createFuture<T>();
  loop.callLater(1, () => error === undefined ? future.setResult(value) : future.setException(error));
  return future;
}

for (const [name, make] of [["Coroutine", later], ["Future", future]] as const) {
  loopTest(`${name}.then() gives a promise of what its functions return`, async () => {
    assertEquals(await make(1).then((value: number) => value + 1), 2);
    assertEquals(await make(1).then((value: number) => later(value + 1)), 2);
    assertEquals(await make(1).then(), 1);
    assertEquals(await make(1).then(null, () => 3), 1);
    await assertRejects(() => make(1).then(() => Promise.reject(new RangeError("in a function"))), RangeError, "in a");
  });

  loopTest(`${name}.then() settles the promise whose functions it is given`, async () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    make(1).then(resolve, reject);
    assertEquals(await promise, 1);
    assertEquals(await new Promise((resolve, reject) => void make(2).then(resolve, reject)), 2);
    assertEquals(await new Promise((resolve, reject) => void make(later(3)).then(resolve, reject)), 3);
  });

  loopTest(`${name}.then() calls functions that only look like those of a promise as any others`, async () => {
    const calls: unknown[] = [];
    const bound = function (this: number, value: unknown) {
      calls.push([this, value]);
      throw new RangeError("of a bound function");
    };
    const promise = make(1).then(bound.bind(7 as never), bound.bind(8 as never));
    await assertRejects(() => promise, RangeError, "of a bound function");
    assertEquals(calls.map((call) => (call as unknown[]).map(Number)), [[7, 1]]);
    const { promise: settled, resolve } = Promise.withResolvers<number>();
    assertEquals(await make(2).then(resolve), undefined);
    assertEquals(await settled, 2);
  });
}

loopTest("Future.then() rejects the promise whose functions it is given, with the very error", async () => {
  const error = new RangeError("of the future");
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  future(0, error).then(resolve, reject);
  const caught = await promise.catch((caught) => caught);
  assert(caught === error);
  assert(await future(0, error).then(() => 1, (caught) => caught === error));
});

loopTest("await goes on where the coroutine has nothing to wait for, and where it waits", async () => {
  const order: string[] = [];
  const go = async (name: string) => {
    for (let step = 0; step < 3; step++) {
      order.push(`${name}${step}`);
      await sleep(0);
    }
  };
  await Promise.all([go("a"), go("b")]);
  assertEquals(order, ["a0", "b0", "a1", "b1", "a2", "b2"]);
});
