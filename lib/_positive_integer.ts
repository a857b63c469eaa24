/**
 * Checks a number of workers, tasks, items and the like.
 *
 * @throws {Invalid} If it is not a whole number of at least 1.
 */
export function positiveInteger(
  value: unknown,
  what: string,
  Invalid: new (message: string) => RangeError = RangeError,
): number {
  if (!Number.isInteger(value) || (value as number) < 1) {
    throw new Invalid(`Cannot use ${Deno.inspect(value)} as ${what}: pass a whole number of at least 1`);
  }
  return value as number;
}
