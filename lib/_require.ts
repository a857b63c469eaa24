/**
 * Checks of what was passed, for whoever is not kept from it by the compiler.
 * @module
 */

/** How a value is shown in a message. */
export function shown(value: unknown): string {
  return Deno.inspect(value, { depth: 0, strAbbreviateSize: 40 });
}

/** Whether `for of` can go through a value. */
export function isIterable(value: unknown): boolean {
  return typeof (value as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator] === "function";
}

/**
 * Checks options, which may not be there.
 *
 * @throws {TypeError} If it is no object.
 */
export function requireOptions(value: unknown, what: string, example: string): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw new TypeError(`Cannot use ${shown(value)} as ${what}: pass an object such as ${example}, or nothing`);
}

/**
 * Checks a list of strings.
 *
 * @throws {TypeError} If it is none.
 */
export function requireTexts(value: unknown, what: string): string[] {
  if (!Array.isArray(value)) throw new TypeError(`Cannot use ${shown(value)} as ${what}: pass a list of strings`);
  for (const one of value) {
    if (typeof one !== "string") {
      throw new TypeError(`Cannot use ${shown(one)} in ${what}: pass a list of strings`);
    }
  }
  return [...value];
}

/**
 * Checks a function, which may not be there.
 *
 * @throws {TypeError} If it is something else.
 */
export function requireCallback(value: unknown, what: string): void {
  if (value === undefined || value === null || typeof value === "function") return;
  throw new TypeError(`Cannot use ${shown(value)} as ${what}: pass a function, or nothing`);
}

/**
 * Checks a signal, which may not be there.
 *
 * @throws {TypeError} If it is something else.
 */
export function requireSignal(value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof (value as Partial<AbortSignal>).throwIfAborted === "function") return;
  const hint = value instanceof AbortController ? "its signal, controller.signal" : "an AbortSignal, or nothing";
  throw new TypeError(`Cannot use ${shown(value)} as signal: pass ${hint}`);
}
