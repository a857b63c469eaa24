// `cli/mod.js` of deno-std cannot be loaded: its unicode_width.js imports a file that is not there.
// @ts-types="./mod.d.ts"
export { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
// @ts-types="./mod.d.ts"
export { promptSecret } from "npm:deno-std@1.4.0/cli/prompt_secret.js";
export type * from "./mod.d.ts";
