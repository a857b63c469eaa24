import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Awaitable,
  CancelledError,
  createSubprocessExec,
  createSubprocessShell,
  createTask,
  DEVNULL,
  type EventLoop,
  gather,
  LimitOverrunError,
  moveOnAfter,
  PIPE,
  type Process,
  ProcessLookupError,
  run,
  sleep,
  STDOUT,
  timeout,
  TimeoutError,
  ValueError,
} from "../../lib/asyncio/mod.ts";
import { bytes, loopTest, resourceTest, runProgram, text } from "./_helpers.ts";

// On Windows there is neither `sh` nor `cat`.
const ignore = Deno.build.os === "windows";

/** Prints when it is there, and is there until its stdin ends. */
const READY = "echo ready; exec cat > /dev/null";

/** A test in a task on a loop of the real clock, after which no process, pipe or task may be left. */
function processTest(name: string, body: (loop: EventLoop) => Awaitable<unknown>): void {
  resourceTest(name, body, { ignore });
}

/** Whether there is a process of that number, ended ones that nobody waited for included. */
async function exists(pid: number): Promise<boolean> {
  const { success } = await new Deno.Command("sh", { args: ["-c", `kill -0 ${pid} 2>/dev/null`] }).output();
  return success;
}

async function output(command: string, options = {}): Promise<[string, string, number | null]> {
  const process = await createSubprocessShell(command, { stdout: PIPE, stderr: PIPE, ...options });
  const [stdout, stderr] = await process.communicate();
  return [text(stdout), text(stderr), process.returncode];
}

processTest("createSubprocessExec() and communicate() work in native code", async () => {
  await using process = await createSubprocessExec("cat", ["-"], { stdin: PIPE, stdout: PIPE });
  assert(process.pid > 0);
  assertEquals([process.returncode, process.stderr], [null, null]);
  const input = new Uint8Array(1_000_000).map((_, index) => index * 7);
  const [stdout, stderr] = await process.communicate(input);
  assertEquals([stdout!.length, stderr, process.returncode], [input.length, null, 0]);
  assert(stdout!.every((byte, index) => byte === input[index]));
  assertEquals(String(process), `<Process ${process.pid} returncode=0>`);
});

processTest("createSubprocessExec() and communicate() work in generators", function* () {
  const process = yield* createSubprocessExec("cat", [], { stdin: PIPE, stdout: PIPE });
  const [stdout] = yield* process.communicate(bytes("meow"));
  assertEquals([text(stdout), yield* process.wait()], ["meow", 0]);
});

processTest("createSubprocessExec() passes its arguments as they are", async () => {
  const process = await createSubprocessExec("printf", ["%s|", "a b", "$HOME", "'\"", ""], { stdout: PIPE });
  assertEquals(text((await process.communicate())[0]), "a b|$HOME|'\"||");
});

processTest("createSubprocessShell() runs a command, and tells its code", async () => {
  assertEquals(await output("echo out; echo err >&2; exit 3"), ["out\n", "err\n", 3]);
});

processTest("Process.returncode is the negative number of the signal that killed it", async () => {
  for (const [signal, code] of [["SIGKILL", -9], ["SIGTERM", -15], ["SIGINT", -2]] as const) {
    const process = await createSubprocessShell(READY, { stdin: PIPE, stdout: PIPE });
    await process.stdout!.readline();
    process.sendSignal(signal);
    assertEquals([process.returncode, await process.wait(), process.returncode], [null, code, code]);
    await process[Symbol.asyncDispose]();
  }
});

Deno.test({
  name: "Process.returncode tells of signals that Deno has no name for",
  ignore: Deno.build.os !== "linux",
  // Deno itself forgets to close what it has of such a process.
  sanitizeResources: false,
  fn: async () => {
    await run(async () => {
      // CPython tells -34 and -64, too.
      for (const signal of [34, 64]) {
        const process = await createSubprocessShell(`kill -${signal} $$; exec sleep 600`);
        const waits = [createTask(process.wait()), createTask(process.wait())];
        assertEquals([await gather(waits), process.returncode], [[-signal, -signal], -signal]);
      }
    });
  },
});

processTest("STDOUT sends stderr where stdout goes, in the order of the writing", async () => {
  const script = 'echo 1; echo 2 >&2; echo 3; echo "$0 $1" >&2; exit 4';
  const exec = await createSubprocessExec("sh", ["-c", script, "a b", "$c"], { stdout: PIPE, stderr: STDOUT });
  assertEquals((await exec.communicate()).map((part) => part && text(part)), ["1\n2\n3\na b $c\n", null]);
  assertEquals(exec.returncode, 4);

  const shell = await createSubprocessShell("echo 1; echo 2 >&2", { stdout: PIPE, stderr: STDOUT });
  assertEquals([text((await shell.communicate())[0]), shell.stderr], ["1\n2\n", null]);

  const none = await createSubprocessShell("echo 1; echo 2 >&2; exit 5", { stdout: DEVNULL, stderr: STDOUT });
  assertEquals([await none.communicate(), none.returncode], [[null, null], 5]);

  // The program takes the place of the shell, so that it is the one that signals reach.
  const killed = await createSubprocessExec("cat", [], { stdin: PIPE, stdout: PIPE, stderr: STDOUT });
  killed.stdin!.write(bytes("x"));
  await killed.stdout!.readexactly(1);
  killed.terminate();
  assertEquals(await killed.wait(), -15);
  await killed[Symbol.asyncDispose]();

  const missing = await createSubprocessExec("skein-has-no-such-program", [], { stdout: PIPE, stderr: STDOUT });
  await missing.communicate();
  assertEquals(missing.returncode, 127);
});

processTest("createSubprocessExec() runs in a directory, with no environment but the one it is given", async () => {
  const cwd = await Deno.realPath("/tmp");
  const options = { cwd, env: { PATH: Deno.env.get("PATH")!, ONLY: "this" } };
  const [stdout] = await output("pwd; env", options);
  const lines = stdout.trim().split("\n");
  assertEquals(lines[0], cwd);
  // What the shell itself sets is its own.
  const names = lines.slice(1).map((line) => line.split("=")[0]!).filter((name) =>
    !["PWD", "SHLVL", "_"].includes(name)
  );
  assertEquals([names.sort(), lines.includes("ONLY=this")], [["ONLY", "PATH"], true]);
});

processTest("createSubprocessExec() gives DEVNULL nothing to read, and inherits by default", async () => {
  assertEquals(await output("cat; echo end", { stdin: DEVNULL }), ["end\n", "", 0]);
  const program = await runProgram(`
    const process = await asyncio.createSubprocessShell("echo inherited; echo too >&2");
    console.log(await process.wait());
  `);
  assertEquals([program.stdout, program.stderr], ["inherited\n0\n", "too\n"]);
});

processTest("createSubprocessExec() rejects where there is no such program", async () => {
  await assertRejects(async () => await createSubprocessExec("skein-has-no-such-program"), Deno.errors.NotFound);
  await assertRejects(async () => await createSubprocessExec("cat", [], { cwd: "/nowhere" }));
});

processTest("createSubprocessExec() refuses what it cannot do, at the call", async () => {
  const cases: [() => unknown, new (message: string) => Error, string][] = [
    [() => createSubprocessExec("cat", "-" as never), TypeError, "pass a list of strings"],
    [() => createSubprocessExec("cat", [], { stdin: STDOUT as never }), TypeError, 'Cannot use "stdout" as stdin'],
    [() => createSubprocessExec("cat", [], { stderr: 2 as never }), TypeError, "pass PIPE, DEVNULL, STDOUT or null"],
    [() => createSubprocessExec("cat", [], { limit: 0 }), ValueError, "limit"],
    [() => createSubprocessShell(["a"] as never), TypeError, "pass a string"],
    [() => createSubprocessShell("a", null as never), TypeError, "pass an object such as { stdout: PIPE }, or nothing"],
    [() => createSubprocessExec(5 as never), TypeError, "Cannot use 5 as program: pass a string"],
    [() => createSubprocessExec(""), ValueError, "Cannot use an empty string as program"],
    [() => createSubprocessExec("cat", [5 as never]), TypeError, "Cannot use 5 in arguments: pass a list of strings"],
    [() => createSubprocessExec("cat", [], { cwd: 5 as never }), TypeError, "Cannot use 5 as cwd: pass a string"],
    [() => createSubprocessExec("cat", [], { env: "A=1" as never }), TypeError, 'Cannot use "A=1" as env'],
    [() => createSubprocessExec("cat", [], { env: { A: 1 as never } }), TypeError, "Cannot use 1 as A in env"],
  ];
  for (const [call, kind, message] of cases) assertThrows(call, kind, message);
  const process = await createSubprocessExec("true");
  assertThrows(() => process.communicate(bytes("x")), ValueError, "start it with { stdin: PIPE }");
  assertThrows(() => process.communicate("x" as never), TypeError, "new TextEncoder().encode(...)");
  assertEquals(await process.communicate(), [null, null]);
});

processTest("Process.stdin and stdout are a conversation", async () => {
  await using process = await createSubprocessShell('while read line; do echo "<$line>"; done', {
    stdin: PIPE,
    stdout: PIPE,
  });
  for (const word of ["a", "b", "c"]) {
    process.stdin!.write(bytes(`${word}\n`));
    await process.stdin!.drain();
    assertEquals(text(await process.stdout!.readline()), `<${word}>\n`);
  }
  assertEquals(process.stdin!.canWriteEof(), true);
  process.stdin!.writeEof();
  assertEquals((await process.stdout!.readline()).length, 0);
  assertEquals(await process.wait(), 0);
});

processTest("Process.stdout has the limit", async () => {
  const process = await createSubprocessShell("printf 123456789", { stdout: PIPE, limit: 4 });
  await process.wait();
  await assertRejects(async () => await process.stdout!.readuntil(bytes("x")), LimitOverrunError);
  assertEquals(text(await process.stdout!.read()), "123456789");
});

processTest("Process.communicate() takes it that the process does not read its input", async () => {
  // More than a pipe holds, to a process that reads none of it.
  const input = new Uint8Array(5_000_000);
  for (const command of ["exit 1", "exec <&-; echo closed; exit 1", "head -c 1 > /dev/null; exit 1"]) {
    const process = await createSubprocessShell(command, { stdin: PIPE, stdout: PIPE });
    await process.communicate(input);
    assertEquals(process.returncode, 1);
  }
});

processTest("Process.communicate() closes stdin without an input, too", async () => {
  const process = await createSubprocessExec("cat", [], { stdin: PIPE, stdout: PIPE });
  assertEquals(text((await process.communicate())[0]), "");
});

processTest("Process.communicate() reads both outputs at once, however much it is", async () => {
  const command = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; head -c 10 /dev/zero >&2";
  const process = await createSubprocessShell(command, { stdout: PIPE, stderr: PIPE, limit: 100 });
  const [stdout, stderr] = await process.communicate();
  assertEquals([stdout!.length, stderr!.length], [3_000_000, 3_000_010]);
});

/** What does not end by itself: waits, takes no notice of signals, floods its output. */
const ENDLESS = ["echo ready; exec sleep 600", "trap '' TERM INT; echo ready; exec sleep 600", "echo ready; exec yes"];

for (const native of [false, true]) {
  const kind = native ? "an async function" : "a generator";
  processTest(`Process.communicate() cancelled in ${kind} leaves no process behind`, async () => {
    for (const command of ENDLESS) {
      const process = await createSubprocessShell(command, { stdin: PIPE, stdout: PIPE, stderr: PIPE });
      await process.stdout!.readline();
      const input = new Uint8Array(1_000_000);
      const task = createTask(
        native ? async () => await process.communicate(input) : function* () {
          return yield* process.communicate(input);
        },
      );
      for (let i = 0; i < 10; i++) await sleep(0);
      task.cancel("enough");
      await assertRejects(async () => await task, CancelledError, "enough");
      assertEquals([process.returncode, await exists(process.pid)], [-9, false]);
    }
  });
}

for (const native of [false, true]) {
  const kind = native ? "an async function" : "a generator";
  processTest(`Process is killed and waited for in a cancelled scope of ${kind}`, async () => {
    let process: Process;
    const communicate: () => Awaitable<unknown> = native
      ? async () => {
        process = await createSubprocessExec("sleep", ["600"], { stdin: PIPE, stdout: PIPE });
        await process.communicate();
      }
      : function* () {
        process = yield* createSubprocessExec("sleep", ["600"], { stdin: PIPE, stdout: PIPE });
        yield* process.communicate();
      };
    const dispose: () => Awaitable<unknown> = native
      ? async () => {
        await using sleeper = await createSubprocessExec("sleep", ["600"]);
        process = sleeper;
        await sleeper.wait();
      }
      : function* () {
        process = yield* createSubprocessExec("sleep", ["600"]);
        try {
          yield* process.wait();
        } finally {
          yield* process[Symbol.asyncDispose]();
        }
      };
    for (const body of [communicate, dispose]) {
      const { cancelled } = await moveOnAfter(1, body);
      assertEquals([cancelled, process!.returncode, await exists(process!.pid)], [true, -9, false]);
    }
  });
}

processTest("Process.communicate() that takes too long ends the process with its time limit", async () => {
  const process = await createSubprocessShell("exec sleep 600", { stdout: PIPE });
  await assertRejects(async () => await timeout(1, () => process.communicate()), TimeoutError);
  assertEquals(process.returncode, -9);
});

processTest("Process.communicate() cancelled twice does not wait, and the process is killed all the same", async () => {
  const process = await createSubprocessShell("echo ready; exec sleep 600", { stdin: PIPE, stdout: PIPE });
  await process.stdout!.readline();
  const task = createTask(() => process.communicate());
  await sleep(0);
  task.cancel("first");
  await sleep(0);
  task.cancel("second");
  await assertRejects(async () => await task, CancelledError);
  assertEquals(await process.wait(), -9);
});

processTest("Process.wait() can be waited for by many, and cancelled, which lets the process run on", async () => {
  const process = await createSubprocessShell(READY, { stdin: PIPE, stdout: PIPE });
  await process.stdout!.readline();
  const waits = Array.from({ length: 3 }, () => createTask(process.wait()));
  await sleep(0);
  waits[0]!.cancel();
  await assertRejects(async () => await waits[0], CancelledError);
  assertEquals([process.returncode, await exists(process.pid)], [null, true]);
  process.stdin!.close();
  assertEquals(await gather(waits.slice(1)), [0, 0]);
  assertEquals([await process.wait(), await process.stdout!.read()], [0, new Uint8Array(0)]);
});

processTest("Process.wait() does not wait for those who hold the pipes", async () => {
  const process = await createSubprocessShell("sleep 600 & echo $!", { stdout: PIPE });
  const pid = Number(text(await process.stdout!.readline()));
  assertEquals(await process.wait(), 0);
  // As in CPython, it is no error as long as a pipe is open.
  process.terminate();
  Deno.kill(pid, "SIGKILL");
  assertEquals((await process.stdout!.read()).length, 0);
  assertThrows(() => process.terminate(), ProcessLookupError, `Cannot send SIGTERM to <Process ${process.pid}`);
});

processTest("Process.sendSignal(), terminate() and kill() throw ProcessLookupError when all is over", async () => {
  const process = await createSubprocessExec("true");
  await process.wait();
  for (const send of [() => process.sendSignal("SIGHUP"), () => process.terminate(), () => process.kill()]) {
    assertThrows(send, ProcessLookupError);
  }
});

processTest("Process.sendSignal() refuses what is no signal, in each state", async () => {
  const process = await createSubprocessExec("sleep", ["600"]);
  const refuse = () => {
    for (const name of ["SIGFOO", "sigterm", "TERM", ""]) {
      const message = `Cannot send ${Deno.inspect(name)} as there is no such signal: pass a name such as "SIGTERM"`;
      assertThrows(() => process.sendSignal(name as never), ValueError, message);
    }
    for (const value of [9, undefined, null, {}]) {
      assertThrows(() => process.sendSignal(value as never), TypeError, "as a signal: pass a name such as");
    }
  };
  refuse();
  assertEquals(process.returncode, null);
  process.sendSignal("SIGTERM");
  // It may have ended by now or not, of which nobody knows yet: that is no error.
  process.sendSignal("SIGTERM");
  assertEquals(await process.wait(), -15);
  refuse();
});

processTest("Process.stdin.abort() leaves the process no more than the pipe and what is being written", async () => {
  const process = await createSubprocessExec("wc", ["-c"], { stdin: PIPE, stdout: PIPE });
  process.sendSignal("SIGSTOP");
  process.stdin!.write(new Uint8Array(3_000_000));
  for (let i = 0; i < 10; i++) await sleep(0);
  process.stdin!.abort();
  process.sendSignal("SIGCONT");
  const count = Number(text((await process.communicate())[0]));
  assert(count <= 2 * 65536, String(count));
});

processTest("Process disposed of is killed and leaves nothing behind", async () => {
  let left: Process;
  for (const command of ENDLESS) {
    {
      await using process = await createSubprocessShell(command, { stdin: PIPE, stdout: PIPE, stderr: PIPE });
      left = process;
      await process.stdout!.readline();
      process.stdin!.write(new Uint8Array(1_000_000));
    }
    assertEquals([left.returncode, await exists(left.pid)], [-9, false]);
    await left[Symbol.asyncDispose]();
  }
});

Deno.test({
  name: "EventLoop.close() kills the processes that are left",
  ignore,
  fn: async () => {
    let left: Process;
    await run(async () => {
      left = await createSubprocessShell("echo ready; exec sleep 600", { stdin: PIPE, stdout: PIPE });
      await left.stdout!.readline();
    });
    // The host tells of the end, with no loop that would.
    while (left!.returncode === null) await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals([left!.returncode, await exists(left!.pid)], [-9, false]);
  },
});

if (!ignore) {
  loopTest("A virtual clock stands still while a task waits for a process", async (loop) => {
    const process = await createSubprocessShell("read line; echo $line", { stdin: PIPE, stdout: PIPE });
    const [stdout] = await timeout(1, () => process.communicate(bytes("hello\n")));
    const quick = await createSubprocessExec("true");
    assertEquals(await timeout(1, () => quick.wait()), 0);
    assertEquals([text(stdout), loop.time()], ["hello\n", 0]);
  });
}
