/** A function gets to its worker by its source, and is compiled there once. */

import { peer } from "./peer.mjs";
import { poolRows } from "./pool_rows.mjs";
import { serve } from "./serve.mjs";
import * as tasks from "./tasks.mjs";

const { initRuntime, move, shutdown, spawn } = await peer("multithreading");

async function run(task, argument) {
  const result = await spawn(move(argument), task).join();
  if (!result.ok) throw result.error;
  return result.value;
}

await serve(poolRows({
  open: (workers) => {
    initRuntime({ maxWorkers: workers });
    return workers;
  },
  // A second call of a function fails while its worker compiles it for the first, so each worker gets each once.
  async prepare(workers) {
    const once = (task, argument) => Promise.all(Array.from({ length: workers }, () => run(task, argument)));
    await once(tasks.same, 0);
    await once(tasks.count, 1);
    await Promise.all(
      Array.from(
        { length: workers },
        () => run(tasks.touch, new ArrayBuffer(1)),
      ),
    );
  },
  submit: (_workers, name, argument) => run(tasks[name], argument),
  close: () => shutdown(),
  buffers: ["transferred", "shared"],
  alone: true,
}));
