/**
 * The interpreter with `async` and `await` in place of generators, made by rewriting it: the same programs in native
 * code throughout.
 */

import type { Program } from "./program.ts";

const FILES = ["interpret.ts", "sync_interpret.ts"];

/** An `await` of what `next()` gives would wait for the future itself. */
const NEXT = /for \(;;\) \{\s+const future = yield\* iterator\.next\(\);\s+if \(future === null\) break;([^}]+)\}/;

function rewrite(source: string): string {
  return "// @ts-nocheck: The types are those of generators.\n" + source
    .replace(NEXT, "for await (const future of iterator) {$1}")
    .replaceAll(/\n {2}\*(#?\w+)\(/g, "\n  async $1(")
    .replaceAll("function* ", "async function ")
    .replaceAll("yield* ", "await ")
    .replaceAll("GeneratorCoroutine", "Promise")
    .replaceAll(
      /from "(\.[^"]+)"/g,
      (found, path) => FILES.some((file) => path.endsWith(`/${file}`)) ? found : `from "${import.meta.resolve(path)}"`,
    );
}

/** Makes it. */
export async function nativeInterpreter(): Promise<(program: Program) => Promise<string[]>> {
  const directory = await Deno.makeTempDir({ prefix: "conformance" });
  try {
    for (const file of FILES) {
      const source = rewrite(await Deno.readTextFile(new URL(file, import.meta.url)));
      const left = source.match(/yield|function\*/);
      if (left !== null) throw new Error(`Cannot rewrite ${file} as there is a ${left[0]} of another form in it`);
      await Deno.writeTextFile(`${directory}/${file}`, source);
    }
    return (await import(`file://${directory}/interpret.ts`)).execute;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/**
 * Whether native code has CPython's very trace. Not where tasks start eagerly, as native code goes on in microtasks, and
 * not where a task does so much without waiting that it takes more microtasks than the loop waits for: each statement
 * takes some, and so does each call and each way out of one.
 */
export function keepsOrder(program: Program, trace: readonly string[]): boolean {
  return !program.eager && streak(trace) <= 25;
}

/** How many lines in a row a task has at most. */
function streak(trace: readonly string[]): number {
  let who: string | undefined;
  let length = 0;
  let most = 0;
  for (const line of trace) {
    const before = who;
    who = line.split(" ", 2)[1];
    length = who === before ? length + 1 : 1;
    if (who !== "-" && !line.startsWith("end ")) most = Math.max(most, length);
  }
  return most;
}
