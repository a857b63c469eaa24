/**
 * Its `sleep(0)` is a timer of the host, so a switch is by the cheapest thing that lets others go first: a promise that
 * is resolved. Its queues have no bound, so items go there and back through two of them.
 */

import { peer } from "./peer.mjs";
import { check, heapBytes, rate, serve } from "./serve.mjs";

const { all, createQueue, run, spawn, suspend, until } = await peer(
  "effection",
);

const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));
const resolved = Promise.resolve();

function* switching(n) {
  for (let i = 0; i < n; i++) yield* until(resolved);
}

function* chain(depth, n) {
  if (depth > 1) yield* chain(depth - 1, n);
  else yield* switching(n);
}

function* nothing() {}

function* number(n) {
  return n;
}

/** Starts `count` tasks. */
function* start(count, make) {
  const tasks = [];
  for (let i = 0; i < count; i++) tasks.push(yield* spawn(() => make(i)));
  return tasks;
}

/** Time taken within, by promises that come and go with the row. */
const timed = (n, operation) => rate(n, () => run(operation));

await serve({
  switch: ({ n, tasks }) => timed(n, () => all(many(tasks, () => switching(n / tasks)))),

  create: ({ n }) =>
    timed(n, function* () {
      for (let left = n; left > 0; left -= 1000) {
        let last;
        for (let i = Math.min(left, 1000); i > 0; i--) {
          last = yield* spawn(nothing);
        }
        yield* last;
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

  chain: ({ n, depth }) => timed(n, () => all(many(10, () => chain(depth, n / 10)))),

  async queue({ n }) {
    let sum = 0;
    const speed = await timed(n, function* () {
      const there = createQueue();
      const back = createQueue();
      const other = yield* spawn(function* () {
        for (let i = 0; i < n / 2; i++) back.add((yield* there.next()).value);
      });
      for (let i = 0; i < n / 2; i++) {
        there.add(i);
        sum += (yield* back.next()).value;
      }
      yield* other;
    });
    check(sum === n / 2 * (n / 2 - 1) / 2, "queue");
    return speed;
  },

  cancel: ({ n }) =>
    run(function* () {
      const tasks = yield* start(n, suspend);
      yield* until(resolved);
      const began = performance.now();
      for (const task of tasks) yield* task.halt();
      return n / (performance.now() - began) * 1000;
    }),

  parked: ({ n }) =>
    run(function* () {
      let tasks;
      return yield* until(heapBytes(n, () =>
        run(function* () {
          tasks = yield* start(n, suspend);
          yield* until(resolved);
          return tasks;
        })));
    }),
});
