/**
 * Checks what is to be sent or searched for.
 *
 * @throws {TypeError} If it is no Uint8Array.
 */
export function requireBytes(value: unknown, action: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const advice = typeof value === "string" ? "encode the text: new TextEncoder().encode(...)" : "pass a Uint8Array";
  throw new TypeError(
    `Cannot ${action} ${Deno.inspect(value, { depth: 0, strAbbreviateSize: 40 })} as it is no Uint8Array: ${advice}`,
  );
}
