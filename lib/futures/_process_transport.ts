/**
 * Workers as child processes of Deno, which talk over their stdin and stdout.
 * @module
 */

import v8 from "node:v8";
import { findUncloneable } from "./_cloneable.ts";
import { type Codec, makeCodec, type V8 } from "./_codec.ts";
import { decodeError } from "./_error_codec.ts";
import { BrokenProcessPoolError, type WorkerExit } from "./errors.ts";
import type { FunctionRef } from "./_function_ref.ts";
import { makeKey, PacketReader } from "./_packet_reader.ts";
import { makeIsPlain } from "./_plain_data.ts";
import {
  type Call,
  FrameKind,
  type FromWorker,
  HEADER,
  layOutSlots,
  Mail,
  SLOTS,
  SlotState,
  slotWord,
  type ToWorker,
} from "./_protocol.ts";
import { definitionOf, type Transport, type TransportEvents } from "./_transport.ts";
import { bootUrl, moduleUrl, programSource } from "./_worker_program.ts";
import { packetWriter, processBootProgram, processMainProgram, processSupervisorProgram } from "./_process_program.ts";

const STDERR_KEPT = 4096;
/** How much of a child's stdout is read at a time: what a pipe holds. */
const READ = 65536;
/** How long a child has to end after a signal that it can handle, in milliseconds. */
const GRACE = 1000;
/** How long a child has to answer before it is killed without an answer, in milliseconds. */
const PATIENCE = 25;
/** What the header of a frame has no room for, in bytes. */
const TOO_LARGE = 2 ** 32;
/** Frames of up to so many bytes are put together. */
const SMALL = 4096;
/**
 * After what time a child that runs something, or has to answer, is sent a frame for the first time, and then each time,
 * in milliseconds. If a task has read from the pipe, the child sees it by the number of that.
 */
const CHECK = { first: 25, next: 1000 };

const codec: Codec = makeCodec(v8 as unknown as V8, findUncloneable, makeIsPlain());

/** What runs in a child. */
interface ChildProgram {
  /** The module that it starts with. */
  readonly url: string;
  /** What that evaluates. */
  readonly main: Uint8Array;
}

let program: ChildProgram | undefined;
/** What the last large buffer was copied to. */
let spareMemory: WeakRef<ArrayBuffer> | undefined;

function childProgram(): ChildProgram {
  const supervisor = `(${processSupervisorProgram})(${
    [
      SLOTS,
      JSON.stringify(SlotState),
      layOutSlots,
      slotWord,
      packetWriter,
      JSON.stringify(FrameKind),
      HEADER,
      JSON.stringify(Mail),
    ].join(", ")
  });\n//# sourceURL=skein:supervisor\n`;
  const main = programSource(
    processMainProgram,
    JSON.stringify(bootUrl),
    JSON.stringify(supervisor),
    "v8",
    "key",
  );
  return {
    // node:v8 is loaded when a value needs it: that takes longer than many a task.
    url: moduleUrl(`import defer * as v8 from "node:v8"; (${processBootProgram})(${HEADER}, v8);`),
    main: new TextEncoder().encode(`(v8, key) => {${main}}`),
  };
}

/** The parts one after the other. */
function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The parts one after the other, behind the room for a header. */
function withRoom(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return concat([new Uint8Array(HEADER), ...parts]);
}

/** What a child process is started with. */
export interface ProcessSettings {
  /** Deno's flags. */
  readonly flags: readonly string[];
  /** Modules that the child imports before it gives up the permissions of `revoke`. */
  readonly modules: readonly string[];
  readonly revoke: readonly ("read" | "import")[];
  /** Whether the child has none of the program's environment but what Deno needs. */
  readonly clearEnv: boolean;
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly cwd: string | URL | undefined;
  readonly maxMemory: number | null;
  /** How large a message of the child may be, in bytes. */
  readonly maxResult: number;
}

/** A child process, seen from its pool. */
export class ProcessTransport implements Transport {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #events: TransportEvents;
  readonly #key = makeKey();
  #stderrTail = "";
  /** How many frames it was sent: their numbers tell it if somebody else has read some of them. */
  #frames = 0;
  /** The small ones of this turn, which are written in one piece: each write wakes the child. */
  #unwritten: Uint8Array<ArrayBuffer>[] = [];
  /** The calls that nobody waits for any more. If the child runs one of them, it is killed. */
  readonly #doomed = new Set<number>();
  /** How many answers to `takeBack` are due. */
  #asked = 0;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #grace: ReturnType<typeof setTimeout> | undefined;
  /** The number after the last call that was sent, and the one after the last that is over. */
  #next = 0;
  #settled = 0;
  #check: ReturnType<typeof setTimeout> | undefined;
  #ref = true;
  /** How often something came from the child. */
  #heard = 0;
  /** It is gone, or was told to end, and the pool knows: nothing that it says counts any more. */
  #over = false;
  /** Why the pool ended the child, or what was wrong with what the child sent. */
  #reason: string | undefined;

  constructor(
    settings: ProcessSettings,
    initializer: { ref: FunctionRef; args: readonly unknown[] } | undefined,
    events: TransportEvents,
  ) {
    this.#events = events;
    program ??= childProgram();
    try {
      this.#child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-prompt", ...settings.flags, program.url],
        clearEnv: settings.clearEnv,
        env: settings.clearEnv ? { ...runtimeEnv(), ...settings.env } : { ...settings.env },
        ...(settings.cwd === undefined ? {} : { cwd: settings.cwd }),
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (cause) {
      const why = cause instanceof Deno.errors.NotCapable
        ? `starting one needs --allow-run=${Deno.execPath()}`
        : cause instanceof Error
        ? cause.message
        : String(cause);
      throw new BrokenProcessPoolError(`Cannot start a worker process: ${why}`, { cause });
    }
    this.#stdin = this.#child.stdin.getWriter();
    this.#frame(FrameKind.FORWARD, withRoom(program.main));
    this.#frame(FrameKind.FORWARD, withRoom(this.#key));
    if (initializer !== undefined) this.define(initializer.ref);
    try {
      this.#post([
        "init",
        initializer === undefined ? null : [initializer.ref.id, initializer.args],
        settings.modules,
        settings.revoke,
        settings.maxMemory,
      ]);
    } catch (error) {
      // The arguments have changed since they were looked at. The pool never hears of this child.
      this.#kill("SIGKILL");
      this.#unwritten = [];
      this.#stdin.abort().catch(() => {});
      this.#child.stdout.cancel().catch(() => {});
      this.#child.stderr.cancel().catch(() => {});
      throw error;
    }
    this.#supervise(settings.maxResult);
  }

  get pid(): number {
    return this.#child.pid;
  }

  define(ref: FunctionRef): void {
    this.#post(["define", definitionOf(ref)]);
  }

  send(first: number, calls: readonly Call[], transfer: readonly Transferable[]): number {
    const attached: ArrayBuffer[] = [];
    const { bytes: frame, count } = codec.encodeRun(first, calls, HEADER, attached);
    if (Math.max(frame.length, ...attached.map((buffer) => buffer.byteLength)) >= TOO_LARGE) {
      if (count > 1) return this.send(first, calls.slice(0, 1), transfer);
      throw new RangeError("4 GiB or more at once are too much for a process: send it in parts");
    }
    // Copies, as what is listed here is about to be gone. Nothing is sent before that has worked: large buffers without
    // a call would be taken for those of the next one.
    const copies = attached.map((buffer) => this.#copy(buffer));
    // The caller's buffers are gone all the same, as they would be with threads.
    if (transfer.length > 0) structuredClone(null, { transfer: transfer as Transferable[] });
    for (const copy of copies) this.#attach(copy);
    this.#frame(FrameKind.RUN, frame, first, count);
    this.#next = first + count;
    this.#checkLater();
    return count;
  }

  openStream(seq: number, credit: number): void {
    this.#post(["stream", seq, credit]);
  }

  grant(seq: number, count: number): void {
    this.#post(["credit", seq, count]);
  }

  stopStream(seq: number): void {
    this.#post(["stop", seq]);
  }

  forget(): void {
    this.#post(["forget"]);
  }

  isRunning(seq: number, head: number): boolean {
    // The child reports each result before it starts the next call.
    return seq === head;
  }

  mayHaveStarted(seq: number, head: number): boolean {
    return seq === head;
  }

  revoke(): boolean {
    // Only the child knows, and nothing can be asked of it without waiting.
    return false;
  }

  takeBack(): readonly number[] {
    this.#asked++;
    this.#frame(FrameKind.TAKE_BACK, withRoom());
    this.#checkLater();
    return [];
  }

  abandon(seq: number, head: number): boolean {
    this.#doomed.add(seq);
    // The child answers at once, unless it is past answering; then it is killed for the call that it certainly runs. An
    // answer that is there already is looked at first.
    if (seq === head) {
      this.#patience ??= setTimeout(() => {
        this.#patience = setTimeout(() => this.#end(), 0);
      }, PATIENCE);
    }
    return false;
  }

  close(): void {
    if (this.#grace !== undefined) return; // it ends by itself, in its own way
    this.#reason = "was closed";
    this.#flush();
    this.#stdin.close().catch(() => {}); // it may be dead already
    // One that was stopped (SIGSTOP) hears of nothing.
    this.#killLater();
  }

  kill(signal: Deno.Signal, why = "was terminated"): void {
    this.#reason = why;
    // Or an answer about calls that the pool no longer counts as the child's would end it before its time.
    this.#over = true;
    this.#kill(signal);
    if (signal !== "SIGKILL") this.#killLater();
  }

  #killLater(): void {
    this.#grace ??= setTimeout(() => this.#kill("SIGKILL"), GRACE);
    Deno.unrefTimer(this.#grace);
  }

  setRef(ref: boolean): void {
    if (ref === this.#ref) return;
    this.#ref = ref;
    if (ref) this.#child.ref();
    else this.#child.unref();
  }

  #post(message: ToWorker): void {
    this.#frame(FrameKind.FORWARD, codec.encode(message, HEADER));
  }

  /** Sends a frame, of which the header is to be filled in. */
  #frame(kind: number, frame: Uint8Array<ArrayBuffer>, first = 0, count = 0): void {
    this.#seal(kind, frame, first, count);
    if (frame.length > SMALL) {
      this.#flush();
      this.#write(frame);
    } else if (this.#unwritten.push(frame) === 1) queueMicrotask(() => this.#flush());
  }

  /** Fills in the header of the next frame. */
  #seal(kind: number, frame: Uint8Array<ArrayBuffer>, first = 0, count = 0): void {
    const view = new DataView(frame.buffer, frame.byteOffset);
    view.setUint32(0, frame.length - HEADER, true);
    view.setUint8(4, kind);
    view.setUint8(5, this.#frames++ & 0xff);
    view.setUint16(6, count, true);
    view.setFloat64(8, first, true);
  }

  #flush(): void {
    const frames = this.#unwritten;
    if (frames.length === 0) return;
    this.#unwritten = [];
    this.#write(frames.length === 1 ? frames[0]! : concat(frames));
  }

  #write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#stdin.write(bytes).catch(() => {}); // a dead child is reported when its stdout ends
  }

  /** A frame with a copy of a large buffer. Memory that was used before serves again: new memory takes longer than to copy. */
  #copy(buffer: ArrayBuffer): Uint8Array<ArrayBuffer> {
    const length = HEADER + buffer.byteLength;
    const spare = spareMemory?.deref();
    spareMemory = undefined;
    const memory = spare !== undefined && spare.byteLength >= length ? spare : new ArrayBuffer(length);
    const frame = new Uint8Array(memory, 0, length);
    frame.set(new Uint8Array(buffer), HEADER);
    return frame;
  }

  #attach(frame: Uint8Array<ArrayBuffer>): void {
    this.#seal(FrameKind.ATTACH, frame);
    this.#flush();
    this.#write(frame).then(() => spareMemory = new WeakRef(frame.buffer));
  }

  #checkLater(delay = CHECK.first): void {
    if (this.#check !== undefined) return;
    const frames = this.#frames;
    this.#check = setTimeout(() => {
      this.#check = undefined;
      if (this.#settled >= this.#next && this.#asked === 0) return;
      // Whatever was sent meanwhile did it, too.
      if (frames !== this.#frames) return this.#checkLater();
      this.#frame(FrameKind.CHECK, withRoom());
      this.#checkLater(CHECK.next);
    }, delay);
    Deno.unrefTimer(this.#check);
  }

  /** Ends the child for a call that was abandoned. */
  #end(): void {
    this.#events.lost();
    this.#kill("SIGKILL");
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It is gone already, which is what was wanted.
    }
  }

  async #supervise(maxResult: number): Promise<void> {
    const output = this.#readStdout(maxResult);
    const drained = Promise.all([output, this.#readStderr()]);
    let timer: ReturnType<typeof setTimeout> | undefined;
    // A child that closed its stdout but lives on is of no use.
    output.then(() => timer = setTimeout(() => this.#kill("SIGKILL"), PATIENCE));
    const { code, signal } = await this.#child.status;
    await this.#quiet(drained);
    for (const each of [timer, this.#patience, this.#grace, this.#check]) clearTimeout(each);
    this.#over = true;
    // What it has started may go on to print.
    this.#child.unref();
    this.#stdin.abort().catch(() => {});
    const exit: WorkerExit = signal === null ? { code } : { code, signal };
    this.#events.exited({
      ...exit,
      stderr: this.#stderrTail,
      message: this.#reason ?? (signal === null ? `exited with code ${code}` : `was ended by ${signal}`),
    });
  }

  /**
   * Waits until nothing more comes from the child, which is gone, also if its pipes stay open: programs that a task has
   * started hold them, or nobody reads what this program prints.
   */
  #quiet(drained: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      let turns = 0;
      let heard = this.#heard;
      const timer = setInterval(() => {
        if (heard !== this.#heard) turns = 0;
        heard = this.#heard;
        // Some turns of the event loop, as a timer may be looked at before a pipe is.
        if (++turns === 4) end();
      }, PATIENCE);
      const end = () => {
        clearInterval(timer);
        resolve();
      };
      drained.then(end);
    });
  }

  async #readStdout(maxResult: number): Promise<void> {
    // What a task prints is passed on before what comes behind it is looked at. That may take long: nobody but this
    // child is to wait for who does not read what the program prints.
    const behind: (() => unknown)[] = [];
    const passOn = async () => {
      for (const part of behind.splice(0)) await part();
    };
    const reader = new PacketReader(this.#key, maxResult, {
      output: (bytes) => {
        const copy = bytes.slice();
        behind.push(() => writeAll(Deno.stdout, copy));
      },
      message: (channel, payload) => {
        if (behind.length === 0) return this.#receive(channel, payload);
        const copy = payload.slice();
        behind.push(() => this.#receive(channel, copy));
      },
    });
    const stdout = this.#child.stdout.getReader({ mode: "byob" });
    try {
      // Into one buffer: a new one for each read costs more than what is read.
      let buffer = new Uint8Array(READ);
      while (true) {
        const { value, done } = await stdout.read(buffer);
        if (done) break;
        this.#heard++;
        try {
          reader.push(value);
        } finally {
          // Also what came before something that makes no sense.
          if (behind.length > 0) await passOn();
        }
        buffer = new Uint8Array(value.buffer);
        this.#events.drained();
      }
      reader.end();
      await passOn();
    } catch (error) {
      this.#reason = `sent ${error instanceof Error ? error.message : error}`;
      this.#kill("SIGKILL");
      await stdout.cancel();
    }
  }

  async #readStderr(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      this.#heard++;
      this.#stderrTail = (this.#stderrTail + decoder.decode(chunk, { stream: true })).slice(-STDERR_KEPT);
      await writeAll(Deno.stderr, chunk);
    }
  }

  #receive(channel: number, payload: Uint8Array): void {
    if (this.#over) return;
    if (channel === 1) {
      const { running, returned } = JSON.parse(new TextDecoder().decode(payload)) as {
        running: number | null;
        returned: number[];
      };
      // Nothing that waited can start now: whatever is killed was given up.
      if (running === null) this.#settled = this.#next;
      this.#events.returned(returned);
      if (running !== null && this.#doomed.has(running)) this.#end();
      else if (--this.#asked === 0) {
        clearTimeout(this.#patience);
        this.#patience = undefined;
      }
      return;
    }
    const message = codec.decode(payload) as FromWorker;
    switch (message[0]) {
      case "ready":
        return this.#events.ready();
      case "broken":
        return this.#events.broken(decodeError(message[1]));
      case "result":
        this.#settled = message[1] + 1;
        return this.#events.succeeded(message[1], message[2], message[3]);
      case "error":
        this.#settled = message[1] + 1;
        return this.#events.failed(message[1], message[2], decodeError(message[3]));
      case "progress":
        return this.#events.progress(message[1], message[2]);
      case "yield":
        return this.#events.yielded(message[1], message[2]);
      case "large":
        return this.#events.large();
      case "exit":
        this.#reason = message[1] === null
          ? "was closed by its task, which called close()"
          : `was ended by its task, which called Deno.exit(${message[1]})`;
        return this.#killLater(); // a listener to "unload" may keep it
      default:
        throw new TypeError(`an unknown message: ${Deno.inspect(message, { depth: 0 })}`);
    }
  }
}

/** The variables that Deno itself reads; nothing in them is for tasks. */
const RUNTIME_VARIABLES: readonly string[] = [
  "DENO_CERT",
  "DENO_DIR",
  "DENO_TLS_CA_STORE",
  "HOME",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "JSR_URL",
  "NO_COLOR",
  "NO_PROXY",
  "NPM_CONFIG_REGISTRY",
  "SSL_CERT_DIR",
  "SSL_CERT_FILE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "TMPDIR",
  "USERPROFILE",
  "XDG_CACHE_HOME",
];

/** Those of them that the program has and may read. */
function runtimeEnv(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const variable of RUNTIME_VARIABLES) {
    if (Deno.permissions.querySync({ name: "env", variable }).state !== "granted") continue;
    const value = Deno.env.get(variable);
    if (value !== undefined) env[variable] = value;
  }
  return env;
}

/** Passes on what a task or its runtime printed. That nobody takes it is no fault of the task. */
async function writeAll(sink: { write(bytes: Uint8Array): Promise<number> }, bytes: Uint8Array): Promise<void> {
  try {
    for (let written = 0; written < bytes.length;) written += await sink.write(bytes.subarray(written));
  } catch {
    // A closed pipe or a full disk.
  }
}
