// Sockets with a protocol in them: TLS, which is a net.Socket, too, and the streams of HTTP/2.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { Socket, type AddressInfo } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';

import { Aggregate, iolRead, iolWrite, stats } from 'io-lite';

import { checkHolds } from '../support/holds';
import { assertSame, collect, copiesFromNow, listenersOf, slicesOf } from './world';

// A key that both know: no certificate is needed.
const psk = Buffer.alloc(32, 'key');
const options = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const;

async function tlsPair(): Promise<{ near: TLSSocket; far: TLSSocket; close: () => Promise<void> }> {
  const server = tls.createServer({ ...options, pskCallback: () => psk, allowHalfOpen: true } as tls.TlsOptions);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = tls.connect({
    ...options, host: '127.0.0.1', port: (server.address() as AddressInfo).port, allowHalfOpen: true,
    pskCallback: () => ({ psk, identity: 'us' }), checkServerIdentity: () => undefined,
  } as tls.ConnectionOptions);
  const [far] = (await once(server, 'secureConnection')) as [TLSSocket];
  const closed = Promise.all([near, far].map((end) => new Promise((done) => end.on('close', done))));
  const close = async (): Promise<void> => {
    near.destroy();
    far.destroy();
    server.close();
    await closed;
  };
  return { near, far, close };
}

/** Everything until the end, by reads of at most `size`. */
async function readAll(source: Parameters<typeof iolRead>[0], size: number): Promise<Buffer> {
  using all = Aggregate.empty();
  for (;;) {
    using bytes = await iolRead(source, size);
    if (bytes === null) return all.toBuffer();
    assert.ok(bytes.byteLength <= size);
    all.append(bytes);
  }
}

describe('TLS sockets', () => {
  checkHolds();

  it('carry what iolWrite gives them to iolRead, in the order of their own writes', async () => {
    const { near, far, close } = await tlsPair();
    assert.ok(near instanceof Socket);
    const bytes = slicesOf(40, 50_000);
    const expected = Buffer.concat([Buffer.from('<'), bytes.toBuffer(), Buffer.from('>')]);
    const reading = readAll(far, 100_000);
    const before = listenersOf(near);
    near.write('<');
    const writing = iolWrite(near, bytes);
    bytes.dispose();
    near.write('>');
    assert.equal(await writing, 2_000_000);
    const { error, close: closes } = listenersOf(near);
    assert.deepEqual([error, closes], [before['error'], before['close']]);
    near.end();
    assertSame(await reading, expected);
    await close();
  });

  it('are given the bytes where they lie, held until they were encrypted', async () => {
    const { near, far, close } = await tlsPair();
    const bytes = slicesOf(256, 64 * 1024);
    const { liveHolds } = stats();
    const copies = copiesFromNow();
    const expected = bytes.toBuffer();
    const writing = iolWrite(near, bytes);
    bytes.dispose();
    assert.ok(stats().liveHolds >= liveHolds, 'nobody has read yet');
    const { copyOut = 0, ...others } = copies();
    assert.equal(copyOut, expected.length, 'our own toBuffer()');
    assert.deepEqual(others, {});
    const received = collect(far);
    assert.equal(await writing, expected.length);
    near.end();
    assertSame(await received, expected);
    await close();
  });

  it('that are destroyed in the middle reject, on both sides', async () => {
    const { near, far, close } = await tlsPair();
    using bytes = slicesOf(256, 64 * 1024);
    const writing = assert.rejects(iolWrite(near, bytes), { code: /^ERR_|^E/ });
    const reading = assert.rejects(readAll(far, 1000), { code: /^ERR_|^E/ });
    await once(far, 'readable');
    far.destroy(Object.assign(new Error('enough'), { code: 'E_ENOUGH' }));
    near.on('error', () => {});
    await Promise.all([writing, reading]);
    await close();
  });
});

describe('HTTP/2 streams', () => {
  checkHolds();

  async function session(
    answer: (stream: http2.ServerHttp2Stream) => Promise<void>,
    ask: (client: http2.ClientHttp2Session) => Promise<void>,
  ): Promise<void> {
    const answers: Promise<void>[] = [];
    const server = http2.createServer().listen(0, '127.0.0.1');
    server.on('stream', (stream) => answers.push(answer(stream)));
    await once(server, 'listening');
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await ask(client);
    await Promise.all(answers);
    client.close();
    server.close();
    await Promise.all([once(client, 'close'), once(server, 'close')]);
  }

  it('carry bodies both ways, by counted copies', async () => {
    const body = slicesOf(40, 50_000);
    const expected = body.toBuffer();
    await session(
      async (stream) => {
        using received = Aggregate.empty();
        for (;;) {
          using bytes = await iolRead(stream, 64 * 1024);
          if (bytes === null) break;
          received.append(bytes);
        }
        stream.respond({ ':status': 200 });
        const copies = copiesFromNow();
        assert.equal(await iolWrite(stream, received), 2_000_000);
        assert.ok(copies()['copyOut']! >= 2_000_000, 'a stream that keeps its chunks gets its own');
        stream.end();
      },
      async (client) => {
        const request = client.request({ ':method': 'POST', ':path': '/' });
        const reading = readAll(request, 30_000);
        await iolWrite(request, body);
        request.end();
        assertSame(await reading, expected);
      },
    );
    body.dispose();
  });

  it('that the other side resets reject', async () => {
    await session(
      async (stream) => {
        stream.on('error', () => {});
        stream.respond({ ':status': 200 });
        using body = slicesOf(64, 64 * 1024);
        await assert.rejects(iolWrite(stream, body), { code: /^ERR_/ });
        await assert.rejects(iolWrite(stream, 'more'), { code: /^ERR_/ });
      },
      async (client) => {
        const request = client.request({ ':path': '/' });
        request.on('error', () => {});
        using first = await iolRead(request, 1000);
        assert.ok(first!.byteLength > 0);
        request.close(http2.constants.NGHTTP2_CANCEL);
        await once(request, 'close');
      },
    );
  });

  it('of the compatible interface: an answer and a request with a body', async () => {
    const server = http2.createServer((request, response) => {
      void (async () => {
        using asked = await iolRead(request, 100);
        using answer = Aggregate.from('you said ', asked!);
        await iolWrite(response, answer);
        response.end();
      })();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const request = client.request({ ':method': 'POST', ':path': '/' });
    request.end('hello');
    assert.equal(String(await collect(request)), 'you said hello');
    client.close();
    server.close();
    await Promise.all([once(client, 'close'), once(server, 'close')]);
  });
});
