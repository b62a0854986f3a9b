// Random programs on two lists at once, ours and that of the `bl` package: they must agree.
import assert from 'node:assert/strict';

import fc from 'fast-check';
import type { BufferList as Oracle } from 'bl' with { 'resolution-mode': 'import' };
import { BufferList } from 'io-lite/bl';

import { checkHolds } from '../support/holds';


/** A step: does the same to both, and compares what they say. */
type Step = (ours: BufferList, oracle: Oracle) => void;

const bytes = fc.uint8Array({ maxLength: 12 });
const text = fc.string({ unit: 'grapheme', maxLength: 6 });
const place = fc.integer({ min: 0, max: 40 });
const encoding = fc.constantFrom('utf8', 'latin1', 'hex', 'base64', 'ascii', 'utf16le');
const fixedReads = [
  'readDoubleBE', 'readDoubleLE', 'readFloatBE', 'readFloatLE', 'readBigInt64BE', 'readBigInt64LE',
  'readBigUInt64BE', 'readBigUInt64LE', 'readInt32BE', 'readInt32LE', 'readUInt32BE', 'readUInt32LE',
  'readInt16BE', 'readInt16LE', 'readUInt16BE', 'readUInt16LE', 'readInt8', 'readUInt8',
] as const;
const longReads = ['readIntBE', 'readIntLE', 'readUIntBE', 'readUIntLE'] as const;

/** The result, or that it threw: which class of error both throw is bl's and Node's business. */
function outcome(work: () => unknown): unknown {
  try {
    return work();
  } catch {
    return 'thrown';
  }
}

function same(ours: () => unknown, oracle: () => unknown): void {
  assert.deepEqual(outcome(ours), outcome(oracle));
}

/** Places in order: for others bl itself answers by where its buffers end. */
const range = fc.tuple(place, place).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

const steps: fc.Arbitrary<Step>[] = [
  bytes.map((part): Step => (a, b) => (a.append(part), b.append(part))),
  text.map((part): Step => (a, b) => (a.append(part), b.append(part))),
  fc.array(fc.oneof(bytes, text, fc.nat(500)), { maxLength: 4 }).map(
    (parts): Step => (a, b) => (a.append(parts), b.append(parts)),
  ),
  fc.array(fc.oneof(bytes, text), { maxLength: 4 }).map(
    (parts): Step => (a, b) => (a.prepend(parts), b.prepend(parts)),
  ),
  fc.constant<Step>((a, b) => {
    using copy = a.duplicate();
    a.append(copy);
    b.append(b.duplicate());
  }),
  fc.constant<Step>((a, b) => (a.append(b), b.append(b.duplicate()))),
  place.map((count): Step => (a, b) => (a.consume(count), b.consume(count))),
  range.map(([from, to]): Step => (a, b) => same(() => a.slice(from, to), () => b.slice(from, to))),
  place.map((back): Step => (a, b) => {
    const from = -Math.min(back, b.length);
    same(() => a.slice(from), () => b.slice(from));
  }),
  range.map(([from, to]): Step => (a, b) => {
    const end = Math.min(to, b.length);
    const start = Math.min(from, end);
    using part = a.shallowSlice(start, end);
    assert.deepEqual(part.slice(), Buffer.from(b.shallowSlice(start, end).slice()));
  }),
  fc.tuple(range, fc.integer({ min: 0, max: 8 })).map(([[from, to], at]): Step => (a, b) => {
    const targets = [Buffer.alloc(60), Buffer.alloc(60)] as const;
    a.copy(targets[0], at, from, to);
    b.copy(targets[1], at, from, to);
    assert.deepEqual(targets[0], targets[1]);
  }),
  place.map((at): Step => (a, b) => {
    // Why slice(): bl's get(0) is undefined when its first part is empty.
    if (b.length > 0) assert.equal(a.get(at), at === 0 ? b.slice(0, 1)[0] : b.get(at));
  }),
  fc.tuple(encoding, range).map(([name, [from, to]]): Step => (a, b) => {
    assert.equal(a.toString(name, from, to), b.toString(name, from, to));
  }),
  fc.tuple(fc.oneof(bytes, text, fc.nat(255)), fc.integer({ min: -50, max: 50 })).map(
    ([search, from]): Step => (a, b) => {
      if (b.length > 0) same(() => a.indexOf(search, from), () => b.indexOf(search, from));
    },
  ),
  fc.tuple(range, fc.integer({ min: 0, max: 50 })).map(([[from, to], at]): Step => (a, b) => {
    const search = b.slice(from, to);
    if (b.length > 0) assert.equal(a.indexOf(search, at), b.indexOf(search, at));
  }),
  fc.tuple(fc.constantFrom(...fixedReads), place).map(([name, at]): Step => (a, b) => {
    const oracle = b as unknown as Record<string, (offset: number) => unknown>;
    same(() => a[name](at), () => oracle[name]!(at));
  }),
  fc.tuple(fc.constantFrom(...longReads), place, fc.integer({ min: 1, max: 6 })).map(
    ([name, at, length]): Step => (a, b) => {
      const oracle = b as unknown as Record<string, (...all: number[]) => unknown>;
      same(() => a[name](at, length), () => oracle[name]!(at, length));
    },
  ),
];

describe('io-lite/bl against bl', () => {
  checkHolds();
  let Real: new () => Oracle;
  before(async () => {
    Real = (await import('bl')).BufferList;
  });

  it('agrees in whatever a program does with both', () => {
    const programs = fc.array(fc.oneof(...steps), { maxLength: 40 });
    fc.assert(
      fc.property(programs, (program) => {
        using ours = new BufferList();
        const oracle = new Real();
        for (const step of program) {
          step(ours, oracle);
          assert.equal(ours.length, oracle.length);
        }
        assert.deepEqual(ours.slice(), Buffer.from(oracle.slice()));
      }),
      { numRuns: 300 },
    );
  });
});
