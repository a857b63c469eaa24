/**
 * The recipes of the introductions. The lines expected are those that their programs print on CPython 3.9.
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { callMain, linesOf } from "./_helpers.ts";

/** The lines behind `title`, as far as the next line that ends with a colon. */
function section(lines: readonly string[], title: string): string[] {
  const start = lines.indexOf(title) + 1;
  assert(start > 0, `there is no line "${title}"`);
  const end = lines.findIndex((line, i) => i >= start && line.endsWith(":"));
  return lines.slice(start, end === -1 ? undefined : end);
}

// -- executor_api

const MAPPED_POWERS = "1.0000000000000002e-10, 1.3292279957849161e+26, 1.797010299914431e+47";

/** What both pools print after the mapped results. What ends first depends on how busy the machine is. */
function assertWaits(lines: readonly string[]): void {
  assertMatch(lines[0]!, /^FIRST_COMPLETED: [1-3] done, [0-2] not done$/);
  assertMatch(lines[1]!, /^FIRST_EXCEPTION: [1-3] done, [0-2] not done$/);
  assertEquals(lines[2], "ALL_COMPLETED: 3 done, 0 not done");
  assertEquals(lines.slice(3).sort(), ["From futures:  100", "From futures:  400", "From futures:  900"]);
}

Deno.test("executor_api prints the cheat sheet's results on both pools", async () => {
  const lines = await linesOf("executor_api", "--unit=3");
  const threads = section(lines, "Thread pool:");
  assertEquals(threads.slice(0, 4), [
    "From future 1:  100",
    "From future 2:  400",
    "From callback of future 3:  900",
    "Mapped results:  [1, 4, 9, 1, 4, 9, 1, 4, 9]",
  ]);
  assertWaits(threads.slice(4));
  const processes = section(lines, "Process pool:");
  assertEquals(processes.slice(0, 4), [
    "From future 1:  1e+110",
    "From future 2:  1.329227995784916e+146",
    "From callback of future 3:  1.7970102999144312e+167",
    `Mapped results:  [${Array(10).fill(MAPPED_POWERS).join(", ")}]`,
  ]);
  assertWaits(processes.slice(4));
});

// -- context_switch

Deno.test("context_switch prints the lines of the introduction", async () => {
  const lines = await linesOf("context_switch", "--virtual");
  assertEquals(lines.slice(0, 21), [
    "Running in foo",
    "Explicit context to bar",
    "Explicit context switch to foo again",
    "Implicit context switch back to bar",
    "gr1 started work: at 0.0 seconds",
    "gr2 started work: at 0.0 seconds",
    "Let's do some stuff while the coroutines are blocked, at 0.0 seconds",
    "Done!",
    "gr1 ended work: at 2.0 seconds",
    "gr2 Ended work: at 2.0 seconds",
    "Synchronous:",
    "Task 1 done",
    "Task 2 done",
    "Task 3 done",
    "Task 4 done",
    "Task 5 done",
    "Task 6 done",
    "Task 7 done",
    "Task 8 done",
    "Task 9 done",
    "Asynchronous:",
  ]);
  assertEquals(lines.slice(21).sort(), section(lines, "Synchronous:"));
});

Deno.test("context_switch mixes the tasks up where they are asynchronous, the same way for a seed", async () => {
  const first = await linesOf("context_switch", "--virtual", "--seed=3", "--tasks=10");
  assertEquals(section(first, "Asynchronous:").length, 10);
  assertNotEquals(section(first, "Asynchronous:"), section(first, "Synchronous:"));
  assertEquals(await linesOf("context_switch", "--virtual", "--seed=3", "--tasks=10"), first);
  assertNotEquals(await linesOf("context_switch", "--virtual", "--seed=4", "--tasks=10"), first);
});

// -- as_completed

interface Fetches {
  readonly delays: ReadonlyMap<number, number>;
  readonly results: readonly { readonly mark: string; readonly pid: number; readonly took: string }[];
  readonly total: string;
}

function parseFetches(lines: readonly string[]): Fetches {
  const started = lines.filter((line) => line.startsWith("Fetch async"));
  assertEquals(lines.slice(0, started.length), started);
  const delays = new Map(started.map((line) => {
    const [, pid, delay] = line.match(/^Fetch async process (\d+) started, sleeping for ([2-5]) seconds$/)!;
    return [Number(pid), Number(delay)];
  }));
  const results = lines.slice(started.length, -1).map((line) => {
    const [, mark, pid, took] = line.match(
      /^((?:>>)+) Process (\d+): \w{3}, \d{2} \w{3} \d{4} [\d:]{8} GMT, took: (\d+\.\d\d) seconds$/,
    )!;
    return { mark: mark!, pid: Number(pid), took: took! };
  });
  return { delays, results, total: lines.at(-1)!.match(/^Process took: (\d+\.\d\d) seconds$/)![1]! };
}

Deno.test("as_completed prints the results in the order in which they come, with the times they took", async () => {
  for (const seed of [1, 2, 3, 4]) {
    const { delays, results, total } = parseFetches(await linesOf("as_completed", "--virtual", `--seed=${seed}`));
    assertEquals([...delays.keys()], [1, 2, 3]);
    assertEquals(results.map(({ mark }) => mark), [">>", ">>>>", ">>>>>>"]);
    assertEquals(results.map(({ pid }) => pid).sort(), [1, 2, 3]);
    const inOrder = [...delays.values()].sort();
    assertEquals(results.map(({ pid }) => delays.get(pid)), inOrder);
    // On the virtual clock a request takes no time.
    assertEquals(results.map(({ took }) => took), inOrder.map((delay) => `${delay}.00`));
    assertEquals(total, `${inOrder.at(-1)}.00`);
  }
});

Deno.test("as_completed draws the same delays for a seed", async () => {
  const delaysOf = async (seed: number) =>
    parseFetches(await linesOf("as_completed", "--virtual", "--clients=8", `--seed=${seed}`)).delays;
  assertEquals(await delaysOf(1), await delaysOf(1));
  assertNotEquals(await delaysOf(1), await delaysOf(2));
});

Deno.test("as_completed with --url asks that server, and starts none", async () => {
  const paths: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    paths.push(new URL(request.url).pathname);
    return new Response("body");
  });
  const url = `http://127.0.0.1:${server.addr.port}/events`;
  const { results } = parseFetches(await linesOf("as_completed", "--virtual", "--clients=2", `--url=${url}`));
  assertEquals(results.length, 2);
  assertEquals(paths, ["/events", "/events"]);
});

Deno.test("as_completed prints why there is no answer in place of the answer", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}/`;
  listener.close();
  const lines = await linesOf("as_completed", "--virtual", "--clients=1", `--url=${url}`);
  assertMatch(lines[1]!, /^>> Process 1: fetch failed, took: [2-5]\.00 seconds$/);
});

// -- first_completed

Deno.test("first_completed takes the first answer, and cancels the other service, which says so", async () => {
  const winners = new Set<string>();
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const lines = await linesOf("first_completed", "--virtual", `--seed=${seed}`);
    assertEquals(lines.slice(0, 2), ["Fetching IP from ipify", "Fetching IP from ip-api"]);
    const [, winner] = lines[2]!.match(
      /^(ipify|ip-api) finished with result: 127\.0\.0\.1, took: 0\.[5-9]\d seconds$/,
    )!;
    assertEquals(lines[3], `${winner === "ipify" ? "ip-api" : "ipify"} was cancelled`);
    winners.add(winner!);
    assertEquals(await linesOf("first_completed", "--virtual", `--seed=${seed}`), lines);
  }
  assertEquals(winners, new Set(["ipify", "ip-api"]));
});

Deno.test("first_completed shows the four states of a future", async () => {
  assertEquals(section(await linesOf("first_completed", "--virtual"), "Future states:"), [
    "Pending   running=false done=false cancelled=false <Future pending>",
    "Running   running=true done=false cancelled=false <Future running>",
    'Done      running=false done=true cancelled=false <Future finished returned "answer">',
    "Cancelled running=false done=true cancelled=true <Future cancelled>",
  ]);
});

// -- event_loop_api

const FOO_AND_BAR = ["Running foo", "Running bar", "Running foo again", "Running bar again"];

Deno.test("event_loop_api prints the lines of the introduction", async () => {
  const lines = await linesOf("event_loop_api", "--virtual");
  assertEquals(section(lines, "Gathering results:"), [...FOO_AND_BAR, "[1, 2]"]);
  assertEquals(section(lines, "Waiting for tasks:"), [
    ...FOO_AND_BAR,
    "TASKS DONE :  {<Task finished name='foo' coro=foo() result=1>, <Task finished name='bar' coro=bar() result=2>}",
    "TASKS PENDING :  set()",
  ]);
  assertEquals(section(lines, "Running forever:"), [...FOO_AND_BAR, "Stopped after 3 seconds"]);
  assertEquals(section(lines, "Future callbacks:"), ["Running foo", "Running foo again", "RESULT OF TASK:  1"]);
  assertEquals(section(lines, "Futures:"), [
    "done=false cancelled=false <Future pending>",
    'done=true cancelled=false <Future finished result="Future is done!">',
    "done=true cancelled=true <Future cancelled>",
  ]);
});

Deno.test("event_loop_api leaves no loop behind", async () => {
  const { getEventLoop } = await import("../../lib/asyncio/mod.ts");
  const before = getEventLoop();
  await callMain("event_loop_api", "--virtual");
  assertStringIncludes(String(before), "running=false closed=false");
  assertEquals(getEventLoop(), before);
});
