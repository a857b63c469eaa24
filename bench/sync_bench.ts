import { questions } from "./_sync_cases.ts";

for (const { name, operations, contenders } of questions) {
  for (const [index, [contender, run]] of Object.entries(contenders).entries()) {
    Deno.bench(`${contender} (${operations.toLocaleString("en")} times)`, {
      group: name,
      baseline: index === 0,
      n: 5,
      warmup: 2,
    }, async () => {
      await run();
    });
  }
}
