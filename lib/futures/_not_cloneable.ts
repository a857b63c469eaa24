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
  if (toProcess && findUncloneable(args, true) !== null) throw notCloneable(name, args, toProcess, undefined);
}
