/** The longest time that a timer of the platform takes; a longer one would fire at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Calls `callback` after `milliseconds`, however many; never after `Infinity`. With `ref: false` the wait does not keep
 * the program alive.
 *
 * @returns A function that calls it off.
 */
export function after(milliseconds: number, callback: () => void, { ref = true } = {}): () => void {
  if (milliseconds === Infinity) return () => {};
  let timer: ReturnType<typeof setTimeout>;
  const wait = (rest: number) => {
    timer = setTimeout(
      () => rest > LONGEST_TIMER ? wait(rest - LONGEST_TIMER) : callback(),
      Math.min(Math.max(0, rest), LONGEST_TIMER),
    );
    if (!ref) Deno.unrefTimer(timer);
  };
  wait(milliseconds);
  return () => clearTimeout(timer);
}
