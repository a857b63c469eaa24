type Ordinal = number | bigint | string;

/**
 * Compares as Python does with `<`: numbers by value, strings by their characters, arrays element by element, objects
 * by what `valueOf()` gives. JavaScript's own `<` would compare arrays as text, and find any two objects equal.
 *
 * Arrays whose elements have no order from some place on are equal; so `[priority, job]` is ordered by its priority.
 *
 * @throws {TypeError} If the two have no order.
 */
export function compareNaturally(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < a.length && i < b.length; i++) {
      if (i > 0 && (!hasOrder(a[i]) || !hasOrder(b[i]))) return 0;
      const order = compareNaturally(a[i], b[i]);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  const [x, y] = [ordinalOf(a), ordinalOf(b)];
  if (x === undefined || y === undefined || (typeof x === "string") !== (typeof y === "string")) {
    throw new TypeError(
      `Cannot order ${inspect(a)} and ${
        inspect(b)
      }: put items of one kind that has an order, or pass a compare function`,
    );
  }
  return x < y ? -1 : x > y ? 1 : 0;
}

/**
 * Checks that an item can be compared with others of its kind.
 *
 * @throws {TypeError} If it cannot.
 */
export function requireOrder(item: unknown): void {
  const key = Array.isArray(item) ? item[0] : item;
  if (!hasOrder(key)) {
    throw new TypeError(
      `Cannot order ${inspect(item)}: put numbers, strings, or arrays that begin with one, or pass a compare function`,
    );
  }
}

function hasOrder(value: unknown): boolean {
  return Array.isArray(value) ? value.every(hasOrder) : ordinalOf(value) !== undefined;
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
