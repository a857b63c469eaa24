/** Charts as SVG, for light and dark pages, with nothing from outside. */

import type { Summary } from "./_statistics.ts";
import { bytes, type Unit } from "./_units.ts";

const WIDTH = 1000;
const GAP = 24;
const COLUMN = (WIDTH - 3 * GAP) / 2;
const LINE = 19;
const HEAD = 26;
const FOOT = 30;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .back { fill: #ffffff }
  .head { font-weight: 600; font-size: 13px }
  .title { font-weight: 600; font-size: 17px }
  .faint { fill: #6e7781; font-size: 10.5px }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .range { stroke: #8c959f; stroke-width: 2 }
  .peer { fill: #8c959f }
  .limit { fill: none; stroke: #8c959f; stroke-width: 1.5 }
  .skein { fill: #0969da }
  text.skein { font-weight: 600 }
  .range.skein { stroke: #0969da }
  .curve { fill: none; stroke: #0969da; stroke-width: 2 }
  .dashed { fill: none; stroke: #8c959f; stroke-dasharray: 4 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .back { fill: #0d1117 }
    .faint { fill: #8b949e }
    .grid { stroke: #30363d }
    .skein { fill: #58a6ff }
    .range.skein, .curve { stroke: #58a6ff }
  }
`;

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
/** `1.00 ms` as `1 ms`. */
const whole = (figure: string): string => figure.replace(/\.0+(?=\D|$)/, "");
const at = (n: number): string => n.toFixed(1);

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${at(x)}" y="${at(y)}" ${more}>${escaped(content)}</text>`;
}

/** A mapping of figures to pixels, with round figures to label. */
interface Axis {
  readonly to: (value: number) => number;
  readonly ticks: readonly number[];
}

function axis(values: readonly number[], from: number, until: number, { linear, base = 10 }: Partial<Unit> = {}): Axis {
  if (linear) {
    const max = Math.max(2, Math.ceil(Math.max(...values)));
    const ticks = Array.from({ length: max + 1 }, (_, i) => i);
    return { to: (value) => from + value / max * (until - from), ticks };
  }
  const positive = values.filter((value) => value > 0);
  const log = (value: number): number => Math.log(value) / Math.log(base);
  const low = Math.floor(log(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(log(Math.max(...positive))));
  const step = Math.ceil((high - low) / 4);
  const ticks: number[] = [];
  for (let power = low; power <= high; power += step) ticks.push(base ** power);
  const to = (value: number) => from + (log(Math.max(value, base ** low)) - low) / (high - low) * (until - from);
  return { to, ticks };
}

/** Panels in two columns, each as high as the higher one of its line. */
function page(
  title: string,
  subtitle: string,
  panels: readonly { height: number; draw: (x: number, y: number) => string }[],
): string {
  let y = 64;
  const drawn: string[] = [];
  for (let i = 0; i < panels.length; i += 2) {
    const line = panels.slice(i, i + 2);
    line.forEach((panel, column) => drawn.push(panel.draw(GAP + column * (COLUMN + GAP), y)));
    y += Math.max(...line.map(({ height }) => height)) + GAP;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" role="img">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
<rect class="back" width="${WIDTH}" height="${y}" rx="8"/>
${text(GAP, 32, title, 'class="title"')}
${text(GAP, 50, subtitle, 'class="faint"')}
${drawn.join("\n")}
</svg>
`;
}

/** A row of the comparison. */
export interface DotPanel {
  readonly title: string;
  readonly unit: Unit;
  /** The best first. */
  readonly entries: readonly { name: string; role: "skein" | "peer" | "limit"; summary: Summary }[];
}

/** Who is how fast: a dot for the median on a line from the lowest to the highest, by row. */
export function dotChart(title: string, subtitle: string, panels: readonly DotPanel[]): string {
  const names = 175;
  const values = 72;
  return page(
    title,
    subtitle,
    panels.map(({ title, unit, entries }) => ({
      height: HEAD + entries.length * LINE + FOOT,
      draw(x, y) {
        const [left, right] = [x + names + 12, x + COLUMN - values];
        const top = y + HEAD;
        const bottom = top + entries.length * LINE;
        const { to, ticks } = axis(
          entries.flatMap(({ summary }) => [summary.min, summary.max]),
          left,
          right,
          unit,
        );
        const parts = [
          text(x, y + 12, title, 'class="head"'),
          text(
            x + COLUMN,
            y + 12,
            unit.moreIsBetter ? "more is better" : "less is better",
            'class="faint" text-anchor="end"',
          ),
        ];
        for (const tick of ticks) {
          const place = at(to(tick));
          parts.push(`<line class="grid" x1="${place}" y1="${top}" x2="${place}" y2="${bottom}"/>`);
          parts.push(
            text(
              to(tick),
              bottom + 14,
              whole(unit.format(tick)),
              'class="faint" text-anchor="middle"',
            ),
          );
        }
        entries.forEach(({ name, role, summary }, i) => {
          const middle = top + (i + 0.5) * LINE;
          const label = role === "skein" ? 'class="skein" ' : role === "limit" ? 'font-style="italic" ' : "";
          parts.push(text(x + names, middle + 4, name, `${label}text-anchor="end"`));
          parts.push(
            `<line class="range ${role}" x1="${at(to(summary.min))}" y1="${at(middle)}" x2="${
              at(to(summary.max))
            }" y2="${at(middle)}"/>`,
            `<circle class="${role}" cx="${at(to(summary.median))}" cy="${at(middle)}" r="4.5"/>`,
            text(x + COLUMN, middle + 4, unit.format(summary.median), `${label}text-anchor="end"`),
          );
        });
        return parts.join("\n");
      },
    })),
  );
}

/** How something grows. */
export interface CurvePanel {
  readonly title: string;
  /** What is at the bottom. */
  readonly of: string;
  readonly note: string;
  readonly unit: Unit;
  readonly points: readonly { x: number; y: number }[];
}

const short = (n: number): string =>
  n >= 1e6 ? `${+(n / 1e6).toPrecision(3)}M` : n >= 1e3 ? `${+(n / 1e3).toPrecision(3)}k` : String(n);

/** How things grow: both axes logarithmic, with a dashed line for what grows in step. */
export function curveChart(title: string, subtitle: string, panels: readonly CurvePanel[]): string {
  const height = 190;
  return page(
    title,
    subtitle,
    panels.map(({ title, of, note, unit, points }) => ({
      height: HEAD + height + FOOT,
      draw(x, y) {
        const [left, right, top, bottom] = [x + 62, x + COLUMN - 14, y + HEAD, y + HEAD + height];
        const sizes = of === "bytes" ? bytes : undefined;
        const across = axis(points.map((point) => point.x), left, right, sizes);
        const up = axis(points.map((point) => point.y), bottom, top, unit);
        const parts = [
          text(x, y + 12, title, 'class="head"'),
          text(x + COLUMN, y + 12, note, 'class="faint" text-anchor="end"'),
        ];
        for (const tick of across.ticks) {
          const place = at(across.to(tick));
          parts.push(`<line class="grid" x1="${place}" y1="${at(top)}" x2="${place}" y2="${at(bottom)}"/>`);
          parts.push(
            text(
              across.to(tick),
              bottom + 14,
              whole(sizes?.format(tick) ?? short(tick)),
              'class="faint" text-anchor="middle"',
            ),
          );
        }
        for (const tick of up.ticks) {
          const place = at(up.to(tick));
          parts.push(`<line class="grid" x1="${at(left)}" y1="${place}" x2="${at(right)}" y2="${place}"/>`);
          parts.push(text(left - 6, up.to(tick) + 4, whole(unit.format(tick)), 'class="faint" text-anchor="end"'));
        }
        parts.push(text(right, bottom + 26, of, 'class="faint" text-anchor="end"'));
        const last = points.at(-1)!;
        // In step with the size, through the last point, as far as the chart goes.
        const lowest = up.ticks[0]!;
        const begin = Math.max(points[0]!.x, last.x * lowest / last.y);
        const place = (px: number, py: number) => `${at(across.to(px))},${at(up.to(py))}`;
        parts.push(
          `<polyline class="dashed" points="${place(begin, last.y * begin / last.x)} ${place(last.x, last.y)}"/>`,
        );
        parts.push(`<polyline class="curve" points="${points.map((point) => place(point.x, point.y)).join(" ")}"/>`);
        for (const point of points) {
          parts.push(`<circle class="skein" cx="${at(across.to(point.x))}" cy="${at(up.to(point.y))}" r="3"/>`);
        }
        return parts.join("\n");
      },
    })),
  );
}
