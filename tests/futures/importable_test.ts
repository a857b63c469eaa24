import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { fromModule, importable, NotImportableError, ProcessPoolExecutor } from "../../lib/futures/mod.ts";
import { sumInThreads } from "./fixtures/pool_in_task.ts";
import { same } from "./fixtures/mapped.ts";
import { asyncScale, fail, getHidden, scale } from "./fixtures/tasks.ts";
import { fixture, forEachPool, type PoolKind, poolTest, runScript } from "./_helpers.ts";

type Tasks = typeof import("./fixtures/tasks.ts");

// -- By reference

poolTest("ProcessPoolExecutor.submit() runs a function whose module imports by a name of the import map", async () => {
  await using pool = new ProcessPoolExecutor({
    maxWorkers: 1,
    permissions: "none",
    cwd: new URL("../../", import.meta.url),
  });
  assertEquals(await pool.submit(same, { a: 1 }, { a: 1 }), true);
  assertEquals((await pool.submit(same, 1, 2).exception() as Error).name, "AssertionError");
});

forEachPool("submit() runs an importable function, which uses what its module has", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await pool.submit(scale, 2), 6);
  assertEquals(await pool.submit(asyncScale, 3), 9);
  assertEquals(await Array.fromAsync(pool.map(scale, [1, 2, 3])), [3, 6, 9]);
});

forEachPool("submit() runs an importable function that its module does not export", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await pool.submit(getHidden(), 2), 5);
});

forEachPool(
  "submit() of an importable function does not blame a ReferenceError of its own on the way it travelled",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const error = await pool.submit(fail).exception();
    assertInstanceOf(error, ReferenceError);
    assertEquals(error.message, "inside is not defined");
  },
);

forEachPool("submit() runs a function that has a pool of its own", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await pool.submit(sumInThreads, [1, 2, 3]), 14);
});

Deno.test("importable() returns the function itself, which can be called", () => {
  function twice(x: number): number {
    return 2 * x;
  }
  const marked = importable(import.meta, twice);
  assertStrictEquals(marked, twice);
  assertEquals(marked(2), 4);
  const typed: (x: number) => number = marked;
  assertEquals(typed(3), 6);
});

Deno.test("importable() takes the same function again", () => {
  function again(): void {}
  importable(import.meta, again);
  assertStrictEquals(importable(import.meta, again), again);
});

Deno.test("importable() refuses a second function of the same name", () => {
  importable(import.meta, function sameName(): number {
    return 1;
  });
  assertThrows(
    () =>
      importable(import.meta, function sameName(): number {
        return 2;
      }),
    TypeError,
    "sameName",
  );
  importable({ url: "file:///elsewhere.ts" }, function sameName(): number {
    return 3;
  });
});

Deno.test("importable() refuses a function without a name, and what is no function", () => {
  assertThrows(() => importable(import.meta, () => 1), TypeError, "name");
  assertThrows(() => importable(import.meta, function () {}), TypeError, "name");
  for (const bad of [undefined, null, 5, {}]) {
    assertThrows(() => importable(import.meta, bad as never), TypeError, "importable");
  }
});

Deno.test("importable() refuses what is not an import.meta", () => {
  function named(): void {}
  for (const bad of [undefined, null, {}, { url: 5 }, "file:///a.ts"]) {
    assertThrows(() => importable(bad as never, named), TypeError, "import.meta");
  }
});

// The module that the workers import has no such function.
const lost = importable({ url: fixture("tasks.ts") }, function lost(): number {
  return 1;
});

forEachPool("submit() of a function that only this program registers rejects with NotImportableError", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const error = await pool.submit(lost).exception();
  assertInstanceOf(error, NotImportableError);
  assertStringIncludes(error.message, "lost");
  assertStringIncludes(error.message, "tasks.ts");
  assertEquals(await pool.submit((x: number) => x, 1), 1);
});

forEachPool("submit() runs the exports that fromModule() refers to", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const tasks = fromModule<Tasks>(fixture("tasks.ts"));
  assertEquals(await pool.submit(tasks.double, 2), 4);
  assertEquals(await pool.submit(tasks.asyncDouble, 3), 6);
  assertEquals(await pool.submit(tasks.arrow, 3), 0);
  assertEquals(await pool.submit(tasks.default, 2), 200);
  assertEquals(await pool.submit(tasks.scale, 2), 6);
  assertEquals(await Array.fromAsync(pool.map(fromModule<Tasks>(new URL(fixture("tasks.ts"))).double, [1, 2])), [2, 4]);
});

forEachPool("submit() runs the exports of a data: module", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const tasks = fromModule<{ triple(x: number): number }>("data:text/javascript,export const triple = (x) => 3 * x;");
  assertEquals(await pool.submit(tasks.triple, 2), 6);
});

forEachPool(
  "submit() from fromModule() of a name that is not exported rejects with NotImportableError",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const tasks = fromModule<{ notThere(): void; notAFunction(): void; hidden(): void; double(x: number): number }>(
      fixture("tasks.ts"),
    );
    for (const name of ["notThere", "notAFunction", "hidden"] as const) {
      const error = await pool.submit(tasks[name]).exception();
      assertInstanceOf(error, NotImportableError);
      assertStringIncludes(error.message, name);
      assertStringIncludes(error.message, "double");
    }
    assertEquals(await pool.submit(tasks.double, 4), 8);
  },
);

forEachPool(
  "submit() from fromModule() of a module that does not exist rejects with NotImportableError",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const tasks = fromModule<{ run(): void }>(fixture("nowhere.ts"));
    for (let n = 0; n < 2; n++) {
      const error = await pool.submit(tasks.run).exception();
      assertInstanceOf(error, NotImportableError);
      assertStringIncludes(error.message, "nowhere.ts");
      assertInstanceOf(error.cause, Error);
    }
    assertEquals(await pool.submit((x: number) => x, 1), 1);
  },
);

forEachPool(
  "submit() from fromModule() of a module that throws rejects with NotImportableError, with that as the cause",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const tasks = fromModule<typeof import("./fixtures/throwing.ts")>(fixture("throwing.ts"));
    for (let n = 0; n < 2; n++) {
      const error = await pool.submit(tasks.never).exception();
      assertInstanceOf(error, NotImportableError);
      assertStringIncludes(error.message, "throwing.ts");
      assertStringIncludes(error.message, "thrown while loading");
      assertInstanceOf(error.cause, RangeError);
    }
    assertEquals(await pool.submit((x: number) => x, 1), 1);
  },
);

forEachPool(
  "submit() from fromModule() of a module with a syntax error rejects with NotImportableError",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const tasks = fromModule<{ run(): void }>("data:text/javascript,export const run = ;");
    assertInstanceOf(await pool.submit(tasks.run).exception(), NotImportableError);
    assertEquals(await pool.submit((x: number) => x, 1), 1);
  },
);

Deno.test("fromModule() refuses what is not an absolute URL", () => {
  for (const bad of ["./tasks.ts", "", "tasks.ts", undefined, null, 5]) {
    assertThrows(() => fromModule(bad as never), TypeError, "absolute URL");
  }
});

Deno.test("fromModule() gives the same reference for the same name, which cannot be called here", () => {
  const tasks = fromModule<Tasks>(fixture("tasks.ts"));
  assertStrictEquals(tasks.double, tasks.double);
  assertThrows(() => tasks.double(1), TypeError, "double");
});

Deno.test("fromModule() does not load the module here, and can be awaited over", async () => {
  const tasks = fromModule<{ never(): number }>(fixture("throwing.ts"));
  assertStrictEquals(await Promise.resolve(tasks), tasks);
});

Deno.test("fromModule() is typed by the module's functions", () => {
  const tasks = fromModule<Tasks>(fixture("tasks.ts"));
  const double: (x: number) => number = tasks.double;
  // @ts-expect-error -- it is no function
  const wrong = tasks.notAFunction;
  assertEquals([typeof double, typeof wrong], ["function", "function"]);
});

// -- By source

const outside = 5;
const obj = {
  method(x: number): number {
    return x + 1;
  },
  async asyncMethod(x: number): Promise<number> {
    return await Promise.resolve(x + 1);
  },
  "string key"(x: number): number {
    return x + 1;
  },
  ["comp" + "uted"](x: number): number {
    return x + 1;
  },
  1(x: number): number {
    return x + 1;
  },
  async(x: number): number {
    return x + 1;
  },
  get(x: number): number {
    return x + 1;
  },
  static(x: number): number {
    return x + 1;
  },
  $_ö(x: number): number {
    return x + 1;
  },
  function(x: number): number {
    return x + 1;
  },
};
class Host {
  static double(x: number): number {
    return x + 1;
  }
  instance(x: number): number {
    return x + 1;
  }
}

type Unary = (x: number) => number | Promise<number>;

const SOURCES: Record<string, Unary> = {
  "arrow": (x) => x + 1,
  "arrow with a body": (x) => {
    return x + 1;
  },
  "async arrow": async (x) => await Promise.resolve(x + 1),
  "arrow without parentheses": new Function("return x => x + 1")() as Unary,
  "async arrow without parentheses": new Function("return async x => x + 1")() as Unary,
  "minified async arrow": new Function("return async(x)=>x+1")() as Unary,
  "minified async arrow with a default": new Function("return async(x,y=(1))=>{return x+y}")() as Unary,
  "async arrow with a comment": new Function("return async/* so */(x) => x + 1")() as Unary,
  "function": function (x) {
    return x + 1;
  },
  "named function that calls itself": function self(x): number {
    return x > 0 ? self(x - 1) + 1 : 1;
  },
  "async function": async function (x) {
    return await Promise.resolve(x + 1);
  },
  "function of new Function()": new Function("x", "return x + 1") as Unary,
  "method": obj.method,
  "async method": obj.asyncMethod,
  "method with a string key": obj["string key"],
  "method with a number key": obj[1],
  "method named async": obj.async,
  "method named get": obj.get,
  "method named static": obj.static,
  "method named function": obj.function,
  "method with letters of other alphabets": obj.$_ö,
  "static method": Host.double,
  "method of a class": Host.prototype.instance,
  "arrow that takes its arguments apart": new Function(
    "return (x, { a } = { a: 1 }, [b] = [0]) => x + a + b",
  )() as Unary,
};

for (const [what, fn] of Object.entries(SOURCES)) {
  forEachPool(`submit() runs a function by its source: ${what}`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    assertEquals(await pool.submit(fn, 2), 3);
  });
}

forEachPool("submit() runs functions of one text but different arguments of their own", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const make = () => (x: number) => x + 1;
  assertEquals(await Promise.all([pool.submit(make(), 1), pool.submit(make(), 2)]), [2, 3]);
});

forEachPool(
  "submit() of a function that misses a variable rejects with NotImportableError that names it and the ways out",
  async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const error = await pool.submit(function needsMore(x: number): number {
      return x + outside;
    }, 1).exception();
    assertInstanceOf(error, NotImportableError);
    for (const part of ["needsMore", "outside", "importable(import.meta", "fromModule<"]) {
      assertStringIncludes(error.message, part);
    }
    assertInstanceOf(error.cause, ReferenceError);
    const later = await pool.submit(async (x: number) => await Promise.resolve(x + outside), 1).exception();
    assertInstanceOf(later, NotImportableError);
    assertStringIncludes(later.message, "outside");
    assertEquals(await pool.submit((x: number) => x, 1), 1);
  },
);

forEachPool("submit() names the function that misses a variable, not its twin", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const first = () => outside;
  const second = () => outside;
  await pool.submit(first).exception();
  const error = await pool.submit(second).exception() as Error;
  assertStringIncludes(error.message, "second");
});

forEachPool("submit() runs a method whose key is computed from a variable", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const key = "k";
  const computed = {
    [key]: (x: number) => x,
    [`${key}2`](x: number): number {
      return x + 1;
    },
    async [`${key}3`](x: number): Promise<number> {
      return await Promise.resolve(x + 2);
    },
  };
  assertEquals(await Promise.all(Object.values(computed).map((fn) => pool.submit(fn as Unary, 1))), [1, 2, 3]);
});

forEachPool("submit() of a generator function rejects, as a generator cannot be sent back", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const methods = {
    *generate(): Generator<number> {
      yield 1;
    },
    async *generateLater(): AsyncGenerator<number> {
      yield await Promise.resolve(1);
    },
  };
  for (const fn of [methods.generate, methods.generateLater, function* () {}]) {
    await assertRejects(() => pool.submit(fn as () => unknown).result(), TypeError, "Generator");
  }
  assertEquals(await pool.submit((x: number) => x, 1), 1);
});

for (
  const [what, fn, part] of [
    ["a native function", Math.sqrt, "native function Math.sqrt"],
    ["a bound function", ((x: number) => x).bind(null), "bound function"],
    ["a bound function with a name", SOURCES["function"]!.bind(null, 1), "bound"],
    ["a class", Host, "class Host"],
    ["an anonymous class", class {}, "class"],
    ["a constructor", Map, "native function Map"],
    ["a proxy of a function", new Proxy(() => 1, {}), "source"],
    ["an accessor", Object.getOwnPropertyDescriptor(Map.prototype, "size")!.get, "native"],
    ["a string", "x => x", "function"],
    ["undefined", undefined, "function"],
    ["null", null, "function"],
    ["an object", {}, "function"],
    ["a promise", Promise.resolve(), "function"],
  ] as const
) {
  forEachPool(`submit() refuses ${what}`, async (kind: PoolKind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    assertThrows(() => pool.submit(fn as never), TypeError, part);
    assertThrows(() => pool.submitWith({}, fn as never), TypeError, part);
    assertThrows(() => pool.map(fn as never, [1]), TypeError, part);
    assertEquals(await pool.submit((x: number) => x, 1), 1);
  });
}

// -- Scripts

for (const kind of ["thread", "process"]) {
  Deno.test(`submit() of a script without a guard on a ${kind} pool rejects with an error that asks for it`, async () => {
    const { code, stdout } = await runScript("unguarded.ts", [kind]);
    assertEquals(code, 0);
    assertStringIncludes(stdout, "NotImportableError: ");
    assertStringIncludes(stdout, "import.meta.main");
    assertStringIncludes(stdout, "unguarded.ts");
    assertEquals(stdout.trim().split("\n").length, 1);
  });

  Deno.test(`submit() of a script with its guard on a ${kind} pool runs it`, async () => {
    const { code, stdout, stderr } = await runScript("guarded.ts", [kind]);
    assertEquals([code, stdout, stderr], [0, "1\n", ""]);
  });
}

Deno.test("NotImportableError is an Error of that name", () => {
  const error = new NotImportableError("m", { cause: 1 });
  assert(error instanceof Error);
  assertEquals([error.name, error.message, error.cause], ["NotImportableError", "m", 1]);
});
