/**
 * {@linkcode createSubprocessExec}, {@linkcode createSubprocessShell} and {@linkcode Process}: other programs.
 * @module
 */

import { constants } from "node:os";
import { patiently } from "./_cancellation.ts";
import { Connection, type Endpoint } from "./_connection.ts";
import { requireOptions, requireTexts } from "../_require.ts";
import { requireBytes, requireText } from "./_require.ts";
import { wake } from "./_waiter.ts";
import { type Coroutine, coroutine, FunctionCoroutine, type GeneratorCoroutine } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import type { EventLoop } from "./event_loop.ts";
import { CancelledError, ProcessLookupError, ValueError } from "./exceptions.ts";
import type { Future } from "./future.ts";
import { gather } from "./gather.ts";
import { StreamReader, toLimit } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** A pipe between the process and this program. */
export const PIPE = "pipe";
/** Nothing to read, and all that is written is dropped. */
export const DEVNULL = "devnull";
/** For `stderr`: the same as `stdout`, in the order of the writing. */
export const STDOUT = "stdout";

/** Options of {@linkcode createSubprocessExec} and {@linkcode createSubprocessShell}. */
export interface SubprocessOptions {
  /**
   * What the process reads: {@linkcode PIPE}, {@linkcode DEVNULL}, or that of this program.
   * @default {null}
   */
  stdin?: typeof PIPE | typeof DEVNULL | null | undefined;
  /**
   * Where it writes: {@linkcode PIPE}, {@linkcode DEVNULL}, or that of this program.
   * @default {null}
   */
  stdout?: typeof PIPE | typeof DEVNULL | null | undefined;
  /**
   * Where it writes errors: as `stdout`, or {@linkcode STDOUT}, for which a shell starts the program: see {@linkcode
   * createSubprocessExec}.
   * @default {null}
   */
  stderr?: typeof PIPE | typeof DEVNULL | typeof STDOUT | null | undefined;
  /** The directory it runs in. That of this program by default. */
  cwd?: string | URL | undefined;
  /**
   * Its environment, all of it. That of this program by default. Where it is a shell that starts the program, there is
   * what that sets by itself as well, such as `PWD`: with {@linkcode createSubprocessShell}, and with {@linkcode STDOUT}.
   */
  env?: Record<string, string> | undefined;
  /**
   * The limit of the readers. See {@linkcode StreamReader}.
   * @default {65536}
   */
  limit?: number | undefined;
}

/** What a process has written, as {@linkcode Process.communicate} gives it; `null` of what is no pipe. */
export type CommunicateResult = [stdout: Uint8Array<ArrayBuffer> | null, stderr: Uint8Array<ArrayBuffer> | null];

/** How much is given to the host at once, which cannot be taken back: what a pipe takes on Linux. */
const PIPE_SIZE = 64 * 1024;

/**
 * A process that was started. CPython's `asyncio.subprocess.Process`.
 *
 * `await using process = ...` sees to it that it does not outlive the block: it is killed then, if it has not ended. The
 * end of the loop does the same.
 */
export class Process implements AsyncDisposable {
  /**
   * What it reads, if that is a {@linkcode PIPE}.
   *
   * {@linkcode StreamWriter.abort} cannot take back what is in the pipe, and a piece of up to 64 KiB that the host is
   * writing: the process gets these, and then the end.
   */
  readonly stdin: StreamWriter | null;
  /** What it writes, if that is a {@linkcode PIPE}. */
  readonly stdout: StreamReader | null;
  /** What it writes as errors, if that is a {@linkcode PIPE}. */
  readonly stderr: StreamReader | null;
  /** Its number in the system. */
  readonly pid: number;
  readonly #loop: EventLoop;
  readonly #child: Deno.ChildProcess;
  readonly #input: Connection | null;
  readonly #outputs: Connection[] = [];
  readonly #waiters = new Set<Future<void>>();
  #returncode: number | null = null;
  /** Why it cannot be known how it ended. */
  #failure: { readonly error: unknown } | null = null;

  /** @internal */
  constructor(child: Deno.ChildProcess, loop: EventLoop, pipes: Pipes) {
    this.#child = child;
    this.#loop = loop;
    this.pid = child.pid;
    this.#input = pipes.stdin ? new Connection(inputOf(child), loop, null) : null;
    this.stdin = this.#input === null ? null : new StreamWriter(this.#input, null, null);
    this.stdout = pipes.stdout ? this.#output(child.stdout, pipes.limit) : null;
    this.stderr = pipes.stderr ? this.#output(child.stderr, pipes.limit) : null;
    loop._resources.add(this);
    child.status.then(
      ({ code, signal }) => this.#ended(signal === null ? code : -constants.signals[signal as "SIGTERM"]),
      (error) => this.#failed(error),
    );
  }

  /** How it ended: its exit code, or the negative number of the signal that killed it; `null` until then. */
  get returncode(): number | null {
    return this.#returncode;
  }

  /**
   * Waits until it has ended. Any number of tasks may wait; cancelling it lets the process run on.
   *
   * As in CPython 3.14, it does not wait for the ends of its pipes. A process that writes more than its pipes hold ends
   * only if somebody reads them, as {@linkcode Process.communicate} does.
   *
   * @returns A coroutine of the {@linkcode Process.returncode}.
   */
  wait(): Coroutine<number> {
    return new FunctionCoroutine<[], number>(this.#wait, [], this, "Process.wait");
  }

  /**
   * Writes `input` to its stdin and closes that, reads all that it writes, and waits until it has ended. That it does
   * not read its input to the end is no error.
   *
   * If it is cancelled while it waits, the process is killed, and nothing of it is left behind. CPython lets it run on.
   *
   * @param input What to write; `stdin` has to be a {@linkcode PIPE} then.
   * @returns A coroutine of what it wrote to `stdout` and `stderr`, each `null` if it is no {@linkcode PIPE}.
   * @throws {TypeError} (at the call) If `input` is no `Uint8Array`.
   * @throws {ValueError} (at the call) If there is an `input`, and `stdin` is no pipe. CPython drops it.
   */
  communicate(input?: Uint8Array | null): Coroutine<CommunicateResult> {
    if (input !== undefined && input !== null) {
      requireBytes(input, "send");
      if (this.stdin === null) {
        throw new ValueError(`Cannot send input to ${this} as its stdin is no pipe: start it with { stdin: PIPE }`);
      }
    }
    return new FunctionCoroutine<[Uint8Array | null], CommunicateResult>(
      this.#communicate,
      [input ?? null],
      this,
      "Process.communicate",
    );
  }

  /**
   * Sends it a signal. One that has ended, while others still hold its pipes, is let be.
   *
   * @param signal The name of the signal. CPython takes its number.
   * @throws {ValueError} If there is no signal of that name.
   * @throws {TypeError} If it is no string.
   * @throws {ProcessLookupError} If it has ended and its pipes are closed.
   */
  sendSignal(signal: Deno.Signal): void {
    requireSignal(signal);
    if (this.#returncode !== null) {
      if (this.#outputs.every((output) => output.lost)) {
        throw new ProcessLookupError(`Cannot send ${signal} to ${this}: it has ended, as returncode tells`);
      }
      return;
    }
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has ended, and `status` is on its way.
      if (!hasTerminated(error)) throw error;
    }
  }

  /**
   * Asks it to end, with SIGTERM.
   *
   * @throws {ProcessLookupError} If it has ended and its pipes are closed.
   */
  terminate(): void {
    this.sendSignal("SIGTERM");
  }

  /**
   * Kills it, with SIGKILL.
   *
   * @throws {ProcessLookupError} If it has ended and its pipes are closed.
   */
  kill(): void {
    this.sendSignal("SIGKILL");
  }

  /**
   * Kills it, if it has not ended, waits for its end, and closes its pipes. CPython does that when it is collected.
   *
   * It waits in a cancelled scope as well: that is short.
   *
   * @returns A coroutine.
   */
  [Symbol.asyncDispose](): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this.#end, [], this, "Process.dispose");
  }

  /** What the end of its loop does. @internal */
  [Symbol.dispose](): void {
    if (this.#returncode === null) this.kill();
    this.#closePipes();
  }

  /** The class, the number and the state, for messages. */
  toString(): string {
    return `<Process ${this.pid}${this.#returncode === null ? "" : ` returncode=${this.#returncode}`}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  *#wait(): GeneratorCoroutine<number> {
    if (this.#returncode === null && this.#failure === null) {
      const waiter = this.#loop.createFuture<void>();
      this.#waiters.add(waiter);
      // As a promise of the host: a virtual clock stands still meanwhile.
      this.#loop._countNative(false, 1);
      try {
        yield* waiter;
      } finally {
        this.#loop._countNative(false, -1);
        this.#waiters.delete(waiter);
      }
    }
    if (this.#failure !== null) throw this.#failure.error;
    return this.#returncode!;
  }

  *#communicate(input: Uint8Array | null): GeneratorCoroutine<CommunicateResult> {
    try {
      const [, stdout, stderr] = yield* gather([
        feed(this.stdin, input),
        this.stdout?.read() ?? nothing(),
        this.stderr?.read() ?? nothing(),
      ]);
      yield* this.#wait();
      return [stdout, stderr];
    } catch (error) {
      if (error instanceof CancelledError) yield* this.#end();
      throw error;
    }
  }

  /** Kills it and waits for that. */
  *#end(): GeneratorCoroutine<void> {
    this[Symbol.dispose]();
    // The system reaps it, whether or not anybody waits.
    yield* patiently(this.#wait());
  }

  #closePipes(): void {
    this.#input?.abort();
    for (const output of this.#outputs) output.abort();
  }

  #output(stream: ReadableStream<Uint8Array>, limit: number): StreamReader {
    const reader = new StreamReader({ limit, loop: this.#loop });
    const connection = new Connection(outputOf(stream), this.#loop, reader, () => this.#pipeClosed());
    this.#outputs.push(connection);
    connection.begin();
    return reader;
  }

  #failed(error: unknown): void {
    // Deno has no names for the real-time signals, and fails where one has killed a process.
    const signal = /^Invalid signal: (\d+)$/.exec((error as Error).message);
    if (signal === null) this.#failure = { error };
    this.#ended(signal === null ? null : -Number(signal[1]));
  }

  #ended(returncode: number | null): void {
    this.#returncode = returncode;
    this.#loop._resources.delete(this);
    this.#pipeClosed();
    for (const waiter of this.#waiters) wake(waiter);
  }

  /** Nobody reads what it is sent when it has ended and closed what it writes to. */
  #pipeClosed(): void {
    if (this.#returncode !== null && this.#outputs.every((output) => output.lost)) this.#input?.abort();
  }
}

/** Which pipes a process has. */
interface Pipes {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly limit: number;
}

const nothing = coroutine(function* nothing(): GeneratorCoroutine<null> {
  return null;
});

const feed = coroutine(function* feed(stdin: StreamWriter | null, input: Uint8Array | null) {
  if (stdin === null) return;
  try {
    if (input !== null) stdin.write(input);
    yield* stdin.drain();
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe) && !(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  stdin.close();
});

/** Checks the name of a signal. */
function requireSignal(signal: unknown): void {
  const advice = 'pass a name such as "SIGTERM"';
  if (typeof signal !== "string") {
    throw new TypeError(`Cannot send ${Deno.inspect(signal, { depth: 0 })} as a signal: ${advice}`);
  }
  if (!Object.hasOwn(constants.signals, signal)) {
    throw new ValueError(`Cannot send ${Deno.inspect(signal)} as there is no such signal: ${advice}`);
  }
}

/** Whether `error` says that there is no process to send a signal to. Deno has no class of its own for that. */
function hasTerminated(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    (error instanceof TypeError && error.message.includes("already terminated"));
}

function inputOf(child: Deno.ChildProcess): Endpoint {
  const writer = child.stdin.getWriter();
  writer.closed.catch(() => {});
  const close = (): Promise<void> => writer.close();
  return {
    halfOpen: false,
    write: async (data) => {
      const piece = data.subarray(0, PIPE_SIZE);
      await writer.write(piece);
      return piece.length;
    },
    closeWrite: close,
    close: () => void writer.abort().catch(() => {}),
  };
}

function outputOf(stream: ReadableStream<Uint8Array>): Endpoint {
  const reader = stream.getReader();
  reader.closed.catch(() => {});
  return {
    halfOpen: false,
    read: async () => (await reader.read()).value ?? null,
    close: () => void reader.cancel().catch(() => {}),
  };
}

/**
 * Starts a program. CPython's `asyncio.create_subprocess_exec`.
 *
 * Needs `--allow-run=program`. With `stderr: STDOUT` and a `stdout` that is not `DEVNULL` it is `sh` that starts the
 * program, in whose place it then runs: Deno cannot give a program one pipe twice. That needs `--allow-run=sh`, is not
 * there on Windows, and a program that does not exist ends with the return code 127.
 *
 * @param program Its name or path.
 * @param args Its arguments.
 * @param options Pipes, directory and environment.
 * @returns A coroutine of the process.
 * @throws {TypeError} (at the call) If an argument is no string, or an option is none of those that are allowed.
 * @throws {ValueError} (at the call) If the program is empty, or the limit is no whole number above 0.
 * @throws {Deno.errors.NotFound} (when awaited) If there is no such program.
 *
 * @example
 * ```ts
 * import { createSubprocessExec, PIPE, run } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await run(async () => {
 *   await using process = await createSubprocessExec("cat", [], { stdin: PIPE, stdout: PIPE });
 *   const [stdout] = await process.communicate(new TextEncoder().encode("meow"));
 *   assertEquals([new TextDecoder().decode(stdout!), process.returncode], ["meow", 0]);
 * });
 * ```
 */
export function createSubprocessExec(
  program: string,
  args: readonly string[] = [],
  options: SubprocessOptions = {},
): Coroutine<Process> {
  requireText(program, "program");
  const list = requireTexts(args, "arguments");
  requireSubprocessOptions(options);
  if (!merges(options)) return start(program, list, options);
  return start("sh", ["-c", 'exec "$0" "$@" 2>&1', program, ...list], options);
}

/**
 * Starts a command of the shell: `sh -c`, and on Windows `cmd /c`. CPython's `asyncio.create_subprocess_shell`.
 *
 * The shell takes the command apart: what comes from elsewhere has to be quoted, or better passed to {@linkcode
 * createSubprocessExec}. Needs `--allow-run=sh` (on Windows `cmd`), which is the permission to run anything.
 *
 * @param command The command.
 * @param options Pipes, directory and environment.
 * @returns A coroutine of the process.
 * @throws {TypeError} (at the call) If an option is none of those that are allowed.
 * @throws {ValueError} (at the call) If the limit is no whole number above 0.
 *
 * @example
 * ```ts
 * import { createSubprocessShell, PIPE, run, STDOUT } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await run(function* () {
 *   const process = yield* createSubprocessShell("echo out; echo err >&2; exit 3", { stdout: PIPE, stderr: STDOUT });
 *   const [stdout, stderr] = yield* process.communicate();
 *   assertEquals(new TextDecoder().decode(stdout!), "out\nerr\n");
 *   assertEquals([stderr, process.returncode], [null, 3]);
 * });
 * ```
 */
export function createSubprocessShell(command: string, options: SubprocessOptions = {}): Coroutine<Process> {
  if (typeof command !== "string") {
    throw new TypeError(`Cannot run ${Deno.inspect(command, { depth: 0 })} as a command of the shell: pass a string`);
  }
  requireSubprocessOptions(options);
  const merged = merges(options);
  if (Deno.build.os === "windows") return start("cmd", ["/d", "/s", "/c", `"${command}"`], options);
  return start("sh", ["-c", merged ? `exec 2>&1; ${command}` : command], options);
}

/** Checks the options that are not checked where they are used. */
function requireSubprocessOptions(options: SubprocessOptions): void {
  requireOptions(options, "options", "{ stdout: PIPE }");
  const { cwd, env } = options;
  if (cwd !== undefined && !(cwd instanceof URL)) requireText(cwd, "cwd");
  if (env === undefined) return;
  requireOptions(env, "env", "{ NAME: value }");
  for (const [name, value] of Object.entries(env)) {
    if (typeof value !== "string") {
      throw new TypeError(`Cannot use ${Deno.inspect(value, { depth: 0 })} as ${name} in env: pass a string`);
    }
  }
}

/** Whether it takes a shell to bring stderr to stdout; checks that it can be done. */
function merges(options: SubprocessOptions): boolean {
  if (options.stderr !== STDOUT || options.stdout === DEVNULL) return false;
  if (Deno.build.os === "windows") {
    throw new ValueError(
      "Cannot send stderr to stdout on Windows: read both as pipes, or have the command do it with 2>&1",
    );
  }
  return true;
}

const STDIO = new Map<unknown, "piped" | "null" | "inherit">([
  [PIPE, "piped"],
  [DEVNULL, "null"],
  [null, "inherit"],
  [undefined, "inherit"],
]);

function start(program: string, args: string[], options: SubprocessOptions): Coroutine<Process> {
  const { cwd, env } = options;
  const stdio = (name: "stdin" | "stdout" | "stderr", value: unknown): "piped" | "null" | "inherit" => {
    const kind = STDIO.get(value);
    if (kind !== undefined) return kind;
    const allowed = name === "stderr" ? "PIPE, DEVNULL, STDOUT or null" : "PIPE, DEVNULL or null";
    throw new TypeError(`Cannot use ${Deno.inspect(value, { depth: 0 })} as ${name}: pass ${allowed}`);
  };
  const stdin = stdio("stdin", options.stdin);
  const stdout = stdio("stdout", options.stdout);
  const stderr = options.stderr === STDOUT
    // By the shell, if it is no matter of dropping both.
    ? stdout === "null" ? "null" : "inherit"
    : stdio("stderr", options.stderr);
  return spawn(
    new Deno.Command(program, {
      args,
      stdin,
      stdout,
      stderr,
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env, clearEnv: true }),
      windowsRawArguments: program === "cmd",
    }),
    {
      stdin: stdin === "piped",
      stdout: stdout === "piped",
      stderr: stderr === "piped",
      limit: toLimit(options.limit),
    },
  );
}

const spawn = coroutine(function* createSubprocess(command: Deno.Command, pipes: Pipes): GeneratorCoroutine<Process> {
  return new Process(command.spawn(), getRunningLoop(), pipes);
});
