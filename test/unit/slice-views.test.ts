// Walks over views, and the views that are kept from one walk to the next.
import assert from 'node:assert/strict';

import { Aggregate, unsafeUint8Array, Window, type ReadonlyBytes } from 'io-lite';

import { checkHolds } from '../support/holds';

/** An aggregate of these pieces, no two of which lie side by side. */
function inPieces(...pieces: string[]): Aggregate {
  const whole = Aggregate.empty();
  for (const piece of pieces) {
    using part = Aggregate.from(piece);
    using _between = Aggregate.from('between'.repeat(10));
    whole.append(part);
  }
  return whole;
}

const textOf = (views: Iterable<ReadonlyBytes>): string =>
  Buffer.concat([...views].map(unsafeUint8Array)).toString();

describe('a walk over slices', () => {
  checkHolds();
  const [a, b, c] = ['a'.repeat(2000), 'b'.repeat(3000), 'c'.repeat(4000)] as const;

  it('gives the same views as the walk before, until there is an edit', () => {
    using whole = inPieces(a, b, c);
    const first = [...whole];
    const second = [...whole];
    assert.equal(first.length, 3);
    first.forEach((view, i) => assert.equal(view, second[i]));
    whole.remove(0, 2000);
    assert.equal(textOf(whole), b + c);
    whole.prepend(c);
    assert.equal(textOf(whole), c + b + c);
    using front = whole.split(4000);
    assert.deepEqual([textOf(front), textOf(whole)], [c, b + c]);
  });

  it('goes on at its place after an edit, with and without kept views', () => {
    for (const walksBefore of [0, 1]) {
      using whole = inPieces(a, b, c);
      for (let i = 0; i < walksBefore; i++) textOf(whole);
      const seen: ReadonlyBytes[] = [];
      for (const view of whole) {
        if (seen.push(view) === 1) whole.remove(2500, 5000).append('the end'.repeat(100));
      }
      assert.equal(textOf(seen), a + 'b'.repeat(500) + c + 'the end'.repeat(100));
    }
  });

  it('throws ERR_IOL_CLOSED once the bytes were released in the middle of it', () => {
    for (const walksBefore of [0, 1]) {
      const whole = inPieces(a, b, c);
      for (let i = 0; i < walksBefore; i++) textOf(whole);
      const walk = whole[Symbol.iterator]();
      assert.equal(textOf([walk.next().value as ReadonlyBytes]), a);
      whole.dispose();
      assert.throws(() => walk.next(), { code: 'ERR_IOL_CLOSED' });
      assert.throws(() => whole[Symbol.iterator]().next(), { code: 'ERR_IOL_CLOSED' });
    }
  });

  it('ends for good', () => {
    using whole = inPieces(a, b);
    const walk = whole[Symbol.iterator]();
    assert.equal([...walk].length, 2);
    whole.append('more');
    assert.deepEqual(walk.next(), { done: true, value: undefined });
    const left = whole[Symbol.iterator]();
    left.next();
    assert.deepEqual(left.return!('early'), { done: true, value: 'early' });
    assert.deepEqual(left.next(), { done: true, value: undefined });
  });

  it('of a part is of that part alone, and of an empty one of nothing', () => {
    using whole = inPieces(a, b, c);
    textOf(whole);
    using part = whole.slice(1999, 5001);
    assert.equal(textOf(part), 'a' + b + 'c');
    whole.clear();
    assert.deepEqual([...whole], []);
  });

  it('sees no store into sealed bytes through a kept view', () => {
    const heard: unknown[] = [];
    const hear = (event: unknown): unknown => heard.push(event);
    const warnings = process.listeners('warning');
    process.removeAllListeners('warning').on('warning', () => undefined);
    const window = Window.default().on('immutable', hear);
    using whole = inPieces(a, b, c);
    const [, second] = [...whole];
    unsafeUint8Array(second!)[0] = 1;
    assert.equal(textOf(whole), a + b + c);
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      window.off('immutable', hear);
      process.removeAllListeners('warning');
      for (const listener of warnings) process.on('warning', listener);
      assert.equal(heard.length, 1);
    });
  });

  it('is right over more slices than are kept', () => {
    using whole = Aggregate.empty();
    using piece = Aggregate.from('0123456789'.repeat(30));
    for (let i = 0; i < 5000; i++) whole.append(piece);
    for (let walk = 0; walk < 2; walk++) {
      let count = 0;
      for (const view of whole) {
        assert.equal(view.length, 300);
        count++;
      }
      assert.equal(count, 5000);
    }
  });
});
