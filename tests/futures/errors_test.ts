import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import * as futures from "../../lib/futures/mod.ts";
import { decodeError, encodeError } from "../../lib/futures/_error_codec.ts";
import { fixture, forEachPool, poolTest, runScript } from "./_helpers.ts";
import { throwCancelledError } from "./fixtures/tasks.ts";

/** Runs `body` in a worker of a pool and gives back what it throws. */
async function thrownBy(kind: Parameters<Parameters<typeof forEachPool>[1]>[0], body: () => unknown): Promise<unknown> {
  await using pool = kind.create({ maxWorkers: 1 });
  const error = await pool.submit(body).exception();
  assertEquals(await pool.submit((x: number) => x, 1), 1, "the pool goes on");
  return error;
}

for (const Class of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
  forEachPool(`submit() rejects with a ${Class.name} as a ${Class.name}`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const error = await pool.submit((name: string) => {
      const Class = (globalThis as unknown as Record<string, new (message: string) => Error>)[name]!;
      throw new Class("the message");
    }, Class.name).exception();
    assertInstanceOf(error, Class);
    assertStrictEquals(Object.getPrototypeOf(error), Class.prototype);
    assertEquals([error.name, error.message], [Class.name, "the message"]);
    assertEquals(Object.keys(error), []);
    assert(!("cause" in error));
  });
}

forEachPool("submit() rejects with the AggregateError and all its members", async (kind) => {
  const error = await thrownBy(kind, () => {
    throw new AggregateError(
      [
        new RangeError("a"),
        Object.assign(new TypeError("b"), { code: 5 }),
        "c",
        undefined,
        new AggregateError([new Error("deep")], "inner"),
      ],
      "outer",
      { cause: new Error("cause") },
    );
  });
  assertInstanceOf(error, AggregateError);
  assertEquals(error.message, "outer");
  assertInstanceOf(error.cause, Error);
  const [a, b, c, d, e] = error.errors;
  assertInstanceOf(a, RangeError);
  assertInstanceOf(b, TypeError);
  assertEquals((b as unknown as { code: number }).code, 5);
  assertEquals([c, d], ["c", undefined]);
  assertInstanceOf(e, AggregateError);
  assertEquals((e.errors[0] as Error).message, "deep");
});

forEachPool("submit() rejects with the whole chain of causes", async (kind) => {
  const error = await thrownBy(kind, () => {
    throw new TypeError("one", {
      cause: new RangeError("two", { cause: new SyntaxError("three", { cause: { code: 4 } }) }),
    });
  }) as Error;
  const [one, two, three] = [error, error.cause as Error, (error.cause as Error).cause as Error];
  assertInstanceOf(one, TypeError);
  assertInstanceOf(two, RangeError);
  assertInstanceOf(three, SyntaxError);
  assertEquals([one.message, two.message, three.message, three.cause], ["one", "two", "three", { code: 4 }]);
  assertEquals(Object.keys(one), []);
});

for (const cause of [undefined, null, 0, ""]) {
  forEachPool(`submit() rejects with the cause ${Deno.inspect(cause)} kept`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const error = await pool.submit((cause: unknown) => {
      throw new Error("x", { cause });
    }, cause).exception() as Error;
    assert("cause" in error);
    assertStrictEquals(error.cause, cause);
  });
}

forEachPool("submit() rejects with a chain of causes that goes round, cut where it does", async (kind) => {
  const error = await thrownBy(kind, () => {
    const a = new Error("a");
    const b = new RangeError("b", { cause: a });
    a.cause = b;
    throw a;
  }) as Error;
  assertEquals(error.message, "a");
  assertInstanceOf(error.cause, RangeError);
  let depth = 0;
  for (let e: unknown = error; e instanceof Error && depth < 1000; e = e.cause) depth++;
  assert(depth < 1000 || error.cause.cause === error);
});

forEachPool("submit() rejects with an AggregateError that holds itself", async (kind) => {
  const error = await thrownBy(kind, () => {
    const error = new AggregateError([new Error("a")], "self");
    error.errors.push(error);
    throw error;
  });
  assertInstanceOf(error, AggregateError);
  assertEquals((error.errors[0] as Error).message, "a");
});

forEachPool("submit() rejects with a very long chain of causes", async (kind) => {
  const error = await thrownBy(kind, () => {
    let error = new Error("0");
    for (let n = 1; n < 5000; n++) error = new Error(String(n), { cause: error });
    throw error;
  }) as Error;
  assertEquals(error.message, "4999");
  assertEquals((error.cause as Error).message, "4998");
});

forEachPool(
  "submit() rejects with a class of the task's own by its name, with its properties and its nearest known class",
  async (kind) => {
    const error = await thrownBy(kind, () => {
      class HttpError extends TypeError {
        override name = "HttpError";
        status = 404;
        headers = new Map([["a", ["b"]]]);
        nothing = undefined;
      }
      throw new HttpError("not found", { cause: new RangeError("inner") });
    });
    assertInstanceOf(error, TypeError);
    assertInstanceOf(error.cause, RangeError);
    assertEquals([error.name, error.message], ["HttpError", "not found"]);
    const { status, headers } = error as unknown as { status: number; headers: unknown };
    assertEquals([status, headers], [404, new Map([["a", ["b"]]])]);
    assert("nothing" in error);
    assertStringIncludes(String(error), "HttpError: not found");
  },
);

forEachPool("submit() rejects with the name of a class that sets it on its prototype", async (kind) => {
  const error = await thrownBy(kind, () => {
    class OddError extends Error {}
    OddError.prototype.name = "OddError";
    throw new OddError("odd");
  }) as Error;
  assertEquals(error.name, "OddError");
});

forEachPool("submit() rejects with own properties that cannot be cloned as they look", async (kind) => {
  const error = await thrownBy(kind, () => {
    throw Object.assign(new Error("x"), { fine: 1, callback: () => 1, deep: { symbol: Symbol("s") } });
  }) as Error & { fine: number; callback: unknown; deep: unknown };
  assertEquals(error.fine, 1);
  assertEquals(typeof error.callback, "string");
  assertStringIncludes(String(error.deep), "Symbol(s)");
});

forEachPool("submit() rejects with an error whose parts are traps, as far as they can be read", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  assertEquals(await pool.submit(() => (globalThis as { mark?: number }).mark = 5), 5);
  const traps = [
    () => {
      throw Object.defineProperty(Object.assign(new RangeError("readable"), { fine: 1 }), "trap", {
        enumerable: true,
        get() {
          throw new Error("trap");
        },
      });
    },
    () => {
      throw Object.assign(new RangeError("x"), { message: Object.create(null) });
    },
    () => {
      throw Object.assign(new RangeError("x"), { name: Symbol("n") });
    },
    () => {
      throw Object.defineProperty(new RangeError("x"), "stack", {
        get() {
          throw new Error("trap");
        },
      });
    },
    () => {
      throw new Proxy(new RangeError("x"), {});
    },
    () => {
      throw {
        get a() {
          throw new Error("trap");
        },
      };
    },
    () => {
      throw {
        [Symbol.for("Deno.customInspect")]() {
          throw new Error("trap");
        },
        f: () => 1,
      };
    },
  ];
  for (const [n, trap] of traps.entries()) {
    const error = await pool.submit(trap as () => never).exception();
    assertInstanceOf(error, Error, `trap ${n}`);
    assert(!(error instanceof futures.WorkerCrashedError), `trap ${n} ended the worker`);
  }
  assertEquals(await pool.submit(() => (globalThis as { mark?: number }).mark), 5, "the worker lives");
});

forEachPool("submit() rejects with a DOMException, its name and its code", async (kind) => {
  const error = await thrownBy(kind, () => {
    throw new DOMException("stop", "AbortError");
  });
  assertInstanceOf(error, DOMException);
  assertEquals([error.name, error.message, error.code], ["AbortError", "stop", 20]);
});

forEachPool("submit() rejects with the TimeoutError of AbortSignal.timeout() as a DOMException", async (kind) => {
  const error = await thrownBy(kind, () => {
    AbortSignal.abort(new DOMException("late", "TimeoutError")).throwIfAborted();
  });
  assertInstanceOf(error, DOMException);
  assertEquals([error.name, error.code], ["TimeoutError", 23]);
});

forEachPool("submit() rejects with an error of Deno.errors as that", async (kind) => {
  for (const [name, Class] of Object.entries(Deno.errors)) {
    await using pool = kind.create({ maxWorkers: 1 });
    const error = await pool.submit((name: string) => {
      throw new Deno.errors[name as "NotFound"]("message");
    }, name).exception();
    assertInstanceOf(error, Class, name);
    assertStrictEquals(Object.getPrototypeOf(error), Class.prototype);
    assertEquals(error.name, new Class("x").name);
    assertStringIncludes(error.message, "message");
    if (name === "NotFound" && kind.isProcess) break; // a process each would take long
  }
});

forEachPool("submit() rejects with the library's own errors as such, and no other class of that name", async (kind) => {
  const own = await thrownBy(kind, throwCancelledError);
  assertInstanceOf(own, futures.CancelledError);
  assertEquals(own.message, "from inside");
  const other = await thrownBy(kind, () => {
    throw new (class CancelledError extends TypeError {
      override name = "CancelledError";
    })("from inside");
  });
  assert(!(other instanceof futures.CancelledError));
  assertInstanceOf(other, TypeError);
  assertEquals([other.name, other.message], ["CancelledError", "from inside"]);
});

for (
  const [what, body, expected] of [
    ["undefined", () => {
      throw undefined;
    }, undefined],
    ["null", () => {
      throw null;
    }, null],
    ["0", () => {
      throw 0;
    }, 0],
    ["NaN", () => {
      throw NaN;
    }, NaN],
    ["an empty string", () => {
      throw "";
    }, ""],
    ["a string", () => {
      throw "text";
    }, "text"],
    ["false", () => {
      throw false;
    }, false],
    ["a bigint", () => {
      throw 5n;
    }, 5n],
    ["an object", () => {
      throw { code: 5, map: new Map([[1, 2]]) };
    }, { code: 5, map: new Map([[1, 2]]) }],
    ["an array", () => {
      throw [1, -0];
    }, [1, -0]],
  ] as [string, () => unknown, unknown][]
) {
  forEachPool(`submit() rejects with ${what} that a task throws`, async (kind) => {
    assertEquals(await thrownBy(kind, body), expected);
    const later = new Function(`return Promise.resolve().then(${body})`) as () => unknown;
    assertEquals(await thrownBy(kind, later), expected);
  });
}

for (
  const [what, body, part] of [
    ["a function", () => {
      throw () => 1;
    }, "Function"],
    ["a symbol", () => {
      throw Symbol("s");
    }, "Symbol(s)"],
    ["an object with a function", () => {
      throw { run: () => 1 };
    }, "run"],
  ] as [string, () => unknown, string][]
) {
  forEachPool(`submit() rejects with an Error that shows ${what} that a task throws`, async (kind) => {
    const error = await thrownBy(kind, body);
    assertInstanceOf(error, Error);
    assertStringIncludes(error.message, part);
  });
}

forEachPool("submit() rejects with the remote stack, without the frames of the worker's program", async (kind) => {
  const error = await thrownBy(kind, function outerFunction() {
    function innerFunction(): never {
      throw new RangeError("deep");
    }
    innerFunction();
  }) as Error;
  assertStringIncludes(error.stack!, "RangeError: deep");
  assertStringIncludes(error.stack!, "innerFunction");
  assertStringIncludes(error.stack!, "outerFunction");
  assert(!error.stack!.includes("skein:worker") && !error.stack!.includes("data:text/javascript"), error.stack);
  assert(!Object.keys(error).includes("stack"));
});

forEachPool("submit() rejects with a stack that leads into the module", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const { fail } = await import("./fixtures/tasks.ts");
  const error = await pool.submit(fail).exception() as Error;
  assertStringIncludes(error.stack!, "missingInModule");
  assertStringIncludes(error.stack!, fixture("tasks.ts"));
});

forEachPool("submit() rejects everyone who asks with the same error", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const future = pool.submit(() => {
    throw new Error("one");
  });
  const error = await future.exception();
  assertStrictEquals(await future.result().catch((e) => e), error);
  assertStrictEquals(await future.exception(), error);
});

poolTest("ProcessPoolExecutor.submit() says where a permission comes from", async () => {
  await using pool = new futures.ProcessPoolExecutor({ maxWorkers: 1 });
  const error = await pool.submit(() => Deno.readTextFileSync("/etc/hostname")).exception();
  assertInstanceOf(error, Deno.errors.NotCapable);
  assertStringIncludes(error.message, "ProcessPoolExecutor({ permissions");
});

for (const Class of [WebAssembly.CompileError, WebAssembly.LinkError, WebAssembly.RuntimeError]) {
  forEachPool(`submit() rejects with a WebAssembly.${Class.name} as that`, async (kind) => {
    await using pool = kind.create({ maxWorkers: 1 });
    const error = await pool.submit((name: string) => {
      throw new WebAssembly[name as "RuntimeError"]("the message");
    }, Class.name).exception();
    assertInstanceOf(error, Class);
    assertStrictEquals(Object.getPrototypeOf(error), Class.prototype);
    assertEquals([error.name, error.message], [Class.name, "the message"]);
    assert(!(error instanceof futures.RuntimeError));
  });
}

forEachPool("submit() rejects with the WebAssembly.RuntimeError of a trap", async (kind) => {
  const error = await thrownBy(kind, () => {
    // (module (func (export "f") unreachable))
    const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0]
      .concat([0, 11]);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes)));
    (exports.f as () => void)();
  });
  assertInstanceOf(error, WebAssembly.RuntimeError);
  assertEquals(error.message, "unreachable");
});

forEachPool("submit() rejects with the SuppressedError and both of its errors", async (kind) => {
  const error = await thrownBy(kind, () => {
    using _resource = {
      [Symbol.dispose]() {
        throw new RangeError("on the way out");
      },
    };
    throw new TypeError("first");
  });
  assertInstanceOf(error, SuppressedError);
  assertInstanceOf(error.error, RangeError);
  assertInstanceOf(error.suppressed, TypeError);
  assertEquals([error.error.message, error.suppressed.message], ["on the way out", "first"]);
});

forEachPool("submit() rejects with a global class of the task's own as its nearest known class", async (kind) => {
  const error = await thrownBy(kind, () => {
    const Own = class OwnError extends TypeError {
      override name = "OwnError";
    };
    (globalThis as unknown as { OwnError: unknown }).OwnError = Own;
    throw new Own("x");
  });
  assertInstanceOf(error, TypeError);
  assertEquals(error.name, "OwnError");
});

for (const kind of ["thread", "process"]) {
  const name = kind === "thread" ? "ThreadPoolExecutor" : "ProcessPoolExecutor";
  Deno.test(`${name}.submit() prints at the end the exceptions that nobody asked for, and no other`, async () => {
    const { code, stdout, stderr } = await runScript("unretrieved.ts", [kind]);
    assertEquals(code, 0);
    assertEquals(stdout.split("\n"), [0, 1, 2, 4, 7, 8].map((n) => `caught item ${n}`).concat(""));
    const reports = stderr.split("\n").filter((line) => line.includes("nobody asked"));
    assertEquals(reports.length, 1, stderr);
    assertStringIncludes(reports[0]!, "RangeError: forgotten");
  });
}

// -- The classes

for (
  const [name, Base] of Object.entries({
    RuntimeError: Error,
    CancelledError: Error,
    TimeoutError: Error,
    InvalidStateError: Error,
    BrokenExecutorError: futures.RuntimeError,
    BrokenThreadPoolError: futures.BrokenExecutorError,
    BrokenProcessPoolError: futures.BrokenExecutorError,
    NotImportableError: Error,
    NotCloneableError: TypeError,
    WorkerCrashedError: Error,
  })
) {
  Deno.test(`${name}() is a ${Base.name} with its name, a message and a cause`, () => {
    const Class = futures[name as "RuntimeError"];
    const error = new Class("message", { cause: 5 });
    assertInstanceOf(error, Base);
    assertEquals([error.name, error.message, error.cause], [name, "message", 5]);
    assertEquals(Class.name, name);
    assertEquals(new Class().message, "");
    assert(!("cause" in new Class("x")));
  });
}

Deno.test("WorkerCrashedError() carries the code, the signal and the last lines on stderr", () => {
  const error = new futures.WorkerCrashedError("m", { code: 3, signal: "SIGTERM", stderr: "last" });
  assertEquals([error.code, error.signal, error.stderr], [3, "SIGTERM", "last"]);
  const bare = new futures.WorkerCrashedError("m");
  assertEquals([bare.code, bare.signal, bare.stderr], [undefined, undefined, ""]);
});

// -- The codec

Deno.test("decodeError() refuses what encodeError() does not make", () => {
  for (const bad of [undefined, null, 5, "x", {}, { kind: "other" }]) {
    let thrown: unknown;
    try {
      decodeError(bad);
    } catch (error) {
      thrown = error;
    }
    assertInstanceOf(thrown, TypeError, Deno.inspect(bad));
  }
});

Deno.test("decodeError() makes a plain Error of a class that nobody knows", () => {
  for (
    const base of [
      "Object",
      "Function",
      "constructor",
      "__proto__",
      "Deno.errors.constructor",
      "NoSuchError",
      "process",
    ]
  ) {
    const error = decodeError({ kind: "error", base, name: "N", message: "m", stack: "s", properties: [] });
    assertStrictEquals(Object.getPrototypeOf(error), Error.prototype, base);
    assertEquals((error as Error).name, "N");
  }
});

Deno.test("encodeError() and decodeError() bring any error back", () => {
  const message = fc.string({ unit: "grapheme" });
  const error = fc.letrec<{ error: Error; cause: unknown }>((tie) => ({
    error: fc.tuple(
      fc.constantFrom(Error, RangeError, TypeError, SyntaxError),
      message,
      fc.option(tie("cause"), { nil: undefined }),
      fc.dictionary(
        fc.string().filter((key) => !["name", "message", "stack", "cause", "errors", "__proto__"].includes(key)),
        fc.jsonValue(),
      ),
    ).map(([Class, message, cause, properties]) =>
      Object.assign(cause === undefined ? new Class(message) : new Class(message, { cause }), properties)
    ),
    cause: fc.oneof({ maxDepth: 5 }, fc.integer(), fc.string(), tie("error")),
  })).error;
  fc.assert(fc.property(error, (error) => {
    const back = decodeError(structuredClone(encodeError(error, () => true)));
    assertEquals(back, error);
    assertStrictEquals(Object.getPrototypeOf(back), Object.getPrototypeOf(error));
    assertEquals(Object.entries(back as Error), Object.entries(error));
  }));
});
