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

import { bold, cyan, dim, green, yellow } from "@std/fmt/colors";
import { type Executor, ProcessPoolExecutor, ThreadPoolExecutor } from "../lib/futures/mod.ts";
import { flag, someOf, wholeNumber } from "./_options.ts";
import { runRecipe, untilInterrupted } from "./_recipe.ts";

type Mode = "sequential" | "threads" | "processes";
const TITLES: Readonly<Record<Mode, string>> = {
  sequential: "Sequential",
  threads: "Thread pool",
  processes: "Process pool",
};

interface Options {
  readonly workers: number;
  readonly count: number;
  readonly items: number;
  readonly only: readonly Mode[];
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
 * @returns The exit code: 0; 1 if no worker could be started; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "pooling",
    about: "Counts for each of some numbers, and multiplies: sequentially, on threads and on processes.",
    permissions: "Processes need --allow-run; everything else needs no permission.",
    options: {
      workers: wholeNumber("workers of each pool", { from: 1, upTo: 1000, otherwise: 5 }),
      count: wholeNumber("how far to count for each item", { from: 1, upTo: 1e12, otherwise: 10_000_000 }),
      items: wholeNumber("how many numbers, from 1 on", { from: 1, upTo: 1000, otherwise: 10 }),
      only: someOf("which of them", ["sequential", "threads", "processes"]),
      json: flag("print the results as JSON"),
    },
    run: async (options) => {
      const progress = new Progress(options);
      const runs: Run[] = [];
      for (const mode of options.only) {
        progress.start(mode);
        const ended = await run(mode, options, progress);
        runs.push(ended);
        progress.end(ended);
      }
      if (options.json) {
        const { only: modes, ...rest } = options;
        console.log(JSON.stringify({ ...rest, modes, cores: navigator.hardwareConcurrency, runs }, null, 2));
      } else await untilInterrupted(() => report(runs, options));
    },
  });
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
    // Counts where the program itself runs. There only the system can heed Ctrl-C, and it does, as nobody listens.
    for (const item of numbers) finished(item, evaluate(item, count));
  } else {
    await untilInterrupted(async () => {
      await using pool = makePool(mode, workers);
      await Promise.all(numbers.map(async (item) => finished(item, await pool.submit(evaluate, item, count))));
    });
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

  end({ mode, milliseconds }: Run): void {
    if (!this.#silent) console.log(`${TITLES[mode]} execution in ${milliseconds / 1000} seconds`);
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

if (import.meta.main) Deno.exit(await main(Deno.args));
