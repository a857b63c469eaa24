import { type CancelRequest, reaches, type Region } from "./_cancellation.ts";

/** Where a signal comes from. */
interface Source {
  readonly controller: AbortController;
  /** What code gets, which may follow further signals. */
  signal: AbortSignal | undefined;
}

/** The signals that code in a task has asked for, by the regions of that code. */
export class RegionSignals {
  readonly #sources = new Map<Region | null, Source>();

  /** The signal of code in a region. */
  at(region: Region | null): AbortSignal {
    let source = this.#sources.get(region);
    if (source === undefined) {
      this.#sources.set(region, source = { controller: new AbortController(), signal: undefined });
    }
    const { signal } = source.controller;
    // The host holds what follows a signal weakly, so a task that runs for ever can have any number of them.
    return source.signal ??= region === null || region.holds !== "nothing"
      ? signal
      : AbortSignal.any([this.at(region.parent), signal]);
  }

  /** Aborts all that a request reaches. */
  abort(request: CancelRequest): void {
    for (const [region, source] of this.#sources) if (reaches(request, region)) abort(source, request);
  }

  /** Aborts those that code in `place` can have taken; whether anybody had, and is told by that. */
  abortAround(place: Region | null, request: CancelRequest): boolean {
    let told = false;
    for (let region = place; reaches(request, region); region = region.parent) {
      told = abort(this.#sources.get(region), request) || told;
      if (region === null) break;
    }
    return told;
  }

  /** Forgets the signal of a region that is left. It goes on to follow that of the region around. */
  drop(region: Region): void {
    this.#sources.delete(region);
  }

  /** Takes note that the signal of a region follows that of the region around from now on, or no more. */
  change(region: Region): void {
    const source = this.#sources.get(region);
    if (source !== undefined) source.signal = undefined;
  }

  /** Lets go of signals that have aborted for what the code has put behind it. */
  renew(isBehind: (region: Region | null) => boolean): void {
    for (const [region, { signal }] of this.#sources) {
      if (signal?.aborted && isBehind(region)) this.#sources.delete(region);
    }
  }
}

function abort(source: Source | undefined, request: CancelRequest): boolean {
  if (source === undefined || source.controller.signal.aborted || source.signal?.aborted) return false;
  source.controller.abort(request.origin._error(request.message));
  return true;
}
