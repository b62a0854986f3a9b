// Writable views from JavaScript: what is copied, who sees which store, how a view ends.
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { once } from 'node:events';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

import fc from 'fast-check';
import {
  Aggregate, FileCache, iolWrite, MappedBytes, stats, Window, type IolBuffer,
} from 'io-lite';

import { checkHolds, copiesDuring } from '../support/holds';
import { runChild } from '../support/child';

const page = 4096;
const mebibyte = 1024 * 1024;

/** Byte `i` is `i / 64`, of which a mistaken offset makes something else. */
function patterned(byteLength: number): IolBuffer {
  const draft = Window.default().defaultPool.allocate(byteLength);
  const bytes = new Uint8Array(draft.bytes());
  for (let i = 0; i < bytes.length; i++) bytes[i] = i >> 6;
  return draft.seal();
}

function gibibyte(): Aggregate {
  using buffer = patterned(mebibyte);
  const whole = Aggregate.from(buffer);
  while (whole.byteLength < 1024 * mebibyte) whole.append(whole);
  return whole;
}

describe('MappedBytes', () => {
  checkHolds();

  it('maps 1 GiB without a copy, and copies the pages that are touched', () => {
    using source = gibibyte();
    let map!: MappedBytes;
    let bytes!: Uint8Array;
    const copied = copiesDuring(() => {
      map = MappedBytes.of(source);
      bytes = map.bytes();
    });
    assert.deepEqual(copied, {});
    assert.equal(bytes.byteLength, 1024 * mebibyte);
    assert.equal(map.privateBytes, 0);
    const places = Array.from({ length: 64 }, (_, i) => i * 16 * mebibyte + i * page + i);
    for (const place of places) bytes[place] = bytes[place]! ^ 0xff;
    assert.equal(map.privateBytes, 64 * page);
    assert.equal(map.dirtyBytes, 64 * page);
    let sealed!: Aggregate;
    const atSeal = copiesDuring(() => (sealed = map.seal()));
    assert.deepEqual(atSeal, { map: 64 * page, mapSeal: 64 * page });
    assert.equal(sealed.byteLength, source.byteLength);
    const { address } = source.slices()[0]!;
    let at = 0;
    let shared = 0;
    for (const slice of sealed.slices()) {
      if (slice.address === address + (at % mebibyte)) shared += slice.byteLength;
      at += slice.byteLength;
    }
    assert.equal(shared, source.byteLength - 64 * page);
    sealed.dispose();
  });

  it('gives the same array at each call, and detaches it when it ends', () => {
    using source = patterned(100_000);
    const map = MappedBytes.of(source);
    const bytes = map.bytes();
    assert.equal(map.bytes(), bytes);
    map.seal().dispose();
    assert.equal(bytes.byteLength, 0);
    const other = MappedBytes.of(source);
    const late = other.bytes();
    other.dispose();
    other.dispose();
    assert.equal(late.byteLength, 0);
    assert.equal(other.isDisposed, true);
  });

  it('shows stores to nobody else, and a snapshot no later ones', () => {
    using source = patterned(200_000);
    const before = Buffer.from(source.view().slice());
    using one = MappedBytes.of(source);
    using other = MappedBytes.of(source);
    one.bytes().fill(1, 5, 9000);
    using snapshot = one.snapshot();
    one.bytes().fill(2, 100_000);
    const expected = Buffer.from(before).fill(1, 5, 9000);
    assert.deepEqual(snapshot.toBuffer(), expected);
    assert.deepEqual(Buffer.from(other.bytes()), before);
    assert.deepEqual(Buffer.from(source.view().slice()), before);
    using sealed = one.seal();
    assert.deepEqual(sealed.toBuffer(), expected.fill(2, 100_000));
  });

  it('sealed unchanged it is the slices that it was made of', () => {
    using one = patterned(100_000);
    using other = patterned(300);
    using source = Aggregate.from(one, other, 'some text');
    const slices = source.slices();
    using sealed = MappedBytes.of(source).seal();
    assert.deepEqual(sealed.slices(), slices);
  });

  it('keeps the bytes of a source that was released', () => {
    const source = patterned(3 * mebibyte);
    const expected = Buffer.from(source.view().slice());
    using map = MappedBytes.of(source);
    source.dispose();
    using reuse = patterned(2 * mebibyte);
    assert.equal(reuse.byteLength, 2 * mebibyte);
    assert.ok(expected.equals(map.bytes()));
  });

  it('a source that begins anywhere is mapped, and shows no byte of its neighbours', () => {
    using buffer = patterned(mebibyte);
    using source = buffer.slice(1000, mebibyte - 1);
    using map = MappedBytes.of(source);
    assert.ok(map.privateBytes <= 2 * page);
    const bytes = map.bytes();
    assert.equal(bytes.byteOffset, 1000);
    assert.equal(bytes.buffer.byteLength, mebibyte - 1);
    assert.ok(new Uint8Array(bytes.buffer, 0, 1000).every((byte) => byte === 0));
    assert.ok(source.toBuffer().equals(bytes));
  });

  it('an empty one has no bytes', () => {
    using source = Aggregate.empty();
    using map = MappedBytes.of(source);
    assert.equal(map.bytes().byteLength, 0);
    assert.equal(map.privateBytes, 0);
    assert.deepEqual(map.changes(), []);
    using sealed = map.seal();
    assert.equal(sealed.byteLength, 0);
  });

  it('seals into the pool that was chosen, and stays open when it is full', () => {
    using source = patterned(mebibyte);
    using pool = Window.default().createPool({ maxBytes: 128 * 1024 });
    using map = MappedBytes.of(source, { pool });
    map.bytes().fill(9);
    assert.throws(() => map.seal(), { code: 'ERR_IOL_POOL_FULL' });
    assert.equal(map.bytes()[77], 9);
    map.bytes().set(source.view());
    map.bytes()[5] = 200;
    using sealed = map.seal();
    assert.equal(pool.stats().buffers, 1);
    assert.equal(sealed.toBuffer()[5], 200);
  });

  it('after seal every call says so, after dispose that it is closed', () => {
    using source = patterned(50_000);
    const calls = (map: MappedBytes): (() => unknown)[] => [
      () => map.bytes(), () => map.seal(), () => map.snapshot(), () => map.changes(),
      () => map.dirtyBytes, () => map.privateBytes,
    ];
    const sealed = MappedBytes.of(source);
    sealed.seal().dispose();
    for (const call of calls(sealed)) assert.throws(call, { code: 'ERR_IOL_SEALED' });
    const disposed = MappedBytes.of(source);
    disposed.dispose();
    for (const call of calls(disposed)) assert.throws(call, { code: 'ERR_IOL_CLOSED' });
    assert.equal(sealed.byteLength, 50_000);
  });

  it('refuses what is no source, no option, and what is closed', async () => {
    const bad = (value: unknown): never => value as never;
    assert.throws(() => MappedBytes.of(bad('text')), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => MappedBytes.of(bad(null)), { code: 'ERR_INVALID_ARG_TYPE' });
    using source = patterned(100);
    assert.throws(() => MappedBytes.of(source, bad(3)), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => MappedBytes.of(source, { pool: bad({}) }), { code: 'ERR_INVALID_ARG_TYPE' });
    const closed = Window.default().createPool();
    closed.dispose();
    using map = MappedBytes.of(source, { pool: closed });
    assert.throws(() => map.seal(), { code: 'ERR_IOL_CLOSED' });
    const released = patterned(100);
    released.dispose();
    assert.throws(() => MappedBytes.of(released), { code: 'ERR_IOL_CLOSED' });
    await assert.rejects(MappedBytes.open(bad({})), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(MappedBytes.open('/'), { code: 'ERR_IOL_SYSTEM' });
    await assert.rejects(MappedBytes.open('/x', { position: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(MappedBytes.open('/x', { byteLength: 0.5 }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(MappedBytes.open(99_999), { code: 'ERR_IOL_SYSTEM' });
    assert.throws(() => structuredClone(map), { name: 'DataCloneError' });
  });

  it('is as long as an ArrayBuffer can be, and no longer', function () {
    if (constants.MAX_LENGTH > 2 ** 40) this.skip();
    using source = gibibyte();
    while (source.byteLength < constants.MAX_LENGTH) source.append(source);
    using map = MappedBytes.of(source);
    assert.equal(map.bytes().byteLength, constants.MAX_LENGTH);
    assert.equal(map.bytes()[constants.MAX_LENGTH - 1], ((mebibyte - 1) >> 6) & 0xff);
    source.append('x');
    assert.throws(() => MappedBytes.of(source), { code: 'ERR_IOL_TOO_LARGE' });
  });

  it('too many mappings are an error that names the limit', () => {
    using source = gibibyte();
    const maps: MappedBytes[] = [];
    const most = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8')) / 4;
    try {
      assert.throws(() => {
        for (let i = 0; i * source.sliceCount <= most; i++) maps.push(MappedBytes.of(source));
      }, { code: 'ERR_IOL_TOO_MANY_SLICES', message: new RegExp(`limit ${Math.floor(most)}`) });
    } finally {
      for (const map of maps) map.dispose();
    }
    using map = MappedBytes.of(source);
    assert.equal(map.byteLength, source.byteLength);
  });

  it('sealing again and again takes no mappings, without a turn of the loop', () => {
    using source = gibibyte();
    for (let i = 0; i < 20; i++) {
      const map = MappedBytes.of(source);
      map.bytes()[i] = 255;
      map.seal().dispose();
    }
  });

  it('random programs leave what they leave in a Buffer', () => {
    using large = patterned(300_000);
    const piece = fc.record({
      from: fc.nat(300_000), length: fc.oneof(fc.nat(200), fc.nat(200_000)), isShared: fc.boolean(),
    });
    const store = fc.record({ from: fc.nat(), length: fc.nat(9000), value: fc.nat(255) });
    const program = fc.record({
      pieces: fc.array(piece, { maxLength: 6 }), stores: fc.array(store, { maxLength: 12 }),
    });
    fc.assert(
      fc.property(program, ({ pieces, stores }) => {
        using source = Aggregate.empty();
        for (const { from, length, isShared } of pieces) {
          using part = large.slice(from, Math.min(300_000, from + length));
          source.append(isShared ? part : part.toBuffer());
        }
        const before = source.toBuffer();
        const model = Buffer.from(before);
        using map = MappedBytes.of(source);
        const halfway = { bytes: undefined as Aggregate | undefined, model: Buffer.alloc(0) };
        stores.forEach(({ from, length, value }, i) => {
          const at = model.length === 0 ? 0 : from % model.length;
          map.bytes().fill(value, at, at + length);
          model.fill(value, at, Math.min(model.length, at + length));
          if (i !== 5) return;
          halfway.bytes = map.snapshot();
          halfway.model = Buffer.from(model);
        });
        const patched = Buffer.from(before);
        for (const { from, to } of map.changes()) patched.set(map.bytes().subarray(from, to), from);
        using sealed = map.seal();
        assert.ok(model.equals(sealed.toBuffer()));
        assert.ok(model.equals(patched), 'the changes are all that changed');
        assert.ok(before.equals(source.toBuffer()));
        if (halfway.bytes === undefined) return;
        assert.ok(halfway.model.equals(halfway.bytes.toBuffer()));
        halfway.bytes.dispose();
      }),
      { numRuns: 60 },
    );
  });

  it('works in a worker, which may end with views open', async () => {
    const source = `
      const { Aggregate, MappedBytes } = require('io-lite');
      const map = MappedBytes.of(Aggregate.from('x'.repeat(200000)));
      map.bytes()[3] = 65;
      const kept = MappedBytes.of(map.snapshot());
      kept.bytes()[4] = 66;
      require('node:worker_threads').parentPort.postMessage(map.seal().toString('utf8', 0, 5));`;
    const worker = new Worker(source, { eval: true });
    const ended = once(worker, 'exit');
    const text = await new Promise((resolve, reject) => {
      worker.on('message', resolve).on('error', reject);
    });
    assert.equal(text, 'xxxAx');
    assert.deepEqual(await ended, [0]);
  });
});

describe('MappedBytes of files', () => {
  let folder: string;
  let file: string;
  const content = Buffer.alloc(100 * mebibyte, 'abcdefghijklmnopqrstuvwxyz012345');

  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-mapped-'));
    file = path.join(folder, 'table.bin');
    writeFileSync(file, content);
  });
  after(() => {
    FileCache.default().close();
    rmSync(folder, { recursive: true });
  });

  it('scattered changes to 100 MiB are written back page by page', async () => {
    const before = stats().copies;
    using map = await MappedBytes.open(file);
    assert.equal(map.byteLength, content.length);
    const expected = Buffer.from(content);
    for (let i = 0; i < 200; i++) {
      const at = (i * 524_287 + i) % content.length;
      map.bytes()[at] = 33;
      expected[at] = 33;
    }
    const changes = map.changes();
    assert.equal(map.dirtyBytes, 200 * page);
    using after = map.seal();
    const copies = stats().copies;
    const moved = (reason: string): number => copies[reason]!.bytes - before[reason]!.bytes;
    assert.equal(moved('mapSeal'), 200 * page);
    assert.equal(moved('map'), 200 * page, 'extents of the cache lie so that they can be mapped');
    const fd = openSync(file, 'r+');
    try {
      for (const { from, to } of changes) {
        using pages = after.slice(from, to);
        assert.equal(await iolWrite(fd, pages, { position: from }), to - from);
      }
    } finally {
      closeSync(fd);
    }
    assert.ok(expected.equals(readFileSync(file)));
  });

  it('opens part of a file, by path, by cached file and by descriptor', async () => {
    using cached = await FileCache.default().open(file);
    const fd = openSync(file, 'r');
    const range = { position: 5 * mebibyte + 3, byteLength: 2 * mebibyte };
    const expected = readFileSync(file).subarray(range.position, range.position + range.byteLength);
    try {
      for (const source of [file, cached, fd, { fd }]) {
        using map = await MappedBytes.open(source, range);
        assert.ok(expected.equals(map.bytes()));
        using rest = await MappedBytes.open(source, { position: content.length - 10 });
        assert.equal(rest.byteLength, 10);
        using nothing = await MappedBytes.open(source, { position: content.length + 10 });
        assert.equal(nothing.byteLength, 0);
      }
    } finally {
      closeSync(fd);
    }
  });

  it('is a snapshot: the file may change', async () => {
    const small = path.join(folder, 'small');
    writeFileSync(small, 'a'.repeat(50_000));
    using map = await MappedBytes.open(small);
    writeFileSync(small, 'b');
    assert.equal(Buffer.from(map.bytes()).toString(), 'a'.repeat(50_000));
    map.bytes().fill(99);
    assert.equal(readFileSync(small, 'utf8'), 'b');
  });
});

describe('MappedBytes at the end of things', () => {
  it('seal refuses while somebody else has the memory; after dispose that one sees zeros', async () => {
    // On Node 20 transfer() is behind a flag.
    const flags = 'transfer' in ArrayBuffer.prototype ? [] : ['--harmony-rab-gsab-transfer'];
    const child = await runChild(
      `
      const assert = require('node:assert');
      const { Aggregate, MappedBytes } = require('io-lite');
      const source = Aggregate.from('x'.repeat(100000));
      const map = MappedBytes.of(source);
      const taken = map.bytes().buffer.transfer();
      assert.throws(() => map.seal(), { code: 'ERR_IOL_BUSY' });
      assert.throws(() => map.bytes(), { code: 'ERR_IOL_BUSY' });
      new Uint8Array(taken)[7] = 65;
      assert.equal(map.snapshot().toString('utf8', 6, 9), 'xAx');
      map.dispose();
      assert.equal(new Uint8Array(taken)[7], 0);
      new Uint8Array(taken).fill(1);
      assert.equal(source.toString(), 'x'.repeat(100000));
      console.log('done');`,
      { nodeOptions: flags },
    );
    assert.equal(child.stdout, 'done\n', child.stderr);
  });

  it('closing the window detaches, a forgotten one is given back, exit is clean', async () => {
    const child = await runChild(
      `
      const assert = require('node:assert');
      const { Aggregate, MappedBytes, Window, stats } = require('io-lite');
      const make = () => MappedBytes.of(Aggregate.from('x'.repeat(200000)));
      (async () => {
        const map = make();
        const bytes = map.bytes();
        Window.default().close();
        assert.equal(bytes.byteLength, 0);
        assert.throws(() => map.bytes(), { code: 'ERR_IOL_CLOSED' });
        assert.throws(() => map.seal(), { code: 'ERR_IOL_CLOSED' });
        map.dispose();
        const holds = stats().liveHolds;
        const leaks = stats().leaks;
        make().bytes()[7] = 1;
        while (stats().leaks < leaks + 2) {
          gc();
          await new Promise((resolve) => setImmediate(resolve));
        }
        assert.equal(stats().liveHolds, holds);
        globalThis.kept = make().bytes();
        globalThis.kept[9] = 1;
        console.log('done');
      })();`,
      { nodeOptions: ['--expose-gc'] },
    );
    assert.equal(child.stdout, 'done\n', child.stderr);
    assert.equal(child.code, 0);
  });
});
