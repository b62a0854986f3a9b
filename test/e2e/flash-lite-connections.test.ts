// Which connections stay, and what may stand between two requests, as clients and other servers' suites have it.
import assert from 'node:assert/strict';

import { exchange, RawClient } from './support/client';
import { start, stop, stopPrograms, type Server } from './support/flash-lite';
import { Tree } from './support/tree';

describe('Flash-Lite: connections', () => {
  const last = 'GET /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  let tree: Tree;
  let server: Server;
  before(async () => {
    tree = new Tree({ 'a.txt': 'a' });
    server = await start(tree.root);
  });
  after(async () => {
    await stop(server);
    await stopPrograms();
    tree.remove();
  });

  const answersOf = (text: string): { status: number; connection: string }[] =>
    [...text.matchAll(/HTTP\/1\.1 (\d{3}) [^]*?\r\nConnection: ([^\r]*)\r\n/g)]
      .map(([, status, connection]) => ({ status: Number(status), connection: connection! }));

  const stays: [version: string, connection: string | undefined, stays: boolean][] = [
    ['1.1', undefined, true],
    ['1.1', 'keep-alive', true],
    ['1.1', 'close', false],
    ['1.1', 'CLOSE', false],
    ['1.1', '\tclose\t', false],
    ['1.1', 'x-foo,\tclose', false],
    ['1.1', ',close', false],
    ['1.1', 'close,,TE', false],
    ['1.1', 'close, ,TE', false],
    ['1.1', 'close, ', false],
    ['1.1', 'keep-alive, close', false],
    ['1.1', 'keep-alive\r\nConnection: close', false],
    ['1.1', 'x-close', true],
    ['1.1', 'closed', true],
    ['1.1', '', true],
    ['1.0', undefined, false],
    ['1.0', 'keep-alive', true],
    ['1.0', 'Keep-Alive', true],
    ['1.0', 'TE, keep-alive', true],
    ['1.0', 'close', false],
    ['1.0', 'keep-alive, close', false],
    ['1.0', 'x-keep-alive', false],
  ];
  for (const method of ['GET', 'HEAD']) {
    for (const [version, connection, isKept] of stays) {
      it(`${method} of HTTP/${version} with ${JSON.stringify(connection)} ${isKept ? 'stays' : 'ends'}`, async () => {
        const fields = connection === undefined ? '' : `Connection: ${connection}\r\n`;
        const text = await exchange(server, `${method} /a.txt HTTP/${version}\r\nHost: x\r\n${fields}\r\n${last}`);
        const closed = { status: 200, connection: 'close' };
        assert.deepEqual(answersOf(text), isKept ? [{ status: 200, connection: 'keep-alive' }, closed] : [closed]);
      });
    }
  }

  const between: [what: string, text: string, statuses: number[]][] = [
    ['nothing', '', [200, 200]],
    ['an empty line', '\r\n', [200, 200]],
    ['two empty lines', '\r\n\r\n', [200, 400]],
    ['an empty line that ends with LF alone', '\n', [200, 400]],
    ['white space', ' ', [200, 400]],
  ];
  for (const [what, text, statuses] of between) {
    it(`${what} between two requests`, async () => {
      const received = await exchange(server, `GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n${text}${last}`);
      assert.deepEqual(answersOf(received).map(({ status }) => status), statuses);
    });
  }

  it('a request in pieces, cut anywhere, is the same request', async () => {
    for (let at = 1; at < last.length; at++) {
      const client = new RawClient(server);
      client.socket.setNoDelay(true);
      client.send(last.slice(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      const received = (await client.send(last.slice(at)).closed()).toString('latin1');
      assert.match(received, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\na$/, `cut at ${at}`);
    }
  });

  it('who ends in the middle of a body that nobody wants is let go at once', async () => {
    const client = new RawClient(server).send('POST /a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345');
    client.socket.end();
    assert.equal(answersOf((await client.closed()).toString('latin1'))[0]?.status, 405);
  });
});
