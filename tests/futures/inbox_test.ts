/** Calls that travel in shared memory beside those that travel as messages. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { NotCloneableError, ThreadPoolExecutor } from "../../lib/futures/mod.ts";
import { makeBell } from "../../lib/futures/_bell.ts";
import { functionRef } from "../../lib/futures/_function_ref.ts";
import { makeInbox, makePatience, nextTurn, POLL } from "../../lib/futures/_inbox.ts";
import { Outbox } from "../../lib/futures/_outbox.ts";
import { makeIsPlain } from "../../lib/futures/_plain_data.ts";
import {
  type Call,
  layOutSlots,
  MAX_TEXT,
  RING_BYTES,
  SHARED_BYTES,
  SLOT_ARGS,
  SLOTS,
  SlotState,
  slotWord,
  TEXT_SHAPE,
  type ToWorker,
  valueOf,
} from "../../lib/futures/_protocol.ts";
import { getValue, makeTextRing } from "../../lib/futures/_text_ring.ts";
import { ThreadTransport } from "../../lib/futures/_thread_transport.ts";
import { makeFresh, makeQuick, poolTest, until } from "./_helpers.ts";

const PARTS = {
  SLOTS,
  SLOT_ARGS,
  TEXT_SHAPE,
  SlotState,
  slotWord,
  valueOf,
  getValue,
  POLL,
  makeBell,
  makePatience,
  nextTurn,
};
const small = fc.oneof(fc.double(), fc.constantFrom(-0, NaN, undefined, null, true, false, Infinity, 5e-324));
const numbers = fc.array(small, { maxLength: SLOT_ARGS });
const plain = fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown)
  .filter((value) => makeIsPlain()(value, 1000));
const given = fc.oneof(
  numbers,
  fc.array(plain, { maxLength: 9 }),
  fc.record({
    args: fc.array(plain, { maxLength: 3 }),
    context: fc.dictionary(fc.string(), plain, { maxKeys: 3, noNullPrototype: true }),
  }, { noNullPrototype: true }),
);

/** How many calls the worker has run in its life, this one not counted. */
const count = (_argument?: unknown): number => {
  const shared = globalThis as { calls?: number };
  shared.calls = (shared.calls ?? 0) + 1;
  return shared.calls - 1;
};

/** Both ends of what a parent and a thread share, but for messages, of which there is only a list. */
function share() {
  const texts = new SharedArrayBuffer(RING_BYTES);
  const slots = layOutSlots(new SharedArrayBuffer(SHARED_BYTES), SLOTS);
  const messages: ToWorker[] = [];
  return {
    slots,
    messages,
    outbox: new Outbox(slots, texts, (message) => messages.push(message)),
    inbox: makeInbox(slots, makeTextRing(texts), PARTS),
  };
}

Deno.test("makeInbox().take() gives what Outbox.write() was given, wherever the numbers stand", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(given, fc.boolean()), { minLength: 1, maxLength: 20 }),
    fc.constantFrom(0, 1, SLOTS - 3, SLOTS, 2 ** 31 - 5, 2 ** 32 - 5, 2 ** 33 + SLOTS - 2),
    (lists, first) => {
      const { slots, outbox, inbox } = share();
      inbox.skipTo(first);
      const calls = lists.map(([given, isChunk], i): Call => [isChunk ? -i - 1 : i + 1, given]);
      assert(outbox.write(first, calls));
      const taken: Call[] = [];
      const seqs: number[] = [];
      const take = () => inbox.take(() => true, (seq, id, given) => (seqs.push(seq - first), taken.push([id, given])));
      for (let i = 0; i < lists.length; i++) {
        Atomics.store(slots.states, (first + i) % SLOTS, slotWord(first + i, SLOTS, SlotState.HANDED));
      }
      Atomics.store(slots.sent, 0, first | 0);
      take();
      assertEquals(taken, [], "before they are sent");
      Atomics.store(slots.sent, 0, (first + lists.length) | 0);
      take();
      take();
      assertEquals(seqs, lists.map((_, i) => i));
      // The values to the bit.
      assertEquals(Deno.inspect(taken, { depth: 9 }), Deno.inspect(calls, { depth: 9 }));
      assertEquals(taken, calls);
    },
  ));
});

Deno.test("Outbox.write() writes calls up to the first that is not small, and leaves nothing of that behind", () => {
  const { outbox, messages } = share();
  const large: Call[] = [
    [1, [new Date(0)]],
    [1, [1n]],
    [1, [Symbol()]],
    [1, [() => {}]],
    [1, [new Map()]],
    [1, ["text", undefined]],
    [1, ["text", NaN]],
    [1, [[-0]]],
    [1, new Array(SLOT_ARGS + 1).fill(undefined)],
    [1, ["x".repeat(MAX_TEXT)]],
    [1, new Array(MAX_TEXT).fill(1)],
    [-1, [[1], [undefined]]],
    [1, { args: [1], context: { a: undefined } }],
  ];
  for (const call of large) {
    // Were something left behind, there would be no room at some time.
    for (let n = 0; n < 100; n++) {
      assertEquals(outbox.write(0, [call]), 0, Deno.inspect(call));
      assertEquals(outbox.write(0, [[1, [n]], [1, [true]], call, [1, [n]]]), 2, Deno.inspect(call));
    }
    assertEquals(messages, []);
  }
});

Deno.test("Outbox.write() refuses texts that the worker has left no room for, until it has taken those before", () => {
  const { slots, outbox, inbox } = share();
  const text = "x".repeat(1000);
  const write = (seq: number) => {
    if (outbox.write(seq, [[1, [text]]]) === 0) return false;
    Atomics.store(slots.states, seq % SLOTS, slotWord(seq, SLOTS, SlotState.HANDED));
    Atomics.store(slots.sent, 0, seq + 1);
    outbox.publish();
    return true;
  };
  let sent = 0;
  let taken = 0;
  for (let round = 0; round < 20; round++) {
    while (write(sent)) sent++;
    assert(sent - taken > 200 && sent - taken < 264, `${sent - taken} at a time`);
    // Some of them are taken back, which frees their room as well.
    const revoked = sent - 1;
    Atomics.store(slots.states, revoked % SLOTS, slotWord(revoked, SLOTS, SlotState.REVOKED));
    inbox.take(() => true, (seq, _id, given) => {
      assertEquals([seq, given], [taken, [text]]);
      taken++;
    });
    assertEquals(taken, sent - 1);
    taken++;
  }
});

Deno.test("Outbox.write() tells of shared memory once, and then gives its number", () => {
  const { slots, outbox, inbox, messages } = share();
  const buffer = new SharedArrayBuffer(64);
  const other = new Float64Array(new SharedArrayBuffer(64), 16, 3);
  const values = [buffer, new Uint8Array(buffer, 8, 3), new DataView(buffer, 4), other];
  const told = [[[0, undefined]], [[1, 0]], [[2, 0]], [[3, undefined], [4, 3]]];
  for (const [i, value] of values.entries()) {
    assertEquals(outbox.write(0, [[1, [value, 2]]]), 0, "the message must not be overtaken");
    assertEquals(messages.map(([, id, , buffer]) => [id, buffer]), told[i]);
    for (const [, id, value, buffer] of messages.splice(0) as Extract<ToWorker, readonly ["share", ...unknown[]]>[]) {
      inbox.share(id, value, buffer);
    }
    assert(outbox.write(i, [[1, [value, 2, buffer]]]));
    Atomics.store(slots.states, i, slotWord(i, SLOTS, SlotState.HANDED));
    Atomics.store(slots.sent, 0, i + 1);
    inbox.take(() => true, (seq, _id, given) => {
      const [got, two, all] = given as unknown[];
      assertEquals([seq, got, two], [i, value, 2]);
      assertStrictEquals(all, buffer);
      if (i === 1 || i === 2) assertStrictEquals((got as ArrayBufferView).buffer, buffer);
      assertEquals(got === value, i === 0, "each call has a view of its own");
    });
  }
  // What may grow is a message each time.
  const growing = new SharedArrayBuffer(8, { maxByteLength: 16 });
  for (const value of [growing, new Int8Array(growing), new Int8Array(8)]) {
    assertEquals(outbox.write(0, [[1, [value]]]), 0);
  }
  assertEquals(messages, []);
});

/** A thread, and what it says. */
class Thread implements AsyncDisposable {
  readonly outcomes: [seq: number, value: unknown][] = [];
  readonly unreadable: number[] = [];
  readonly transport: ThreadTransport;
  readonly exited = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<void>();
  #heard = Promise.withResolvers<void>();

  constructor() {
    const refuse = () => {
      throw new Error("not expected");
    };
    this.transport = new ThreadTransport(
      "thread",
      { permissions: undefined, modules: [], maxMemory: null },
      undefined,
      {
        ready: this.#ready.resolve,
        broken: refuse,
        succeeded: (seq, _duration, value) => this.outcomes.push([seq, value]),
        failed: (seq, _duration, error) => this.outcomes.push([seq, error]),
        progress: refuse,
        yielded: refuse,
        large: refuse,
        unreadable: (seq) => this.unreadable.push(seq),
        drained: () => {
          this.#heard.resolve();
          this.#heard = Promise.withResolvers();
        },
        returned: refuse,
        lost: refuse,
        exited: () => this.exited.resolve(),
      },
    );
  }

  async start(...fns: ((argument: never) => unknown)[]): Promise<number[]> {
    await this.#ready.promise;
    return fns.map((fn) => {
      const ref = functionRef(fn);
      this.transport.define(ref);
      return ref.id;
    });
  }

  hear(count: number): Promise<void> {
    return this.hearUntil(() => this.outcomes.length >= count);
  }

  /** Sends all of the calls, as many at a time as can go together. */
  send(first: number, calls: readonly Call[]): void {
    for (let at = 0; at < calls.length;) at += this.transport.send(first + at, calls.slice(at), []);
  }

  async hearUntil(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#heard.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport.close();
    await this.exited.promise;
  }
}

const block = (flag: Int32Array<SharedArrayBuffer>): void => {
  Atomics.wait(flag, 0, 0);
};
const open = (flag: Int32Array<SharedArrayBuffer>): void => {
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
};
const closed = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(4));

Deno.test("ThreadTransport.send() goes round its slots many times", async () => {
  await using thread = new Thread();
  const [id] = await thread.start(count) as [number];
  const batch = SLOTS - 24;
  for (let first = 0; first < 5 * SLOTS; first += batch) {
    thread.send(first, Array.from({ length: batch }, () => [id, [first]]));
    await thread.hear(first + batch);
  }
  assertEquals(thread.outcomes, thread.outcomes.map((_, n) => [n, n]));
});

Deno.test("ThreadTransport.revoke() takes calls out of slots that then have others, of which none is lost", async () => {
  await using thread = new Thread();
  const [id] = await thread.start(count) as [number];
  const expected: [number, unknown][] = [];
  const batch = SLOTS - 1;
  for (let round = 0; round < 40; round++) {
    const first = round * batch;
    thread.send(
      first,
      Array.from({ length: batch }, () => [id, [[round, `${round}`, new Date(round)][round % 3]]]),
    );
    // In the first rounds the worker is asleep, and sees them all revoked; then it is somewhere among them.
    const from = round < 5 ? 0 : round;
    for (let seq = first; seq < first + batch; seq++) {
      if (seq < first + from || !thread.transport.revoke(seq)) expected.push([seq, expected.length]);
    }
    await thread.hear(expected.length);
  }
  assert(expected.length >= 40 && expected.length < 40 * batch);
  assertEquals(thread.outcomes, expected);
});

Deno.test("ThreadTransport.send() shares memory though the call that came with it first was taken back", async () => {
  await using thread = new Thread();
  const set = (memory: Int32Array) => memory[0] = 7;
  const [blockId, setId] = await thread.start(block, set) as [number, number];
  const flag = closed();
  const memory = closed();
  thread.send(0, [[setId, [new Int32Array(1)]]]); // a message, as any first call of a function
  thread.send(1, [[blockId, [flag]]]);
  await until(() => thread.transport.isRunning(1));
  thread.send(2, [[setId, [memory]]]);
  assert(thread.transport.revoke(2));
  thread.send(3, [[setId, [memory]], [setId, [memory]]]);
  open(flag);
  await Promise.race([thread.hear(4), thread.exited.promise]);
  assertEquals(thread.outcomes, [[0, 7], [1, undefined], [3, 7], [4, 7]]);
  assertEquals(memory[0], 7);
});

Deno.test("ThreadTransport.forget() leaves alone what was sent before", async () => {
  await using thread = new Thread();
  const later = async (flag: Int32Array<SharedArrayBuffer>) => {
    const { value } = Atomics.waitAsync(flag, 0, 0);
    await value;
  };
  const [id, laterId] = await thread.start(count, later) as [number, number];
  const flag = closed();
  thread.send(0, [[laterId, [flag]]]);
  thread.send(1, [[id, [0]]]);
  thread.send(2, [[id, ["as text"]]]);
  thread.send(3, [[id, [new Date(0)]]]); // as a message
  thread.transport.forget();
  thread.transport.define(functionRef(count));
  thread.send(4, [[id, [0]]]);
  open(flag);
  await thread.hear(5);
  assertEquals(thread.outcomes, [[0, undefined], [1, 0], [2, 1], [3, 2], [4, 3]]);
});

Deno.test("ThreadTransport.mayHaveStarted() knows of calls in the memory of a thread that has ended", async () => {
  await using thread = new Thread();
  const end = () => self.close();
  const [id, blockId, endId] = await thread.start(count, block, end) as [number, number, number];
  const flag = closed();
  thread.send(0, [[blockId, [flag]]]);
  thread.send(1, [[id, [0]], [endId, []], [blockId, [closed()]], [id, [0]]]);
  thread.send(5, [[id, [0]]]);
  open(flag);
  await thread.exited.promise;
  assertEquals(thread.outcomes.slice(0, 2), [[0, undefined], [1, 0]]);
  assertEquals([2, 4, 5].map((seq) => thread.transport.mayHaveStarted(seq)), [true, false, false]);
});

/** Nested so deeply that it can be written here and not be read by a thread, whose stack is smaller. */
async function makeUnreadable(): Promise<unknown> {
  await using thread = new Thread();
  const [id] = await thread.start(count) as [number];
  let node: unknown = null;
  for (let seq = 0;; seq++) {
    for (let depth = 0; depth < 100; depth++) node = { node, one: 1n };
    thread.send(seq, [[id, [node]]]);
    await thread.hearUntil(() => thread.outcomes.length > seq || thread.unreadable.length > 0);
    if (thread.unreadable.length > 0) return node;
  }
}

Deno.test("ThreadTransport tells of calls that cannot be read, and of none that comes after one that was taken back", async () => {
  const deep = await makeUnreadable();
  await using thread = new Thread();
  const [id, blockId] = await thread.start(count, block) as [number, number];
  const flag = closed();
  thread.send(0, [[blockId, [flag]]]);
  thread.send(1, [[id, [deep]]]);
  thread.send(2, [[id, ["as text"]]]);
  thread.send(3, [[id, [deep]]]);
  thread.send(4, [[id, [new Date(0)]]]);
  thread.send(5, [[id, [deep]], [id, [0]]]);
  for (const seq of [1, 3]) assert(thread.transport.revoke(seq));
  open(flag);
  await thread.hearUntil(() => thread.outcomes.length === 3 && thread.unreadable.length > 0);
  assertEquals(thread.outcomes, [[0, undefined], [2, 0], [4, 1]]);
  assertEquals(thread.unreadable, [5], "not those that were taken back");
  assert(thread.transport.revoke(5));
  await thread.hear(4);
  assertEquals(thread.outcomes[3], [6, 2], "what came along with it in one go");
  thread.send(7, [[id, [deep]]]);
  await thread.hearUntil(() => thread.unreadable.length > 1);
  assertEquals(thread.unreadable, [5, 7]);
});

Deno.test("ThreadTransport does not tell of a call that was taken back before its parent heard that it cannot be read", async () => {
  const deep = await makeUnreadable();
  const untilAbandoned = async (flag: Int32Array<SharedArrayBuffer>) => {
    const task = (globalThis as never)[Symbol.for("@skein/skein.task")] as { taskSignal(): AbortSignal };
    const signal = task.taskSignal();
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  };
  {
    await using thread = new Thread();
    const [id, waitId, dateId] = await thread.start(count, untilAbandoned, () => new Date(0)) as [
      number,
      number,
      number,
    ];
    const flag = closed();
    thread.send(0, [[waitId, [flag]]]);
    await until(() => thread.transport.isRunning(0));
    thread.send(1, [[id, [deep]]]);
    thread.transport.abandon(0);
    Atomics.wait(flag, 0, 0); // the thread has gone through all messages, and says so behind what is to come
    assert(thread.transport.revoke(1));
    thread.send(2, [[dateId, []]]);
    await thread.hear(2); // by a message, behind the other one
    assertEquals(thread.outcomes, [[0, undefined], [2, new Date(0)]]);
    assertEquals(thread.unreadable, []);
  }
});

poolTest("ThreadPoolExecutor.submit() shares memory with its workers, the first time and later", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
  const buffer = new SharedArrayBuffer(32);
  const all = new Int32Array(buffer);
  const part = all.subarray(4);
  const add = (part: Int32Array, value: number) => {
    part[1]! += value;
    return [part.byteOffset, part.length, part[0]];
  };
  const sum = (buffer: SharedArrayBuffer) => new Int32Array(buffer).reduce((a, b) => a + b);
  for (let n = 1; n <= 20; n++) {
    all[4] = n;
    // One at a time, then some.
    const count = n < 10 ? 1 : 3;
    all[5] = 0;
    const added = await Promise.all(Array.from({ length: count }, () => pool.submit(add, part, 1)));
    assertEquals(added, Array(count).fill([16, 4, n]));
    if (count === 1) assertEquals(all[5], 1);
    all[5] = 0;
    assertEquals(await pool.submit(sum, buffer), n);
  }
});

poolTest("ThreadPoolExecutor.submit() shares memory though a call beside it cannot be cloned", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const length = (x: unknown) => (x as Int8Array).length;
  await makeQuick(length, () => pool.submit(length, "text"));
  for (let n = 1; n < 20; n++) {
    const futures = [new Int8Array(new SharedArrayBuffer(n)), () => {}].map((x) => pool.submit(length, x));
    assertEquals(await futures[0], n);
    await assertRejects(() => futures[1]!.result(), NotCloneableError);
  }
});

poolTest("ThreadPoolExecutor.submit() gives each call views of its own, of the memory that it has itself", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const buffer = new SharedArrayBuffer(8);
  const view = new Int8Array(buffer, 2, 3);
  const look = (buffer: SharedArrayBuffer, view: Int8Array & { mark?: boolean }) => {
    const { mark = false, length, byteOffset } = view;
    view.mark = true;
    return [view.buffer === buffer, length, byteOffset, mark];
  };
  for (let n = 0; n < 5; n++) assertEquals(await pool.submit(look, buffer, view), [true, 3, 2, false]);
});

poolTest("ThreadPoolExecutor.submit() goes on though a task replaces what its worker works with", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const sabotage = () => {
    for (const part of [Atomics, JSON] as unknown as Record<string, () => number>[]) {
      for (const name of Object.getOwnPropertyNames(part)) part[name] = () => 0;
    }
  };
  await pool.submit(sabotage);
  for (const value of [1, "text", { a: [1] }]) assertEquals(await pool.submit((x: unknown) => x, value), value);
});

poolTest("ThreadPoolExecutor runs calls of all kinds in their order, and each once", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const countLater = async (_argument?: unknown): Promise<number> => {
    const shared = globalThis as { calls?: number };
    const calls = shared.calls = (shared.calls ?? 0) + 1;
    await null;
    return calls - 1;
  };
  const countIn = function* () {
    const shared = globalThis as { calls?: number };
    shared.calls = (shared.calls ?? 0) + 1;
    yield shared.calls - 1;
  };
  const buffer = new SharedArrayBuffer(8);
  /** Each gives the numbers that its calls had. */
  const kinds: Record<string, () => Promise<unknown[]>> = {
    small: async () => [await pool.submit(count, 1)],
    text: async () => [await pool.submit(count, { a: "b" })],
    long: async () => [await pool.submit(count, "x".repeat(2000))],
    large: async () => [await pool.submit(count, new Date(0))],
    none: async () => [await pool.submit(count)],
    later: async () => [await pool.submit(countLater, true)],
    textLater: async () => [await pool.submit(countLater, "text")],
    largeLater: async () => [await pool.submit(countLater, new Date(0))],
    context: async () => [await pool.submitWith({ context: { a: 1 } }, count, 1)],
    transfer: async () => {
      const buffer = new ArrayBuffer(8);
      return [await pool.submitWith({ transfer: [buffer] }, count, buffer)];
    },
    largeContext: async () => [await pool.submitWith({ context: { a: 1n } }, count, 1)],
    shared: async () => [await pool.submit(count, buffer)],
    freshlyShared: async () => [await pool.submit(count, new Int8Array(new SharedArrayBuffer(8)))],
    chunk: () => Array.fromAsync(pool.map(count, [1, 2, 3], { chunksize: 3 })),
    stream: () => Array.fromAsync(pool.stream(countIn)),
    fresh: async () => {
      assertEquals(await pool.submit(makeFresh(), 7), 7);
      return [];
    },
    uncloneable: async () => {
      await assertRejects(() => pool.submit(count, () => {}).result(), NotCloneableError);
      return [];
    },
    cancelled: () => {
      pool.submit(count, 0).cancel();
      return Promise.resolve([]);
    },
    pause: () => Promise.resolve([]),
  };
  let next = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...Object.keys(kinds)), { maxLength: 60 }), async (names) => {
      const outcomes: Promise<unknown[]>[] = [];
      for (const name of names) {
        // What was submitted so far is handed out.
        if (name === "pause") await null;
        outcomes.push(kinds[name]!());
      }
      const all = await Promise.all(outcomes);
      // A map has turns of its own.
      for (const isChunk of [false, true]) {
        const numbers = all.filter((_, i) => (names[i] === "chunk") === isChunk).flat() as number[];
        assertEquals(numbers, numbers.toSorted((a, b) => a - b));
      }
      assertEquals((all.flat() as number[]).toSorted((a, b) => a - b), all.flat().map(() => next++));
    }),
    { numRuns: 100 },
  );
});

poolTest("ThreadPoolExecutor.submit() wakes a worker that has gone to sleep, whenever that is", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  for (let n = 0; n < 600; n++) {
    // From at once to longer than it looks for calls.
    for (const end = performance.now() + (n % 100) / 1000; performance.now() < end;);
    if (n % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 2));
    assertEquals(await pool.submit(count, n), n);
  }
});

poolTest(
  "ThreadPoolExecutor.submit() keeps no timer waiting, here or in a worker, though call follows call",
  async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    await pool.submit(() => void setTimeout(() => Object.assign(globalThis, { fired: true }), 1));
    let fired = false;
    const timer = setTimeout(() => fired = true, 1);
    const hasFired = (_n: number) => "fired" in globalThis;
    for (let n = 0; !(await pool.submit(hasFired, n) && fired); n++) assert(n < 100_000);
    clearTimeout(timer);
  },
);

poolTest("ThreadPoolExecutor.submit() lets what a call has left behind go on, though call follows call", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const leave = (n: number) => {
    (async () => {
      for (let i = 0; i < 50; i++) await null;
      Object.assign(globalThis, { left: n });
    })();
  };
  const left = () => (globalThis as { left?: number }).left;
  for (let n = 0; n < 500; n++) {
    await pool.submit(leave, n);
    // A message that wakes the worker may come in between.
    for (let calls = 1; await pool.submit(left) !== n; calls++) assert(calls < 10, `call ${n} is held up`);
  }
});

poolTest("ThreadPoolExecutor.submit() does not look on and on when the calls behind one were cancelled", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
  const maybe = (flag: Int32Array<SharedArrayBuffer>) => Atomics.wait(flag, 0, 0);
  // The same memory each time, as new memory is a message.
  const flag = closed();
  open(flag);
  await makeQuick(maybe, () => pool.submit(maybe, flag));
  const scope = globalThis as unknown as { setImmediate: (callback: () => void) => unknown };
  const { setImmediate } = scope;
  let looks = 0;
  scope.setImmediate = (callback) => {
    looks++;
    return setImmediate(callback);
  };
  try {
    // Not each time, but at some time looks have paid off.
    for (let round = 0; round < 40; round++) {
      for (let n = 0; n < 50; n++) await pool.submit(maybe, flag);
      Atomics.store(flag, 0, 0);
      looks = 0;
      const running = pool.submit(maybe, flag);
      const behind = pool.submit(maybe, flag);
      await null;
      await null;
      assert(behind.cancel());
      await new Promise((resolve) => setTimeout(resolve, 10));
      open(flag);
      await running;
      // They go on for a tenth of a millisecond or two; for all of the ten that would be thousands.
      assert(looks < 1500, `${looks} looks`);
    }
  } finally {
    scope.setImmediate = setImmediate;
  }
});

poolTest("ThreadPoolExecutor.submit() has no call wait behind a long one while others run elsewhere", async () => {
  await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
  await pool.warmUp(2);
  const maybe = (flag: Int32Array<SharedArrayBuffer>) => {
    Atomics.wait(flag, 0, 0, 1_000_000);
  };
  const nap = () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);
  };
  const opened = closed();
  open(opened);
  const flag = closed();
  await pool.submit(nap);
  functionRef(maybe).cost = 3;
  functionRef(nap).cost = 3;
  const long = pool.submit(maybe, flag);
  const naps = [pool.submit(nap)];
  const behind = [1, 2].map(() => pool.submit(maybe, opened));
  let over = false;
  // The other worker always has something to do.
  const others = [1, 2, 3].map(async () => {
    while (!over) await pool.submit(nap);
  });
  const timer = setTimeout(() => open(flag), 2000);
  await Promise.all([...naps, ...behind]);
  clearTimeout(timer);
  assert(!long.done());
  open(flag);
  over = true;
  await Promise.all([long, ...others]);
});

poolTest(
  "ThreadPoolExecutor.submit() has functions forgotten that are too many, but none of those that it sends",
  async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const known = () => "known";
    await makeQuick(known, () => pool.submit(known));
    const fresh = Array.from({ length: 2100 }, (_, i) => {
      const fn = new Function(`return ${i}`) as () => number;
      functionRef(fn).cost = 0.001;
      return fn;
    });
    const results = await Promise.all(fresh.map((fn) => Promise.all([pool.submit(known), pool.submit(fn)])));
    assertEquals(results, fresh.map((_, i) => ["known", i]));
  },
);
