/**
 * The program of a worker: what runs the tasks, in a thread of this program and in the thread of a child process that
 * does the work.
 *
 * The functions here are sent as their source text. A worker that is made from a `data:` URL needs no permission,
 * survives `deno compile` and the registry, and finds no file missing. So each function uses its parameters and nothing
 * else from around it.
 * @module
 */

import type { makeCodec, V8 } from "./_codec.ts";
import type { findUncloneable } from "./_cloneable.ts";
import type { EncodedError, encodeError } from "./_error_codec.ts";
import type { Inbox, makeInbox, makePatience } from "./_inbox.ts";
import type {
  ChunkResult,
  Definition,
  FrameKind,
  FromWorker,
  Given,
  HEADER,
  layOutSlots,
  Mail,
  SlotState,
  slotWord,
  stateOf,
  ToWorker,
  valueOf,
} from "./_protocol.ts";

/** What the program of a worker is built from. */
export interface Parts {
  /** `import()`, which the publisher could not see through. */
  readonly importUrl: (url: string) => Promise<Record<string, unknown>>;
  readonly SLOTS: number;
  readonly SLOT_ARGS: number;
  readonly SlotState: typeof SlotState;
  readonly HEADER: typeof HEADER;
  readonly FrameKind: typeof FrameKind;
  readonly Mail: typeof Mail;
  readonly POLL: number;
  readonly encodeError: typeof encodeError;
  readonly findUncloneable: typeof findUncloneable;
  readonly layOutSlots: typeof layOutSlots;
  readonly slotWord: typeof slotWord;
  readonly stateOf: typeof stateOf;
  readonly valueOf: typeof valueOf;
  readonly makeInbox: typeof makeInbox;
  readonly makePatience: typeof makePatience;
  readonly makeCodec: typeof makeCodec;
  readonly taskRunner: typeof taskRunner;
  readonly packetWriter: typeof packetWriter;
  readonly takeChannel: typeof takeChannel;
}

/** How the runner tells the parent what it has to say. */
export interface Link {
  /**
   * Reports the result. Throws, with nothing sent, if it cannot be cloned. `follows`: there are messages of this call,
   * which it must not overtake.
   */
  result(seq: number, duration: number, value: unknown, follows: boolean): void;
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
export function taskRunner(states: Int32Array, link: Link, parts: Parts): (message: ToWorker | null) => void {
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
  const { setTimeout } = globalThis; // a task may replace it
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
      link.result(seq, duration, value, spoke === seq);
    } catch (cause) {
      if (isChunk) link.result(seq, duration, cutChunk(name, value as ChunkResult), spoke === seq);
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
          name === "<anonymous>" ? "task" : name
        } = importable(import.meta, function ...), or ` +
        `fromModule<typeof import("./tasks.ts")>(import.meta.resolve("./tasks.ts"))`,
      { cause: thrown },
    );
  }

  /** Runs calls until none is left or one has to be waited for. */
  function pump(): void {
    waiting = false;
    startedAt = performance.now();
    if (position === calls.length) {
      calls = [];
      position = 0;
      takeCalls();
    }
    while (position < calls.length) {
      const seq = calls[position] as number;
      const entry = calls[position + 1] as Entry;
      const isChunk = calls[position + 2] as boolean;
      const given = calls[position + 3] as Given;
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
    inbox?.wait(pump);
  }

  function takeCalls(): void {
    inbox?.take(isKnown, enqueue);
  }

  function isKnown(id: number): boolean {
    return table.has(id);
  }

  function enqueue(seq: number, id: number, given: Given): void {
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
    switch (message?.[0]) {
      case "init":
        maxMemory = message[4] ?? Infinity;
        initialize(message[1], message[2], message[3]);
        break;
      case "define":
        table.set(message[1][0], { definition: message[1] });
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
      case "unreadable":
        takeCalls(); // those before them
        link.send(["unreadable", inbox?.position() ?? 0]);
        break;
    }
    if (!waiting) pump();
  };
}

/** What a worker has of its global scope; the compiler knows that of a main thread only. */
interface WorkerScope {
  addEventListener(type: "message" | "messageerror", listener: (event: MessageEvent) => void): void;
  postMessage: (message: unknown) => void;
}

/**
 * Takes the channel to the parent for the worker's own program. A task that listens to messages hears none, and one
 * that posts some is told that nobody listens: code that was written for a worker of its own must not get in the way.
 * `onError` is told of a message that cannot be read. Part of the worker's program.
 */
export function takeChannel(
  listener: (data: never) => void,
  onError: () => void = () => {},
): (message: unknown) => void {
  const scope = self as unknown as WorkerScope;
  const post = scope.postMessage.bind(self);
  scope.postMessage = () => {
    throw new TypeError("Cannot post a message from a task: nobody listens; return the value instead");
  };
  scope.addEventListener("message", (event) => {
    event.stopImmediatePropagation();
    listener(event.data as never);
  });
  scope.addEventListener("messageerror", (event) => {
    event.stopImmediatePropagation();
    onError();
  });
  return post;
}

/**
 * The program of a thread. Results that are numbers, booleans and the like go through shared memory, and wake the
 * parent once for many.
 */
export function threadProgram(parts: Parts): void {
  const { SLOTS, SlotState, slotWord, stateOf } = parts;
  let run: ((message: ToWorker | null) => void) | undefined;

  // The first message is the memory, the others are for the runner.
  const post = parts.takeChannel((data: ToWorker | null | SharedArrayBuffer) => {
    if (run !== undefined) return run(data as ToWorker | null);
    const slots = parts.layOutSlots(data as SharedArrayBuffer, SLOTS);
    const { woken, states, numbers, durations } = slots;

    const link: Link = {
      result(seq, duration, value, follows) {
        const slot = seq % SLOTS;
        const state = follows ? SlotState.SENT : stateOf(value, SlotState);
        // The state first: with its outcome known, the parent may give the slot to another call.
        if (state === SlotState.SENT) {
          Atomics.store(states, slot, slotWord(seq, SLOTS, state));
          post(["result", seq, duration, value]);
          return;
        }
        if (state === SlotState.NUMBER) numbers[slot] = value as number;
        durations[slot] = duration;
        Atomics.store(states, slot, slotWord(seq, SLOTS, state));
        if (Atomics.exchange(woken, 0, 1) === 0) post(null);
      },
      send(message) {
        if (message[0] === "error") {
          Atomics.store(states, message[1] % SLOTS, slotWord(message[1], SLOTS, SlotState.SENT));
        }
        post(message);
      },
      findUncloneable: (value) => parts.findUncloneable(value, false),
      // The resident set is that of the whole program.
      memory: ({ heapUsed, external }) => heapUsed + external,
      permissionHint: "",
      inbox: parts.makeInbox(slots, parts),
    };
    run = parts.taskRunner(states, link, parts);
  }, () => run?.(["unreadable"]));
}

/**
 * Writes messages to the stdout of a child in packets, each a single small write, which a pipe never mixes with
 * another: so several threads may write, and what a task prints itself goes between the packets. A packet is the key, a
 * channel, a flag for the last one of a message, the length of its part in 16 bits, the part, and a newline.
 */
export function packetWriter(key: Uint8Array, channel: number): (payload: Uint8Array) => void {
  // What a pipe takes in one piece.
  const PACKET = Deno.build.os === "linux" ? 4096 : 512;
  const writeSync = Deno.stdout.writeSync.bind(Deno.stdout); // a task may replace it, and is not to see the key
  const header = key.length + 4;
  const room = PACKET - header - 1;
  const NEWLINE = 0x0a;
  const packet = new Uint8Array(PACKET);
  packet.set(key);
  packet[key.length] = channel;
  return (payload) => {
    let offset = 0;
    do {
      const length = Math.min(payload.length - offset, room);
      packet[key.length + 1] = offset + length === payload.length ? 1 : 0;
      packet[key.length + 2] = length & 0xff;
      packet[key.length + 3] = length >> 8;
      packet.set(length === payload.length ? payload : payload.subarray(offset, offset + length), header);
      // Deno writes to stdout up to the last newline at once, and what is behind it in a second piece.
      const end = header + length;
      packet[end] = NEWLINE;
      for (let written = 0; written <= end;) written += writeSync(packet.subarray(written, end + 1));
      offset += length;
    } while (offset < payload.length);
  };
}

/**
 * The program of the thread in a child process that does the work. It writes its results to stdout itself, before it
 * starts the next call.
 *
 * After its last call it waits a little for the next one where it stands: to be woken there takes some microseconds, and
 * by a message twenty more. What the tasks have left behind (timers, connections) gets its turn after that.
 */
export function processTaskProgram(parts: Parts, v8: V8): void {
  const { SLOTS, SlotState, slotWord, Mail, FrameKind, HEADER } = parts;
  /** How long it may keep its event loop waiting, in milliseconds. */
  const PAUSE = 4;
  let take: ((frames: Uint8Array<ArrayBuffer> | ArrayBuffer) => void) | undefined;
  const codec = parts.makeCodec(v8, parts.findUncloneable);
  // Stdin is the parent's: to a task, and to programs that it starts, it is at its end.
  Object.defineProperties(Deno.stdin, {
    read: { value: () => Promise.resolve(null) },
    readSync: { value: () => null },
    readable: { get: () => new Blob().stream() },
  });
  // A cache is on the disk.
  if (Deno.permissions.querySync({ name: "write" }).state !== "granted") {
    Object.defineProperty(globalThis, "caches", { value: undefined });
  }
  Object.defineProperty(Deno, "Command", {
    value: class Command extends Deno.Command {
      constructor(command: string | URL, options: Deno.CommandOptions = {}) {
        const { stdin = "inherit" } = options;
        super(command, { ...options, stdin: stdin === "inherit" ? "null" : stdin });
      }
    },
  });

  // The first message is the memory and the key, the others are frames, or buffers for the next one.
  const post = parts.takeChannel((data: Uint8Array<ArrayBuffer> | ArrayBuffer | ProcessMemory) => {
    if (take !== undefined) return take(data as Uint8Array<ArrayBuffer> | ArrayBuffer);
    const { memory, mailbox, key } = data as ProcessMemory;
    const { states } = parts.layOutSlots(memory, SLOTS);
    const mail = new Int32Array(mailbox, 0, Mail.WORDS);
    const letter = new Uint8Array(mailbox, 4 * Mail.WORDS);
    const write = parts.packetWriter(key, 0);
    /** The number of the last call that was received, and of the last one that is over. */
    let last = -1;
    let over = -2;
    /** How often something was received. */
    let received = 0;
    let attached: ArrayBuffer[] = [];

    function report(seq: number, payload: Uint8Array): void {
      over = seq;
      // The state first: with its outcome known, the parent may give the slot to another call.
      Atomics.store(states, seq % SLOTS, slotWord(seq, SLOTS, SlotState.SENT));
      write(payload);
    }
    function send(message: FromWorker): void {
      const payload = codec.encode(message);
      if (message[0] === "error") return report(message[1], payload);
      write(payload);
      // The whole child ends with the code that the task gave.
      if (message[0] === "exit") post(message[1]);
    }
    const run = parts.taskRunner(states, {
      result: (seq, duration, value) => report(seq, codec.encodeResult(seq, duration, value)),
      send,
      findUncloneable: (value) => parts.findUncloneable(value, true),
      memory: ({ rss }) => rss,
      permissionHint: " (a task has the permissions of its pool: new ProcessPoolExecutor({ permissions: ... }))",
    }, parts);

    function open(frames: Uint8Array<ArrayBuffer>): void {
      received = (received + 1) | 0;
      const view = new DataView(frames.buffer, frames.byteOffset);
      for (let at = 0; at < frames.length;) {
        const end = at + HEADER + view.getUint32(at, true);
        if (view.getUint8(at + 4) === FrameKind.RUN) {
          last = view.getFloat64(at + 8, true) + view.getUint16(at + 6, true) - 1;
        }
        const message = codec.decode(frames.subarray(at + HEADER, end), attached) as ToWorker;
        attached = [];
        run(message);
        at = end;
      }
    }
    /** Waits for what comes next, unless it comes as a message. `undefined`: nothing has come, and the time is over. */
    function wait(time: number): Uint8Array<ArrayBuffer> | undefined {
      // With what it has received: nothing is to overtake a message that is still on its way.
      const waiting = (received << 2) | Mail.WAITING;
      Atomics.store(mail, Mail.STATE, waiting);
      if (Atomics.load(mail, Mail.SENT) === received) Atomics.wait(mail, Mail.STATE, waiting, time);
      const state = Atomics.compareExchange(mail, Mail.STATE, waiting, Mail.AWAY);
      if (state === waiting || state === Mail.AWAY) return undefined;
      Atomics.wait(mail, Mail.STATE, Mail.TAKEN);
      const frames = letter.slice(0, mail[Mail.LENGTH]);
      Atomics.store(mail, Mail.STATE, Mail.AWAY);
      return frames as Uint8Array<ArrayBuffer>;
    }
    take = (frames) => {
      if (frames instanceof ArrayBuffer) {
        received = (received + 1) | 0;
        attached.push(frames);
        return;
      }
      const until = performance.now() + PAUSE;
      let next: Uint8Array<ArrayBuffer> | undefined = frames;
      while (next !== undefined) {
        open(next);
        const time = until - performance.now();
        next = over === last && time > 0 ? wait(time) : undefined;
      }
    };
  });
}

/** What the threads of a child share. */
interface ProcessMemory {
  readonly memory: SharedArrayBuffer;
  readonly mailbox: SharedArrayBuffer;
  readonly key: Uint8Array;
}

/**
 * What a child is started with: it reads the program of its main thread from its stdin, as Deno takes milliseconds for
 * the URL of a module that is long.
 */
export async function processBootProgram(HEADER: number): Promise<void> {
  function read(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) at += Deno.stdin.readSync(bytes.subarray(at)) ?? Deno.exit(0);
    return bytes;
  }
  const length = new DataView(read(HEADER).buffer).getUint32(0, true);
  await (0, eval)(new TextDecoder().decode(read(length)));
}

/**
 * The program of a child's main thread. It never runs a task, so it is there at once when the parent takes calls back,
 * closes the pipe, or dies.
 *
 * A frame on stdin is a length, a kind, and a body. The first one here is the key and the other thread's program.
 *
 * While calls come, it does nothing but wait for the pipe: to be woken by the event loop takes twice as long. When none
 * has come for a while, the parent tells it to PARK, and it looks after its events again: whether the other thread has
 * died, which nobody would notice earlier than that anyway.
 */
export async function processMainProgram(
  SLOTS: number,
  SlotState: Parts["SlotState"],
  layOutSlots: Parts["layOutSlots"],
  slotWord: Parts["slotWord"],
  packetWriter: Parts["packetWriter"],
  SHARED_BYTES: number,
  FrameKind: Parts["FrameKind"],
  HEADER: number,
  Mail: Parts["Mail"],
  taskUrl: string,
): Promise<void> {
  const KEY_LENGTH = 16;
  // One read takes in many small frames; a large one is read to where it stays.
  const buffer = new Uint8Array(65536);
  const view = new DataView(buffer.buffer);
  let start = 0;
  let end = 0;
  let parked = false;
  /** How many frames have come; the boot program has taken one. */
  let frames = 1;

  async function readInto(target: Uint8Array): Promise<number> {
    while (true) {
      try {
        const count = parked ? await Deno.stdin.read(target) : Deno.stdin.readSync(target);
        // The parent closed the pipe, or is dead. A task that is still running ends here, too.
        return count ?? Deno.exit(0);
      } catch (error) {
        if (!(error instanceof Deno.errors.Interrupted)) throw error; // a signal that somebody handles
      }
    }
  }
  /** How long the next frame is, which is at `at`, or at least how much of it is to be known first. */
  function frameLength(at: number): number {
    if (end - at < HEADER) return HEADER;
    if (view.getUint8(at + 5) !== (frames & 0xff)) {
      console.error("A task, or a program that it has started, has read from the stdin of its worker");
      Deno.exit(1);
    }
    return HEADER + view.getUint32(at, true);
  }
  /** Reads until the frame at `start` is there. Gives it back if it does not fit, or the buffer that it is. */
  async function readFrame(): Promise<Uint8Array<ArrayBuffer> | ArrayBuffer | undefined> {
    while (end - start < frameLength(start)) {
      const length = frameLength(start);
      buffer.copyWithin(0, start, end);
      end -= start;
      start = 0;
      if (length > buffer.length) {
        const isAttached = view.getUint8(4) === FrameKind.ATTACH;
        const skip = isAttached ? HEADER : 0;
        const frame = new Uint8Array(length - skip);
        frame.set(buffer.subarray(skip, end));
        // The rest is on its way; it comes in many pieces.
        const wasParked = parked;
        parked = false;
        for (let at = end - skip; at < frame.length;) at += await readInto(frame.subarray(at));
        parked = wasParked;
        end = 0;
        frames++;
        return isAttached ? frame.buffer : frame;
      }
      end += await readInto(buffer.subarray(end));
    }
    return undefined;
  }

  const large = await readFrame() as Uint8Array<ArrayBuffer> | undefined;
  const program = large ?? buffer.slice(0, frameLength(0));
  if (large === undefined) {
    start = program.length;
    frames++;
  }
  const key = program.slice(HEADER, HEADER + KEY_LENGTH);
  const memory = new SharedArrayBuffer(SHARED_BYTES);
  const { states } = layOutSlots(memory, SLOTS);
  const mailbox = new SharedArrayBuffer(4 * Mail.WORDS + Mail.BYTES);
  const mail = new Int32Array(mailbox, 0, Mail.WORDS);
  const letter = new Uint8Array(mailbox, 4 * Mail.WORDS);
  const seqs = new Float64Array(SLOTS);
  const write = packetWriter(key, 1);

  // Ctrl-C is for the program: that ends its children, or lets them finish.
  Deno.addSignalListener("SIGINT", () => {});
  const worker = new Worker(taskUrl, { type: "module" });
  parked = true;
  worker.onmessage = (event: MessageEvent<number | null>) => Deno.exit(event.data ?? 0);
  worker.onerror = (event) => {
    event.preventDefault(); // Deno has printed it
    Deno.exit(1);
  };
  worker.postMessage(new TextDecoder().decode(program.subarray(HEADER + KEY_LENGTH)));
  worker.postMessage({ memory, mailbox, key } satisfies ProcessMemory);

  /** Takes note of the calls in a frame. */
  function announce(frame: DataView, at: number): void {
    const first = frame.getFloat64(at + 8, true);
    for (let seq = first; seq < first + frame.getUint16(at + 6, true); seq++) {
      seqs[seq % SLOTS] = seq;
      Atomics.store(states, seq % SLOTS, slotWord(seq, SLOTS, SlotState.HANDED));
    }
    parked = false;
  }
  /** Hands frames to the other thread: to where it waits, or as a message. */
  function forward(frames: Uint8Array<ArrayBuffer> | ArrayBuffer): void {
    if (frames.byteLength === 0) return;
    // First, so that it does not begin to wait now.
    const waiting = (Atomics.add(mail, Mail.SENT, 1) << 2) | Mail.WAITING;
    const fits = !(frames instanceof ArrayBuffer) && frames.length <= Mail.BYTES;
    const waits = Atomics.compareExchange(mail, Mail.STATE, waiting, fits ? Mail.TAKEN : Mail.AWAY) === waiting;
    if (!waits || !fits) {
      if (waits) Atomics.notify(mail, Mail.STATE);
      if (frames instanceof ArrayBuffer) return worker.postMessage(frames, [frames]);
      const message = frames.buffer === buffer.buffer ? frames.slice() : frames;
      return worker.postMessage(message, [message.buffer]);
    }
    letter.set(frames);
    mail[Mail.LENGTH] = frames.length;
    Atomics.store(mail, Mail.STATE, Mail.DELIVERED);
    Atomics.notify(mail, Mail.STATE);
  }
  function takeBack(): void {
    const returned: number[] = [];
    // The newest first: the other thread goes on meanwhile, and all that it can still start comes before what is taken
    // back.
    for (const seq of seqs.toSorted().reverse()) {
      const handed = slotWord(seq, SLOTS, SlotState.HANDED);
      const revoked = slotWord(seq, SLOTS, SlotState.REVOKED);
      if (Atomics.compareExchange(states, seq % SLOTS, handed, revoked) === handed) returned.unshift(seq);
    }
    const running = seqs.find((seq) => Atomics.load(states, seq % SLOTS) === slotWord(seq, SLOTS, SlotState.RUNNING)) ??
      null;
    write(new TextEncoder().encode(JSON.stringify({ running, returned })));
  }

  while (true) {
    const large = await readFrame();
    if (large !== undefined) {
      if (large instanceof Uint8Array) {
        const frame = new DataView(large.buffer);
        if (frame.getUint8(4) === FrameKind.RUN) announce(frame, 0);
      }
      forward(large);
      continue;
    }
    // All that is there goes on in one piece.
    let at = start;
    while (end - at >= frameLength(at)) {
      const length = frameLength(at);
      const kind = view.getUint8(at + 4);
      if (kind === FrameKind.RUN) announce(view, at);
      else if (kind !== FrameKind.FORWARD) {
        forward(buffer.subarray(start, at));
        start = at + length;
        if (kind === FrameKind.TAKE_BACK) takeBack();
        else parked = true;
      }
      at += length;
      frames++;
    }
    forward(buffer.subarray(start, at));
    start = at;
  }
}
