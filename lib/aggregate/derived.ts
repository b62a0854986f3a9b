/**
 * Values computed from bytes. Sealed bytes never change, so what was computed from a slice is
 * remembered for as long as this thread holds its buffer.
 */
import { createHash } from 'node:crypto';

import { native } from '../native';
import { handleOf } from '../resource';
import { Aggregate, checkBytesLike, HeldBytes, type BytesLike } from './aggregate';
import { unsafeUint8Array } from './bytes';

declare module '../native' {
  interface NativeAddon {
    derivedInternetChecksum: (aggregate: number) => number;
    derivedCrc32c: (aggregate: number) => number;
    internetChecksumOf: (bytes: Uint8Array) => number;
    crc32cOf: (bytes: Uint8Array) => number;
    /** Whether it is known; then the target has it. */
    derivedFindSha256: (aggregate: number, target: Uint8Array) => boolean;
    derivedKeepSha256: (aggregate: number, digest: Uint8Array) => void;
    /** scratch: computed, computedBytes, reused, reusedBytes, entries, bytes. */
    derivedStats: () => void;
  }
}

// Why constants: a call through one is inlined, through a property it is looked up.
const {
  crc32cOf, derivedCrc32c, derivedFindSha256, derivedInternetChecksum, derivedKeepSha256,
  internetChecksumOf,
} = native;

/** What this thread has computed from bytes, and what it did not need to. */
export interface DerivedStats {
  /** Values that were computed and remembered, and from how many bytes. */
  readonly computed: number;
  readonly computedBytes: number;
  /** Values that were known, and how many bytes were not read for it. */
  readonly reused: number;
  readonly reusedBytes: number;
  /** Values that are remembered: at most 16,384, the least recently used go first. */
  readonly entries: number;
  /** Memory that they take, about. */
  readonly bytes: number;
}

/** @internal */
export function derivedStats(): DerivedStats {
  native.derivedStats();
  const [computed = 0, computedBytes = 0, reused = 0, reusedBytes = 0, entries = 0, bytes = 0] =
    native.scratch;
  return { computed, computedBytes, reused, reusedBytes, entries, bytes };
}

function heapBytes(bytes: string | Uint8Array): Uint8Array {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
}

/**
 * The Internet checksum (RFC 1071) of all bytes: 16 bits, to be stored big-endian. The bytes with
 * their checksum in them have the checksum 0.
 *
 * Of a buffer or an aggregate each slice of 4 KiB or more is summed once, whatever aggregates it is in
 * and wherever, and the sums are put together; nothing is copied. Of strings (as UTF-8) and arrays
 * nothing is remembered.
 *
 * @throws {IolError} `ERR_IOL_CLOSED` when the bytes were released.
 */
export function internetChecksum(bytes: BytesLike): number {
  checkBytesLike(bytes, 'bytes');
  if (bytes instanceof HeldBytes) return derivedInternetChecksum(handleOf(bytes));
  return internetChecksumOf(heapBytes(bytes));
}

/**
 * The CRC-32C (Castagnoli, RFC 3720) of all bytes, from 0 to 2^32 - 1. Remembered by slices like
 * {@link internetChecksum}; computed by the processor's own instruction where it has one.
 *
 * @throws {IolError} `ERR_IOL_CLOSED` when the bytes were released.
 */
export function crc32c(bytes: BytesLike): number {
  checkBytesLike(bytes, 'bytes');
  if (bytes instanceof HeldBytes) return derivedCrc32c(handleOf(bytes));
  return crc32cOf(heapBytes(bytes));
}

/** Where a digest that is known is written; an array of its own each time would cost 2 us more. */
const known = Buffer.alloc(32);

/** Over views of the slices, which are not copied. */
function digestOf(bytes: HeldBytes): Buffer {
  const hash = createHash('sha256');
  using whole = Aggregate.from(bytes);
  for (const view of whole) hash.update(unsafeUint8Array(view));
  return hash.digest();
}

/**
 * The SHA-256 of all bytes: 32 of them, the caller's own. It cannot be put together from those of
 * parts, so it is remembered for this very list of slices (of up to 64), in whatever aggregate.
 *
 * Node's own `crypto` computes it, on this thread: some 0.5 to 2 ms a MiB.
 *
 * @throws {IolError} `ERR_IOL_CLOSED` when the bytes were released.
 */
export function sha256(bytes: BytesLike): Buffer {
  checkBytesLike(bytes, 'bytes');
  if (!(bytes instanceof HeldBytes)) return createHash('sha256').update(heapBytes(bytes)).digest();
  const handle = handleOf(bytes);
  if (derivedFindSha256(handle, known)) return Buffer.from(known);
  const digest = digestOf(bytes);
  derivedKeepSha256(handle, digest);
  return digest;
}
