/**
 * The error for arguments that cannot be sent to a worker.
 * @module
 */

import { findUncloneable } from "./_cloneable.ts";
import { NotCloneableError } from "./errors.ts";

/** Says which argument of `name` cannot be cloned, and what in it. */
export function notCloneable(
  name: string,
  args: readonly unknown[],
  toProcess: boolean,
  cause: unknown,
): NotCloneableError {
  const where = args
    .map((arg, i) => ({ i, found: findUncloneable(arg, toProcess) }))
    .find(({ found }) => found !== null);
  const what = where === undefined
    ? (cause instanceof Error ? cause.message : Deno.inspect(cause))
    : `argument ${where.i}${where.found}`;
  return new NotCloneableError(`Cannot send the arguments of ${name} to a worker: ${what}`, { cause });
}

/** @throws {NotCloneableError} If the arguments of `name` cannot be sent to a worker. */
export function assertCloneable(name: string, args: readonly unknown[], toProcess: boolean): void {
  try {
    structuredClone(args);
  } catch (cause) {
    throw notCloneable(name, args, toProcess, cause);
  }
  if (findUncloneable(args, toProcess) !== null) throw notCloneable(name, args, toProcess, undefined);
}

/**
 * A copy of the values that go along with a call of `name`.
 *
 * @throws {TypeError} If they are no plain object.
 * @throws {NotCloneableError} If one of them, which it names, cannot be sent to a worker.
 */
export function cloneContext(
  name: string,
  context: Readonly<Record<string, unknown>>,
  toProcess: boolean,
): Readonly<Record<string, unknown>> {
  if (typeof context !== "object" || Array.isArray(context)) {
    throw new TypeError(
      `Cannot use ${Deno.inspect(context, { depth: 0 })} as context: pass an object of names and values`,
    );
  }
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(context)) {
    let cause: unknown;
    try {
      copy[key] = structuredClone(value);
      if (findUncloneable(value, toProcess) === null) continue;
    } catch (error) {
      cause = error;
    }
    const found = findUncloneable(value, toProcess) ??
      `: ${cause instanceof Error ? cause.message : Deno.inspect(cause)}`;
    throw new NotCloneableError(`Cannot send the context of ${name} to a worker: ${key}${found}`, { cause });
  }
  return copy;
}
