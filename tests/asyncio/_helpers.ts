/**
 * What the tests of asyncio share: loops on a virtual clock, and programs of their own.
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Awaitable, EventLoop, type EventLoopOptions, type ExceptionContext } from "../../lib/asyncio/mod.ts";
import { VirtualClock } from "../../lib/testing/mod.ts";

/** A loop on a virtual clock. */
export function virtualLoop(options: EventLoopOptions = {}): EventLoop {
  return new EventLoop({ clock: new VirtualClock(), ...options });
}

/** What the exception handler of `loop` is told from now on. */
export function reportsOf(loop: EventLoop): ExceptionContext[] {
  const reports: ExceptionContext[] = [];
  loop.setExceptionHandler((_, context) => reports.push(context));
  return reports;
}

/** A test that runs in a task, on a virtual clock. Nothing may reach the exception handler, not even at the end. */
export function loopTest(name: string, body: (loop: EventLoop) => Awaitable<unknown>): void {
  Deno.test(name, async () => {
    const loop = virtualLoop();
    const reports = reportsOf(loop);
    try {
      await loop.runUntilComplete(() => body(loop) as PromiseLike<unknown>);
    } finally {
      loop.close();
    }
    assertEquals(reports.map((report) => `${report.message} ${report.exception}`), []);
  });
}

/** A test in a task on a loop of the real clock, after which no connection, server, process or task may be left. */
export function resourceTest(
  name: string,
  body: (loop: EventLoop) => Awaitable<unknown>,
  options: { ignore?: boolean } = {},
): void {
  Deno.test({
    ...options,
    name,
    fn: async () => {
      const loop = new EventLoop();
      const reports = reportsOf(loop);
      try {
        await loop.runUntilComplete(() => body(loop) as PromiseLike<unknown>);
        assertEquals([loop._resources.size, [...loop._tasks].length], [0, 0]);
      } finally {
        loop.close();
      }
      assertEquals(reports.map((report) => `${report.message} ${report.exception}`), []);
    },
  });
}

/** How a program ended, and what it printed. */
export interface ProgramResult {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
}

/** A program of its own that has been started. */
export interface Program {
  readonly child: Deno.ChildProcess;
  /** Resolves when the program has printed `text` to stdout. */
  printed(text: string): Promise<void>;
  /** Resolves when the program has ended. */
  ended(): Promise<ProgramResult>;
}

const HEADER = `import * as asyncio from "${import.meta.resolve("../../lib/asyncio/mod.ts")}";
import * as testing from "${import.meta.resolve("../../lib/testing/mod.ts")}";
`;

/** Starts `source` as a program of its own, in which `asyncio` and `testing` are there. */
export async function startProgram(source: string, flags: readonly string[] = []): Promise<Program> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-config", "--no-lock", "--quiet", ...flags, "-"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(HEADER + source));
  await writer.close();

  let stdout = "";
  const watchers: (() => void)[] = [];
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      stdout += decoder.decode(chunk, { stream: true });
      for (const watch of watchers) watch();
    }
  })();
  const stderr = child.stderr.text();
  return {
    child,
    printed: (text) =>
      Promise.race([
        new Promise<void>((resolve) => {
          const watch = (): void => {
            if (stdout.includes(text)) resolve();
          };
          watchers.push(watch);
          watch();
        }),
        reading.then(async () => {
          if (!stdout.includes(text)) throw new Error(`The program ended without "${text}": ${await stderr}`);
        }),
      ]),
    ended: async () => {
      // One that does not end is killed, which fails the test by its signal.
      const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
      const { code, signal } = await child.status;
      clearTimeout(timer);
      await reading;
      return { code, signal, stdout, stderr: await stderr };
    },
  };
}

/** Runs `source` as a program of its own to its end. */
export async function runProgram(source: string, flags: readonly string[] = []): Promise<ProgramResult> {
  return await (await startProgram(source, flags)).ended();
}

/** The UTF-8 of a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** The text of UTF-8. */
export function text(bytes: Uint8Array | null): string {
  return new TextDecoder().decode(bytes ?? undefined);
}
