// Where an HttpServer listens beside an address, and limits that change while it runs.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { HttpServer } from 'io-lite/http';

import { runChild } from '../support/child';
import { checkHolds } from '../support/holds';
import { answer, get, httpWorld } from './http-world';

describe('HttpServer at a path or with a descriptor', () => {
  let folder: string;
  let server: HttpServer | undefined;
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'iol-places-')); });
  after(() => rmSync(folder, { recursive: true }));
  afterEach(async () => {
    server?.destroy();
    await server?.close();
    server = undefined;
  });
  checkHolds();

  const ask = (socketPath: string, method = 'GET', body = ''): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = http.request({ socketPath, path: '/', method, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(text));
      });
      request.on('error', reject);
      request.end(body);
    });

  it('answers at a path, which goes when it ends', async () => {
    const file = path.join(folder, 'one');
    server = await HttpServer.listen({ path: file, pathMode: 0o620 }, (request) =>
      answer(request, JSON.stringify([request.address('client'), request.address('server')])));
    assert.deepEqual([server.host, server.port, server.path], ['unix:', 0, file]);
    assert.equal(statSync(file).mode & 0o777, 0o620);
    const nobody = { address: 'unix:', port: 0 };
    assert.deepEqual(JSON.parse(await ask(file)), [nobody, nobody]);
    await server.close();
    assert.equal(existsSync(file), false);
  });

  it('drops a body that nobody reads there, too', async () => {
    const file = path.join(folder, 'body');
    server = await HttpServer.listen({ path: file }, (request) => answer(request, 'done'));
    const client = net.connect(file);
    const body = 'x'.repeat(300_000);
    client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    let text = '';
    for await (const part of client.setEncoding('latin1')) text += part as string;
    assert.equal(text.match(/done/g)?.length, 2, text);
  });

  it('takes over what a killed server has left, and nothing else', async () => {
    const file = path.join(folder, 'left');
    const killed = await runChild(`
      const { HttpServer } = require('io-lite/http');
      HttpServer.listen({ path: ${JSON.stringify(file)} }, () => {})
        .then(() => process.kill(process.pid, 'SIGKILL'));`);
    assert.equal(killed.signal, 'SIGKILL', killed.stderr);
    assert.ok(existsSync(file));
    server = await HttpServer.listen({ path: file }, (request) => answer(request, 'second'));
    assert.equal(await ask(file), 'second');
    await assert.rejects(HttpServer.listen({ path: file }, () => {}),
      { code: 'ERR_IOL_SYSTEM', message: /left.*EADDRINUSE|EADDRINUSE.*left/ });
    assert.equal(await ask(file), 'second');
    const plain = path.join(folder, 'plain');
    writeFileSync(plain, 'kept');
    await assert.rejects(HttpServer.listen({ path: plain }, () => {}), { code: 'ERR_IOL_SYSTEM' });
    assert.ok(existsSync(plain));
  });

  it('leaves a file at its path that is another one by now', async () => {
    const file = path.join(folder, 'other');
    server = await HttpServer.listen({ path: file }, (request) => answer(request, ''));
    rmSync(file);
    writeFileSync(file, 'not ours');
    chmodSync(file, 0o600);
    await server.close();
    assert.ok(existsSync(file));
  });

  const wrong: [what: string, options: () => object, expected: object][] = [
    ['a path that is too long', () => ({ path: `/${'x'.repeat(108)}` }), { code: 'ERR_IOL_SYSTEM', message: /ENAMETOOLONG/ }],
    ['a path that is no text', () => ({ path: 1 }), { code: 'ERR_INVALID_ARG_TYPE' }],
    ['a mode that is none', () => ({ path: '/x', pathMode: 0o1000 }), { code: 'ERR_OUT_OF_RANGE' }],
    ['a path and a descriptor', () => ({ path: '/x', fd: 3 }), { code: 'ERR_INVALID_ARG_VALUE' }],
    ['a descriptor that is closed', () => ({ fd: 999_999 }), { code: 'ERR_IOL_SYSTEM', message: /EBADF/ }],
    ['a descriptor that does not listen', () => ({ fd: openSync('/dev/null', 'r') }),
      { code: 'ERR_IOL_SYSTEM', message: /EINVAL/ }],
  ];
  for (const [what, options, expected] of wrong) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(HttpServer.listen(options(), () => {}), expected);
    });
  }
});

describe('HttpServer.configure', () => {
  const world = httpWorld();

  it('changes limits for the next requests and connections', async () => {
    await world.listen((request) => answer(request, 'ok'));
    const before = world.connect();
    before.socket.write(get('/'));
    await before.until(() => before.text.endsWith('ok'));
    world.server.configure({ targetBytesMax: 10, idleTimeoutMs: 50 });
    const after = world.connect();
    after.socket.write(get('/0123456789'));
    await after.untilClosed();
    assert.match(after.text, /^HTTP\/1\.1 414 /);
    before.text = '';
    before.socket.write(get('/0123456789'));
    await before.until(() => before.text.endsWith('ok'));
    await before.untilClosed();
    assert.equal(world.server.stats().idleTimeouts, 1);
  });

  it('leaves what is not named as it was', async () => {
    await world.listen(() => undefined, { answerTimeoutMs: 50, targetBytesMax: 20 });
    world.server.configure({ pipelineMax: 2 });
    const late = world.connect();
    late.socket.write(get('/'));
    await late.until(() => late.text.startsWith('HTTP/1.1 504 '));
    const long = world.connect();
    long.socket.write(get(`/${'0'.repeat(20)}`));
    await long.until(() => long.text.startsWith('HTTP/1.1 414 '));
  });

  it('goes on accepting when it lets more connections in', async () => {
    await world.listen((request) => answer(request, 'ok'), { connectionsMax: 1 });
    const first = world.connect();
    first.socket.write(get('/'));
    await first.until(() => first.text.endsWith('ok'));
    const second = world.connect();
    second.socket.write(get('/'));
    world.server.configure({ connectionsMax: 2 });
    await second.until(() => second.text.endsWith('ok'));
  });

  it('refuses what is no limit', async () => {
    await world.listen((request) => answer(request, 'ok'));
    assert.throws(() => world.server.configure({ headBytesMax: 1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => world.server.configure(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});
