// Every status that says no, provoked over the wire: by whom it is answered, GET and HEAD, with the
// operator's page and without, Allow and its like, and whether the connection lives on.
import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { STATUS_CODES } from 'node:http';

import { RawClient, get, getStatus } from './support/client';
import { start, stopPrograms, stop, until, type Server } from './support/flash-lite';
import { rawAnswers } from './support/responses';
import { Tree } from './support/tree';

interface Row {
  status: number;
  what: string;
  /** Begins with GET where HEAD makes sense, too. */
  request: string;
  /** The connection ends with the answer. */
  ends: boolean;
  headers?: Record<string, string>;
}

const fields = 'Host: x\r\n';
const ask = (target: string, more = ''): string => `GET ${target} HTTP/1.1\r\n${fields}${more}\r\n`;
const long = (bytes: number): string => 'y'.repeat(bytes);
const allow = { allow: 'GET, HEAD, OPTIONS' };

const rows: readonly Row[] = [
  { status: 400, what: 'a bad escape', request: ask('/%zz'), ends: false },
  { status: 400, what: 'a bare LF', request: `GET / HTTP/1.1\n${fields}\r\n`, ends: true },
  { status: 400, what: 'no Host', request: 'GET / HTTP/1.1\r\n\r\n', ends: true },
  { status: 403, what: 'a dotfile', request: ask('/.secret'), ends: false },
  { status: 404, what: 'nothing there', request: ask('/none'), ends: false },
  { status: 405, what: 'a POST to a file', request: `POST /a.txt HTTP/1.1\r\n${fields}Content-Length: 2\r\n\r\nhi`, ends: false, headers: allow },
  { status: 405, what: 'a DELETE of a file', request: `DELETE /a.txt HTTP/1.1\r\n${fields}\r\n`, ends: false, headers: allow },
  { status: 408, what: 'half a head', request: `GET /a.txt HTTP/1.1\r\nHo`, ends: true },
  { status: 412, what: 'a precondition', request: ask('/a.txt', 'If-Match: "other"\r\n'), ends: false },
  { status: 413, what: 'a body that is too long', request: `POST /cgi/echo HTTP/1.1\r\n${fields}Content-Length: 2000000\r\n\r\n`, ends: true },
  { status: 414, what: 'a long target', request: ask(`/${long(9000)}`), ends: true },
  { status: 416, what: 'a range behind the end', request: `GET /a.txt HTTP/1.1\r\n${fields}Range: bytes=9-\r\n\r\n`, ends: false, headers: { 'content-range': 'bytes */1' } },
  { status: 417, what: 'an unknown expectation', request: ask('/a.txt', 'Expect: miracles\r\n'), ends: true },
  { status: 431, what: 'a long header', request: ask('/a.txt', `X: ${long(20_000)}\r\n`), ends: true },
  { status: 431, what: 'too many headers', request: ask('/a.txt', 'X: y\r\n'.repeat(101)), ends: true },
  { status: 500, what: 'a program that leads in circles', request: ask('/cgi/circle'), ends: false },
  { status: 501, what: 'a method of its own', request: `BREW /a.txt HTTP/1.1\r\n${fields}\r\n`, ends: false },
  { status: 501, what: 'a transfer coding', request: ask('/a.txt', 'Transfer-Encoding: gzip, chunked\r\n'), ends: true },
  { status: 502, what: 'a program without a head', request: ask('/cgi/mute'), ends: false },
  { status: 503, what: 'a worker that does not come', request: ask('/app/x'), ends: false },
  { status: 504, what: 'a program that does nothing', request: ask('/cgi/sleep'), ends: false },
  { status: 505, what: 'HTTP/3.0', request: `GET / HTTP/3.0\r\n${fields}\r\n`, ends: true },
];
const statuses = [...new Set(rows.map(({ status }) => status))];

const programs: Record<string, string> = {
  echo: 'cat > /dev/null; printf "Content-Type: text/plain\\r\\n\\r\\nread"',
  circle: 'printf "Location: /cgi/circle\\r\\n\\r\\n"',
  mute: 'exit 0',
  sleep: 'exec sleep 60',
};

describe('Flash-Lite: what it refuses', function () {
  this.timeout(20_000);
  let tree: Tree;
  before(() => {
    tree = new Tree({
      'www/a.txt': 'a', 'www/.secret': 's',
      ...Object.fromEntries(statuses.map((status) => [`www/pages/${status}.html`, `<p>page for ${status}`])),
      ...Object.fromEntries(Object.entries(programs).map(([name, text]) => [`cgi/${name}`, `#!/bin/sh\n${text}\n`])),
    });
    for (const name of Object.keys(programs)) chmodSync(tree.path(`cgi/${name}`), 0o755);
  });
  after(async () => {
    await stopPrograms();
    tree.remove();
  });

  const serve = (...options: string[]): Promise<Server> => start(tree.path('www'),
    '--dotfiles', 'deny', '--body-max-bytes', '1M', '--cgi', `/cgi=${tree.path('cgi')}`, '--cgi-timeout-ms', '1000',
    '--app', `/app=${tree.path('none.mjs')}`, '--app-start-timeout-ms', '400', '--head-timeout-ms', '400',
    '--status', '--error-log', tree.path('error.log'), ...options);
  const pages = statuses.flatMap((status) => ['--error-page', `${status}=/pages/${status}.html`]);

  for (const [kind, options] of [['a text', []], ['the operator\'s page', pages]] as const) {
    describe(`answered with ${kind}`, () => {
      let server: Server;
      before(async () => { server = await serve(...options); });
      after(() => stop(server));

      for (const row of rows) {
        const methods = row.request.startsWith('GET') && row.status !== 416 ? ['GET', 'HEAD'] : [''];
        it(`${row.status} for ${row.what}${methods.length > 1 ? ', GET and HEAD' : ''}`, async () => {
          await Promise.all(methods.map((method) => check(row, method)));
        });
      }

      async function check({ status, request, ends, headers = {} }: Row, method: string): Promise<void> {
        const isHead = method === 'HEAD';
        const first = isHead ? request.replace('GET', 'HEAD') : request;
        const client = new RawClient(server).send(first);
        // Half a head must stay one; a second request would be taken for the rest of a body.
        if (status !== 408 && status !== 413) client.send(ask('/a.txt', 'Connection: close\r\n'));
        const [answer, next, ...more] = rawAnswers(await client.closed(), (index) => isHead && index === 0);
        assert.ok(answer, 'an answer');
        assert.equal(more.length, 0);
        assert.equal(answer.status, status);
        assert.ok(answer.head.startsWith(`HTTP/1.1 ${status} ${STATUS_CODES[status]!.replace('Payload', 'Content')}\r\n`), answer.head);
        assert.equal(answer.headers['connection'], ends ? 'close' : 'keep-alive');
        assert.deepEqual([next?.status, next?.body.toString()], ends ? [undefined, undefined] : [200, 'a']);
        assert.equal(answer.headers['server'], 'flash-lite');
        assert.match(answer.headers['date'] ?? '', / GMT$/);
        for (const [name, value] of Object.entries(headers)) assert.equal(answer.headers[name], value, name);
        if (status !== 405) assert.equal(answer.headers['allow'], undefined);
        const hasPage = options.length > 0;
        assert.equal(answer.headers['content-type'], `text/${hasPage ? 'html' : 'plain'}; charset=utf-8`);
        const length = Number(answer.headers['content-length']);
        assert.equal(answer.body.length, isHead ? 0 : length);
        if (hasPage) assert.equal(length, `<p>page for ${status}`.length);
        if (!isHead) assert.match(answer.body.toString(), hasPage ? /^<p>page for (\d+)$/ : /^(\d+) [A-Z][A-Za-z ]+\n$/);
        if (!isHead) assert.ok(answer.body.includes(String(status)));
      }
    });
  }

  describe('a body', () => {
    let server: Server;
    before(async () => { server = await serve(); });
    after(() => stop(server));
    const bodies: [what: string, fields: string, body: string, isDropped: boolean][] = [
      ['with a length', 'Content-Length: 5\r\n', 'hello', true],
      ['in chunks', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n', true],
      ['that is asked for first', 'Content-Length: 5\r\nExpect: 100-continue\r\n', '', false],
      ['that is too long', 'Content-Length: 2000000\r\n', 'hello', false],
      ['in chunks that are none', 'Transfer-Encoding: chunked\r\n', 'zz\r\n', false],
    ];
    const methods: [method: string, status: number][] = [
      ['GET', 200], ['HEAD', 200], ['OPTIONS', 204], ['POST', 405], ['PUT', 405], ['PATCH', 405], ['DELETE', 405],
      ['TRACE', 405], ['BREW', 501],
    ];
    for (const [what, more, body, isDropped] of bodies) {
      it(`${what} is ${isDropped ? 'dropped' : 'no request, and ends the connection'}, whatever the method`, async () => {
        for (const [method, status] of methods) {
          const client = new RawClient(server).send(`${method} /a.txt HTTP/1.1\r\n${fields}${more}\r\n${body}`);
          client.send(ask('/a.txt', 'Connection: close\r\n'));
          const answers = rawAnswers(await client.closed(), (index) => index === 0 && method === 'HEAD');
          assert.deepEqual(answers.map((answer) => answer.status), isDropped ? [status, 200] : [status], method);
        }
      });
    }
  });

  it('pages of what the connections refuse change with SIGHUP, and one that is missing is told', async () => {
    tree.write('c.yaml', 'root: www\nerror-page:\n  "431": /pages/431.html\n  "505": /pages/none.html\n');
    const server = await serve('--config', tree.path('c.yaml'));
    const refused = async (request: string): Promise<string> =>
      rawAnswers(await new RawClient(server).send(request).closed())[0]?.body.toString() ?? '';
    const tooLong = ask('/', `X: ${long(20_000)}\r\n`);
    assert.equal(await refused(tooLong), '<p>page for 431');
    assert.match(await refused('GET / HTTP/3.0\r\n\r\n'), /^505 /);
    await until('the word of it', () => /c\.yaml:3:3: error-page: 505: \/pages\/none\.html is no file below .*\n/.test(
      readFileSync(tree.path('error.log'), 'utf8')));
    tree.write('www/pages/431.html', 'another');
    server.program.child.kill('SIGHUP');
    await until('the new page', async () => await refused(tooLong) === 'another');
    tree.write('c.yaml', 'root: www\n');
    server.program.child.kill('SIGHUP');
    await until('no page', async () => (await refused(tooLong)).startsWith('431 '));
    tree.write('www/pages/431.html', '<p>page for 431');
    await stop(server);
  });

  it('who was refused or cut is in the error log, by address and reason, and in the metrics', async () => {
    const log = tree.path('told.log');
    const server = await serve('--error-log', log, '--connections-max', '3', '--send-timeout-ms', '400');
    tree.write('www/big.bin', Buffer.alloc(16 << 20));
    const metric = async (name: string): Promise<number> => {
      const text = (await get(server, '/.flash-lite/metrics')).body.toString();
      return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.slice(name.length + 1));
    };
    const lines = async (wanted: RegExp): Promise<void> =>
      until(`a line like ${String(wanted)}`, () => wanted.test(readFileSync(log, 'utf8')));
    const bad = new RawClient(server).send('GET /\n');
    let port: number | undefined;
    bad.socket.once('connect', () => (port = bad.socket.localPort));
    await bad.closed();
    await lines(new RegExp(`^\\S+Z flash-lite: 127\\.0\\.0\\.1 port ${port} was refused: a line ends with LF alone \\(400\\)$`, 'm'));
    assert.equal(await metric('flash_lite_refused_total{reason="malformed"}'), 1);
    await new RawClient(server).send('GET / HT').closed();
    await lines(/ 127\.0\.0\.1 port \d+ was cut: its request did not come in time \(408\)$/m);
    assert.equal(await metric('flash_lite_timeouts_total{waiting_for="head"}'), 1);
    const reader = new RawClient(server);
    reader.socket.pause();
    reader.send(ask('/big.bin'));
    await lines(/ 127\.0\.0\.1 port \d+ was cut: it did not take its answer in time$/m);
    assert.equal(await metric('flash_lite_timeouts_total{waiting_for="send"}'), 1);
    reader.destroy();
    const idle = [0, 1, 2, 3].map(() => new RawClient(server));
    await lines(/ flash-lite: nobody more is accepted until a connection ends$/m);
    for (const client of idle) client.destroy();
    await until('the metrics again', async () => await metric('flash_lite_accept_pauses_total') >= 1);
    // Many of one kind leave ten lines a second, and the number of those that were left out.
    const begun = Date.now();
    for (let round = 0; round < 30; round++) {
      await Promise.all([0, 1].map(() => new RawClient(server).send('GET / HTTP/3.0\r\n\r\n').closed()));
    }
    const told = readFileSync(log, 'utf8').split('\n').filter((line) => line.includes('(505)')).length;
    assert.ok(told >= 10 && told <= 10 * (2 + (Date.now() - begun) / 1000), `${told} lines`);
    assert.equal(await metric('flash_lite_refused_total{reason="malformed"}'), 61);
    await stop(server);
  });

  it('those who do not read are cut when too much waits, and the others get theirs', async () => {
    const server = await serve('--queued-max-bytes', '8M');
    const content = Buffer.alloc(3 << 20, 'q');
    tree.write('www/three.bin', content);
    const http = async (): Promise<Record<string, number>> =>
      ((await getStatus(server)) as unknown as { http: Record<string, number> }).http;
    const readers = Array.from({ length: 12 }, () => {
      const client = new RawClient(server);
      client.socket.pause();
      return client.send(ask('/three.bin'));
    });
    // At most three of them fit, and one more when the sockets take much.
    await until('the others to be cut', async () => (await http())['queueCuts']! >= 8);
    const { bytesQueued = NaN } = await http();
    assert.ok(bytesQueued <= 8 << 20, `${bytesQueued} bytes wait`);
    assert.ok((await get(server, '/three.bin')).body.equals(content));
    for (const reader of readers) reader.destroy();
    await until('nothing to wait', async () => (await http())['bytesQueued'] === 0);
    await until('a line', () => /was cut: too much waits for clients that do not read/.test(
      readFileSync(tree.path('error.log'), 'utf8')));
    await stop(server);
  });
});
