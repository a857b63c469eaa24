/**
 * Pictures of the automaton of `state_machine`, and of a path through it: as text and as SVG.
 * @module
 */

/** One step of a path. */
export interface Step {
  readonly from: string;
  readonly value: number;
  readonly to: string;
}

/** The automaton as text. */
export const AUTOMATON = `
              0   ┌─────────┐   1
       ┌─────────▶│ State 2 │─────────┐
       │          └─────────┘         ▼
  ┌────┴────┐       0 │ ▲ 1      ┌─────────┐  1  ┌─────────┐
  │  Start  │         │ │        │ State 3 ├────▶│   End   │
  └────┬────┘         ▼ │        └─┬───────┘     └─────────┘
       │          ┌─────┴───┐      │ ▲
       │      1   │         │◀─────┘ │
       └─────────▶│ State 1 │   0    │
                  │         ├────────┘
                  └─────────┘   0
`.slice(1, -1);

/** The path as text. */
export function drawPath(path: readonly Step[]): string {
  const lines = [`  ${shortName(path[0]!.from)}`];
  path.forEach(({ value, to }, i) => {
    if (i > 0 && i % 6 === 0) lines.push("   ");
    lines[lines.length - 1] += ` ─${value}→ ${shortName(to)}`;
  });
  return lines.join("\n");
}

/** "Start State" is "Start". */
function shortName(state: string): string {
  return state.replace(/ State$/, "");
}

const RADIUS = 38;
const STATES: Readonly<Record<string, readonly [x: number, y: number]>> = {
  "Start State": [90, 180],
  "State 1": [300, 280],
  "State 2": [300, 80],
  "State 3": [510, 180],
  "End State": [680, 180],
};
/** `bend` parts the two arrows of a pair, `side` is that of the label: 1 for left, as the arrow looks. */
const ARROWS: readonly (Step & { readonly bend: number; readonly side: 1 | -1 })[] = [
  { from: "Start State", value: 0, to: "State 2", bend: 0, side: 1 },
  { from: "Start State", value: 1, to: "State 1", bend: 0, side: -1 },
  { from: "State 1", value: 0, to: "State 3", bend: 26, side: 1 },
  { from: "State 1", value: 1, to: "State 2", bend: 26, side: 1 },
  { from: "State 2", value: 0, to: "State 1", bend: 26, side: -1 },
  { from: "State 2", value: 1, to: "State 3", bend: 0, side: 1 },
  { from: "State 3", value: 0, to: "State 1", bend: 26, side: 1 },
  { from: "State 3", value: 1, to: "End State", bend: 0, side: 1 },
];

// Without CSS variables, which not all viewers know: those that ignore the media query show the light picture.
const STYLE = `
    text { font: 14px system-ui, sans-serif; fill: #1f2328; text-anchor: middle; dominant-baseline: central; }
    .paper { fill: #ffffff; }
    .title { font-weight: 600; text-anchor: start; }
    .state, .step { fill: #f6f8fa; stroke: #1f2328; stroke-width: 1.5; }
    .step { stroke-width: 1; }
    .small { font-size: 12px; }
    .arrow { fill: none; stroke: #818b98; stroke-width: 1.5; marker-end: url(#plain); }
    .arrow.taken { stroke: #0969da; stroke-width: 2.5; marker-end: url(#taken); }
    .label { font-size: 13px; fill: #59636e; }
    .label.taken { fill: #0969da; font-weight: 600; }
    .start { text-anchor: start; }
    .end { text-anchor: end; }
    .head { fill: #818b98; }
    .head.taken { fill: #0969da; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .paper { fill: #0d1117; }
      .state, .step { fill: #161b22; stroke: #e6edf3; }
      .arrow { stroke: #7d8590; }
      .label { fill: #9198a1; }
      .head { fill: #7d8590; }
      .arrow.taken { stroke: #58a6ff; }
      .label.taken, .head.taken { fill: #58a6ff; }
    }`;

const WIDTH = 770;
const STEPS_A_ROW = 6;

/** The automaton as an SVG document, the arrows of the path in colour; the path itself step by step below. */
export function drawSvg(path: readonly Step[]): string {
  const rows = Math.ceil((path.length + 1) / STEPS_A_ROW);
  const height = 400 + 46 * rows;
  const title = `The automaton, and a path of ${path.length} transitions`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">
  <title>${title}</title>
  <style>${STYLE}
  </style>
  <defs>${arrowHead("plain", 7)}${arrowHead("taken", 5)}
  </defs>
  <rect class="paper" width="${WIDTH}" height="${height}"/>
  ${[...ARROWS.map((arrow) => drawArrow(arrow, path)), ...Object.keys(STATES).map(drawState)].join("\n  ")}
  <text class="title" x="40" y="365">Path taken: ${path.length} transitions</text>
  ${drawSteps(path).join("\n  ")}
</svg>
`;
}

function arrowHead(id: string, size: number): string {
  return `
    <marker id="${id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="${size}" markerHeight="${size}" orient="auto">
      <path class="head ${id}" d="M0 0 10 5 0 10z"/>
    </marker>`;
}

function drawState(name: string): string {
  const [x, y] = STATES[name]!;
  const inner = name === "End State" ? `<circle class="state" cx="${x}" cy="${y}" r="${RADIUS - 5}"/>` : "";
  return `<circle class="state" cx="${x}" cy="${y}" r="${RADIUS}"/>${inner}` +
    `<text x="${x}" y="${y}">${shortName(name)}</text>`;
}

function drawArrow({ from, value, to, bend, side }: typeof ARROWS[number], path: readonly Step[]): string {
  const [x1, y1] = STATES[from]!;
  const [x2, y2] = STATES[to]!;
  const length = Math.hypot(x2 - x1, y2 - y1);
  const [left, up] = [(y2 - y1) / length, (x1 - x2) / length];
  // The curve is drawn towards a point beside the middle, from the rim of one circle to that of the other.
  const [cx, cy] = [(x1 + x2) / 2 + 2 * bend * left, (y1 + y2) / 2 + 2 * bend * up];
  const towards = (x: number, y: number, gap: number): string => {
    const distance = Math.hypot(cx - x, cy - y);
    return `${round(x + (cx - x) * gap / distance)} ${round(y + (cy - y) * gap / distance)}`;
  };
  const times = path.filter((step) => step.from === from && step.value === value).length;
  // Between the circles the curve is a third farther out than it would be from centre to centre.
  const away = 1.35 * bend + 12 * side;
  const [lx, ly] = [(x1 + x2) / 2 + away * left, (y1 + y2) / 2 + away * up];
  const anchor = Math.abs(left) < 0.3 ? "middle" : left * side > 0 ? "start" : "end";
  const taken = times > 0 ? " taken" : "";
  return `<path class="arrow${taken}" d="M${towards(x1, y1, RADIUS)} Q${round(cx)} ${round(cy)} ` +
    `${towards(x2, y2, RADIUS + 3)}"/><text class="label${taken} ${anchor}" x="${round(lx)}" y="${round(ly)}">` +
    `${value}${times > 1 ? ` (${times}×)` : ""}</text>`;
}

function drawSteps(path: readonly Step[]): string[] {
  return [path[0]!.from, ...path.map(({ to }) => to)].map((state, i) => {
    const x = 40 + 118 * (i % STEPS_A_ROW);
    const y = 390 + 46 * Math.floor(i / STEPS_A_ROW);
    const next = path[i];
    const arrow = next === undefined ? "" : `<path class="arrow taken" d="M${x + 66} ${y + 13}h44"/>` +
      `<text class="label taken" x="${x + 86}" y="${y + 2}">${next.value}</text>`;
    return `<rect class="step" x="${x}" y="${y}" width="64" height="26" rx="6"/>` +
      `<text class="small" x="${x + 32}" y="${y + 13}">${shortName(state)}</text>${arrow}`;
  });
}

function round(n: number): number {
  return Math.round(10 * n) / 10;
}
