// HTTPS: the same engine behind Node's TLS, and whatever clients do to it.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';

import { Aggregate, stats } from 'io-lite';
import { HttpServer, type HttpIncident, type HttpRequest, type HttpServerOptions } from 'io-lite/http';

import { hasOpenssl, makeCertificate, type Certificate } from '../support/certificate';
import { runChild } from '../support/child';
import { checkHolds } from '../support/holds';
import { answer, get, headOf, settled } from './http-world';

describe('HttpServer with TLS', () => {
  let folder: string;
  let first: Certificate;
  let second: Certificate;
  let server: HttpServer;
  let port: number;
  const clients: net.Socket[] = [];

  before(function () {
    if (!hasOpenssl) this.skip();
    folder = mkdtempSync(path.join(tmpdir(), 'iol-tls-'));
    first = makeCertificate(folder, 'first');
    second = makeCertificate(folder, 'second');
  });
  after(() => { if (folder !== undefined) rmSync(folder, { recursive: true }); });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    server.destroy();
    await server.close();
    assert.equal(server.stats().connectionsOpen, 0);
  });
  checkHolds();

  const listen = async (
    onRequest: (request: HttpRequest) => void, options: HttpServerOptions = {},
  ): Promise<void> => {
    const { cert, key } = first;
    server = await HttpServer.listen({ tls: { cert, key }, ...options }, onRequest);
    port = server.port;
  };

  const hello = (request: HttpRequest): void => answer(request, 'hello');

  /** A raw TLS client; `text` is what it was sent. */
  class Peer {
    text = '';
    failure: Error | undefined;
    isEnded = false;
    isClosed = false;
    readonly socket: tls.TLSSocket;

    constructor(options: tls.ConnectionOptions = {}) {
      this.socket = tls.connect({
        port, host: '127.0.0.1', ca: [first.cert, second.cert], ALPNProtocols: ['http/1.1'], ...options,
      });
      clients.push(this.socket);
      this.socket.setEncoding('latin1').on('data', (part: string) => (this.text += part));
      this.socket.on('error', (error: Error) => (this.failure = error));
      this.socket.on('end', () => (this.isEnded = true)).on('close', () => (this.isClosed = true));
    }

    async connected(): Promise<this> {
      await settled(() => !this.socket.connecting && this.socket.getProtocol() !== null &&
        this.socket.getPeerFinished() !== undefined);
      return this;
    }
  }

  const plain = (): net.Socket & { isClosed?: boolean } => {
    const socket: net.Socket & { isClosed?: boolean } = net.connect(port, '127.0.0.1');
    clients.push(socket);
    socket.on('error', () => undefined).on('close', () => (socket.isClosed = true)).resume();
    return socket;
  };

  const ask = (
    options: https.RequestOptions = {}, body?: Buffer,
  ): Promise<{ status: number; body: Buffer; socket: tls.TLSSocket }> =>
    new Promise((resolve, reject) => {
      const request = https.request({ port, host: '127.0.0.1', ca: first.cert, agent: false, ...options }, (response) => {
        const parts: Buffer[] = [];
        const socket = response.socket as tls.TLSSocket;
        response.on('data', (part: Buffer) => parts.push(part)).on('error', reject);
        response.on('end', () => resolve({
          status: response.statusCode!, body: Buffer.concat(parts), socket,
        }));
      });
      request.on('error', reject).end(body);
    });

  it('answers, and knows the addresses of the client and of itself', async () => {
    await listen((request) => answer(request, JSON.stringify(
      [request.isSecure, request.address('client'), request.address('server')])));
    assert.equal(server.isSecure, true);
    const peer = await new Peer().connected();
    peer.socket.write(get('/'));
    await settled(() => peer.text.endsWith(']'));
    const [isSecure, client, own] = JSON.parse(/\[.*$/.exec(peer.text)![0]) as unknown[];
    assert.equal(isSecure, true);
    assert.deepEqual(client, { address: '127.0.0.1', port: peer.socket.localPort });
    assert.deepEqual(own, { address: '127.0.0.1', port });
    assert.equal(peer.socket.alpnProtocol, 'http/1.1');
    const { isSecure: isPlainSecure } = await HttpServer.listen({}, hello).then(async (each) => {
      await each.close();
      return each;
    });
    assert.equal(isPlainSecure, false);
  });

  it('keeps a connection, and counts three copies of each byte', async () => {
    await listen(hello);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const { socket } = await ask({ agent });
    const before = stats().copies['tls']!;
    const [sent, received] = [socket.bytesWritten, socket.bytesRead];
    const again = await ask({ agent });
    assert.equal(again.socket, socket);
    assert.equal(server.stats().connectionsTotal, 1);
    const plainBytes = socket.bytesWritten - sent + (socket.bytesRead - received);
    const after = stats().copies['tls']!;
    assert.equal(after.bytes - before.bytes, 3 * plainBytes);
    assert.ok(after.times > before.times);
    agent.destroy();
  });

  it('carries large bodies in both directions, at the pace of the reader', async () => {
    const size = 5_000_000;
    const body = Buffer.from(Uint32Array.from({ length: size / 4 }, (_, i) => i * 2654435761).buffer);
    await listen((request) => {
      void (async () => {
        const parts: Aggregate[] = [];
        for await (const part of request.body) parts.push(part);
        using whole = Aggregate.concat(...parts);
        for (const part of parts) part.dispose();
        using head = headOf(whole.byteLength);
        request.respond(head, whole);
      })();
    }, { bodyBytesMax: size });
    const reply = await ask({ method: 'POST', headers: { 'Content-Length': size } }, body);
    assert.ok(reply.body.equals(body));
  });

  it('never mixes the bytes of connections that are answered at the same time', async () => {
    const size = 1_500_000;
    const bodies = [1, 2, 3, 4, 5, 6].map((seed) =>
      Buffer.from(Uint32Array.from({ length: size / 4 }, (_, i) => i * 2654435761 + seed).buffer));
    await listen((request) => {
      using head = headOf(size);
      using body = Aggregate.from(bodies[Number(request.target.slice(1))]!);
      request.respond(head, body);
    });
    const replies = await Promise.all(bodies.map((_, i) => ask({ path: `/${i}` })));
    replies.forEach(({ body }, i) => assert.ok(body.equals(bodies[i]!), `body ${i}`));
  });

  it('answers whoever has ended its side', async () => {
    await listen(hello);
    const peer = await new Peer().connected();
    peer.socket.end(get('/'));
    await settled(() => peer.isEnded);
    assert.match(peer.text, /hello$/);
    assert.equal(peer.failure, undefined);
  });

  describe('an answer that ends with its connection', () => {
    let request: HttpRequest | undefined;
    const begin = async (): Promise<Peer> => {
      await listen((each) => {
        request = each;
        using head = Aggregate.from('HTTP/1.1 200 OK\r\n');
        using part = Aggregate.from('the beginning');
        each.start(head);
        void each.write(part);
      });
      const peer = await new Peer().connected();
      peer.socket.write('GET / HTTP/1.0\r\n\r\n');
      await settled(() => peer.text.endsWith('the beginning'));
      return peer;
    };

    it('is complete when TLS has ended', async () => {
      const peer = await begin();
      request!.end();
      await settled(() => peer.isEnded);
      assert.equal(peer.failure, undefined);
    });

    it('does not look complete when it was cut', async () => {
      const peer = await begin();
      request!.abort();
      await settled(() => peer.isClosed);
      assert.equal((peer.failure as NodeJS.ErrnoException).code, 'ECONNRESET');
      assert.equal(peer.isEnded, false);
    });
  });

  describe('what is no HTTPS', () => {
    const half = Buffer.from([0x16, 3, 1, 0x02, 0, 1]);
    let told: HttpIncident[];
    const onIncident = (incident: HttpIncident): void => void told.push(incident);
    beforeEach(() => (told = []));

    const refused: [what: string, bytes: string | Buffer, reason: RegExp][] = [
      ['plain HTTP', get('/'), /^http request$/],
      ['garbage', Buffer.alloc(3000, 0xa5), /^[a-z][a-z0-9/ ]+$/],
      ['a record that is too long', Buffer.from([0x16, 3, 1, 0xff, 0xff, ...Buffer.alloc(100)]), /^[a-z][a-z0-9/ ]+$/],
      ['an alert', Buffer.from([0x15, 3, 1, 0, 2, 2, 40]), /^[a-z][a-z0-9/ ]+$/],
    ];
    for (const [what, bytes, reason] of refused) {
      it(`ends ${what}, tells why, and goes on`, async () => {
        await listen(hello, { onIncident });
        const socket = plain();
        await settled(() => socket.localPort !== undefined);
        const port = socket.localPort;
        socket.write(bytes);
        await settled(() => socket.isClosed === true);
        await settled(() => server.stats().connectionsOpen === 0 && told.length > 0);
        assert.equal(server.stats().tlsFailures, 1);
        assert.equal(server.stats().requests, 0);
        assert.match(told[0]!.reason, reason);
        assert.deepEqual(told, [{
          kind: 'handshake-failed', status: 0, reason: told[0]!.reason, client: '127.0.0.1', port, missed: 0,
        }]);
        assert.equal(String((await ask()).body), 'hello');
      });
    }

    it('tells of an older version than is spoken here', async () => {
      const { cert, key } = first;
      await listen(hello, { tls: { cert, key, minVersion: 'TLSv1.3' }, onIncident });
      const old = new Peer({ maxVersion: 'TLSv1.2' });
      await settled(() => old.isClosed && told.length > 0);
      assert.deepEqual(told.map(({ reason }) => reason), ['unsupported protocol']);
    });

    it('tells of a client that has left within the handshake, and only counts one that said nothing', async () => {
      await listen(hello, { onIncident });
      const [silent, leaving] = [plain(), plain()];
      leaving.write(half);
      await settled(() => server.stats().connectionsOpen === 2 && leaving.bytesWritten > 0);
      const port = leaving.localPort;
      silent.destroy();
      leaving.destroy();
      await settled(() => server.stats().tlsFailures === 2 && told.length > 0);
      assert.deepEqual(told.map((each) => [each.reason, each.client, each.port]), [['ECONNRESET', '127.0.0.1', port]]);
    });

    it('ends half a handshake in time, and no connection whose handshake is done', async () => {
      await listen(hello, { headTimeoutMs: 60_000, onIncident });
      server.configure({ headTimeoutMs: 150 });
      const done = await new Peer().connected();
      const halves = [plain(), plain()];
      halves[1]!.write(half);
      await settled(() => halves.every(({ isClosed }) => isClosed === true));
      assert.equal(server.stats().tlsFailures, 2);
      assert.deepEqual(told.map(({ reason }) => reason), ['timeout']);
      done.socket.write(get('/'));
      await settled(() => done.text.endsWith('hello'));
    });

    it('refuses HTTP/2 and renegotiation', async () => {
      await listen(hello);
      const modern = new Peer({ ALPNProtocols: ['h2'] });
      await settled(() => modern.isClosed);
      assert.match(String(modern.failure), /no.application.protocol/i);
      const old = await new Peer({ maxVersion: 'TLSv1.2' }).connected();
      let outcome: unknown = 'none';
      old.socket.renegotiate({}, (error) => (outcome = error));
      await settled(() => old.isClosed);
      assert.notEqual(outcome, null, 'it was not renegotiated');
      assert.equal(String((await ask()).body), 'hello');
    });

    it('gives its certificate for any name', async () => {
      await listen(hello);
      const peer = await new Peer({ servername: 'elsewhere.example', checkServerIdentity: () => undefined }).connected();
      assert.equal(peer.socket.getPeerCertificate().subject.CN, 'first');
    });
  });

  it('cuts a client that never reads', async () => {
    const size = 64 << 20;
    using body = Aggregate.from(new Uint8Array(size));
    using head = headOf(size);
    await listen((request) => request.respond(head, body), { sendTimeoutMs: 100 });
    const peer = await new Peer().connected();
    peer.socket.pause();
    peer.socket.write(get('/'));
    await settled(() => server.stats().sendTimeouts === 1);
    await server.close();  // Its sockets are gone, too.
    assert.ok(server.stats().bytesSent < size);
  });

  it('cuts a client that does not read the end of an answer that has left the engine', async () => {
    // It fits what is between the engine and the network, but not the network.
    const size = 300_000;
    using body = Aggregate.from(new Uint8Array(size));
    using head = headOf(size);
    await listen((request) => request.respond(head, body),
      { sendTimeoutMs: 100, sendBufferBytes: 4096 });
    const peer = await new Peer().connected();
    peer.socket.pause();
    peer.socket.write(get('/', 'Connection: close\r\n'));
    await settled(() => server.stats().connectionsOpen === 0);
    assert.equal(server.stats().sendTimeouts, 0);
    await server.close();
  });

  it('lets further clients wait when there are as many as may be', async () => {
    await listen(hello, { connectionsMax: 1 });
    const one = await new Peer().connected();
    const two = new Peer();
    one.socket.write(get('/'));
    await settled(() => one.text.endsWith('hello'));
    assert.equal(server.stats().connectionsTotal, 1);
    one.socket.destroy();
    await two.connected();
    two.socket.write(get('/'));
    await settled(() => two.text.endsWith('hello'));
  });

  it('ends a connection that asks nothing, with a word', async () => {
    await listen(hello, { idleTimeoutMs: 100 });
    const peer = await new Peer().connected();
    await settled(() => peer.isEnded);
    assert.equal(peer.failure, undefined);
    assert.equal(server.stats().idleTimeouts, 1);
  });

  it('stops in order: what was asked is answered, idle ones are ended', async () => {
    let asked: HttpRequest | undefined;
    await listen((request) => {
      if (request.target === '/later') asked = request;
      else hello(request);
    });
    const idle = await new Peer().connected();
    const busy = await new Peer().connected();
    busy.socket.write(get('/later'));
    await settled(() => asked !== undefined);
    const closing = server.close();
    await settled(() => idle.isEnded);
    assert.equal(idle.failure, undefined);
    hello(asked!);
    await closing;
    await settled(() => busy.isEnded);
    assert.match(busy.text, /Connection: close[^]*hello$/);
    assert.equal(busy.failure, undefined);
  });

  it('answers what has arrived when it is told to stop', async () => {
    await listen(hello);
    const peer = await new Peer().connected();
    await new Promise<void>((resolve) => void peer.socket.write(get('/'), () => resolve()));
    await server.close();
    await settled(() => peer.isEnded);
    assert.match(peer.text, /hello$/);
  });

  it('takes another certificate for new handshakes, and no wrong one', async () => {
    await listen(hello);
    const nameNow = async (): Promise<string | undefined> => {
      const peer = await new Peer().connected();
      return peer.socket.getPeerCertificate().subject.CN as string;
    };
    const kept = await new Peer().connected();
    server.setSecureContext({ cert: second.cert, key: second.key });
    assert.equal(await nameNow(), 'second');
    assert.throws(() => server.setSecureContext({ cert: first.cert, key: second.key }), /key values mismatch/);
    assert.throws(() => server.setSecureContext({ cert: 'nonsense', key: second.key }));
    assert.throws(() => server.setSecureContext({ cert: second.cert }), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.equal(await nameNow(), 'second');
    kept.socket.write(get('/'));
    await settled(() => kept.text.endsWith('hello'));
  });

  it('refuses options that cannot work', async () => {
    await listen(hello);
    const { cert, key } = first;
    const withTls = (options: unknown): Promise<HttpServer> =>
      HttpServer.listen({ tls: options as tls.SecureContextOptions }, hello);
    await assert.rejects(withTls({ cert }), { code: 'ERR_INVALID_ARG_VALUE' });
    await assert.rejects(withTls('yes'), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(withTls({ cert, key: second.key }), /key values mismatch/);
    await assert.rejects(withTls({ cert: key, key }));
    const other = await HttpServer.listen({}, hello);
    assert.throws(() => other.setSecureContext({ cert, key }), { code: 'ERR_INVALID_ARG_VALUE' });
    await other.close();
  });

  it('loses nothing by 200 connections that are cut at any moment', async () => {
    const size = 400_000;
    using body = Aggregate.from(new Uint8Array(size));
    using head = headOf(size);
    await listen((request) => request.respond(head, body));
    await ask();  // What is made once is there.
    await settled(() => server.stats().connectionsOpen === 0);
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    const one = async (): Promise<void> => {
      const socket = net.connect(port, '127.0.0.1');
      clients.push(socket);
      const secure = tls.connect({ socket, ca: first.cert, checkServerIdentity: () => undefined });
      const closed = new Promise<void>((resolve) => void socket.on('close', () => resolve()));
      for (const each of [socket, secure]) each.on('error', () => undefined);
      // A number of bytes on the wire: in the handshake, the head, or the body.
      const bytesMax = random(3) === 0 ? random(2000) : random(size);
      const look = (): void => { if (socket.bytesRead >= bytesMax) socket.destroy(); };
      secure.on('secureConnect', look).on('data', look);
      secure.write(get('/'));
      if (bytesMax < 600) socket.on('connect', () => socket.destroy());
      await closed;
      secure.destroy();
    };
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 20 }, one));
    await settled(() => server.stats().connectionsOpen === 0 && descriptors() <= before);
    assert.ok(server.stats().connectionsTotal >= 100);
    assert.equal((await ask()).body.length, size);
  });

  it('lets the process end when it is told so, connections or not', async () => {
    await listen(hello);  // For afterEach.
    const child = await runChild(`
      const tls = require('node:tls');
      const { readFileSync } = require('node:fs');
      const { HttpServer } = require('io-lite/http');
      const [cert, key] = ${JSON.stringify([first.certFile, first.keyFile])}.map((file) => readFileSync(file));
      HttpServer.listen({ tls: { cert, key } }, () => {}).then((server) => {
        const client = tls.connect({ port: server.port, ca: cert, servername: 'localhost' }, () => {
          client.write('GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n', () => {
            console.log(server.stats().connectionsOpen);
            server.unref();
            client.unref();
          });
        });
      });`);
    assert.deepEqual([child.code, child.stdout], [0, '1\n'], child.stderr);
  });
});
