/**
 * The permissions of child processes.
 * @module
 */

import { toPath } from "./_config.ts";

/** Deno's permissions by the names of their flags: `true` for all of it, or a list of what is allowed. */
export type PermissionName = "read" | "write" | "net" | "env" | "run" | "sys" | "ffi" | "import";

/** What the tasks of a process pool may do. */
export type ProcessPermissions =
  | "none"
  | "inherit"
  | { readonly [K in PermissionName]?: boolean | readonly (string | URL)[] };

const NAMES: readonly PermissionName[] = ["read", "write", "net", "env", "run", "sys", "ffi", "import"];

/**
 * The flags to start a child with, and whether it may read files and import from other places, at least some.
 *
 * @throws {TypeError} If `permissions` names one that Deno does not have.
 */
export function childFlags(permissions: ProcessPermissions): { flags: string[]; canRead: boolean; canImport: boolean } {
  const granted = permissions === "none" ? {} : permissions === "inherit" ? ownPermissions() : permissions;
  if (typeof granted !== "object" || granted === null) {
    throw new TypeError(
      `Cannot use ${
        Deno.inspect(permissions)
      } as permissions: pass "none", "inherit" or an object such as { net: true }`,
    );
  }
  assertPermissionNames(granted);
  const flags: string[] = [];
  for (const [name, value] of Object.entries(granted)) {
    if (value === true) flags.push(`--allow-${name}`);
    else if (Array.isArray(value)) {
      if (value.length > 0) flags.push(`--allow-${name}=${value.map((entry) => toEntry(entry, name)).join(",")}`);
    } else if (value !== false && value !== undefined) {
      throw new TypeError(`Cannot use ${Deno.inspect(value)} as the permission ${name}: pass true, false or a list`);
    }
  }
  const allows = (name: PermissionName) => flags.some((flag) => flag.startsWith(`--allow-${name}`));
  return { flags, canRead: allows("read"), canImport: allows("import") };
}

/** @throws {TypeError} If a permission is none of Deno's. */
export function assertPermissionNames(permissions: object): void {
  for (const name of Object.keys(permissions)) {
    if (!(NAMES as readonly string[]).includes(name)) {
      throw new TypeError(`Cannot give the permission ${name}: Deno has ${NAMES.join(", ")}`);
    }
  }
}

function toEntry(entry: string | URL, name: string): string {
  const text = entry instanceof URL && entry.protocol === "file:" ? toPath(entry) : String(entry);
  if (text.includes(",")) {
    throw new TypeError(`Cannot allow ${text}: Deno's flags have no way to write a comma; allow the folder above it`);
  }
  if (text === "") throw new TypeError(`Cannot allow "" as ${name}: pass what is allowed, or true for all`);
  if (["net", "import"].includes(name) && text.includes("/")) {
    throw new TypeError(`Cannot allow ${text} as ${name}: pass a host such as "example.com" or "127.0.0.1:8080"`);
  }
  return text;
}

/** What this program is allowed as a whole and without exception; lists cannot be asked for. */
function ownPermissions(): { [K in PermissionName]?: boolean } {
  return Object.fromEntries(
    NAMES.map((name) => {
      const { state, partial } = Deno.permissions.querySync({ name } as Deno.PermissionDescriptor);
      return [name, state === "granted" && !partial];
    }),
  );
}
