export { tee, type Tuple, type TupleOf } from "./mod.ts";
