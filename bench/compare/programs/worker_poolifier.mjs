import { peer } from "./peer.mjs";
import * as tasks from "./tasks.mjs";

const { ThreadWorker } = await peer("poolifier");

export default new ThreadWorker({ ...tasks });
