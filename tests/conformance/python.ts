import { TextLineStream } from "./lines.ts";
import type { Program } from "./program.ts";

/** The traces of programs on CPython, 3.13 or newer. */
export async function* pythonTraces(
  programs: readonly Program[],
  python: string,
): AsyncGenerator<string[], void, unknown> {
  const child = new Deno.Command(python, {
    args: ["-B", new URL("run.py", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const feed = (async () => {
    const encoder = new TextEncoder();
    for (const program of programs) {
      await writer.write(encoder.encode(JSON.stringify(program) + "\n"));
    }
    await writer.close();
  })();
  for await (
    const line of child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    )
  ) {
    yield JSON.parse(line);
  }
  await feed;
  await child.status;
}
