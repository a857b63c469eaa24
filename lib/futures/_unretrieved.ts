/**
 * Exceptions that nobody asked for. CPython drops them without a word; here they are printed when the future is
 * collected or the program ends.
 * @module
 */

import { detachedError } from "../_detached_error.ts";
import { type Future, whenRetrieved } from "./future.ts";

interface Report {
  readonly name: string;
  error: unknown;
}

const reports = new Set<Report>();

const collected = new FinalizationRegistry<Report>((report) => {
  if (reports.delete(report)) print(report);
});

let listening = false;

/** Takes note that a call of `name` ended with `error`, until somebody asks its future for the outcome. */
export function expectRetrieval(future: Future<unknown>, name: string, error: unknown): void {
  const report: Report = { name, error };
  const onRetrieval = () => {
    reports.delete(report);
    // An error holds on to what was on the stack when it was made: to the worker, and by it to the future, which would
    // never be collected.
    report.error = undefined;
    collected.unregister(report);
  };
  if (!whenRetrieved(future, onRetrieval)) return;
  reports.add(report);
  collected.register(future, report, report);
  // Most outcomes are asked for before this runs.
  queueMicrotask(() => {
    if (reports.has(report)) report.error = detachedError(error);
  });
  if (listening) return;
  listening = true;
  globalThis.addEventListener("unload", () => reports.forEach(print));
}

function print({ name, error }: Report): void {
  console.error(`A call of ${name} failed, and nobody asked its future for the outcome:`, error);
}
