/**
 * Thousands of calls while a saboteur kills one worker after another. The long form, `deno task chaos`, has 100,000
 * calls and 1,000 kills for each pool, and looks at the memory as well.
 */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Future, type PoolExecutor, WorkerCrashedError } from "../../lib/futures/mod.ts";
import { assertAddsUp, assertAllGone, forEachPool, LONG, pidsOf, until } from "./_helpers.ts";

const TASKS = LONG ? 100_000 : 4000;
const KILLS = LONG ? 1000 : 40;
const WORKERS = 3;
/** How many calls are on their way at a time. */
const AHEAD = 300;

/** A call, and what it is to give: a value, or the message of an error. */
type Case = [submit: (pool: PoolExecutor, n: number) => Future<unknown>, expected: (n: number) => unknown];

const CASES: readonly Case[] = [
  [(pool, n) => pool.submit((n: number) => n, n), (n) => n],
  [(pool, n) => pool.submit((n: number) => `text ${n}`, n), (n) => `text ${n}`],
  [(pool, n) => pool.submit((n: number) => ({ n, list: [n, n] }), n), (n) => ({ n, list: [n, n] })],
  [(pool, n) =>
    pool.submit(async (n: number) => {
      await new Promise((resolve) => setTimeout(resolve, n % 3));
      return n;
    }, n), (n) => n],
  [(pool, n) =>
    pool.submit((n: number) => {
      throw new RangeError(`thrown ${n}`);
    }, n), (n) => `thrown ${n}`],
  [(pool, n) => pool.submit((n: number) => "x".repeat(10_000 + n % 10), n), (n) => "x".repeat(10_000 + n % 10)],
  [(pool, n) =>
    pool.submitWith({ timeout: 60_000 }, (n: number) => {
      let i = 0;
      while (i < 50_000) i++;
      return i + n;
    }, n), (n) => 50_000 + n],
];

/** Kills one worker; tells whether there was one to be killed. */
function sabotage(pool: PoolExecutor, isProcess: boolean, n: number): boolean {
  if (!isProcess) {
    // Some end with the call, some in the middle of another one.
    pool.submit((delay: number) => {
      if (delay === 0) self.close();
      else setTimeout(() => self.close(), delay);
    }, n % 4).exception();
    return true;
  }
  const workers = pool.workers().filter(({ state }) => state === "idle" || state === "busy");
  const victim = workers[Math.floor(Math.random() * workers.length)];
  if (victim === undefined) return false;
  try {
    Deno.kill(victim.pid!, "SIGKILL");
  } catch {
    return false; // it was killed before, and has not been missed yet
  }
  return true;
}

async function heapUsed(): Promise<number | undefined> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return undefined;
  // Some turns, as what has finalizers goes in two steps.
  for (let n = 0; n < 20; n++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    gc();
  }
  return Deno.memoryUsage().heapUsed;
}

forEachPool(`submit() of ${TASKS} calls while ${KILLS} workers are killed settles each of them once`, async (kind) => {
  let pids: Set<number>;
  {
    const pool = kind.create({ maxWorkers: WORKERS });
    pids = pidsOf(pool);
    await pool.warmUp();
    // Of a program that has warmed up.
    let before: number | undefined;
    let settled = 0;
    let crashed = 0;
    let kills = 0;
    const wrong: string[] = [];
    await new Promise<void>((resolve) => {
      let submitted = 0;
      const submitNext = () => {
        const n = submitted++;
        const [submit, expected] = CASES[n % CASES.length]!;
        const future = submit(pool, n);
        let times = 0;
        future.addDoneCallback(async () => {
          if (++times > 1) wrong.push(`${n} settled ${times} times`);
          const outcome = await future.result().catch((error) => {
            if (error instanceof WorkerCrashedError) return error;
            return error instanceof RangeError ? error.message : error;
          });
          if (outcome instanceof WorkerCrashedError) crashed++;
          else if (JSON.stringify(outcome) !== JSON.stringify(expected(n))) {
            wrong.push(`${n} gave ${Deno.inspect(outcome)}`);
          }
          if (++settled * KILLS >= (kills + 1) * TASKS && sabotage(pool, kind.isProcess, kills)) kills++;
          if (settled === TASKS / 10) before = await heapUsed();
          if (submitted < TASKS) submitNext();
          else if (settled === TASKS) resolve();
        });
      };
      for (let n = 0; n < AHEAD; n++) submitNext();
    });
    assertEquals(wrong, []);
    assertEquals(settled, TASKS);
    await until(() => pool.statistics().queued + pool.statistics().running === 0);
    // A thread that was told to close itself later may still do so.
    let last = -1;
    while (last !== pool.statistics().workersCrashed) {
      last = pool.statistics().workersCrashed;
      await new Promise((resolve) => setTimeout(resolve, 50));
      await pool.warmUp();
    }
    const statistics = assertAddsUp(pool.statistics());
    assertEquals([statistics.workers, statistics.idle, statistics.retired], [WORKERS, WORKERS, 0]);
    assert(kills >= KILLS * 0.9, `${kills} kills`);
    assert(statistics.workersCrashed >= KILLS / 2, `${statistics.workersCrashed} workers died`);
    assertEquals(statistics.workersStarted, statistics.workersCrashed + WORKERS);
    assert(crashed > 0 && statistics.crashed >= crashed);
    assertInstanceOf(await pool.submit(() => Deno.exit(1)).exception(), WorkerCrashedError);
    if (before !== undefined) {
      const grown = (await heapUsed())! - before;
      assert(grown < 5e6, `the heap has grown by ${grown} bytes`);
      const { rss } = Deno.memoryUsage();
      console.log(
        `${kind.name}: ${settled} calls, ${kills} kills, ${statistics.workersCrashed} workers died, ${crashed} calls with ` +
          `them; heap grown by ${(grown / 1e6).toFixed(1)} MB, rss ${(rss / 1e6).toFixed(0)} MB`,
      );
    }
    await pool.shutdown();
  }
  await assertAllGone(pids);
});
