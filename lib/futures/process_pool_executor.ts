/**
 * {@linkcode ProcessPoolExecutor}.
 * @module
 */

import { BrokenProcessPoolError, RuntimeError } from "./errors.ts";
import { findConfig } from "./_config.ts";
import { childFlags, type PermissionName, type ProcessPermissions } from "./_permissions.ts";
import { positiveInteger } from "../_positive_integer.ts";
import { Pool } from "./_pool.ts";
import { PoolExecutor } from "./pool_executor.ts";
import type { PoolOptions } from "./pool_options.ts";
import { commonSettings } from "./_pool_settings.ts";
import { requireOptions, requireTexts } from "../_require.ts";
import { ProcessTransport } from "./_process_transport.ts";

export type { PermissionName, ProcessPermissions };

/**
 * Options of {@linkcode ProcessPoolExecutor}.
 *
 * @typeParam I The types of the initializer's arguments.
 */
export interface ProcessPoolExecutorOptions<I extends unknown[] = unknown[]> extends PoolOptions<I> {
  /**
   * How many processes there are at the most. They are started as they are needed.
   * @default {navigator.hardwareConcurrency}
   */
  maxWorkers?: number | undefined;
  /** As `maxTasksPerWorker`, by CPython's name. */
  maxTasksPerChild?: number | undefined;
  /**
   * What a task may do. `"none"`: nothing but compute. `"inherit"`: what the program was allowed as a whole
   * (`--allow-net`, but not `--allow-net=example.com`). Or a list, as Deno's flags have it: `{ net: ["example.com"],
   * read: true }`. A task that steps outside gets `NotCapable` on its future.
   *
   * Modules of tasks are imported before the permissions to read and to import are given up, so they need none, be they
   * local or on JSR. With a list of paths for `read`, that list must hold the local ones and what they import; a module
   * of another host than Deno's usual ones needs `import`. The names of an import map are known to them if the
   * program may read its `deno.json`. A process that imports modules can import npm packages, too.
   * @default {"none"}
   */
  permissions?: ProcessPermissions | undefined;
  /**
   * The environment variables of the tasks, which they see with the permission `env`, or by programs that they start.
   * They see none of the program's but those that Deno itself needs (`HOME`, `DENO_DIR`, proxies and the like, as far as
   * the program may read them), and those that are listed; with `"inherit"`, all of them. Programs that tasks start by
   * their mere names are looked for in `PATH`.
   */
  env?: Readonly<Record<string, string>> | "inherit" | undefined;
  /** The working directory of the processes. By default the program's. */
  cwd?: string | URL | undefined;
  /**
   * Flags of V8 for the processes, such as `--max-old-space-size=256`, which ends a process whose heap outgrows 256 MiB:
   * the call that it ran fails with {@linkcode WorkerCrashedError}, and the program is unharmed.
   */
  v8Flags?: readonly string[] | undefined;
  /**
   * How many bytes a result may have, encoded. A process that sends more is ended, and its call fails with
   * {@linkcode WorkerCrashedError}: what a task returns must not make the program run out of memory.
   * @default {2 ** 30}
   */
  maxResultSize?: number | undefined;
}

/**
 * Runs calls in child processes of Deno: sandboxed, killable, and with nothing in common with the program. Arguments
 * and results are copied.
 *
 * It needs `--allow-run` for the program that `Deno.execPath()` names, and nothing else. What a task writes to its
 * stdout or stderr comes out of the program's. A child ends with the program, also when that is killed.
 *
 * `signal` and `timeout` kill a running call within milliseconds, whatever it does.
 *
 * Tasks that run in one process after each other share its globals: a hostile one can tamper with those after it, and with
 * what they return. Give the tasks of strangers a process of their own each: `maxTasksPerWorker: 1`.
 *
 * A pool that is not shut down does not keep the program alive once its work is done.
 *
 * Where it differs from CPython's: a process that dies is replaced and fails only the call that it ran; a call that a
 * process has been handed but not started is not `running()`. `cancel()` of such a call is false, as there; few are
 * handed ahead, and none behind a call that takes 10 ms.
 *
 * @typeParam I The types of the initializer's arguments.
 *
 * @example
 * ```ts
 * import { ProcessPoolExecutor } from "@skein/skein/futures";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using pool = new ProcessPoolExecutor({ maxWorkers: 2 });
 * assertEquals(await pool.submit((x: number) => x + 1, 41), 42);
 * // A task has no permission unless the pool gives it one.
 * await assertRejects(() => pool.submit(() => Deno.readTextFile("/etc/passwd")).result(), Deno.errors.NotCapable);
 * // A loop without end is killed.
 * await assertRejects(() => pool.submitWith({ timeout: 50 }, () => { while (true); }).result(), Error, "50 ms");
 * ```
 */
export class ProcessPoolExecutor<I extends unknown[] = unknown[]> extends PoolExecutor {
  readonly #pool: Pool;

  /**
   * Makes a pool. Its workers are started as calls come in.
   *
   * @param options How many processes, what they may do, and what they run first.
   * @throws {RangeError} If a count is not a whole number of at least 1, or a time is negative.
   * @throws {TypeError} If the initializer or its arguments cannot be sent to a worker, or a permission or a variable
   * cannot be one.
   * @throws {RuntimeError} In a program made by `deno compile`, and while a worker imports a script that makes pools
   * without a guard.
   */
  constructor(options: ProcessPoolExecutorOptions<I> = {}) {
    if (Deno.build.standalone) {
      // Its `Deno.execPath()` is the program itself, which would start itself over and over.
      throw new RuntimeError("Cannot start worker processes from a compiled program: use a ThreadPoolExecutor");
    }
    requireOptions(options, "the options of ProcessPoolExecutor", "{ maxWorkers: 4 }");
    const { maxWorkers = navigator.hardwareConcurrency, maxTasksPerChild, env, cwd } = options;
    const v8Flags = requireTexts(options.v8Flags ?? [], "v8Flags");
    const common = commonSettings(
      maxTasksPerChild === undefined ? options : {
        ...options,
        maxTasksPerWorker: Math.min(
          positiveInteger(maxTasksPerChild, "maxTasksPerChild"),
          options.maxTasksPerWorker ?? Infinity,
        ),
      },
      maxWorkers,
      true,
    );
    const inherits = options.permissions === "inherit";
    const maxResult = positiveInteger(options.maxResultSize ?? 2 ** 30, "maxResultSize");
    if (env !== undefined && env !== "inherit") assertEnvironment(env);
    const { flags, canRead, canImport } = childFlags(options.permissions ?? "none");
    const pool = new Pool({
      ...common,
      name: "ProcessPoolExecutor",
      workerName: (index) => `process ${index}`,
      Broken: BrokenProcessPoolError,
      toProcess: true,
      revokesAtOnce: false,
      canUnref: true,
      importsAtStart: !canRead || !canImport,
      startPause: 0,
      start: ({ modules }, initializer, events) => {
        // To import local modules a child must read; it gives that up before the first task. It then needs the
        // project's configuration, too, for the names that they import by. Without modules it imports nothing at all.
        const imports = modules.size > 0 || canRead;
        const local = [...modules].find((url) => url.startsWith("file:"));
        const mustRead = local !== undefined && !canRead;
        const config = imports ? findConfig(local) : undefined;
        const revoke: ("read" | "import")[] = [];
        if (mustRead) revoke.push("read");
        if (imports && !canImport) revoke.push("import");
        // What nobody can see need not be hidden, and Deno may need it.
        const sees = flags.some((flag) => /^--allow-(env|run|ffi)/.test(flag));
        const settings = {
          clearEnv: sees && env !== "inherit",
          flags: [
            ...flags,
            // The storage of the program is that of its configuration: not for tasks.
            ...(inherits ? [] : [`--location=https://${crypto.randomUUID()}.invalid/`]),
            ...(v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join(",")}`]),
            ...(config === undefined ? ["--no-config", "--no-lock"] : [`--config=${config}`]),
            ...(imports || canImport ? [] : ["--no-remote", "--no-npm"]),
            ...(mustRead ? ["--allow-read"] : []),
          ],
          modules: [...modules],
          revoke,
          env: env === "inherit" ? undefined : env,
          cwd,
          maxMemory: common.maxMemory === Infinity ? null : common.maxMemory,
          maxResult,
        };
        return new ProcessTransport(settings, initializer, events);
      },
    });
    super(pool);
    this.#pool = pool;
  }

  /**
   * Ends all processes with SIGTERM, whatever they do (with SIGKILL, if that does not help within a second), and shuts
   * the pool down: what runs fails with {@linkcode BrokenProcessPoolError}, what has not started is cancelled. CPython
   * 3.14's `terminate_workers()`.
   *
   * @returns A promise that resolves when the processes have been told.
   */
  terminateWorkers(): Promise<void> {
    return this.#pool.kill("SIGTERM", "terminateWorkers()");
  }

  /**
   * As {@linkcode ProcessPoolExecutor.terminateWorkers}, with SIGKILL. CPython 3.14's `kill_workers()`.
   *
   * @returns A promise that resolves when the processes have been told.
   */
  killWorkers(): Promise<void> {
    return this.#pool.kill("SIGKILL", "killWorkers()");
  }
}

/** @throws {TypeError} If a variable cannot be one. */
function assertEnvironment(env: Readonly<Record<string, unknown>>): void {
  requireOptions(env, "env", '{ NAME: "value" }, or "inherit"');
  for (const [name, value] of Object.entries(env)) {
    if (name === "" || /[=\0]/.test(name)) {
      throw new TypeError(`Cannot set the variable ${Deno.inspect(name)}: a name has no "=" and is not empty`);
    }
    if (typeof value !== "string" || value.includes("\0")) {
      throw new TypeError(`Cannot set the variable ${name} to ${Deno.inspect(value)}: pass a string`);
    }
  }
}
