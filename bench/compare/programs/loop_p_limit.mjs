/** p-limit is to promises what a lock and a semaphore are to tasks. */

import { peer } from "./peer.mjs";
import { rate, serve } from "./serve.mjs";

const { default: pLimit } = await peer("p-limit");

const many = (count, make) => Array.from({ length: count }, (_, i) => make(i));

await serve({
  free: ({ n }) =>
    rate(n, async () => {
      const limit = pLimit(1);
      for (let i = 0; i < n; i++) await limit(async () => {});
    }),

  lock: ({ n, tasks }) =>
    rate(n, () => {
      const limit = pLimit(1);
      return Promise.all(many(tasks, async () => {
        for (let i = 0; i < n / tasks; i++) {
          await limit(async () => {
            await null;
          });
        }
      }));
    }),

  semaphore: ({ n }) =>
    rate(n, async () => {
      const limit = pLimit(1);
      const { promise, resolve } = Promise.withResolvers();
      const first = limit(() => promise);
      const others = many(n, () => limit(async () => {}));
      resolve();
      await first;
      await Promise.all(others);
    }),

  ten: ({ n }) =>
    rate(n, () => {
      const limit = pLimit(10);
      return Promise.all(many(n, () =>
        limit(async () => {
          await null;
        })));
    }),
});
