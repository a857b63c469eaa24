/** The limit of processes: a line of JSON a task over a pipe; lines that are written in one go are one write. */

import { poolRows } from "./pool_rows.mjs";
import { lines } from "./lines.mjs";
import { serve } from "./serve.mjs";

const encoder = new TextEncoder();

class BareChildren {
  #id = 0;
  #children;

  constructor(count) {
    this.#children = Array.from({ length: count }, () => {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-lock",
          new URL("worker_bare_child.mjs", import.meta.url).pathname,
        ],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const state = {
        child,
        writer: child.stdin.getWriter(),
        pending: new Map(),
        batch: "",
      };
      (async () => {
        for await (const some of lines(child.stdout)) {
          for (const line of some) {
            const { id, value } = JSON.parse(line);
            state.pending.get(id)(value);
            state.pending.delete(id);
          }
        }
      })();
      return state;
    });
  }

  submit(name, argument) {
    let least = this.#children[0];
    for (const each of this.#children) {
      if (each.pending.size < least.pending.size) least = each;
    }
    const { promise, resolve } = Promise.withResolvers();
    const id = this.#id++;
    least.pending.set(id, resolve);
    if (least.batch === "") {
      queueMicrotask(() => {
        least.writer.write(encoder.encode(least.batch));
        least.batch = "";
      });
    }
    least.batch += JSON.stringify({ id, name, argument }) + "\n";
    return promise;
  }

  async close() {
    await Promise.all(
      this.#children.map(({ writer, child }) => Promise.all([writer.close(), child.status])),
    );
  }
}

await serve(poolRows({
  open: (workers) => new BareChildren(workers),
  submit: (pool, name, argument) => pool.submit(name, argument),
  close: (pool) => pool.close(),
  buffers: [],
}));
