/**
 * What the recipes share: the command line, the clock, chance, and how a program ends.
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { setColorEnabled } from "@std/fmt/colors";
import { EventLoop, KeyboardInterrupt } from "../lib/asyncio/mod.ts";
import { BrokenExecutorError } from "../lib/futures/mod.ts";
import { VirtualClock } from "../lib/testing/mod.ts";

/** An option of a recipe, and how its text is read. Those that have no `takes` are either given or not. */
export interface Option<T> {
  /** For `--help`. */
  readonly what: string;
  /** What stands for its value in `--help`. */
  readonly sign?: string;
  /** What it takes, with an example; for the error. */
  readonly takes?: string;
  /** What it is when it is not given; one without this has to be. */
  readonly otherwise?: T;
  /** Whether it is given by its place and not by its name. */
  readonly operand?: boolean;
  /** Its value; `undefined` if it does not take this. */
  readonly parse: (text: string) => T | undefined;
}

/** What there is to say of a recipe. */
export interface Recipe<O extends Record<string, Option<unknown>>> {
  /** The name of its file. */
  readonly name: string;
  /** The first line of `--help`. */
  readonly about: string;
  /** The last line of `--help`. */
  readonly permissions: string;
  /** Its options by their names. */
  readonly options: O;
  /** The recipe itself. */
  readonly run: (options: { [K in keyof O]: O[K] extends Option<infer T> ? T : never }) => void | Promise<void>;
}

/** Ends a recipe with one line to stderr. */
export class RecipeError extends Error {
  /** 1 if it went wrong, 2 if the command line is wrong. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Reads the command line, runs the recipe, and says how it ended.
 *
 * @param args The command line.
 * @param recipe The recipe.
 * @returns The exit code: 0; 1 if it cannot do its work; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export async function runRecipe<O extends Record<string, Option<unknown>>>(
  args: string[],
  recipe: Recipe<O>,
): Promise<number> {
  setColorEnabled(!Deno.noColor && Deno.stdout.isTerminal());
  try {
    const options = readOptions(args, recipe.options);
    if (options === null) console.log(help(recipe));
    else await recipe.run(options as Parameters<typeof recipe.run>[0]);
    return 0;
  } catch (error) {
    if (error instanceof KeyboardInterrupt) {
      console.error("KeyboardInterrupt");
      return 130;
    }
    if (error instanceof RecipeError) {
      console.error(error.message);
      return error.exitCode;
    }
    if (error instanceof Deno.errors.NotCapable || error instanceof BrokenExecutorError) {
      console.error(error.message);
      return 1;
    }
    throw error;
  }
}

// -- Options

/** An option that is there or not. */
export function flag(what: string): Option<boolean> {
  return { what, otherwise: false, parse: () => true };
}

/** An option that takes a whole number. */
export function wholeNumber<D extends number | undefined>(
  what: string,
  { from, upTo = Number.MAX_SAFE_INTEGER, otherwise }: { from: number; upTo?: number; otherwise: D },
): Option<number | D> {
  const range = upTo === Number.MAX_SAFE_INTEGER ? `from ${from} on` : `from ${from} to ${upTo}`;
  return {
    what,
    sign: "N",
    takes: `a whole number ${range}, such as ${otherwise ?? 7}`,
    otherwise,
    parse: (text) => /^\d+$/.test(text) && Number(text) >= from && Number(text) <= upTo ? Number(text) : undefined,
  };
}

/** An option that takes text, such as `example`. */
export function text(
  what: string,
  { sign, example, like = (text) => text !== "" }: { sign: string; example: string; like?: (text: string) => boolean },
): Option<string | undefined> {
  const parse = (text: string): string | undefined => like(text) ? text : undefined;
  return { what, sign, takes: `a ${sign}, such as ${example}`, otherwise: undefined, parse };
}

/** An option that takes some of a few words. */
export function someOf<const W extends string>(what: string, words: readonly W[]): Option<readonly W[]> {
  return {
    what,
    sign: "WORDS",
    takes: `some of ${words.join(",")}`,
    otherwise: words,
    parse: (text) => {
      const asked = text.split(",");
      return asked.every((word) => words.includes(word as W))
        ? words.filter((word) => asked.includes(word))
        : undefined;
    },
  };
}

/** `--virtual`. */
export const VIRTUAL: Option<boolean> = flag("wait for nothing: the time is virtual");

/** `--seed`. */
export const SEED: Option<number | undefined> = wholeNumber("make chance the same each time", {
  from: 0,
  upTo: 2 ** 32 - 1,
  otherwise: undefined,
});

function help({ name, about, options, permissions }: Omit<Recipe<Record<string, Option<unknown>>>, "run">): string {
  const rows = Object.entries(options).map(([key, option]) => {
    const { what, sign, otherwise } = option;
    const usage = option.operand ? key.toUpperCase() : sign === undefined ? `--${key}` : `--${key}=${sign}`;
    return [usage, sign === undefined || otherwise === undefined ? what : `${what} (${otherwise})`] as const;
  });
  rows.push(["--help", "print this"]);
  const width = Math.max(...rows.map(([usage]) => usage.length));
  const operands = Object.keys(options).filter((key) => options[key]!.operand).map((key) => ` ${key.toUpperCase()}`);
  return [
    about,
    "",
    `Usage: ${name} [options]${operands.join("")}`,
    "",
    ...rows.map(([usage, what]) => `  ${usage.padEnd(width)}   ${what}`),
    "",
    permissions,
  ].join("\n");
}

/** The values of all options; `null` for `--help`. */
function readOptions(
  args: readonly string[],
  options: Record<string, Option<unknown>>,
): Record<string, unknown> | null {
  const names = Object.keys(options);
  const operands = names.filter((name) => options[name]!.operand);
  const flags = [...names.filter((name) => options[name]!.takes === undefined), "help"];
  const named = names.filter((name) => !flags.includes(name) && !operands.includes(name));
  const unknown: string[] = [];
  // A negative number is a wrong value and not a bundle of one-letter options.
  const escaped = args.map((arg) => arg.replace(/^-(?=[\d.])/, "\u2212"));
  const given = parseArgs(escaped, {
    string: [...named, "_"],
    boolean: flags,
    unknown: (arg, key) => {
      if (key === undefined && operands.length > 0) return true;
      unknown.push(unescape(arg));
      return false;
    },
  }) as Record<string, unknown> & { _: string[] };
  if (given.help === true) return null;
  unknown.push(...given._.slice(operands.length).map(unescape));
  if (unknown.length > 0) {
    const allowed = [...operands.map((name) => name.toUpperCase()), ...[...named, ...flags].map((name) => `--${name}`)];
    throw new RecipeError(
      `Unknown argument ${unknown[0]}: allowed are ${allowed.slice(0, -1).join(", ")} and ${allowed.at(-1)}`,
      2,
    );
  }
  const values: Record<string, unknown> = {};
  for (const name of names) {
    const { takes, otherwise, parse } = options[name]!;
    const called = operands.includes(name) ? name.toUpperCase() : `--${name}`;
    const text = operands.includes(name) ? given._[operands.indexOf(name)] : given[name];
    if (typeof text === "string") {
      values[name] = parse(text);
      if (values[name] === undefined) {
        throw new RecipeError(`Cannot use "${unescape(text)}" as ${called}: it takes ${takes}`, 2);
      }
    } else if (operands.includes(name)) {
      throw new RecipeError(`Cannot go on without ${called}: it takes ${takes}`, 2);
    } else if (args.some((arg) => arg.startsWith(`--${name}=`))) {
      throw new RecipeError(`Cannot use a value with ${called}: it is given or not`, 2);
    } else values[name] = text === true ? true : otherwise;
  }
  return values;
}

function unescape(arg: string): string {
  return arg.replace(/^\u2212/, "-");
}

// -- Running

/** A loop on the real clock, or on one that leaps over all waiting. */
export function makeLoop(virtual: boolean): EventLoop {
  return virtual ? new EventLoop({ clock: new VirtualClock() }) : new EventLoop();
}

/**
 * Waits for `work`, or throws a {@linkcode KeyboardInterrupt} at Ctrl-C. `asyncio.run()` does that by itself; this is for
 * work without a loop.
 */
export async function untilInterrupted<T>(work: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const interrupt = (): void => reject(new KeyboardInterrupt());
  Deno.addSignalListener("SIGINT", interrupt);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/** Python's `randint`: a whole number by chance, both ends included. From the same seed come the same numbers. */
export function makeRandint(seed?: number): (low: number, high: number) => number {
  const random = seed === undefined ? Math.random : mulberry32(seed);
  return (low, high) => low + Math.floor(random() * (high - low + 1));
}

/** https://gist.github.com/tommyettinger/46a874533244883189143505d203312c, which is in the public domain. */
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
