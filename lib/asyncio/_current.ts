import { type AsyncContext, asyncContext } from "./_async_context.ts";
import type { Region } from "./_cancellation.ts";
import type { Context } from "./context.ts";
import type { EventLoop } from "./event_loop.ts";
import type { NativeCall } from "./_native_call.ts";
import type { Task } from "./task.ts";

/** On whose behalf code runs: a task, a callback of a loop, a native call of a task, or the loop between them. */
export interface Frame {
  readonly _loop: EventLoop | null;
  readonly _task: Task<unknown> | null;
  readonly _native: NativeCall | null;
  /** Absent: an empty context that nobody has asked for yet, which is what most frames have. */
  _context: Context | undefined;
}

/**
 * The frame of the code that a loop is calling at this moment; `null` while no loop is calling anything, as in the
 * continuation of an `await`.
 *
 * A plain variable, as entering an async context costs several times as much as a whole step of a generator.
 */
export const current: {
  frame: Frame | null;
  /**
   * What runs in the task that is the frame: a strand, or native code that is about to start one; `null` if it is the
   * task itself, as V8 writes `null` for less than an object.
   */
  here: { readonly _region: Region | null } | null;
} = { frame: null, here: null };

/** The frame that follows native code through its awaits. */
export const frames: AsyncContext<Frame> = asyncContext();

/** The frame of the code that is running; `undefined` outside all loops. */
export function currentFrame(): Frame | undefined {
  return current.frame ?? frames.get();
}

/**
 * The call that the running native code belongs to; `null` if it is in no task, or its call has ended, as in a callback
 * that it has left behind.
 */
export function currentNative(): NativeCall | null {
  const native = currentFrame()?._native ?? null;
  return native?._over ? null : native;
}

/** The loop for code that belongs to none; set by `current_loop.ts`, which depends on this module. */
export const policy: { getEventLoop: () => EventLoop } = {
  getEventLoop: () => {
    throw new Error("Cannot make an event loop before lib/asyncio/current_loop.ts is loaded");
  },
};
