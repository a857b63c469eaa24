import { fileURLToPath } from "node:url";
import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const { FixedThreadPool } = await peer("poolifier");

await serve(poolRows({
  open: (workers) =>
    new FixedThreadPool(
      workers,
      fileURLToPath(new URL("worker_poolifier.mjs", import.meta.url)),
    ),
  submit: (pool, name, argument, transfer) => pool.execute(argument, name, undefined, transfer),
  // What destroy() returns now and then never settles.
  close: (pool) =>
    Promise.race([
      pool.destroy(),
      new Promise((resolve) => setTimeout(resolve, 1000)),
    ]),
}));
