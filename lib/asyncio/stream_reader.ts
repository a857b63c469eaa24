/**
 * {@linkcode StreamReader}: the bytes that come from a connection or a process, or that are fed by hand.
 * @module
 */

import { positiveInteger } from "../_positive_integer.ts";
import { AsyncItems } from "./async_iteration.ts";
import { ByteBuffer } from "./_byte_buffer.ts";
import { requireBytes } from "./_require.ts";
import { policy } from "./_current.ts";
import { type Coroutine, FunctionCoroutine, type GeneratorCoroutine, type Suspension } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { IncompleteReadError, LimitOverrunError, RuntimeError, ValueError } from "./exceptions.ts";
import type { Future } from "./future.ts";

/**
 * How much a reader buffers by default before it has the other side wait, and how long a line may be: 64 KiB.
 *
 * @internal
 */
export const DEFAULT_LIMIT = 64 * 1024;

const NEWLINE = new Uint8Array([10]);

/** Options of {@linkcode StreamReader}. */
export interface StreamReaderOptions {
  /**
   * How long a line may be, in bytes, without its end. Above twice of it in the buffer, reading is paused.
   * @default {65536}
   */
  limit?: number | undefined;
  /** The loop it belongs to. The current one by default. */
  loop?: EventLoop | undefined;
}

/** Where a reader's bytes come from, for {@linkcode StreamReader.setTransport}: what can be told to wait. */
export interface ReadTransport {
  /** Stops calling `feedData`. */
  pauseReading(): void;
  /** Goes on. */
  resumeReading(): void;
}

/**
 * A transport that is driven by the host.
 *
 * @internal
 */
export interface HostTransport extends ReadTransport {
  /** Waits for bytes. A virtual clock stands still as long as the host works for that. */
  arriving(waiter: Future<void>): Generator<Suspension, void, unknown>;
}

/**
 * Bytes to be read as they come. CPython's `asyncio.StreamReader`.
 *
 * {@linkcode openConnection}, {@linkcode startServer} and {@linkcode createSubprocessExec} give one; a program can also
 * make one and feed it by hand. One task reads at a time. A read that is cancelled takes nothing out of the buffer: what
 * it would have got is what the next read gets. What a read returns is a copy that is the caller's own.
 *
 * @example
 * ```ts
 * import { run, StreamReader } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * const lines = await run(async () => {
 *   const reader = new StreamReader();
 *   reader.feedData(new TextEncoder().encode("one\ntwo"));
 *   reader.feedEof();
 *   const lines: string[] = [];
 *   for await (const line of reader) lines.push(new TextDecoder().decode(line));
 *   return lines;
 * });
 * assertEquals(lines, ["one\n", "two"]);
 * ```
 */
export class StreamReader implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  readonly #loop: EventLoop;
  readonly #limit: number;
  readonly #buffer = new ByteBuffer();
  #eof = false;
  #exception: unknown = null;
  /** Of the one task that waits for bytes. */
  #waiter: Future<void> | null = null;
  #transport: ReadTransport | null = null;
  /** The transport, if the bytes come from outside of the program, so that a virtual clock has to wait for them. */
  #host: HostTransport | null = null;
  #paused = false;
  /**
   * Whether nothing is read ahead of who waits for it.
   *
   * @internal
   */
  _onDemand = false;

  /**
   * Empty.
   *
   * @param options Limit and loop.
   * @throws {ValueError} If the limit is no whole number above 0.
   */
  constructor(options: StreamReaderOptions = {}) {
    this.#limit = toLimit(options.limit);
    this.#loop = options.loop ?? policy.getEventLoop();
  }

  /** What {@linkcode StreamReader.setException} set, `null` if nothing. */
  exception(): unknown {
    return this.#exception;
  }

  /**
   * Has this read and all later ones throw `exception`, whatever the buffer holds.
   *
   * @param exception What to throw.
   */
  setException(exception: unknown): void {
    this.#exception = exception;
    const waiter = this.#takeWaiter();
    if (waiter === null) return;
    waiter.setException(exception);
    waiter._markRetrieved();
  }

  /**
   * Sets whom to tell to wait when more than twice the limit is in the buffer.
   *
   * @param transport Where the bytes come from.
   * @throws {RuntimeError} If there is one already.
   */
  setTransport(transport: ReadTransport): void {
    if (this.#transport !== null) {
      throw new RuntimeError("Cannot set the transport of a reader that has one: make a new reader");
    }
    this.#transport = transport;
  }

  /**
   * Sets a transport that is driven by the host.
   *
   * @internal
   */
  _setHostTransport(transport: HostTransport): void {
    this.setTransport(transport);
    this.#host = transport;
  }

  /**
   * Ends reading on demand.
   *
   * @internal
   */
  _readAhead(): void {
    this._onDemand = false;
    this.#resume();
  }

  /**
   * How many bytes have come and have not been read.
   *
   * @internal
   */
  get _buffered(): number {
    return this.#buffer.length;
  }

  /** Says that nothing more comes. What is in the buffer can be read. */
  feedEof(): void {
    this.#eof = true;
    this.#takeWaiter()?.setResult();
  }

  /** Whether the end was reached: nothing more comes, and the buffer is empty. */
  atEof(): boolean {
    return this.#eof && this.#buffer.length === 0;
  }

  /**
   * Puts bytes into the buffer. They are copied.
   *
   * @param data The bytes.
   * @throws {TypeError} If it is no `Uint8Array`.
   * @throws {RuntimeError} After {@linkcode StreamReader.feedEof}.
   */
  feedData(data: Uint8Array): void {
    requireBytes(data, "feed");
    if (this.#eof) throw new RuntimeError("Cannot feed data after feedEof(): make a new reader");
    if (data.length === 0) return;
    this.#buffer.append(data);
    this.#takeWaiter()?.setResult();
    this.#pauseIfFull();
  }

  /**
   * Reads what there is, at most `n` bytes, as soon as there is anything.
   *
   * @param n How many at most; all until the end if it is negative, as by default.
   * @returns A coroutine of the bytes: empty at the end, and if `n` is 0.
   * @throws {TypeError} (at the call) If `n` is no whole number.
   * @throws {RuntimeError} (when awaited) If another task is waiting for this reader, as with all reads.
   * @throws {unknown} (when awaited) What the connection failed with, such as `Deno.errors.ConnectionReset`, as with all
   * reads.
   */
  read(n = -1): Coroutine<Uint8Array<ArrayBuffer>> {
    return new FunctionCoroutine<[number], Uint8Array<ArrayBuffer>>(
      this.#read,
      [toCount(n, "read")],
      this,
      "StreamReader.read",
    );
  }

  /**
   * Reads up to the end of a line.
   *
   * @returns A coroutine of the line with its `\n`; of what is left, without one, if the stream ends; empty at the end.
   * @throws {ValueError} (when awaited) If the line is longer than the limit. It is thrown away then; if its end has not
   * come yet, all that is in the buffer is.
   */
  readline(): Coroutine<Uint8Array<ArrayBuffer>> {
    return new FunctionCoroutine<[], Uint8Array<ArrayBuffer>>(this.#readLine, [], this, "StreamReader.readline");
  }

  /**
   * Reads up to a separator.
   *
   * @param separator The separator; of several, the one that ends first counts.
   * @returns A coroutine of the bytes with the separator.
   * @throws {TypeError} (at the call) If a separator is no `Uint8Array`.
   * @throws {ValueError} (at the call) If a separator is empty, or there is none.
   * @throws {IncompleteReadError} (when awaited) If the stream ends before; it has what was left.
   * @throws {LimitOverrunError} (when awaited) If there is more than the limit before the separator. All stays in the
   * buffer.
   */
  readuntil(separator: Uint8Array | readonly Uint8Array[] = NEWLINE): Coroutine<Uint8Array<ArrayBuffer>> {
    const separators = Array.isArray(separator) ? separator as Uint8Array[] : [separator as Uint8Array];
    for (const one of separators) {
      if (requireBytes(one, "search for").length === 0) {
        throw new ValueError("Cannot search for an empty separator: pass at least one byte");
      }
    }
    if (separators.length === 0) throw new ValueError("Cannot search for no separators: pass at least one");
    return new FunctionCoroutine<[Uint8Array[]], Uint8Array<ArrayBuffer>>(
      this.#readUntil,
      [separators],
      this,
      "StreamReader.readuntil",
    );
  }

  /**
   * Reads `n` bytes. The limit does not apply.
   *
   * @param n How many.
   * @returns A coroutine of the bytes.
   * @throws {ValueError} (at the call) If `n` is negative.
   * @throws {TypeError} (at the call) If `n` is no whole number.
   * @throws {IncompleteReadError} (when awaited) If the stream ends before; it has what was left.
   */
  readexactly(n: number): Coroutine<Uint8Array<ArrayBuffer>> {
    if (toCount(n, "read exactly") < 0) {
      throw new ValueError(`Cannot read exactly ${n} bytes: pass 0 or more`);
    }
    return new FunctionCoroutine<[number], Uint8Array<ArrayBuffer>>(
      this.#readExactly,
      [n],
      this,
      "StreamReader.readexactly",
    );
  }

  /** The lines, as {@linkcode StreamReader.readline} gives them, for `for await`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
    return new AsyncItems({ next: () => this.#nextLine(), close: () => {} })[Symbol.asyncIterator]();
  }

  /** The class and the state, for messages. */
  toString(): string {
    const parts = ["StreamReader"];
    if (this.#buffer.length > 0) parts.push(`${this.#buffer.length} bytes`);
    if (this.#eof) parts.push("eof");
    if (this.#limit !== DEFAULT_LIMIT) parts.push(`limit=${this.#limit}`);
    if (this.#waiter !== null) parts.push(`waiter=${this.#waiter}`);
    if (this.#exception !== null) parts.push(`exception=${this.#exception}`);
    if (this.#paused) parts.push("paused");
    return `<${parts.join(" ")}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  *#read(n: number): GeneratorCoroutine<Uint8Array<ArrayBuffer>> {
    this.#throwIfFailed();
    if (n === 0) return new Uint8Array(0);
    if (n < 0) return yield* this.#readAll();
    if (this.#buffer.length === 0 && !this.#eof) yield* this.#waitForData("read");
    return this.#take(n);
  }

  *#readExactly(n: number): GeneratorCoroutine<Uint8Array<ArrayBuffer>> {
    this.#throwIfFailed();
    if (n === 0) return new Uint8Array(0);
    while (this.#buffer.length < n) {
      if (this.#eof) throw new IncompleteReadError(this.#buffer.take(n), n);
      yield* this.#waitForData("readexactly");
    }
    return this.#take(n);
  }

  *#readUntil(separators: readonly Uint8Array[]): GeneratorCoroutine<Uint8Array<ArrayBuffer>> {
    this.#throwIfFailed();
    const longest = Math.max(...separators.map((separator) => separator.length));
    // Before this, no separator begins.
    let offset = 0;
    for (;;) {
      const length = this.#buffer.length;
      const match = this.#find(separators, offset);
      if (match !== null) {
        if (match.start > this.#limit) {
          throw new LimitOverrunError("Separator is found, but chunk is longer than limit", match.start);
        }
        return this.#take(match.end);
      }
      offset = Math.max(offset, length + 1 - longest);
      if (offset > this.#limit) {
        throw new LimitOverrunError("Separator is not found, and chunk exceed the limit", offset);
      }
      if (this.#eof) throw new IncompleteReadError(this.#buffer.take(length), null);
      yield* this.#waitForData("readuntil");
    }
  }

  *#readLine(): GeneratorCoroutine<Uint8Array<ArrayBuffer>> {
    try {
      return yield* this.#readUntil([NEWLINE]);
    } catch (error) {
      if (error instanceof IncompleteReadError) return error.partial;
      if (!(error instanceof LimitOverrunError)) throw error;
      const ended = this.#buffer.indexOf(NEWLINE, error.consumed) === error.consumed;
      this.#take(ended ? error.consumed + 1 : this.#buffer.length);
      throw new ValueError(error.message, { cause: error });
    }
  }

  *#nextLine(): GeneratorCoroutine<IteratorResult<Uint8Array<ArrayBuffer>, void>> {
    const value = yield* this.#readLine();
    return value.length > 0 ? { done: false, value } : { done: true, value: undefined };
  }

  *#readAll(): GeneratorCoroutine<Uint8Array<ArrayBuffer>> {
    const all = new ByteBuffer();
    try {
      for (let block; (block = yield* this.#read(this.#limit)).length > 0;) all.append(block);
    } catch (error) {
      // If the reader has failed, nobody can read any more.
      if (this.#exception === null) {
        this.#buffer.prepend(all.take(all.length));
        this.#pauseIfFull();
      }
      throw error;
    }
    return all.take(all.length);
  }

  /** The match that ends first; of those that end at one place, that of the shortest separator. */
  #find(separators: readonly Uint8Array[], offset: number): { start: number; end: number } | null {
    let best: { start: number; end: number } | null = null;
    for (const separator of separators) {
      const start = this.#buffer.indexOf(separator, offset);
      if (start < 0) continue;
      const end = start + separator.length;
      if (best === null || end < best.end || (end === best.end && start > best.start)) best = { start, end };
    }
    return best;
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#buffer.take(count);
    if (this.#paused && !this._onDemand && this.#buffer.length <= this.#limit) this.#resume();
    return taken;
  }

  #pauseIfFull(): void {
    const enough = this._onDemand ? 0 : 2 * this.#limit;
    if (this.#transport === null || this.#paused || this.#buffer.length <= enough) return;
    this.#paused = true;
    this.#transport.pauseReading();
  }

  #resume(): void {
    this.#paused = false;
    this.#transport?.resumeReading();
  }

  #throwIfFailed(): void {
    if (this.#exception !== null) throw this.#exception;
  }

  *#waitForData(method: string): GeneratorCoroutine<void> {
    if (this.#waiter !== null) {
      throw new RuntimeError(
        `${method}() called while another coroutine is already waiting for incoming data: read in one task at a time`,
      );
    }
    // To wait for more while it is paused would be for ever; `readexactly` may want more than the limit.
    if (this.#paused || this._onDemand) this.#resume();
    const waiter = this.#waiter = this.#loop.createFuture<void>();
    try {
      if (this.#host !== null) yield* this.#host.arriving(waiter);
      else yield* waiter;
    } finally {
      // Another task may wait by now, if this one was woken and is cancelled before it runs.
      if (this.#waiter === waiter) this.#waiter = null;
    }
  }

  /** The waiter to be woken, unless it was cancelled; a closed loop wakes nobody. */
  #takeWaiter(): Future<void> | null {
    const waiter = this.#waiter;
    this.#waiter = null;
    return waiter === null || waiter.done() || this.#loop.isClosed() ? null : waiter;
  }
}

/**
 * The limit of a reader.
 *
 * @internal
 */
export function toLimit(limit: number | undefined): number {
  return limit === undefined ? DEFAULT_LIMIT : positiveInteger(limit, "limit", ValueError);
}

function toCount(n: unknown, action: string): number {
  if (Number.isInteger(n)) return n as number;
  throw new TypeError(`Cannot ${action} ${Deno.inspect(n)} bytes: pass a whole number`);
}
