/**
 * What the recipes share: how they begin and end, the clock, and chance.
 * @module
 */

import { setColorEnabled } from "@std/fmt/colors";
import { EventLoop, KeyboardInterrupt } from "../lib/asyncio/mod.ts";
import { BrokenExecutorError } from "../lib/futures/mod.ts";
import { VirtualClock } from "../lib/testing/mod.ts";
import { describeOptions, type Options, readOptions, UsageError, type ValuesOf } from "./_options.ts";

/** What there is to say of a recipe. */
export interface Recipe<O extends Options> {
  /** The name of its file. */
  readonly name: string;
  /** The first line of `--help`. */
  readonly about: string;
  /** The last line of `--help`. */
  readonly permissions: string;
  /** Its options by their names. */
  readonly options: O;
  /** The recipe itself. */
  readonly run: (options: ValuesOf<O>) => Promise<void>;
}

/** Ends a recipe that cannot do its work, with one line to stderr. */
export class RecipeError extends Error {}

/**
 * Reads the command line, runs the recipe, and says how it ended.
 *
 * @param args The command line.
 * @param recipe The recipe.
 * @returns The exit code: 0; 1 if it cannot do its work; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export async function runRecipe<O extends Options>(args: string[], recipe: Recipe<O>): Promise<number> {
  setColorEnabled(!Deno.noColor && Deno.stdout.isTerminal());
  try {
    const options = readOptions(args, recipe.options);
    if (options !== null) await recipe.run(options);
    else {
      const { usage, table } = describeOptions(recipe.options);
      console.log(`${recipe.about}\n\nUsage: ${recipe.name} ${usage}\n\n${table}\n\n${recipe.permissions}`);
    }
    return 0;
  } catch (error) {
    const exitCode = exitCodeOf(error);
    if (exitCode === undefined) throw error;
    console.error(exitCode === 130 ? "KeyboardInterrupt" : (error as Error).message);
    return exitCode;
  }
}

/** The exit code of an error that is told in one line. */
function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof KeyboardInterrupt) return 130;
  if (error instanceof UsageError) return 2;
  const cannotWork = [RecipeError, BrokenExecutorError, Deno.errors.NotCapable];
  return cannotWork.some((kind) => error instanceof kind) ? 1 : undefined;
}

/** A loop on the real clock, or on one that leaps over all waiting. */
export function makeLoop(virtual: boolean): EventLoop {
  return virtual ? new EventLoop({ clock: new VirtualClock() }) : new EventLoop();
}

/**
 * Does `work`, or throws a {@linkcode KeyboardInterrupt} at Ctrl-C. `asyncio.run()` does that by itself; this is for work
 * without a loop. What is left of the work ends with the program.
 */
export async function untilInterrupted(work: () => Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const interrupt = (): void => reject(new KeyboardInterrupt());
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    await Promise.race([work(), promise]);
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/** Python's `randint`: a whole number by chance, both ends included. From the same seed come the same numbers. */
export function makeRandint(seed?: number): (low: number, high: number) => number {
  const random = seed === undefined ? Math.random : mulberry32(seed);
  return (low, high) => low + Math.floor(random() * (high - low + 1));
}

/** By Tommy Ettinger: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
