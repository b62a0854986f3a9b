// HTTPS by the command line: clients that people have, certificates that change, settings that are wrong.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';

import { readCredentials } from '../../examples/flash-lite/certificate';
import type { SettingProblem } from '../../examples/flash-lite/failures';
import { parseCommandLine } from '../../examples/flash-lite/options';
import { combine } from '../../examples/flash-lite/settings';
import { hasCommand } from '../cgi/programs';
import { hasOpenssl, makeCertificate, type Certificate } from '../support/certificate';
import { ready, runFlashLite, start, stop, stopPrograms, until, type Program, type Server } from './support/flash-lite';
import { patterned, Tree } from './support/tree';

const run = promisify(execFile);

describe('Flash-Lite: HTTPS', () => {
  const big = patterned(3_000_001, 7);
  let tree: Tree;
  let first: Certificate;
  let second: Certificate;

  before(function () {
    if (!hasOpenssl) this.skip();
    tree = new Tree({ 'www/a.txt': 'a', 'www/big.bin': big });
    mkdirSync(tree.path('tls'));
    first = makeCertificate(tree.path('tls'), 'first');
    second = makeCertificate(tree.path('tls'), 'second');
    // Those that servers are started with, and that change.
    mkdirSync(tree.path('now'));
  });
  beforeEach(() => install(first));
  afterEach(stopPrograms);
  after(() => tree?.remove());

  const now = { get cert() { return tree.path('now/cert.pem'); }, get key() { return tree.path('now/key.pem'); } };
  const install = ({ certFile, keyFile }: Certificate): void => {
    rmSync(now.key, { force: true });
    copyFileSync(certFile, now.cert);
    copyFileSync(keyFile, now.key);
  };
  const credentials = (): string[] => ['--tls-cert', now.cert, '--tls-key', now.key];
  const serve = (...options: string[]): Promise<Server> =>
    start(tree.path('www'), ...credentials(), ...options);

  const get = (server: Server, target: string, agent?: https.Agent): Promise<{ status: number; body: string; name: string }> =>
    new Promise((resolve, reject) => {
      https.get({
        port: server.port, host: '127.0.0.1', path: target, agent: agent ?? false, ca: [first.cert, second.cert],
      }, (response) => {
        let body = '';
        // Asked here: a connection that is given back shows none later.
        const name = (response.socket as tls.TLSSocket).getPeerCertificate().subject.CN as string;
        response.setEncoding('latin1').on('data', (part: string) => (body += part)).on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode!, body, name }));
      }).on('error', reject);
    });

  describe('curl', () => {
    const curl = async (...options: string[]): Promise<Buffer> => {
      const { stdout } = await run('curl', ['-sS', '--cacert', first.certFile, ...options], { encoding: 'buffer', maxBuffer: 1 << 25 });
      return stdout;
    };
    before(function () {
      if (!hasCommand('curl')) this.skip();
    });

    it('is answered: whole, in ranges, heads, kept, old, compressed, uploads', async () => {
      tree.write('bin/length', '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; wc -c\n');
      chmodSync(tree.path('bin/length'), 0o755);
      const { url } = await serve('--cgi', `/cgi=${tree.path('bin')}`);
      assert.match(url, /^https:\/\/127\.0\.0\.1:/);
      assert.ok((await curl(`${url}/big.bin`)).equals(big));
      assert.ok((await curl('-r', '1000000-2000000', `${url}/big.bin`)).equals(big.subarray(1_000_000, 2_000_001)));
      assert.match(String(await curl('-I', `${url}/big.bin`)), /^HTTP\/1\.1 200 [^]*Content-Length: 3000001\r\n/);
      assert.equal(String(await curl('-w', '%{num_connects},', `${url}/a.txt`, `${url}/a.txt`)), 'a1,a0,');
      assert.equal(String(await curl('--http1.0', `${url}/a.txt`)), 'a');
      assert.equal(String(await curl('--http2', '-w', '%{http_version}', `${url}/a.txt`)), 'a1.1');
      assert.equal(String(await curl('--tlsv1.2', '--tls-max', '1.2', `${url}/a.txt`)), 'a');
      const upload = await curl('-T', tree.path('www/big.bin'), '-X', 'POST', `${url}/cgi/length`);
      assert.equal(String(upload).trim(), String(big.length));
    });

    it('is told of programs and workers that it came by HTTPS', async () => {
      tree.write('bin/env', '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; env\n');
      chmodSync(tree.path('bin/env'), 0o755);
      tree.write('worker.mjs', `import { Aggregate } from ${JSON.stringify(path.join(__dirname, '../../dist/index.mjs'))};
        import { CgiResponseHead, serve } from ${JSON.stringify(path.join(__dirname, '../../dist/cgi.mjs'))};
        const head = new CgiResponseHead(200, { 'Content-Type': 'text/plain' });
        await serve((request) => {
          const names = Object.entries(request.variables).map(([name, value]) => name + '=' + value + '\\n');
          request.respond(head, Aggregate.from(names.join('') + 'isSecure=' + request.isSecure + '\\n'));
        });`);
      const program = runFlashLite('--root', tree.path('www'), '--listen', 'https://127.0.0.1:0', '--listen', '127.0.0.1:0',
        ...credentials(), '--cgi', `/cgi=${tree.path('bin')}`, '--app', `/app=${tree.path('worker.mjs')}`);
      const [secure, plain] = await placesOf(program);
      for (const target of ['/cgi/env', '/app/']) {
        const said = String(await curl(`${secure}${target}`, '-w', 'local=%{local_port}\n'));
        const port = /^local=(\d+)$/m.exec(said)![1];
        for (const line of ['HTTPS=on', 'REQUEST_SCHEME=https', `SERVER_PORT=${new URL(secure).port}`,
          'REMOTE_ADDR=127.0.0.1', `REMOTE_PORT=${port}`]) {
          assert.ok(said.split('\n').includes(line), `${target}: ${line} in\n${said}`);
        }
        const open = String(await curl(`${plain}${target}`));
        assert.match(open, /^REQUEST_SCHEME=http$/m);
        assert.doesNotMatch(open, /^HTTPS=|^isSecure=true/m);
      }
    });
  });

  const placesOf = async (program: Program): Promise<[string, string]> => {
    await until('the ready line', () => program.stdout.endsWith('\n') || !program.isRunning);
    const match = / on (https:\/\/\S+), (http:\/\/\S+)\n$/.exec(program.stdout);
    assert.ok(match, program.stdout + program.stderr);
    return [match[1]!, match[2]!];
  };

  it('logs the address of the client, and tells and counts failed handshakes', async () => {
    const server = await serve('--access-log', '-', '--log-format', 'json', '--status');
    await get(server, '/a.txt');
    await until('a line', () => server.program.stdout.includes('}\n'));
    const line = JSON.parse(server.program.stdout.split('\n')[1]!) as Record<string, unknown>;
    assert.deepEqual([line['client'] ?? line['address'], line['status'], line['bodyBytes']], ['127.0.0.1', 200, 1]);
    await assert.rejects(fetch(`http://127.0.0.1:${server.port}/`));
    await until('the line of the error log', () => / was refused: its TLS handshake failed: http request\n/.test(server.program.stderr));
    assert.match(server.program.stderr, /127\.0\.0\.1 port \d+ was refused/);
    await until('the count', async () =>
      /^flash_lite_tls_failures_total 1$/m.test((await get(server, '/.flash-lite/metrics')).body));
    assert.match((await get(server, '/.flash-lite/metrics')).body, /^flash_lite_copied_bytes_total\{reason="tls"\} [1-9]/m);
  });

  it('takes no older TLS than it is told', async () => {
    const server = await serve('--tls-min-version', 'TLSv1.3');
    const failure = await new Promise((resolve) => {
      tls.connect({ port: server.port, ca: first.cert, servername: 'localhost', maxVersion: 'TLSv1.2' })
        .on('error', resolve).on('secureConnect', () => resolve('connected'));
    });
    assert.match(String(failure), /protocol version/);
    assert.equal((await get(server, '/a.txt')).body, 'a');
  });

  describe('--redirect-to-https', () => {
    // The status line and the fields of an answer to exactly these bytes.
    const say = (where: net.NetConnectOpts, bytes: string): Promise<{ status: number; location: string | undefined; text: string }> =>
      new Promise((resolve, reject) => {
        let text = '';
        const socket = net.connect(where, () => socket.write(bytes));
        socket.setEncoding('latin1').on('data', (part: string) => (text += part)).on('error', reject);
        socket.on('end', () => resolve({
          status: Number(text.split(' ')[1]), location: /^Location: (.*)\r$/m.exec(text)?.[1], text,
        }));
      });
    const ask = (method: string, target: string, ...fields: string[]): string =>
      [`${method} ${target} HTTP/1.1`, 'Connection: close', ...fields, '', ''].join('\r\n');
    const both = ['--listen', 'https://127.0.0.1:0', '--listen', '127.0.0.1:0', '--redirect-to-https'];

    it('sends what comes by plain HTTP to the same by HTTPS', async () => {
      const program = runFlashLite('--root', tree.path('www'), ...both, ...credentials(), '--status',
        '--header', 'Strict-Transport-Security: max-age=60', '--header', 'X-Ours: 1', '--listen', `unix:${tree.path('socket')}`);
      await until('the ready line', () => program.stdout.includes('unix:') || !program.isRunning);
      const [secure, plain] = [...program.stdout.matchAll(/https?:\/\/[\d.]+:(\d+)/g)].map(([, port]) => Number(port)) as [number, number];
      const where = { host: '127.0.0.1', port: plain };
      const rows: [request: string, location: string][] = [
        [ask('GET', '/a.txt?x=1&y=%20', 'Host: www.example.com'), `https://www.example.com:${secure}/a.txt?x=1&y=%20`],
        [ask('HEAD', '/none', `Host: localhost:${plain}`), `https://localhost:${secure}/none`],
        [ask('POST', '/a.txt', 'Host: [::1]:80', 'Content-Length: 3') + 'abc', `https://[::1]:${secure}/a.txt`],
        [ask('GET', 'http://h.example?q', 'Host: h.example'), `https://h.example:${secure}/?q`],
        [ask('GET', 'http://h.example:77/z', 'Host: other'), `https://h.example:${secure}/z`],
        [ask('GET', '//elsewhere.example/', 'Host: h.example'), `https://h.example:${secure}//elsewhere.example/`],
        [ask('GET', '/.flash-lite/', 'Host: h.example'), `https://h.example:${secure}/.flash-lite/`],
        ['GET /a.txt HTTP/1.0\r\n\r\n', `https://127.0.0.1:${secure}/a.txt`],
      ];
      for (const [request, location] of rows) {
        const answer = await say(where, request);
        assert.deepEqual([answer.status, answer.location], [308, location], request);
        assert.match(answer.text, /^X-Ours: 1\r$/m);
        assert.doesNotMatch(answer.text, /Strict-Transport-Security/i);
        assert.equal(answer.text.endsWith('308 Permanent Redirect\n'), !request.startsWith('HEAD'), request);
      }
      assert.equal((await say(where, ask('OPTIONS', '*', 'Host: h.example'))).status, 204);
      const local = await say({ path: tree.path('socket') }, ask('GET', '/a.txt', 'Host: h.example'));
      assert.equal(local.status, 200, 'whoever comes by a Unix socket');
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        https.get({ host: '127.0.0.1', port: secure, path: '/a.txt', ca: first.cert, agent: false }, resolve).on('error', reject);
      });
      answer.resume();
      assert.equal(answer.statusCode, 200);
      assert.equal(answer.headers['strict-transport-security'], 'max-age=60');
    });

    it('names the port that clients see, none if it is 443', async () => {
      const program = runFlashLite('--root', tree.path('www'), ...both, ...credentials(), '--https-port', '443');
      const [, plain] = await placesOf(program);
      const { location } = await say({ host: '127.0.0.1', port: Number(new URL(plain).port) }, ask('GET', '/a.txt', 'Host: h:8080'));
      assert.equal(location, 'https://h/a.txt');
    });

    it('is refused where there is nothing to be sent to, or from', async () => {
      tree.write('c.yaml', 'port: 0\nredirect-to-https: true\n');
      const { code, stderr } = await runFlashLite('--check', '--config', tree.path('c.yaml')).exit;
      assert.equal(code, 2);
      assert.match(stderr, /c\.yaml:2:20: redirect-to-https: it needs tls-cert and tls-key/);
      for (const how of ['--listing', '--check']) {
        const alone = await runFlashLite('--root', tree.path('www'), '--port', '0', '--redirect-to-https', ...credentials(), how).exit;
        assert.deepEqual([alone.code, alone.stdout], [2, '']);
        assert.match(alone.stderr, /redirect-to-https needs a place for plain HTTP, too/);
      }
    });
  });

  describe('SIGHUP', () => {
    const hangUp = async (server: Server, word: RegExp): Promise<void> => {
      const before = server.program.stderr.length;
      server.program.child.kill('SIGHUP');
      await until(String(word), () => word.test(server.program.stderr.slice(before)));
    };

    it('takes a new certificate and fails no request', async () => {
      const server = await serve();
      const agent = new https.Agent({ keepAlive: true, maxSockets: 2 });
      assert.equal((await get(server, '/a.txt', agent)).name, 'first');
      let isOver = false;
      let requests = 0;
      const traffic = [agent, undefined].map(async (each) => {
        for (; !isOver; requests++) assert.equal((await get(server, '/a.txt', each)).body, 'a');
      });
      for (const certificate of [second, first, second]) {
        install(certificate);
        server.program.child.kill('SIGHUP');
        const name = certificate === first ? 'first' : 'second';
        await until(name, async () => (await get(server, '/a.txt')).name === name);
        const seen = requests;
        await until('more requests', () => requests > seen + 10);
      }
      isOver = true;
      await Promise.all(traffic);
      agent.destroy();
      assert.equal((await stop(server)).code, 0);
    });

    it('stays with the old one when the new one is wrong, and says why', async () => {
      const server = await serve();
      copyFileSync(second.keyFile, now.key);
      await hangUp(server, /--tls-key: .*now\/key\.pem is not the key of .*now\/cert\.pem/);
      assert.match(server.program.stderr, /the settings stay as they were/);
      rmSync(now.cert);
      await hangUp(server, /--tls-cert: cannot read .*now\/cert\.pem: it does not exist \(ENOENT\)/);
      assert.equal((await get(server, '/a.txt')).name, 'first');
    });

    it('says so when the key cannot be read without the rights of the start', async function () {
      if (process.getuid!() !== 0) this.skip();
      chmodSync(tree.root, 0o755);
      chmodSync(now.key, 0o600);
      const server = await serve('--user', 'nobody');
      assert.equal((await get(server, '/a.txt')).name, 'first');
      await hangUp(server, /--tls-key: cannot read .*key\.pem: permission denied \(EACCES\)/);
      assert.equal((await get(server, '/a.txt')).name, 'first');
    });
  });

  describe('settings that are wrong', () => {
    // Without a process for each.
    const complaintOf = async (...options: string[]): Promise<string> => {
      const line = parseCommandLine(options);
      if (line.kind !== 'serve') return line.kind === 'wrong' ? line.message : '';
      return readCredentials(combine(line.values)).then(() => '', ({ setting, message }: SettingProblem) =>
        `--${setting}: ${message}`);
    };
    const check = async (...options: string[]): Promise<string> => {
      const { code, stderr, stdout } = await runFlashLite('--check', ...options).exit;
      assert.equal(code, stderr === '' ? 0 : 2, stdout + stderr);
      return stderr;
    };

    it('are told with the option and the file', async () => {
      tree.write('nonsense.pem', 'nonsense');
      const [locked, nonsense, none] = ['locked.key', 'nonsense.pem', 'none'].map((name) => tree.path(name)) as
        [string, string, string];
      await run('openssl', ['pkcs8', '-topk8', '-in', first.keyFile, '-out', locked, '-passout', 'pass:x']);
      const { certFile: cert, keyFile: key } = first;
      const other = second.keyFile;
      const rows: [options: string[], complaint: RegExp | ''][] = [
        [['--tls-cert', cert, '--tls-key', key], ''],
        [['--tls-cert', cert], /--tls-cert: it needs tls-key, too/],
        [['--tls-key', key], /--tls-key: it needs tls-cert, too/],
        [['--listen', 'https://127.0.0.1:0'], /--listen: https:\/\/ needs tls-cert and tls-key/],
        [['--listen', '127.0.0.1:0', '--tls-cert', cert, '--tls-key', key], /--tls-cert: it is for https:\/\//],
        [['--tls-cert', none, '--tls-key', key], /--tls-cert: cannot read .*none: it does not exist \(ENOENT\)/],
        [['--tls-cert', cert, '--tls-key', other], /--tls-key: .*second\.key is not the key of .*first\.crt/],
        [['--tls-cert', nonsense, '--tls-key', key], /--tls-cert: .*nonsense\.pem has no certificate in PEM format/],
        [['--tls-cert', cert, '--tls-key', nonsense], /--tls-key: .*nonsense\.pem has no private key in PEM format/],
        [['--tls-cert', cert, '--tls-key', locked], /--tls-key: .*locked\.key has a passphrase/],
        [['--tls-cert', key, '--tls-key', key], /--tls-cert: .*first\.key has no certificate in PEM format/],
        [['--tls-min-version', '1.2'], /--tls-min-version must be one of TLSv1\.2, TLSv1\.3, not "1\.2"/],
      ];
      for (const [options, complaint] of rows) {
        const said = await complaintOf(...options);
        if (complaint === '') assert.equal(said, '');
        else assert.match(said, complaint);
      }
      assert.match(await check('--tls-cert', cert, '--tls-key', other), /is not the key of/);
    });

    it('are told with their place in a file', async () => {
      const other = second.keyFile;
      tree.write('c.yaml', `listen: https://127.0.0.1:0\ntls-cert: ${first.certFile}\ntls-key:   ${other}\n`);
      assert.match(await check('--config', tree.path('c.yaml')), /c\.yaml:3:12: tls-key: .* is not the key of/);
      tree.write('c.yaml', 'port: 0\nlisten: https://127.0.0.1:0\n');
      assert.match(await check('--config', tree.path('c.yaml')), /c\.yaml:2:9: listen: https:\/\/ needs tls-cert/);
    });

    it('are none when they are right, in a file, too', async () => {
      tree.write('c.yaml', `root: www\ntls-cert: ${first.certFile}\ntls-key: ${first.keyFile}\n`);
      const server = await ready(runFlashLite('--config', tree.path('c.yaml'), '--port', '0'));
      assert.equal((await get(server, '/a.txt')).body, 'a');
    });
  });
});
