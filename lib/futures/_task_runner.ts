/**
 * What runs the tasks, in a thread of this program and in the thread of a child process that does the work. It is sent as
 * its source text: see {@linkcode Parts}.
 * @module
 */

import type { EncodedError } from "./_error_codec.ts";
import type { Inbox } from "./_inbox.ts";
import type { ChunkResult, Definition, FromWorker, Given, ToWorker } from "./_protocol.ts";
import type { Parts } from "./_worker_program.ts";

/** How the runner tells the parent what it has to say. */
export interface Link {
  /**
   * Reports the result. Throws, with nothing sent, if it cannot be cloned. `follows`: there are messages of this call,
   * which it must not overtake. `isChunk`: it is a {@linkcode ChunkResult}.
   */
  result(seq: number, duration: number, value: unknown, follows: boolean, isChunk: boolean): void;
  /** Says everything else. */
  send(message: FromWorker): void;
  /** Where a value cannot be cloned. */
  findUncloneable(value: unknown): string | null;
  /** The bytes of memory that count as the worker's. */
  memory(usage: Deno.MemoryUsage): number;
  /** What to tell who lacks a permission. */
  readonly permissionHint: string;
  /** Where the calls are that do not come as messages. */
  readonly inbox?: Inbox;
}

/** Runs the calls that the parent sends, one after another. */
export function taskRunner(states: Int32Array, link: Link, parts: Parts): (message: ToWorker) => void {
  const { SLOTS, SlotState, encodeError, slotWord } = parts;
  const { inbox } = link;

  interface Entry {
    readonly definition: Definition;
    fn?: (...args: unknown[]) => unknown;
  }
  interface Stream {
    /** How many values it may send. */
    credit: number;
    stopped: boolean;
    wake: () => void;
  }

  // The classes go home by their names; the mark says that they are Skein's.
  const SKEIN = Symbol.for("@skein/skein.error");
  const CancelledError = class CancelledError extends Error {
    override name = "CancelledError";
    readonly [SKEIN] = "CancelledError";
  };
  const NotImportableError = class NotImportableError extends Error {
    override name = "NotImportableError";
    readonly [SKEIN] = "NotImportableError";
  };
  const NotCloneableError = class NotCloneableError extends TypeError {
    override name = "NotCloneableError";
    readonly [SKEIN] = "NotCloneableError";
  };

  const table = new Map<number, Entry>();
  /** Sequence number, function, whether it is a chunk, and arguments in turn. */
  let calls: unknown[] = [];
  let position = 0;
  /** Whether a call, or the initializer, is being waited for. */
  let waiting = true;

  let current = -1;
  const NO_CONTEXT = Object.freeze({}) as Readonly<Record<string, unknown>>;
  let context = NO_CONTEXT;
  let abortion: AbortController | undefined;
  let startedAt = 0;
  /** The last call that sent a message before its outcome. */
  let spoke = -1;
  /** For how long a stream may go on without a look at what the parent says, in milliseconds. */
  const DEAF_FOR = 20;
  /** The calls that are streams. */
  const streams = new Map<number, Stream>();
  let maxMemory = Infinity;
  let measuredAt = 0;

  const isAbandoned = () =>
    current >= 0 && Atomics.load(states, current % SLOTS) === slotWord(current, SLOTS, SlotState.ABANDONED);
  const cancelledError = () =>
    new CancelledError("Nobody waits for this task any more: its signal was aborted or its time is over");
  const checkCancelled = () => {
    if (isAbandoned()) throw cancelledError();
  };
  const taskSignal = () => {
    if (abortion === undefined) {
      abortion = new AbortController();
      if (isAbandoned()) abortion.abort(cancelledError());
    }
    return abortion.signal;
  };
  const reportProgress = (value: unknown) => {
    if (current < 0) return;
    spoke = current;
    sendValue("progress", current, value);
  };
  const shared = globalThis as unknown as Record<symbol, unknown>;
  const LOADING = Symbol.for("@skein/skein.loading");
  const taskContext = () => context;
  shared[Symbol.for("@skein/skein.task")] = { checkCancelled, taskSignal, taskContext, reportProgress };

  const { exit, memoryUsage } = Deno;
  Object.defineProperty(Deno, "exit", {
    value: (code?: number) => {
      link.send(["exit", code ?? Deno.exitCode]);
      exit(code);
    },
  });
  const close = self.close;
  self.close = () => {
    link.send(["exit", null]);
    close.call(self);
  };

  /** Imports a module, in which a script without a guard must not start pools of its own. */
  async function importModule(url: string): Promise<Record<string, unknown>> {
    shared[LOADING] = url;
    try {
      return await parts.importUrl(url);
    } catch (cause) {
      const hint = cause instanceof Deno.errors.NotCapable
        ? "; importing a local module in a worker needs --allow-read (of a process: permissions: { read: [...] }), a " +
          "module of another host than Deno's usual ones --allow-import (permissions: { import: [...] })"
        : "";
      throw new NotImportableError(
        `Cannot import ${url} in a worker: ${cause instanceof Error ? cause.message : Deno.inspect(cause)}${hint}`,
        { cause },
      );
    } finally {
      delete shared[LOADING];
    }
  }

  async function load(entry: Entry): Promise<(...args: unknown[]) => unknown> {
    const [, name, url, text, registered] = entry.definition;
    let fn: unknown;
    if (url === null) {
      try {
        // `__name` is what some bundlers wrap functions in.
        fn = new Function(
          "checkCancelled",
          "taskSignal",
          "taskContext",
          "reportProgress",
          "__name",
          `"use strict"; return ${text};\n//# sourceURL=skein:task/${encodeURIComponent(name)}`,
        )(checkCancelled, taskSignal, taskContext, reportProgress, (fn: unknown) => fn);
      } catch (cause) {
        throw new NotImportableError(
          `Cannot read the function ${name} from its source text: use importable() or fromModule()`,
          { cause },
        );
      }
    } else {
      const module = await importModule(url);
      const functions = shared[Symbol.for("@skein/skein.importable")] as Map<string, unknown> | undefined;
      fn = registered ? functions?.get(`${url}\n${text}`) : module[text];
      if (typeof fn !== "function") {
        const names = Object.keys(module).filter((key) => typeof module[key] === "function").join(", ");
        throw new NotImportableError(
          registered
            ? `Cannot find the function ${text} in ${url}: the module did not call importable() for it when a worker imported it`
            : `Cannot find the function ${text} in ${url}: it exports ${names === "" ? "no functions" : names}`,
        );
      }
    }
    return entry.fn = fn as (...args: unknown[]) => unknown;
  }

  /**
   * Calls `fn` for each list of arguments, and stops at the first that throws: as CPython's chunks do, but with the
   * results before it.
   */
  function callMany(
    name: string,
    fn: (...args: unknown[]) => unknown,
    lists: readonly unknown[][],
    values: unknown[] = [],
  ): ChunkResult | Promise<ChunkResult> {
    const failed = (error: unknown): ChunkResult => ({ values, error: encode(explain(name, error)) });
    while (values.length < lists.length) {
      try {
        const value = fn(...lists[values.length]!);
        if (isThenable(value)) {
          return Promise.resolve(value).then((value) => {
            values.push(value);
            return callMany(name, fn, lists, values);
          }, failed);
        }
        values.push(value);
      } catch (error) {
        return failed(error);
      }
    }
    return { values };
  }

  function isThenable(value: unknown): value is PromiseLike<unknown> {
    return (typeof value === "object" || typeof value === "function") && value !== null &&
      typeof (value as { then?: unknown }).then === "function";
  }

  function encode(error: unknown): EncodedError {
    const encoded = encodeError(error, isCloneable);
    // Who lacks a permission is told what to do.
    return encoded.kind === "error" && encoded.base === "Deno.errors.NotCapable"
      ? { ...encoded, message: encoded.message + link.permissionHint }
      : encoded;
  }

  function isCloneable(value: unknown): boolean {
    try {
      structuredClone(value);
      return link.findUncloneable(value) === null;
    } catch {
      return false;
    }
  }

  function succeed(seq: number, name: string, value: unknown, isChunk: boolean): void {
    const duration = performance.now() - startedAt;
    // Before the outcome, so that the parent sends no more calls on it.
    if (maxMemory !== Infinity) watchMemory(position === calls.length);
    try {
      link.result(seq, duration, value, spoke === seq, isChunk);
    } catch (cause) {
      if (isChunk) link.result(seq, duration, cutChunk(name, value as ChunkResult), spoke === seq, isChunk);
      else fail(seq, name, notCloneable(name, value, cause));
    }
    // Not before: to report may take time, as when a pipe is full, and that is not the next call's.
    startedAt = performance.now();
  }

  function notCloneable(name: string, value: unknown, cause: unknown, what = "result"): Error {
    const found = link.findUncloneable(value) ?? `: ${cause instanceof Error ? cause.message : Deno.inspect(cause)}`;
    return new NotCloneableError(`Cannot send the ${what} of ${name} back: ${what}${found}`);
  }

  /** Sends a value that is not the result. */
  function sendValue(kind: "progress" | "yield", seq: number, value: unknown, name = "the task"): void {
    try {
      link.send([kind, seq, value]);
    } catch (cause) {
      throw notCloneable(name, value, cause, kind === "yield" ? "value" : kind);
    }
  }

  /**
   * Sends what a generator yields, no more at a time than its reader asked for.
   *
   * @returns Whether it was cut short.
   */
  async function runStream(seq: number, name: string, stream: Stream, source: unknown): Promise<boolean> {
    const iterable = Object(source) as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
    const iterator = iterable[Symbol.asyncIterator]?.() ?? iterable[Symbol.iterator]?.();
    if (iterator === undefined) {
      throw new TypeError(`Cannot stream ${name}: it returned ${Deno.inspect(source, { depth: 0 })}, not an iterable`);
    }
    const isAsync = iterable[Symbol.asyncIterator] !== undefined;
    spoke = seq;
    let heardAt = performance.now();
    while (true) {
      if (stream.stopped || isAbandoned()) {
        await iterator.return?.();
        return true;
      }
      if (stream.credit === 0) {
        await new Promise<void>((resolve) => stream.wake = resolve);
        heardAt = performance.now();
        continue;
      }
      const { done, value } = await iterator.next();
      if (done) return false;
      // A generator that only computes lets no message in, and so would not hear that its reader has left.
      if (performance.now() - heardAt > DEAF_FOR) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        heardAt = performance.now();
      }
      if (stream.stopped || isAbandoned()) continue;
      stream.credit--;
      try {
        sendValue("yield", seq, isAsync ? value : await value, name);
      } catch (error) {
        await iterator.return?.();
        throw error;
      }
    }
  }

  /** Says so when this worker holds too much. To measure it takes as long as some calls, so it is not after each. */
  function watchMemory(isLast: boolean): void {
    const now = performance.now();
    if (!isLast && now - measuredAt < 10) return;
    measuredAt = now;
    const bytes = link.memory(memoryUsage());
    if (bytes <= maxMemory) return;
    maxMemory = Infinity; // once is enough
    spoke = current;
    link.send(["large", bytes]);
  }

  /** The results of a chunk up to the first that cannot be sent. */
  function cutChunk(name: string, { values }: ChunkResult): ChunkResult {
    const cut = values.findIndex((value) => !isCloneable(value));
    return { values: values.slice(0, cut), error: encode(notCloneable(name, values[cut], "it cannot be cloned")) };
  }

  function fail(seq: number, name: string, thrown: unknown): void {
    const duration = performance.now() - startedAt;
    if (maxMemory !== Infinity) watchMemory(position === calls.length);
    link.send(["error", seq, duration, encode(explain(name, thrown))]);
    startedAt = performance.now();
  }

  /** Who lacks a variable that the function's source does not bring along is told what to do. */
  function explain(name: string, thrown: unknown): unknown {
    const missing = thrown instanceof ReferenceError ? /^(\S+) is not defined$/.exec(thrown.message)?.[1] : undefined;
    if (missing === undefined || !String(thrown instanceof Error && thrown.stack).includes("skein:task/")) {
      return thrown;
    }
    return new NotImportableError(
      `Cannot run ${name} in a worker: it uses ${missing}, which its source text does not bring along. Either pass ${missing} as an argument, or let ` +
        `the worker import the function: export const ${
          /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : "task"
        } = importable(import.meta, function ...), or ` +
        `fromModule<typeof import("./tasks.ts")>(import.meta.resolve("./tasks.ts"))`,
      { cause: thrown },
    );
  }

  /** Runs calls until none is left or one has to be waited for. */
  function pump(): void {
    waiting = false;
    startedAt = performance.now();
    if (position === calls.length) takeCalls();
    while (position < calls.length) {
      const seq = calls[position] as number;
      const entry = calls[position + 1] as Entry;
      const isChunk = calls[position + 2] as boolean;
      const given = calls[position + 3] as Given;
      calls[position + 3] = undefined; // not held on to
      position += 4;
      const handed = slotWord(seq, SLOTS, SlotState.HANDED);
      if (Atomics.compareExchange(states, seq % SLOTS, handed, slotWord(seq, SLOTS, SlotState.RUNNING)) !== handed) {
        streams.delete(seq);
        continue;
      }
      current = seq;
      abortion = undefined;
      const args = "context" in given ? given.args : given;
      context = "context" in given ? Object.freeze(given.context) : NO_CONTEXT;
      const name = entry.definition[1];
      const stream = streams.size > 0 ? streams.get(seq) : undefined;
      const call = (fn: (...args: unknown[]) => unknown) =>
        isChunk
          ? callMany(name, fn, args as unknown[][])
          : stream === undefined
          ? fn(...args)
          : Promise.resolve(fn(...args)).then((source) => runStream(seq, name, stream, source));
      try {
        const value = entry.fn === undefined ? load(entry).then(call) : call(entry.fn);
        if (isThenable(value)) {
          waiting = true;
          Promise.resolve(value)
            .then((value) => {
              succeed(seq, name, value, isChunk);
              // At once: what the call has left behind has nothing to say after its outcome.
              current = -1;
            }, (error) => {
              fail(seq, name, error);
              current = -1;
            })
            .then(() => {
              streams.delete(seq);
              pump();
            });
          return;
        }
        succeed(seq, name, value, isChunk);
      } catch (error) {
        streams.delete(seq);
        fail(seq, name, error);
      }
    }
    current = -1;
    context = NO_CONTEXT;
    // Now, so that no arguments are held while nothing comes.
    calls = [];
    position = 0;
    inbox?.wait(pump);
  }

  function takeCalls(): void {
    inbox?.take(isKnown, enqueue);
  }

  function isKnown(id: number): boolean {
    return table.has(Math.abs(id));
  }

  function enqueue(seq: number, id: number, given: Given): void {
    if (position > 4096) {
      calls.splice(0, position);
      position = 0;
    }
    calls.push(seq, table.get(Math.abs(id)), id < 0, given);
  }

  async function initialize(
    initializer: readonly [number, readonly unknown[]] | null,
    modules: readonly string[],
    revoke: readonly ("read" | "import")[],
  ): Promise<void> {
    try {
      // What cannot be imported is reported by the first task that needs it.
      for (const url of modules) await importModule(url).catch(() => {});
      for (const name of revoke) Deno.permissions.revokeSync({ name } as Deno.PermissionDescriptor);
      if (initializer !== null) await (await load(table.get(initializer[0])!))(...initializer[1]);
      link.send(["ready"]);
      pump();
    } catch (error) {
      link.send(["broken", encode(explain("the initializer", error))]);
    }
  }

  return (message) => {
    inbox?.awake();
    switch (message[0]) {
      case "init":
        maxMemory = message[4] ?? Infinity;
        initialize(message[1], message[2], message[3]);
        break;
      case "define":
        table.set(message[1][0], { definition: message[1] });
        break;
      case "share":
        inbox?.share(message[1], message[2], message[3]);
        break;
      case "unshare":
        takeCalls(); // those that use it
        inbox?.unshare(message[1]);
        break;
      case "run": {
        const [, first, list] = message;
        takeCalls(); // those before them
        for (let i = 0; i < list.length; i += 2) enqueue(first + i / 2, list[i] as number, list[i + 1] as Given);
        inbox?.skipTo(first + list.length / 2);
        break;
      }
      case "abandon":
        if (message[1] === current) abortion?.abort(cancelledError());
        streams.get(message[1])?.wake();
        break;
      case "stream":
        if (message[2] === 0) streams.delete(message[1]);
        else streams.set(message[1], { credit: message[2], stopped: false, wake: () => {} });
        break;
      case "credit": {
        const stream = streams.get(message[1]);
        if (stream === undefined) break; // it is over
        stream.credit += message[2];
        stream.wake();
        break;
      }
      case "stop": {
        const stream = streams.get(message[1]);
        if (stream === undefined) break;
        stream.stopped = true;
        stream.wake();
        break;
      }
      case "forget":
        takeCalls();
        table.clear();
        break;
      case "unreadable": {
        takeCalls(); // those before them
        const seq = inbox?.lose();
        if (seq !== undefined) link.send(["unreadable", seq]);
        break;
      }
    }
    if (!waiting) pump();
  };
}
