import type { Task } from "./task.ts";

/**
 * The tasks of a loop that are not done, in the order in which they were made. A list through the tasks: a set would cost
 * as much as all the rest of making a task.
 */
export class TaskList implements Iterable<Task<unknown>> {
  #first: Task<unknown> | undefined;
  #last: Task<unknown> | undefined;

  add(task: Task<unknown>): void {
    if (this.#last === undefined) this.#first = task;
    else {
      task._previous = this.#last;
      this.#last._next = task;
    }
    this.#last = task;
  }

  /** Takes a task out, if it is in here. */
  remove(task: Task<unknown>): void {
    const { _previous: previous, _next: next } = task;
    if (previous !== undefined) previous._next = next;
    else if (this.#first === task) this.#first = next;
    if (next !== undefined) next._previous = previous;
    else if (this.#last === task) this.#last = previous;
    task._previous = task._next = undefined;
  }

  *[Symbol.iterator](): Generator<Task<unknown>, void, unknown> {
    for (let task = this.#first; task !== undefined; task = task._next) yield task;
  }
}
