// The records of requests that HttpServer.takeAnswers gives.
import assert from 'node:assert/strict';

import { Aggregate, stats } from 'io-lite';
import type { HttpAnswerRecord, HttpRequest } from 'io-lite/http';

import { answer, get, headOf, httpWorld, settled } from './http-world';

describe('HttpServer.takeAnswers', () => {
  const world = httpWorld();

  async function records(count: number): Promise<HttpAnswerRecord[]> {
    const all: HttpAnswerRecord[] = [];
    await settled(() => {
      all.push(...world.server.takeAnswers());
      return all.length >= count;
    });
    assert.equal(all.length, count);
    return all;
  }
  const shown = ({ status, bodyBytes, isComplete, method, target }: HttpAnswerRecord): unknown[] =>
    [status, bodyBytes, isComplete, method, target];

  it('says who asked for what and what was answered', async () => {
    await world.listen((request) => answer(request, 'hello'));
    world.server.logAnswers();
    const peer = world.connect();
    const start = Date.now();
    peer.socket.write(get('/a?b', 'User-Agent: me\r\nREFERER: "there"\r\n') +
      'HEAD /%20 HTTP/1.0\r\n\r\n');
    await peer.untilClosed();
    const [first, second] = await records(2);
    assert.ok(first && second);
    const { endedAt, durationMs, ...rest } = first;
    assert.ok(endedAt >= start - 1000 && endedAt <= Date.now(), String(endedAt));
    assert.ok(durationMs >= 0 && durationMs < 10_000);
    assert.deepEqual(rest, {
      status: 200, bodyBytes: 5, isComplete: true, client: '127.0.0.1', method: 'GET', target: '/a?b',
      versionMinor: 1, host: 'a', referer: '"there"', userAgent: 'me',
    });
    assert.deepEqual(shown(second), [200, 0, true, 'HEAD', '/%20']);
    assert.deepEqual([second.versionMinor, second.host, second.userAgent], [0, '', '']);
  });

  it('counts the bytes of a streamed body, and not those of 100 Continue', async () => {
    const serve = async (request: HttpRequest): Promise<void> => {
      for await (using _part of request.body) { /* Dropped. */ }
      using head = headOf(8);
      using part = Aggregate.from('four');
      request.start(head, 8);
      await request.write(part);
      await request.write(part);
      request.end();
    };
    await world.listen((request) => { void serve(request); });
    world.server.logAnswers();
    const peer = world.connect();
    peer.socket.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    await peer.until(() => peer.text.includes('100 Continue'));
    peer.socket.write('ab');
    await peer.until(() => peer.text.endsWith('fourfour'));
    assert.deepEqual((await records(1)).map(shown), [[200, 8, true, 'POST', '/']]);
  });

  it('has what was refused natively, and who left before the answer', async () => {
    const waiting: HttpRequest[] = [];
    await world.listen((request) => { waiting.push(request); });
    world.server.logAnswers();
    const bad = world.connect();
    bad.socket.write('GET  / HTTP/1.1\r\n\r\n');
    await bad.untilClosed();
    const gone = world.connect();
    gone.socket.write(get('/gone'));
    await settled(() => waiting.length === 1);
    gone.socket.resetAndDestroy();
    const all = await records(2);
    assert.deepEqual(all.map(shown), [[400, 16, true, '', ''], [0, 0, false, 'GET', '/gone']]);
    assert.equal(all[0]!.client, '127.0.0.1');
  });

  it('an answer that is cut says so', async () => {
    await world.listen((request) => {
      using head = headOf(1 << 20);
      using part = Aggregate.from('x');
      request.start(head, 1 << 20);
      void request.write(part).then(() => request.abort());
    });
    world.server.logAnswers();
    const peer = world.connect();
    peer.socket.write(get('/cut'));
    await peer.untilClosed();
    assert.deepEqual((await records(1)).map(shown), [[200, 1, false, 'GET', '/cut']]);
  });

  it('drops and counts what there is no room for, and goes on', async () => {
    await world.listen((request) => answer(request, 'x'));
    world.server.logAnswers(256);
    const peer = world.connect();
    for (let i = 1; i <= 10; i++) {
      peer.socket.write(get(`/${i}`));
      await peer.until(() => peer.text.split('HTTP/1.1 200').length === i + 1);
    }
    const kept = world.server.takeAnswers();
    assert.ok(kept.length >= 1 && kept.length < 10);
    assert.equal(kept[0]!.target, '/1');
    assert.equal(world.server.answersDropped, 10 - kept.length);
    peer.socket.write(get('/after'));
    assert.equal((await records(1))[0]!.target, '/after');
  });

  it('copies nothing while it is off', async () => {
    await world.listen((request) => answer(request, 'x'));
    const peer = world.connect();
    const before = stats().copies['log'];
    peer.socket.write(get('/'));
    await peer.until(() => peer.text.endsWith('x'));
    assert.deepEqual(stats().copies['log'], before);
    assert.deepEqual(world.server.takeAnswers(), []);
  });

  it('gives the rest when the server has ended', async () => {
    await world.listen((request) => answer(request, 'x', { close: true }));
    world.server.logAnswers();
    const peer = world.connect();
    peer.socket.write(get('/last'));
    await peer.untilClosed();
    await world.server.close();
    assert.deepEqual(world.server.takeAnswers().map(shown), [[200, 1, true, 'GET', '/last']]);
  });

  it('refuses a size that is none', async () => {
    await world.listen((request) => answer(request, 'x'));
    assert.throws(() => world.server.logAnswers(-1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => world.server.logAnswers((64 << 20) + 1), { code: 'ERR_OUT_OF_RANGE' });
  });
});
