/**
 * A length of time: a number of milliseconds, or anything `Temporal.Duration.from()` takes, such as `{ minutes: 5 }` or
 * `{ seconds: 1, milliseconds: 500 }`, whose numbers are whole. Python's `1.5` seconds are `1500`.
 */
export type DurationLike = number | Temporal.DurationLike;

/**
 * The milliseconds of `value`; `Infinity` when it is `undefined` or `null`, which mean "no limit" wherever Skein takes
 * a time.
 *
 * @param value What the caller passed.
 * @param what What it was passed as, for the error message: `"timeout"`.
 * @throws {RangeError} If it is NaN, or a duration with units of no fixed length (years, months).
 * @throws {TypeError} If it is neither a number nor a duration.
 */
export function toMilliseconds(value: DurationLike | null | undefined, what: string): number {
  if (value === undefined || value === null) return Infinity;
  if (typeof value === "number") {
    if (Number.isNaN(value)) {
      throw new RangeError(`Cannot use NaN as ${what}: pass milliseconds, or a duration such as { seconds: 1 }`);
    }
    return value;
  }
  if (typeof value !== "object") {
    throw new TypeError(
      `Cannot use ${typeof value} ${String(value)} as ${what}: pass milliseconds, or a duration such as { seconds: 1 }`,
    );
  }
  try {
    return Temporal.Duration.from(value).total("milliseconds");
  } catch (cause) {
    const Kind = cause instanceof RangeError ? RangeError : TypeError;
    throw new Kind(
      `Cannot use ${Deno.inspect(value)} as ${what}: ${
        isFractional(value)
          ? "the numbers of a duration are whole; pass milliseconds, or a duration such as { seconds: 1, milliseconds: 500 }"
          : "pass milliseconds, or a duration in units of fixed length such as { seconds: 1 }"
      }`,
      { cause },
    );
  }
}

function isFractional(value: object): boolean {
  return Object.values(value).some((number) => Number.isFinite(number) && !Number.isInteger(number));
}
