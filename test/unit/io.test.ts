import assert from 'node:assert/strict';
import {
  closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { once } from 'node:events';

import { Aggregate, FileCache, iolRead, iolReadSync, iolWrite, iolWriteSync, stats, Window } from 'io-lite';

import { runChild } from '../support/child';
import { openFifo } from '../support/fifo';
import { copiesDuring } from '../support/holds';

let folder: string;
const inFolder = (name: string): string => path.join(folder, name);
let files = 0;

function fileWith(content: string | Buffer): string {
  const name = inFolder(`file-${files++}`);
  writeFileSync(name, content);
  return name;
}

function fifo(): { reader: number; writer: number; close(): void } {
  const { reader, writer } = openFifo(inFolder(`fifo-${files++}`));
  return { reader, writer, close: () => [reader, writer].forEach((fd) => closeSync(fd)) };
}

function flagsOf(fd: number): number {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  return parseInt(/flags:\s*(\d+)/.exec(info)![1]!, 8);
}

async function socketPair(
  options: { pauseOnConnect?: boolean } = {},
): Promise<{ near: Socket; far: Socket; close: () => void }> {
  const server = createServer(options).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown];
  const close = (): void => {
    near.destroy();
    far.destroy();
    server.close();
  };
  return { near, far, close };
}

describe('iolRead and iolWrite', () => {
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-io-'));
  });
  after(() => {
    rmSync(folder, { recursive: true });
    FileCache.default().close();
  });

  describe('on regular files', () => {
    it('read at most size bytes at a position, null at the end', async () => {
      const fd = openSync(fileWith('0123456789'), 'r');
      for (const read of [iolRead, iolReadSync]) {
        using part = await read(fd, 4, { position: 3 });
        assert.equal(part?.toString(), '3456');
        using short = await read(fd, 100, { position: 8 });
        assert.equal(short?.toString(), '89');
        assert.equal(await read(fd, 1, { position: 10 }), null);
        assert.equal(await read(fd, 1, { position: 1000 }), null);
        using none = await read(fd, 0);
        assert.equal(none?.byteLength, 0);
      }
      closeSync(fd);
    });

    it('read what the kernel makes on the way, whatever size it says', async () => {
      for (const name of ['/proc/filesystems', '/sys/devices/system/cpu/possible']) {
        const content = readFileSync(name, 'latin1');
        assert.ok(content.length > 2);
        const fd = openSync(name, 'r');
        for (const read of [iolRead, iolReadSync]) {
          using all = await read(fd, 1 << 20, { position: 0 });
          assert.equal(all?.toString('latin1'), content);
          using part = await read(fd, 2, { position: 1 });
          assert.equal(part?.toString('latin1'), content.slice(1, 3));
          assert.equal(await read(fd, 10, { position: content.length }), null);
        }
        using first = await iolRead(fd, 2);
        using rest = iolReadSync(fd, 1 << 20);
        assert.equal(String(first) + String(rest), content);
        assert.equal(await iolRead(fd, 10), null);
        closeSync(fd);
      }
    });

    it('advance the position of the descriptor when none is given', async () => {
      const fd = openSync(fileWith('0123456789'), 'r');
      using first = await iolRead(fd, 4);
      using second = iolReadSync(fd, 4);
      assert.equal(first?.toString(), '0123');
      assert.equal(second?.toString(), '4567');
      const rest = Buffer.alloc(10);
      assert.equal(readSync(fd, rest), 2, 'plain fs goes on from there');
      assert.equal(await iolRead(fd, 4), null);
      closeSync(fd);
    });

    it('read at the own position in the order of the calls, each byte once', async () => {
      using pool = Window.default().createPool({ name: 'in turn' });
      const fd = openSync(fileWith('0123456789'), 'r');
      const parts = await Promise.all([
        iolRead(fd, 2), iolRead(fd, 3, { pool }), iolRead(fd, 2, { position: 1 }), iolRead(fd, 4),
        iolRead(fd, 9), iolRead(fd, 9),
      ]);
      assert.deepEqual(parts.map(String), ['01', '234', '12', '5678', '9', 'null']);
      parts.forEach((part) => part?.dispose());
      closeSync(fd);
    });

    it('read and write at the own position in the order of the calls', async () => {
      const name = fileWith('0123456789');
      const fd = openSync(name, 'r+');
      const [first, , second, , rest] = await Promise.all([
        iolRead(fd, 2), iolWrite(fd, 'ab'), iolRead(fd, 2), iolWrite(fd, 'cd'), iolRead(fd, 9),
      ]);
      assert.deepEqual([first, second, rest].map(String), ['01', '45', '89']);
      assert.equal(readFileSync(name, 'latin1'), '01ab45cd89');
      [first, second, rest].forEach((part) => part?.dispose());
      closeSync(fd);
    });

    it('leave the bytes to the next read when they are given up before their turn', async () => {
      const fd = openSync(fileWith('0123456789'), 'r');
      const controller = new AbortController();
      const first = iolRead(fd, 2);
      const given = iolRead(fd, 2, { signal: controller.signal });
      const last = iolRead(fd, 2);
      controller.abort();
      await assert.rejects(given, { code: 'ERR_IOL_ABORTED' });
      using a = await first;
      using b = await last;
      assert.equal(String(a) + String(b), '0123');
      closeSync(fd);
    });

    it('share the extents of the cache: the same address twice, and no byte copied', async () => {
      const fd = openSync(fileWith(Buffer.alloc(100_000, 'x')), 'r');
      using first = (await iolRead(fd, 100_000, { position: 0 }))!;
      assert.deepEqual(copiesDuring(() => {
        using second = iolReadSync(fd, 50_000, { position: 50_000 })!;
        assert.equal(second.slices()[0]!.address, first.slices()[0]!.address + 50_000);
      }), {});
      closeSync(fd);
    });

    it('read into a pool that was asked for', async () => {
      using pool = Window.default().createPool({ name: 'chosen' });
      const fd = openSync(fileWith('chosen bytes'), 'r');
      for (const read of [iolRead, iolReadSync]) {
        using bytes = await read(fd, 100, { pool, position: 0 });
        assert.equal(bytes?.toString(), 'chosen bytes');
        assert.equal(pool.stats().buffers, 1);
      }
      closeSync(fd);
    });

    it('are snapshots: a read keeps its bytes when the file is overwritten', async () => {
      const name = fileWith('before');
      const fd = openSync(name, 'r+');
      using snapshot = (await iolRead(fd, 6, { position: 0 }))!;
      writeSync(fd, 'after!', 0);
      assert.equal(snapshot.toString(), 'before');
      closeSync(fd);
    });

    it('write an aggregate at the position, or where the descriptor is', async () => {
      for (const write of [iolWrite, iolWriteSync]) {
        const name = fileWith('..........');
        const fd = openSync(name, 'r+');
        using bytes = Aggregate.from('abc', 'def');
        assert.equal(await write(fd, bytes, { position: 2 }), 6);
        assert.equal(readFileSync(name, 'utf8'), '..abcdef..');
        assert.equal(await write(fd, bytes), 6);
        assert.equal(await write(fd, 'GH'), 2);
        assert.equal(readFileSync(name, 'utf8'), 'abcdefGH..');
        closeSync(fd);
      }
    });

    it('write more slices than one system call takes', async () => {
      const name = fileWith('');
      const fd = openSync(name, 'r+');
      using piece = Aggregate.from('0123456789');
      using bytes = Aggregate.empty();
      for (let i = 0; i < 3000; i++) bytes.append(piece);
      assert.equal(await iolWrite(fd, bytes), 30_000);
      assert.ok(readFileSync(name, 'utf8') === '0123456789'.repeat(3000));
      closeSync(fd);
    });

    it('take a FileHandle for a descriptor', async () => {
      const handle = await open(fileWith('by handle'), 'r+');
      using bytes = await iolRead(handle, 100);
      assert.equal(bytes?.toString(), 'by handle');
      assert.equal(await iolWrite(handle, '!'), 1);
      await handle.close();
      await assert.rejects(iolRead(handle, 1), { code: 'ERR_IOL_SYSTEM', errno: -9 });
    });

    it('fail with the errno of the system', async () => {
      const directory = openSync(folder, 'r');
      await assert.rejects(iolRead(directory, 10), { code: 'ERR_IOL_SYSTEM', errno: -21 });
      closeSync(directory);
      const writeOnly = openSync(fileWith('x'), 'w');
      await assert.rejects(iolRead(writeOnly, 10), { code: 'ERR_IOL_SYSTEM', errno: -9 });
      closeSync(writeOnly);
      const readOnly = openSync(fileWith('x'), 'r');
      await assert.rejects(iolWrite(readOnly, 'x'), { code: 'ERR_IOL_SYSTEM', errno: -9 });
      assert.throws(() => iolWriteSync(readOnly, 'x'), { code: 'ERR_IOL_SYSTEM', errno: -9 });
      closeSync(readOnly);
      assert.throws(() => iolReadSync(12_345, 1), { code: 'ERR_IOL_SYSTEM', errno: -9 });
      const full = openSync('/dev/full', 'w');
      await assert.rejects(iolWrite(full, 'x'), { code: 'ERR_IOL_SYSTEM', errno: -28 });
      closeSync(full);
    });
  });

  describe('on pipes', () => {
    it('take what is there, wait for what is not, and see the end', async () => {
      const pipe = fifo();
      writeSync(pipe.writer, 'here');
      using here = await iolRead(pipe.reader, 100);
      assert.equal(here?.toString(), 'here');
      const waiting = iolRead(pipe.reader, 3);
      setImmediate(() => writeSync(pipe.writer, 'later'));
      using later = await waiting;
      assert.equal(later?.toString(), 'lat');
      using rest = iolReadSync(pipe.reader, 100);
      assert.equal(rest?.toString(), 'er');
      const end = iolRead(pipe.reader, 3);
      closeSync(pipe.writer);
      assert.equal(await end, null);
      closeSync(pipe.reader);
    });

    it('leave the flags of the descriptor alone: they belong to everybody who has the file', async () => {
      const pipe = fifo();
      const flags = [flagsOf(pipe.reader), flagsOf(pipe.writer)];
      const waiting = iolRead(pipe.reader, 3);
      assert.deepEqual([flagsOf(pipe.reader), flagsOf(pipe.writer)], flags);
      await iolWrite(pipe.writer, 'abc');
      (await waiting)!.dispose();
      assert.deepEqual([flagsOf(pipe.reader), flagsOf(pipe.writer)], flags);
      pipe.close();
    });

    it('write more than a pipe holds, in parts, without blocking the loop', async () => {
      const pipe = fifo();
      const size = 1 << 20;
      using bytes = Aggregate.from(Buffer.alloc(size, 'w'));
      let written = 0;
      const writing = iolWrite(pipe.writer, bytes).then((count) => (written = count));
      let read = 0;
      while (read < size) {
        assert.equal(written, 0, 'it ends when all bytes are gone');
        using part = (await iolRead(pipe.reader, size))!;
        assert.ok(part.view().every((byte) => byte === 119));
        read += part.byteLength;
      }
      await writing;
      assert.equal(written, size);
      pipe.close();
    });

    it('keep whole writes in the order of the calls', async () => {
      const pipe = fifo();
      const size = 200_000;
      const writes = ['a', 'b', 'c'].map((text) => iolWrite(pipe.writer, text.repeat(size)));
      let text = '';
      while (text.length < 3 * size) {
        using part = (await iolRead(pipe.reader, size))!;
        text += part.toString();
      }
      await Promise.all(writes);
      assert.ok(text === 'a'.repeat(size) + 'b'.repeat(size) + 'c'.repeat(size));
      pipe.close();
    });

    it('let no later call go before those that wait', async () => {
      const name = fileWith('');
      const fd = openSync(name, 'w');
      const late: Promise<number>[] = [];
      const first = iolWrite(fd, 'a').then(() => late.push(iolWrite(fd, 'd')));
      await Promise.all([first, iolWrite(fd, 'b'), iolWrite(fd, 'c')]);
      await Promise.all(late);
      assert.equal(readFileSync(name, 'latin1'), 'abcd');
      closeSync(fd);
    });

    it('are given up by a signal also while they wait for their turn', async () => {
      const pipe = fifo();
      const first = iolWrite(pipe.writer, 'a'.repeat(300_000));
      const given = iolWrite(pipe.writer, 'b', { signal: AbortSignal.timeout(10) });
      const last = iolWrite(pipe.writer, 'c');
      await assert.rejects(given, { code: 'ERR_IOL_ABORTED' });
      let text = '';
      while (text.length < 300_001) {
        using part = (await iolRead(pipe.reader, 1 << 20))!;
        text += part.toString();
      }
      await Promise.all([first, last]);
      assert.ok(text === `${'a'.repeat(300_000)}c`);
      pipe.close();
    });

    it('hold what is written until it is gone, whatever the caller does with it', async () => {
      const pipe = fifo();
      const bytes = Aggregate.from('k'.repeat(300_000));
      const writing = iolWrite(pipe.writer, bytes);
      bytes.append('more');
      bytes.dispose();
      let read = 0;
      while (read < 300_000) {
        using part = (await iolRead(pipe.reader, 1 << 20))!;
        assert.ok(part.view().every((byte) => byte === 107));
        read += part.byteLength;
      }
      assert.equal(await writing, 300_000);
      pipe.close();
    });

    it('are given up by a signal, and lose nothing', async () => {
      const pipe = fifo();
      const controller = new AbortController();
      const waiting = iolRead(pipe.reader, 3, { signal: controller.signal });
      controller.abort(new Error('why'));
      await assert.rejects(waiting, { code: 'ERR_IOL_ABORTED', cause: controller.signal.reason });
      const aborted = { signal: AbortSignal.abort() };
      await assert.rejects(iolRead(pipe.reader, 3, aborted), { code: 'ERR_IOL_ABORTED' });
      await assert.rejects(iolWrite(pipe.writer, 'x', aborted), { code: 'ERR_IOL_ABORTED' });
      writeSync(pipe.writer, 'abc');
      using bytes = await iolRead(pipe.reader, 10);
      assert.equal(bytes?.toString(), 'abc');
      pipe.close();
    });

    it('are answered in the order of the calls when several wait, and late ones come after', async () => {
      const pipe = fifo();
      const controller = new AbortController();
      const reads = ['0', '1', '2'].map(() => iolRead(pipe.reader, 2));
      const given = iolRead(pipe.reader, 2, { signal: controller.signal });
      writeSync(pipe.writer, 'aabbccdd');
      reads.push(iolRead(pipe.reader, 2));
      controller.abort();
      await assert.rejects(given, { code: 'ERR_IOL_ABORTED' });
      const texts = (await Promise.all(reads)).map((bytes) => {
        using owned = bytes!;
        return owned.toString();
      });
      assert.deepEqual(texts, ['aa', 'bb', 'cc', 'dd']);
      pipe.close();
    });

    it('have no position', async () => {
      const pipe = fifo();
      writeSync(pipe.writer, 'kept');
      await assert.rejects(iolRead(pipe.reader, 1, { position: 0 }), { errno: -29 });
      assert.throws(() => iolWriteSync(pipe.writer, 'x', { position: 0 }), { errno: -29 });
      using bytes = iolReadSync(pipe.reader, 10);
      assert.equal(bytes?.toString(), 'kept');
      pipe.close();
    });

    it('answer EPIPE when nobody reads any more', async () => {
      const pipe = fifo();
      closeSync(pipe.reader);
      await assert.rejects(iolWrite(pipe.writer, 'x'), { code: 'ERR_IOL_SYSTEM', errno: -32 });
      closeSync(pipe.writer);
    });
  });

  describe('on streams and sockets', () => {
    it('write through a socket in the order of its own writes, from where the bytes lie', async () => {
      const { near, far, close } = await socketPair();
      let received = '';
      far.setEncoding('latin1').on('data', (text: string) => (received += text));
      near.write('own 1, ');
      using bytes = Aggregate.from('slice 1, ', 'slice 2, ');
      const { write } = stats().copies;
      const count = iolWrite(near, bytes);
      near.end('own 2');
      assert.equal(await count, 18);
      await once(far, 'end');
      assert.equal(received, 'own 1, slice 1, slice 2, own 2');
      assert.deepEqual(stats().copies['write'], write);
      close();
    });

    it('give a stream that passes chunks on a copy, which outlives the aggregate', async () => {
      const stream = new PassThrough();
      const bytes = Aggregate.from('passed ', 'on');
      await iolWrite(stream, bytes);
      bytes.dispose();
      assert.equal(String(stream.read()), 'passed on');
    });

    it('wait for a socket that takes no more', async () => {
      const { near, far, close } = await socketPair();
      const size = 8 << 20;
      using bytes = Aggregate.from(Buffer.alloc(size, 's'));
      far.pause();
      let isDone = false;
      const writing = iolWrite(near, bytes).then(() => (isDone = true));
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(isDone, false);
      let received = 0;
      far.on('data', (data: Buffer) => (received += data.length));
      far.resume();
      await writing;
      near.end();
      await once(far, 'end');
      assert.equal(received, size);
      close();
    });

    it('reject with the stream\'s own error, and keep no holds', async () => {
      const { near, close } = await socketPair();
      near.destroy();
      const { liveHolds } = stats();
      await assert.rejects(iolWrite(near, 'x'), { code: 'ERR_IOL_STREAM_CLOSED' });
      assert.equal(stats().liveHolds, liveHolds);
      close();
    });

    it('read and write the descriptor of a socket', async () => {
      const { near, far, close } = await socketPair({ pauseOnConnect: true });
      const { fd } = (far as unknown as { _handle: { fd: number } })._handle;
      const waiting = iolRead(fd, 100);
      near.write('over the wire');
      using bytes = await waiting;
      assert.equal(bytes?.toString(), 'over the wire');
      assert.equal(await iolWrite(fd, bytes), 13);
      const [echo] = (await once(near, 'data')) as [Buffer];
      assert.equal(echo.toString(), 'over the wire');
      close();
    });
  });

  it('a waiting read keeps the process alive, an aborted one does not', async () => {
    const result = await runChild(`
      const { iolRead } = require('io-lite');
      const { openSync, constants } = require('node:fs');
      const name = ${JSON.stringify(inFolder('alive'))};
      require('node:child_process').execFileSync('mkfifo', [name]);
      const fd = openSync(name, constants.O_RDWR);
      iolRead(fd, 10, { signal: AbortSignal.timeout(200) }).catch((error) => console.log(error.code));
    `);
    assert.equal(result.stdout, 'ERR_IOL_ABORTED\n', result.stderr);
    assert.equal(result.code, 0);
  });
});
