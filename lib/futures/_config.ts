/**
 * The configuration that the modules of tasks are written for: a child process does not find it by itself, as its main
 * module is no file.
 * @module
 */

/**
 * The nearest `deno.json` or `deno.jsonc` above a local module. `undefined` if there is none, or none that the program
 * may read; nobody is asked.
 *
 * @param module The URL of the module; without one, the main module's is taken.
 */
export function findConfig(module: string = Deno.mainModule): string | undefined {
  if (!module.startsWith("file:")) return undefined;
  for (let folder = new URL(".", module);; folder = new URL("..", folder)) {
    if (Deno.permissions.querySync({ name: "read", path: folder }).state === "granted") {
      for (const name of ["deno.json", "deno.jsonc"]) {
        const url = new URL(name, folder);
        if (isFile(url)) return toPath(url);
      }
    }
    if (folder.pathname === new URL("..", folder).pathname) return undefined;
  }
}

function isFile(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

/** The path of a `file:` URL. */
export function toPath(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1).replaceAll("/", "\\") : path;
}
