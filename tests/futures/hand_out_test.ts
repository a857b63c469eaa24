/** Which worker is given which call, and when: a pool over workers that do what the test says. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { WorkerCrashedError } from "../../lib/futures/mod.ts";
import { functionRef } from "../../lib/futures/_function_ref.ts";
import { NO_OPTIONS } from "../../lib/futures/_no_options.ts";
import type { Call } from "../../lib/futures/_protocol.ts";
import { CALL } from "../../lib/futures/_task.ts";
import type { TransportEvents } from "../../lib/futures/_transport.ts";
import { fakePool, FakeTransport } from "./_fake_pool.ts";

/** A worker that runs the oldest of its calls until the test lets it end. */
class HeldWorker extends FakeTransport {
  readonly #revokesAtOnce: boolean;
  /** How often it was asked for calls back. */
  asked = 0;
  /** Whether all calls that it holds have started, whatever the pool knows of it. */
  hasStartedAll = false;
  /** Whether it has come to none of them. */
  hasStartedNone = false;
  /** What it says that it gives back besides. */
  strays: readonly number[] = [];
  /** The calls that it holds: their numbers, and what they were given. */
  #calls: { seq: number; given: unknown }[] = [];

  constructor(events: TransportEvents, revokesAtOnce: boolean) {
    super(events);
    this.#revokesAtOnce = revokesAtOnce;
  }

  /** What it was given, the call that runs first. */
  get holds(): unknown[] {
    return this.#calls.map(({ given }) => given);
  }

  start(): void {
    this.events.ready();
  }

  /** Ends the call that runs. What it took is not told, so that nothing is learned from it. */
  async end(): Promise<void> {
    const { seq, given } = this.#calls.shift()!;
    this.events.succeeded(seq, -1, given);
    this.events.drained();
    await this.#settle();
  }

  /** Whatever follows by itself, which no timer is part of. */
  async #settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await null;
  }

  send(first: number, calls: readonly Call[]): number {
    calls.forEach(([, given], i) => this.#calls.push({ seq: first + i, given: (given as unknown[])[0] }));
    return calls.length;
  }

  override takeBack(): readonly number[] {
    this.asked++;
    const seqs = this.hasStartedAll ? [] : this.#calls.splice(this.hasStartedNone ? 0 : 1).map(({ seq }) => seq);
    seqs.push(...this.strays);
    if (this.#revokesAtOnce) return seqs;
    queueMicrotask(() => this.events.returned(seqs));
    return [];
  }

  override revoke(seq: number): boolean {
    const index = this.#calls.findIndex((call) => call.seq === seq);
    if (!this.#revokesAtOnce || index < 1) return false;
    this.#calls.splice(index, 1);
    return true;
  }

  override close(): void {
    super.close();
    queueMicrotask(() => this.#calls = []);
  }

  override isRunning(seq: number): boolean {
    return this.#calls[0]?.seq === seq;
  }
}

/** A pool that takes its time between two starts, its workers, and the call that each of these holds. */
function makeSlowPool(startPause: number) {
  const workers: HeldWorker[] = [];
  let tell = () => {};
  const pool = fakePool(3, (events) => {
    const worker = new HeldWorker(events, true);
    workers.push(worker);
    tell();
    return worker;
  }, { startPause });
  const started = () => new Promise<void>((resolve) => tell = resolve);
  const submit = (...ids: number[]) => ids.map((id) => pool.submit(NO_OPTIONS, (id: number) => id, [id], CALL));
  return { pool, workers, started, submit, holds: () => workers.map((worker) => worker.holds) };
}

Deno.test("Pool with a pause between starts starts another worker after it, if calls still wait", async () => {
  const { pool, workers, started, submit, holds } = makeSlowPool(1);
  submit(1, 2, 3);
  for (let count = 1; count <= 3; count++) {
    await started();
    assertEquals(workers.length, count);
    workers.at(-1)!.start();
    await null;
    assertEquals(holds(), [[1], [2], [3]].slice(0, count));
  }
  const ended = pool.shutdown({});
  for (const worker of workers) await worker.end();
  await ended;
});

Deno.test("Pool with a pause between starts has one worker where that runs all calls in time, and leaves no timer behind", async () => {
  const { pool, workers, started, submit, holds } = makeSlowPool(60_000);
  const futures = submit(1, 2, 3);
  await started();
  workers[0]!.start();
  for (const id of [1, 2, 3]) {
    assertEquals(holds(), [[id]]);
    await workers[0]!.end();
  }
  assertEquals(await Promise.all(futures), [1, 2, 3]);
  await pool.shutdown({});
  assertEquals(workers.length, 1);
});

Deno.test("Pool with a pause between starts replaces its only worker at once", async () => {
  const { pool, workers, started, submit } = makeSlowPool(60_000);
  const [future] = submit(1);
  await started();
  const second = started();
  workers[0]!.kill();
  await second;
  workers[1]!.start();
  await null;
  await workers[1]!.end();
  assertEquals(await future, 1);
  await pool.shutdown({});
});

/** A pool, its workers, and a function that submits calls which are expected to take so many milliseconds. */
async function makePool(maxWorkers: number, ready = maxWorkers, revokesAtOnce = true) {
  const workers: HeldWorker[] = [];
  const start = (events: TransportEvents) => {
    const worker = new HeldWorker(events, revokesAtOnce);
    workers.push(worker);
    return worker;
  };
  const pool = fakePool(maxWorkers, start, { revokesAtOnce });
  const submit = async (cost: number | undefined, ...ids: unknown[]) => {
    const fn = (id: unknown) => id;
    const ref = functionRef(fn);
    if (cost !== undefined) ref.cost = cost;
    const tasks = ids.map((id) => pool.submit(NO_OPTIONS, fn, [id], CALL));
    await null;
    return tasks;
  };
  const warm = pool.warmUp(ready);
  for (const worker of workers) worker.start();
  await warm;
  const holds = () => workers.map((worker) => worker.holds);
  const end = async () => {
    const ended = pool.shutdown({ wait: true });
    while (workers.some((worker) => worker.holds.length > 0)) {
      for (const worker of workers) if (worker.holds.length > 0) await worker.end();
    }
    await ended;
  };
  return { submit, workers, holds, end };
}

for (const revokesAtOnce of [true, false]) {
  const kind = revokesAtOnce ? "that revokes at once" : "that revokes later";
  const make = (maxWorkers: number, ready?: number) => makePool(maxWorkers, ready, revokesAtOnce);

  Deno.test(`Pool ${kind} gives a worker one short call ahead, and a long one none`, async () => {
    const short = await make(2);
    await short.submit(4, 1, 2, 3, 4, 5, 6);
    assertEquals(short.holds(), [[1, 3], [2, 4]]);
    await short.workers[1]!.end();
    assertEquals(short.holds(), [[1, 3], [4, 5]]);
    await short.end();
    for (const cost of [10, undefined]) {
      const long = await make(2);
      await long.submit(cost, 1, 2, 3, 4);
      assertEquals(long.holds(), [[1], [2]]);
      await long.end();
    }
  });

  Deno.test(`Pool ${kind} keeps short calls for a worker that starts`, async () => {
    const { submit, workers, holds, end } = await make(2, 1);
    await submit(4, 1, 2, 3, 4);
    assertEquals(holds(), [[1], []]);
    workers[1]!.start();
    assertEquals(holds(), [[1, 3], [2, 4]]);
    await end();
  });

  Deno.test(`Pool ${kind} gives quick calls ahead for 2 ms in all`, async () => {
    const { submit, holds, end } = await make(1);
    await submit(0.5, 1, 2, 3, 4, 5, 6);
    assertEquals(holds(), [[1, 2, 3, 4]]);
    await end();
  });

  Deno.test(`Pool ${kind} takes what waits in a worker to one that has nothing to do`, async () => {
    const { submit, holds, workers, end } = await make(2);
    await submit(4, 1, 2, 3, 4);
    assertEquals(holds(), [[1, 3], [2, 4]]);
    await workers[0]!.end();
    await workers[0]!.end();
    assertEquals(holds(), [[4], [2]]);
    await end();
  });

  Deno.test(`Pool ${kind} asks a worker once for what waits in it, until that has come through`, async () => {
    const { submit, holds, workers, end } = await make(2);
    await submit(4, 1, 2, 3);
    assertEquals(holds(), [[1, 3], [2]]);
    workers[0]!.hasStartedAll = true;
    await workers[1]!.end();
    assertEquals([holds(), workers[0]!.asked], [[[1, 3], []], 1]);
    await submit(4, 4);
    assertEquals(holds(), [[1, 3], [4]]);
    await workers[1]!.end();
    assertEquals(workers[0]!.asked, 1);
    await workers[0]!.end();
    await end();
  });

  Deno.test(`Pool ${kind} treats a worker that gave back all it had as one with nothing to do`, async () => {
    const { submit, holds, workers, end } = await make(2);
    await submit(4, 1, 2, 3);
    assertEquals(holds(), [[1, 3], [2]]);
    workers[0]!.hasStartedNone = true;
    await workers[1]!.end();
    assertEquals([holds(), workers[0]!.asked], [[[1], [3]], 1]);
    // It is given calls ahead, and asked for them, as before.
    workers[0]!.hasStartedNone = false;
    await submit(4, 4, 5);
    assertEquals(holds(), [[1, 4], [3, 5]]);
    await workers[1]!.end();
    await workers[1]!.end();
    assertEquals([holds(), workers[0]!.asked], [[[1], [4]], 2]);
    await end();
  });

  Deno.test(`Pool ${kind} leaves in a worker what is over in a moment`, async () => {
    const { submit, holds, workers, end } = await make(2);
    await submit(0.5, 1, 2, 3, 4, 5);
    assertEquals(holds(), [[1, 2, 3], [4, 5]]);
    await workers[1]!.end();
    await workers[1]!.end();
    assertEquals(holds(), [[1, 2, 3], []]);
    await end();
  });
}

Deno.test("Pool ends a worker that gives back what it does not have, or twice, and loses no call by it", async () => {
  for (const strays of [[999], [-1], [NaN], [1, 1]]) {
    const { submit, holds, workers, end } = await makePool(2);
    const [first, , third] = await submit(4, 1, 2, 3);
    assertEquals(holds(), [[1, 3], [2]]);
    workers[0]!.strays = strays;
    await workers[1]!.end();
    assertInstanceOf(await first!.exception(), WorkerCrashedError);
    assertEquals(holds().slice(1), [[3]]);
    await workers[1]!.end();
    assertEquals(await third, 3);
    await end();
  }
});
