/** The tables of README.md, which are a part of all figures: between the marks `<!-- figures: ... -->` and `<!-- end -->`. */

import { advantage, type Header, headline, type Measured, standings, table } from "./_report.ts";
import type { Row, Section } from "./_rows.ts";
import { times } from "./_units.ts";

/** The rows that most users care for, by id. */
const SHOWN: Record<Section, readonly string[]> = {
  pools: ["burst", "sixty-four", "one", "first", "cold", "unequal", "object-1k", "cloned", "p50"],
  loop: ["switch", "create", "gather", "chain", "timers", "queue", "free", "lock", "semaphore", "cancel", "parked"],
};

/** `readme` with the figures of a section in place of the ones that are there. */
export function withFigures(readme: string, section: Section, header: Header, measured: Measured): string {
  const begin = `<!-- figures: ${section} -->`;
  const start = readme.indexOf(begin);
  const end = readme.indexOf("<!-- end -->", start);
  if (start === -1 || end === -1) throw new Error(`Cannot find ${begin} and <!-- end --> in README.md`);
  const rows = [...measured.keys()].filter(({ id }) => SHOWN[section].includes(id));
  const lines = section === "pools" ? poolLines(rows, measured) : loopLines(rows, measured);
  return readme.slice(0, start + begin.length) +
    `\n\nMedians of ${headline(header)}:\n\n${table(lines)}\n\n` + readme.slice(end);
}

function poolLines(rows: readonly Row[], measured: Measured): string[][] {
  const lines = [["", "Skein", "Best peer", "Skein against it"]];
  for (const kind of ["threads", "processes"] as const) {
    for (const row of rows) {
      const all = standings(row, kind, measured);
      const skein = all.find(({ contestant }) => contestant.role === "skein");
      const best = all.find(({ contestant }) => contestant.role === "peer");
      if (skein === undefined || best === undefined) continue;
      lines.push([
        `${kind === "threads" ? "Threads" : "Processes"}: ${row.name}`,
        row.unit.format(skein.summary.median),
        `${row.unit.format(best.summary.median)} (${best.contestant.name})`,
        times.format(advantage(row, skein.summary.median, best.summary.median)),
      ]);
    }
  }
  return lines;
}

function loopLines(rows: readonly Row[], measured: Measured): string[][] {
  const lines = [["", "Generators", "`async` functions", "Best peer", "Skein against it"]];
  for (const row of rows) {
    const all = standings(row, "loop", measured);
    const best = all.find(({ contestant }) => contestant.role === "peer");
    const mine = ["skein", "skein-async"].map((id) => all.find(({ contestant }) => contestant.id === id));
    if (best === undefined) continue;
    lines.push([
      row.name,
      ...mine.map((one) => one === undefined ? "-" : row.unit.format(one.summary.median)),
      `${row.unit.format(best.summary.median)} (${best.contestant.name})`,
      mine.map((one) => one === undefined ? "-" : times.format(advantage(row, one.summary.median, best.summary.median)))
        .join(", "),
    ]);
  }
  return lines;
}
