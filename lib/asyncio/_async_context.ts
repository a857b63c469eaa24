import { AsyncLocalStorage } from "node:async_hooks";

/** A value that follows code through its awaits. */
export interface AsyncContext<T> {
  /** Calls `fn`, which has `value` from now on. */
  run<A extends unknown[], R>(value: T, fn: (...args: A) => R, ...args: A): R;
  /** What calls functions that have `value`, and nothing of the context that they are called in. */
  alone(value: T): (fn: () => void) => void;
  /** The value of the code that runs. */
  get(): T | undefined;
}

/** What Deno's `AsyncLocalStorage` is made of: an object that V8 hands on from a promise to its reactions. */
interface Core {
  getAsyncContext(): object | null | undefined;
  setAsyncContext(context: object | null | undefined): void;
}

/**
 * An `AsyncLocalStorage`, whose every `run` makes a dictionary and an entry of a weak map: for each call of an async
 * function in a task, that was half of all its time. Where Deno lets us, values go into its contexts directly.
 */
export function asyncContext<T>(core: Core | undefined = coreOfDeno()): AsyncContext<T> {
  return core !== undefined && isAsExpected(core) ? direct(core) : indirect();
}

function direct<T>({ getAsyncContext, setAsyncContext }: Core): AsyncContext<T> {
  // A context is an object of the values in it, those of Deno by number. What is added makes a copy of it.
  const key = Symbol("skein");
  class Mapping {
    readonly [key]: T;

    constructor(value: T) {
      this[key] = value;
    }
  }
  const runIn = <A extends unknown[], R>(context: object, fn: (...args: A) => R, ...args: A): R => {
    const before = getAsyncContext();
    setAsyncContext(context);
    try {
      return fn(...args);
    } finally {
      setAsyncContext(before);
    }
  };
  return {
    run(value, fn, ...args) {
      const before = getAsyncContext();
      const nothingElse = before === undefined || before === null || before.constructor === Mapping;
      return runIn(nothingElse ? new Mapping(value) : { __proto__: null, ...before, [key]: value }, fn, ...args);
    },
    alone(value) {
      const context = new Mapping(value);
      return (fn) => runIn(context, fn);
    },
    get: () => (getAsyncContext() as Mapping | null | undefined)?.[key],
  };
}

const nowhere = AsyncLocalStorage.snapshot();

function indirect<T>(): AsyncContext<T> {
  const storage = new AsyncLocalStorage<T>();
  return {
    run: (value, fn, ...args) => storage.run(value, fn, ...args),
    alone: (value) => nowhere(() => storage.run(value, () => AsyncLocalStorage.snapshot())),
    get: () => storage.getStore(),
  };
}

function coreOfDeno(): Core | undefined {
  const { internal } = Deno as unknown as { internal?: symbol };
  return internal && (Deno as unknown as Record<symbol, { core?: Core } | undefined>)[internal]?.core;
}

/** Whether an `AsyncLocalStorage` leaves our value where it is, and the other way round. */
function isAsExpected({ getAsyncContext, setAsyncContext }: Core): boolean {
  try {
    const before = getAsyncContext();
    const key = Symbol();
    const context = { [key]: true };
    const storage = new AsyncLocalStorage<number>();
    setAsyncContext(context);
    try {
      return getAsyncContext() === context &&
        storage.run(1, () => storage.getStore() === 1 && (getAsyncContext() as typeof context)[key]) &&
        getAsyncContext() === context;
    } finally {
      setAsyncContext(before);
    }
  } catch {
    return false;
  }
}
