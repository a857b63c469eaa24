import { ByteBuffer } from "./_byte_buffer.ts";
import type { Suspension } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { RuntimeError } from "./exceptions.ts";
import type { Future } from "./future.ts";
import { hostWait } from "./_host_wait.ts";
import type { ReadTransport, StreamReader } from "./stream_reader.ts";

/** CPython's marks: above the one `drain()` waits, until no more than the other is left to be sent. */
const HIGH_WATER = 64 * 1024;
const LOW_WATER = 16 * 1024;

/** How much is given to the host at once: enough that the call does not count, little enough to see progress. */
const PIECE = 256 * 1024;

/** What is at the other end of a {@linkcode Connection}: a socket, or a pipe in one direction. */
export interface Endpoint {
  /** What a peer's hang-up leaves: a socket can still be written to, TLS and pipes cannot. */
  readonly halfOpen: boolean;
  /** The next bytes, `null` at the end. They are copied before the next call. */
  read?(): Promise<Uint8Array | null>;
  /** Writes the start of `data`, and says how much of it. */
  write?(data: Uint8Array): Promise<number>;
  /** Says that nothing more is written. */
  readonly closeWrite?: (() => Promise<void>) | undefined;
  /** Lets go of it at once. What waits for it ends. */
  close(): void;
}

/**
 * Moves bytes between an endpoint and a reader and a writer: one loop reads, one writes. Both are native code that
 * belongs to no task, so whichever task waits for them can be cancelled without losing a byte.
 *
 * It is _open_, then _closing_ from `close()` on while what was written is being sent, then _lost_. An error of either
 * loop loses it at once.
 */
export class Connection implements ReadTransport, Disposable {
  readonly #endpoint: Endpoint;
  readonly #loop: EventLoop;
  readonly #reader: StreamReader | null;
  readonly #unsent = new ByteBuffer();
  readonly #drains = new Map<Future<void>, number>();
  readonly #closeWaiters = new Set<Future<void>>();
  readonly #onLost: (() => void) | undefined;
  /** How much of the piece that the host has is still to be sent. */
  #inFlight = 0;
  #reading = false;
  #readingPaused = false;
  #writing = false;
  /** Whether there was more to send than `drain()` lets pass. */
  #writingPaused = false;
  #eofAsked = false;
  #state: "open" | "closing" | "lost" = "open";
  #error: unknown = null;

  constructor(endpoint: Endpoint, loop: EventLoop, reader: StreamReader | null, onLost?: () => void) {
    this.#endpoint = endpoint;
    this.#loop = loop;
    this.#reader = reader;
    this.#onLost = onLost;
    reader?._setHostTransport(this);
    loop._resources.add(this);
  }

  /** Begins to read, unless the reader wants to ask for it. */
  begin(): void {
    if (this.#reader?._onDemand) this.#readingPaused = true;
    else this.#read();
  }

  get closing(): boolean {
    return this.#state !== "open";
  }

  get lost(): boolean {
    return this.#state === "lost";
  }

  /** What it was lost by; `null` for a close. */
  get error(): unknown {
    return this.#error;
  }

  get canWriteEof(): boolean {
    return this.#endpoint.closeWrite !== undefined;
  }

  /** Whether the host is reading from the endpoint, so that nobody else can. */
  get busy(): boolean {
    return this.#reading;
  }

  pauseReading(): void {
    this.#readingPaused = true;
  }

  resumeReading(): void {
    this.#readingPaused = false;
    this.#read();
  }

  write(data: Uint8Array): void {
    if (this.#eofAsked) throw new RuntimeError("Cannot write after writeEof(): write before it, or open a connection");
    if (this.closing || data.length === 0) return;
    this.#unsent.append(data);
    if (this.#left > HIGH_WATER) this.#writingPaused = true;
    this.#write();
  }

  writeEof(): void {
    if (this.closing || this.#eofAsked) return;
    this.#eofAsked = true;
    this.#write();
  }

  /** Closes it when all is sent. */
  close(): void {
    if (this.closing) return;
    if (!this.#writing) {
      this.#lose(null);
      return;
    }
    this.#state = "closing";
    // The host still works for this loop, even if no task waits for it.
    this.#loop._adopted(false, 1);
  }

  /** Closes it at once. What was not sent is dropped. */
  abort(): void {
    this.#lose(null);
  }

  /** What the end of its loop does. */
  [Symbol.dispose](): void {
    this.abort();
  }

  /** Waits until it is no longer paused, or lost. */
  *drained(): Generator<Suspension, void, unknown> {
    if (this.#writingPaused) yield* this.#waitToSend(LOW_WATER);
  }

  /** Waits until all is sent, or it is lost. */
  *flushed(): Generator<Suspension, void, unknown> {
    if (this.#writing) yield* this.#waitToSend(0);
  }

  /** Waits until it is lost; throws what it was lost by. */
  *closed(): Generator<Suspension, void, unknown> {
    if (!this.lost) {
      const waiter = this.#loop.createFuture<void>();
      this.#closeWaiters.add(waiter);
      try {
        yield* waiter;
      } finally {
        this.#closeWaiters.delete(waiter);
      }
    }
    if (this.#error !== null) throw this.#error;
  }

  /**
   * Lets `change` do with the endpoint what it likes: nothing is read, and what is written waits. If it fails, the
   * connection is lost. After it, reading has to be resumed.
   */
  *withEndpoint(change: () => Generator<Suspension, void, unknown>): Generator<Suspension, void, unknown> {
    this.#reading = this.#writing = true;
    try {
      yield* change();
    } catch (error) {
      this.abort();
      throw error;
    }
    if (this.lost) throw new Deno.errors.ConnectionReset("Connection lost");
    this.#reading = false;
    this.#writeLoop();
  }

  get #left(): number {
    return this.#unsent.length + this.#inFlight;
  }

  #read(): void {
    if (!this.#reading && !this.closing && this.#endpoint.read !== undefined) this.#readLoop();
  }

  async #readLoop(): Promise<void> {
    const reader = this.#reader!;
    this.#reading = true;
    try {
      while (!this.#readingPaused) {
        const data = await this.#endpoint.read!();
        if (this.closing) return;
        if (data === null) {
          reader.feedEof();
          // `#reading` stays: there is nothing more to read.
          if (!this.#endpoint.halfOpen) this.close();
          return;
        }
        reader.feedData(data);
      }
      this.#reading = false;
    } catch (error) {
      if (!this.closing) this.#lose(error);
    }
  }

  #write(): void {
    if (!this.#writing) this.#writeLoop();
  }

  async #writeLoop(): Promise<void> {
    this.#writing = true;
    try {
      while (this.#unsent.length > 0) {
        let piece: Uint8Array = this.#unsent.take(PIECE);
        this.#inFlight = piece.length;
        while (piece.length > 0) {
          piece = piece.subarray(await this.#endpoint.write!(piece));
          if (this.lost) return;
          this.#inFlight = piece.length;
          this.#sent();
        }
      }
      if (this.#eofAsked) await this.#endpoint.closeWrite?.();
      this.#writing = false;
      if (this.#state === "closing") this.#lose(null);
    } catch (error) {
      this.#lose(error);
    }
  }

  #sent(): void {
    const left = this.#left;
    if (left <= LOW_WATER) this.#writingPaused = false;
    for (const [waiter, mark] of this.#drains) if (left <= mark) this.#settle(waiter);
  }

  *#waitToSend(mark: number): Generator<Suspension, void, unknown> {
    const waiter = this.#loop.createFuture<void>();
    this.#drains.set(waiter, mark);
    try {
      yield* hostWait(waiter);
    } finally {
      this.#drains.delete(waiter);
    }
  }

  #lose(error: unknown): void {
    if (this.lost) return;
    if (this.#state === "closing") {
      this.#loop._adopted(false, -1);
      this.#loop._wake();
    }
    this.#state = "lost";
    this.#error = error;
    this.#unsent.clear();
    this.#loop._resources.delete(this);
    this.#endpoint.close();
    if (error === null) this.#reader?.feedEof();
    else this.#reader?.setException(error);
    for (const waiter of this.#drains.keys()) this.#settle(waiter);
    for (const waiter of this.#closeWaiters) this.#settle(waiter);
    this.#onLost?.();
  }

  /** Lets a waiter go on, which looks for itself whether the connection was lost. */
  #settle(waiter: Future<void>): void {
    if (!waiter.done() && !this.#loop.isClosed()) waiter.setResult();
  }
}
