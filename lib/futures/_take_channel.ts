/** What a worker has of its global scope; the compiler knows that of a main thread only. */
interface WorkerScope {
  addEventListener(type: "message" | "messageerror", listener: (event: MessageEvent) => void): void;
  postMessage: (message: unknown, transfer?: Transferable[]) => void;
}

/**
 * Takes the channel to the parent for the worker's own program. A task that listens to messages hears none: code that
 * was written for a worker of its own must not get in the way. Events that a task dispatches itself are its own.
 * `onError` is told of a message that cannot be read. Part of the worker's program.
 */
export function takeChannel(
  listener: (data: never) => void,
  onError: () => void = () => {},
): (message: unknown, transfer?: Transferable[]) => void {
  const scope = self as unknown as WorkerScope;
  const post = scope.postMessage.bind(self);
  scope.addEventListener("message", (event) => {
    if (!event.isTrusted) return;
    event.stopImmediatePropagation();
    listener(event.data as never);
  });
  scope.addEventListener("messageerror", (event) => {
    if (!event.isTrusted) return;
    event.stopImmediatePropagation();
    onError();
  });
  return post;
}

/** Has a task that posts messages told that nobody listens. Part of the worker's program. */
export function refuseMessages(): void {
  (self as unknown as WorkerScope).postMessage = () => {
    throw new TypeError("Cannot post a message from a task: nobody listens; return the value instead");
  };
}
