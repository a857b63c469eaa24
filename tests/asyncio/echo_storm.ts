/**
 * An echo server and clients that send random amounts, stall, and hang up at random. The tests run a short form;
 * `deno task storm [connections] [seed]` a long one, in which the memory has to stay flat.
 *
 * @module
 */

import {
  createTask,
  EventLoop,
  gather,
  openConnection,
  sleep,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "../../lib/asyncio/mod.ts";

/** How a storm is to be. */
export interface StormOptions {
  connections: number;
  /** How many at a time. */
  atOnce: number;
  seed: number;
  /** How many bytes a client sends at most. */
  most: number;
  /** Called now and then with how many clients have ended. */
  progress?: (ended: number) => void;
}

/** How a storm was. */
export interface StormResult {
  /** Bytes that came back. */
  echoed: number;
  /** Clients that were given back something else. */
  failures: string[];
  /** Connections, servers and tasks that were left at the end. */
  left: number;
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  return () => {
    seed = (seed + 0x6D2B79F5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs a storm in a loop of its own. */
export async function storm(options: StormOptions): Promise<StormResult> {
  const loop = new EventLoop();
  const result: StormResult = { echoed: 0, failures: [], left: 0 };
  loop.setExceptionHandler((_, context) => result.failures.push(`${context.message} ${context.exception}`));
  await loop.runUntilComplete(async () => {
    {
      await using server = await startServer(echo, { host: "127.0.0.1", backlog: options.atOnce });
      const { port } = server.addresses[0] as Deno.NetAddr;
      let begun = 0;
      await gather(Array.from({ length: options.atOnce }, () => async () => {
        while (begun < options.connections) {
          const number = begun++;
          const echoed = await new Client(options, number, port, result.failures).run();
          result.echoed += echoed;
          if (number % 1000 === 999) options.progress?.(number + 1);
        }
      }));
    }
    // This task is one of them.
    result.left = loop._resources.size + [...loop._tasks].length - 1;
  });
  loop.close();
  return result;
}

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  try {
    for (let data; (data = await reader.read(5000)).length > 0;) {
      writer.write(data);
      await writer.drain();
    }
  } catch (error) {
    if (!hungUp(error)) throw error;
  }
}

function hungUp(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
}

class Client {
  readonly #random: () => number;
  readonly #port: number;
  readonly #failures: string[];
  readonly #name: string;
  readonly #most: number;

  constructor(options: StormOptions, number: number, port: number, failures: string[]) {
    this.#random = randomOf(options.seed * 1_000_003 + number);
    this.#name = `seed ${options.seed}, client ${number}`;
    this.#most = options.most;
    this.#port = port;
    this.#failures = failures;
  }

  /** Returns how many bytes came back. */
  async run(): Promise<number> {
    const [reader, writer] = await openConnection("127.0.0.1", this.#port);
    const data = new Uint8Array(this.#below(this.#most)).map(() => this.#below(256));
    const hangsUp = this.#random() < 0.3;
    const sending = createTask(this.#send(writer, data));
    const received: Uint8Array[] = [];
    let length = 0;
    const end = hangsUp ? this.#below(data.length) : Infinity;
    while (length <= end) {
      const piece = await reader.read(1 + this.#below(8000));
      if (piece.length === 0) break;
      received.push(piece);
      length += piece.length;
      await this.#stall();
    }
    if (hangsUp) {
      sending.cancel();
      await gather([sending], { returnExceptions: true });
      writer.abort();
    } else {
      await sending;
      await writer[Symbol.asyncDispose]();
      let at = 0;
      const same = received.every((piece) => piece.every((byte) => byte === data[at++]));
      if (!same || at !== data.length) {
        this.#failures.push(`${this.#name} sent ${data.length} bytes and got ${at}${same ? "" : ", others"}`);
      }
    }
    return length;
  }

  async #send(writer: StreamWriter, data: Uint8Array): Promise<void> {
    for (let sent = 0; sent < data.length;) {
      const piece = data.subarray(sent, sent + 1 + this.#below(8000));
      writer.write(piece);
      sent += piece.length;
      if (this.#random() < 0.7) await writer.drain();
      await this.#stall();
    }
    writer.writeEof();
  }

  async #stall(): Promise<void> {
    for (let turns = this.#random() < 0.2 ? this.#below(20) : 0; turns > 0; turns--) await sleep(0);
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }
}

if (import.meta.main) {
  const [connections = 100_000, seed = 1] = Deno.args.map(Number);
  const result = await storm({
    connections,
    seed,
    atOnce: 1000,
    most: 30_000,
    progress: (ended) => {
      if (ended % 10_000 === 0) console.log(ended, "clients,", Math.round(Deno.memoryUsage().rss / 2 ** 20), "MiB");
    },
  });
  console.log(result);
  Deno.exit(result.failures.length > 0 || result.left > 0 ? 1 : 0);
}
