import { peer } from "./peer.mjs";
import * as tasks from "./tasks.mjs";

const { ThreadWorker } = await peer("poolifier-web-worker");

export default new ThreadWorker({ ...tasks });
