/**
 * Pools over workers that are none: what they do is a test's to say.
 * @module
 */

import { BrokenExecutorError } from "../../lib/futures/mod.ts";
import { Pool } from "../../lib/futures/_pool.ts";
import { commonSettings, type PoolSettings } from "../../lib/futures/_pool_settings.ts";
import type { Call } from "../../lib/futures/_protocol.ts";
import type { Transport, TransportEvents } from "../../lib/futures/_transport.ts";

/** A worker that takes calls, and ends when it is told to. */
export abstract class FakeTransport implements Transport {
  protected readonly events: TransportEvents;

  constructor(events: TransportEvents) {
    this.events = events;
  }

  abstract send(first: number, calls: readonly Call[]): number;

  isRunning(_seq: number): boolean {
    return false;
  }
  mayHaveStarted(seq: number): boolean {
    return this.isRunning(seq);
  }
  revoke(_seq: number): boolean {
    return false;
  }
  takeBack(): readonly number[] {
    return [];
  }
  abandon(): boolean {
    return false;
  }
  close(): void {
    queueMicrotask(() => this.events.exited({ message: "was closed" }));
  }
  kill(): void {
    this.close();
  }
  define(): void {}
  openStream(): void {}
  grant(): void {}
  stopStream(): void {}
  forget(): void {}
  setRef(): void {}
}

/** A pool of up to `maxWorkers` of what `start` makes. */
export function fakePool(
  maxWorkers: number,
  start: (events: TransportEvents) => Transport,
  settings: Partial<PoolSettings> = {},
): Pool {
  return new Pool({
    ...commonSettings({}, maxWorkers, false),
    name: "FakeExecutor",
    workerName: (index) => `fake ${index}`,
    Broken: BrokenExecutorError,
    toProcess: false,
    revokesAtOnce: true,
    canUnref: true,
    importsAtStart: false,
    startPause: 0,
    start: (_worker, _initializer, events) => start(events),
    ...settings,
  });
}
