import { type DurationLike, toMilliseconds } from "../_duration.ts";
import { ValueError } from "./exceptions.ts";

/**
 * As `toMilliseconds`, with the error that CPython's asyncio has.
 *
 * @throws {ValueError} If it is NaN, or a duration with units of no fixed length.
 * @throws {TypeError} If it is neither a number nor a duration.
 */
export function toDelay(value: DurationLike | null | undefined, what: string): number {
  try {
    return toMilliseconds(value, what);
  } catch (error) {
    if (error instanceof RangeError) throw new ValueError(error.message, { cause: error });
    throw error;
  }
}
