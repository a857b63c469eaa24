type Ordinal = number | bigint | string;

/**
 * Compares as Python does with `<`: numbers by value, strings by code points, arrays element by element, objects by what
 * `valueOf()` gives. JavaScript's own `<` would compare arrays as text, and find any two objects equal.
 *
 * Arrays whose elements have no order from some place on are equal; so `[priority, job]` is ordered by its priority.
 *
 * @throws {TypeError} If the two have no order.
 */
export function compareNaturally(a: unknown, b: unknown): number {
  const order = orderOf(a, b);
  if (order === undefined) {
    throw new TypeError(
      `Cannot order ${inspect(a)} and ${
        inspect(b)
      }: put items of one kind that has an order, or pass a compare function`,
    );
  }
  return order;
}

/**
 * Checks that an item can be compared with others of its kind.
 *
 * @throws {TypeError} If it cannot.
 */
export function requireOrder(item: unknown): void {
  let key = item;
  while (Array.isArray(key)) key = key[0];
  if (ordinalOf(key) === undefined) {
    throw new TypeError(
      `Cannot order ${inspect(item)}: put numbers, strings, or arrays that begin with one, or pass a compare function`,
    );
  }
}

/** `undefined` if the two have no order. */
function orderOf(a: unknown, b: unknown): number | undefined {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < a.length && i < b.length; i++) {
      const order = orderOf(a[i], b[i]);
      if (order === undefined) return i === 0 ? undefined : 0;
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  const [x, y] = [ordinalOf(a), ordinalOf(b)];
  if (typeof x === "string" && typeof y === "string") return orderOfStrings(x, y);
  if (x === undefined || y === undefined || typeof x === "string" || typeof y === "string") return undefined;
  return x < y ? -1 : x > y ? 1 : 0;
}

function orderOfStrings(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rankOf(x) - rankOf(y);
  }
  return a.length - b.length;
}

/** Of a UTF-16 code unit: surrogates stand for code points behind all others. */
function rankOf(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

function ordinalOf(value: unknown): Ordinal | undefined {
  switch (typeof value) {
    case "number":
      return Number.isNaN(value) ? undefined : value;
    case "bigint":
    case "string":
      return value;
    case "boolean":
      return Number(value);
    case "object":
      return value === null ? undefined : ordinalOfObject(value);
    default:
      return undefined;
  }
}

function ordinalOfObject(value: object): Ordinal | undefined {
  try {
    const primitive: unknown = value.valueOf();
    return typeof primitive === "object" ? undefined : ordinalOf(primitive);
  } catch {
    // As that of `Temporal`, whose objects refuse to be compared.
    return undefined;
  }
}

function inspect(value: unknown): string {
  return Deno.inspect(value, { depth: 1 });
}
