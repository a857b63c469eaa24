/** What tasks wait for, against the traces that CPython gave; `sync_record.py` says how they were recorded. */

import { assert, assertEquals } from "@std/assert";
import {
  Barrier,
  CancelledError,
  Condition,
  Event,
  EventLoop,
  Lock,
  Queue,
  Semaphore,
  sleep,
  type Task,
} from "../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../lib/testing/mod.ts";
import { type Kind, KINDS, ofKind, on, type Steps, taskOf } from "../asyncio/_kinds.ts";
import { TextLineStream } from "./lines.ts";

interface Program {
  tasks: [word: string, n: number, k: number][][];
  value: number;
  parties: number;
  maxsize: number;
}

function* turns(n: number): Steps<void> {
  for (let i = 0; i < n; i++) yield* on(sleep(0));
}

function* execute(program: Program, kind: Kind): Steps<unknown[]> {
  const trace: unknown[] = [];
  const tasks: Task<void>[] = [];
  const lock = new Lock();
  const semaphore = new Semaphore(program.value);
  const event = new Event();
  const condition = new Condition();
  const barrier = new Barrier(program.parties);
  const queue = new Queue<number>(program.maxsize);

  function* step(i: number, j: number, word: string, n: number, k: number): Steps<unknown> {
    switch (word) {
      case "lock": {
        using _held = yield* on(lock.acquire());
        trace.push([i, j, "in"]);
        return yield* turns(n);
      }
      case "sem": {
        using _held = yield* on(semaphore.acquire());
        trace.push([i, j, "in"]);
        return yield* turns(n);
      }
      case "release":
        return semaphore.release();
      case "wait":
        return void (yield* on(event.wait()));
      case "set":
        return event.set();
      case "clear":
        return event.clear();
      case "cwait": {
        using _held = yield* on(condition.acquire());
        trace.push([i, j, "in"]);
        yield* on(condition.wait());
        trace.push([i, j, "woken"]);
        return yield* turns(n);
      }
      case "notify": {
        using _held = yield* on(condition.acquire());
        condition.notify(n);
        return yield* turns(n);
      }
      case "notify_all": {
        using _held = yield* on(condition.acquire());
        return condition.notifyAll();
      }
      case "barrier":
        return yield* on(barrier.wait());
      case "reset":
        return yield* on(barrier.reset());
      case "abort":
        return yield* on(barrier.abort());
      case "put":
        return yield* on(queue.put(i * 100 + j));
      case "get":
        return yield* on(queue.get());
      case "put_nowait":
        return queue.putNowait(i * 100 + j);
      case "get_nowait":
        return queue.getNowait();
      case "join":
        return yield* on(queue.join());
      case "task_done":
        return queue.taskDone();
      case "shutdown":
        return queue.shutdown({ immediate: n === 0 });
      case "turns":
        return yield* turns(n + 1);
      case "cancel":
        return k === i ? undefined : tasks[k]!.cancel();
      default:
        throw new Error(`There is no ${word}`);
    }
  }

  function* run(i: number, steps: Program["tasks"][number]): Steps<void> {
    for (const [j, [word, n, k]] of steps.entries()) {
      try {
        trace.push([i, j, word, (yield* step(i, j, word, n, k)) ?? null]);
      } catch (error) {
        assert(error instanceof Error);
        trace.push([i, j, word, error instanceof CancelledError ? "cancelled" : error.name]);
        if (error instanceof CancelledError && n === 0) throw error;
      }
    }
  }

  const state = (): void => {
    const { value } = semaphore.statistics();
    const { size, unfinished } = queue.statistics();
    trace.push([
      ...[lock.locked(), semaphore.locked(), value, event.isSet(), condition.locked()],
      ...[barrier.nWaiting, barrier.broken, size, unfinished],
    ]);
  };

  for (const [i, steps] of program.tasks.entries()) tasks.push(taskOf(kind, () => run(i, steps)));
  yield* turns(80);
  state();
  for (let round = 0; round < 20; round++) {
    for (const task of tasks) task.cancel();
    yield* turns(5);
  }
  state();
  trace.push(tasks.map((task) => task.done()));
  return trace;
}

async function* readCorpus(): AsyncGenerator<{ program: Program; trace: unknown[] }, void, unknown> {
  const file = await Deno.open(new URL("sync_corpus.jsonl.gz", import.meta.url));
  const lines = file.readable.pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) yield JSON.parse(line);
}

for (const kind of KINDS) {
  Deno.test(`Locks, events, conditions, semaphores, barriers and queues have CPython's traces (${kind})`, async () => {
    let count = 0;
    for await (const { program, trace } of readCorpus()) {
      using loop = new EventLoop({ clock: new VirtualClock() });
      const actual = await loop.runUntilComplete(ofKind("generator", () => execute(program, kind)));
      assertEquals(actual, trace, `program ${count}: ${JSON.stringify(program)}`);
      count++;
    }
    assertEquals(count, 2000);
  });
}
