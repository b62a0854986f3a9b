// What the program does wrong about an answer is its own to hear of; the client gets one all the same.
import assert from 'node:assert/strict';

import { Aggregate } from 'io-lite';
import { HttpServer, type RequestHandler } from 'io-lite/http';

import { runChild } from '../support/child';

describe('a request handler', () => {
  let server: HttpServer | undefined;
  afterEach(() => server?.destroy());

  async function statusWith(handler: RequestHandler): Promise<number> {
    server = await HttpServer.listen({}, handler);
    return (await fetch(`http://127.0.0.1:${server.port}/`)).status;
  }

  it('that rejects is answered 500, and the error is an unhandled rejection', async () => {
    const { stdout, stderr, code } = await runChild(`
      const { HttpServer } = require('io-lite/http');
      process.once('unhandledRejection', (error) => console.log('heard', error.message));
      (async () => {
        const server = await HttpServer.listen({}, async () => { throw new Error('boom'); });
        const reply = await fetch('http://127.0.0.1:' + server.port);
        console.log(reply.status);
        await server.close();
      })();
    `);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.trim().split('\n').sort(), ['500', 'heard boom']);
  });

  it('may return anything', async () => {
    using head = Aggregate.from('HTTP/1.1 204 No Content\r\n');
    assert.equal(await statusWith((request) => {
      setImmediate(() => request.respond(head));
      return 1 as unknown as undefined;
    }), 204);
  });

  it('that answers after an await is no error', async () => {
    using head = Aggregate.from('HTTP/1.1 204 No Content\r\n');
    assert.equal(await statusWith(async (request) => {
      await Promise.resolve();
      request.respond(head);
    }), 204);
  });

  for (const [what, text] of [
    ['without its last CRLF', 'HTTP/1.1 200 OK\r\nContent-Length: 0'],
    ['with the empty line', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['with an empty line inside', 'HTTP/1.1 200 OK\r\nX: a\r\n\r\nContent-Length: 0\r\n'],
    ['that begins with an empty line', '\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n'],
    ['with a line that LF alone ends', 'HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n'],
    ['with a CR in a value', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n'],
    ['with a line of blanks', 'HTTP/1.1 200 OK\r\n \t\r\nContent-Length: 0\r\n'],
    ['with two CRs', 'HTTP/1.1 200 OK\r\nX: a\r\r\nContent-Length: 0\r\n'],
    ['with a NUL', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n'],
    ['without a status line', 'Content-Length: 0\r\n'],
    ['that is empty', ''],
  ] as const) {
    it(`cannot answer with a head ${what}`, async () => {
      using head = Aggregate.from(text);
      const error = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /'head'/ };
      assert.equal(await statusWith((request) => {
        assert.throws(() => request.respond(head), error);
        assert.throws(() => request.start(head, 0), error);
        request.refuse(503);
      }), 503);
    });
  }

  it('finds a header by its name in any case', async () => {
    using head = Aggregate.from('HTTP/1.1 204 No Content\r\n');
    assert.equal(await statusWith((request) => {
      assert.equal(request.header('HOST'), request.header('host'));
      assert.match(request.header('Host')!, /^127/);
      request.respond(head);
    }), 204);
  });
});
