// HttpServer over sockets and Node's own client: what leaves, in which order, and what is left.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { Aggregate, stats } from 'io-lite';
import { HttpServer, Interest, type HttpRequest, type HttpServerStats } from 'io-lite/http';

import { runChild } from '../support/child';
import { copiesDuring } from '../support/holds';
import { answer, bodiesOf, get, headOf, httpWorld, settled } from './http-world';

// eslint-disable-next-line @typescript-eslint/no-require-imports
const { native } = require('../../dist/native.js') as { native: { httpKnownHeaders(): string[] } };

describe('HttpServer', () => {
  const world = httpWorld();

  it('answers with the given head, Date, Connection and the body', async () => {
    await world.listen((request) => answer(request, 'hello'));
    const peer = world.connect();
    peer.socket.write(get('/'));
    await peer.until(() => peer.text.endsWith('hello'));
    assert.match(peer.text, new RegExp('^HTTP/1\\.1 200 OK\\r\\nContent-Length: 5\\r\\n' +
      'Date: \\w{3}, \\d\\d \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT\\r\\n' +
      'Connection: keep-alive\\r\\n\\r\\nhello$'));
    const date = /Date: (.*)\r/.exec(peer.text)![1]!;
    assert.equal(new Date(date).toUTCString(), date);
  });

  it('says what was asked', async () => {
    const seen: unknown[] = [];
    await world.listen((request) => {
      const { method, target, versionMinor, interests, repeatedInterests } = request;
      seen.push({ method, target, versionMinor, interests, repeatedInterests,
        agent: request.header('user-agent'), twice: request.header('x-twice'),
        none: request.header('x-none') });
      answer(request, '');
    });
    const peer = world.connect();
    peer.socket.write(get('/a%20b?c=d', 'User-Agent:  me \r\nRange: bytes=0-\r\n') +
      'PURGE http://host/x?y HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\n' +
      'GET http://host?q HTTP/1.1\r\nHost: a\r\nIf-Match: 1\r\nIf-Match: 2\r\n\r\n' +
      'OPTIONS * HTTP/1.0\r\n\r\n');
    await peer.untilClosed();
    const plain = { versionMinor: 1, interests: Interest.Host, repeatedInterests: 0,
      agent: undefined, twice: undefined, none: undefined };
    assert.deepEqual(seen, [
      { ...plain, method: 'GET', target: '/a%20b?c=d', agent: 'me',
        interests: Interest.Host | Interest.Range },
      { ...plain, method: 'PURGE', target: '/x?y', twice: '1, 2' },
      { ...plain, method: 'GET', target: '/?q', interests: Interest.Host | Interest.IfMatch,
        repeatedInterests: Interest.IfMatch },
      { ...plain, method: 'OPTIONS', target: '*', versionMinor: 0, interests: 0 },
    ]);
  });

  it('is for the host that an absolute target names, whatever Host says', async () => {
    const hosts: unknown[] = [];
    await world.listen((request) => {
      hosts.push(request.header('host'), request.headers.host, request.rawHeaders.join(' '));
      answer(request, '');
    });
    const peer = world.connect();
    peer.socket.write('GET http://other:77/ HTTP/1.1\r\nhost: a\r\n\r\nGET http://other/ HTTP/1.0\r\n\r\n');
    await peer.untilClosed();
    assert.deepEqual(hosts, ['other:77', 'other:77', 'host other:77', undefined, undefined, '']);
  });

  it('has one bit for every header that the parser knows', () => {
    const camelCase = (name: string): string =>
      name.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
    const bits = native.httpKnownHeaders().map((name, i) => [camelCase(name), 1 << i]);
    assert.deepEqual({ ...Interest }, Object.fromEntries(bits));
  });

  it('keeps the order of pipelined requests, however late each is decided', async () => {
    const waiting: HttpRequest[] = [];
    await world.listen((request) => {
      if (request.target === '/1') answer(request, '/1');
      else waiting.push(request);
    });
    const peer = world.connect();
    peer.socket.write([0, 1, 2, 3].map((i) => get(`/${i}`)).join(''));
    await settled(() => waiting.length === 3);
    for (const request of waiting.reverse()) {
      assert.equal(peer.text, '');
      assert.equal(request.isOpen, true);
      answer(request, request.target);
      assert.equal(request.isOpen, false);
      await delay(2);
    }
    await peer.until(() => peer.text.endsWith('/3'));
    assert.deepEqual(bodiesOf(peer.text), ['/0', '/1', '/2', '/3']);
  });

  it('runs microtasks and ticks after the requests of a turn', async () => {
    await world.listen((request) => {
      void Promise.resolve().then(() => process.nextTick(() => answer(request, 'later')));
    });
    const response = await fetch(`http://127.0.0.1:${world.server.port}/`);
    assert.equal(await response.text(), 'later');
  });

  it('serves many requests of keep-alive agents, one receive and one send each', async () => {
    await world.listen((request) => answer(request, request.target.repeat(50)));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 5 });
    const ask = (target: string): Promise<string> => new Promise((resolve, reject) => {
      http.get({ port: world.server.port, path: target, agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          .on('end', () => resolve(text));
      }).on('error', reject);
    });
    const targets = Array.from({ length: 200 }, (_, i) => `/${i}`);
    const texts = await Promise.all(targets.map(ask));
    assert.deepEqual(texts, targets.map((target) => target.repeat(50)));
    const { connectionsTotal, requests, receives, sends, responses2xx } = world.server.stats();
    assert.deepEqual({ connectionsTotal, requests, sends, responses2xx },
      { connectionsTotal: 5, requests: 200, sends: 200, responses2xx: 200 });
    // Each connection is asked once when it is accepted, whether its request is there already or not.
    assert(receives >= 200 && receives <= 205, String(receives));
    agent.destroy();
  });

  it('sends prebuilt heads and bodies without a copy in user space', async () => {
    using head = headOf(100_000);
    using body = Aggregate.from(Buffer.alloc(100_000, 'x'));
    const copied: Record<string, number>[] = [];
    await world.listen((request) => copied.push(copiesDuring(() => request.respond(head, body))));
    for (let i = 0; i < 3; i++) {
      const response = await fetch(`http://127.0.0.1:${world.server.port}/`);
      assert.equal((await response.arrayBuffer()).byteLength, 100_000);
    }
    assert.deepEqual(copied, [{}, {}, {}]);
  });

  it('sends nothing but the head to HEAD', async () => {
    await world.listen((request) => answer(request, 'unseen'));
    const peer = world.connect();
    peer.socket.write(`HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${get('/', 'Connection: close\r\n')}`);
    await peer.untilClosed();
    assert.equal(peer.text.match(/Content-Length: 6/g)?.length, 2);
    assert.deepEqual(bodiesOf(peer.text), ['', 'unseen']);
  });

  it('gives a slow reader every byte of a large body', async () => {
    const bytes = Buffer.alloc(8 << 20);
    for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
    using body = Aggregate.from(bytes);
    using head = headOf(bytes.length);
    await world.listen((request) => request.respond(head, body), { sendBufferBytes: 64 << 10 });
    const socket = net.connect({ port: world.server.port, host: '127.0.0.1', highWaterMark: 4096 } as net.NetConnectOpts);
    socket.write(get('/', 'Connection: close\r\n'));
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if (chunks.length % 100 === 0) await delay(1);
    }
    const all = Buffer.concat(chunks);
    assert.ok(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(bytes));
    assert.ok(world.server.stats().partialSends > 0);
  });

  it('refuses malformed heads natively', async () => {
    await world.listen(() => assert.fail('a malformed request reached the program'));
    const cases: [string, number][] = [
      ['GET / HTTP/1.1\r\n\r\n', 400],
      ['GET / HTTP/1.1\nHost: a\n\n', 400],
      ['GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n', 400],
      ['GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
      ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
      ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
      [`GET /${'a'.repeat(10_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
      [get('/', `X: ${'a'.repeat(20_000)}\r\n`), 431],
      [get('/', 'X: y\r\n'.repeat(101)), 431],
      ['GET / HTTP/3.0\r\nHost: a\r\n\r\n', 505],
      [get('/', 'Expect: something\r\n'), 417],
    ];
    for (const [bytes, status] of cases) {
      const peer = world.connect();
      peer.socket.write(bytes);
      await peer.untilClosed();
      assert.match(peer.text, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\nConnection: close\\r\\n`));
      peer.socket.destroy();
    }
    assert.equal(world.server.stats().malformed, cases.length - 1);
    assert.equal(world.server.stats().requests, 1);  // Expect is well-formed.
  });

  it('cuts slow heads and idle connections', async () => {
    await world.listen((request) => answer(request, ''), { headTimeoutMs: 50, idleTimeoutMs: 80 });
    const [slow, idle] = [world.connect(), world.connect()];
    slow.socket.write('GET / HTTP');
    await Promise.all([slow.untilClosed(), idle.untilClosed()]);
    assert.match(slow.text, /^HTTP\/1\.1 408 /);
    assert.equal(idle.text, '');
    const { headTimeouts, idleTimeouts } = world.server.stats();
    assert.deepEqual({ headTimeouts, idleTimeouts }, { headTimeouts: 1, idleTimeouts: 1 });
  });

  it('answers 500 when the program throws, and the exception is uncaught', async () => {
    const { stdout, code } = await runChild(`
      const { HttpServer } = require('io-lite/http');
      process.on('uncaughtException', (error) => console.log('uncaught', error.message));
      HttpServer.listen({}, () => { throw new Error('boom'); }).then(async (server) => {
        const response = await fetch('http://127.0.0.1:' + server.port);
        console.log(response.status, response.headers.get('connection'));
        await server.close();
      });`);
    assert.equal(stdout, 'uncaught boom\n500 close\n');
    assert.equal(code, 0);
  });

  it('ends the process that has nothing else to do once it is closed or unreferenced', async () => {
    for (const end of ['server.unref()', 'server.close()', 'server.destroy()']) {
      const { code, hung } = await runChild(`
        require('io-lite/http').HttpServer.listen({}, () => {}).then((server) => { ${end}; });`);
      assert.deepEqual({ end, code, hung }, { end, code: 0, hung: false });
    }
  });

  it('survives the end of its worker with connections open', async () => {
    const { code, stdout, stderr } = await runChild(`
      const { Worker } = require('node:worker_threads');
      const net = require('node:net');
      const worker = new Worker(\`
        const { HttpServer } = require('io-lite/http');
        const { parentPort } = require('node:worker_threads');
        HttpServer.listen({}, () => parentPort.postMessage('asked'))
          .then((server) => parentPort.postMessage(server.port));\`, { eval: true });
      worker.on('message', (message) => {
        if (message === 'asked') return void worker.terminate();
        const socket = net.connect(message, '127.0.0.1');
        socket.write('GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
        socket.on('error', () => {}).on('close', () => console.log('cut'));
      });`);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'cut\n', stderr: '' });
  });

  describe('#close', () => {
    it('finishes what was asked and what is being sent, then resolves', async () => {
      const waiting: HttpRequest[] = [];
      const large = 'z'.repeat(4 << 20);
      await world.listen((request) => {
        if (request.target === '/late') waiting.push(request);
        else answer(request, large);
      }, { sendBufferBytes: 32 << 10 });
      const [idle, late, sending] = [world.connect(), world.connect(), world.connect()];
      late.socket.write(get('/late'));
      sending.socket.pause();
      sending.socket.write(get('/large'));
      await settled(() => waiting.length === 1 && world.server.stats().partialSends > 0);
      let isClosed = false;
      const closing = world.server.close().then(() => (isClosed = true));
      await idle.untilClosed();
      assert.equal(isClosed, false);
      answer(waiting[0]!, 'done');
      await late.untilClosed();
      assert.match(late.text, /Connection: close\r\n\r\ndone$/);
      sending.socket.resume();
      await sending.untilClosed();
      assert.equal(bodiesOf(sending.text)[0]?.length, large.length);
      for (const peer of [idle, late, sending]) peer.socket.destroy();
      await closing;
      const refused = net.connect(world.server.port, '127.0.0.1');
      const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNREFUSED');
      await world.server.close();
      await world.server[Symbol.asyncDispose]();
    });

    it('may be called from inside onRequest', async () => {
      await world.listen((request) => {
        void world.server.close();
        answer(request, 'last');
      });
      const peer = world.connect();
      peer.socket.write(get('/'));
      await peer.untilClosed();
      assert.match(peer.text, /Connection: close\r\n\r\nlast$/);
    });

    it('cuts after timeoutMs what has not ended', async () => {
      await world.listen(() => {});
      const peer = world.connect();
      peer.socket.write(get('/'));
      await settled(() => world.server.stats().requests === 1);
      await world.server.close({ timeoutMs: 10 });
      await peer.untilClosed();
      assert.equal(peer.text, '');
      for (const timeoutMs of [-1, 0.5, Infinity]) {
        assert.throws(() => world.server.close({ timeoutMs }), { code: 'ERR_OUT_OF_RANGE' });
      }
    });

    it('leaves to destroy() what does not end by itself', async () => {
      await world.listen(() => {});
      const peer = world.connect();
      peer.socket.write(get('/'));
      await settled(() => world.server.stats().requests === 1);
      const closing = world.server.close();
      world.server.destroy();
      await closing;
      await peer.untilClosed();
    });
  });

  it('answers 504 what the program does not decide within answerTimeoutMs', async () => {
    const asked: HttpRequest[] = [];
    await world.listen((request) => void asked.push(request), { answerTimeoutMs: 20 });
    const peer = world.connect();
    peer.socket.write(get('/'));
    await peer.untilClosed();
    assert.match(peer.text, /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
    assert.equal(asked[0]!.isOpen, false);
    assert.equal(world.server.stats().answerTimeouts, 1);
  });

  it('rejects wrong options and taken ports', async () => {
    await world.listen(() => {});
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    const range = { code: 'ERR_OUT_OF_RANGE' };
    const tries: [unknown, unknown, object][] = [
      [null, () => {}, type],
      [{}, undefined, type],
      [{ port: '80' }, () => {}, type],
      [{ port: 65536 }, () => {}, range],
      [{ pipelineMax: 0 }, () => {}, range],
      [{ headBytesMax: 100_000 }, () => {}, range],
      [{ host: 5 }, () => {}, type],
      [{ pool: {} }, () => {}, type],
      [{ ipv6Only: 1 }, () => {}, type],
      [{ port: world.server.port }, () => {}, { code: 'ERR_IOL_SYSTEM', syscall: 'bind' }],
    ];
    for (const [options, onRequest, error] of tries) {
      await assert.rejects(HttpServer.listen(options as never, onRequest as never), error);
    }
  });

  it('listens on IPv6 and looks names up', async function () {
    const hosts = ['localhost'];
    const probe = net.createServer().listen(0, '::1');
    const hasV6 = await Promise.race([
      once(probe, 'listening').then(() => true), once(probe, 'error').then(() => false),
    ]);
    probe.close();
    if (hasV6) hosts.push('::1');
    for (const host of hosts) {
      await using other = await HttpServer.listen({ host }, (request) => answer(request, host));
      const text = await new Promise<string>((resolve, reject) => {
        http.get({ host: other.host, port: other.port, agent: false }, (response) => {
          response.setEncoding('utf8').on('data', resolve);
        }).on('error', reject);
      });
      assert.equal(text, host);
    }
    await world.listen(() => {});
  });

  it('tells figures that are numbers and holds that return', async () => {
    await world.listen((request) => answer(request, 'x'));
    const zero = world.server.stats();
    assert.ok(Object.values(zero).every((figure) => figure === 0));
    const before = stats().liveHolds;
    await (await fetch(`http://127.0.0.1:${world.server.port}/`)).text();
    const { requests, responses2xx, connectionsTotal } = world.server.stats() satisfies HttpServerStats;
    assert.deepEqual([requests, responses2xx, connectionsTotal], [1, 1, 1]);
    assert.equal(stats().liveHolds, before);
  });
});
