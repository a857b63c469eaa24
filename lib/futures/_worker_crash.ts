/**
 * What the death of a worker means for the call that it ran.
 * @module
 */

import { WorkerCrashedError } from "./errors.ts";
import type { PoolWorker } from "./_pool_worker.ts";
import type { Task } from "./_task.ts";
import type { TransportExit } from "./_transport.ts";

/** How a worker ended, in words. */
interface Ending {
  readonly short: string;
  /** What it wrote to stderr last. */
  readonly words: string;
  readonly whole: string;
}

export function endingOf(worker: PoolWorker, { message, stderr }: TransportExit): Ending {
  const last = tellingLines((stderr ?? "").replaceAll(COLORS, ""));
  const short = `The worker ${worker.name} ${message}`;
  const words = last ? `; its last lines on stderr:\n${last}` : "";
  return { short, words, whole: short + words };
}

/** What makes text coloured on a terminal: Deno's own words, too. */
// deno-lint-ignore no-control-regex
const COLORS = /\x1b\[[0-9;]*m/g;
/** How many lines of stderr a message has. */
const LINES = 5;
/** What Deno and V8 end a program with. What follows is where that was, which may be long. */
const LAST_WORDS = /^(?:error: |# ?Fatal )/;

/** The last lines, or those from where Deno or V8 says why the program ends. */
function tellingLines(stderr: string): string {
  const lines = stderr.trimEnd().split("\n");
  const words = lines.findLastIndex((line) => LAST_WORDS.test(line));
  const first = words < 0 ? lines.length : words;
  return lines.slice(Math.max(0, Math.min(first, lines.length - LINES))).slice(0, LINES).join("\n");
}

/** The outcome of the call that the worker ran. */
export function crashError(ending: Ending, exit: TransportExit, task: Task): WorkerCrashedError {
  const { message: _, cause, ...how } = exit;
  return new WorkerCrashedError(
    `${ending.short} while it ran ${task.settings.ref.name}${ending.words}`,
    { ...how, ...(cause === undefined ? {} : { cause }) },
  );
}

/** Whether a call whose attempt ended with `error` is to run again. */
export function wantsRetry(task: Task, error: unknown): boolean {
  const { retries, retryOn, transfer, ref } = task.settings;
  // What was moved to the worker is gone.
  if (task.attempts > retries || task.done() || transfer.length > 0) return false;
  try {
    const again: unknown = retryOn === undefined ? error instanceof WorkerCrashedError : retryOn(error, task.attempts);
    if (typeof again !== "boolean") {
      throw new TypeError(`it returned ${Deno.inspect(again, { depth: 0 })}, and has to return true or false`);
    }
    return again && !task.done(); // which it may have cancelled
  } catch (error) {
    console.error(`retryOn of a call of ${ref.name} threw:`, error);
    return false;
  }
}
