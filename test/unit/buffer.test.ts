import assert from 'node:assert/strict';
import { Readable } from 'node:stream';

import { Window, type DraftBuffer, type IolBuffer, type Pool } from 'io-lite';

import { checkHolds, copiesDuring } from '../support/holds';

const textOf = (buffer: IolBuffer): string => {
  using slice = buffer.slice();
  return slice.toString();
};

describe('DraftBuffer', () => {
  checkHolds();
  let pool: Pool;
  before(() => {
    pool = Window.default().createPool({ name: 'drafts' });
  });
  after(() => pool.dispose());

  it('is filled by write() and becomes an immutable buffer', () => {
    const draft = pool.allocate(11);
    assert.equal(draft.write('hello '), 6);
    assert.equal(draft.write(Buffer.from('world'), 6), 5);
    using buffer = draft.seal();
    assert.equal(textOf(buffer), 'hello world');
    assert.ok(Number.isSafeInteger(buffer.address) && buffer.address > 0);
    assert.equal(buffer.generation % 2, 0);
    assert.ok(draft.isDisposed);
  });

  it('refuses to seal bytes that were transferred away', () => {
    using draft = pool.allocate(100);
    const bytes = draft.bytes();
    structuredClone(bytes, { transfer: [bytes] });
    assert.throws(() => draft.seal(), { code: 'ERR_IOL_BUSY' });
    assert.throws(() => draft.sealCopy(), { code: 'ERR_IOL_BUSY' });
  });

  it('seals as much as it is told', () => {
    const draft = pool.allocate(100);
    draft.write('abcdef');
    using buffer = draft.seal(3);
    assert.equal(buffer.byteLength, 3);
    assert.equal(textOf(buffer), 'abc');
  });

  it('counts every byte that is copied: written ones once, those of a small bytes() once', () => {
    assert.deepEqual(copiesDuring(() => {
      const draft = pool.allocate(8);
      draft.write('12345678');
      draft.seal().dispose();
    }), { write: 8 });
    assert.deepEqual(copiesDuring(() => {
      const draft = pool.allocate(100);
      new Uint8Array(draft.bytes()).fill(65);
      draft.seal().dispose();
    }), { draft: 100 });
  });

  for (const length of [0, 1, 64, 16 * 1024 - 1, 16 * 1024, 100_000, 3 << 20, 17 << 20]) {
    it(`bytes() of ${length} is exactly as large, and is sealed as it was filled`, () => {
      const draft = pool.allocate(length);
      const bytes = draft.bytes();
      assert.equal(bytes.byteLength, length);
      assert.equal(draft.bytes(), bytes, 'the same each time');
      const array = new Uint8Array(bytes);
      for (let i = 0; i < length; i += 997) array[i] = i % 251;
      using buffer = draft.seal();
      const view = buffer.view();
      for (let i = 0; i < length; i += 997) assert.equal(view[i], i % 251);
      assert.equal(bytes.byteLength, 0, 'detached');
      assert.equal(array.length, 0);
    });
  }

  it('a large draft is filled in place: nothing is copied', () => {
    assert.deepEqual(copiesDuring(() => {
      const draft = pool.allocate(64 << 10);
      new Uint8Array(draft.bytes()).fill(7);
      const buffer = draft.seal();
      assert.equal(buffer.view()[65_535], 7);
      buffer.dispose();
    }), {});
  });

  it('write() and bytes() may be mixed, small and large', () => {
    for (const length of [10, 20_000]) {
      const draft = pool.allocate(length);
      draft.write('abc');
      const array = new Uint8Array(draft.bytes());
      assert.equal(Buffer.from(array.subarray(0, 3)).toString(), 'abc');
      array[1] = 66;
      draft.write('d', 3);
      assert.equal(array[3], 100);
      using buffer = draft.seal(4);
      assert.equal(textOf(buffer), 'aBcd');
    }
  });

  it('dispose() detaches bytes() and gives the memory back', () => {
    for (const length of [10, 20_000]) {
      const before = pool.stats().bytesInUse;
      const draft = pool.allocate(length);
      const bytes = draft.bytes();
      assert.ok(pool.stats().bytesInUse >= before + length);
      draft.dispose();
      assert.equal(bytes.byteLength, 0);
      assert.equal(pool.stats().bytesInUse, before);
    }
  });

  it('two drafts open at the same time share no byte', () => {
    const drafts = [20_000, 20_000, 20_480, 100].map((length) => pool.allocate(length));
    drafts.forEach((draft, i) => new Uint8Array(draft.bytes()).fill(i + 1));
    drafts.forEach((draft, i) => {
      using buffer = draft.seal();
      assert.ok(buffer.view().every((byte) => byte === i + 1));
    });
  });

  it('sealCopy() is a snapshot; the draft goes on', () => {
    for (const length of [10, 20_000]) {
      const draft = pool.allocate(length);
      const array = new Uint8Array(draft.bytes()).fill(1);
      using snapshot = draft.sealCopy();
      array.fill(2);
      assert.ok(snapshot.view().every((byte) => byte === 1));
      using sealed = draft.seal();
      assert.notEqual(sealed.address, snapshot.address);
      assert.ok(sealed.view().every((byte) => byte === 2));
    }
  });

  it('fill() repeats what it is given as Buffer does, wherever it begins and ends', () => {
    const length = 40_000;
    for (const value of [0, 200, 'a', 'abc', 'ä€', Uint8Array.of(1, 2, 3, 4, 5, 6, 7)]) {
      for (const [from, to] of [[0, length], [1, 2], [3, 9], [17, 39_999], [5, 5]] as const) {
        const plain = Buffer.alloc(length, 9);
        if (from < to) plain.fill(value, from, to);
        const draft = pool.allocate(length);
        using filled = draft.fill(9).fill(value, from, to).seal();
        assert.ok(filled.equals(plain), `${String(value)} from ${from} to ${to}`);
      }
    }
  });

  it('fillFrom() takes what a stream brings, and seal() is busy until it has ended', async () => {
    const draft = pool.allocate(9);
    const filled = draft.fillFrom(Readable.from([Buffer.from('abc'), Buffer.from('def')]), 3);
    assert.throws(() => draft.seal(), { code: 'ERR_IOL_BUSY' });
    assert.throws(() => draft.sealCopy(), { code: 'ERR_IOL_BUSY' });
    assert.equal(await filled, 6);
    draft.write('012');
    using buffer = draft.seal();
    assert.equal(textOf(buffer), '012abcdef');
  });

  it('fillFrom() that fails leaves the draft open', async () => {
    const draft = pool.allocate(4);
    await assert.rejects(draft.fillFrom(Readable.from([Buffer.from('too long')])), {
      code: 'ERR_OUT_OF_RANGE',
    });
    draft.write('good');
    using buffer = draft.seal();
    assert.equal(textOf(buffer), 'good');
  });

  it('refuses what does not fit, and writes none of it', () => {
    const draft = pool.allocate(4);
    draft.write('....');
    assert.throws(() => draft.write('12345'), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => draft.write('12', 3), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => draft.write('', 5), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => draft.write('x', -1), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => draft.write('x', 0.5), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => draft.write(5 as never), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => draft.seal(5), { code: 'ERR_OUT_OF_RANGE' });
    using buffer = draft.seal();
    assert.equal(textOf(buffer), '....');
  });
});

describe('DraftBuffer.write', () => {
  checkHolds();

  for (const isOnHeap of [false, true]) {
    const where = isOnHeap ? 'of bytes()' : 'in the window';
    it(`knows bytes by what they are and not by their prototype, ${where}`, () => {
      const draft = Window.default().defaultPool.allocate(8);
      if (isOnHeap) draft.bytes();
      draft.write('........');
      const floats = Object.setPrototypeOf(Float64Array.of(1), Uint8Array.prototype) as Uint8Array;
      const nothing = Object.create(Uint8Array.prototype) as Uint8Array;
      for (const data of [floats, nothing]) {
        assert.throws(() => draft.write(data), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      }
      class Liar extends Uint8Array {
        override get byteLength(): number { return 0; }
      }
      assert.throws(() => draft.write(new Liar(9)), { code: 'ERR_OUT_OF_RANGE' });
      assert.equal(draft.write(Liar.of(65, 66)), 2);
      assert.equal(draft.write(Object.setPrototypeOf(Uint8Array.of(67), null) as Uint8Array, 2), 1);
      using buffer = draft.seal();
      assert.equal(textOf(buffer), 'ABC.....');
    });
  }
});

describe('IolBuffer', () => {
  checkHolds();

  it('has a name that is used once: the same storage comes back as a later generation', () => {
    const pool = Window.default().createPool({ name: 'generations' });
    const names = new Set<string>();
    const addresses = new Set<number>();
    for (let i = 0; i < 100; i++) {
      using buffer = pool.allocate(5000).seal();
      names.add(`${buffer.address}:${buffer.generation}`);
      addresses.add(buffer.address);
    }
    assert.equal(names.size, 100);
    assert.ok(addresses.size < 100, 'storage was reused');
    pool.dispose();
  });

  it('of no bytes is a buffer like any other', () => {
    using buffer = Window.default().defaultPool.allocate(0).seal();
    assert.equal(buffer.byteLength, 0);
    assert.equal(buffer.view().byteLength, 0);
    assert.equal(textOf(buffer), '');
  });

  it('slices as Buffer.slice does: from the end, and to the nearest end', () => {
    const draft = Window.default().defaultPool.allocate(4);
    draft.write('abcd');
    using buffer = draft.seal();
    for (const [from, to] of [[-1, 2], [-3, -1], [0, 5], [3, 2], [9], [-9, Infinity]] as const) {
      using slice = buffer.slice(from, to);
      assert.equal(slice.toString(), 'abcd'.slice(from, to));
      assert.equal(slice.byteLength, 'abcd'.slice(from, to).length);
    }
    assert.throws(() => buffer.slice(0.5), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => buffer.slice(NaN), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => buffer.slice('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('a forgotten draft', () => {
  it('is kept by the ArrayBuffer through which it is filled', async () => {
    const pool = Window.default().createPool({ name: 'kept' });
    let bytes: ArrayBuffer;
    let reference: WeakRef<DraftBuffer>;
    const forget = (): void => {
      const draft: DraftBuffer = pool.allocate(20_000);
      bytes = draft.bytes();
      reference = new WeakRef(draft);
    };
    forget();
    for (let i = 0; i < 3; i++) {
      globalThis.gc!();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(bytes!.byteLength, 20_000);
    assert.equal(pool.stats().drafts, 1);
    reference!.deref()!.dispose();
    pool.dispose();
  });
});

describe('DraftBuffer values', () => {
  checkHolds();
  const places: [string, number, boolean][] = [
    ['in the window', 64, false], ['in bytes() on the heap', 64, true], ['in place', 20_000, true],
  ];

  for (const [where, length, hasBytes] of places) {
    it(`are written as Buffer writes them, ${where}`, () => {
      const draft = Window.default().defaultPool.allocate(length);
      const model = Buffer.alloc(length);
      draft.fill(0);
      if (hasBytes) draft.bytes();
      const both = <T>(write: (target: DraftBuffer | Buffer) => T): void => {
        assert.equal(write(draft), write(model));
      };
      both((b) => b.writeUInt32LE(0xdeadbeef, 0));
      both((b) => b.writeInt8(-5, 4));
      both((b) => b.writeBigInt64BE(-(2n ** 62n), 8));
      both((b) => b.writeDoubleLE(1 / 3, 16));
      both((b) => b.writeFloatBE(-0, 24));
      both((b) => b.writeUIntBE(0x123456, 30, 3));
      both((b) => b.writeIntLE(-7, 34, 6));
      for (const target of [draft, model] as DraftBuffer[]) {
        assert.throws(() => target.writeUInt8(256, 50), { code: 'ERR_OUT_OF_RANGE' });
        assert.throws(() => target.writeUInt16LE(1, length - 1), RangeError);
      }
      assert.equal(draft.write('é', 50, 'latin1'), model.write('é', 50, 'latin1'));
      assert.equal(draft.write('€', 51, 'utf16le'), model.write('€', 51, 'utf16le'));
      assert.equal(draft.write('ff00', 53, 'hex'), model.write('ff00', 53, 'hex'));
      draft.fill('ab', 58, -1);
      model.fill('ab', 58, length - 1);
      using sealed = draft.seal();
      assert.ok(sealed.equals(model));
    });
  }

  it('text ends where it ends: the byte behind it stays, and the next buffer too', () => {
    const pool = Window.default().createPool({ name: 'neighbours' });
    for (const encoding of ['utf8', 'latin1', 'utf16le'] as const) {
      const before = pool.allocate(64);
      const draft = pool.allocate(64);
      const after = pool.allocate(64);
      for (const one of [before, draft, after]) one.fill(0x55);
      const text = 'x'.repeat(encoding === 'utf16le' ? 10 : 20);
      draft.write(text, 3, encoding);
      draft.write(text, 44, encoding);
      using sealed = draft.seal();
      using neighbour = after.seal();
      const model = Buffer.alloc(64, 0x55);
      model.write(text, 3, encoding);
      model.write(text, 44, encoding);
      assert.ok(sealed.equals(model));
      assert.ok(neighbour.equals(Buffer.alloc(64, 0x55)));
      before.dispose();
    }
    pool.dispose();
  });

  it('may be moved within the draft, overlapping', () => {
    for (const length of [100, 20_000]) {
      const draft = Window.default().defaultPool.allocate(length);
      draft.write('0123456789');
      const bytes = new Uint8Array(draft.bytes());
      draft.write(bytes.subarray(0, 10), 3);
      draft.write(bytes.subarray(3, 13), 1);
      using sealed = draft.seal(14);
      assert.equal(sealed.toString('latin1', 1, 11), '0123456789');
    }
  });
});
