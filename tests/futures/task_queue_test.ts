import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { functionRef } from "../../lib/futures/_function_ref.ts";
import { Task } from "../../lib/futures/_task.ts";
import { TaskQueue } from "../../lib/futures/_task_queue.ts";

const ref = functionRef(() => 1);

function makeTask(priority = 0, group?: unknown): Task {
  return new Task(
    {
      ref,
      isChunk: false,
      transfer: [],
      timeout: Infinity,
      signal: undefined,
      priority,
      group,
      retries: 0,
      retryOn: undefined,
      onProgress: undefined,
      stream: undefined,
    },
    [],
  );
}

/** What is in the queue, by name, in its order. */
function drain(queue: TaskQueue, names: Map<Task, string>): string {
  const order: string[] = [];
  for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
    assertEquals(queue.shift(), next);
    order.push(names.get(next)!);
  }
  return order.join(" ");
}

Deno.test("TaskQueue gives the higher priority first, and what came first of one priority", () => {
  const queue = new TaskQueue();
  const names = new Map<Task, string>();
  for (const [priority, name] of [[0, "a"], [5, "b"], [-1, "c"], [5, "d"], [0.5, "e"], [0, "f"]] as const) {
    const task = makeTask(priority);
    names.set(task, name);
    queue.push(task);
  }
  assertEquals(drain(queue, names), "b d e a f c");
});

Deno.test("TaskQueue lets the groups of one priority take turns", () => {
  const queue = new TaskQueue();
  const names = new Map<Task, string>();
  for (const name of ["a1", "a2", "a3", "b1", "-1", "b2", "-2", "c1"]) {
    const task = makeTask(0, name[0] === "-" ? undefined : name[0]);
    names.set(task, name);
    queue.push(task);
  }
  assertEquals(drain(queue, names), "a1 b1 -1 c1 a2 b2 -2 a3");
});

Deno.test("TaskQueue.unshift() puts what comes back before the others of its group", () => {
  const queue = new TaskQueue();
  const [first, second, third] = [makeTask(), makeTask(), makeTask(0, "other")];
  const names = new Map([[first, "1"], [second, "2"], [third, "3"]]);
  queue.push(second);
  queue.push(third);
  queue.unshift(first);
  assertEquals(drain(queue, names), "1 3 2");
});

Deno.test("TaskQueue loses nothing and repeats nothing, whatever is done to it", () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constantFrom("push", "unshift"),
      priority: fc.integer({ min: -1, max: 1 }),
      group: fc.constantFrom(undefined, "a", "b"),
    }),
    fc.record({ kind: fc.constant("shift") }),
    fc.record({ kind: fc.constant("sweep"), modulus: fc.integer({ min: 1, max: 4 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new TaskQueue();
      const inside = new Map<Task, number>();
      let count = 0;
      for (const step of steps) {
        if ("priority" in step) {
          const task = makeTask(step.priority, step.group);
          inside.set(task, count++);
          if (step.kind === "push") queue.push(task);
          else queue.unshift(task);
        } else if ("modulus" in step) {
          const drop = (task: Task) => inside.get(task)! % step.modulus === 0;
          queue.sweep(drop);
          for (const task of [...inside.keys()].filter(drop)) {
            assertEquals(task.queued, false);
            inside.delete(task);
          }
        } else {
          const highest = Math.max(...[...inside.keys()].map((task) => task.settings.priority));
          const next = queue.peek();
          const task = queue.shift();
          assertEquals(task, next);
          assertEquals(task === undefined, inside.size === 0);
          if (task === undefined) continue;
          assertEquals(task.settings.priority, highest);
          assertEquals(inside.delete(task), true);
        }
        assertEquals(queue.length, inside.size);
      }
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) assertEquals(inside.delete(task), true);
      assertEquals(inside.size, 0);
    }),
    { numRuns: 500 },
  );
});
