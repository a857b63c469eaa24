/** Locks and semaphores of promises. */

import { peer } from "./peer.mjs";
import { check, rate, serve } from "./serve.mjs";

const { Mutex, Semaphore } = await peer("async-mutex");

const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));

/** `rest`: whether others get a turn while it is held. */
async function holding(mutex, n, rest) {
  for (let i = 0; i < n; i++) {
    const release = await mutex.acquire();
    try {
      if (rest) await null;
    } finally {
      release();
    }
  }
}

async function passing(semaphore, rest) {
  const [, release] = await semaphore.acquire();
  try {
    if (rest) await null;
  } finally {
    release();
  }
}

await serve({
  free: ({ n }) => rate(n, () => holding(new Mutex(), n, false)),

  lock: ({ n, tasks }) =>
    rate(n, () => {
      const mutex = new Mutex();
      return Promise.all(many(tasks, () => holding(mutex, n / tasks, true)));
    }),

  async semaphore({ n }) {
    const semaphore = new Semaphore(1);
    const speed = await rate(n, async () => {
      const [, release] = await semaphore.acquire();
      const others = many(n, () => passing(semaphore, false));
      release();
      await Promise.all(others);
    });
    check(semaphore.getValue() === 1, "semaphore");
    return speed;
  },

  async ten({ n }) {
    const semaphore = new Semaphore(10);
    const speed = await rate(n, () => Promise.all(many(n, () => passing(semaphore, true))));
    check(semaphore.getValue() === 10, "ten");
    return speed;
  },
});
