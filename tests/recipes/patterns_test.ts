/**
 * The recipes of patterns: what a seed, a made-up site and a made-up program have to give.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertGone, childrenOf, linesOf, startRecipe } from "./_helpers.ts";

// -- worker_queue

Deno.test("worker_queue holds the producers back while the queue is full, and sends the workers home", async () => {
  // The seed gives jobs of 700, 300, 600 and 900 ms.
  const lines = await linesOf("worker_queue", "--virtual", "--seed=1", "--workers=1", "--jobs=4", "--maxsize=1");
  assertEquals(lines, [
    "  0.1 s  odd jobs   has put job 1, fill 1",
    "  0.1 s  even jobs  waits for room for job 2",
    "  0.1 s  worker 1   begins job 1",
    "  0.1 s  even jobs  has put job 2, fill 1",
    "  0.2 s  odd jobs   waits for room for job 3",
    "  0.2 s  even jobs  waits for room for job 4",
    "  0.8 s  worker 1   has done job 1",
    "  0.8 s  worker 1   begins job 2",
    "  0.8 s  odd jobs   has put job 3, fill 1",
    "  1.1 s  worker 1   has done job 2",
    "  1.1 s  worker 1   begins job 3",
    "  1.1 s  even jobs  has put job 4, fill 1",
    "  1.7 s  worker 1   has done job 3",
    "  1.7 s  worker 1   begins job 4",
    "  2.6 s  worker 1   has done job 4",
    "  2.6 s  worker 1   goes home",
    "Highest fill: 1 of 1; 3 jobs had to wait for room",
  ]);
});

Deno.test("worker_queue puts each job and does each job once, within its bounds, whatever the seed", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const [workers, jobs, maxsize] = [1 + seed % 5, 3 * seed, 1 + seed % 7];
    const options = [`--workers=${workers}`, `--jobs=${jobs}`, `--maxsize=${maxsize}`];
    const lines = await linesOf("worker_queue", "--virtual", `--seed=${seed}`, ...options);
    const [, highest, size, heldBack] = lines.pop()!.match(
      /^Highest fill: (\d+) of (\d+); (\d+) jobs had to wait for room$/,
    )!.map(Number);
    const steps = lines.map((line) => {
      const [, time, who, what, job] = line.match(/^ *([\d.]+) s {2}(\S+ \S+) +(.+?)(?: job (\d+).*)?$/)!;
      return { time: Number(time), who: who!, what: what!, job: Number(job) };
    });
    const numbers = Array.from({ length: jobs }, (_, i) => i + 1);
    for (const what of ["has put", "begins", "has done"]) {
      const done = steps.filter((step) => step.what === what).map(({ job }) => job);
      assertEquals(done.toSorted((a, b) => a - b), numbers, what);
    }
    assertEquals(size, maxsize);
    assert(highest! <= maxsize, `a fill of ${highest}`);
    assertEquals(heldBack, steps.filter(({ what }) => what === "waits for room for").length);
    assertEquals(steps.map(({ time }) => time), steps.map(({ time }) => time).toSorted((a, b) => a - b));
    for (let i = 1; i <= workers; i++) {
      const mine = steps.filter(({ who }) => who === `worker ${i}`);
      const home = mine.pop()!;
      assertEquals(home.what, "goes home");
      assertEquals(mine.map(({ what }) => what), mine.map((_, k) => k % 2 === 0 ? "begins" : "has done"));
      assertEquals(home.time, steps.at(-1)!.time);
    }
  }
});

Deno.test("worker_queue holds nobody back where there is room for all jobs", async () => {
  const lines = await linesOf("worker_queue", "--virtual", "--workers=1", "--jobs=20", "--maxsize=20");
  assertMatch(lines.at(-1)!, /^Highest fill: \d+ of 20; 0 jobs had to wait for room$/);
  assertEquals(await linesOf("worker_queue", "--virtual", "--workers=1", "--jobs=0"), [
    "  0.0 s  worker 1   goes home",
    "Highest fill: 0 of 2; 0 jobs had to wait for room",
  ]);
});

// -- crawler

/**
 * Calls `body` with a `fetch` that counts, and gives the highest number of requests that were open at a time. One that
 * is called off is over when its signal says so: what it rejects with comes later.
 */
async function mostRequests(body: () => Promise<void>): Promise<number> {
  const { fetch } = globalThis;
  const open = new Set<AbortSignal>();
  let most = 0;
  globalThis.fetch = async (input, init) => {
    const signal = init!.signal!;
    const close = () => open.delete(signal);
    signal.addEventListener("abort", close);
    open.add(signal);
    most = Math.max(most, open.size);
    const response = await fetch(input, init);
    const text = response.text.bind(response);
    response.text = () => text().finally(close);
    return response;
  };
  try {
    await body();
  } finally {
    globalThis.fetch = fetch;
  }
  assertEquals(open.size, 0);
  return most;
}

for (const limit of [1, 3]) {
  Deno.test(`crawler visits each page once, ${limit} at a time, and hangs up on what does not answer`, async () => {
    const most = await mostRequests(async () => {
      const lines = await linesOf("crawler", "--pages=6", `--limit=${limit}`);
      const visited = lines.slice(0, -4);
      const expected = [
        "200        /",
        "200        /page1",
        "200        /page2",
        "200        /slow",
        "timed out  /hangs",
        "404        /missing",
        "200        /page3",
        "200        /page4",
        "200        /page5",
      ];
      // One after the other, they come in the order in which they are found.
      if (limit === 1) assertEquals(visited, expected);
      else assertEquals(visited.toSorted(), expected.toSorted());
      assertEquals(lines.slice(-4), [
        "9 pages visited",
        "Broken links: /missing",
        "Timed out: /hangs",
        "Called off, says the server: /hangs",
      ]);
    });
    assertEquals(most, limit);
  });
}

// -- tail

Deno.test("tail prints each line, and ends a program that falls silent", async () => {
  const { child, printed, ended } = startRecipe("tail", ["--lines=3", "--pause=0"]);
  await printed("line 3 of 3");
  const [pid, ...others] = await childrenOf(child.pid);
  assertEquals(others, []);
  const { code, stdout, stderr } = await ended();
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n"), [
    "line 1 of 3",
    "line 2 of 3",
    "line 3 of 3",
    "Silent for 2000 ms: terminating it",
    "Return code: -15",
    "",
  ]);
  await assertGone(pid!);
});

Deno.test("tail tells when the program ends by itself", async () => {
  const { child, printed, ended } = startRecipe("tail", ["--lines=1", "--timeout=60000"]);
  await printed("line 1 of 1");
  const [pid] = await childrenOf(child.pid);
  Deno.kill(pid!, "SIGKILL");
  const { code, stdout, stderr } = await ended();
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "line 1 of 1\nIt has closed its output\nReturn code: -9\n");
  await assertGone(pid!);
});

Deno.test("tail ends a program that never prints", async () => {
  assertEquals(await linesOf("tail", "--lines=0", "--timeout=1"), [
    "Silent for 1 ms: terminating it",
    "Return code: -15",
  ]);
});
