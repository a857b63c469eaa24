/**
 * The limit: workers and `postMessage`, without a queue, errors, cancellation. `single`: a message a task. `batched`: a
 * message for all that is submitted in one go.
 */

import process from "node:process";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const batched = process.argv[2] === "batched";

class Bare {
  #id = 0;
  #workers;

  constructor(count) {
    this.#workers = Array.from({ length: count }, () => {
      const worker = new Worker(new URL("worker_bare.mjs", import.meta.url), {
        type: "module",
      });
      const state = { worker, pending: new Map(), batch: [] };
      const settle = ({ id, value }) => {
        state.pending.get(id)(value);
        state.pending.delete(id);
      };
      worker.onmessage = ({ data }) => batched ? data.forEach(settle) : settle(data);
      return state;
    });
  }

  submit(name, argument, transfer) {
    let least = this.#workers[0];
    for (const each of this.#workers) {
      if (each.pending.size < least.pending.size) least = each;
    }
    const { promise, resolve } = Promise.withResolvers();
    const id = this.#id++;
    least.pending.set(id, resolve);
    if (!batched) {
      least.worker.postMessage({ id, name, argument }, transfer ?? []);
    } else if (least.batch.push({ id, name, argument }) === 1) {
      queueMicrotask(() => {
        least.worker.postMessage(least.batch);
        least.batch = [];
      });
    }
    return promise;
  }

  close() {
    for (const { worker } of this.#workers) worker.terminate();
  }
}

await serve(poolRows({
  open: (workers) => new Bare(workers),
  submit: (pool, name, argument, transfer) => pool.submit(name, argument, transfer),
  close: (pool) => pool.close(),
}));
