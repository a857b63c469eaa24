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
  if (!whenRetrieved(future, () => reports.delete(report))) return;
  reports.add(report);
  collected.register(future, report);
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
