// Answers of Node's http server, Express and Fastify with bytes of the window.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Aggregate, FileCache, type CachedFile } from 'io-lite';
import {
  expressReplies, fastifyReplies, replyWith, type ReplyBody, type ReplyOptions,
} from 'io-lite/http';

import { checkHolds } from '../support/holds';
import { assertSame, copiesFromNow, countingBytes, portOf, slicesOf } from '../streams/world';

// Why so: neither has types that fit a project without the DOM.
const load = createRequire(__filename);

type Answer = (reply: (body: ReplyBody, options?: ReplyOptions) => Promise<boolean>) => Promise<unknown>;

interface Running {
  readonly port: number;
  /** What answers went wrong with. */
  readonly failures: unknown[];
  close(): Promise<void>;
}

interface Replying {
  replyWith(body: ReplyBody, options?: ReplyOptions): Promise<boolean>;
}

async function closeServer(server: http.Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

/** The same server in each house: it answers every request by `answer`. */
const houses: Record<string, (answer: Answer) => Promise<Running>> = {
  'Node http': async (answer) => {
    const failures: unknown[] = [];
    const server = http.createServer((_request, response) => {
      answer((body, options) => replyWith(response, body, options)).catch((error: unknown) => {
        failures.push(error);
        if (!response.headersSent) response.writeHead(500).end();
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return { port: portOf(server), failures, close: () => closeServer(server) };
  },
  Express: async (answer) => {
    const failures: unknown[] = [];
    const express = load('express') as () => {
      (request: http.IncomingMessage, response: http.ServerResponse): void;
      use(...handlers: unknown[]): void;
    };
    const app = express();
    app.use(expressReplies());
    app.use((_request: unknown, response: Replying) =>
      answer((body, options) => response.replyWith(body, options)));
    app.use((error: unknown, _q: unknown, response: http.ServerResponse, _next: unknown) => {
      failures.push(error);
      if (!response.headersSent) response.writeHead(500).end();
    });
    const server = http.createServer(app);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return { port: portOf(server), failures, close: () => closeServer(server) };
  },
  Fastify: async (answer) => {
    const failures: unknown[] = [];
    const fastify = load('fastify') as (options: object) => {
      server: http.Server;
      register(plugin: unknown): void;
      all(route: string, handler: (request: unknown, reply: Replying) => unknown): void;
      setErrorHandler(handler: (error: unknown, request: unknown, reply: unknown) => unknown): void;
      listen(options: object): Promise<unknown>;
      close(): Promise<void>;
    };
    const app = fastify({ forceCloseConnections: true });
    app.register(fastifyReplies);
    app.all('/*', (_request, reply) => answer((body, options) => reply.replyWith(body, options)));
    app.setErrorHandler((error, _request, reply) => {
      failures.push(error);
      return (reply as { code(status: number): { send(): unknown } }).code(500).send();
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    return { port: portOf(app.server), failures, close: () => app.close() };
  },
};

for (const [house, start] of Object.entries(houses)) {
  describe(`replies of ${house}`, () => {
    let folder: string;
    let cache: FileCache;
    let running: Running | undefined;
    let answer: Answer;
    checkHolds();

    beforeEach(() => {
      folder = mkdtempSync(path.join(tmpdir(), `iol-reply-${process.pid}-`));
      cache = new FileCache({ checkIntervalMs: 0 });
    });

    // After each test, before checkHolds() looks.
    async function serving(play: (ask: typeof fetch, port: number) => Promise<void>): Promise<void> {
      running = await start((reply) => answer(reply));
      const { port, failures } = running;
      try {
        await play((target, init) => fetch(`http://127.0.0.1:${port}${target as string}`, init), port);
      } finally {
        await running.close();
        cache.close();
        rmSync(folder, { recursive: true });
      }
      assert.deepEqual(failures, []);
    }

    async function fileOf(bytes: Uint8Array, name = 'page.html'): Promise<CachedFile> {
      writeFileSync(path.join(folder, name), bytes);
      return cache.open(path.join(folder, name));
    }

    it('sends an aggregate from where its bytes lie', async () => {
      const bytes = slicesOf(20, 20_000);
      const expected = bytes.toBuffer();
      let outcome: boolean | undefined;
      answer = async (reply) => {
        const copies = copiesFromNow();
        const headers = { 'Content-Type': 'application/x-counting', 'X-Tag': ['a', 'b'] };
        outcome = await reply(bytes, { status: 201, headers });
        assert.deepEqual(copies(), {});
      };
      await serving(async (ask) => {
        const response = await ask('/');
        assert.equal(response.status, 201);
        assert.equal(response.headers.get('content-length'), String(expected.length));
        assert.equal(response.headers.get('content-type'), 'application/x-counting');
        assert.equal(response.headers.get('x-tag'), 'a, b');
        assertSame(new Uint8Array(await response.arrayBuffer()), expected);
      });
      assert.equal(outcome, true);
      bytes.dispose();
    });

    it('answers a cached file like a file server: whole, HEAD, conditions, ranges', async () => {
      const bytes = countingBytes(3 << 20);
      const file = await fileOf(bytes);
      answer = (reply) => reply(file);
      await serving(async (ask) => {
        const ok = await ask('/');
        assertSame(new Uint8Array(await ok.arrayBuffer()), bytes);
        assert.equal(ok.headers.get('content-type'), 'text/html; charset=utf-8');
        assert.equal(ok.headers.get('accept-ranges'), 'bytes');
        const modified = ok.headers.get('last-modified')!;
        const table: [RequestInit, number, number, Record<string, string | null>?][] = [
          [{ method: 'HEAD' }, 200, 0, { 'content-length': String(bytes.length) }],
          [{ headers: { 'If-None-Match': `"x", ${file.etag}` } }, 304, 0, { etag: file.etag, 'content-type': null }],
          [{ headers: { 'If-Modified-Since': modified } }, 304, 0],
          [{ headers: { 'If-Match': '"x"' } }, 412, 0],
          [{ headers: { Range: 'bytes=5-14' } }, 206, 10, { 'content-range': `bytes 5-14/${bytes.length}` }],
          [{ headers: { Range: 'bytes=-1200000' } }, 206, 1_200_000],
          [{ headers: { Range: 'bytes=0-0, 1-1' } }, 206, 2],
          [{ headers: { Range: 'bytes=0-0, 9-9' } }, 200, bytes.length],
          [{ headers: { Range: 'bytes=0-0', 'If-Range': '"x"' } }, 200, bytes.length],
          [{ headers: { Range: 'bytes=0-0', 'If-Range': file.etag } }, 206, 1],
          [{ headers: { Range: `bytes=${bytes.length}-` } }, 416, 0, { 'content-range': `bytes */${bytes.length}` }],
          [{ method: 'POST', headers: { Range: 'bytes=0-0' } }, 200, bytes.length],
        ];
        for (const [init, status, length, headers = {}] of table) {
          const response = await ask('/', init);
          const body = new Uint8Array(await response.arrayBuffer());
          assert.deepEqual([response.status, body.length], [status, length], JSON.stringify(init));
          for (const [name, value] of Object.entries(headers)) {
            assert.equal(response.headers.get(name), value, JSON.stringify(init));
          }
          const first = Number(/bytes (\d+)/.exec(response.headers.get('content-range') ?? '')?.[1] ?? 0);
          assertSame(body, bytes.subarray(first, first + length));
        }
      });
      file.close();
    });

    it('keeps one connection through answers with and without bodies', async () => {
      using text = Aggregate.from('text');
      const bodies: ReplyBody[] = [text, null, text];
      answer = (reply) => reply(bodies.shift()!);
      await serving(async (_ask, port) => {
        const client = connect(port, '127.0.0.1').setEncoding('latin1');
        const one = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
        client.write(one + one.replace('1.1\r\n', '1.1\r\nX: y\r\n') + one.replace('1.1\r\n', '1.1\r\nConnection: close\r\n'));
        let received = '';
        for await (const chunk of client) received += String(chunk);
        const lengths = [...received.matchAll(/content-length: (\d+)/gi)].map(([, length]) => length);
        assert.deepEqual(lengths, ['4', '0', '4']);
        assert.match(received, /text$/);
      });
    });

    it('is told false when the client leaves, and holds nothing', async () => {
      const bytes = slicesOf(32, 1 << 20);
      let settle: (outcome: boolean) => void;
      const outcome = new Promise<boolean>((resolve) => (settle = resolve));
      answer = async (reply) => settle(await reply(bytes));
      await serving(async (_ask, port) => {
        const client = connect(port, '127.0.0.1');
        client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await once(client, 'readable');
        client.resetAndDestroy();
        assert.equal(await outcome, false);
      });
      bytes.dispose();
    });

    it('leaves the response as it was when nothing was sent: the error page is clean', async () => {
      const file = await fileOf(countingBytes(1 << 16));
      truncateSync(path.join(folder, 'page.html'), 10);
      answer = (reply) => reply(file, { headers: { 'X-Gone': 'yes' } });
      let failure: unknown;
      await serving(async (ask) => {
        const response = await ask('/');
        assert.equal(response.status, 500);
        assert.equal(response.headers.get('etag'), null);
        assert.equal(response.headers.get('x-gone'), null);
        failure = running!.failures.pop();
      });
      assert.equal((failure as { code?: string }).code, 'ERR_IOL_FILE_CHANGED');
      file.close();
    });

    it('refuses what is no body before anything is sent', async () => {
      answer = (reply) => reply('text' as unknown as Aggregate);
      await serving(async (ask) => {
        assert.equal((await ask('/')).status, 500);
        const failure = running!.failures.pop() as { code?: string };
        assert.equal(failure.code, 'ERR_INVALID_ARG_TYPE');
      });
    });
  });
}
