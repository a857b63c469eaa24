import * as tasks from "./tasks.mjs";
import { lines } from "./lines.mjs";

const encoder = new TextEncoder();
const writer = Deno.stdout.writable.getWriter();
for await (const some of lines(Deno.stdin.readable)) {
  const answers = some.map((line) => {
    const { id, name, argument } = JSON.parse(line);
    return JSON.stringify({ id, value: tasks[name](argument) }) + "\n";
  });
  await writer.write(encoder.encode(answers.join("")));
}
