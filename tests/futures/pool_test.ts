/** The scheduling core on a transport that runs its calls here: what a third executor would be. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { NotCloneableError } from "../../lib/futures/mod.ts";
import { decodeChunk } from "../../lib/futures/_chunk.ts";
import { functionRef } from "../../lib/futures/_function_ref.ts";
import { liveWorkers, type Pool } from "../../lib/futures/_pool.ts";
import type { Call } from "../../lib/futures/_protocol.ts";
import { CALL } from "../../lib/futures/_task.ts";
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

  send(first: number, calls: readonly Call[]): number {
    queueMicrotask(() => {
      for (const [i, [, args]] of calls.entries()) {
        this.events.succeeded(first + i, 0, (args as readonly unknown[])[0]);
      }
      this.events.drained();
    });
    return calls.length;
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

/** A worker that sends nonsense, for which it is ended, as the other transports do it. */
class NonsenseTransport extends EchoTransport {
  override isRunning(): boolean {
    return true;
  }
  override send(first: number): number {
    queueMicrotask(() => {
      try {
        this.events.succeeded(first, 0, "no results of a chunk");
        this.events.drained();
      } catch (error) {
        this.events.exited({ message: `sent ${error}` });
      }
    });
    return 1;
  }
}

for (const retries of [0, 1]) {
  Deno.test(`Pool with ${retries} retries ends the future of a chunk whose results make no sense`, async () => {
    const pool = fakePool(1, (events) => new NonsenseTransport(events), { retries });
    const task = pool.submit({}, echo, [[1], [2]], { chunk: true });
    assertInstanceOf(await decodeChunk(task).exception(), TypeError);
    await pool.shutdown({});
    assertEquals(liveWorkers.size, 0);
  });
}

/** A pool with one worker, to which the calls of `echo` that are submitted in one go are handed together. */
async function batchingPool(start: (events: TransportEvents) => EchoTransport): Promise<Pool> {
  const pool = fakePool(1, start);
  await pool.warmUp(1);
  functionRef(echo).cost = 0.001;
  return pool;
}

Deno.test("Pool does not send a call that was given up while the arguments of the others of its batch were read", async () => {
  const sent: number[][] = [];
  const controller = new AbortController();
  class PickyTransport extends EchoTransport {
    override send(first: number, calls: readonly Call[]): number {
      sent.push(calls.map(([, given]) => (given as readonly number[])[0]!));
      controller.abort(new RangeError("by a getter"));
      return super.send(first, calls.slice(0, 1));
    }
  }
  const pool = await batchingPool((events) => new PickyTransport(events));
  const tasks = [1, 2, 3].map((n) => pool.submit(n === 2 ? { signal: controller.signal } : {}, echo, [n], CALL));
  assertInstanceOf(await tasks[1]!.exception(), RangeError);
  assertEquals(await Promise.all([tasks[0], tasks[2]]), [1, 3]);
  assertEquals(sent, [[1, 2, 3], [3]]);
  await pool.shutdown({});
});

Deno.test("Pool does not send calls that are cancelled while those before them in their batch are sent one by one", async () => {
  const sent: number[][] = [];
  class PickyTransport extends EchoTransport {
    override send(first: number, calls: readonly Call[]): number {
      const values = calls.map(([, given]) => (given as readonly number[])[0]!);
      sent.push(values);
      if (values[0] === 2) assertEquals([tasks[2]!.cancel(), tasks[4]!.cancel()], [true, true]);
      return super.send(first, calls.slice(0, 1));
    }
  }
  const pool = await batchingPool((events) => new PickyTransport(events));
  const tasks = [1, 2, 3, 4, 5, 6].map((n) => pool.submit({}, echo, [n], CALL));
  assertEquals(await Promise.all([0, 1, 3, 5].map((i) => tasks[i])), [1, 2, 4, 6]);
  assertEquals(sent, [[1, 2, 3, 4, 5, 6], [2], [4], [6]]);
  await pool.shutdown({});
});

for (const revokes of [true, false]) {
  Deno.test(`Pool ${revokes ? "takes back" : "stops"} a call that is given up while its own arguments are read`, async () => {
    const asked: string[] = [];
    const controller = new AbortController();
    class PickyTransport extends EchoTransport {
      override send(first: number, calls: readonly Call[]): number {
        controller.abort(new RangeError("by a getter"));
        return super.send(first, revokes ? [] : calls) || calls.length;
      }
      override revoke(seq: number): boolean {
        asked.push(`revoke ${seq}`);
        return revokes;
      }
      override abandon(seq?: number): boolean {
        asked.push(`abandon ${seq}`);
        return false;
      }
    }
    const pool = fakePool(1, (events) => new PickyTransport(events));
    await pool.warmUp(1);
    const task = pool.submit({ signal: controller.signal }, echo, [1], CALL);
    assertInstanceOf(await task.exception(), RangeError);
    assertEquals(asked, revokes ? ["revoke 0"] : ["revoke 0", "abandon 0"]);
    await pool.shutdown({});
    assertEquals(liveWorkers.size, 0);
  });
}

Deno.test("Pool refuses the one call of a batch that cannot be sent, and sends the others", async () => {
  const sent: number[][] = [];
  class PickyTransport extends EchoTransport {
    override send(first: number, calls: readonly Call[]): number {
      const values = calls.map(([, given]) => (given as readonly number[])[0]!);
      sent.push(values);
      if (values[0] === 3) throw new TypeError("it cannot be cloned");
      return super.send(first, calls.slice(0, 2));
    }
  }
  const pool = await batchingPool((events) => new PickyTransport(events));
  const tasks = [1, 2, 3, 4].map((n) => pool.submit({}, echo, [n], CALL));
  assertInstanceOf(await tasks[2]!.exception(), NotCloneableError);
  assertEquals(await Promise.all([tasks[0], tasks[1], tasks[3]]), [1, 2, 4]);
  assertEquals(sent, [[1, 2, 3, 4], [3], [4]]);
  await pool.shutdown({});
});
