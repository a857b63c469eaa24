import { ByteBuffer } from "./_byte_buffer.ts";
import { wake } from "./_waiter.ts";
import type { Suspension } from "./coroutine.ts";
import type { EventLoop } from "./event_loop.ts";
import { RuntimeError } from "./exceptions.ts";
import type { Future } from "./future.ts";
import type { HostTransport, StreamReader } from "./stream_reader.ts";

/** CPython's marks: above the one `drain()` waits, until no more than the other is left to be sent. */
const HIGH_WATER = 64 * 1024;
const LOW_WATER = 16 * 1024;

/** How much is given to the host at once: enough that the call does not count, little enough to see progress. */
const PIECE = 256 * 1024;

/** How often the host has to come round without sending anything to have no room. It takes what there is room for at once. */
const TURNS_TO_SEND = 2;

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
 *
 * A virtual clock stands still while somebody waits for it and the host works for that. The host does so until it has
 * failed, as far as one can know; but if the other side is a connection of the same loop, it is known what is on its way
 * and whether the other side takes it.
 */
export class Connection implements HostTransport, Disposable {
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
  /** The other side, if that is in the same loop. */
  #peer: Connection | null = null;
  #expectsPeer = false;
  #readWaits = 0;
  #sendWaits = 0;
  /** All bytes so far that were to be sent, and that have come in. */
  #written = 0;
  #received = 0;
  /** Whether the end has come in. */
  #ended = false;
  /** Whether the peer does not read, and the system takes no more before it does. */
  #stuck = false;
  /** The host's timer that looks for that. */
  #watch: ReturnType<typeof setTimeout> | null = null;
  /** For how many reasons the clock stands still. */
  #holds = 0;

  constructor(endpoint: Endpoint, loop: EventLoop, reader: StreamReader | null, onLost?: () => void) {
    this.#endpoint = endpoint;
    this.#loop = loop;
    this.#reader = reader;
    this.#onLost = onLost;
    reader?._setHostTransport(this);
    loop._resources.add(this);
  }

  /** Learns that its other side is of the same loop. */
  meet(peer: Connection): void {
    this.#peer = peer;
    peer.#peer = this;
    this.#expectsPeer = peer.#expectsPeer = false;
    this.#tellClock();
    peer.#tellClock();
  }

  /** Whether its other side is to be accepted by the same loop at any moment. */
  expectPeer(expected: boolean): void {
    this.#expectsPeer = expected;
    this.#tellClock();
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
    this.#written += data.length;
    this.#tellClocks();
    if (this.#left > HIGH_WATER) this.#writingPaused = true;
    this.#write();
  }

  writeEof(): void {
    if (this.closing || this.#eofAsked) return;
    this.#eofAsked = true;
    this.#tellClocks();
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
    this.#tellClocks();
  }

  /** Closes it at once. What was not sent is dropped. */
  abort(): void {
    this.#lose(null);
  }

  /** What the end of its loop does. */
  [Symbol.dispose](): void {
    this.abort();
  }

  *arriving(waiter: Future<void>): Generator<Suspension, void, unknown> {
    this.#readWaits++;
    this.#tellClock();
    try {
      yield* waiter;
    } finally {
      this.#readWaits--;
      this.#tellClock();
    }
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
    this.#tellClocks();
    try {
      while (!this.#readingPaused) {
        const data = await this.#endpoint.read!();
        if (this.closing) return;
        if (data === null) {
          this.#ended = true;
          reader.feedEof();
          this.#tellClock();
          // `#reading` stays: there is nothing more to read.
          if (!this.#endpoint.halfOpen) this.close();
          return;
        }
        this.#received += data.length;
        reader.feedData(data);
        this.#tellClock();
      }
      this.#reading = false;
      this.#tellClocks();
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
    this.#stuck = false;
    if (left <= LOW_WATER) this.#writingPaused = false;
    for (const [waiter, mark] of this.#drains) if (left <= mark) wake(waiter);
    this.#tellClock();
  }

  *#waitToSend(mark: number): Generator<Suspension, void, unknown> {
    const waiter = this.#loop.createFuture<void>();
    this.#drains.set(waiter, mark);
    this.#sendWaits++;
    this.#tellClock();
    try {
      yield* waiter;
    } finally {
      this.#drains.delete(waiter);
      this.#sendWaits--;
      this.#tellClock();
    }
  }

  #lose(error: unknown): void {
    if (this.lost) return;
    this.#state = "lost";
    this.#expectsPeer = false;
    this.#error = error;
    this.#unsent.clear();
    this.#loop._resources.delete(this);
    this.#endpoint.close();
    if (error === null) this.#reader?.feedEof();
    else this.#reader?.setException(error);
    for (const waiter of this.#drains.keys()) wake(waiter);
    for (const waiter of this.#closeWaiters) wake(waiter);
    this.#onLost?.();
    this.#tellClocks();
  }

  /** Whether the host has something for this side, or may have. */
  get #isSent(): boolean {
    const peer = this.#peer;
    if (this.lost) return false;
    if (peer === null) return true;
    return peer.#written > this.#received || (!this.#ended && (peer.#eofAsked || peer.closing));
  }

  #tellClocks(): void {
    this.#tellClock();
    if (this.#peer !== null) this.#peer.#tellClock();
  }

  /** Has a virtual clock stand still just as long as the host works for those who wait for this connection. */
  #tellClock(): void {
    // Also if no task waits for it, the host works on what is to be sent before the close.
    const sends = !this.lost && (this.#sendWaits > 0 || this.#state === "closing");
    const blocked = sends && this.#peer !== null && !this.#peer.lost && !this.#peer.#reading;
    if (!blocked) this.#unwatch();
    else if (!this.#stuck && this.#watch === null) this.#look(this.#left, TURNS_TO_SEND);
    const holds = Number(this.#expectsPeer) + Number(this.#readWaits > 0 && this.#isSent) +
      Number(sends && !this.#stuck);
    if (holds === this.#holds) return;
    this.#loop._countNative(false, holds - this.#holds);
    const woken = holds < this.#holds;
    this.#holds = holds;
    if (woken) this.#loop._wake();
  }

  /** Finds out whether the system takes what is to be sent, where the other side does not read. */
  #look(left: number, turns: number): void {
    this.#watch = setTimeout(() => {
      this.#watch = null;
      if (this.#left === left && turns > 1) return this.#look(left, turns - 1);
      this.#stuck = this.#left === left;
      this.#tellClock();
    }, 0);
  }

  #unwatch(): void {
    this.#stuck = false;
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#watch = null;
  }
}
