/**
 * Checks the documentation of every entry point in deno.json: each public
 * symbol is documented (`deno doc --lint`), and each module doc has an example,
 * which `deno doc --lint` does not look for.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** The part of the output of `deno doc --json` that is read here. */
interface DocOutput {
  nodes: Record<string, { module_doc?: { doc?: string } }>;
}

const EXAMPLE_REGEXP = /^```(?:ts|js)/m;

const root = new URL("../", import.meta.url);
const entryPoints = Object.values(config.exports);
const problems: string[] = [];

const lint = await doc("--lint", ...entryPoints);
if (!lint.success) problems.push(lint.stderr);

for (const entryPoint of entryPoints) {
  const { success, stdout, stderr } = await doc("--json", entryPoint);
  if (!success) {
    problems.push(stderr);
    continue;
  }
  const { nodes } = JSON.parse(stdout) as DocOutput;
  const text = nodes[new URL(entryPoint, root).href]?.module_doc?.doc ?? "";
  if (!EXAMPLE_REGEXP.test(text)) {
    problems.push(`${entryPoint} has no module doc with an example`);
  }
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) Deno.exit(1);
console.log(`Checked the documentation of ${entryPoints.length} entry points`);

/** Runs `deno doc` in the root of the package. */
async function doc(
  ...args: string[]
): Promise<{ success: boolean; stdout: string; stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", ...args],
    cwd: root,
  });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return {
    success,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}
