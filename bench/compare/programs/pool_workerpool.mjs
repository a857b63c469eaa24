/** `thread` or `process`. */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const { default: workerpool } = await peer("workerpool");

const workerType = process.argv[2];

await serve(poolRows({
  open: (workers) =>
    workerpool.pool(
      fileURLToPath(new URL("worker_workerpool.mjs", import.meta.url)),
      {
        minWorkers: workers,
        maxWorkers: workers,
        workerType,
        ...(workerType === "process" ? { forkOpts: { serialization: "advanced" } } : {}),
      },
    ),
  submit: (pool, name, argument, transfer) => pool.exec(name, [argument], transfer && { transfer }),
  close: (pool) => pool.terminate(true),
  buffers: workerType === "process" ? ["cloned"] : undefined,
}));
