import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { Aggregate, stats, Window, type IolBuffer } from 'io-lite';

import { checkHolds, copiesDuring } from '../support/holds';

function bufferOf(text: string): IolBuffer {
  const draft = Window.default().defaultPool.allocate(Buffer.byteLength(text));
  draft.write(text);
  return draft.seal();
}

describe('Aggregate', () => {
  checkHolds();

  it('has no text longer than a string can be, and says so', () => {
    using huge = Aggregate.from('x'.repeat(1 << 20));
    for (let doubling = 0; doubling < 20; doubling++) huge.append(huge);
    assert.throws(() => huge.toString(), { code: 'ERR_IOL_TOO_LARGE' });
    assert.throws(() => huge.toString('latin1'), { code: 'ERR_IOL_TOO_LARGE' });
    assert.equal(huge.toString('utf8', 1 << 30, (1 << 30) + 3), 'xxx');
  });

  it('has the bytes of its parts in their order', () => {
    using buffer = bufferOf('middle ');
    using end = Aggregate.from('end');
    using whole = Aggregate.from('start ', buffer, Buffer.from('and '), end);
    assert.equal(whole.toString(), 'start middle and end');
    assert.equal(whole.byteLength, 20);
    assert.equal(whole.sliceCount, 4);
  });

  for (const length of [0, 1, 63, 64, 65, 4090, 4091, 4092, 4095, 4096, 4097, 70_000]) {
    it(`keeps a string of ${length} characters of one, two and three bytes`, () => {
      for (const character of ['a', 'é', '€']) {
        const text = character.repeat(length);
        using aggregate = Aggregate.from(text);
        assert.equal(aggregate.byteLength, Buffer.byteLength(text));
        assert.ok(aggregate.toString() === text);
      }
    });
  }

  it('keeps characters outside the basic plane, and replaces lone surrogates as Buffer does', () => {
    for (const text of ['😀', `${'x'.repeat(4089)}😀`, '\ud800', `${'x'.repeat(5000)}\udc00`]) {
      using aggregate = Aggregate.from(text);
      assert.ok(aggregate.toBuffer().equals(Buffer.from(text)));
    }
  });

  it('puts no byte behind a long string into its neighbour', () => {
    using before = Aggregate.from('n'.repeat(5120));
    using text = Aggregate.from('t'.repeat(5119));
    using after = Aggregate.from('m'.repeat(5120));
    assert.ok(before.toString() === 'n'.repeat(5120) && after.toString() === 'm'.repeat(5120));
    assert.equal(text.byteLength, 5119);
  });

  it('shares the bytes of buffers and aggregates instead of copying them', () => {
    using buffer = bufferOf('shared bytes');
    using first = Aggregate.from('first ');
    const copied = copiesDuring(() => {
      using joined = Aggregate.concat(first, buffer, first);
      using part = joined.slice(3, 15);
      using twin = part.clone();
      twin.append(joined).append(buffer).append(twin);
      const [, second] = joined.slices();
      assert.deepEqual(second, {
        address: buffer.address, generation: buffer.generation, byteLength: 12,
      });
      assert.equal(part.slices()[1]?.address, buffer.address);
    });
    assert.deepEqual(copied, {});
  });

  it('counts what it copies, by reason', () => {
    assert.deepEqual(copiesDuring(() => Aggregate.from('abc').dispose()), { write: 3 });
    assert.deepEqual(copiesDuring(() => Aggregate.from(Buffer.alloc(9000)).dispose()), { write: 9000 });
    using two = Aggregate.from('abc', 'defg');
    assert.deepEqual(copiesDuring(() => two.toString()), { copyOut: 7 });
    assert.deepEqual(copiesDuring(() => two.toBuffer()), { copyOut: 7 });
    assert.deepEqual(copiesDuring(() => two.copyTo(new Uint8Array(5))), { copyOut: 5 });
    assert.deepEqual(copiesDuring(() => two.view()), { linearize: 7 });
    assert.deepEqual(copiesDuring(() => two.view()), {}, 'it is in one piece now');
  });

  it('copies out and compares the same, and counts it, however often that was done before', () => {
    using one = Aggregate.from('0123456789');
    for (let i = 0; i < 10; i++) {
      const target = new Uint8Array(12);
      assert.deepEqual(copiesDuring(() => assert.equal(one.copyTo(target, 2), 10)), { copyOut: 10 });
      assert.equal(Buffer.from(target).toString(), '\0\x000123456789');
      assert.deepEqual(copiesDuring(() => assert.equal(one.copyTo(target, 9), 3)), { copyOut: 3 });
      const liar = Object.defineProperty(new Uint8Array(4), 'length', { value: 100 });
      assert.equal(one.copyTo(Object.defineProperty(liar, 'byteLength', { value: 100 })), 4);
      assert.equal(one.copyTo(new Uint8Array(4), 5), 0);
      assert.ok(one.equals(Buffer.from('0123456789')));
      assert.ok(!one.equals(Buffer.from('0123456780')) && !one.equals(Buffer.from('01234567890')));
    }
    one.append('!');
    assert.ok(one.equals(Buffer.from('0123456789!')));
    const target = new Uint8Array(11);
    for (let i = 0; i < 10; i++) assert.equal(one.copyTo(target), 11);
    assert.equal(Buffer.from(target).toString(), '0123456789!');
    one.dispose();
    assert.throws(() => one.copyTo(target), { code: 'ERR_IOL_CLOSED' });
    assert.throws(() => one.equals(target), { code: 'ERR_IOL_CLOSED' });
  });

  it('counts what a worker copies out, while it runs and when it has ended', async () => {
    const before = stats().copies['copyOut']!;
    const worker = new Worker(`
      const { parentPort } = require('node:worker_threads');
      const { Aggregate } = require('io-lite');
      const one = Aggregate.from('0123456789');
      for (let i = 0; i < 20; i++) one.copyTo(new Uint8Array(10));
      one.dispose();
      parentPort.postMessage('copied');
      parentPort.once('message', () => undefined);
    `, { eval: true });
    await once(worker, 'message');
    const during = stats().copies['copyOut']!;
    worker.postMessage('end');
    await once(worker, 'exit');
    const after = stats().copies['copyOut']!;
    assert.deepEqual([during.times, during.bytes], [before.times + 20, before.bytes + 200]);
    assert.deepEqual(after, during);
  });

  it('is a value: changing a clone changes nothing else', () => {
    using original = Aggregate.from('abc');
    using twin = original.clone();
    twin.append('def');
    assert.equal(original.toString(), 'abc');
    assert.equal(twin.toString(), 'abcdef');
  });

  it('outlives what it was made of', () => {
    const buffer = bufferOf('0123456789');
    const slice = buffer.slice(2, 5);
    buffer.dispose();
    const twin = slice.clone();
    slice.dispose();
    assert.equal(twin.toString(), '234');
    twin.dispose();
  });

  it('may be appended to itself', () => {
    using aggregate = Aggregate.from('ab');
    aggregate.append(aggregate).append(aggregate);
    assert.equal(aggregate.toString(), 'abababab');
  });

  it('slices at every pair of borders like a string does', () => {
    const text = 'abcdefghij';
    using aggregate = Aggregate.from('abc', 'd', 'efghi', 'j');
    for (let from = 0; from <= text.length; from++) {
      for (let to = from; to <= text.length; to++) {
        using part = aggregate.slice(from, to);
        assert.equal(part.toString(), text.slice(from, to));
        assert.equal(part.byteLength, to - from);
        assert.equal(aggregate.toString('latin1', from, to), text.slice(from, to));
      }
    }
  });

  it('copies to a place, from a place, as far as there is room', () => {
    using aggregate = Aggregate.from('abc', 'def');
    const target = new Uint8Array(6).fill(46);
    assert.equal(aggregate.copyTo(target, 2, 1, 4), 3);
    assert.equal(Buffer.from(target).toString(), '..bcd.');
    assert.equal(aggregate.copyTo(target, 4), 2);
    assert.equal(Buffer.from(target).toString(), '..bcab');
    assert.equal(aggregate.copyTo(target, 6), 0);
  });

  it('speaks every encoding of Node', () => {
    const bytes = Buffer.from([0, 1, 0xe9, 0xff, 0x41, 0x42]);
    using aggregate = Aggregate.from(bytes.subarray(0, 3), bytes.subarray(3));
    const encodings = [
      'utf8', 'UTF-8', 'latin1', 'binary', 'ascii', 'hex', 'base64', 'base64url', 'ucs2', 'utf16le',
    ] as BufferEncoding[];
    for (const encoding of encodings) {
      assert.equal(aggregate.toString(encoding), bytes.toString(encoding), encoding);
    }
  });

  it('finds the one character that is not ASCII, wherever it is', () => {
    for (let length = 0; length < 70; length++) {
      for (let at = 0; at <= length; at++) {
        const text = `${'a'.repeat(at)}é${'b'.repeat(length - at)}`;
        using aggregate = Aggregate.from(text);
        assert.equal(aggregate.toString(), text);
        assert.equal(aggregate.toString('utf8', 0, at), 'a'.repeat(at));
        assert.equal(aggregate.toString('utf8', at + 2), 'b'.repeat(length - at));
      }
    }
  });

  it('is equal to an array of the same bytes, of any length, also when asked again and again', () => {
    for (const length of [0, 1, 31, 32, 33, 100]) {
      const bytes = Buffer.alloc(length, 'abcdefg');
      using aggregate = Aggregate.from(bytes);
      for (let i = 0; i < 8; i++) {
        assert.equal(aggregate.equals(bytes), true);
        assert.equal(aggregate.equals(Buffer.concat([bytes, bytes, bytes]).subarray(1)), length === 0);
        for (let at = 0; at < length; at++) {
          const other = Buffer.from(bytes);
          other[at]! ^= 1;
          assert.equal(aggregate.equals(other), false);
        }
      }
    }
  });

  it('joins a character whose bytes lie in two slices', () => {
    const [first, second] = Buffer.from('é');
    using aggregate = Aggregate.from(Uint8Array.of(first!), Uint8Array.of(second!));
    assert.equal(aggregate.toString(), 'é');
  });

  it('is iterated as views of its slices', () => {
    using aggregate = Aggregate.from('abc', 'de');
    const texts = [...aggregate].map((view) => String.fromCharCode(...view));
    assert.deepEqual(texts, ['abc', 'de']);
  });

  it('is empty when it has no bytes, and says so everywhere', () => {
    for (const empty of [Aggregate.empty(), Aggregate.from(), Aggregate.from(''), Aggregate.concat()]) {
      assert.equal(empty.byteLength, 0);
      assert.equal(empty.sliceCount, 0);
      assert.deepEqual(empty.slices(), []);
      assert.equal(empty.toString(), '');
      assert.equal(empty.view().byteLength, 0);
      assert.equal(empty.toBuffer().byteLength, 0);
      assert.deepEqual([...empty], []);
      empty.dispose();
    }
  });

  it('takes no handle of a part when another part is refused', () => {
    using good = Aggregate.from('good');
    const released = Aggregate.from('released');
    released.dispose();
    assert.throws(() => Aggregate.concat(good, released), { code: 'ERR_IOL_CLOSED' });
    assert.throws(() => Aggregate.concat(good, 7 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    using receiver = Aggregate.from('unchanged');
    assert.throws(() => receiver.append(released), { code: 'ERR_IOL_CLOSED' });
    assert.equal(receiver.toString(), 'unchanged');
  });

  it('knows bytes by what they are and not by their prototype', () => {
    const floats = Object.setPrototypeOf(Float64Array.of(1, 2), Uint8Array.prototype) as Uint8Array;
    const nothing = Object.create(Uint8Array.prototype) as Uint8Array;
    using aggregate = Aggregate.from('kept');
    for (const bytes of [floats, nothing]) {
      const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
      assert.throws(() => Aggregate.from(bytes), refused);
      assert.throws(() => Aggregate.concat('x', bytes), refused);
      assert.throws(() => aggregate.append(bytes), refused);
      assert.throws(() => aggregate.copyTo(bytes), refused);
    }
    assert.equal(aggregate.toString(), 'kept');
    const bare = Object.setPrototypeOf(Uint8Array.of(65, 66), null) as Uint8Array;
    assert.equal(aggregate.append(bare).toString(), 'keptAB');
  });

  it('copies from a subarray, a DataView-sharing array and a shared array what they show', () => {
    const whole = Uint8Array.from([1, 2, 3, 4, 5]);
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([7, 8, 9]);
    using aggregate = Aggregate.from(whole.subarray(1, 3), shared);
    assert.deepEqual([...aggregate.toBuffer()], [2, 3, 7, 8, 9]);
  });

  it('helps when it is printed', async () => {
    const { inspect } = await import('node:util');
    const aggregate = Aggregate.from('ab', 'c');
    assert.equal(inspect(aggregate), 'Aggregate { byteLength: 3, sliceCount: 2, bytes: <61 62 63> }');
    aggregate.dispose();
    assert.equal(inspect(aggregate), 'Aggregate <released>');
  });

  it('refuses to be cloned by a message, and says what to do', () => {
    using aggregate = Aggregate.from('x');
    assert.throws(() => structuredClone(aggregate), {
      name: 'DataCloneError', message: /CannotBeCloned_sendTheirBytesInstead/,
    });
    const { port1 } = new MessageChannel();
    assert.throws(() => port1.postMessage({ nested: [aggregate] }), { name: 'DataCloneError' });
    port1.close();
  });
});

describe('Aggregate view', () => {
  checkHolds();

  it('lies where the bytes are: no byte is copied, and its ArrayBuffer is the chunk', () => {
    using one = Aggregate.from('one');
    using two = Aggregate.from('two');
    const copied = copiesDuring(() => {
      const first = one.view() as Uint8Array;
      const second = two.view() as Uint8Array;
      assert.equal(Buffer.from(first).toString(), 'one');
      assert.equal(first.buffer, second.buffer, 'one ArrayBuffer for a chunk');
      const distance = two.slices()[0]!.address - one.slices()[0]!.address;
      assert.equal(second.byteOffset - first.byteOffset, distance);
    });
    assert.deepEqual(copied, {});
  });

  it('has length 0 as soon as this thread holds nothing more in its chunk', () => {
    const pool = Window.default().createPool({ name: 'views' });
    const first = pool.allocate(5).seal();
    const second = pool.allocate(5).seal();
    const view = first.view();
    first.dispose();
    assert.equal(view.byteLength, 5, 'its neighbour is held');
    second.dispose();
    assert.equal(view.byteLength, 0);
    assert.equal((view as Uint8Array)[0], undefined);
    pool.dispose();
  });

  it('covers a large object and no more', () => {
    const pool = Window.default().createPool({ name: 'large' });
    for (const length of [100_000, 1 << 20, 20 << 20]) {
      const draft = pool.allocate(length);
      draft.write('last', length - 4);
      const buffer = draft.seal();
      const view = buffer.view();
      assert.equal(view.byteLength, length);
      assert.equal(Buffer.from(view.slice(length - 4)).toString(), 'last');
      buffer.dispose();
      assert.equal(view.byteLength, 0);
    }
    pool.dispose();
  });

  it('unsafeView() shows the same bytes through one ArrayBuffer for the segment', () => {
    const pool = Window.default().createPool({ name: 'unsafe' });
    const draft = pool.allocate(5);
    draft.write('bytes');
    const small = draft.seal();
    const far = pool.allocate(300).seal();
    const view = small.unsafeView() as Uint8Array;
    assert.equal(Buffer.from(view).toString(), 'bytes');
    assert.equal(view.buffer, (far.unsafeView() as Uint8Array).buffer);
    assert.equal(view.byteOffset, small.address % (64 << 20));
    small.dispose();
    far.dispose();
    pool.dispose();
  });
});
