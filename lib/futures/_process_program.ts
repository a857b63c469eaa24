/**
 * The programs of a child process: of its main thread, which runs the tasks, and of the thread that supervises it. They
 * are sent as their source text: see {@linkcode Parts}.
 * @module
 */

import type { V8 } from "./_codec.ts";
import type { FromWorker, ToWorker } from "./_protocol.ts";
import type { Parts } from "./_worker_program.ts";

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

/** What the threads of a child share. */
interface ProcessMemory {
  readonly memory: SharedArrayBuffer;
  readonly mailbox: SharedArrayBuffer;
  readonly key: Uint8Array;
}

/**
 * What a child is started with: it reads the program of its main thread from its stdin, as Deno takes milliseconds for
 * the URL of a module that is long; and the key of its packets.
 */
export function processBootProgram(HEADER: number, v8: V8): void {
  function read(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) at += Deno.stdin.readSync(bytes.subarray(at)) ?? Deno.exit(0);
    return bytes;
  }
  const readFrame = () => read(new DataView(read(HEADER).buffer).getUint32(0, true));
  const program = new TextDecoder().decode(readFrame());
  (0, eval)(program)(v8, readFrame());
}

/**
 * The program of a child's main thread, which does the work. It writes its results to stdout itself, before it starts the
 * next call. If it dies, of whatever, so does the child.
 *
 * While calls follow one another it waits for the next one where it stands: to be woken there is quicker than in its event
 * loop. What the tasks have left behind (timers, connections) gets its turn in between.
 */
export function processMainProgram(
  parts: Parts,
  supervisorUrl: string,
  supervisorProgram: string,
  v8: V8,
  key: Uint8Array<ArrayBuffer>,
): void {
  const { SLOTS, SlotState, slotWord, Mail, FrameKind, HEADER } = parts;
  /** How long it may keep its event loop waiting, how long that has its turn then, and for how long both, in milliseconds. */
  const PAUSE = 8;
  const TURN = 2;
  const LATELY = 10;
  /** After how many single calls it looks for the next one; for how long: the way is longer than that of a thread. */
  const FEW = 4;
  const LOOK = 2.5 * parts.POLL;
  const { exit } = Deno;
  const memory = new SharedArrayBuffer(parts.SHARED_BYTES);
  const { states } = parts.layOutSlots(memory, SLOTS);
  const mailbox = new SharedArrayBuffer(4 * Mail.WORDS + Mail.BYTES);
  const mail = new Int32Array(mailbox, 0, Mail.WORDS);
  const ring = new Uint8Array(mailbox, 4 * Mail.WORDS);
  const write = parts.packetWriter(key, 0);
  const codec = parts.makeCodec(v8, parts.findUncloneable, parts.makeIsPlain());
  /** The number of the last call that was received, and of the last one that is over. */
  let last = -1;
  let over = -2;
  /** How often something had been sent when it was last looked for. */
  let seen = 0;
  /** How many times in turn a single call came: then who calls waits for each result before the next call. */
  let singles = 0;
  const patience = parts.makePatience(LOOK);
  let listening = false;
  let calledAt = 0;
  let attached: ArrayBuffer[] = [];

  // It keeps this thread alive.
  const supervisor = new Worker(supervisorUrl, { type: "module" });
  supervisor.postMessage(supervisorProgram);
  supervisor.postMessage({ memory, mailbox, key } satisfies ProcessMemory);
  // Ctrl-C is for the program: that ends its children, or lets them finish.
  Deno.addSignalListener("SIGINT", () => {});

  // Stdin is the parent's: to a task, and to programs that it starts, it is at its end.
  Object.defineProperties(Deno.stdin, {
    read: { value: () => Promise.resolve(null) },
    readSync: { value: () => null },
    readable: { get: () => new Blob().stream() },
  });
  // What these store is on the disk.
  for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(globalThis, name, { value: undefined });
  if (Deno.permissions.querySync({ name: "write" }).state !== "granted") {
    Object.defineProperty(globalThis, "caches", { value: undefined });
  }
  // Made when a task asks for it: Deno takes 2 ms to load its own.
  const own = Object.getOwnPropertyDescriptor(Deno, "Command")!;
  Object.defineProperty(Deno, "Command", {
    get() {
      class Command extends (own.get?.call(Deno) ?? own.value as typeof Deno.Command) {
        constructor(command: string | URL, options: Deno.CommandOptions = {}) {
          const { stdin = "inherit" } = options;
          super(command, { ...options, stdin: stdin === "inherit" ? "null" : stdin });
        }
      }
      Object.defineProperty(Deno, "Command", { value: Command });
      return Command;
    },
  });
  parts.refuseMessages();

  function report(seq: number, payload: Uint8Array): void {
    over = seq;
    // The state first: with its outcome known, the parent may give the slot to another call.
    Atomics.store(states, seq % SLOTS, slotWord(seq, SLOTS, SlotState.SENT));
    write(payload);
  }
  function send(message: FromWorker): void {
    const payload = codec.encode(message);
    if (message[0] === "error") report(message[1], payload);
    else write(payload);
  }
  const run = parts.taskRunner(states, {
    result: (seq, duration, value) => report(seq, codec.encodeResult(seq, duration, value)),
    send,
    findUncloneable: (value) => parts.findUncloneable(value, true),
    memory: ({ rss }) => rss,
    permissionHint: " (a task has the permissions of its pool: new ProcessPoolExecutor({ permissions: ... }))",
  }, parts);

  function open(frames: Uint8Array<ArrayBuffer>): void {
    const view = new DataView(frames.buffer, frames.byteOffset);
    const before = last;
    for (let at = 0; at < frames.length;) {
      const end = at + HEADER + view.getUint32(at, true);
      const kind = view.getUint8(at + 4);
      if (kind === FrameKind.END) exit(view.getUint8(at + 6));
      if (kind === FrameKind.RUN) last = view.getFloat64(at + 8, true) + view.getUint16(at + 6, true) - 1;
      const message = codec.decode(frames.subarray(at + HEADER, end), attached) as ToWorker;
      attached = [];
      run(message);
      at = end;
    }
    singles = last - before === 1 ? singles + 1 : 0;
  }
  const isMail = () => Atomics.load(mail, Mail.WRITTEN) !== mail[Mail.READ];
  /** Whether something comes as a message. */
  const isMessage = () => Atomics.load(mail, Mail.MESSAGES) !== mail[Mail.RECEIVED];
  /** All that is in the ring. */
  function takeMail(): Uint8Array<ArrayBuffer> | undefined {
    seen = Atomics.load(mail, Mail.SENT);
    const read = mail[Mail.READ]!;
    const length = (Atomics.load(mail, Mail.WRITTEN) - read) | 0;
    if (length === 0) return undefined;
    const frames = new Uint8Array(length);
    const at = read & (Mail.BYTES - 1);
    const rest = Mail.BYTES - at;
    frames.set(ring.subarray(at, at + Math.min(length, rest)));
    if (length > rest) frames.set(ring.subarray(0, length - rest), rest);
    Atomics.store(mail, Mail.READ, read + length);
    return frames;
  }
  /**
   * Looks for a moment whether the next call comes, which is quicker than to be woken by it. Only where calls come one at
   * a time: otherwise the parent has a better use for the processor.
   */
  function look(): boolean {
    const until = performance.now() + LOOK;
    let isSent = false;
    while (!isSent && performance.now() < until) {
      for (let i = 0; i < 50 && !isSent; i++) isSent = Atomics.load(mail, Mail.SENT) !== seen;
    }
    patience.learn(isSent);
    return isSent;
  }
  /** Takes what is there, and what comes while it waits. */
  function serve(): void {
    const until = performance.now() + PAUSE;
    for (let now = 0; now < until; now = performance.now()) {
      const frames = takeMail();
      if (frames !== undefined) {
        open(frames);
        calledAt = performance.now();
      } else if (over !== last || isMessage()) break;
      else if (singles > FEW && patience.has() && look()) continue;
      else if (Atomics.wait(mail, Mail.SENT, seen, until - performance.now()) === "timed-out") break;
    }
    listen();
  }
  /** Sees to it that what comes is served, in a turn of the event loop of its own. */
  function listen(): void {
    if (listening) return;
    const time = over === last && performance.now() - calledAt < LATELY ? TURN : Infinity;
    seen = Atomics.load(mail, Mail.SENT);
    const isHere = isMail();
    if (!isHere && isMessage()) return;
    const turn = isHere ? Atomics.waitAsync(mail, Mail.TURN, 0) : Atomics.waitAsync(mail, Mail.SENT, seen, time);
    if (isHere) Atomics.notify(mail, Mail.TURN);
    if (!turn.async) return listen(); // something came in between
    listening = true;
    turn.value.then((reason) => {
      listening = false;
      if (isMail() || reason === "timed-out") serve();
      else listen();
    });
  }
  supervisor.onmessage = ({ data }: MessageEvent<Uint8Array<ArrayBuffer> | ArrayBuffer>) => {
    const before = takeMail();
    if (before !== undefined) open(before);
    Atomics.add(mail, Mail.RECEIVED, 1);
    if (data instanceof ArrayBuffer) attached.push(data);
    else open(data);
    calledAt = performance.now();
    serve();
  };
  listen();
}

/**
 * The program of the thread in a child that reads its stdin. It never runs a task, so it is there at once when the parent
 * takes calls back, closes the pipe, or dies; and it does nothing but wait for the pipe, as to be woken by an event loop
 * takes longer.
 *
 * A frame on stdin is a header, which says how long it is and of what kind, and a body.
 */
export function processSupervisorProgram(
  SLOTS: number,
  SlotState: Parts["SlotState"],
  layOutSlots: Parts["layOutSlots"],
  slotWord: Parts["slotWord"],
  packetWriter: Parts["packetWriter"],
  FrameKind: Parts["FrameKind"],
  HEADER: number,
  Mail: Parts["Mail"],
): void {
  /** How long the main thread has to end the child before that is killed, in milliseconds. */
  const PATIENCE = 25;
  const scope = self as unknown as {
    onmessage: (event: MessageEvent<ProcessMemory>) => void;
    postMessage(message: unknown, transfer: Transferable[]): void;
  };
  scope.onmessage = ({ data: { memory, mailbox, key } }) => {
    // One read takes in many small frames; a large one is read to where it stays.
    const buffer = new Uint8Array(65536);
    const view = new DataView(buffer.buffer);
    let start = 0;
    let end = 0;
    /** How many frames have come; the main thread has taken the first two. */
    let frames = 2;
    const { states } = layOutSlots(memory, SLOTS);
    const mail = new Int32Array(mailbox, 0, Mail.WORDS);
    const ring = new Uint8Array(mailbox, 4 * Mail.WORDS);
    const seqs = new Float64Array(SLOTS);
    const write = packetWriter(key, 1);

    /** Waits for what comes on stdin. */
    function readInto(target: Uint8Array): number {
      while (true) {
        try {
          return Deno.stdin.readSync(target) ?? endChild(0);
        } catch (error) {
          if (!(error instanceof Deno.errors.Interrupted)) throw error; // a signal that somebody handles
        }
      }
    }
    /** When the parent closed the pipe, or is dead, a task that is still running ends here, too. */
    function endChild(code: number): never {
      const frame = new Uint8Array(HEADER);
      frame[4] = FrameKind.END;
      frame[6] = code;
      forward(frame);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PATIENCE);
      Deno.kill(Deno.pid, "SIGKILL");
      throw new Error("was killed");
    }
    /** How long the next frame is, which is at `at`, or at least how much of it is to be known first. */
    function frameLength(at: number): number {
      if (end - at < HEADER) return HEADER;
      if (view.getUint8(at + 5) !== (frames & 0xff)) {
        console.error("A task, or a program that it has started, has read from the stdin of its worker");
        endChild(1);
      }
      return HEADER + view.getUint32(at, true);
    }
    /** Reads the rest of a frame that does not fit. Gives it back, or the buffer that it is. */
    function readLarge(length: number): Uint8Array<ArrayBuffer> | ArrayBuffer {
      const isAttached = view.getUint8(start + 4) === FrameKind.ATTACH;
      const skip = isAttached ? HEADER : 0;
      const frame = new Uint8Array(length - skip);
      frame.set(buffer.subarray(start + skip, end));
      for (let at = end - start - skip; at < frame.length;) at += readInto(frame.subarray(at));
      start = end = 0;
      frames++;
      return isAttached ? frame.buffer : frame;
    }
    /** Takes note of the calls in a frame. */
    function announce(frame: DataView, at: number): void {
      const first = frame.getFloat64(at + 8, true);
      for (let seq = first; seq < first + frame.getUint16(at + 6, true); seq++) {
        seqs[seq % SLOTS] = seq;
        Atomics.store(states, seq % SLOTS, slotWord(seq, SLOTS, SlotState.HANDED));
      }
    }
    /** Hands frames to the other thread: to where it waits, or as a message. */
    function forward(frames: Uint8Array<ArrayBuffer> | ArrayBuffer): void {
      if (frames.byteLength === 0) return;
      const written = mail[Mail.WRITTEN]!;
      const room = Mail.BYTES - ((written - Atomics.load(mail, Mail.READ)) | 0);
      const isMail = !(frames instanceof ArrayBuffer) && frames.length <= room &&
        Atomics.load(mail, Mail.RECEIVED) === mail[Mail.MESSAGES];
      if (isMail) {
        const at = written & (Mail.BYTES - 1);
        const rest = Mail.BYTES - at;
        ring.set(frames.subarray(0, rest), at);
        ring.set(frames.subarray(rest));
        Atomics.store(mail, Mail.WRITTEN, written + frames.length);
      } else Atomics.add(mail, Mail.MESSAGES, 1);
      Atomics.add(mail, Mail.SENT, 1);
      Atomics.notify(mail, Mail.SENT);
      if (isMail) return;
      if (frames instanceof ArrayBuffer) return scope.postMessage(frames, [frames]);
      const message = frames.buffer === buffer.buffer ? frames.slice() : frames;
      scope.postMessage(message, [message.buffer]);
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
      const running =
        seqs.find((seq) => Atomics.load(states, seq % SLOTS) === slotWord(seq, SLOTS, SlotState.RUNNING)) ??
          null;
      write(new TextEncoder().encode(JSON.stringify({ running, returned })));
    }

    while (true) {
      const length = frameLength(start);
      if (length > buffer.length) {
        const large = readLarge(length);
        if (large instanceof Uint8Array) {
          const frame = new DataView(large.buffer);
          if (frame.getUint8(4) === FrameKind.RUN) announce(frame, 0);
        }
        forward(large);
        continue;
      }
      if (end - start < length) {
        buffer.copyWithin(0, start, end);
        end -= start;
        start = 0;
        end += readInto(buffer.subarray(end));
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
        }
        at += length;
        frames++;
      }
      forward(buffer.subarray(start, at));
      start = at;
    }
  };
}
