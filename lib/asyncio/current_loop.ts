/**
 * {@linkcode getRunningLoop}, {@linkcode getEventLoop} and {@linkcode setEventLoop}: which loop code belongs to.
 * @module
 */

import { currentFrame, policy } from "./_current.ts";
import { EventLoop, type EventLoopOptions } from "./event_loop.ts";
import { RuntimeError } from "./exceptions.ts";

let setLoop: EventLoop | null = null;
let defaultLoop: EventLoop | null = null;

/**
 * The loop of the running code; outside of loops the one that was set, or a default one that is made when it is first
 * needed.
 *
 * CPython 3.14 throws where no loop runs and none is set. Here that is what makes a top-level `await sleep(10)` work.
 */
export function getEventLoop(): EventLoop {
  const running = currentFrame()?._loop;
  // The frame outlives its loop in callbacks that native code has left behind.
  const loop = running?.isClosed() === false ? running : setLoop;
  if (loop) return loop;
  if (defaultLoop === null || defaultLoop.isClosed()) {
    defaultLoop = new EventLoop();
  }
  return defaultLoop;
}

/**
 * Sets the loop of code outside of loops.
 *
 * @param loop The loop; `null` for the default one.
 * @throws {TypeError} If it is neither a loop nor `null`.
 */
export function setEventLoop(loop: EventLoop | null): void {
  if (loop !== null && !(loop instanceof EventLoop)) {
    throw new TypeError(`Cannot set ${Deno.inspect(loop, { depth: 0 })} as the event loop: pass an EventLoop or null`);
  }
  setLoop = loop;
}

/**
 * A new loop.
 *
 * @param options The clock and the debug mode.
 */
export function newEventLoop(options?: EventLoopOptions): EventLoop {
  return new EventLoop(options);
}

/**
 * The loop that runs the code that calls this.
 *
 * @throws {RuntimeError} If no loop does.
 */
export function getRunningLoop(): EventLoop {
  const loop = currentFrame()?._loop;
  if (!loop?.isRunning()) {
    throw new RuntimeError("No running event loop: call this in a task or in a callback of a loop");
  }
  return loop;
}

policy.getEventLoop = getEventLoop;
