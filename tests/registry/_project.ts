/**
 * A project that uses the package: its files, as strangers write them.
 * @module
 */

/** The files by their names. `deno add` completes the `deno.json`. */
export const PROJECT: Readonly<Record<string, string>> = {
  "deno.json": `{
  "name": "@someone/shapes",
  "version": "1.0.0",
  "license": "MIT",
  "exports": { ".": "./main.ts" },
  "imports": { "#shapes/": "./src/shapes/" }
}
`,

  "src/shapes/square.ts": `
export function area(side: number): number {
  return side * side;
}
`,

  // Nothing but workers imports this one, nor what it imports from the registry.
  "src/tasks.ts": `
import { area } from "#shapes/square.ts";
import { assertEquals } from "@std/assert";

export function areas(sides: number[]): number[] {
  assertEquals(sides.includes(0), false);
  return sides.map(area);
}
`,

  "main.ts": `
import { asyncio } from "@skein/skein";
import { type Executor, fromModule, importable, ProcessPoolExecutor, ThreadPoolExecutor } from "@skein/skein/futures";
import { area } from "#shapes/square.ts";

const surface = importable(import.meta, function surface(edge: number): number {
  return 6 * area(edge);
});
const tasks = fromModule<typeof import("./src/tasks.ts")>(import.meta.resolve("./src/tasks.ts"));
const squares = fromModule<typeof import("./src/shapes/square.ts")>(import.meta.resolve("./src/shapes/square.ts"));

async function use(pool: Executor): Promise<void> {
  await using _ = pool;
  console.log(
    await pool.submit((x: number) => x + 1, 1),
    await pool.submit(surface, 2),
    await pool.submit(squares.area, 3),
    await pool.submit(tasks.areas, [4, 5]),
    (await pool.submit(tasks.areas, [0]).exception() as Error).name,
  );
}

if (import.meta.main) {
  await use(new ThreadPoolExecutor({ maxWorkers: 1 }));
  await use(new ProcessPoolExecutor({ maxWorkers: 1 }));
  await use(new ProcessPoolExecutor({ maxWorkers: 1, permissions: { read: ["."] } }));
  console.log(await asyncio.run(function* () {
    return yield* asyncio.sleep(1, "slept");
  }));
}
`,

  "wrong.ts": `
import { ThreadPoolExecutor } from "@skein/skein/futures";

await using pool = new ThreadPoolExecutor();
const text: string = await pool.submit((x: number) => x + 1, 1);
console.log(text);
`,

  "hour_test.ts": `
import { asyncio } from "@skein/skein";
import { VirtualClock } from "@skein/skein/testing";
import { assertEquals } from "@std/assert";

Deno.test("an hour takes a moment", async () => {
  const loop = new asyncio.EventLoop({ clock: new VirtualClock() });
  assertEquals(await loop.runUntilComplete(asyncio.sleep({ hours: 1 }, "slept")), "slept");
  assertEquals(loop.time(), 3_600_000);
  loop.close();
});
`,

  "call_bench.ts": `
import { ThreadPoolExecutor } from "@skein/skein/futures";

const pool = new ThreadPoolExecutor({ maxWorkers: 1 });

Deno.bench("a call", { n: 3, warmup: 1 }, async () => {
  await pool.submit((x: number) => x + 1, 1);
});
`,
};
