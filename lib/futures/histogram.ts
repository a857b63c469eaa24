/**
 * {@linkcode Histogram}: how long things took.
 * @module
 */

/** Parts of a doubling: a percentile is off by 6 % at the most. */
const PARTS = 8;
const PART_BITS = 3;
/** Up to 2^31 microseconds, which is 35 minutes; what took longer counts as that, except for `max` and `mean`. */
const BUCKETS: number = (31 - PART_BITS + 1) * PARTS + PARTS;

/**
 * How long many things took: counts in buckets of one to two microseconds and up, each an eighth of a doubling wide. It
 * takes 2 KiB, however many things are counted.
 *
 * @example
 * ```ts
 * import { ThreadPoolExecutor } from "@skein/skein/futures";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
 * await Array.fromAsync(pool.map((x: number) => x, [1, 2, 3]));
 * const { runTime } = pool.statistics();
 * assertEquals(runTime.count, 3);
 * assert(runTime.p50 <= runTime.p99);
 * ```
 */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  /** How many were counted. */
  get count(): number {
    return this.#count;
  }

  /** The shortest, in milliseconds; 0 if there is none. */
  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }

  /** The longest, in milliseconds; 0 if there is none. */
  get max(): number {
    return this.#max;
  }

  /** The mean, in milliseconds; 0 if there is none. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** The median, in milliseconds. */
  get p50(): number {
    return this.percentile(50);
  }

  /** What 99 of 100 did not exceed, in milliseconds. */
  get p99(): number {
    return this.percentile(99);
  }

  /**
   * What `percent` of all did not exceed.
   *
   * @param percent From 0 to 100.
   * @returns Milliseconds, too much by 12 % at the most and never more than {@linkcode Histogram.max}; 0 if nothing was
   * counted.
   * @throws {RangeError} If `percent` is not from 0 to 100.
   */
  percentile(percent: number): number {
    if (!(percent >= 0 && percent <= 100)) throw new RangeError(`Cannot take the percentile ${percent}: pass 0 to 100`);
    let rest = Math.max(1, Math.ceil(this.#count * percent / 100));
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      rest -= this.#counts[bucket]!;
      if (rest <= 0) return Math.max(this.min, Math.min(upperEnd(bucket) / 1000, this.#max));
    }
    return this.#max;
  }

  /**
   * Counts something.
   *
   * @param milliseconds How long it took.
   */
  record(milliseconds: number): void {
    const time = milliseconds > 0 ? milliseconds : 0;
    this.#counts[bucketOf(Math.min(time * 1000, 0x7fff_ffff) | 0)]!++;
    this.#count++;
    this.#sum += time;
    if (time < this.#min) this.#min = time;
    if (time > this.#max) this.#max = time;
  }

  /**
   * A copy that counts on by itself.
   *
   * @returns The copy.
   */
  clone(): Histogram {
    const copy = new Histogram();
    copy.#counts.set(this.#counts);
    copy.#count = this.#count;
    copy.#sum = this.#sum;
    copy.#min = this.#min;
    copy.#max = this.#max;
    return copy;
  }

  /**
   * The figures that are read most, for logs and `JSON.stringify`.
   *
   * @returns Milliseconds, and the count.
   */
  toJSON(): { count: number; min: number; mean: number; p50: number; p90: number; p99: number; max: number } {
    const { count, min, mean, p50, p99, max } = this;
    return { count, min, mean, p50, p90: this.percentile(90), p99, max };
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](inspect: (value: unknown) => string): string {
    return `Histogram ${inspect(this.toJSON())}`;
  }
}

/** Of a whole number of microseconds. */
function bucketOf(time: number): number {
  if (time < PARTS) return time;
  const shift = 31 - Math.clz32(time) - PART_BITS;
  return (shift + 1) * PARTS + ((time >> shift) & (PARTS - 1));
}

/** Microseconds: where the next bucket begins. */
function upperEnd(bucket: number): number {
  if (bucket < PARTS) return bucket + 1;
  const shift = Math.floor(bucket / PARTS) - 1;
  return (PARTS + bucket % PARTS + 1) * 2 ** shift;
}
