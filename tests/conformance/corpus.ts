/** The recorded traces: a gzipped file of one JSON text a line, the trace of seed 0, 1, 2 and so on. */

import { TextLineStream } from "./lines.ts";

const FILE = new URL("corpus.jsonl.gz", import.meta.url);

/** The traces, in the order of the seeds. */
export async function* readCorpus(): AsyncGenerator<string[], void, unknown> {
  const file = await Deno.open(FILE);
  const lines = file.readable.pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    );
  for await (const line of lines) yield JSON.parse(line);
}

/** Writes the traces. */
export async function writeCorpus(traces: readonly string[][]): Promise<void> {
  const text = traces.map((trace) => JSON.stringify(trace) + "\n").join("");
  await Deno.writeFile(
    FILE,
    new Blob([text]).stream().pipeThrough(new CompressionStream("gzip")),
  );
}
