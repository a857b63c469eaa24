/**
 * A double-ended queue on a ring: every operation is O(1) (amortised), and the ring shrinks again after a flood, so
 * that a queue that once held a million items does not keep their room.
 */
export class Deque<T> {
  // The length is always a power of two, so that a mask does the wrapping.
  #ring: (T | undefined)[] = new Array(16).fill(undefined);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = item;
    this.#length++;
  }

  unshift(item: T): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#head = (this.#head - 1) & (this.#ring.length - 1);
    this.#ring[this.#head] = item;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#head];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length--;
    if (this.#ring.length > 1024 && this.#length < this.#ring.length / 8) this.#resize(this.#ring.length / 2);
    return item;
  }

  clear(): void {
    this.#ring = new Array(16).fill(undefined);
    this.#head = 0;
    this.#length = 0;
  }

  #resize(size: number): void {
    const ring = new Array<T | undefined>(size).fill(undefined);
    for (let i = 0; i < this.#length; i++) ring[i] = this.#ring[(this.#head + i) & (this.#ring.length - 1)];
    this.#ring = ring;
    this.#head = 0;
  }
}
