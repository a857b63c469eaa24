/** One thread wakes another by a word in shared memory. */

import { assertEquals } from "@std/assert";
import { makeBell, ring } from "../../lib/futures/_bell.ts";

function makeWord(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** Whatever was rung is heard by then. */
async function settle(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const word = makeWord();
  makeBell(word, resolve).listen();
  ring(word);
  // A bell keeps no program alive.
  const life = setInterval(() => {}, 1000);
  await promise;
  clearInterval(life);
}

Deno.test("ring() is heard once by who listens, whether it listened before or again", async () => {
  const word = makeWord();
  let heard = 0;
  const bell = makeBell(word, () => heard++);
  ring(word);
  await settle();
  assertEquals(heard, 0, "it did not listen");
  bell.listen();
  bell.listen();
  ring(word);
  ring(word);
  assertEquals(heard, 0, "not within the call");
  await settle();
  assertEquals(heard, 1);
  ring(word);
  await settle();
  assertEquals(heard, 1, "it did not listen again");
  bell.listen();
  ring(word);
  await settle();
  assertEquals(heard, 2);
  bell.close();
});

Deno.test("ring() is not heard by who ignores it, until it listens again", async () => {
  const word = makeWord();
  let heard = 0;
  const bell = makeBell(word, () => heard++);
  bell.listen();
  bell.ignore();
  ring(word);
  await settle();
  assertEquals(heard, 0);
  bell.listen();
  ring(word);
  await settle();
  assertEquals(heard, 1);
  bell.close();
});

Deno.test("ring() is not heard after close(), though it came before", async () => {
  const word = makeWord();
  let heard = 0;
  const bell = makeBell(word, () => heard++);
  bell.listen();
  ring(word);
  bell.close();
  ring(word);
  bell.listen();
  assertEquals(word[0], 0, "it is closed for good");
  ring(word);
  await settle();
  assertEquals(heard, 0);
});

Deno.test("ring() loses nothing between two threads, one of which listens before it looks", async () => {
  const words = new Int32Array(new SharedArrayBuffer(12));
  const [here, there, count] = [words.subarray(0, 1), words.subarray(1, 2), words.subarray(2)];
  const source = `
    const makeBell = ${makeBell}, ring = ${ring};
    onmessage = ({ data: { words, turns } }) => {
      const [here, there, count] = [words.subarray(0, 1), words.subarray(1, 2), words.subarray(2)];
      const bell = makeBell(there, look);
      function look() {
        bell.listen();
        const n = Atomics.load(count, 0);
        if (n % 2 === 0) return;
        if (n > turns) bell.close();
        Atomics.store(count, 0, n + 1);
        ring(here);
      }
      look();
    };`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: "module" });
  const turns = 2000;
  worker.postMessage({ words, turns });
  const { promise, resolve } = Promise.withResolvers<void>();
  const bell = makeBell(here, look);
  function look(): void {
    bell.listen();
    const n = Atomics.load(count, 0);
    if (n % 2 === 1) return;
    if (n > turns) return resolve();
    Atomics.store(count, 0, n + 1);
    ring(there);
  }
  look();
  await promise;
  bell.close();
  worker.terminate();
});
