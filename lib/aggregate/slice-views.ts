/**
 * Slices as JavaScript sees them: views of the memory where they lie.
 */
import { native } from '../native';
import { handleOf } from '../resource';
import { knownNow, knownOf, staleViews, type ByteReads, type Known } from './byte-reads';
import type { ReadonlyBytes } from './bytes';

const { aggregateViewAt, aggregateViewsFrom, scratch } = native;

/** Of more slices than this the views are not kept. */
const keptMax = 4096;

/** A view of the slice from byte `at` on; `at` is below the length. */
export function viewAt(held: ByteReads, at: number, isUnsafe: boolean): Uint8Array {
  const memory = aggregateViewAt(handleOf(held), at, isUnsafe);
  if (memory === undefined) return new Uint8Array(0);
  const skip = at - scratch[2]!;
  return new Uint8Array(memory, scratch[1]! + skip, scratch[0]! - skip);
}

/** Views of the slices from byte `at` on, as many as one call into the addon gives. */
function viewsFrom(held: ByteReads, at: number): Uint8Array[] {
  const memory = aggregateViewsFrom(handleOf(held), at)!;
  const skip = at - scratch[1]!;
  const views = [new Uint8Array(memory, scratch[3]! + skip, scratch[2]! - skip)];
  for (let i = 1; i < scratch[0]!; i++) {
    views.push(new Uint8Array(memory, scratch[3 + 2 * i], scratch[2 + 2 * i]));
  }
  return views;
}

const none: readonly Uint8Array[] = [];
const end = -1;

/** The views of a walk from the first slice on, and what `staleViews` was before it. */
interface Collected {
  readonly views: Uint8Array[];
  readonly stamp: number;
}

/**
 * Walks over views of all slices. The views of a whole walk are kept with the bytes, until those are
 * edited or released, for whoever walks over them next.
 */
export class SliceViews implements IterableIterator<ReadonlyBytes> {
  private readonly bytes: ByteReads;
  /** What the views are of, as long as it is what is known of the bytes. */
  private known: Known;
  private views: readonly Uint8Array[];
  private index: number;
  /** Where the next view begins. */
  private at: number;
  private collected: Collected | undefined;

  constructor(bytes: ByteReads) {
    const known = knownOf(bytes);
    this.bytes = bytes;
    this.known = known;
    this.views = none;
    this.index = 0;
    this.at = 0;
    this.collected = undefined;
    if (known.views !== undefined && known.viewsStamp === staleViews[0]) this.views = known.views;
    else this.collected = { views: [], stamp: staleViews[0]! };
  }

  /** The view of the next slice. */
  next(): IteratorResult<ReadonlyBytes> {
    const { index, known, views } = this;
    let value: Uint8Array | undefined;
    if (known === knownNow(this.bytes)) {
      if (index < views.length) {
        value = views[index]!;
        this.index = index + 1;
      } else if (views === known.views) {
        return this.return(); // Those that are kept are all.
      }
    }
    // Length 0: somebody has transferred its memory away since it was kept.
    if (value === undefined || value.length === 0) value = this.more();
    if (value === undefined) return { done: true, value };
    this.at += value.length;
    return { done: false, value };
  }

  /** Ends the walk. */
  return(value?: unknown): IteratorResult<ReadonlyBytes> {
    this.at = end;
    this.views = none;
    return { done: true, value };
  }

  /** Itself. */
  [Symbol.iterator](): this {
    return this;
  }

  /** The view at this place, which is none of those that are there. */
  private more(): Uint8Array | undefined {
    const { bytes, at } = this;
    if (at === end) return undefined;
    if (at >= bytes.byteLength) {
      this.keep();
      this.return();
      return undefined;
    }
    if (this.known !== knownNow(bytes)) {
      this.known = knownOf(bytes);
      this.collected = undefined;
    }
    this.views = viewsFrom(bytes, at);
    this.index = 1;
    const { collected } = this;
    if (collected !== undefined) {
      collected.views.push(...this.views);
      if (collected.views.length > keptMax) this.collected = undefined;
    }
    return this.views[0];
  }

  private keep(): void {
    const { collected, known } = this;
    if (collected === undefined || known !== knownNow(this.bytes)) return;
    known.views = collected.views;
    known.viewsStamp = collected.stamp;
  }
}

// As a generator has it: so that it has what iterators of later Node versions can do.
const iterators = Object.getPrototypeOf(Object.getPrototypeOf([].values())) as object;
Object.setPrototypeOf(SliceViews.prototype, iterators);
