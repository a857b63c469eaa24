/**
 * The programs of README.md that are files of their own, run as such. `deno test --doc` runs the others.
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);

/** A module that they import, which README.md leaves to the reader. */
const PARSER = `export function parse(text: string): string[] {
  return text.split(" ");
}
`;

/** The programs by their names, which their first lines tell. */
function programs(markdown: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, indent, block] of markdown.matchAll(/^( *)```ts ignore\n([^]*?)^ *```$/gm)) {
    const lines = block!.split("\n").map((line) => line.slice(indent!.length));
    const name = /^\/\/ (\w+\.ts)$/.exec(lines[0]!)?.[1];
    assert(name !== undefined, `a snippet that neither runs in place nor has the name of a file:\n${block}`);
    found.set(name, lines.join("\n"));
  }
  return found;
}

Deno.test("the programs of README.md print what their comments say", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  const imports: Record<string, string> = {};
  for (const [name, path] of Object.entries(config.exports)) {
    imports[`${config.name}${name.slice(1)}`] = new URL(path, ROOT).href;
  }
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    await Deno.writeTextFile(`${folder}/parser.ts`, PARSER);
    const files = programs(readme);
    assertEquals([...files.keys()], ["main.ts", "other.ts"]);
    for (const [name, source] of files) {
      await Deno.writeTextFile(`${folder}/${name}`, source);
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        // What README.md says of permissions.
        args: ["run", "--quiet", `--allow-read=${folder}`, `--allow-run=${Deno.execPath()}`, name],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const decoder = new TextDecoder();
      assertEquals(code, 0, decoder.decode(stderr));
      const promised = [...source.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(([, text]) => text!);
      assertEquals(decoder.decode(stdout).trimEnd().split("\n"), promised, name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
