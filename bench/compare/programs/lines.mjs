/** The lines of a stream of bytes, as many at a time as came together. */
export async function* lines(readable) {
  let rest = "";
  for await (const text of readable.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop();
    if (parts.length > 0) yield parts;
  }
}
