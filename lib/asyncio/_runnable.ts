/** What a loop runs in its turn: a handle, a coroutine that goes on, or what observes a future. */
export interface Runnable {
  /** Runs it. Never throws but for what ends the loop's run. */
  _run(): void;
}
