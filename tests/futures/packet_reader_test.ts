import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { makeKey, PacketReader } from "../../lib/futures/_packet_reader.ts";
import { packetWriter } from "../../lib/futures/_process_program.ts";

const KEY = Uint8Array.of(7, 1, 7, 1, 7, 7, 2, 9, 7, 1, 7, 1, 7, 7, 2, 8);

/** What `packetWriter` writes, which it does to the stdout of its process. */
function packets(channel: number, payload: Uint8Array): Uint8Array[] {
  const written: Uint8Array[] = [];
  const original = Object.getOwnPropertyDescriptor(Deno, "stdout")!;
  Object.defineProperty(Deno, "stdout", {
    configurable: true,
    value: { writeSync: (bytes: Uint8Array) => written.push(bytes.slice()) && bytes.length },
  });
  try {
    packetWriter(KEY, channel)(payload);
  } finally {
    Object.defineProperty(Deno, "stdout", original);
  }
  return written;
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** How often `part` is in `whole`. */
function count(whole: Uint8Array, part: Uint8Array): number {
  let found = 0;
  for (let at = whole.indexOf(part[0]!); at !== -1; at = whole.indexOf(part[0]!, at + 1)) {
    if (part.every((byte, i) => whole[at + i] === byte)) found++;
  }
  return found;
}

/** Feeds the bytes in pieces, and gives back the messages and everything else. */
function read(bytes: Uint8Array, cuts: readonly number[]): { messages: [number, number[]][]; output: number[] } {
  const messages: [number, number[]][] = [];
  const output: number[] = [];
  const reader = new PacketReader(KEY, 2 ** 30, {
    message: (channel, payload) => messages.push([channel, [...payload]]),
    output: (bytes) => output.push(...bytes),
  });
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    reader.push(bytes.slice(start, end));
    start = end;
  }
  reader.end();
  return { messages, output };
}

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 50 }),
  // What looks like the key.
  fc.array(fc.constantFrom(7, 1, 2, 9, 8), { maxLength: 60 }).map((list) => Uint8Array.from(list)),
  fc.nat(KEY.length - 1).map((length) => KEY.slice(0, length)),
);

Deno.test("PacketReader takes messages and output apart, however the stream is cut", () => {
  const item = fc.oneof(
    fc.record({ output: bytes }),
    fc.record({
      channel: fc.nat(1),
      payload: fc.oneof(bytes, fc.constant(KEY), fc.nat(9000).map((n) => new Uint8Array(n).fill(7))),
    }),
  );
  fc.assert(
    fc.property(fc.array(item, { maxLength: 8 }), fc.array(fc.nat()), (items, cuts) => {
      const stream: Uint8Array[] = [];
      const expected = { messages: [] as [number, number[]][], output: [] as number[] };
      let expectedKeys = 0;
      for (const item of items) {
        if ("output" in item) {
          stream.push(item.output);
          expected.output.push(...item.output);
        } else {
          const written = packets(item.channel, item.payload);
          for (const packet of written) expectedKeys += count(packet, KEY);
          stream.push(...written);
          expected.messages.push([item.channel, [...item.payload]]);
        }
      }
      // Nobody prints the key, which is a secret of 128 bits; here chance may.
      fc.pre(count(join(stream), KEY) === expectedKeys);
      assertEquals(read(join(stream), cuts), expected);
    }),
    { numRuns: 300 },
  );
});

Deno.test("PacketReader joins the packets of two channels that are mixed", () => {
  const [a, b] = [packets(0, new Uint8Array(9000).fill(1)), packets(1, new Uint8Array(5000).fill(2))];
  const mixed = join([a[0]!, b[0]!, a[1]!, Uint8Array.of(5), b[1]!, a[2]!]);
  const { messages, output } = read(mixed, [100, 4096, 4100, 9000]);
  assertEquals(messages.map(([channel, payload]) => [channel, payload.length, new Set(payload).size]), [[1, 5000, 1], [
    0,
    9000,
    1,
  ]]);
  assertEquals(output, [5]);
});

Deno.test("packetWriter() writes nothing larger than a pipe takes in one piece", () => {
  for (const length of [0, 1, 4074, 4075, 4076, 20_000]) {
    const written = packets(0, new Uint8Array(length));
    // Deno's stdout parts what does not end with a newline.
    assert(written.every((packet) => packet.length <= 4096 && packet.at(-1) === 0x0a), `length ${length}`);
    assertEquals(read(join(written), []).messages.map(([, payload]) => payload.length), [length]);
  }
});

Deno.test("PacketReader keeps back nothing of a text, whatever the key", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (text) => {
      const bytes = new TextEncoder().encode(text);
      let output = 0;
      new PacketReader(makeKey(), 1e6, { output: (bytes) => output += bytes.length, message: () => {} }).push(bytes);
      assertEquals(output, bytes.length);
    }),
    { numRuns: 2000 },
  );
  // Each of these ends with what was once the first byte of one key in 256.
  for (let n = 0; n < 2000; n++) {
    let output = "";
    const reader = new PacketReader(makeKey(), 1e6, {
      output: (bytes) => output += new TextDecoder().decode(bytes),
      message: () => {},
    });
    reader.push(new TextEncoder().encode("a line\n"));
    assertEquals(output, "a line\n");
  }
});

Deno.test("PacketReader.end() gives out what looked like the start of a packet", () => {
  const { messages, output } = read(KEY.slice(0, 9), [3]);
  assertEquals([messages, output], [[], [...KEY.slice(0, 9)]]);
});

Deno.test("PacketReader refuses a packet that does not end where it says", () => {
  const [packet] = packets(0, Uint8Array.of(1, 2, 3));
  packet![packet!.length - 1] = 0;
  assertThrows(() => read(packet!, []), RangeError, "a packet without an end");
});

Deno.test("PacketReader.end() drops a packet that was cut off", () => {
  const [packet] = packets(0, Uint8Array.of(1, 2, 3));
  for (let length = KEY.length; length < packet!.length; length++) {
    assertEquals(read(join([Uint8Array.of(5), packet!.slice(0, length)]), [3]), { messages: [], output: [5] });
  }
});
