/**
 * The event loop by its methods: gathered results, waiting, a loop that runs until it is stopped, callbacks, futures.
 *
 * ```sh
 * deno run jsr:@skein/skein/recipes/event_loop_api --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/event_loop_api";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import {
  ALL_COMPLETED,
  type EventLoop,
  type Future,
  gather,
  KeyboardInterrupt,
  setEventLoop,
  sleep,
  wait,
} from "../lib/asyncio/mod.ts";
import { VIRTUAL, wholeNumber } from "./_options.ts";
import { makeLoop, runRecipe } from "./_recipe.ts";

async function foo(): Promise<number> {
  console.log("Running foo");
  await sleep(500);
  console.log("Running foo again");
  return 1;
}

async function bar(): Promise<number> {
  console.log("Running bar");
  await sleep(1000);
  console.log("Running bar again");
  return 2;
}

async function gatherResults(loop: EventLoop): Promise<void> {
  const results = await loop.runUntilComplete(gather([foo, bar]));
  console.log(`[${results.join(", ")}]`);
}

async function waitForTasks(loop: EventLoop): Promise<void> {
  const tasks = [loop.createTask(foo, { name: "foo" }), loop.createTask(bar, { name: "bar" })];
  const { done, pending } = await loop.runUntilComplete(wait(tasks, { returnWhen: ALL_COMPLETED }));
  const show = (set: Set<unknown>): string => set.size === 0 ? "set()" : `{${[...set].join(", ")}}`;
  console.log("TASKS DONE : ", show(done));
  console.log("TASKS PENDING : ", show(pending));
}

async function runForever(loop: EventLoop, seconds: number): Promise<void> {
  loop.createTask(foo);
  loop.createTask(bar);
  loop.callLater({ seconds }, () => loop.stop());
  await loop.runForever();
  console.log(`Stopped after ${seconds} seconds`);
}

async function callBack(loop: EventLoop): Promise<void> {
  const task = loop.createTask(foo);
  task.addDoneCallback((future) => console.log("RESULT OF TASK: ", future.result()));
  await loop.runUntilComplete(task);
}

async function makeFutures(loop: EventLoop): Promise<void> {
  const show = (future: Future<string>): void =>
    console.log(`done=${future.done()} cancelled=${future.cancelled()} ${future}`);

  const finished = loop.createFuture<string>();
  show(finished);
  loop.createTask(async () => {
    await sleep(1000);
    finished.setResult("Future is done!");
  });
  await loop.runUntilComplete(finished);
  show(finished);

  const cancelled = loop.createFuture<string>();
  cancelled.cancel();
  show(cancelled);
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "event_loop_api",
    about: "The methods of the event loop: what runs it, what stops it, and the futures and tasks it makes.",
    permissions: "Needs no permission.",
    options: {
      forever: wholeNumber("how many seconds are for ever, unless Ctrl-C comes first", { from: 2, otherwise: 3 }),
      virtual: VIRTUAL,
    },
    run: async ({ forever, virtual }) => {
      using loop = makeLoop(virtual);
      setEventLoop(loop);
      loop.addSignalHandler("SIGINT", () => {
        throw new KeyboardInterrupt();
      });
      try {
        console.log(bold("Gathering results:"));
        await gatherResults(loop);
        console.log(bold("Waiting for tasks:"));
        await waitForTasks(loop);
        console.log(bold("Running forever:"));
        await runForever(loop, forever);
        console.log(bold("Future callbacks:"));
        await callBack(loop);
        console.log(bold("Futures:"));
        await makeFutures(loop);
      } finally {
        setEventLoop(null);
      }
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
