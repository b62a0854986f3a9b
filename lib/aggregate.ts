/**
 * Aggregates: ordered lists of slices of immutable bytes. Editing one touches no byte.
 */
import { types } from 'node:util';

import type { ReadonlyBytes } from './bytes';
import { defaultPoolHandle, native } from './native';
import { handleOf, Resource } from './resource';
import type { Kind } from './leaks';
import { invalidValue, outOfRange, validateBytes, validateInteger } from './validate';

/** One slice: where its bytes are (`address` is the same number in every process). */
export interface SliceInfo {
  readonly address: number;
  readonly generation: number;
  readonly byteLength: number;
}

/** Whatever has or becomes bytes in the window. Strings and arrays are copied in, the rest is shared. */
export type BytesLike = HeldBytes | string | Uint8Array;

// Why constants: a call through one is inlined, through a property it is looked up.
const {
  aggregateAppend, aggregateByteLength, aggregateConcat, aggregateCopyTo, aggregateDispose,
  aggregateEmpty, aggregateFromBytes, aggregateFromString, aggregateLinearize, aggregateSlice,
  aggregateSliceAt, aggregateSliceCount, aggregateToString, aggregateView, scratch,
} = native;

const aggregateKind: Kind = {
  subject: 'aggregate',
  release: aggregateDispose,
};
export const bufferKind: Kind = { ...aggregateKind, subject: 'buffer' };

/** What {@link Aggregate} and {@link IolBuffer} have in common: a native list of slices. */
export abstract class HeldBytes extends Resource {
  // For the compiler alone: a draft looks the same, and is none.
  private declare readonly isSealed: true;

  /** Length in bytes. */
  abstract get byteLength(): number;
}

function viewOfSlice(handle: number, index: number, isUnsafe: boolean): ReadonlyBytes | undefined {
  const buffer = aggregateView(handle, index, isUnsafe);
  if (buffer === undefined) return undefined;
  return new Uint8Array(buffer, scratch[1], scratch[0]);
}

/** The bytes of a handle's only slice; empty when it has none. */
export function viewOfBuffer(handle: number, isUnsafe: boolean): ReadonlyBytes {
  return viewOfSlice(handle, 0, isUnsafe) ?? (new Uint8Array(0));
}

/** Checks `[from, to)` against `byteLength`. */
export function validateRange(from: number, to: number, byteLength: number): void {
  validateInteger(from, 'from', 0, byteLength);
  validateInteger(to, 'to', 0, byteLength);
  if (from > to) throw outOfRange('to', `>= from (${from})`, to);
}

/** Makes the object of a native aggregate, which it then owns. */
export let adoptAggregate: (handle: number, byteLength: number, isTracked?: boolean) => Aggregate;

/** A new native aggregate of one string or array; its length is in scratch[0]. */
function handleFromHeap(value: string | Uint8Array): number {
  return typeof value === 'string'
    ? aggregateFromString(defaultPoolHandle, value, false)
    : aggregateFromBytes(defaultPoolHandle, value);
}

function isHeap(value: unknown): value is string | Uint8Array {
  return typeof value === 'string' || types.isUint8Array(value);
}

export function checkBytesLike(value: unknown, name: string): asserts value is BytesLike {
  if (typeof value === 'string' || value instanceof HeldBytes) return;
  validateBytes(value, name, 'of type string or an instance of Uint8Array, IolBuffer, or Aggregate');
}

/**
 * An ordered, mutable list of slices of immutable bytes, passed by value: a clone shares the bytes,
 * never the list.
 *
 * Bytes move only in what is named `from` (of strings and arrays), `copy…`, `to…` and in `view()` of
 * more than one slice; each is counted in `stats().copies`.
 */
export class Aggregate extends HeldBytes implements Iterable<ReadonlyBytes> {
  #byteLength: number;

  static {
    adoptAggregate = (handle, byteLength, isTracked = true) =>
      new Aggregate(handle, byteLength, isTracked);
  }

  private constructor(handle: number, byteLength: number, isTracked: boolean) {
    super(aggregateKind, handle, isTracked);
    this.#byteLength = byteLength;
  }

  /**
   * The bytes of all parts in their order. Strings (as UTF-8) and arrays are copied into the default
   * pool; buffers and aggregates are shared and stay their owner's.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` for a released part, `ERR_IOL_POOL_FULL`,
   * `ERR_IOL_WINDOW_FULL` and `ERR_IOL_NO_MEMORY` when there is no room; nothing was taken then.
   */
  static from(...parts: BytesLike[]): Aggregate {
    const [first] = parts;
    if (parts.length === 1 && isHeap(first)) {
      return new Aggregate(handleFromHeap(first), scratch[0]!, true);
    }
    return Aggregate.concat(...parts);
  }

  /** An aggregate of no bytes. */
  static empty(): Aggregate {
    return new Aggregate(aggregateEmpty(), 0, true);
  }

  /** All parts one after the other, in a new aggregate. See {@link Aggregate.from}. */
  static concat(...parts: BytesLike[]): Aggregate {
    parts.forEach((part, i) => checkBytesLike(part, `parts[${i}]`));
    const joined = Aggregate.empty();
    try {
      for (const part of parts) joined.append(part);
    } catch (error) {
      joined.dispose();
      throw error;
    }
    return joined;
  }

  override get byteLength(): number {
    const handle = handleOf(this);
    if (this.#byteLength < 0) this.#byteLength = aggregateByteLength(handle);
    return this.#byteLength;
  }

  /** How many slices it has. */
  get sliceCount(): number {
    return aggregateSliceCount(handleOf(this));
  }

  /**
   * Joins `other` to the end. Of a buffer or an aggregate no byte is copied, and it stays its
   * owner's; an aggregate may be appended to itself.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` when either side was released, `ERR_IOL_TOO_MANY_SLICES`;
   * this aggregate is unchanged then.
   */
  append(other: BytesLike): this {
    const handle = handleOf(this);
    checkBytesLike(other, 'other');
    if (other instanceof HeldBytes) {
      aggregateAppend(handle, handleOf(other));
      this.#byteLength = scratch[0]!;
      return this;
    }
    const part = handleFromHeap(other);
    try {
      aggregateAppend(handle, part);
      this.#byteLength = scratch[0]!;
    } finally {
      aggregateDispose(part);
    }
    return this;
  }

  /** Bytes `[from, to)` as an aggregate of its own; nothing is copied. */
  slice(from = 0, to = this.byteLength): Aggregate {
    const handle = handleOf(this);
    validateRange(from, to, this.byteLength);
    return new Aggregate(aggregateSlice(handle, from, to), to - from, true);
  }

  /** The same bytes in a list of their own. */
  clone(): Aggregate {
    const handle = handleOf(this);
    return new Aggregate(aggregateConcat(handle), scratch[0]!, true);
  }

  /** Where the bytes are. */
  slices(): SliceInfo[] {
    const handle = handleOf(this);
    const list: SliceInfo[] = [];
    while (aggregateSliceAt(handle, list.length)) {
      list.push({ byteLength: scratch[0]!, address: scratch[1]!, generation: scratch[2]! });
    }
    return list;
  }

  /** A view of each slice. A view has length 0 once nobody here holds anything in its memory. */
  *[Symbol.iterator](): IterableIterator<ReadonlyBytes> {
    for (let index = 0; ; index++) {
      const view = viewOfSlice(handleOf(this), index, false);
      if (view === undefined) return;
      yield view;
    }
  }

  /**
   * All bytes in one piece. One slice is viewed where it lies; several are first copied into one
   * buffer (reason `linearize`), which this aggregate then has in their place.
   *
   * The view lives as long as this holds the bytes: it has length 0 once nobody here holds anything
   * in its memory.
   */
  view(): ReadonlyBytes {
    const handle = handleOf(this);
    aggregateLinearize(handle, defaultPoolHandle);
    return viewOfBuffer(handle, false);
  }

  /** The bytes as text. */
  override toString(encoding: BufferEncoding = 'utf8', from = 0, to = this.byteLength): string {
    const handle = handleOf(this);
    if (!Buffer.isEncoding(encoding)) {
      throw invalidValue('encoding', 'is not an encoding that Node knows', encoding);
    }
    validateRange(from, to, this.byteLength);
    switch (encoding.toLowerCase()) {
      case 'utf8':
      case 'utf-8':
        return aggregateToString(handle, false, from, to);
      case 'latin1':
      case 'binary':
        return aggregateToString(handle, true, from, to);
      default:
        return this.#copy(from, to).toString(encoding);
    }
  }

  /**
   * Copies bytes `[from, to)` to `target` from `targetStart` on, as many as fit.
   *
   * @returns the bytes copied.
   */
  copyTo(target: Uint8Array, targetStart = 0, from = 0, to = this.byteLength): number {
    const handle = handleOf(this);
    validateBytes(target, 'target');
    validateInteger(targetStart, 'targetStart');
    validateRange(from, to, this.byteLength);
    return aggregateCopyTo(handle, target, targetStart, from, to);
  }

  /** A copy of all bytes on the heap. */
  toBuffer(): Buffer {
    return this.#copy(0, this.byteLength);
  }

  #copy(from: number, to: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(to - from);
    aggregateCopyTo(handleOf(this), copy, 0, from, to);
    return copy;
  }

  protected override inspectFields(): Record<string, unknown> {
    return { byteLength: this.byteLength, sliceCount: this.sliceCount };
  }
}
