/** `worker_threads` or `child_process`. */

import process from "node:process";
import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const { Tinypool } = await peer("tinypool");

const runtime = process.argv[2];

await serve(poolRows({
  open: (workers) =>
    new Tinypool({
      filename: new URL("tasks.mjs", import.meta.url).href,
      minThreads: workers,
      maxThreads: workers,
      runtime,
      // Advanced: its processes copy by JSON otherwise, and lose buffers.
      serialization: "advanced",
    }),
  submit: (pool, name, argument, transferList) => pool.run(argument, { name, transferList }),
  close: (pool) => pool.destroy(),
  buffers: runtime === "child_process" ? ["cloned"] : undefined,
}));
