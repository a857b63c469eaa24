import { assertEquals, assertStringIncludes } from "@std/assert";
import { fixture, runScript } from "./_helpers.ts";

Deno.test("ProcessPoolExecutor.submit() lets what a task prints out of the program's stdout and stderr, in order, before the result", async () => {
  const { code, stdout, stderr } = await runScript("output.ts");
  const lines = stdout.split("\n");
  const expected = [
    "console.log 1 { a: [ 2 ] }",
    "┌───────┬───┬───┐",
    "│ (idx) │ x │ y │",
    "├───────┼───┼───┤",
    "│     0 │ 1 │ 2 │",
    "└───────┴───┴───┘",
    "info",
    "=> console",
    "=> errors",
    "Deno.stdout.write ü",
    "Deno.stdout.writeSync",
    "=> Deno",
    "process.stdout",
    "=> throughProcess",
    "no newline=> at the end",
    ...Array.from({ length: 3000 }, (_, n) => `line ${n} ${"x".repeat(n % 100)}`),
    "=> 100000",
    "before a large result",
    "=> 300000",
    ...Array.from({ length: 50 }, (_, n) => `task ${n}`),
    "nested worker",
    "=> done",
    "last words",
    "=> WorkerCrashedError",
    "",
  ];
  assertEquals(lines, expected);
  assertEquals(
    stderr.split("\n").filter((line) => line !== ""),
    ["console.error", "console.warn", "Deno.stderr.writeSync", "process.stderr", "last words on stderr"],
  );
  assertEquals(code, 0);
});

Deno.test("ThreadPoolExecutor.submit() lets what a task prints out of the program's stdout", async () => {
  const { code, stdout, stderr } = await runScript("thread_output.ts");
  assertEquals([code, stderr], [0, "from the thread's stderr\n"]);
  assertStringIncludes(stdout, "from the thread\n");
});

for (const closed of ["stdout", "stderr"] as const) {
  Deno.test(`ProcessPoolExecutor.submit() does not mind that nobody reads the program's ${closed}`, async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", "--allow-all", fixture("closed_output.ts"), closed],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await child[closed].cancel();
    await child.stdin.close();
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    const text = await new Response(child[closed === "stdout" ? "stderr" : "stdout"]).text();
    const { code, signal } = await child.status;
    clearTimeout(timer);
    assertEquals([text, code, signal], ["0\n1\n2\n", 0, null]);
  });
}
