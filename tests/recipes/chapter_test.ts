/**
 * The recipes of the chapter. The lines expected are those that the chapter shows, or, where it shows none, those that
 * its programs print on CPython 3.7.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { callMain, linesOf, startRecipe } from "./_helpers.ts";

// -- pooling

Deno.test("pooling prints each item in each mode, in order where there is no pool", async () => {
  const lines = await linesOf("pooling", "--count=100000", "--items=10");
  const modes = ["sequential", "threads", "processes"];
  const titles = ["Sequential", "Thread pool", "Process pool"];
  modes.forEach((mode, i) => {
    const start = lines.indexOf(`${mode}:`);
    const items = lines.slice(start + 1, start + 11);
    if (mode !== "sequential") items.sort((a, b) => Number(a.split(" ")[1]) - Number(b.split(" ")[1]));
    assertEquals(items, [
      "item 1 result 100000",
      "item 2 result 200000",
      "item 3 result 300000",
      "item 4 result 400000",
      "item 5 result 500000",
      "item 6 result 600000",
      "item 7 result 700000",
      "item 8 result 800000",
      "item 9 result 900000",
      "item 10 result 1000000",
    ]);
    assertMatch(lines[start + 11]!, new RegExp(`^${titles[i]} execution in \\d+(\\.\\d+)?(e-\\d+)? seconds$`));
  });
});

Deno.test("pooling with --json prints nothing but JSON", async () => {
  const { code, stdout } = await callMain("pooling", "--json", "--only=threads", "--count=1000", "--items=2");
  assertEquals(code, 0);
  const { modes, runs: [run] } = JSON.parse(stdout);
  assertEquals(modes, ["threads"]);
  assertEquals(run.mode, "threads");
  assertEquals(new Set(run.results.map((r: { result: number }) => r.result)), new Set([1000, 2000]));
});

// -- event_loop

Deno.test("event_loop calls the three functions for nine seconds", async () => {
  assertEquals(await linesOf("event_loop", "--virtual"), [
    "function_1 called",
    "function_2 called",
    "function_3 called",
    "function_1 called",
    "function_2 called",
    "function_3 called",
    "function_1 called",
    "function_2 called",
    "function_3 called",
  ]);
});

Deno.test("event_loop ends when the next call would be at the end or after it", async () => {
  assertEquals(await linesOf("event_loop", "--virtual", "--seconds=1"), ["function_1 called"]);
  assertEquals(await linesOf("event_loop", "--virtual", "--seconds=2"), ["function_1 called", "function_2 called"]);
});

Deno.test("event_loop prints the same on the real clock, a second between each", async () => {
  const start = performance.now();
  assertEquals(await linesOf("event_loop", "--seconds=2"), ["function_1 called", "function_2 called"]);
  assert(performance.now() - start > 990, "no second has gone by");
});

// -- state_machine

/** The path that the chapter shows: 1001101000111. */
const CHAPTER_SEED = "--seed=2448";

Deno.test("state_machine prints the chapter's very lines for its path", async () => {
  const lines = await linesOf("state_machine", "--virtual", CHAPTER_SEED);
  assertEquals(lines.slice(0, lines.indexOf("")), [
    "Finite State Machine simulation with Asyncio Coroutine",
    "Start State called",
    ...Array(12).fill("...Evaluating..."),
    "...Stop Computation...",
    "Resume of the Transition :",
    "Start State calling State 1 with transition value = 1",
    "State 1 calling State 3 with transition value = 0",
    "State 3 calling State 1 with transition value = 0",
    "State 1 calling State 2 with transition value = 1",
    "State 2 calling State 3 with transition value = 1",
    "State 3 calling State 1 with transition value = 0",
    "State 1 calling State 2 with transition value = 1",
    "State 2 calling State 1 with transition value = 0",
    "State 1 calling State 3 with transition value = 0",
    "State 3 calling State 1 with transition value = 0",
    "State 1 calling State 2 with transition value = 1",
    "State 2 calling State 3 with transition value = 1",
    "State 3 calling End State with transition value = 1",
  ]);
});

Deno.test("state_machine draws the automaton and the path as text", async () => {
  const lines = await linesOf("state_machine", "--virtual", CHAPTER_SEED);
  const picture = lines.slice(lines.indexOf("The automaton:") + 1, lines.indexOf("The path taken:")).join("\n");
  for (const state of ["Start", "State 1", "State 2", "State 3", "End"]) assertStringIncludes(picture, ` ${state} `);
  assertEquals(lines.slice(lines.indexOf("The path taken:") + 1), [
    "  Start ─1→ State 1 ─0→ State 3 ─0→ State 1 ─1→ State 2 ─1→ State 3 ─0→ State 1",
    "    ─1→ State 2 ─0→ State 1 ─0→ State 3 ─0→ State 1 ─1→ State 2 ─1→ State 3",
    "    ─1→ End",
  ]);
});

Deno.test("state_machine goes by its table of transitions, whatever the seed", async () => {
  const table: Record<string, readonly [string, string]> = {
    "Start State": ["State 2", "State 1"],
    "State 1": ["State 3", "State 2"],
    "State 2": ["State 1", "State 3"],
    "State 3": ["State 1", "End State"],
  };
  const seen = new Set<string>();
  for (let seed = 0; seed < 30; seed++) {
    const lines = await linesOf("state_machine", "--virtual", `--seed=${seed}`);
    const trace = lines.slice(lines.indexOf("Resume of the Transition :") + 1, lines.indexOf(""));
    let state = "Start State";
    for (const line of trace) {
      const [, from, to, value] = line.match(/^(.+) calling (.+) with transition value = ([01])$/)!;
      assertEquals([from, to], [state, table[state]![Number(value)]]);
      seen.add(`${from} ${value}`);
      state = to!;
    }
    assertEquals(state, "End State");
    // Each state between the start and the end evaluates once.
    assertEquals(lines.filter((line) => line === "...Evaluating...").length, trace.length - 1);
  }
  assertEquals(seen.size, 8);
});

Deno.test("state_machine repeats itself for a seed, and only then", async () => {
  const runs = [];
  for (const seed of [1, 1, 2, 3, 4]) runs.push((await linesOf("state_machine", "--virtual", `--seed=${seed}`)).join());
  assertEquals(runs[0], runs[1]);
  assertEquals(new Set(runs).size > 1, true);
});

Deno.test("state_machine with --svg writes a picture that needs --allow-write of that file only", async () => {
  const file = await Deno.makeTempFile({ suffix: ".svg" });
  try {
    const { code, stderr } = await startRecipe("state_machine", ["--virtual", CHAPTER_SEED, `--svg=${file}`], [
      `--allow-write=${file}`,
    ]).ended();
    assertEquals([code, stderr], [0, ""]);
    const svg = await Deno.readTextFile(file);
    assertWellFormed(svg);
    assertEquals(svg.match(/NaN|Infinity|undefined/), null);
    assertStringIncludes(svg, "@media (prefers-color-scheme: dark)");
    for (const state of ["Start", "State 1", "State 2", "State 3", "End"]) {
      assertStringIncludes(svg, `>${state}</text>`);
    }
    // The path goes over seven of the eight arrows: not over the one from Start to State 2.
    assertEquals(svg.match(/<path class="arrow( taken)?" d="M\S+ \S+ Q/g)?.length, 8);
    assertEquals(svg.match(/<path class="arrow taken" d="M\S+ \S+ Q/g)?.length, 7);
    // Step by step: 14 states with 13 arrows between them.
    assertEquals(svg.match(/<rect class="step"/g)?.length, 14);
    assertEquals(svg.match(/<path class="arrow taken" d="M\S+ \S+h/g)?.length, 13);
    // State 3 to State 1 is gone over thrice.
    assertEquals(svg.match(/\(\d×\)/g)?.sort(), ["(2×)", "(2×)", "(3×)", "(3×)"]);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("state_machine with --svg says in one line what keeps it from writing", async () => {
  const refused = await startRecipe("state_machine", ["--virtual", "--svg=automaton.svg"]).ended();
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertEquals(refused.stderr, "Cannot write automaton.svg: run this with --allow-write=automaton.svg\n");

  const { code, stderr } = await callMain("state_machine", "--virtual", "--svg=/no/such/folder/automaton.svg");
  assertEquals(code, 1);
  assertMatch(stderr, /^Cannot write \/no\/such\/folder\/automaton\.svg: .*\n$/);
});

/** Fails unless each tag is closed in its place. */
function assertWellFormed(xml: string): void {
  const open: string[] = [];
  for (const [, closing, name, empty] of xml.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
    if (closing) assertEquals(open.pop(), name);
    else if (!empty) open.push(name!);
  }
  assertEquals(open, []);
  assertEquals(/&(?!amp;|lt;)/.test(xml), false);
}

// -- tasks

Deno.test("tasks takes turns, and ends with the chapter's results", async () => {
  assertEquals(await linesOf("tasks", "--virtual"), [
    "Asyncio.Task: Compute factorial(2)",
    "Asyncio.Task: Compute fibonacci (0)",
    "Asyncio.Task: Compute binomialCoeff (1)",
    "Asyncio.Task: Compute factorial(3)",
    "Asyncio.Task: Compute fibonacci (1)",
    "Asyncio.Task: Compute binomialCoeff (2)",
    "Asyncio.Task: Compute factorial(4)",
    "Asyncio.Task: Compute fibonacci (2)",
    "Asyncio.Task: Compute binomialCoeff (3)",
    "Asyncio.Task: Compute factorial(5)",
    "Asyncio.Task: Compute fibonacci (3)",
    "Asyncio.Task: Compute binomialCoeff (4)",
    "Asyncio.Task: Compute factorial(6)",
    "Asyncio.Task: Compute fibonacci (4)",
    "Asyncio.Task: Compute binomialCoeff (5)",
    "Asyncio.Task: Compute factorial(7)",
    "Asyncio.Task: Compute fibonacci (5)",
    "Asyncio.Task: Compute binomialCoeff (6)",
    "Asyncio.Task: Compute factorial(8)",
    "Asyncio.Task: Compute fibonacci (6)",
    "Asyncio.Task: Compute binomialCoeff (7)",
    "Asyncio.Task: Compute factorial(9)",
    "Asyncio.Task: Compute fibonacci (7)",
    "Asyncio.Task: Compute binomialCoeff (8)",
    "Asyncio.Task: Compute factorial(10)",
    "Asyncio.Task: Compute fibonacci (8)",
    "Asyncio.Task: Compute binomialCoeff (9)",
    "Asyncio.Task - factorial(10) = 3628800",
    "Asyncio.Task: Compute fibonacci (9)",
    "Asyncio.Task: Compute binomialCoeff (10)",
    "Asyncio.Task - fibonacci(10) = 55",
    "Asyncio.Task - binomialCoeff(20 , 10) = 184756",
  ]);
});

Deno.test("tasks is exact beyond 2^53", async () => {
  const lines = await linesOf("tasks", "--virtual", "--number=100", "--n=100", "--k=50");
  // From math.factorial, math.comb and the recursion of CPython.
  assert(lines.includes("Asyncio.Task - fibonacci(100) = 354224848179261915075"));
  assert(lines.includes("Asyncio.Task - binomialCoeff(100 , 50) = 100891344545564193334812497256"));
  const factorial = lines.find((line) => line.startsWith("Asyncio.Task - factorial(100) = 9332621544394415"));
  assertEquals(factorial?.split(" = ")[1]?.length, 158);
});

Deno.test("tasks with nothing to compute prints the results", async () => {
  assertEquals(await linesOf("tasks", "--number=0", "--n=3", "--k=0"), [
    "Asyncio.Task - factorial(0) = 1",
    "Asyncio.Task - fibonacci(0) = 0",
    "Asyncio.Task - binomialCoeff(3 , 0) = 1",
  ]);
});

// -- futures

Deno.test("futures prints the factorial after three seconds and the sum after four", async () => {
  assertEquals(await linesOf("futures", "--virtual", "5", "5"), [
    "second coroutine (factorial) result = 120",
    "first coroutine (sum of N integers) result = 15",
  ]);
  assertEquals(await linesOf("futures", "--virtual", "1", "10"), [
    "second coroutine (factorial) result = 3628800",
    "first coroutine (sum of N integers) result = 1",
  ]);
});

Deno.test("futures with --swap turns the order round", async () => {
  const cases = [["1", "1", 1, 1], ["2", "2", 3, 2], ["3", "3", 6, 6], ["5", "5", 15, 120]] as const;
  for (const [n1, n2, sum, factorial] of cases) {
    assertEquals(await linesOf("futures", "--virtual", "--swap", n1, n2), [
      `first coroutine (sum of N integers) result = ${sum}`,
      `second coroutine (factorial) result = ${factorial}`,
    ]);
  }
});

Deno.test("futures takes 0, and is exact beyond 2^53", async () => {
  assertEquals(await linesOf("futures", "--virtual", "0", "0"), [
    "second coroutine (factorial) result = 1",
    "first coroutine (sum of N integers) result = 0",
  ]);
  // 9007199254740993 is 2^53 + 1; the values are CPython's.
  assertEquals(
    await linesOf("futures", "--virtual", "9007199254740993", "25"),
    [
      "second coroutine (factorial) result = 15511210043330985984000000",
      "first coroutine (sum of N integers) result = 40564819207303358354693184",
    ].map((line, i) => i === 0 ? line : line.replace(/\d+$/, String(9007199254740993n * 9007199254740994n / 2n))),
  );
});
