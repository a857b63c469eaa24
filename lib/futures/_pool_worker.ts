/**
 * What a pool knows of one of its workers.
 * @module
 */

import type { FunctionRef } from "./_function_ref.ts";
import { SLOTS } from "./_protocol.ts";
import { Task } from "./_task.ts";
import type { Transport } from "./_transport.ts";

/** How many definitions a worker keeps, before it is told to forget them all. */
const DEFINITIONS_KEPT = 2000;

/** The calls that a worker holds, and how it fares. */
export class PoolWorker {
  readonly name: string;
  /** The modules that it could import when it started. */
  readonly modules: ReadonlySet<string>;
  /** Set by the pool right after construction, as the transport reports to the pool about this worker. */
  transport!: Transport;

  /** It has run its initializer and takes calls. */
  ready = false;
  /** It gets no more calls, and is closed when it has none. */
  retired = false;
  /** What waited in it was taken back: it gets no more calls until the one that it runs is over. */
  stuck = false;
  /** How many more calls it may be given. */
  remaining: number;
  /** How many answers to a take-back are due. Until then it gets no calls, so that their order stays plain. */
  returning = 0;
  /** How many calls it holds. */
  count = 0;
  /** How many calls it has run. */
  tasksRun = 0;
  /** The milliseconds that these are expected to take. */
  load = 0;
  /** When it last started a call, as far as the pool knows. */
  progressAt: number = performance.now();
  /** For the time limit of its start, then of the oldest call. */
  stopTimer: () => void = () => {};
  watched: Task | undefined;
  /** The call whose time was over last. */
  overdue = -1;

  readonly #tasks: (Task | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #known = new Set<number>();
  /** No call before this number is held. */
  #head = 0;
  #next = 0;

  constructor(name: string, modules: ReadonlySet<string>, remaining: number) {
    this.name = name;
    this.modules = modules;
    this.remaining = remaining;
  }

  /** How many more calls it can hold. */
  get room(): number {
    return this.returning > 0 ? 0 : Math.min(this.remaining, SLOTS - 1 - (this.#next - this.#head));
  }

  /**
   * Hands over the first of the tasks, and as many of those behind it as can go along.
   *
   * @returns How many.
   * @throws If an argument of the first one cannot be cloned; then nothing was handed over.
   */
  send(tasks: readonly Task[], transfer: readonly Transferable[]): number {
    const { ref, stream } = tasks[0]!.settings;
    // Not in between, which would make it forget what the first of them need.
    if (this.#known.size === DEFINITIONS_KEPT) {
      this.#known.clear();
      this.transport.forget();
    }
    this.#define(ref);
    if (stream !== undefined) this.transport.openStream(this.#next, stream.window);
    // What has to be told before a call is told before the first one only.
    let end = 1;
    while (end < tasks.length && this.#known.has(tasks[end]!.settings.ref.id) && !tasks[end]!.settings.stream) end++;
    const company = end === tasks.length ? tasks : tasks.slice(0, end);
    let count: number;
    const { handing } = Task; // by another pool: a getter of the arguments there has come here
    Task.handing = handing.length === 0 ? tasks : [...handing, ...tasks];
    try {
      count = this.transport.send(
        this.#next,
        company.map(({ settings: { ref, isChunk }, args, context }) =>
          [isChunk ? -ref.id : ref.id, context === undefined ? args : { args, context }] as const
        ),
        transfer,
      );
    } catch (error) {
      // The next call gets this number, and is no stream.
      if (stream !== undefined) this.transport.openStream(this.#next, 0);
      throw error;
    } finally {
      Task.handing = handing;
    }
    if (this.count === 0) this.progressAt = performance.now();
    for (let i = 0; i < count; i++) {
      const task = tasks[i]!;
      task.worker = this;
      task.seq = this.#next++;
      this.#tasks[task.seq % SLOTS] = task;
      this.load += task.load;
    }
    this.count += count;
    this.remaining -= count;
    return count;
  }

  #define(ref: FunctionRef): void {
    if (this.#known.has(ref.id)) return;
    this.#known.add(ref.id);
    this.transport.define(ref);
  }

  /**
   * Takes note that a call is over.
   *
   * @throws {TypeError} If it is not the worker's oldest one: what it says is not to be trusted.
   */
  settle(seq: number): Task {
    if (this.oldest()?.seq !== seq) throw new TypeError(`the outcome of call ${seq}, which it did not run`);
    const task = this.#release(seq);
    this.stuck = false;
    this.tasksRun++;
    return task;
  }

  /**
   * The call that says something.
   *
   * @throws {TypeError} If it is not the worker's oldest one, which runs.
   */
  speaker(seq: number): Task {
    const task = this.oldest();
    if (task?.seq !== seq) throw new TypeError(`what the call ${seq} says, which it does not run`);
    return task;
  }

  /** Puts a stand-in, which is over, in the place of a call that is to run again elsewhere. */
  replace(task: Task, standIn: Task): void {
    this.#tasks[task.seq % SLOTS] = standIn;
    standIn.worker = this;
    standIn.seq = task.seq;
    standIn.load = task.load;
    task.worker = undefined;
  }

  /**
   * Takes note that calls were taken back.
   *
   * @throws {TypeError} If it does not have one of them; then none was taken.
   */
  release(seqs: readonly number[]): Task[] {
    const distinct = new Set(seqs);
    for (const seq of seqs) {
      if (!distinct.delete(seq) || this.#tasks[seq % SLOTS]?.seq !== seq) {
        throw new TypeError(`call ${seq}, which it does not have`);
      }
    }
    this.remaining += seqs.length;
    return seqs.map((seq) => this.#release(seq));
  }

  #release(seq: number): Task {
    const task = this.#tasks[seq % SLOTS]!;
    this.#tasks[seq % SLOTS] = undefined;
    this.count--;
    this.load = this.count === 0 ? 0 : this.load - task.load;
    if (this.count === 0) {
      this.#head = this.#next;
      // Nothing runs whose end would say so: all that it had was taken back.
      this.stuck = false;
    }
    task.worker = undefined;
    return task;
  }

  /** Takes a call back, if it has not started. */
  revoke(task: Task): boolean {
    if (!this.transport.revoke(task.seq)) return false;
    this.release([task.seq]);
    return true;
  }

  isRunning(task: Task): boolean {
    return this.transport.isRunning(task.seq, this.oldest()?.seq ?? -1);
  }

  /** Of a worker that is gone: whether it may have started the call. */
  mayHaveStarted(task: Task): boolean {
    return this.transport.mayHaveStarted(task.seq, this.oldest()?.seq ?? -1);
  }

  /** The oldest call that is not over. */
  oldest(): Task | undefined {
    if (this.count === 0) return undefined;
    while (this.#tasks[this.#head % SLOTS]?.seq !== this.#head) this.#head++;
    return this.#tasks[this.#head % SLOTS];
  }

  /** The calls it holds, oldest first. */
  tasks(): Task[] {
    const tasks: Task[] = [];
    for (let seq = this.#head; seq < this.#next; seq++) {
      const task = this.#tasks[seq % SLOTS];
      if (task !== undefined && task.seq === seq) tasks.push(task);
    }
    return tasks;
  }
}
