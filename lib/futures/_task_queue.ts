/**
 * The calls of a pool that wait for a worker.
 *
 * Its order: a higher priority first; among equal ones the groups take turns, one call each; within a group first in,
 * first out. A pool of one priority and one group pays a comparison for it.
 * @module
 */

import { Deque } from "../_deque.ts";
import type { Task } from "./_task.ts";

/** The calls of one group at one priority. */
class Lane {
  readonly level: Level;
  readonly group: unknown;
  readonly tasks: Deque<Task> = new Deque();

  constructor(level: Level, group: unknown) {
    this.level = level;
    this.group = group;
  }
}

/** The groups of one priority. */
class Level {
  readonly priority: number;
  readonly lanes: Map<unknown, Lane> = new Map();
  /** The lanes that are not empty; the first one's turn is next. */
  readonly turns: Deque<Lane> = new Deque();

  constructor(priority: number) {
    this.priority = priority;
  }
}

export class TaskQueue {
  /** The highest priority first; none is empty but for the moment of a call. */
  readonly #levels: Level[] = [];
  #length = 0;
  /** The lane that was used last, which most calls go to. */
  #last: Lane | undefined;

  /** How many calls are in it, those that are over and were not dropped yet included. */
  get length(): number {
    return this.#length;
  }

  /** Puts a call behind the others of its group. */
  push(task: Task): void {
    const lane = this.#lane(task);
    task.queued = true;
    lane.tasks.push(task);
    this.#length++;
    if (lane.tasks.length === 1) lane.level.turns.push(lane);
  }

  /** Puts a call before the others of its group: it had its turn, and comes back. */
  unshift(task: Task): void {
    const lane = this.#lane(task);
    task.queued = true;
    lane.tasks.unshift(task);
    this.#length++;
    if (lane.tasks.length === 1) lane.level.turns.unshift(lane);
  }

  /** The next call. */
  peek(): Task | undefined {
    return this.#levels[0]?.turns.peek()?.tasks.peek();
  }

  /** Takes the next call out; then it is another group's turn. */
  shift(): Task | undefined {
    const level = this.#levels[0];
    const lane = level?.turns.peek();
    if (level === undefined || lane === undefined) return undefined;
    const task = lane.tasks.shift()!;
    task.queued = false;
    this.#length--;
    if (lane.tasks.length > 0) {
      if (level.turns.length > 1) level.turns.push(level.turns.shift()!);
      return task;
    }
    level.turns.shift();
    // The lane of calls without a group stays, as it will be used again.
    if (lane.group !== undefined) this.#drop(lane);
    if (level.turns.length === 0) this.#levels.shift();
    return task;
  }

  /** Takes out all calls for which `isOver` holds. */
  sweep(isOver: (task: Task) => boolean): void {
    for (const level of [...this.#levels]) {
      for (let rest = level.turns.length; rest > 0; rest--) {
        const lane = level.turns.shift()!;
        for (let rest = lane.tasks.length; rest > 0; rest--) {
          const task = lane.tasks.shift()!;
          if (!isOver(task)) lane.tasks.push(task);
          else {
            task.queued = false;
            this.#length--;
          }
        }
        if (lane.tasks.length > 0) level.turns.push(lane);
        else if (lane.group !== undefined) this.#drop(lane);
      }
      if (level.turns.length === 0) this.#levels.splice(this.#levels.indexOf(level), 1);
    }
  }

  #lane({ settings: { priority, group } }: Task): Lane {
    let lane = this.#last;
    if (lane === undefined || lane.group !== group || lane.level.priority !== priority) {
      const level = this.#level(priority);
      lane = level.lanes.get(group);
      if (lane === undefined) level.lanes.set(group, lane = new Lane(level, group));
      this.#last = lane;
    }
    // Its level is left out of the list while it is empty.
    if (lane.level.turns.length === 0) this.#enter(lane.level);
    return lane;
  }

  #level(priority: number): Level {
    const { level } = this.#last ?? {};
    if (level?.priority === priority) return level;
    return this.#levels.find((level) => level.priority === priority) ?? new Level(priority);
  }

  #enter(level: Level): void {
    const at = this.#levels.findIndex(({ priority }) => priority <= level.priority);
    if (at === -1) this.#levels.push(level);
    else if (this.#levels[at] !== level) this.#levels.splice(at, 0, level);
  }

  #drop(lane: Lane): void {
    lane.level.lanes.delete(lane.group);
    if (this.#last === lane) this.#last = undefined;
  }
}
