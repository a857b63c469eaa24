/**
 * Somebody who has Deno and nothing else: an empty cache, an empty folder, and a registry that has the package.
 * @module
 */

import { Registry } from "./_registry.ts";

/** The root of the repository. */
export const ROOT: URL = new URL("../../", import.meta.url);

/** Publishes without a type check, which is `deno check`'s. The registry takes any token. */
export const PUBLISH: string[] = ["publish", "--allow-dirty", "--no-check", "--no-provenance", "--token=any"];

/** How a program ended, and what it printed. */
export interface DenoResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Their folder, the registry that they use, and what Deno keeps of it. */
export class Stranger implements AsyncDisposable {
  readonly registry: Registry;
  readonly #folder: string;

  private constructor(registry: Registry, folder: string) {
    this.registry = registry;
    this.#folder = folder;
  }

  /** A stranger with a registry to which this package has been published, and `@std/*` with it. */
  static async create(): Promise<Stranger> {
    const registry = new Registry();
    const stranger = new Stranger(registry, await Deno.realPath(await Deno.makeTempDir({ prefix: "skein_" })));
    try {
      await Deno.mkdir(stranger.#path("cache"));
      await Deno.mkdir(stranger.home);
      // What is on npm comes from there at other times: `deno-std` is in the cache, as these tests import it.
      const { stdout } = await runDeno(["info", "--json"], { cwd: ROOT });
      const { npmCache } = JSON.parse(stdout) as { npmCache: string };
      await Deno.symlink(npmCache, stranger.#path("cache/npm"), { type: "junction" });
      for await (const { name } of Deno.readDir(new URL("links/", ROOT))) {
        await registry.addFolder(new URL(`links/${name}/`, ROOT));
      }
      const { code, stderr } = await stranger.#run(PUBLISH, ROOT);
      if (code !== 0) throw new Error(`Cannot publish the package: ${stderr}`);
      return stranger;
    } catch (error) {
      await stranger[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The folder that they work in. It is empty at first. */
  get home(): string {
    return this.#path("my project");
  }

  /** Writes files into their folder. */
  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      const path = `${this.home}/${name}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(path, text);
    }
  }

  /** Reads a file of their folder. */
  async read(name: string): Promise<string> {
    return await Deno.readTextFile(`${this.home}/${name}`);
  }

  /** Empties their folder. */
  async clear(): Promise<void> {
    await Deno.remove(this.home, { recursive: true });
    await Deno.mkdir(this.home);
  }

  /** The names in their folder. */
  async list(): Promise<string[]> {
    return (await Array.fromAsync(Deno.readDir(this.home), (entry) => entry.name)).sort();
  }

  /** Runs Deno in their folder, with nobody there who could be asked for a permission. */
  async deno(...args: string[]): Promise<DenoResult> {
    return await this.#run(args, this.home);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #path(name: string): string {
    return `${this.#folder}/${name}`;
  }

  async #run(args: string[], cwd: string | URL): Promise<DenoResult> {
    return await runDeno(args, { cwd, env: { JSR_URL: this.registry.url, DENO_DIR: this.#path("cache") } });
  }
}

/** Runs Deno to its end. One that does not end is killed, which fails the test by its code. */
export async function runDeno(
  args: string[],
  options: { cwd: string | URL; env?: Record<string, string> },
): Promise<DenoResult> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: options.cwd,
    env: { ...options.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
