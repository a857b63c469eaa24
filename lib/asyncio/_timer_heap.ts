import type { TimerHandle } from "./handle.ts";

/**
 * The timers of a loop, the earliest first and among equal deadlines the one that was made first.
 *
 * A heap with four children a node; deadlines and serial numbers lie in arrays of plain numbers beside the handles, so
 * that sifting touches no handle.
 */
export class TimerHeap {
  #whens: number[] = [];
  #serials: number[] = [];
  #handles: TimerHandle[] = [];
  #serial = 0;
  #cancelled = 0;

  get length(): number {
    return this.#handles.length;
  }

  /** The earliest deadline, `Infinity` if there is none; cancelled timers at the head are dropped first. */
  next(): number {
    while (this.#handles.length > 0 && this.#handles[0]!._cancelled) {
      this.#cancelled--;
      this.#removeFirst();
    }
    return this.#handles.length > 0 ? this.#whens[0]! : Infinity;
  }

  push(handle: TimerHandle): void {
    this.#place(this.#handles.length, handle._when, this.#serial++, handle);
  }

  /** Takes the first timer out; `next()` has been asked before. */
  shift(): TimerHandle {
    const handle = this.#handles[0]!;
    handle._scheduled = false;
    this.#removeFirst();
    return handle;
  }

  /** Notes that a timer in here was cancelled. When most are, they are thrown out: CPython's rule. */
  cancelled(): void {
    this.#cancelled++;
    const length = this.#handles.length;
    if (length > 100 && this.#cancelled > length / 2) this.#compact();
  }

  clear(): void {
    this.#whens = [];
    this.#serials = [];
    this.#handles = [];
    this.#cancelled = 0;
  }

  #compact(): void {
    const [whens, serials, handles] = [this.#whens, this.#serials, this.#handles];
    this.clear();
    for (const [i, handle] of handles.entries()) {
      if (handle._cancelled) handle._scheduled = false;
      else this.#place(this.#handles.length, whens[i]!, serials[i]!, handle);
    }
  }

  /** Moves the hole at `i` up to where a timer of this deadline belongs, and puts it there. */
  #place(i: number, when: number, serial: number, handle: TimerHandle): void {
    const [whens, serials, handles] = [this.#whens, this.#serials, this.#handles];
    while (i > 0) {
      const parent = (i - 1) >> 2;
      const parentWhen = whens[parent]!;
      if (parentWhen < when || (parentWhen === when && serials[parent]! < serial)) break;
      whens[i] = parentWhen;
      serials[i] = serials[parent]!;
      handles[i] = handles[parent]!;
      i = parent;
    }
    whens[i] = when;
    serials[i] = serial;
    handles[i] = handle;
  }

  #removeFirst(): void {
    const [whens, serials, handles] = [this.#whens, this.#serials, this.#handles];
    const when = whens.pop()!;
    const serial = serials.pop()!;
    const handle = handles.pop()!;
    const length = handles.length;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      const first = 4 * i + 1;
      if (first >= length) break;
      const end = Math.min(first + 4, length);
      let least = first;
      let leastWhen = whens[first]!;
      for (let child = first + 1; child < end; child++) {
        const childWhen = whens[child]!;
        if (childWhen < leastWhen || (childWhen === leastWhen && serials[child]! < serials[least]!)) {
          least = child;
          leastWhen = childWhen;
        }
      }
      if (when < leastWhen || (when === leastWhen && serial < serials[least]!)) break;
      whens[i] = leastWhen;
      serials[i] = serials[least]!;
      handles[i] = handles[least]!;
      i = least;
    }
    whens[i] = when;
    serials[i] = serial;
    handles[i] = handle;
  }
}
