/** The value at a share of the order: 0.5 is the median. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

/** The figures of all rounds in three. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Of at least one number. */
export function summarize(numbers: readonly number[]): Summary {
  return { median: quantile(numbers, 0.5), min: Math.min(...numbers), max: Math.max(...numbers) };
}

/** The exponent `k` of `y = c * x ** k` through points, by least squares of the logarithms. */
export function exponent(points: readonly { x: number; y: number }[]): number {
  const logs = points.map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }));
  const mean = (of: (point: { x: number; y: number }) => number) =>
    logs.reduce((sum, p) => sum + of(p), 0) / logs.length;
  const [meanX, meanY] = [mean((p) => p.x), mean((p) => p.y)];
  return mean((p) => (p.x - meanX) * (p.y - meanY)) / mean((p) => (p.x - meanX) ** 2);
}
