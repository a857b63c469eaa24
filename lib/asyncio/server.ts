/**
 * {@linkcode Server}: accepts connections.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { patiently } from "./_cancellation.ts";
import { Connection } from "./_connection.ts";
import { enterLoopback, listenOnLoopback } from "./_loopback.ts";
import { closeQuietly, SocketEndpoint } from "./_socket.ts";
import { wake } from "./_waiter.ts";
import { type Context, copyContext } from "./context.ts";
import {
  callNative,
  type Coroutine,
  FunctionCoroutine,
  type GeneratorCoroutine,
  isPromise,
  isYieldable,
} from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { cancellationIn, endsLoop, RuntimeError } from "./exceptions.ts";
import type { Future } from "./future.ts";
import { sleep } from "./sleep.ts";
import { StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";
import { currentTask } from "./tasks.ts";

/** How long to wait when there are no more file descriptors and the like. CPython's. */
const ACCEPT_RETRY_DELAY = 1000;

/**
 * What a server calls for each connection, in a task of its own: a plain function, a `function*` or an async function.
 *
 * When a `function*` or an async function ends, the connection is closed, all being sent that was written. After a
 * plain function it stays open, for whomever it gave the streams to.
 */
export type ClientConnected = (reader: StreamReader, writer: StreamWriter) => unknown;

/** What a server is made of. */
export interface ServerParts {
  readonly loop: EventLoop;
  readonly listeners: readonly Deno.Listener[];
  readonly clientConnected: ClientConnected;
  readonly limit: number;
  readonly keepAlive: boolean;
  readonly handshakeTimeout: DurationLike | null | undefined;
}

/**
 * Accepts connections. CPython's `asyncio.Server`. Made by {@linkcode startServer} and {@linkcode startUnixServer}.
 *
 * Closing it closes its listeners; the connections that there are go on. It is closed with its loop, as they are.
 */
export class Server implements AsyncDisposable {
  readonly #parts: ServerParts;
  readonly #context: Context;
  readonly #addresses: readonly Deno.Addr[];
  readonly #clients = new Set<Connection>();
  readonly #waiters = new Set<Future<void>>();
  #state: "made" | "serving" | "closed" = "made";
  /** How many listeners the host has not let go of. */
  #accepting = 0;
  #forever: Future<void> | null = null;
  /** Whether a virtual clock has been told to wait for the next connection. */
  #awaitsClient = false;

  /** @internal */
  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#addresses = parts.listeners.map((listener) => listener.addr);
    this.#context = copyContext();
    parts.loop._resources.add(this);
  }

  /** The loop it belongs to. */
  getLoop(): EventLoop {
    return this.#parts.loop;
  }

  /** Whether it accepts connections. */
  isServing(): boolean {
    return this.#state === "serving";
  }

  /**
   * The addresses it listens on; none when it is closed. CPython's `sockets`, of which this is what one asks for: with
   * port 0 it tells which port it has got.
   */
  get addresses(): readonly Deno.Addr[] {
    return this.#state === "closed" ? [] : this.#addresses;
  }

  /** Closes the listeners. The connections go on. A second call does nothing. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const { loop, listeners } = this.#parts;
    loop._resources.delete(this);
    for (const listener of listeners) listener.close();
    if (loop.isClosed()) return;
    loop._countNative(false, this.#accepting);
    this.#forever?.cancel();
    this.#wakeUp();
  }

  /** Closes all connections, when all is sent that was written to them. */
  closeClients(): void {
    for (const client of [...this.#clients]) client.close();
  }

  /** Closes all connections at once. */
  abortClients(): void {
    for (const client of [...this.#clients]) client.abort();
  }

  /**
   * Begins to accept connections, if it was made with `startServing: false`.
   *
   * @returns A coroutine.
   * @throws {RuntimeError} (when awaited) If it is closed.
   */
  startServing(): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this.#startServing, [], this, "Server.startServing");
  }

  /**
   * Accepts connections until it is cancelled or closed, and waits then until all of them are gone, in a cancelled scope
   * too; a second cancellation, as by `Task.cancel()` or a `timeout`, ends that.
   *
   * @returns A coroutine that ends by throwing.
   * @throws {CancelledError} (when awaited) When it is cancelled, or {@linkcode Server.close} is called.
   * @throws {RuntimeError} (when awaited) If it is closed already, or another task does the same.
   */
  serveForever(): Coroutine<never> {
    return new FunctionCoroutine<[], never>(this.#serveForever, [], this, "Server.serveForever");
  }

  /**
   * Waits until it is closed and all of its connections are gone.
   *
   * @returns A coroutine.
   */
  waitClosed(): Coroutine<void> {
    return new FunctionCoroutine<[], void>(this._waitClosed, [], this, "Server.waitClosed");
  }

  /**
   * {@linkcode Server.close} and {@linkcode Server.waitClosed}, for `await using`.
   *
   * @returns A coroutine.
   */
  [Symbol.asyncDispose](): Coroutine<void> {
    this.close();
    return this.waitClosed();
  }

  /** What the end of its loop does. @internal */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The class, the state and the addresses, for messages. */
  toString(): string {
    return `<Server ${this.#state} addresses=${Deno.inspect(this.addresses)}>`;
  }

  /** @internal */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** @internal */
  _serve(): void {
    if (this.#state === "closed") {
      throw new RuntimeError(`Cannot serve with ${this} as it is closed: start a new server`);
    }
    if (this.#state === "serving") return;
    this.#state = "serving";
    for (const listener of this.#parts.listeners) this.#listen(listener);
  }

  *#startServing(): GeneratorCoroutine<void> {
    this._serve();
    yield* sleep(0);
  }

  *#serveForever(): GeneratorCoroutine<never> {
    if (this.#forever !== null) {
      throw new RuntimeError(`Cannot serve for ever with ${this} a second time: another task does already`);
    }
    this._serve();
    const forever = this.#forever = this.#parts.loop.createFuture<void>();
    this.#tellClock();
    try {
      yield* forever;
    } catch (error) {
      this.close();
      try {
        yield* patiently(this._waitClosed());
      } catch {
        // A second cancellation: the first is what is told.
      }
      throw error;
    } finally {
      this.#forever = null;
      this.#tellClock();
    }
    throw new RuntimeError("Unreachable: nobody gives it a result");
  }

  /** @internal */
  *_waitClosed(): GeneratorCoroutine<void> {
    if (this.#isGone) return;
    const waiter = this.#parts.loop.createFuture<void>();
    this.#waiters.add(waiter);
    try {
      yield* waiter;
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  async #listen(listener: Deno.Listener): Promise<void> {
    const { loop } = this.#parts;
    this.#accepting++;
    const unlisten = listenOnLoopback(loop, listener.addr);
    try {
      while (this.isServing()) await this.#accept(listener);
    } catch (exception) {
      if (!this.isServing()) return;
      loop.callExceptionHandler({ message: `Cannot accept connections for a second: ${this}`, exception });
      loop.callLater(ACCEPT_RETRY_DELAY, () => this.isServing() && void this.#listen(listener));
    } finally {
      unlisten();
      this.#accepting--;
      if (this.#state === "closed") {
        loop._countNative(false, -1);
        loop._wake();
        this.#wakeUp();
      }
    }
  }

  async #accept(listener: Deno.Listener): Promise<void> {
    let conn: Deno.Conn;
    try {
      conn = await listener.accept();
    } catch (error) {
      // The peer has gone while it waited.
      if (error instanceof Deno.errors.ConnectionAborted) return;
      throw error;
    }
    if (this.isServing()) this.#connected(conn);
    else closeQuietly(conn);
  }

  #connected(conn: Deno.Conn): void {
    const { loop, limit, keepAlive } = this.#parts;
    const reader = new StreamReader({ limit, loop });
    const socket = new SocketEndpoint(conn);
    if (keepAlive) socket.setKeepAlive();
    const connection = new Connection(socket, loop, reader, () => {
      forget();
      this.#clients.delete(connection);
      this.#tellClock();
      this.#wakeUp();
    });
    const forget = enterLoopback(connection, loop, conn);
    this.#clients.add(connection);
    this.#tellClock();
    const task = loop.createTask(this.#handle(connection, reader, socket), { context: this.#context.copy() });
    // Also of one that was cancelled before its first step.
    task.addDoneCallback(() => {
      if (task.cancelled()) connection.close();
    });
  }

  *#handle(connection: Connection, reader: StreamReader, socket: SocketEndpoint): GeneratorCoroutine<void> {
    const { loop, clientConnected, handshakeTimeout } = this.#parts;
    try {
      yield* socket.handshake(loop, handshakeTimeout);
    } catch (error) {
      connection.abort();
      if (cancellationIn(error) !== null) throw error;
      // Anybody can connect without speaking TLS, so that is no error of the program.
      return;
    }
    connection.begin();
    const writer = new StreamWriter(connection, reader, socket);
    let ends = true;
    try {
      yield* callNative(() => {
        const outcome = clientConnected(reader, writer);
        if (isYieldable(outcome) || isPromise(outcome)) return outcome;
        ends = false;
        return sleep(0);
      });
      if (ends) connection.close();
    } catch (error) {
      connection.close();
      if (cancellationIn(error) !== null || endsLoop(error)) throw error;
      loop.callExceptionHandler({
        message: "Unhandled exception in client_connected_cb",
        exception: error,
        task: currentTask() ?? undefined,
      });
    }
  }

  /** Whether it is closed and nothing of it is left: neither a connection, nor the file of a Unix socket. */
  get #isGone(): boolean {
    return this.#state === "closed" && this.#clients.size === 0 && this.#accepting === 0;
  }

  #wakeUp(): void {
    if (this.#isGone) { for (const waiter of this.#waiters) wake(waiter); }
  }

  /** Whether nothing but a new connection can go on with `serveForever()`, so that virtual time waits for it. */
  #tellClock(): void {
    const awaitsClient = this.#forever !== null && this.#clients.size === 0;
    if (awaitsClient === this.#awaitsClient) return;
    this.#awaitsClient = awaitsClient;
    const { loop } = this.#parts;
    loop._countNative(false, awaitsClient ? 1 : -1);
    loop._wake();
  }
}
