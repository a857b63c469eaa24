/**
 * The limit of a pool's queue, and those who wait until there is room.
 * @module
 */

import { Deque } from "../_deque.ts";

export class Admission {
  readonly #hasRoom: () => boolean;
  readonly #waiters = new Deque<() => void>();
  /** How many were let in and have not submitted yet. */
  #granted = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** `hasRoom` says whether the queue takes another call. */
  constructor(hasRoom: () => boolean) {
    this.#hasRoom = hasRoom;
  }

  /** Resolves when there is room, first come first served. */
  async wait(): Promise<void> {
    if (this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push(resolve);
    this.letIn();
    await promise;
  }

  /** Whether somebody was let in: the next call is taken even if the queue has filled up again in between. */
  get isGranted(): boolean {
    return this.#granted > 0;
  }

  /** Whether others come first. */
  get isCrowded(): boolean {
    return this.#waiters.length > 0 || this.#granted > 0;
  }

  /** Takes note of a call that came in. */
  entered(): void {
    if (this.#granted === 0) return;
    this.#granted--;
    if (this.#waiters.length > 0) return this.letIn();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Lets in who waits, one at a time: the next one comes when that one has submitted its call, or has been seen not to.
   */
  letIn(): void {
    while (this.#waiters.length > 0 && this.#granted === 0 && this.#hasRoom()) {
      this.#granted++;
      this.#waiters.shift()!();
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#granted = 0;
        this.letIn();
      });
    }
  }

  /** Lets everybody in, to be told that the pool takes no more calls. */
  close(): void {
    this.#closed = true;
    while (this.#waiters.length > 0) this.#waiters.shift()!();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
