import type { Connection } from "./_connection.ts";
import type { EventLoop } from "./event_loop.ts";

/**
 * The connections of a loop whose other side may be of the same loop, by their addresses: an accepted connection and the
 * one that has connected to it have the same two, the other way round. Those that have met know of each other what is on
 * its way between them, so that a virtual clock waits for just that.
 */
class Loopback {
  readonly #alone = new Map<string, Connection>();
  readonly #listening = new Set<Deno.NetAddr>();

  /** Takes note of a connection until it has met its other side; the function forgets it. */
  enter(connection: Connection, local: Deno.NetAddr, remote: Deno.NetAddr): () => void {
    const reverse = keyOf(remote, local);
    const peer = this.#alone.get(reverse);
    if (peer !== undefined) {
      this.#alone.delete(reverse);
      connection.meet(peer);
      return () => {};
    }
    const key = keyOf(local, remote);
    this.#alone.set(key, connection);
    if ([...this.#listening].some((address) => accepts(address, remote))) connection.expectPeer(true);
    return () => {
      if (this.#alone.get(key) === connection) this.#alone.delete(key);
    };
  }

  /** Notes that connections to an address are accepted by this loop, until the function is called. */
  listen(address: Deno.NetAddr): () => void {
    this.#listening.add(address);
    return () => {
      this.#listening.delete(address);
      for (const connection of this.#alone.values()) connection.expectPeer(false);
    };
  }
}

const loopbacks = new WeakMap<EventLoop, Loopback>();

/** The loopback of a loop; `null` if time does not stand still for anybody there. */
function loopbackOf(loop: EventLoop): Loopback | null {
  if (!loop._isVirtual) return null;
  let loopback = loopbacks.get(loop);
  if (loopback === undefined) loopbacks.set(loop, loopback = new Loopback());
  return loopback;
}

/** Takes note of a connection between two addresses; the function forgets it. Only those of TCP are of use. */
export function enterLoopback(connection: Connection, loop: EventLoop, conn: Deno.Conn): () => void {
  const { localAddr, remoteAddr } = conn;
  if (!isNet(localAddr) || !isNet(remoteAddr)) return () => {};
  return loopbackOf(loop)?.enter(connection, localAddr, remoteAddr) ?? (() => {});
}

/** Notes that connections to an address are accepted by this loop, until the function is called. */
export function listenOnLoopback(loop: EventLoop, address: Deno.Addr): () => void {
  return isNet(address) ? loopbackOf(loop)?.listen(address) ?? (() => {}) : () => {};
}

function isNet(address: Deno.Addr): address is Deno.NetAddr {
  // Those of TLS have no `transport`.
  return "port" in address && "hostname" in address;
}

function keyOf(from: Deno.NetAddr, to: Deno.NetAddr): string {
  return `${plain(from.hostname)} ${from.port} ${plain(to.hostname)} ${to.port}`;
}

/** An address of IPv4 as such, also where a listener of IPv6 has accepted it. */
function plain(hostname: string): string {
  return hostname.replace(/^::ffff:/, "");
}

function accepts(listener: Deno.NetAddr, address: Deno.NetAddr): boolean {
  if (listener.port !== address.port) return false;
  return ["0.0.0.0", "::", plain(address.hostname)].includes(plain(listener.hostname));
}
