/**
 * Reading the archive that `deno publish` uploads.
 * @module
 */

const BLOCK = 512;

/**
 * The files of a tar archive by their names. Of the format's many kinds of entries, only files are known: `deno publish`
 * makes no others, as long as no path has more than 100 bytes.
 *
 * @throws {TypeError} If there is another kind of entry.
 */
export function untar(archive: Uint8Array): Map<string, Uint8Array<ArrayBuffer>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let offset = 0; offset < archive.length && archive[offset] !== 0;) {
    const name = field(archive, offset, 100);
    const size = parseInt(field(archive, offset + 124, 12), 8);
    const kind = field(archive, offset + 156, 1);
    if (kind !== "0" && kind !== "") {
      throw new TypeError(`Cannot read ${name} as only files are known: its kind is ${kind}`);
    }
    const start = offset + BLOCK;
    files.set(name, archive.slice(start, start + size));
    offset = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

/** A field of a header: text that ends at a zero, if it does not fill the field. */
function field(archive: Uint8Array, start: number, length: number): string {
  const bytes = archive.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end));
}
