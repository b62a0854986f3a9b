// What an operator does: settings that change while requests go on, logs and their rotation, sockets.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import http from 'node:http';

import { RawClient, get } from './support/client';
import { ready, runFlashLite, start, stop, stopPrograms, until } from './support/flash-lite';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: operation', () => {
  const big = patterned(40 << 20, 5);
  let tree: Tree;
  before(() => { tree = new Tree({ 'www/a.txt': 'a', 'www/big.bin': big, 'www/d/x.txt': 'x' }); });
  afterEach(stopPrograms);
  after(() => tree.remove());
  const read = (name: string): string =>
    (existsSync(tree.path(name)) ? readFileSync(tree.path(name), 'utf8') : '');

  describe('SIGHUP', () => {
    const configured = (text: string): ReturnType<typeof ready> => {
      tree.write('c.yaml', `root: www\n${text}`);
      return ready(runFlashLite('--config', tree.path('c.yaml'), '--port', '0'));
    };

    it('takes new settings; what began before ends as it began', async () => {
      const server = await configured('');
      assert.equal((await get(server, '/d/')).status, 404);
      const client = new RawClient(server).send('GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n');
      await until('the first bytes', () => client.byteLength > 0);
      client.socket.pause();
      tree.write('c.yaml', 'root: www\nlisting: true\ncache-bytes: 9M\n');
      server.program.child.kill('SIGHUP');
      await until('the new settings', async () => (await get(server, '/d/')).status === 200);
      await until('the word of it', () => server.program.stderr.includes('are those of'));
      assert.match(server.program.stderr, /cache-bytes has changed: that takes a new start/);
      client.socket.resume();
      await until('all of it', () => client.split()?.body.length === big.length);
      assert.ok(client.split()?.body.equals(big));
      client.destroy();
      assert.equal((await stop(server)).code, 0);
    });

    it('a wrong file changes nothing and is told with its line', async () => {
      const server = await configured('listing: true\n');
      tree.write('c.yaml', 'root: www\nlisting: maybe\n');
      server.program.child.kill('SIGHUP');
      await until('the complaint', () => server.program.stderr.includes('stay as they were'));
      assert.match(server.program.stderr, /c\.yaml:2:10: listing must be true or false, not "maybe"/);
      assert.equal((await get(server, '/d/')).status, 200);
    });

    it('without a file reads again what the command line names, and ends nothing', async () => {
      tree.write('www/page.html', 'first');
      const server = await start(tree.path('www'), '--error-page', '431=/page.html', '--pid-file', tree.path('pid'));
      const refused = (): Promise<Buffer> =>
        new RawClient(server).send(`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`).closed();
      assert.match(String(await refused()), /\r\n\r\nfirst$/);
      tree.write('www/page.html', 'second');
      server.program.child.kill('SIGHUP');
      await until('the word of it', () => server.program.stderr.includes('what the command line names was read again\n'));
      assert.match(String(await refused()), /\r\n\r\nsecond$/);
      assert.deepEqual((await stop(server)).code, 0);
      assert.equal(existsSync(tree.path('pid')), false);
    });

    it('fails no request of a busy connection', async () => {
      const server = await configured('');
      const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
      let reloads = 0;
      for (let i = 0; i < 200; i++) {
        if (i % 50 === 25) {
          server.program.child.kill('SIGHUP');
          reloads++;
        }
        const answers = await Promise.all([1, 2, 3, 4].map(() => get(server, '/a.txt', { agent })));
        for (const { status, body } of answers) assert.deepEqual([status, String(body)], [200, 'a']);
      }
      agent.destroy();
      assert.ok(reloads > 0);
      assert.equal((await stop(server)).code, 0);
    });
  });

  it('logs requests, and opens the file anew at SIGUSR2', async () => {
    const server = await start(tree.path('www'), '--access-log', tree.path('access.log'));
    await get(server, '/a.txt?q="', { headers: { 'User-Agent': 'me\\', Referer: 'there' } });
    await until('a line', () => read('access.log').endsWith('\n'));
    assert.match(read('access.log'), new RegExp('^127\\.0\\.0\\.1 - - \\[\\d\\d/\\w{3}/\\d{4}:[\\d:]{8} \\+0000\\] ' +
      '"GET /a\\.txt\\?q=\\\\" HTTP/1\\.1" 200 1 "there" "me\\\\\\\\"\\n$'));
    renameSync(tree.path('access.log'), tree.path('access.log.1'));
    server.program.child.kill('SIGUSR2');
    await until('a new file', () => existsSync(tree.path('access.log')));
    await get(server, '/none');
    await until('a line', () => read('access.log').endsWith('\n'));
    assert.match(read('access.log'), /"GET \/none HTTP\/1\.1" 404 /);
    assert.equal(read('access.log.1').split('\n').length, 2);
    await get(server, '/a.txt');
    assert.equal((await stop(server)).code, 0);
    assert.match(read('access.log'), /"GET \/a\.txt HTTP\/1\.1" 200 1 /);
  });

  it('SIGUSR1 opens logs anew, and not the inspector of Node', async () => {
    const server = await start(tree.path('www'), '--access-log', tree.path('usr1.log'));
    renameSync(tree.path('usr1.log'), tree.path('usr1.log.1'));
    server.program.child.kill('SIGUSR1');
    await until('a new file', () => existsSync(tree.path('usr1.log')));
    await get(server, '/a.txt');
    const { code, stderr } = await stop(server);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(read('usr1.log'), /"GET \/a\.txt /);
  });

  it('loses no line, and writes none twice, when logs are rotated under load', async () => {
    const file = tree.path('rotated.log');
    const server = await start(tree.path('www'), '--access-log', file, '--log-format', 'common');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const files = [file];
    for (let round = 0; round < 8; round++) {
      const asked = Promise.all(Array.from({ length: 50 }, (_, i) =>
        get(server, `/a.txt?${round * 50 + i}`, { agent })));
      files.push(`${file}.${round}`);
      renameSync(file, `${file}.${round}`);
      server.program.child.kill('SIGUSR2');
      await until('a new file', () => existsSync(file));
      await asked;
    }
    agent.destroy();
    assert.equal((await stop(server)).code, 0);
    const lines = files.flatMap((name) => readFileSync(name, 'utf8').split('\n').slice(0, -1));
    const line = /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:[\d:]{8} \+0000\] "GET \/a\.txt\?(\d+) HTTP\/1\.1" 200 1$/;
    const numbers = lines.map((text) => Number(line.exec(text)?.[1] ?? NaN)).sort((a, b) => a - b);
    assert.deepEqual(numbers, Array.from({ length: 400 }, (_, i) => i));
  });

  it('writes what an operator must know to the error log, which is opened anew, too', async () => {
    const file = tree.path('error.log');
    const server = await start(tree.path('www'), '--error-log', file);
    await new RawClient(server).send('GET /\n').closed();
    const line = /^\d{4}-\d\d-\d\dT[\d:.]+Z flash-lite: 127\.0\.0\.1 port \d+ was refused: a line ends with LF alone \(400\)\n$/;
    await until('a line', () => line.test(read('error.log')));
    renameSync(file, `${file}.1`);
    server.program.child.kill('SIGUSR2');
    await until('a new file', () => existsSync(file));
    await new RawClient(server).send('GET /\n').closed();
    await until('a line in it', () => line.test(read('error.log')));
    assert.match(read('error.log.1'), line);
    const { stderr } = await stop(server);
    assert.equal(stderr, '');
    const exit = await runFlashLite('--root', tree.path('www'), '--port', '0', '--error-log', tree.path('none/e.log')).exit;
    assert.equal(exit.code, 1);
    assert.match(exit.stderr, /^flash-lite: --error-log: cannot write to .*none: it does not exist \(ENOENT\)\n$/);
  });

  it('logs JSON to stdout', async () => {
    const server = await start(tree.path('www'), '--access-log', '-', '--log-format', 'json');
    await get(server, '/a.txt');
    await until('a line', () => server.program.stdout.includes('}\n'));
    const line = JSON.parse(server.program.stdout.split('\n')[1] as string) as Record<string, unknown>;
    assert.deepEqual([line['status'], line['method'], line['target'], line['bodyBytes']], [200, 'GET', '/a.txt', 1]);
  });

  it('listens at several places, a Unix socket among them, and holds a pid file', async () => {
    const place = tree.path('web.sock');
    const program = runFlashLite('--root', tree.path('www'), '--listen', `unix:${place}`,
      '--listen', '127.0.0.1:0', '--socket-mode', '600', '--pid-file', tree.path('pid'));
    await until('the ready line', () => program.stdout.endsWith('\n'));
    const [, shown, port] = /on unix:(.*), http:\/\/127\.0\.0\.1:(\d+)\n$/.exec(program.stdout) ?? [];
    assert.equal(shown, place, program.stdout);
    assert.equal(read('pid'), `${program.child.pid}\n`);
    const body = await new Promise((resolve, reject) => {
      http.get({ socketPath: place, path: '/a.txt', agent: false }, (response) => {
        response.setEncoding('utf8').on('data', resolve);
      }).on('error', reject);
    });
    assert.equal(body, 'a');
    const answer = await fetch(`http://127.0.0.1:${port}/a.txt`);
    assert.equal(await answer.text(), 'a');
    program.child.kill('SIGTERM');
    assert.equal((await program.exit).code, 0);
    assert.equal(existsSync(place), false);
    assert.equal(existsSync(tree.path('pid')), false);
  });
});
