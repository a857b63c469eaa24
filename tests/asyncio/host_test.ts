import { assert, assertEquals } from "@std/assert";
import { afterHostTurn, afterImmediates } from "../../lib/asyncio/_host.ts";

for (const turn of [afterHostTurn, afterImmediates]) {
  Deno.test(`${turn.name}() lets the host look at its I/O`, async () => {
    const server = Deno.serve({ port: 0, onListen: () => {} }, () => new Response("served"));
    let turns = 0;
    let answer = "";
    fetch(`http://127.0.0.1:${server.addr.port}`).then(async (response) => {
      answer = await response.text();
    });
    while (answer === "" && turns < 1000) {
      await new Promise<void>((resolve) => turn(resolve));
      // As long as a loop runs between two turns.
      for (const begin = performance.now(); performance.now() < begin + 2;);
      turns++;
    }
    assertEquals(answer, "served");
    // Two or three; and each would take dozens if the I/O were not looked at in every one.
    assert(turns < 20, `${turns} turns`);
    await server.shutdown();
  });
}
