import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import net from "node:net";
import {
  CancelledError,
  type ClientConnected,
  ContextVar,
  createTask,
  currentTask,
  DeadlockError,
  Event,
  EventLoop,
  gather,
  IncompleteReadError,
  moveOnAfter,
  openConnection,
  type OpenConnectionOptions,
  openUnixConnection,
  run,
  RuntimeError,
  Server,
  sleep,
  startServer,
  type StartServerOptions,
  startUnixServer,
  StreamReader,
  type StreamWriter,
  Task,
  timeout,
  TimeoutError,
  ValueError,
} from "../../lib/asyncio/mod.ts";
import { bytes, loopTest, reportsOf, resourceTest, text, virtualLoop } from "./_helpers.ts";
import { storm } from "./echo_storm.ts";

const LOCAL = { host: "127.0.0.1" };
const cert = Deno.readTextFileSync(new URL("fixtures/localhost.crt", import.meta.url));
const key = Deno.readTextFileSync(new URL("fixtures/localhost.key", import.meta.url));

/** Lets the loop and the host go round until something is so. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(0);
}

function portOf(server: Server): number {
  return (server.addresses[0] as Deno.NetAddr).port;
}

function connectTo(server: Server, options = {}) {
  return openConnection(LOCAL.host, portOf(server), options);
}

/** A connection whose other side is a plain one of Deno's, of which only the test knows. */
async function withPeer(options = {}): Promise<{ reader: StreamReader; writer: StreamWriter; peer: Deno.TcpConn }> {
  using listener = Deno.listen({ hostname: LOCAL.host, port: 0 });
  const accepted = listener.accept();
  const [reader, writer] = await openConnection(LOCAL.host, listener.addr.port, options);
  return { reader, writer, peer: await accepted };
}

async function readAll(conn: Deno.Conn, count = Infinity): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const chunk = new Uint8Array(65536);
  while (length < count) {
    const read = await conn.read(chunk);
    if (read === null) break;
    chunks.push(chunk.slice(0, read));
    length += read;
  }
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

/** Bytes that are each other's only at one place, so that an order can be checked. */
function pattern(length: number): Uint8Array<ArrayBuffer> {
  const numbers = new Uint32Array(Math.ceil(length / 4)).map((_, index) => Math.imul(index, 2654435761));
  return new Uint8Array(numbers.buffer).slice(0, length);
}

const handlers: Record<string, ClientConnected> = {
  "an async function": async (reader, writer) => {
    for await (const line of reader) {
      writer.write(line);
      await writer.drain();
    }
  },
  "a function*": function* (reader, writer) {
    for (let line; (line = yield* reader.readline()).length > 0;) {
      writer.write(line);
      yield* writer.drain();
    }
  },
  "a plain function": (reader, writer) => {
    createTask(async () => {
      writer.writelines([await reader.readline(), await reader.readline()]);
      writer.close();
    });
  },
};

for (const [kind, handler] of Object.entries(handlers)) {
  resourceTest(`startServer() calls ${kind} for each connection`, async () => {
    await using server = await startServer(handler, LOCAL);
    await gather(["a", "b", "c"].map((name) => async () => {
      const [reader, writer] = await connectTo(server);
      writer.write(bytes(`${name}1\n${name}2\n`));
      assertEquals(text(await reader.readexactly(6)), `${name}1\n${name}2\n`);
      writer.close();
      await writer.waitClosed();
    }));
  });
}

resourceTest("openConnection() and startServer() work in generators alone", function* () {
  const server = yield* startServer(handlers["a function*"]!, LOCAL);
  const [reader, writer] = yield* connectTo(server);
  writer.write(bytes("line\n"));
  yield* writer.drain();
  try {
    return text(yield* reader.readline());
  } finally {
    yield* writer[Symbol.asyncDispose]();
    yield* server[Symbol.asyncDispose]();
  }
});

resourceTest("startServer() runs each connection in a task of its own, in the context of its call", async () => {
  const name = new ContextVar<string>("name");
  const tasks = new Set<unknown>([currentTask()]);
  name.set("server");
  await using server = await startServer(async (_, writer) => {
    tasks.add(currentTask());
    writer.write(bytes(name.get()));
    name.set("changed");
    await writer.drain();
  }, LOCAL);
  name.set("client");
  for (let i = 0; i < 2; i++) {
    const [reader, writer] = await connectTo(server);
    assertEquals(text(await reader.read()), "server");
    writer.close();
  }
  assertEquals([tasks.size, name.get()], [3, "client"]);
});

resourceTest("startServer() closes the connection when its function ends, and sends what was written", async () => {
  const data = pattern(3_000_000);
  await using server = await startServer((_, writer) => Promise.resolve(writer.write(data)), LOCAL);
  const [reader, writer] = await connectTo(server);
  assertEquals(await reader.read(), data);
  assertEquals(reader.atEof(), true);
  writer.close();
});

Deno.test("startServer() gives the error of its function to the exception handler and closes the connection", async () => {
  using loop = new EventLoop();
  const reports = reportsOf(loop);
  const failing: ClientConnected[] = [
    () => {
      throw new RangeError("plain");
    },
    // deno-lint-ignore require-yield
    function* () {
      throw new RangeError("generator");
    },
    () => Promise.reject(new RangeError("native")),
  ];
  await loop.runUntilComplete(async () => {
    for (const handler of failing) {
      await using server = await startServer(handler, LOCAL);
      const [reader, writer] = await connectTo(server);
      assertEquals((await reader.read()).length, 0);
      writer.close();
    }
  });
  const message = "Unhandled exception in client_connected_cb";
  assertEquals(
    reports.map((report) => [report.message, String(report.exception)]),
    ["plain", "generator", "native"].map((kind) => [message, `RangeError: ${kind}`]),
  );
  assertEquals(loop._resources.size, 0);
});

resourceTest(
  "startServer() closes the connection of a task that is cancelled, before its first step as well",
  async (loop) => {
    let called = 0;
    await using server = await startServer(async (reader) => {
      called++;
      await reader.read();
    }, LOCAL);
    const [first, firstWriter] = await connectTo(server);
    await until(() => called === 1);
    const others = () => [...loop._tasks].filter((task) => task !== currentTask());
    others()[0]!.cancel();
    assertEquals((await first.read()).length, 0);

    loop.setTaskFactory((loop, coroutine, options) => {
      const task = new Task(coroutine, { ...options, loop });
      task.cancel();
      return task;
    });
    const peer = await Deno.connect({ hostname: LOCAL.host, port: portOf(server) });
    assertEquals((await readAll(peer)).length, 0);
    peer.close();
    firstWriter.close();
    assertEquals(called, 1);
    loop.setTaskFactory(null);
  },
);

resourceTest("StreamWriter.writeEof() closes one direction only", async () => {
  await using server = await startServer(async (reader, writer) => {
    const all = await reader.read();
    assertEquals(reader.atEof(), true);
    writer.write(bytes(`got ${all.length}`));
  }, LOCAL);
  const [reader, writer] = await connectTo(server);
  writer.write(new Uint8Array(300_000));
  assertEquals(writer.canWriteEof(), true);
  writer.writeEof();
  writer.writeEof();
  assertThrows(() => writer.write(bytes("x")), RuntimeError, "Cannot write after writeEof()");
  assertEquals([text(await reader.read()), writer.isClosing()], ["got 300000", false]);
  await writer[Symbol.asyncDispose]();
});

resourceTest("StreamReader of a connection ends with IncompleteReadError where the peer ends", async () => {
  const { reader, writer, peer } = await withPeer();
  await peer.write(bytes("half a li"));
  peer.close();
  const error = await assertRejects(async () => await reader.readuntil(bytes("\n")), IncompleteReadError);
  assertEquals([text(error.partial), error.expected, reader.atEof()], ["half a li", null, true]);
  assertEquals(writer.isClosing(), false);
  writer.close();
});

resourceTest("A connection that the peer resets fails reads, drains and waitClosed()", async () => {
  const made = Promise.withResolvers<[StreamReader, StreamWriter]>();
  const server = await startServer((...streams) => made.resolve(streams), LOCAL);
  const socket = net.connect(portOf(server), LOCAL.host);
  const ended = new Promise((resolve) => socket.on("close", resolve));
  await new Promise<void>((resolve) => socket.on("connect", resolve));
  const [reader, writer] = await made.promise;
  const read = createTask(reader.read(1));
  await sleep(0);
  socket.resetAndDestroy();
  await assertRejects(async () => await read, Deno.errors.ConnectionReset);
  await assertRejects(async () => await reader.read(0), Deno.errors.ConnectionReset);
  await assertRejects(async () => await writer.drain(), Deno.errors.ConnectionReset);
  await assertRejects(async () => await writer.waitClosed(), Deno.errors.ConnectionReset);
  assertEquals(writer.isClosing(), true);
  writer.write(bytes("dropped"));
  writer.close();
  server.close();
  await server.waitClosed();
  await ended;
});

resourceTest("StreamWriter.drain() tells of what could not be sent", async () => {
  const { reader, writer, peer } = await withPeer();
  peer.close();
  const error = await assertRejects(async () => {
    for (;;) {
      writer.write(new Uint8Array(10_000));
      await writer.drain();
      await sleep(0);
    }
  });
  assert(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset, String(error));
  assertStrictEquals(reader.exception(), error);
  assertStrictEquals(await assertRejects(async () => await writer.waitClosed()), error);
});

for (const native of [false, true]) {
  resourceTest(
    `StreamWriter.drain() waits for a slow peer, for any number of ${native ? "async functions" : "generators"}`,
    async () => {
      const { writer, peer } = await withPeer();
      // More than the system buffers on both sides.
      const data = pattern(20_000_000);
      await writer.drain();
      writer.write(data.subarray(0, 65_536));
      await writer.drain();
      writer.write(data.subarray(65_536));
      const drains = Array.from(
        { length: 3 },
        () =>
          createTask(
            native ? async () => await writer.drain() : function* () {
              yield* writer.drain();
            },
          ),
      );
      await sleep(0);
      drains[0]!.cancel();
      await assertRejects(async () => await drains[0], CancelledError);
      assertEquals(drains.map((drain) => drain.done()), [true, false, false]);
      const received = await readAll(peer, data.length);
      await Promise.all(drains.slice(1));
      await writer.drain();
      assertEquals(received.length, data.length);
      assert(received.every((byte, index) => byte === data[index]));
      writer.close();
      peer.close();
    },
  );
}

resourceTest("StreamWriter sends many small pieces in order, and copies them", async () => {
  const { writer, peer } = await withPeer();
  const data = pattern(100_000);
  const piece = new Uint8Array(7);
  for (let i = 0; i < data.length; i += 7) {
    piece.set(data.subarray(i, i + 7));
    writer.write(piece.subarray(0, data.length - i));
  }
  piece.fill(0);
  const received = await readAll(peer, data.length);
  assertEquals(received, data);
  writer.close();
  peer.close();
});

resourceTest("StreamReader of a connection stops reading above twice its limit, and goes on", async () => {
  const { reader, writer, peer } = await withPeer({ limit: 1000 });
  const data = pattern(10_000_000);
  const sending = (async () => {
    for (let sent = 0; sent < data.length;) sent += await peer.write(data.subarray(sent));
    peer.close();
  })();
  await until(() => String(reader).includes("paused"));
  const buffered = Number(/(\d+) bytes/.exec(String(reader))![1]);
  assert(buffered > 2000 && buffered <= 2000 + 65536, String(reader));
  for (let i = 0; i < 1000; i++) await sleep(0);
  assert(String(reader).includes(` ${buffered} bytes `), String(reader));
  // More than twice the limit at once does not wait for ever.
  const start = await reader.readexactly(5_000_000);
  const rest = await reader.read();
  assert(start.every((byte, index) => byte === data[index]));
  assert(rest.every((byte, index) => byte === data[5_000_000 + index]));
  assertEquals(start.length + rest.length, data.length);
  await sending;
  writer.close();
});

resourceTest("StreamReader of a connection loses no byte to a cancelled read", async () => {
  const { reader, writer, peer } = await withPeer();
  let received = "";
  for (let i = 0; i < 50; i++) {
    const task = createTask(i % 2 === 0 ? reader.read(3) : reader.readexactly(3));
    await sleep(0);
    const writing = peer.write(bytes("abc"));
    if (i % 3 > 0) await writing;
    task.cancel();
    try {
      received += text(await task);
    } catch (error) {
      assertInstanceOf(error, CancelledError);
    }
    await writing;
  }
  peer.close();
  received += text(await reader.read());
  assertEquals(received, "abc".repeat(50));
  writer.close();
});

resourceTest("StreamWriter.close() sends the rest, and what is written later is dropped", async () => {
  const { reader, writer, peer } = await withPeer();
  const data = pattern(5_000_000);
  writer.write(data);
  assertEquals([writer.isClosing(), String(writer).startsWith("<StreamWriter open")], [false, true]);
  writer.close();
  writer.close();
  writer.write(bytes("dropped"));
  assertEquals([writer.isClosing(), String(writer).startsWith("<StreamWriter closing")], [true, true]);
  const waits = [createTask(writer.waitClosed()), createTask(() => writer.waitClosed())];
  await sleep(0);
  waits[0]!.cancel();
  await assertRejects(async () => await waits[0], CancelledError);
  const received = await readAll(peer);
  assertEquals(received.length, data.length);
  await waits[1];
  assertEquals([String(writer).startsWith("<StreamWriter closed"), reader.atEof()], [true, true]);
  await assertRejects(async () => await writer.drain(), Deno.errors.ConnectionReset, "Connection lost");
  await writer.waitClosed();
  peer.close();
});

resourceTest("StreamWriter.abort() drops what is not sent, and lets drains and waitClosed() go on", async () => {
  const { writer, peer } = await withPeer();
  writer.write(new Uint8Array(20_000_000));
  const waits = [createTask(writer.drain()), createTask(writer.waitClosed())];
  await sleep(0);
  writer.abort();
  await Promise.all(waits);
  assert((await readAll(peer)).length < 20_000_000);
  peer.close();
});

resourceTest("StreamWriter disposed of in a task that is cancelled is closed at once", async () => {
  const { writer, peer } = await withPeer();
  writer.write(new Uint8Array(20_000_000));
  const task = createTask(writer[Symbol.asyncDispose]());
  await sleep(0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  peer.close();
});

resourceTest("StreamWriter refuses what is no Uint8Array, and then writes none of it", async () => {
  const { writer, peer } = await withPeer();
  assertThrows(() => writer.write("text" as never), TypeError, "new TextEncoder().encode(...)");
  assertThrows(() => writer.write(new ArrayBuffer(1) as never), TypeError, "pass a Uint8Array");
  assertThrows(() => writer.writelines([bytes("a"), "b" as never]), TypeError, 'Cannot write "b"');
  assertThrows(() => writer.writelines(bytes("a") as never), TypeError, "use write()");
  writer.close();
  assertEquals((await readAll(peer)).length, 0);
  peer.close();
});

resourceTest("StreamWriter.getExtraInfo() tells the addresses and the socket", async () => {
  const { writer, peer } = await withPeer();
  assertEquals(writer.getExtraInfo("peername"), peer.localAddr);
  assertEquals(writer.getExtraInfo("sockname"), peer.remoteAddr);
  assertEquals(writer.getExtraInfo("handshake"), null);
  writer.getExtraInfo("socket");
  writer.close();
  peer.close();
});

resourceTest("openConnection() rejects where nobody listens", async () => {
  const listener = Deno.listen({ hostname: LOCAL.host, port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assertRejects(async () => await openConnection(LOCAL.host, port), Deno.errors.ConnectionRefused);
});

resourceTest("openConnection() cancelled at any moment leaves no connection", async () => {
  using listener = Deno.listen({ hostname: LOCAL.host, port: 0 });
  for (let turns = 0; turns < 60; turns++) {
    const task = createTask(openConnection(LOCAL.host, listener.addr.port));
    for (let i = 0; i < turns && !task.done(); i++) await sleep(0);
    task.cancel();
    try {
      (await task)[1].abort();
    } catch (error) {
      assertInstanceOf(error, CancelledError);
    }
  }
  // Connections that came too late are closed as soon as they are there.
  await new Promise((resolve) => setTimeout(resolve, 0));
});

resourceTest("openConnection() and startServer() refuse what does not go together, at the call", async () => {
  const cases: [() => unknown, new (message: string) => Error, string][] = [
    [() => openConnection("localhost", 1, { limit: 0 }), ValueError, "limit"],
    [() => openConnection("localhost", 1, { serverHostname: "a" }), ValueError, "without ssl"],
    [() => openConnection("localhost", 1, { ssl: true, upgradable: true }), ValueError, "either ssl or upgradable"],
    [() => openConnection("localhost", 1, { ssl: { cert } }), ValueError, "pass both"],
    [() => startServer(null as never), TypeError, "pass a function of a reader and a writer"],
    [() => startServer(() => {}, { host: [] }), ValueError, "no host"],
    [() => startServer(() => {}, { limit: 1.5 }), ValueError, "limit"],
    [() => startUnixServer("path" as never, "path"), TypeError, "pass a function"],
    [() => openConnection(5 as never, 1), TypeError, "Cannot use 5 as host: pass a string"],
    [() => openConnection("", 1), ValueError, "Cannot use an empty string as host"],
    [() => openConnection("a", "1" as never), TypeError, 'Cannot use "1" as port: pass a number'],
    [() => openConnection("a", undefined as never), TypeError, "Cannot use undefined as port: pass a number"],
    [() => openConnection("a", 65536), ValueError, "Cannot use 65536 as port: pass a whole number from 0 to 65535"],
    [() => openConnection("a", NaN), ValueError, "Cannot use NaN as port"],
    [() => openConnection("a", 1, null as never), TypeError, "as options: pass an object such as { ssl: true }"],
    [() => openConnection("a", 1, { ssl: "yes" as never }), TypeError, 'Cannot use "yes" as ssl: pass an object such'],
    [() => openConnection("a", 1, { ssl: null as never }), TypeError, "Cannot use null as ssl"],
    [() => openConnection("a", 1, { ssl: { caCerts: cert as never } }), TypeError, "as ssl.caCerts: pass a list"],
    [() => openConnection("a", 1, { ssl: { caCerts: [1 as never] } }), TypeError, "Cannot use 1 in ssl.caCerts"],
    [() => openConnection("a", 1, { ssl: { alpnProtocols: "h2" as never } }), TypeError, "as ssl.alpnProtocols"],
    [() => openConnection("a", 1, { ssl: { cert: 1 as never, key } }), TypeError, "Cannot use 1 as ssl.cert"],
    [() => openConnection("a", 1, { ssl: true, serverHostname: 1 as never }), TypeError, "as serverHostname"],
    [() => openConnection("a", 1, { ssl: true, sslHandshakeTimeout: NaN }), ValueError, "NaN as sslHandshakeTimeout"],
    [() => openConnection("a", 1, { upgradable: 1 as never }), TypeError, "as upgradable: pass true or false"],
    [() => openUnixConnection(5 as never), TypeError, "Cannot use 5 as path: pass a string"],
    [() => openUnixConnection("a", 5 as never), TypeError, "Cannot use 5 as options"],
    [() => startServer(() => {}, "a" as never), TypeError, 'as options: pass an object such as { host: "127.0.0.1" }'],
    [() => startServer(() => {}, { host: 5 as never }), TypeError, "Cannot use 5 as host"],
    [() => startServer(() => {}, { host: ["a", 5 as never] }), TypeError, "Cannot use 5 as host"],
    [() => startServer(() => {}, { port: -1 }), ValueError, "Cannot use -1 as port"],
    [() => startServer(() => {}, { backlog: -1 }), ValueError, "Cannot use -1 as backlog: pass a whole number from 1"],
    [() => startServer(() => {}, { backlog: "9" as never }), TypeError, 'Cannot use "9" as backlog: pass a number'],
    [() => startServer(() => {}, { ssl: {} as never }), TypeError, "Cannot use undefined as ssl.cert: pass a string"],
    [() => startServer(() => {}, { ssl: true as never }), TypeError, "as ssl: pass an object such as { cert, key }"],
    [() => startServer(() => {}, { keepAlive: 1 as never }), TypeError, "Cannot use 1 as keepAlive"],
    [() => startServer(() => {}, { reusePort: 1 as never }), TypeError, "Cannot use 1 as reusePort"],
    [() => startServer(() => {}, { startServing: 0 as never }), TypeError, "Cannot use 0 as startServing"],
    [() => startUnixServer(() => {}, 5 as never), TypeError, "Cannot use 5 as path"],
    [() => startUnixServer(() => {}, ""), ValueError, "Cannot use an empty string as path"],
  ];
  for (const [call, kind, message] of cases) assertThrows(call, kind, message);
  await sleep(0);
});

resourceTest("Server.waitClosed() waits until it is closed and all connections are gone, in either order", async () => {
  const server = await startServer(async (reader) => void await reader.read(), LOCAL);
  const waits = Array.from({ length: 2 }, () => createTask(server.waitClosed()));
  const [reader, writer] = await connectTo(server);
  await until(() => currentTask()!.getLoop()._resources.size === 3);
  assertEquals(server.isServing(), true);
  server.close();
  server.close();
  assertEquals([server.isServing(), server.addresses], [false, []]);
  await sleep(0);
  waits[0]!.cancel();
  await assertRejects(async () => await waits[0], CancelledError);
  assertEquals(waits[1]!.done(), false);
  writer.close();
  await waits[1];
  await server.waitClosed();
  assertEquals(reader.atEof(), true);

  const idle = await startServer(() => {}, LOCAL);
  const [, left] = await connectTo(idle);
  await until(() => currentTask()!.getLoop()._resources.size === 3);
  idle.closeClients();
  await sleep(0);
  const last = createTask(idle.waitClosed());
  await sleep(0);
  assertEquals(last.done(), false);
  idle.close();
  await last;
  left.close();
});

resourceTest("Server.closeClients() sends the rest, abortClients() does not", async (loop) => {
  for (const method of ["closeClients", "abortClients"] as const) {
    const written = Promise.withResolvers<void>();
    await using server = await startServer((_, writer) => {
      writer.write(new Uint8Array(20_000_000));
      written.resolve();
    }, LOCAL);
    const peer = await Deno.connect({ hostname: LOCAL.host, port: portOf(server) });
    await written.promise;
    server[method]();
    const { length } = await readAll(peer);
    assertEquals(length === 20_000_000, method === "closeClients");
    peer.close();
  }
  assertEquals(loop._resources.size, 0);
});

resourceTest("Server.serveForever() serves until it is cancelled, and closes the server", async () => {
  const server = await startServer(handlers["an async function"]!, { ...LOCAL, startServing: false });
  assertEquals(server.isServing(), false);
  // It can be connected to before.
  const [reader, writer] = await connectTo(server);
  const serving = createTask(server.serveForever());
  writer.write(bytes("line\n"));
  assertEquals(text(await reader.readline()), "line\n");
  await assertRejects(async () => await server.serveForever(), RuntimeError, "a second time");
  serving.cancel("enough");
  await sleep(0);
  await sleep(0);
  assertEquals([server.isServing(), serving.done()], [false, false]);
  writer.close();
  await assertRejects(async () => await serving, CancelledError, "enough");
  await assertRejects(async () => await server.serveForever(), RuntimeError, "is closed");
  await assertRejects(async () => await server.startServing(), RuntimeError, "is closed");
});

resourceTest("Server.close() ends serveForever()", async () => {
  const server = await startServer(() => {}, LOCAL);
  const serving = createTask(server.serveForever());
  await sleep(0);
  server.close();
  await assertRejects(async () => await serving, CancelledError);
});

resourceTest("Server listens on several addresses, and on none if one of them is taken", async () => {
  const server = await startServer((_, writer) => Promise.resolve(writer.write(bytes("hi"))), {
    host: ["127.0.0.1", "127.0.0.2"],
    backlog: 5,
    keepAlive: true,
  });
  const addresses = server.addresses as Deno.NetAddr[];
  assertEquals(addresses.map((address) => address.hostname), ["127.0.0.1", "127.0.0.2"]);
  for (const { hostname, port } of addresses) {
    const [reader, writer] = await openConnection(hostname, port);
    assertEquals(text(await reader.read()), "hi");
    writer.close();
  }
  const { port } = addresses[1]!;
  const taken = startServer(() => {}, { host: ["127.0.0.3", "127.0.0.2"], port });
  await assertRejects(async () => await taken, Deno.errors.AddrInUse);
  await server[Symbol.asyncDispose]();
});

Deno.test("Server that cannot accept says so and tries again after a second", async () => {
  using loop = virtualLoop();
  const reports = reportsOf(loop);
  const times: number[] = [];
  const closed = Promise.withResolvers<never>();
  const third = Promise.withResolvers<void>();
  const results = [new Error("Too many open files (os error 24)"), new Deno.errors.ConnectionAborted()];
  const listener = {
    addr: { transport: "tcp", hostname: "nowhere", port: 0 },
    accept: () => {
      times.push(loop.time());
      const error = results.shift();
      if (error !== undefined) return Promise.reject(error);
      third.resolve();
      return closed.promise;
    },
    close: () => closed.reject(new Deno.errors.BadResource()),
  } as unknown as Deno.Listener;
  await loop.runUntilComplete(async () => {
    const server = new Server({
      loop,
      limit: 1,
      keepAlive: false,
      handshakeTimeout: null,
      clientConnected: () => {},
      listeners: [listener],
    });
    await server.startServing();
    await sleep(5000);
    await third.promise;
    await server[Symbol.asyncDispose]();
  });
  // The time of the third is not the loop's: the host calls it when it gets to it.
  assertEquals([times.length, times.slice(0, 2)], [3, [0, 1000]]);
  assertEquals(reports.map((report) => String(report.exception)), ["Error: Too many open files (os error 24)"]);
});

Deno.test("EventLoop.close() closes servers and connections", async () => {
  const loop = new EventLoop();
  await loop.runUntilComplete(async () => {
    const server = await startServer(async (reader) => void await reader.read(), LOCAL);
    const [reader, writer] = await connectTo(server);
    writer.write(new Uint8Array(20_000_000));
    createTask(writer.drain());
    createTask(reader.read());
    createTask(server.serveForever());
    await until(() => loop._resources.size === 3);
  });
  loop.close();
  assertEquals(loop._resources.size, 0);
});

Deno.test("run() ends a server that nobody closed", async () => {
  const requests: string[] = [];
  await run(async () => {
    const server = await startServer(async (reader) => {
      requests.push(text(await reader.readline()));
      await reader.readline();
    }, LOCAL);
    const [, writer] = await connectTo(server);
    writer.write(bytes("line\n"));
    await until(() => requests.length > 0);
  });
  assertEquals(requests, ["line\n"]);
});

// -- Unix sockets

resourceTest("startUnixServer() and openUnixConnection() talk over a file", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/socket`;
  try {
    const server = await startUnixServer(handlers["an async function"]!, path, { limit: 100 });
    assertEquals(server.addresses, [{ transport: "unix", path }]);
    const [reader, writer] = await openUnixConnection(path);
    writer.write(bytes("line\nlast"));
    writer.writeEof();
    assertEquals(text(await reader.read()), "line\nlast");
    assertEquals(writer.getExtraInfo("peername"), { transport: "unix", path });
    writer.close();
    server.close();
    await server.waitClosed();
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
    await assertRejects(async () => await openUnixConnection(path), Deno.errors.NotFound);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

resourceTest("openUnixConnection() that is cancelled closes the connection when it is there", async () => {
  const directory = await Deno.makeTempDir();
  const listener = Deno.listen({ transport: "unix", path: `${directory}/socket` });
  try {
    const task = createTask(openUnixConnection(`${directory}/socket`));
    await sleep(0);
    task.cancel();
    await assertRejects(async () => await task, CancelledError);
    const peer = await listener.accept();
    assertEquals((await readAll(peer)).length, 0);
    peer.close();
  } finally {
    listener.close();
    await Deno.remove(directory, { recursive: true });
  }
});

resourceTest("startUnixServer() replaces a socket that is left over, and nothing else", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/socket`;
    const before = Deno.listen({ transport: "unix", path: `${directory}/old` });
    await Deno.rename(`${directory}/old`, path);
    before.close();
    assertEquals((await Deno.stat(path)).isSocket, true);
    const server = await startUnixServer(() => {}, path);
    server.close();
    await Deno.writeTextFile(`${directory}/file`, "kept");
    const refused = startUnixServer(() => {}, `${directory}/file`);
    await assertRejects(async () => await refused, Deno.errors.AddrInUse);
    assertEquals(await Deno.readTextFile(`${directory}/file`), "kept");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

resourceTest("startUnixServer() lets others run while it looks for a socket that is left over", async () => {
  const directory = await Deno.makeTempDir();
  const { statSync, removeSync } = Deno;
  const blocks = () => {
    throw new Error("That blocks");
  };
  try {
    Object.assign(Deno, { statSync: blocks, removeSync: blocks });
    for (const path of [`${directory}/one`, `${directory}/two`, `${directory}/one`]) {
      await using server = await startUnixServer(() => {}, path);
      assertEquals(server.isServing(), true);
    }
  } finally {
    Object.assign(Deno, { statSync, removeSync });
    await Deno.remove(directory, { recursive: true });
  }
});

resourceTest(
  "startUnixServer() that is cancelled while it removes a socket leaves neither a socket nor a server",
  async () => {
    const directory = await Deno.makeTempDir();
    try {
      for (let turns = 0; turns < 4; turns++) {
        const path = `${directory}/${turns}`;
        const before = Deno.listen({ transport: "unix", path: `${directory}/old` });
        await Deno.rename(`${directory}/old`, path);
        before.close();
        const task = createTask(startUnixServer(() => {}, path));
        for (let i = 0; i < turns; i++) await sleep(0);
        task.cancel();
        await assertRejects(async () => await task, CancelledError);
        // What is made there afterwards is not taken away by the one that was cancelled.
        await using server = await startUnixServer(() => {}, path);
        assertEquals([server.isServing(), (await Deno.stat(path)).isSocket], [true, true]);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

resourceTest(
  "startUnixServer() that is cancelled when it has just begun leaves later servers of its path alone",
  async () => {
    const directory = await Deno.makeTempDir();
    const exists = (path: string) => {
      try {
        return Deno.statSync(path).isSocket;
      } catch {
        return false;
      }
    };
    try {
      let cancelled = 0;
      for (let n = 0; cancelled < 20; n++) {
        assert(n < 200, "it is never seen between its beginning and its end");
        const path = `${directory}/${n}`;
        const task = createTask(startUnixServer(() => {}, path));
        while (!exists(path)) await sleep(0);
        if (!task.cancel()) {
          await (await task).close();
          continue;
        }
        cancelled++;
        await assertRejects(async () => await task, CancelledError);
        await using server = await startUnixServer(() => {}, path);
        // What is late would come by now.
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
        assertEquals([server.isServing(), exists(path)], [true, true]);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);

// -- TLS

const TLS: StartServerOptions = { ...LOCAL, ssl: { cert, key, alpnProtocols: ["echo/1"] } };
const trusted = { caCerts: [cert] };

resourceTest("openConnection() and startServer() encrypt", async () => {
  await using server = await startServer(async (reader, writer) => {
    const data = await reader.readexactly(3_000_000);
    writer.write(data);
    assertEquals(writer.getExtraInfo("handshake"), { alpnProtocol: "echo/1" });
  }, TLS);
  const data = pattern(3_000_000);
  const [reader, writer] = await connectTo(server, {
    ssl: { ...trusted, alpnProtocols: ["echo/1"] },
    serverHostname: "localhost",
  });
  writer.write(data);
  const echoed = await reader.read();
  assertEquals(echoed.length, data.length);
  assert(echoed.every((byte, index) => byte === data[index]));
  assertEquals(writer.getExtraInfo("handshake"), { alpnProtocol: "echo/1" });
  assertEquals(writer.canWriteEof(), false);
  assertThrows(() => writer.writeEof(), RuntimeError, "not half-closed");
  // The peer's end is the end of both directions.
  await writer.waitClosed();
  assertEquals(writer.isClosing(), true);
});

resourceTest("openConnection() takes the certificate of a client along", async () => {
  await using server = await startServer((_, writer) => Promise.resolve(writer.write(bytes("hi"))), TLS);
  const [reader, writer] = await connectTo(server, { ssl: { ...trusted, cert, key } });
  assertEquals(text(await reader.read()), "hi");
  writer.close();
});

resourceTest("openConnection() rejects a certificate that it does not know, or of another name", async () => {
  let called = 0;
  await using server = await startServer(() => called++, TLS);
  await assertRejects(async () => await connectTo(server, { ssl: true }), Deno.errors.InvalidData);
  const other = { ssl: trusted, serverHostname: "example.org" };
  await assertRejects(async () => await connectTo(server, other), Deno.errors.InvalidData);
  // Nor does a client that speaks no TLS get through to the program.
  const peer = await Deno.connect({ hostname: LOCAL.host, port: portOf(server) });
  await peer.write(bytes("GET / HTTP/1.1\r\n\r\n"));
  await readAll(peer);
  peer.close();
  assertEquals(called, 0);
});

resourceTest("openConnection() gives a handshake up that takes too long, or is cancelled", async () => {
  using listener = Deno.listen({ hostname: LOCAL.host, port: 0 });
  const connect = (sslHandshakeTimeout: number | null) =>
    openConnection(LOCAL.host, listener.addr.port, { ssl: trusted, sslHandshakeTimeout });
  await assertRejects(async () => await connect(1), Deno.errors.ConnectionAborted, "takes too long");
  (await listener.accept()).close();
  const task = createTask(connect(null));
  const peer = await listener.accept();
  assert((await peer.read(new Uint8Array(1000)))! > 0);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  peer.close();
});

/** A server that says "ready" in plain text, and after "starttls" gives everything to a server with TLS. */
async function upgradingServer(greeting: string, tls: Server): Promise<{ port: number; ended: Promise<unknown> }> {
  const listener = Deno.listen({ hostname: LOCAL.host, port: 0 });
  const serve = async (): Promise<void> => {
    const conn = await listener.accept();
    listener.close();
    await conn.write(bytes(greeting));
    if (await conn.read(new Uint8Array(9)) === null) return conn.close();
    await conn.write(bytes("go on\n"));
    const inner = await Deno.connect({ hostname: LOCAL.host, port: portOf(tls) });
    await Promise.allSettled([conn.readable.pipeTo(inner.writable), inner.readable.pipeTo(conn.writable)]);
  };
  return await Promise.resolve({ port: listener.addr.port, ended: serve() });
}

resourceTest("StreamWriter.startTls() goes on in TLS with the same streams", async () => {
  await using tls = await startServer(handlers["an async function"]!, TLS);
  const { port, ended } = await upgradingServer("ready\n", tls);
  const [reader, writer] = await openConnection(LOCAL.host, port, { upgradable: true });
  assertEquals(text(await reader.readline()), "ready\n");
  writer.write(bytes("starttls\n"));
  assertEquals(text(await reader.readline()), "go on\n");
  const started = createTask(
    writer.startTls({ caCerts: [cert], serverHostname: "localhost", alpnProtocols: ["echo/1"] }),
  );
  await sleep(0);
  // What is read and written while it starts waits for it.
  const line = createTask(reader.readline());
  writer.write(bytes("early\n"));
  await started;
  assertEquals(writer.getExtraInfo("handshake"), { alpnProtocol: "echo/1" });
  assertEquals(text(await line), "early\n");
  // From now on it reads ahead, and stops when it has enough.
  writer.write(bytes(`${"x".repeat(999)}\n`.repeat(1000)));
  await until(() => String(reader).includes("paused"));
  assertEquals((await reader.readexactly(1_000_000)).length, 1_000_000);
  await assertRejects(async () => await writer.startTls(), RuntimeError, "encrypted already");
  await writer[Symbol.asyncDispose]();
  await ended;
});

resourceTest("StreamWriter.startTls() refuses what came unencrypted and what Deno cannot do", async () => {
  const plain = await withPeer();
  await assertRejects(async () => await plain.writer.startTls(), RuntimeError, "upgradable: true");
  plain.writer.close();
  plain.peer.close();

  const { reader, writer, peer } = await withPeer({ upgradable: true });
  const read = createTask(reader.readline());
  await sleep(0);
  await assertRejects(async () => await writer.startTls(), RuntimeError, "is being read");
  await peer.write(bytes("ready\ninjected\n"));
  assertEquals(text(await read), "ready\n");
  await assertRejects(async () => await writer.startTls(), RuntimeError, "9 bytes are unread");
  assertEquals(text(await reader.readline()), "injected\n");
  const starting = createTask(writer.startTls());
  assert((await peer.read(new Uint8Array(1000)))! > 0);
  starting.cancel();
  await assertRejects(async () => await starting, CancelledError);
  assertEquals(writer.isClosing(), true);
  peer.close();
});

resourceTest("StreamWriter.startTls() on a connection that is closed meanwhile leaves nothing behind", async () => {
  for (let turns = 0; turns < 20; turns++) {
    const { writer, peer } = await withPeer({ upgradable: true });
    const starting = createTask(writer.startTls());
    for (let i = 0; i < turns; i++) await sleep(0);
    writer.abort();
    await assertRejects(async () => await starting);
    peer.close();
  }
});

// -- Virtual time

loopTest("A virtual clock stands still while a task waits for a connection, and only then", async (loop) => {
  const { reader, writer, peer } = await withPeer();
  assertEquals(loop.time(), 0);
  await sleep({ hours: 1 });
  assertEquals(loop.time(), 3_600_000);
  const answer = (text: string) => setTimeout(() => peer.write(bytes(text)), 5);
  answer("native\n");
  assertEquals(text(await timeout(1, async () => await reader.readline())), "native\n");
  answer("generator\n");
  assertEquals(text(await timeout(1, () => reader.readuntil(bytes("\n")))), "generator\n");
  writer.write(new Uint8Array(20_000_000));
  const received = readAll(peer, 20_000_000);
  await timeout(1, () => writer.drain());
  writer.close();
  await timeout(1, () => writer.waitClosed());
  assertEquals(loop.time(), 3_600_000);
  await received;
  peer.close();
});

loopTest("A virtual clock stands still while serveForever() waits for its next connection", async (loop) => {
  const served = Promise.withResolvers<void>();
  const server = await startServer(async (reader, writer) => {
    const line = await reader.readline();
    await sleep(500);
    writer.write(line);
  }, LOCAL);
  const { port } = server.addresses[0] as Deno.NetAddr;
  const serving = createTask(server.serveForever());
  setTimeout(async () => {
    const peer = await Deno.connect({ hostname: LOCAL.host, port });
    await peer.write(bytes("line\n"));
    assertEquals(text(await readAll(peer)), "line\n");
    peer.close();
    served.resolve();
  }, 5);
  served.promise.then(() => server.close());
  await assertRejects(async () => await serving, CancelledError);
  assertEquals(loop.time(), 500);
});

loopTest("A read that times out in virtual time when nobody is left to answer is the host's to end", async () => {
  const { reader, writer, peer } = await withPeer();
  const reading = createTask(timeout(10, () => reader.read(1)));
  await sleep(0);
  peer.close();
  assertEquals((await reading).length, 0);
  writer.close();
  await assertRejects(async () => await timeout(10, () => new StreamReader().read(1)), TimeoutError);
});

/** A server and its client in one virtual loop. */
const BOTH_SIDES: Record<string, { server: StartServerOptions; client: OpenConnectionOptions }> = {
  "TCP": { server: LOCAL, client: {} },
  "TLS": {
    server: { ...LOCAL, ssl: { cert, key } },
    client: { ssl: { caCerts: [cert] }, serverHostname: "localhost" },
  },
  "all addresses": { server: {}, client: {} },
};

for (const [name, sides] of Object.entries(BOTH_SIDES)) {
  loopTest(`A virtual clock goes on for a server and its client in one loop: ${name}`, async (loop) => {
    const server = await startServer(async (reader, writer) => {
      for await (const line of reader) {
        await sleep({ seconds: 10 });
        writer.write(line);
      }
      await sleep({ minutes: 1 });
      writer.write(bytes("bye"));
    }, sides.server);
    const [reader, writer] = await connectTo(server, sides.client);
    writer.write(bytes("one\ntwo\n"));
    const times: [string, number][] = [];
    const note = (line: Uint8Array) => times.push([text(line), loop.time()]);
    note(await reader.readline());
    assertEquals(await moveOnAfter(4_000, () => reader.readline()), { cancelled: true, value: undefined });
    note(await reader.readline());
    await sleep(500);
    // TLS has no half-closed connections: the server's side ends with the client's.
    const halfOpen = writer.canWriteEof();
    if (halfOpen) {
      writer.writeEof();
      note(await reader.read());
    }
    assertEquals(times, [["one\n", 10_000], ["two\n", 20_000], ...(halfOpen ? [["bye", 80_500]] : [])]);
    writer.close();
    server.close();
    await server.waitClosed();
    assertEquals(loop.time(), halfOpen ? 80_500 : 20_500);
  });
}

loopTest("A virtual clock goes on for a server and its client that are generators", function* (loop) {
  const server = yield* startServer(function* (reader, writer) {
    const line = yield* reader.readline();
    yield* sleep(10);
    writer.write(line);
  }, LOCAL);
  const [reader, writer] = yield* connectTo(server);
  writer.write(bytes("line\n"));
  assertEquals([text(yield* reader.read()), loop.time()], ["line\n", 10]);
  writer.close();
  server.close();
  yield* server.waitClosed();
});

loopTest("A virtual clock goes on where the other side of the same loop reads only later", async (loop) => {
  const size = 20_000_000;
  let received = Promise.withResolvers<number>();
  const server = await startServer(async (reader) => {
    await sleep(1000);
    received.resolve((await reader.read()).length);
  }, LOCAL);
  for (const waits of [true, false]) {
    received = Promise.withResolvers<number>();
    const before = loop.time();
    const [, writer] = await connectTo(server);
    writer.write(new Uint8Array(size));
    if (waits) {
      await writer.drain();
      assertEquals(loop.time(), before + 1000);
    }
    writer.close();
    await writer.waitClosed();
    assertEquals([await received.promise, loop.time()], [size, before + 1000]);
  }
  server.close();
  await server.waitClosed();
});

loopTest("A virtual clock does not pass by what the system has room for, or take it for a deadlock", async (loop) => {
  const go = new Event();
  const server = await startServer(async (reader, writer) => {
    await go.wait();
    writer.write(bytes(String((await reader.read()).length)));
  }, { ...LOCAL, limit: 1 });
  const [reader, writer] = await connectTo(server);
  writer.write(new Uint8Array(200_000));
  await timeout(1, () => writer.drain());
  writer.writeEof();
  go.set();
  assertEquals([text(await reader.read()), loop.time()], ["200000", 0]);
  writer.close();
  server.close();
  await server.waitClosed();
});

Deno.test("A server and its client in one virtual loop that wait for each other are a deadlock", async () => {
  const loop = virtualLoop();
  const waiting = loop.runUntilComplete(async () => {
    const server = await startServer(async (reader) => {
      await reader.read(1);
    }, LOCAL);
    const [reader] = await connectTo(server);
    await reader.read();
  });
  await assertRejects(() => waiting, DeadlockError);
  loop.close();
});

loopTest("A virtual clock is the same for a client however late the server accepts it", async (loop) => {
  const accepted: number[] = [];
  const server = await startServer(async (reader) => {
    accepted.push(loop.time());
    await reader.read();
  }, LOCAL);
  const [, writer] = await connectTo(server);
  await sleep(10);
  assertEquals(accepted, [0]);
  writer.close();

  // One that is closed before it accepts takes nobody's time.
  const connecting = connectTo(server);
  server.close();
  try {
    const [reader, writer] = await connecting;
    await sleep(10);
    await reader.read();
    writer.abort();
  } catch (error) {
    assert(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset, `${error}`);
  }
  await server.waitClosed();
});

// -- Many

Deno.test("An echo server gives 1000 unruly clients back every byte, and keeps nothing", async () => {
  const result = await storm({ connections: 1000, atOnce: 200, seed: 1, most: 10_000 });
  assertEquals([result.left, result.failures], [0, []]);
  assert(result.echoed > 1_000_000, String(result.echoed));
});
