/** Runs a program of `program.ts` on Skein; the trace is what `run.py` prints for the same one. */

import {
  ALL_COMPLETED,
  asCompleted,
  CancelledError,
  type Coroutine,
  coroutine,
  currentTask,
  DeadlockError,
  eagerTaskFactory,
  EventLoop,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  type Future,
  gather,
  type GeneratorCoroutine,
  type Handle,
  RuntimeError,
  shield,
  sleep,
  Task,
  type TaskGroup,
  taskGroup,
  type Timeout,
  timeout,
  wait,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../lib/testing/mod.ts";
import type { Program, Statement } from "./program.ts";
import { ProgramError, show, text, value } from "./show.ts";
import { Sync } from "./sync_interpret.ts";
import type { Action, Operation } from "./sync_program.ts";

const NEVER = 1 << 30;
const WHEN = [FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED] as const;

type Item = Future<unknown> | null;
type Resolved = Future<unknown> | Coroutine<unknown>;

class Machine {
  readonly trace: string[] = [];
  readonly items: Item[] = [];
  readonly #lowest: number[] = [];
  readonly #own = new Map<unknown, number>();
  readonly #futures: Future<unknown>[];
  readonly #handles: Handle[] = [];
  readonly #callbacks = new Map<number, (future: Future<unknown>) => void>();
  #raised = 0;
  #work = 0;
  readonly #program: Program;
  readonly #loop: EventLoop;
  readonly #sync: Sync;

  constructor(program: Program, loop: EventLoop) {
    this.#program = program;
    this.#loop = loop;
    this.#futures = Array.from(
      { length: 3 },
      () => loop.createFuture<unknown>(),
    );
    this.#sync = new Sync({
      log: (...parts) => this.log(...parts),
      body: (...args) => this.#body(...args),
      launch: (make, group) => this.#launch(make, group),
    }, program.primitives ?? {});
  }

  log(...parts: unknown[]): void {
    const task = currentTask(this.#loop);
    const who = task === null ? "-" : String(this.#own.get(task) ?? "?");
    this.trace.push(`${this.#loop.time()} ${who} ${parts.map(text).join(" ")}`);
  }

  newItem(lowest?: number): number {
    this.items.push(null);
    this.#lowest.push(lowest ?? this.items.length - 1);
    return this.items.length - 1;
  }

  /** Takes note that an item is run by the task that runs. */
  #claim(place: number): void {
    const task = currentTask()!;
    if (this.#own.has(task)) return;
    this.#own.set(task, place);
    this.items[place] = task;
  }

  function = coroutine(
    function* (
      this: Machine,
      index: number,
      place: number,
    ): GeneratorCoroutine<unknown> {
      this.#claim(place);
      this.log("start", place);
      try {
        yield* this.#body(this.#program.functions[index]!, null, null);
      } catch (error) {
        this.log("throws", place, show(error));
        throw error;
      }
      this.log("returns", place);
      return place;
    }.bind(this),
  ) as (index: number, place: number) => Coroutine<unknown>;

  #operation = coroutine(
    function* (
      this: Machine,
      operation: Operation,
      place: number,
    ): GeneratorCoroutine<unknown> {
      this.#claim(place);
      return yield* this.#sync.perform(operation);
    }.bind(this),
  ) as (operation: Operation, place: number) => Coroutine<unknown>;

  #item(i: number): Item {
    return this.items.length > 0 ? this.items[i % this.items.length]! : null;
  }

  #name(future: Future<unknown>): string {
    const place = this.items.indexOf(future);
    if (place >= 0) return `a${place}`;
    const other = this.#futures.indexOf(future);
    return other >= 0 ? `f${other}` : "?";
  }

  #resolve(
    reference: unknown,
    coroutines: boolean,
  ): [Resolved | null, number | null] {
    if ((reference as unknown[])[0] === "o") {
      const place = this.newItem();
      const made = this.#operation((reference as [string, Operation])[1], place);
      return [coroutines ? made : this.#start(made, place), place];
    }
    const [kind, i] = reference as [string, number];
    if (kind === "f") return [this.#futures[i]!, null];
    if (kind === "a") {
      const item = this.#item(i);
      if (item === null) return [null, null];
      const lowest = this.#lowest[i % this.items.length]!;
      return lowest <= this.#own.get(currentTask())! ? [null, null] : [item, lowest];
    }
    if (coroutines) {
      const place = this.items.length;
      return [this.function(i, this.newItem()), place];
    }
    return [this.#spawn(i), this.items.length - 1];
  }

  #resolveAll(references: unknown, coroutines: boolean): [Resolved[], number] {
    const found = (references as unknown[]).map((r) => this.#resolve(r, coroutines)).filter((f) => f[0] !== null);
    const lowest = Math.min(NEVER, ...found.map((f) => f[1] ?? NEVER));
    return [found.map((f) => f[0]!), lowest];
  }

  #spawn(index: number, group?: TaskGroup): Task<unknown> {
    const place = this.newItem();
    return this.#start(this.function(index, place), place, group);
  }

  #start(made: Coroutine<unknown>, place: number, group?: TaskGroup | null): Task<unknown> {
    const task = group ? group.createTask(made) : this.#loop.createTask(made);
    this.items[place] = task;
    this.#own.set(task, place);
    return task;
  }

  #launch(make: () => Coroutine<unknown>, group: TaskGroup | null): Task<unknown> | null {
    if (this.items.length >= 40) return null;
    try {
      const task = this.#start(make(), this.newItem(), group);
      this.log("launched", this.#own.get(task), task.done());
      return task;
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      this.log("refused");
      return null;
    }
  }

  #act = (action: unknown[]): void => {
    const [kind, ...args] = action as [string, ...number[]];
    if (kind === "log") this.log("act", args[0]);
    else if (kind === "set") {
      const future = this.#futures[args[0]!]!;
      if (!future.done()) future.setResult(args[1]);
      this.log("act set", args[0]);
    } else if (kind === "fail") {
      const future = this.#futures[args[0]!]!;
      if (!future.done()) this.#fail(future);
      this.log("act fail", args[0]);
    } else if (kind === "cancel") {
      const item = this.#item(args[0]!);
      if (item !== null) {
        this.log(
          "act cancel",
          args[0]! % this.items.length,
          item.cancel(args[1]),
        );
      }
    } else if (kind === "cancelF") {
      this.log("act cancelF", this.#futures[args[0]!]!.cancel());
    } else if (kind === "do") {
      this.#sync.act(action[1] as Action[]);
    } else throw new ProgramError("act");
  };

  #fail(future: Future<unknown>): void {
    future.setException(new ProgramError("fail"));
    future.exception();
  }

  *#body(
    statements: Statement[],
    group: TaskGroup | null,
    scope: Timeout | null,
  ): GeneratorCoroutine<void> {
    for (const statement of statements) {
      if (++this.#work > 600) return;
      yield* this.#statement(statement, group, scope);
    }
  }

  *#statement(
    statement: Statement,
    group: TaskGroup | null,
    scope: Timeout | null,
  ): GeneratorCoroutine<void> {
    const [kind, ...operands] = statement;
    // The operands are what `program.ts` makes; each case below knows its own.
    // deno-lint-ignore no-explicit-any
    const args = operands as any[];
    const task = currentTask()!;
    const room = this.items.length < 40;
    switch (kind) {
      case "log":
        this.log("log", args[0]);
        break;
      case "sleep":
        yield* sleep(args[0]);
        this.log("slept");
        break;
      case "spawn":
        if (room) {
          const made = this.#spawn(args[0]);
          this.log("spawned", this.#own.get(made), made.done());
        }
        break;
      case "groupSpawn":
        if (room) {
          try {
            const made = this.#spawn(args[0], group!);
            this.log("spawned", this.#own.get(made), made.done());
          } catch (error) {
            if (!(error instanceof RuntimeError)) throw error;
            this.log("refused");
          }
        }
        break;
      case "cancel": {
        const item = this.#item(args[0]);
        if (item !== null) {
          this.log("cancel", args[0] % this.items.length, item.cancel(args[1]));
        }
        break;
      }
      case "await":
        if (room) {
          const [item] = this.#resolve(args[0], true);
          if (item !== null) this.log("got", value(yield* item));
        }
        break;
      case "set":
        try {
          this.#futures[args[0]]!.setResult(args[1]);
          this.log("set", args[0]);
        } catch {
          this.log("set invalid");
        }
        break;
      case "fail":
        try {
          this.#fail(this.#futures[args[0]]!);
          this.log("fail", args[0]);
        } catch {
          this.log("fail invalid");
        }
        break;
      case "cancelF":
        this.log("cancelF", args[0], this.#futures[args[0]]!.cancel());
        break;
      case "new":
        this.#futures[args[0]] = this.#loop.createFuture();
        break;
      case "gather":
        if (room) {
          const [items, lowest] = this.#resolveAll(args[0], true);
          const outer: Future<unknown> = gather(items, {
            returnExceptions: args[1] === 1,
          });
          if (args[2]) this.log("gathered", value(yield* outer));
          else this.items[this.newItem(lowest)] = outer;
        }
        break;
      case "wait": {
        const [items] = this.#resolveAll(
          args[0].filter((r: unknown[]) => r[0] !== "c"),
          false,
        );
        if (items.length > 0) {
          const { done, pending } = yield* wait(items as Future<unknown>[], {
            timeout: args[1],
            returnWhen: WHEN[args[2]],
          });
          const names = (set: Set<Future<unknown>>): string[] => [...set].map((f) => this.#name(f)).sort();
          this.log("waited", names(done), names(pending));
        }
        break;
      }
      case "waitFor":
        if (room) {
          const [item] = this.#resolve(args[0], true);
          if (item !== null) {
            this.log("waited for", value(yield* waitFor(item, args[1])));
          }
        }
        break;
      case "shield":
        if (room) {
          const [item, lowest] = this.#resolve(args[0], true);
          if (item !== null) {
            const outer: Future<unknown> = shield(item);
            if (args[1]) this.log("shielded", value(yield* outer));
            else this.items[this.newItem(lowest ?? NEVER)] = outer;
          }
        }
        break;
      case "each":
        if (this.items.length < 36) {
          const [items] = this.#resolveAll(args[0], false);
          const iterator = asCompleted(items, { timeout: args[1] });
          if (args[2]) {
            for (;;) {
              const future = yield* iterator.next();
              if (future === null) break;
              this.log("completed", this.#name(future));
            }
          } else {for (const next of iterator) {
              this.log("result", value(yield* next));
            }}
        }
        break;
      case "raise":
        throw new ProgramError(String(++this.#raised));
      case "soon":
        this.#handles.push(this.#loop.callSoon(this.#act, args[0]));
        break;
      case "later":
        this.#handles.push(this.#loop.callLater(args[0], this.#act, args[1]));
        break;
      case "cancelH":
        if (this.#handles.length > 0) {
          this.#handles[args[0] % this.#handles.length]!.cancel();
        }
        break;
      case "uncancel":
        this.log("uncancel", task.uncancel());
        break;
      case "state":
        this.log("state", task.cancelling());
        break;
      case "cancelSelf":
        this.log("cancelSelf", task.cancel(args[0]));
        break;
      case "onDone": {
        const item = this.#item(args[0]);
        if (item === null) break;
        const place = args[0] % this.items.length;
        if (!this.#callbacks.has(place)) {
          this.#callbacks.set(
            place,
            (f) => this.log("done", place, f.cancelled()),
          );
        }
        item.addDoneCallback(this.#callbacks.get(place)!);
        break;
      }
      case "offDone": {
        const item = this.#item(args[0]);
        if (item === null) break;
        const callback = this.#callbacks.get(args[0] % this.items.length);
        this.log(
          "off",
          callback === undefined ? 0 : item.removeDoneCallback(callback),
        );
        break;
      }
      case "inspect": {
        const item = this.#item(args[0]);
        if (item === null) break;
        try {
          this.log("inspect", value(item.exception() ?? item.result()));
        } catch (error) {
          this.log("inspect", show(error));
        }
        break;
      }
      case "reschedule":
        try {
          scope!.reschedule(
            args[0] === null ? null : this.#loop.time() + args[0],
          );
          this.log("rescheduled");
        } catch (error) {
          if (!(error instanceof RuntimeError)) throw error;
          this.log("not rescheduled");
        }
        break;
      case "expired":
        this.log("expired", scope!.expired());
        break;
      case "timeout": {
        const body = this.#body.bind(this);
        let inner: Timeout | undefined;
        try {
          yield* timeout(args[0], function* (entered) {
            inner = entered;
            yield* body(args[1], group, entered);
          });
        } finally {
          this.log("timeout over", inner!.expired());
        }
        break;
      }
      case "group": {
        const body = this.#body.bind(this);
        yield* taskGroup(function* (entered) {
          yield* body(args[0], entered, scope);
        });
        this.log("group over");
        break;
      }
      case "try": {
        const [block, catches, handler, again, last] = args;
        try {
          try {
            yield* this.#body(block, group, scope);
          } catch (error) {
            const cancelled = error instanceof CancelledError;
            if (
              catches === "none" || (catches === "cancel" && !cancelled) ||
              (catches === "error" && cancelled)
            ) throw error;
            this.log("caught", show(error));
            yield* this.#body(handler, group, scope);
            if (again) throw error;
          }
        } finally {
          if (last !== null) {
            this.log("finally");
            yield* this.#body(last, group, scope);
          }
        }
        break;
      }
      case "loop":
        for (let i = 0; i < args[0]; i++) {
          yield* this.#body(args[1], group, scope);
        }
        break;
      case "call":
        if (room) {
          this.log(
            "called",
            value(yield* this.function(args[0], this.newItem())),
          );
        }
        break;
      default:
        yield* this.#sync.statement(statement, group, scope);
    }
  }
}

/** The trace of a program. */
export async function execute(program: Program): Promise<string[]> {
  const loop = new EventLoop({ clock: new VirtualClock() });
  const machine = new Machine(program, loop);
  loop.setExceptionHandler((_, context) => {
    if (!/never|hield/.test(context.message)) {
      machine.log("handler", show(context.exception));
    }
  });
  if (program.eager) loop.setTaskFactory(eagerTaskFactory);

  const attempt = async (
    what: string,
    make: () => Coroutine<unknown>,
  ): Promise<void> => {
    try {
      const result = await loop.runUntilComplete(make());
      machine.log(what, value(result));
    } catch (error) {
      machine.log(
        what,
        error instanceof DeadlockError ? "deadlock" : show(error),
      );
    }
  };
  const main = coroutine(function* () {
    return yield* machine.function(0, machine.newItem());
  });
  const finish = coroutine(function* () {
    const left = machine.items.filter((item) => item instanceof Task && !item.done()) as Task<unknown>[];
    for (const task of left) task.cancel("end");
    return yield* gather(left, { returnExceptions: true });
  });
  await attempt("main", main);
  await attempt("finish", finish);
  await attempt("finish", finish);
  for (const [i, item] of machine.items.entries()) {
    const state = item === null
      ? "none"
      : !item.done()
      ? "pending"
      : item.cancelled()
      ? "cancelled"
      : item.exception() !== null
      ? show(item.exception())
      : value(item.result());
    machine.trace.push(`end ${i} ${state}`);
  }
  loop.setExceptionHandler(() => {});
  loop.close();
  return machine.trace;
}
