// Every public method in every state: allowed, or blocked with its code and nothing changed.
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';

import {
  Aggregate, FileCache, iolRead, iolReadSync, iolWrite, iolWriteSync, stats, Window,
  type CachedFile, type DraftBuffer, type IolBuffer, type Pool,
} from 'io-lite';

import { runChild } from '../support/child';
import { checkHolds } from '../support/holds';

const thisFile = path.join(__dirname, 'states.test.ts');
const window: Window = Window.default();

type Use<T> = (subject: T) => unknown;

/** What of a class can be called, each in a way that works while the subject is open. */
const aggregateUses: Record<string, Use<Aggregate>> = {
  byteLength: (a) => a.byteLength,
  sliceCount: (a) => a.sliceCount,
  append: (a) => a.append('x'),
  slice: (a) => a.slice(0, 1).dispose(),
  clone: (a) => a.clone().dispose(),
  slices: (a) => a.slices(),
  '[Symbol.iterator]': (a) => [...a],
  view: (a) => a.view(),
  toString: (a: Aggregate) => a.toString(),
  'toString(hex)': (a) => a.toString('hex'),
  copyTo: (a) => a.copyTo(new Uint8Array(1)),
  toBuffer: (a) => a.toBuffer(),
  'Aggregate.from': (a) => Aggregate.from(a).dispose(),
  'Aggregate.concat': (a) => Aggregate.concat('x', a).dispose(),
  iolWriteSync: (a) => iolWriteSync(nullFd, a),
  iolWrite: (a) => iolWrite(nullFd, a),
};
const bufferUses: Record<string, Use<IolBuffer>> = {
  view: (b) => b.view(),
  unsafeView: (b) => b.unsafeView(),
  slice: (b) => b.slice().dispose(),
  'Aggregate.from': (b) => Aggregate.from(b).dispose(),
  iolWriteSync: (b) => iolWriteSync(nullFd, b),
  iolWrite: (b) => iolWrite(nullFd, b),
};
const draftUses: Record<string, Use<DraftBuffer>> = {
  write: (d) => d.write('x'),
  bytes: (d) => d.bytes(),
  fillFrom: (d) => d.fillFrom((async function* () {})()),
  sealCopy: (d) => d.sealCopy().dispose(),
};
const poolUses: Record<string, Use<Pool>> = {
  allocate: (p) => p.allocate(1).dispose(),
  trim: (p) => p.trim(),
  stats: (p) => p.stats(),
  'new FileCache': (p) => new FileCache({ pool: p }).close(),
  iolReadSync: (p) => iolReadSync(zeroFd, 1, { pool: p })!.dispose(),
  iolRead: async (p) => (await iolRead(zeroFd, 1, { pool: p }))!.dispose(),
};
const cacheUses: Record<string, Use<FileCache>> = {
  tryOpen: (c) => c.tryOpen(thisFile)?.close(),
  open: async (c) => (await c.open(thisFile)).close(),
  stats: (c) => c.stats(),
};
const fileUses: Record<string, Use<CachedFile>> = {
  isFresh: (f) => f.isFresh,
  tryRead: (f) => f.tryRead()?.dispose(),
  read: async (f) => (await f.read()).dispose(),
};

let nullFd: number;
let zeroFd: number;

/** Settles whatever `use` gives, so that throwing and rejecting are one. */
async function settled<T>(use: Use<T>, subject: T): Promise<unknown> {
  return await use(subject);
}

function matrix<T extends Disposable>(
  name: string,
  uses: Record<string, Use<T>>,
  make: () => T | Promise<T>,
): void {
  describe(name, () => {
    for (const [method, use] of Object.entries(uses)) {
      it(`${method}: allowed while it is open`, async () => {
        using subject = await make();
        await settled(use, subject);
      });
      it(`${method}: blocked with ERR_IOL_CLOSED after its release`, async () => {
        const subject = await make();
        subject[Symbol.dispose]();
        await assert.rejects(settled(use, subject), { name: 'IolError', code: 'ERR_IOL_CLOSED' });
      });
    }
    it('may be released any number of times', async () => {
      const subject = await make();
      for (let i = 0; i < 3; i++) subject[Symbol.dispose]();
    });
    it('is refused by structuredClone and postMessage', async () => {
      using subject = await make();
      assert.throws(() => structuredClone(subject), { name: 'DataCloneError' });
    });
  });
}

describe('states', () => {
  checkHolds();
  let cache: FileCache;
  before(() => {
    nullFd = openSync('/dev/null', 'w');
    zeroFd = openSync('/dev/zero', 'r');
    cache = new FileCache();
  });
  after(() => {
    closeSync(nullFd);
    closeSync(zeroFd);
    cache.close();
  });

  matrix('Aggregate', aggregateUses, () => Aggregate.from('a', 'b'));
  matrix('IolBuffer', bufferUses, () => window.defaultPool.allocate(5).seal());
  matrix('DraftBuffer', draftUses, () => window.defaultPool.allocate(5));
  matrix('DraftBuffer, large', draftUses, () => window.defaultPool.allocate(50_000));
  matrix('Pool', poolUses, () => window.createPool());
  matrix('FileCache', cacheUses, () => new FileCache());
  describe('with a file', () => {
    const readings: { file?: CachedFile } = {};
    afterEach(() => readings.file?.close());
    matrix('CachedFile', fileUses, async () => {
      // Its extents go before the holds are looked at.
      cache.close();
      cache = new FileCache();
      return (readings.file = await cache.open(thisFile));
    });
    afterEach(() => cache.close());
  });

  it('DraftBuffer#seal: once, and then nothing more', async () => {
    const draft = window.defaultPool.allocate(3);
    const buffer = draft.seal();
    assert.throws(() => draft.seal(), { code: 'ERR_IOL_SEALED' });
    for (const use of Object.values(draftUses)) {
      await assert.rejects(settled(use, draft), { name: 'IolError', code: 'ERR_IOL_SEALED' });
    }
    draft.dispose();
    assert.equal(buffer.view().byteLength, 3, 'disposing the draft is nothing to the buffer');
    buffer.dispose();
  });
});

describe('foreign and odd arguments', () => {
  checkHolds();
  // What looks like a resource, is none: nothing of it is taken for a handle.
  const fakes: unknown[] = [
    undefined, null, 5, true, {}, [5], Symbol('x'), () => {}, new Uint16Array(2), new ArrayBuffer(2),
    { handle: 1, byteLength: 3 }, Object.create(Aggregate.prototype), new Proxy({}, {}), 10n,
  ];
  const typeError = { name: 'TypeError' };

  it('are refused by every method that takes bytes, and the receiver is unchanged', async () => {
    using receiver = Aggregate.from('same');
    using draft = window.defaultPool.allocate(4);
    for (const fake of fakes as never[]) {
      assert.throws(() => Aggregate.from(fake), typeError);
      assert.throws(() => receiver.append(fake), typeError);
      assert.throws(() => draft.write(fake), typeError);
      assert.throws(() => iolWriteSync(1, fake), typeError);
      await assert.rejects(iolWrite(1, fake), typeError);
    }
    assert.equal(receiver.toString(), 'same');
  });

  it('are refused as options', () => {
    for (const fake of [null, 5, 'x', [], () => {}] as never[]) {
      assert.throws(() => window.createPool(fake), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => new FileCache(fake), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    assert.throws(() => new FileCache({ pool: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => window.createPool({ sealed: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => window.createPool({ name: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('are refused as descriptors', async () => {
    for (const fake of [undefined, null, {}, 'x', { fd: 'x' }, Symbol('x'), 10n] as never[]) {
      await assert.rejects(iolRead(fake, 1), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => iolReadSync(fake, 1), { code: 'ERR_INVALID_ARG_TYPE' });
      await assert.rejects(iolWrite(fake, 'x'), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => iolWriteSync(fake, 'x'), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const fd of [-1, 0.5, NaN, 2 ** 31]) {
      await assert.rejects(iolRead(fd, 1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
  });

  it('are refused as sizes and positions', async () => {
    for (const size of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
      assert.throws(() => window.defaultPool.allocate(size), range);
      await assert.rejects(iolRead(0, size), range);
      await assert.rejects(iolRead(0, 1, { position: size }), range);
      assert.throws(() => window.createPool({ maxBytes: size }), range);
      assert.throws(() => new FileCache({ maxBytes: size }), range);
    }
    assert.throws(() => window.defaultPool.allocate('5' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(iolRead(0, 1, { signal: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('are refused as paths', async () => {
    using cache = new FileCache();
    for (const path of [undefined, 5, Buffer.from('x')] as never[]) {
      assert.throws(() => cache.tryOpen(path), { code: 'ERR_INVALID_ARG_TYPE' });
      await assert.rejects(cache.open(path), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const path of ['', 'a\0b']) {
      assert.throws(() => cache.tryOpen(path), { code: 'ERR_INVALID_ARG_VALUE' });
    }
  });

  it('a detached array counts as empty, and a bad encoding is refused', () => {
    const array = new Uint8Array(10);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    using empty = Aggregate.from(array);
    assert.equal(empty.byteLength, 0);
    assert.throws(() => empty.toString('klingon' as never), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('methods taken off their object do not touch another one\'s memory', () => {
    const slice = (fake: unknown): Aggregate => Aggregate.prototype.slice.call(fake as never, 0, 1);
    for (const fake of fakes) assert.throws(() => slice(fake), typeError);
  });
});

describe('in a worker', () => {
  it('every class works on its own, and shares nothing by accident', async () => {
    const result = await runChild(`
      const { Worker, isMainThread } = require('node:worker_threads');
      const work = async () => {
        const { Aggregate, Window, FileCache, iolReadSync, iolWriteSync, stats } = require('io-lite');
        const pool = Window.default().createPool();
        const draft = pool.allocate(20000);
        new Uint8Array(draft.bytes()).fill(isMainThread ? 1 : 2);
        const buffer = draft.seal();
        const file = await FileCache.default().open('package.json');
        const bytes = await file.read();
        const whole = Aggregate.from('x', buffer, bytes);
        const right = whole.byteLength === 20001 + file.byteLength
          && buffer.view().every((byte) => byte === (isMainThread ? 1 : 2));
        for (const owned of [buffer, bytes, whole, pool]) owned.dispose();
        FileCache.default().close();
        console.log(right, stats().liveHolds);
      };
      (async () => {
        await work();
        for (let i = 0; i < 2; i++) {
          const worker = new Worker('(' + (async (source) => {
            const isMainThread = false;
            await eval(source)();
          }) + ')(' + JSON.stringify('(' + work + ')') + ')', { eval: true });
          await new Promise((resolve) => worker.on('exit', resolve));
        }
      })();
    `);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.stdout, 'true 0\ntrue 0\ntrue 0\n');
  });
});

describe('the figures', () => {
  it('know nothing that is still held by these tests', () => {
    assert.equal(stats().drafts, 0);
  });
});
