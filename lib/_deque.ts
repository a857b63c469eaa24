const SMALLEST = 16;
/** A ring of this size does not shrink. */
const SMALL = 4096;

/**
 * A double-ended queue on a ring: every operation is O(1) (amortised), and the ring shrinks again after a flood, so
 * that a queue that once held a million items does not keep their room.
 */
export class Deque<T> {
  // The size is a power of two, so that a mask does the wrapping. One place is always free: where `#head` and `#tail` are
  // the same it is empty, and there is no length to be counted at each step.
  #ring: (T | undefined)[] = new Array(SMALLEST).fill(undefined);
  #mask = SMALLEST - 1;
  #head = 0;
  #tail = 0;

  get length(): number {
    return (this.#tail - this.#head) & this.#mask;
  }

  push(item: T): void {
    const tail = this.#tail;
    this.#ring[tail] = item;
    this.#tail = (tail + 1) & this.#mask;
    if (this.#tail === this.#head) this.#grow();
  }

  unshift(item: T): void {
    this.#head = (this.#head - 1) & this.#mask;
    this.#ring[this.#head] = item;
    if (this.#tail === this.#head) this.#grow();
  }

  peek(): T | undefined {
    return this.#ring[this.#head];
  }

  shift(): T | undefined {
    const item = this.take();
    this.trim();
    return item;
  }

  /** As `shift()`, without what that does for room: as short as can be, for who calls `trim()` now and then himself. */
  take(): T | undefined {
    const head = this.#head;
    if (head === this.#tail) return undefined;
    const item = this.#ring[head];
    this.#ring[head] = undefined;
    this.#head = (head + 1) & this.#mask;
    return item;
  }

  /** Gives room back when little of it is in use. */
  trim(): void {
    if (this.#mask >= SMALL && this.length < this.#mask >> 3) this.#resize((this.#mask + 1) >> 1, this.length);
  }

  clear(): void {
    this.#ring = new Array(SMALLEST).fill(undefined);
    this.#mask = SMALLEST - 1;
    this.#head = this.#tail = 0;
  }

  /** It is full to the last place. */
  #grow(): void {
    this.#resize((this.#mask + 1) * 2, this.#mask + 1);
  }

  #resize(size: number, length: number): void {
    const ring = new Array<T | undefined>(size).fill(undefined);
    for (let i = 0; i < length; i++) ring[i] = this.#ring[(this.#head + i) & this.#mask];
    this.#ring = ring;
    this.#mask = size - 1;
    this.#head = 0;
    this.#tail = length;
  }
}
