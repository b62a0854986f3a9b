// What the operator decides: index files, dotfiles, links, headers, pages for errors, fallback, types.
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';

import { parseCommandLine } from '../../examples/flash-lite/options';
import { exchange, get, getRaw, statusOf } from './support/client';
import { start, stop, stopPrograms, type Server } from './support/flash-lite';
import { Tree } from './support/tree';

describe('Flash-Lite: the operator decides', () => {
  let tree: Tree;
  let server: Server;

  before(() => {
    tree = new Tree({
      'secret.txt': 'secret', 'root/index.html': 'home', 'root/start.htm': 'start', 'root/a.txt': 'a',
      'root/sub/start.htm': 'sub start', 'root/sub/page2.txt': '2', 'root/sub/page10.txt': '10'.repeat(1000),
      'root/.env': 'env', 'root/.well-known/security.txt': 'well known', 'root/.well-known/.env': 'env',
      'root/sub/.well-known/x.txt': 'x', 'root/404.html': '<h1>gone</h1>', 'root/405.txt': 'no',
      'root/assets/app.js': 'js', 'root/assets/deep/x.css': 'css', 'root/map.geojson': '{}', 'root/x.qqq': 'q',
    });
    symlinkSync('../secret.txt', tree.path('root/out.txt'));
    symlinkSync('a.txt', tree.path('root/in.txt'));
    symlinkSync('sub', tree.path('root/sublink'));
    symlinkSync('.env', tree.path('root/env.txt'));
  });

  after(async () => {
    await stopPrograms();
    tree.remove();
  });

  type Case = [target: string, status: number, body?: string];
  const policies: [options: string[], cases: Case[]][] = [
    [[], [
      ['/', 200, 'home'], ['/sub/', 404], ['/.env', 404], ['/.well-known/security.txt', 200, 'well known'],
      ['/.well-known/.env', 404], ['/sub/.well-known/x.txt', 404], ['/in.txt', 200, 'a'], ['/out.txt', 404],
      ['/env.txt', 404], ['/..', 404],
    ]],
    [['--index', 'start.htm,index.html'], [['/', 200, 'start'], ['/sub/', 200, 'sub start']]],
    [['--dotfiles', 'deny'], [
      ['/.env', 403], ['/..', 404], ['/../secret.txt', 404], ['/.well-known/security.txt', 200, 'well known'],
      ['/%2eenv', 403],
    ]],
    [['--dotfiles', 'allow'], [
      ['/.env', 200, 'env'], ['/..', 404], ['/../secret.txt', 404], ['/%2e%2e/secret.txt', 404],
      ['/env.txt', 200, 'env'], ['/out.txt', 404],
    ]],
    [['--symlinks', 'none'], [
      ['/a.txt', 200, 'a'], ['/in.txt', 404], ['/sublink/page2.txt', 404], ['/out.txt', 404], ['/', 200, 'home'],
    ]],
    [['--symlinks', 'any'], [
      ['/in.txt', 200, 'a'], ['/out.txt', 200, 'secret'], ['/../secret.txt', 404], ['/.env', 404],
    ]],
    [['--fallback', '/index.html'], [
      ['/users/7', 200, 'home'], ['/users/', 200, 'home'], ['/missing.js', 404], ['/a.txt', 200, 'a'],
      ['/%', 400], ['/.env', 404], ['/sub', 301], ['/sub/', 200, 'home'],
    ]],
    [['--error-page', '404=/404.html', '--error-page', '405=/missing.html'], [
      ['/nothing', 404, '<h1>gone</h1>'], ['/.env', 404, '<h1>gone</h1>'], ['/404.html', 200, '<h1>gone</h1>'],
    ]],
  ];
  for (const [options, cases] of policies) {
    describe(`with ${options.join(' ') || 'nothing said'}`, () => {
      before(async () => { server = await start(tree.path('root'), ...options); });
      after(() => stop(server));

      for (const [target, status, body] of cases) {
        it(`${target} is ${status}${body === undefined ? '' : ` "${body}"`}`, async () => {
          for (let round = 0; round < 2; round++) {
            const text = await getRaw(server, target);
            assert.equal(statusOf(text), status, text);
            if (body !== undefined) assert.ok(text.endsWith(`\r\n\r\n${body}`), text);
          }
        });
      }
    });
  }

  it('a page for an error has its own type, and HEAD is like GET; without it there is a text', async () => {
    server = await start(
      tree.path('root'), '--error-page', '404=/404.html', '--error-page', '405=/missing.html');
    const page = await get(server, '/nothing');
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(page.headers.etag, undefined);
    assert.equal(page.headers['content-length'], '13');
    const head = await get(server, '/nothing', { method: 'HEAD' });
    assert.equal(head.status, 404);
    assert.equal(head.headers['content-length'], '13');
    const wrong = await get(server, '/a.txt', { method: 'POST' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.allow, 'GET, HEAD, OPTIONS');
    await stop(server);
  });

  it('methods that nobody knows are 501', async () => {
    server = await start(tree.path('root'));
    assert.equal(statusOf(await exchange(server,
      'BREW /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')), 501);
    assert.equal(statusOf(await exchange(server,
      'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')), 204);
    await stop(server);
  });

  describe('headers', () => {
    before(async () => {
      server = await start(tree.path('root'),
        '--cache-control', '*.html=no-cache', '--cache-control', '/assets/**=max-age=60, immutable',
        '--cache-control', '*.css=max-age=5', '--header', 'x-frame-options: DENY',
        '--header', '/sub/**=X-Sub: yes', '--header', 'Server: mine', '--header', 'X-Frame-Options: SAMEORIGIN',
        '--type', 'geojson=application/geo+json', '--type', '.QQQ=text/x-q', '--listing');
    });
    after(() => stop(server));

    const rules: [target: string, name: string, value: string | undefined][] = [
      ['/', 'cache-control', 'no-cache'], ['/a.txt', 'cache-control', undefined],
      ['/assets/app.js', 'cache-control', 'max-age=60, immutable'],
      ['/assets/deep/x.css', 'cache-control', 'max-age=5'],  // The last that matches.
      ['/a.txt', 'x-frame-options', 'SAMEORIGIN'], ['/nothing', 'x-frame-options', 'SAMEORIGIN'],
      ['/sub', 'x-frame-options', 'SAMEORIGIN'], ['/sub/', 'x-frame-options', 'SAMEORIGIN'],
      ['/sub/page2.txt', 'x-sub', 'yes'], ['/a.txt', 'x-sub', undefined], ['/a.txt', 'server', 'mine'],
      ['/map.geojson', 'content-type', 'application/geo+json'],
      ['/x.qqq', 'content-type', 'text/x-q; charset=utf-8'],
    ];
    for (const [target, name, value] of rules) {
      it(`${target} has ${name} ${value}`, async () => {
        assert.equal((await get(server, target)).headers[name], value);
      });
    }

    it('are part of a 304, too', async () => {
      const { headers } = await get(server, '/assets/app.js');
      const answer = await get(server, '/assets/app.js', { headers: { 'If-None-Match': headers.etag } });
      assert.equal(answer.status, 304);
      assert.equal(answer.headers['cache-control'], 'max-age=60, immutable');
    });

    it('a listing is sorted as asked', async () => {
      const order = async (query: string): Promise<string[]> => {
        const { body } = await get(server, `/sub/${query}`);
        return [...body.toString().matchAll(/href="\.\/([^"]*)"/g)].map((match) => match[1] as string);
      };
      assert.deepEqual(await order(''), ['page2.txt', 'page10.txt', 'start.htm']);
      assert.deepEqual(await order('?sort=-name'), ['start.htm', 'page10.txt', 'page2.txt']);
      assert.deepEqual(await order('?sort=size'), ['page2.txt', 'start.htm', 'page10.txt']);
      assert.deepEqual(await order('?sort=__proto__'), ['page2.txt', 'page10.txt', 'start.htm']);
      assert.match((await get(server, '/sub/')).body.toString(), />2 KiB</);
    });
  });

  const wrong: string[][] = [
    ['--header', 'no colon'], ['--header', 'Content-Length: 5'], ['--header', 'X: '], ['--header', 'X: a\nb'],
    ['--header', '/x/**=Etag: "5"'], ['--cache-control', 'no-cache'], ['--dotfiles', 'maybe'],
    ['--symlinks', 'some'], ['--error-page', '200=/x'], ['--error-page', '404=x.html'], ['--fallback', 'x'],
    ['--type', 'x=y'], ['--index', 'a/b'], ['--index', '.hidden'], ['--compress-bytes', '-1'],
  ];
  for (const options of wrong) {
    it(`${JSON.stringify(options.join(' '))} is refused`, () => {
      const commandLine = parseCommandLine(options);
      assert.ok(commandLine.kind === 'wrong', JSON.stringify(commandLine));
      assert.ok(commandLine.message.startsWith(`${options[0]} must be `), commandLine.message);
    });
  }
});
