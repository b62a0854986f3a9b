// What happens to a request while its own callback is still running.
import assert from 'node:assert/strict';
import net from 'node:net';

import { Aggregate } from 'io-lite';
import { HttpServer, type HttpRequest } from 'io-lite/http';

describe('HttpServer: events during a callback', () => {
  const kHead = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n';
  const head = Aggregate.from(kHead);
  const body = Aggregate.from('hello');
  let server: HttpServer | undefined;
  let socket: net.Socket | undefined;

  after(() => {
    head.dispose();
    body.dispose();
  });

  afterEach(() => {
    socket?.destroy();
    server?.destroy();
  });

  // Sends both requests in one piece, so that the second comes before the first is answered.
  async function pipeline(
    onSecond: (first: HttpRequest, second: HttpRequest) => void,
  ): Promise<void> {
    let first: HttpRequest | undefined;
    server = await HttpServer.listen({}, (request) => {
      if (first === undefined) first = request;
      else onSecond(first, request);
    });
    socket = net.connect(server.port, server.host).on('error', () => undefined).resume();
    socket.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
  }

  it('a write goes on when an earlier answer of the connection lets it out', async () => {
    await new Promise<void>((resolve, reject) => {
      void pipeline((first, second) => {
        second.start(head, 5);
        second.write(body).then(resolve, reject);
        first.respond(head, body);
      });
    });
  });

  it('a request whose connection is cut within its callback is not open, and stays so', async () => {
    const second = await new Promise<HttpRequest>((resolve) => {
      void pipeline((first, request) => {
        first.abort();
        resolve(request);
      });
    });
    assert.equal(second.isOpen, false);
    second.respond(head, body);
    await assert.rejects(second.write(body), { code: 'ERR_IOL_ABORTED' });
  });

  it('an answer that is begun for a client that has gone leaves the request not open', async () => {
    const isOpen = await new Promise<boolean>((resolve) => {
      void pipeline((first) => {
        socket?.resetAndDestroy();
        first.start(head, 5);
        resolve(first.isOpen);
      });
    });
    assert.equal(isOpen, false);
  });

  it('close() answers what a pipelining client has sent before', async () => {
    const targets: string[] = [];
    const own = await HttpServer.listen({ pipelineMax: 1 }, (request) => {
      targets.push(request.target);
      setImmediate(() => {
        request.respond(head, body);
        if (targets.length === 1) void own.close();
      });
    });
    const client = net.connect(own.port, own.host).resume();
    client.write('GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => client.once('close', resolve));
    assert.deepEqual(targets, ['/1', '/2']);
  });
});
