/** The limit: what V8's own async functions, microtasks and timers do, without a loop on top. */

import { check, heapBytes, rate, serve } from "./serve.mjs";

const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));

async function switching(n) {
  for (let i = 0; i < n; i++) await null;
}

async function chain(depth, n) {
  if (depth > 1) await chain(depth - 1, n);
  else await switching(n);
}

async function nothing() {}

async function number(n) {
  return await n;
}

await serve({
  switch: ({ n, tasks }) => rate(n, () => Promise.all(many(tasks, () => switching(n / tasks)))),

  create: ({ n }) =>
    rate(n, async () => {
      for (let left = n; left > 0; left -= 1000) {
        let last;
        for (let i = Math.min(left, 1000); i > 0; i--) last = nothing();
        await last;
      }
    }),

  async gather({ n, tasks }) {
    let results;
    const speed = await rate(n, async () => {
      for (let done = 0; done < n; done += tasks) {
        results = await Promise.all(many(tasks, number));
      }
    });
    check(results.every((result, i) => result === i), "gather");
    return speed;
  },

  chain: ({ n, depth }) => rate(n, () => Promise.all(many(10, () => chain(depth, n / 10)))),

  callSoon({ n }) {
    let calls = 0;
    const callback = () => {
      calls++;
    };
    return rate(n, async () => {
      for (let left = n; left > 0; left -= 10_000) {
        for (let i = Math.min(left, 10_000); i > 0; i--) {
          queueMicrotask(callback);
        }
        await null;
      }
      check(calls === n, "callSoon");
    });
  },

  timers: ({ n, span }) =>
    rate(n, () =>
      new Promise((resolve) => {
        let left = Math.ceil(n / 2);
        const fired = () => {
          if (--left === 0) resolve();
        };
        const timers = many(n, (i) => setTimeout(fired, (i * 7919) % span));
        for (let i = 1; i < n; i += 2) clearTimeout(timers[i]);
      })),

  async parked({ n }) {
    const { promise, resolve } = Promise.withResolvers();
    const bytes = await heapBytes(
      n,
      () => many(n, async () => void await promise),
    );
    resolve();
    await promise;
    return bytes;
  },
});
