/** What a loop runs in its turn: a handle, or a coroutine that goes on. */
export interface Runnable {
  /** Runs it. Never throws but for what ends the loop's run. */
  _run(): void;
}

/** The FIFO of a loop, a ring that grows by doubling and shrinks after a flood. */
export class ReadyQueue {
  // The size is a power of two, so that a mask does the wrapping. One place is always free: where `#head` and `#tail` are
  // the same it is empty, and there is no length to be counted at each step.
  #ring: (Runnable | undefined)[] = new Array(64).fill(undefined);
  #mask = 63;
  #head = 0;
  #tail = 0;

  get length(): number {
    return (this.#tail - this.#head) & this.#mask;
  }

  push(item: Runnable): void {
    const tail = this.#tail;
    this.#ring[tail] = item;
    this.#tail = (tail + 1) & this.#mask;
    if (this.#tail === this.#head) this.#grow();
  }

  unshift(item: Runnable): void {
    this.#head = (this.#head - 1) & this.#mask;
    this.#ring[this.#head] = item;
    if (this.#tail === this.#head) this.#grow();
  }

  /** The first item; there has to be one. */
  shift(): Runnable {
    const head = this.#head;
    const item = this.#ring[head] as Runnable;
    this.#ring[head] = undefined;
    this.#head = (head + 1) & this.#mask;
    return item;
  }

  clear(): void {
    this.#head = this.#tail = 0;
    this.#ring = new Array(64).fill(undefined);
    this.#mask = 63;
  }

  /** Gives room back when little of it is in use. Not part of `shift`, which has to be as short as can be. */
  trim(): void {
    if (this.#mask > 4095 && this.length < this.#mask >> 3) {
      this.#resize((this.#mask + 1) >> 1, this.length);
    }
  }

  /** It is full to the last place. */
  #grow(): void {
    this.#resize((this.#mask + 1) * 2, this.#mask + 1);
  }

  #resize(size: number, length: number): void {
    const ring = new Array<Runnable | undefined>(size).fill(undefined);
    for (let i = 0; i < length; i++) {
      ring[i] = this.#ring[(this.#head + i) & this.#mask];
    }
    this.#ring = ring;
    this.#mask = size - 1;
    this.#head = 0;
    this.#tail = length;
  }
}
