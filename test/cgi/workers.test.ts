// Workers behind Flash-Lite: what they answer, and what becomes of the others when one goes wrong.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';

import { inspectWindows } from 'io-lite/inspect';

import { exchange, get, getStatus, RawClient, statusOf, type Answer, type Status } from '../e2e/support/client';
import {
  ready, repository, run, runFlashLite, start, stop, stopPrograms, until, type Server,
} from '../e2e/support/flash-lite';
import { Tree } from '../e2e/support/tree';

const workerModule = path.join(__dirname, 'worker.mjs');

interface WorkersStatus extends Status {
  apps: Record<string, { workers: number[]; running: number; waiting: number; restarts: number; refused: number }>;
}

interface WorkerStats {
  liveHolds: number;
  copies: Record<string, { bytes: number }>;
  windowBytes: number;
  left: number;
}

describe('workers', function () {
  this.timeout(30_000);
  let tree: Tree;
  let server: Server;

  const serve = async (...options: string[]): Promise<void> => {
    server = await start(tree.root, '--status', '--app', `/app=${workerModule}`, ...options);
  };
  const status = async (): Promise<WorkersStatus['apps'][string]> =>
    ((await getStatus(server)) as WorkersStatus).apps['/app']!;
  const ask = (action: string, options = {}): Promise<Answer> => get(server, `/app/${action}`, options);
  const text = async (action: string, options = {}): Promise<string> => (await ask(action, options)).body.toString();
  const workerStats = async (): Promise<WorkerStats> => JSON.parse(await text('stats')) as WorkerStats;
  /** Nothing is held for requests: what an idle server holds is the same each time. */
  const holds = async (): Promise<number> => (await getStatus(server)).memory.liveHolds;

  before(() => {
    tree = new Tree({ 'a.txt': 'a file' });
  });
  afterEach(stopPrograms);
  after(() => tree.remove());

  it('get the variables of CGI, headers and the target', async () => {
    await serve('--env', 'EXTRA=é');
    const headers = { 'X-A': '1', 'Proxy': 'evil' };
    const answer = await ask('env/p%20q?a=1', { headers });
    assert.equal(answer.headers['content-type'], 'text/plain');
    assert.equal(answer.headers['content-length'], `${answer.body.length}`);
    const variables = JSON.parse(answer.body.toString()) as Record<string, string>;
    const wanted = {
      GATEWAY_INTERFACE: 'CGI/1.1', SCRIPT_NAME: '/app', PATH_INFO: '/env/p q', QUERY_STRING: 'a=1', REQUEST_METHOD: 'GET',
      SERVER_PORT: `${server.port}`, SERVER_ADDR: '127.0.0.1', REMOTE_ADDR: '127.0.0.1', HTTP_X_A: '1', EXTRA: 'é',
      PATH_TRANSLATED: `${tree.root}/env/p q`, REQUEST_URI: '/app/env/p%20q?a=1', SERVER_PROTOCOL: 'HTTP/1.1',
    };
    for (const [name, value] of Object.entries(wanted)) assert.equal(variables[name], value, name);
    assert.equal(variables['HTTP_PROXY'], undefined);
    const raw = await exchange(server, 'GET http://h/app/facts?q HTTP/1.0\r\nHost: h\r\nX-a: 1\r\nx-A: 2\r\n\r\n');
    assert.ok(raw.endsWith(JSON.stringify(['GET', '/app/facts?q', 0, '1, 2', 6])), raw);
    const absolute = await exchange(server, 'GET http://other:77/app/env HTTP/1.0\r\nHost: h\r\n\r\n');
    const named = JSON.parse(absolute.slice(absolute.indexOf('\r\n\r\n'))) as Record<string, string>;
    assert.deepEqual([named['HTTP_HOST'], named['SERVER_NAME']], ['other:77', 'other']);
    const long = 'v'.repeat(5000);
    const facts = JSON.parse(await text('facts', { headers: { 'X-A': long } })) as unknown[];
    assert.equal(facts[3], long);
    await until('the worker\'s line', () => server.program.stderr.includes('worker.mjs: hello from a worker\n'));
  });

  it('answer with heads, bodies and files of their own', async () => {
    await serve();
    assert.equal((await ask('again')).body.toString(), 'again '.repeat(50_000));
    assert.equal((await ask('fresh?100000')).body.toString(), 'f'.repeat(100_000));
    assert.equal((await ask('empty')).status, 204);
    const head = await ask('head');
    assert.deepEqual([head.status, head.headers['set-cookie'], head.headers['x-long']], [203, ['a=1', 'b=2'], 'l'.repeat(3000)]);
    assert.equal(await text('file'), readFileSync(workerModule, 'utf8'));
    assert.equal((await ask('nothing')).status, 404);
    const none = await ask('again', { method: 'HEAD' });
    assert.deepEqual([none.headers['content-length'], none.body.length], ['300000', 0]);
    assert.equal((await get(server, '/a.txt')).body.toString(), 'a file');
    assert.equal((await get(server, '/application')).status, 404);
  });

  it('answer with more heads than the server remembers, each with its own', async () => {
    await serve();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const asked = [...Array(300).keys(), 0, 299, 43, 0, 44];
    const answers = await Promise.all(asked.map((number) => ask(`heads?${number}`, { agent })));
    agent.destroy();
    const got = answers.map(({ status: code, headers, body }) => [code, headers['x-head'], body.length]);
    assert.deepEqual(got, asked.map((number) => [200 + number % 3, `${number}`, number % 7]));
    assert.equal(await text('released'), 'ERR_IOL_CLOSED', 'and the request is still to be answered');
  });

  it('keep the connection for many requests', async () => {
    await serve('--app-workers', '2');
    await until('both workers', async () => (await status()).workers.length === 2);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const pids = await Promise.all(Array.from({ length: 200 }, () => text('pid', { agent })));
    agent.destroy();
    assert.equal(new Set(pids).size, 2);
    assert.equal((await getStatus(server)).connections, 1);
  });

  it('give bytes that nobody copies after they were sealed, and no new ones for the same answer', async () => {
    await serve();
    for (let i = 0; i < 50; i++) await Promise.all([text('again'), workerStats()]);  // Memory ahead of need.
    const [serverBefore, workerBefore] = [(await getStatus(server)).copies, await workerStats()];
    for (let i = 0; i < 50; i++) assert.equal((await ask('again')).body.length, 300_000);
    const workerAfter = await workerStats();
    for (const [reason, { bytes }] of Object.entries((await getStatus(server)).copies)) {
      assert.ok(bytes - serverBefore[reason]!.bytes < 50_000, `server: ${reason}`);  // Heads.
    }
    for (const [reason, { bytes }] of Object.entries(workerAfter.copies)) {
      assert.ok(bytes - workerBefore.copies[reason]!.bytes < 50_000, `worker: ${reason}`);
    }
    assert.equal(workerAfter.windowBytes, workerBefore.windowBytes);
    const beforeFresh = (await getStatus(server)).copies;
    assert.equal((await ask('fresh?3000000')).body.length, 3_000_000);
    const afterFresh = (await getStatus(server)).copies;
    for (const [reason, { bytes }] of Object.entries(afterFresh)) {
      assert.ok(bytes - beforeFresh[reason]!.bytes < 5000, `fresh: ${reason}`);
    }
  });

  it('get bodies as they arrive, and send them on without a copy', async () => {
    await serve();
    const body = 'b'.repeat(5_000_000);
    assert.equal(await text('echo', { method: 'POST', body }), body);
    assert.equal(await text('length', { method: 'POST', body, headers: { 'Transfer-Encoding': 'chunked' } }), `${body.length}`);
    const client = new RawClient(server).send('POST /app/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst');
    await until('the first part', () => client.received.includes('first'));
    client.send('last.');
    await until('the last part', () => client.received.includes('last.'));
    client.destroy();
    const { copies } = await getStatus(server);
    for (const [reason, { bytes }] of Object.entries(copies)) assert.ok(bytes < 300_000, `${reason}: ${bytes}`);
    const expects = new RawClient(server).send('POST /app/length HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
    await until('100 Continue', () => expects.received.includes('100 Continue'));
    expects.send('abc');
    await until('the answer', () => expects.received.toString().endsWith('\r\n\r\n3'));
    expects.destroy();
  });

  for (const [kind, pool] of [['own', 'bodies'], ['shared', 'shared']] as const) {
    it(`get bodies that were received once, in a pool of their ${kind === 'own' ? 'own' : 'server\'s choice'}`, async () => {
      interface Facts {
        received: [address: number, length: number][];
        pools: [name: string, allocations: number][];
        copies: Record<string, { bytes: number }>;
      }
      server = await ready(run(process.execPath, [path.join(__dirname, 'body-server.mjs'), workerModule, kind]));
      const facts = async (): Promise<Facts> => {
        const lines = server.program.stdout.split('\n').length;
        await get(server, '/facts');
        await until('the facts', () => server.program.stdout.split('\n').length > lines);
        return JSON.parse(server.program.stdout.trim().split('\n').at(-1)!) as Facts;
      };
      await text('pid');
      const before = await facts();
      const client = new RawClient(server).send('POST /app/where HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n');
      await until('the request', async () => (await facts()).copies['head']!.bytes > before.copies['head']!.bytes);
      const asked = await facts();
      client.send('b'.repeat(3_000_000));
      await until('the answer', () => client.split()?.body.toString().endsWith(']]') === true);
      const seen = JSON.parse(client.split()!.body.toString()) as Facts['received'];
      client.destroy();
      const after = await facts();
      // The same bytes at the same addresses of the window, here and there.
      assert.deepEqual(seen, after.received);
      assert.equal(seen.reduce((sum, [, length]) => sum + length, 0), 3_000_000);
      const allocationsIn = ({ pools }: Facts): number => pools.find(([name]) => name === pool)?.[1] ?? 0;
      assert.ok(allocationsIn(after) - allocationsIn(before) >= seen.length);
      for (const [reason, { bytes }] of Object.entries(after.copies)) {
        assert.ok(bytes - asked.copies[reason]!.bytes < 5000, reason);  // Heads and dates.
      }
      const readers = inspectWindows().flatMap(({ pools }) => pools.map(({ access }) => access.join()));
      assert.equal(readers.includes(`pid ${await text('pid')}`), kind === 'own');
    });
  }

  it('refuse bodies that are too long or malformed', async () => {
    await serve('--body-max-bytes', '1M');
    const ends: [status: number, text: string][] = [
      [413, `Content-Length: ${2 << 20}\r\n\r\n`],
      [400, 'Transfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ];
    for (const [wanted, end] of ends) {
      const answer = await exchange(server, `POST /app/length HTTP/1.1\r\nHost: x\r\n${end}`);
      assert.equal(statusOf(answer), wanted);
    }
    assert.equal(await text('length', { method: 'POST', body: 'abc' }), '3');
  });

  it('wait for a client that reads slowly, and do not fill the memory', async () => {
    await serve('--cgi-timeout-ms', '300');
    assert.equal(await text('pid'), `${(await status()).workers[0]}`);
    const before = (await getStatus(server)).memory.liveHolds;
    const client = new RawClient(server);
    client.socket.pause();
    client.send(`GET /app/stream?${200 << 20} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await until('the answer to begin', async () => (await getStatus(server)).memory.liveHolds > before + 4);
    assert.equal(await text('pid'), `${(await status()).workers[0]}`);
    assert.equal((await ask('never')).status, 504, 'longer than a worker may be silent');
    assert.ok((await getStatus(server)).memory.liveHolds < before + 200);
    client.socket.resume();
    await client.closed();
    assert.equal(client.split()?.body.length, 200 << 20);
  });

  it('are told when the client leaves', async () => {
    await serve();
    const file = tree.path('left');
    const client = new RawClient(server).send(`GET /app/never?${encodeURIComponent(file)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until('the request', () => existsSync(file));
    client.socket.resetAndDestroy();
    await until('the signal', async () => (await workerStats()).left === 1);
    assert.equal((await status()).running, 0);
  });

  const deaths: [action: string, line: RegExp][] = [
    ['exit', /ended: exit code 3/],
    ['kill', /ended: SIGKILL/],
    ['hang', /did nothing for a request for 400 ms[^]*hangs, and is ended/],
    ['throw', /has failed: thrown on purpose/],
    ['reject', /has failed: rejected on purpose/],
  ];
  for (const [action, line] of deaths) {
    it(`that ${action}: 502 or 504, a cut connection in the middle, the next one served, nothing held`, async () => {
      await serve('--cgi-timeout-ms', '400');
      await text('again');
      const before = await holds();
      const failed = await ask(action);
      assert.equal(failed.status, action === 'hang' ? 504 : 502);
      await until('the log', () => line.test(server.program.stderr));
      assert.equal((await ask('again')).body.length, 300_000);
      const cut = await exchange(server, `GET /app/then?${action} HTTP/1.1\r\nHost: x\r\n\r\n`);
      assert.match(cut, /^HTTP\/1.1 200 OK\r\n/);
      assert.ok(!cut.endsWith('0\r\n\r\n'), 'the answer is not complete');
      assert.equal((await ask('again')).body.length, 300_000);
      await until('the second restart', async () => (await status()).restarts >= 2);
      assert.equal(await holds(), before);
    });
  }

  it('that give one request up: 502, a cut connection; the worker lives on', async () => {
    await serve();
    const pid = await text('pid');
    assert.equal((await ask('abort')).status, 502);
    await until('the log', () => server.program.stderr.includes('has failed: no reason'));
    for (const action of ['then?abort', 'short']) {
      const cut = await exchange(server, `GET /app/${action} HTTP/1.1\r\nHost: x\r\n\r\n`);
      assert.match(cut, /^HTTP\/1.1 200 OK\r\n/);
      assert.ok(!cut.endsWith('0\r\n\r\n'));
    }
    assert.equal(await text('pid'), pid);
  });

  it('that are silent in one request answer the others', async () => {
    await serve('--cgi-timeout-ms', '400');
    const pid = await text('pid');
    const silent = ask('never');
    assert.equal(await text('pid'), pid);
    assert.equal((await silent).status, 504);
    assert.equal(await text('pid'), pid);
  });

  it('that are killed from outside again and again lose only what they had', async () => {
    await serve();
    for (let i = 0; i < 3; i++) {
      process.kill(Number(await text('pid')), 'SIGKILL');
      await until('another one', async () => (await status()).restarts > i);
      assert.equal((await ask('again')).body.length, 300_000);
    }
  });

  it('end with their server, in order and not', async () => {
    await serve();
    const first = Number(await text('pid'));
    const exit = await stop(server);
    assert.equal(exit.code, 0);
    await until('the worker to end', () => !existsSync(`/proc/${first}`));
    await serve();
    const second = Number(await text('pid'));
    server.program.child.kill('SIGKILL');
    await until('the worker to end', () => !existsSync(`/proc/${second}`));
  });

  it('that cannot start: 503, with pauses between', async () => {
    const missing = tree.path('missing.mjs');
    const begun = Date.now();
    server = await start(tree.root, '--status', '--app', `/app=${missing}`, '--app-start-timeout-ms', '3600000',
      '--cgi-timeout-ms', '3600000');
    assert.equal((await ask('x')).status, 503);  // After some have come and gone,
    assert.equal((await ask('x')).status, 503);  // and then at once.
    await until('pauses', async () => (await status()).restarts >= 3);
    // The first comes at once, then after 100, 200, 400 ms...
    const { restarts } = await status();
    assert.ok(Date.now() - begun >= 100 * (2 ** (restarts - 1) - 1), `${restarts} times`);
    assert.match(server.program.stderr, /Cannot find module/);
    assert.match(server.program.stderr, /503: the workers end before they have connected/);
    assert.equal((await get(server, '/a.txt')).body.toString(), 'a file');
  });

  it('the example worker does what it says', async () => {
    const before = process.env['NODE_OPTIONS'];
    process.env['NODE_OPTIONS'] = '--import=tsx';  // Node before 22.18 runs no TypeScript by itself.
    try {
      const example = path.join(repository, 'examples', 'cgi-worker.mts');
      server = await start(tree.root, '--app', `/app=${example}`);
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS'];
      else process.env['NODE_OPTIONS'] = before;
    }
    assert.equal(await text('again'), 'made once\n'.repeat(10_000));
    assert.deepEqual([await text('count'), await text('count')].map((each) => each.slice(0, 9)), ['request 1', 'request 2']);
    assert.equal(await text('echo', { method: 'POST', body: 'posted' }), 'posted');
    assert.match(await text('file'), /^\/\/ A worker that answers/);
    assert.equal(await text('served/a.txt'), 'a file');
    assert.equal((await ask('served/b.txt')).status, 404);
    assert.equal((await ask('else')).status, 404);
  });

  it('--app-workers 0 is refused with exit code 2', async () => {
    const exit = await runFlashLite('--app-workers', '0').exit;
    assert.equal(exit.code, 2);
    assert.match(exit.stderr, /--app-workers must be a number from 1 to 256/);
  });
});
