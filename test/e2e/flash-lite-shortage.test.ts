// Too little of something: the server says so, lives, and recovers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { RawClient, get, getStatus } from './support/client';
import {
  childOf, mainScript, ready, run, start, stop, stopPrograms, until, type Server,
} from './support/flash-lite';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: shortages', () => {
  let tree: Tree;
  let server: Server;

  before(() => { tree = new Tree(); });
  afterEach(stopPrograms);
  after(() => tree.remove());

  const kRequest = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

  describe('with few file descriptors', () => {
    const kFiles = 120;

    it('every answer is right or 503, and all is well again afterwards', async function () {
      this.timeout(60_000);
      for (let index = 0; index < kFiles; index++) tree.write(`f${index}.txt`, `file ${index}`);
      const command = `ulimit -n 60 && exec "$0" "$1" --root "$2" --port 0 --status`;
      server = await ready(run('sh', ['-c', command, process.execPath, mainScript, tree.root]));
      const asked = Array.from({ length: kFiles }, (_, index) => index);
      const ask = async (index: number): Promise<number> => {
        const { status, body } = await get(server, `/f${index}.txt`);
        if (status === 200) assert.equal(body.toString(), `file ${index}`);
        else assert.equal(status, 503);
        return status;
      };
      for (const index of asked) assert.equal(await ask(index), 200, `one after the other: ${index}`);

      const idle = asked.map(() => new RawClient(server).send('GET /'));
      await until('the server to run short', () => idle.filter((client) => !client.socket.connecting).length > 50);
      for (const client of idle) client.destroy();
      await until('recovery', async () => (await ask(0)) === 200);
      for (const index of asked) assert.equal(await ask(index), 200, `afterwards: ${index}`);
      assert.ok(server.program.isRunning);
      assert.equal((await stop(server)).code, 0);
    });
  });

  describe('with little memory', () => {
    it('slow readers make others wait with 503, and all is well when they have left', async function () {
      this.timeout(60_000);
      const kReaders = 48;
      const content = patterned(24 << 20, 1);
      for (let index = 0; index < kReaders; index++) {
        tree.write(`big${index}.bin`, content.subarray(0, (23 << 20) + index));
      }
      server = await start(tree.root, '--cache-bytes', '1M', '--status');
      const readers = Array.from({ length: kReaders }, (_, index) => {
        const client = new RawClient(server).send(kRequest(`/big${index}.bin`));
        client.socket.on('data', () => client.socket.pause());
        return client;
      });
      await until('an answer for everybody', () => readers.every((reader) => reader.byteLength > 0));
      const heads = readers.map((reader) => reader.received.toString('latin1', 0, 12));
      const refused = readers.filter((_, index) => heads[index] === 'HTTP/1.1 503');
      assert.ok(refused.length > 0, 'nobody was refused');
      for (const reader of refused) assert.match(reader.received.toString('latin1'), /\r\nRetry-After: \d+\r\n/);
      assert.equal(heads.filter((head) => head === 'HTTP/1.1 200').length, kReaders - refused.length);

      for (const reader of readers) reader.destroy();
      await until('recovery', async () => (await get(server, '/big0.bin')).status === 200);
      const { body } = await get(server, '/big1.bin');
      assert.ok(body.equals(content.subarray(0, body.length)) && body.length === (23 << 20) + 1);
      const { cache, memory } = await getStatus(server);
      assert.ok(cache.bytes <= 1 << 20, `${cache.bytes} bytes in the cache`);
      const pool = memory.pools.find(({ name }) => name === 'flash-lite');
      assert.ok((pool?.bytesInUse ?? NaN) <= 1.25 * 2 ** 20, 'more than the cache is in use');
      assert.match(server.program.stderr, /503 for \/big/);
      assert.equal((await stop(server)).code, 0);
    });

    it('a cut reader of one file does not disturb a fast reader of it', async function () {
      this.timeout(60_000);
      const content = patterned(20 << 20, 2);
      tree.write('shared.bin', content);
      server = await start(tree.root, '--cache-bytes', '8M');
      const slow = new RawClient(server).send(kRequest('/shared.bin'));
      await until('the first bytes', () => slow.byteLength > 0);
      slow.socket.pause();
      const fast = get(server, '/shared.bin');
      slow.destroy();
      assert.ok((await fast).body.equals(content));
      assert.equal((await stop(server)).code, 0);
    });
  });

  describe('when a system call fails for one file', () => {
    const kReads = 'preadv2,preadv,pread64,read';
    const failures: [calls: string, error: string, status: number, isLogged: boolean][] = [
      [kReads, 'EIO', 500, true],
      ['openat', 'EIO', 500, true],
      ['openat', 'EMFILE', 503, true],
      ['openat', 'ENFILE', 503, true],
      ['openat', 'ENOMEM', 503, true],
      ['openat', 'EACCES', 403, false],
      ['openat', 'ELOOP', 404, false],
    ];
    for (const [calls, error, status, isLogged] of failures) {
      it(`${calls.split(',')[0]} with ${error}: ${status}, and the server lives`, async function () {
        this.timeout(60_000);
        tree.write('bad.txt', 'bad');
        tree.write('good.txt', 'good');
        const log = tree.path('strace.txt');
        const strace = [
          '-f', '-qq', '-o', log, '-P', tree.path('bad.txt'), '-e', `trace=${calls}`,
          '-e', `inject=${calls}:error=${error}`,
        ];
        const probe = spawnSync('strace', [...strace, 'true']);
        if (probe.error !== undefined || probe.status !== 0) this.skip();  // No strace here.
        const command = [process.execPath, mainScript, '--root', tree.root, '--port', '0'];
        server = await ready(run('strace', [...strace, '--', ...command]));
        const pid = childOf(server.pid);
        for (let round = 0; round < 2; round++) {
          assert.equal((await get(server, '/bad.txt')).status, status);
          assert.equal((await get(server, '/good.txt')).body.toString(), 'good');
        }
        assert.ok(readFileSync(log, 'utf8').includes('(INJECTED)'));
        process.kill(pid, 'SIGTERM');
        const exit = await server.program.exit;
        assert.equal(exit.code, 0);
        assert.equal(exit.stderr.includes(`${status} for /bad.txt: ${error}`), isLogged, exit.stderr);
      });
    }
  });
});
