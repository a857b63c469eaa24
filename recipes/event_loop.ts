/**
 * An event loop: three functions that call each other by `callLater`, every second, until the time is over.
 *
 * ```sh
 * deno run jsr:@skein/skein/recipes/event_loop --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/event_loop";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual", "--seconds=3"]), 0);
 * ```
 *
 * @module
 */

import { type EventLoop, KeyboardInterrupt } from "../lib/asyncio/mod.ts";
import { VIRTUAL, wholeNumber } from "./_options.ts";
import { makeLoop, runRecipe } from "./_recipe.ts";

function function1(endTime: number, loop: EventLoop): void {
  console.log("function_1 called");
  callNext(function2, endTime, loop);
}

function function2(endTime: number, loop: EventLoop): void {
  console.log("function_2 called");
  callNext(function3, endTime, loop);
}

function function3(endTime: number, loop: EventLoop): void {
  console.log("function_3 called");
  callNext(function1, endTime, loop);
}

/** Has `next` called in a second, if that is before the end. */
function callNext(next: typeof function1, endTime: number, loop: EventLoop): void {
  if (loop.time() + 1000 < endTime) loop.callLater(1000, next, endTime, loop);
  else loop.stop();
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "event_loop",
    about: "Three functions call each other every second, until the time is over.",
    permissions: "Needs no permission.",
    options: {
      seconds: wholeNumber("how long, in seconds", { from: 1, otherwise: 9 }),
      virtual: VIRTUAL,
    },
    run: async ({ seconds, virtual }) => {
      using loop = makeLoop(virtual);
      loop.addSignalHandler("SIGINT", () => {
        throw new KeyboardInterrupt();
      });
      loop.callSoon(function1, loop.time() + 1000 * seconds, loop);
      await loop.runForever();
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
