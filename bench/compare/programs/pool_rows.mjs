/**
 * The rows of the pools, for all contestants that are JavaScript: the same work by the same code, whatever the pool.
 *
 * @module
 */

import { check, quantile, rate } from "./serve.mjs";
import { count, touch } from "./tasks.mjs";

/** How long a unit of work for the processor takes. Milliseconds. */
const UNIT = 5;

/** The turns of `count` that take a unit on this machine at this moment. */
function turnsOfUnit() {
  count(1e6);
  const start = performance.now();
  count(1e7);
  return Math.round(1e7 * UNIT / (performance.now() - start));
}

/** Plain data of about 85 bytes an item as JSON. */
function records(items) {
  return Array.from({ length: items }, (_, id) => ({
    id,
    name: `record ${id}`,
    tags: ["first", "second"],
    score: id / 7,
    open: id % 2 === 0,
  }));
}

function bufferOf(bytes, mode) {
  const buffer = mode === "shared" ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  new Uint8Array(buffer).fill(7);
  return buffer;
}

/**
 * The rows of a pool.
 *
 * @param {object} contestant
 * @param {(workers: number) => any} contestant.open Starts a pool.
 * @param {(pool: any) => unknown} [contestant.prepare] What a pool needs before it can be used freely.
 * @param {(pool: any, workers: number) => unknown} [contestant.fill] Starts all workers of a pool, if it would not by itself.
 * @param {(pool: any, task: string, argument: unknown, transfer?: Transferable[]) => PromiseLike<any>} contestant.submit
 * Runs a function of tasks.mjs.
 * @param {(pool: any) => unknown} contestant.close Ends a pool.
 * @param {string[]} [contestant.buffers] How it can give a buffer to a worker.
 * @param {boolean} [contestant.alone] Whether there can be one pool only.
 */
export function poolRows(
  {
    open,
    prepare,
    fill,
    submit,
    close,
    buffers = ["cloned", "transferred", "shared"],
    alone = false,
  },
) {
  const WORKERS = 2;
  let opened;
  let held;

  async function pool() {
    if (opened === undefined) {
      opened = await open(WORKERS);
      await prepare?.(opened);
    }
    return opened;
  }

  async function another(workers) {
    if (alone && opened !== undefined) {
      await close(opened);
      opened = undefined;
    }
    return await open(workers);
  }

  return {
    async burst({ n, workers = WORKERS }) {
      const target = workers === WORKERS ? await pool() : held;
      let results;
      const speed = await rate(n, async () => {
        const futures = new Array(n);
        for (let i = 0; i < n; i++) futures[i] = submit(target, "same", i);
        results = await Promise.all(futures);
      });
      check(results.every((result, i) => result === i), "burst");
      return speed;
    },

    async concurrent({ n, concurrency }) {
      const target = await pool();
      let next = 0;
      let wrong = 0;
      const speed = await rate(
        n,
        () =>
          Promise.all(Array.from({ length: concurrency }, async () => {
            while (next < n) {
              const i = next++;
              if (await submit(target, "same", i) !== i) wrong++;
            }
          })),
      );
      check(wrong === 0, "concurrent");
      return speed;
    },

    async first({ n }) {
      const start = performance.now();
      const fresh = await another(WORKERS);
      if (n > 1) await prepare?.(fresh);
      const results = await Promise.all(Array.from({ length: n }, (_, i) => submit(fresh, "same", i)));
      const elapsed = performance.now() - start;
      await close(fresh);
      check(results.every((result, i) => result === i), "first");
      return elapsed;
    },

    /**
     * What it takes here, and in the pool, both without the interruptions of a machine that does other things: the
     * least of some times by turns.
     */
    async speedup({ units }) {
      const target = await pool();
      const turns = turnsOfUnit();
      const work = units.map((unit) => unit * turns);
      let sequential = Infinity;
      let parallel = Infinity;
      for (let i = 0; i < 3; i++) {
        let start = performance.now();
        const expected = work.map(count);
        sequential = Math.min(sequential, performance.now() - start);
        start = performance.now();
        const results = await Promise.all(work.map((each) => submit(target, "count", each)));
        parallel = Math.min(parallel, performance.now() - start);
        check(results.every((result, i) => result === expected[i]), "speedup");
      }
      return sequential / parallel;
    },

    /** Milliseconds there and back. */
    async object({ n, items }) {
      const target = await pool();
      const sent = records(items);
      const times = [];
      let back;
      for (let i = 0; i < n; i++) {
        const start = performance.now();
        back = await submit(target, "same", sent);
        times.push(performance.now() - start);
      }
      check(JSON.stringify(back) === JSON.stringify(sent), "object");
      return quantile(times);
    },

    /** Milliseconds from handing over a buffer to the answer of who looked at it. */
    async buffer({ n, bytes, mode }) {
      if (!buffers.includes(mode)) return undefined;
      const target = await pool();
      const reused = mode === "transferred" ? undefined : bufferOf(bytes, mode);
      const times = [];
      for (let i = 0; i < n; i++) {
        const buffer = reused ?? bufferOf(bytes, mode);
        const expected = touch(buffer);
        const start = performance.now();
        const result = await submit(
          target,
          "touch",
          buffer,
          mode === "transferred" ? [buffer] : undefined,
        );
        times.push(performance.now() - start);
        check(result === expected, "buffer");
      }
      return quantile(times);
    },

    /** How long short tasks take, one after the other, while one worker of two always has a long one. */
    async latency({ n, units }) {
      const target = await pool();
      const long = turnsOfUnit() * units;
      const times = [];
      let over = false;
      const busy = (async () => {
        while (!over) await submit(target, "count", long);
      })();
      for (let i = 0; i < n; i++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        const start = performance.now();
        check(await submit(target, "same", i) === i, "latency");
        times.push(performance.now() - start);
      }
      over = true;
      await busy;
      return { p50: quantile(times), p99: quantile(times, 0.99) };
    },

    /** Milliseconds until each of so many workers has worked. They stay, for their memory to be measured. */
    async hold({ workers }) {
      const turns = turnsOfUnit();
      const start = performance.now();
      held = await another(workers);
      await fill?.(held, workers);
      await prepare?.(held);
      await Promise.all(
        Array.from({ length: workers }, () => submit(held, "count", turns)),
      );
      return performance.now() - start;
    },

    /** Ends them. */
    async letGo() {
      await close(held);
      held = undefined;
      return 0;
    },
  };
}
