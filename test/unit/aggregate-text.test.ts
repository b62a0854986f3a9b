// Text: lines, parts, and what is shown when debugging.
import assert from 'node:assert/strict';
import { inspect } from 'node:util';

import { Aggregate, Window } from 'io-lite';

import { checkHolds, copiesDuring } from '../support/holds';

/** Every way to put `text` into slices of `size` bytes. */
function sliced(text: string, size: number): Aggregate {
  const bytes = Buffer.from(text);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) parts.push(bytes.subarray(at, at + size));
  return Aggregate.from(parts);
}

describe('lines()', () => {
  checkHolds();

  it('gives text between ends of lines, whatever the slices', () => {
    const text = 'one\r\ntwo\n\n\r\n€uro\rnot an end\nlast';
    for (const size of [1, 2, 3, 100]) {
      using aggregate = sliced(text, size);
      assert.deepEqual([...aggregate.lines()], ['one', 'two', '', '', '€uro\rnot an end', 'last']);
      assert.deepEqual([...aggregate.lines({ keepCr: true })], text.split('\n'));
      assert.equal([...aggregate.lines({ keepEnds: true })].join(''), text);
    }
  });

  it('has no line behind the last end, and none of nothing', () => {
    using ended = Aggregate.from('a\n', 'b\n');
    assert.deepEqual([...ended.lines()], ['a', 'b']);
    using nothing = Aggregate.empty();
    assert.deepEqual([...nothing.lines()], []);
    using empty = Aggregate.from('\n');
    assert.deepEqual([...empty.lines()], ['']);
  });

  it('gives aggregates by reference when asked, and other encodings', () => {
    using aggregate = Aggregate.from('first line\n', 'second\r\n');
    assert.deepEqual(copiesDuring(() => {
      const lengths: number[] = [];
      for (const line of aggregate.lines({ as: 'aggregate' })) {
        lengths.push(line.byteLength);
        line.dispose();
      }
      assert.deepEqual(lengths, [10, 6]);
    }), {});
    using latin1 = Aggregate.fromText('é\nà', 'latin1');
    assert.deepEqual([...latin1.lines({ encoding: 'latin1' })], ['é', 'à']);
  });
});

describe('decode()', () => {
  checkHolds();
  const invalid = Buffer.from('61e282c3a9f09f98e2f0809f80e28262ffc0af', 'hex');

  it('cuts no character, whatever the size of the parts and what is no character', () => {
    const texts = [Buffer.from('aé€😀'.repeat(9)), invalid, Buffer.concat([invalid, invalid])];
    for (const bytes of texts) {
      for (let size = 1; size <= 5; size++) {
        using aggregate = sliced('', 1).append(...[...bytes].map((byte) => Uint8Array.of(byte)));
        for (let maxBytes = 4; maxBytes < 12; maxBytes++) {
          for (const encoding of ['utf8', 'utf16le', 'base64', 'hex', 'latin1'] as const) {
            const parts = [...aggregate.decode(encoding, maxBytes)];
            assert.equal(parts.join(''), bytes.toString(encoding), `${encoding} in ${maxBytes}`);
          }
        }
      }
    }
  });
});

describe('what debugging shows', () => {
  checkHolds();

  it('the first bytes, and how many more there are', () => {
    using short = Aggregate.from('ab', 'c');
    using long = Aggregate.from('x'.repeat(52));
    assert.equal(inspect(short), `Aggregate { byteLength: 3, sliceCount: ${short.sliceCount}, bytes: <61 62 63> }`);
    assert.match(inspect(long), /bytes: <78 (78 ){49}\.\.\. 2 more bytes>/);
    const draft = Window.default().defaultPool.allocate(2);
    assert.equal(inspect(draft), 'DraftBuffer { byteLength: 2 }');
    draft.write('hi');
    using buffer = draft.seal();
    assert.match(inspect(buffer), /^IolBuffer \{\s+byteLength: 2,\s+address: \d+,\s+generation: \d+,\s+bytes: <68 69>\s+\}$/);
    assert.equal(Object.prototype.toString.call(buffer), '[object IolBuffer]');
  });

  it('JSON is a summary of bounded length, of a released one, too', () => {
    const aggregate = Aggregate.from('y'.repeat(100_000));
    assert.deepEqual(JSON.parse(JSON.stringify({ aggregate })), {
      aggregate: { type: 'Aggregate', byteLength: 100_000, sliceCount: 1, preview: '79'.repeat(50) },
    });
    aggregate.dispose();
    assert.equal((JSON.parse(JSON.stringify(aggregate)) as { isDisposed: boolean }).isDisposed, true);
    assert.equal(inspect(aggregate), 'Aggregate <released>');
  });
});

describe('numbers, where they lie', () => {
  checkHolds();

  it('are those of the shared bytes, even in the turn in which JavaScript has stored there', async () => {
    using aggregate = Aggregate.from('immutable');
    for (let i = 0; i < 3; i++) assert.equal(aggregate.readUInt8(0), 0x69);
    const events: unknown[] = [];
    const onStore = (event: unknown): unknown => events.push(event);
    const window = Window.default().on('immutable', onStore);
    const warned = new Promise((resolve) => process.once('warning', resolve));
    (aggregate.view() as Uint8Array)[0] = 0x58;
    assert.equal(aggregate.readUInt8(0), 0x69);
    assert.equal(aggregate.at(0), 0x69);
    await warned;
    window.off('immutable', onStore);
    assert.equal(events.length, 1);
  });

  it('are not copied', () => {
    using aggregate = Aggregate.from('0123456789', 'abcdef');
    assert.deepEqual(copiesDuring(() => {
      for (let at = 0; at < 8; at++) aggregate.readBigUInt64LE(at);
      for (const byte of aggregate.bytes()) assert.ok(byte > 0);
      assert.equal(aggregate.indexOf('9a'), 9);
    }), {});
  });

  it('are read and searched beyond 4 GiB', () => {
    const piece = Aggregate.from(Buffer.alloc(1 << 20, 1));
    using huge = Aggregate.empty();
    huge.append(piece);
    piece.dispose();
    for (let i = 0; i < 13; i++) huge.append(huge);
    huge.append('needle');
    const end = 2 ** 33;
    assert.equal(huge.byteLength, end + 6);
    assert.equal(huge.readUInt16BE(end), 0x6e65);
    assert.equal(huge.readUInt16BE(end), 0x6e65);
    assert.equal(huge.readUInt32LE(end - 2), 0x656e0101);
    assert.equal(huge.at(-1), 101);
    assert.equal(huge.lastIndexOf('needle'), end);
    assert.equal(huge.indexOf('need', end - 100), end);
    assert.throws(() => huge.toBuffer(), { code: 'ERR_IOL_TOO_LARGE' });
    assert.throws(() => huge.toString('hex'), { code: 'ERR_IOL_TOO_LARGE' });
    assert.throws(() => huge.linearize(), { code: 'ERR_IOL_TOO_LARGE' });
    using tail = huge.slice(-6);
    assert.equal(tail.toString(), 'needle');
  });

  it('are compared where they lie, and are no needle when there is no memory to join them', () => {
    using huge = Aggregate.from(Buffer.alloc(1 << 24, 1));
    for (let i = 0; i < 20; i++) huge.append(huge);
    using small = Aggregate.from('a', Buffer.alloc(2000), 'b');
    assert.ok(huge.startsWith(huge));
    assert.ok(huge.endsWith(huge));
    assert.equal(small.startsWith(huge), false);
    assert.equal(small.indexOf(huge), -1);
    assert.equal(small.lastIndexOf(huge), -1);
    assert.throws(() => huge.indexOf(huge), { code: 'ERR_IOL_NO_MEMORY', message: /needle/ });
  });
});
