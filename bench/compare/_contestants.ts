/** Who is compared. To add one: a line here, and its program in `programs/`. */

import type { Row, Section } from "./_rows.ts";

/** What runs a program. */
export type Runtime = "deno" | "node" | "python";

/** One that is measured. */
export interface Contestant {
  readonly id: string;
  readonly section: Section;
  /** With whom it is compared: with those of its own kind. */
  readonly kind: "threads" | "processes" | "loop";
  readonly name: string;
  /** Skein is one; a limit is what it could be at best, and no peer. */
  readonly role: "skein" | "peer" | "limit";
  readonly runtime: Runtime;
  /** The file in `programs/`, and what it is told. */
  readonly program: readonly [file: string, ...args: string[]];
  /** The npm packages, or Python modules, that it is made of. */
  readonly packages: readonly string[];
  /** What it has nothing to say to. */
  readonly except?: readonly Row["id"][];
}

function contestant(
  section: Section,
  kind: Contestant["kind"],
  id: string,
  name: string,
  runtime: Runtime,
  program: Contestant["program"],
  { role = "peer", packages = [], except = [] }: Partial<Contestant> = {},
): Contestant {
  return { section, kind, id, name, runtime, program, role, packages, except };
}

const npm = (name: string): Partial<Contestant> => ({ packages: [name] });
const threads = contestant.bind(null, "pools", "threads");
const processes = contestant.bind(null, "pools", "processes");
const loop = contestant.bind(null, "loop", "loop");

/** All of them. Each in the runtime in which it is the fastest, set up as its documentation says for tasks like these. */
export const contestants: readonly Contestant[] = [
  threads("skein-threads", "Skein ThreadPoolExecutor", "deno", ["pool_skein.ts", "threads"], { role: "skein" }),
  threads("bare", "bare worker, a message a task", "deno", ["pool_bare.mjs", "single"], { role: "limit" }),
  // All tasks of a batch come back together: that is no answer to how long one takes beside another.
  threads("bare-batched", "bare worker, batched", "deno", ["pool_bare.mjs", "batched"], {
    role: "limit",
    except: [
      "first",
      "cold",
      "equal",
      "unequal",
      "p50",
      "p99",
      "object-1k",
      "object-1m",
      "cloned",
      "transferred",
      "shared",
      "memory",
    ],
  }),
  threads("piscina", "piscina", "node", ["pool_piscina.mjs"], npm("piscina")),
  threads("piscina-64", "piscina, 64 tasks a worker", "node", ["pool_piscina.mjs", "--concurrent=64"], npm("piscina")),
  threads("tinypool", "tinypool", "node", ["pool_tinypool.mjs", "worker_threads"], npm("tinypool")),
  threads("workerpool", "workerpool", "node", ["pool_workerpool.mjs", "thread"], npm("workerpool")),
  threads("poolifier", "poolifier", "node", ["pool_poolifier.mjs"], npm("poolifier")),
  threads(
    "poolifier-web-worker",
    "poolifier-web-worker",
    "deno",
    ["pool_poolifier_web_worker.mjs"],
    npm("poolifier-web-worker"),
  ),
  threads("comlink", "comlink, in turn", "node", ["pool_comlink.mjs"], npm("comlink")),
  threads("multithreading", "multithreading", "deno", ["pool_multithreading.mjs"], npm("multithreading")),
  threads("jest-worker", "jest-worker threads", "node", ["pool_jest_worker.mjs", "thread"], npm("jest-worker")),
  threads("python-threads", "CPython ThreadPoolExecutor", "python", ["python/pools.py", "threads"]),

  processes("skein-processes", "Skein ProcessPoolExecutor", "deno", ["pool_skein.ts", "processes"], { role: "skein" }),
  processes("bare-child", "bare child, lines of JSON", "deno", ["pool_bare_child.mjs"], { role: "limit" }),
  processes(
    "tinypool-processes",
    "tinypool child_process",
    "node",
    ["pool_tinypool.mjs", "child_process"],
    npm("tinypool"),
  ),
  processes(
    "workerpool-processes",
    "workerpool process",
    "node",
    ["pool_workerpool.mjs", "process"],
    npm("workerpool"),
  ),
  processes(
    "jest-worker-processes",
    "jest-worker processes",
    "deno",
    ["pool_jest_worker.mjs", "process"],
    npm("jest-worker"),
  ),
  processes("python-processes", "CPython ProcessPoolExecutor", "python", ["python/pools.py", "processes"]),

  loop("skein", "Skein, generators", "deno", ["loop_skein.ts", "generators"], { role: "skein" }),
  loop("skein-async", "Skein, async functions", "deno", ["loop_skein.ts", "async"], { role: "skein" }),
  loop("native", "native promises", "deno", ["loop_native.mjs"], { role: "limit" }),
  loop("asyncio", "CPython asyncio", "python", ["python/loop.py", "asyncio"]),
  loop("uvloop", "uvloop", "python", ["python/loop.py", "uvloop"], { packages: ["uvloop"] }),
  loop("effection", "effection", "deno", ["loop_effection.mjs"], npm("effection")),
  loop("effect", "Effect", "node", ["loop_effect.mjs"], npm("effect")),
  loop("p-limit", "p-limit", "deno", ["loop_p_limit.mjs"], npm("p-limit")),
  loop("async-mutex", "async-mutex", "deno", ["loop_async_mutex.mjs"], npm("async-mutex")),
];
