// What Flash-Lite answers to well-formed requests for files and directories.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';

import { RawClient, exchange, get, getStatus } from './support/client';
import { start, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: files', () => {
  const big = patterned(9_000_001, 1);
  const html = '<!doctype html><title>x</title>';
  let tree: Tree;
  let server: Server;

  before(() => {
    tree = new Tree({
      'index.html': html, 'a.txt': 'hello\n', 'empty.txt': '', 'style.css': 'a{}', 'app.js': '1',
      'app.mjs': '2', 'data.json': '{}', 'logo.svg': '<svg/>', 'photo.jpg': 'j', 'x.wasm': 'w',
      'noextension': 'n', 'strange.qqqq': 'q', 'sub/index.html': 'sub', 'sub/b.txt': 'b',
      'bare/c.txt': 'c', 'a b.txt': 'space', 'grün.txt': 'umlaut', '100%.txt': 'percent',
      'a+b&c.txt': 'plus', "quo'te\".txt": 'quote', 'q?.txt': 'question', 'big.bin': big,
      'UPPER.TXT': 'upper',
    });
    mkdirSync(tree.path('list/inner'), { recursive: true });
  });

  after(async () => {
    await stopPrograms();
    tree.remove();
  });

  describe('Flash-Lite serves files', () => {
    before(async () => { server = await start(tree.root); });
    after(async () => { assert.equal((await stop(server)).code, 0); });

    const kText = 'text/plain; charset=utf-8';
    const kBinary = 'application/octet-stream';
    const files: [target: string, type: string, body: string | Buffer][] = [
      ['/', 'text/html; charset=utf-8', html],
      ['/index.html', 'text/html; charset=utf-8', html],
      ['/a.txt', kText, 'hello\n'],
      ['/a.txt?x=1&y=/../..', kText, 'hello\n'],
      ['/a.txt?', kText, 'hello\n'],
      ['/empty.txt', kText, ''],
      ['/UPPER.TXT', kText, 'upper'],
      ['/style.css', 'text/css; charset=utf-8', 'a{}'],
      ['/app.js', 'text/javascript; charset=utf-8', '1'],
      ['/app.mjs', 'text/javascript; charset=utf-8', '2'],
      ['/data.json', 'application/json; charset=utf-8', '{}'],
      ['/logo.svg', 'image/svg+xml', '<svg/>'],
      ['/photo.jpg', 'image/jpeg', 'j'],
      ['/x.wasm', 'application/wasm', 'w'],
      ['/noextension', kBinary, 'n'],
      ['/strange.qqqq', kBinary, 'q'],
      ['/sub/', 'text/html; charset=utf-8', 'sub'],
      ['/sub/b.txt', kText, 'b'],
      ['/a%20b.txt', kText, 'space'],
      ['/gr%C3%BCn.txt', kText, 'umlaut'],
      ['/gr%c3%bcn.txt', kText, 'umlaut'],
      ['/100%25.txt', kText, 'percent'],
      ['/a+b&c.txt', kText, 'plus'],
      ['/a%2Bb%26c.txt', kText, 'plus'],
      ['/quo%27te%22.txt', kText, 'quote'],
      ['/q%3F.txt', kText, 'question'],
      ['/%61.txt', kText, 'hello\n'],
      ['/big.bin', kBinary, big],
    ];
    for (const [target, type, body] of files) {
      it(`GET ${target}, cold and hot, is the file`, async () => {
        for (let round = 0; round < 2; round++) {
          const answer = await get(server, target);
          assert.equal(answer.status, 200);
          assert.equal(answer.headers['content-type'], type);
          assert.equal(answer.headers['content-length'], String(Buffer.byteLength(body)));
          assert.equal(answer.headers['x-content-type-options'], 'nosniff');
          assert.equal(answer.headers['accept-ranges'], 'bytes');
          assert.equal(answer.headers['server'], 'flash-lite');
          assert.match(answer.headers.etag ?? '', /^"[\x21\x23-\x7e]+"$/);
          assert.ok(Math.abs(Date.parse(answer.headers.date ?? '') - Date.now()) < 60_000);
          assert.ok(answer.body.equals(Buffer.from(body)), 'other bytes');
        }
      });

      it(`HEAD ${target} is the same without the bytes`, async () => {
        const [whole, head] = [await get(server, target), await get(server, target, { method: 'HEAD' })];
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
        const { date: _, ...expected } = whole.headers;
        const { date: __, ...received } = head.headers;
        assert.deepEqual(received, expected);
      });
    }

    const refused: [target: string, status: number][] = [
      ['/nothing', 404], ['/sub/nothing.txt', 404], ['/nothing/', 404], ['/a.txt/', 404],
      ['/a.txt/b', 404], ['/bare/', 404], ['/.flash-lite/status', 404], [`/${'x'.repeat(300)}`, 404],
    ];
    for (const [target, status] of refused) {
      it(`GET ${target.slice(0, 40)} is ${status} with a text`, async () => {
        const answer = await get(server, target);
        assert.equal(answer.status, status);
        assert.match(answer.body.toString(), new RegExp(`^${status} `));
        const head = await get(server, target, { method: 'HEAD' });
        assert.equal(head.status, status);
        assert.equal(head.body.length, 0);
      });
    }

    const redirects: [target: string, location: string][] = [
      ['/sub', '/sub/'], ['/sub?a=b?c', '/sub/?a=b?c'], ['/bare', '/bare/'], ['/%73ub', '/%73ub/'],
    ];
    for (const [target, location] of redirects) {
      it(`GET ${target} leads to ${location}`, async () => {
        const answer = await get(server, target);
        assert.equal(answer.status, 301);
        assert.equal(answer.headers.location, location);
      });
    }

    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE']) {
      it(`${method} is 405 and says what is allowed`, async () => {
        const answer = await get(server, '/a.txt', { method });
        assert.equal(answer.status, 405);
        assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
      });
    }

    it('OPTIONS says what is allowed', async () => {
      const answer = await get(server, '/a.txt', { method: 'OPTIONS' });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
      assert.equal(answer.headers['content-length'], undefined);
    });

    it('a body that nobody asked for does not become the next request', async () => {
      const body = 'GET /sub/b.txt HTTP/1.1\r\nHost: x\r\n\r\n';
      const text = await exchange(server,
        `POST /a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
        'GET /noextension HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      assert.match(text, /^HTTP\/1\.1 405 /);
      assert.ok(!text.includes('Content-Length: 1\r\nb'), text);
      assert.equal(text.match(/HTTP\/1\.1 200 /g)?.length ?? 0, text.endsWith('\r\n\r\nn') ? 1 : 0);
    });

    it('pipelined requests are answered in their order, hot, cold and refused alike', async () => {
      const targets = ['/a.txt', '/nothing', '/sub', '/sub/', '/photo.jpg', '/a.txt', '/big.bin', '/x.wasm'];
      const text = targets.map((target, index) => {
        const connection = index === targets.length - 1 ? 'Connection: close\r\n' : '';
        return `GET ${target} HTTP/1.1\r\nHost: x\r\n${connection}\r\n`;
      }).join('');
      const received = await exchange(server, text);
      const statuses = [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
      assert.deepEqual(statuses, [200, 404, 301, 200, 200, 200, 200, 200]);
      assert.ok(received.includes(big.toString('latin1')));
      assert.ok(received.endsWith('\r\n\r\nw'));
    });

    it('a connection stays open for the next request, and closes when asked', async () => {
      const client = new RawClient(server).send('GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n');
      await until('the first answer', () => client.received.includes('hello\n'));
      client.send('GET /style.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      const received = (await client.closed()).toString('latin1');
      assert.equal(received.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
    });

    it('HTTP/1.0 gets its file and a closed connection', async () => {
      const text = await exchange(server, 'GET /a.txt HTTP/1.0\r\n\r\n');
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
      assert.ok(text.endsWith('\r\n\r\nhello\n'));
    });

    it('an absolute target is served by its path', async () => {
      const request = 'GET http://host/a.txt HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n';
      assert.ok((await exchange(server, request)).endsWith('\r\n\r\nhello\n'));
    });

    it('curl gets the same bytes', function () {
      const result = spawnSync('curl', ['-sf', `${server.url}/big.bin`], { maxBuffer: 1 << 27 });
      if (result.error !== undefined) this.skip();  // There is no curl here.
      assert.equal(result.status, 0);
      assert.ok(result.stdout.equals(big));
    });
  });

  describe('Flash-Lite lists directories with --listing', () => {
    let page = '';
    before(async () => {
      for (const name of ['list/b.txt', 'list/a.txt', 'list/.hidden', 'list/<b>&"\'.txt', 'list/ü .txt']) {
        tree.write(name, 'x'.repeat(7));
      }
      symlinkSync('/etc', tree.path('list/outside'));
      symlinkSync('nowhere', tree.path('list/dangling'));
      symlinkSync('a.txt', tree.path('list/link.txt'));
      server = await start(tree.root, '--listing');
      page = (await get(server, '/list/')).body.toString();
    });
    after(() => stop(server));

    it('as HTML, for GET and HEAD', async () => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await get(server, '/list/', { method });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8');
        assert.equal(answer.headers['content-length'], String(Buffer.byteLength(page)));
      }
    });

    it('directories first, then by name, each of them served under its link', async () => {
      const links = [...page.matchAll(/href="(\.[^"]*)"/g)].map((match) => match[1] as string);
      assert.deepEqual(links, [
        '../', './inner/', "./%3Cb%3E%26%22'.txt", './a.txt', './b.txt', './link.txt', './%C3%BC%20.txt',
      ]);
      for (const link of links.slice(1)) {
        assert.equal((await get(server, `/list/${link.slice(2)}`)).status, 200, link);
      }
    });

    it('with escaped names, sizes and dates', () => {
      assert.ok(page.includes('&lt;b&gt;&amp;&quot;&#39;.txt</a><td><data value="7" title="7 bytes">7 B</data><td>20'), page);
      assert.ok(!page.includes('<b>'));
    });

    it('without what is not served', () => {
      for (const name of ['hidden', 'outside', 'dangling']) assert.ok(!page.includes(name), name);
    });

    it('but an index file comes first, and the root has no parent', async () => {
      assert.equal((await get(server, '/sub/')).body.toString(), 'sub');
      const other = await start(tree.path('list'), '--listing');
      assert.ok(!(await get(other, '/')).body.includes('../'));
      await stop(other);
    });

    it('also with files from a time that no Date can say', async () => {
      const folder = mkdtempSync('/dev/shm/flash-lite-');  // tmpfs knows such times.
      writeFileSync(`${folder}/late.txt`, 'x');
      utimesSync(`${folder}/late.txt`, 9e12, 9e12);
      const other = await start(folder, '--listing');
      const answer = await get(other, '/');
      await stop(other);
      rmSync(folder, { recursive: true });
      assert.equal(answer.status, 200);
      assert.match(answer.body.toString(), /late\.txt/);
    });
  });

  describe('the status page', () => {
    before(async () => { server = await start(tree.root, '--status'); });
    after(() => stop(server));

    it('counts requests, cache hits, misses and copies by reason', async () => {
      const first = await getStatus(server);
      await get(server, '/a.txt');
      await get(server, '/a.txt');
      const second = await getStatus(server);
      assert.equal(second.requests - first.requests, 3);
      assert.equal(second.resources.entries, 1);
      assert.equal(second.cache.entries, 1);
      assert.ok(second.cache.bytes >= 6);
      assert.ok(second.cache.hits > first.cache.hits);
      assert.ok(second.cache.misses > first.cache.misses);
      assert.ok('write' in second.copies);
      assert.equal(second.connections, 1);
    });
  });
});
