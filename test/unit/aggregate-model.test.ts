// Random programs over several aggregates and buffers, against plain Buffers: values and holds.
import assert from 'node:assert/strict';

import fc from 'fast-check';
import { Aggregate, stats, Window, type HeldBytes, type IolBuffer } from 'io-lite';

import { checkHolds } from '../support/holds';

const runs = Number(process.env['IOL_MODEL_RUNS'] ?? 300);

/** One thing that is held, and the bytes that it must have. */
interface Pair {
  held: HeldBytes;
  bytes: Buffer;
}

/** What a step may use: numbers that it takes modulo what there is, and text. */
interface Step {
  operation: string;
  subject: number;
  other: number;
  from: number;
  to: number;
  text: string;
}

class Program {
  readonly pairs: Pair[] = [];

  /** An aggregate, made when there is none, and its place in the list. */
  aggregate(choice: number): { pair: Pair; aggregate: Aggregate } {
    const found = this.pairs.filter(({ held }) => held instanceof Aggregate);
    const pair = found[choice % Math.max(1, found.length)] ?? this.add(Aggregate.empty(), Buffer.alloc(0));
    return { pair, aggregate: pair.held as Aggregate };
  }

  any(choice: number): Pair {
    return this.pairs[choice % Math.max(1, this.pairs.length)] ?? this.aggregate(choice).pair;
  }

  add(held: HeldBytes, bytes: Buffer): Pair {
    const pair = { held, bytes };
    this.pairs.push(pair);
    return pair;
  }

  end(): void {
    for (const { held } of this.pairs) held.dispose();
  }
}

function bufferOf(text: string): IolBuffer {
  const draft = Window.default().defaultPool.allocate(Buffer.byteLength(text));
  draft.write(text);
  return draft.seal();
}

/** `[from, to)` inside of `bytes`. */
function rangeIn(bytes: Buffer, { from, to }: Step): [number, number] {
  const first = from % (bytes.length + 1);
  return [first, first + (to % (bytes.length - first + 1))];
}

function spliced(bytes: Buffer, from: number, to: number, ...parts: Uint8Array[]): Buffer {
  return Buffer.concat([bytes.subarray(0, from), ...parts, bytes.subarray(to)]);
}

// A list of many slices would make a run slow, and shows nothing more.
const bytesMax = 4096;

const operations: Record<string, (program: Program, step: Step) => void> = {
  fromText: (program, { text }) => program.add(Aggregate.from(text), Buffer.from(text)),
  fromLatin1: (program, { text }) =>
    program.add(Aggregate.fromText(text, 'latin1'), Buffer.from(text, 'latin1')),
  fromUtf16: (program, { text }) =>
    program.add(Aggregate.fromText(text, 'utf16le'), Buffer.from(text, 'utf16le')),
  fromParts: (program, { text, other }) => {
    const { held, bytes } = program.any(other);
    if (bytes.length > bytesMax) return;
    program.add(Aggregate.from(text, [held, text]), Buffer.concat([Buffer.from(text), bytes, Buffer.from(text)]));
  },
  seal: (program, { text }) => program.add(bufferOf(text), Buffer.from(text)),
  clone: (program, { subject }) => {
    const { held, bytes } = program.any(subject);
    program.add(held.clone(), bytes);
  },
  slice: (program, step) => {
    const { held, bytes } = program.any(step.subject);
    const [from, to] = [step.from - 10, step.to - 10];
    program.add(held.slice(from, to), bytes.subarray(from, to));
  },
  append: (program, { subject, other, text }) => {
    const { pair, aggregate } = program.aggregate(subject);
    const { held, bytes } = program.any(other);
    if (pair.bytes.length + bytes.length > bytesMax) return;
    const before = pair.bytes;
    assert.equal(aggregate.append(held, text), aggregate);
    pair.bytes = Buffer.concat([before, bytes, Buffer.from(text)]);
  },
  prepend: (program, { subject, other }) => {
    const { pair, aggregate } = program.aggregate(subject);
    const { held, bytes } = program.any(other);
    if (pair.bytes.length + bytes.length > bytesMax) return;
    const both = Buffer.concat([bytes, pair.bytes]);
    aggregate.prepend(held);
    pair.bytes = both;
  },
  insert: (program, step) => {
    const { pair, aggregate } = program.aggregate(step.subject);
    const { held, bytes } = program.any(step.other);
    if (pair.bytes.length + bytes.length > bytesMax) return;
    const at = step.from % (pair.bytes.length + 1);
    const after = spliced(pair.bytes, at, at, Buffer.from(step.text), bytes);
    aggregate.insert(at, step.text, held);
    pair.bytes = after;
  },
  replace: (program, step) => {
    const { pair, aggregate } = program.aggregate(step.subject);
    const { held, bytes } = program.any(step.other);
    if (pair.bytes.length + bytes.length > bytesMax) return;
    const [from, to] = rangeIn(pair.bytes, step);
    const after = spliced(pair.bytes, from, to, bytes);
    aggregate.replace(from, to, held);
    pair.bytes = after;
  },
  remove: (program, step) => {
    const { pair, aggregate } = program.aggregate(step.subject);
    const [from, to] = rangeIn(pair.bytes, step);
    aggregate.remove(from, to);
    pair.bytes = spliced(pair.bytes, from, to);
  },
  split: (program, step) => {
    const { pair, aggregate } = program.aggregate(step.subject);
    const [count] = rangeIn(pair.bytes, step);
    program.add(aggregate.split(count), pair.bytes.subarray(0, count));
    pair.bytes = pair.bytes.subarray(count);
  },
  consume: (program, step) => {
    const { pair, aggregate } = program.aggregate(step.subject);
    const [count] = rangeIn(pair.bytes, step);
    aggregate.consume(count);
    pair.bytes = pair.bytes.subarray(count);
  },
  truncate: (program, step) => {
    const { pair, aggregate } = program.aggregate(step.subject);
    const [byteLength] = rangeIn(pair.bytes, step);
    aggregate.truncate(byteLength);
    pair.bytes = pair.bytes.subarray(0, byteLength);
  },
  clear: (program, { subject }) => {
    const { pair, aggregate } = program.aggregate(subject);
    aggregate.clear();
    pair.bytes = Buffer.alloc(0);
  },
  linearize: (program, { subject }) => {
    const { aggregate } = program.aggregate(subject);
    assert.ok(aggregate.linearize().sliceCount <= 1);
  },
  dispose: (program, { subject }) => {
    program.any(subject).held.dispose();
    program.pairs.splice(program.pairs.findIndex(({ held }) => held.isDisposed), 1);
  },
  readNumbers: (program, step) => {
    const { held, bytes } = program.any(step.subject);
    if (bytes.length < 8) return;
    const at = step.from % (bytes.length - 7);
    assert.equal(held.readUInt8(at), bytes.readUInt8(at));
    assert.equal(held.readInt16BE(at), bytes.readInt16BE(at));
    assert.equal(held.readUInt32LE(at), bytes.readUInt32LE(at));
    assert.equal(held.readIntBE(at, 6), bytes.readIntBE(at, 6));
    assert.equal(held.readBigUInt64LE(at), bytes.readBigUInt64LE(at));
    assert.ok(Object.is(held.readDoubleBE(at), bytes.readDoubleBE(at)));
    assert.equal(held.at(-1 - at), bytes.at(-1 - at));
  },
  search: (program, step) => {
    const { held, bytes } = program.any(step.subject);
    const [from, to] = rangeIn(bytes, step);
    const short = bytes.subarray(from, Math.min(to, from + 9));
    const start = step.other - 10;
    for (const needle of [short, step.text, 97]) {
      // Buffer itself finds a lone surrogate in no text, not even where it has put one.
      const known = typeof needle === 'string' ? Buffer.from(needle) : needle;
      assert.equal(held.indexOf(needle, start), bytes.indexOf(known, start));
      assert.equal(held.lastIndexOf(needle, start), bytes.lastIndexOf(known, start));
      assert.equal(held.includes(needle), bytes.includes(known));
    }
    using slice = held.slice(from, to);
    assert.equal(held.indexOf(slice), bytes.indexOf(bytes.subarray(from, to)));
    assert.equal(held.startsWith(slice, from), true);
    assert.equal(held.endsWith(slice, to), true);
  },
  compare: (program, { subject, other }) => {
    const left = program.any(subject);
    const right = program.any(other);
    assert.equal(left.held.equals(right.held), left.bytes.equals(right.bytes));
    assert.equal(left.held.compare(right.held), left.bytes.compare(right.bytes));
    assert.equal(left.held.compare(right.bytes), left.bytes.compare(right.bytes));
    assert.ok(left.held.equals(left.bytes));
  },
  text: (program, step) => {
    const { held, bytes } = program.any(step.subject);
    const encodings = ['utf8', 'latin1', 'utf16le', 'ascii', 'hex', 'base64', 'base64url'] as const;
    const [from, to] = rangeIn(bytes, step);
    for (const encoding of encodings) {
      assert.equal(held.toString(encoding, from, to), bytes.toString(encoding, from, to), encoding);
      const parts = [...held.decode(encoding, 4 + (step.other % 40))];
      assert.equal(parts.join(''), bytes.toString(encoding), `decode ${encoding}`);
    }
    assert.equal([...held.lines({ keepEnds: true })].join(''), bytes.toString());
    assert.deepEqual([...held.lines({ keepCr: true })], linesOf(bytes.toString()));
  },
  iterate: (program, { subject }) => {
    const { held, bytes } = program.any(subject);
    assert.ok(Buffer.concat([...held] as Uint8Array[]).equals(bytes));
    assert.deepEqual([...held.bytes()], [...bytes]);
    assert.equal(held.slices().reduce((sum, { byteLength }) => sum + byteLength, 0), bytes.length);
  },
};

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

const text = fc.string({
  unit: fc.constantFrom('a', 'b', '\n', '\r', 'é', '€', '😀', '\u0000', '\ud800'), maxLength: 12,
});
const step: fc.Arbitrary<Step> = fc.record({
  operation: fc.constantFrom(...Object.keys(operations)),
  subject: fc.nat(20), other: fc.nat(40), from: fc.nat(200), to: fc.nat(200), text,
});

describe('aggregates, as plain bytes', () => {
  checkHolds();

  it('do what Buffers do, whatever the program, and leave nothing held', function () {
    this.timeout(120_000);
    const before = stats().liveHolds;
    const program = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(program, (steps) => {
        const state = new Program();
        try {
          for (const one of steps) {
            operations[one.operation]!(state, one);
            for (const { held, bytes } of state.pairs) {
              assert.equal(held.byteLength, bytes.length);
              assert.ok(held.toBuffer().equals(bytes), one.operation);
            }
          }
        } finally {
          state.end();
        }
        assert.equal(stats().liveHolds, before);
      }),
      { numRuns: runs },
    );
  });
});
