import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { CancelledError, Future, InvalidStateError, RuntimeError, TimeoutError } from "../../lib/futures/mod.ts";

type Making = (future: Future<unknown>) => void;

/** What brings a fresh future into each of its states. */
const STATES: Record<string, Making> = {
  pending: () => {},
  running: (f) => void f.setRunningOrNotifyCancel(),
  cancelled: (f) => void f.cancel(),
  "cancelled and notified": (f) => {
    f.cancel();
    f.setRunningOrNotifyCancel();
  },
  "finished with a result": (f) => {
    f.setRunningOrNotifyCancel();
    f.setResult(1);
  },
  "finished with an exception": (f) => {
    f.setRunningOrNotifyCancel();
    f.setException(new RangeError("x"));
  },
};

function make(state: string): Future<unknown> {
  const future = new Future<unknown>();
  STATES[state]!(future);
  return future;
}

/** Runs `body` with `console.error` going into a list. */
async function captureErrors(body: () => void | Promise<void>): Promise<unknown[][]> {
  const printed: unknown[][] = [];
  const original = console.error;
  console.error = (...args: unknown[]) => void printed.push(args);
  try {
    await body();
  } finally {
    console.error = original;
  }
  return printed;
}

for (
  const [state, cancelled, running, done, cancel] of [
    ["pending", false, false, false, true],
    ["running", false, true, false, false],
    ["cancelled", true, false, true, true],
    ["cancelled and notified", true, false, true, true],
    ["finished with a result", false, false, true, false],
    ["finished with an exception", false, false, true, false],
  ] as const
) {
  Deno.test(`Future says what it is when ${state}`, () => {
    const future = make(state);
    assertEquals([future.cancelled(), future.running(), future.done()], [cancelled, running, done]);
  });

  Deno.test(`Future.cancel() returns ${cancel} when ${state}`, () => {
    const future = make(state);
    assertEquals(future.cancel(), cancel);
    assertEquals(future.cancelled(), cancel);
    assertEquals(future.running(), running);
    assertEquals(future.cancel(), cancel);
  });
}

Deno.test("Future.setRunningOrNotifyCancel() returns true and makes a pending future running", () => {
  const future = new Future<number>();
  assertStrictEquals(future.setRunningOrNotifyCancel(), true);
  assert(future.running());
});

Deno.test("Future.setRunningOrNotifyCancel() returns false for a cancelled future", () => {
  const future = new Future<number>();
  future.cancel();
  assertStrictEquals(future.setRunningOrNotifyCancel(), false);
  assert(future.cancelled());
});

for (const state of ["running", "cancelled and notified", "finished with a result", "finished with an exception"]) {
  Deno.test(`Future.setRunningOrNotifyCancel() throws RuntimeError when ${state}`, () => {
    // As in CPython.
    assertThrows(() => make(state).setRunningOrNotifyCancel(), RuntimeError);
  });
}

for (const state of ["cancelled", "cancelled and notified", "finished with a result", "finished with an exception"]) {
  Deno.test(`Future.setResult() throws InvalidStateError when ${state}`, async () => {
    const future = make(state);
    assertThrows(() => future.setResult(99), InvalidStateError);
    assert(await future.result().then((value) => value !== 99, () => true), "the outcome was replaced");
  });

  Deno.test(`Future.setException() throws InvalidStateError when ${state}`, async () => {
    const future = make(state);
    const error = new Error("second");
    assertThrows(() => future.setException(error), InvalidStateError);
    assert(await future.result().then(() => true, (reason) => reason !== error), "the outcome was replaced");
  });
}

Deno.test("Future.result() resolves to the result, whatever it is", async () => {
  for (const value of [42, 0, "", null, undefined, false, NaN, { a: 1 }]) {
    const future = new Future<unknown>();
    future.setResult(value);
    assert(Object.is(await future.result(), value));
    assert(Object.is(await future, value));
    assertStrictEquals(await future.exception(), null);
  }
});

Deno.test("Future.result() resolves when the result comes later", async () => {
  const future = new Future<number>();
  const waiting = [future.result(), future.result(60_000), future.then((value) => value + 1)];
  future.setRunningOrNotifyCancel();
  future.setResult(1);
  assertEquals(await Promise.all(waiting), [1, 1, 2]);
});

for (const thrown of [new RangeError("x"), undefined, null, 0, "", false, NaN, Symbol("s")]) {
  Deno.test(`Future.result() rejects with the exception ${Deno.inspect(thrown).split("\n")[0]}`, async () => {
    for (const early of [true, false]) {
      const future = new Future<number>();
      if (early) future.setException(thrown);
      const outcomes = [future.result(), future.result(60_000), future.then()].map((promise) =>
        promise.then(
          () => "resolved",
          (error) => Object.is(error, thrown) ? "rejected" : "rejected with something else",
        )
      );
      const exceptions = [future.exception(), future.exception(60_000)];
      if (!early) future.setException(thrown);
      assertEquals(await Promise.all(outcomes), ["rejected", "rejected", "rejected"]);
      for (const exception of await Promise.all(exceptions)) assert(Object.is(exception, thrown));
      assert(future.done() && !future.cancelled());
    }
  });
}

for (const early of [true, false]) {
  Deno.test(`Future.result() rejects with CancelledError when it was cancelled ${early ? "before" : "meanwhile"}`, async () => {
    const future = new Future<number>();
    if (early) future.cancel();
    const waiting = [
      future.result(),
      future.result(60_000),
      future.exception(),
      future.exception(60_000),
      future.then(),
    ];
    const checks = waiting.map((promise) => assertRejects(() => promise, CancelledError));
    if (!early) future.cancel();
    await Promise.all(checks);
  });
}

Deno.test("Future.result() rejects with TimeoutError when the time is over, and leaves the future alone", async () => {
  const future = new Future<number>();
  for (const timeout of [0, 1, -1, { milliseconds: 1 }]) {
    await assertRejects(() => future.result(timeout), TimeoutError);
    await assertRejects(() => future.exception(timeout), TimeoutError);
  }
  assert(!future.done());
  future.setResult(3);
  assertEquals(await future.result(0), 3);
});

Deno.test("Future.exception() does not take a timeout for the exception of the call", async () => {
  const future = new Future<number>();
  const error = new TimeoutError("the call's own");
  future.setException(error);
  assertStrictEquals(await future.exception(0), error);
});

Deno.test("Future.result() takes null, undefined, Infinity and long durations for no limit", async () => {
  for (const timeout of [null, undefined, Infinity, { days: 40 }, 2 ** 31, 2 ** 40]) {
    const future = new Future<number>();
    const result = future.result(timeout);
    const first = await Promise.race([result, new Promise((resolve) => setTimeout(resolve, 10, "waits"))]);
    assertEquals(first, "waits", `timeout ${Deno.inspect(timeout)}`);
    future.setResult(1);
    assertEquals(await result, 1);
  }
});

for (const timeout of [NaN, { years: 1 }]) {
  Deno.test(`Future.result() refuses the timeout ${Deno.inspect(timeout)}`, async () => {
    await assertRejects(async () => await new Future().result(timeout), RangeError, Deno.inspect(timeout));
  });
}

for (const timeout of ["100", true, 5n, { mseconds: 3 }, Symbol("x")]) {
  Deno.test(`Future.result() refuses the timeout ${Deno.inspect(timeout)} as no length of time`, async () => {
    await assertRejects(async () => await new Future().result(timeout as never), TypeError, "timeout");
  });
}

Deno.test("Future.addDoneCallback() calls in the order of adding, with the future, once", () => {
  const future = new Future<number>();
  const calls: unknown[] = [];
  future.addDoneCallback((f) => calls.push(["a", f === future, f.done()]));
  future.addDoneCallback((f) => calls.push(["b", f === future, f.done()]));
  assertEquals(calls, []);
  future.setResult(1);
  assertEquals(calls, [["a", true, true], ["b", true, true]]);
});

Deno.test("Future.addDoneCallback() calls the same function as often as it was added", () => {
  const future = new Future<number>();
  let calls = 0;
  const count = () => calls++;
  future.addDoneCallback(count);
  future.addDoneCallback(count);
  future.setResult(1);
  assertEquals(calls, 2);
});

for (const state of ["cancelled", "cancelled and notified", "finished with a result", "finished with an exception"]) {
  Deno.test(`Future.addDoneCallback() calls at once when ${state}`, () => {
    let calls = 0;
    make(state).addDoneCallback(() => calls++);
    assertEquals(calls, 1);
  });
}

Deno.test("Future.addDoneCallback() callbacks run before cancel() returns, and not again on notification", () => {
  const future = new Future<number>();
  const seen: boolean[] = [];
  future.addDoneCallback((f) => seen.push(f.cancelled()));
  future.cancel();
  assertEquals(seen, [true]);
  future.cancel();
  future.setRunningOrNotifyCancel();
  assertEquals(seen, [true]);
});

Deno.test("Future.addDoneCallback() prints what a callback throws, and calls the next one", async () => {
  const calls: string[] = [];
  const boom = new Error("boom");
  const printed = await captureErrors(() => {
    const future = new Future<number>();
    future.addDoneCallback(() => void calls.push("first"));
    future.addDoneCallback(() => {
      throw boom;
    });
    future.addDoneCallback(() => void calls.push("third"));
    future.setResult(1);
    future.addDoneCallback(() => {
      throw boom;
    });
    assertEquals(future.done(), true);
  });
  assertEquals(calls, ["first", "third"]);
  assertEquals(printed.length, 2);
  for (const args of printed) assertStrictEquals(args.at(-1), boom);
});

Deno.test("Future.addDoneCallback() calls one that a callback adds", () => {
  const future = new Future<number>();
  const calls: string[] = [];
  future.addDoneCallback(() => {
    calls.push("outer");
    future.addDoneCallback(() => calls.push("inner"));
  });
  future.setResult(1);
  assertEquals(calls, ["outer", "inner"]);
});

Deno.test("Future.addDoneCallback() refuses what is not a function", () => {
  for (const callback of [undefined, null, 1, {}]) {
    assertThrows(() => new Future().addDoneCallback(callback as never), TypeError, "function");
    const done = new Future();
    done.setResult(1);
    assertThrows(() => done.addDoneCallback(callback as never), TypeError, "function");
  }
});

Deno.test("Future does not report an exception that nobody asks for", async () => {
  const rejections: unknown[] = [];
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    rejections.push(event.reason);
  };
  addEventListener("unhandledrejection", listener);
  new Future<number>().setException(new Error("nobody cares"));
  new Future<number>().cancel();
  await new Promise((resolve) => setTimeout(resolve)); // rejections are reported after the microtasks
  removeEventListener("unhandledrejection", listener);
  assertEquals(rejections, []);
});

Deno.test("Future.then() works as a promise's, with one handler, both or none", async () => {
  const good = new Future<number>();
  good.setResult(1);
  assertEquals(await good.then(null, () => "no"), 1);
  assertEquals(await good.then((value) => value + 1), 2);
  const bad = new Future<number>();
  bad.setException(new Error("x"));
  assertEquals(await bad.then(() => "no", (error) => (error as Error).message), "x");
  await assertRejects(() => bad.then(() => "no"), Error, "x");
  assertInstanceOf(good.then(), Promise);
});

Deno.test("Future.toString() says the state and the outcome", () => {
  const shown = Object.keys(STATES).map((state) => make(state).toString());
  assertEquals(shown, [
    "<Future pending>",
    "<Future running>",
    "<Future cancelled>",
    "<Future cancelled and notified>",
    "<Future finished returned 1>",
    "<Future finished raised RangeError>",
  ]);
  assertEquals(Deno.inspect(make("pending")), "<Future pending>");
});

Deno.test("Future.toString() shows a thrown value that is no error", () => {
  const future = new Future<unknown>();
  future.setException(undefined);
  assertEquals(String(future), "<Future finished raised undefined>");
});
