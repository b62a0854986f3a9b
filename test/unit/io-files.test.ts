// iolWrite to files through the cache: by reference, whole or not at all, and what goes wrong.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync, ftruncateSync, fstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync,
  renameSync, rmSync, writeFileSync, writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Aggregate, FileCache, iolRead, iolReadSync, iolWrite, iolWriteSync, stats, Window, type IolError } from 'io-lite';

import { runChild } from '../support/child';
import { copiesDuring } from '../support/holds';

let folder: string;
let files = 0;

function fileWith(content: string | Buffer): string {
  const name = path.join(folder, `file-${files++}`);
  writeFileSync(name, content);
  return name;
}

const addressesOf = (bytes: Aggregate | null): number[] => bytes!.slices().map((slice) => slice.address);
const writes = [iolWrite, iolWriteSync];
const reads = [iolRead, iolReadSync];

describe('iolRead of a file into a pool', () => {
  it('copies what is cached in another pool, once for each read, and caches nothing', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'iol-files-'));
    const name = path.join(directory, 'a');
    writeFileSync(name, '0123456789'.repeat(1000));
    const fd = openSync(name, 'r');
    const pool = Window.default().createPool({ name: 'narrow' });
    try {
      const { entries } = FileCache.default().stats();
      const before = stats().copies['pool']!.bytes;
      using miss = (await iolRead(fd, 4000, { position: 0, pool }))!;
      assert.equal(stats().copies['pool']!.bytes, before, 'the disk reads into the pool itself');
      assert.equal(FileCache.default().stats().entries, entries);
      using cached = (await iolRead(fd, 10_000, { position: 0 }))!;
      using first = (await iolRead(fd, 4000, { position: 0, pool }))!;
      using second = iolReadSync(fd, 4000, { position: 10, pool })!;
      assert.equal(stats().copies['pool']!.bytes - before, 8000);
      assert.equal(first.toString(), cached.toString('utf8', 0, 4000));
      assert.equal(second.toString(), cached.toString('utf8', 10, 4010));
      assert.notDeepEqual(addressesOf(first), addressesOf(cached));
      assert.equal(miss.toString(), first.toString());
      using atOwn = (await iolRead(fd, 4000, { pool }))!;
      using next = (await iolRead(fd, 10, { pool }))!;
      assert.equal(stats().copies['pool']!.bytes - before, 12_010);
      assert.equal(atOwn.toString() + next.toString(), cached.toString('utf8', 0, 4010));
    } finally {
      pool.dispose();
      closeSync(fd);
      rmSync(directory, { recursive: true });
    }
  });
});

describe('iolWrite to a file', () => {
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-files-'));
  });
  after(() => {
    rmSync(folder, { recursive: true });
    FileCache.default().close();
  });

  it('puts its slices into the cache: the next read has their addresses, and nothing is copied', async () => {
    for (const write of writes) {
      const name = fileWith('0123456789'.repeat(1000));
      const fd = openSync(name, 'r+');
      using all = (await iolRead(fd, 10_000, { position: 0 }))!;
      using bytes = Aggregate.from('A'.repeat(3000), 'B'.repeat(2000));
      assert.equal(await write(fd, bytes, { position: 2500 }), 5000);
      const { misses } = FileCache.default().stats();
      assert.deepEqual(copiesDuring(() => {
        using written = iolReadSync(fd, 5000, { position: 2500 });
        assert.deepEqual(addressesOf(written), addressesOf(bytes));
        using before = iolReadSync(fd, 2500, { position: 0 });
        assert.deepEqual(addressesOf(before), addressesOf(all), 'what was not overwritten stays cached');
        using after = iolReadSync(fd, 2500, { position: 7500 });
        assert.equal(after!.slices()[0]!.address, all.slices()[0]!.address + 7500);
      }), {});
      assert.equal(FileCache.default().stats().misses, misses, 'no disk was asked');
      assert.equal(all.toString(), '0123456789'.repeat(1000), 'an earlier read is a snapshot');
      using now = iolReadSync(fd, 10_000, { position: 0 });
      assert.equal(now!.toString(), readFileSync(name, 'latin1'));
      closeSync(fd);
    }
  });

  it('lets go of the slices when the file is closed to the cache', async () => {
    const { liveHolds } = stats();
    const fd = openSync(fileWith(''), 'r+');
    await iolWrite(fd, 'x'.repeat(5000), { position: 0 });
    closeSync(fd);
    FileCache.default().close();
    assert.ok(stats().liveHolds <= liveHolds);
  });

  it('appends at the end, whoever wrote there, and the own position follows', async () => {
    for (const write of writes) {
      const name = fileWith('begin ');
      const fd = openSync(name, 'a+');
      assert.equal(await write(fd, 'one '), 4);
      writeFileSync(name, 'foreign ', { flag: 'a' });
      assert.equal(await write(fd, 'two'), 3);
      assert.equal(await iolRead(fd, 100), null, 'the position is at the end');
      for (const read of reads) {
        using all = await read(fd, 100, { position: 0 });
        assert.equal(all!.toString(), 'begin one foreign two');
      }
      assert.equal(await write(fd, '!', { position: 0 }), 1, 'a position is ignored, as by pwrite');
      assert.equal(readFileSync(name, 'latin1'), 'begin one foreign two!');
      using end = iolReadSync(fd, 100, { position: 18 });
      assert.equal(end!.toString(), 'two!');
      closeSync(fd);
    }
  });

  it('beyond the end leaves a hole of zeros', async () => {
    for (const write of writes) {
      const fd = openSync(fileWith('abc'), 'r+');
      await write(fd, 'xyz', { position: 5000 });
      for (const read of reads) {
        using all = await read(fd, 10_000, { position: 0 });
        assert.equal(all!.toString('latin1'), `abc${'\0'.repeat(4997)}xyz`);
      }
      closeSync(fd);
    }
  });

  it('is seen by plain fs, and sees it', async () => {
    for (const read of reads) {
      const name = fileWith('first content');
      const fd = openSync(name, 'r+');
      const now = async (): Promise<string> => {
        using bytes = await read(fd, 100, { position: 0 });
        return String(bytes);
      };
      assert.equal(await now(), 'first content');
      writeSync(fd, 'FIRST', 0);
      assert.equal(await now(), 'FIRST content');
      await iolWrite(fd, 'CONTENT', { position: 6 });
      assert.equal(await now(), 'FIRST CONTENT');
      const plain = Buffer.alloc(13);
      readSync(fd, plain, 0, 13, 0);
      assert.equal(plain.toString(), 'FIRST CONTENT');
      ftruncateSync(fd, 3);
      assert.equal(await now(), 'FIR');
      ftruncateSync(fd, 5);
      assert.equal(await now(), 'FIR\0\0');
      renameSync(fileWith('another file'), name);
      assert.equal(await now(), 'FIR\0\0', 'the descriptor is of the old one');
      using file = await FileCache.default().open(name);
      using bytes = await file.read();
      assert.equal(bytes.toString(), 'another file');
      closeSync(fd);
    }
  });

  it('through a path that is cached: the next open has the new bytes, by reference', async () => {
    const cache = FileCache.default();
    const name = fileWith('old '.repeat(1000));
    using file = await cache.open(name);
    using old = await file.read();
    const fd = openSync(name, 'r+');
    using bytes = Aggregate.from('new '.repeat(1000));
    await iolWrite(fd, bytes, { position: 0 });
    using again = await cache.open(name);
    assert.notEqual(again.etag, file.etag);
    using now = await again.read();
    assert.deepEqual(addressesOf(now), addressesOf(bytes));
    assert.ok(old.toString().startsWith('old old'));
    await assert.rejects(file.read(), { code: 'ERR_IOL_FILE_CHANGED' });
    closeSync(fd);
  });

  it('is seen whole or not at all by reads that are on their way', async () => {
    const size = 3 << 20;
    const fd = openSync(fileWith(Buffer.alloc(size, 97)), 'r+');
    const letters = new Set<string>();
    for (let round = 0; round < 12; round++) {
      FileCache.default().close();
      using bytes = Aggregate.from(Buffer.alloc(size, 98 + round));
      const [before, , during, after] = await Promise.all([
        iolRead(fd, size, { position: 0 }), iolWrite(fd, bytes, { position: 0 }),
        iolRead(fd, size, { position: 0 }), iolRead(fd, size, { position: 0 }),
      ]);
      for (const read of [before!, during!, after!]) {
        assert.equal(read.byteLength, size);
        const text = read.toString('latin1');
        assert.ok(text === text[0]!.repeat(size), 'one moment');
        letters.add(text[0]!);
        read.dispose();
      }
    }
    assert.ok(letters.size > 1);
    closeSync(fd);
  });

  it('with fsync settles when the device has it, and refuses it of what is no file', async () => {
    const name = fileWith('');
    const fd = openSync(name, 'r+');
    for (const fsync of [true, 'data', false] as const) {
      assert.equal(await iolWrite(fd, 'abc', { fsync }), 3);
      assert.equal(iolWriteSync(fd, 'abc', { fsync }), 3);
    }
    assert.equal(readFileSync(name, 'latin1'), 'abc'.repeat(6));
    closeSync(fd);
    const device = openSync('/dev/null', 'w');
    await assert.rejects(iolWrite(device, 'x', { fsync: true }), { errno: -22, syscall: 'fsync' });
    assert.throws(() => iolWriteSync(device, 'x', { fsync: 'data' }), { errno: -22, syscall: 'fsync' });
    await assert.rejects(iolWrite(device, 'x', { fsync: 'all' as never }), { code: 'ERR_INVALID_ARG_VALUE' });
    closeSync(device);
  });

  it('refuses to let a synchronous form overtake promised ones', async () => {
    const name = fileWith('0123456789');
    const fd = openSync(name, 'r+');
    const first = iolWrite(fd, 'ab');
    assert.throws(() => iolWriteSync(fd, 'cd'), { code: 'ERR_IOL_BUSY' });
    assert.throws(() => iolReadSync(fd, 2), { code: 'ERR_IOL_BUSY' });
    using elsewhere = iolReadSync(fd, 2, { position: 4 });
    assert.equal(elsewhere!.toString(), '45');
    await first;
    assert.equal(iolWriteSync(fd, 'cd'), 2, 'as soon as it was awaited');
    assert.equal(readFileSync(name, 'latin1'), 'abcd456789');
    closeSync(fd);
  });

  it('says what it had written when the device is full, and the cache equals the disk', async function () {
    const mount = path.join(folder, 'small');
    mkdirSync(mount);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount], { stdio: 'ignore' });
    } catch {
      this.skip(); // Needs the right to mount.
    }
    try {
      for (const write of writes) {
        const name = path.join(mount, 'full');
        writeFileSync(name, 'x'.repeat(1000));
        const fd = openSync(name, 'r+');
        using cached = await iolRead(fd, 1000, { position: 0 });
        assert.equal(cached!.byteLength, 1000);
        using bytes = Aggregate.from('y'.repeat(300_000), 'z'.repeat(300_000));
        const failure = await Promise.resolve()
          .then(() => write(fd, bytes, { position: 500 }))
          .then(() => undefined, (error: IolError) => error);
        assert.equal(failure?.code, 'ERR_IOL_SYSTEM');
        assert.equal(failure?.errno, -28);
        assert.ok(failure.bytesWritten! > 100_000 && failure.bytesWritten! < 300_000);
        assert.equal(fstatSync(fd).size, 500 + failure.bytesWritten!);
        using now = await iolRead(fd, 1 << 20, { position: 0 });
        assert.ok(now!.toString('latin1') === readFileSync(name, 'latin1'));
        closeSync(fd);
        rmSync(name);
      }
    } finally {
      execFileSync('umount', [mount]);
    }
  });

  it('answers EFBIG at the limit of file sizes, and the cache equals the disk', async () => {
    const name = fileWith('x'.repeat(100));
    const result = await runChild(`
      const { iolRead, iolReadSync, iolWrite } = require('io-lite');
      const { openSync, readFileSync } = require('node:fs');
      const { execFileSync } = require('node:child_process');
      const fd = openSync(${JSON.stringify(name)}, 'r+');
      iolReadSync(fd, 1, { position: 0 }).dispose();
      // Why after it: the window's memory is files, too.
      const limit = 256 * 2 ** 20;
      execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=' + limit]);
      (async () => {
        const write = iolWrite(fd, 'y'.repeat(50000), { position: limit - 19990 });
        const error = await write.catch((error) => error);
        console.log(error.code, error.errno, error.bytesWritten);
        const now = await iolRead(fd, 100000, { position: limit - 20000 });
        console.log(now.byteLength, now.toString() === '\\0'.repeat(10) + 'y'.repeat(19990));
      })();
    `);
    assert.equal(result.stdout, 'ERR_IOL_SYSTEM -27 19990\n20000 true\n', result.stderr);
  });
});
