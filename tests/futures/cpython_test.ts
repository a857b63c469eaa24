/**
 * The same program here and in CPython: `fixtures/cpython.py` does step by step what {@linkcode skein} does, and both
 * print the same lines. `fixtures/cpython.txt` has the lines, for machines without Python.
 */

import { assert, assertEquals } from "@std/assert";
import {
  ALL_COMPLETED,
  asCompleted,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  Future,
  type MapIterator,
  wait,
} from "../../lib/futures/mod.ts";
import { fixture, forEachPool, Gate, hold, type PoolKind } from "./_helpers.ts";

/** Python's names of what is thrown. */
const PYTHON_NAMES: Record<string, string> = {
  RangeError: "ValueError",
  BrokenThreadPoolError: "BrokenThreadPool",
  BrokenProcessPoolError: "BrokenThreadPool",
};

class KeyError extends Error {
  override name = "KeyError";
}

function nameOf(error: unknown): string {
  const { name } = error as Error;
  return PYTHON_NAMES[name] ?? name;
}

function repr(value: unknown): string {
  if (value === undefined || value === null) return "none";
  if (Array.isArray(value)) return `[${value.map(repr).join(" ")}]`;
  return value instanceof Error ? nameOf(value) : String(value);
}

async function outcome(call: () => unknown): Promise<string> {
  try {
    return repr(await call());
  } catch (error) {
    return `raises ${nameOf(error)}`;
  }
}

const STATES = ["pending", "running", "cancelled", "notified", "result", "exception"];

function inState(name: string): Future<number> {
  const future = new Future<number>();
  if (name === "cancelled" || name === "notified") future.cancel();
  if (name !== "pending" && name !== "cancelled") future.setRunningOrNotifyCancel();
  if (name === "result") future.setResult(1);
  if (name === "exception") future.setException(new RangeError());
  return future;
}

function indexes(futures: Future<number>[], some: Set<Future<number>>): number[] {
  return futures.flatMap((future, i) => some.has(future) ? [i] : []);
}

async function collect(iterator: MapIterator<unknown>): Promise<unknown[]> {
  const seen: unknown[] = [];
  while (seen.at(-1) !== "stop" || seen.at(-2) !== "stop") {
    await iterator.next().then(
      ({ done, value }) => seen.push(done ? "stop" : value),
      (error) => seen.push(nameOf(error)),
    );
  }
  return seen;
}

const divide = (x: number) => {
  if (x === 0) throw new RangeError();
  return Math.floor(12 / x);
};

/** What `fixtures/cpython.py` does. */
async function skein(kind: PoolKind): Promise<string[]> {
  const lines: string[] = [];
  const line = (...parts: unknown[]) => void lines.push(parts.map(repr).join(" "));

  for (const name of STATES) {
    const future = inState(name);
    line("state", name, future.cancelled(), future.running(), future.done());
  }
  for (const name of STATES) {
    const future = inState(name);
    line("cancel", name, future.cancel(), future.cancelled(), future.running(), future.done(), future.cancel());
  }
  for (const name of STATES) {
    line("result", name, await outcome(() => inState(name).result(0)));
    line("exception", name, await outcome(() => inState(name).exception(0)));
  }
  for (const name of STATES) {
    line("set_result", name, await outcome(() => inState(name).setResult(2)));
    line("set_exception", name, await outcome(() => inState(name).setException(new KeyError())));
  }

  const printError = console.error;
  console.error = () => {};
  for (const name of ["set_result", "set_exception", "cancel"]) {
    const calls: number[] = [];
    const future = new Future<number>();
    future.addDoneCallback(() => calls.push(1));
    future.addDoneCallback(() => {
      calls.push(2);
      throw new RangeError();
    });
    future.addDoneCallback(() => calls.push(3));
    future.addDoneCallback((f) => f.addDoneCallback(() => calls.push(4)));
    future.addDoneCallback(() => calls.push(5));
    calls.push(0);
    if (name === "cancel") future.cancel();
    else if (name === "set_result") future.setResult(1);
    else future.setException(new RangeError());
    future.addDoneCallback(() => calls.push(6));
    line("callbacks", name, calls);
  }
  console.error = printError;

  for (const returnWhen of [FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED] as const) {
    for (
      const names of [
        [],
        ["pending", "pending"],
        ["pending", "result"],
        ["pending", "exception"],
        ["pending", "notified"],
        ["running", "notified", "result"],
        ["result", "exception", "notified"],
      ]
    ) {
      const futures = names.map(inState);
      const { done, notDone } = await wait([...futures, ...futures], { timeout: 0, returnWhen });
      line("wait", returnWhen, names.join(" "), indexes(futures, done), indexes(futures, notDone));
    }
  }

  {
    const futures = ["pending", "result", "pending", "result"].map(inState);
    const iterator = asCompleted([...futures, ...futures], { timeout: 0 });
    const next = async () => futures.indexOf((await iterator.next()).value as unknown as Future<number>);
    line("as_completed", [await next(), await next()].toSorted());
    line("as_completed", await outcome(next));
  }
  {
    const futures = ["pending", "result", "pending"].map(inState);
    const iterator = asCompleted(futures);
    const next = async () => futures.indexOf((await iterator.next()).value as unknown as Future<number>);
    line("as_completed", await next());
    futures[2]!.setRunningOrNotifyCancel();
    futures[2]!.setResult(1);
    line("as_completed", await next());
    futures[0]!.setRunningOrNotifyCancel();
    futures[0]!.setException(new RangeError());
    line("as_completed", await next());
    line("as_completed", (await iterator.next()).done ? "end" : "more");
  }

  {
    await using pool = kind.create({ maxWorkers: 2 });
    line("submit", await pool.submit((x: number, y: number) => x ** y, 2, 10));
    line("submit", await pool.submit(divide, 0).exception());
    line("map", await collect(pool.map(divide, [1, 2, 3])));
    line("map", await collect(pool.map(divide, [])));
    line("map", await collect(pool.map(divide, [1, 0, 2, 3])));
    line("map", await collect(pool.starmap((x: number, y: number) => x ** y, [[2, 3], [3, 2]])));
    line("map", await collect(pool.map(divide, [1, 2, 3, 4, 6], { chunksize: 2 })));
    const items = function* (): Generator<number> {
      yield 1;
      throw new KeyError();
    };
    line("map items", await outcome(() => pool.map(divide, items())));
    line("chunksize", await outcome(() => Array.fromAsync(pool.map(divide, [2], { chunksize: 1 }))));
  }

  {
    using gate = new Gate();
    await using pool = kind.create({ maxWorkers: 1 });
    const running = pool.submit(hold, gate.port, 1);
    await gate.started(1);
    const queued = [1, 2, 3].map((x) => pool.submit(divide, x));
    line("running", running.running(), queued.map((future) => future.running()));
    line("cancel running", running.cancel());
    line("cancel queued", queued[1]!.cancel(), queued[1]!.cancel(), queued[1]!.done());
    line("timeout", await outcome(() => running.result(10)), running.running());
    line("map timeout", await outcome(() => pool.map(divide, [1], { timeout: 10 }).next()));
    await gate.open(1);
    line("result", await running === 1 ? "opened" : "lost", running.cancel(), running.running(), running.done());
    line("others", ...await Promise.all(queued.map((future) => outcome(() => future.result()))));
  }

  {
    using gate = new Gate();
    const pool = kind.create({ maxWorkers: 1 });
    const running = pool.submit(hold, gate.port, 1);
    await gate.started(1);
    const queued = [1, 2, 3].map((x) => pool.submit(divide, x));
    await pool.shutdown({ wait: false, cancelFutures: true });
    line("shutdown", [running, ...queued].map((future) => future.cancelled()));
    line("submit after shutdown", await outcome(() => pool.submit(divide, 1)));
    line("map after shutdown", await outcome(() => pool.map(divide, [1])));
    await gate.open(1);
    await pool.shutdown();
    await pool.shutdown();
    line("shutdown", await running === 1 ? "opened" : "lost", [running, ...queued].map((future) => future.done()));
  }

  {
    const initializer = () => {
      throw new RangeError();
    };
    const pool = kind.create({ maxWorkers: 1, initializer });
    const future = pool.submit(divide, 1);
    line("initializer", await outcome(() => future.result()), await outcome(() => pool.submit(divide, 1)));
    await pool.shutdown();
  }
  for (const maxWorkers of [0, -1]) {
    line("max_workers", maxWorkers, await outcome(() => kind.create({ maxWorkers }) && 1));
  }
  return lines;
}

async function recorded(): Promise<string[]> {
  return (await Deno.readTextFile(new URL(fixture("cpython.txt")))).trimEnd().split("\n");
}

forEachPool("submit() and all around it behave as CPython's, by the lines that it printed", async (kind) => {
  assertEquals(await skein(kind), await recorded());
});

/** The newest CPython of at least 3.13 that this machine has. */
async function findPython(): Promise<string | undefined> {
  const candidates = ["python3.15", "python3.14", "python3.13", "python3", "python"];
  const home = Deno.env.get("PYENV_ROOT") ?? `${Deno.env.get("HOME")}/.pyenv`;
  const versions = await Array.fromAsync(Deno.readDir(`${home}/versions`)).catch(() => []);
  for (const { name } of versions) candidates.push(`${home}/versions/${name}/bin/python3`);
  let newest: { python: string; minor: number } | undefined;
  for (const python of candidates) {
    const output = await Promise.try(() =>
      new Deno.Command(python, {
        args: ["-c", "import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)"],
        stderr: "null",
      }).output()
    ).catch(() => undefined); // there is no such program
    const minor = Number(new TextDecoder().decode(output?.stdout));
    if (minor >= 13 && minor > (newest?.minor ?? 0)) newest = { python, minor };
  }
  return newest?.python;
}

const python = await findPython();

Deno.test({
  name: `Future and Executor of this machine's CPython print the recorded lines${
    python === undefined ? " (skipped: there is no Python of at least 3.13 on this machine)" : ""
  }`,
  ignore: python === undefined,
  async fn() {
    const { success, stdout, stderr } = await new Deno.Command(python!, {
      args: [new URL(fixture("cpython.py")).pathname],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(new TextDecoder().decode(stdout).trimEnd().split("\n"), await recorded());
  },
});
