/** `thread` or `process`. */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const { Worker } = await peer("jest-worker");

const enableWorkerThreads = process.argv[2] === "thread";

await serve(poolRows({
  open: (workers) =>
    new Worker(fileURLToPath(new URL("tasks.mjs", import.meta.url)), {
      numWorkers: workers,
      enableWorkerThreads,
      exposedMethods: ["same", "count", "touch"],
    }),
  submit: (pool, name, argument) => pool[name](argument),
  close: (pool) => pool.end(),
  // It has nothing to transfer with.
  buffers: enableWorkerThreads ? ["cloned", "shared"] : ["cloned"],
}));
