/**
 * Skein: Python's `concurrent.futures` for Deno.
 *
 * ```ts
 * import { futures } from "@skein/skein";
 * import { assertEquals } from "@std/assert";
 *
 * await using pool = new futures.ThreadPoolExecutor();
 * assertEquals(await pool.submit((x: number) => 2 * x, 21), 42);
 * ```
 *
 * @module
 */

export * as futures from "./lib/futures/mod.ts";
