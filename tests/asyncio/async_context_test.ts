import { AsyncLocalStorage } from "node:async_hooks";
import { assert, assertEquals } from "@std/assert";
import { type AsyncContext, asyncContext } from "../../lib/asyncio/_async_context.ts";

type Core = NonNullable<Parameters<typeof asyncContext>[0]>;

/** Deno's contexts as a version could have them that knows nothing of ours. */
const strange: Core = { getAsyncContext: () => new Map(), setAsyncContext: () => {} };

const kinds: [string, () => AsyncContext<string>][] = [
  ["asyncContext()", () => asyncContext<string>()],
  ["asyncContext() where Deno's contexts are not as expected", () => asyncContext<string>(strange)],
  ["asyncContext() where Deno has no contexts", () => asyncContext<string>({} as Core)],
];

for (const [name, make] of kinds) {
  Deno.test(`${name} follows code through its awaits, also side by side`, async () => {
    const context = make();
    const seen: (string | undefined)[] = [];
    const note = async (turns: number): Promise<void> => {
      seen.push(context.get());
      for (let i = 0; i < turns; i++) await null;
      seen.push(context.get());
      await new Promise((resolve) => setTimeout(resolve, 0));
      seen.push(context.get());
    };
    const both = [context.run("a", note, 1), context.run("b", note, 2)];
    assertEquals(context.get(), undefined);
    await Promise.all(both);
    assertEquals(seen, ["a", "b", "a", "b", "a", "b"]);
  });

  Deno.test(`${name} gives the value around back, also after an error`, () => {
    const context = make();
    context.run("outer", () => {
      assertEquals(context.run("inner", (text: string) => context.get() + text, "!"), "inner!");
      try {
        context.run("inner", () => {
          throw new Error("planned");
        });
      } catch { /* As planned. */ }
      assertEquals(context.get(), "outer");
    });
    assertEquals(context.get(), undefined);
  });

  Deno.test(`${name} lives beside an AsyncLocalStorage, inside and around`, async () => {
    const context = make();
    const storage = new AsyncLocalStorage<number>();
    const both = async (): Promise<unknown[]> => {
      await null;
      return [context.get(), storage.getStore()];
    };
    assertEquals(await context.run("a", () => storage.run(1, both)), ["a", 1]);
    assertEquals(await storage.run(1, () => context.run("a", both)), ["a", 1]);
    assertEquals(await context.run("a", () => storage.run(1, () => context.run("b", both))), ["b", 1]);
  });

  Deno.test(`${name} that is alone has nothing of the context of its caller`, () => {
    const context = make();
    const storage = new AsyncLocalStorage<number>();
    const alone = context.alone("alone");
    let called = false;
    storage.run(1, () =>
      context.run("caller", () => {
        alone(() => {
          called = true;
          assertEquals([context.get(), storage.getStore()], ["alone", undefined]);
        });
        assertEquals([context.get(), storage.getStore()], ["caller", 1]);
      }));
    assert(called);
  });
}

Deno.test("asyncContext() has nothing to do with another one", () => {
  const context = asyncContext<string>();
  const other = asyncContext<string>();
  const both = () => [context.get(), other.get()];
  assertEquals(context.run("a", both), ["a", undefined]);
  assertEquals(context.run("a", () => other.run("b", both)), ["a", "b"]);
});

Deno.test("asyncContext() does without AsyncLocalStorage in this Deno", () => {
  const context = asyncContext<string>();
  const run = AsyncLocalStorage.prototype.run;
  AsyncLocalStorage.prototype.run = () => {
    throw new Error("used");
  };
  try {
    assertEquals(context.run("a", () => context.get()), "a");
  } finally {
    AsyncLocalStorage.prototype.run = run;
  }
});
