import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { LONG, runScript, startScript } from "./_helpers.ts";

/** Waits until a process that is no child of this program is gone. There is no event for that, so it is asked for. */
async function assertEnds(pid: number, within = 10_000): Promise<void> {
  const end = performance.now() + within;
  while (true) {
    const { success } = await new Deno.Command("sh", { args: ["-c", `kill -0 ${pid}`], stdout: "null", stderr: "null" })
      .output();
    if (success) {
      // A zombie that nobody reaps is dead as well.
      const state = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
      if (/\) Z /.test(state)) return;
    } else return;
    assert(performance.now() < end, `the process ${pid} lives on`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function pidsIn(text: string): number[] {
  return [...text.matchAll(/^pid (\d+)$/gm)].map((match) => Number(match[1]));
}

for (const kind of ["thread", "process"]) {
  const name = kind === "thread" ? "ThreadPoolExecutor" : "ProcessPoolExecutor";
  const script = (mode: string) => runScript("lifetime.ts", [kind, mode]);

  Deno.test(`${name}() that is never shut down lets the program end by itself`, async () => {
    const { code, signal, stdout, stderr } = await script("forgotten");
    assertEquals([code, signal, stderr], [0, null, ""]);
    assertStringIncludes(stdout, "1\n[ 1, 4, 9 ]\n");
    for (const pid of pidsIn(stdout)) await assertEnds(pid);
  });

  Deno.test(`${name}() keeps the program alive until its work is done, though nobody waits`, async () => {
    const { code, signal, stdout } = await script("unawaited");
    assertEquals([code, signal, stdout], [0, null, "done\ndone\ndone\ndone\n"]);
  });

  Deno.test(`${name}.shutdown() with wait: false finishes the work before the program ends`, async () => {
    const { code, signal, stdout, stderr } = await script("no wait");
    assertEquals([code, signal, stdout, stderr], [0, null, "finished\n", ""]);
  });

  Deno.test(`${name}() that is never used lets the program end`, async () => {
    const { code, signal } = await script("unused");
    assertEquals([code, signal], [0, null]);
  });

  Deno.test(`${name}() with a startTimeout lets the program end while a worker starts that nobody needs`, async () => {
    const { code, signal } = await script("start time");
    assertEquals([code, signal], [0, null]);
  });

  Deno.test(`${name}.stream() that waits for its reader does not keep the program alive`, async () => {
    const { code, signal, stdout } = await script("stream nobody reads on");
    assertEquals([code, signal, stdout], [0, null, "0\n"]);
  });

  Deno.test(`${name}.stream() that waits for its reader goes on when that comes back`, async () => {
    const { code, signal, stdout } = await script("stream read late");
    assertEquals([code, signal, stdout], [0, null, "0\n[ 1, 2, 3, 4 ]\n"]);
  });

  Deno.test(`${name}.submitWith() that gave up a loop without end lets the program end`, async () => {
    const { code, signal, stdout } = await script("given up");
    assertEquals([code, signal, stdout], [0, null, "TimeoutError\n2\n"]);
  });

  Deno.test(`${name}.submitWith() that gave up a loop while others were pending lets the program end`, async () => {
    const { code, signal, stdout } = await script("given up beside others");
    assertEquals([code, signal, stdout], [0, null, "TimeoutError\n2\n"]);
  });

  Deno.test(`${name}.submitWith() that was aborted lets the program end before its timeout`, async () => {
    const { code, signal, stdout } = await script("aborted, long limit");
    assertEquals([code, signal, stdout], [0, null, "AbortError\n"]);
  });

  Deno.test(`${name}.shutdown() after a loop without end was given up resolves, and the program ends`, async () => {
    const { code, signal, stdout } = await script("given up, shut down");
    assertEquals([code, signal, stdout], [0, null, "TimeoutError\ndown\n"]);
  });

  Deno.test(`${name}() that is broken lets the program end`, async () => {
    const { code, signal, stdout } = await script("broken");
    assertEquals([code, signal], [0, null]);
    assertStringIncludes(stdout, "PoolError\n");
  });

  Deno.test(`${name}() with initargs that cannot be cloned lets the program end`, async () => {
    const { signal } = await script("initargs");
    assertEquals(signal, null);
  });

  Deno.test(`${name}() does not hold up a program that throws`, async () => {
    const { code, signal, stderr } = await script("throws");
    assertEquals([code, signal], [1, null]);
    assertStringIncludes(stderr, "the program's own");
  });

  Deno.test(`${name}() does not hold up a program that exits`, async () => {
    const { code, signal } = await script("exits");
    assertEquals([code, signal], [7, null]);
  });

  Deno.test(`${name}() with await using lets the program end`, async () => {
    const { code, signal, stdout, stderr } = await script("await using");
    assertEquals([code, signal, stdout, stderr], [0, null, "1\n", ""]);
  });
}

Deno.test("ProcessPoolExecutor() does not wait for the programs that a dead task has left behind", async () => {
  const { code, signal, stdout } = await runScript("grandchild.ts");
  const pids = pidsIn(stdout);
  for (const pid of pids) await new Deno.Command("kill", { args: ["-9", `${pid}`], stderr: "null" }).output();
  assertEquals([code, signal], [0, null]);
  assertEquals(stdout.replaceAll(/^pid .*/gm, "pid"), "pid\nWorkerCrashedError\npid\nTimeoutError\n1\ndown\n");
});

Deno.test("ProcessPoolExecutor() goes on when nobody reads what its tasks print", async () => {
  const program = startScript("unread.ts", [], ["--allow-all"]);
  const timer = setTimeout(() => program.kill("SIGKILL"), 20_000);
  let errors = "";
  for await (const text of program.stderr.pipeThrough(new TextDecoderStream())) errors += text;
  assertEquals(errors, "TimeoutError\n1\ndown\n");
  await program.stdout.cancel();
  const { code } = await program.status;
  clearTimeout(timer);
  assertEquals(code, 0);
});

// A busy machine is slower; on an idle one it takes some 20 ms.
const SOON = LONG ? 1000 : 5000;

Deno.test("ThreadPoolExecutor() does not hold up a program that gets SIGINT while its threads are busy", async () => {
  const program = startScript("lifetime.ts", ["thread", "busy"], ["--allow-all"]);
  const reader = program.stdout.getReader();
  await reader.read(); // they say that they run
  const start = performance.now();
  program.kill("SIGINT");
  const { signal } = await program.status;
  assertEquals(signal, "SIGINT");
  assert(performance.now() - start < SOON);
  await reader.cancel();
  await program.stderr.cancel();
});

for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  Deno.test(`ProcessPoolExecutor() leaves no child behind when the program is ended by ${signal}`, async () => {
    const program = startScript("lifetime.ts", ["process", "busy"], ["--allow-all"]);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of program.stdout.values({ preventCancel: true })) {
      text += decoder.decode(chunk, { stream: true });
      if (pidsIn(text).length === 2) break;
    }
    const pids = pidsIn(text);
    assertEquals(pids.length, 2);
    const start = performance.now();
    program.kill(signal);
    await program.status;
    assert(performance.now() - start < SOON);
    for (const pid of pids) await assertEnds(pid, SOON);
    await program.stdout.cancel();
    await program.stderr.cancel();
  });
}
