// io-lite/static: send, serveStatic and fastifyStatic. Upstream's own suites are run by hand: docs/static.md.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { FileCache } from 'io-lite';
import { fastifyStatic, send, serveStatic, StaticError, type SendOptions, type ServeStaticOptions } from 'io-lite/static';

import { checkHolds } from '../support/holds';
import { assertSame, copiesFromNow, countingBytes, portOf } from '../streams/world';

const load = createRequire(__filename);

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

/** Why no fetch: it would normalize the path. */
async function ask(port: number, target: string, headers = {}, method = 'GET'): Promise<Answer> {
  const request = http.request({ port, host: '127.0.0.1', path: target, headers, method, agent: false }).end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) };
}

describe('io-lite/static', () => {
  let folder: string;
  let cache: FileCache;
  const big = countingBytes(2_500_000);
  checkHolds();

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), `iol-static-${process.pid}-`));
    cache = new FileCache({ checkIntervalMs: 60_000 });
    mkdirSync(path.join(folder, 'dir'));
    mkdirSync(path.join(folder, '.well-known'));
    writeFileSync(path.join(folder, 'dir/index.html'), '<p>index');
    writeFileSync(path.join(folder, '.well-known/x.txt'), 'x');
    writeFileSync(path.join(folder, 'a.txt'), '0123456789');
    writeFileSync(path.join(folder, 'page.html'), '<p>page');
    writeFileSync(path.join(folder, 'big.bin'), big);
    symlinkSync('a.txt', path.join(folder, 'link.txt'));
  });

  async function serving(
    handler: http.RequestListener, play: (port: number) => Promise<void>,
  ): Promise<void> {
    const server = http.createServer(handler);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      await play(portOf(server));
    } finally {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      cache.close();
      rmSync(folder, { recursive: true });
    }
  }

  const sending = (options: SendOptions, play: (port: number) => Promise<void>): Promise<void> =>
    serving((request, response) => {
      send(request, request.url!, { root: folder, cache, ...options }).pipe(response);
    }, play);

  describe('send', () => {
    const table: [string, SendOptions, string, Record<string, string>, number, RegExp | string][] = [
      ['a file', {}, '/a.txt', {}, 200, '0123456789'],
      ['an index', {}, '/dir/', {}, 200, '<p>index'],
      ['no index', { index: false }, '/dir/', {}, 403, /Forbidden/],
      ['a directory', {}, '/dir', {}, 301, /Redirecting to \/dir\//],
      ['a directory of many slashes', {}, '//dir', {}, 301, /Redirecting to \/dir\//],
      ['an extension', { extensions: ['htm', 'html'] }, '/page', {}, 200, '<p>page'],
      ['a symbolic link', {}, '/link.txt', {}, 200, '0123456789'],
      ['a part', { start: 2, end: 4 }, '/a.txt', {}, 200, '234'],
      ['a range', {}, '/a.txt', { Range: 'bytes=-3' }, 206, '789'],
      ['a range of a part', { start: 2 }, '/a.txt', { Range: 'bytes=0-1' }, 206, '23'],
      ['a range out of the file', {}, '/a.txt', { Range: 'bytes=10-' }, 416, /Range Not Satisfiable/],
      ['no ranges', { acceptRanges: false }, '/a.txt', { Range: 'bytes=-3' }, 200, '0123456789'],
      ['a stale precondition', {}, '/a.txt', { 'If-Match': '"x"' }, 412, /Precondition Failed/],
      ['a hidden name', {}, '/.well-known/x.txt', {}, 404, /Not Found/],
      ['a denied name', { dotfiles: 'deny' }, '/.well-known/x.txt', {}, 403, /Forbidden/],
      ['an allowed name', { dotfiles: 'allow' }, '/.well-known/x.txt', {}, 200, 'x'],
      ['nothing', {}, '/none', {}, 404, /Not Found/],
      ['a file with a slash', {}, '/a.txt/', {}, 404, /Not Found/],
      ['a way out', {}, '/../a.txt', {}, 403, /Forbidden/],
      ['an encoded way out', {}, '/%2e%2e%2fa.txt', {}, 403, /Forbidden/],
      ['a bad escape', {}, '/%zz', {}, 400, /Bad Request/],
      ['NUL', {}, '/a%00.txt', {}, 400, /Bad Request/],
    ];
    for (const [what, options, target, headers, status, body] of table) {
      it(`answers ${what}: ${status}`, () => sending(options, async (port) => {
        const answer = await ask(port, target, headers);
        assert.equal(answer.status, status);
        if (typeof body === 'string') assert.equal(answer.body.toString(), body);
        else assert.match(answer.body.toString(), body);
        assert.equal(answer.headers['content-length'], String(answer.body.length));
      }));
    }

    it('sends what is in memory without a copy, and the file system is not asked', () => sending({}, async (port) => {
      assertSame((await ask(port, '/big.bin')).body, big);
      const copies = copiesFromNow();
      const { misses } = cache.stats();
      assertSame((await ask(port, '/big.bin')).body, big);
      assert.deepEqual(copies(), {});
      assert.equal(cache.stats().misses, misses);
    }));

    it('says how long it may be kept, what it is, and when it was changed', () => sending({ maxAge: '2 hours', immutable: true }, async (port) => {
      const { headers } = await ask(port, '/page.html');
      assert.equal(headers['cache-control'], 'public, max-age=7200, immutable');
      assert.equal(headers['content-type'], 'text/html; charset=utf-8');
      const again = await ask(port, '/page.html', { 'If-None-Match': headers.etag! });
      assert.equal(again.status, 304);
      assert.equal(again.headers['content-type'], undefined);
      assert.equal((await ask(port, '/page.html', { 'If-Modified-Since': headers['last-modified']! })).status, 304);
      const head = await ask(port, '/page.html', {}, 'HEAD');
      assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '7', 0]);
    }));

    it('tells its listeners: of files, headers, directories, errors and the end', async () => {
      const seen: string[] = [];
      await serving((request, response) => {
        send(request, request.url!, { root: folder, cache })
          .on('file', (name: string, stats: { size: number }) => seen.push(`file ${path.basename(name)} ${stats.size}`))
          .on('headers', (res: http.ServerResponse, _name: string, stats: { ctime: Date }) => {
            res.setHeader('X-Changed', stats.ctime.getTime());
          })
          .on('directory', (res: http.ServerResponse, name: string) => res.end(`directory ${path.basename(name)}`))
          .on('error', (error: StaticError) => response.writeHead(error.status).end(error.code))
          .on('end', () => seen.push('end'))
          .pipe(response);
      }, async (port) => {
        assert.ok(Number((await ask(port, '/a.txt')).headers['x-changed']) > 0);
        assert.equal((await ask(port, '/dir')).body.toString(), 'directory dir');
        const missing = await ask(port, '/none');
        assert.deepEqual([missing.status, missing.body.toString()], [404, 'ENOENT']);
      });
      assert.deepEqual(seen, ['file a.txt 10', 'end']);
    });

    it('refuses options that are none', () => {
      const request = {} as http.IncomingMessage;
      assert.throws(() => send(request, '/', { dotfiles: 'x' as 'deny' }), /dotfiles option must be/);
      assert.throws(() => send(request, '/', { index: [1] as unknown as string[] }), /index option must be/);
      assert.throws(() => send(request, '/', { cache: {} as FileCache }), { code: 'ERR_INVALID_ARG_TYPE' });
      cache.close();
      rmSync(folder, { recursive: true });
    });
  });

  describe('serveStatic', () => {
    const mounted = (options: ServeStaticOptions, play: (port: number) => Promise<void>): Promise<void> => {
      const express = load('express') as () => http.RequestListener & { use(...handlers: unknown[]): void };
      const app = express();
      app.use('/files', serveStatic(folder, { cache, ...options }));
      app.use((_request: unknown, response: http.ServerResponse) => response.writeHead(404).end('next'));
      app.use((error: StaticError, _q: unknown, response: http.ServerResponse, _next: unknown) =>
        response.writeHead(error.status).end(`error ${error.message}`));
      return serving(app, play);
    };

    it('serves below its mount in Express, and leaves the rest to the next handler', () => mounted({}, async (port) => {
      assert.equal((await ask(port, '/files/a.txt')).body.toString(), '0123456789');
      const redirect = await ask(port, '/files/dir?x=1');
      assert.deepEqual([redirect.status, redirect.headers.location], [301, '/files/dir/?x=1']);
      for (const [target, method] of [['/files/none', 'GET'], ['/files/a.txt', 'POST'], ['/files/..%2fa', 'GET']] as const) {
        assert.equal((await ask(port, target, {}, method)).body.toString(), 'next');
      }
    }));

    it('without fallthrough answers itself', () => mounted({ fallthrough: false, redirect: false }, async (port) => {
      assert.match((await ask(port, '/files/none')).body.toString(), /^error ENOENT/);
      const post = await ask(port, '/files/a.txt', {}, 'POST');
      assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD']);
      assert.equal((await ask(port, '/files/dir')).status, 404);
    }));
  });

  describe('fastifyStatic', () => {
    it('serves a folder and files in Fastify', async () => {
      const fastify = load('fastify') as (options: object) => {
        server: http.Server;
        register(plugin: unknown, options: object): void;
        get(route: string, handler: (request: unknown, reply: { [name: string]: (...args: unknown[]) => unknown }) => unknown): void;
        listen(options: object): Promise<unknown>;
        close(): Promise<void>;
      };
      const app = fastify({ forceCloseConnections: true });
      app.register(fastifyStatic, { root: [path.join(folder, 'dir'), folder], prefix: '/files', cache, dotfiles: 'ignore' });
      app.get('/one', (_request, reply) => reply['sendFile']!('a.txt'));
      app.get('/forgotten', (_request, reply) => void reply['sendFile']!('dir/../a.txt'));
      app.get('/stored', (_request, reply) => reply['download']!('a.txt', 'n\u00e4me.txt'));
      await app.listen({ port: 0, host: '127.0.0.1' });
      const port = portOf(app.server);
      const rows: [string, number, string][] = [
        ['/files/a.txt', 200, '0123456789'], ['/files/index.html', 200, '<p>index'], ['/files/', 200, '<p>index'],
        ['/files/none', 404, 'Route GET:/files/none not found'], ['/files/.well-known/x.txt', 404, 'not found'],
        ['/files/../a.txt', 403, 'Forbidden'], ['/files/dir%2findex.html', 404, 'not found'],
        ['/one', 200, '0123456789'], ['/forgotten', 403, 'Forbidden'],
      ];
      for (const [target, status, text] of rows) {
        const answer = await ask(port, target);
        assert.equal(answer.status, status, target);
        assert.ok(answer.body.toString().includes(text), `${target}: ${answer.body.toString()}`);
      }
      const stored = await ask(port, '/stored');
      assert.equal(stored.headers['content-disposition'], 'attachment; filename="n?me.txt"; filename*=UTF-8\'\'n%C3%A4me.txt');
      await app.close();
      cache.close();
      rmSync(folder, { recursive: true });
    });
  });
});
