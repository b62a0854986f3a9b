// Edits: by reference, whole or not at all.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';

import { Aggregate, stats, Window, type IolBuffer } from 'io-lite';

import { checkHolds, copiesDuring } from '../support/holds';

function bufferOf(text: string): IolBuffer {
  const draft = Window.default().defaultPool.allocate(Buffer.byteLength(text));
  draft.write(text);
  return draft.seal();
}

describe('Aggregate edits', () => {
  checkHolds();

  it('chain, and move no byte of buffers and aggregates', () => {
    // Longer than what is joined as too tiny to be a slice.
    const long = (character: string): string => character.repeat(2000);
    using one = bufferOf(long('1'));
    using two = bufferOf(long('2'));
    assert.deepEqual(copiesDuring(() => {
      using whole = Aggregate.empty().append(one, two).prepend(two).insert(2000, one, two);
      using front = whole.remove(0, 2000).replace(1000, 3000, two).split(1500);
      whole.consume(100).truncate(3000);
      assert.equal(front.byteLength, 1500);
      assert.equal(whole.byteLength, 3000);
    }), {});
    using text = Aggregate.from('b').append('c', Buffer.from('d')).prepend('a', 'A').insert(1, ['-', '+']);
    assert.equal(text.toString(), 'a-+Abcd');
  });

  it('meet what an iterable of parts has done to the receiver meanwhile', () => {
    using aggregate = Aggregate.from('abc');
    const editing = function* (edit: () => void): Generator<string> {
      edit();
      yield 'Y';
    };
    aggregate.append(editing(() => aggregate.append('X')));
    assert.equal(aggregate.toString(), 'abcXY', 'the end is where it is now');
    aggregate.insert(4, editing(() => aggregate.clear()));
    assert.equal(aggregate.toString(), 'Y');
    assert.throws(() => aggregate.append(editing(() => aggregate.dispose())), {
      code: 'ERR_IOL_CLOSED',
    });
  });

  it('take an aggregate as part of itself, wherever it goes', () => {
    using aggregate = Aggregate.from('ab');
    assert.equal(aggregate.prepend(aggregate).toString(), 'abab');
    assert.equal(aggregate.insert(1, aggregate, '!').toString(), 'aabab!bab');
    assert.equal(aggregate.replace(0, 9, aggregate, aggregate).toString(), 'aabab!babaabab!bab');
  });

  it('are undone as a whole when a part is refused, though others were good', () => {
    const pool = Window.default().createPool({ name: 'small' });
    using receiver = Aggregate.from('re', 'ceiver');
    const gone = Aggregate.from('gone');
    gone.dispose();
    const before = receiver.slices();
    const { liveHolds } = stats();
    function* failing(): Generator<string> {
      yield 'taken';
      throw new Error('the iterable failed');
    }
    for (const edit of [
      () => receiver.append('good', gone),
      () => receiver.insert(1, 'good', ['good', gone]),
      () => receiver.replace(0, 2, 'good', 7 as never),
      () => receiver.prepend('good', failing()),
      () => receiver.append(new Uint8Array(1), new Uint16Array(1) as never),
    ]) {
      assert.throws(edit);
      assert.deepEqual(receiver.slices(), before);
      assert.equal(stats().liveHolds, liveHolds);
    }
    pool.dispose();
  });

  it('split() gives the front, and both may be read at once', () => {
    using rest = Aggregate.from('hello ', 'world');
    using none = rest.split(0);
    using front = rest.split(8);
    assert.equal(front.readUInt16BE(0), 0x6865);
    assert.equal(rest.readUInt16BE(0), 0x726c);
    assert.deepEqual([none.toString(), front.toString(), rest.toString()], ['', 'hello wo', 'rld']);
    using all = rest.split(3);
    assert.equal(all.toString(), 'rld');
    assert.equal(rest.byteLength, 0);
  });

  it('make numbers be read anew', () => {
    using aggregate = Aggregate.from('aaaaaaaa', 'bbbbbbbb');
    const read = (): number => aggregate.readUInt8(7);
    for (let i = 0; i < 3; i++) assert.equal(read(), 97);
    aggregate.consume(1);
    for (let i = 0; i < 3; i++) assert.equal(read(), 98);
    aggregate.prepend('zzzzzzzzz');
    for (let i = 0; i < 3; i++) assert.equal(read(), 122);
    aggregate.replace(0, 9, 'yyyyyyyy');
    for (let i = 0; i < 3; i++) assert.equal(read(), 121);
    aggregate.clear().append('12345678');
    for (let i = 0; i < 3; i++) assert.equal(read(), 56);
    using front = aggregate.split(7);
    for (let i = 0; i < 3; i++) assert.equal(aggregate.readUInt8(0), 56);
    assert.equal(front.byteLength, 7);
  });

  it('join tiny slices by the rule that is stated, and count what they move', () => {
    const append = (count: number, byteLength: number): Record<string, number> => {
      using whole = Aggregate.empty();
      const pieces = Array.from({ length: count }, () => Aggregate.from('x'.repeat(byteLength)));
      const joined = copiesDuring(() => pieces.forEach((piece) => whole.append(piece)));
      assert.equal(whole.toString(), 'x'.repeat(count * byteLength));
      pieces.forEach((piece) => piece.dispose());
      return { ...joined, slices: whole.sliceCount };
    };
    const { coalesce, slices, ...others } = append(5000, 1);
    assert.deepEqual(others, {});
    assert.ok(slices! < 200, `${slices} slices of 5000`);
    assert.ok(coalesce! >= 4000 && coalesce! <= 10 * 5000, `each byte is moved at most ten times: ${coalesce}`);
    assert.deepEqual(append(500, 129), { slices: 500 }, 'slices of more than 128 bytes are never moved');
  });

  it('during iteration are seen at the place where it is', () => {
    using aggregate = Aggregate.from('a'.repeat(3000), 'b'.repeat(3000), 'c'.repeat(3000));
    const seen: string[] = [];
    for (const view of aggregate) {
      seen.push(String.fromCharCode(view[0]!) + view.length);
      if (seen.length === 1) aggregate.truncate(4000);
    }
    assert.deepEqual(seen, ['a3000', 'b1000']);
    const iterator = aggregate[Symbol.iterator]();
    iterator.next();
    aggregate.clear();
    assert.equal(iterator.next().done, true);
  });
});

describe('Aggregate sources', () => {
  checkHolds();

  it('are arrays, sets and generators of parts', () => {
    using part = bufferOf('p');
    function* three(): Generator<string | Uint8Array | IolBuffer> {
      yield 'x';
      yield part;
      yield Buffer.from('y');
    }
    using whole = Aggregate.from(['a', part], new Set(['b']), three(), []);
    using joined = Aggregate.concat([whole, whole]);
    assert.equal(whole.toString(), 'apbxpy');
    assert.equal(joined.toString(), 'apbxpyapbxpy');
  });

  it('are text in any encoding', () => {
    const cases = { utf8: 'é€😀', latin1: 'é', utf16le: 'é€😀', hex: '00ff', base64: 'AP8=', ascii: 'a' };
    for (const [encoding, text] of Object.entries(cases) as [BufferEncoding, string][]) {
      for (const times of [1, 300, 3000]) {
        const long = encoding === 'base64' ? 'AP8A'.repeat(times) : text.repeat(times);
        using aggregate = Aggregate.fromText(long, encoding);
        assert.ok(aggregate.toBuffer().equals(Buffer.from(long, encoding)), `${encoding} ${times}`);
        assert.ok(aggregate.toString(encoding) === Buffer.from(long, encoding).toString(encoding));
      }
    }
  });

  it('are streams, web streams and promises of parts', async () => {
    using streamed = await Aggregate.fromAsync(Readable.from([Buffer.from('ab'), Buffer.from('cd')]));
    assert.equal(streamed.toString(), 'abcd');
    const web = new Blob(['web ', 'stream']).stream();
    using fromWeb = await Aggregate.fromAsync(web);
    assert.equal(fromWeb.toString(), 'web stream');
    using promised = await Aggregate.fromAsync([Promise.resolve('x'), ['y', 'z']]);
    assert.equal(promised.toString(), 'xyz');
  });

  it('that fail, are too long or given up leave nothing behind, and are ended', async () => {
    let ended = 0;
    async function* source(): AsyncGenerator<string> {
      try {
        yield 'first';
        yield await new Promise<string>((resolve) => setImmediate(resolve, 'second'));
        throw new Error('the source failed');
      } finally {
        ended++;
      }
    }
    await assert.rejects(Aggregate.fromAsync(source()), { message: 'the source failed' });
    await assert.rejects(Aggregate.fromAsync(source(), { maxBytes: 7 }), {
      name: 'IolError', code: 'ERR_IOL_TOO_LARGE', message: /7 bytes/,
    });
    const wrong = ['a', ['b', 5], 5] as never[];
    await assert.rejects(Aggregate.fromAsync(wrong), { message: /^The "source\[1\]\[1\]" argument must be / });
    await assert.rejects(Aggregate.fromAsync(wrong.slice(2)), { message: /^The "source\[0\]" argument must be / });
    using exact = await Aggregate.fromAsync(['1234567'], { maxBytes: 7 });
    assert.equal(exact.byteLength, 7);
    const controller = new AbortController();
    const never = new Readable({ read() {} });
    const collecting = Aggregate.fromAsync(never, { signal: controller.signal });
    never.push('some');
    setImmediate(() => controller.abort(new Error('why')));
    await assert.rejects(collecting, (error: Error & { code: string }) => {
      assert.equal(error.code, 'ERR_IOL_ABORTED');
      assert.equal((error.cause as Error).message, 'why');
      return true;
    });
    await new Promise((resolve) => (never.closed ? resolve(0) : never.once('close', resolve)));
    assert.equal(ended, 2);
  });

  it('of a stream keep no chunk on the heap', async () => {
    let collected = 0;
    const registry = new FinalizationRegistry<undefined>(() => collected++);
    let wereCollected = 0;
    async function* source(): AsyncGenerator<Buffer> {
      for (let i = 0; i < 1000; i++) {
        const chunk = Buffer.alloc(100, i);
        registry.register(chunk, undefined);
        yield chunk;
      }
      for (let turn = 0; turn < 100 && collected < 900; turn++) {
        global.gc!();
        await new Promise((resolve) => setImmediate(resolve));
      }
      wereCollected = collected;
    }
    const { signal } = new AbortController();
    using aggregate = await Aggregate.fromAsync(source(), { signal });
    assert.equal(aggregate.byteLength, 100_000);
    assert.ok(wereCollected >= 900, `${wereCollected} chunks were collected before the end`);
  });

  it('are arrays of every kind of memory', () => {
    const resizable = new (ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer & {
      resize: (length: number) => void;
    })(8, { maxByteLength: 16 });
    const tracking = new Uint8Array(resizable);
    tracking.set([1, 2, 3, 4, 5, 6, 7, 8]);
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([9, 9, 9]);
    resizable.resize(4);
    using aggregate = Aggregate.from(tracking, shared);
    assert.deepEqual([...aggregate.bytes()], [1, 2, 3, 4, 9, 9, 9]);
    resizable.resize(12);
    aggregate.append(tracking);
    assert.deepEqual([...aggregate.bytes()].slice(7), [1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
    const detached = new Uint8Array(5);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    assert.equal(aggregate.append(detached).byteLength, 19);
    assert.equal(aggregate.indexOf(shared), 4);
    assert.equal(aggregate.copyTo(shared, 0, 0, 3), 3);
    assert.deepEqual([...shared], [1, 2, 3]);
  });

  it('of no bytes have length 0, never -0', () => {
    using aggregate = Aggregate.from('abc');
    using front = aggregate.split(-0);
    using draft = Window.default().defaultPool.allocate(-0);
    using sealed = draft.sealCopy(-0);
    for (const { byteLength } of [front, draft, sealed]) assert.ok(Object.is(byteLength, 0));
    assert.equal(aggregate.byteLength, 3);
  });
});
