/** `--concurrent=64`: how many tasks a worker is given at a time, piscina's `concurrentTasksPerWorker`; 1 by default. */

import process from "node:process";
import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const { Piscina } = await peer("piscina");

const concurrent = Number(process.argv[2]?.split("=")[1] ?? 1);

await serve(poolRows({
  open: (workers) =>
    new Piscina({
      filename: new URL("tasks.mjs", import.meta.url).href,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: concurrent,
    }),
  submit: (pool, name, argument, transferList) => pool.run(argument, { name, transferList }),
  close: (pool) => pool.destroy(),
}));
