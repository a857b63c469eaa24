/**
 * By a word in shared memory one thread wakes another one, which costs the one who wakes a fraction of a message, and takes
 * no longer, often less.
 *
 * Part of a worker's program, so it uses nothing from around it.
 * @module
 */

/** The end of the thread that is woken. */
export interface Bell {
  /**
   * Lets others ring from now on. Who looks for what it waits for after that, not before, misses nothing.
   */
  listen(): void;
  /** Makes it known that nobody need ring. It may have been rung already. */
  ignore(): void;
  /** Ends the bell; it keeps nothing alive. */
  close(): void;
}

/** Makes the {@linkcode Bell} at `word`. It calls `rung` in a turn of the event loop of its own. */
export function makeBell(word: Int32Array, rung: () => void): Bell {
  const SILENT = 0;
  const LISTENS = 1;
  let isWaiting = false;
  let isClosed = false;

  function wake(): void {
    isWaiting = false;
    if (!isClosed) rung();
  }

  return {
    listen() {
      if (isClosed) return;
      Atomics.store(word, 0, LISTENS);
      while (!isWaiting) {
        const { async, value } = Atomics.waitAsync(word, 0, LISTENS);
        if (async) {
          isWaiting = true;
          value.then(wake);
        } else Atomics.store(word, 0, LISTENS); // rung in between
      }
    },
    ignore() {
      Atomics.store(word, 0, SILENT);
    },
    close() {
      isClosed = true;
      Atomics.store(word, 0, SILENT);
      Atomics.notify(word, 0);
    },
  };
}

/** Wakes the thread at the other end, if it listens. */
export function ring(word: Int32Array): void {
  if (Atomics.exchange(word, 0, 0) === 1) Atomics.notify(word, 0);
}
