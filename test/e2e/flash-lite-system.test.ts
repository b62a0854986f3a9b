// What the system around a server does: sockets that systemd opens, users that it gives up being.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

import { bindListener } from 'io-lite/http';

import { hasOpenssl, makeCertificate } from '../support/certificate';
import {
  mainScript, Program, repository, runFlashLite, stopPrograms, until,
} from './support/flash-lite';
import { Tree } from './support/tree';

describe('Flash-Lite: the system', () => {
  let tree: Tree;
  const programs: Program[] = [];
  before(() => {
    tree = new Tree({ 'www/a.txt': 'a', 'bin/env': '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; env; id\n' });
    chmodSync(tree.path('bin/env'), 0o755);
  });
  afterEach(async () => {
    await stopPrograms();
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.exit;
    }
  });
  after(() => tree.remove());

  const get = (options: https.RequestOptions, secure = false): Promise<string> =>
    new Promise((resolve, reject) => {
      (secure ? https : http).get({ host: '127.0.0.1', path: '/a.txt', agent: false, ...options }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(text)).on('error', reject);
      }).on('error', reject);
    });
  const listeners = async (program: Program): Promise<string[]> => {
    await until('the ready line', () => program.stdout.endsWith('\n') || !program.isRunning);
    const match = / on (.*)\n$/.exec(program.stdout);
    assert.ok(match, program.stdout + program.stderr);
    return match[1]!.split(', ');
  };
  const portOf = (place: string): number => Number(new URL(place).port);

  describe('sockets that were opened before', () => {
    /** As systemd does it: from descriptor 3 on, and the process is who the environment says. */
    const activate = (fds: readonly number[], variables: string, ...options: string[]): Program => {
      const command = `${variables} exec "$0" "$@"`;
      const child = spawn('/bin/sh', ['-c', command, process.execPath, mainScript, '--root', tree.path('www'), ...options],
        { cwd: repository, stdio: ['ignore', 'pipe', 'pipe', ...fds] });
      const program = new Program(child);
      programs.push(program);
      for (const fd of fds) closeSync(fd);
      return program;
    };

    it('are served, several and of the file system, and stay whoever made them', async () => {
      const path = tree.path('given.sock');
      const fds = [await bindListener({ port: 0 }), await bindListener({ path }), await bindListener({ port: 0 })];
      const program = activate(fds, 'LISTEN_PID=$$ LISTEN_FDS=3', '--cgi', `/bin=${tree.path('bin')}`, '--port', '1');
      const places = await listeners(program);
      assert.equal(places.length, 3, 'the port of the settings is not listened to');
      assert.equal(places[1], `unix:${path}`);
      for (const place of [places[0]!, places[2]!]) assert.equal(await get({ port: portOf(place) }), 'a');
      assert.equal(await get({ socketPath: path }), 'a');
      const environment = await get({ port: portOf(places[0]!), path: '/bin/env' });
      assert.match(environment, /^SERVER_PORT=/m);
      assert.doesNotMatch(environment, /^LISTEN_/m, 'a program must not think that they are its own');
      program.child.kill('SIGTERM');
      assert.equal((await program.exit).code, 0);
      assert.ok(existsSync(path), 'whoever has made it removes it');
    });

    it('are served beside those of the settings', async () => {
      const program = activate([await bindListener({ port: 0 })], 'LISTEN_PID=$$ LISTEN_FDS=1', '--listen', '127.0.0.1:0');
      const places = await listeners(program);
      assert.equal(places.length, 2);
      for (const place of places) assert.equal(await get({ port: portOf(place) }), 'a');
    });

    it('are left alone when they are for another process', async () => {
      const fd = await bindListener({ port: 0 });
      const program = activate([fd], 'LISTEN_PID=1 LISTEN_FDS=1', '--port', '0');
      const places = await listeners(program);
      assert.equal(places.length, 1);
      assert.equal(await get({ port: portOf(places[0]!) }), 'a');
    });

    it('speak HTTPS by their names, and when there is a certificate', async function () {
      if (!hasOpenssl) this.skip();
      const { cert, certFile, keyFile } = makeCertificate(tree.root, 'given');
      const fds = await Promise.all([1, 2, 3].map(() => bindListener({ port: 0 })));
      const program = activate(fds, 'LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=https:http:web.socket',
        '--tls-cert', certFile, '--tls-key', keyFile);
      const places = await listeners(program);
      assert.deepEqual(places.map((place) => new URL(place).protocol), ['https:', 'http:', 'https:']);
      for (const place of places) {
        const isSecure = place.startsWith('https:');
        assert.equal(await get({ port: portOf(place), ca: cert }, isSecure), 'a');
      }
    });

    it('named https without a certificate are refused', async () => {
      const program = activate([await bindListener({ port: 0 })], 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=https');
      const { code, stderr } = await program.exit;
      assert.equal(code, 2);
      assert.match(stderr, /https:fd:3 needs tls-cert and tls-key/);
    });
  });

  describe('--user and --group', () => {
    before(function () {
      if (process.getuid!() !== 0) this.skip();
      chmodSync(tree.root, 0o755);
      mkdirSync(tree.path('run'));
    });
    const accountOf = (file: string, name: string, field: number): string =>
      readFileSync(file, 'utf8').split('\n').map((line) => line.split(':')).find((fields) => fields[0] === name)![field]!;
    const nobody = (): [uid: string, gid: string] =>
      [accountOf('/etc/passwd', 'nobody', 2), accountOf('/etc/passwd', 'nobody', 3)];

    /** Of every thread: a thread that has kept its rights would be a way back. */
    const identities = (pid: number): Record<string, string>[] =>
      readdirSync(`/proc/${pid}/task`).map((thread) => Object.fromEntries(
        readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8').split('\n')
          .map((line) => line.split(/:\s*/)).filter(([name]) => /^(?:Uid|Gid|Groups|Cap(?:Eff|Prm|Amb))$/.test(name!))
          .map(([name, value]) => [name, value!.trim().replace(/\s+/g, ' ')])) as Record<string, string>);
    const none = '0000000000000000';

    it('gives up root for good: in every thread, with its groups and capabilities', async () => {
      const path = tree.path('run/web.sock');
      const program = runFlashLite('--root', tree.path('www'), '--user', 'nobody', '--listen', `unix:${path}`,
        '--listen', '127.0.0.1:0', '--pid-file', tree.path('run/pid'), '--cgi', `/bin=${tree.path('bin')}`);
      const places = await listeners(program);
      const port = portOf(places[1]!);
      assert.equal(await get({ port }), 'a');
      const said = await get({ port, path: '/bin/env' });
      assert.match(said, new RegExp(`^uid=${uid}\\(nobody\\) gid=${gid}\\(\\w+\\)(?: groups=${gid}\\(\\w+\\))?$`, 'm'));
      const threads = identities(program.child.pid!);
      assert.ok(threads.length > 1);
      for (const thread of threads) {
        assert.deepEqual(thread, {
          Uid: Array(4).fill(uid).join(' '), Gid: Array(4).fill(gid).join(' '), Groups: gid,
          CapPrm: none, CapEff: none, CapAmb: none,
        });
      }
      assert.equal(statSync(path).uid, Number(uid));
      assert.equal(readFileSync(tree.path('run/pid'), 'utf8'), `${program.child.pid}\n`);
      program.child.kill('SIGTERM');
      assert.equal((await program.exit).code, 0);
    });

    const [uid, gid] = nobody();
    const games = accountOf('/etc/group', 'games', 2);
    const rows: [options: string[], uid: string, gid: string][] = [
      [['--user', 'nobody', '--group', 'games'], uid, games],
      [['--user', uid, '--group', games], uid, games],
      [['--group', 'nogroup'], '0', gid],
    ];
    for (const [options, wantedUid, wantedGid] of rows) {
      it(`takes ${options.join(' ')}`, async () => {
        const program = runFlashLite('--root', tree.path('www'), '--port', '0', ...options);
        const [place] = await listeners(program);
        assert.equal(await get({ port: portOf(place!) }), 'a');
        for (const { Uid, Gid, Groups } of identities(program.child.pid!)) {
          assert.deepEqual([Uid, Gid, Groups], [Array(4).fill(wantedUid).join(' '), Array(4).fill(wantedGid).join(' '), wantedGid]);
        }
        program.child.kill('SIGTERM');
        assert.equal((await program.exit).code, 0);
      });
    }

    it('serves nothing when there is no such user or group', async () => {
      for (const [option, word] of [['--user', 'user'], ['--group', 'group']] as const) {
        const program = runFlashLite('--root', tree.path('www'), '--port', '0', option, 'nobody-of-that-name');
        const { code, stdout, stderr } = await program.exit;
        assert.deepEqual([code, stdout], [1, '']);
        assert.match(stderr, new RegExp(`there is no ${word} "nobody-of-that-name"`));
      }
    });

    it('what only root may read is not served', async () => {
      tree.write('www/secret.txt', 'secret');
      chmodSync(tree.path('www/secret.txt'), 0o600);
      const program = runFlashLite('--root', tree.path('www'), '--port', '0', '--user', 'nobody');
      const [place] = await listeners(program);
      assert.match(await get({ port: portOf(place!), path: '/secret.txt' }), /403/);
    });
  });

  describe('--pid-file', () => {
    it('is refused where it cannot be written, and is not another process\'s to lose', async () => {
      const missing = runFlashLite('--root', tree.path('www'), '--port', '0', '--pid-file', tree.path('no/pid'));
      const { code, stdout, stderr } = await missing.exit;
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^flash-lite: --pid-file: cannot write to .*\/no: it does not exist \(ENOENT\)\n$/);
      const program = runFlashLite('--root', tree.path('www'), '--port', '0', '--pid-file', tree.path('pid'));
      await listeners(program);
      tree.write('pid', '1\n');
      program.child.kill('SIGTERM');
      assert.equal((await program.exit).code, 0);
      assert.equal(readFileSync(tree.path('pid'), 'utf8'), '1\n');
    });

    it('goes when the server cannot start after it was written, with its socket, although the user may not remove them', async function () {
      if (process.getuid!() !== 0) this.skip();
      chmodSync(tree.root, 0o755);
      for (const log of ['access-log', 'error-log']) {
        const program = runFlashLite('--root', tree.path('www'), '--listen', `unix:${tree.path('sock2')}`,
          '--pid-file', tree.path('pid2'), '--user', 'nobody', `--${log}`, tree.path('theirs.log'));
        const { code, stderr } = await program.exit;
        assert.equal(code, 1);
        assert.equal(stderr,
          `flash-lite: cannot start: --${log}: cannot write ${tree.path('theirs.log')}: permission denied (EACCES)\n`);
        assert.deepEqual(['pid2', 'sock2'].filter((name) => existsSync(tree.path(name))), []);
      }
    });
  });
});
