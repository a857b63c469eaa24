/**
 * How long callbacks run before the host is served, in milliseconds. A request to a server of the same program takes
 * about three turns of the host, so this is well below the 10 ms that it should be answered in, and a turn costs some
 * hundredths of it.
 */
const LENGTH = 2;

/** The same where code of the loop is known to wait for the host: that goes on after one or two turns of it. */
const LENGTH_IN_FLIGHT = 1;

/**
 * After how many callbacks the time is looked at, at the least and at the most: often enough for the slice, seldom enough
 * not to be felt. In between it goes by how long they take.
 */
const STEPS_PER_LOOK = { least: 16, most: 256 };
/** Between two looks, in milliseconds: seldom enough, and too seldom. */
const LOOK = { after: 0.02, before: 0.1 };

/** The time that a loop has before the host has its turn. */
export class TimeSlice {
  #end = 0;
  /** How many callbacks are left to the next look at the time. */
  #steps = 0;
  #stepsPerLook = STEPS_PER_LOOK.least;
  #looked = 0;

  /** A new one, after a turn of the host. */
  begin(inFlight: boolean): void {
    this.#looked = performance.now();
    this.#end = this.#looked + (inFlight ? LENGTH_IN_FLIGHT : LENGTH);
    this.#steps = this.#stepsPerLook;
  }

  /** Whether it is over; asked before each callback. */
  isOver(): boolean {
    return --this.#steps < 0 && this.#look();
  }

  #look(): boolean {
    const now = performance.now();
    const took = now - this.#looked;
    if (took < LOOK.after) this.#stepsPerLook = Math.min(this.#stepsPerLook * 2, STEPS_PER_LOOK.most);
    else if (took > LOOK.before) this.#stepsPerLook = Math.max(this.#stepsPerLook >> 1, STEPS_PER_LOOK.least);
    this.#looked = now;
    this.#steps = this.#stepsPerLook;
    return now >= this.#end;
  }
}
