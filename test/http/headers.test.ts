// request.headers: what Node's own http makes of the same lines, as the oracle.
import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';

import type { HttpRequest } from 'io-lite/http';

import { answer, httpWorld, settled } from './http-world';

describe('HttpRequest.headers', () => {
  const world = httpWorld();
  let node: http.Server;
  let seen: http.IncomingHttpHeaders | undefined;
  before(async () => {
    node = http.createServer((request, response) => {
      seen = request.headers;
      response.end();
    });
    await new Promise<void>((resolve) => void node.listen(0, '127.0.0.1', resolve));
  });
  after(() => { node.close(); });

  const askNode = async (head: string): Promise<http.IncomingHttpHeaders> => {
    seen = undefined;
    const socket = net.connect((node.address() as AddressInfo).port, '127.0.0.1');
    socket.write(head, 'latin1');
    await settled(() => seen !== undefined);
    socket.destroy();
    return seen!;
  };
  const askUs = async (head: string): Promise<HttpRequest['headers']> => {
    let headers: HttpRequest['headers'] | undefined;
    await world.listen((request) => {
      headers = request.headers;
      assert.equal(request.headers, headers);
      answer(request, '');
      assert.equal(request.headers, headers);
    });
    world.connect().socket.write(head, 'latin1');
    await settled(() => headers !== undefined);
    return headers!;
  };

  const rows: [what: string, lines: string[]][] = [
    ['one of each, in any case', ['ACCEPT: a/b', 'x-Y: 1']],
    ['several of one name', ['Accept: a', 'X: 1', 'accept: b', 'x: ', 'X: 3']],
    ['cookies', ['Cookie: a=1', 'cookie: b=2']],
    ['a list of set-cookie', ['Set-Cookie: a=1', 'set-cookie: b=2']],
    ['those of which the first counts', [
      'User-Agent: a', 'User-Agent: b', 'Authorization: a', 'Authorization: b', 'Content-Type: a/a',
      'content-type: b/b', 'Referer: a', 'Referer: b', 'If-Modified-Since: a', 'If-Modified-Since: b', 'From: a',
      'From: b', 'Age: 1', 'Age: 2', 'ETag: 1', 'ETag: 2', 'Expires: 1', 'Expires: 2', 'Last-Modified: 1',
      'Last-Modified: 2', 'Location: 1', 'Location: 2', 'Max-Forwards: 1', 'Max-Forwards: 2',
      'Proxy-Authorization: 1', 'Proxy-Authorization: 2', 'Retry-After: 1', 'Retry-After: 2', 'Server: 1', 'Server: 2',
      'If-Unmodified-Since: 1', 'If-Unmodified-Since: 2',
    ]],
    ['bytes above ASCII', ['X: caf\xe9']],
    ['names of objects', ['constructor: b', 'toString: c', 'hasOwnProperty: d']],
    ['none but Host', []],
  ];
  for (const [what, lines] of rows) {
    it(`are Node's for ${what}`, async () => {
      const head = ['GET / HTTP/1.1', 'Host: h', ...lines, '', ''].join('\r\n');
      const [ours, nodes] = [await askUs(head), await askNode(head)];
      assert.deepEqual(Object.entries(ours), Object.entries(nodes));
      assert.equal(ours.host, 'h');
    });
  }

  it('have any name, also one that Node\'s object cannot have', async () => {
    const headers = await askUs('GET / HTTP/1.1\r\nHost: h\r\n__proto__: a\r\n\r\n');
    assert.deepEqual(Object.entries(headers), [['host', 'h'], ['__proto__', 'a']]);
  });

  it('are not there to be made once the request was answered', async () => {
    let failure: unknown;
    await world.listen((request) => {
      answer(request, '');
      try {
        assert.ok(request.headers);
      } catch (error) {
        failure = error;
      }
    });
    world.connect().socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await settled(() => failure !== undefined);
    assert.equal((failure as NodeJS.ErrnoException).code, 'ERR_IOL_CLOSED');
  });
});
