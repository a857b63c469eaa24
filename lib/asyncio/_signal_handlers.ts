import { RuntimeError, ValueError } from "./exceptions.ts";

/** The handlers that a loop has for signals, one for each. */
export class SignalHandlers {
  readonly #listeners = new Map<Deno.Signal, () => void>();

  has(signal: Deno.Signal): boolean {
    return this.#listeners.has(signal);
  }

  /** Puts a handler in the place of the one that is there. */
  set(signal: Deno.Signal, listener: () => void): void {
    try {
      Deno.addSignalListener(signal, listener);
    } catch (cause) {
      throw unhandleable(signal, cause);
    }
    this.delete(signal);
    this.#listeners.set(signal, listener);
  }

  /** Takes a handler off; whether there was one. */
  delete(signal: Deno.Signal): boolean {
    const listener = this.#listeners.get(signal);
    if (listener === undefined) return false;
    Deno.removeSignalListener(signal, listener);
    return this.#listeners.delete(signal);
  }

  clear(): void {
    for (const signal of [...this.#listeners.keys()]) this.delete(signal);
  }
}

/** What there is to say of a signal that the host did not take. */
function unhandleable(signal: unknown, cause: unknown): Error {
  const what = Deno.inspect(signal);
  if (typeof signal !== "string") {
    return new TypeError(`Cannot handle signal ${what}: pass its name, such as "SIGTERM"`, { cause });
  }
  return cause instanceof TypeError && cause.message.startsWith("Invalid signal")
    ? new ValueError(`Cannot handle signal ${what} as there is none of that name on ${Deno.build.os}`, { cause })
    : new RuntimeError(`Cannot handle signal ${what} as it cannot be caught: handle SIGTERM or SIGINT`, { cause });
}
