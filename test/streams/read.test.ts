import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import http from 'node:http';
import { Duplex, PassThrough, pipeline, Readable, Writable } from 'node:stream';

import { Aggregate, iolRead, iolWrite, Window } from 'io-lite';

import { runChild } from '../support/child';
import { checkHolds } from '../support/holds';
import { assertSame, copiesFromNow, countingBytes, listenersOf, portOf, socketPair } from './world';

/** Everything that is still to come, in reads of at most `size`. */
async function readAll(stream: Readable, size: number): Promise<Buffer> {
  using all = Aggregate.empty();
  for (;;) {
    using part = await iolRead(stream, size);
    if (part === null) return all.toBuffer();
    assert.ok(part.byteLength > 0 && part.byteLength <= size);
    all.append(part);
  }
}

async function text(reading: Promise<Aggregate | null>): Promise<string> {
  using bytes = await reading;
  return String(bytes);
}

describe('iolRead from Node streams', () => {
  checkHolds();

  it('takes at most size bytes of what is there, then waits, then says the end, again and again', async () => {
    const stream = new PassThrough();
    stream.write('abcdef');
    assert.equal(await text(iolRead(stream, 4)), 'abcd');
    assert.equal(await text(iolRead(stream, 4)), 'ef');
    const waiting = text(iolRead(stream, 4));
    stream.end('gh');
    assert.equal(await waiting, 'gh');
    assert.equal(await iolRead(stream, 4), null);
    assert.equal(await iolRead(stream, 4), null);
  });

  it('copies once, counted, into the pool that was asked for', async () => {
    using pool = Window.default().createPool({ name: 'chosen' });
    const stream = new PassThrough();
    stream.write(Buffer.alloc(10_000, 'x'));
    const copies = copiesFromNow();
    using bytes = await iolRead(stream, 7_000, { pool });
    assert.deepEqual(copies(), { streamIn: 7_000 });
    assert.equal(pool.stats().buffers, 1);
    assert.equal(bytes!.byteLength, 7_000);
    using rest = await iolRead(stream, 7_000, { pool });
    assert.equal(rest!.byteLength, 3_000);
  });

  it('leaves the bytes in the stream when the pool has no room for them', async () => {
    using pool = Window.default().createPool({ name: 'small', maxBytes: 1 << 20 });
    const stream = new PassThrough({ highWaterMark: 4 << 20 });
    const expected = countingBytes(2 << 20);
    stream.end(expected);
    await assert.rejects(iolRead(stream, 2 << 20, { pool }), { code: 'ERR_IOL_POOL_FULL' });
    assertSame(await readAll(stream, 1 << 20), expected);
  });

  it('reads sockets, files, children and requests', async () => {
    const { near, far, close } = await socketPair();
    const expected = countingBytes(3 << 20);
    const writing = iolWrite(near, expected);
    near.end();
    assertSame(await readAll(far, 100_000), expected);
    await writing;
    await close();

    const file = createReadStream(__filename, { highWaterMark: 100 });
    assertSame(await readAll(file, 1000), readFileSync(__filename));

    const child = spawn('printf', ['from a child'], { stdio: ['ignore', 'pipe', 'inherit'] });
    assert.equal(String(await readAll(child.stdout, 5)), 'from a child');

    let body: Promise<Buffer> | undefined;
    const server = http.createServer((request, response) => {
      body = readAll(request, 65_536);
      void body.then(() => response.end('answer'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const request = http.request({ port: portOf(server), host: '127.0.0.1', method: 'POST' });
    request.end(expected);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    assert.equal(String(await readAll(response, 3)), 'answer');
    assertSame((await body)!, expected);
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });

  it('reads the standard input', async () => {
    const result = await runChild(`
      const { iolRead } = require('io-lite');
      iolRead(process.stdin, 10).then((bytes) => { console.log(bytes); });
    `);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.stdout, 'null\n');
  });

  it('answers reads in the order of the calls', async () => {
    const stream = new PassThrough();
    const reads = [1, 2, 3, 4, 9, 9].map((size) => text(iolRead(stream, size)));
    stream.write('abcde');
    stream.write('fghij');
    stream.end('k');
    assert.equal((await Promise.all(reads)).join('').replace(/(null)*$/, ''), 'abcdefghijk');
  });

  it('leaves other readers their bytes, and takes no more than it was asked for', async () => {
    const stream = new PassThrough();
    stream.write('head;body');
    assert.equal(await text(iolRead(stream, 5)), 'head;');
    assert.equal(String(stream.read()), 'body');
    stream.end('rest');
    const rest: Buffer[] = [];
    for await (const chunk of stream) rest.push(chunk as Buffer);
    assert.equal(String(Buffer.concat(rest)), 'rest');
  });

  it('can be followed by a pipe', async () => {
    const stream = new PassThrough();
    const waiting = text(iolRead(stream, 5));
    stream.write('head;body');
    assert.equal(await waiting, 'head;');
    const piped: Buffer[] = [];
    const sink = new Writable({ write: (chunk: Buffer, _, done) => (piped.push(chunk), done()) });
    const ended = new Promise((resolve) => pipeline(stream, sink, resolve));
    stream.end('tail');
    assert.equal(await ended, undefined);
    assert.equal(String(Buffer.concat(piped)), 'bodytail');
  });

  it('leaves the bytes to the next one when it is given up', async () => {
    const stream = new PassThrough();
    const before = listenersOf(stream);
    const controller = new AbortController();
    const given = iolRead(stream, 3, { signal: controller.signal });
    controller.abort(new Error('why'));
    await assert.rejects(given, { code: 'ERR_IOL_ABORTED', cause: controller.signal.reason });
    assert.deepEqual(listenersOf(stream), before);
    const { signal } = new AbortController();
    const first = iolRead(stream, 3, { signal });
    const second = new AbortController();
    const middle = iolRead(stream, 3, { signal: second.signal });
    const last = iolRead(stream, 3);
    second.abort();
    stream.write('abcdef');
    assert.equal(await text(first), 'abc');
    await assert.rejects(middle, { code: 'ERR_IOL_ABORTED' });
    assert.equal(await text(last), 'def');
    await assert.rejects(iolRead(stream, 3, { signal: AbortSignal.abort() }), { code: 'ERR_IOL_ABORTED' });
    assert.deepEqual(listenersOf(stream), before);
  });

  it('leaves no listener behind, whatever way it ends', async () => {
    const stream = new PassThrough();
    const before = listenersOf(stream);
    const reads = Array.from({ length: 20 }, () => text(iolRead(stream, 1)));
    assert.equal(stream.listenerCount('readable'), (before['readable'] ?? 0) + 1);
    stream.write('x'.repeat(20));
    await Promise.all(reads);
    assert.deepEqual(listenersOf(stream), before);
    const waiting = assert.rejects(iolRead(stream, 1), /gone/);
    stream.destroy(new Error('gone'));
    await waiting;
    assert.equal(stream.listenerCount('error'), 0);
    assert.equal(stream.listenerCount('readable'), 0);
  });

  it('rejects with the error of the stream, now and later', async () => {
    const reason = new Error('broken');
    const stream = new Readable({ read: () => {} });
    const reads = [iolRead(stream, 1), iolRead(stream, 1)].map((reading) =>
      assert.rejects(reading, (error) => error === reason),
    );
    stream.destroy(reason);
    await Promise.all(reads);
    await assert.rejects(iolRead(stream, 1), (error) => error === reason);
  });

  it('rejects when the stream is destroyed before its end, even with bytes in it', async () => {
    const stream = new PassThrough();
    const waiting = iolRead(stream, 1);
    stream.destroy();
    await assert.rejects(waiting, { code: 'ERR_IOL_STREAM_CLOSED' });
    await assert.rejects(iolRead(stream, 1), { code: 'ERR_IOL_STREAM_CLOSED' });
    const { near, far, close } = await socketPair();
    near.resetAndDestroy();
    await assert.rejects(iolRead(far, 1), { code: 'ECONNRESET' });
    await close();
  });

  it('refuses a stream that has no bytes, or gives them to somebody else, and takes nothing', async () => {
    const mode = { code: 'ERR_IOL_STREAM_MODE' };
    await assert.rejects(iolRead(Readable.from(['a', 'b']), 1), mode);
    const decoded = new PassThrough().setEncoding('utf8');
    decoded.write('abc');
    await assert.rejects(iolRead(decoded, 1), mode);
    assert.equal(decoded.read(), 'abc');
    const flowing = new PassThrough().on('data', () => {});
    await assert.rejects(iolRead(flowing, 1), mode);
    const paused = new PassThrough().on('data', () => {}).pause();
    await assert.rejects(iolRead(paused, 1), mode);
    const piped = new PassThrough();
    piped.pipe(new PassThrough());
    await assert.rejects(iolRead(piped, 1), mode);
    const sink = new Writable();
    await assert.rejects(iolRead(sink as never, 1), { code: 'ERR_INVALID_ARG_TYPE' });
    const oneWay = new Duplex({ readable: false, write: () => {} } as never);
    assert.equal(await iolRead(oneWay, 1), null);
    await assert.rejects(iolRead(new PassThrough(), 1, { position: 0 }), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('is refused in the middle by a listener that comes while it waits', async () => {
    const stream = new PassThrough();
    const waiting = iolRead(stream, 1);
    let received = '';
    stream.on('data', (data: Buffer) => (received += String(data)));
    stream.write('theirs');
    await assert.rejects(waiting, { code: 'ERR_IOL_STREAM_MODE' });
    stream.end();
    stream.resume();
    await once(stream, 'end');
    assert.equal(received, 'theirs');
  });

  it('reads a source that answers at once, and asks it for no more than it has to', async () => {
    let asked = 0;
    const stream = new Readable({
      highWaterMark: 4,
      read() {
        this.push(asked++ < 3 ? 'abcdefgh' : null);
      },
    });
    assert.equal(await text(iolRead(stream, 3)), 'abc');
    assert.ok(asked <= 2);
    assert.equal(String(await readAll(stream, 100)), 'defghabcdefghabcdefgh');
  });

  it('gives an empty aggregate for no bytes', async () => {
    using bytes = await iolRead(new PassThrough(), 0);
    assert.equal(bytes!.byteLength, 0);
  });
});
