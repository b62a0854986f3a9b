// Answers and requests as sinks: by reference on a connection of their own, by value before that.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { connect, type Socket } from 'node:net';

import { iolWrite } from 'io-lite';

import { checkHolds } from '../support/holds';
import { assertSame, collect, copiesFromNow, listenersOf, portOf, slicesOf } from './world';

describe('iolWrite to an HTTP message', () => {
  checkHolds();

  async function answering(
    answer: (response: http.ServerResponse, request: http.IncomingMessage) => Promise<void>,
    ask: (port: number) => Promise<void>,
  ): Promise<void> {
    const failures: unknown[] = [];
    const server = http.createServer((request, response) => {
      answer(response, request).catch((error: unknown) => failures.push(error));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    await ask(portOf(server));
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    assert.deepEqual(failures, []);
  }

  it('is answered from where the bytes lie, chunked or with a length', async () => {
    const bytes = slicesOf(20, 20_000);
    const expected = bytes.toBuffer();
    await answering(
      async (response, request) => {
        if (request.url === '/length') response.setHeader('Content-Length', bytes.byteLength);
        const copies = copiesFromNow();
        await iolWrite(response, bytes);
        assert.deepEqual(copies(), {});
        response.end();
      },
      async (port) => {
        for (const target of ['/length', '/chunked']) {
          const response = await fetch(`http://127.0.0.1:${port}${target}`);
          assertSame(new Uint8Array(await response.arrayBuffer()), expected);
        }
      },
    );
    bytes.dispose();
  });

  it('whose client leaves in the middle rejects, and holds nothing', async () => {
    let ended: Promise<number>;
    await answering(
      async (response) => {
        using bytes = slicesOf(16, 1 << 20);
        ended = iolWrite(response, bytes);
        await assert.rejects(ended, { code: /^(ERR_|EPIPE|ECONNRESET)/ });
      },
      async (port) => {
        const request = http.get({ port, host: '127.0.0.1' });
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        response.on('error', () => {});
        await once(response, 'readable');
        request.destroy();
        await assert.rejects(ended);
      },
    );
  });

  it('that has no body, or whose turn has not come, is written by value', async () => {
    await answering(
      async (response) => {
        assert.equal(await iolWrite(response, 'not sent'), 8);
        response.end();
      },
      async (port) => {
        const request = http.request({ port, host: '127.0.0.1', method: 'HEAD' });
        request.end();
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        assert.equal(String(await collect(response)), '');
      },
    );
  });

  /** Asks for `/0` to `/${count - 1}` at once, on one connection; answers come in that order. */
  async function pipelining(
    count: number,
    play: (responses: http.ServerResponse[], client: Socket) => Promise<void>,
  ): Promise<void> {
    const responses: http.ServerResponse[] = [];
    const haveAll = new EventEmitter();
    await answering(
      (response) => {
        if (responses.push(response) === count) haveAll.emit('all');
        return Promise.resolve();
      },
      async (port) => {
        const client = connect(port, '127.0.0.1').on('error', () => {});
        const requests = Array.from({ length: count }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`);
        client.write(requests.join(''));
        await once(haveAll, 'all');
        await play(responses, client);
        client.destroy();
      },
    );
  }

  it('whose turn has not come rejects when the client leaves, and at once when it has left', async () => {
    await pipelining(3, async (responses, client) => {
      const [first, second, third] = responses as [http.ServerResponse, http.ServerResponse, http.ServerResponse];
      assert.equal(second.socket, null, 'its turn has not come');
      const before = listenersOf(first.socket!);
      const writes = [iolWrite(second, 'a'), iolWrite(second, 'b'), iolWrite(third, 'c')];
      assert.equal(first.socket!.listenerCount('close'), before['close']! + 1, 'one for all of them');
      client.resetAndDestroy();
      await Promise.all(writes.map((write) => assert.rejects(write, { code: 'ECONNRESET' })));
      await assert.rejects(iolWrite(third, 'd'), { code: /^(ECONNRESET|ERR_IOL_STREAM_CLOSED)$/ });
    });
  });

  it('whose turn comes is sent, and leaves the connection as it was', async () => {
    await pipelining(2, async ([first, second], client) => {
      const connection = first!.socket!;
      const before = listenersOf(connection);
      const received = collect(client);
      const writing = iolWrite(second!, 'second');
      first!.end('first');
      assert.equal(await writing, 6);
      assert.deepEqual(listenersOf(connection), before);
      second!.shouldKeepAlive = false;
      second!.end();
      client.end();
      assert.match(String(await received), /first[^]*second/);
    });
  });

  it('to a server goes out as the body of the request', async () => {
    const received: Promise<Buffer>[] = [];
    await answering(
      async (response, request) => {
        received.push(collect(request));
        await received[0];
        response.end();
      },
      async (port) => {
        const request = http.request({ port, host: '127.0.0.1', method: 'POST' });
        using bytes = slicesOf(3, 50_000);
        const writing = iolWrite(request, bytes);
        request.end();
        assert.equal(await writing, 150_000);
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        response.resume();
        assertSame(await received[0]!, bytes.toBuffer());
        await once(response, 'close');
      },
    );
  });
});
