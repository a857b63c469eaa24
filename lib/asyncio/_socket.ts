import type { DurationLike } from "../_duration.ts";
import type { Endpoint } from "./_connection.ts";
import { adopt, type GeneratorCoroutine } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { TimeoutError } from "./exceptions.ts";
import type { ExtraInfo, StartTlsOptions } from "./stream_writer.ts";
import { timeout } from "./timeouts.ts";

const SMALL_CHUNK = 4 * 1024;
const LARGE_CHUNK = 64 * 1024;

/** CPython's. */
const HANDSHAKE_TIMEOUT = 60_000;

/** A {@linkcode Deno.Conn}, which TLS can take over. */
export class SocketEndpoint implements Endpoint {
  readonly #host: string | undefined;
  #conn: Deno.Conn;
  #handshake: Deno.TlsHandshakeInfo | null = null;
  #tls: boolean;
  #closed = false;
  /** Small until the other side sends much: most of many connections are idle. */
  #chunk = new Uint8Array(0);

  /** `host` is the name that was connected to. */
  constructor(conn: Deno.Conn, host?: string) {
    this.#conn = conn;
    this.#host = host;
    this.#tls = "handshake" in conn;
    // As CPython does: who writes much has it in the buffer, and who writes little wants it to be sent.
    set(conn, (tcp) => tcp.setNoDelay(true));
  }

  get tls(): boolean {
    return this.#tls;
  }

  get halfOpen(): boolean {
    return !this.#tls;
  }

  get closeWrite(): (() => Promise<void>) | undefined {
    return this.#tls ? undefined : () => this.#conn.closeWrite();
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#chunk.length === 0) this.#chunk = new Uint8Array(SMALL_CHUNK);
    const chunk = this.#chunk;
    const count = await this.#conn.read(chunk);
    if (count === null) return null;
    if (count === chunk.length && count < LARGE_CHUNK) this.#chunk = new Uint8Array(LARGE_CHUNK);
    return chunk.subarray(0, count);
  }

  write(data: Uint8Array): Promise<number> {
    return this.#conn.write(data);
  }

  close(): void {
    this.#closed = true;
    closeQuietly(this.#conn);
  }

  setKeepAlive(): void {
    set(this.#conn, (tcp) => tcp.setKeepAlive(true));
  }

  get conn(): Deno.Conn {
    return this.#conn;
  }

  get info(): Partial<ExtraInfo> {
    const { remoteAddr: peername, localAddr: sockname } = this.#conn;
    const info = { peername, sockname, socket: this.#conn };
    return this.#handshake === null ? info : { ...info, handshake: this.#handshake };
  }

  /** Takes the connection over by TLS, as its client. Cancelled or failed, it has to be closed. */
  *startTls(loop: EventLoop, options: StartTlsOptions): GeneratorCoroutine<void> {
    const hostname = options.serverHostname ?? this.#host;
    const { caCerts, alpnProtocols } = options;
    this.#conn = yield* opened(loop, () =>
      Deno.startTls(this.#conn as Deno.TcpConn, {
        ...(hostname === undefined ? {} : { hostname }),
        ...(caCerts === undefined ? {} : { caCerts }),
        ...(alpnProtocols === undefined ? {} : { alpnProtocols }),
      }));
    this.#tls = true;
    if (this.#closed) {
      // That was the connection before.
      this.close();
      throw new Deno.errors.ConnectionReset("Connection lost");
    }
    yield* this.handshake(loop, options.sslHandshakeTimeout);
  }

  /** Ends the handshake of TLS, if it is one. */
  *handshake(loop: EventLoop, limit: DurationLike | null = HANDSHAKE_TIMEOUT): GeneratorCoroutine<void> {
    if (!this.#tls) return;
    const conn = this.#conn as Deno.TlsConn;
    try {
      this.#handshake = yield* timeout(limit, () => adopt(conn.handshake(), loop));
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      throw new Deno.errors.ConnectionAborted("The TLS handshake takes too long: the connection is closed", {
        cause: error,
      });
    }
  }
}

/** Waits for a connection that is being made. If the wait is cancelled, it is closed as soon as it is there. */
export function* opened<C extends Deno.Conn>(
  loop: EventLoop,
  open: (signal: AbortSignal) => Promise<C>,
): GeneratorCoroutine<C> {
  const controller = new AbortController();
  const opening = open(controller.signal);
  try {
    return yield* adopt(opening, loop);
  } catch (error) {
    controller.abort();
    opening.then(closeQuietly, () => {});
    throw error;
  }
}

/** Closes what may have been closed by its signal. */
export function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Changes a setting of a TCP connection. Some systems refuse it when the peer has gone already, which reading tells. */
function set(conn: Deno.Conn, change: (conn: Deno.TcpConn) => void): void {
  if (!("setNoDelay" in conn)) return;
  try {
    change(conn as Deno.TcpConn);
  } catch {
    return;
  }
}
