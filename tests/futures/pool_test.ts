/** The scheduling core on a transport that runs its calls here: what a third executor would be. */

import { assertEquals } from "@std/assert";
import { liveWorkers } from "../../lib/futures/_pool.ts";
import type { Call } from "../../lib/futures/_protocol.ts";
import type { TransportEvents } from "../../lib/futures/_transport.ts";
import { fakePool, FakeTransport } from "./_fake_pool.ts";

/** Answers each call with its first argument, in the next turn. */
class EchoTransport extends FakeTransport {
  readonly #closed: (() => void) | undefined;

  constructor(events: TransportEvents, closed?: () => void) {
    super(events);
    this.#closed = closed;
    queueMicrotask(() => events.ready());
  }

  send(first: number, calls: readonly Call[]): void {
    queueMicrotask(() => {
      for (const [i, [, args]] of calls.entries()) {
        this.events.succeeded(first + i, 0, (args as readonly unknown[])[0]);
      }
      this.events.drained();
    });
  }

  override close(): void {
    super.close();
    this.#closed?.();
  }
}

const echo = (x: number): number => x;

Deno.test("Pool runs calls on any transport", async () => {
  const pool = fakePool(3, (events) => new EchoTransport(events));
  const futures = Array.from({ length: 5000 }, (_, i) => pool.submit({}, echo, [i], {}));
  assertEquals(await Promise.all(futures), futures.map((_, i) => i));
  await pool.shutdown({});
  assertEquals(liveWorkers.size, 0);
});

Deno.test("Pool closes idle workers where they cannot be kept from keeping the program alive", async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const pool = fakePool(1, (events) => new EchoTransport(events, resolve), { canUnref: false });
  const keepAlive = setInterval(() => {}, 1000);
  assertEquals(await pool.submit({}, echo, [1], {}), 1);
  await closed;
  clearInterval(keepAlive);
  assertEquals(await pool.submit({}, echo, [2], {}), 2, "a new worker is started");
  await pool.shutdown({});
  assertEquals(liveWorkers.size, 0);
});
