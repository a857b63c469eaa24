import { loopCases, nativeAwait } from "./_loop_cases.ts";

const [switching, ...others] = loopCases;

Deno.bench(`bare native: ${nativeAwait.name} x 1,000`, {
  group: "switch",
  baseline: true,
}, async () => {
  await nativeAwait.run();
});

Deno.bench(`${switching!.name} x 1,000`, { group: "switch" }, async () => {
  await switching!.run();
});

for (const { name, operations, run } of others) {
  Deno.bench(`${name} (${operations.toLocaleString("en")} in all)`, {
    group: name,
    n: 3,
    warmup: 1,
  }, async () => {
    await run();
  });
}
