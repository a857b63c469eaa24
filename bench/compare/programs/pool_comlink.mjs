/** Comlink has no pool: its workers get the tasks in turn. */

import { Worker } from "node:worker_threads";
import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const Comlink = await peer("comlink");
const { default: nodeEndpoint } = await peer(
  "comlink/dist/esm/node-adapter.mjs",
);

await serve(poolRows({
  open(count) {
    const workers = Array.from(
      { length: count },
      () => new Worker(new URL("worker_comlink.mjs", import.meta.url)),
    );
    return {
      workers,
      apis: workers.map((worker) => Comlink.wrap(nodeEndpoint(worker))),
      next: 0,
    };
  },
  submit(pool, name, argument, transfer) {
    pool.next = (pool.next + 1) % pool.apis.length;
    return pool.apis[pool.next][name](
      transfer === undefined ? argument : Comlink.transfer(argument, transfer),
    );
  },
  close: ({ workers }) => Promise.all(workers.map((worker) => worker.terminate())),
}));
