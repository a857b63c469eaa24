/**
 * The signals by which calls are given up: one listener for each, however many calls it is for.
 * @module
 */

import type { Task } from "./_task.ts";

export class SignalWatch {
  readonly #entries = new Map<AbortSignal, { readonly tasks: Set<Task>; readonly listener: () => void }>();
  readonly #onAbort: (task: Task, reason: unknown) => void;

  /** `onAbort` is told of each call whose signal aborts. */
  constructor(onAbort: (task: Task, reason: unknown) => void) {
    this.#onAbort = onAbort;
  }

  listen(signal: AbortSignal, task: Task): void {
    let entry = this.#entries.get(signal);
    if (entry === undefined) {
      const tasks = new Set<Task>();
      entry = {
        tasks,
        listener: () => {
          for (const task of [...tasks]) this.#onAbort(task, signal.reason);
        },
      };
      signal.addEventListener("abort", entry.listener, { once: true });
      this.#entries.set(signal, entry);
    }
    entry.tasks.add(task);
  }

  unlisten(signal: AbortSignal, task: Task): void {
    const entry = this.#entries.get(signal);
    entry?.tasks.delete(task);
    if (entry?.tasks.size === 0) {
      signal.removeEventListener("abort", entry.listener);
      this.#entries.delete(signal);
    }
  }
}
