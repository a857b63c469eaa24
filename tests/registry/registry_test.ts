/**
 * The package as its users get it: published to a registry, and used from there on a machine that has nothing of it.
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { type DenoResult, PUBLISH, ROOT, runDeno, Stranger } from "./_stranger.ts";
import { PROJECT } from "./_project.ts";

/** How a recipe is tried. */
interface RecipeCase {
  /** Deno's flags: those that the README or the recipe's documentation names, and no others. */
  readonly flags: readonly string[];
  /** Arguments with which it is over soon. */
  readonly args: readonly string[];
  /** What it then prints, among other things. */
  readonly prints: string;
  /** The files that it leaves. */
  readonly leaves?: readonly string[];
}

/** Every recipe that is exported. */
const RECIPES: Readonly<Record<string, readonly RecipeCase[]>> = {
  pooling: [
    { flags: ["--allow-run"], args: ["--count=1000", "--items=2", "--workers=1"], prints: "processes:\nitem 1" },
  ],
  "event_loop": [{ flags: [], args: ["--virtual"], prints: "function_3 called\nfunction_1 called" }],
  "state_machine": [
    { flags: [], args: ["--virtual"], prints: "...Stop Computation..." },
    {
      flags: ["--allow-write=path.svg"],
      args: ["--virtual", "--svg=path.svg"],
      prints: "Start State calling",
      leaves: ["path.svg"],
    },
  ],
  tasks: [{ flags: [], args: ["--virtual"], prints: "3628800" }],
  futures: [{ flags: [], args: ["--virtual", "5", "5"], prints: "result = 120\n" }],
  "executor_api": [{ flags: ["--allow-run"], args: ["--unit=2"], prints: "ALL_COMPLETED: 3 done, 0 not done" }],
  "context_switch": [{ flags: [], args: ["--virtual"], prints: "Implicit context switch back to bar" }],
  "as_completed": [{ flags: ["--allow-net=127.0.0.1"], args: ["--virtual"], prints: "Process took: " }],
  "first_completed": [{ flags: ["--allow-net=127.0.0.1"], args: ["--virtual"], prints: "was cancelled" }],
  "event_loop_api": [{ flags: [], args: ["--virtual"], prints: "TASKS DONE : " }],
  "worker_queue": [{ flags: [], args: ["--virtual"], prints: "Highest fill: 2 of 2" }],
  crawler: [{ flags: ["--allow-net=127.0.0.1"], args: [], prints: "Timed out: /hangs" }],
  tail: [{ flags: ["--allow-run"], args: ["--lines=0", "--timeout=300"], prints: "Return code: " }],
};

/** Fails if a program did not end well, and tells what it said. */
function assertSuccess({ code, stderr }: DenoResult): void {
  assertEquals(code, 0, stderr);
}

/** Fails if something was asked for that was not published. */
function assertAllServed({ registry }: Stranger): void {
  assertEquals(registry.requests.filter(({ status }) => status !== 200), []);
}

// -- Publishing

Deno.test("deno publish uploads the files that its dry run lists, with @std from JSR", async () => {
  await using stranger = await Stranger.create();
  const { files } = stranger.registry.version(config.name, config.version)!;

  const dryRun = await runDeno(["publish", "--dry-run", "--allow-dirty", "--no-check"], { cwd: ROOT });
  assertSuccess(dryRun);
  const listed = dryRun.stderr.matchAll(/^ {3}(file:\S+) \([\d.]+\w+\)$/gm);
  assertEquals([...files.keys()].sort(), [...listed].map(([, url]) => url!.slice(ROOT.href.length - 1)).sort());

  const textOf = (path: string): string => new TextDecoder().decode(files.get(path));
  assertStringIncludes(textOf("/recipes/_options.ts"), `from "${config.imports["@std/cli"]}/parse-args";`);
  assertStringIncludes(textOf("/recipes/pooling.ts"), `from "${config.imports["@std/fmt"]}/colors";`);
});

Deno.test("the README links to files that are published", async () => {
  await using stranger = await Stranger.create();
  const { files } = stranger.registry.version(config.name, config.version)!;
  const readme = new TextDecoder().decode(files.get("/README.md"));
  const links = [...readme.matchAll(/\]\(\.(\/[^)#]+)/g)].map(([, path]) => path!);
  assertEquals(links.filter((path) => !files.has(path)), []);
});

// -- Running

Deno.test("every recipe runs from the registry, with the flags that its documentation names", async () => {
  const names = Object.keys(config.exports).filter((name) => name.startsWith("./recipes/")).map((name) =>
    name.slice(10)
  );
  assertEquals(Object.keys(RECIPES).sort(), names.sort(), "RECIPES has a line for every exported recipe");

  await using stranger = await Stranger.create();
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const specifierOf = (name: string): string => `jsr:${config.name}/recipes/${name}`;
  const left: string[] = [];
  const runs: (() => Promise<void>)[] = [];
  for (const [name, cases] of Object.entries(RECIPES)) {
    const source = await Deno.readTextFile(new URL(`recipes/${name}.ts`, ROOT));
    const commands = `${readme}\n${source}`.matchAll(new RegExp(`deno run ((?:-\\S+ )*)${specifierOf(name)}\\b`, "g"));
    const documented = new Set([...commands].map(([, flags]) => flags!.trimEnd()));
    assertEquals(documented, new Set(cases.map(({ flags }) => flags.join(" "))), `the documented flags of ${name}`);
    for (const { flags, args, prints, leaves = [] } of cases) {
      left.push(...leaves);
      runs.push(async () => {
        const result = await stranger.deno("run", ...flags, specifierOf(name), ...args);
        assertSuccess(result);
        assertStringIncludes(result.stdout, prints);
      });
    }
  }
  // The first brings what all of them share.
  await runs.shift()!();
  await Promise.all(runs.map((run) => run()));
  assertEquals(await stranger.list(), left.sort(), "the files that the recipes leave");

  await stranger.write({ "all.ts": names.map((name) => `import "${specifierOf(name)}";`).join("\n") });
  const asked = stranger.registry.requests.length;
  assertSuccess(await stranger.deno("run", "--cached-only", "all.ts"));
  assertEquals(stranger.registry.requests.slice(asked), [], "what was asked for though it was cached");
  assertAllServed(stranger);
});

// -- Using

Deno.test("a project uses the package from the registry", async (t) => {
  await using stranger = await Stranger.create();
  const { registry } = stranger;
  await stranger.write(PROJECT);
  // The flags of README.md for modules of one's own: the modules, the deno.json beside them, and Deno itself.
  const permissions = ["--allow-read=.", `--allow-run=${Deno.execPath()}`];
  const output = "2 24 9 [ 16, 25 ] AssertionError\n".repeat(3) + "slept\n";

  await t.step("deno add", async () => {
    assertSuccess(await stranger.deno("add", `jsr:${config.name}`, "jsr:@std/assert"));
    assertEquals(JSON.parse(await stranger.read("deno.json")).imports, {
      "#shapes/": "./src/shapes/",
      "@skein/skein": `jsr:${config.name}@^${config.version}`,
      "@std/assert": config.imports["@std/assert"],
    });
  });

  await t.step("every export is there", async () => {
    const specifiers = Object.keys(config.exports).map((name) => `${config.name}${name.slice(1)}`);
    const imports = specifiers.map((specifier) => `[${JSON.stringify(specifier)}, await import("${specifier}")]`);
    await stranger.write({
      "exports.ts": `const all: [string, object][] = [${imports.join(", ")}];
console.log(JSON.stringify(all.map(([name, module]) => [name, Object.keys(module)])));`,
    });
    const result = await stranger.deno("run", "exports.ts");
    assertSuccess(result);
    const expected: [string, string[]][] = [];
    for (const [name, path] of Object.entries(config.exports)) {
      expected.push([`${config.name}${name.slice(1)}`, Object.keys(await import(new URL(path, ROOT).href))]);
    }
    assertEquals(JSON.parse(result.stdout), expected);
  });

  await t.step("deno check", async () => {
    const { code, stderr } = await stranger.deno("check", "main.ts", "exports.ts", "wrong.ts");
    assertEquals(code, 1);
    assertEquals(stderr.match(/TS\d+ .*|at file:.*/g)?.map((line) => line.replace(/ \[ERROR\]|file:.*\//g, "")), [
      "TS2322: Type 'number' is not assignable to type 'string'.",
      "at wrong.ts:5:7",
    ], stderr);
  });

  await t.step("both pools run functions of the project's modules", async () => {
    const result = await stranger.deno("run", ...permissions, "main.ts");
    assertSuccess(result);
    assertEquals(result.stdout, output);
  });

  await t.step("what has run once runs without the registry, by a lockfile that is frozen", async () => {
    const lock = await stranger.read("deno.lock");
    const asked = registry.requests.length;
    const result = await stranger.deno("run", "--cached-only", "--frozen", ...permissions, "main.ts");
    assertSuccess(result);
    assertEquals(result.stdout, output);
    assertEquals(registry.requests.slice(asked), [], "what was asked for though it was cached");
    assertEquals(await stranger.read("deno.lock"), lock);
  });

  await t.step("deno test, with the examples of README.md", async () => {
    await stranger.write({ "README.md": await Deno.readTextFile(new URL("README.md", ROOT)) });
    const result = await stranger.deno("test", "--doc", "hour_test.ts", "README.md");
    assertSuccess(result);
    assertMatch(result.stdout, /^ok \| [2-9] passed .*\| 0 failed/m);
  });

  await t.step("deno bench", async () => {
    const result = await stranger.deno("bench", "--no-check", "--json", "call_bench.ts");
    assertSuccess(result);
    assertEquals(JSON.parse(result.stdout).benches[0].results.length, 1);
  });

  await t.step("a package that uses the package is published, and runs its own functions in both pools", async () => {
    assertSuccess(await stranger.deno(...PUBLISH));
    await stranger.clear();
    const [, run] = permissions; // nothing is read: all modules are the registry's
    for (const flags of [[], ["--cached-only"]]) {
      const result = await stranger.deno("run", ...flags, run!, "jsr:@someone/shapes");
      assertSuccess(result);
      assertEquals(result.stdout, output);
    }
    assertEquals(await stranger.list(), []);
  });

  await t.step("nothing was asked for that is not published, and every module that is published was", () => {
    assertAllServed(stranger);
    const folder = `/${config.name}/${config.version}`;
    const served = new Set(registry.requests.map(({ path }) => path));
    const modules = [...registry.version(config.name, config.version)!.files.keys()]
      .filter((path) => path.endsWith(".ts") && !path.startsWith("/links/"));
    assertEquals(modules.filter((path) => !served.has(folder + path)), []);
    assertEquals([...served].filter((path) => path.startsWith(`${folder}/links/`)), []);
  });
});
