/**
 * Results as they come: three HTTP requests that take different times, printed in the order in which they end.
 *
 * ```sh
 * deno run --allow-net=127.0.0.1 jsr:@skein/skein/recipes/as_completed --virtual
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/as_completed";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--virtual"]), 0);
 * ```
 *
 * @module
 */

import { asCompleted, getRunningLoop, run, sleep } from "../lib/asyncio/mod.ts";
import { SEED, text, VIRTUAL, wholeNumber } from "./_options.ts";
import { makeLoop, makeRandint, runRecipe } from "./_recipe.ts";

async function fetchAsync(pid: number, url: string, seconds: number, signal: AbortSignal): Promise<string> {
  const start = getRunningLoop().time();
  console.log(`Fetch async process ${pid} started, sleeping for ${seconds} seconds`);
  await sleep({ seconds });

  const datetime = await fetchDate(url, signal);
  return `Process ${pid}: ${datetime}, took: ${secondsSince(start)} seconds`;
}

async function fetchDate(url: string, signal: AbortSignal): Promise<string | null> {
  try {
    const response = await fetch(url, { signal });
    await response.body?.cancel();
    return response.headers.get("date");
  } catch (error) {
    // What fetch throws where there is no answer; a cancellation goes on.
    if (error instanceof TypeError) return error.message;
    throw error;
  }
}

function secondsSince(start: number): string {
  return ((getRunningLoop().time() - start) / 1000).toFixed(2);
}

/** A server to ask, for who has no other. */
function serve(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("[]"));
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 1 without permission; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "as_completed",
    about: "HTTP requests after random delays, their results printed as they come.",
    permissions: "Needs --allow-net=127.0.0.1, where it starts a server; with --url, --allow-net of that host.",
    options: {
      clients: wholeNumber("how many requests", { from: 1, upTo: 1000, otherwise: 3 }),
      url: text("ask this and start no server", { sign: "URL", example: "https://example.com/", like: URL.canParse }),
      seed: SEED,
      virtual: VIRTUAL,
    },
    run: async ({ clients, url, seed, virtual }) => {
      const randint = makeRandint(seed);
      await using server = url === undefined ? serve() : null;
      const address = url ?? `http://127.0.0.1:${server!.addr.port}/`;
      await run(async () => {
        const start = getRunningLoop().time();
        const pids = Array.from({ length: clients }, (_, i) => i + 1);
        const fetches = pids.map((pid) => (signal: AbortSignal) => fetchAsync(pid, address, randint(2, 5), signal));
        let i = 0;
        for (const next of asCompleted(fetches)) {
          const result = await next;
          console.log(`${">>".repeat(++i)} ${result}`);
        }
        console.log(`Process took: ${secondsSince(start)} seconds`);
      }, { loopFactory: () => makeLoop(virtual) });
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
