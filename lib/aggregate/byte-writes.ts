/**
 * Writing numbers into a draft: the writes of Node's Buffer, by their names.
 */
import { native } from '../native';
import { Resource } from '../resource';
import { outOfRange, validateInteger } from '../validate';
import { valueBytes } from './byte-reads';

const { draftPoke } = native;

/**
 * What can be filled with numbers.
 *
 * Every `write…` has the name, arguments and result (the place behind the value) that it has in Node's
 * `Buffer`. A value that does not fit its type and an `offset` behind which there is too little room
 * throw a RangeError `ERR_OUT_OF_RANGE`: nothing is written then.
 */
export abstract class ByteWrites extends Resource {
  /** Length in bytes. */
  abstract readonly byteLength: number;

  /** The handle, while it can be written to. */
  protected abstract writable(): number;

  /** The heap memory through which JavaScript fills it, if it has asked for that. */
  protected abstract get memory(): Buffer | undefined;

  /** Called when a value was written where it will be sealed. */
  protected abstract noteWrite(): void;

  private check(offset: number, count: number): void {
    if (count > this.byteLength) {
      throw outOfRange('offset', `followed by ${count} bytes, of which there are ${this.byteLength}`, offset);
    }
    validateInteger(offset, 'offset', 0, this.byteLength - count);
  }

  /** Where a value of `count` bytes is written first, and at which place there. */
  private target(offset: number, count: number): Buffer {
    this.writable();
    this.check(offset, count);
    return this.memory ?? valueBytes;
  }

  private done(target: Buffer, offset: number, count: number): number {
    if (target === valueBytes) {
      draftPoke(this.writable(), offset, count);
      this.noteWrite();
    }
    return offset + count;
  }

  /** Unsigned, 8 bits. */
  writeUInt8(value: number, offset = 0): number {
    const target = this.target(offset, 1);
    target.writeUInt8(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 1);
  }

  /** Alias of {@link writeUInt8}. */
  writeUint8(value: number, offset = 0): number {
    return this.writeUInt8(value, offset);
  }

  /** Signed, 8 bits. */
  writeInt8(value: number, offset = 0): number {
    const target = this.target(offset, 1);
    target.writeInt8(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 1);
  }

  /** Unsigned, 16 bits, little-endian. */
  writeUInt16LE(value: number, offset = 0): number {
    const target = this.target(offset, 2);
    target.writeUInt16LE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 2);
  }

  /** Alias of {@link writeUInt16LE}. */
  writeUint16LE(value: number, offset = 0): number {
    return this.writeUInt16LE(value, offset);
  }

  /** Unsigned, 16 bits, big-endian. */
  writeUInt16BE(value: number, offset = 0): number {
    const target = this.target(offset, 2);
    target.writeUInt16BE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 2);
  }

  /** Alias of {@link writeUInt16BE}. */
  writeUint16BE(value: number, offset = 0): number {
    return this.writeUInt16BE(value, offset);
  }

  /** Unsigned, 32 bits, little-endian. */
  writeUInt32LE(value: number, offset = 0): number {
    const target = this.target(offset, 4);
    target.writeUInt32LE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 4);
  }

  /** Alias of {@link writeUInt32LE}. */
  writeUint32LE(value: number, offset = 0): number {
    return this.writeUInt32LE(value, offset);
  }

  /** Unsigned, 32 bits, big-endian. */
  writeUInt32BE(value: number, offset = 0): number {
    const target = this.target(offset, 4);
    target.writeUInt32BE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 4);
  }

  /** Alias of {@link writeUInt32BE}. */
  writeUint32BE(value: number, offset = 0): number {
    return this.writeUInt32BE(value, offset);
  }

  /** Signed, 16 bits, little-endian. */
  writeInt16LE(value: number, offset = 0): number {
    const target = this.target(offset, 2);
    target.writeInt16LE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 2);
  }

  /** Signed, 16 bits, big-endian. */
  writeInt16BE(value: number, offset = 0): number {
    const target = this.target(offset, 2);
    target.writeInt16BE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 2);
  }

  /** Signed, 32 bits, little-endian. */
  writeInt32LE(value: number, offset = 0): number {
    const target = this.target(offset, 4);
    target.writeInt32LE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 4);
  }

  /** Signed, 32 bits, big-endian. */
  writeInt32BE(value: number, offset = 0): number {
    const target = this.target(offset, 4);
    target.writeInt32BE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 4);
  }

  /** Unsigned, 64 bits, little-endian. */
  writeBigUInt64LE(value: bigint, offset = 0): number {
    const target = this.target(offset, 8);
    target.writeBigUInt64LE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 8);
  }

  /** Alias of {@link writeBigUInt64LE}. */
  writeBigUint64LE(value: bigint, offset = 0): number {
    return this.writeBigUInt64LE(value, offset);
  }

  /** Unsigned, 64 bits, big-endian. */
  writeBigUInt64BE(value: bigint, offset = 0): number {
    const target = this.target(offset, 8);
    target.writeBigUInt64BE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 8);
  }

  /** Alias of {@link writeBigUInt64BE}. */
  writeBigUint64BE(value: bigint, offset = 0): number {
    return this.writeBigUInt64BE(value, offset);
  }

  /** Signed, 64 bits, little-endian. */
  writeBigInt64LE(value: bigint, offset = 0): number {
    const target = this.target(offset, 8);
    target.writeBigInt64LE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 8);
  }

  /** Signed, 64 bits, big-endian. */
  writeBigInt64BE(value: bigint, offset = 0): number {
    const target = this.target(offset, 8);
    target.writeBigInt64BE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 8);
  }

  /** IEEE 754, 32 bits, little-endian. */
  writeFloatLE(value: number, offset = 0): number {
    const target = this.target(offset, 4);
    target.writeFloatLE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 4);
  }

  /** IEEE 754, 32 bits, big-endian. */
  writeFloatBE(value: number, offset = 0): number {
    const target = this.target(offset, 4);
    target.writeFloatBE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 4);
  }

  /** IEEE 754, 64 bits, little-endian. */
  writeDoubleLE(value: number, offset = 0): number {
    const target = this.target(offset, 8);
    target.writeDoubleLE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 8);
  }

  /** IEEE 754, 64 bits, big-endian. */
  writeDoubleBE(value: number, offset = 0): number {
    const target = this.target(offset, 8);
    target.writeDoubleBE(value, target === valueBytes ? 0 : offset);
    return this.done(target, offset, 8);
  }

  /** Unsigned, `byteLength` (1 to 6) bytes, little-endian. */
  writeUIntLE(value: number, offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const target = this.target(offset, byteLength);
    target.writeUIntLE(value, target === valueBytes ? 0 : offset, byteLength);
    return this.done(target, offset, byteLength);
  }

  /** Alias of {@link writeUIntLE}. */
  writeUintLE(value: number, offset: number, byteLength: number): number {
    return this.writeUIntLE(value, offset, byteLength);
  }

  /** Unsigned, `byteLength` (1 to 6) bytes, big-endian. */
  writeUIntBE(value: number, offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const target = this.target(offset, byteLength);
    target.writeUIntBE(value, target === valueBytes ? 0 : offset, byteLength);
    return this.done(target, offset, byteLength);
  }

  /** Alias of {@link writeUIntBE}. */
  writeUintBE(value: number, offset: number, byteLength: number): number {
    return this.writeUIntBE(value, offset, byteLength);
  }

  /** Signed, `byteLength` (1 to 6) bytes, little-endian. */
  writeIntLE(value: number, offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const target = this.target(offset, byteLength);
    target.writeIntLE(value, target === valueBytes ? 0 : offset, byteLength);
    return this.done(target, offset, byteLength);
  }

  /** Signed, `byteLength` (1 to 6) bytes, big-endian. */
  writeIntBE(value: number, offset: number, byteLength: number): number {
    validateInteger(byteLength, 'byteLength', 1, 6);
    const target = this.target(offset, byteLength);
    target.writeIntBE(value, target === valueBytes ? 0 : offset, byteLength);
    return this.done(target, offset, byteLength);
  }
}
