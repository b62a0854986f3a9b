// What HttpServer tells of clients that were cut, what it answers by itself, and what may wait.
import assert from 'node:assert/strict';

import { Aggregate } from 'io-lite';
import type { HttpIncident, HttpRequest, HttpServerOptions } from 'io-lite/http';

import { answer, get, headOf, httpWorld, settled } from './http-world';

describe('HttpServer at its edges', () => {
  const world = httpWorld();
  const listen = async (
    onRequest: (request: HttpRequest) => void, options: HttpServerOptions = {},
  ): Promise<HttpIncident[]> => {
    const told: HttpIncident[] = [];
    await world.listen(onRequest, { ...options, onIncident: (incident) => void told.push(incident) });
    return told;
  };

  it('tells who was refused, and why', async () => {
    const told = await listen((request) => answer(request, 'x'));
    const peer = world.connect();
    peer.socket.write('GET /\n');
    const port = await new Promise((resolve) => peer.socket.once('connect', () => resolve(peer.socket.localPort)));
    await peer.untilClosed();
    await settled(() => told.length > 0);
    assert.deepEqual(told, [{
      kind: 'malformed', status: 400, reason: 'a line ends with LF alone', client: '127.0.0.1', port, missed: 0,
    }]);
  });

  it('tells who was too slow, within a turn of the loop and out of one', async () => {
    const waiting: HttpRequest[] = [];
    const told = await listen((request) => void waiting.push(request), {
      headTimeoutMs: 40, bodyTimeoutMs: 40, answerTimeoutMs: 80,
    });
    const half = world.connect();
    half.socket.write('GET / HT');
    const late = world.connect();
    late.socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n');
    await settled(() => waiting.length === 1);
    await assert.rejects(waiting[0]!.body.read(), { code: 'ERR_IOL_TIMED_OUT' });
    await Promise.all([half.untilClosed(), late.untilClosed()]);
    await settled(() => told.length === 3);
    assert.deepEqual(told.map(({ kind, status }) => [kind, status]).sort(), [
      ['answer-timeout', 504], ['body-timeout', 0], ['head-timeout', 408],
    ]);
    assert.match(late.text, /^HTTP\/1\.1 504 /);
  });

  it('tells of what a read of the program\'s finds out, and the read still fails', async () => {
    const requests: HttpRequest[] = [];
    const told = await listen((request) => void requests.push(request));
    const peer = world.connect();
    peer.socket.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n');
    await settled(() => requests.length === 1);
    await assert.rejects(requests[0]!.body.read(), { code: 'ERR_IOL_BAD_BODY' });
    await settled(() => told.length === 1);
    assert.deepEqual([told[0]!.kind, told[0]!.reason], ['malformed', 'a chunk size is not a hexadecimal number and CRLF']);
    answer(requests[0]!, 'no');
    await peer.untilClosed();
  });

  it('tells of bodies that are too long', async () => {
    const told = await listen((request) => answer(request, 'no'), { bodyBytesMax: 10 });
    for (const [i, text] of ['Content-Length: 11\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n'].entries()) {
      const peer = world.connect();
      peer.socket.write(`POST / HTTP/1.1\r\nHost: a\r\n${text}`);
      await settled(() => told.length === i + 1);
      assert.equal(told[i]!.kind, 'body-too-large');
      await peer.untilClosed();
    }
  });

  it('what the handler throws is an uncaught exception', async () => {
    await world.listen((request) => answer(request, 'x'), {
      onIncident: () => { throw new Error('on purpose'); },
    });
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    try {
      const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
      const peer = world.connect();
      peer.socket.write('GET /\n');
      assert.equal((await thrown as Error).message, 'on purpose');
      await peer.untilClosed();
    } finally {
      for (const other of others) process.on('uncaughtException', other);
    }
  });

  it('answers by itself, and refuses, with what it was given', async () => {
    await world.listen((request) => request.refuse(request.target === '/400' ? 400 : 599));
    const ask = async (text: string): Promise<string> => {
      const peer = world.connect();
      peer.socket.write(text);
      await peer.untilClosed();
      return peer.text;
    };
    {
      using head = Aggregate.from('HTTP/1.1 400 Mine\r\nContent-Length: 4\r\n');
      using body = Aggregate.from('page');
      world.server.setErrorAnswer(400, head, body);
      using other = Aggregate.from('HTTP/1.1 500 Mine\r\nContent-Length: 0\r\n');
      world.server.setErrorAnswer(500, other);
      assert.throws(() => world.server.setErrorAnswer(404, head), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.throws(() => world.server.setErrorAnswer(400, body), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.throws(() => world.server.setErrorAnswer(400, 'x' as never), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => world.server.setErrorAnswer(1), { code: 'ERR_OUT_OF_RANGE' });
    }
    const mine = /^HTTP\/1\.1 400 Mine\r\nContent-Length: 4\r\nDate: .*\r\nConnection: close\r\n\r\npage$/;
    assert.match(await ask('GET /\n'), mine);
    assert.match(await ask(get('/400', 'Connection: close\r\n')), mine);
    assert.match(await ask(get('/599', 'Connection: close\r\n')), /^HTTP\/1\.1 500 Mine\r\n[^]*\r\n\r\n$/);
    world.server.setErrorAnswer(400);
    world.server.setErrorAnswer(500);
    assert.match(await ask('GET /\n'), /\r\n\r\n400 Bad Request\n$/);
  });

  it('cuts those who take nothing when too much waits, and says so', async () => {
    const bytes = 4 << 20;
    using head = headOf(bytes);
    using body = Aggregate.from(Buffer.alloc(bytes, 'b'));
    const told = await listen((request) => request.respond(head, body), { queuedBytesMax: bytes });
    const first = world.connect();
    first.socket.pause().write(get('/'));
    await settled(() => world.server.stats().bytesQueued > 0);
    const second = world.connect();
    second.socket.write(get('/'));
    await second.until(() => second.text.length > bytes);
    await settled(() => told.length > 0);
    assert.deepEqual(told.map(({ kind }) => kind), ['queue-full']);
    const { queueCuts, bytesQueued } = world.server.stats();
    assert.deepEqual([queueCuts, bytesQueued], [1, 0]);
    // Without a limit all of them wait.
    world.server.configure({ queuedBytesMax: Number.MAX_SAFE_INTEGER });
    const more = [0, 1, 2].map(() => world.connect());
    for (const peer of more) peer.socket.pause().write(get('/'));
    await settled(() => world.server.stats().bytesQueued > 2 * bytes);
    assert.equal(world.server.stats().queueCuts, 1);
  });

  it('refuses wrong options', async () => {
    await assert.rejects(world.listen(() => {}, { queuedBytesMax: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(world.listen(() => {}, { onIncident: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});
