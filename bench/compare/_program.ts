/** Contestants as programs that answer requests: one line on stdin, one line on stdout. See `programs/serve.mjs`. */

import type { Contestant } from "./_contestants.ts";
import type { Request } from "./_rows.ts";
import { lines } from "./programs/lines.mjs";

const MARK = "answer: ";
/** What takes longer than that hangs. Milliseconds. */
const PATIENCE = 30_000;

/** Where the programs are. */
export const folder = new URL("programs/", import.meta.url);

/** What a program says to a request; nothing if it has no such row. */
export interface Answer {
  readonly figures: Readonly<Record<string, number>>;
  /** How long it took in all, in milliseconds. */
  readonly elapsed: number;
}

/** The command of a contestant. */
function commandOf({ runtime, program: [file, ...args] }: Contestant, python: string): [string, string[]] {
  switch (runtime) {
    case "deno":
      return [Deno.execPath(), ["run", "--allow-all", "--quiet", "--frozen", "--v8-flags=--expose-gc", file, ...args]];
    case "node":
      return ["node", ["--expose-gc", file, ...args]];
    case "python":
      return [python, [file, ...args]];
  }
}

/** A contestant that runs. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncIterator<string>;
  #over = false;

  constructor(contestant: Contestant, python: string) {
    const [command, args] = commandOf(contestant, python);
    this.#child = new Deno.Command(command, {
      args,
      cwd: folder,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      env: { NO_COLOR: "1", NODE_ENV: "production" },
    }).spawn();
    this.#stdin = this.#child.stdin.getWriter();
    this.#answers = answersIn(this.#child.stdout);
  }

  /** Whether it has died or was given up. */
  get over(): boolean {
    return this.#over;
  }

  /** Its answer; `undefined` if it has none. */
  async ask(request: Request): Promise<Answer | undefined> {
    const timer = setTimeout(() => this.#kill(), PATIENCE);
    try {
      await this.#stdin.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
      const { value, done } = await this.#answers.next();
      if (done) {
        const killed = this.#over;
        this.#over = true;
        throw new Error(killed ? `no answer within ${PATIENCE / 1000} s` : "the program ended");
      }
      const { error, none, ...answer } = JSON.parse(value);
      if (error !== undefined) throw new Error(error);
      return none ? undefined : answer;
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) this.#over = true;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The memory of it and of all processes that it has started, in bytes: what is resident, of pages that several
   * processes share each one's part. `undefined` where there is no /proc.
   */
  memory(): number | undefined {
    if (Deno.build.os !== "linux") return undefined;
    const parents = new Map<number, number>();
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
        parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
      } catch { /* It has ended meanwhile. */ }
    }
    let sum = 0;
    for (const pid of parents.keys()) {
      let ancestor: number | undefined = pid;
      while (ancestor !== undefined && ancestor !== this.#child.pid) ancestor = parents.get(ancestor);
      if (ancestor === undefined) continue;
      try {
        const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
        sum += 1024 * Number(/^Pss:\s*(\d+)/m.exec(rollup)?.[1] ?? 0);
      } catch { /* As above. */ }
    }
    return sum;
  }

  /** Ends it. */
  async close(): Promise<void> {
    if (!this.#over) await this.#stdin.close().catch(() => {});
    const timer = setTimeout(() => this.#kill(), 5000);
    await this.#child.status;
    clearTimeout(timer);
    // What is left of the output, such as that of its own children.
    await this.#answers.return?.();
  }

  #kill(): void {
    this.#over = true;
    try {
      this.#child.kill("SIGKILL");
    } catch { /* It has ended by itself. */ }
  }
}

async function* answersIn(stdout: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  for await (const some of lines(stdout)) {
    for (const line of some) if (line.startsWith(MARK)) yield line.slice(MARK.length);
  }
}
