// Edits are cheap in long aggregates, too: by the counter of steps, not by the clock.
import assert from 'node:assert/strict';

import { Aggregate, stats, Window, type IolBuffer } from 'io-lite';

import { checkHolds } from '../support/holds';

function longBuffer(): IolBuffer {
  const draft = Window.default().defaultPool.allocate(200_000);
  draft.fill('0123456789');
  return draft.seal();
}

/** Of slices that never become one: no two neighbours are of one place, and none is tiny. */
class LongAggregate {
  readonly bytes = Aggregate.empty();
  readonly #buffer = longBuffer();
  #seed = 1;

  #below(limit: number): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((this.#seed / 0x8000_0000) * limit);
  }

  #piece(): Aggregate {
    const piece = Aggregate.empty();
    for (let slices = 1 + this.#below(4); slices > 0; slices--) {
      const from = this.#below(190_000);
      using slice = this.#buffer.slice(from, from + 130 + this.#below(100));
      piece.append(slice);
    }
    return piece;
  }

  editOnce(): void {
    const { bytes } = this;
    const at = this.#below(bytes.byteLength);
    const to = Math.min(bytes.byteLength, at + this.#below(200));
    using piece = this.#piece();
    switch (this.#below(9)) {
      case 0: return void bytes.append(piece);
      case 1: return void bytes.prepend(piece);
      case 2: return void bytes.insert(at, piece);
      case 3: return void bytes.replace(at, to, piece);
      case 4: return void bytes.remove(at, to);
      case 5: {
        using front = bytes.split(at);
        return void bytes.prepend(front);
      }
      case 6: return void bytes.at(at);
      case 7: return void bytes.readBigUInt64LE(Math.min(at, bytes.byteLength - 8));
      default: {
        using clone = bytes.clone();
        using slice = clone.slice(at, to);
        bytes.append(slice);
      }
    }
  }

  [Symbol.dispose](): void {
    this.bytes.dispose();
    this.#buffer.dispose();
  }
}

describe('edits of a long aggregate', () => {
  checkHolds();

  // A list of slices would take tens of thousands of steps for an edit in its middle.
  it('and reads take O(log n) steps each: 100,000 random ones, in up to 30,000 slices', function () {
    this.timeout(60_000);
    using world = new LongAggregate();
    const stepsBefore = stats().steps;
    let worst = 0;
    for (let edit = 0; edit < 100_000; edit++) {
      const { byteLength } = world.bytes;
      if (world.bytes.sliceCount > 30_000) world.bytes.truncate(Math.floor(byteLength / 2));
      const before = edit % 16 === 0 ? stats().steps : undefined;
      world.editOnce();
      if (before === undefined) continue;
      const { nodes, entries } = stats().steps;
      const doublings = Math.log2(Math.max(2, world.bytes.sliceCount));
      worst = Math.max(worst, (nodes - before.nodes + entries - before.entries) / doublings);
    }
    assert.ok(world.bytes.sliceCount > 10_000, 'it is long');
    assert.ok(worst <= 80, `${worst} steps for each doubling of the slices in one edit`);
    const { nodes, entries, released } = stats().steps;
    const taken = nodes - stepsBefore.nodes + entries - stepsBefore.entries;
    assert.ok(taken > 100_000 && taken < 100_000 * 30 * 15, `${taken} steps in all`);
    assert.ok(released - stepsBefore.released <= taken, 'nothing goes that was not put there');
  });
});
