/** What a figure counts. */
export interface Unit {
  /** Whether more of it is better. */
  readonly moreIsBetter: boolean;
  /** Whether differences count and not ratios, for charts. */
  readonly linear?: boolean;
  /**
   * What the marks of a logarithmic axis are powers of.
   * @default {10}
   */
  readonly base?: number;
  /** With three digits. */
  format(value: number): string;
}

const digits = (value: number): string =>
  value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);

/** Takes the largest of `steps` that leaves a number of at least 1. */
function scaled(value: number, steps: readonly (readonly [size: number, name: string])[]): string {
  const [size, name] = steps.find(([size]) => value >= size) ?? steps.at(-1)!;
  return `${digits(value / size)} ${name}`;
}

/** Operations a second. */
export const rate: Unit = {
  moreIsBetter: true,
  format: (value) => scaled(value, [[1e9, "G/s"], [1e6, "M/s"], [1e3, "k/s"], [1, "/s"]]),
};

/** Milliseconds. */
export const time: Unit = {
  moreIsBetter: false,
  format: (value) => scaled(value, [[1000, "s"], [1, "ms"], [1e-3, "µs"]]),
};

/** Bytes. */
export const bytes: Unit = {
  moreIsBetter: false,
  base: 2,
  format: (value) => scaled(value, [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]]),
};

/** How many times as fast. */
export const times: Unit = {
  moreIsBetter: true,
  linear: true,
  format: (value) => `${value < 0.00995 ? value.toPrecision(1) : digits(value)} ×`,
};
