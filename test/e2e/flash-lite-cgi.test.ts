// Flash-Lite with CGI programs: by the command line, in several languages, unmodified.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';

import { hasCommand } from '../cgi/programs';
import { exchange, get, getRaw, getStatus, statusOf } from './support/client';
import { childOf, runFlashLite, start, stop, stopPrograms, until, type Server } from './support/flash-lite';
import { Tree } from './support/tree';

const hello = `#!/bin/sh
printf 'Content-Type: text/plain\\n\\n'
echo "hello $SCRIPT_NAME $PATH_INFO $QUERY_STRING $GREETING"
`;

const cSource = `#include <stdio.h>
#include <stdlib.h>
int main(void) {
  char body[64] = "";
  const char *length = getenv("CONTENT_LENGTH");
  if (length) fread(body, 1, (size_t)atoi(length), stdin);
  printf("Content-Type: text/plain\\r\\nContent-Length: %d\\r\\n\\r\\nfrom C: %s", (int)(8 + atoi(length)), body);
  return 0;
}
`;

const pythonSource = `import os, sys
body = sys.stdin.buffer.read(int(os.environ.get("CONTENT_LENGTH", 0)))
sys.stdout.write("Status: 201 Created\\nContent-Type: text/plain\\n\\n")
sys.stdout.write("from Python: " + body.decode()[::-1])
`;

describe('Flash-Lite: CGI', () => {
  let tree: Tree;
  let server: Server;

  const write = (name: string, text: string): void => {
    tree.write(name, text);
    chmodSync(tree.path(name), 0o755);
  };
  const serve = async (...options: string[]): Promise<void> => {
    server = await start(tree.path('root'), '--status', ...options);
  };

  beforeEach(() => {
    tree = new Tree({ 'root/a.txt': 'a file', 'bin/plain.txt': 'no program' });
    write('bin/hello', hello);
    write('bin/sub/deep', hello);
  });
  afterEach(async () => {
    await stopPrograms();
    tree.remove();
  });

  it('finds programs below a prefix, and nothing else', async () => {
    write('bin/nph-x', hello);
    mkdirSync(tree.path('bin/.hidden'));
    write('outside', hello);
    symlinkSync(tree.path('outside'), tree.path('bin/escape'));
    write('one', hello);
    await serve('--cgi', `/cgi-bin/=${tree.path('bin')}`, '--cgi', `/cgi-bin/special=${tree.path('one')}`,
      '--env', 'GREETING=hi there');
    const answers: [target: string, status: number, text?: string][] = [
      ['/cgi-bin/hello', 200, 'hello /cgi-bin/hello   hi there\n'],
      ['/cgi-bin/hello/in/fo%20x?a=1', 200, 'hello /cgi-bin/hello /in/fo x a=1 hi there\n'],
      ['/cgi%2Dbin/hell%6f', 200, 'hello /cgi-bin/hello   hi there\n'],
      ['/cgi-bin/sub/deep//x/', 200, 'hello /cgi-bin/sub/deep //x/  hi there\n'],
      ['/cgi-bin/special/more', 200, 'hello /cgi-bin/special /more  hi there\n'],
      ['/cgi-bin/plain.txt', 403],
      ['/cgi-bin/nph-x', 501],
      ['/cgi-bin/escape', 404],
      ['/./cgi-bin/hello', 301],
      ['/cgi-bin/./hello', 301],
      ['/cgi-bin/nothing', 404],
      ['/cgi-bin/', 404],
      ['/cgi-bin', 404],
      ['/cgi-bin/sub', 404],
      ['/cgi-bin/.hidden/x', 404],
      ['/cgi-bin/hello/../../a.txt', 404],
      ['/cgi-bin/hello%2fx', 404],
      ['/cgi-bin/hello/%00', 400],
      ['/cgi-binx', 404],
      ['/a.txt', 200, 'a file'],
    ];
    for (const [target, status, text] of answers) {
      const answer = await getRaw(server, target);
      assert.equal(statusOf(answer), status, target);
      if (text !== undefined) assert.ok(answer.includes(text), `${target}: ${answer}`);
    }
  });

  it('follows local redirects to programs and files, but not for ever', async () => {
    write('bin/to', '#!/bin/sh\nprintf "Location: $QUERY_STRING\\n\\n"\n');
    await serve('--cgi', `/c=${tree.path('bin')}`);
    const post = { method: 'POST', body: 'ignored' };
    assert.equal((await get(server, '/c/to?/a.txt', post)).body.toString(), 'a file');
    assert.equal((await get(server, '/c/to?/c/hello/p?q', post)).body.toString(), 'hello /c/hello /p q \n');
    assert.equal((await get(server, '/c/to?/nowhere')).status, 404);
    write('bin/loop', '#!/bin/sh\nprintf "Location: /c/loop\\n\\n"\n');
    assert.equal((await get(server, '/c/loop')).status, 500);
    assert.match(server.program.stderr, /more than 10 local redirects/);
  });

  it('keeps the connection, logs stderr, and ends its launcher with itself', async () => {
    write('bin/errors', '#!/bin/sh\necho first >&2; echo second >&2\nprintf "Content-Type: a/b\\n\\nx"\n');
    await serve('--cgi', `/c=${tree.path('bin')}`);
    const text = await exchange(server, 'GET /c/errors HTTP/1.1\r\nHost: x\r\n\r\n' +
      'GET /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.equal(text.split('HTTP/1.1 200 OK').length, 3);
    await until('the log', () => /errors: first\n.*errors: second\n/.test(server.program.stderr));
    const launcher = childOf(server.pid);
    assert.match(readFileSync(`/proc/${launcher}/comm`, 'latin1'), /io-lite-launch/);
    const exit = await stop(server);
    assert.equal(exit.code, 0);
    await until('the launcher to end', () => !existsSync(`/proc/${launcher}`));
  });

  it('ends its programs when it is killed', async () => {
    write('bin/sleeps', `#!/bin/sh\necho $$ > ${tree.path('pid')}\nexec sleep 1000\n`);
    await serve('--cgi', `/c=${tree.path('bin')}`);
    get(server, '/c/sleeps').catch(() => undefined);
    await until('the program to run', () => existsSync(tree.path('pid')) && readFileSync(tree.path('pid')).length > 0);
    const pid = readFileSync(tree.path('pid'), 'latin1').trim();
    server.program.child.kill('SIGKILL');
    await until('the program to end', () => !existsSync(`/proc/${pid}`));
  });

  it('has bounds: silence, size, number', async () => {
    write('bin/sleeps', '#!/bin/sh\nexec sleep 1000\n');
    await serve('--cgi', `/c=${tree.path('bin')}`, '--cgi-timeout-ms', '200', '--body-max-bytes', '1M', '--cgi-max', '1');
    assert.equal((await get(server, '/c/sleeps')).status, 504);
    assert.match(server.program.stderr, /sleeps: did nothing for 200 ms/);
    const tooLong = await exchange(server, `POST /c/hello HTTP/1.1\r\nHost: x\r\nContent-Length: ${1 << 21}\r\n\r\n`);
    assert.equal(statusOf(tooLong), 413);
    const many = await Promise.all(Array.from({ length: 8 }, () => get(server, '/c/sleeps')));
    const statuses = many.map(({ status }) => status).sort();
    assert.ok(statuses.includes(503) && statuses.includes(504), statuses.join());
    assert.equal((await get(server, '/c/hello')).status, 200);
    const status = await getStatus(server);
    assert.ok(status.memory.pools.every(({ name, bytesInUse }) => name !== 'default' || bytesInUse < 1 << 20));
  });

  it('runs programs in C', async function () {
    tree.write('hello.c', cSource);
    if (spawnSync('cc', ['-o', tree.path('bin/c-hello'), tree.path('hello.c')]).status !== 0) this.skip();
    await serve('--cgi', `/c=${tree.path('bin')}`);
    const answer = await get(server, '/c/c-hello', { method: 'POST', body: 'posted' });
    assert.equal(answer.body.toString(), 'from C: posted');
    assert.equal(answer.headers['content-length'], '14');
  });

  it('runs programs in Python', async function () {
    const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' });
    if (python.status !== 0) this.skip();
    write('bin/hello.py', `#!${python.stdout.trim()}\n${pythonSource}`);
    await serve('--cgi', `/c=${tree.path('bin')}`);
    const answer = await get(server, '/c/hello.py', { method: 'POST', body: 'abc' });
    assert.equal(answer.status, 201);
    assert.equal(answer.body.toString(), 'from Python: cba');
  });

  it('runs PHP, unmodified', async function () {
    if (!hasCommand('php-cgi')) this.skip();
    const page = '<?php setcookie("a", "b"); if (isset($_GET["go"])) { header("Location: /a.txt"); exit; }' +
      ' echo "php ", $_GET["x"] ?? "", $_POST["y"] ?? "", $_SERVER["PATH_INFO"] ?? "";';
    write('bin/page.php', `#!/usr/bin/env php-cgi\n${page}`);
    tree.write('front.php', page);
    await serve('--cgi', `/c=${tree.path('bin')}`,
      '--cgi', `/front=${execFileSync('sh', ['-c', 'command -v php-cgi'], { encoding: 'utf8' }).trim()}`,
      '--env', `SCRIPT_FILENAME=${tree.path('front.php')}`);
    const front = await get(server, '/front/p?x=1');
    assert.equal(front.body.toString(), 'php 1/p');
    assert.deepEqual(front.headers['set-cookie'], ['a=b']);
    assert.match(front.headers['content-type'] ?? '', /^text\/html/);
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const posted = await get(server, '/front?x=1', { method: 'POST', body: 'y=2', headers });
    assert.equal(posted.body.toString(), 'php 12');
    const redirected = await get(server, '/front?go');
    assert.deepEqual([redirected.status, redirected.headers.location], [302, '/a.txt']);
  });

  it('serves git: clone, push of more than a buffer, fetch', async function () {
    this.timeout(60_000);
    const found = spawnSync('git', ['--exec-path'], { encoding: 'utf8' });
    const backend = path.join((found.stdout ?? '').trim(), 'git-http-backend');
    if (found.status !== 0 || !existsSync(backend)) this.skip();
    const git = (...args: string[]): string => execFileSync('git', args, {
      cwd: tree.root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env, GIT_CONFIG_NOSYSTEM: '1', HOME: tree.root, GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@a',
        GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@a', GIT_TERMINAL_PROMPT: '0',
      },
    });
    git('init', '-q', '--bare', 'git/repo.git');
    git('-C', 'git/repo.git', 'config', 'http.receivepack', 'true');
    await serve('--cgi', `/git=${backend}`, '--env', `GIT_PROJECT_ROOT=${tree.path('git')}`,
      '--env', 'GIT_HTTP_EXPORT_ALL=1', '--env', `HOME=${tree.root}`);
    const url = `http://127.0.0.1:${server.port}/git/repo.git`;
    git('clone', '-q', url, 'one');
    const random = randomBytes(3_000_000);
    tree.write('one/big.bin', random);
    git('-C', 'one', 'add', '.');
    git('-C', 'one', 'commit', '-q', '-m', 'first');
    git('-C', 'one', 'push', '-q', 'origin', 'HEAD:refs/heads/main');  // Chunked: above 1 MiB.
    git('clone', '-q', '-b', 'main', url, 'two');
    assert.ok(readFileSync(tree.path('two/big.bin')).equals(random));
    tree.write('one/small.txt', 'more');
    git('-C', 'one', 'add', '.');
    git('-C', 'one', 'commit', '-q', '-m', 'second');
    git('-C', 'one', 'push', '-q', 'origin', 'HEAD:refs/heads/main');
    git('-C', 'two', 'pull', '-q');
    assert.equal(readFileSync(tree.path('two/small.txt'), 'utf8'), 'more');
  });

  const wrong: [options: string[], message: RegExp][] = [
    [['--cgi', 'x=/bin/true'], /--cgi must be like .* not "x=\/bin\/true"/],
    [['--cgi', '/x'], /--cgi must be like/],
    [['--env', '=1'], /--env must be like NAME=VALUE, not "=1"/],
    [['--cgi-max', '0'], /--cgi-max must be a number from 1 to 10000, not "0"/],
    [['--cgi-timeout-ms', 'x'], /--cgi-timeout-ms must be/],
    [['--body-max-bytes', '1'], /--body-max-bytes must be/],
  ];
  for (const [options, message] of wrong) {
    it(`${options.join(' ')} is refused with exit code 2`, async () => {
      const exit = await runFlashLite(...options).exit;
      assert.equal(exit.code, 2);
      assert.match(exit.stderr, message);
    });
  }
});
