/**
 * A virtual clock, for tests in which time matters and none is lost.
 *
 * ```ts
 * import { EventLoop, sleep } from "@skein/skein/asyncio";
 * import { VirtualClock } from "@skein/skein/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using loop = new EventLoop({ clock: new VirtualClock() });
 * assertEquals(await loop.runUntilComplete(sleep({ days: 7 }, "a week later")), "a week later");
 * ```
 *
 * @module
 */

export type { DurationLike } from "../_duration.ts";
export * from "./virtual_clock.ts";
