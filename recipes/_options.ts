/**
 * The command line of the recipes: what options there are, how they are read, and `--help`.
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";

/** An option of a recipe. */
export interface Option<T> {
  /** Whether it is given by its name, by its name with a value, or by its place. */
  readonly kind: "flag" | "value" | "operand";
  /** For `--help`: what it is. */
  readonly what: string;
  /** For `--help`: what stands for its value. */
  readonly sign?: string;
  /** For the error: what it takes, with an example. */
  readonly takes: string;
  /** Its value when it is not given; an operand has to be. */
  readonly otherwise?: T;
  /** Its value; `undefined` if it does not take this. */
  readonly parse: (text: string) => T | undefined;
}

/** Options by their names. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** The values of options. */
export type ValuesOf<O extends Options> = { [K in keyof O]: O[K] extends Option<infer T> ? T : never };

/** What is wrong with a command line, in one line. */
export class UsageError extends Error {}

/** An option that is there or not. */
export function flag(what: string): Option<boolean> {
  return { kind: "flag", what, takes: "no value", otherwise: false, parse: () => undefined };
}

/** An option that takes a whole number. */
export function wholeNumber<D extends number | undefined>(
  what: string,
  { from, upTo = Number.MAX_SAFE_INTEGER, otherwise }: { from: number; upTo?: number; otherwise: D },
): Option<number | D> {
  const range = upTo === Number.MAX_SAFE_INTEGER ? `from ${from} on` : `from ${from} to ${upTo}`;
  const parse = (text: string): number | undefined =>
    /^\d+$/.test(text) && Number(text) >= from && Number(text) <= upTo ? Number(text) : undefined;
  return {
    kind: "value",
    what,
    sign: "N",
    takes: `a whole number ${range}, such as ${otherwise ?? 7}`,
    otherwise,
    parse,
  };
}

/** An operand that takes a whole number from 0 on, of any size. */
export function bigOperand(what: string, { upTo }: { upTo?: bigint } = {}): Option<bigint> {
  const takes = `a whole number ${upTo === undefined ? "from 0 on" : `from 0 to ${upTo}`}, such as 5`;
  const parse = (text: string): bigint | undefined =>
    /^\d+$/.test(text) && (upTo === undefined || BigInt(text) <= upTo) ? BigInt(text) : undefined;
  return { kind: "operand", what, takes, parse };
}

/** An option that takes text, if it is `like` what is asked for. */
export function text(
  what: string,
  { sign, example, like = (text) => text !== "" }: { sign: string; example: string; like?: (text: string) => boolean },
): Option<string | undefined> {
  const parse = (text: string): string | undefined => like(text) ? text : undefined;
  return { kind: "value", what, sign, takes: `a ${sign}, such as ${example}`, otherwise: undefined, parse };
}

/** An option that takes some of a few words. */
export function someOf<const W extends string>(what: string, words: readonly W[]): Option<readonly W[]> {
  const parse = (text: string): readonly W[] | undefined => {
    const asked = new Set(text.split(","));
    const found = words.filter((word) => asked.delete(word));
    return asked.size === 0 ? found : undefined;
  };
  return { kind: "value", what, sign: "WORDS", takes: `some of ${words.join(",")}`, otherwise: words, parse };
}

/** `--virtual`. */
export const VIRTUAL: Option<boolean> = flag("wait for nothing: the time is virtual");

/** `--seed`. */
export const SEED: Option<number | undefined> = wholeNumber("make chance the same each time", {
  from: 0,
  upTo: 2 ** 32 - 1,
  otherwise: undefined,
});

/**
 * Reads a command line.
 *
 * @returns The values of all options; `null` for `--help`.
 * @throws {UsageError} If there is something wrong with it.
 */
export function readOptions<O extends Options>(args: readonly string[], options: O): ValuesOf<O> | null {
  const namesOf = (kind: string): string[] => Object.keys(options).filter((name) => options[name]!.kind === kind);
  const operands = namesOf("operand");
  const unknown: string[] = [];
  const given = parseArgs(args.map(escapeMinus), {
    string: [...namesOf("value"), "_"],
    boolean: [...namesOf("flag"), "help"],
    unknown: (arg, name) => {
      const isOperand = name === undefined;
      if (!isOperand) unknown.push(arg);
      return isOperand;
    },
  }) as Record<string, unknown> & { _: string[] };
  if (given.help === true) return null;
  unknown.push(...given._.slice(operands.length));
  if (unknown.length > 0) {
    const allowed = [...Object.entries(options).map(calledOf), "--help"].join(", ");
    throw new UsageError(`Unknown argument ${quote(unknown[0]!)}: allowed are ${allowed}`);
  }

  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const called = calledOf([name, option]);
    if (option.kind === "flag") {
      values[name] = given[name];
      // parseArgs takes --flag=anything for --flag.
      const withValue = args.find((arg) => arg.startsWith(`${called}=`));
      if (withValue !== undefined) throw new UsageError(`Cannot use ${quote(withValue)}: ${called} takes no value`);
      continue;
    }
    const text = option.kind === "operand" ? given._[operands.indexOf(name)] : given[name] as string | undefined;
    if (text === undefined) {
      if (option.kind === "operand") throw new UsageError(`Cannot go on without ${called}: it takes ${option.takes}`);
      values[name] = option.otherwise;
    } else {
      values[name] = option.parse(text);
      if (values[name] === undefined) {
        throw new UsageError(`Cannot use ${quote(text)} as ${called}: it takes ${option.takes}`);
      }
    }
  }
  return values as ValuesOf<O>;
}

/** What `--help` prints of options. */
export function describeOptions(options: Options): { usage: string; table: string } {
  const rows = Object.entries(options).map((entry) => {
    const [, { what, sign, otherwise }] = entry;
    return [
      calledOf(entry) + (sign === undefined ? "" : `=${sign}`),
      sign === undefined || otherwise === undefined ? what : `${what} (${otherwise})`,
    ] as const;
  });
  rows.push(["--help", "print this"]);
  const width = Math.max(...rows.map(([called]) => called.length));
  const operands = Object.entries(options).filter(([, { kind }]) => kind === "operand").map(calledOf);
  return {
    usage: ["[options]", ...operands].join(" "),
    table: rows.map(([called, what]) => `  ${called.padEnd(width)}   ${what}`).join("\n"),
  };
}

function calledOf([name, { kind }]: readonly [string, Option<unknown>]): string {
  return kind === "operand" ? name.toUpperCase() : `--${name}`;
}

/** A negative number is a wrong value, where parseArgs takes it for options of one letter. */
function escapeMinus(arg: string): string {
  return arg.replace(/^-(?=[\d.])/, "\u2212");
}

/** In one line, whatever it is. */
function quote(arg: string): string {
  return JSON.stringify(arg.replace(/^\u2212/, "-"));
}
