/**
 * What the tests of the pools share: one table of pools, gates that hold tasks without a timer, and scripts run as
 * programs of their own.
 * @module
 */

import { assertEquals } from "@std/assert";
import { functionRef } from "../../lib/futures/_function_ref.ts";
import { liveWorkers } from "../../lib/futures/_pool.ts";
import {
  BrokenProcessPoolError,
  BrokenThreadPoolError,
  type Executor,
  type PoolExecutor,
  type PoolOptions,
  type PoolStatistics,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
  ThreadPoolExecutor,
  type ThreadPoolExecutorOptions,
} from "../../lib/futures/mod.ts";

/** Has `fn` called by `call` until pools take it for a quick one, which they hand out ahead. */
export async function makeQuick(fn: unknown, call: () => PromiseLike<unknown>): Promise<void> {
  const ref = functionRef(fn);
  do await Promise.all(Array.from({ length: 300 }, call)); while (ref.cost === undefined || ref.cost > 0.2);
}

/** The options that both pools have. */
export interface CommonOptions extends Omit<PoolOptions, "initializer"> {
  maxWorkers?: number;
  initializer?: (...args: never[]) => unknown;
}

/** One of the pools, and in what it differs from the other. */
export interface PoolKind {
  readonly name: "ThreadPoolExecutor" | "ProcessPoolExecutor";
  readonly isProcess: boolean;
  readonly Broken: new (message?: string) => Error;
  /** A pool whose tasks may talk to a {@linkcode Gate}. */
  create(options?: CommonOptions): PoolExecutor;
}

/** All pools: what holds for one holds for each. */
export const POOLS: readonly PoolKind[] = [
  {
    name: "ThreadPoolExecutor",
    isProcess: false,
    Broken: BrokenThreadPoolError,
    create: (options = {}) => new ThreadPoolExecutor(options as ThreadPoolExecutorOptions),
  },
  {
    name: "ProcessPoolExecutor",
    isProcess: true,
    Broken: BrokenProcessPoolError,
    create: (options = {}) =>
      new ProcessPoolExecutor({ permissions: { net: ["127.0.0.1"] }, ...options as ProcessPoolExecutorOptions }),
  },
];

/** Whether the long form of the tests was asked for: `deno task chaos`. */
export const LONG: boolean = Deno.args.includes("--long");

/** Fails if a worker of any pool of this test file lives. */
export function assertNoWorkerLeft(): void {
  assertEquals([...liveWorkers].map((worker) => worker.name), [], "workers are left");
}

/** Notes the processes that a pool starts, for {@linkcode assertAllGone}. */
export function pidsOf(pool: PoolExecutor): Set<number> {
  const pids = new Set<number>();
  pool.addEventListener("workerstart", ({ worker: { pid } }) => pid !== undefined && pids.add(pid));
  return pids;
}

/** Fails if one of these children of the program lives or is a zombie. */
export async function assertAllGone(pids: Iterable<number>): Promise<void> {
  if (Deno.build.os !== "linux") return;
  const left: string[] = [];
  for (const pid of pids) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
    // Its number may have gone to a process of somebody else.
    if (stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] === String(Deno.pid)) left.push(stat.slice(0, 60));
  }
  assertEquals(left, [], "children are left");
}

let made = 0;

/**
 * A function that returns its argument, and of which no pool has learnt yet that it is a quick one: its calls wait in
 * the queue while a worker is busy, and are not handed out ahead.
 */
export function makeFresh(): (x: number) => number {
  return new Function("x", `return x; // ${made++}`) as (x: number) => number;
}

/** A test of a pool: it sees to it that no worker is left. */
export function poolTest(name: string, body: () => Promise<void>): void {
  Deno.test(name, async () => {
    await body();
    assertNoWorkerLeft();
  });
}

/** The same test on each pool. `criterion` starts with the member: `"submit() returns a future"`. */
export function forEachPool(criterion: string, body: (kind: PoolKind) => Promise<void>): void {
  for (const kind of POOLS) poolTest(`${kind.name}.${criterion}`, () => body(kind));
}

/**
 * Holds tasks until they are let go, and knows when they have started: a socket, as that is what a thread and a process
 * have in common. A task goes through it by calling {@linkcode hold}.
 */
export class Gate implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #arrivals = new Map<number, PromiseWithResolvers<Deno.Conn>>();

  constructor() {
    this.#accept();
  }

  /** The first argument of {@linkcode hold}. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Resolves when the task `id` is inside of its function. */
  async started(id: number): Promise<void> {
    await this.#arrival(id).promise;
  }

  /** Whether the task `id` has been seen to start. */
  async open(id: number): Promise<void> {
    const connection = await this.#arrival(id).promise;
    await connection.write(new Uint8Array(1));
  }

  /** Lets every task go, also those that come later. */
  [Symbol.dispose](): void {
    this.#listener.close();
    for (const { promise } of this.#arrivals.values()) promise.then((connection) => connection.close());
  }

  #arrival(id: number): PromiseWithResolvers<Deno.Conn> {
    let arrival = this.#arrivals.get(id);
    if (arrival === undefined) this.#arrivals.set(id, arrival = Promise.withResolvers<Deno.Conn>());
    return arrival;
  }

  async #accept(): Promise<void> {
    const buffer = new Int32Array(1);
    try {
      for await (const connection of this.#listener) {
        await connection.read(new Uint8Array(buffer.buffer));
        this.#arrival(buffer[0]!).resolve(connection);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
    }
  }
}

/** A task that waits at a gate and returns its `id`. Self-contained. */
export async function hold(port: number, id: number): Promise<number> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
  if (connection === null) return id; // the gate is gone, so it is open
  await connection.write(new Uint8Array(Int32Array.of(id).buffer));
  await connection.read(new Uint8Array(1)).catch(() => null);
  connection.close();
  return id;
}

// A gate that opens at once would make it a quick one, of which several are handed to a worker ahead.
functionRef(hold).cost = 1e12;

/** Fails if the figures of a pool contradict each other. */
export function assertAddsUp(statistics: PoolStatistics): PoolStatistics {
  const { workers, starting, idle, busy } = statistics;
  assertEquals(starting + idle + busy, workers, `workers do not add up: ${Deno.inspect(statistics)}`);
  const { submitted, queued, running, completed, failed, crashed, cancelled } = statistics;
  assertEquals(
    queued + running + completed + failed + crashed + cancelled,
    submitted,
    `calls do not add up: ${Deno.inspect(statistics)}`,
  );
  return statistics;
}

/** Waits for something that gives no event, asking for it in each turn. */
export async function until(condition: () => boolean, what = String(condition)): Promise<void> {
  const end = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`it never came to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Runs one call of `fn` on each of the `count` workers of a pool, and returns what each of them gave. */
export async function onEachWorker<R>(pool: Executor, count: number, fn: () => R): Promise<R[]> {
  using gate = new Gate();
  const source = fn.toString();
  const futures = Array.from({ length: count }, (_, id) =>
    pool.submit(
      async (port: number, id: number, source: string) => {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port });
        await connection.write(new Uint8Array(Int32Array.of(id).buffer));
        await connection.read(new Uint8Array(1)).catch(() => null);
        connection.close();
        return new Function(`return (${source})();`)() as unknown;
      },
      gate.port,
      id,
      source,
    ));
  for (let id = 0; id < count; id++) await gate.started(id);
  for (let id = 0; id < count; id++) await gate.open(id);
  return await Promise.all(futures) as R[];
}

/** The URL of a file beside the tests. */
export function fixture(name: string): string {
  return new URL(`./fixtures/${name}`, import.meta.url).href;
}

/** How a program ended, and what it printed. */
export interface ScriptResult {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
}

/** Starts a fixture as a program of its own, with exactly these flags. */
export function startScript(
  name: string,
  args: readonly string[] = [],
  flags: readonly string[] = [],
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", ...flags, fixture(name), ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/**
 * Runs a fixture to its end. One that does not end by itself is killed after a long while, which fails the test by its
 * signal.
 */
export async function runScript(
  name: string,
  args: readonly string[] = [],
  flags: readonly string[] = ["--allow-all"],
): Promise<ScriptResult> {
  const child = startScript(name, args, flags);
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, signal, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
