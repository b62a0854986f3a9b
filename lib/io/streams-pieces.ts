/**
 * Between aggregates and the chunks of streams.
 *
 *   aggregate   [ big slice ][s][s][s][ big slice ]
 *   by reference    view      a copy      view          each view is held until it is written
 *   by value     [ 64 KiB ][ 64 KiB ][ 64 KiB ][ .. ]   for a stream that may keep its chunks
 */
import { adoptAggregate, type Aggregate } from '../aggregate/aggregate';
import { errorTable } from '../error-codes.generated';
import { IolError } from '../errors';
import { defaultPoolHandle, native } from '../native';
import { handleOf } from '../resource';
import type { Pool } from '../window/pool';

declare module '../native' {
  interface NativeAddon {
    streamTake: (pool: number, chunk: Uint8Array, length: number) => number;
    /** scratch: byteLength, offset in the ArrayBuffer; undefined: that many are better copied. */
    streamPiece: (
      aggregate: number,
      at: number,
      smallBytes: number,
      joinBytesMax: number,
    ) => ArrayBuffer | undefined;
    streamCopy: (aggregate: number, target: Uint8Array, from: number, isJoin: boolean) => void;
  }
}

const { streamCopy, streamPiece, streamTake, scratch } = native;

/** Neighbouring slices below this are copied together: a view and a write of its own cost as much. */
const smallBytes = 2048;
/** What one chunk that is a copy has at most. */
export const chunkBytesMax = 64 * 1024;

/** The bytes as chunks that are valid for as long as `handle` holds them. */
export function* chunksByReference(handle: number, byteLength: number): Generator<Buffer> {
  for (let at = 0; at < byteLength; ) {
    const buffer = streamPiece(handle, at, smallBytes, chunkBytesMax);
    const length = scratch[0]!;
    if (buffer !== undefined) {
      yield Buffer.from(buffer, scratch[1], length);
    } else {
      const joined = Buffer.allocUnsafe(length);
      streamCopy(handle, joined, at, true);
      yield joined;
    }
    at += length;
  }
}

/** One chunk of the bytes from `at` on, which may be kept for ever (reason `copyOut`). */
export function chunkByValue(handle: number, at: number, byteLength: number): Buffer {
  const copy = Buffer.allocUnsafe(Math.min(chunkBytesMax, byteLength - at));
  if (copy.length > 0) streamCopy(handle, copy, at, false);
  return copy;
}

export function* chunksByValue(handle: number, byteLength: number): Generator<Buffer> {
  for (let at = 0; at < byteLength; at += chunkBytesMax) yield chunkByValue(handle, at, byteLength);
}

/** The first `length` bytes of a chunk, in the window (reason `streamIn`). */
export function takeChunk(chunk: Uint8Array, length: number, pool: Pool | undefined): Aggregate {
  const handle = pool === undefined ? defaultPoolHandle : handleOf(pool);
  return adoptAggregate(streamTake(handle, chunk, length), length);
}

/** The stream is no more, and said nothing of an error. */
export function streamClosedError(): IolError {
  const { message } = errorTable.ERR_IOL_STREAM_CLOSED;
  return new IolError('ERR_IOL_STREAM_CLOSED', message.replace(/^t/, 'T'));
}

/** `reason` completes "The stream …". */
export function streamModeError(reason: string): IolError {
  return new IolError('ERR_IOL_STREAM_MODE', `The stream ${reason}`);
}
