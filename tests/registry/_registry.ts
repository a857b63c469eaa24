/**
 * A registry as JSR is one, on this machine and in memory: `deno publish` uploads to it, and whatever understands
 * `jsr:` takes packages from it, if `JSR_URL` says where it is.
 * @module
 */

import { untar } from "./_tar.ts";

/** A version of a package, as it is served. */
export interface Version {
  readonly exports: Readonly<Record<string, string>>;
  /** The files by their paths, which begin with `/`. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** The part of a package's `deno.json` that a registry reads. */
interface PackageConfig {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
}

/** A request for what has been published, and how it was answered. */
export interface LoggedRequest {
  readonly path: string;
  readonly status: number;
}

const UPLOAD_REGEXP = /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)\/versions\/([^/]+)$/;
const META_REGEXP = /^\/(@[^/]+\/[^/]+)\/meta\.json$/;
const VERSION_META_REGEXP = /^\/(@[^/]+\/[^/]+)\/([^/]+)_meta\.json$/;
const FILE_REGEXP = /^\/(@[^/]+\/[^/]+)\/([^/]+)(\/.+)$/;

/** A registry that listens on a free port of this machine, for as long as it is not disposed of. */
export class Registry implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #packages = new Map<string, Map<string, Version>>();
  /** What it has been asked for. Uploads are not in it. */
  readonly requests: LoggedRequest[] = [];

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith("/api/")) return await this.#manage(request, pathname);
      const response = await this.#serve(pathname);
      this.requests.push({ path: pathname, status: response.status });
      return response;
    });
  }

  /** What `JSR_URL` has to be. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /** A version that has been published. */
  version(name: string, version: string): Version | undefined {
    return this.#packages.get(name)?.get(version);
  }

  /** Publishes the files of `folder`, which has a `deno.json`, as they are. */
  async addFolder(folder: URL): Promise<void> {
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for await (const entry of Deno.readDir(folder)) {
      files.set(`/${entry.name}`, await Deno.readFile(new URL(entry.name, folder)));
    }
    this.#add(files, "/deno.json");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  /** @throws {TypeError} If JSR would not take the package. */
  #add(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>, configPath: string): PackageConfig {
    const config = JSON.parse(new TextDecoder().decode(files.get(configPath))) as PackageConfig;
    for (const [name, path] of Object.entries(config.exports)) {
      if (!files.has(path.slice(1))) throw new TypeError(`Cannot export ${name} as the package has no file ${path}`);
    }
    let versions = this.#packages.get(config.name);
    if (versions === undefined) this.#packages.set(config.name, versions = new Map());
    versions.set(config.version, { exports: config.exports, files });
    return config;
  }

  /** The part of JSR's API that `deno publish` uses. */
  async #manage(request: Request, pathname: string): Promise<Response> {
    const [, scope, name, version] = UPLOAD_REGEXP.exec(pathname) ?? [];
    if (version === undefined) return Response.json({}); // scopes and packages exist by being asked for
    if (request.method !== "POST") {
      return this.version(`@${scope}/${name}`, version) === undefined
        ? Response.json({ code: "packageVersionNotFound", message: "Not found" }, { status: 404 })
        : Response.json({});
    }
    const archive = await new Response(request.body!.pipeThrough(new DecompressionStream("gzip"))).bytes();
    const files = new Map(untar(archive).entries().map(([path, bytes]) => [`/${path}`, bytes]));
    try {
      const config = this.#add(files, new URL(request.url).searchParams.get("config")!);
      if (`${config.name}@${config.version}` !== `@${scope}/${name}@${version}`) {
        throw new TypeError(`Cannot publish ${config.name}@${config.version} as @${scope}/${name}@${version}`);
      }
      return Response.json({ id: "1", status: "success", error: null });
    } catch (error) {
      return Response.json({ id: "1", status: "failure", error: { code: "refused", message: String(error) } });
    }
  }

  async #serve(pathname: string): Promise<Response> {
    const [, name] = META_REGEXP.exec(pathname) ?? [];
    if (name !== undefined) return this.#serveMeta(name);
    const [, versioned, number] = VERSION_META_REGEXP.exec(pathname) ?? [];
    if (versioned !== undefined) return await this.#serveVersionMeta(this.version(versioned, number!));
    const [, owner, version, path] = FILE_REGEXP.exec(pathname) ?? [];
    const file = owner === undefined ? undefined : this.version(owner, version!)?.files.get(path!);
    if (file === undefined) return new Response("Not found", { status: 404 });
    const type = path!.endsWith(".ts") ? "text/typescript" : "text/plain";
    return new Response(file, { headers: { "content-type": type } });
  }

  #serveMeta(name: string): Response {
    const versions = this.#packages.get(name);
    if (versions === undefined) return new Response("Not found", { status: 404 });
    const [scope, baseName] = name.slice(1).split("/");
    const numbers = [...versions.keys()];
    return Response.json({
      scope,
      name: baseName,
      latest: numbers.at(-1),
      versions: Object.fromEntries(numbers.map((number) => [number, { createdAt: "2026-01-01T00:00:00Z" }])),
    });
  }

  /** JSR's has the graph of the modules, too, which spares Deno the parsing; it is optional. */
  async #serveVersionMeta(version: Version | undefined): Promise<Response> {
    if (version === undefined) return new Response("Not found", { status: 404 });
    const manifest: Record<string, { size: number; checksum: string }> = {};
    for (const [path, bytes] of version.files) {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      manifest[path] = { size: bytes.length, checksum: `sha256-${digest.toHex()}` };
    }
    return Response.json({ manifest, exports: version.exports });
  }
}
