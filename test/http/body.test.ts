// Bodies of requests, as they arrive; and answers of unknown length on connections that live on.
import assert from 'node:assert/strict';

import { Aggregate, iolRead, stats, Window } from 'io-lite';
import { Interest, type HttpRequest, type HttpServerOptions } from 'io-lite/http';

import { copiesDuring } from '../support/holds';
import { answer, bodiesOf, get, httpWorld, settled, type Peer } from './http-world';

const post = (body: string, fields = `Content-Length: ${body.length}\r\n`): string =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;
const chunked = 'Transfer-Encoding: chunked\r\n';

/** The body as text. */
async function textOf(request: HttpRequest): Promise<string> {
  let text = '';
  for await (using part of request.body) text += part.toString('latin1');
  return text;
}

describe('HttpRequest.body', () => {
  const world = httpWorld();
  /** The first request, undecided. */
  const ask = async (text: string, options?: HttpServerOptions): Promise<{ request: HttpRequest; peer: Peer }> => {
    const requests: HttpRequest[] = [];
    await world.listen((each) => void requests.push(each), options);
    const peer = world.connect();
    peer.socket.write(text, 'latin1');
    await settled(() => requests.length > 0);
    return { request: requests[0]!, peer };
  };

  it('is what was sent, however it was cut, and the next request is found', async () => {
    const bytes = Array.from({ length: 300_000 }, (_, i) => String.fromCharCode(i * 7 % 251)).join('');
    const coded = `5;x=y\r\n${bytes.slice(0, 5)}\r\n${(bytes.length - 5).toString(16)}\r\n${bytes.slice(5)}\r\n0\r\nT: t\r\n\r\n`;
    const received: string[] = [];
    await world.listen((request) => void (async () => {
      received.push(await textOf(request));
      answer(request, `${received.length}`);
    })());
    const peer = world.connect();
    peer.socket.write(post(bytes) + post(coded, chunked) + get('/') + post('x'), 'latin1');
    await peer.until(() => bodiesOf(peer.text).length === 4);
    assert.deepEqual(received.map((each) => each === bytes), [true, true, false, false]);
    assert.deepEqual(received.slice(2), ['', 'x']);
  });

  it('ends at once when there is none', async () => {
    const { request, peer } = await ask(get('/'));
    assert.equal(await request.body.read(), null);
    assert.equal(await iolRead(request.body, 10), null);
    answer(request, 'done');
    await peer.until(() => peer.text.endsWith('done'));
  });

  it('is read in the sizes that are asked for, in the order of the calls, also by iolRead', async () => {
    const { request } = await ask(post('abcdefgh'));
    const parts = await Promise.all([request.body.read(1), iolRead(request.body, 3), request.body.read(2)]);
    assert.deepEqual(parts.map((each) => each!.toString()), ['a', 'bcd', 'ef']);
    for (const part of parts) part!.dispose();
    using rest = await request.body.read();
    assert.equal(rest!.toString(), 'gh');
    assert.equal(await request.body.read(), null);
    answer(request, 'done');
  });

  it('arrives while it is still being sent', async () => {
    const { request, peer } = await ask(post('', 'Content-Length: 10\r\n'));
    const reading = request.body.read();
    peer.socket.write('first');
    using first = await reading;
    assert.equal(first!.toString(), 'first');
    peer.socket.write('2nd..');
    using second = await request.body.read();
    assert.equal(second!.toString(), '2nd..');
    assert.equal(await request.body.read(), null);
    answer(request, 'done');
    await peer.until(() => peer.text.endsWith('done'));
  });

  it('is received where it stays: only what came with the head is copied', async () => {
    const { request, peer } = await ask(post('0123456789', 'Content-Length: 1000010\r\n'));
    using first = await request.body.read();
    assert.equal(first!.byteLength, 10);
    const before = stats().copies;
    peer.socket.write('x'.repeat(1_000_000));
    let bytes = 0;
    for await (using part of request.body) bytes += part.byteLength;
    assert.equal(bytes, 1_000_000);
    assert.deepEqual(copiesDuring(() => {}), {});
    for (const [reason, { bytes: after }] of Object.entries(stats().copies)) {
      assert.ok(after - before[reason]!.bytes < 200, reason);  // The line with the date, once a second.
    }
    answer(request, 'done');
  });

  it('is received in the pool that a read names, and nowhere else', async () => {
    using route = Window.default().createPool({ name: 'route' });
    const { request, peer } = await ask(post('0123456789', 'Content-Length: 300010\r\n'));
    using first = await request.body.read(undefined, { pool: route });
    assert.equal(first!.toString(), '0123456789');
    const others = (): number => stats().pools.reduce(
      (sum, { name, buffers }) => sum + (name === 'route' ? 0 : buffers), 0);
    const before = [others(), stats().copies['head']!.bytes];
    peer.socket.write('x'.repeat(300_000));
    const parts: Aggregate[] = [];
    for (let bytes = 0; bytes < 300_000;) {
      const part = (await iolRead(request.body, 1 << 20, { pool: route }))!;
      bytes += part.byteLength;
      parts.push(part);
    }
    assert.deepEqual([others(), stats().copies['head']!.bytes], before);
    assert.equal(route.stats().buffers, 1 + parts.length);
    // By address: a buffer of the pool's own lies in the same segment.
    const segmentOf = (bytes: Aggregate): number => Math.floor(bytes.slices()[0]!.address / 2 ** 26);
    using sample = route.allocate(parts[0]!.byteLength).seal();
    using own = Aggregate.from(sample);
    assert.ok(parts.some((part) => segmentOf(part) === segmentOf(own)));
    using elsewhere = Aggregate.from('x'.repeat(parts[0]!.byteLength));
    assert.ok(parts.every((part) => segmentOf(part) !== segmentOf(elsewhere)));
    for (const part of parts) part.dispose();
    assert.equal(await request.body.read(1, { pool: route }), null);
    answer(request, 'done');
  });

  it('makes the client wait while nobody reads', async () => {
    const { request, peer } = await ask(post('', `Content-Length: ${64 << 20}\r\n`), { bodyBytesMax: 64 << 20 });
    for (let i = 0; i < 64; i++) peer.socket.write(Buffer.alloc(1 << 20));
    using first = await request.body.read();
    assert.ok(peer.socket.writableLength > 0, 'most of it is still with the client');
    assert.ok(stats().pools.every((pool) => pool.bytesInUse < 8 << 20));
    let bytes = first!.byteLength;
    for await (using part of request.body) bytes += part.byteLength;
    assert.equal(bytes, 64 << 20);
    answer(request, 'done');
    await peer.until(() => peer.text.endsWith('done'));
  });

  it('is asked for with 100-continue, once', async () => {
    const { request, peer } = await ask(post('', 'Content-Length: 4\r\nExpect: 100-continue\r\n'));
    const reading = textOf(request);
    await peer.until(() => peer.text === 'HTTP/1.1 100 Continue\r\n\r\n');
    peer.socket.write('body');
    assert.equal(await reading, 'body');
    answer(request, 'done');
    await peer.until(() => peer.text.endsWith('done'));
    assert.match(peer.text, /Connection: keep-alive/);
  });

  it('is asked for by an answer that begins first, and read beside it', async () => {
    const { request, peer } = await ask(post('', 'Content-Length: 4\r\nExpect: 100-continue\r\n'));
    using head = Aggregate.from('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n');
    request.start(head, 4);
    await peer.until(() => peer.text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
    peer.socket.write('body');
    for await (using part of request.body) await request.write(part);
    request.end();
    await peer.until(() => peer.text.endsWith('\r\n\r\nbody'));
    assert.match(peer.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[^]*Connection: keep-alive/);
  });

  it('is not asked for by an answer of 400 or more that begins first: the connection ends', async () => {
    const { request, peer } = await ask(post('', 'Content-Length: 4\r\nExpect: 100-continue\r\n'));
    using head = Aggregate.from('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n');
    request.start(head, 2);
    using part = Aggregate.from('no');
    await request.write(part);
    request.end();
    await peer.untilClosed();
    assert.match(peer.text, /^HTTP\/1\.1 403 [^]*Connection: close[^]*no$/);
  });

  it('is not asked for when the answer comes first: the connection ends', async () => {
    const { request, peer } = await ask(post('', 'Content-Length: 4\r\nExpect: 100-continue\r\n'));
    answer(request, 'no');
    await peer.untilClosed();
    assert.match(peer.text, /^HTTP\/1.1 200 OK[^]*Connection: close[^]*no$/);
  });

  it('is dropped when it is not read, before and after the answer, and the next request is found', async () => {
    const body = 'x'.repeat(200_000);
    await world.listen((request) => answer(request, request.method));
    const peer = world.connect();
    peer.socket.write(post(body) + post(`30d40\r\n${body}\r\n0\r\n\r\n`, chunked) + get('/'));
    await peer.until(() => bodiesOf(peer.text).length === 3);
    assert.deepEqual(bodiesOf(peer.text), ['POST', 'POST', 'GET']);
  });

  const failures: [what: string, text: string, code: string, options?: HttpServerOptions][] = [
    ['too long by its length', post('', 'Content-Length: 11\r\n'), 'ERR_IOL_TOO_LARGE', { bodyBytesMax: 10 }],
    ['too long in chunks', post('b\r\n01234567890\r\n', chunked), 'ERR_IOL_TOO_LARGE', { bodyBytesMax: 10 }],
    ['malformed', post('zz\r\n', chunked), 'ERR_IOL_BAD_BODY'],
    ['silent', post('ab', 'Content-Length: 3\r\n'), 'ERR_IOL_TIMED_OUT', { bodyTimeoutMs: 30 }],
  ];
  for (const [what, text, code, options] of failures) {
    it(`says so when it is ${what}, and the answer ends the connection`, async () => {
      const { request, peer } = await ask(text, options);
      await assert.rejects(textOf(request), { name: 'IolError', code });
      await assert.rejects(request.body.read(), { name: 'IolError', code });
      answer(request, 'bad');
      await peer.untilClosed();
      assert.match(peer.text, /Connection: close\r\n\r\nbad$/);
    });
  }

  it('says so when the client ends in its middle, or leaves', async () => {
    const { request, peer } = await ask(post('ab', 'Content-Length: 3\r\n'));
    const reading = textOf(request);
    peer.socket.end();
    await assert.rejects(reading, { name: 'IolError', code: 'ERR_IOL_ABORTED' });
    answer(request, 'cut');  // A half-closed client can still be told.
    await peer.untilClosed();
    assert.ok(peer.text.endsWith('cut'));
  });

  it('ends with the client, the answer and the signal', async () => {
    const { request, peer } = await ask(post('', 'Content-Length: 3\r\n'));
    const { signal } = request;
    await assert.rejects(request.body.read(1, { signal: AbortSignal.timeout(10) }), { code: 'ERR_IOL_ABORTED' });
    const reading = request.body.read();
    assert.equal(signal.aborted, false);
    peer.socket.resetAndDestroy();
    await assert.rejects(reading, { code: 'ERR_IOL_ABORTED' });
    assert.equal(signal.aborted, true);
    await assert.rejects(request.body.read(), { code: 'ERR_IOL_ABORTED' });
  });

  it('is closed once the request was answered', async () => {
    const { request } = await ask(post('', 'Content-Length: 3\r\n'));
    const reading = request.body.read();
    answer(request, 'done');
    await assert.rejects(reading, { code: 'ERR_IOL_CLOSED' });
    await assert.rejects(request.body.read(), { code: 'ERR_IOL_CLOSED' });
  });

  it('refuses wrong arguments', async () => {
    const { request } = await ask(post('abc'));
    assert.throws(() => request.body.read(0), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => request.body.read('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => request.body.read(1, { signal: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => request.body.read(1, { pool: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    const closed = Window.default().createPool();
    closed.dispose();
    await assert.rejects(request.body.read(1, { pool: closed }), { code: 'ERR_IOL_CLOSED' });
    assert.throws(() => request.address('peer' as never), { code: 'ERR_INVALID_ARG_VALUE' });
    using head = Aggregate.from('HTTP/1.1 200 OK\r\n');
    assert.throws(() => request.start(head, 'gzip' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    answer(request, 'done');
  });

  it('numbers the values of the headers that matter: equal ones alike', async () => {
    const ids: number[] = [];
    await world.listen((request) => {
      ids.push(request.valueId(Interest.AcceptEncoding));
      assert.throws(() => request.valueId(Interest.Host | Interest.AcceptEncoding), { code: 'ERR_OUT_OF_RANGE' });
      assert.throws(() => request.valueId('Host' as never), { code: 'ERR_INVALID_ARG_TYPE' });
      answer(request, 'done');
    });
    const fields = [
      'Accept-Encoding: gzip\r\n', 'X: y\r\naccept-encoding:  gzip \r\n', 'Accept-Encoding: gzip, br\r\n',
      'Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n', `Accept-Encoding: ${'x'.repeat(257)}\r\n`, '',
    ];
    const peer = world.connect();
    for (const field of fields) peer.socket.write(get('/', field));
    await peer.until(() => bodiesOf(peer.text).length === fields.length);
    const [gzip = 0, same, other = 0, ...none] = ids;
    assert.ok(gzip > 0 && other > 0 && gzip !== other);
    assert.equal(same, gzip);
    assert.deepEqual(none, [0, 0, 0]);
  });

  it('comes with the names, values and addresses of its request', async () => {
    const { request, peer } = await ask('GET / HTTP/1.1\r\nHost: a\r\nX-a: 1\r\nx-A:  2 \r\n\r\n');
    assert.deepEqual(request.rawHeaders, ['Host', 'a', 'X-a', '1', 'x-A', '2']);
    assert.deepEqual(request.address('client'), { address: '127.0.0.1', port: peer.socket.localPort });
    assert.deepEqual(request.address('server'), { address: '127.0.0.1', port: world.server.port });
    answer(request, 'done');
    assert.throws(() => request.rawHeaders, { code: 'ERR_IOL_CLOSED' });
    assert.throws(() => request.valueId(Interest.Host), { code: 'ERR_IOL_CLOSED' });
    assert.throws(() => request.address('client'), { code: 'ERR_IOL_CLOSED' });
  });
});

describe('an answer in chunks', () => {
  const world = httpWorld();
  const head = 'HTTP/1.1 200 OK\r\n';

  it('keeps the connection, and ends it for HTTP/1.0', async () => {
    await world.listen((request) => void (async () => {
      using start = Aggregate.from(head);
      using part = Aggregate.from('x'.repeat(20));
      using none = Aggregate.empty();
      request.start(start, 'chunked');
      await request.write(part);
      await request.write(none);
      await request.write(part);
      request.end();
    })());
    const peer = world.connect();
    peer.socket.write(get('/') + 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n' + 'GET / HTTP/1.0\r\n\r\n');
    await peer.untilClosed();
    const x = 'x'.repeat(20);
    assert.deepEqual(bodiesOf(peer.text), [`14\r\n${x}\r\n14\r\n${x}\r\n0\r\n\r\n`, '', x + x]);
    assert.equal(peer.text.split('Transfer-Encoding: chunked').length, 3);
  });
});
