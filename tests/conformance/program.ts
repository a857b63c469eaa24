/**
 * Random programs over the whole of asyncio, as data: `interpret.ts` and `run.py` run the same one, and their traces
 * are compared.
 *
 * A program has functions, which are lists of statements. Awaitables that a program makes go into one list and are
 * named by their place in it, taken modulo its length when the statement runs. A task waits only for what has a higher
 * place than its own: there are no cycles of waiting.
 *
 * The programs of odd seeds have locks, queues and the like as well (`sync_program.ts`). There cycles can be.
 */

import { type Primitives, SyncVocabulary } from "./sync_program.ts";

/** One statement: a name and its operands. */
export type Statement = [string, ...unknown[]];

/** A program. */
export interface Program {
  /** The seed it was made from. */
  seed: number;
  /** Whether all tasks start eagerly. */
  eager: boolean;
  /** The functions; the first is the main one. */
  functions: Statement[][];
  /** The locks, queues and the like. */
  primitives?: Primitives;
}

/** A small generator of pseudo-random numbers (mulberry32), the same on every machine. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6D2B79F5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The program of a seed. */
export function generate(seed: number): Program {
  const next = random(seed * 2654435761 + 12345);
  const below = (n: number): number => Math.floor(next() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const functions = 2 + below(4);
  let mark = 0;

  const delay = (): number => pick([0, 0, 1, 1, 2, 3, 4, 5, 7, -1]);
  const limit = (): number | null => pick([null, 0, -1, 1, 2, 3, 4, 6]);
  const reference = (): unknown[] =>
    sync !== null && chance(0.25) ? ["o", sync.operation()] : pick([
      () => ["a", below(12)],
      () => ["a", below(12)],
      () => ["f", below(3)],
      () => ["c", 1 + below(functions - 1)],
    ])();
  const references = (): unknown[] => Array.from({ length: 1 + below(4) }, reference);
  const message = (): unknown => pick([null, null, "m1", "m2"]);
  const chance = (p: number): boolean => next() < p;
  const sync = seed % 2 === 1 ? new SyncVocabulary({ below, pick, chance, delay, limit, message }) : null;
  const action = (): unknown[] =>
    pick([
      () => ["log", mark++],
      () => ["set", below(3), mark++],
      () => ["fail", below(3)],
      () => ["cancel", below(12), message()],
      () => ["cancelF", below(3)],
      () => ["raise"],
    ])();

  const body = (depth: number, group: boolean, scope: boolean): Statement[] =>
    Array.from(
      { length: 1 + below(depth > 2 ? 2 : 5) },
      () => statement(depth, group, scope),
    );

  const statement = (
    depth: number,
    group: boolean,
    scope: boolean,
  ): Statement => {
    const simple: (() => Statement)[] = [
      () => ["log", mark++],
      () => ["sleep", delay()],
      () => ["sleep", delay()],
      () => ["sleep", delay()],
      () => ["spawn", 1 + below(functions - 1)],
      () => ["spawn", 1 + below(functions - 1)],
      () => ["spawn", 1 + below(functions - 1)],
      () => ["cancel", below(12), message()],
      () => ["cancel", below(12), message()],
      () => ["await", reference()],
      () => ["await", reference()],
      () => ["set", below(3), mark++],
      () => ["fail", below(3)],
      () => ["cancelF", below(3)],
      () => ["new", below(3)],
      () => ["gather", references(), below(2), below(3)],
      () => ["gather", references(), below(2), below(3)],
      () => ["wait", references(), limit(), below(3)],
      () => ["waitFor", reference(), limit()],
      () => ["waitFor", reference(), limit()],
      () => ["shield", reference(), below(3)],
      () => ["each", references(), limit(), below(2)],
      () => ["raise"],
      () => ["soon", action()],
      () => ["later", delay(), action()],
      () => ["later", delay(), action()],
      () => ["cancelH", below(6)],
      () => ["uncancel"],
      () => ["state"],
      () => ["cancelSelf", message()],
      () => ["onDone", below(12)],
      () => ["offDone", below(12)],
      () => ["inspect", below(12)],
    ];
    if (sync !== null && chance(0.6)) {
      return sync.statement(() => body(depth < 4 ? depth + 1 : depth, group, scope), group);
    }
    if (group) {
      simple.push(
        ...Array(6).fill(() => ["groupSpawn", 1 + below(functions - 1)]),
      );
    }
    if (scope) {
      simple.push(
        () => ["reschedule", pick([null, 0, 1, 2, 5, -1])],
        () => ["expired"],
      );
    }
    if (depth < 4 && next() < 0.35) {
      return pick<() => Statement>([
        () => ["timeout", limit(), body(depth + 1, group, true)],
        () => ["timeout", limit(), body(depth + 1, group, true)],
        () => ["group", body(depth + 1, true, scope)],
        () => ["group", body(depth + 1, true, scope)],
        () => [
          "try",
          body(depth + 1, group, scope),
          pick(["cancel", "error", "all", "none"]),
          body(depth + 1, group, scope),
          below(2),
          next() < 0.4 ? body(depth + 1, group, scope) : null,
        ],
        () => [
          "try",
          body(depth + 1, group, scope),
          pick(["cancel", "error", "all", "none"]),
          body(depth + 1, group, scope),
          below(2),
          next() < 0.4 ? body(depth + 1, group, scope) : null,
        ],
        () => ["loop", 1 + below(3), body(depth + 1, group, scope)],
        () => ["call", 1 + below(functions - 1)],
      ])();
    }
    return pick(simple)();
  };

  const program: Program = {
    seed,
    eager: next() < 0.2,
    functions: Array.from({ length: functions }, () => body(0, false, false)),
  };
  if (sync !== null) {
    program.primitives = sync.primitives;
    program.functions[0] = sync.main(program.functions[0]!, functions);
  }
  return program;
}
