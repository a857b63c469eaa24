/**
 * The options of a call that has none.
 * @module
 */

import type { SubmitOptions } from "./executor.ts";

/** One object for all, so that a pool sees at a glance that there are none. */
export const NO_OPTIONS: SubmitOptions = Object.freeze({});
