/** What a loop runs in its turn: a handle, or a coroutine that goes on. */
export interface Runnable {
  /** Runs it. Never throws but for what ends the loop's run. */
  _run(): void;
}

/** The FIFO of a loop, a ring that grows by doubling and shrinks after a flood. */
export class ReadyQueue {
  // The length is a power of two, so that a mask does the wrapping.
  #ring: (Runnable | undefined)[] = new Array(64).fill(undefined);
  #mask = 63;
  #head = 0;
  length = 0;

  push(item: Runnable): void {
    if (this.length > this.#mask) this.#resize(this.length * 2);
    this.#ring[(this.#head + this.length++) & this.#mask] = item;
  }

  unshift(item: Runnable): void {
    if (this.length > this.#mask) this.#resize(this.length * 2);
    this.#head = (this.#head - 1) & this.#mask;
    this.#ring[this.#head] = item;
    this.length++;
  }

  /** The first item; there has to be one. */
  shift(): Runnable {
    const item = this.#ring[this.#head] as Runnable;
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.length--;
    return item;
  }

  clear(): void {
    this.#head = this.length = 0;
    this.#ring = new Array(64).fill(undefined);
    this.#mask = 63;
  }

  /** Gives room back when little of it is in use. Not part of `shift`, which has to be as short as can be. */
  trim(): void {
    if (this.#mask > 4095 && this.length < this.#mask >> 3) {
      this.#resize((this.#mask + 1) >> 1);
    }
  }

  #resize(size: number): void {
    const ring = new Array<Runnable | undefined>(size).fill(undefined);
    for (let i = 0; i < this.length; i++) {
      ring[i] = this.#ring[(this.#head + i) & this.#mask];
    }
    this.#ring = ring;
    this.#mask = size - 1;
    this.#head = 0;
  }
}
