// A hit copies no payload byte: by the library's own counters, and seen from outside by strace.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import http from 'node:http';

import { get, getStatus, type Status } from './support/client';
import {
  childOf, mainScript, ready, run, start, stop, stopPrograms, until, type Server,
} from './support/flash-lite';
import { Tree, patterned } from './support/tree';

describe('Flash-Lite: zero copies', () => {
  const payload = patterned(30_000, 7);
  let tree: Tree;

  before(() => { tree = new Tree({ 'a.bin': payload }); });
  afterEach(stopPrograms);
  after(() => tree.remove());

  const copiedBytes = ({ copies }: Status): number =>
    Object.values(copies).reduce((sum, { bytes }) => sum + bytes, 0);

  describe('a thousand hits', () => {
    it('are counted as hits, and nothing is copied for them', async function () {
      this.timeout(60_000);
      const server = await start(tree.root, '--status');
      await get(server, '/a.bin');
      const before = await getStatus(server);
      const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
      for (let round = 0; round < 250; round++) {
        const ask = { agent };
        const four = [1, 2, 3, 4].map(() => get(server, '/a.bin', ask));
        for (const { body } of await Promise.all(four)) assert.ok(body.equals(payload));
      }
      agent.destroy();
      const after = await getStatus(server);
      // What remains is the text of the status page and, once a second, that of the Date header.
      const copied = copiedBytes(after) - copiedBytes(before);
      assert.ok(copied < payload.length, `${copied} bytes copied: more than one payload`);
      const { write, head, ...others } = after.copies;
      assert.deepEqual({ ...before.copies, write, head }, { write, head, ...others });
      // Of an answer that may be repeated the target is kept, with its end; again when the file was looked at.
      const { times, bytes } = before.copies['head']!;
      assert.equal(head!.bytes - bytes, (head!.times - times) * '/a.bin\n'.length);
      assert.ok(head!.times - times < 100, `${head!.times - times} answers kept`);
      assert.equal(after.requests - before.requests, 1001);
      assert.ok(after.cache.hits - before.cache.hits >= 1000);
      assert.equal(after.cache.misses, before.cache.misses);
      await stop(server);
    });
  });

  interface Mapping {
    from: number;
    to: number;
    name: string;
  }

  function mappingsOf(pid: number): Mapping[] {
    const line = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/;
    return readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n').map((text) => {
      const [, from, to, name] = line.exec(text) as unknown as [string, string, string, string];
      return { from: parseInt(from, 16), to: parseInt(to, 16), name };
    });
  }

  /** The iovecs that a msghdr in another process points to. */
  function iovecsAt(pid: number, address: number): { base: number; byteLength: number }[] {
    const memory = openSync(`/proc/${pid}/mem`, 'r');
    const read = (at: number, byteLength: number): Buffer => {
      const bytes = Buffer.alloc(byteLength);
      assert.equal(readSync(memory, bytes, 0, byteLength, at), byteLength);
      return bytes;
    };
    const number = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));
    try {
      const header = read(address, 56);  // msg_iov is at 16 and msg_iovlen at 24 on 64-bit Linux.
      const count = number(header, 24);
      const iovecs = read(number(header, 16), 16 * count);
      return Array.from({ length: count }, (_, index) =>
        ({ base: number(iovecs, 16 * index), byteLength: number(iovecs, 16 * index + 8) }));
    } finally {
      closeSync(memory);
    }
  }

  describe('a hit seen by strace', () => {
    // The second sendmsg stops the process before it returns, so that its arguments can be looked at.
    const kStrace = [
      '-f', '-q', '-e', 'trace=sendmsg,sendto,sendfile,splice', '-e', 'raw=sendmsg',
      '-e', 'inject=sendmsg:signal=SIGSTOP:when=2',
    ];

    async function startTraced(log: string): Promise<Server> {
      const command = [process.execPath, mainScript, '--root', tree.root, '--port', '0'];
      return ready(run('strace', [...kStrace, '-o', log, '--', ...command]));
    }

    it('is one sendmsg whose iovecs lie in memory of the window', async function () {
      this.timeout(60_000);
      const probe = spawnSync('strace', [...kStrace, 'true']);
      if (probe.error !== undefined || probe.status !== 0) this.skip();  // No strace, or no ptrace.
      const log = tree.path('strace.txt');
      const server = await startTraced(log);
      const pid = childOf(server.pid);
      assert.ok((await get(server, '/a.bin')).body.equals(payload));
      const hit = get(server, '/a.bin');
      await until('the stop', () => readFileSync(log, 'utf8').includes('stopped by SIGSTOP'));
      const calls = [...readFileSync(log, 'utf8').matchAll(/sendmsg\(0x\w+, (0x\w+), /g)];
      assert.equal(calls.length, 2);
      const iovecs = iovecsAt(pid, Number((calls[1] as RegExpExecArray)[1]));
      const mappings = mappingsOf(pid);
      process.kill(pid, 'SIGCONT');
      const { body } = await hit;
      assert.ok(body.equals(payload));
      const sent = iovecs.reduce((sum, { byteLength }) => sum + byteLength, 0);
      assert.ok(sent > payload.length && sent < payload.length + 1000, 'head and body in one call');
      for (const { base, byteLength } of iovecs) {
        const mapping = mappings.find(({ from, to }) => base >= from && base + byteLength <= to);
        assert.match(mapping?.name ?? 'nothing', /^\/memfd:/);
      }
      process.kill(pid, 'SIGTERM');
      assert.equal((await server.program.exit).code, 0);
      const lines = readFileSync(log, 'utf8');
      assert.equal(lines.match(/(sendmsg|sendto|sendfile|splice)\(/g)?.length, 2);
    });
  });
});
