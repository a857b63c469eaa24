import type { CancelOrigin } from "./cancel_origin.ts";
import type { Suspension, Yieldable } from "./coroutine.ts";
import type { Strand } from "./_strand.ts";

/** What a region keeps away from its code of the cancellations that come from outside of it. */
type Withheld = "nothing" | "lasting" | "all";

/** A stretch of code that a strand is in, which can be cancelled by itself and keeps some cancellations away. */
export class Region {
  /** The region around it. */
  readonly parent: Region | null;
  holds: Withheld;

  constructor(parent: Region | null, holds: Withheld = "nothing") {
    this.parent = parent;
    this.holds = holds;
  }
}

/** Has the code of `strand` be in a region of its own from now on. */
export function enterRegion(strand: Strand, holds?: Withheld): Region {
  return strand._region = new Region(strand._region, holds);
}

/** Ends a region that `strand` has entered. */
export function leaveRegion(strand: Strand, region: Region): void {
  strand._region = region.parent;
  strand._task._signals?.drop(region);
}

/** Cancellations that a task was asked for and that have not been taken back: `cancelling()` is how many there are. */
export class CancelRequest {
  /** What it is meant for: all that runs in this region, or in the whole task. */
  readonly level: Region | null;
  readonly origin: CancelOrigin;
  /** Whether each wait in the region throws, as long as the request lasts, and not one wait alone. */
  readonly lasting: boolean;
  message: unknown;
  /** Whether it has yet to be thrown. */
  pending = false;
  /** How many it stands for: those that need no more than to be counted are one object. */
  count = 1;

  constructor(level: Region | null, message: unknown, origin: CancelOrigin, lasting = false) {
    this.level = level;
    this.message = message;
    this.origin = origin;
    this.lasting = lasting;
  }
}

/** Whether a request gets to code in the region `place`: one in the region it is meant for, with no shield in between. */
export function reaches(request: CancelRequest, place: Region | null): boolean {
  const { level, lasting } = request;
  let region = place;
  for (; region !== null && region !== level; region = region.parent) {
    if (region.holds === "all" || (lasting && region.holds === "lasting")) return false;
  }
  return region === level;
}

/** What code yields to learn which strand it is in. The strand goes on at once: that is no wait. */
export class StrandQuery {
  strand: Strand | null = null;
}

/** The strand that drives the code which awaits this. */
export function* strandHere(): Generator<Suspension, Strand, unknown> {
  const query = new StrandQuery();
  yield query as unknown as Suspension;
  return query.strand!;
}

/**
 * Awaits something that has to be waited for even after a cancellation. A cancelled scope throws at each wait; code that
 * catches that and waits on would never let anybody else run. In here scopes do not throw; `cancel()` does.
 */
export function* patiently<T>(awaitable: Yieldable<T>): Generator<Suspension, T, unknown> {
  const strand = yield* strandHere();
  const region = enterRegion(strand, "lasting");
  try {
    return yield* awaitable as Iterable<Suspension, T>;
  } finally {
    leaveRegion(strand, region);
  }
}
