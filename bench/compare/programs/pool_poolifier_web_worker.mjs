import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";

const { FixedThreadPool } = await peer("poolifier-web-worker");

await serve(poolRows({
  open: (workers) =>
    new FixedThreadPool(
      workers,
      new URL("worker_poolifier_web_worker.mjs", import.meta.url),
    ),
  submit: (pool, name, argument, transfer) => pool.execute(argument, name, undefined, transfer),
  close: (pool) => pool.destroy(),
}));
