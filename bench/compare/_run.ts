import type { Contestant } from "./_contestants.ts";
import { type Answer, Program } from "./_program.ts";
import type { Request, Row } from "./_rows.ts";

/** What a contestant is given to do in a row whose `n` is free, in milliseconds. */
const TARGET = 120;
/** Who takes longer than that for a row is asked in fewer rounds, or one would wait for the slowest only. Milliseconds. */
const SLOW = 1500;
const SLOW_ROUNDS = 2;

/** How the rows of one contestant went so far. */
export class Run {
  readonly contestant: Contestant;
  /** Why it has no figures in a row. */
  readonly failures = new Map<Row, string>();
  readonly #python: string;
  #program: Program;
  /** The requests of the rows in which it may do as much as it can. */
  readonly #scaled = new Map<Row, Request>();
  readonly #slow = new Set<Row>();

  constructor(contestant: Contestant, python: string) {
    this.contestant = contestant;
    this.#python = python;
    this.#program = new Program(contestant, python);
  }

  /** Its figures in a round, the first of which is to warm up; `undefined` if it has none. */
  async figures(row: Row, round: number): Promise<Answer["figures"] | undefined> {
    if (this.failures.has(row) || this.#slow.has(row) && round > SLOW_ROUNDS) return undefined;
    try {
      if (row.perWorker) return await this.#memoryOfWorker(row.request);
      let answer = await this.#ask(row);
      // What it can do shows only now: the first time compiled it.
      if (round === 0 && !row.fixed) answer = await this.#ask(row);
      return round > 0 || row.once ? answer?.figures : undefined;
    } catch (error) {
      this.failures.set(row, `${this.contestant.name}, ${row.name}: ${(error as Error).message}`);
      if (this.#program.over) this.#program = new Program(this.contestant, this.#python);
      return undefined;
    }
  }

  /** Ends its program. */
  close(): Promise<void> {
    return this.#program.close();
  }

  async #ask(row: Row): Promise<Answer | undefined> {
    const request = this.#scaled.get(row) ?? row.request;
    const answer = await this.#program.ask(request);
    if (answer === undefined) return undefined;
    if (!row.fixed) this.#scaled.set(row, scaledTo(request, answer));
    if (answer.elapsed > SLOW) this.#slow.add(row);
    return answer;
  }

  async #memoryOfWorker(request: Request): Promise<Answer["figures"] | undefined> {
    const before = this.#program.memory();
    if (await this.#program.ask(request) === undefined) return undefined;
    const after = this.#program.memory();
    await this.#program.ask({ row: "letGo" });
    if (before === undefined || after === undefined) return undefined;
    return { value: Math.max(0, after - before) / Number(request.workers) };
  }
}

/** As many operations as take a fraction of a second, by what the last answer took. */
function scaledTo(request: Request, { elapsed }: Answer): Request {
  const { n = 1 } = request;
  const ideal = Math.min(Math.max(n * TARGET / elapsed, n / 20), n * 50);
  // Whole thousands: that is divisible by the numbers of tasks.
  return { ...request, n: Math.max(1000, Math.round(ideal / 1000) * 1000) };
}
