/**
 * Errors as plain data, and back. A structured clone alone loses the class, the name, the code and every own property
 * of an error.
 * @module
 */

import * as errors from "./errors.ts";

/** What stands for a thrown value between a worker and its parent. */
export type EncodedError =
  | {
    readonly kind: "error";
    /** The class: the nearest one up the prototype chain that every JavaScript program has. */
    readonly base: string;
    readonly name: string;
    readonly message: string;
    readonly stack: string;
    /** Own properties, as key and value. */
    readonly properties: readonly (readonly [string, unknown])[];
    readonly cause?: EncodedError;
    readonly errors?: readonly EncodedError[];
  }
  /** Something thrown that is no error but can be cloned. */
  | { readonly kind: "value"; readonly value: unknown }
  /** Something that cannot be cloned, or that is too deep down: how it looks. */
  | { readonly kind: "shown"; readonly text: string };

/**
 * Turns what a task threw into plain data. Part of the worker's program, so it uses nothing from around it.
 *
 * @param thrown What was thrown.
 * @param isCloneable Whether a value can go to the parent.
 */
export function encodeError(thrown: unknown, isCloneable: (value: unknown) => boolean): EncodedError {
  const MAX_DEPTH = 16;
  const SKEIN = Symbol.for("@skein/skein.error");
  const standard: [string, unknown][] = [
    ["AggregateError", AggregateError],
    ["DOMException", DOMException],
    ["EvalError", EvalError],
    ["RangeError", RangeError],
    ["ReferenceError", ReferenceError],
    ["SuppressedError", SuppressedError],
    ["SyntaxError", SyntaxError],
    ["TypeError", TypeError],
    ["URIError", URIError],
    ["WebAssembly.CompileError", WebAssembly.CompileError],
    ["WebAssembly.LinkError", WebAssembly.LinkError],
    ["WebAssembly.RuntimeError", WebAssembly.RuntimeError],
    ...Object.entries(Deno.errors).map(([name, value]): [string, unknown] => [`Deno.errors.${name}`, value]),
  ];

  function baseOf(error: Error): string {
    const mark = (error as { [SKEIN]?: unknown })[SKEIN];
    if (typeof mark === "string") return `Skein.${mark}`;
    for (let proto = Object.getPrototypeOf(error); proto !== null; proto = Object.getPrototypeOf(proto)) {
      const base = standard.find(([, value]) => proto.constructor === value);
      if (base !== undefined) return base[0];
    }
    return "Error";
  }

  function encode(value: unknown, path: readonly unknown[]): EncodedError {
    if (!(value instanceof Error)) {
      return isCloneable(value) ? { kind: "value", value } : { kind: "shown", text: Deno.inspect(value) };
    }
    if (path.length === MAX_DEPTH || path.includes(value)) return { kind: "shown", text: String(value) };
    const below = [...path, value];
    const members = value instanceof AggregateError && Array.isArray(value.errors)
      ? value.errors
      : value instanceof SuppressedError
      ? [value.error, value.suppressed]
      : undefined;
    return {
      kind: "error",
      base: baseOf(value),
      name: String(value.name),
      message: String(value.message),
      // The frames of the worker's own program say nothing to its user.
      stack: String(value.stack).split("\n").filter((line) => !/^ +at .*skein(?::|%3A)worker/.test(line)).join("\n"),
      properties: Object.keys(value)
        .filter((key) => !["name", "message", "stack", "cause", "errors"].includes(key))
        .map((key) => {
          const property = (value as unknown as Record<string, unknown>)[key];
          return [key, isCloneable(property) ? property : Deno.inspect(property)] as const;
        }),
      ...("cause" in value ? { cause: encode(value.cause, below) } : {}),
      ...(members === undefined ? {} : { errors: members.map((error) => encode(error, below)) }),
    };
  }

  try {
    return encode(thrown, []);
  } catch {
    // Reading it throws in turn. What was thrown is the call's own business; that something was is not to be lost.
    return { kind: "shown", text: "The call threw an error that cannot be read" };
  }
}

type ErrorClass = new (message: string) => Error;

const CLASSES: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ...prefixed("", { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }),
  ...prefixed("WebAssembly.", {
    CompileError: WebAssembly.CompileError,
    LinkError: WebAssembly.LinkError,
    RuntimeError: WebAssembly.RuntimeError,
  }),
  ...prefixed("Deno.errors.", Deno.errors),
  ...prefixed("Skein.", errors),
]);

function prefixed(prefix: string, classes: Record<string, ErrorClass>): [string, ErrorClass][] {
  return Object.entries(classes).map(([name, it]) => [prefix + name, it]);
}

/**
 * The thrown value that `encoded` stands for. A class of the program's own comes back as the nearest class that every
 * program has, with the `name` and the own properties of the original.
 *
 * @throws {TypeError} If `encoded` is not what `encodeError` makes: it comes from a worker, which may send anything.
 */
export function decodeError(encoded: unknown): unknown {
  const data = encoded as EncodedError;
  switch (data?.kind) {
    case "value":
      return data.value;
    case "shown":
      return new Error(data.text);
    case "error":
      break;
    default:
      throw new TypeError("Cannot decode the error that a worker sent");
  }
  const { base, name, message, stack } = data;
  const error = construct(String(base), String(message), String(name), data.errors?.map(decodeError) ?? []);
  define(error, "stack", String(stack));
  if (error.name !== name) define(error, "name", String(name));
  if (data.cause !== undefined) define(error, "cause", decodeError(data.cause));
  for (const [key, value] of data.properties) {
    Object.defineProperty(error, String(key), { value, enumerable: true, writable: true, configurable: true });
  }
  return error;
}

function construct(base: string, message: string, name: string, members: unknown[]): Error {
  if (base === "AggregateError") return new AggregateError(members, message);
  if (base === "SuppressedError") return new SuppressedError(members[0], members[1], message);
  if (base === "DOMException") return new DOMException(message, name);
  return new (CLASSES.get(base) ?? Error)(message);
}

function define(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, enumerable: false, writable: true, configurable: true });
}
