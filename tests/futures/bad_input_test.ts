import { assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { asCompleted, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait } from "../../lib/futures/mod.ts";
import { forEachPool, poolTest } from "./_helpers.ts";

/** What the compiler keeps from those who use it. */
function bad(value: unknown): never {
  return value as never;
}

for (const Pool of [ThreadPoolExecutor, ProcessPoolExecutor]) {
  for (const options of [4, null, [4], "4"]) {
    Deno.test(`${Pool.name}() refuses ${Deno.inspect(options)} as its options, and shows how they look`, () => {
      assertThrows(
        () => new Pool(bad(options)),
        TypeError,
        `the options of ${Pool.name}: pass an object such as { max`,
      );
    });
  }

  for (
    const [options, message] of [
      [{ initializer: 5 }, "Cannot use 5 as initializer: pass a function"],
      [{ initializer: () => {}, initargs: 5 }, "Cannot use 5 as initargs: pass the list"],
      [{ onWorkerExit: "stop" }, 'onWorkerExit: pass "replace" or "break"'],
      [{ retryOn: 5 }, "Cannot use 5 as retryOn: pass a function"],
    ] as const
  ) {
    Deno.test(`${Pool.name}() refuses ${Deno.inspect(options)}`, () => {
      assertThrows(() => new Pool(bad(options)), TypeError, message);
    });
  }

  Deno.test(`${Pool.name}() refuses a negative number of retries`, () => {
    assertThrows(() => new Pool({ retries: -1 }), RangeError, "as retries: pass a whole number of at least 0");
  });
}

Deno.test("ThreadPoolExecutor() refuses a threadNamePrefix that is no string", () => {
  assertThrows(
    () => new ThreadPoolExecutor({ threadNamePrefix: bad(5) }),
    TypeError,
    "threadNamePrefix: pass a string",
  );
});

Deno.test("ProcessPoolExecutor() refuses v8Flags and an env that are none", () => {
  assertThrows(() => new ProcessPoolExecutor({ v8Flags: bad("--x") }), TypeError, "v8Flags: pass a list of strings");
  assertThrows(() => new ProcessPoolExecutor({ v8Flags: bad([5]) }), TypeError, "v8Flags: pass a list of strings");
  for (const env of ["all", null, ["A"]]) {
    assertThrows(
      () => new ProcessPoolExecutor({ env: bad(env) }),
      TypeError,
      'as env: pass an object such as { NAME: "',
    );
  }
});

forEachPool("submitWith() and streamWith() refuse options that are none", async (kind) => {
  await using pool = kind.create();
  for (
    const [options, message] of [
      [5, "Cannot use 5 as the options of a call: pass an object such as { timeout: 100 }"],
      [() => 1, "they come first, as in submitWith({ timeout: 100 }, fn)"],
      [{ signal: new AbortController() }, "as signal: pass its signal, controller.signal"],
      [{ signal: 5 }, "Cannot use 5 as signal: pass an AbortSignal"],
      [{ retryOn: 5 }, "as retryOn: pass a function"],
      [{ onProgress: 5 }, "as onProgress: pass a function"],
      [{ transfer: new ArrayBuffer(1) }, "as transfer: pass a list of what to move"],
      [{ transfer: [new Uint8Array(1)] }, "pass its buffer, as in [array.buffer]"],
      [{ transfer: [new SharedArrayBuffer(1)] }, "pass it as an argument only"],
    ] as const
  ) {
    assertThrows(() => pool.submitWith(bad(options), () => 1), TypeError, message);
    assertThrows(() => pool.streamWith(bad(options), () => [1]), TypeError, message);
  }
});

forEachPool("map() that is given several iterables, as in Python, names starmap()", async (kind) => {
  await using pool = kind.create();
  assertThrows(() => pool.map((x: number) => x, [1], bad([2])), TypeError, "there is starmap()");
  assertThrows(() => pool.map((x: number) => x, [1], bad(5)), TypeError, "as the options of map()");
  assertThrows(() => pool.map((x: number) => x, [1], { signal: bad(5) }), TypeError, "as signal");
});

forEachPool("starmap() over what is no list of arguments says what it takes", async (kind) => {
  await using pool = kind.create();
  const message = "as the arguments of a call: starmap() takes a list of them for each, as in [[1, 2], [3, 4]]";
  for (const chunksize of [1, 2]) {
    for (const item of [5, null, { length: 1 }]) {
      assertThrows(() => pool.starmap((x: number) => x, bad([item]), { chunksize }), TypeError, message);
    }
    const late = pool.starmap((x: number) => x, bad(ReadableStream.from([5])), { chunksize });
    await assertRejects(() => late.next(), TypeError, message);
  }
});

Deno.test("wait(), asCompleted() and shutdown() refuse options that are none", async () => {
  const future = new Future<number>();
  assertThrows(() => wait([future], bad(5)), TypeError, "pass an object such as { timeout: 1000 }");
  assertThrows(() => asCompleted([future], bad(5)), TypeError, "pass an object such as { timeout: 1000 }");
  await using pool = new ThreadPoolExecutor();
  assertThrows(() => pool.shutdown(bad(false)), TypeError, "pass an object such as { cancelFutures: true }");
});

for (
  const [fn, message] of [
    [
      Math.sqrt,
      "Cannot submit the native function Math.sqrt: it has no source to send to a worker; wrap it: (x) => Math.sqrt(x)",
    ],
    [Math.pow, "wrap it: (x, y) => Math.pow(x, y)"],
    [encodeURI, "wrap it: (x) => encodeURI(x)"],
    ["".at, "the native function at: it has no source to send to a worker; pass a function that calls it"],
    [[].at.bind([1]), "the bound function at: it has no source to send to a worker; pass a function that takes what"],
  ] as const
) {
  poolTest(`submit() of ${fn.name}() says how to write it`, async () => {
    await using pool = new ThreadPoolExecutor();
    const error = assertThrows(() => pool.submit(fn as (x: number) => unknown, 4), TypeError);
    assertStringIncludes(error.message, message);
  });
}

poolTest(
  "A broken initializer that uses what is around it is told to be importable by a name that can be one",
  async () => {
    const around = 5;
    await using pool = new ThreadPoolExecutor({ initializer: () => around });
    await assertRejects(() => pool.submit(() => 1).result(), Error, "export const task = importable(");
  },
);
