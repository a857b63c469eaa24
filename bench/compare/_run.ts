import type { Contestant } from "./_contestants.ts";
import { type Answer, Program } from "./_program.ts";
import type { Request, Row, Section } from "./_rows.ts";
import { quantile } from "./_statistics.ts";

/** How long a contestant works in a round, at the least. Milliseconds. */
const TARGET = 100;
/** And before the first round, to warm up: in a pool, several programs or threads have to compile what they run. */
const WARM_UP: Record<Section, number> = { pools: 1000, loop: 300 };
const MOST_REPEATS = 30;
/** Who takes longer than that for a row is asked once only, or all would wait for the slowest. Milliseconds. */
const SLOW = 1500;

/**
 * A contestant in a row: a program of its own, so that what its other rows leave behind, be it garbage or code that was
 * compiled for another use, is in no figure.
 */
export class Run {
  readonly contestant: Contestant;
  /** Why it has no figures, or none any more. */
  failure: string | undefined;
  readonly #row: Row;
  readonly #program: Program;
  #request: Request;
  #none = false;
  #slow = false;

  constructor(contestant: Contestant, row: Row, python: string) {
    this.contestant = contestant;
    this.#row = row;
    this.#request = row.request;
    this.#program = new Program(contestant, python);
  }

  /** Its figures in a round, the first of which is to warm up; `undefined` if it has none. */
  async figures(round: number): Promise<Answer["figures"] | undefined> {
    if (this.#none || this.failure !== undefined || this.#slow) return undefined;
    try {
      if (this.#row.perWorker) return await this.#memoryOfWorker();
      const answers: Answer[] = [];
      let left = this.#row.once ? 0 : round === 0 ? WARM_UP[this.#row.section] : TARGET;
      do {
        const answer = await this.#ask();
        if (answer === undefined) return undefined;
        answers.push(answer);
        left -= answer.elapsed;
      } while (left > TARGET / 4 && answers.length < MOST_REPEATS);
      return round > 0 || this.#row.once || this.#slow ? medians(answers) : undefined;
    } catch (error) {
      this.failure = `${this.contestant.name}, ${this.#row.name}: ${(error as Error).message}`;
      return undefined;
    }
  }

  /** Ends its program. */
  close(): Promise<void> {
    return this.#program.close();
  }

  async #ask(): Promise<Answer | undefined> {
    const answer = await this.#program.ask(this.#request);
    this.#none = answer === undefined;
    if (answer === undefined) return undefined;
    if (!this.#row.fixed) this.#request = scaledTo(this.#request, answer);
    this.#slow ||= answer.elapsed > SLOW;
    return answer;
  }

  async #memoryOfWorker(): Promise<Answer["figures"] | undefined> {
    await this.#program.ask({ row: "none" }); // it has loaded what it is made of
    const before = this.#program.memory();
    if (await this.#program.ask(this.#request) === undefined) return undefined;
    const after = this.#program.memory();
    await this.#program.ask({ row: "letGo" });
    if (before === undefined || after === undefined) return undefined;
    return { value: Math.max(0, after - before) / Number(this.#request.workers) };
  }
}

function medians(answers: readonly Answer[]): Answer["figures"] {
  const names = Object.keys(answers[0]!.figures);
  return Object.fromEntries(names.map((name) => [name, quantile(answers.map(({ figures }) => figures[name]!), 0.5)]));
}

/** As many operations as take a fraction of a second, by what the last answer took. */
function scaledTo(request: Request, { elapsed }: Answer): Request {
  const { n = 1 } = request;
  const ideal = Math.min(Math.max(n * TARGET / elapsed, n / 20), n * 50);
  // Whole thousands: that is divisible by the numbers of tasks.
  return { ...request, n: Math.max(1000, Math.round(ideal / 1000) * 1000) };
}
