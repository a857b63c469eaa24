/** `generators` or `async`: of what kind the tasks are. */

import {
  type Awaitable,
  type Coroutine,
  coroutine,
  createTask,
  EventLoop,
  type Future,
  gather,
  type GeneratorCoroutine,
  Lock,
  Queue,
  Semaphore,
  sleep,
  type Task,
  wait,
} from "../../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../../lib/testing/mod.ts";
import { check, heapBytes, quantile, rate, serve } from "./serve.mjs";

const native = Deno.args[0] === "async";
const loop = new EventLoop();
const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** What the tasks of the rows do, as coroutines of one kind. */
interface Bodies {
  nothing(): Awaitable<void>;
  number(n: number): Awaitable<number>;
  switching(n: number): Awaitable<void>;
  chain(depth: number, n: number): Awaitable<void>;
  produce(queue: Queue<number>, n: number): Awaitable<void>;
  consume(queue: Queue<number>, n: number): Awaitable<number>;
  taking(lock: Lock, n: number): Awaitable<void>;
  takingByUsing(lock: Lock, n: number): Awaitable<void>;
  locking(lock: Lock, n: number): Awaitable<void>;
  passing(semaphore: Semaphore): Awaitable<void>;
  resting(semaphore: Semaphore): Awaitable<void>;
  restingByUsing(semaphore: Semaphore): Awaitable<void>;
  parked(future: Future<void>): Awaitable<void>;
}

const generators: Bodies = {
  *nothing() {},
  *number(n) {
    return n;
  },
  *switching(n) {
    for (let i = 0; i < n; i++) yield* sleep(0);
  },
  chain: coroutine(
    function* (depth: number, n: number): GeneratorCoroutine<void> {
      if (depth > 1) {
        return yield* generators.chain(depth - 1, n) as Coroutine<void>;
      }
      for (let i = 0; i < n; i++) yield* sleep(0);
    },
  ),
  *produce(queue, n) {
    for (let i = 0; i < n; i++) yield* queue.put(i);
  },
  *consume(queue, n) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += yield* queue.get();
    return sum;
  },
  *taking(lock, n) {
    for (let i = 0; i < n; i++) (yield* lock.acquire()).release();
  },
  *takingByUsing(lock, n) {
    for (let i = 0; i < n; i++) {
      using _held = yield* lock.acquire();
    }
  },
  *locking(lock, n) {
    for (let i = 0; i < n; i++) {
      const held = yield* lock.acquire();
      try {
        yield* sleep(0);
      } finally {
        held.release();
      }
    }
  },
  *passing(semaphore) {
    (yield* semaphore.acquire()).release();
  },
  *resting(semaphore) {
    const held = yield* semaphore.acquire();
    try {
      yield* sleep(0);
    } finally {
      held.release();
    }
  },
  *restingByUsing(semaphore) {
    using _held = yield* semaphore.acquire();
    yield* sleep(0);
  },
  *parked(future) {
    yield* future;
  },
};

async function down(depth: number, n: number): Promise<void> {
  if (depth > 1) return await down(depth - 1, n);
  for (let i = 0; i < n; i++) await sleep(0);
}

/** Functions, not promises: a task has to start its native code itself. */
const functions: Bodies = {
  nothing: () => async () => {},
  number: (n) => () => Promise.resolve(n),
  switching: (n) => async () => {
    for (let i = 0; i < n; i++) await sleep(0);
  },
  chain: (depth, n) => () => down(depth, n),
  produce: (queue, n) => async () => {
    for (let i = 0; i < n; i++) await queue.put(i);
  },
  consume: (queue, n) => async () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += await queue.get();
    return sum;
  },
  taking: (lock, n) => async () => {
    for (let i = 0; i < n; i++) (await lock.acquire()).release();
  },
  takingByUsing: (lock, n) => async () => {
    for (let i = 0; i < n; i++) {
      using _held = await lock.acquire();
    }
  },
  locking: (lock, n) => async () => {
    for (let i = 0; i < n; i++) {
      const held = await lock.acquire();
      try {
        await sleep(0);
      } finally {
        held.release();
      }
    }
  },
  passing: (semaphore) => async () => {
    (await semaphore.acquire()).release();
  },
  resting: (semaphore) => async () => {
    const held = await semaphore.acquire();
    try {
      await sleep(0);
    } finally {
      held.release();
    }
  },
  restingByUsing: (semaphore) => async () => {
    using _held = await semaphore.acquire();
    await sleep(0);
  },
  parked: (future) => async () => {
    await future;
  },
};

const bodies = native ? functions : generators;

/** A row that runs in the loop. */
function inLoop<R>(
  row: (request: R) => Promise<unknown>,
): (request: R) => Promise<unknown> {
  return (request) => loop.runUntilComplete(() => row(request));
}

function throughTen(n: number, body: (semaphore: Semaphore) => Awaitable<void>): Promise<number> {
  return rate(n, async () => {
    const semaphore = new Semaphore(10);
    await gather(many(n, () => createTask(body(semaphore))));
    check(semaphore.statistics().value === 10, "ten");
  });
}

const rows: Record<string, (request: never) => Promise<unknown>> = {
  switch: inLoop(({ n, tasks }: { n: number; tasks: number }) =>
    rate(n, async () => {
      await gather(many(tasks, () => createTask(bodies.switching(n / tasks))));
    })
  ),

  create: inLoop(({ n }: { n: number }) =>
    rate(n, async () => {
      for (let left = n; left > 0; left -= 1000) {
        let last: Task<void> | undefined;
        for (let i = Math.min(left, 1000); i > 0; i--) {
          last = createTask(bodies.nothing());
        }
        await last;
      }
    })
  ),

  gather: inLoop(async ({ n, tasks }: { n: number; tasks: number }) => {
    let results: number[] = [];
    const speed = await rate(n, async () => {
      for (let done = 0; done < n; done += tasks) {
        results = await gather(many(tasks, (i) => bodies.number(i)));
      }
    });
    check(
      results.length === tasks && results.every((result, i) => result === i),
      "gather",
    );
    return speed;
  }),

  chain: inLoop(({ n, depth }: { n: number; depth: number }) =>
    rate(n, async () => {
      await gather(many(10, () => createTask(bodies.chain(depth, n / 10))));
    })
  ),

  queue: inLoop(async ({ n }: { n: number }) => {
    let sum = 0;
    const speed = await rate(n, async () => {
      const queue = new Queue<number>(1);
      const producer = createTask(bodies.produce(queue, n));
      sum = await createTask(bodies.consume(queue, n));
      await producer;
    });
    check(sum === n * (n - 1) / 2, "queue");
    return speed;
  }),

  free: inLoop(({ n }: { n: number }) =>
    rate(n, async () => {
      await createTask(bodies.taking(new Lock(), n));
    })
  ),

  freeByUsing: inLoop(({ n }: { n: number }) =>
    rate(n, async () => {
      await createTask(bodies.takingByUsing(new Lock(), n));
    })
  ),

  lock: inLoop(({ n, tasks }: { n: number; tasks: number }) =>
    rate(n, async () => {
      const lock = new Lock();
      await gather(
        many(tasks, () => createTask(bodies.locking(lock, n / tasks))),
      );
    })
  ),

  semaphore: inLoop(({ n }: { n: number }) =>
    rate(n, async () => {
      const semaphore = new Semaphore(0);
      const tasks = many(n, () => createTask(bodies.passing(semaphore)));
      await sleep(0);
      check(semaphore.statistics().tasksWaiting === n, "semaphore");
      semaphore.release();
      await gather(tasks);
    })
  ),

  ten: inLoop(({ n }: { n: number }) => throughTen(n, bodies.resting)),

  tenByUsing: inLoop(({ n }: { n: number }) => throughTen(n, bodies.restingByUsing)),

  cancel: inLoop(async ({ n }: { n: number }) => {
    // A future each: to cancel a task is to cancel what it waits for.
    const tasks = many(n, () => createTask(bodies.parked(loop.createFuture())));
    await sleep(0);
    const speed = await rate(n, async () => {
      for (const task of tasks) task.cancel();
      await wait(tasks);
    });
    check(tasks.every((task) => task.cancelled()), "cancel");
    return speed;
  }),

  parked: inLoop(async ({ n }: { n: number }) => {
    const event = loop.createFuture<void>();
    let tasks: Task<void>[] = [];
    const bytes = await heapBytes(n, async () => {
      tasks = many(n, () => createTask(bodies.parked(event)));
      await sleep(0);
      return tasks;
    });
    event.setResult();
    await gather(tasks);
    return bytes;
  }),

  callSoon: inLoop(({ n }: { n: number }) => {
    let calls = 0;
    const callback = (): void => {
      calls++;
    };
    return rate(n, async () => {
      for (let left = n; left > 0; left -= 10_000) {
        for (let i = Math.min(left, 10_000); i > 0; i--) {
          loop.callSoon(callback);
        }
        await sleep(0);
      }
      check(calls === n, "callSoon");
    });
  }),

  /** With deadlines all over `span` milliseconds. */
  timers: inLoop(({ n, span }: { n: number; span: number }) =>
    rate(n, async () => {
      const all = loop.createFuture<void>();
      let left = Math.ceil(n / 2);
      const fired = (): void => {
        if (--left === 0) all.setResult();
      };
      const timers = many(n, (i) => loop.callLater((i * 7919) % span, fired));
      for (let i = 1; i < n; i += 2) timers[i]!.cancel();
      await all;
    })
  ),

  /** Milliseconds from request to response of a server in this program, beside tasks that never rest. */
  http: async ({ n, tasks }: { n: number; tasks: number }) => {
    await using server = Deno.serve({
      port: 0,
      hostname: "127.0.0.1",
      onListen() {},
    }, () => new Response("ok"));
    const latencies: number[] = [];
    let over = false;
    function* spin() {
      while (!over) yield* sleep(0);
    }
    await loop.runUntilComplete(async () => {
      const spinning = many(tasks, () =>
        createTask(
          native
            ? async () => {
              while (!over) await sleep(0);
            }
            : spin(),
        ));
      for (let i = 0; i < n; i++) {
        const start = performance.now();
        await (await fetch(`http://127.0.0.1:${server.addr.port}/`)).text();
        latencies.push(performance.now() - start);
      }
      over = true;
      await gather(spinning);
    });
    return quantile(latencies);
  },

  /** An hour of tasks that sleep a minute at a time, on the virtual clock. */
  hour: async ({ n }: { n: number }) => {
    using virtual = new EventLoop({ clock: new VirtualClock() });
    function* hour() {
      for (let i = 0; i < 60; i++) yield* sleep(60_000);
    }
    const nativeHour = async () => {
      for (let i = 0; i < 60; i++) await sleep(60_000);
    };
    return await rate(
      n,
      () =>
        virtual.runUntilComplete(
          gather(
            many(
              n / 60,
              () => virtual.createTask(native ? nativeHour : hour()),
            ),
          ),
        ),
    );
  },
};

await serve(rows as Record<string, (request: unknown) => unknown>);
