import { createTask, EventLoop, type Future, gather, sleep, type Task } from "../lib/asyncio/mod.ts";
import { VirtualClock } from "../lib/testing/mod.ts";

/** Something to measure. */
export interface Case {
  /** The question, which CPython's side has by the same name. */
  readonly name: string;
  /** How many operations a run does. */
  readonly operations: number;
  /** Runs it once. */
  run(): Promise<unknown>;
}

const TASKS = 1000;
const SWITCHES = 1000;

async function awaiting(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await null;
}

function* switching(n: number) {
  for (let i = 0; i < n; i++) yield* sleep(0);
}

function* nothing() {}

const loop = new EventLoop();

/** A bare `await` in an async function: what the host can do at best. */
export const nativeAwait: Case = {
  name: "await in 1,000 async functions",
  operations: TASKS * SWITCHES,
  run: () => Promise.all(Array.from({ length: TASKS }, () => awaiting(SWITCHES))),
};

/** The loop. */
export const loopCases: readonly Case[] = [
  {
    name: "switch between 1,000 tasks",
    operations: TASKS * SWITCHES,
    run: () =>
      loop.runUntilComplete(function* () {
        yield* gather(
          Array.from({ length: TASKS }, () => createTask(switching(SWITCHES))),
        );
      }()),
  },
  {
    name: "create and finish a task",
    operations: 100_000,
    run: () =>
      loop.runUntilComplete(function* () {
        let last: Task<void> | undefined;
        for (let round = 0; round < 100; round++) {
          for (let i = 0; i < 1000; i++) last = loop.createTask(nothing());
          yield* last!;
        }
      }()),
  },
  {
    name: "callSoon",
    operations: 1_000_000,
    run: () =>
      loop.runUntilComplete(function* () {
        const callback = (): void => {};
        for (let round = 0; round < 100; round++) {
          for (let i = 0; i < 10_000; i++) loop.callSoon(callback);
          yield* sleep(0);
        }
      }()),
  },
  {
    name: "set and fire a timer, of 1,000,000",
    operations: 1_000_000,
    run: () =>
      loop.runUntilComplete(function* () {
        const all: Future<void> = loop.createFuture();
        let left = 1_000_000;
        const fired = (): void => {
          if (--left === 0) all.setResult();
        };
        for (let i = 0; i < 1_000_000; i++) {
          loop.callLater((i * 7919) % 100, fired);
        }
        yield* all;
      }()),
  },
  {
    name: "virtual hour of 10,000 tasks that sleep a minute at a time",
    operations: 600_000,
    run: async () => {
      using virtual = new EventLoop({ clock: new VirtualClock() });
      function* hour() {
        for (let i = 0; i < 60; i++) yield* sleep(60_000);
      }
      await virtual.runUntilComplete(
        gather(
          Array.from({ length: 10_000 }, () => virtual.createTask(hour())),
        ),
      );
    },
  },
];
