/**
 * Checks of what calls and iterations are made with.
 * @module
 */

import { isIterable, requireCallback, requireOptions, requireSignal, shown } from "../_require.ts";
import type { MapOptions, SubmitOptions } from "./executor.ts";
import { NO_OPTIONS } from "./_no_options.ts";

/**
 * Checks the options of a call that the settings of a task do not check.
 *
 * @throws {TypeError} If they are none, or one of them is of the wrong kind.
 */
export function requireSubmitOptions(options: SubmitOptions): void {
  if (options === NO_OPTIONS) return;
  if (typeof options === "function") {
    throw new TypeError(
      `Cannot use ${shown(options)} as the options of a call: they come first, as in submitWith({ timeout: 100 }, fn)`,
    );
  }
  requireOptions(options, "the options of a call", "{ timeout: 100 }");
  requireSignal(options.signal);
  requireCallback(options.retryOn, "retryOn");
  requireCallback(options.onProgress, "onProgress");
  if (options.transfer !== undefined) requireTransfer(options.transfer);
}

/**
 * Checks the options of `map` and `starmap`.
 *
 * @throws {TypeError} If they are none.
 */
export function requireMapOptions(options: MapOptions): void {
  if (isIterable(options)) {
    throw new TypeError(
      `Cannot use ${shown(options)} as the options of map(): for a function of several arguments there is starmap(), ` +
        `which takes a list of arguments for each call`,
    );
  }
  requireOptions(options, "the options of map()", "{ chunksize: 10 }");
  requireSignal(options.signal);
}

/**
 * The arguments of a call of `starmap`.
 *
 * @throws {TypeError} If it is no list.
 */
export function requireArguments(item: unknown): readonly unknown[] {
  if (isIterable(item)) return item as readonly unknown[];
  throw new TypeError(
    `Cannot use ${shown(item)} as the arguments of a call: starmap() takes a list of them for each, as in ` +
      `[[1, 2], [3, 4]]; for a function of one argument there is map()`,
  );
}

function requireTransfer(transfer: unknown): void {
  if (!Array.isArray(transfer)) {
    throw new TypeError(
      `Cannot use ${shown(transfer)} as transfer: pass a list of what to move, such as [array.buffer]`,
    );
  }
  for (const one of transfer) {
    if (ArrayBuffer.isView(one)) {
      throw new TypeError(`Cannot transfer ${shown(one)}: a view stays here; pass its buffer, as in [array.buffer]`);
    }
    if (one instanceof SharedArrayBuffer) {
      throw new TypeError(`Cannot transfer ${shown(one)}: both sides share it; pass it as an argument only`);
    }
  }
}
