export { type Args, parseArgs, type ParseOptions } from "./mod.ts";
