// The verbs on block devices, and on devices that fail. It takes loop devices and mounts, and a user who
// may make them: whoever is not gets one test that says so.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Aggregate, FileCache, iolRead, iolReadSync, iolWrite, iolWriteSync, MappedBytes } from 'io-lite';

import { checkHolds } from '../support/holds';

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

const KiB = 1024;
const MiB = KiB * KiB;

describe('block devices', () => {
  let folder: string;
  const undo: (() => void)[] = [];
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-devices-'));
  });
  afterEach(() => {
    for (const step of undo.splice(0).reverse()) step();
    rmSync(folder, { recursive: true });
  });
  checkHolds();

  function loopOver(image: string): string {
    const device = run('losetup', '-f', '--show', image);
    undo.push(() => run('losetup', '-d', device));
    return device;
  }

  function mount(...args: string[]): string {
    const place = path.join(folder, `mount-${undo.length}`);
    mkdirSync(place);
    run('mount', ...args, place);
    undo.push(() => run('umount', place));
    return place;
  }

  /** Skips the test where this machine, or this user, has none of it. */
  function orSkip<T>(test: Mocha.Context, make: () => T): T {
    try {
      return make();
    } catch {
      test.skip(); // Throws.
      throw new Error('no loop devices or mounts here');
    }
  }

  it('are read and written at any position, and end where they end', async function () {
    const image = path.join(folder, 'image');
    writeFileSync(image, Buffer.alloc(MiB, 'k'));
    const device = openSync(orSkip(this, () => loopOver(image)), 'r+');
    undo.push(() => closeSync(device));
    assert.equal(await iolWrite(device, 'hello', { position: 3, fsync: true }), 5);
    assert.equal(iolWriteSync(device, 'own', { fsync: true }), 3);
    using start = await iolRead(device, 10, { position: 0 });
    assert.equal(start!.toString(), 'ownhellokk');
    using behind = iolReadSync(device, 7);
    assert.equal(behind!.toString(), 'hellokk', 'at the own position');
    using map = await MappedBytes.open(device, { byteLength: 4 * KiB });
    assert.equal(Buffer.from(map.bytes().subarray(0, 4)).toString(), 'ownh');
    assert.equal(await iolRead(device, 10, { position: MiB }), null);
    await assert.rejects(iolWrite(device, 'too long', { position: MiB - 3 }), {
      code: 'ERR_IOL_SYSTEM', errno: -28, bytesWritten: 3,
    });
    assert.equal(readFileSync(image).toString('latin1', 0, 10), 'ownhellokk', 'it was synchronized');
  });

  // Below the file system is an image that is longer than the disk that it lies on.
  it('that fail when they are synchronized say so, and the cache forgets what may be lost', async function () {
    const small = orSkip(this, () => mount('-t', 'tmpfs', '-o', 'size=3m', 'tmpfs'));
    const image = path.join(small, 'image');
    writeFileSync(image, '');
    truncateSync(image, 64 * MiB);
    const loop = orSkip(this, () => loopOver(image));
    const files = orSkip(this, () => {
      run('mkfs.ext4', '-q', '-O', '^has_journal', '-E', 'lazy_itable_init=1,nodiscard', loop);
      return mount('-o', 'errors=continue', loop);
    });
    const name = path.join(files, 'file');
    const file = openSync(name, 'w+');
    undo.push(() => closeSync(file), () => FileCache.default().close());
    using fits = Aggregate.from(Buffer.alloc(MiB, 'A'));
    using tooLarge = Aggregate.from(Buffer.alloc(6 * MiB, 'B'));
    assert.equal(await iolWrite(file, fits, { fsync: true }), MiB);
    assert.equal(FileCache.default().stats().bytes, MiB);
    for (const write of [iolWrite, iolWriteSync]) {
      const failure = { code: 'ERR_IOL_SYSTEM', syscall: 'fsync' };
      await assert.rejects(async () => write(file, tooLarge, { position: 0, fsync: true }), failure);
      assert.equal(FileCache.default().stats().bytes, 0);
    }
    using back = await iolRead(file, 8 * MiB, { position: 0 });
    assert.ok(back!.equals(readFileSync(name)), 'what the kernel says');
    const device = openSync(loop, 'r+');
    const eio = { code: 'ERR_IOL_SYSTEM', errno: -5, syscall: 'fsync' };
    await assert.rejects(iolWrite(device, tooLarge, { position: 50 * MiB, fsync: true }), eio);
    closeSync(device);
    FileCache.default().close();
  });
});
