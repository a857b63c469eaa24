/** Locks and semaphores of promises. */

import { peer } from "./peer.mjs";
import { check, rate, serve } from "./serve.mjs";

const { Mutex, Semaphore } = await peer("async-mutex");

const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));

async function taking(mutex, n) {
  for (let i = 0; i < n; i++) (await mutex.acquire())();
}

async function takingByUsing(mutex, n) {
  for (let i = 0; i < n; i++) {
    using _held = { [Symbol.dispose]: await mutex.acquire() };
  }
}

async function locking(mutex, n) {
  for (let i = 0; i < n; i++) {
    const release = await mutex.acquire();
    try {
      await null;
    } finally {
      release();
    }
  }
}

async function passing(semaphore) {
  const [, release] = await semaphore.acquire();
  release();
}

async function resting(semaphore) {
  const [, release] = await semaphore.acquire();
  try {
    await null;
  } finally {
    release();
  }
}

async function restingByUsing(semaphore) {
  const [, release] = await semaphore.acquire();
  using _held = { [Symbol.dispose]: release };
  await null;
}

async function throughTen(n, body) {
  const semaphore = new Semaphore(10);
  const speed = await rate(n, () => Promise.all(many(n, () => body(semaphore))));
  check(semaphore.getValue() === 10, "ten");
  return speed;
}

await serve({
  free: ({ n }) => rate(n, () => taking(new Mutex(), n)),

  freeByUsing: ({ n }) => rate(n, () => takingByUsing(new Mutex(), n)),

  lock: ({ n, tasks }) =>
    rate(n, () => {
      const mutex = new Mutex();
      return Promise.all(many(tasks, () => locking(mutex, n / tasks)));
    }),

  async semaphore({ n }) {
    const semaphore = new Semaphore(1);
    const speed = await rate(n, async () => {
      const [, release] = await semaphore.acquire();
      const others = many(n, () => passing(semaphore));
      release();
      await Promise.all(others);
    });
    check(semaphore.getValue() === 1, "semaphore");
    return speed;
  },

  ten: ({ n }) => throughTen(n, resting),

  tenByUsing: ({ n }) => throughTen(n, restingByUsing),
});
