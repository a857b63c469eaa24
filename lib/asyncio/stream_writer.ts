/**
 * {@linkcode StreamWriter}: the bytes that go to a connection or a process.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import type { Connection } from "./_connection.ts";
import { requireBytes } from "./_require.ts";
import type { SocketEndpoint } from "./_socket.ts";
import { type Coroutine, FunctionCoroutine, type GeneratorCoroutine } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import { CancelledError, RuntimeError } from "./exceptions.ts";
import { sleep } from "./sleep.ts";
import type { StreamReader } from "./stream_reader.ts";

/** What {@linkcode StreamWriter.getExtraInfo} knows by name. */
export interface ExtraInfo {
  /** The address of the other side. */
  peername: Deno.Addr;
  /** The address of this side. */
  sockname: Deno.Addr;
  /** The connection itself, for its settings: reading and writing are the streams'. */
  socket: Deno.Conn;
  /** Of TLS: the protocol that was agreed on. */
  handshake: Deno.TlsHandshakeInfo;
}

/** Options of {@linkcode StreamWriter.startTls}. */
export interface StartTlsOptions {
  /** The name that the certificate has to be for. By default the host that was connected to. */
  serverHostname?: string | undefined;
  /** Further certificates to trust, in PEM format. */
  caCerts?: string[] | undefined;
  /** The protocols to offer. */
  alpnProtocols?: string[] | undefined;
  /**
   * How long the handshake may take, in milliseconds or as a duration; `null` for ever.
   * @default {60000}
   */
  sslHandshakeTimeout?: DurationLike | null | undefined;
}

/**
 * Bytes to be sent, in order and completely. CPython's `asyncio.StreamWriter`.
 *
 * `write()` never waits: what cannot be sent at once is buffered. So write, and then wait with `drain()`, which lets
 * the buffer grow to little more than 64 KiB. An error in sending shows at the next `drain()` or `waitClosed()`, and to
 * the reader.
 *
 * The errors are Deno's: `Deno.errors.ConnectionReset` where Python has `ConnectionResetError`, `Deno.errors.BrokenPipe`
 * where it has `BrokenPipeError`.
 *
 * @example
 * ```ts
 * import { openConnection, run, startServer } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await run(async () => {
 *   await using server = await startServer(async (reader, writer) => {
 *     writer.write(await reader.readline());
 *     await writer.drain();
 *   }, { host: "127.0.0.1" });
 *   const { port } = server.addresses[0] as Deno.NetAddr;
 *   const [reader, writer] = await openConnection("127.0.0.1", port);
 *   writer.write(new TextEncoder().encode("hello\n"));
 *   assertEquals(new TextDecoder().decode(await reader.read()), "hello\n");
 *   writer.close();
 *   await writer.waitClosed();
 * });
 * ```
 */
export class StreamWriter implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #reader: StreamReader | null;
  readonly #socket: SocketEndpoint | null;

  /** @internal */
  constructor(connection: Connection, reader: StreamReader | null, socket: SocketEndpoint | null) {
    this.#connection = connection;
    this.#reader = reader;
    this.#socket = socket;
  }

  /**
   * Has bytes sent. They are copied. After {@linkcode StreamWriter.close}, and when the connection is gone, they are
   * dropped, and `drain()` says so.
   *
   * @param data The bytes.
   * @throws {TypeError} If it is no `Uint8Array`.
   * @throws {RuntimeError} After {@linkcode StreamWriter.writeEof}.
   */
  write(data: Uint8Array): void {
    this.#connection.write(requireBytes(data, "write"));
  }

  /**
   * Has several pieces sent, one after the other.
   *
   * @param data The pieces. Nothing is sent if one of them is no `Uint8Array`.
   * @throws {TypeError} If one of them is no `Uint8Array`.
   * @throws {RuntimeError} After {@linkcode StreamWriter.writeEof}.
   */
  writelines(data: Iterable<Uint8Array>): void {
    if (data instanceof Uint8Array) {
      throw new TypeError("Cannot write the lines of a Uint8Array: pass a list of them, or use write()");
    }
    for (const piece of [...data].map((piece) => requireBytes(piece, "write"))) this.#connection.write(piece);
  }

  /**
   * Waits until the buffer has room: above 64 KiB until no more than 16 KiB are left. Any number of tasks may wait.
   * Cancelling it changes nothing of what is sent.
   *
   * @returns A coroutine.
   * @throws {Deno.errors.ConnectionReset} (when awaited) If the connection is closed.
   * @throws {unknown} (when awaited) What reading or writing has failed with.
   */
  drain(): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this.#drain, [], this, "StreamWriter.drain");
  }

  /** Closes the connection when all is sent; nothing more is read. A second call does nothing. */
  close(): void {
    this.#connection.close();
  }

  /**
   * Closes the connection at once and drops what is not sent. CPython's `writer.transport.abort()`.
   */
  abort(): void {
    this.#connection.abort();
  }

  /** Whether it is closed, or being closed. */
  isClosing(): boolean {
    return this.#connection.closing;
  }

  /**
   * Waits until the connection is closed, all having been sent. Cancelling it lets the connection be.
   *
   * @returns A coroutine.
   * @throws {unknown} (when awaited) What reading or writing has failed with.
   */
  waitClosed(): Coroutine<void> {
    const connection = this.#connection;
    return new FunctionCoroutine<[], void>(connection.closed, [], connection, "StreamWriter.waitClosed");
  }

  /** Whether {@linkcode StreamWriter.writeEof} can be called: not with TLS. */
  canWriteEof(): boolean {
    return this.#connection.canWriteEof;
  }

  /**
   * Tells the other side, behind all that was written, that nothing more comes. Reading goes on.
   *
   * @throws {RuntimeError} With TLS, which has no half-closed connections.
   */
  writeEof(): void {
    if (!this.canWriteEof()) {
      throw new RuntimeError("Cannot write an EOF as TLS connections are not half-closed: use close()");
    }
    this.#connection.writeEof();
  }

  /**
   * What is known of the connection.
   *
   * @typeParam K The name.
   * @param name What to tell.
   * @returns The value, `null` if there is none, as with the pipes of a process.
   */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null {
    return this.#socket?.info[name] ?? null;
  }

  /**
   * Goes on in TLS, as a client, when all that was written is sent. The reader and the writer stay the same.
   *
   * The connection has to be opened with `openConnection(host, port, { upgradable: true })`: Deno cannot take over one
   * that is being read from. CPython can, and can be the server.
   *
   * @param options What to check and how long to wait.
   * @returns A coroutine. If it fails or is cancelled, the connection is closed.
   * @throws {RuntimeError} (when awaited) If the connection was not opened for it, is encrypted already, is being read,
   * or has sent what was not read yet. That would have been sent without encryption, by whomever, and taken for
   * encrypted later.
   * @throws {Deno.errors.InvalidData} (when awaited) If the certificate is not accepted.
   */
  startTls(options: StartTlsOptions = {}): Coroutine<void> {
    return new FunctionCoroutine<[StartTlsOptions], void>(this.#startTls, [options], this, "StreamWriter.startTls");
  }

  /**
   * {@linkcode StreamWriter.close} and {@linkcode StreamWriter.waitClosed}, for `await using`. If that is cancelled, the
   * connection is closed at once.
   *
   * @returns A coroutine.
   */
  [Symbol.asyncDispose](): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this.#dispose, [], this, "StreamWriter.dispose");
  }

  /** The class and the state, for messages. */
  toString(): string {
    const { closing, lost } = this.#connection;
    const peer = this.getExtraInfo("peername");
    return `<StreamWriter ${lost ? "closed" : closing ? "closing" : "open"}${
      peer ? ` peer=${Deno.inspect(peer)}` : ""
    }>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  *#drain(): GeneratorCoroutine<void> {
    const connection = this.#connection;
    const failure = this.#reader?.exception() ?? connection.error;
    if (failure !== null) throw failure;
    // A loop of writes and drains does not wait otherwise, and would never see the end of the connection.
    if (connection.closing) yield* sleep(0);
    if (!connection.lost) yield* connection.drained();
    else throw new Deno.errors.ConnectionReset("Connection lost");
    if (connection.error !== null) throw connection.error;
  }

  *#dispose(): GeneratorCoroutine<void> {
    this.close();
    try {
      yield* this.waitClosed();
    } catch (error) {
      if (error instanceof CancelledError) this.abort();
      throw error;
    }
  }

  *#startTls(options: StartTlsOptions): GeneratorCoroutine<void> {
    const connection = this.#connection;
    const reader = this.#reader;
    const socket = this.#socket;
    const refuse = (why: string): never => {
      throw new RuntimeError(`Cannot start TLS ${why}`);
    };
    if (socket === null || reader === null) return refuse("on a pipe: it takes a connection");
    if (socket.tls) refuse("on a connection that is encrypted already");
    if (!reader._onDemand) {
      refuse("as the connection was not opened for it: pass { upgradable: true } to openConnection()");
    }
    yield* this.#drain();
    yield* connection.flushed();
    if (connection.closing) throw new Deno.errors.ConnectionReset("Connection lost");
    if (connection.busy) refuse("while the connection is being read: let the read end, one that was cancelled as well");
    if (reader._buffered > 0) refuse(`as ${reader._buffered} bytes are unread that came without it: read them first`);
    yield* connection.withEndpoint(() => socket.startTls(getRunningLoop(), options));
    reader._readAhead();
  }
}
