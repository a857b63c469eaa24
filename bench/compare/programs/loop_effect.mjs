import { peer } from "./peer.mjs";
import { check, heapBytes, rate, serve } from "./serve.mjs";

const { Effect, Fiber, Queue, Semaphore } = await peer("effect");

const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));

const switching = (n) =>
  Effect.gen(function* () {
    for (let i = 0; i < n; i++) yield* Effect.yieldNow;
  });

const chain = (depth, n) =>
  Effect.gen(function* () {
    if (depth > 1) yield* chain(depth - 1, n);
    else yield* switching(n);
  });

const nothing = Effect.gen(function* () {});

const number = (n) =>
  Effect.gen(function* () {
    return n;
  });

const all = (effects) => Effect.all(effects, { concurrency: "unbounded" });

const timed = (n, make) => rate(n, () => Effect.runPromise(Effect.gen(make)));

await serve({
  switch: ({ n, tasks }) =>
    rate(
      n,
      () => Effect.runPromise(all(many(tasks, () => switching(n / tasks)))),
    ),

  create: ({ n }) =>
    timed(n, function* () {
      for (let left = n; left > 0; left -= 1000) {
        let last;
        for (let i = Math.min(left, 1000); i > 0; i--) {
          last = yield* Effect.forkChild(nothing);
        }
        yield* Fiber.join(last);
      }
    }),

  async gather({ n, tasks }) {
    let results;
    const speed = await timed(n, function* () {
      for (let done = 0; done < n; done += tasks) {
        results = yield* all(many(tasks, number));
      }
    });
    check(results.every((result, i) => result === i), "gather");
    return speed;
  },

  chain: ({ n, depth }) => rate(n, () => Effect.runPromise(all(many(10, () => chain(depth, n / 10))))),

  async queue({ n }) {
    let sum = 0;
    const speed = await timed(n, function* () {
      const queue = yield* Queue.bounded(1);
      const producer = yield* Effect.forkChild(Effect.gen(function* () {
        for (let i = 0; i < n; i++) yield* Queue.offer(queue, i);
      }));
      for (let i = 0; i < n; i++) sum += yield* Queue.take(queue);
      yield* Fiber.join(producer);
    });
    check(sum === n * (n - 1) / 2, "queue");
    return speed;
  },

  free: ({ n }) =>
    timed(n, function* () {
      const locked = Semaphore.withPermit(yield* Semaphore.make(1))(Effect.void);
      for (let i = 0; i < n; i++) yield* locked;
    }),

  lock: ({ n, tasks }) =>
    timed(n, function* () {
      const semaphore = yield* Semaphore.make(1);
      const locked = Semaphore.withPermit(semaphore)(Effect.yieldNow);
      const locking = Effect.gen(function* () {
        for (let i = 0; i < n / tasks; i++) yield* locked;
      });
      yield* all(many(tasks, () => locking));
    }),

  semaphore: ({ n }) =>
    timed(n, function* () {
      const semaphore = yield* Semaphore.make(1);
      yield* Semaphore.take(semaphore, 1);
      const passing = Semaphore.withPermit(semaphore)(Effect.void);
      const fibers = [];
      for (let i = 0; i < n; i++) fibers.push(yield* Effect.forkChild(passing));
      yield* Effect.yieldNow;
      yield* Semaphore.release(semaphore, 1);
      yield* Fiber.joinAll(fibers);
    }),

  ten: ({ n }) =>
    timed(n, function* () {
      const passing = Semaphore.withPermit(yield* Semaphore.make(10))(Effect.yieldNow);
      yield* all(many(n, () => passing));
    }),

  cancel: ({ n }) =>
    Effect.runPromise(Effect.gen(function* () {
      const fibers = [];
      for (let i = 0; i < n; i++) {
        fibers.push(yield* Effect.forkChild(Effect.never));
      }
      yield* Effect.yieldNow;
      const began = performance.now();
      yield* Fiber.interruptAll(fibers);
      return n / (performance.now() - began) * 1000;
    })),

  parked: ({ n }) =>
    Effect.runPromise(Effect.gen(function* () {
      const fibers = [];
      const bytes = yield* Effect.promise(() =>
        heapBytes(n, async () => {
          for (let i = 0; i < n; i++) fibers.push(Effect.runFork(Effect.never));
          await new Promise((resolve) => setTimeout(resolve));
          return fibers;
        })
      );
      yield* Fiber.interruptAll(fibers);
      return bytes;
    })),
});
