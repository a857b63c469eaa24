/**
 * How a function travels to a worker: by the module and the name under which the worker finds it, or by its source
 * text.
 *
 * @module
 */

// deno-lint-ignore ban-types -- any callable, whatever it takes: its type was checked where it was submitted.
type AnyFunction = Function;

/** What a worker needs to get at a function. It is sent once to each worker; after that the `id` stands for it. */
export interface FunctionRef {
  readonly id: number;
  /** For messages: the function's name, or `"<anonymous>"`. */
  readonly name: string;
  readonly origin:
    /** `registered`: the function was made with `importable()`, and may not be exported at all. */
    | { readonly kind: "module"; readonly url: string; readonly key: string; readonly registered: boolean }
    | { readonly kind: "source"; readonly source: string };
  /**
   * Milliseconds that a call is expected to take, learnt from the calls before; `undefined` until the first one is
   * over.
   */
  cost: number | undefined;
}

const refs = new WeakMap<AnyFunction, FunctionRef>();
let nextId = 1;

function makeRef(fn: AnyFunction, name: string, origin: FunctionRef["origin"]): FunctionRef {
  const ref = { id: nextId++, name: name || "<anonymous>", origin, cost: undefined };
  refs.set(fn, ref);
  return ref;
}

/** Makes `fn` travel as the export (or the registered name) `key` of the module at `url`. */
export function referToModule(fn: AnyFunction, url: string, key: string, registered: boolean): void {
  makeRef(fn, key, { kind: "module", url, key, registered });
}

// Closures made in a loop are distinct functions of one name and text: they share a reference, so that a worker
// compiles the text once. The map forgets the oldest texts, as a program that makes up functions without end would
// otherwise fill it.
const bySource = new Map<string, FunctionRef>();
const SOURCES_KEPT = 1000;

/**
 * The reference of a function that was passed to an executor.
 *
 * @throws {TypeError} If it is not a function, or one that has no source to send: a native or bound function, or a
 * class.
 */
export function functionRef(fn: unknown): FunctionRef {
  if (typeof fn !== "function") {
    throw new TypeError(
      `Cannot submit ${
        Deno.inspect(fn, { depth: 0 })
      }: the first argument must be a function, the others are its arguments`,
    );
  }
  const known = refs.get(fn);
  if (known !== undefined) return known;
  const source = Function.prototype.toString.call(fn);
  if (source.endsWith("{ [native code] }")) {
    throw noSource(fn);
  }
  if (/^class\b/.test(source)) {
    throw new TypeError(
      `Cannot submit the class ${fn.name || "<anonymous>"}: wrap it in a function that returns what can be cloned`,
    );
  }
  const text = `${fn.name}\n${source}`;
  const shared = bySource.get(text);
  if (shared !== undefined) {
    refs.set(fn, shared);
    return shared;
  }
  const ref = makeRef(fn, fn.name, { kind: "source", source: toExpression(source) });
  bySource.set(text, ref);
  if (bySource.size > SOURCES_KEPT) bySource.delete(bySource.keys().next().value!);
  return ref;
}

/** Where the language and Deno keep their functions. */
const NAMESPACES = { Array, Atomics, BigInt, Date, Deno, JSON, Math, Number, Object, Reflect, String, console, crypto };

/** Says how to write a function without a source of its own. */
function noSource(fn: AnyFunction): TypeError {
  if (fn.name.startsWith("bound ")) {
    return new TypeError(
      `Cannot submit the bound function ${fn.name.slice("bound ".length)}: it has no source to send to a worker; ` +
        `pass a function that takes what it is bound to as an argument`,
    );
  }
  const name = globalName(fn);
  const params = ["x", "y", "z"].slice(0, fn.length).join(", ") || "...args";
  return new TypeError(
    `Cannot submit the native function ${name ?? (fn.name || "<anonymous>")}: it has no source to send to a worker; ` +
      (name === undefined || "prototype" in fn
        ? "pass a function that calls it"
        : `wrap it: (${params}) => ${name}(${params})`),
  );
}

/** The name by which every program knows a native function. */
function globalName(fn: AnyFunction): string | undefined {
  const holds = (value: unknown): boolean => (value as Record<string, unknown>)[fn.name] === fn;
  if (fn.name === "") return undefined;
  if (holds(globalThis)) return fn.name;
  const namespace = Object.entries(NAMESPACES).find(([, value]) => holds(value))?.[0];
  return namespace === undefined ? undefined : `${namespace}.${fn.name}`;
}

/** A method's text (`double(x) {...}`) is no expression by itself; in an object literal it is, under whatever key. */
function toExpression(source: string): string {
  const expression = `(${source})`;
  if (isExpression(expression)) return expression;
  const method = `Object.values({ ${
    source.replace(/^(async\s*)?(\*\s*)?(?:\[[^\]]*\]|#[\p{ID_Continue}$]+)/u, "$1$2task")
  } })[0]`;
  if (isExpression(method)) return method;
  throw new TypeError(
    `Cannot read the source of a function: ${source.slice(0, 100)}; pass an arrow function that calls it`,
  );
}

/** Parses, and does not run. */
function isExpression(source: string): boolean {
  try {
    new Function(`"use strict"; return ${source};`);
    return true;
  } catch {
    return false;
  }
}
