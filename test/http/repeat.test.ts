// RespondOptions.repeat: what the native side answers again by itself, and when the program is asked.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Aggregate, FileCache, stats, type CachedFile } from 'io-lite';
import { Interest, type AnswerRepeat, type HttpRequest } from 'io-lite/http';

import { answer, bodiesOf, get, headOf, httpWorld, settled, type Peer } from './http-world';

/** Sends, and gives the bodies of the answers. */
async function ask(peer: Peer, count: number, text: string): Promise<string[]> {
  peer.text = '';
  peer.socket.write(text);
  await peer.until(() => {
    const lengths = [...peer.text.matchAll(/Content-Length: (\d+)/g)].map(([, each]) => Number(each));
    const bodies = bodiesOf(peer.text);
    return bodies.length === count && bodies.every((body, i) => body.length === lengths[i]);
  });
  return bodiesOf(peer.text);
}

describe('answers that are repeated', () => {
  const world = httpWorld();
  let asked: string[];

  beforeEach(() => {
    asked = [];
  });

  /** Answers every request with its number, and allows that to be repeated. */
  const listen = async (repeat: AnswerRepeat): Promise<Peer> => {
    await world.listen((request) => {
      asked.push(request.target);
      const text = `${asked.length}`;
      using head = headOf(text.length);
      using body = Aggregate.from(text);
      request.respond(head, body, { repeat });
    });
    return world.connect();
  };

  it('go to requests that are alike, and the program is not asked', async () => {
    const peer = await listen({ uses: 0 });
    assert.deepEqual(await ask(peer, 1, get('/a')), ['1']);
    assert.deepEqual(await ask(peer, 1, get('/a', 'Accept-Encoding: gzip\r\n')), ['1']);
    assert.deepEqual(await ask(peer, 3, get('/a') + get('/b') + get('/a')), ['1', '2', '1']);
    assert.deepEqual(asked, ['/a', '/b']);
    const { requests, repeated, responses2xx } = world.server.stats();
    assert.deepEqual({ requests, repeated, responses2xx }, { requests: 5, repeated: 3, responses2xx: 5 });
  });

  it('are told apart by the headers that were used, present or not', async () => {
    const peer = await listen({ uses: Interest.AcceptEncoding | Interest.Range });
    const fields = ['', 'Accept-Encoding: br\r\n', 'Accept-Encoding: gzip\r\n', 'Range: bytes=0-0\r\n'];
    for (const round of [1, 2]) {
      for (const [i, field] of fields.entries()) {
        assert.deepEqual(await ask(peer, 1, get('/', field)), [`${i + 1}`], `${field} ${round}`);
      }
    }
    assert.equal(asked.length, fields.length);
  });

  it('are the last that was given, when several were asked for at once', async () => {
    const waiting: HttpRequest[] = [];
    await world.listen((request) => {
      asked.push(request.target);
      waiting.push(request);
    });
    const peer = world.connect();
    peer.socket.write(get('/') + get('/') + get('/'));
    await settled(() => waiting.length === 3);
    for (const [i, request] of waiting.entries()) {
      using head = headOf(1);
      using body = Aggregate.from(`${i + 1}`);
      request.respond(head, body, { repeat: { uses: 0 } });
    }
    await peer.until(() => bodiesOf(peer.text).join('') === '123');
    assert.deepEqual(await ask(peer, 1, get('/')), ['3']);
    assert.equal(asked.length, 3);
  });

  it('end with their time', async () => {
    const peer = await listen({ uses: 0, forMs: 30 });
    let body = '1';
    while (body === '1') [body] = await ask(peer, 1, get('/')) as [string];
    assert.equal(body, '2');
    assert.equal(asked.length, 2);
  });

  it('keep the rules of the connection', async () => {
    const peer = await listen({ uses: 0 });
    await ask(peer, 1, get('/'));
    await ask(peer, 1, get('/', 'Connection: close\r\n'));
    assert.match(peer.text, /Connection: close/);
    await peer.untilClosed();
    assert.equal(asked.length, 1);
  });

  it('hold what they send, and let go of it when they are forgotten', async () => {
    const peer = await listen({ uses: 0 });
    const before = stats().liveHolds;
    await ask(peer, 1, get('/'));
    assert.ok(stats().liveHolds > before, 'head and body were disposed of by the program');
    assert.deepEqual(await ask(peer, 1, get('/')), ['1']);
    world.server.forgetAnswers();
    assert.equal(stats().liveHolds, before);
    assert.deepEqual(await ask(peer, 1, get('/')), ['2']);
  });

  it('are as many as there is room for; the others are asked about', async () => {
    const peer = await listen({ uses: 0 });
    const count = 20_000;
    const all = Array.from({ length: count }, (_, i) => get(`/${i}`));
    const expected = Array.from({ length: count }, (_, i) => `${i + 1}`);
    const askAll = async (): Promise<string[]> => {
      const bodies: string[] = [];
      for (let i = 0; i < count; i += 500) {
        bodies.push(...await ask(peer, 500, all.slice(i, i + 500).join('')));
      }
      return bodies;
    };
    assert.deepEqual(await askAll(), expected);
    // Either what was answered before or, from the program, a number that was given to nobody.
    const again = await askAll();
    const wrong = again.filter((body, i) => body !== expected[i] && Number(body) <= count);
    assert.deepEqual(wrong, []);
    const repeats = again.filter((body, i) => body === expected[i]).length;
    assert.equal(world.server.stats().repeated, repeats);
    assert.ok(repeats > 0 && repeats < count, `${repeats} repeats`);
  });

  it('are none for requests with a body, nor after `close`, nor without `repeat`', async () => {
    let options: Parameters<HttpRequest['respond']>[2] = { repeat: { uses: 0 } };
    await world.listen((request) => {
      asked.push(request.target);
      using head = headOf(2);
      using body = Aggregate.from('ok');
      request.respond(head, body, options);
    });
    const peer = world.connect();
    const post = 'POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx';
    await ask(peer, 2, post + post);
    options = {};
    await ask(peer, 2, get('/plain') + get('/plain'));
    options = { close: true, repeat: { uses: 0 } };
    await ask(peer, 1, get('/close'));
    await ask(world.connect(), 1, get('/close'));
    assert.deepEqual(asked, ['/post', '/post', '/plain', '/plain', '/close', '/close']);
    assert.equal(world.server.stats().repeated, 0);
  });

  it('are refused with what is wrong about them, and the request is still to be answered', async () => {
    const errors: string[] = [];
    await world.listen((request) => {
      for (const repeat of [null, { uses: 1.5 }, { uses: -1 }, { uses: 1 << 30 }, { uses: 0, whileFresh: {} },
        { uses: 0, forMs: -1 }]) {
        using head = headOf(0);
        try {
          request.respond(head, null, { repeat: repeat as AnswerRepeat });
        } catch (error) {
          errors.push((error as { code: string }).code);
        }
      }
      answer(request, 'told');
    });
    assert.deepEqual(await ask(world.connect(), 1, get('/')), ['told']);
    assert.deepEqual(errors, ['ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE',
      'ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE']);
  });

  describe('of files', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'io-lite-repeat-'));
    const name = path.join(folder, 'file.txt');
    let cache: FileCache;
    let file: CachedFile;

    beforeEach(async () => {
      writeFileSync(name, 'first');
      cache = new FileCache({ checkIntervalMs: 3_600_000 });
      file = await cache.open(name);
      (await file.read()).dispose();
    });
    afterEach(() => {
      file.close();
      cache.dispose();
    });
    after(() => rmSync(folder, { recursive: true }));

    it('are read from the cache each time, and end with the version of the file', async () => {
      await world.listen((request) => {
        asked.push(request.target);
        using head = headOf(file.byteLength);
        if (!request.respondFile(head, file, 0, file.byteLength, { repeat: { uses: 0 } })) {
          answer(request, 'stale');
        }
      });
      const peer = world.connect();
      await ask(peer, 1, get('/'));
      const { hits } = cache.stats();
      assert.deepEqual(await ask(peer, 2, get('/') + get('/')), ['first', 'first']);
      assert.equal(cache.stats().hits, hits + 2);
      assert.equal(asked.length, 1);
      writeFileSync(name, 'other');
      await settled(() => !file.isFresh);
      assert.deepEqual(await ask(peer, 2, get('/') + get('/')), ['stale', 'stale']);
      assert.equal(asked.length, 3);
    });

    it('end with the cache of a file on which they depend', async () => {
      let isOver = false;
      await world.listen((request) => {
        asked.push(request.target);
        using head = headOf(5);
        using body = Aggregate.from('bytes');
        request.respond(head, body, isOver ? {} : { repeat: { uses: 0, whileFresh: file } });
      });
      const peer = world.connect();
      await ask(peer, 2, get('/') + get('/'));
      assert.equal(asked.length, 1);
      isOver = true;
      cache.dispose();
      await ask(peer, 2, get('/') + get('/'));
      assert.equal(asked.length, 3);
    });

    it('are none when the file was not in memory: what follows was not proposed', async () => {
      const other = path.join(folder, 'cold.txt');
      writeFileSync(other, 'cold');
      const cold = await cache.open(other);
      await world.listen((request) => {
        asked.push(request.target);
        using head = headOf(4);
        if (!request.respondFile(head, cold, 0, 4, { repeat: { uses: 0 } })) answer(request, 'none');
      });
      const peer = world.connect();
      assert.deepEqual(await ask(peer, 1, get('/')), ['none']);
      (await cold.read()).dispose();
      assert.deepEqual(await ask(peer, 2, get('/') + get('/')), ['cold', 'cold']);
      assert.deepEqual(asked, ['/', '/']);
      cold.close();
    });
  });
});
