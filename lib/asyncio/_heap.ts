interface Entry<T> {
  readonly item: T;
  readonly serial: number;
}

/**
 * A heap: gives its least item first, and of equal ones the one that came first.
 *
 * The comparison is the user's and may throw. So each operation first finds the way that items have to move, and
 * changes nothing before it has.
 */
export class Heap<T> {
  readonly #entries: Entry<T>[] = [];
  readonly #compare: (a: T, b: T) => number;
  #serial = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get length(): number {
    return this.#entries.length;
  }

  push(item: T): void {
    const entries = this.#entries;
    const entry: Entry<T> = { item, serial: this.#serial++ };
    const path = [entries.length];
    for (let i = entries.length; i > 0;) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(entry, entries[parent]!)) break;
      path.push(i = parent);
    }
    this.#move(path, entry);
  }

  shift(): T | undefined {
    const entries = this.#entries;
    if (entries.length === 0) return undefined;
    const first = entries[0]!;
    const last = entries.at(-1)!;
    const length = entries.length - 1;
    const path = [0];
    for (let i = 0;;) {
      let child = 2 * i + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isBefore(entries[child + 1]!, entries[child]!)) child++;
      if (!this.#isBefore(entries[child]!, last)) break;
      path.push(i = child);
    }
    entries.pop();
    if (length > 0) this.#move(path, last);
    return first.item;
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** Moves each entry on the path to the place before it, and `entry` to the end of the path. */
  #move(path: readonly number[], entry: Entry<T>): void {
    const entries = this.#entries;
    for (let k = 1; k < path.length; k++) entries[path[k - 1]!] = entries[path[k]!]!;
    entries[path.at(-1)!] = entry;
  }

  #isBefore(a: Entry<T>, b: Entry<T>): boolean {
    const order = this.#compare(a.item, b.item);
    if (typeof order !== "number" || Number.isNaN(order)) {
      throw new TypeError(
        `Cannot order items by ${Deno.inspect(order)}: compare(a, b) has to return a number, below 0 if a comes first`,
      );
    }
    return order < 0 || (order === 0 && a.serial < b.serial);
  }
}
