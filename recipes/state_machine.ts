/**
 * Coroutines: a finite state machine, each of whose states is a coroutine that goes on to the next with `yield*`.
 *
 * ```sh
 * deno run jsr:@skein/skein/recipes/state_machine --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/state_machine";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual", "--seed=1"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import { type GeneratorCoroutine, run, sleep } from "../lib/asyncio/mod.ts";
import { AUTOMATON, drawPath, drawSvg, type Step } from "./_automaton.ts";
import { SEED, text, VIRTUAL } from "./_options.ts";
import { makeLoop, makeRandint, RecipeError, runRecipe } from "./_recipe.ts";

/** Tosses a coin: where to go from a state. */
type Toss = () => number;

function* startState(toss: Toss): GeneratorCoroutine<string> {
  console.log("Start State called");
  const input = toss();
  yield* sleep(1000);
  const result = input === 0 ? yield* state2(input, toss) : yield* state1(input, toss);
  return `Start State calling ${result}`;
}

function* state1(value: number, toss: Toss): GeneratorCoroutine<string> {
  const input = yield* evaluate(toss);
  const result = input === 0 ? yield* state3(input, toss) : yield* state2(input, toss);
  return `State 1 with transition value = ${value}\nState 1 calling ${result}`;
}

function* state2(value: number, toss: Toss): GeneratorCoroutine<string> {
  const input = yield* evaluate(toss);
  const result = input === 0 ? yield* state1(input, toss) : yield* state3(input, toss);
  return `State 2 with transition value = ${value}\nState 2 calling ${result}`;
}

function* state3(value: number, toss: Toss): GeneratorCoroutine<string> {
  const input = yield* evaluate(toss);
  const result = input === 0 ? yield* state1(input, toss) : yield* endState(input);
  return `State 3 with transition value = ${value}\nState 3 calling ${result}`;
}

function* endState(value: number): GeneratorCoroutine<string> {
  console.log("...Stop Computation...");
  return `End State with transition value = ${value}`;
}

function* evaluate(toss: Toss): GeneratorCoroutine<number> {
  const input = toss();
  yield* sleep(1000);
  console.log("...Evaluating...");
  return input;
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 1 if the picture cannot be written; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "state_machine",
    about: "A finite state machine that goes from state to state by chance, a second each.",
    permissions: "Needs no permission; with --svg=FILE, --allow-write=FILE.",
    options: {
      seed: SEED,
      svg: text("draw the automaton and the path as SVG", { sign: "FILE", example: "automaton.svg" }),
      virtual: VIRTUAL,
    },
    run: async ({ seed, svg, virtual }) => {
      if (svg !== undefined) await askToWrite(svg);
      const randint = makeRandint(seed);
      console.log(bold("Finite State Machine simulation with Asyncio Coroutine"));
      const trace = await run(startState(() => randint(0, 1)), { loopFactory: () => makeLoop(virtual) });
      console.log(`${bold("Resume of the Transition :")}\n${trace}`);

      const path = pathOf(trace);
      console.log(`\n${bold("The automaton:")}\n${AUTOMATON}\n\n${bold("The path taken:")}\n${drawPath(path)}`);
      if (svg !== undefined) await write(svg, drawSvg(path));
    },
  });
}

/** The steps, out of what the states returned. */
function pathOf(trace: string): Step[] {
  return [...trace.matchAll(/^(.+) calling (.+) with transition value = (\d)$/gm)]
    .map(([, from, to, value]) => ({ from: from!, value: Number(value), to: to! }));
}

/** Before the machine runs, as nobody wants to hear of it after that. */
async function askToWrite(file: string): Promise<void> {
  const { state } = await Deno.permissions.request({ name: "write", path: file });
  if (state !== "granted") throw new RecipeError(`Cannot write ${file}: run this with --allow-write=${file}`);
}

async function write(file: string, picture: string): Promise<void> {
  try {
    await Deno.writeTextFile(file, picture);
  } catch (error) {
    throw new RecipeError(`Cannot write ${file}: ${(error as Error).message}`);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
