// CgiGateway: programs answer requests; whatever they do, the next request is served and nothing leaks.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { stats, Window } from 'io-lite';
import { CgiGateway, type CgiGatewayOptions, type CgiTarget } from 'io-lite/cgi';
import type { HttpServerOptions } from 'io-lite/http';

import { bodiesOf, get, httpWorld, settled, type Peer } from '../http/http-world';
import { isRunning, openPipes, ProgramFolder } from './programs';

/** Bodies of the answers in `text`, their chunked coding removed. */
function decodedBodies(text: string): string[] {
  return text.split(/(?=HTTP\/1\.1 \d)/).map((answer) => {
    const [head = '', ...rest] = answer.split('\r\n\r\n');
    let coded = rest.join('\r\n\r\n');
    if (!head.includes('Transfer-Encoding: chunked')) return coded;
    let body = '';
    for (let match = /^([\da-f]+)\r\n/.exec(coded); match !== null && match[1] !== '0'; match = /^([\da-f]+)\r\n/.exec(coded)) {
      const from = match[0].length;
      const to = from + parseInt(match[1]!, 16);
      body += coded.slice(from, to);
      coded = coded.slice(to + 2);
    }
    return body;
  });
}

const type = 'Content-Type: text/plain\\n';

describe('CgiGateway', () => {
  const folder = new ProgramFolder();
  after(() => folder.remove());
  let gateway: CgiGateway | undefined;
  let redirects: (string | undefined)[] = [];
  let lines: string[] = [];
  // After the first test: the library opens a few for ever.
  let descriptors = Infinity;

  const world = httpWorld();
  afterEach(async () => {
    await settled(() => gateway === undefined || gateway.stats().running === 0);
    await gateway?.close();
    gateway = undefined;
    await settled(() => openPipes() <= descriptors);
    if (descriptors === Infinity) descriptors = openPipes();
  });

  interface Served { ask(text: string): Peer }
  const serve = async (
    program: string, { target = {}, options = {}, server = {} }: {
      target?: Partial<CgiTarget>; options?: CgiGatewayOptions; server?: HttpServerOptions;
    } = {},
  ): Promise<Served> => {
    redirects = [];
    lines = [];
    gateway = new CgiGateway({ log: (line) => lines.push(line), ...options });
    const whole = { program, scriptName: '/s', pathInfo: '', ...target };
    await world.listen((request) => {
      void gateway!.answer(request, whole).then((next) => redirects.push(next));
    }, server);
    return {
      ask: (text) => {
        const peer = world.connect();
        peer.socket.write(text, 'latin1');
        return peer;
      },
    };
  };
  const whenDone = (count = 1): Promise<void> => settled(() => redirects.length >= count);
  /** The whole answer to one request on a connection of its own. */
  const fetchOnce = async (served: Served, text: string): Promise<string> => {
    const peer = served.ask(text);
    await peer.untilClosed();
    await whenDone();
    return peer.text;
  };
  const close = 'Connection: close\r\n';

  it('gives the program all meta-variables, and its answer to the client', async () => {
    const program = folder.shell('env', `printf '${type}X-Own: 1\\n\\n'; env; pwd; echo "args:$#"`);
    const served = await serve(program, {
      target: {
        scriptName: '/s ä', pathInfo: '/in fo', documentRoot: '/doc',
        environment: { EXTRA: 'é=1', QUERY_STRING: 'not this', SCRIPT_FILENAME: '/other' },
      },
    });
    const text = await fetchOnce(served, get('/s?a=b+c', 'X-Dash-Y: 1\r\nX_Under: no\r\nProxy: evil\r\n' +
      `Cookie: a=1\r\nCookie: b=2\r\nX-Dash-Y: 2\r\nAuthorization: Basic x\r\n${close}`));
    assert.match(text, /^HTTP\/1.1 200 OK\r\nContent-Type: text\/plain\r\nX-Own: 1\r\n/);
    const variables = new Map(decodedBodies(text)[0]!.split('\n').map((line) => {
      const [name = '', ...value] = Buffer.from(line, 'latin1').toString().split('=');
      return [name, value.join('=')];
    }));
    const wanted = {
      GATEWAY_INTERFACE: 'CGI/1.1', PATH_INFO: '/in fo', PATH_TRANSLATED: '/doc/in fo',
      QUERY_STRING: 'a=b+c', REMOTE_ADDR: '127.0.0.1', REMOTE_HOST: '127.0.0.1', REQUEST_METHOD: 'GET',
      SCRIPT_NAME: '/s ä', SERVER_NAME: 'a', SERVER_PORT: `${world.server.port}`, SERVER_PROTOCOL: 'HTTP/1.1',
      REQUEST_URI: '/s?a=b+c', DOCUMENT_ROOT: '/doc', SCRIPT_FILENAME: '/other', REDIRECT_STATUS: '200',
      HTTP_X_DASH_Y: '1, 2', HTTP_COOKIE: 'a=1; b=2', HTTP_AUTHORIZATION: 'Basic x', EXTRA: 'é=1', HTTP_HOST: 'a',
    };
    for (const [name, value] of Object.entries(wanted)) assert.equal(variables.get(name), value, name);
    for (const name of ['HTTP_PROXY', 'HTTP_X_UNDER', 'HTTP_CONNECTION', 'CONTENT_LENGTH', 'CONTENT_TYPE']) {
      assert.ok(!variables.has(name), name);
    }
    assert.match(variables.get('SERVER_SOFTWARE')!, /^io-lite\/\d/);
    assert.ok(variables.has(path.dirname(program)), 'its own folder is the working directory');
    assert.ok(variables.has('args:0'), 'the query is no argument');
  });

  // Whether an answer has a length or comes in chunks depends on when the program ends.
  const heads: [output: string, head: RegExp, body: string][] = [
    ['Content-Type: a/b\\n\\nbody', /^HTTP\/1.1 200 OK\r\nContent-Type: a\/b\r\n/, 'body'],
    ['Content-Type: a/b\\r\\n\\r\\nbody', /^HTTP\/1.1 200 OK\r\n/, 'body'],
    ['Status: 404 Not Here\\nContent-Type: a/b\\n\\nno', /^HTTP\/1.1 404 Not Here\r\n/, 'no'],
    ['Status: 418\\n\\n', /^HTTP\/1.1 418 I.m a Teapot\r\n/, ''],
    ['Status: 204\\n\\nignored', /^HTTP\/1.1 204 No Content\r\n(?![^]*Content-Length)/, ''],
    ['Location: http://x/y\\n\\n', /^HTTP\/1.1 302 Found\r\nLocation: http:\/\/x\/y\r\n/, ''],
    ['Status: 301 Gone\\nLocation: /y\\n\\n', /^HTTP\/1.1 301 Gone\r\nLocation: \/y\r\n/, ''],
    ['Content-Type: a\\nContent-Length: 2\\n\\nab too much', /Content-Length: 2\r\n/, 'ab'],
    ['Content-Type: a\\nConnection: close\\nTransfer-Encoding: gzip\\nDate: never\\n\\nx', /^(?![^]*(gzip|never))/, 'x'],
    ['Content-Type: a\\n\\nHTTP-like: x', /^HTTP\/1.1 200 OK\r\n/, 'HTTP-like: x'],
  ];
  for (const [output, head, body] of heads) {
    it(`answers ${output}`, async () => {
      const served = await serve(folder.shell('head', `printf '${output}'`));
      const text = await fetchOnce(served, get('/', close));
      assert.match(text, head);
      assert.deepEqual(decodedBodies(text), [body]);
    });
  }

  const broken: [what: string, body: string, line: RegExp][] = [
    ['no output', 'exit 3', /ended without a head \(exit code 3\)/],
    ['a head without end', `printf '${type}'`, /ended without a head/],
    ['no head', `echo just text; echo; echo`, /malformed answer: its head has the line "just text"/],
    ['an empty head', 'echo; echo body', /begins with an empty line/],
    ['a head of nothing', 'printf "X: 1\\n\\n"', /no Content-Type, Location or Status/],
    ['a status line (nph)', 'printf "HTTP/1.1 200 OK\\n\\n"', /malformed/],
    ['a bad status', 'printf "Status: 99\\n\\n"', /its status is "99"/],
    ['two types', `printf '${type}${type}\\n'`, /2 content-type fields/],
    ['a bad length', `printf '${type}Content-Length: x\\n\\n'`, /Content-Length is "x"/],
    ['control characters', `printf '${type}X: a\\001b\\n\\n'`, /malformed/],
    ['a folded line', `printf '${type} more\\n\\n'`, /malformed/],
    ['an endless head', 'while :; do echo "X: 1234567890123456789012345678901234567890"; done', /no end/],
    ['a signal before its head', 'kill -9 $$', /ended without a head \(SIGKILL\)/],
  ];
  for (const [what, body, line] of broken) {
    it(`answers 502 to ${what}, and the next request`, async () => {
      const served = await serve(folder.shell('broken', body));
      const peer = served.ask(get('/'));
      await peer.until(() => peer.text.endsWith('502 Bad Gateway\n'));
      await whenDone();
      assert.match(lines.join('\n'), line);
      peer.socket.write(get('/'));
      await peer.until(() => peer.text.split('502 Bad Gateway\n').length === 3);
      await whenDone(2);
    });
  }

  for (const [what, file] of [['is missing', '/nowhere/x'], ['is no program', __filename]] as const) {
    it(`answers 502 when the program ${what}`, async () => {
      const served = await serve(file);
      assert.match(await fetchOnce(served, get('/', close)), /^HTTP\/1.1 502 /);
      assert.match(lines.join(), /could not be started/);
    });
  }

  it('answers 504 when the program does nothing, and ends it and its children', async () => {
    const pids = path.join(folder.root, 'pids');
    const program = folder.shell('hangs', `trap '' TERM; sleep 1000 & echo $$ $! > ${pids}; wait; sleep 1000`);
    const served = await serve(program, { options: { timeoutMs: 300, killDelayMs: 50 } });
    assert.match(await fetchOnce(served, get('/', close)), /^HTTP\/1.1 504 /);
    const [shell = 0, child = 0] = readFileSync(pids, 'latin1').trim().split(' ').map(Number);
    await settled(() => !isRunning(shell) && !isRunning(child));
    assert.match(lines.join(), /did nothing for 300 ms/);
  });

  const cuts: [what: string, end: string, line: RegExp][] = [
    ['is killed', 'kill -9 $$', /was ended in its answer \(SIGKILL\)/],
    ['hangs', 'sleep 1000', /did nothing for 300 ms/],
    ['ends before its length', 'exit 0', /ended 1 bytes too early/],
  ];
  for (const [what, end, line] of cuts) {
    it(`cuts the connection when the program ${what} in the middle of its answer`, async () => {
      const length = what.startsWith('ends') ? 'Content-Length: 200001\\n' : '';
      const program = folder.shell('cut', `printf '${type}${length}\\n'; head -c 200000 /dev/zero; ${end}`);
      const served = await serve(program, { options: { timeoutMs: 300 } });
      for (let i = 1; i <= 2; i++) {
        const peer = served.ask(get('/'));
        await peer.untilClosed();
        await whenDone(i);
        assert.match(peer.text, /^HTTP\/1.1 200 OK\r\n/);
        assert.ok(!peer.text.endsWith('0\r\n\r\n'), 'the answer is not complete');
        assert.match(lines[i - 1]!, line);
      }
    });
  }

  it('copies output once, out of its pipe', async () => {
    const program = folder.shell('big', `printf '${type}\\n'; head -c 3000000 /dev/zero | tr '\\0' x`);
    const served = await serve(program);
    const before = stats().copies;
    const text = await fetchOnce(served, get('/', close));
    assert.equal(decodedBodies(text)[0]!.length, 3_000_000);
    const copied = Object.entries(stats().copies).map(([reason, { bytes }]) =>
      [reason, bytes - before[reason]!.bytes] as const).filter(([, bytes]) => bytes > 0);
    const { pipeIn, ...others } = Object.fromEntries(copied);
    assert.equal(pipeIn, 3_000_000 + 'Content-Type: text/plain\n\n'.length);
    // Heads, chunk sizes and what curls around them: nothing of the body.
    for (const [reason, bytes] of Object.entries(others)) assert.ok(bytes < 20_000, `${reason}: ${bytes}`);
  });

  it('sends what is there while the program still runs', async () => {
    const flag = path.join(folder.root, 'flag');
    const program = folder.shell('slow', `printf '${type}\\nfirst'; while [ ! -e ${flag} ]; do sleep 0.02; done; echo second`);
    const served = await serve(program);
    const peer = served.ask(get('/'));
    await peer.until(() => peer.text.includes('5\r\nfirst\r\n'));
    writeFileSync(flag, '');
    await peer.until(() => peer.text.endsWith('7\r\nsecond\n\r\n0\r\n\r\n'));
    await whenDone();
  });

  it('answers HEAD without the body', async () => {
    const served = await serve(folder.shell('head', `printf '${type}Content-Length: 4\\n\\nbody'`));
    const text = await fetchOnce(served, `HEAD / HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    assert.match(text, /^HTTP\/1.1 200 OK\r\n[^]*Content-Length: 4\r\n[^]*\r\n\r\n$/);
  });

  it('tells the caller of a local redirect, who goes on with it', async () => {
    const program = folder.shell('local', 'printf "Location: /other?x=1\\n\\n"');
    gateway = new CgiGateway();
    const target = { program, scriptName: '/s', pathInfo: '' };
    const show = folder.shell('show', `printf '${type}\\n'; echo "$REQUEST_METHOD $QUERY_STRING [$CONTENT_LENGTH]"`);
    await world.listen((request) => void (async () => {
      const next = await gateway!.answer(request, target);
      assert.equal(next, '/other?x=1');
      await gateway!.answer(request, { ...target, program: show }, next);
    })());
    const peer = world.connect();
    peer.socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx`);
    await peer.until(() => peer.text.includes('GET x=1 []\n'));
    await settled(() => gateway!.stats().running === 0);
  });

  it('hands stderr to the log, line by line, and nothing that could forge one', async () => {
    const program = folder.shell('errors', `printf '${type}\\n'; printf 'one\\ntwo \\033[2J\\r\\nlast' >&2`);
    const served = await serve(program);
    await fetchOnce(served, get('/', close));
    assert.deepEqual(lines, ['errors: one', 'errors: two ?[2J', 'errors: last']);
  });

  describe('gives the program the body', () => {
    const echo = `printf '${type}\\n'; echo "[$CONTENT_LENGTH] [$CONTENT_TYPE]"; cat`;
    const post = (body: string, fields: string): string =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\n${close}${fields}\r\n${body}`;

    it('with its length, also when it came in chunks', async () => {
      const served = await serve(folder.shell('echo', echo));
      const asks: [text: string, answer: string][] = [
        [post('plain', 'Content-Length: 5\r\n'), '[5] [x/y]\nplain'],
        [post('4\r\nsome\r\n7\r\n chunks\r\n0\r\n\r\n', 'Transfer-Encoding: chunked\r\n'), '[11] [x/y]\nsome chunks'],
        [post('', 'Content-Length: 0\r\n'), '[0] [x/y]\n'],
        [post('', ''), '[] []\n'],
      ];
      for (const [i, [text, wanted]] of asks.entries()) {
        const peer = served.ask(text);
        await peer.untilClosed();
        await whenDone(i + 1);
        assert.match(peer.text, /^HTTP\/1.1 200 /);
        assert.equal(decodedBodies(peer.text)[0], wanted);
      }
    });

    it('while it arrives', async () => {
      const served = await serve(folder.shell('echo', echo));
      const peer = served.ask(post('first', 'Content-Length: 10\r\n'));
      await peer.until(() => peer.text.includes('first'));
      peer.socket.write('last.');
      await peer.untilClosed();
      await whenDone();
      assert.ok(peer.text.includes('last.'));
    });

    it('unless it does not read it', async () => {
      const served = await serve(folder.shell('deaf', `exec <&-; printf '${type}\\n'; echo done`));
      const peer = served.ask(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1e6)}`);
      await peer.until(() => peer.text.includes('done\n'));
      await whenDone();
      peer.socket.write(get('/'));
      await peer.until(() => bodiesOf(peer.text).length === 2);
      await whenDone(2);
    });

    for (const [status, text, server] of [
      [413, post('', 'Content-Length: 11\r\n'), { bodyBytesMax: 10 }],
      [413, post('b\r\n01234567890\r\n0\r\n\r\n', 'Transfer-Encoding: chunked\r\n'), { bodyBytesMax: 10 }],
      [400, post('zz\r\n', 'Transfer-Encoding: chunked\r\n'), {}],
      [408, post('', 'Content-Length: 1\r\n'), { bodyTimeoutMs: 30 }],
      [408, post('a', 'Content-Length: 2\r\n'), { bodyTimeoutMs: 30 }],
    ] as const) {
      it(`or answers ${status}: ${text.slice(text.indexOf(close) + close.length).replaceAll('\r\n', ' ')}`, async () => {
        const served = await serve(folder.shell('cat', `cat > /dev/null; printf '${type}\\n'`), { server });
        assert.match(await fetchOnce(served, text), new RegExp(`^HTTP/1.1 ${status} `));
      });
    }
  });

  it('ends the program when the client has left', async () => {
    const file = path.join(folder.root, 'pid');
    const program = folder.shell('forever', `echo $$ > ${file}; printf '${type}\\n'; echo x; exec sleep 1000`);
    const served = await serve(program);
    const peer = served.ask(get('/'));
    await peer.until(() => peer.text.includes('x\n'));
    const pid = Number(readFileSync(file, 'latin1'));
    peer.socket.resetAndDestroy();
    await settled(() => !isRunning(pid));
    await whenDone();
    assert.deepEqual(lines, []);
  });

  it('runs so many at a time, lets so many wait, and refuses the others', async () => {
    const flag = path.join(folder.root, 'go');
    const program = folder.shell('waits', `while [ ! -e ${flag} ]; do sleep 0.02; done; printf '${type}\\n'; echo done`);
    const served = await serve(program, { options: { programsMax: 1, queueMax: 1 } });
    const first = served.ask(get('/', close));
    await settled(() => gateway!.stats().running === 1);
    const second = served.ask(get('/', close));
    await settled(() => gateway!.stats().waiting === 1);
    const third = served.ask(get('/', close));
    await third.untilClosed();
    assert.match(third.text, /^HTTP\/1.1 503 /);
    writeFileSync(flag, '');
    for (const peer of [first, second]) {
      await peer.untilClosed();
      assert.ok(peer.text.includes('done\n'));
    }
    await whenDone(3);
    assert.equal(gateway!.stats().refused, 1);
  });

  it('starts another launcher when it was killed; what it ran is lost', async () => {
    const file = path.join(folder.root, 'lost-pids');
    const program = folder.shell('lost', `
      [ -e ${file} ] || { sleep 1000 & echo $$ $! > ${file}; echo waits >&2; wait; }
      printf '${type}\\n'; echo again`);
    const served = await serve(program);
    const lost = served.ask(get('/', close));
    // What it says is read when it is known to run.
    await settled(() => lines.includes('lost: waits'));
    const { launcherPid = 0 } = gateway!.stats();
    process.kill(launcherPid, 'SIGKILL');
    await lost.untilClosed();
    assert.match(lost.text, /^HTTP\/1.1 502 /);
    const [shell = 0, child = 0] = readFileSync(file, 'latin1').trim().split(' ').map(Number);
    await settled(() => !isRunning(shell) && !isRunning(child));
    const next = served.ask(get('/', close));
    await next.untilClosed();
    assert.ok(next.text.includes('again\n'));
    assert.notEqual(gateway!.stats().launcherPid, launcherPid);
    await whenDone(2);
  });

  it('never runs a program twice for a request, when the launcher dies before it has told', async () => {
    const file = path.join(folder.root, 'once-pids');
    const served = await serve(folder.shell('once', `echo $$ >> ${file}; exec sleep 1000`));
    const peer = served.ask(get('/', close));
    await settled(() => gateway!.stats().runs === 1);
    // This thread hears nothing of the launcher until it is dead.
    const clock = new Int32Array(new SharedArrayBuffer(4));
    while (!existsSync(file) || readFileSync(file).length === 0) Atomics.wait(clock, 0, 0, 1);
    process.kill(gateway!.stats().launcherPid!, 'SIGKILL');
    await peer.untilClosed();
    await whenDone();
    assert.match(peer.text, /^HTTP\/1.1 502 /);
    assert.match(readFileSync(file, 'latin1'), /^\d+\n$/);
    await settled(() => !isRunning(Number(readFileSync(file, 'latin1'))));
  });

  it('is not stopped by a full pool for long', async () => {
    const pool = Window.default().createPool({ name: 'cgi', maxBytes: 1 << 20 });
    const held = pool.allocate(1 << 19).seal();
    const more = pool.allocate(1 << 18).seal();
    const program = folder.shell('big', `printf '${type}\\n'; head -c 2000000 /dev/zero`);
    const served = await serve(program, { options: { pool } });
    const peer = served.ask(get('/', close));
    held.dispose();
    more.dispose();
    await peer.untilClosed();
    await whenDone();
    assert.ok(peer.text.endsWith('0\r\n\r\n'));
    pool.dispose();
  });

  it('closes: no more requests, and those that run are finished', async () => {
    const served = await serve(folder.shell('slow', `sleep 0.2; printf '${type}\\n'; echo done`));
    const peer = served.ask(get('/'));
    await settled(() => gateway!.stats().running === 1);
    const closing = gateway!.close();
    peer.socket.write(get('/'));
    await closing;
    await peer.until(() => bodiesOf(peer.text).length === 2);
    assert.match(peer.text, /done\n[^]*503 Service Unavailable\n$/);
  });

  it('refuses wrong arguments', async () => {
    assert.throws(() => new CgiGateway({ programsMax: 0 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new CgiGateway({ timeoutMs: 0 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new CgiGateway({ log: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => new CgiGateway({ pool: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    gateway = new CgiGateway();
    const target = { program: '/bin/true', scriptName: '/s', pathInfo: '' };
    await assert.rejects(gateway.answer({} as never, target), { code: 'ERR_INVALID_ARG_TYPE' });
    const wrong: Partial<CgiTarget>[] = [
      { program: 'relative' }, { pathInfo: 'a\0b' }, { environment: { 'A=B': '1' } }, { environment: { '': '1' } },
    ];
    let done = false;
    await world.listen((request) => void (async () => {
      for (const each of wrong) {
        await assert.rejects(gateway!.answer(request, { ...target, ...each }), { code: 'ERR_INVALID_ARG_VALUE' });
      }
      request.refuse(500);
      done = true;
    })());
    world.connect().socket.write(get('/'));
    await settled(() => done);
  });
});
