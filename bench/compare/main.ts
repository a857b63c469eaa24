/**
 * Compares Skein with its peers: `deno task bench:compare`. The same work in the same minutes, by turns, several times;
 * prints who is how fast, and writes it to `bench/results/` as tables and charts, and the chief figures to `README.md`.
 *
 * - `--only=pools|loop|scale`: a part of it.
 * - `--rounds=5`: how often, after a round to warm up.
 * - `--rows=burst,first`, `--peers=piscina,native`: these only, by their ids in `_rows.ts` and `_contestants.ts`. Skein
 *   always takes part.
 * - `--quick`: one round, and for the growth only a tenth of the largest sizes.
 * - `--python=python3.13,/usr/bin/python3`: the interpreter, and others in which uvloop is looked for. By default what
 *   PYTHON says, or `python3` and that of the system, which has Debian's `python3-uvloop`.
 * - `--output=folder`: where to write, in place of `bench/results/`. With `--rows`, `--peers` or `--quick` nothing is
 *   written without it, since a part would take the place of the whole.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Contestant, contestants } from "./_contestants.ts";
import { equip, type Equipment, machine, pythonOf, reasonToSkip } from "./_machine.ts";
import { Program } from "./_program.ts";
import { withFigures } from "./_readme.ts";
import {
  comparisonReport,
  growthReport,
  type Header,
  type Measured,
  type Measurement,
  type ScaleResult,
} from "./_report.ts";
import { type Row, rows, type Scale, scales, type Section } from "./_rows.ts";
import { Run } from "./_run.ts";
import { exponent, summarize } from "./_statistics.ts";

/**
 * How long each part goes on with further rounds, in milliseconds: all of it is over in ten minutes, also when the machine
 * is busy with something else.
 */
const BUDGET = { pools: 220_000, loop: 110_000, scale: 100_000 };
const LEAST_ROUNDS = 2;
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
const interpreters = (options.python ?? Deno.env.get("PYTHON") ?? "python3,/usr/bin/python3").split(",");
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

const equipment: Equipment = await equip(taking, interpreters);
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

async function compare(section: Section): Promise<void> {
  const notes: string[] = [];
  const present: Contestant[] = [];
  for (const each of taking.filter((each) => each.section === section)) {
    const reason = reasonToSkip(each, equipment);
    if (reason === undefined) present.push(each);
    else notes.push(`${each.name} is left out: ${reason}`);
  }
  const asked = chosen(rows, options.rows).filter((row) => row.section === section);
  const requests = Object.values(Object.groupBy(asked, ({ request }) => JSON.stringify(request))) as Row[][];
  const measured: Measured = new Map(asked.map((row) => [row, new Map()]));
  const begin = performance.now();
  header.loads = [Deno.loadavg()[0]!];
  for (const [i, group] of requests.entries()) {
    const [row] = group as [Row];
    const runs = present.filter(({ except }) => !except?.includes(row.id)).map((each) =>
      new Run(each, row, pythonOf(each, equipment))
    );
    const deadline = begin + BUDGET[section] * (i + 1) / requests.length;
    for (let round = 0; round <= (row.once ? 0 : rounds); round++) {
      if (round > LEAST_ROUNDS && performance.now() > deadline) break;
      // Not always in the same order, so that nobody always runs behind the same one.
      for (const run of [...runs.slice(round % runs.length), ...runs.slice(0, round % runs.length)]) {
        const figures = await run.figures(round);
        if (figures === undefined) continue;
        for (const each of group) {
          const of = measured.get(each)!;
          of.set(run.contestant, [...of.get(run.contestant) ?? [], figures[each.figure ?? "value"]!]);
        }
      }
    }
    await Promise.all(runs.map((run) => run.close()));
    notes.push(...runs.flatMap(({ failure }) => failure ?? []));
    say(`${section}: ${row.name}, after ${elapsed()}, load ${Deno.loadavg()[0]!.toFixed(1)}`);
  }
  header.loads.push(Deno.loadavg()[0]!);

  const report = comparisonReport(section, header, asked, taking, measured, notes);
  say(report.text);
  await write(report.files);
  // A part of it would take the place of the whole.
  if (options.output === undefined && !partial) {
    const path = new URL("../../README.md", import.meta.url);
    await Deno.writeTextFile(path, withFigures(await Deno.readTextFile(path), section, header, measured));
    await format([path.pathname]);
  }
}

async function grow(): Promise<void> {
  const results: ScaleResult[] = [];
  const begin = performance.now();
  header.loads = [Deno.loadavg()[0]!];
  header.rounds = Math.min(rounds, 3);
  const all = chosen(scales, options.rows);
  for (const id of new Set(scales.map(({ contestant }) => contestant))) {
    const program = new Program(contestants.find((each) => each.id === id)!, interpreters[0]!);
    // Compiled before it is measured.
    const mine = all.filter((scale) => scale.contestant === id);
    for (const scale of mine) await once(program, scale, scale.sizes[scale.sizes.length >> 1]!);
    for (const scale of mine) {
      const deadline = begin + BUDGET.scale * (results.length + 1) / all.length;
      results.push(await growthOf(program, scale, deadline));
    }
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

/** Up the sizes, again and again until the deadline. */
async function growthOf(program: Program, scale: Scale, deadline: number): Promise<ScaleResult> {
  const largest = scale.sizes.at(-1)! / (options.quick ? 10 : 1);
  const sizes = scale.sizes.filter((size) => size <= largest);
  const totals = new Map<number, number[]>(sizes.map((size) => [size, []]));
  for (let round = 0; round < header.rounds; round++) {
    if (round > 0 && performance.now() > deadline) break;
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
  const paths = [...files.keys()].map((name) => `${output}/${name}`);
  await format(paths);
}

async function format(paths: readonly string[]): Promise<void> {
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ...paths] }).output();
}
