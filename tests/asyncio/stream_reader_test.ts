import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  createTask,
  DeadlockError,
  EventLoop,
  type GeneratorCoroutine,
  IncompleteReadError,
  LimitOverrunError,
  run,
  RuntimeError,
  sleep,
  StreamReader,
  type Task,
  timeout,
  TimeoutError,
  ValueError,
  waitFor,
} from "../../lib/asyncio/mod.ts";
import { bytes, loopTest, text, virtualLoop } from "./_helpers.ts";

/** A program on a reader, and what CPython 3.13 made of each of its steps; `fixtures/stream_reader.py` wrote them. */
interface Program {
  limit: number;
  steps: [kind: string, ...args: unknown[]][];
  trace: [ended: unknown[], atEof: boolean, log: string[]][];
}

class Broken extends Error {
  override name = "Broken";
}

function start(reader: StreamReader, method: string, argument: unknown, native: boolean): Task<Uint8Array> {
  const begin = () =>
    method === "readline"
      ? reader.readline()
      : method === "readuntil"
      ? reader.readuntil((argument as string[]).map(bytes))
      : method === "read"
      ? reader.read(argument as number)
      : reader.readexactly(argument as number);
  if (native) return createTask(async () => await begin());
  return createTask(function* (): GeneratorCoroutine<Uint8Array> {
    return yield* begin();
  });
}

function outcome(task: Task<Uint8Array>): unknown {
  if (task.cancelled()) return "CancelledError";
  const error = task.exception();
  if (error === null) return { bytes: text(task.result()) };
  if (error instanceof IncompleteReadError) return { partial: text(error.partial), expected: error.expected };
  if (error instanceof LimitOverrunError) return { consumed: error.consumed, message: error.message };
  return (error as Error).name;
}

async function trace(program: Program, native: boolean): Promise<unknown> {
  const reader = new StreamReader({ limit: program.limit });
  let log: string[] = [];
  reader.setTransport({ pauseReading: () => log.push("pause"), resumeReading: () => log.push("resume") });
  let tasks: Task<Uint8Array>[] = [];
  const result: unknown[] = [];
  for (const [kind, ...args] of program.steps) {
    if (kind === "feed") reader.feedData(bytes(args[0] as string));
    else if (kind === "eof") reader.feedEof();
    else if (kind === "fail") reader.setException(new Broken());
    else if (kind === "cancel") { for (const task of tasks) task.cancel(); }
    else tasks.push(start(reader, args[0] as string, args[1], native));
    for (let i = 0; i < 20; i++) await sleep(0);
    const ended = tasks.filter((task) => task.done()).map(outcome);
    tasks = tasks.filter((task) => !task.done());
    result.push([ended, reader.atEof(), log]);
    log = [];
  }
  for (const task of tasks) task.cancel();
  return result;
}

for (const native of [false, true]) {
  Deno.test(`StreamReader does what CPython's does in 400 programs, read by ${native ? "async functions" : "generators"}`, async () => {
    const lines = (await Deno.readTextFile(new URL("fixtures/stream_reader.jsonl", import.meta.url))).trim().split(
      "\n",
    );
    assertEquals(lines.length, 400);
    const loop = virtualLoop();
    for (const line of lines) {
      const program: Program = JSON.parse(line);
      const made = await loop.runUntilComplete(() => trace(program, native));
      assertEquals(made, program.trace, `${Deno.inspect(program.steps, { depth: 5 })} with limit ${program.limit}`);
    }
    loop.close();
  });
}

/** What a task that reads has got, or the error. */
async function result(reading: PromiseLike<Uint8Array>): Promise<string> {
  return text(await reading);
}

loopTest("StreamReader gives a cancelled read's bytes to the next one", async () => {
  const reader = new StreamReader();
  const reads = [
    () => reader.read(),
    () => reader.readexactly(9),
    () => reader.readline(),
    () => reader.readuntil(bytes("#")),
  ];
  let sent = "";
  for (const read of reads) {
    for (
      const [index, end] of ["cancelled while it waits", "cancelled and fed at once", "fed and cancelled at once"]
        .entries()
    ) {
      const task = createTask(read());
      const piece = `${index}`;
      await sleep(0);
      if (index === 2) reader.feedData(bytes(piece));
      task.cancel();
      if (index === 1) reader.feedData(bytes(piece));
      await assertRejects(async () => await task, CancelledError, undefined, end);
      if (index === 0) reader.feedData(bytes(piece));
      sent += piece;
    }
  }
  assertEquals(await result(reader.read(100)), sent);
});

loopTest("StreamReader.read(-1) cancelled in the middle puts back what it had taken, and pauses again", async () => {
  const reader = new StreamReader({ limit: 2 });
  const log: string[] = [];
  reader.setTransport({ pauseReading: () => log.push("pause"), resumeReading: () => log.push("resume") });
  const task = createTask(reader.read());
  for (const piece of ["abc", "def", "gh"]) {
    reader.feedData(bytes(piece));
    for (let i = 0; i < 5; i++) await sleep(0);
  }
  assertEquals(log, []);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals(log, ["pause"]);
  reader.feedData(bytes("i"));
  reader.feedEof();
  assertEquals(await result(reader.read()), "abcdefghi");
});

loopTest("StreamReader lets a second reader wait that comes before a woken one has gone", async (loop) => {
  const reader = new StreamReader();
  const gate = loop.createFuture<void>();
  const first = createTask(reader.readexactly(2));
  const second = createTask(function* () {
    yield* gate;
    return yield* reader.readexactly(2);
  });
  await sleep(0);
  // The second goes on before the first, which has been woken.
  gate.setResult();
  reader.feedData(bytes("a"));
  first.cancel();
  await assertRejects(async () => await first, CancelledError);
  await sleep(0);
  reader.feedData(bytes("b"));
  assertEquals(await result(second), "ab");
});

loopTest("StreamReader waits in virtual time when it is fed by hand", async (loop) => {
  const reader = new StreamReader();
  const late = await assertRejects(async () => await timeout({ hours: 1 }, () => reader.readline()), TimeoutError);
  assertInstanceOf(late.cause, CancelledError);
  assertEquals(loop.time(), 3_600_000);
  loop.callLater(500, () => reader.feedData(bytes("line\n")));
  assertEquals([await result(waitFor(reader.readline(), 1000)), loop.time()], ["line\n", 3_600_500]);
});

Deno.test("StreamReader that nobody feeds is a deadlock on a virtual clock", async () => {
  using loop = virtualLoop();
  await assertRejects(() => loop.runUntilComplete(() => new StreamReader({ loop }).read(1)), DeadlockError);
});

loopTest("StreamReader gives its lines to for await, the last one as it is", async () => {
  const reader = new StreamReader();
  const lines: string[] = [];
  const task = createTask(async () => {
    for await (const line of reader) lines.push(text(line));
  });
  for (const piece of ["one\ntw", "o\n\nthr", "ee"]) {
    reader.feedData(bytes(piece));
    await sleep(1);
  }
  assertEquals(lines, ["one\n", "two\n", "\n"]);
  reader.feedEof();
  await task;
  assertEquals(lines.at(-1), "three");
});

loopTest("StreamReader.setException() ends the read that waits and all later ones with the same error", async () => {
  const reader = new StreamReader();
  assertStrictEquals(reader.exception(), null);
  const task = createTask(reader.read(1));
  await sleep(0);
  const error = new Broken("gone");
  reader.setException(error);
  reader.feedData(bytes("too late"));
  for (const read of [() => task, () => reader.read(0), () => reader.readline(), () => reader.readexactly(0)]) {
    assertStrictEquals(await assertRejects(async () => await read()), error);
  }
  assertStrictEquals(reader.exception(), error);
});

loopTest("StreamReader copies what it is fed, and what it gives is the reader's own", async () => {
  const reader = new StreamReader();
  const fed = bytes("abcd");
  reader.feedData(fed);
  fed.fill(0);
  const first = await reader.read(2);
  assertEquals([text(first), first.buffer.byteLength], ["ab", 2]);
  first.fill(0);
  assertEquals(await result(reader.read(2)), "cd");
});

loopTest("StreamReader refuses what it cannot take, at the call", () => {
  const reader = new StreamReader();
  const cases: [() => unknown, new (message: string) => Error, string][] = [
    [
      () => reader.feedData("text" as never),
      TypeError,
      'Cannot feed "text" as it is no Uint8Array: encode the text: new TextEncoder().encode(...)',
    ],
    [() => reader.feedData([1] as never), TypeError, "pass a Uint8Array"],
    [() => reader.readuntil("\n" as never), TypeError, "new TextEncoder().encode(...)"],
    [() => reader.readuntil([bytes("a"), "b" as never]), TypeError, 'Cannot search for "b"'],
    [() => reader.readuntil([]), ValueError, "no separators"],
    [() => reader.readuntil(bytes("")), ValueError, "empty separator"],
    [() => reader.readexactly(-1), ValueError, "Cannot read exactly -1 bytes"],
    [() => reader.readexactly(1.5), TypeError, "1.5"],
    [() => reader.read("2" as never), TypeError, '"2"'],
    [() => new StreamReader({ limit: 0 }), ValueError, "limit"],
    [() => new StreamReader({ limit: NaN }), ValueError, "limit"],
  ];
  for (const [call, kind, message] of cases) assertThrows(call, kind, message);
  reader.feedEof();
  assertThrows(() => reader.feedData(bytes("x")), RuntimeError, "after feedEof()");
  return sleep(0);
});

loopTest("StreamReader tells its state", async () => {
  const reader = new StreamReader({ limit: 3 });
  assertEquals(String(reader), "<StreamReader limit=3>");
  reader.feedData(bytes("ab"));
  reader.feedEof();
  assertEquals([String(reader), reader.atEof()], ["<StreamReader 2 bytes eof limit=3>", false]);
  await reader.read();
  assertEquals(reader.atEof(), true);
});

Deno.test("StreamReader takes megabytes that come byte by byte, or line by line, in linear time", async () => {
  // A quadratic buffer would copy some 10^11 bytes here; the test would be killed long before the end.
  const size = 400_000;
  await run(async () => {
    const reader = new StreamReader({ limit: size });
    const reading = createTask(reader.readuntil(bytes("ab")));
    await sleep(0);
    const byte = bytes("a");
    for (let i = 0; i < size; i++) {
      reader.feedData(byte);
      if (i % 100 === 0) await sleep(0);
    }
    reader.feedData(bytes("b"));
    assertEquals((await reading).length, size + 1);
    reader.feedData(new Uint8Array(size).fill(10));
    let lines = 0;
    await createTask(function* () {
      while (lines < size) {
        assert((yield* reader.readline()).length === 1);
        lines++;
      }
    });
    assertEquals(lines, size);
  });
});

Deno.test("StreamReader belongs to the loop it was made for, and may be fed after that is closed", async () => {
  const loop = new EventLoop();
  const reader = new StreamReader({ loop });
  await loop.runUntilComplete(async () => {
    await assertRejects(async () => await timeout(0, () => reader.read(1)), TimeoutError);
  });
  loop.close();
  reader.feedData(bytes("x"));
  reader.feedEof();
  assertEquals(reader.atEof(), false);
});
