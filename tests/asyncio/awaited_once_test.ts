/** What is awaited once: all that methods return which wait. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import * as asyncio from "../../lib/asyncio/mod.ts";
import { type Coroutine, createTask, type Future, RuntimeError } from "../../lib/asyncio/mod.ts";
import { eachKind, neverAwaited, on, type Steps, thrownBy } from "./_kinds.ts";

/** The module as a parameter, so that the source of a case runs in a program of its own. */
type Asyncio = typeof asyncio;

interface Case {
  /** The call. */
  readonly call: string;
  /** What messages call what it returns. */
  readonly name: string;
  /** Makes what returns it. */
  owner(asyncio: Asyncio): unknown;
  /** Makes it. Awaiting it does not wait. */
  make(owner: unknown): Coroutine<unknown>;
  /** Whether it was begun. */
  begun(owner: unknown): boolean;
}

function of<O>(
  call: string,
  owner: (asyncio: Asyncio) => O,
  make: (owner: O) => Coroutine<unknown>,
  { begun = () => false, name = call }: { begun?: (owner: O) => boolean; name?: string } = {},
): Case {
  return { call, name, owner, make, begun } as Case;
}

const CASES: readonly Case[] = [
  of("sleep", (asyncio) => asyncio, (asyncio) => asyncio.sleep(1)),
  of("Lock.acquire", (asyncio) => new asyncio.Lock(), (lock) => lock.acquire(), { begun: (lock) => lock.locked() }),
  ...(["Semaphore", "BoundedSemaphore"] as const).map((name) =>
    of(
      `${name}.acquire`,
      name === "Semaphore" ? (asyncio) => new asyncio.Semaphore(1) : (asyncio) => new asyncio.BoundedSemaphore(1),
      (semaphore) => semaphore.acquire(),
      { begun: (semaphore) => semaphore.locked() },
    )
  ),
  of("CapacityLimiter.acquireOnBehalfOf", (asyncio) => new asyncio.CapacityLimiter(1), (limiter) => {
    return limiter.acquireOnBehalfOf({});
  }, { begun: (limiter) => limiter.borrowedTokens > 0, name: "CapacityLimiter.acquire" }),
  of("Event.wait", (asyncio) => {
    const event = new asyncio.Event();
    event.set();
    return event;
  }, (event) => event.wait()),
  of("Condition.acquire", (asyncio) => new asyncio.Condition(), (condition) => condition.acquire(), {
    begun: (condition) => condition.locked(),
    name: "Lock.acquire",
  }),
  // Refused, as nobody holds its lock; that is awaited as well.
  of("Condition.wait", (asyncio) => new asyncio.Condition(), (condition) => condition.wait()),
  of("Condition.waitFor", (asyncio) => new asyncio.Condition(), (condition) => condition.waitFor(() => true)),
  of("Barrier.wait", (asyncio) => new asyncio.Barrier(1), (barrier) => barrier.wait()),
  of("Barrier.reset", (asyncio) => new asyncio.Barrier(1), (barrier) => barrier.reset()),
  of("Barrier.abort", (asyncio) => new asyncio.Barrier(1), (barrier) => barrier.abort(), {
    begun: (barrier) => barrier.broken,
  }),
  ...[
    (asyncio: Asyncio) => new asyncio.Queue<number>(),
    (asyncio: Asyncio) => new asyncio.PriorityQueue<number>(),
    (asyncio: Asyncio) => new asyncio.LifoQueue<number>(),
  ].flatMap((owner) => {
    const { name } = owner(asyncio).constructor;
    return [
      of(`${name}.put`, owner, (queue) => queue.put(1), { begun: (queue) => !queue.empty() }),
      of(`${name}.get`, owner, (queue) => {
        queue.putNowait(1);
        return queue.get();
      }, { begun: (queue) => queue.empty() }),
      of(`${name}.join`, owner, (queue) => queue.join()),
    ];
  }),
  of("AsCompleted.next", (asyncio) => asyncio.asCompleted([]), (completed) => completed.next()),
  ...(["next", "toArray", "close"] as const).map((name) =>
    of(
      `Mapping.${name}`,
      (asyncio) => asyncio.map(() => asyncio.sleep(0), [], { limit: 1 }),
      name === "next"
        ? (mapping) => mapping.next()
        : name === "close"
        ? (mapping) => mapping.close()
        : (mapping) => mapping.toArray(),
    )
  ),
  of("AsyncItems.more", (asyncio) => asyncio.aiter(new Blob().stream()), (items) => items.more()),
  of("AsyncItems.close", (asyncio) => asyncio.aiter(new Blob().stream()), (items) => items.close()),
  of("StreamReader.read", (asyncio) => new asyncio.StreamReader(), (reader) => reader.read(0)),
  of("StreamReader.readexactly", (asyncio) => new asyncio.StreamReader(), (reader) => reader.readexactly(0)),
  of("StreamReader.readline", (asyncio) => {
    const reader = new asyncio.StreamReader();
    reader.feedEof();
    return reader;
  }, (reader) => reader.readline()),
  of("StreamReader.readuntil", (asyncio) => {
    const reader = new asyncio.StreamReader();
    reader.feedEof();
    return reader;
  }, (reader) => reader.readuntil()),
];

/** Awaits, whatever comes of it. */
function* outcome(awaitable: Coroutine<unknown> | Future<unknown>): Steps<void> {
  try {
    yield* on(awaitable);
  } catch {
    return;
  }
}

/** Refused, in the body and in a task. */
function* isRefused(again: Coroutine<unknown>, name: string): Steps<void> {
  for (const awaitable of [again, createTask(again)]) {
    const error = yield* thrownBy(awaitable);
    assertInstanceOf(error, RuntimeError);
    assertEquals(
      error.message,
      `Cannot await <coroutine ${name}> a second time, or a closed one: call the function again for a new one`,
    );
  }
}

for (const { call, name, owner, make, begun } of CASES) {
  eachKind(`${call}() refuses to be awaited twice`, function* () {
    const awaited = make(owner(asyncio));
    yield* outcome(awaited);
    yield* isRefused(awaited, name);
    const begunByTask = make(owner(asyncio));
    yield* outcome(createTask(begunByTask));
    yield* isRefused(begunByTask, name);
  });

  eachKind(`${call}() refuses to be awaited after close(), and has done nothing`, function* () {
    const source = owner(asyncio);
    const closed = make(source);
    closed.close();
    yield* isRefused(closed, name);
    assert(!begun(source));
  });
}

Deno.test("EventLoop.debug warns of what is never awaited, of all methods that wait", async () => {
  const source = CASES.map(({ owner, make }) =>
    `{
      const make = ${make};
      const owner = (${owner})(asyncio);
      make(owner);
      make(owner).close();
      await loop.runUntilComplete(async () => await make(owner).then(null, () => {}));
    }`
  ).join("\n");
  const lines = await neverAwaited(source);
  assertEquals(lines.toSorted(), CASES.map(({ name }) => `Coroutine ${name}() was never awaited`).toSorted());
});
