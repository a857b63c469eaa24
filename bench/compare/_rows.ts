/** What is compared. To add a row: a line here, and what it runs in `programs/`, wherever it makes sense. */

import { bytes, rate, time, times, type Unit } from "./_units.ts";

/** What a program is asked to run. */
export interface Request {
  readonly row: string;
  /** How many operations. */
  readonly n?: number;
  readonly [parameter: string]: unknown;
}

/** The parts of the comparison that have rows. */
export type Section = "pools" | "loop";

/** A question that is put to all contestants. */
export interface Row {
  readonly id: string;
  readonly section: Section;
  /** What it measures, in a few words. */
  readonly name: string;
  readonly unit: Unit;
  /** Rows of one request are run once. */
  readonly request: Request;
  /** Which of the figures of the answer it is. */
  readonly figure?: string;
  /** Whether `n` is part of the question. If not, each contestant gets as many as it can do in a fraction of a second. */
  readonly fixed?: boolean;
  /** Whether one round says it all: memory does not depend on what else the machine does. */
  readonly once?: boolean;
  /** Whether it is measured from outside: by how much the program and its children grow. */
  readonly perWorker?: boolean;
}

const pool = (id: string, name: string, unit: Unit, request: Request, more: Partial<Row> = {}): Row => ({
  id,
  section: "pools",
  name,
  unit,
  request,
  fixed: true,
  ...more,
});

const loop = (id: string, name: string, request: Request, more: Partial<Row> = {}): Row => ({
  id,
  section: "loop",
  name,
  unit: rate,
  request,
  ...more,
});

const MEBIBYTE = 2 ** 20;
const latency: Request = { row: "latency", n: 100, units: 6 };

/** All of them, in the order in which they run and are shown. */
export const rows: readonly Row[] = [
  pool("memory", "memory of a worker, of 8", bytes, { row: "hold", workers: 8 }, { once: true, perWorker: true }),
  pool("burst", "no-op tasks, 10,000 at once", rate, { row: "burst", n: 10_000 }),
  pool("one", "no-op tasks, 1 at a time", rate, { row: "concurrent", n: 2000, concurrency: 1 }, { fixed: false }),
  pool("eight", "no-op tasks, 8 at a time", rate, { row: "concurrent", n: 5000, concurrency: 8 }, { fixed: false }),
  pool("sixty-four", "no-op tasks, 64 at a time", rate, { row: "concurrent", n: 10_000, concurrency: 64 }, {
    fixed: false,
  }),
  pool("first", "from `new` to the first result", time, { row: "first", n: 1 }),
  pool("cold", "from `new` to the last of 1,000 results", time, { row: "first", n: 1000 }),
  pool("equal", "speed-up of 16 equal tasks", times, { row: "speedup", units: Array(16).fill(1) }),
  pool("unequal", "speed-up of tasks of 40 ms and 8 times 5 ms", times, {
    row: "speedup",
    units: [8, 1, 1, 1, 1, 1, 1, 1, 1],
  }),
  pool("object-1k", "object of 1 KiB, there and back", time, { row: "object", n: 200, items: 12 }),
  pool("object-1m", "object of 1 MiB, there and back", time, { row: "object", n: 4, items: 12_288 }),
  pool("cloned", "buffer of 16 MiB, cloned", time, { row: "buffer", n: 4, bytes: 16 * MEBIBYTE, mode: "cloned" }),
  pool("transferred", "buffer of 16 MiB, transferred", time, {
    row: "buffer",
    n: 4,
    bytes: 16 * MEBIBYTE,
    mode: "transferred",
  }),
  pool("shared", "buffer of 16 MiB, shared", time, { row: "buffer", n: 20, bytes: 16 * MEBIBYTE, mode: "shared" }),
  pool("p50", "short task beside a long one, median", time, latency, { figure: "p50" }),
  pool("p99", "short task beside a long one, 99 of 100", time, latency, { figure: "p99" }),

  loop("switch", "switches between 1,000 tasks", { row: "switch", n: 100_000, tasks: 1000 }),
  loop("create", "create and finish a task", { row: "create", n: 20_000 }),
  loop("gather", "gather of 10,000", { row: "gather", n: 10_000, tasks: 10_000 }, { fixed: true }),
  loop("chain", "switches at the end of a chain of 100 calls", { row: "chain", n: 10_000, depth: 100 }),
  loop("call-soon", "callSoon", { row: "callSoon", n: 100_000 }),
  loop("timers", "1,000,000 timers, half of them cancelled", { row: "timers", n: 1_000_000, span: 100 }, {
    fixed: true,
  }),
  loop("queue", "items through a queue of 1", { row: "queue", n: 20_000 }),
  loop("free", "take a free lock and release it", { row: "free", n: 20_000 }),
  loop("free-using", "take a free lock and release it, by `using`", { row: "freeByUsing", n: 20_000 }),
  loop("lock", "10 tasks take turns at a lock", { row: "lock", n: 20_000, tasks: 10 }),
  loop("semaphore", "10,000 waiters of a semaphore", { row: "semaphore", n: 10_000 }, { fixed: true }),
  loop("ten", "10,000 tasks through a semaphore of 10", { row: "ten", n: 10_000 }, { fixed: true }),
  loop("ten-using", "10,000 tasks through a semaphore of 10, by `using`", { row: "tenByUsing", n: 10_000 }, {
    fixed: true,
  }),
  loop("cancel", "cancel 100,000 tasks", { row: "cancel", n: 100_000 }, { fixed: true }),
  loop("parked", "memory of a task that waits", { row: "parked", n: 100_000 }, {
    fixed: true,
    once: true,
    unit: bytes,
  }),
  loop("http", "HTTP request beside 1,000 tasks that never rest", { row: "http", n: 50, tasks: 1000 }, {
    fixed: true,
    unit: time,
  }),
  loop("hour", "sleeps on the virtual clock, 10,000 tasks", { row: "hour", n: 600_000 }, { fixed: true }),
];

/** How a figure grows: of Skein, and of native promises for comparison. */
export interface Scale {
  readonly id: string;
  readonly name: string;
  /** What `sizes` counts. */
  readonly of: string;
  readonly unit: Unit;
  /** Of what contestant. */
  readonly contestant: string;
  readonly sizes: readonly number[];
  readonly request: (size: number) => Request;
  /** From the figure of the answer to what is shown, which should not grow faster than the size. */
  readonly total: (figure: number, size: number) => number;
  /** Asked after the figure was taken, to clean up. */
  readonly after?: Request;
}

const upTo = (max: number, step: number): number[] => {
  const sizes: number[] = [];
  for (let size = 1; size <= max; size *= step) sizes.push(size);
  return sizes;
};
const TASKS = upTo(1_000_000, 10);
const WORKERS = upTo(64, 2);
const BYTES = upTo(64 * MEBIBYTE, 4);
/** From operations a second to milliseconds in all. */
const inAll = (operations: (size: number) => number) => (figure: number, size: number): number =>
  operations(size) / figure * 1000;
const asIs = (figure: number): number => figure;

const tasks = (id: string, name: string, request: (size: number) => Request, more: Partial<Scale> = {}): Scale => ({
  id,
  name,
  of: "tasks",
  unit: time,
  contestant: "skein",
  sizes: TASKS,
  request,
  total: inAll((size) => request(size).n!),
  ...more,
});

const workers = (kind: "threads" | "processes"): Scale => ({
  id: `workers-${kind}`,
  name: `start of ${kind}, each with a task of 5 ms`,
  of: "workers",
  unit: time,
  contestant: `skein-${kind}`,
  sizes: WORKERS,
  request: (size) => ({ row: "hold", workers: size }),
  total: asIs,
  after: { row: "letGo" },
});

const payload = (kind: "threads" | "processes", mode: string): Scale => ({
  id: `${mode}-${kind}`,
  name: `buffer ${mode} to ${kind}`,
  of: "bytes",
  unit: time,
  contestant: `skein-${kind}`,
  sizes: BYTES,
  request: (size) => ({ row: "buffer", n: size > MEBIBYTE ? 3 : 20, bytes: size, mode }),
  total: asIs,
});

const burst = (kind: "threads" | "processes"): Scale =>
  tasks(`burst-${kind}`, `no-op tasks at once on 2 ${kind}`, (size) => ({ row: "burst", n: size }), {
    contestant: `skein-${kind}`,
  });

/** All of them, in the order in which they run and are shown. */
export const scales: readonly Scale[] = [
  tasks("switch", "5 switches of each task", (size) => ({ row: "switch", n: 5 * size, tasks: size })),
  tasks("gather", "gather", (size) => ({ row: "gather", n: size, tasks: size })),
  // What the machine itself takes for more: memory that is in no cache, and garbage collection.
  tasks(
    "native-switch",
    "for comparison: 5 switches of each native promise",
    (size) => ({ row: "switch", n: 5 * size, tasks: size }),
    {
      of: "promises",
      contestant: "native",
    },
  ),
  tasks("native-gather", "for comparison: Promise.all", (size) => ({ row: "gather", n: size, tasks: size }), {
    of: "promises",
    contestant: "native",
  }),
  tasks("timers", "timers, half of them cancelled", (size) => ({ row: "timers", n: size, span: size / 10_000 }), {
    of: "timers",
  }),
  tasks("lock", "a turn at a lock for each", (size) => ({ row: "lock", n: size, tasks: size })),
  tasks("semaphore", "waiters of a semaphore", (size) => ({ row: "semaphore", n: size })),
  tasks("cancel", "cancel", (size) => ({ row: "cancel", n: size })),
  tasks("parked", "memory of waiting tasks", (size) => ({ row: "parked", n: size }), {
    unit: bytes,
    sizes: TASKS.slice(2),
    total: (figure, size) => figure * size,
  }),
  tasks("chain", "1,000 switches at the end of a chain", (size) => ({ row: "chain", n: 1000, depth: size }), {
    of: "calls",
    sizes: upTo(1000, 10),
  }),
  burst("threads"),
  burst("processes"),
  workers("threads"),
  workers("processes"),
  payload("threads", "cloned"),
  payload("threads", "transferred"),
  payload("threads", "shared"),
  payload("processes", "cloned"),
];
