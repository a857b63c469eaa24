/**
 * One body for both kinds of coroutine: it yields what it waits for, and what drives it awaits that with `yield*` in a
 * generator or with `await` in an async function.
 * @module
 */

import {
  type Awaitable,
  type Coroutine,
  createTask,
  type EventLoop,
  type Future,
  type GeneratorCoroutine,
  sleep,
  type Task,
  wait,
  type Yieldable,
} from "../../lib/asyncio/mod.ts";
import { loopTest, runProgram } from "./_helpers.ts";

/** A body of either kind. */
export type Steps<T> = Generator<Coroutine<unknown> | Future<unknown>, T, unknown>;

/** The kinds of coroutine. */
export const KINDS = ["generator", "native"] as const;

/** A kind of coroutine. */
export type Kind = typeof KINDS[number];

/** Awaits, in a body. */
export function* on<T>(awaitable: Coroutine<T> | Future<T>): Steps<T> {
  return (yield awaitable) as T;
}

/** Waits, in a body, until all else that can run has run. */
export function* settle(): Steps<void> {
  yield* on(sleep(1));
}

/** Waits, in a body, for tasks to end, however they do. */
export function* ended(...tasks: Task<unknown>[]): Steps<void> {
  if (tasks.length > 0) yield* on(wait(tasks));
}

/** What awaiting throws, in a body. */
export function* thrownBy(awaitable: Coroutine<unknown> | Future<unknown>): Steps<unknown> {
  try {
    yield* on(awaitable);
  } catch (error) {
    return error;
  }
  throw new Error(`${awaitable} threw nothing`);
}

/** A body as a coroutine of a kind. */
export function ofKind<T>(kind: Kind, body: () => Steps<T>): Awaitable<T> {
  return kind === "native" ? () => runNative(body()) : runGenerator(body());
}

/** Makes coroutine functions of bodies. */
export type Maker = <A extends unknown[], T>(
  body: (...args: A) => Steps<T>,
) => (...args: A) => GeneratorCoroutine<T> | Promise<T>;

/** What makes coroutine functions of a kind. */
export function makerOf(kind: Kind): Maker {
  return (body) => (...args) => kind === "native" ? runNative(body(...args)) : runGenerator(body(...args));
}

/** A task of a kind. */
export function taskOf<T>(
  kind: Kind,
  body: () => Steps<T>,
  options?: { name?: string; eagerStart?: boolean },
): Task<T> {
  return createTask(ofKind(kind, body) as PromiseLike<T>, options);
}

/** What a test of both kinds is given. */
export interface KindTools {
  readonly kind: Kind;
  readonly loop: EventLoop;
  /** Makes coroutine functions of the kind. */
  readonly co: Maker;
  /** Makes a task of the kind. */
  task<T>(body: () => Steps<T>, options?: { name?: string; eagerStart?: boolean }): Task<T>;
}

/** A {@linkcode loopTest} for each kind of coroutine. */
export function eachKind(name: string, body: (tools: KindTools) => Steps<unknown>): void {
  for (const kind of KINDS) {
    loopTest(`${name} (${kind})`, (loop) => {
      const tools: KindTools = {
        kind,
        loop,
        co: makerOf(kind),
        task: (steps, options) => taskOf(kind, steps, options),
      };
      return ofKind(kind, () => body(tools));
    });
  }
}

/** What a program warns of that runs `source` with a `loop` in debug mode, once all that it let go of is collected. */
export async function neverAwaited(source: string): Promise<string[]> {
  const { code, stdout, stderr } = await runProgram(
    `
    const loop = new asyncio.EventLoop({ debug: true });
    const collected = Promise.withResolvers();
    const registry = new FinalizationRegistry(() => collected.resolve());
    console.warn = (message) => console.log(message);
    await (async () => {
      ${source}
      registry.register({}, "last");
    })();
    const tries = setInterval(gc, 1);
    await collected.promise;
    // Once more, for what was held when the last one was collected.
    await new Promise((resolve) => setTimeout(resolve, 5));
    clearInterval(tries);
  `,
    ["--v8-flags=--expose-gc"],
  );
  if (code !== 0 || stderr !== "") throw new Error(`The program failed with ${code}: ${stderr}`);
  return stdout.split("\n").slice(0, -1);
}

function* runGenerator<T>(steps: Steps<T>): GeneratorCoroutine<T> {
  let step = steps.next();
  while (!step.done) {
    let value: unknown;
    try {
      value = yield* step.value as Yieldable<unknown>;
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(value);
  }
  return step.value;
}

async function runNative<T>(steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (!step.done) {
    let value: unknown;
    try {
      value = await step.value;
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(value);
  }
  return step.value;
}
