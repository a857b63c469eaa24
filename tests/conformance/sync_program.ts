/**
 * The part of the random programs that is about locks, events, conditions, semaphores, barriers and queues.
 *
 * Programs have few primitives and many tasks at each, or nobody would ever wait. What is done to a primitive is data of
 * two kinds: an {@linkcode Operation} is awaited, an {@linkcode Action} is done at once, in a task or in a callback.
 */

import type { Statement } from "./program.ts";

/** How a primitive is made: the name of its class and the argument, which for a condition is the name of its lock. */
export type Primitive = [kind: string, argument: number | string | null];

/** The primitives of a program. The first letter of a name tells the family: `l0` is a lock, `q1` a queue. */
export type Primitives = Record<string, Primitive>;

/** Something to wait for: its kind, the primitive and further operands. */
export type Operation = [kind: string, target: string, ...operands: number[]];

/** Something that needs no waiting: its kind, the primitive and further operands. */
export type Action = [kind: string, target: string, ...operands: unknown[]];

/** What the choices of a program are made by. */
export interface Choose {
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
  chance(p: number): boolean;
  delay(): number;
  limit(): number | null;
  message(): unknown;
}

/** Conditions and queues have the most states, and are in more programs. */
const FAMILIES = "lecccsbbqq";

/** The kinds of waiting among which a cancellation chooses. */
const WAITS: Record<string, string[]> = {
  c: ["wait", "wait", "wait", "acquire"],
  b: ["arrive", "arrive", ""],
  q: ["get", "put", ""],
};

/** Makes the primitives of one program and what is done to them. */
export class SyncVocabulary {
  /** The primitives. */
  readonly primitives: Primitives = {};
  readonly #targets: string[];
  readonly #choose: Choose;

  constructor(choose: Choose) {
    this.#choose = choose;
    const families = new Set(
      Array.from({ length: choose.pick([1, 1, 2, 2, 3, 10]) }, () => choose.pick([...FAMILIES])),
    );
    for (const family of families) this.#make(family, 1 + choose.below(2));
    this.#targets = Object.keys(this.primitives).filter((name) => families.has(name[0]!));
  }

  #make(family: string, count: number): void {
    const { below, pick, chance } = this.#choose;
    if (family === "c" && chance(0.6)) this.primitives.l0 = ["Lock", null];
    for (let i = 0; i < count; i++) {
      this.primitives[family + i] = pick(
        {
          l: [["Lock", null]],
          e: [["Event", null]],
          c: [["Condition", "l0" in this.primitives ? "l0" : null]],
          s: [["Semaphore", below(4)], ["Semaphore", 1], ["BoundedSemaphore", 1 + below(2)]],
          b: [["Barrier", pick([1, 2, 2, 2, 3, 3])]],
          q: [
            ["Queue", pick([0, 1, 1, 2])],
            ["PriorityQueue", pick([0, 1, 2, 2])],
            ["LifoQueue", pick([0, 1, 2, 2])],
          ],
        }[family] as Primitive[],
      );
    }
  }

  /**
   * The main function: it starts tasks to contend and callbacks that keep things going for a while, and does not end
   * before they do, as all tasks are cancelled then.
   */
  main(body: Statement[], functions: number): Statement[] {
    const { below, chance } = this.#choose;
    const rest: Statement = ["sleep", 6 + below(10)];
    return [
      ...Array.from({ length: 4 + below(6) }, (): Statement => ["later", 1 + below(14), this.action()]),
      ...Array.from({ length: 2 + below(4) }, (): Statement => ["spawn", 1 + below(functions - 1)]),
      ...(chance(0.7) ? [["try", body, "all", [], 0, null] as Statement] : body),
      ["try", [rest], "all", [rest], 0, null],
    ];
  }

  /** An operation, on its own: with no lock held. */
  operation(target = this.#choose.pick(this.#targets)): Operation {
    const { pick } = this.#choose;
    switch (target[0]) {
      case "e":
        return ["waitEvent", target];
      case "c":
        return pick<() => Operation>([
          () => ["acquire", target],
          () => ["waitNotified", target],
          () => ["waitHolding", target],
          () => ["waitHolding", target],
          () => this.#waitUntil(target),
        ])();
      case "b":
        return [pick(["arrive", "arrive", "arrive", "arrive", "arrive", "arrive", "reset", "abort"]), target];
      case "q":
        return [pick(["put", "put", "put", "put", "get", "get", "get", "get", "join"]), target];
      default:
        return ["acquire", target];
    }
  }

  #waitUntil(target: string): Operation {
    const { below, chance } = this.#choose;
    return ["waitUntil", target, below(2), 1 + below(4), chance(0.1) ? 1 + below(4) : -1];
  }

  /** An action for a callback or a task. */
  action(target: string = this.#choose.pick(this.#targets)): unknown[] {
    const wake = () => this.#waking(target);
    const cancel = () => this.#cancelling(target);
    return [
      "do",
      this.#choose.pick<() => Action[]>([
        () => wake(),
        () => wake(),
        () => [...wake(), ...wake()],
        () => [...wake(), cancel()],
        () => [...wake(), cancel(), cancel()],
        () => [cancel(), ...wake()],
        () => [cancel()],
        () => [...wake(), ["look", target]],
      ])(),
    ];
  }

  /** Cancels a task that waits at the primitive: for an operation whose name begins with `kind`. */
  #cancelling(target: string, kind: string = this.#choose.pick(WAITS[target[0]!] ?? [""])): Action {
    const { below, message, pick } = this.#choose;
    return ["cancelWaiting", target, kind, pick([0, 0, below(3)]), message()];
  }

  /** Actions that let somebody go on who waits for the primitive. */
  #waking(target: string): Action[] {
    const { below, pick } = this.#choose;
    switch (target[0]) {
      case "e":
        return pick<() => Action[]>([
          () => [["setEvent", target]],
          () => [["setEvent", target], ["clearEvent", target]],
          () => [["clearEvent", target]],
        ])();
      case "c":
        return pick<() => Action[]>([
          () => [["notify", target, below(3)]],
          () => [["count", target, below(2)], ["notify", target, 1]],
          () => [["count", target, below(2)], ["notifyAll", target]],
          () => [["release", target]],
        ])();
      case "b":
        return [["look", target]];
      case "q":
        return pick<() => Action[]>([
          ...Array(4).fill(() => [["putNowait", target]]),
          ...Array(4).fill(() => [["getNowait", target]]),
          ...Array(2).fill(() => [["taskDone", target]]),
          () => [["getNowait", target], ["taskDone", target]],
          () => [["shutdown", target, below(2)]],
        ])();
      default:
        return [["release", target]];
    }
  }

  /**
   * A statement. `inner` makes the body of a block; `group` is whether there is a task group around it.
   */
  statement(inner: () => Statement[], group: boolean): Statement {
    const { below, chance, delay, limit, message, pick } = this.#choose;
    const target = pick(this.#targets);
    const operation = (): Operation => this.operation(target);
    const act = (): Statement => this.action(target) as Statement;
    const common: (() => Statement)[] = [
      () => this.#held(target, (made) => ["operate", made, below(2)]),
      () => this.#held(target, (made) => ["operate", made, 0]),
      () => this.#held(target, (made) => ["within", limit(), made]),
      () => this.#held(target, (made) => ["timeout", limit(), [["operate", made, 1]]]),
      () => this.#held(target, (made) => ["launch", made, group ? below(2) : 0]),
      () => this.#held(target, (made) => ["launch", made, group ? below(2) : 0]),
      () => act(),
      () => act(),
      () => ["later", delay(), this.action(target)],
      () => ["later", delay(), this.action(target)],
      () => ["soon", this.action(target)],
      // Cancelled before it waits.
      () => ["try", [["cancelSelf", message()], ["operate", operation(), 1]], "cancel", [["log", "before"]], 0, null],
      // Cancelled, and waits again.
      () =>
        this.#held(target, (made) => [
          "try",
          [["operate", made, 1]],
          "all",
          [["operate", chance(0.7) ? made : operation(), 1]],
          below(2),
          null,
        ]),
      () => ["do", [["look", target]]],
    ];
    const scenes = this.#scenes(target, inner);
    return pick(scenes.length > 0 && chance(0.65) ? scenes : common)();
  }

  /** `make` of an operation. If that takes a lock, a callback will release it; if it needs one, mostly one is held. */
  #held(target: string, make: (operation: Operation) => Statement): Statement {
    const { below, chance } = this.#choose;
    const made = this.operation(target);
    const statement = make(made);
    if (made[0] === "acquire" && chance(0.9)) {
      return block(["later", 1 + below(4), ["do", [["release", target]]]], statement);
    }
    if ((made[0] === "waitNotified" || made[0] === "waitUntil") && statement[0] !== "launch" && chance(0.8)) {
      return ["with", target, [statement]];
    }
    return statement;
  }

  /** Blocks that bring about what is rare otherwise. */
  #scenes(target: string, inner: () => Statement[]): (() => Statement)[] {
    switch (target[0]) {
      case "l":
        return this.#guards(target, inner);
      case "s":
        return this.#semaphoreScenes(target, inner);
      case "c":
        return this.#conditionScenes(target, inner);
      case "b":
        return this.#barrierScenes(target);
      case "q":
        return this.#queueScenes(target);
      default:
        return [];
    }
  }

  /** With it acquired, in both forms. */
  #guards(target: string, inner: () => Statement[]): (() => Statement)[] {
    const { below, chance, delay } = this.#choose;
    return [
      () => ["with", target, inner()],
      () => ["with", target, [["sleep", delay()]]],
      () => ["with", target, [["sleep", 1 + below(3)], this.action(target) as Statement]],
      () => ["guarded", target, inner()],
      () => ["guarded", target, [["sleep", delay()], ["do", [this.#cancelling(target)]]]],
      // Two want it, the first has it, and is cancelled.
      () =>
        block(
          ["with", target, [...launches("acquire", target, 2), ["sleep", 0]]],
          ["do", [this.#cancelling(target, "acquire")]],
          ["later", 1, ["do", [["release", target], ...(chance(0.5) ? [this.#cancelling(target, "acquire")] : [])]]],
          ["later", 2, ["do", [["release", target]]]],
        ),
    ];
  }

  #semaphoreScenes(target: string, inner: () => Statement[]): (() => Statement)[] {
    const { below } = this.#choose;
    const releases = (count: number): unknown[] => ["do", Array(count).fill(["release", target])];
    const guards = this.#guards(target, inner);
    return [
      ...guards,
      guards.at(-1)!,
      () => releases(2) as Statement,
      // Several are released at once, while newcomers are on their way who have to let the others go first.
      () =>
        block(
          ...launches("acquire", target, 2),
          ["sleep", 0],
          ...launches("acquire", target, 2 + below(2)),
          releases(2 + below(2)) as Statement,
          ["later", 1, releases(2)],
          ["later", 2, releases(2)],
        ),
    ];
  }

  #conditionScenes(target: string, inner: () => Statement[]): (() => Statement)[] {
    const { below, delay, limit, pick } = this.#choose;
    const notifying = (): Action => pick([["notify", target, 1], ["notify", target, 2], ["notifyAll", target]]);
    const telling = (): Statement => ["do", [["count", target, below(2)], notifying()]];
    const waiting = (): Statement => {
      const made = pick([() => ["waitNotified", target] as Operation, () => this.#waitUntil(target)])();
      return pick<Statement>([["operate", made, below(2)], ["operate", made, 1], ["within", limit(), made]]);
    };
    const cancelling = (): Statement => ["do", [this.#cancelling(target, "wait")]];
    return [
      pick(this.#guards(target, inner)),
      () => ["with", target, [waiting()]],
      () => ["with", target, [waiting()]],
      () => ["with", target, [waiting(), ["sleep", delay()]]],
      () => ["with", target, [["operate", ["waitNotified", target], 0], telling()]],
      () => ["with", target, [telling()]],
      () => ["with", target, [telling(), ["sleep", delay()]]],
      // The waiters have been told and cannot have the lock yet: they are cancelled while they ask for it again.
      () => ["with", target, [telling(), ["sleep", 0], cancelling(), ["sleep", below(2)], cancelling()]],
      () =>
        block(
          ...launches("waitHolding", target, 1),
          ["sleep", below(2)],
          ["with", target, [telling(), cancelling(), ["sleep", below(2)]]],
        ),
      () => block(...launches("waitHolding", target, 2), ["sleep", below(2)], ["with", target, [telling()]]),
      // One of them has just been given the lock when it is cancelled.
      () =>
        block(
          ...launches("waitHolding", target, 1),
          ["sleep", below(2)],
          ["with", target, [telling(), ["sleep", below(2)]]],
          cancelling(),
        ),
      () =>
        block(
          ...launches("waitHolding", target, 1),
          ["later", 1, ["do", [["release", target], this.#cancelling(target, "wait")]]],
          ["guarded", target, [telling(), ["sleep", 2]]],
        ),
    ];
  }

  #barrierScenes(target: string): (() => Statement)[] {
    const { below, pick } = this.#choose;
    const ending = (): string => pick(["abort", "reset"]);
    return [
      ...Array(4).fill(() => ["operate", ["arrive", target], below(2)]),
      () => ["within", 1 + below(5), ["arrive", target]],
      () => ["launch", ["arrive", target], 0],
      () => ["launch", [ending(), target], 0],
      () => ["operate", [ending(), target], 0],
      () =>
        block(
          ...launches("arrive", target, 1 + below(3)),
          ...turns(below(4)),
          ...launches(ending(), target, 1),
          ...turns(below(3)),
          ["do", [this.#cancelling(target, "arrive")]],
          ...launches("reset", target, 1),
        ),
      // Everybody has come, or is sent away, and one of them is cancelled on the way out.
      () =>
        block(
          ...launches("arrive", target, below(3)),
          ...launches(pick(["arrive", "abort", "abort", "reset"]), target, 1),
          ...turns(1 + below(2)),
          ["do", [this.#cancelling(target, "arrive")]],
        ),
    ];
  }

  #queueScenes(target: string): (() => Statement)[] {
    const { below, pick } = this.#choose;
    const look: Action = ["look", target];
    const another = (kind: string): Action => ["cancelWaiting", target, kind, 1 + below(2), null];
    return [
      () => ["produce", target, 2 + below(5), pick([null, null, 0, 1])],
      () => ["produce", target, 1 + below(4), pick([null, 0, 1])],
      () => ["consume", target, 1 + below(4), pick([null, 0, 1]), below(2)],
      () => ["consume", target, 1 + below(4), pick([null, 0, 1]), below(2)],
      () => ["within", 1 + below(5), ["join", target]],
      () => ["later", 4 + below(8), ["do", [["shutdown", target, below(2)]]]],
      // Somebody joins, and there is a new item before he goes on.
      () =>
        block(
          ["do", [["putNowait", target]]],
          ...launches("join", target, 1),
          ["sleep", 0],
          ["do", [["getNowait", target], ["taskDone", target], ["putNowait", target], look]],
        ),
      // Done before it was got, and dropped.
      () => ["do", [["putNowait", target], ["taskDone", target], ["putNowait", target], ["shutdown", target, 1]]],
      // Somebody waits for an item or for room, has it, and is cancelled.
      () =>
        block(
          ...launches("get", target, 1),
          ["sleep", 0],
          ["do", [["putNowait", target], this.#cancelling(target, "get"), look]],
        ),
      ...Array(4).fill(() =>
        block(
          ...launches("put", target, 2),
          ["sleep", 0],
          ["do", [["getNowait", target], this.#cancelling(target, "put"), look]],
        )
      ),
      // One has it, and another is cancelled.
      () => block(...launches("get", target, 3), ["sleep", 0], ["do", [["putNowait", target], another("get"), look]]),
      () => block(...launches("put", target, 4), ["sleep", 0], ["do", [["getNowait", target], another("put"), look]]),
    ];
  }
}

/** Several statements as one. */
function block(...statements: Statement[]): Statement {
  return ["loop", 1, statements];
}

/** So many tasks that do the same. */
function launches(kind: string, target: string, count: number): Statement[] {
  return Array(count).fill(["launch", [kind, target], 0]);
}

/** Lets the others have so many turns. */
function turns(count: number): Statement[] {
  return Array(count).fill(["sleep", 0]);
}
