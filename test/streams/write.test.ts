import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Duplex, PassThrough, Transform, Writable } from 'node:stream';
import { createGzip, gunzipSync } from 'node:zlib';
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

import { Aggregate, iolWrite, stats } from 'io-lite';

import { runChild } from '../support/child';
import { checkHolds } from '../support/holds';
import {
  assertSame, collect, copiesFromNow, countingBytes, listenersOf, portOf, slicesOf, socketPair,
} from './world';

describe('iolWrite to Node streams', () => {
  checkHolds();

  describe('a socket', () => {
    it('keeps the order of its own writes and of end()', async () => {
      const { near, far, close } = await socketPair();
      const received = collect(far);
      near.write('own 1, ');
      using bytes = Aggregate.from('a1, ', 'a2, ');
      const first = iolWrite(near, bytes);
      near.write('own 2, ');
      const second = iolWrite(near, bytes);
      near.end('own 3');
      assert.deepEqual(await Promise.all([first, second]), [8, 8]);
      assert.equal(String(await received), 'own 1, a1, a2, own 2, a1, a2, own 3');
      await close();
    });

    it('is cut when the window is closed before all is sent: no bytes are left out in silence', async () => {
      const result = await runChild(`
        const net = require('node:net');
        const { iolWrite, Aggregate, Window } = require('io-lite');
        const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1', () => {
          const socket = net.connect(server.address().port, '127.0.0.1');
          socket.on('close', () => server.close());
          server.on('connection', (far) => {
            far.on('error', () => {});
            const bytes = Aggregate.from(Buffer.alloc(8 << 20));
            const ends = [iolWrite(socket, bytes), iolWrite(socket, bytes)];
            for (const end of ends) {
              end.then(console.log, ({ code }) => console.log(code)).then(() => far.destroy());
            }
            Window.default().close();
          });
        });
      `);
      assert.equal(result.stdout, 'ERR_IOL_CLOSED\nERR_IOL_CLOSED\n', result.stderr);
      assert.equal(result.code, 0);
    });

    it('sends big slices from where they lie, and small neighbours as one counted copy', async () => {
      const { near, far, close } = await socketPair();
      using big = slicesOf(3, 64 * 1024);
      using small = slicesOf(100, 100);
      using bytes = Aggregate.concat(big, small, big);
      const copies = copiesFromNow();
      const received = collect(far);
      await iolWrite(near, bytes);
      assert.deepEqual(copies(), { coalesce: 10_000 });
      near.end();
      assertSame(await received, bytes.toBuffer());
      await close();
    });

    it('takes thousands of slices in their order', async () => {
      const { near, far, close } = await socketPair();
      using tiny = slicesOf(20_000, 20);
      using big = slicesOf(1_100, 4096); // More than one system call takes.
      using bytes = Aggregate.concat(tiny, big);
      const received = collect(far);
      assert.equal(await iolWrite(near, bytes), bytes.byteLength);
      near.end();
      assertSame(await received, bytes.toBuffer());
      await close();
    });

    it('settles only when the socket has taken the bytes, and holds them until then', async () => {
      const { near, far, close } = await socketPair();
      const size = 8 << 20;
      const expected = countingBytes(size);
      const bytes = Aggregate.from(expected);
      let isDone = false;
      const writing = iolWrite(near, bytes).then(() => (isDone = true));
      bytes.dispose();
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(isDone, false);
      assert.ok(stats().liveHolds > 0);
      near.end();
      assertSame(await collect(far), expected);
      await writing;
      await close();
    });

    it('that is destroyed with a write in flight rejects, and has sent nothing but a prefix', async () => {
      const { near, far, close } = await socketPair();
      const expected = countingBytes(8 << 20);
      const before = stats();
      const bytes = Aggregate.from(expected);
      const writes = [iolWrite(near, bytes), iolWrite(near, bytes)];
      bytes.dispose();
      near.write('own');
      const outcomes = Promise.allSettled(writes);
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(near.writableLength > 0, 'a part is in flight');
      near.destroy();
      for (const outcome of await outcomes) {
        assert.equal(outcome.status, 'rejected');
        assert.equal((outcome.reason as { code?: string }).code, 'ERR_IOL_STREAM_CLOSED');
      }
      assert.equal(stats().liveHolds, before.liveHolds);
      // What comes next in the same memory must not be seen by the reader.
      using other = Aggregate.from(Buffer.alloc(8 << 20, 0xff));
      const received: Buffer[] = [];
      far.on('data', (data: Buffer) => received.push(data)).resume();
      await once(far, 'end');
      const all = Buffer.concat(received);
      assert.ok(all.length > 0 && all.length < expected.length);
      assertSame(all, expected.subarray(0, all.length));
      assert.equal(other.byteLength, 8 << 20);
      await close();
    });

    it('whose other end is gone rejects with its own error, which needs no other listener', async () => {
      const { near, far, close } = await socketPair();
      far.resetAndDestroy();
      using bytes = Aggregate.from('x'.repeat(1 << 20));
      await assert.rejects(
        async () => {
          for (;;) await iolWrite(near, bytes);
        },
        (error: NodeJS.ErrnoException) => /^(EPIPE|ECONNRESET|ERR_IOL_STREAM_CLOSED)$/.test(error.code!),
      );
      await close();
      assert.equal(near.listenerCount('error'), 0);
    });

    it('that is destroyed, ended or half closed is refused, and stays as it is', async () => {
      const { near, far, close } = await socketPair();
      far.resume();
      near.end();
      await assert.rejects(iolWrite(near, 'x'), { code: 'ERR_IOL_STREAM_CLOSED' });
      assert.equal(near.destroyed, false);
      await close();
      await assert.rejects(iolWrite(near, 'x'), { code: 'ERR_IOL_STREAM_CLOSED' });
    });

    it('rejects with the error that it was destroyed with', async () => {
      const { near, close } = await socketPair();
      const reason = new Error('because');
      using bytes = Aggregate.from(Buffer.alloc(8 << 20));
      const writing = iolWrite(near, bytes);
      near.destroy(reason);
      await assert.rejects(writing, (error) => error === reason);
      await assert.rejects(iolWrite(near, 'x'), (error) => error === reason);
      await close();
    });

    it('is waited for no longer than the signal says; the bytes leave all the same', async () => {
      const { near, far, close } = await socketPair();
      const expected = countingBytes(8 << 20);
      const controller = new AbortController();
      const bytes = Aggregate.from(expected);
      const writing = iolWrite(near, bytes, { signal: controller.signal });
      bytes.dispose();
      controller.abort();
      await assert.rejects(writing, { code: 'ERR_IOL_ABORTED' });
      near.end();
      assertSame(await collect(far), expected);
      await close();
    });

    it('may be corked by its owner, and be not yet connected', async () => {
      const { near, far, close } = await socketPair();
      const late = new Socket();
      const writes = [iolWrite(late, 'early, '), iolWrite(late, 'late')];
      late.destroy();
      await Promise.all(writes.map((writing) => assert.rejects(writing, /./)));
      near.cork();
      const writing = iolWrite(near, 'corked');
      process.nextTick(() => near.uncork());
      await writing;
      near.end();
      assert.equal(String(await collect(far)), 'corked');
      await close();
    });

    it('has our listeners only while it works, two of them however many writes there are', async () => {
      const { near, far, close } = await socketPair();
      far.resume();
      const before = listenersOf(near);
      const writes = Array.from({ length: 50 }, () => iolWrite(near, 'x'));
      assert.equal(near.listenerCount('error'), (before['error'] ?? 0) + 1);
      assert.equal(near.listenerCount('close'), (before['close'] ?? 0) + 1);
      await Promise.all(writes);
      assert.deepEqual(listenersOf(near), before);
      await close();
    });

    it('gets a copy when somebody has put a method of his own into it', async () => {
      const { near, far, close } = await socketPair();
      const kept: Uint8Array[] = [];
      const write = near.write.bind(near) as (...all: unknown[]) => boolean;
      near.write = (...all: unknown[]) => {
        kept.push(all[0] as Uint8Array);
        return write(...all);
      };
      const bytes = Aggregate.from(Buffer.alloc(100_000, 'k'));
      await iolWrite(near, bytes);
      bytes.dispose();
      near.end();
      assert.equal((await collect(far)).length, 100_000);
      assert.ok(Buffer.concat(kept).equals(Buffer.alloc(100_000, 'k')));
      await close();
    });
  });

  describe('a file', () => {
    let folder: string;
    before(() => (folder = mkdtempSync(path.join(tmpdir(), 'iol-streams-'))));
    after(() => rmSync(folder, { recursive: true }));

    it('is written from where the bytes lie, whatever becomes of them', async () => {
      const name = path.join(folder, 'by-reference');
      const stream = createWriteStream(name);
      const bytes = slicesOf(1_100, 4096);
      const expected = bytes.toBuffer();
      const copies = copiesFromNow();
      const writing = iolWrite(stream, bytes);
      bytes.dispose();
      stream.end();
      await writing;
      assert.deepEqual(copies(), {});
      await once(stream, 'close');
      assertSame(readFileSync(name), expected);
    });

    it('that is destroyed in the middle rejects once the thread has let go', async () => {
      const name = path.join(folder, 'destroyed');
      const stream = createWriteStream(name);
      await once(stream, 'open');
      const bytes = slicesOf(1_100, 4096);
      const expected = bytes.toBuffer();
      const writing = iolWrite(stream, bytes);
      bytes.dispose();
      stream.destroy();
      await assert.rejects(writing, { code: 'ERR_IOL_STREAM_CLOSED' });
      const written = readFileSync(name);
      assertSame(written, expected.subarray(0, written.length));
    });

    it('gets a copy when its system calls are somebody else\'s', async () => {
      const handle = await open(path.join(folder, 'by-handle'), 'w');
      const stream = handle.createWriteStream();
      using bytes = slicesOf(1, 10_000);
      const copies = copiesFromNow();
      await iolWrite(stream, bytes);
      assert.deepEqual(copies(), { copyOut: 10_000 });
      stream.end();
      await once(stream, 'close');
    });

    it('that cannot be opened rejects with the error of the system', async () => {
      const stream = createWriteStream(path.join(folder, 'no/such/folder'));
      await assert.rejects(iolWrite(stream, 'x'), { code: 'ENOENT' });
      await assert.rejects(iolWrite(stream, 'x'), { code: 'ENOENT' });
    });
  });

  describe('any other stream', () => {
    it('may keep what it gets: a counted copy in chunks of at most 64 KiB', async () => {
      const kept: Buffer[] = [];
      const stream = new Writable({
        write(chunk: Buffer, _, done) {
          kept.push(chunk);
          done();
        },
      });
      const bytes = slicesOf(1_000, 200);
      const expected = bytes.toBuffer();
      const copies = copiesFromNow();
      const writing = iolWrite(stream, bytes);
      bytes.dispose();
      assert.equal(await writing, 200_000);
      assert.deepEqual(copies(), { copyOut: 200_000 });
      assert.deepEqual(kept.map(({ length }) => length), [65_536, 65_536, 65_536, 3_392]);
      assertSame(Buffer.concat(kept), expected);
    });

    it('passes them on as it does: through a transformation, or a Duplex that ends elsewhere', async () => {
      using bytes = slicesOf(10, 30_000);
      const gzip = createGzip();
      const zipped = collect(gzip);
      const writing = iolWrite(gzip, bytes);
      gzip.end();
      await writing;
      assertSame(gunzipSync(await zipped), bytes.toBuffer());
    });

    it('of no bytes at all is asked, too, and calls back in its turn', async () => {
      const order: string[] = [];
      const stream = new PassThrough().resume();
      stream.write('x', () => order.push('own'));
      assert.equal(await iolWrite(stream, new Uint8Array(0)), 0);
      assert.deepEqual(order, ['own']);
    });

    it('has its back-pressure: the next write begins when the one before is done', async () => {
      let release: (() => void) | undefined;
      const stream = new Writable({ write: (_chunk, _encoding, done) => void (release = done) });
      let isDone = false;
      const writing = iolWrite(stream, 'x').then(() => (isDone = true));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(isDone, false);
      release!();
      await writing;
    });

    it('that fails rejects with its own error, and an event of it ends nobody', async () => {
      const reason = new Error('full');
      const stream = new Transform({ transform: (_chunk, _encoding, done) => done(reason) });
      await assert.rejects(iolWrite(stream, 'x'), (error) => error === reason);
      await assert.rejects(iolWrite(stream, 'y'), (error) => error === reason);
    });

    it('that is destroyed before it calls back rejects, and one that throws does', async () => {
      const stream = new Writable({ write: () => {} });
      const writing = iolWrite(stream, 'x');
      stream.destroy();
      await assert.rejects(writing, { code: 'ERR_IOL_STREAM_CLOSED' });
      const reason = new Error('thrown');
      const thrower = new Writable();
      thrower.write = () => {
        throw reason;
      };
      await assert.rejects(iolWrite(thrower, 'x'), (error) => error === reason);
    });

    it('that is no writable one is refused', async () => {
      const stream = createReadStream('/dev/null');
      await assert.rejects(iolWrite(stream as never, 'x'), { code: 'ERR_INVALID_ARG_TYPE' });
      stream.destroy();
      const oneWay = new Duplex({ writable: false, read: () => {} } as never);
      await assert.rejects(iolWrite(oneWay, 'x'), { code: 'ERR_IOL_STREAM_CLOSED' });
      await assert.rejects(iolWrite(new PassThrough(), 'x', { position: 1 }), {
        code: 'ERR_INVALID_ARG_VALUE',
      });
    });

    it('of a child is its standard input', async () => {
      const child = spawn('wc', ['-c'], { stdio: ['pipe', 'pipe', 'inherit'] });
      using bytes = slicesOf(30, 100_000);
      const writing = iolWrite(child.stdin, bytes);
      child.stdin.end();
      assert.equal(await writing, 3_000_000);
      assert.equal(String(await collect(child.stdout)).trim(), '3000000');
    });
  });
});
