export { delay, type DelayOptions } from "./mod.ts";
