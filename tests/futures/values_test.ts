import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  NotCloneableError,
  type PoolExecutor,
  ProcessPoolExecutor,
  reportProgress,
  ThreadPoolExecutor,
} from "../../lib/futures/mod.ts";
import { forEachPool, makeQuick, poolTest } from "./_helpers.ts";

const echo = (value: unknown) => value;

/** Compares more strictly than `assertEquals`: classes, -0, holes, own keys, and which references are the same. */
function assertSame(actual: unknown, expected: unknown, path = "value", seen = new Map<unknown, unknown>()): void {
  if (typeof expected !== "object" || expected === null) {
    assert(Object.is(actual, expected), `${path}: ${Deno.inspect(actual)} is not ${Deno.inspect(expected)}`);
    return;
  }
  assert(typeof actual === "object" && actual !== null, `${path}: ${Deno.inspect(actual)} is no object`);
  if (seen.has(expected)) {
    assertStrictEquals(actual, seen.get(expected), `${path}: not the same reference`);
    return;
  }
  seen.set(expected, actual);
  assertStrictEquals(Object.getPrototypeOf(actual), Object.getPrototypeOf(expected), `${path}: another class`);
  if (expected instanceof Date) assertSame((actual as Date).getTime(), expected.getTime(), `${path} time`, seen);
  if (expected instanceof RegExp) assertEquals(String(actual), String(expected), path);
  if (expected instanceof Boolean || expected instanceof Number || expected instanceof String) {
    assertSame((actual as typeof expected).valueOf(), expected.valueOf(), path, seen);
  }
  if (expected instanceof Error) {
    for (const key of ["name", "message", "cause"] as const) {
      assertSame((actual as Error)[key], expected[key], `${path}.${key}`, seen);
    }
    return;
  }
  if (expected instanceof ArrayBuffer) {
    const [a, b] = [actual as ArrayBuffer, expected];
    assertEquals([a.byteLength, a.resizable, a.maxByteLength], [b.byteLength, b.resizable, b.maxByteLength], path);
    assertEquals(new Uint8Array(a), new Uint8Array(b), path);
    return;
  }
  if (ArrayBuffer.isView(expected)) {
    const view = actual as ArrayBufferView;
    assertEquals([view.byteLength, view.byteOffset], [expected.byteLength, expected.byteOffset], path);
    assertSame(view.buffer, expected.buffer, `${path}.buffer`, seen);
    return;
  }
  if (expected instanceof Map || expected instanceof Set) {
    assertSame([...actual as typeof expected], [...expected], `${path} entries`, seen);
  }
  assertEquals(Reflect.ownKeys(actual), Reflect.ownKeys(expected), `${path} keys`);
  for (const key of Object.keys(expected)) {
    assertSame(
      (actual as Record<string, unknown>)[key],
      (expected as Record<string, unknown>)[key],
      `${path}.${key}`,
      seen,
    );
  }
}

const shared = { name: "shared" };
const circular: { self?: unknown; list: unknown[] } = { list: [] };
circular.self = circular;
circular.list.push(circular, circular.list);
const circularMap = new Map<unknown, unknown>();
circularMap.set("me", circularMap).set(circularMap, new Set([circularMap]));
const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
const withHoles = [1, , 3, , ,]; // deno-lint-ignore no-sparse-arrays
class Point {
  x = 1;
  #hidden = 2;
  get sum(): number {
    return this.x + this.#hidden;
  }
}

const VALUES: Record<string, unknown> = {
  undefined: undefined,
  null: null,
  true: true,
  zero: 0,
  "negative zero": -0,
  NaN: NaN,
  infinities: [Infinity, -Infinity],
  "small and large numbers": [5e-324, Number.MAX_VALUE, 2 ** 53, 2 ** 31, -(2 ** 31) - 1, 0.1],
  bigints: [0n, -1n, 2n ** 200n, -(2n ** 64n)],
  "empty string": "",
  "strings of all kinds": ["ascii", "ünïcode", "日本語", "😀", "\u0000\u0001", "\u2028"],
  "lone surrogates": ["\ud800", "\udfff", "a\ud83db"],
  "long one-byte string": "a".repeat(5000),
  "long two-byte string": "あ".repeat(5000),
  "nested negative zero and NaN": { a: [-0, NaN, { b: undefined }] },
  "empty object": {},
  "empty array": [],
  "sparse array": withHoles,
  "very sparse array": Object.assign([], { 5: "x", length: 1000 }),
  "array with properties": Object.assign([1, 2], { extra: "x" }),
  "large array": Array.from({ length: 1000 }, (_, n) => n),
  "object with 100 keys": Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`key${n}`, n])),
  "deep object": Array.from({ length: 200 }).reduce<unknown>((inner) => ({ inner }), null),
  "__proto__ key": JSON.parse('{"__proto__":{"polluted":true},"a":1}'),
  "constructor and toString keys": { constructor: 1, toString: "x", hasOwnProperty: null, then: 5 },
  "toJSON that is no function": { toJSON: 5, a: 1 },
  "nested toJSON that is no function": [{ toJSON: "x" }],
  "null prototype": Object.assign(Object.create(null), { a: 1 }),
  "numeric keys": { 2: "b", 1: "a", "-1": "c", "01": "d" },
  Date: [new Date(0), new Date(NaN), new Date(8.64e15)],
  RegExp: [/a(?<b>c)/giu, /[/\\]/, new RegExp("")],
  "wrapped primitives": [Object(true), Object(1), Object("s"), Object(5n)],
  Map: new Map<unknown, unknown>([[{ a: 1 }, [1]], ["x", new Map([[NaN, -0]])]]),
  Set: new Set<unknown>([1, "1", { a: 1 }, new Set()]),
  ArrayBuffer: buffer,
  "empty ArrayBuffer": new ArrayBuffer(0),
  "resizable ArrayBuffer": new ArrayBuffer(4, { maxByteLength: 16 }),
  DataView: new DataView(buffer, 2, 3),
  "typed arrays": [
    Int8Array.of(-1),
    Uint8Array.of(255),
    Uint8ClampedArray.of(300),
    Int16Array.of(-300),
    Uint16Array.of(65535),
    Int32Array.of(-70000),
    Uint32Array.of(4e9),
    Float32Array.of(1.5),
    Float64Array.of(Math.PI, -0, NaN),
    BigInt64Array.of(-5n),
    BigUint64Array.of(2n ** 63n),
  ],
  Float16Array: Float16Array.of(1.5),
  "views of one buffer": [new Uint8Array(buffer, 1, 3), new Uint16Array(buffer, 2, 2), buffer],
  "shared references": { a: shared, b: [shared, shared], c: new Map([[shared, shared]]) },
  "circular object": circular,
  "circular map": circularMap,
  Error: new TypeError("message", { cause: new RangeError("inner") }),
  "nested errors": { list: [new Error("a"), new SyntaxError("b")] },
  "instance of a class": new Point(),
  "object with an accessor": {
    get seven(): number {
      return 7;
    },
  },
  "frozen object": Object.freeze({ a: Object.freeze([1]) }),
  "symbol keys": { a: 1, [Symbol("left out")]: 2 },
  "properties that are not enumerable": Object.defineProperty({ a: 1 }, "b", { value: 2 }),
};

for (const [what, value] of Object.entries(VALUES)) {
  forEachPool(`submit() clones as structuredClone() does: ${what}`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const expected = structuredClone(value);
    const wrapped = (x: unknown) => [x];
    assertSame(await pool.submit(wrapped, value), [expected]);
    const fromChunk = await Array.fromAsync(pool.map(wrapped, [value, value], { chunksize: 2 }));
    assertSame(fromChunk[0], [expected]);
    assertSame(await pool.submit(wrapped, value), [expected]);
  });
}

forEachPool("submit() clones arbitrary values as structuredClone() does", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
    withObjectString: true,
    withBoxedValues: true,
    withUnicodeString: true,
    maxDepth: 4,
  });
  await fc.assert(
    fc.asyncProperty(anything, anything, async (a, b) => {
      assertSame(await pool.submit((...args: unknown[]) => args, a, b), structuredClone([a, b]));
    }),
    { numRuns: 300 },
  );
});

forEachPool("submit() clones arbitrary JSON as structuredClone() does", async (kind) => {
  await using pool = kind.create({ maxWorkers: 2 });
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 6, noUnicodeString: false } as never), async (value) => {
      assertSame(await pool.submit((x: unknown) => [x], value), structuredClone([value]));
    }),
    { numRuns: 300 },
  );
});

forEachPool("submit() keeps apart arguments that are the same object, as one clone of all would", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const one = { a: 1 };
  assertEquals(await pool.submit((a: unknown, b: unknown) => a === b, one, one), true);
});

for (
  const [what, value] of [
    ["a map", new Map([[1, 1]])],
    ["an array", [1]],
    ["an array that JSON would change", [undefined]],
    ["an array within an array", [[1]]],
    ["a typed array", new Uint8Array(8)],
    ["a large typed array", new Uint8Array(1 << 20)],
  ] as const
) {
  forEachPool(`submit() gives each call a copy of its own of ${what} that many were given`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    // How often it was met before.
    const mark = (value: { marks?: number }) => value.marks = (value.marks ?? 0) + 1;
    for (let n = 0; n < 20; n++) assertEquals(await pool.submit(mark, {}), 1); // so short that many travel together
    const marks = Array.from({ length: 20 }, () => pool.submit(mark, value as never));
    assertEquals(await Promise.all(marks), new Array(20).fill(1));
  });
}

forEachPool("map() with chunksize gives each chunk one copy of an object, as CPython's processes do", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const grow = (map: Map<number, number>) => map.set(map.size, 1).size;
  const maps = new Array(5).fill(new Map());
  for (let n = 0; n < 10; n++) {
    assertEquals(await Array.fromAsync(pool.map(grow, maps, { chunksize: 2 })), [1, 2, 1, 2, 1]); // printed by CPython 3.13
  }
});

for (
  const [what, value] of [["1 MiB of ASCII", "x".repeat(1 << 20)], [
    "1 MiB of two-byte text",
    "あ😀".repeat(1 << 18),
  ]] as const
) {
  forEachPool(`submit() carries a string of ${what} both ways`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const back = await pool.submit(echo, value);
    assert(back === value);
  });
}

forEachPool("submit() carries 16 MiB both ways", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const data = new Uint32Array(4 << 20);
  for (let i = 0; i < data.length; i++) data[i] = Math.imul(i, 2654435761);
  const back = await pool.submit(echo, data) as Uint32Array;
  assertEquals(back.length, data.length);
  assert(back.every((x, i) => x === data[i]));
  assertEquals(data.length, 4 << 20, "it was copied, not moved");
});

forEachPool(
  "submit() takes its arguments as they are when they are handed out, and hands back a copy",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const list = [1];
    const future = pool.submit((list: number[]) => list, list);
    const back = await future;
    assertEquals(back, [1]);
    assert(back !== list);
    assertStrictEquals(await future, back);
  },
);

const WRONG: Record<string, [make: () => unknown, part: string]> = {
  "a function": [() => () => 1, "function"],
  "a symbol": [() => Symbol("s"), "symbol"],
  "a promise": [() => Promise.resolve(1), "Promise"],
  "a WeakMap": [() => new WeakMap(), "WeakMap"],
  "a generator": [() => (function* () {})(), "Generator"],
  "a function deep down": [() => ({ a: [1, { callback: () => 1 }] }), ".a[1].callback is a function"],
  "a function in a map": [() => new Map([["k", { f: () => 1 }]]), `.get("k").f is a function`],
  "a symbol in a set": [() => new Set([Symbol("s")]), "member is a symbol"],
  "a function in the cause of a cause": [
    () => new Error("x", { cause: new Error("y", { cause: [1, () => 1] }) }),
    ".cause.cause[1] is a function",
  ],
  "a function as a key of a map": [() => [new Map([[() => 1, 1]])], "[0] key is a function"],
  "a function as a cause": [() => new Error("x", { cause: () => 1 }), ".cause is a function"],
};

for (const [what, [make, part]] of Object.entries(WRONG)) {
  forEachPool(
    `submit() rejects with NotCloneableError for an argument that is ${what}, and the pool goes on`,
    async (kind) => {
      await using pool = kind.create({ maxWorkers: 1 });
      const futures = [
        pool.submit(
          function named(...args: unknown[]): number {
            return args.length;
          },
          0,
          make(),
        ),
        pool.submit((x: number) => x, 1),
      ] as const;
      const error = await futures[0].exception();
      assertInstanceOf(error, NotCloneableError);
      assertInstanceOf(error, TypeError);
      assertStringIncludes(error.message, "named");
      assertStringIncludes(error.message, "argument 1");
      assertStringIncludes(error.message, part);
      assertEquals(await futures[1], 1);
    },
  );

  forEachPool(
    `submit() rejects with NotCloneableError for a result that is ${what}, and the pool goes on`,
    async (kind) => {
      await using pool = kind.create({ maxWorkers: 1 });
      const text = `return (${make})()`;
      // A promise as such is awaited: it has to be inside of something.
      const fn = what === "a promise" ? () => [Promise.resolve(1)] : new Function(text) as () => unknown;
      const futures = [pool.submit(fn), pool.submit((x: number) => x, 1)] as const;
      const error = await futures[0].exception();
      assertInstanceOf(error, NotCloneableError);
      assertInstanceOf(error, TypeError);
      assertStringIncludes(error.message, "result");
      assertStringIncludes(error.message, part);
      assertEquals(await futures[1], 1);
    },
  );
}

forEachPool("submit() rejects with an error, and the pool goes on, when a getter of a value throws", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const trap = {
    get a(): number {
      throw new RangeError("trap");
    },
  };
  const argument = await pool.submit(echo, trap).exception();
  assertInstanceOf(argument, Error);
  assertStringIncludes(argument.message, "trap");
  const pid = await pool.submit(() => (globalThis as { mark?: number }).mark = 5);
  const result = await pool.submit(() => ({
    get a(): number {
      throw new RangeError("trap");
    },
  })).exception();
  assertInstanceOf(result, Error);
  assertStringIncludes(result.message, "trap");
  assertEquals(await pool.submit(() => (globalThis as { mark?: number }).mark), pid, "the worker lives");
});

forEachPool(
  "submit() rejects for a getter that throws when it is read again, and runs the calls before it",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    await makeQuick(echo, () => pool.submit(echo, 0));
    let reads = 0;
    const trap = {
      get a(): number {
        if (++reads > 1) throw new RangeError("trap");
        return 1;
      },
    };
    const futures = ["before", trap, "behind"].map((value) => pool.submit(echo, value));
    const error = await futures[1]!.exception();
    assertInstanceOf(error, NotCloneableError);
    assertStringIncludes(error.message, "trap");
    assertEquals([await futures[0], await futures[2]], ["before", "behind"]);
  },
);

forEachPool("submit() reports one bad call of a batch, and runs the others", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await Promise.all(Array.from({ length: 100 }, (_, n) => pool.submit(echo, n)));
  const futures = Array.from({ length: 100 }, (_, n) => pool.submit(echo, n === 50 ? () => 1 : n));
  const outcomes = await Promise.allSettled(futures);
  for (const [n, outcome] of outcomes.entries()) {
    if (n === 50) assertEquals(outcome.status, "rejected");
    else assertEquals(outcome, { status: "fulfilled", value: n });
  }
});

// -- What threads share, and processes cannot

poolTest("ThreadPoolExecutor.submit() shares a SharedArrayBuffer", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const add = (counter: Int32Array) => {
    for (let n = 0; n < 1000; n++) Atomics.add(counter, 0, 1);
  };
  await Promise.all([1, 2, 3, 4].map(() => pool.submit(add, counter)));
  assertEquals(counter[0], 4000);
});

for (
  const [what, make] of Object.entries({
    URL: () => new URL("http://example.com/"),
    Headers: () => new Headers(),
    AbortSignal: () => new AbortController().signal,
    FormData: () => new FormData(),
    Event: () => new Event("type"),
    EventTarget: () => new EventTarget(),
  })
) {
  forEachPool(
    `submit() rejects with NotCloneableError for a value that would come as an empty object: ${what}`,
    async (kind) => {
      await using pool = kind.create({ maxWorkers: 1 });
      const part = `is a ${what}`;
      const getError = async (future: PromiseLike<unknown>): Promise<string> => {
        const error = await assertRejects(() => Promise.resolve(future), NotCloneableError);
        return error.message;
      };
      assertStringIncludes(
        await getError(pool.submit((_: number, value: unknown) => value, 1, make())),
        `argument 1 ${part}`,
      );
      assertStringIncludes(
        await getError(pool.submitWith({ context: { value: 1 } }, echo, make())),
        `argument 0 ${part}`,
      );
      assertThrows(() => pool.submitWith({ context: { value: make() } }, () => 1), NotCloneableError, `value ${part}`);
      assertThrows(() => kind.create({ initializer: echo, initargs: [make()] }), NotCloneableError, part);
      const fromChunks = pool.map(echo, [1, 2, 3, make()], { chunksize: 2 });
      assertEquals([await fromChunks.next(), await fromChunks.next()].map(({ value }) => value), [1, 2]);
      assertStringIncludes(await getError(fromChunks.next()), part);

      const fn = new Function(`return (${make})()`) as () => unknown;
      assertStringIncludes(await getError(pool.submit(fn)), `result ${part}`);
      const made = pool.map(
        (value: unknown) => value === 1 ? 1 : new Function(`return ${value}`)()(),
        [1, String(make), 1],
        { chunksize: 3 },
      );
      assertEquals((await made.next()).value, 1);
      assertStringIncludes(await getError(made.next()), part);
      const stream = pool.stream(function* (source: string) {
        yield 1;
        yield new Function(`return ${source}`)()();
      }, String(make));
      assertEquals((await stream.next()).value, 1);
      assertStringIncludes(await getError(stream.next()), `value ${part}`);
      const reported = pool.submit(
        (source: string) => reportProgress(new Function(`return ${source}`)()()),
        String(make),
      );
      assertStringIncludes(await getError(reported), `progress ${part}`);
      assertEquals(await pool.submit(echo, 5), 5);
      assertEquals(pool.statistics().workersStarted, 1);
    },
  );
}

poolTest("ThreadPoolExecutor.submit() carries what of the platform can be cloned", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, true, ["encrypt"]);
  const nameOf = (value: unknown) => Object.prototype.toString.call(value);
  for (const value of [new Blob(["x"]), new File(["x"], "f"), new DOMException("m", "AbortError"), key]) {
    assertEquals(await pool.submit(nameOf, value), nameOf(value));
    // Deno does not send a key on that has been sent.
    if (value !== key) assertEquals(nameOf(await pool.submit(echo, value)), nameOf(value));
  }
});

const FOR_THREADS_ONLY: Record<string, [make: () => unknown, part: string]> = {
  "headers": [() => new Headers(), "Headers"],
  "an abort signal": [() => new AbortController().signal, "AbortSignal"],
  "a SharedArrayBuffer": [() => new SharedArrayBuffer(4), "SharedArrayBuffer"],
  "a view of shared memory": [() => new Uint8Array(new SharedArrayBuffer(4)), "shared memory"],
  "a Blob": [() => new Blob(["x"]), "Blob"],
  "a File": [() => new File(["x"], "f"), "File"],
  "a URL": [() => new URL("http://example.com/"), "URL"],
  "a DOMException": [() => new DOMException("message", "AbortError"), "DOMException"],
  "a MessagePort": [() => {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    return port1;
  }, "MessagePort"],
};

for (const [what, [make, part]] of Object.entries(FOR_THREADS_ONLY)) {
  poolTest(`ProcessPoolExecutor.submit() rejects with NotCloneableError for ${what}`, async () => {
    const { ProcessPoolExecutor } = await import("../../lib/futures/mod.ts");
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const value = make();
    const error = await pool.submit(echo, { deep: [value] }).exception();
    assertInstanceOf(error, NotCloneableError);
    assertStringIncludes(error.message, ".deep[0]");
    assertStringIncludes(error.message, part);
    if (value instanceof MessagePort) value.close();
    const back = await pool.submit(new Function(`return [(${make})()]`) as () => unknown).exception();
    assertInstanceOf(back, NotCloneableError);
    assertStringIncludes(back.message, part);
    assertEquals(await pool.submit((x: number) => x, 1), 1);
  });
}

/** A list of so many nodes. */
const nest = (depth: number): unknown => {
  let node: unknown = null;
  for (let n = 0; n < depth; n++) node = { node };
  return node;
};

/** How deep a list is; calls itself for none. */
const depthOf = (list: unknown): number => {
  let depth = 0;
  for (let node = list as { node: unknown } | null; node !== null; depth++) node = node.node as typeof node;
  return depth;
};

forEachPool(
  "submit() of arguments of any depth gives the result or NotCloneableError, and the pool goes on",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    // What can be sent and what can be read differ, as each goes as deep as its stack.
    for (let depth = 500; depth <= 20_000; depth = Math.ceil(depth * 1.15)) {
      const outcome = await pool.submit(depthOf, nest(depth)).result().catch((error) => error);
      if (outcome !== depth) assertInstanceOf(outcome, NotCloneableError);
    }
    assertEquals(await pool.submit(depthOf, nest(3)), 3);
    const { workersCrashed, completed, failed, submitted } = pool.statistics();
    assertEquals([workersCrashed, completed + failed], [0, submitted]);
  },
);

forEachPool(
  "submit() of results of any depth gives the result or NotCloneableError, and the pool goes on",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    for (let depth = 500; depth <= 20_000; depth = Math.ceil(depth * 1.15)) {
      const outcome = await pool.submit(nest, depth).result().catch((error) => error);
      if (!(outcome instanceof NotCloneableError)) assertEquals(depthOf(outcome), depth);
    }
    assertEquals(await pool.submit(depthOf, nest(3)), 3);
  },
);

forEachPool("submit() of an argument that is too deep fails no call that travels with it", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  await makeQuick(depthOf, () => pool.submit(depthOf, nest(2)));
  for (const deep of [2800, 3200, 3600]) {
    const depths = [1, 2, deep, 3, 4, deep, 5];
    const outcomes = await Promise.all(
      depths.map((depth) => pool.submit(depthOf, nest(depth)).result().catch((error) => error)),
    );
    for (const [n, outcome] of outcomes.entries()) {
      if (depths[n]! < 100 || outcome === depths[n]) assertEquals(outcome, depths[n]);
      else assertInstanceOf(outcome, NotCloneableError);
    }
  }
});

forEachPool("initargs that are too deep break the pool with an error that says so", async (kind) => {
  for (const depth of [2800, 3200, 3600]) {
    const make = () => kind.create({ maxWorkers: 1, initializer: depthOf as () => unknown, initargs: [nest(depth)] });
    let pool: PoolExecutor;
    try {
      pool = make();
    } catch (error) {
      assertInstanceOf(error, NotCloneableError);
      continue;
    }
    const outcome = await pool.submit(depthOf, nest(1)).result().catch((error) => error);
    if (outcome !== 1) {
      assertInstanceOf(outcome, kind.Broken);
      assertStringIncludes(outcome.message, "too deep");
    }
    await pool.shutdown();
  }
});

poolTest("ProcessPoolExecutor.submit() refuses an argument of 4 GiB", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const error = await pool.submit((bytes: Uint8Array) => bytes.length, new Uint8Array(2 ** 32)).exception();
  assertInstanceOf(error, NotCloneableError);
  assertStringIncludes(error.message, "4 GiB");
  assertEquals(await pool.submit(() => 1), 1);
});
