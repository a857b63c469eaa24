/** How traces show values and errors: as `run.py` does. */

import {
  BrokenBarrierError,
  CancelledError,
  ExceptionGroup,
  InvalidStateError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  RuntimeError,
  TimeoutError,
  ValueError,
} from "../../lib/asyncio/mod.ts";

/** What a program throws by itself. */
export class ProgramError extends Error {}

const NAMES = [
  [TimeoutError, "Timeout"],
  [InvalidStateError, "InvalidState"],
  [BrokenBarrierError, "BrokenBarrier"],
  [QueueEmpty, "QueueEmpty"],
  [QueueFull, "QueueFull"],
  [QueueShutDown, "QueueShutDown"],
  [RuntimeError, "Runtime"],
  [ValueError, "ValueError"],
] as const;

/** An error. */
export function show(error: unknown): string {
  if (error instanceof ExceptionGroup) {
    return `Group[${error.errors.map(show).join(",")}]`;
  }
  if (error instanceof CancelledError) {
    return `Cancelled(${error.reason ?? ""})`;
  }
  if (error instanceof ProgramError) return `Value(${error.message})`;
  // A block and its exit have both thrown: Python goes on with the second.
  if (error instanceof SuppressedError) return show(error.error);
  for (const [kind, name] of NAMES) if (error instanceof kind) return name;
  return `Unexpected(${error instanceof Error ? error.stack : error})`;
}

/** A result. */
export function value(v: unknown): string {
  if (v instanceof Error) return show(v);
  if (Array.isArray(v)) return `[${v.map(value).join(",")}]`;
  // What acquire() gives is True in Python.
  if (typeof v === "object" && v !== null && Symbol.dispose in v) return "True";
  return v === undefined || v === null ? "-" : text(v);
}

/** A part of a line, as Python prints it. */
export function text(v: unknown): string {
  if (v === true) return "True";
  if (v === false) return "False";
  if (Array.isArray(v)) return `[${v.map((x) => `'${x}'`).join(", ")}]`;
  return String(v);
}
