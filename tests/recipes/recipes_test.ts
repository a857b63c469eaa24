/** What holds for every recipe. */
// deno-lint-ignore-file camelcase -- the keys of the tables are the names of the recipes

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { RECIPES } from "../../tools/recipes.ts";
import { assertGone, callMain, childrenOf, startRecipe } from "./_helpers.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("every recipe is listed, exported, and in the README with its permissions", async () => {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(new URL("recipes/", ROOT))) {
    if (name.endsWith(".ts") && !name.startsWith("_")) files.push(name.slice(0, -3));
  }
  assertEquals(files.sort(), RECIPES.map(({ name }) => name).sort());
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  for (const { name, permissions } of RECIPES) {
    assertEquals((config.exports as Record<string, string>)[`./recipes/${name}`], `./recipes/${name}.ts`);
    const row = readme.split("\n").find((line) => line.startsWith(`| [\`${name}\`](./recipes/${name}.ts)`));
    assert(row !== undefined, `the README has no row for ${name}`);
    // The last cell names all the permissions, and no others.
    assertEquals(row.split("|").at(-2)!.match(/--allow-[^`\s,]+/g) ?? [], permissions);
  }
});

Deno.test("every snippet of Skein in the README's table of recipes is in the recipe", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  for (const { name } of RECIPES) {
    const source = (await Deno.readTextFile(new URL(`recipes/${name}.ts`, ROOT))).replaceAll(/\s+/g, " ");
    const row = readme.split("\n").find((line) => line.startsWith(`| [\`${name}\`]`))!;
    const snippets = row.split("|")[3]!.match(/(?<=`)[^`]+(?=`)/g)!.filter((text) => text.trim() !== "<br>");
    assert(snippets.length > 0, `${name} has no snippet`);
    for (const snippet of snippets) assertStringIncludes(source, snippet, `in ${name}`);
  }
});

for (const { name, permissions } of RECIPES) {
  Deno.test(`${name} --help says what it takes and needs`, async () => {
    const { code, stdout, stderr } = await callMain(name, "--help");
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, new RegExp(`^.+\\.\n\nUsage: ${name} \\[options\\]( N1 N2)?\n\n(  .+\n)+\n.+\\.\n$`));
    assertStringIncludes(stdout, "  --help ");
    for (const permission of permissions) assertStringIncludes(stdout, permission);
    for (const line of stdout.split("\n")) assert(line.length <= 120, line);
  });
}

/** Runs `deno task recipes` with these arguments. */
async function runTool(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-run", "tools/recipes.ts", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("every recipe runs with the permissions that are listed, and without waiting", async () => {
  const { code, stdout, stderr } = await runTool("--all", "--virtual");
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.match(/^== .+$/gm), RECIPES.map(({ name }) => `== ${name}`));
});

Deno.test("deno task recipes lists them, runs one with its options, and refuses what is none", async () => {
  const listed = await runTool();
  assertEquals([listed.code, listed.stderr], [0, ""]);
  for (const { name, shows } of RECIPES) assertMatch(listed.stdout, new RegExp(`^  ${name} +${shows}$`, "m"));
  assertEquals(await runTool("event_loop", "--virtual", "--seconds=1"), {
    code: 0,
    stdout: "function_1 called\n",
    stderr: "",
  });
  assertEquals(await runTool("coffee"), {
    code: 2,
    stdout: "",
    stderr: 'Cannot run "coffee": it is no recipe; deno task recipes lists them\n',
  });
});

for (const [name, quick] of [["pooling", "--count=1"], ["executor_api", "--unit=1"]] as const) {
  Deno.test(`${name} needs no permission for threads, and says in one line what processes need`, async () => {
    const threads = await startRecipe(name, ["--only=threads", quick], []).ended();
    assertEquals([threads.code, threads.stderr], [0, ""]);
    const processes = await startRecipe(name, ["--only=processes", quick], []).ended();
    assertEquals(processes.code, 1);
    assertMatch(processes.stderr, /^Cannot start a worker process: starting one needs --allow-run=\S+\n$/);
  });
}

for (const name of ["as_completed", "first_completed", "crawler"]) {
  Deno.test(`${name} without --allow-net says in one line what it needs`, async () => {
    const { code, stdout, stderr } = await startRecipe(name, [], []).ended();
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^Requires net access to "127\.0\.0\.1:0", .*--allow-net.*\n$/);
  });
}

Deno.test("tail needs no more than to run Deno, and says in one line that it does", async () => {
  const refused = await startRecipe("tail", [], []).ended();
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertMatch(refused.stderr, /^Requires run access to "[^"]+", .*--allow-run.*\n$/);

  const run = await startRecipe("tail", ["--lines=0", "--timeout=1"], [`--allow-run=${Deno.execPath()}`]).ended();
  assertEquals([run.code, run.stderr], [0, ""]);
});

// -- Bad command lines

const BAD: Record<string, readonly (readonly [args: string[], message: string])[]> = {
  pooling: [
    [["--workers=0"], 'Cannot use "0" as --workers: it takes a whole number from 1 to 1000, such as 5'],
    [["--count=1e6"], 'Cannot use "1e6" as --count: it takes a whole number from 1 to 1000000000000, such as 10000000'],
    [["--items", "-1"], 'Cannot use "-1" as --items: it takes a whole number from 1 to 1000, such as 10'],
    [["--only=fibers"], 'Cannot use "fibers" as --only: it takes some of sequential,threads,processes'],
    [["--json=yes"], 'Cannot use "--json=yes": --json takes no value'],
  ],
  event_loop: [
    [["--seconds=0"], 'Cannot use "0" as --seconds: it takes a whole number from 1 on, such as 9'],
    [["--seconds"], 'Cannot use "" as --seconds: it takes a whole number from 1 on, such as 9'],
    [["--seconds=nine"], 'Cannot use "nine" as --seconds: it takes a whole number from 1 on, such as 9'],
  ],
  state_machine: [
    [["--svg=", "--seed=two\nlines"], 'Cannot use "two\\nlines" as --seed: '],
    [["--seed=x"], 'Cannot use "x" as --seed: it takes a whole number from 0 to 4294967295, such as 7'],
    [["--svg="], 'Cannot use "" as --svg: it takes a FILE, such as automaton.svg'],
  ],
  tasks: [
    [["--number=-1"], 'Cannot use "-1" as --number: it takes a whole number from 0 on, such as 10'],
    [["--k=2.5"], 'Cannot use "2.5" as --k: it takes a whole number from 0 on, such as 10'],
  ],
  futures: [
    [[], "Cannot go on without N1: it takes a whole number from 0 on, such as 5"],
    [["5"], "Cannot go on without N2: it takes a whole number from 0 to 10000, such as 5"],
    [["-5", "5"], 'Cannot use "-5" as N1: it takes a whole number from 0 on, such as 5'],
    [["5", "-5"], 'Cannot use "-5" as N2: it takes a whole number from 0 to 10000, such as 5'],
    [["2.5", "5"], 'Cannot use "2.5" as N1: it takes a whole number from 0 on, such as 5'],
    [["5", "10001"], 'Cannot use "10001" as N2: it takes a whole number from 0 to 10000, such as 5'],
    [["", "5"], 'Cannot use "" as N1: it takes a whole number from 0 on, such as 5'],
    [["5", "5", "5"], 'Unknown argument "5": allowed are N1, N2, --swap, --virtual, --help'],
    [["--swap=yes", "5", "5"], 'Cannot use "--swap=yes": --swap takes no value'],
  ],
  executor_api: [
    [["--only="], 'Cannot use "" as --only: it takes some of threads,processes'],
    [["--unit=0"], 'Cannot use "0" as --unit: it takes a whole number from 1 on, such as 100'],
  ],
  context_switch: [
    [["--tasks=0"], 'Cannot use "0" as --tasks: it takes a whole number from 1 to 10000, such as 9'],
    [["--seed=4294967296"], 'Cannot use "4294967296" as --seed: it takes a whole number from 0 to 4294967295'],
  ],
  as_completed: [
    [["--url=example"], 'Cannot use "example" as --url: it takes a URL, such as https://example.com/'],
    [["--clients=many"], 'Cannot use "many" as --clients: it takes a whole number from 1 to 1000, such as 3'],
  ],
  first_completed: [
    [["--seed"], 'Cannot use "" as --seed: it takes a whole number from 0 to 4294967295, such as 7'],
  ],
  event_loop_api: [
    [["--forever=-3"], 'Cannot use "-3" as --forever: it takes a whole number from 2 on, such as 3'],
  ],
  worker_queue: [
    [["--workers=0"], 'Cannot use "0" as --workers: it takes a whole number from 1 to 1000, such as 3'],
    [["--jobs=-1"], 'Cannot use "-1" as --jobs: it takes a whole number from 0 to 10000, such as 10'],
    [["--maxsize=0"], 'Cannot use "0" as --maxsize: it takes a whole number from 1 to 10000, such as 2'],
    [["--seed=x"], 'Cannot use "x" as --seed: it takes a whole number from 0 to 4294967295, such as 7'],
  ],
  crawler: [
    [["--pages=0"], 'Cannot use "0" as --pages: it takes a whole number from 1 to 10000, such as 10'],
    [["--limit=all"], 'Cannot use "all" as --limit: it takes a whole number from 1 to 100, such as 3'],
    [["--timeout=0"], 'Cannot use "0" as --timeout: it takes a whole number from 1 to 60000, such as 1000'],
  ],
  tail: [
    [["--lines"], 'Cannot use "" as --lines: it takes a whole number from 0 on, such as 5'],
    [["--pause=1s"], 'Cannot use "1s" as --pause: it takes a whole number from 0 to 60000, such as 300'],
    [["--timeout=0"], 'Cannot use "0" as --timeout: it takes a whole number from 1 to 60000, such as 2000'],
  ],
};

for (const { name } of RECIPES) {
  Deno.test(`${name} refuses a bad command line in one line, with exit code 2`, async () => {
    const help = (await callMain(name, "--help")).stdout;
    const bad = [...BAD[name]!, [["--bogus"], 'Unknown argument "--bogus": allowed are '], [
      ["-x"],
      'Unknown argument "-x": ',
    ]];
    if (name !== "futures") bad.push([["extra"], 'Unknown argument "extra": allowed are ']);
    if (help.includes("--virtual")) {
      bad.push([
        ["--virtual=maybe", "5", "5"].slice(0, name === "futures" ? 3 : 1),
        'Cannot use "--virtual=maybe": --virtual takes no value',
      ]);
    }
    for (const [args, message] of bad as [string[], string][]) {
      const { code, stdout, stderr } = await callMain(name, ...args);
      assertEquals([code, stdout], [2, ""], args.join(" "));
      assertMatch(stderr, /^.+\n$/);
      assertStringIncludes(stderr, message);
    }
  });
}

Deno.test("a recipe ends its program with the exit code that main() gives", async () => {
  const { code, stdout, stderr } = await startRecipe("tasks", ["--bogus"]).ended();
  assertEquals([code, stdout], [2, ""]);
  assertEquals(stderr, 'Unknown argument "--bogus": allowed are --number, --n, --k, --virtual, --help\n');
});

// -- Ctrl-C

/** What to wait for before Ctrl-C, and what would be printed had it come to its end. */
const INTERRUPTED: Record<string, { args?: string[]; after: string; end: string; children?: boolean }> = {
  pooling: {
    args: ["--count=200000000", "--items=100", "--only=processes"],
    after: "item",
    end: "execution",
    children: true,
  },
  event_loop: { after: "function_1", end: "function_3" },
  state_machine: { after: "Start State called", end: "Resume" },
  tasks: { after: "Compute", end: "= 55" },
  futures: { args: ["5", "5"], after: "second", end: "first" },
  executor_api: {
    args: ["--only=processes", "--unit=1000"],
    after: "Mapped",
    end: "FIRST_COMPLETED",
    children: true,
  },
  context_switch: { after: "gr1", end: "Done!" },
  as_completed: { after: "started", end: "Process" },
  first_completed: { after: "Fetching", end: "finished" },
  event_loop_api: { after: "Running foo", end: "[1, 2]" },
  worker_queue: { after: "begins", end: "Highest fill" },
  crawler: { args: ["--timeout=60000"], after: "/slow", end: "visited" },
  tail: { args: ["--lines=1", "--timeout=60000"], after: "line 1", end: "Return code", children: true },
};

for (const { name } of RECIPES) {
  Deno.test(`${name} ends at once at Ctrl-C, with exit code 130 and nothing left`, async () => {
    const { args, after, end, children: has = false } = INTERRUPTED[name]!;
    const { child, printed, ended } = startRecipe(name, args);
    await printed(after);
    const children = await childrenOf(child.pid);
    assertEquals(children.length > 0, has);
    child.kill("SIGINT");
    const { code, signal, stdout, stderr } = await ended();
    assertEquals([code, signal, stderr], [130, null, "KeyboardInterrupt\n"]);
    assert(!stdout.includes(end), stdout);
    for (const pid of children) await assertGone(pid);
  });
}

Deno.test("pooling ends at Ctrl-C by the signal itself where it counts without a pool", async () => {
  const { child, printed, ended } = startRecipe("pooling", ["--only=sequential", "--count=1000000000000"], []);
  await printed("sequential:");
  child.kill("SIGINT");
  const { code, signal, stdout } = await ended();
  assertEquals([code, signal, stdout], [130, "SIGINT", "sequential:\n"]);
});
