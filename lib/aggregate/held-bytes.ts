/**
 * What aggregates and buffers have in common: a native list of slices, and all that can be asked of
 * its bytes.
 */
import { constants } from 'node:buffer';
import { inspect, types } from 'node:util';

import { IolError } from '../errors';
import type { Kind } from '../leaks';
import { native } from '../native';
import { handleOf } from '../resource';
import { byteLengthOf, validateBytes, validateInteger } from '../validate';
import type { Aggregate } from './aggregate';
import { ByteReads, noteCopyOut } from './byte-reads';
import type { ReadonlyBytes } from './bytes';
import { needleOf, needleOrByte, placeOf, type BytesLike } from './bytes-like';
import { Cursor } from './cursor';
import { charactersOf, encodingCode, nodes, utf8 } from './encodings';
import { SliceViews } from './slice-views';
import { decoded, linesOf, type LineOptions } from './text';

const { isUint8Array } = types;
// eslint-disable-next-line @typescript-eslint/unbound-method -- An array may have a set() of its own.
const setBytes = Uint8Array.prototype.set;

// Why constants: a call through one is inlined, through a property it is looked up.
const {
  aggregateCompare, aggregateCopyTo, aggregateEquals, aggregateIndexOf, aggregateMatches,
  aggregateSlice, aggregateSliceAt, aggregateSliceCount, aggregateToString, scratch,
} = native;

/** What aggregate.ts does, which is above this in the order of things. */
let makeAggregate: (handle: number, byteLength: number) => Aggregate;
export function setAggregateMaker(make: typeof makeAggregate): void {
  makeAggregate = make;
}

/** One slice: where its bytes are (`address` is the same number in every process). */
export interface SliceInfo {
  /** Of its first byte. */
  readonly address: number;
  /** Of the buffer that it is in: with `address` it names this content for ever. */
  readonly generation: number;
  /** Length in bytes. */
  readonly byteLength: number;
}

/** What `toJSON()` gives: enough to recognize the bytes in a log, however many there are. */
export interface BytesSummary {
  readonly type: string;
  readonly byteLength: number;
  readonly sliceCount: number;
  /** The first bytes, in hexadecimal. */
  readonly preview: string;
  /** Only of one that was released, which has nothing else to tell. */
  readonly isDisposed?: true;
}

const previewBytes = 50;
/** Longer ones, but those of UTF-8, Node keeps outside of the engine's heap, which is faster. */
const ownStringBytesMax = 1024 * 1024;
/** A Buffer's limit in Node 20; newer ones have more. */
const copyBytesMax = 2 ** 32;

/** So few bytes are compared sooner than Node's own comparison is called. */
const fewBytesMax = 32;

function areSame(bytes: Buffer, others: Uint8Array): boolean {
  const { length } = bytes;
  if (length > fewBytesMax || byteLengthOf(others) !== length) return bytes.equals(others);
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== others[i]) return false;
  }
  return true;
}

function hasNoBytes(value: BytesLike | number): boolean {
  return value === '' || (typeof value === 'object' && value.byteLength === 0);
}

/**
 * Immutable bytes in the window, in any number of slices: an {@link Aggregate} or an `IolBuffer`.
 *
 * A range `[from, to)` is taken as `Buffer.prototype.slice` takes it: negative places count from the
 * end, those outside are moved to the nearest end, and a range that ends before it begins is empty.
 * Payload is moved only by `copy…`, `to…`, `decode`, `lines` (as text), and `view()` of several
 * slices; each move is counted in `stats().copies`.
 *
 * Every method throws `ERR_IOL_CLOSED` after the release, and a TypeError `ERR_INVALID_ARG_TYPE` or
 * RangeError `ERR_OUT_OF_RANGE` that names the argument that is wrong.
 */
export abstract class HeldBytes extends ByteReads implements Iterable<ReadonlyBytes> {
  // For the compiler alone: a draft looks the same, and is none.
  private declare readonly isSealed: true;

  /** @internal */
  protected constructor(kind: Kind, handle: number, isTracked: boolean) {
    super(kind, handle, isTracked);
  }

  /** How many slices there are. */
  get sliceCount(): number {
    return aggregateSliceCount(handleOf(this));
  }

  /** Where the bytes are: one entry per slice. */
  slices(): SliceInfo[] {
    const handle = handleOf(this);
    const list: SliceInfo[] = [];
    while (aggregateSliceAt(handle, list.length)) {
      list.push({ byteLength: scratch[0]!, address: scratch[1]!, generation: scratch[2]! });
    }
    return list;
  }

  /**
   * A view of each slice. A view has length 0 once nobody here holds anything in its memory. When
   * bytes are edited meanwhile, the iterator goes on at its place.
   */
  [Symbol.iterator](): IterableIterator<ReadonlyBytes> {
    return new SliceViews(this);
  }

  /** Each byte as a number. */
  *bytes(): IterableIterator<number> {
    for (const view of this) yield* view;
  }

  /**
   * All bytes in one piece, where they lie if they are in one slice.
   *
   * The view is for use while this is open: it has length 0 once nobody here holds anything in the
   * memory around it.
   */
  abstract view(): ReadonlyBytes;

  /** The same bytes once more, to be released on its own; nothing is copied. */
  abstract clone(): HeldBytes;

  /**
   * Bytes `[from, to)` as an aggregate of its own; nothing is copied. One of a quarter or more of many
   * slices keeps all of them, so that it takes O(1) memory and O(log n) steps, until it is edited.
   */
  slice(from?: number, to?: number): Aggregate {
    const handle = handleOf(this);
    const { byteLength } = this;
    const first = placeOf(from, 'from', byteLength, 0);
    const last = Math.max(first, placeOf(to, 'to', byteLength, byteLength));
    return makeAggregate(aggregateSlice(handle, first, last), last - first);
  }

  /** Reads on from `at`; edits are seen. */
  cursor(at = 0): Cursor {
    return new Cursor(this, at);
  }

  /**
   * The first place at or after `from` where `value` is: text, bytes, or one byte as a number; -1 when
   * there is none. Slice borders do not matter. As in `Buffer.prototype.indexOf`, but for UTF-16 text,
   * which is found at odd places, too.
   *
   * @param from a place; negative ones count from the end. Or the encoding, when there is no place.
   */
  indexOf(
    value: BytesLike | number,
    from?: number | BufferEncoding,
    encoding?: BufferEncoding,
  ): number {
    const handle = handleOf(this);
    if (typeof from === 'string') return this.indexOf(value, undefined, from);
    const start = placeOf(from, 'from', this.byteLength, 0);
    const needle = needleOrByte(value, encoding, 'value');
    return aggregateIndexOf(handle, needle.kind, needle.value, start, false);
  }

  /** The last place at or before `from` where `value` is. See {@link indexOf}. */
  lastIndexOf(
    value: BytesLike | number,
    from?: number | BufferEncoding,
    encoding?: BufferEncoding,
  ): number {
    const handle = handleOf(this);
    if (typeof from === 'string') return this.lastIndexOf(value, undefined, from);
    const { byteLength } = this;
    const start = placeOf(from, 'from', byteLength, byteLength);
    const needle = needleOrByte(value, encoding, 'value');
    if (from !== undefined && from + byteLength < 0) return hasNoBytes(value) ? 0 : -1;
    return aggregateIndexOf(handle, needle.kind, needle.value, start, true);
  }

  /** Whether `value` is anywhere at or after `from`. See {@link indexOf}. */
  includes(
    value: BytesLike | number,
    from?: number | BufferEncoding,
    encoding?: BufferEncoding,
  ): boolean {
    return this.indexOf(value, from, encoding) !== -1;
  }

  /** Whether the bytes at `from` are those of `value`. */
  startsWith(
    value: BytesLike,
    from?: number | BufferEncoding,
    encoding?: BufferEncoding,
  ): boolean {
    const handle = handleOf(this);
    if (typeof from === 'string') return this.startsWith(value, undefined, from);
    const start = placeOf(from, 'from', this.byteLength, 0);
    const needle = needleOf(value, encoding, 'value');
    return aggregateMatches(handle, needle.kind, needle.value, start, false);
  }

  /** Whether the bytes before `to` are those of `value`. */
  endsWith(value: BytesLike, to?: number | BufferEncoding, encoding?: BufferEncoding): boolean {
    const handle = handleOf(this);
    if (typeof to === 'string') return this.endsWith(value, undefined, to);
    const { byteLength } = this;
    const end = placeOf(to, 'to', byteLength, byteLength);
    const needle = needleOf(value, encoding, 'value');
    return aggregateMatches(handle, needle.kind, needle.value, end, true);
  }

  /** Whether `other` has the same bytes, in whatever slices. */
  equals(other: BytesLike, encoding?: BufferEncoding): boolean {
    const handle = handleOf(this);
    if (isUint8Array(other)) {
      const whole = this.wholeView();
      if (whole !== undefined) return areSame(whole, other);
    }
    const needle = needleOf(other, encoding, 'other');
    return aggregateEquals(handle, needle.kind, needle.value);
  }

  /** Which one comes first in the order of bytes: -1 this one, 1 the other, 0 when they are equal. */
  compare(other: BytesLike, encoding?: BufferEncoding): -1 | 0 | 1 {
    const handle = handleOf(this);
    const needle = needleOf(other, encoding, 'other');
    const order = aggregateCompare(handle, needle.kind, needle.value);
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }

  /**
   * Copies bytes `[from, to)` to `target` from `targetStart` on, as many as fit (reason `copyOut`).
   *
   * @returns the bytes copied.
   */
  copyTo(target: Uint8Array, targetStart = 0, from?: number, to?: number): number {
    const handle = handleOf(this);
    validateBytes(target, 'target');
    validateInteger(targetStart, 'targetStart');
    if (from === undefined && to === undefined) {
      const whole = this.wholeView();
      if (whole !== undefined && targetStart + whole.length <= byteLengthOf(target)) {
        setBytes.call(target, whole, targetStart);
        noteCopyOut(whole.length);
        return whole.length;
      }
    }
    const { byteLength } = this;
    const first = placeOf(from, 'from', byteLength, 0);
    return aggregateCopyTo(handle, target, targetStart, first, placeOf(to, 'to', byteLength, byteLength));
  }

  /**
   * A copy of bytes `[from, to)` on the heap (reason `copyOut`).
   *
   * @throws {IolError} `ERR_IOL_TOO_LARGE` beyond 4 GiB.
   */
  toBuffer(from?: number, to?: number): Buffer {
    const handle = handleOf(this);
    const { byteLength } = this;
    const first = placeOf(from, 'from', byteLength, 0);
    const last = placeOf(to, 'to', byteLength, byteLength);
    const length = Math.max(0, last - first);
    if (length > copyBytesMax) {
      throw new IolError(
        'ERR_IOL_TOO_LARGE',
        `A Buffer of ${length} bytes cannot be made (limit ${copyBytesMax})`,
      );
    }
    const copy = Buffer.allocUnsafe(length);
    aggregateCopyTo(handle, copy, 0, first, last);
    return copy;
  }

  /**
   * Bytes `[from, to)` as text (reason `copyOut`), in any encoding of Node; characters and groups may
   * lie across slice borders. Bytes that are no character become U+FFFD, as in Buffer.
   *
   * @throws {IolError} `ERR_IOL_TOO_LARGE` when a string cannot be that long: see {@link decode}.
   */
  override toString(encoding: BufferEncoding = 'utf8', from?: number, to?: number): string {
    const handle = handleOf(this);
    const code = encodingCode(encoding);
    const { byteLength } = this;
    const first = placeOf(from, 'from', byteLength, 0);
    const last = Math.max(first, placeOf(to, 'to', byteLength, byteLength));
    const isNodes = code === nodes || (code !== utf8 && last - first > ownStringBytesMax);
    if (!isNodes) return aggregateToString(handle, code, first, last);
    const characters = charactersOf(encoding, last - first);
    if (characters > constants.MAX_STRING_LENGTH) {
      throw new IolError(
        'ERR_IOL_TOO_LARGE',
        `A string of ${characters} characters cannot be made (limit ${constants.MAX_STRING_LENGTH})`,
      );
    }
    return this.toBuffer(first, last).toString(encoding);
  }

  /**
   * The text in parts of at most `maxBytes` bytes each, which put together are `toString(encoding)`:
   * no character is cut. For text that is too long for one string, or is wanted bit by bit.
   */
  decode(encoding: BufferEncoding = 'utf8', maxBytes = 64 * 1024): IterableIterator<string> {
    handleOf(this);
    return decoded(this, encoding, maxBytes);
  }

  /**
   * The lines, that is what `\n` ends, and what is behind the last one. As text by default; as
   * aggregates, of which no byte is copied and which are yours to release, with `{ as: 'aggregate' }`.
   */
  lines(options: LineOptions & { as: 'aggregate' }): IterableIterator<Aggregate>;
  lines(options?: LineOptions & { as?: 'string' }): IterableIterator<string>;
  lines(options: LineOptions = {}): IterableIterator<Aggregate | string> {
    handleOf(this);
    return linesOf(this, options);
  }

  /** What `JSON.stringify` shows: a summary, not the bytes. For those, `toString('base64')`. */
  toJSON(): BytesSummary {
    const type = this.constructor.name;
    if (this.isDisposed) {
      return { type, byteLength: 0, sliceCount: 0, preview: '', isDisposed: true };
    }
    const preview = this.toString('hex', 0, previewBytes);
    return { type, byteLength: this.byteLength, sliceCount: this.sliceCount, preview };
  }

  /** Its name in `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'HeldBytes';
  }

  protected override inspectFields(): Record<string, unknown> {
    const { byteLength, sliceCount } = this;
    const hex = this.toString('hex', 0, previewBytes).replace(/(..)(?=.)/g, '$1 ');
    const more = byteLength - previewBytes;
    const text = more > 0 ? `<${hex} ... ${more} more bytes>` : `<${hex}>`;
    return { byteLength, sliceCount, bytes: { [inspect.custom]: () => text } };
  }
}

