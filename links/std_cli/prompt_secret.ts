export { promptSecret, type PromptSecretOptions } from "./mod.ts";
