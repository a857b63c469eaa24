import type { CancelOrigin } from "./cancel_origin.ts";
import type { Suspension, Yieldable } from "./coroutine.ts";
import type { Strand } from "./_strand.ts";

/** A stretch of code that a strand is in, which keeps some cancellations away from the code. */
export interface Region {
  /** The region around it. */
  readonly _parent: Region | null;
  /** Whether it keeps away a cancellation that comes from outside of it. */
  _holds(request: CancelRequest): boolean;
}

/** A cancellation that a task was asked for and that has not been taken back: `cancelling()` is how many there are. */
export class CancelRequest {
  /** What it is meant for: all that runs in this region, or in the whole task. */
  readonly level: Region | null;
  readonly origin: CancelOrigin;
  /** Whether each wait in the region throws, as long as the request lasts, and not one wait alone. */
  readonly lasting: boolean;
  message: unknown;
  /** Whether it has yet to be thrown. */
  pending = false;

  constructor(level: Region | null, message: unknown, origin: CancelOrigin, lasting = false) {
    this.level = level;
    this.message = message;
    this.origin = origin;
    this.lasting = lasting;
  }
}

/** Whether a request gets to code in the region `place`, past the shields in between. */
export function reaches(request: CancelRequest, place: Region | null): boolean {
  const { level } = request;
  let region = place;
  for (; region !== null && region !== level; region = region._parent) {
    if (region._holds(request) && !encloses(region, level)) return false;
  }
  return !request.lasting || region === level;
}

function encloses(region: Region, inner: Region | null): boolean {
  for (; inner !== null; inner = inner._parent) if (inner === region) return true;
  return false;
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
  const before = strand._region;
  strand._region = { _parent: before, _holds: (request) => request.lasting };
  try {
    return yield* awaitable as Iterable<Suspension, T>;
  } finally {
    strand._region = before;
  }
}
