/**
 * Reading numbers where they lie: the reads of Node's Buffer, by their names, across slice borders.
 */
import type { Kind } from '../leaks';
import { native } from '../native';
import { handleOf, Resource } from '../resource';
import { invalidType, outOfRange, validateInteger } from '../validate';

const { aggregatePeek, aggregateSliceCount, aggregateViewAt, scratch } = native;

/** The scratch's places for a value that is on its way, and for the count of stale views. */
export const valueBytes = Buffer.from(scratch.buffer, 8 * (scratch.length - 2), 8);
export const staleViews = new Int32Array(scratch.buffer, 8 * (scratch.length - 1), 1);
/** What the addon adds to its own figures of `copyOut`: how many copies, of how many bytes. */
const copiedOut = new Float64Array(scratch.buffer, 8 * (scratch.length - 4), 2);

/** Counts a copy of bytes that was made without the addon. */
export function noteCopyOut(byteLength: number): void {
  if (byteLength === 0) return;
  copiedOut[0]!++;
  copiedOut[1]! += byteLength;
}

/** What is known of the slices, until they are others. */
export interface Known {
  /** The slice that was read from last: `[from, to)`, and a view of it once it was read from twice. */
  from: number;
  to: number;
  view: Buffer;
  viewFrom: number;
  /** What `staleViews` was when the view was made: with any other count it shows something else. */
  viewStamp: number;
  /** How often all bytes were asked for at once; far below 0 when they are in several slices. */
  wholeUses: number;
  /** A view of every slice, once somebody has walked over all. */
  views: readonly Uint8Array[] | undefined;
  viewsStamp: number;
}

const noBytes: Buffer = Buffer.alloc(0);
const nothing: Known = {
  from: 0, to: 0, view: noBytes, viewFrom: 0, viewStamp: 0, wholeUses: 0, views: undefined,
  viewsStamp: 0,
};
/** A view of all bytes costs as much as this many calls into the addon. */
const wholeUsesMin = 4;

/** Makes the view of the slice that has byte `at`. */
function lookAt(known: Known, handle: number, at: number): Buffer {
  // Why before the call: what becomes stale after it is then noticed at the next read.
  known.viewStamp = staleViews[0]!;
  const memory = aggregateViewAt(handle, at, false)!;
  known.viewFrom = scratch[2]!;
  return (known.view = Buffer.from(memory, scratch[1], scratch[0]));
}

/** Where {@link ByteReads} has found what it was asked for last. */
let source = noBytes;

/** The same object for as long as the slices stay what they are. */
export let knownOf: (bytes: ByteReads) => Known;
/** The same, but for a constant one when nothing is known. */
export let knownNow: (bytes: ByteReads) => Known;

/**
 * What has bytes that can be read as numbers.
 *
 * Every `read…` has the name, arguments and result that it has in Node's `Buffer`; an `offset` that
 * is none, or behind which there are too few bytes, throws a RangeError `ERR_OUT_OF_RANGE`. Nothing
 * is copied; reads in the slice of the read before are as fast as those of a Buffer, others take one
 * call into the addon.
 */
export abstract class ByteReads extends Resource {
  private known: Known;

  static {
    knownNow = (bytes) => bytes.known;
    knownOf = (bytes) => {
      if (bytes.known === nothing) bytes.known = { ...nothing };
      return bytes.known;
    };
  }

  protected constructor(kind: Kind, handle: number, isTracked: boolean) {
    super(kind, handle, isTracked);
    this.known = nothing;
  }

  /** Length in bytes. */
  abstract get byteLength(): number;

  /** Forgets what is known of the slices: they are others now. */
  protected forgetSlices(): void {
    this.known = nothing;
  }

  /** Gives back what this owns. Idempotent; never throws. */
  override dispose(): void {
    this.known = nothing;
    super.dispose();
  }

  /** The place in `source` of the bytes `[offset, offset + count)`. */
  private seek(offset: number, count: number): number {
    const { view, viewFrom, viewStamp } = this.known;
    const at = offset - viewFrom;
    if (
      typeof offset === 'number' && at >>> 0 === at && at + count <= view.length &&
      viewStamp === staleViews[0]
    ) {
      source = view;
      return at;
    }
    return this.seekFar(offset, count);
  }

  private seekFar(offset: number, count: number): number {
    const handle = handleOf(this);
    const { byteLength } = this;
    if (typeof offset !== 'number') throw invalidType('offset', 'of type number', offset);
    if (byteLength < count) {
      throw outOfRange('offset', `followed by ${count} bytes, of which there are ${byteLength}`, offset);
    }
    validateInteger(offset, 'offset', 0, byteLength - count);
    const known = knownOf(this);
    if (offset < known.from || offset + count > known.to) {
      // Why not a view at once: it costs more than one read, and less than two.
      aggregatePeek(handle, offset, count);
      known.from = scratch[0]!;
      known.to = scratch[1]!;
      source = valueBytes;
      return 0;
    }
    source = lookAt(known, handle, offset);
    return offset - known.viewFrom;
  }

  /** All bytes, when they are in one slice and are asked for often enough; else only the addon has them. */
  protected wholeView(): Buffer | undefined {
    const { known, byteLength } = this;
    if (known.view.length === byteLength && known.viewStamp === staleViews[0]) return known.view;
    return this.newWholeView();
  }

  private newWholeView(): Buffer | undefined {
    const known = knownOf(this);
    if (++known.wholeUses < wholeUsesMin) return undefined;
    const handle = handleOf(this);
    if (aggregateSliceCount(handle) === 1) return lookAt(known, handle, 0);
    known.wholeUses = -(2 ** 29);
    return undefined;
  }

  /**
   * The byte at `index`, which counts from the end when it is negative; undefined when there is
   * none, as in `Array.prototype.at`.
   */
  at(index: number): number | undefined {
    const { view, viewFrom, viewStamp } = this.known;
    const at = index - viewFrom;
    if (
      typeof index === 'number' && at >>> 0 === at && at < view.length &&
      viewStamp === staleViews[0]
    ) {
      return view[at];
    }
    handleOf(this);
    const { byteLength } = this;
    validateInteger(index, 'index', Number.MIN_SAFE_INTEGER);
    const place = index < 0 ? index + byteLength : index;
    if (place < 0 || place >= byteLength) return undefined;
    const found = this.seek(place, 1);
    return source[found];
  }

  /** Unsigned, 8 bits. */
  readUInt8(offset = 0): number {
    const at = this.seek(offset, 1);
    return source[at]!;
  }

  /** Alias of {@link readUInt8}. */
  readUint8(offset = 0): number {
    return this.readUInt8(offset);
  }

  /** Signed, 8 bits. */
  readInt8(offset = 0): number {
    const at = this.seek(offset, 1);
    return (source[at]! << 24) >> 24;
  }

  /** Unsigned, 16 bits, little-endian. */
  readUInt16LE(offset = 0): number {
    const at = this.seek(offset, 2);
    return source.readUInt16LE(at);
  }

  /** Alias of {@link readUInt16LE}. */
  readUint16LE(offset = 0): number {
    return this.readUInt16LE(offset);
  }

  /** Unsigned, 16 bits, big-endian. */
  readUInt16BE(offset = 0): number {
    const at = this.seek(offset, 2);
    return source.readUInt16BE(at);
  }

  /** Alias of {@link readUInt16BE}. */
  readUint16BE(offset = 0): number {
    return this.readUInt16BE(offset);
  }

  /** Signed, 16 bits, little-endian. */
  readInt16LE(offset = 0): number {
    const at = this.seek(offset, 2);
    return source.readInt16LE(at);
  }

  /** Signed, 16 bits, big-endian. */
  readInt16BE(offset = 0): number {
    const at = this.seek(offset, 2);
    return source.readInt16BE(at);
  }

  /** Unsigned, 32 bits, little-endian. */
  readUInt32LE(offset = 0): number {
    const at = this.seek(offset, 4);
    return source.readUInt32LE(at);
  }

  /** Alias of {@link readUInt32LE}. */
  readUint32LE(offset = 0): number {
    return this.readUInt32LE(offset);
  }

  /** Unsigned, 32 bits, big-endian. */
  readUInt32BE(offset = 0): number {
    const at = this.seek(offset, 4);
    return source.readUInt32BE(at);
  }

  /** Alias of {@link readUInt32BE}. */
  readUint32BE(offset = 0): number {
    return this.readUInt32BE(offset);
  }

  /** Signed, 32 bits, little-endian. */
  readInt32LE(offset = 0): number {
    const at = this.seek(offset, 4);
    return source.readInt32LE(at);
  }

  /** Signed, 32 bits, big-endian. */
  readInt32BE(offset = 0): number {
    const at = this.seek(offset, 4);
    return source.readInt32BE(at);
  }

  /** Unsigned, 64 bits, little-endian. */
  readBigUInt64LE(offset = 0): bigint {
    const at = this.seek(offset, 8);
    return source.readBigUInt64LE(at);
  }

  /** Alias of {@link readBigUInt64LE}. */
  readBigUint64LE(offset = 0): bigint {
    return this.readBigUInt64LE(offset);
  }

  /** Unsigned, 64 bits, big-endian. */
  readBigUInt64BE(offset = 0): bigint {
    const at = this.seek(offset, 8);
    return source.readBigUInt64BE(at);
  }

  /** Alias of {@link readBigUInt64BE}. */
  readBigUint64BE(offset = 0): bigint {
    return this.readBigUInt64BE(offset);
  }

  /** Signed, 64 bits, little-endian. */
  readBigInt64LE(offset = 0): bigint {
    const at = this.seek(offset, 8);
    return source.readBigInt64LE(at);
  }

  /** Signed, 64 bits, big-endian. */
  readBigInt64BE(offset = 0): bigint {
    const at = this.seek(offset, 8);
    return source.readBigInt64BE(at);
  }

  /** IEEE 754, 32 bits, little-endian. */
  readFloatLE(offset = 0): number {
    const at = this.seek(offset, 4);
    return source.readFloatLE(at);
  }

  /** IEEE 754, 32 bits, big-endian. */
  readFloatBE(offset = 0): number {
    const at = this.seek(offset, 4);
    return source.readFloatBE(at);
  }

  /** IEEE 754, 64 bits, little-endian. */
  readDoubleLE(offset = 0): number {
    const at = this.seek(offset, 8);
    return source.readDoubleLE(at);
  }

  /** IEEE 754, 64 bits, big-endian. */
  readDoubleBE(offset = 0): number {
    const at = this.seek(offset, 8);
    return source.readDoubleBE(at);
  }

  /** Unsigned, `byteLength` (1 to 6) bytes, little-endian. */
  readUIntLE(offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const at = this.seek(offset, byteLength);
    return source.readUIntLE(at, byteLength);
  }

  /** Alias of {@link readUIntLE}. */
  readUintLE(offset: number, byteLength: number): number {
    return this.readUIntLE(offset, byteLength);
  }

  /** Unsigned, `byteLength` (1 to 6) bytes, big-endian. */
  readUIntBE(offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const at = this.seek(offset, byteLength);
    return source.readUIntBE(at, byteLength);
  }

  /** Alias of {@link readUIntBE}. */
  readUintBE(offset: number, byteLength: number): number {
    return this.readUIntBE(offset, byteLength);
  }

  /** Signed, `byteLength` (1 to 6) bytes, little-endian. */
  readIntLE(offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const at = this.seek(offset, byteLength);
    return source.readIntLE(at, byteLength);
  }

  /** Signed, `byteLength` (1 to 6) bytes, big-endian. */
  readIntBE(offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const at = this.seek(offset, byteLength);
    return source.readIntBE(at, byteLength);
  }
}
