/**
 * A crawler: each page of a site once, so many requests at a time, and none longer than its time limit. The pages that
 * are found go into a queue, and `map` takes them out of it. The site is made up, with cycles, a slow page, a link to
 * nowhere, and a page that never answers.
 *
 * ```sh
 * deno run --allow-net=127.0.0.1 jsr:@skein/skein/recipes/crawler
 * ```
 *
 * ```ts
 * import { main } from "@skein/skein/recipes/crawler";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--pages=5", "--timeout=500"]), 0);
 * ```
 *
 * @module
 */

import { bold } from "@std/fmt/colors";
import { map, moveOnAfter, Queue, run } from "../lib/asyncio/mod.ts";
import { wholeNumber } from "./_options.ts";
import { runRecipe } from "./_recipe.ts";

interface Page {
  readonly path: string;
  readonly status: number | "timed out";
  readonly links: readonly string[];
}

async function visit(path: string, origin: string, timeout: number): Promise<Page> {
  const { value } = await moveOnAfter(timeout, async ({ signal }) => {
    // When the time is over the signal aborts, which closes the connection.
    const response = await fetch(new URL(path, origin), { signal });
    const links = [...(await response.text()).matchAll(/href="([^"]+)"/g)].map(([, link]) => link!);
    return { path, status: response.status, links };
  });
  return value ?? { path, status: "timed out", links: [] };
}

async function crawl(origin: string, limit: number, timeout: number): Promise<Page[]> {
  const frontier = new Queue<string>();
  const seen = new Set<string>();
  const discover = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    frontier.putNowait(path);
  };

  discover("/");
  const pages: Page[] = [];
  for await (const page of map((path) => visit(path, origin, timeout), frontier, { limit, ordered: false })) {
    console.log(`${String(page.status).padEnd(9)}  ${page.path}`);
    pages.push(page);
    page.links.forEach(discover);
    frontier.taskDone();
    // No page is left that could have further links: the end of the queue ends the map.
    if (frontier.statistics().unfinished === 0) frontier.shutdown();
  }
  return pages;
}

/** A site of so many pages, each with links to the next ones and back home; it notes which requests were called off. */
function serve(pages: number, calledOff: string[]): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    // A body that begins and never comes; it is cancelled when the connection closes.
    if (pathname === "/hangs") return new Response(new ReadableStream({ cancel: () => void calledOff.push(pathname) }));
    if (pathname === "/slow") await new Promise((resolve) => setTimeout(resolve, 200));
    const number = pathname === "/" ? 0 : Number(pathname.match(/^\/page(\d+)$/)?.[1] ?? NaN);
    if (!(number < pages) && pathname !== "/slow") return new Response("Not found", { status: 404 });

    const next = [2 * number + 1, 2 * number + 2].filter((n) => n < pages).map((n) => `/page${n}`);
    const links = ["/", ...next, ...(number === 0 ? ["/slow", "/hangs", "/missing"] : [])];
    return new Response(links.map((link) => `<a href="${link}">${link}</a>`).join("\n"));
  });
}

/**
 * Runs the recipe.
 *
 * @param args The command line: see `--help`.
 * @returns The exit code: 0; 1 without permission; 2 if the command line is wrong; 130 after Ctrl-C.
 */
export function main(args: string[]): Promise<number> {
  return runRecipe(args, {
    name: "crawler",
    about: "Visits each page of a small site once, so many at a time, and gives up those that do not answer.",
    permissions: "Needs --allow-net=127.0.0.1, where it starts the site.",
    options: {
      pages: wholeNumber("how many pages of the common kind", { from: 1, upTo: 10_000, otherwise: 10 }),
      limit: wholeNumber("how many requests at a time", { from: 1, upTo: 100, otherwise: 3 }),
      timeout: wholeNumber("how long a page may take, in milliseconds", { from: 1, upTo: 60_000, otherwise: 1000 }),
    },
    run: async ({ pages: size, limit, timeout }) => {
      const calledOff: string[] = [];
      await using server = serve(size, calledOff);
      const pages = await run(() => crawl(`http://127.0.0.1:${server.addr.port}`, limit, timeout));
      const withStatus = (status: Page["status"]): string =>
        pages.filter((page) => page.status === status).map(({ path }) => path).join(", ") || "none";
      console.log(bold(`${pages.length} pages visited`));
      console.log(`Broken links: ${withStatus(404)}`);
      console.log(`Timed out: ${withStatus("timed out")}`);
      await server.shutdown();
      console.log(`Called off, says the server: ${calledOff.join(", ") || "none"}`);
    },
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
