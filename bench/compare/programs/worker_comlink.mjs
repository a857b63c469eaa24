import { parentPort } from "node:worker_threads";
import { peer } from "./peer.mjs";
import * as tasks from "./tasks.mjs";

const Comlink = await peer("comlink");
const { default: nodeEndpoint } = await peer(
  "comlink/dist/esm/node-adapter.mjs",
);

Comlink.expose({ ...tasks }, nodeEndpoint(parentPort));
