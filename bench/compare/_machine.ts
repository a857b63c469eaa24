/** What the comparison runs on, and with. */

import type { Contestant } from "./_contestants.ts";
import { folder } from "./_program.ts";

/** What is there, as text, by name: versions of runtimes and packages. What is missing has a reason instead. */
export interface Equipment {
  /** Of `deno`, `node`, `python` and the packages. */
  readonly versions: ReadonlyMap<string, string>;
  /** Why something cannot be used. */
  readonly missing: ReadonlyMap<string, string>;
  /** The interpreters: the one for Python itself, and by its name the one that has a module. */
  readonly pythons: ReadonlyMap<string, string>;
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd: folder }).output();
  const text = new TextDecoder().decode(success ? stdout : stderr).trim();
  if (!success) throw new Error(text.split("\n").at(-1));
  return text;
}

/**
 * Installs the npm packages, and looks for what else the contestants need. A module of Python may be in any of the
 * interpreters.
 */
export async function equip(contestants: readonly Contestant[], interpreters: readonly string[]): Promise<Equipment> {
  const versions = new Map([["deno", `${Deno.version.deno} (V8 ${Deno.version.v8})`]]);
  const missing = new Map<string, string>();
  const pythons = new Map([["python", interpreters[0]!]]);

  async function look(name: string, find: () => Promise<string>): Promise<void> {
    try {
      versions.set(name, await find());
    } catch (error) {
      const reason = error instanceof Deno.errors.NotFound ? "it is not installed" : String((error as Error).message);
      missing.set(name, reason);
    }
  }

  async function lookForModule(name: string): Promise<string> {
    let reason: unknown = new Deno.errors.NotFound();
    for (const python of interpreters) {
      try {
        const [interpreter, version] = (await output(python, "python/probe.py", name)).split(" ");
        pythons.set(name, python);
        return `${version} (CPython ${interpreter})`;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) reason = error;
      }
    }
    throw reason;
  }

  const manifest = JSON.parse(await Deno.readTextFile(new URL("package.json", folder)));
  let installed: Promise<string> | undefined;
  for (const { runtime, packages } of contestants) {
    for (const name of packages) {
      if (versions.has(name) || missing.has(name)) continue;
      await look(name, async () => {
        if (runtime === "python") return await lookForModule(name);
        await (installed ??= output(Deno.execPath(), "install", "--frozen", "--quiet"));
        return manifest.dependencies[name];
      });
    }
    if (versions.has(runtime) || missing.has(runtime)) continue;
    await look(runtime, async () => {
      if (runtime === "python") return (await output(interpreters[0]!, "python/probe.py")).split(" ")[0]!;
      // Where there is no Node, Deno starts itself in its place.
      const version = /^v(\d\S*)$/.exec(await output("node", "--version"))?.[1];
      if (version === undefined) throw new Deno.errors.NotFound();
      return version;
    });
  }
  return { versions, missing, pythons };
}

/** The interpreter for a contestant, if it is one of Python. */
export function pythonOf({ runtime, packages }: Contestant, { pythons }: Equipment): string {
  return pythons.get(packages[0] ?? runtime) ?? "python3";
}

/** Why a contestant cannot take part, if it cannot. */
export function reasonToSkip({ runtime, packages }: Contestant, { missing }: Equipment): string | undefined {
  for (const name of [runtime, ...packages]) {
    const reason = missing.get(name);
    if (reason !== undefined) return `${name}: ${reason}`;
  }
  return undefined;
}

/** The machine in a line. */
export async function machine(): Promise<string> {
  const { total } = Deno.systemMemoryInfo();
  let model = "";
  try {
    model = /model name\s*:\s*(.*)/.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "";
  } catch { /* Linux has it. */ }
  const cores = navigator.hardwareConcurrency;
  return `${cores} cores${model && ` (${model})`}, ${
    (total / 2 ** 30).toFixed(0)
  } GiB, ${Deno.build.os} ${Deno.osRelease()}`;
}
