import * as tasks from "./tasks.mjs";

self.onmessage = ({ data }) => {
  if (Array.isArray(data)) {
    self.postMessage(
      data.map(({ id, name, argument }) => ({
        id,
        value: tasks[name](argument),
      })),
    );
  } else {self.postMessage({
      id: data.id,
      value: tasks[data.name](data.argument),
    });}
};
