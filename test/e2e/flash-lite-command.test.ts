// The command line: options, exit codes, signals, and npm start.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, truncateSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';

import { RawClient, get } from './support/client';
import {
  kReadyLine, ready, repository, run, runFlashLite, start, stopPrograms, until, type Server,
} from './support/flash-lite';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: the command', () => {
  const big = patterned(40 << 20, 5);
  let tree: Tree;

  before(() => { tree = new Tree({ 'a.txt': 'a', 'big.bin': big }); });
  afterEach(stopPrograms);
  after(() => tree.remove());

  it('lives on when nobody reads what it logs', async () => {
    tree.write('short-lived.bin', big);
    const server = await start(tree.root);
    server.program.child.stderr?.destroy();
    const client = new RawClient(server);
    client.send('GET /short-lived.bin HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client.socket, 'data');  // It has begun, and does not fit the socket.
    client.socket.pause();
    truncateSync(tree.path('short-lived.bin'), 0);
    client.socket.resume();
    await client.closed();  // Cut, and a line about it.
    assert.equal((await get(server, '/a.txt')).body.toString(), 'a');
  });

  describe('flash-lite options', () => {
    it('--help and -h name every option and exit with 0', async () => {
      const exit = await runFlashLite('--help').exit;
      assert.equal((await runFlashLite('-h').exit).stdout, exit.stdout);
      assert.equal(exit.code, 0);
      assert.equal(exit.stderr, '');
      for (const option of ['help', 'version', 'root', 'host', 'port', 'cache-bytes', 'listing', 'status']) {
        assert.ok(exit.stdout.includes(`--${option}`), option);
      }
    });

    it('--version prints the version of the package', async () => {
      const text = readFileSync(path.join(repository, 'package.json'), 'utf8');
      const { version } = JSON.parse(text) as { version: string };
      const exit = await runFlashLite('--version').exit;
      assert.equal(exit.stdout, `flash-lite ${version}\n`);
      assert.equal(exit.code, 0);
    });

    const wrong: [options: string[], message: RegExp][] = [
      [['--nonsense'], /unknown option --nonsense /],
      [['--nonsense=1'], /unknown option --nonsense /],
      [['-p', '80'], /unknown option -p /],
      [['somewhere'], /unexpected argument "somewhere"/],
      [['--port'], /option --port needs a value/],
      [['--port', '--listing'], /option --port needs a value/],
      [['--root='], /option --root needs a value/],
      [['--host', ''], /option --host needs a value/],
      [['--listing=yes'], /option --listing takes no value/],
      [['--port', '65536'], /--port must be a number from 0 to 65535, not "65536"/],
      [['--port', '-1'], /--port must be a number from 0 to 65535, not "-1"/],
      [['--port', '80x'], /--port .* not "80x"/],
      [['--port='], /--port .* not ""/],
      [['--cache-bytes', '0'], /--cache-bytes must be from 1048576 .* not "0"/],
      [['--cache-bytes', '1048575'], /--cache-bytes .* not "1048575"/],
      [['--cache-bytes', '1.5G'], /--cache-bytes .* not "1.5G"/],
      [['--cache-bytes', '1025G'], /--cache-bytes .* not "1025G"/],
      [['--cache-bytes', '5T'], /--cache-bytes .* not "5T"/],
    ];
    for (const [options, message] of wrong) {
      it(`${options.join(' ')} is refused with exit code 2`, async () => {
        const exit = await runFlashLite(...options).exit;
        assert.equal(exit.code, 2);
        assert.equal(exit.stdout, '');
        assert.match(exit.stderr, message);
        assert.equal(exit.stderr.trimEnd().split('\n').length, 1);
      });
    }

    for (const bytes of ['1M', '1048576', '2048k', '1G']) {
      it(`--cache-bytes ${bytes} is accepted`, async () => {
        const server = await start(tree.root, '--cache-bytes', bytes);
        assert.equal((await get(server, '/a.txt')).body.toString(), 'a');
      });
    }

    it('--option=value works too, and a relative root is shown as an absolute one', async () => {
      const relative = path.relative(repository, tree.root);
      const server = await ready(runFlashLite(`--root=${relative}`, '--port=0'));
      assert.equal(server.root, tree.root);
      assert.equal(server.program.stdout, `flash-lite: serving ${tree.root} on ${server.url}\n`);
      assert.equal((await get(server, '/a.txt')).status, 200);
    });

    it('an IPv6 address is shown in brackets', async function () {
      const probe = net.createServer();
      const hasIPv6 = await new Promise<boolean>((resolve) => {
        probe.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true));
      });
      probe.close();
      if (!hasIPv6) this.skip();  // There is no IPv6 here.
      const server = await start(tree.root, '--host', '::1');
      assert.equal(server.url, `http://[::1]:${server.port}`);
      const response = await fetch(`${server.url}/a.txt`);
      assert.equal(await response.text(), 'a');
    });
  });

  describe('flash-lite that cannot start', () => {
    const failures: [what: string, options: () => string[], message: RegExp][] = [
      ['a missing root', () => ['--root', tree.path('none')], /cannot serve .*none: it does not exist/],
      ['a root that is a file', () => ['--root', tree.path('a.txt')], /cannot serve .*: it is not a directory/],
      ['an address of another machine', () => ['--host', '192.0.2.1'], /cannot listen on 192\.0\.2\.1:0: /],
      ['a host that is none', () => ['--host', 'no such host'], /cannot listen on no such host:0: /],
    ];
    for (const [what, options, message] of failures) {
      it(`for ${what} says so in one line and exits with 1`, async () => {
        const exit = await runFlashLite('--root', tree.root, '--port', '0', ...options()).exit;
        assert.equal(exit.code, 1);
        assert.match(exit.stderr, message);
        assert.equal(exit.stderr.trimEnd().split('\n').length, 1, exit.stderr);
        assert.equal(exit.stdout, '');
      });
    }

    it('for an address in use says so in one line and exits with 1', async () => {
      const first = await start(tree.root);
      const exit = await runFlashLite('--root', tree.root, '--port', String(first.port)).exit;
      assert.equal(exit.code, 1);
      assert.equal(exit.stderr,
        `flash-lite: cannot listen on 127.0.0.1:${first.port}: the address is in use (EADDRINUSE)\n`);
      assert.equal((await get(first, '/a.txt')).status, 200);
    });
  });

  describe('signals', () => {
    const sequences: NodeJS.Signals[][] = [
      ['SIGTERM'], ['SIGINT'], ['SIGTERM', 'SIGTERM'], ['SIGINT', 'SIGTERM'], ['SIGINT', 'SIGINT', 'SIGINT'],
    ];
    for (const signals of sequences) {
      it(`${signals.join(', ')} ends an idle server with 0`, async () => {
        const server = await start(tree.root);
        assert.equal((await get(server, '/a.txt')).status, 200);
        for (const signal of signals) server.program.child.kill(signal);
        const exit = await server.program.exit;
        assert.deepEqual([exit.code, exit.signal, exit.stderr], [0, null, '']);
      });
    }

    it('an idle connection does not keep the server', async () => {
      const server = await start(tree.root);
      const client = new RawClient(server).send('GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n');
      await until('the answer', () => client.split()?.body.toString() === 'a');
      server.program.child.kill('SIGTERM');
      assert.equal((await server.program.exit).code, 0);
      await client.closed();
    });

    const refuses = (server: Server): Promise<boolean> => new Promise((resolve) => {
      const socket = net.connect(server.port, '127.0.0.1');
      socket.once('connect', () => { socket.destroy(); resolve(false); });
      socket.once('error', () => resolve(true));
    });

    it('a transfer is finished although the signal comes twice', async () => {
      const server = await start(tree.root);
      const client = new RawClient(server).send('GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n');
      await until('the first bytes', () => (client.split()?.body.length ?? 0) > 0);
      client.socket.pause();
      server.program.child.kill('SIGTERM');
      server.program.child.kill('SIGTERM');
      await until('the port to close', () => refuses(server));
      assert.ok(server.program.isRunning);
      client.socket.resume();
      await client.closed();
      assert.ok(client.split()?.body.equals(big), 'the transfer was cut');
      assert.equal((await server.program.exit).code, 0);
    });

    it('a second signal, later, ends the waiting', async () => {
      const server = await start(tree.root, '--finish-timeout-ms', '86400000');
      const client = new RawClient(server).send('GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n');
      await until('the first bytes', () => client.byteLength > 0);
      client.socket.pause();
      await until('the end', () => !server.program.isRunning || !server.program.child.kill('SIGINT'));
      assert.deepEqual((await server.program.exit).code, 0);
      client.destroy();
    });

    it('a client that never reads is cut in the end', async () => {
      const server = await start(tree.root, '--finish-timeout-ms', '300');
      const client = new RawClient(server).send('GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n');
      await until('the first bytes', () => client.byteLength > 0);
      client.socket.pause();
      server.program.child.kill('SIGTERM');
      assert.equal((await server.program.exit).code, 0);
      client.destroy();
    });
  });

  describe('npm start', function () {
    this.timeout(180_000);  // It may have to build.

    it('passes options through, and a signal to npm ends the server with 0', async () => {
      const npm = run('npm', ['start', '--', '--root', tree.root, '--port', '0']);
      await until('the ready line', () => kReadyLine.test(npm.stdout) || !npm.isRunning, 170_000);
      const server = await ready(npm);
      assert.equal(server.root, tree.root);
      assert.equal((await get(server, '/a.txt')).body.toString(), 'a');
      npm.child.kill('SIGTERM');
      assert.equal((await npm.exit).code, 0, npm.stderr);
      const refused = new Promise((resolve) => {
        net.connect(server.port, '127.0.0.1').once('error', resolve).once('connect', () => resolve(null));
      });
      assert.notEqual(await refused, null, 'the server outlived npm');
    });

    it('serves docs/ by default, with an index page of its own', async () => {
      const npm = run('npm', ['start', '--', '--port', '0']);
      await until('the ready line', () => kReadyLine.test(npm.stdout) || !npm.isRunning, 170_000);
      const server = await ready(npm);
      assert.equal(server.root, path.join(repository, 'docs'));
      const page = (await get(server, '/')).body.toString();
      assert.match(page, /<title>io-lite<\/title>/);
      for (const [, link] of page.matchAll(/(?:href|src)="([^"#]+)"/g)) {
        assert.doesNotMatch(link as string, /^\w+:/, 'a link to elsewhere');
        const target = `/${(link as string).replace(/^\//, '')}`;
        if (!target.startsWith('/.flash-lite')) assert.equal((await get(server, target)).status, 200, link);
      }
      npm.child.kill('SIGINT');
      assert.equal((await npm.exit).code, 0, npm.stderr);
    });
  });
});
