/**
 * The first answer: two services are asked the same, the one that is faster is heard, the other one called off. And the
 * states that a future can be in.
 *
 * ```sh
 * deno run --allow-net=127.0.0.1 jsr:@skein/skein/recipes/first_completed --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/first_completed";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import { CancelledError, createTask, FIRST_COMPLETED, getRunningLoop, run, sleep, wait } from "../lib/asyncio/mod.ts";
import { Future } from "../lib/futures/mod.ts";
import { SEED, VIRTUAL } from "./_options.ts";
import { makeLoop, makeRandint, runRecipe } from "./_recipe.ts";

interface Service {
  readonly name: string;
  readonly url: string;
  /** Where in the answer the address is. */
  readonly attribute: string;
  /** How far away it is, in milliseconds. */
  readonly distance: number;
}

async function fetchIp(service: Service, signal: AbortSignal): Promise<string> {
  const loop = getRunningLoop();
  const start = loop.time();
  console.log(`Fetching IP from ${service.name}`);
  try {
    await sleep(service.distance);
    const response = await fetch(service.url, { signal });
    const answer = await response.json();
    const seconds = ((loop.time() - start) / 1000).toFixed(2);
    return `${service.name} finished with result: ${answer[service.attribute]}, took: ${seconds} seconds`;
  } catch (error) {
    if (error instanceof CancelledError) console.log(`${service.name} was cancelled`);
    throw error;
  }
}

async function firstAnswer(services: readonly Service[]): Promise<void> {
  const tasks = services.map((service) => createTask((signal) => fetchIp(service, signal)));
  const { done, pending } = await wait(tasks, { returnWhen: FIRST_COMPLETED });
  const [first] = done;
  console.log(bold(first!.result()));

  for (const task of pending) task.cancel();
  if (pending.size > 0) await wait(pending);
}

/** Both services, which answer with the address of who asks, each in its own way. */
function serve(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request, { remoteAddr }) => {
    const ip = remoteAddr.hostname;
    return Response.json(new URL(request.url).pathname === "/ipify" ? { ip } : { query: ip });
  });
}

/** A future of `concurrent.futures` in each state: what an executor does to it. */
function futureStates(): void {
  const pending = new Future<string>();
  const running = new Future<string>();
  running.setRunningOrNotifyCancel();
  const done = new Future<string>();
  done.setResult("answer");
  const cancelled = new Future<string>();
  cancelled.cancel();
  console.log(bold("Future states:"));
  for (
    const [state, future] of Object.entries({ Pending: pending, Running: running, Done: done, Cancelled: cancelled })
  ) {
    const asked = `running=${future.running()} done=${future.done()} cancelled=${future.cancelled()}`;
    console.log(`${state.padEnd(9)} ${asked} ${future}`);
  }
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 1 without permission; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "first_completed",
    about: "Asks two services for the address of this machine, takes the first answer, and cancels the rest.",
    permissions: "Needs --allow-net=127.0.0.1, where it starts the services.",
    options: { seed: SEED, virtual: VIRTUAL },
    run: async ({ seed, virtual }) => {
      const randint = makeRandint(seed);
      await using server = serve();
      const url = `http://127.0.0.1:${server.addr.port}`;
      // One near and one far, so that there is a first.
      const [near, far] = [randint(500, 900), randint(1000, 2000)];
      const [ipify, ipApi] = randint(0, 1) === 0 ? [near, far] : [far, near];
      await run(() =>
        firstAnswer([
          { name: "ipify", url: `${url}/ipify`, attribute: "ip", distance: ipify },
          { name: "ip-api", url: `${url}/ip-api`, attribute: "query", distance: ipApi },
        ]), { loopFactory: () => makeLoop(virtual) });
      futureStates();
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
