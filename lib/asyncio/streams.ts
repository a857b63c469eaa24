/**
 * {@linkcode openConnection} and {@linkcode startServer}: TCP, TLS and Unix sockets as streams.
 * @module
 */

import type { DurationLike } from "../_duration.ts";
import { patiently } from "./_cancellation.ts";
import { Connection } from "./_connection.ts";
import { toDelay } from "./_delay.ts";
import { requireOptions, requireTexts } from "../_require.ts";
import { requireFlag, requireText, requireWhole } from "./_require.ts";
import { enterLoopback } from "./_loopback.ts";
import { opened, SocketEndpoint } from "./_socket.ts";
import { adopt, type Coroutine, coroutine, type GeneratorCoroutine } from "./coroutine.ts";
import { getRunningLoop } from "./current_loop.ts";
import { ValueError } from "./exceptions.ts";
import { type ClientConnected, Server } from "./server.ts";
import { sleep } from "./sleep.ts";
import { StreamReader, toLimit } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** What is there to be encrypted with, for {@linkcode OpenConnectionOptions.ssl}. */
export interface ClientTlsOptions {
  /** Further certificates to trust, in PEM format. */
  caCerts?: string[] | undefined;
  /** The protocols to offer. */
  alpnProtocols?: string[] | undefined;
  /** The certificate of this side, in PEM format, with its `key`. */
  cert?: string | undefined;
  /** The key of `cert`, in PEM format. */
  key?: string | undefined;
}

/** Options of {@linkcode openUnixConnection}. */
export interface OpenUnixConnectionOptions {
  /**
   * The limit of the reader. See {@linkcode StreamReader}.
   * @default {65536}
   */
  limit?: number | undefined;
}

/** Options of {@linkcode openConnection}. */
export interface OpenConnectionOptions extends OpenUnixConnectionOptions {
  /**
   * Whether to encrypt, and with what.
   * @default {false}
   */
  ssl?: boolean | ClientTlsOptions | undefined;
  /** The name that the certificate has to be for. By default `host`. */
  serverHostname?: string | undefined;
  /**
   * How long the handshake of TLS may take, in milliseconds or as a duration; `null` for ever. Of one that is given up,
   * Deno keeps the socket until the other side hangs up.
   * @default {60000}
   */
  sslHandshakeTimeout?: DurationLike | null | undefined;
  /**
   * Whether {@linkcode StreamWriter.startTls} is to follow. Until it does, nothing is read that no task waits for.
   * @default {false}
   */
  upgradable?: boolean | undefined;
}

/** The two ends of a connection: `const [reader, writer] = await openConnection(...)`. */
export type Streams = [reader: StreamReader, writer: StreamWriter];

/**
 * Connects by TCP. CPython's `asyncio.open_connection`.
 *
 * Needs `--allow-net=host:port`. The address is that of IPv6 or of IPv4, whichever answers first. If it is cancelled, no
 * connection is left behind.
 *
 * @param host The name or the address.
 * @param port The port.
 * @param options TLS and the limit of the reader.
 * @returns A coroutine of the reader and the writer.
 * @throws {TypeError} (at the call) If the host is no string, the port no number, or an option of the wrong type.
 * @throws {ValueError} (at the call) If the options do not go together, the host is empty, the port is none, or the limit
 * is no whole number above 0.
 * @throws {Deno.errors.ConnectionRefused} (when awaited) If nobody listens there.
 * @throws {Deno.errors.InvalidData} (when awaited) If the certificate is not accepted.
 *
 * @example
 * ```ts
 * import { openConnection, run, startServer } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await run(function* () {
 *   const server = yield* startServer(function* (_reader, writer) {
 *     writer.write(new TextEncoder().encode("welcome"));
 *   }, { host: "127.0.0.1" });
 *   const { port } = server.addresses[0] as Deno.NetAddr;
 *
 *   const [reader, writer] = yield* openConnection("127.0.0.1", port);
 *   assertEquals(new TextDecoder().decode(yield* reader.read()), "welcome");
 *   writer.close();
 *   server.close();
 *   yield* server.waitClosed();
 * });
 * ```
 */
export function openConnection(host: string, port: number, options: OpenConnectionOptions = {}): Coroutine<Streams> {
  requireText(host, "host");
  requirePort(port);
  requireOptions(options, "options", "{ ssl: true }");
  const limit = toLimit(options.limit);
  const { ssl = false, serverHostname, upgradable = false } = options;
  requireFlag(upgradable, "upgradable");
  if (serverHostname !== undefined) requireText(serverHostname, "serverHostname");
  if (typeof ssl !== "boolean") requireClientTls(ssl);
  toDelay(options.sslHandshakeTimeout, "sslHandshakeTimeout");
  if (ssl === false && serverHostname !== undefined) {
    throw new ValueError("Cannot use serverHostname without ssl: pass { ssl: true }");
  }
  if (ssl !== false && upgradable) {
    throw new ValueError("Cannot upgrade a connection that is encrypted from the start: pass either ssl or upgradable");
  }
  const tls = ssl === true ? {} : ssl;
  if (tls !== false && (tls.cert !== undefined || tls.key !== undefined)) {
    if (tls.cert === undefined || tls.key === undefined) {
      throw new ValueError("Cannot use cert without key or key without cert: pass both");
    }
    if (serverHostname !== undefined) {
      throw new ValueError("Cannot use a certificate together with serverHostname: connect to the host of that name");
    }
  }
  return connect(host, port, limit, tls, options);
}

const connect = coroutine(function* openConnection(
  host: string,
  port: number,
  limit: number,
  tls: ClientTlsOptions | false,
  options: OpenConnectionOptions,
): GeneratorCoroutine<Streams> {
  const loop = getRunningLoop();
  const { cert, key } = tls || {};
  const conn = yield* opened<Deno.Conn>(
    loop,
    // A certificate can only be given from the start, and that cannot be aborted.
    (signal) =>
      cert === undefined || key === undefined
        ? Deno.connect({ hostname: host, port, signal })
        : Deno.connectTls({ hostname: host, port, cert, key, ...given(tls || {}, "caCerts", "alpnProtocols") }),
  );
  const socket = new SocketEndpoint(conn, host);
  try {
    if (socket.tls) yield* socket.handshake(loop, options.sslHandshakeTimeout);
    else if (tls !== false) yield* socket.startTls(loop, { ...tls, ...options });
  } catch (error) {
    socket.close();
    throw error;
  }
  return streams(socket, limit, options.upgradable);
});

function requirePort(port: unknown): void {
  requireWhole(port, "port", 0, 65535);
}

function requireClientTls(ssl: ClientTlsOptions): void {
  requireOptions(ssl, "ssl", "{ caCerts: [pem] }, true or false");
  if (ssl.caCerts !== undefined) requireTexts(ssl.caCerts, "ssl.caCerts");
  if (ssl.alpnProtocols !== undefined) requireTexts(ssl.alpnProtocols, "ssl.alpnProtocols");
  if (ssl.cert !== undefined) requireText(ssl.cert, "ssl.cert");
  if (ssl.key !== undefined) requireText(ssl.key, "ssl.key");
}

/**
 * Connects to a Unix socket. CPython's `asyncio.open_unix_connection`.
 *
 * Needs `--allow-read=path --allow-write=path`.
 *
 * @param path The path of the socket.
 * @param options The limit of the reader.
 * @returns A coroutine of the reader and the writer.
 * @throws {TypeError} (at the call) If the path is no string.
 * @throws {ValueError} (at the call) If the path is empty, or the limit is no whole number above 0.
 * @throws {Deno.errors.NotFound} (when awaited) If there is no such file.
 */
export function openUnixConnection(path: string, options: OpenUnixConnectionOptions = {}): Coroutine<Streams> {
  requireText(path, "path");
  requireOptions(options, "options", "{ limit: 1000 }");
  return connectUnix(path, toLimit(options.limit));
}

const connectUnix = coroutine(function* openUnixConnection(path: string, limit: number): GeneratorCoroutine<Streams> {
  const conn = yield* opened(getRunningLoop(), () => Deno.connect({ transport: "unix", path }));
  return streams(new SocketEndpoint(conn), limit);
});

function streams(socket: SocketEndpoint, limit: number, onDemand = false): Streams {
  const loop = getRunningLoop();
  const reader = new StreamReader({ limit, loop });
  reader._onDemand = onDemand;
  const connection = new Connection(socket, loop, reader, () => forget());
  const forget = enterLoopback(connection, loop, socket.conn);
  connection.begin();
  return [reader, new StreamWriter(connection, reader, socket)];
}

/** What a server needs for TLS, for {@linkcode StartServerOptions.ssl}. */
export interface ServerTlsOptions {
  /** The certificate, in PEM format. */
  cert: string;
  /** Its key, in PEM format. */
  key: string;
  /** The protocols to choose from. */
  alpnProtocols?: string[] | undefined;
}

/** More does not fit into what the system takes. */
const MOST_BACKLOG = 2 ** 31 - 1;

/** Options of {@linkcode startUnixServer}. */
export interface StartUnixServerOptions {
  /**
   * The limit of the readers. See {@linkcode StreamReader}.
   * @default {65536}
   */
  limit?: number | undefined;
  /**
   * Whether to accept connections at once, and not only after {@linkcode Server.startServing} or {@linkcode
   * Server.serveForever}. They can connect before that, and wait.
   * @default {true}
   */
  startServing?: boolean | undefined;
}

/** Options of {@linkcode startServer}. */
export interface StartServerOptions extends StartUnixServerOptions {
  /**
   * The address to listen on, or several. CPython's default is all addresses of IPv6, too.
   * @default {"0.0.0.0"}
   */
  host?: string | readonly string[] | undefined;
  /**
   * The port; 0 for a free one, see {@linkcode Server.addresses}.
   * @default {0}
   */
  port?: number | undefined;
  /**
   * How many connections may wait to be accepted.
   * @default {100}
   */
  backlog?: number | undefined;
  /** Has connections encrypted, with this certificate. The handshake comes before the call of `clientConnected`. */
  ssl?: ServerTlsOptions | undefined;
  /**
   * How long the handshake of TLS may take, in milliseconds or as a duration; `null` for ever. Of one that is given up,
   * Deno keeps the socket until the other side hangs up.
   * @default {60000}
   */
  sslHandshakeTimeout?: DurationLike | null | undefined;
  /**
   * Whether the system checks now and then that idle peers are still there.
   * @default {false}
   */
  keepAlive?: boolean | undefined;
  /**
   * Whether other processes may listen on the same port. Linux only.
   * @default {false}
   */
  reusePort?: boolean | undefined;
}

/**
 * Listens for TCP connections and calls `clientConnected` for each. CPython's `asyncio.start_server`.
 *
 * An exception of `clientConnected` goes to the loop's exception handler, and the connection is closed. Needs
 * `--allow-net=host:port`.
 *
 * In a test on a `VirtualClock` the client can be in the same loop, by {@linkcode openConnection}: time goes on for both.
 * See `VirtualClock` for which connections that holds.
 *
 * @param clientConnected Called with the reader and the writer. See {@linkcode ClientConnected}.
 * @param options Address, TLS and limits.
 * @returns A coroutine of the server.
 * @throws {TypeError} (at the call) If `clientConnected` is no function, or an option of the wrong type.
 * @throws {ValueError} (at the call) If the limit or the backlog is no whole number above 0, the port is none, or there is
 * no host.
 * @throws {Deno.errors.AddrInUse} (when awaited) If somebody else listens there.
 *
 * @example
 * ```ts
 * import { openConnection, run, startServer } from "@skein/skein/asyncio";
 * import { assertEquals } from "@std/assert";
 *
 * await run(async () => {
 *   await using server = await startServer(async (reader, writer) => {
 *     for await (const line of reader) {
 *       writer.write(line);
 *       await writer.drain();
 *     }
 *   }, { host: "127.0.0.1" });
 *
 *   const { port } = server.addresses[0] as Deno.NetAddr;
 *   const [reader, writer] = await openConnection("127.0.0.1", port);
 *   writer.write(new TextEncoder().encode("echo\n"));
 *   assertEquals(new TextDecoder().decode(await reader.readline()), "echo\n");
 *   writer.close();
 * });
 * ```
 */
export function startServer(clientConnected: ClientConnected, options: StartServerOptions = {}): Coroutine<Server> {
  requireFunction(clientConnected);
  requireServerOptions(options, '{ host: "127.0.0.1" }');
  const limit = toLimit(options.limit);
  const { host = "0.0.0.0", port, backlog, ssl, keepAlive, reusePort } = options;
  const hosts = Array.isArray(host) ? host : [host];
  for (const one of hosts) requireText(one, "host");
  if (hosts.length === 0) throw new ValueError("Cannot listen on no host: pass at least one, or none for 0.0.0.0");
  if (port !== undefined) requirePort(port);
  if (backlog !== undefined) requireWhole(backlog, "backlog", 1, MOST_BACKLOG);
  if (ssl !== undefined) requireServerTls(ssl);
  if (keepAlive !== undefined) requireFlag(keepAlive, "keepAlive");
  if (reusePort !== undefined) requireFlag(reusePort, "reusePort");
  toDelay(options.sslHandshakeTimeout, "sslHandshakeTimeout");
  return serve(clientConnected, hosts, limit, options);
}

const serve = coroutine(function* startServer(
  clientConnected: ClientConnected,
  hosts: readonly string[],
  limit: number,
  options: StartServerOptions,
): GeneratorCoroutine<Server> {
  const { port = 0, backlog = 100, ssl } = options;
  const loop = getRunningLoop();
  const listeners: Deno.Listener[] = [];
  try {
    for (const hostname of hosts) {
      const address = { hostname, port, tcpBacklog: backlog, reusePort: options.reusePort ?? false };
      listeners.push(
        ssl === undefined
          ? Deno.listen(address)
          : Deno.listenTls({ ...address, cert: ssl.cert, key: ssl.key, ...given(ssl, "alpnProtocols") }),
      );
    }
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw error;
  }
  return yield* started(
    new Server({
      loop,
      listeners,
      clientConnected,
      limit,
      keepAlive: options.keepAlive ?? false,
      handshakeTimeout: options.sslHandshakeTimeout,
    }),
    options,
  );
});

/**
 * Listens on a Unix socket and calls `clientConnected` for each connection. CPython's `asyncio.start_unix_server`.
 *
 * A socket that is there already is replaced, as in CPython, and the own one is removed when the server is closed: wait
 * for {@linkcode Server.waitClosed} before the path is used again. Needs `--allow-read=path --allow-write=path`.
 *
 * @param clientConnected Called with the reader and the writer. See {@linkcode ClientConnected}.
 * @param path The path of the socket.
 * @param options The limit of the readers.
 * @returns A coroutine of the server.
 * @throws {TypeError} (at the call) If `clientConnected` is no function, or the path no string.
 * @throws {ValueError} (at the call) If the path is empty, or the limit is no whole number above 0.
 * @throws {Deno.errors.AddrInUse} (when awaited) If there is a file of that path which is no socket.
 */
export function startUnixServer(
  clientConnected: ClientConnected,
  path: string,
  options: StartUnixServerOptions = {},
): Coroutine<Server> {
  requireFunction(clientConnected);
  requireText(path, "path");
  requireServerOptions(options, "{ limit: 1000 }");
  return serveUnix(clientConnected, path, toLimit(options.limit), options);
}

const serveUnix = coroutine(function* startUnixServer(
  clientConnected: ClientConnected,
  path: string,
  limit: number,
  options: StartUnixServerOptions,
): GeneratorCoroutine<Server> {
  const loop = getRunningLoop();
  yield* socketRemoved(path);
  const listener = Deno.listen({ transport: "unix", path });
  return yield* started(
    new Server({
      loop,
      listeners: [listener],
      clientConnected,
      limit,
      keepAlive: false,
      handshakeTimeout: undefined,
    }),
    options,
  );
});

function* started(server: Server, options: StartUnixServerOptions): GeneratorCoroutine<Server> {
  if (options.startServing === false) return server;
  server._serve();
  try {
    yield* sleep(0);
  } catch (error) {
    server.close();
    // Deno removes a socket when nothing accepts any more: not one that somebody makes there after this.
    yield* patiently(server._waitClosed());
    throw error;
  }
  return server;
}

/** Removes a socket that was left. If that is cancelled, it does not remove a later one of that path. */
function* socketRemoved(path: string): GeneratorCoroutine<void> {
  const loop = getRunningLoop();
  const removing = removeSocket(path);
  try {
    yield* adopt(removing, loop);
  } catch (error) {
    yield* patiently(adopt(removing, loop));
    throw error;
  }
}

async function removeSocket(path: string): Promise<void> {
  try {
    if ((await Deno.stat(path)).isSocket) await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function requireServerOptions(options: StartUnixServerOptions, example: string): void {
  requireOptions(options, "options", example);
  if (options.startServing !== undefined) requireFlag(options.startServing, "startServing");
}

function requireServerTls(ssl: ServerTlsOptions): void {
  requireOptions(ssl, "ssl", "{ cert, key }");
  requireText(ssl.cert, "ssl.cert");
  requireText(ssl.key, "ssl.key");
  if (ssl.alpnProtocols !== undefined) requireTexts(ssl.alpnProtocols, "ssl.alpnProtocols");
}

function requireFunction(clientConnected: unknown): void {
  if (typeof clientConnected === "function") return;
  throw new TypeError(
    `Cannot call ${
      Deno.inspect(clientConnected, { depth: 0 })
    } for connections: pass a function of a reader and a writer`,
  );
}

/** The members of `options` that are there, for those who tell `undefined` from nothing. */
function given<T extends object, K extends keyof T>(options: T, ...keys: K[]): { [P in K]?: NonNullable<T[P]> } {
  return Object.fromEntries(
    keys.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]),
  ) as { [P in K]?: NonNullable<T[P]> };
}
