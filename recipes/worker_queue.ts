/**
 * A pool of workers over a queue: the producers are faster than the workers, and the queue holds them back when it is
 * full. When all jobs are done the queue is shut down, which is how the workers learn that they can go home.
 *
 * ```sh
 * deno run jsr:@skein/skein/recipes/worker_queue --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/worker_queue";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual", "--workers=2", "--jobs=5"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import { aiter, currentTask, getRunningLoop, Queue, run, sleep, taskGroup } from "../lib/asyncio/mod.ts";
import { SEED, VIRTUAL, wholeNumber } from "./_options.ts";
import { makeLoop, makeRandint, runRecipe } from "./_recipe.ts";

/** A job, and how long it takes in milliseconds. */
interface Job {
  readonly number: number;
  readonly duration: number;
}

/** What they share; `start` is a time of the loop. */
interface Shop {
  readonly queue: Queue<Job>;
  readonly start: number;
  highestFill: number;
  heldBack: number;
}

function* produce(shop: Shop, jobs: readonly Job[]) {
  for (const job of jobs) {
    yield* sleep(100);
    if (shop.queue.full()) {
      shop.heldBack++;
      say(shop, `waits for room for job ${job.number}`);
    }
    yield* shop.queue.put(job);
    shop.highestFill = Math.max(shop.highestFill, shop.queue.qsize());
    say(shop, `has put job ${job.number}, fill ${shop.queue.qsize()}`);
  }
}

function* work(shop: Shop) {
  using jobs = aiter(shop.queue);
  while (yield* jobs.more()) {
    const job = jobs.value;
    say(shop, `begins job ${job.number}`);
    yield* sleep(job.duration);
    say(shop, `has done job ${job.number}`);
    // What queue.join() counts: a job that was taken is not done yet.
    shop.queue.taskDone();
  }
  say(shop, "goes home");
}

function* workOff(jobs: readonly Job[], workers: number, maxsize: number) {
  const queue = new Queue<Job>(maxsize);
  const shop: Shop = { queue, start: getRunningLoop().time(), highestFill: 0, heldBack: 0 };
  // The outer group ends with the workers, the inner one with the producers.
  yield* taskGroup(function* (group) {
    for (let i = 1; i <= workers; i++) group.createTask(work(shop), { name: `worker ${i}` });
    yield* taskGroup(function* (producers) {
      producers.createTask(produce(shop, jobs.filter(({ number }) => number % 2 === 1)), { name: "odd jobs" });
      producers.createTask(produce(shop, jobs.filter(({ number }) => number % 2 === 0)), { name: "even jobs" });
    });
    yield* queue.join();
    queue.shutdown();
  });
  console.log(bold(`Highest fill: ${shop.highestFill} of ${maxsize}; ${shop.heldBack} jobs had to wait for room`));
}

/** Who does what when. */
function say(shop: Shop, what: string): void {
  const seconds = ((getRunningLoop().time() - shop.start) / 1000).toFixed(1);
  console.log(`${seconds.padStart(5)} s  ${currentTask()!.getName().padEnd(10)} ${what}`);
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "worker_queue",
    about: "Two producers put jobs into a queue of bounded size, faster than the workers take them out.",
    permissions: "Needs no permission.",
    options: {
      workers: wholeNumber("how many workers", { from: 1, upTo: 1000, otherwise: 3 }),
      jobs: wholeNumber("how many jobs", { from: 0, upTo: 10_000, otherwise: 10 }),
      maxsize: wholeNumber("how many jobs the queue takes", { from: 1, upTo: 10_000, otherwise: 2 }),
      seed: SEED,
      virtual: VIRTUAL,
    },
    run: async ({ workers, jobs, maxsize, seed, virtual }) => {
      const randint = makeRandint(seed);
      const all = Array.from({ length: jobs }, (_, i) => ({ number: i + 1, duration: 100 * randint(3, 9) }));
      await run(workOff(all, workers, maxsize), { loopFactory: () => makeLoop(virtual) });
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
