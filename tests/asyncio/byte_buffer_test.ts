import { assert, assertEquals } from "@std/assert";
import { ByteBuffer } from "../../lib/asyncio/_byte_buffer.ts";
import { bytes } from "./_helpers.ts";

Deno.test("ByteBuffer.indexOf() searches its content, and not the room behind it", () => {
  const buffer = new ByteBuffer();
  buffer.append(bytes("x".repeat(1000) + "\n"));
  // The end of a line that was taken stays behind the content.
  buffer.take(1001);
  buffer.append(bytes("y".repeat(10)));

  const lengths: number[] = [];
  const indexOf = Uint8Array.prototype.indexOf;
  Uint8Array.prototype.indexOf = function (...args) {
    lengths.push(this.length);
    return indexOf.apply(this, args);
  };
  try {
    assertEquals([buffer.indexOf(bytes("\n"), 0), buffer.indexOf(bytes("yz"), 5)], [-1, -1]);
  } finally {
    Uint8Array.prototype.indexOf = indexOf;
  }
  assert(lengths.length > 0);
  assertEquals(lengths.filter((length) => length > buffer.length), []);
});

Deno.test("ByteBuffer.indexOf() finds what begins anywhere in it, also after something was taken", () => {
  const buffer = new ByteBuffer();
  buffer.append(bytes("aab--aaab"));
  buffer.take(3);
  const found = ["-", "--", "-a", "aaab", "ab", "b", "bb", "aaabb"].map((wanted) => buffer.indexOf(bytes(wanted), 0));
  assertEquals(found, [0, 0, 1, 2, 4, 5, -1, -1]);
  assertEquals([buffer.indexOf(bytes("a"), 3), buffer.indexOf(bytes("b"), 6)], [3, -1]);
});
