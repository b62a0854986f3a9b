// Which form of a file a client gets: Accept-Encoding, siblings, what is compressed here.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { renameSync, utimesSync } from 'node:fs';
import zlib from 'node:zlib';

import { RawClient, get, type Answer } from './support/client';
import { start, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { Tree } from './support/tree';

const kText = 'a line that is repeated again and again\n'.repeat(200);
const kBrowser = 'gzip, deflate, br, zstd';

// Node 22.15 has it, and 23.8.
const { zstdDecompressSync, zstdCompressSync } = zlib as unknown as
  Record<'zstdDecompressSync' | 'zstdCompressSync', ((bytes: Buffer | string) => Buffer) | undefined>;

function decoded({ headers, body }: Answer): string {
  switch (headers['content-encoding']) {
    case 'br': return zlib.brotliDecompressSync(body).toString();
    case 'gzip': return zlib.gunzipSync(body).toString();
    case 'zstd': return zstdDecompressSync!(body).toString();
    default: return body.toString();
  }
}

describe('Flash-Lite: negotiation', () => {
  let tree: Tree;
  let server: Server;

  const ask = (target: string, accepted: string, more: Record<string, string> = {}): Promise<Answer> =>
    get(server, target, { headers: { 'Accept-Encoding': accepted, ...more } });
  /** When it has been compressed: a machine that is busy may send the file as it is before. */
  const askEncoded = async (target: string, accepted: string): Promise<Answer> => {
    let answer = await ask(target, accepted);
    await until('the file to be compressed', async () => {
      answer = await ask(target, accepted);
      return answer.headers['content-encoding'] !== undefined;
    });
    return answer;
  };

  before(async () => {
    tree = new Tree({
      'plain.txt': kText, 'app.js': kText, 'app.js.br': 'stands for brotli', 'app.js.gz': 'stands for gzip',
      'data.bin': 'b'.repeat(5000), 'data.bin.br': 'of data', 'tiny.txt': 'tiny', 'photo.jpg': kText,
      'photo.jpg.br': 'never', 'random.txt': randomBytes(4000),
      'old.css': kText, 'old.css.gz': 'older', 'x.tar.gz': 'an archive', 'changing.txt': kText,
      'dir.txt': kText, 'dir.txt.br/x': '', 'page.html': kText, 'page.html.zst': zstdCompressSync?.(kText) ?? 'stands for zstd',
    });
    utimesSync(tree.path('old.css.gz'), 1e9, 1e9);
    server = await start(tree.root);
  });

  after(async () => {
    await stop(server);
    await stopPrograms();
    tree.remove();
  });

  const siblings: [target: string, accepted: string, coding: string | undefined, body: string][] = [
    ['/app.js', kBrowser, 'br', 'stands for brotli'],
    ['/app.js', 'gzip', 'gzip', 'stands for gzip'],
    ['/app.js', 'GZip', 'gzip', 'stands for gzip'],
    ['/page.html', kBrowser, 'zstd', ''],
    ['/page.html', 'zstd', 'zstd', ''],
    ['/page.html', 'gzip;q=0.5, zstd', 'zstd', ''],
    ['/page.html', 'zstd;q=0', undefined, kText],
    ['/app.js', 'br;q=0.5, gzip;q=0.9', 'gzip', 'stands for gzip'],
    ['/app.js', 'br;q=0, gzip', 'gzip', 'stands for gzip'],
    ['/app.js', 'gzip\t,deflate', 'gzip', 'stands for gzip'],
    ['/app.js', 'gzip;\tq=0.5', 'gzip', 'stands for gzip'],
    ['/app.js', 'br;q=0.5\t,\tgzip', 'gzip', 'stands for gzip'],
    ['/app.js', 'gzip\tdeflate', undefined, kText],
    ['/app.js', '*', 'br', 'stands for brotli'],
    ['/app.js', '*, br;q=0', 'gzip', 'stands for gzip'],
    ['/app.js', 'identity', undefined, kText],
    ['/app.js', 'identity;q=1, *;q=0', undefined, kText],
    ['/app.js', 'identity, br;q=0.5', undefined, kText],
    ['/app.js', 'compress', undefined, kText],
    ['/app.js', '', undefined, kText],
    ['/app.js', ';;;,=', undefined, kText],
    ['/data.bin', kBrowser, 'br', 'of data'],
    ['/data.bin', 'gzip', undefined, 'b'.repeat(5000)],  // Nobody knows what it is.
    ['/photo.jpg', kBrowser, undefined, kText],
    ['/tiny.txt', kBrowser, undefined, 'tiny'],
    ['/random.txt', kBrowser, undefined, ''],
    ['/app.js.br', kBrowser, undefined, 'stands for brotli'],
    ['/x.tar.gz', kBrowser, undefined, 'an archive'],
  ];
  for (const [target, accepted, coding, body] of siblings) {
    it(`${target} for "${accepted}" is ${coding ?? 'as it is'}, cold and hot, GET and HEAD`, async () => {
      for (let round = 0; round < 2; round++) {
        const answer = await ask(target, accepted);
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-encoding'], coding);
        assert.equal(answer.headers['content-length'], String(answer.body.length));
        if (body !== '') assert.equal(answer.body.toString(), body);
        const head = await get(server, target, { method: 'HEAD', headers: { 'Accept-Encoding': accepted } });
        const { date: _, ...expected } = answer.headers;
        const { date: __, ...received } = head.headers;
        assert.deepEqual(received, expected);
      }
    });
  }

  it('whatever may be negotiated says so, and has a tag for each form', async () => {
    const forms = [await ask('/app.js', kBrowser), await ask('/app.js', 'gzip'), await get(server, '/app.js')];
    assert.equal(new Set(forms.map(({ headers }) => headers.etag)).size, 3);
    for (const { headers } of forms) {
      assert.equal(headers.vary, 'Accept-Encoding');
      assert.equal(headers['content-type'], 'text/javascript; charset=utf-8');
    }
    assert.equal((await ask('/photo.jpg', kBrowser)).headers.vary, undefined);
  });

  it('a sibling .zst is sent with its bytes, type, range and tag', async () => {
    const whole = await ask('/page.html', 'zstd');
    assert.equal(whole.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(whole.headers.vary, 'Accept-Encoding');
    if (zstdDecompressSync === undefined) assert.equal(whole.body.toString(), 'stands for zstd');
    else assert.equal(decoded(whole), kText);
    const part = await ask('/page.html', 'zstd', { Range: 'bytes=2-5', 'If-Range': whole.headers.etag! });
    assert.deepEqual([part.status, part.body], [206, whole.body.subarray(2, 6)]);
    assert.equal((await ask('/page.html', 'zstd', { 'If-None-Match': whole.headers.etag! })).status, 304);
    assert.notEqual((await get(server, '/page.html')).headers.etag, whole.headers.etag);
  });

  it('zstd is made here where Node has it, else the next best, or none', async () => {
    if (zstdDecompressSync === undefined) {
      assert.equal((await ask('/plain.txt', 'zstd')).headers['content-encoding'], undefined);
      assert.equal((await askEncoded('/plain.txt', 'zstd, gzip;q=0.5')).headers['content-encoding'], 'gzip');
    } else {
      const answer = await askEncoded('/plain.txt', 'zstd, gzip;q=0.5');
      assert.equal(answer.headers['content-encoding'], 'zstd');
      assert.ok(answer.body.length < kText.length / 10);
      assert.equal(decoded(answer), kText);
    }
  });

  it('the heads of a hot file are made once, while a look at it finds no change', async () => {
    interface Resources { made: number; kept: number }
    const folder = new Tree({ 'hot.txt': kText, 'index.html': 'index' });
    const other = await start(folder.root, '--status');
    const resources = async (): Promise<Resources> => {
      const { body } = await get(other, '/.flash-lite/status');
      return (JSON.parse(body.toString()) as { resources: Resources }).resources;
    };
    const tags = new Set<string | undefined>();
    const askAll = async (): Promise<void> => {
      for (const [target, accepted] of [['/hot.txt', 'identity'], ['/', 'identity'], ['/hot.txt', 'gzip']] as const) {
        const answer = await get(other, target, { headers: { 'Accept-Encoding': accepted } });
        assert.equal(decoded(answer), target === '/' ? 'index' : kText);
        tags.add(answer.headers.etag);
      }
    };
    await until('both to be looked at again', async () => {
      await askAll();
      return (await resources()).kept >= 2;
    });
    assert.equal((await resources()).made, 2);
    assert.ok(tags.size <= 3);
    // A change is still seen, and so is a sibling that appears.
    folder.write('hot.txt.gz', 'a sibling');
    await until('the sibling', async () =>
      (await get(other, '/hot.txt', { headers: { 'Accept-Encoding': 'gzip' } })).body.toString() === 'a sibling');
    folder.write('index.html', 'another');
    await until('the change', async () => (await get(other, '/')).body.toString() === 'another');
    assert.equal((await resources()).made, 3);
    await stop(other);
    folder.remove();
  });

  for (const coding of ['br', 'gzip']) {
    it(`text is compressed with ${coding}, once`, async () => {
      const answer = await askEncoded('/plain.txt', coding);
      assert.equal(answer.headers['content-encoding'], coding);
      assert.ok(answer.body.length < kText.length / 10);
      assert.equal(decoded(answer), kText);
      const again = await ask('/plain.txt', coding);
      assert.equal(again.headers.etag, answer.headers.etag);
      assert.match(answer.headers.etag ?? '', /^"[\x21\x23-\x7e]+"$/);
    });
  }

  it('many who ask at once get it all the same', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('/dir.txt', 'gzip')));
    for (const answer of answers) assert.equal(decoded(answer), kText);
  });

  it('an older sibling is of an older version, and is not sent', async () => {
    assert.equal(decoded(await askEncoded('/old.css', 'gzip')), kText);
  });

  it('preconditions and ranges are about the form that is sent', async () => {
    const { headers, body } = await askEncoded('/plain.txt', 'br');
    const etag = headers.etag as string;
    assert.equal((await ask('/plain.txt', 'br', { 'If-None-Match': etag })).status, 304);
    assert.equal((await ask('/plain.txt', 'identity', { 'If-None-Match': etag })).status, 200);
    assert.equal((await ask('/plain.txt', 'br', { 'If-Match': etag })).status, 200);
    assert.equal((await ask('/plain.txt', 'identity', { 'If-Match': etag })).status, 412);
    const part = await ask('/plain.txt', 'br', { Range: 'bytes=2-9', 'If-Range': etag });
    assert.equal(part.status, 206);
    assert.equal(part.headers['content-range'], `bytes 2-9/${body.length}`);
    assert.equal(part.headers['content-encoding'], 'br');
    assert.ok(part.body.equals(body.subarray(2, 10)));
    const parts = await ask('/plain.txt', 'br', { Range: 'bytes=0-1,4-5' });
    assert.ok(parts.body.includes(body.subarray(4, 6)));
    const whole = await ask('/plain.txt', 'identity', { Range: 'bytes=2-9', 'If-Range': etag });
    assert.equal(whole.status, 200);
    const unsatisfiable = await ask('/plain.txt', 'br', { Range: `bytes=${body.length}-` });
    assert.equal(unsatisfiable.headers['content-range'], `bytes */${body.length}`);
    const unmodified = await ask('/plain.txt', 'br', { 'If-None-Match': etag });
    assert.equal(unmodified.headers.vary, 'Accept-Encoding');
    assert.equal(unmodified.headers['content-encoding'], undefined);
  });

  it('a new version is compressed anew', async () => {
    assert.equal(decoded(await askEncoded('/changing.txt', 'br')), kText);
    const other = kText.replaceAll('line', 'page');
    tree.write('changing.new', other);
    renameSync(tree.path('changing.new'), tree.path('changing.txt'));
    await until('the new version', async () => {
      const answer = await ask('/changing.txt', 'br');
      const text = decoded(answer);
      assert.ok(text === kText || text === other);
      return text === other && answer.headers['content-encoding'] === 'br';
    });
  });

  it('a sibling that appears later is sent, one that goes is not', async () => {
    assert.equal(decoded(await askEncoded('/dir.txt', 'gzip')), kText);
    tree.write('dir.txt.gz', 'a sibling');
    await until('the sibling', async () => (await ask('/dir.txt', 'gzip')).body.toString() === 'a sibling');
    renameSync(tree.path('dir.txt.gz'), tree.path('elsewhere'));
    await until('the file', async () => {
      const answer = await ask('/dir.txt', 'gzip');
      return answer.body.toString() !== 'a sibling' && decoded(answer) === kText;
    });
  });

  it('a client that asks for other codings each time gets what it asks for', async () => {
    for (let i = 0; i < 600; i++) {
      const { headers } = await ask('/app.js', `gzip;q=0.${i + 100}`);
      assert.equal(headers['content-encoding'], 'gzip');
    }
  });

  it('HTTP/1.0 may ask as well', async () => {
    const client = new RawClient(server).send('GET /app.js HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n');
    assert.match((await client.closed()).toString(), /\r\nContent-Encoding: gzip\r\n[^]*stands for gzip$/);
  });

  describe('with bounds', () => {
    it('--compress-bytes 0 and --no-precompressed send files as they are', async () => {
      const other = await start(tree.root, '--compress-bytes', '0', '--no-precompressed');
      for (const target of ['/plain.txt', '/app.js']) {
        const answer = await get(other, target, { headers: { 'Accept-Encoding': kBrowser } });
        assert.equal(answer.headers['content-encoding'], undefined);
        assert.equal(answer.headers.vary, undefined);
        assert.equal(answer.body.toString(), kText);
      }
      await stop(other);
    });

    it('what is compressed is kept within --compress-bytes, and made anew', async () => {
      const noise = (seed: number): string => {
        let text = '';
        for (let state = seed; text.length < 20_000; state = state * 48_271 % 0x7fff_ffff) text += `${state} `;
        return text;
      };
      const folder = new Tree(Object.fromEntries(
        Array.from({ length: 12 }, (_, i) => [`${i}.txt`, noise(i + 1)])));
      const other = await start(folder.root, '--status', '--compress-bytes', '40K');
      const status = async (): Promise<{ bytes: number; bytesMax: number; evictions: number; jobs: number }> => {
        const { body } = await get(other, '/.flash-lite/status');
        return (JSON.parse(body.toString()) as { compression: Awaited<ReturnType<typeof status>> }).compression;
      };
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 12; i++) {
          await until('the file to be compressed', async () => {
            const answer = await get(other, `/${i}.txt`, { headers: { 'Accept-Encoding': 'gzip' } });
            assert.equal(decoded(answer), noise(i + 1));
            return answer.headers['content-encoding'] === 'gzip';
          });
          const { bytes, bytesMax } = await status();
          assert.ok(bytes > 0 && bytes <= bytesMax, `${bytes} of ${bytesMax}`);
        }
      }
      assert.ok((await status()).evictions >= 12);
      await stop(other);
      folder.remove();
    });

    it('what does not fit --compress-bytes is not compressed for ever, but sent as it is', async () => {
      const kBytes = 1_000_000;
      const noise = (seed: number): string => {
        const numbers: number[] = [];
        for (let state = seed; numbers.length < kBytes / 8; state = state * 48_271 % 0x7fff_ffff) numbers.push(state);
        return numbers.join(' ').slice(0, kBytes);
      };
      const texts = Array.from({ length: 20 }, (_, i) => noise(i + 1));
      const folder = new Tree(Object.fromEntries(texts.map((text, i) => [`${i}.txt`, text])));
      const other = await start(folder.root, '--status', '--compress-bytes', '1M');
      const codings: (string | undefined)[] = [];
      for (const [i, text] of texts.entries()) {
        const answer = await get(other, `/${i}.txt`, { headers: { 'Accept-Encoding': 'gzip' } });
        assert.equal(decoded(answer), text);
        codings.push(answer.headers['content-encoding']);
      }
      const { body } = await get(other, '/.flash-lite/status');
      const { compression } = JSON.parse(body.toString()) as
        { compression: { bytes: number; bytesMax: number; encoded: number; declined: number; jobs: number } };
      assert.ok(compression.declined > 0, codings.join());
      assert.ok(compression.encoded + compression.jobs < texts.length - 1);
      assert.ok(compression.bytes <= compression.bytesMax);
      assert.ok(codings.includes(undefined));
      await stop(other);
      folder.remove();
    });
  });
});
