import { isAwaitable } from "./coroutine.ts";
import { ValueError } from "./exceptions.ts";
import { isIterable, shown } from "../_require.ts";

/**
 * Checks a name, a path and the like.
 *
 * @throws {TypeError} If it is no string.
 * @throws {ValueError} If it is empty.
 */
export function requireText(value: unknown, what: string): string {
  if (typeof value !== "string") throw new TypeError(`Cannot use ${shown(value)} as ${what}: pass a string`);
  if (value === "") throw new ValueError(`Cannot use an empty string as ${what}: pass at least one character`);
  return value;
}

/**
 * Checks a switch.
 *
 * @throws {TypeError} If it is neither `true` nor `false`.
 */
export function requireFlag(value: unknown, what: string): void {
  if (typeof value !== "boolean") throw new TypeError(`Cannot use ${shown(value)} as ${what}: pass true or false`);
}

/**
 * Checks a number.
 *
 * @throws {TypeError} If it is none.
 * @throws {ValueError} If it is no whole number between `least` and `most`.
 */
export function requireWhole(value: unknown, what: string, least: number, most: number): number {
  if (typeof value !== "number") throw new TypeError(`Cannot use ${shown(value)} as ${what}: pass a number`);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new ValueError(`Cannot use ${value} as ${what}: pass a whole number from ${least} to ${most}`);
}

/**
 * Checks what is to be sent or searched for.
 *
 * @throws {TypeError} If it is no Uint8Array.
 */
export function requireBytes(value: unknown, action: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const advice = typeof value === "string" ? "encode the text: new TextEncoder().encode(...)" : "pass a Uint8Array";
  throw new TypeError(`Cannot ${action} ${shown(value)} as it is no Uint8Array: ${advice}`);
}

/**
 * Checks what `name` is given to wait for. One awaitable may be iterable, too, and who comes from Python may pass several
 * arguments.
 *
 * @throws {TypeError} If it is no iterable, or an awaitable itself.
 */
export function requireList(value: unknown, name: string): void {
  if (isIterable(value) && !isAwaitable(value)) return;
  throw new TypeError(
    `Cannot use ${shown(value)} as what ${name}() waits for: pass a list, as in ${name}([task, another])`,
  );
}
