/**
 * Skein: Python's `asyncio` and `concurrent.futures` for Deno.
 *
 * ```ts
 * import { asyncio, futures } from "@skein/skein";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new futures.ThreadPoolExecutor();
 * assertEquals(await pool.submit((x: number) => 2 * x, 21), 42);
 *
 * function* main() {
 *   const [one, two] = yield* asyncio.gather([asyncio.sleep(2, "one"), asyncio.sleep(1, "two")]);
 *   return `${one} ${two}`;
 * }
 * assertEquals(await asyncio.run(main()), "one two");
 * ```
 *
 * @module
 */

export * as asyncio from "./lib/asyncio/mod.ts";
export * as futures from "./lib/futures/mod.ts";
