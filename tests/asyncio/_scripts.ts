/**
 * One suite for both kinds of coroutine: a test body yields what it awaits, and is made a generator coroutine or an
 * async function of.
 * @module
 */

import type { EventLoop, GeneratorCoroutine, Yieldable } from "../../lib/asyncio/mod.ts";
import { loopTest } from "./_helpers.ts";

/** Yields what it awaits, and is given the results. */
// deno-lint-ignore no-explicit-any -- each yield gives another type
export type Script<T> = Generator<PromiseLike<unknown>, T, any>;

/** Makes a coroutine function of a script. */
export type Kind = <A extends unknown[], T>(
  script: (...args: A) => Script<T>,
) => (...args: A) => GeneratorCoroutine<T> | Promise<T>;

const asGenerator: Kind = <A extends unknown[], T>(script: (...args: A) => Script<T>) =>
  function* (...args: A): GeneratorCoroutine<T> {
    const steps = script(...args);
    let step = steps.next();
    while (!step.done) {
      let value: unknown;
      try {
        value = yield* step.value as unknown as Yieldable<unknown>;
      } catch (error) {
        step = steps.throw(error);
        continue;
      }
      step = steps.next(value);
    }
    return step.value;
  };

const asNative: Kind = (script) => async (...args) => {
  const steps = script(...args);
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
};

/** Both kinds, by name. */
export const kinds: readonly (readonly [string, Kind])[] = [["generator", asGenerator], ["native", asNative]];

/** A test on a virtual clock for each kind. */
export function kindTest(name: string, script: (co: Kind, loop: EventLoop) => Script<unknown>): void {
  for (const [kind, co] of kinds) loopTest(`${name} (${kind})`, (loop) => co(() => script(co, loop))());
}
