/**
 * The pooling comparison: the same work one item after the other, on a pool of threads and on a pool of processes.
 *
 * ```sh
 * deno run --allow-run jsr:@skein/skein/recipes/pooling --count=1000000000
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/pooling";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--only=threads", "--count=1000", "--items=3"]), 0);
 * ```
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { bold, cyan, dim, green, setColorEnabled, yellow } from "@std/fmt/colors";
import {
  asCompleted,
  BrokenExecutorError,
  type Executor,
  ProcessPoolExecutor,
  ThreadPoolExecutor,
} from "../lib/futures/mod.ts";

const HELP = `Counts for each of some numbers, and multiplies: sequentially, on threads and on processes.

Usage: pooling [options]

  --workers=N   workers of each pool (5)
  --count=N     how far to count for each item (10000000)
  --items=N     how many numbers, from 1 on (10)
  --only=MODES  some of sequential,threads,processes
  --json        print the results as JSON
  --help        print this

Processes need --allow-run; everything else needs no permission.`;

type Mode = "sequential" | "threads" | "processes";
const MODES: readonly Mode[] = ["sequential", "threads", "processes"];

interface Options {
  readonly workers: number;
  readonly count: number;
  readonly items: number;
  readonly modes: readonly Mode[];
  readonly json: boolean;
}

/** How long a mode took, and what came out, in the order in which the items were finished. */
interface Run {
  readonly mode: Mode;
  readonly milliseconds: number;
  readonly results: readonly { readonly item: number; readonly result: number }[];
}

/** The work: it uses nothing but its arguments, so it travels to a worker by its source. */
function evaluate(item: number, count: number): number {
  let i = 0;
  while (i < count) i++;
  return i * item;
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 1 if no worker could be started; 2 if the command line is wrong.
 */
export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === "help") {
    console.log(HELP);
    return 0;
  }
  if (typeof options === "string") {
    console.error(options);
    return 2;
  }
  setColorEnabled(!Deno.noColor && Deno.stdout.isTerminal());
  const progress = new Progress(options);
  const runs: Run[] = [];
  try {
    for (const mode of options.modes) {
      progress.start(mode);
      runs.push(await run(mode, options, progress));
    }
    if (options.json) console.log(JSON.stringify({ ...options, cores: navigator.hardwareConcurrency, runs }, null, 2));
    else await report(runs, options);
  } catch (error) {
    if (!(error instanceof BrokenExecutorError)) throw error;
    console.error(error.message);
    return 1;
  }
  return 0;
}

async function run(mode: Mode, { workers, count, items }: Options, progress: Progress): Promise<Run> {
  const numbers = Array.from({ length: items }, (_, i) => i + 1);
  const results: { item: number; result: number }[] = [];
  const finished = (item: number, result: number) => {
    results.push({ item, result });
    progress.finished(item, result);
  };
  const start = performance.now();
  if (mode === "sequential") {
    for (const item of numbers) finished(item, evaluate(item, count));
  } else {
    await using pool = makePool(mode, workers);
    const futures = new Map(numbers.map((item) => [pool.submit(evaluate, item, count), item]));
    for await (const future of asCompleted(futures.keys())) finished(futures.get(future)!, await future.result());
  }
  return { mode, milliseconds: performance.now() - start, results };
}

function makePool(mode: "threads" | "processes", maxWorkers: number): Executor {
  return mode === "threads" ? new ThreadPoolExecutor({ maxWorkers }) : new ProcessPoolExecutor({ maxWorkers });
}

/** Prints a table, a bar for each mode, and from which amount of work on a pool pays. */
async function report(runs: readonly Run[], { workers, count, items }: Options): Promise<void> {
  const cores = navigator.hardwareConcurrency;
  const sequential = runs.find((run) => run.mode === "sequential")?.milliseconds;
  const longest = Math.max(...runs.map((run) => run.milliseconds));
  console.log();
  console.log(
    bold(`${items} items, each counted to ${count.toLocaleString("en")}; ${workers} workers; ${cores} cores`),
  );
  console.log(dim("              seconds   speed-up"));
  for (const { mode, milliseconds } of runs) {
    const speedUp = sequential === undefined ? "" : `${(sequential / milliseconds).toFixed(2)}x`;
    const bar = "█".repeat(Math.max(1, Math.round(32 * milliseconds / longest)));
    console.log(
      `${mode.padEnd(10)} ${(milliseconds / 1000).toFixed(3).padStart(10)} ${green(speedUp.padStart(10))}  ${
        cyan(bar)
      }`,
    );
  }
  const pools = runs.map((run) => run.mode).filter((mode) => mode !== "sequential");
  if (pools.length === 0) return;
  const thresholds: string[] = [];
  for (const mode of pools) {
    thresholds.push(`on ${mode} from about ${Math.ceil(await breakEven(mode, workers))} ms of work in all`);
  }
  console.log(
    Math.min(cores, workers) === 1
      ? yellow("With one core or one worker a pool cannot be faster.")
      : `A pool pays ${thresholds.join(", ")}: less is over before it has started.`,
  );
}

/** The work, in milliseconds, that takes as long on a new pool as without one. */
async function breakEven(mode: "threads" | "processes", workers: number): Promise<number> {
  const parallel = Math.min(workers, navigator.hardwareConcurrency);
  const start = performance.now();
  {
    await using pool = makePool(mode, parallel);
    await Promise.all(Array.from({ length: parallel }, (_, i) => pool.submit(evaluate, i, 1)));
  }
  const overhead = performance.now() - start;
  // work = overhead + work / parallel
  return overhead * parallel / (parallel - 1);
}

/** Says what happens while it does: the items as they are finished, under them a bar if somebody is looking. */
class Progress {
  readonly #silent: boolean;
  readonly #items: number;
  readonly #bar: boolean;
  #done = 0;

  constructor({ items, json }: Options) {
    this.#silent = json;
    this.#items = items;
    this.#bar = !json && Deno.stdout.isTerminal();
  }

  start(mode: Mode): void {
    this.#done = 0;
    if (this.#silent) return;
    console.log(bold(`${mode}:`));
    this.#draw();
  }

  finished(item: number, result: number): void {
    this.#done++;
    if (this.#silent) return;
    this.#write("\r\x1b[K");
    console.log(`item ${item} result ${result}`);
    this.#draw();
  }

  #draw(): void {
    if (this.#done === this.#items) return;
    const filled = Math.round(32 * this.#done / this.#items);
    this.#write(`[${cyan("#".repeat(filled))}${dim("-".repeat(32 - filled))}] ${this.#done}/${this.#items}`);
  }

  #write(text: string): void {
    if (this.#bar) Deno.stdout.writeSync(new TextEncoder().encode(text));
  }
}

/** The options, `"help"`, or what is wrong with the command line, in one line. */
function parseOptions(args: string[]): Options | "help" | string {
  const unknown: string[] = [];
  const flags = parseArgs(args, {
    string: ["workers", "count", "items", "only"],
    boolean: ["json", "help"],
    default: { workers: "5", count: "10000000", items: "10", only: MODES.join(",") },
    unknown: (arg) => {
      unknown.push(arg);
      return false;
    },
  });
  if (flags.help) return "help";
  if (unknown.length > 0) {
    return `Unknown argument ${unknown[0]}: allowed are --workers, --count, --items, --only, --json and --help`;
  }
  const numbers = { workers: flags.workers, count: flags.count, items: flags.items };
  for (const [name, value] of Object.entries(numbers)) {
    if (!/^\d+$/.test(value) || Number(value) < 1 || !Number.isSafeInteger(Number(value) * 1000)) {
      return `Cannot use "${value}" as --${name}: it takes a whole number from 1 on, such as --${name}=5`;
    }
  }
  const modes = flags.only.split(",");
  const wrong = modes.find((mode) => !(MODES as readonly string[]).includes(mode));
  if (wrong !== undefined) return `Cannot use "${wrong}" as --only: it takes some of ${MODES.join(",")}`;
  return {
    workers: Number(flags.workers),
    count: Number(flags.count),
    items: Number(flags.items),
    modes: MODES.filter((mode) => modes.includes(mode)),
    json: flags.json,
  };
}

if (import.meta.main) Deno.exit(await main(Deno.args));
