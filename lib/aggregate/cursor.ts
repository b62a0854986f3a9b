/**
 * Cursors: reading on, from one value to the next.
 */
import { byteLengthOf, outOfRange, validateBytes, validateInteger } from '../validate';
import type { Aggregate } from './aggregate';
import type { BytesLike } from './bytes-like';
import { encodingCode, nodes } from './encodings';
import type { HeldBytes } from './held-bytes';

// Why made: of text that is not all digits of its encoding, Buffer.byteLength only estimates.
function byteLengthIn(value: BytesLike, encoding: BufferEncoding | undefined): number {
  if (typeof value !== 'string') {
    return value instanceof Uint8Array ? byteLengthOf(value) : value.byteLength;
  }
  return encodingCode(encoding) === nodes
    ? Buffer.from(value, encoding).length
    : Buffer.byteLength(value, encoding);
}

/**
 * A place in an aggregate or a buffer, from which one reads on. Each read begins where the one before
 * ended; one for which there are too few bytes throws a RangeError `ERR_OUT_OF_RANGE` and moves
 * nothing.
 *
 * It holds nothing of its own and need not be released: it reads what it was made of, edits included,
 * and throws `ERR_IOL_CLOSED` once that was released.
 */
export class Cursor {
  readonly #bytes: HeldBytes;
  #position: number;

  /** @internal Made by `cursor()`. */
  constructor(bytes: HeldBytes, position: number) {
    validateInteger(position, 'at', 0, bytes.byteLength);
    this.#bytes = bytes;
    this.#position = position + 0; // Never -0.
  }

  /** The place of the next byte, from the first one on. It may be set. */
  get position(): number {
    return this.#position;
  }

  set position(position: number) {
    validateInteger(position, 'position', 0, this.#bytes.byteLength);
    this.#position = position + 0;
  }

  /** How many bytes are left; 0 when edits have left none. */
  get remaining(): number {
    return Math.max(0, this.#bytes.byteLength - this.#position);
  }

  /** Where the next `count` bytes are. */
  #next(count: number): number {
    const left = this.#bytes.byteLength - this.#position;
    if (left < count) {
      throw outOfRange('position', `followed by ${count} bytes, of which there are ${Math.max(0, left)}`, this.#position);
    }
    return this.#position;
  }

  /** Moves on by `count` bytes. */
  skip(count: number): this {
    validateInteger(count, 'count', 0, this.remaining);
    this.#position += count;
    return this;
  }

  /** The next `count` bytes as an aggregate, which is yours to release; nothing is copied. */
  slice(count: number): Aggregate {
    validateInteger(count, 'count', 0, this.remaining);
    const slice = this.#bytes.slice(this.#position, this.#position + count);
    this.#position += count;
    return slice;
  }

  /** The next `byteLength` bytes as text (reason `copyOut`). */
  readString(byteLength: number, encoding: BufferEncoding = 'utf8'): string {
    validateInteger(byteLength, 'byteLength', 0, this.remaining);
    const text = this.#bytes.toString(encoding, this.#position, this.#position + byteLength);
    this.#position += byteLength;
    return text;
  }

  /** Copies the next bytes to `target`, as many as there are and fit (reason `copyOut`); how many. */
  copyTo(target: Uint8Array): number {
    validateBytes(target, 'target');
    const copied = this.#bytes.copyTo(target, 0, this.#position);
    this.#position += copied;
    return copied;
  }

  /** Whether the next bytes are those of `value`; moves on only then. */
  skipIf(value: BytesLike, encoding?: BufferEncoding): boolean {
    if (!this.#bytes.startsWith(value, this.#position, encoding)) return false;
    this.#position += byteLengthIn(value, encoding);
    return true;
  }

  /** Unsigned, 8 bits. */
  readUInt8(): number {
    const value = this.#bytes.readUInt8(this.#next(1));
    this.#position += 1;
    return value;
  }

  /** Alias of {@link readUInt8}. */
  readUint8(): number {
    return this.readUInt8();
  }

  /** Signed, 8 bits. */
  readInt8(): number {
    const value = this.#bytes.readInt8(this.#next(1));
    this.#position += 1;
    return value;
  }

  /** Unsigned, 16 bits, little-endian. */
  readUInt16LE(): number {
    const value = this.#bytes.readUInt16LE(this.#next(2));
    this.#position += 2;
    return value;
  }

  /** Alias of {@link readUInt16LE}. */
  readUint16LE(): number {
    return this.readUInt16LE();
  }

  /** Unsigned, 16 bits, big-endian. */
  readUInt16BE(): number {
    const value = this.#bytes.readUInt16BE(this.#next(2));
    this.#position += 2;
    return value;
  }

  /** Alias of {@link readUInt16BE}. */
  readUint16BE(): number {
    return this.readUInt16BE();
  }

  /** Unsigned, 32 bits, little-endian. */
  readUInt32LE(): number {
    const value = this.#bytes.readUInt32LE(this.#next(4));
    this.#position += 4;
    return value;
  }

  /** Alias of {@link readUInt32LE}. */
  readUint32LE(): number {
    return this.readUInt32LE();
  }

  /** Unsigned, 32 bits, big-endian. */
  readUInt32BE(): number {
    const value = this.#bytes.readUInt32BE(this.#next(4));
    this.#position += 4;
    return value;
  }

  /** Alias of {@link readUInt32BE}. */
  readUint32BE(): number {
    return this.readUInt32BE();
  }

  /** Signed, 16 bits, little-endian. */
  readInt16LE(): number {
    const value = this.#bytes.readInt16LE(this.#next(2));
    this.#position += 2;
    return value;
  }

  /** Signed, 16 bits, big-endian. */
  readInt16BE(): number {
    const value = this.#bytes.readInt16BE(this.#next(2));
    this.#position += 2;
    return value;
  }

  /** Signed, 32 bits, little-endian. */
  readInt32LE(): number {
    const value = this.#bytes.readInt32LE(this.#next(4));
    this.#position += 4;
    return value;
  }

  /** Signed, 32 bits, big-endian. */
  readInt32BE(): number {
    const value = this.#bytes.readInt32BE(this.#next(4));
    this.#position += 4;
    return value;
  }

  /** Unsigned, 64 bits, little-endian. */
  readBigUInt64LE(): bigint {
    const value = this.#bytes.readBigUInt64LE(this.#next(8));
    this.#position += 8;
    return value;
  }

  /** Alias of {@link readBigUInt64LE}. */
  readBigUint64LE(): bigint {
    return this.readBigUInt64LE();
  }

  /** Unsigned, 64 bits, big-endian. */
  readBigUInt64BE(): bigint {
    const value = this.#bytes.readBigUInt64BE(this.#next(8));
    this.#position += 8;
    return value;
  }

  /** Alias of {@link readBigUInt64BE}. */
  readBigUint64BE(): bigint {
    return this.readBigUInt64BE();
  }

  /** Signed, 64 bits, little-endian. */
  readBigInt64LE(): bigint {
    const value = this.#bytes.readBigInt64LE(this.#next(8));
    this.#position += 8;
    return value;
  }

  /** Signed, 64 bits, big-endian. */
  readBigInt64BE(): bigint {
    const value = this.#bytes.readBigInt64BE(this.#next(8));
    this.#position += 8;
    return value;
  }

  /** IEEE 754, 32 bits, little-endian. */
  readFloatLE(): number {
    const value = this.#bytes.readFloatLE(this.#next(4));
    this.#position += 4;
    return value;
  }

  /** IEEE 754, 32 bits, big-endian. */
  readFloatBE(): number {
    const value = this.#bytes.readFloatBE(this.#next(4));
    this.#position += 4;
    return value;
  }

  /** IEEE 754, 64 bits, little-endian. */
  readDoubleLE(): number {
    const value = this.#bytes.readDoubleLE(this.#next(8));
    this.#position += 8;
    return value;
  }

  /** IEEE 754, 64 bits, big-endian. */
  readDoubleBE(): number {
    const value = this.#bytes.readDoubleBE(this.#next(8));
    this.#position += 8;
    return value;
  }

  /** Unsigned, `byteLength` (1 to 6) bytes, little-endian. */
  readUIntLE(byteLength: number): number {
    const value = this.#bytes.readUIntLE(this.#next(byteLength), byteLength);
    this.#position += byteLength;
    return value;
  }

  /** Alias of {@link readUIntLE}. */
  readUintLE(byteLength: number): number {
    return this.readUIntLE(byteLength);
  }

  /** Unsigned, `byteLength` (1 to 6) bytes, big-endian. */
  readUIntBE(byteLength: number): number {
    const value = this.#bytes.readUIntBE(this.#next(byteLength), byteLength);
    this.#position += byteLength;
    return value;
  }

  /** Alias of {@link readUIntBE}. */
  readUintBE(byteLength: number): number {
    return this.readUIntBE(byteLength);
  }

  /** Signed, `byteLength` (1 to 6) bytes, little-endian. */
  readIntLE(byteLength: number): number {
    const value = this.#bytes.readIntLE(this.#next(byteLength), byteLength);
    this.#position += byteLength;
    return value;
  }

  /** Signed, `byteLength` (1 to 6) bytes, big-endian. */
  readIntBE(byteLength: number): number {
    const value = this.#bytes.readIntBE(this.#next(byteLength), byteLength);
    this.#position += byteLength;
    return value;
  }
}
