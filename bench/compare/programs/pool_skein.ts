/** `threads` or `processes`. */

import { ProcessPoolExecutor, ThreadPoolExecutor } from "../../../lib/futures/mod.ts";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";
import * as tasks from "./tasks.mjs";

const processes = Deno.args[0] === "processes";
const Executor = processes ? ProcessPoolExecutor : ThreadPoolExecutor;
const functions: Record<string, (argument: unknown) => unknown> = tasks;

await serve(poolRows({
  open: (maxWorkers) => new Executor({ maxWorkers }),
  fill: (pool: ThreadPoolExecutor, workers) => pool.warmUp(workers),
  submit: (pool: ThreadPoolExecutor, name, argument, transfer) =>
    transfer === undefined
      ? pool.submit(functions[name]!, argument)
      : pool.submitWith({ transfer }, functions[name]!, argument),
  close: (pool: ThreadPoolExecutor) => pool.shutdown(),
  ...(processes ? { buffers: ["cloned"] } : {}),
}));
