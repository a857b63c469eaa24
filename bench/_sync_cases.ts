import { Mutex, Semaphore as NpmSemaphore } from "async-mutex";
import { createQueue, type Operation, run, spawn } from "effection";
import pLimit from "p-limit";
import { createTask, EventLoop, gather, Lock, Queue, Semaphore } from "../lib/asyncio/mod.ts";

/** A question, and those that answer it. */
export interface Question {
  /** The question, which CPython's side has by the same name. */
  readonly name: string;
  /** How many operations a run does. */
  readonly operations: number;
  /** By name what is run once. The first one is the baseline. */
  readonly contenders: Readonly<Record<string, () => Promise<unknown>>>;
}

const LOCKS = 200_000;
const ITEMS = 100_000;
const WAITERS = 10_000;

const loop = new EventLoop();

/** What is waited for. */
export const questions: readonly Question[] = [
  {
    name: "take a free lock and release it",
    operations: LOCKS,
    contenders: {
      "Skein, yield*": () =>
        loop.runUntilComplete(function* () {
          const lock = new Lock();
          for (let i = 0; i < LOCKS; i++) {
            using _held = yield* lock.acquire();
          }
        }()),
      "Skein, await": () =>
        loop.runUntilComplete(async () => {
          const lock = new Lock();
          for (let i = 0; i < LOCKS; i++) {
            using _held = await lock.acquire();
          }
        }),
      "async-mutex": async () => {
        const mutex = new Mutex();
        for (let i = 0; i < LOCKS; i++) (await mutex.acquire())();
      },
    },
  },
  {
    name: "hand an item over through a queue of one",
    operations: ITEMS,
    contenders: {
      "Skein, yield*": () =>
        loop.runUntilComplete(function* () {
          const queue = new Queue<number>(1);
          const producer = createTask(function* () {
            for (let i = 0; i < ITEMS; i++) yield* queue.put(i);
          }());
          for (let i = 0; i < ITEMS; i++) yield* queue.get();
          yield* producer;
        }()),
      "Skein, await": () =>
        loop.runUntilComplete(async () => {
          const queue = new Queue<number>(1);
          const producer = createTask(async () => {
            for (let i = 0; i < ITEMS; i++) await queue.put(i);
          });
          for (let i = 0; i < ITEMS; i++) await queue.get();
          await producer;
        }),
      // Its queues have no limit, so a second one tells the producer to go on.
      "effection, two queues": () =>
        run(function* (): Operation<void> {
          const items = createQueue<number, void>();
          const taken = createQueue<void, void>();
          yield* spawn(function* () {
            for (let i = 0; i < ITEMS; i++) {
              items.add(i);
              yield* taken.next();
            }
          });
          for (let i = 0; i < ITEMS; i++) {
            yield* items.next();
            taken.add();
          }
        }),
    },
  },
  {
    name: "10,000 waiters on a semaphore of ten",
    operations: WAITERS,
    contenders: {
      "Skein, yield*": () =>
        loop.runUntilComplete(function* () {
          const semaphore = new Semaphore(10);
          function* job() {
            using _held = yield* semaphore.acquire();
            yield;
          }
          yield* gather(Array.from({ length: WAITERS }, () => createTask(job())));
        }()),
      "Skein, await": () =>
        loop.runUntilComplete(async () => {
          const semaphore = new Semaphore(10);
          const job = async (): Promise<void> => {
            using _held = await semaphore.acquire();
            await null;
          };
          await gather(Array.from({ length: WAITERS }, () => createTask(() => job())));
        }),
      "async-mutex": async () => {
        const semaphore = new NpmSemaphore(10);
        const job = async (): Promise<void> => {
          const [, release] = await semaphore.acquire();
          await null;
          release();
        };
        await Promise.all(Array.from({ length: WAITERS }, () => job()));
      },
      "p-limit": async () => {
        const limit = pLimit(10);
        const job = async (): Promise<void> => void await null;
        await Promise.all(Array.from({ length: WAITERS }, () => limit(job)));
      },
    },
  },
];
