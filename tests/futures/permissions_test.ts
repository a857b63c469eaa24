import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import {
  fromModule,
  NotImportableError,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  ThreadPoolExecutor,
} from "../../lib/futures/mod.ts";
import { scale } from "./fixtures/tasks.ts";
import { fixture, poolTest, runScript } from "./_helpers.ts";

const RUN = `--allow-run=${Deno.execPath()}`;

// -- Of the program

Deno.test("ThreadPoolExecutor() needs no permission for functions that travel by their source", async () => {
  const { code, stdout, stderr } = await runScript("permissions.ts", ["threads"], []);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n").slice(0, 2), ["42", "[ 2, 3 ]"]);
  assertStringIncludes(stdout, "TimeoutError");
});

Deno.test("ThreadPoolExecutor() needs no permission for a data: module", async () => {
  const { code, stdout, stderr } = await runScript("permissions.ts", ["data module in threads"], []);
  assertEquals([code, stdout, stderr], [0, "1\n", ""]);
});

Deno.test("ThreadPoolExecutor() needs --allow-read, and nothing else, for importable functions", async () => {
  const { code, stdout, stderr } = await runScript("permissions.ts", ["importable in threads"], ["--allow-read"]);
  assertEquals([code, stdout, stderr], [0, "6\n", ""]);
});

Deno.test("ThreadPoolExecutor() without --allow-read says that an importable function needs it", async () => {
  const { code, stdout } = await runScript("permissions.ts", ["importable in threads"], []);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "NotImportableError: ");
  assertStringIncludes(stdout, "tasks.ts");
  assertStringIncludes(stdout, "--allow-read");
});

Deno.test("ProcessPoolExecutor() needs --allow-run for Deno, and nothing else", async () => {
  const { code, stdout, stderr } = await runScript("permissions.ts", ["processes"], [RUN]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n").slice(0, 2), ["42", "6"]);
  assertStringIncludes(stdout, "TimeoutError");
});

Deno.test("ProcessPoolExecutor() without --allow-run says that it needs it, and for what", async () => {
  const { code, stdout } = await runScript("permissions.ts", ["processes"], []);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "BrokenProcessPoolError: ");
  assertStringIncludes(stdout, RUN);
});

Deno.test(`ProcessPoolExecutor() with permissions "inherit" gives what the program has as a whole`, async () => {
  const some = await runScript("permissions.ts", ["inherit"], [
    RUN,
    "--allow-env",
    "--allow-sys",
    "--allow-net=127.0.0.1",
  ]);
  assertEquals([some.code, some.stdout], [0, "env,sys\n"]);
  const all = await runScript("permissions.ts", ["inherit"], ["--allow-all"]);
  assertEquals([all.code, all.stdout], [0, "read,write,net,env,run,sys,ffi,import\n"]);
});

Deno.test(`ProcessPoolExecutor() with permissions "inherit" gives nothing that the program has with exceptions`, async () => {
  const { code, stdout } = await runScript("permissions.ts", ["inherit"], [
    RUN,
    "--allow-read",
    "--deny-read=/etc",
    "--allow-net",
    "--deny-net=example.com",
    "--allow-sys",
  ]);
  assertEquals([code, stdout], [0, "sys\n"]);
});

// -- Of the children

/** The permissions that a child of such a pool has as a whole. */
async function granted(options: ProcessPoolExecutorOptions, withImport = false): Promise<string> {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, ...options });
  if (withImport) assertEquals(await pool.submit(scale, 2), 6);
  return await pool.submit(() =>
    ["read", "write", "net", "env", "run", "sys", "ffi", "import"]
      .filter((name) => Deno.permissions.querySync({ name } as Deno.PermissionDescriptor).state === "granted").join()
  );
}

poolTest("ProcessPoolExecutor() gives its children no permission by default", async () => {
  assertEquals(await granted({}), "");
  assertEquals(await granted({ permissions: "none" }), "");
  assertEquals(await granted({ permissions: {} }), "");
  assertEquals(await granted({ permissions: { read: false, net: [] } }), "");
});

poolTest("ProcessPoolExecutor() gives its children no permission to read after they imported a module", async () => {
  assertEquals(await granted({}, true), "");
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  assertEquals(await pool.submit(scale, 2), 6);
  const url = fixture("tasks.ts");
  const error = await pool.submit((url: string) => Deno.readTextFileSync(new URL(url)), url).exception();
  assertInstanceOf(error, Deno.errors.NotCapable);
});

poolTest("ProcessPoolExecutor() imports a further module after it has given up to read", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  assertEquals(await pool.submit((x: number) => x, 1), 1);
  assertEquals(await pool.submit(scale, 2), 6);
  const other = fromModule<typeof import("./fixtures/context.ts")>(fixture("context.ts"));
  assertEquals(await pool.submit(other.looksAtItself), [false, true]);
  assertEquals(await pool.submit(scale, 3), 9);
});

poolTest("ProcessPoolExecutor() gives its children the permissions that are listed", async () => {
  assertEquals(await granted({ permissions: { read: true, env: true } }), "read,env");
  const dir = new URL("./fixtures/", import.meta.url);
  await using pool = new ProcessPoolExecutor({
    maxWorkers: 1,
    permissions: { read: [dir], env: ["SKEIN_TEST"] },
    env: { SKEIN_TEST: "value" },
  });
  const read = (url: string) => Deno.readTextFileSync(new URL(url)).length;
  assert(await pool.submit(read, fixture("tasks.ts")) > 0);
  assertInstanceOf(await pool.submit(read, import.meta.url).exception(), Deno.errors.NotCapable);
  assertEquals(await pool.submit(() => Deno.env.get("SKEIN_TEST")), "value");
  assertInstanceOf(await pool.submit(() => Deno.env.get("HOME")).exception(), Deno.errors.NotCapable);
  // The list holds this module, and not what another one imports.
  const plain = fromModule<typeof import("./fixtures/plain.ts")>(fixture("plain.ts"));
  assertEquals(await pool.submit(plain.half, 4), 2);
  assertInstanceOf(await pool.submit(scale, 2).exception(), NotImportableError);
});

poolTest("ProcessPoolExecutor() lets a task use the network only as far as it was allowed", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { net: ["127.0.0.1:1"] } });
  const connect = (hostname: string, port: number) =>
    Deno.connect({ hostname, port }).then((connection) => connection.close());
  assertInstanceOf(await pool.submit(connect, "127.0.0.1", 2).exception(), Deno.errors.NotCapable);
  assert(!(await pool.submit(connect, "127.0.0.1", 1).exception() instanceof Deno.errors.NotCapable));
});

poolTest("ProcessPoolExecutor() keeps a path with spaces in one piece", async () => {
  const dir = await Deno.makeTempDir({ prefix: "a  b =c" });
  try {
    await Deno.writeTextFile(`${dir}/x`, "text");
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { read: [dir] } });
    assertEquals(await pool.submit((path: string) => Deno.readTextFileSync(path), `${dir}/x`), "text");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("ProcessPoolExecutor() refuses a path with a comma, which Deno's flags cannot say", () => {
  assertThrows(() => new ProcessPoolExecutor({ permissions: { read: ["/a,b"] } }), TypeError, "/a,b");
});

poolTest("ProcessPoolExecutor() starts its children in cwd", async () => {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1, permissions: { read: true }, cwd: dir });
    assertEquals(await pool.submit(() => Deno.cwd()), dir);
  } finally {
    await Deno.remove(dir);
  }
});

poolTest("ProcessPoolExecutor() with a cwd that does not exist is broken, and says why", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1, cwd: "/no/such/directory" });
  const error = await pool.submit(() => 1).exception() as Error;
  assertEquals(error.name, "BrokenProcessPoolError");
  assertStringIncludes(error.message, "Cannot start");
});

Deno.test("ProcessPoolExecutor() refuses permissions that Deno does not have, and values that they do not take", () => {
  for (
    const [permissions, part] of [
      [{ hrtime: true }, "hrtime"],
      [{ all: true }, "all"],
      [{ read: "yes" }, "read"],
      [{ read: 5 }, "read"],
      [{ read: null }, "read"],
      ["all", "all"],
      ["None", "None"],
      [5, "5"],
      [true, "true"],
    ] as const
  ) {
    assertThrows(() => new ProcessPoolExecutor({ permissions: permissions as never }), TypeError, part);
  }
});

for (const withModule of [false, true]) {
  const when = withModule ? "after it imported a module" : "in a child without modules";
  // Deno has no permission for npm packages; a child that imports modules may need them.
  const npm = withModule ? [] : ["npm:fast-check@^4.10.2"];
  for (const url of ["https://esm.sh/skein", "http://127.0.0.1:1/x.ts", ...npm]) {
    poolTest(`ProcessPoolExecutor() without the permission import lets no task import ${url}, ${when}`, async () => {
      await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
      if (withModule) assertEquals(await pool.submit(scale, 2), 6);
      const error = await pool.submit((url: string) => import(url).then(() => "imported"), url).exception();
      assertInstanceOf(error, Error, "it was imported");
      assert(/--no-remote|--no-npm|Requires import access/.test(error.message), error.message);
      assertEquals(await pool.submit((x: number) => x, 1), 1);
    });
  }
}

Deno.test("ProcessPoolExecutor() with a variable or a permission that cannot be one throws at once", () => {
  for (const env of [{ A: undefined }, { A: 1 }, { "A=B": "x" }, { "": "x" }, { A: "x\0" }]) {
    assertThrows(() => new ProcessPoolExecutor({ env: env as never }), TypeError, "Cannot set the variable");
  }
  for (const permissions of [{ read: [""] }, { net: ["http://example.com"] }, { import: ["https://example.com/x"] }]) {
    assertThrows(() => new ProcessPoolExecutor({ permissions }), TypeError, "Cannot allow");
  }
});

Deno.test("ThreadPoolExecutor() with a permission that Deno does not have throws at once", () => {
  assertThrows(() => new ThreadPoolExecutor({ permissions: { bogus: true } as never }), TypeError, "bogus");
});

poolTest("ProcessPoolExecutor.submit() leaves an error of a missing permission to the task as it is", async () => {
  await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
  const frozen = await pool.submit(() => {
    try {
      return Deno.readTextFileSync("/etc/passwd");
    } catch (error) {
      throw Object.freeze(error);
    }
  }).exception();
  assertInstanceOf(frozen, Deno.errors.NotCapable);
  const keeps = () => {
    const scope = globalThis as { kept?: unknown };
    try {
      scope.kept ??= Deno.readTextFileSync("/etc/passwd");
    } catch (error) {
      scope.kept = error;
    }
    throw scope.kept;
  };
  const errors = [await pool.submit(keeps).exception(), await pool.submit(keeps).exception()] as Error[];
  assertEquals(errors[0]!.message, errors[1]!.message);
  assertStringIncludes(errors[0]!.message, "permissions: ...");
});
