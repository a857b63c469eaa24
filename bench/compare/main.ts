/**
 * Compares Skein with its peers: `deno task bench:compare`. The same work in the same minutes, by turns, several times;
 * prints who is how fast, and writes it to `bench/results/` as tables and charts.
 *
 * - `--only=pools|loop|scale`: a part of it.
 * - `--rounds=5`: how often, after a round to warm up.
 * - `--rows=burst,first`, `--peers=piscina,native`: these only, by their ids in `_rows.ts` and `_contestants.ts`. Skein
 *   always takes part.
 * - `--quick`: one round, and for the growth only a tenth of the largest sizes.
 * - `--python=python3.13`: the interpreter; `python3` by default, or what PYTHON says.
 * - `--output=folder`: where to write, in place of `bench/results/`. With `--rows`, `--peers` or `--quick` nothing is
 *   written without it, since a part would take the place of the whole.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Contestant, contestants } from "./_contestants.ts";
import { equip, type Equipment, machine, reasonToSkip } from "./_machine.ts";
import { type Answer, Program } from "./_program.ts";
import {
  comparisonReport,
  growthReport,
  type Header,
  type Measured,
  type Measurement,
  type ScaleResult,
} from "./_report.ts";
import { type Request, type Row, rows, type Scale, scales, type Section } from "./_rows.ts";
import { exponent, summarize } from "./_statistics.ts";

/** What a contestant is given to do in a row whose `n` is free, in milliseconds. */
const TARGET = 120;
/** Who takes longer than that for a row is asked in fewer rounds, or one would wait for the slowest only. Milliseconds. */
const SLOW = 1500;
const SLOW_ROUNDS = 2;
/** Sizes below this share of the largest say more of the constant costs than of the growth. */
const FITTED = 1 / 1000;

const options = parseArgs(Deno.args, {
  string: ["only", "rounds", "rows", "peers", "python", "output"],
  boolean: ["quick"],
  unknown: (argument) => {
    throw new TypeError(`Cannot take ${argument}: the options are in bench/compare/main.ts`);
  },
});
const only = options.only?.split(",");
for (const part of only ?? []) {
  if (!["pools", "loop", "scale"].includes(part)) {
    throw new TypeError(`Cannot run only ${part}: pass pools, loop or scale`);
  }
}
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
if (!Number.isInteger(rounds) || rounds < 1) {
  throw new TypeError(`Cannot run ${options.rounds} rounds: pass a whole number`);
}
const python = options.python ?? Deno.env.get("PYTHON") ?? "python3";
const partial = options.quick || options.rows !== undefined || options.peers !== undefined;
const output = options.output ?? (partial ? undefined : new URL("../results/", import.meta.url).pathname);

/** Those of a list that an option names; all without the option. */
function chosen<T extends { id: string }>(
  all: readonly T[],
  ids: string | undefined,
  always?: (one: T) => boolean,
): T[] {
  const wanted = ids?.split(",");
  return all.filter((one) => wanted === undefined || wanted.includes(one.id) || always?.(one));
}

const isWanted = (part: string): boolean => only === undefined || only.includes(part);
const taking = chosen(contestants, options.peers, ({ role }) => role === "skein")
  .filter(({ section, role }) => isWanted(section) || role === "skein" && isWanted("scale"));
for (const id of options.peers?.split(",") ?? []) {
  if (!contestants.some((each) => each.id === id)) throw new TypeError(`Cannot find the peer ${id} in _contestants.ts`);
}

const say = (text: string): void => console.log(text);
const started = performance.now();
const elapsed = (): string => `${((performance.now() - started) / 1000).toFixed(0)} s`;

const equipment: Equipment = await equip(taking, python);
const header: Header = {
  date: new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC",
  machine: await machine(),
  command: `deno task bench:compare ${Deno.args.join(" ")}`.trim(),
  rounds,
  loads: [],
  versions: equipment.versions,
};
if (isWanted("pools")) await compare("pools");
if (isWanted("loop")) await compare("loop");
if (isWanted("scale")) await grow();
say(`\nDone after ${elapsed()}${output === undefined ? "" : `; tables and charts are in ${output}`}`);

/** As many operations as take a fraction of a second, by what the last answer took. */
function scaledTo(request: Request, { elapsed }: Answer): Request {
  const { n = 1 } = request;
  const ideal = Math.min(Math.max(n * TARGET / elapsed, n / 20), n * 50);
  // Whole thousands: that is divisible by the numbers of tasks.
  return { ...request, n: Math.max(1000, Math.round(ideal / 1000) * 1000) };
}

async function compare(section: Section): Promise<void> {
  const skipped = new Map<string, string>();
  const programs = new Map<Contestant, Program>();
  for (const each of taking.filter((each) => each.section === section)) {
    const reason = reasonToSkip(each, equipment);
    if (reason !== undefined) skipped.set(each.name, reason);
    else programs.set(each, new Program(each, python));
  }
  const asked = chosen(rows, options.rows).filter((row) => row.section === section);
  const requests = Object.values(Object.groupBy(asked, ({ request }) => JSON.stringify(request))) as Row[][];
  const measured: Measured = new Map(asked.map((row) => [row, new Map()]));
  const failed = new Map<string, string>();
  const scaled = new Map<string, Request>();
  const slow = new Set<string>();
  header.loads.push(Deno.loadavg()[0]!);
  for (let round = 0; round <= rounds; round++) {
    for (const group of requests) {
      const [row] = group as [Row];
      if (row.once && round > 0) continue;
      // Not always in the same order, so that nobody always runs behind the same one.
      const order = [...programs];
      order.push(...order.splice(0, round % order.length));
      for (const [contestant, program] of order) {
        const key = `${contestant.id} ${row.id}`;
        if (round > SLOW_ROUNDS && slow.has(key)) continue;
        if (program.over || failed.has(key) || group.every(({ id }) => contestant.except?.includes(id))) continue;
        try {
          if (row.perWorker) {
            const before = program.memory();
            if (await program.ask(row.request) === undefined) continue;
            const after = program.memory();
            await program.ask({ row: "letGo" });
            if (before !== undefined && after !== undefined) {
              measured.get(row)!.set(contestant, [Math.max(0, after - before) / Number(row.request.workers)]);
            }
            continue;
          }
          let answer = await program.ask(scaled.get(key) ?? row.request);
          if (answer === undefined) continue;
          if (!row.fixed) {
            scaled.set(key, scaledTo(scaled.get(key) ?? row.request, answer));
            // What it can do it does only now: the first time compiled it.
            if (round === 0) {
              answer = (await program.ask(scaled.get(key)!))!;
              scaled.set(key, scaledTo(scaled.get(key)!, answer));
            }
          }
          if (answer.elapsed > SLOW) slow.add(key);
          if (round === 0 && !row.once) continue;
          for (const each of group) {
            const of = measured.get(each)!;
            of.set(contestant, [...of.get(contestant) ?? [], answer.figures[each.figure ?? "value"]!]);
          }
        } catch (error) {
          failed.set(key, `${contestant.name}, ${row.name}: ${(error as Error).message}`);
        }
      }
    }
    say(
      `${section}: ${round === 0 ? "warm" : `round ${round} of ${rounds}`} after ${elapsed()}, load ${
        Deno.loadavg()[0]!.toFixed(1)
      }`,
    );
  }
  header.loads.push(Deno.loadavg()[0]!);
  await Promise.all([...programs.values()].map((program) => program.close()));

  const report = comparisonReport(section, header, asked, taking, measured, [
    ...[...skipped].map(([name, reason]) => `${name} is left out: ${reason}`),
    ...[...failed.values()],
  ]);
  say(report.text);
  await write(report.files);
}

async function grow(): Promise<void> {
  const results: ScaleResult[] = [];
  header.loads.push(Deno.loadavg()[0]!);
  for (const id of new Set(scales.map(({ contestant }) => contestant))) {
    const program = new Program(contestants.find((each) => each.id === id)!, python);
    // Compiled before it is measured.
    const mine = chosen(scales, options.rows).filter((scale) => scale.contestant === id);
    for (const scale of mine) await once(program, scale, scale.sizes[scale.sizes.length >> 1]!);
    for (const scale of mine) results.push(await growthOf(program, scale));
    await program.close();
    say(`scale: ${id} after ${elapsed()}, load ${Deno.loadavg()[0]!.toFixed(1)}`);
  }
  header.loads.push(Deno.loadavg()[0]!);
  const report = growthReport(header, results);
  say(report.text);
  await write(report.files);
}

async function once(program: Program, scale: Scale, size: number): Promise<number> {
  const answer = await program.ask(scale.request(size));
  if (scale.after !== undefined) await program.ask(scale.after);
  return scale.total(answer!.figures.value!, size);
}

/** Up the sizes, again and again; the largest ones less often, as they take the most time and spread the least. */
async function growthOf(program: Program, scale: Scale): Promise<ScaleResult> {
  const largest = scale.sizes.at(-1)! / (options.quick ? 10 : 1);
  const sizes = scale.sizes.filter((size) => size <= largest);
  const totals = new Map<number, number[]>(sizes.map((size) => [size, []]));
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    for (const size of sizes) totals.get(size)!.push(await once(program, scale, size));
  }
  const points: Measurement[] = sizes.map((size) => ({ size, ...summarize(totals.get(size)!) }));
  const fitted = points.filter(({ size }) => size >= largest * FITTED);
  return { scale, points, exponent: exponent(fitted.map(({ size, median }) => ({ x: size, y: median }))) };
}

async function write(files: ReadonlyMap<string, string>): Promise<void> {
  if (output === undefined) return;
  await Deno.mkdir(output, { recursive: true });
  for (const [name, text] of files) await Deno.writeTextFile(`${output}/${name}`, text);
  const documents = [...files.keys()].filter((name) => name.endsWith(".md")).map((name) => `${output}/${name}`);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ...documents] }).output();
}
