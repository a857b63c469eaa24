/** The scheduling core on a transport that runs its calls here: what a third executor would be. */

import { assertEquals } from "@std/assert";
import { BrokenThreadPoolError } from "../../lib/futures/mod.ts";
import { liveWorkers, Pool } from "../../lib/futures/_pool.ts";
import type { PoolSettings } from "../../lib/futures/_pool_settings.ts";
import type { Call } from "../../lib/futures/_protocol.ts";
import type { Transport, TransportEvents } from "../../lib/futures/_transport.ts";

/** Answers each call with its first argument, in the next turn. */
class EchoTransport implements Transport {
  readonly #events: TransportEvents;
  readonly #closed: () => void;

  constructor(events: TransportEvents, closed: () => void) {
    this.#events = events;
    this.#closed = closed;
    queueMicrotask(() => events.ready());
  }

  define(): void {}
  openStream(): void {}
  grant(): void {}
  stopStream(): void {}
  forget(): void {}
  setRef(): void {}

  send(first: number, calls: readonly Call[]): void {
    queueMicrotask(() => {
      for (const [i, [, args]] of calls.entries()) {
        this.#events.succeeded(first + i, 0, (args as readonly unknown[])[0]);
      }
      this.#events.drained();
    });
  }

  isRunning(): boolean {
    return false;
  }
  mayHaveStarted(): boolean {
    return false;
  }
  revoke(): boolean {
    return false;
  }
  takeBack(): readonly number[] {
    return [];
  }
  abandon(): boolean {
    return false;
  }

  close(): void {
    queueMicrotask(() => this.#events.exited({ message: "was closed" }));
    this.#closed();
  }
  kill(): void {
    this.close();
  }
}

function echoPool(settings: Partial<PoolSettings>, closed: () => void = () => {}): Pool {
  return new Pool({
    name: "EchoExecutor",
    workerName: (index) => `echo ${index}`,
    maxWorkers: 1,
    minWorkers: 0,
    initializer: undefined,
    startTimeout: Infinity,
    idleTimeout: Infinity,
    maxTasksPerWorker: Infinity,
    maxMemory: Infinity,
    maxQueue: Infinity,
    onFull: "reject",
    retries: 0,
    retryOn: undefined,
    onWorkerExit: "replace",
    Broken: BrokenThreadPoolError,
    toProcess: false,
    revokesAtOnce: true,
    canUnref: true,
    importsAtStart: false,
    start: (_worker, _initializer, events) => new EchoTransport(events, closed),
    ...settings,
  });
}

const echo = (x: number): number => x;

Deno.test("Pool runs calls on any transport", async () => {
  const pool = echoPool({ maxWorkers: 3 });
  const futures = Array.from({ length: 5000 }, (_, i) => pool.submit({}, echo, [i], {}));
  assertEquals(await Promise.all(futures), futures.map((_, i) => i));
  await pool.shutdown({});
  assertEquals(liveWorkers.size, 0);
});

Deno.test("Pool closes idle workers where they cannot be kept from keeping the program alive", async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const pool = echoPool({ canUnref: false }, resolve);
  const keepAlive = setInterval(() => {}, 1000);
  assertEquals(await pool.submit({}, echo, [1], {}), 1);
  await closed;
  clearInterval(keepAlive);
  assertEquals(await pool.submit({}, echo, [2], {}), 2, "a new worker is started");
  await pool.shutdown({});
  assertEquals(liveWorkers.size, 0);
});
