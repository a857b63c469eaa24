import { peer } from "./peer.mjs";
import * as tasks from "./tasks.mjs";

const { default: workerpool } = await peer("workerpool");

workerpool.worker({ ...tasks });
