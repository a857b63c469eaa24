/** What the pools are given to do. Each function uses nothing but its argument, so it can also travel as its source. */

/** The no-op; what it is given is what it returns. */
export function same(x) {
  return x;
}

/** Work for the processor: about a nanosecond a turn. */
export function count(turns) {
  let x = 1;
  for (let i = 0; i < turns; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return x;
}

/** Looks at both ends of a buffer. */
export function touch(buffer) {
  const bytes = new Uint8Array(buffer);
  return bytes.length + bytes[0] + bytes[bytes.length - 1];
}
