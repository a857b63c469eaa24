/**
 * Lists the recipes, runs one with the permissions that it needs and no others, or all of them: `deno task recipes`.
 *
 * @module
 */

/** A recipe, and what it takes to run it. */
export interface RecipeEntry {
  /** The name of its file. */
  readonly name: string;
  /** What it shows. */
  readonly shows: string;
  /** The permissions it needs. */
  readonly permissions: readonly string[];
  /** Arguments for `--all`; it cannot be run without them. */
  readonly args: readonly string[];
  /** Arguments for `--all --virtual`: what makes it quick. */
  readonly quick: readonly string[];
}

/** All recipes. */
export const RECIPES: readonly RecipeEntry[] = [
  {
    name: "pooling",
    shows: "the same work sequentially, on a pool of threads and on one of processes",
    permissions: ["--allow-run"],
    args: [],
    quick: ["--count=1000000"],
  },
  {
    name: "event_loop",
    shows: "functions that call each other by callLater, until the time is over",
    permissions: [],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "state_machine",
    shows: "a finite state machine of coroutines, with a picture of the path it took",
    permissions: [],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "tasks",
    shows: "three computations as tasks that take turns",
    permissions: [],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "futures",
    shows: "results delivered through futures and their callbacks",
    permissions: [],
    args: ["5", "5"],
    quick: ["--virtual", "5", "5"],
  },
  {
    name: "executor_api",
    shows: "submit, map, callbacks, wait and asCompleted, on both pools",
    permissions: ["--allow-run"],
    args: [],
    quick: ["--unit=2"],
  },
  {
    name: "context_switch",
    shows: "what runs when, between coroutines that let each other run",
    permissions: [],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "as_completed",
    shows: "HTTP requests, their results as they come",
    permissions: ["--allow-net=127.0.0.1"],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "first_completed",
    shows: "the first of several answers, the rest cancelled; the states of a future",
    permissions: ["--allow-net=127.0.0.1"],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "event_loop_api",
    shows: "the methods of the event loop, one after the other",
    permissions: [],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "worker_queue",
    shows: "workers over a queue that holds the producers back when it is full",
    permissions: [],
    args: [],
    quick: ["--virtual"],
  },
  {
    name: "crawler",
    shows: "a site page by page, so many requests at a time, each with a time limit",
    permissions: ["--allow-net=127.0.0.1"],
    args: [],
    quick: ["--timeout=300"],
  },
  {
    name: "tail",
    shows: "the output of another program line by line, until it falls silent",
    permissions: ["--allow-run"],
    args: [],
    quick: ["--pause=0", "--timeout=500"],
  },
];

const USAGE = `Usage: deno task recipes                    list the recipes
       deno task recipes NAME [options]     run one; --help says what it takes
       deno task recipes --all [--virtual]  run all, without waiting
`;

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === undefined || first === "--help") {
    console.log(USAGE);
    for (const { name, shows } of RECIPES) console.log(`  ${name.padEnd(15)}  ${shows}`);
    return 0;
  }
  if (first === "--all" && (rest.length === 0 || rest.join() === "--virtual")) {
    for (const recipe of RECIPES) {
      console.log(`\n== ${recipe.name}`);
      const code = await run(recipe, rest.length === 0 ? recipe.args : recipe.quick);
      if (code !== 0) return code;
    }
    return 0;
  }
  const recipe = RECIPES.find(({ name }) => name === first);
  if (recipe === undefined) {
    console.error(`Cannot run "${args.join(" ")}": it is no recipe; deno task recipes lists them`);
    return 2;
  }
  return await run(recipe, rest);
}

async function run({ name, permissions }: RecipeEntry, args: readonly string[]): Promise<number> {
  const file = new URL(`../recipes/${name}.ts`, import.meta.url).href;
  const child = new Deno.Command(Deno.execPath(), { args: ["run", "--quiet", ...permissions, file, ...args] }).spawn();
  // The terminal gives Ctrl-C to the recipe as well, and this program ends as that does.
  const interrupted = (): void => {};
  Deno.addSignalListener("SIGINT", interrupted);
  const { code } = await child.status;
  Deno.removeSignalListener("SIGINT", interrupted);
  return code;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
