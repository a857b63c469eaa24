/** The comparison as tables and charts. */

import { curveChart, dotChart } from "./_chart.ts";
import type { Contestant } from "./_contestants.ts";
import type { Row, Scale, Section } from "./_rows.ts";
import { summarize, type Summary } from "./_statistics.ts";
import { times } from "./_units.ts";

/** What stands above the figures. */
export interface Header {
  readonly date: string;
  readonly machine: string;
  readonly command: string;
  /** How many at the most: fewer where time was short. */
  rounds: number;
  /** How busy the machine was at the begin and at the end. */
  loads: number[];
  readonly versions: ReadonlyMap<string, string>;
}

/** The figures of all rounds. */
export type Measured = Map<Row, Map<Contestant, readonly number[]>>;

/** The figures of one size. */
export interface Measurement extends Summary {
  readonly size: number;
}

/** How something was seen to grow. */
export interface ScaleResult {
  readonly scale: Scale;
  readonly points: readonly Measurement[];
  readonly exponent: number;
}

/** What is printed, and the files that are written. */
export interface Report {
  readonly text: string;
  readonly files: ReadonlyMap<string, string>;
}

const TITLES = { threads: "Pools of threads", processes: "Pools of processes", loop: "The loop" };

type Table = readonly (readonly string[])[];

/** The first line is the head; padded, so that it reads well as text, too. */
export function table(lines: Table): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`);
  return [text[0], `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...text.slice(1)].join("\n");
}

/** When and where. */
export function headline({ date, machine, loads }: Header): string {
  return `${date}, ${machine}; load ${loads.map((load) => load.toFixed(1)).join(" to ")}`;
}

function head(header: Header, names: Iterable<string>): string {
  const { command, rounds, versions } = header;
  const used = [...new Set(names)].filter((name) => versions.has(name));
  return [
    `- ${headline(header)}.`,
    `- ${used.map((name) => `${name === "python" ? "CPython" : name} ${versions.get(name)}`).join(", ")}.`,
    `- \`${command}\`: medians of up to ${rounds} rounds after one to warm up, by turns.`,
  ].join("\n");
}

/** How many times as good the first figure is as the second. */
export function advantage(row: Row, first: number, second: number): number {
  return row.unit.moreIsBetter ? first / second : second / first;
}

/** A contestant in a row. */
export interface Standing {
  readonly contestant: Contestant;
  readonly summary: Summary;
}

/** The best first. */
export function standings(row: Row, kind: Contestant["kind"], measured: Measured): Standing[] {
  return [...measured.get(row)!]
    .filter(([contestant]) => contestant.kind === kind)
    .map(([contestant, figures]) => ({ contestant, summary: summarize(figures) }))
    .sort((a, b) => advantage(row, b.summary.median, a.summary.median) - 1);
}

function shortLine(row: Row, all: readonly Standing[]): string[] {
  const skein = all.find(({ contestant }) => contestant.role === "skein");
  if (skein === undefined) return [row.name, "-", "-", "-", "-", "-"];
  const peers = all.filter(({ contestant }) => contestant.role === "peer");
  const [limit] = all.filter(({ contestant }) => contestant.role === "limit");
  const [best] = peers;
  const show = ({ summary, contestant }: Standing) => `${row.unit.format(summary.median)} (${contestant.name})`;
  const against = (other: Standing | undefined) =>
    other === undefined ? "-" : times.format(advantage(row, skein.summary.median, other.summary.median));
  const place = 1 + peers.filter((peer) => advantage(row, skein.summary.median, peer.summary.median) < 1).length;
  return [
    row.name,
    row.unit.format(skein.summary.median),
    best === undefined ? "-" : show(best),
    against(best),
    best === undefined ? "alone" : place === 1 ? `first of ${peers.length + 1}` : `**${place} of ${peers.length + 1}**`,
    limit === undefined ? "-" : `${against(limit)} ${limit.contestant.name}`,
  ];
}

/** Skein is the one that stands first in the table of contestants; a variant of it is in the figures below. */
function withoutVariants(all: readonly Standing[], main: Contestant | undefined): Standing[] {
  return all.filter(({ contestant }) => contestant.role !== "skein" || contestant === main);
}

/** A part of the comparison: in short, with all figures, and as charts. */
export function comparisonReport(
  section: Section,
  header: Header,
  rows: readonly Row[],
  contestants: readonly Contestant[],
  measured: Measured,
  notes: readonly string[],
): Report {
  const mine = contestants.filter((each) => each.section === section);
  const files = new Map<string, string>();
  const parts = [
    `# ${section === "pools" ? "The pools" : "The loop"} and their peers`.replace("loop and their", "loop and its"),
    head(header, mine.flatMap(({ runtime, packages }) => [runtime, ...packages])),
  ];
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note.replace(/[.\s]*$/, "")}.`).join("\n"));
  let text = parts.slice(1).join("\n");
  for (const kind of new Set(mine.map(({ kind }) => kind))) {
    const main = mine.find((each) => each.kind === kind && each.role === "skein");
    const all = rows.map((row) => ({ row, standings: standings(row, kind, measured) }))
      .filter(({ standings }) => standings.length > 0);
    if (all.length === 0) continue;
    const inShort = table([
      ["", "Skein", "best peer", "Skein against it", "place", "Skein against the limit"],
      ...all.map(({ row, standings }) => shortLine(row, withoutVariants(standings, main))),
    ]);
    const figures = table([
      ["", "who", "median", "lowest to highest", "Skein against it"],
      ...all.flatMap(({ row, standings }) => {
        const skein = standings.find(({ contestant }) => contestant === main);
        return standings.map(({ contestant, summary: { median, min, max } }, i) => [
          i === 0 ? row.name : "",
          contestant.role === "limit"
            ? `_${contestant.name}_`
            : contestant.role === "skein"
            ? `**${contestant.name}**`
            : contestant.name,
          row.unit.format(median),
          `${row.unit.format(min)} to ${row.unit.format(max)}`,
          skein === undefined || contestant === main ? "" : times.format(advantage(row, skein.summary.median, median)),
        ]);
      }),
    ]);
    const chart = kind === "loop" ? "loop.svg" : `pools-${kind}.svg`;
    files.set(
      chart,
      dotChart(
        TITLES[kind],
        `${header.date}, ${header.machine}. A dot is the median, its line goes from the lowest to the highest.`,
        all.map(({ row, standings }) => ({
          title: row.name,
          unit: row.unit,
          entries: standings.map(({ contestant: { name, role }, summary }) => ({ name, role, summary })),
        })),
      ),
    );
    parts.push(`## ${TITLES[kind]}`, inShort, `![${TITLES[kind]}: all figures as a chart](./${chart})`, figures);
    text += `\n\n${TITLES[kind]}\n\n${inShort}\n\n${figures}`;
  }
  parts.push(READING[section]);
  files.set(`${section}.md`, parts.join("\n\n") + "\n");
  return { text, files };
}

const READING: Record<Section, string> = {
  pools: `## How to read it

- Each contestant runs each row in a program of its own.
- All pools have two workers and run the same tasks; each result is awaited, and checked after the time was taken.
- "Skein against it" is how many times as good Skein is; below 1 it is behind. _Limits_ do no more than send messages:
  no queue, no errors, no cancellation.
- Each peer runs where it is the fastest, Node or Deno. piscina takes part twice: as it is by default, and with
  \`concurrentTasksPerWorker: 64\`, which its documentation means for tasks that wait. comlink has no pool; its workers
  get the tasks in turn. Processes serialize by V8's format where there is a choice, as JSON has no buffers.
- CPython's threads share all objects, so nothing is copied there; and the interpreter lock lets one run at a time.
- Before the first round each works for a second, so that the engines have compiled what is worth it, in all programs
  and threads. What a pool takes before that is in the rows that begin with \`new\`.
- Who takes more than 1.5 s for a row is asked once only. Memory is measured once.
- The memory of a worker is what the resident memory of the program and its children grows by; of pages that several
  processes share, such as those of the runtime itself, each one's part.
- Beside a long one: 100 short tasks one after the other, while one worker of two always has a task of 30 ms.`,
  loop: `## How to read it

- Each contestant runs each row in a program of its own.
- A switch is \`sleep(0)\`; native promises switch by \`await null\`, Effect by \`yieldNow\`, effection by waiting for a
  promise that is resolved, as it has no other way to let others go first.
- The calls of the chain are coroutines made by \`coroutine()\`, as those of Effect are by \`Effect.gen\`. A chain of plain
  generators is run by V8, which takes longer the longer it is.
- Only what a peer has is compared: there is no \`callSoon\` in effection and Effect, no lock in effection. Its queues
  have no bound, so an item there goes to another task and back.
- p-limit and async-mutex stand for locks and semaphores of promises: \`@std/async\` 1.5.0 has neither. Native promises
  are the limit, and can be neither cancelled nor ordered.
- A lock is given back in a \`finally\` with Skein and async-mutex, or at once where nothing is done with it; by
  \`async with\` in CPython, by \`withPermit\` in Effect, and by p-limit itself. \`using\`, which does the same as
  \`finally\`, takes V8 about 100 ns and an allocation that lasts as long as the block, whatever the library: so it has
  rows of its own. Who passes through a semaphore of 10 lets others go first while holding it.
- Who takes more than 1.5 s for a row is asked once only. Memory is measured once.
- The memory of a task is what the heap grows by, in CPython what \`tracemalloc\` sees.`,
};

/** How Skein's figures grow. */
export function growthReport(header: Header, results: readonly ScaleResult[]): Report {
  const lines = table([
    ["", "of", "exponent", "at the smallest", "at the largest"],
    ...results.map(({ scale, points, exponent }) => {
      const show = ({ size, median }: Measurement) => `${scale.unit.format(median)} (${size.toLocaleString("en")})`;
      return [scale.name, scale.of, exponent.toFixed(2), show(points[0]!), show(points.at(-1)!)];
    }),
  ]);
  const chart = curveChart(
    "How Skein grows",
    `${header.date}, ${header.machine}. The whole, by size, both logarithmic; what grows in step is parallel to the dashed line.`,
    results.map(({ scale, points, exponent }) => ({
      title: scale.name,
      of: scale.of,
      note: `exponent ${exponent.toFixed(2)}`,
      unit: scale.unit,
      points: points.map(({ size, median }) => ({ x: size, y: median })),
    })),
  );
  const markdown = [
    "# How Skein grows",
    head(header, ["deno"]),
    lines,
    "![All curves](./scale.svg)",
    `The exponent is that of a fit through the sizes from a thousandth of the largest on: 1 is in step with the size, and n
log n shows as 1.1 or so. Below 1, constant costs are a part of it. Native promises are there for comparison: what they
grow by beyond that is memory that no cache holds, and garbage collection of what lives on.`,
  ].join("\n\n") + "\n";
  return {
    text: `${head(header, ["deno"])}\n\n${lines}`,
    files: new Map([["scale.md", markdown], ["scale.svg", chart]]),
  };
}
