/**
 * {@linkcode importable} and {@linkcode fromModule}: functions that a worker imports, so that they may use whatever
 * their module does.
 * @module
 */

import { referToModule } from "./_function_ref.ts";

/**
 * The functions that `importable()` was given in this thread, by module and name: where a worker finds them after it
 * has imported the module.
 */
const REGISTRY: unique symbol = Symbol.for("@skein/skein.importable") as never;
const registry = (globalThis as { [REGISTRY]?: Map<string, unknown> })[REGISTRY] ??= new Map();

/**
 * Marks a function as one that workers find by importing its module, as CPython's process pool does with every
 * function. It may then use whatever its module imports and declares; a function without this mark travels as its
 * source text and must be self-contained.
 *
 * The worker runs the whole module. As with Python's `spawn`, a script therefore guards its main part: `if
 * (import.meta.main) { ... }`.
 *
 * Importing a local module in a worker needs `--allow-read`.
 *
 * @typeParam F The type of the function.
 * @param meta The `import.meta` of the module that the call is in.
 * @param fn A function with a name that is unique among the importable functions of its module. It need not be
 * exported.
 * @returns `fn` itself.
 * @throws {TypeError} If the function has no name, or the module has an importable function of that name already.
 *
 * @example
 * ```ts
 * import { importable } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * const factor = 3; // a worker that imports this module has it, too
 * export const scale = importable(import.meta, function scale(x: number): number {
 *   return x * factor;
 * });
 *
 * assertEquals(scale(2), 6);
 * ```
 */
export function importable<F extends (...args: never[]) => unknown>(meta: { readonly url: string }, fn: F): F {
  if (typeof meta?.url !== "string") {
    throw new TypeError(
      `Cannot make a function importable from ${Deno.inspect(meta)}: pass import.meta as the first argument`,
    );
  }
  if (typeof fn !== "function" || fn.name === "") {
    throw new TypeError(
      `Cannot make ${Deno.inspect(fn)} importable: pass a function with a name, by which the worker finds it`,
    );
  }
  const key = `${meta.url}\n${fn.name}`;
  const registered = registry.get(key);
  if (registered !== undefined && registered !== fn) {
    throw new TypeError(
      `Cannot make ${fn.name} importable twice: ${meta.url} has an importable function of that name already`,
    );
  }
  registry.set(key, fn);
  referToModule(fn, meta.url, fn.name, true);
  return fn;
}

/** The functions among the exports of a module, with their types. */
export type ModuleFunctions<M> = {
  readonly [K in keyof M as M[K] extends (...args: never[]) => unknown ? K : never]: M[K];
};

/**
 * Typed references to the functions that a module exports, without loading it here: only the workers import it.
 *
 * The references are for `submit`, `map` and the like; calling one directly throws. Importing a local module in a
 * worker needs `--allow-read`.
 *
 * @typeParam M The type of the module: `typeof import("./tasks.ts")`.
 * @param specifier The absolute URL of the module: `import.meta.resolve("./tasks.ts")`.
 * @returns An object with a reference for each name that is asked of it. A name that the module does not export makes
 * the future reject with {@linkcode NotImportableError}.
 * @throws {TypeError} If `specifier` is not an absolute URL.
 *
 * @example
 * ```ts
 * import { fromModule, ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals } from "@std/assert";
 *
 * // A module of one line, as an URL; mostly it is import.meta.resolve("./tasks.ts").
 * const url = "data:text/javascript,export const double = (x) => 2 * x;";
 * const tasks = fromModule<{ double(x: number): number }>(url);
 *
 * await using pool = new ThreadPoolExecutor();
 * assertEquals(await pool.submit(tasks.double, 21), 42);
 * ```
 */
export function fromModule<M>(specifier: string | URL): ModuleFunctions<M> {
  if (!URL.canParse(String(specifier))) {
    throw new TypeError(
      `Cannot refer to the module ${
        Deno.inspect(specifier)
      }: pass an absolute URL, such as import.meta.resolve("./tasks.ts")`,
    );
  }
  const url = new URL(specifier).href;
  const references = new Map<string, () => never>();
  return new Proxy({}, {
    get(_, key) {
      // A module of functions is not a promise, though an `await` of it asks.
      if (typeof key === "symbol" || key === "then") return undefined;
      let reference = references.get(key);
      if (reference === undefined) {
        reference = () => {
          throw new TypeError(
            `Cannot call ${key} of ${url} here: it is a reference for workers; pass it to submit() or map()`,
          );
        };
        referToModule(reference, url, key, false);
        references.set(key, reference);
      }
      return reference;
    },
  }) as ModuleFunctions<M>;
}
