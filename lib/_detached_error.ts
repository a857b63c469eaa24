/**
 * A copy of an error that holds nothing but what can be seen of it. V8 keeps the objects of all frames of an error for as
 * long as the error lives, the future that it failed among them; who keeps an error until that future is collected would
 * wait for ever.
 *
 * The copy has the class, the message, the stack and the own properties; causes and members are copied, too. What is no
 * error is given back as it is.
 */
export function detachedError(error: unknown): unknown {
  return detach(error, new Map());
}

function detach(error: unknown, copies: Map<Error, Error>): unknown {
  if (!(error instanceof Error)) return error;
  const known = copies.get(error);
  if (known !== undefined) return known;
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const copy = new Error(error.message);
  Error.stackTraceLimit = stackTraceLimit;
  copies.set(error, copy);
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
  for (const key of Object.getOwnPropertyNames(error)) {
    if (key === "stack") continue;
    const value = (error as unknown as Record<string, unknown>)[key];
    const copied = Array.isArray(value) ? value.map((item) => detach(item, copies)) : detach(value, copies);
    Object.defineProperty(copy, key, {
      value: copied,
      enumerable: Object.prototype.propertyIsEnumerable.call(error, key),
      writable: true,
      configurable: true,
    });
  }
  Object.defineProperty(copy, "stack", { value: String(error.stack), writable: true, configurable: true });
  return copy;
}
