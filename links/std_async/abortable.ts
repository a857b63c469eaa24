export { abortable } from "./mod.ts";
