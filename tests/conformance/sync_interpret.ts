/** What the programs do to locks, events, conditions, semaphores, barriers and queues: `sync_run.py` in TypeScript. */

import {
  Barrier,
  BoundedSemaphore,
  CancelledError,
  Condition,
  type Coroutine,
  coroutine,
  currentTask,
  Event,
  type GeneratorCoroutine,
  LifoQueue,
  Lock,
  PriorityQueue,
  Queue,
  QueueShutDown,
  Semaphore,
  sleep,
  type Task,
  type TaskGroup,
  type Timeout,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import type { Statement } from "./program.ts";
import { ProgramError, show, value } from "./show.ts";
import type { Action, Operation, Primitive, Primitives } from "./sync_program.ts";

/** The machine that runs the other statements. */
export interface Host {
  /** Adds a line to the trace. */
  log(...parts: unknown[]): void;
  /** Runs statements. */
  body(statements: Statement[], group: TaskGroup | null, scope: Timeout | null): GeneratorCoroutine<void>;
  /** A task of its own for an awaitable of asyncio's own; `null` if there are enough, or the group takes no more. */
  launch(make: () => Coroutine<unknown>, group: TaskGroup | null): Task<unknown> | null;
}

/** A task that waits at a primitive, and what for. */
interface Waiting {
  task: Task<unknown>;
  kind: string;
}

// Each statement, operation and action knows the class of its primitive, and `program.ts` makes them so.
// deno-lint-ignore no-explicit-any
type Any = any;

const waitHolding = coroutine(function* (condition: Condition): GeneratorCoroutine<true> {
  using _held = yield* condition.acquire();
  return yield* condition.wait();
});

/** The primitives of a program, and what is done to them. */
export class Sync {
  readonly #host: Host;
  readonly #primitives: Record<string, Any> = {};
  readonly #waiting: Record<string, Waiting[]> = {};
  readonly #counters = [0, 0];
  #items = 0;

  constructor(host: Host, primitives: Primitives) {
    this.#host = host;
    for (const [name, primitive] of Object.entries(primitives)) {
      this.#primitives[name] = this.#make(primitive);
      this.#waiting[name] = [];
    }
  }

  #make([kind, argument]: Primitive): unknown {
    if (kind === "Condition") return argument === null ? new Condition() : new Condition(this.#primitives[argument]);
    if (kind === "Lock") return new Lock();
    if (kind === "Event") return new Event();
    const classes = { Semaphore, BoundedSemaphore, Barrier, Queue, PriorityQueue, LifoQueue };
    return new classes[kind as keyof typeof classes](argument as number);
  }

  #state(target: string): unknown[] {
    const primitive = this.#primitives[target];
    if (target[0] === "e") return [primitive.isSet()];
    if (target[0] === "b") return [primitive.nWaiting, primitive.broken];
    if (target[0] === "q") return [primitive.qsize(), primitive.empty(), primitive.full()];
    return [primitive.locked()];
  }

  #statistics(target: string): unknown[] {
    const primitive = this.#primitives[target];
    const statistics = primitive.statistics();
    switch (target[0]) {
      case "c":
        return [statistics.tasksWaiting, statistics.lock.locked, statistics.lock.tasksWaiting];
      case "q":
        return [
          primitive.maxsize,
          statistics.size,
          statistics.unfinished,
          statistics.gettersWaiting,
          statistics.puttersWaiting,
        ];
      case "b":
        return [statistics.parties, statistics.tasksWaiting, statistics.broken];
      default:
        return [statistics.locked ?? statistics.set ?? statistics.value, statistics.tasksWaiting];
    }
  }

  /** Items are all different, so that each can be followed; some of a priority queue are equal and the same. */
  #nextItem(target: string): number {
    const n = ++this.#items;
    if (!(this.#primitives[target] instanceof PriorityQueue)) return n;
    return n % 5 === 0 ? 50000 : n * 37 % 101 * 1000 + n;
  }

  #predicate(target: string, counter: number, least: number, bad: number): () => number {
    return () => {
      const count = this.#counters[counter]!;
      this.#host.log("predicate", target, count);
      if (count === bad) throw new ProgramError("predicate");
      return count >= least ? count : 0;
    };
  }

  #operation([kind, target, ...args]: Operation): Coroutine<unknown> {
    const primitive = this.#primitives[target];
    switch (kind) {
      case "acquire":
        return primitive.acquire();
      case "waitEvent":
      case "waitNotified":
      case "arrive":
        return primitive.wait();
      case "waitHolding":
        return waitHolding(primitive);
      case "waitUntil":
        return primitive.waitFor(this.#predicate(target, ...args as [number, number, number]));
      case "put":
        return primitive.put(this.#nextItem(target));
      case "get":
        return primitive.get();
      case "join":
        return primitive.join();
      case "reset":
        return primitive.reset();
      case "abort":
        return primitive.abort();
      default:
        throw new Error(`Cannot run operation ${kind}`);
    }
  }

  /** Does what needs no waiting, in a task or in a callback. */
  act(actions: Action[]): void {
    for (const [kind, target, ...args] of actions) {
      let done: string;
      try {
        done = value(this.#act(kind, target, args));
      } catch (error) {
        done = show(error);
      }
      this.#host.log(kind, target, done, ...this.#state(target));
    }
  }

  #act(kind: string, target: string, args: Any[]): unknown {
    const primitive = this.#primitives[target];
    switch (kind) {
      case "release":
        return primitive.release();
      case "setEvent":
        return primitive.set();
      case "clearEvent":
        return primitive.clear();
      case "notify":
        return primitive.notify(args[0]);
      case "notifyAll":
        return primitive.notifyAll();
      case "count":
        return ++this.#counters[args[0]]!;
      case "putNowait":
        return primitive.putNowait(this.#nextItem(target));
      case "getNowait":
        return primitive.getNowait();
      case "taskDone":
        return primitive.taskDone();
      case "shutdown":
        return primitive.shutdown({ immediate: args[0] === 1 });
      case "cancelWaiting": {
        const waiting = this.#waiting[target]!.filter((w) => w.kind.startsWith(args[0]) && !w.task.done());
        return waiting.length > 0 ? waiting[args[1] % waiting.length]!.task.cancel(args[2]) : null;
      }
      case "look":
        return this.#statistics(target);
      default:
        throw new Error(`Cannot run action ${kind}`);
    }
  }

  /** Lets `cancelWaiting` find the task until it is disposed of. */
  #tracked(kind: string, target: string): Disposable {
    const waiting = this.#waiting[target]!;
    const entry = { task: currentTask()!, kind };
    waiting.push(entry);
    return {
      [Symbol.dispose]: () => {
        const at = waiting.indexOf(entry);
        if (at >= 0) waiting.splice(at, 1);
      },
    };
  }

  *#operate(
    [kind, target]: Operation,
    awaitable: Coroutine<unknown>,
    rethrow: boolean,
  ): GeneratorCoroutine<unknown> {
    this.#host.log(kind, target);
    try {
      let result: unknown;
      {
        using _tracked = this.#tracked(kind, target);
        result = yield* awaitable;
      }
      this.#host.log("did", kind, target, value(result), ...this.#state(target));
      return result;
    } catch (error) {
      this.#host.log("failed", kind, target, show(error), ...this.#state(target));
      if (rethrow || error instanceof CancelledError) throw error;
    }
  }

  /** An operation as a function of its own. */
  perform(operation: Operation): GeneratorCoroutine<unknown> {
    return this.#operate(operation, this.#operation(operation), true);
  }

  /** Runs a statement. */
  *statement(
    [kind, ...operands]: Statement,
    group: TaskGroup | null,
    scope: Timeout | null,
  ): GeneratorCoroutine<void> {
    const args = operands as Any[];
    switch (kind) {
      case "do":
        this.act(args[0]);
        break;
      case "operate":
        yield* this.#operate(args[0], this.#operation(args[0]), args[1] === 1);
        break;
      case "within":
        yield* this.#operate(args[1], waitFor(this.#operation(args[1]), args[0]), false);
        break;
      case "launch": {
        const [operation, grouped] = args as [Operation, number];
        const task = this.#host.launch(() => this.#operation(operation), grouped === 1 ? group : null);
        if (task !== null) this.#waiting[operation[1]]!.push({ task, kind: operation[0] });
        break;
      }
      case "with":
        yield* this.#with(args[0], () => this.#host.body(args[1], group, scope));
        break;
      case "guarded": {
        yield* this.perform(["acquire", args[0]]);
        try {
          yield* this.#host.body(args[1], group, scope);
        } finally {
          this.act([["release", args[0]]]);
        }
        break;
      }
      case "produce": {
        const [target, count, delay] = args;
        for (let i = 0; i < count; i++) {
          yield* this.perform(["put", target]);
          if (delay !== null) yield* sleep(delay);
        }
        break;
      }
      case "consume":
        yield* this.#consume(...args as [string, number, number | null, number]);
        break;
      default:
        throw new Error(`Cannot run statement ${kind}`);
    }
  }

  *#with(target: string, body: () => GeneratorCoroutine<void>): GeneratorCoroutine<void> {
    this.#host.log("with", target);
    try {
      using tracked = this.#tracked("acquire", target);
      using _held = yield* this.#primitives[target].acquire();
      tracked[Symbol.dispose]();
      this.#host.log("entered", target, ...this.#state(target));
      yield* body();
    } finally {
      this.#host.log("left", target, ...this.#state(target));
    }
  }

  *#consume(target: string, count: number, delay: number | null, tell: number): GeneratorCoroutine<void> {
    for (let i = 0; i < count; i++) {
      try {
        yield* this.perform(["get", target]);
      } catch (error) {
        if (error instanceof QueueShutDown) return;
        throw error;
      }
      if (delay !== null) yield* sleep(delay);
      if (tell === 1) this.act([["taskDone", target]]);
    }
  }
}
