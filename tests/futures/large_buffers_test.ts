/** Large buffers, which threads are given as copies that are moved: nobody should notice. */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { copyLargeBuffers } from "../../lib/futures/_large_buffers.ts";
import { makeIsPlain } from "../../lib/futures/_plain_data.ts";
import { ThreadPoolExecutor } from "../../lib/futures/mod.ts";
import { forEachPool, poolTest } from "./_helpers.ts";

const LARGE = 65536;

function filled(bytes: number): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes);
  new Uint8Array(buffer).forEach((_, i, all) => all[i] = i % 251);
  return buffer;
}

const isPlain = makeIsPlain();
const copy = (...values: unknown[]) => copyLargeBuffers([values], isPlain);

Deno.test("copyLargeBuffers() copies buffers and views as structuredClone() does", () => {
  const buffer = filled(LARGE);
  class Derived extends Uint16Array {}
  class Vector extends Float64Array {
    override get length(): number {
      return Math.hypot(...this);
    }
    override get byteOffset(): number {
      return -1;
    }
    override get buffer(): never {
      throw new RangeError("nobody asked for this");
    }
  }
  const values = [
    buffer,
    new Uint8Array(buffer, 8, 3),
    new Uint8ClampedArray(buffer),
    new Float64Array(buffer, 16),
    new BigInt64Array(buffer, 0, 0),
    new DataView(buffer, 3, 5),
    new Derived(buffer),
    Buffer.from(buffer, 5, 6),
    Object.assign(new DataView(buffer, 2), { length: 1 }),
    Object.setPrototypeOf(new Uint8Array(buffer, 1), null),
    new Vector(buffer, 8),
    new Float32Array([1, 2]),
    filled(7),
    "text",
    1n,
    undefined,
    { plain: [1] },
  ];
  const { lists: [copies], buffers } = copy(...values)!;
  const expected = structuredClone(values);
  assertEquals(copies, expected);
  for (const [i, value] of copies!.entries()) {
    assertEquals(Object.prototype.toString.call(value), Object.prototype.toString.call(expected[i]));
    assertEquals(Object(value).constructor, Object(expected[i]).constructor);
    if (!ArrayBuffer.isView(value)) continue;
    const { byteOffset, byteLength } = expected[i] as ArrayBufferView;
    assertEquals([value.byteOffset, value.byteLength], [byteOffset, byteLength]);
    if (i < 11) assert(value.buffer === copies![0]);
  }
  assertEquals(buffers.map(({ byteLength }) => byteLength), [LARGE, 8, 7]);
  assert(!buffers.includes(buffer));
});

Deno.test("copyLargeBuffers() leaves to the engine what is small, and what may have the same buffers inside", () => {
  const buffer = filled(LARGE);
  const detached = filled(LARGE);
  detached.transfer();
  class Derived extends ArrayBuffer {}
  const resizable = new ArrayBuffer(LARGE, { maxByteLength: 2 * LARGE });
  const shared = new SharedArrayBuffer(LARGE);
  for (
    const values of [
      [],
      [1, "text", null],
      [filled(LARGE - 1)],
      [new Uint8Array(LARGE - 1), new DataView(new ArrayBuffer(8))],
      [shared, new Int32Array(shared)],
      [buffer, { buffer }],
      [buffer, [buffer]],
      [buffer, new Map()],
      [buffer, () => {}],
      [buffer, detached],
      [buffer, resizable],
      [new Uint8Array(resizable), buffer],
      [new Derived(LARGE)],
      [Object.assign(filled(LARGE), { slice: () => new ArrayBuffer(0) })],
      [Object.assign(filled(LARGE), { constructor: 1 })],
      [buffer, Object.create(ArrayBuffer.prototype)],
    ]
  ) {
    assert(copy(...values) === undefined, Deno.inspect(values.map((value) => Object.prototype.toString.call(value))));
  }
  const [[alsoShared, view]] = copy(shared, new Int32Array(shared), buffer)!.lists as [[unknown, Int32Array]];
  assert(alsoShared === shared && view.buffer === shared);
});

forEachPool("submit() leaves the caller its large buffers", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const data = new Uint8Array(filled(LARGE));
  for (let n = 0; n < 3; n++) {
    assertEquals(await pool.submit((data: Uint8Array) => data.fill(1).length, data), LARGE);
    assertEquals(data, new Uint8Array(filled(LARGE)));
  }
});

forEachPool("submit() leaves the task the large buffers that it returns, yields or keeps", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const keep = (data: Uint8Array | undefined) => {
    const kept = globalThis as unknown as { data: Uint8Array };
    if (data !== undefined) kept.data = data;
    kept.data[0]!++;
    return kept.data;
  };
  assertEquals((await pool.submit(keep, new Uint8Array(LARGE)))[0], 1);
  const [second, third] = await Promise.all([pool.submit(keep, undefined), pool.submit(keep, undefined)]);
  assertEquals([second[0], third[0], third.length], [2, 3, LARGE]);
  const twice = function* (size: number) {
    const data = new Uint8Array(size);
    for (let n = 0; n < 2; n++) {
      data[0]!++;
      yield data;
    }
  };
  assertEquals((await Array.fromAsync(pool.stream(twice, LARGE))).map((data) => [data[0], data.length]), [
    [1, LARGE],
    [2, LARGE],
  ]);
});

forEachPool("submit() keeps large buffers the same that are the same", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const data = new Uint8Array(filled(LARGE), 4);
  const isSame = (a: Uint8Array, b: { buffer: ArrayBufferLike }) => a.byteOffset === 4 && a.buffer === b.buffer;
  assertEquals(await pool.submit(isSame, data, data.subarray(1)), true);
  assertEquals(await pool.submit(isSame, data, { buffer: data.buffer }), true);
  const pairs = [[data, data], [data, new Uint8Array(1)]] as const;
  assertEquals(await Array.fromAsync(pool.starmap(isSame, pairs, { chunksize: 2 })), [true, false]);
});

forEachPool("submitWith() sends large buffers beside a context", async (kind) => {
  await using pool = kind.create({ maxWorkers: 1 });
  const read = (data: Uint8Array) => {
    const task = (globalThis as never)[Symbol.for("@skein/skein.task")] as { taskContext(): Record<string, unknown> };
    return [data.length, data[300], task.taskContext().of];
  };
  const data = new Uint8Array(filled(LARGE));
  assertEquals(await pool.submitWith({ context: { of: "text" } }, read, data), [LARGE, 49, "text"]);
  assertEquals(await pool.submitWith({ context: { of: [1n] } }, read, data), [LARGE, 49, [1n]]);
});

for (const name of ["ArrayBuffer", "SharedArrayBuffer", "Uint8Array", "Map"]) {
  poolTest(`ThreadPoolExecutor goes on after a task that has taken ${name} away from its worker`, async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const spoil = (name: string, size: number) => {
      const scope = globalThis as unknown as Record<string, unknown>;
      scope.kept = new Uint8Array(size);
      scope[name] = undefined;
    };
    await pool.submit(spoil, name, LARGE);
    // By a message, to the same worker.
    const kept = (_: Date) => (globalThis as unknown as { kept: Uint8Array }).kept;
    assertEquals((await pool.submit(kept, new Date(0))).length, LARGE);
  });
}
