import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';

import { Aggregate, iolRead, stats, toReadable, toReadableStream } from 'io-lite';

import { checkHolds } from '../support/holds';
import { assertSame, collect, copiesFromNow, portOf, slicesOf } from './world';

describe('an aggregate as a stream', () => {
  checkHolds();

  it('gives copies that may be kept, in chunks of at most 64 KiB, when they are wanted', async () => {
    const bytes = slicesOf(3, 50_000);
    const expected = bytes.toBuffer();
    const copies = copiesFromNow();
    const stream = toReadable(bytes);
    bytes.dispose();
    assert.deepEqual(copies(), {});
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    assert.deepEqual(copies(), { copyOut: 150_000 });
    assert.deepEqual(chunks.map(({ length }) => length), [65_536, 65_536, 18_928]);
    assertSame(Buffer.concat(chunks), expected);
  });

  it('goes through a pipeline, and comes back by iolRead', async () => {
    using bytes = slicesOf(10, 30_000);
    const end = new PassThrough({ highWaterMark: 1 << 20 });
    await pipeline(toReadable(bytes), createGzip(), createGunzip(), end);
    using back = await iolRead(end, 300_000);
    assert.ok(back!.equals(bytes));
  });

  it('lets go of the rest when it is destroyed or cancelled', async () => {
    const { liveHolds } = stats();
    const bytes = slicesOf(10, 100_000);
    const stream = toReadable(bytes);
    const web = toReadableStream(bytes);
    bytes.dispose();
    assert.ok(stats().liveHolds > liveHolds);
    stream.read(0);
    stream.destroy();
    await once(stream, 'close');
    await web.cancel();
    assert.equal(stats().liveHolds, liveHolds);
  });

  it('is a web stream, the body of a request say', async () => {
    using bytes = slicesOf(5, 40_000);
    const received: Promise<Buffer>[] = [];
    const server = createServer((request, response) => {
      received.push(collect(request));
      void received[0]!.then(() => response.end());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const body = toReadableStream(bytes);
    const init = { method: 'POST', body, duplex: 'half' } as unknown as RequestInit;
    await fetch(`http://127.0.0.1:${portOf(server)}/`, init);
    assertSame(await received[0]!, bytes.toBuffer());
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  it('of nothing ends at once; what is no bytes is refused', async () => {
    using none = Aggregate.empty();
    assert.equal((await collect(toReadable(none))).length, 0);
    assert.equal((await collect(toReadableStream('abc'))).toString(), 'abc');
    assert.throws(() => toReadable(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => toReadableStream(null as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});
