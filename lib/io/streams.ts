/**
 * The two verbs on streams: iolRead and iolWrite (io.ts) come here with whatever is one.
 *
 *   Node   io-streams-read.ts, io-streams-write.ts        web   io-web.ts
 */
import type { Readable, Writable } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';

import type { Aggregate } from '../aggregate/aggregate';
import { isByteSource, type ByteSource, readBytes } from '../aggregate/byte-source';
import { invalidType } from '../validate';
import type { Pool } from '../window/pool';
import { isNodeReadable, readFromNode } from './streams-read';
import { isNodeWritable, writeToNode } from './streams-write';
import { isWebReadable, isWebWritable, readFromWeb, writeToWeb } from './web';

/** What iolRead takes bytes from that is no descriptor. */
export type StreamSource = Readable | ReadableStream<Uint8Array> | ByteSource;
/** What iolWrite gives bytes to that is no descriptor. */
export type StreamSink = Writable | WritableStream<Uint8Array>;

/** What iolRead was given with it, checked. */
export interface StreamReadOptions {
  /** The default pool when it is undefined. */
  readonly pool?: Pool | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What iolWrite was given with it, checked. */
export interface StreamWriteOptions {
  readonly signal?: AbortSignal | undefined;
}

export function isStream(value: unknown): value is StreamSource | StreamSink {
  if (typeof value !== 'object' || value === null) return false;
  if (isByteSource(value)) return true;
  return isNodeReadable(value) || isNodeWritable(value) || isWebReadable(value) || isWebWritable(value);
}

/**
 * At most `size` (at least 1) bytes of what comes next, or null at the end. Calls are answered in
 * their order; one that is given up leaves its bytes in the stream.
 */
export function readFromStream(
  stream: object,
  size: number,
  options: StreamReadOptions,
): Promise<Aggregate | null> {
  if (isByteSource(stream)) return stream[readBytes](size, options);
  if (isNodeReadable(stream)) return readFromNode(stream, size, options);
  if (isWebReadable(stream)) return readFromWeb(stream, size, options);
  return Promise.reject(invalidType('source', 'readable', stream));
}

/**
 * Through the stream's own ordering, with its own back-pressure: settles when the stream is done with
 * the bytes.
 *
 * @param bytes the caller's, who may let go of them at once.
 */
export function writeToStream(
  stream: object,
  bytes: Aggregate,
  options: StreamWriteOptions,
): Promise<number> {
  if (isNodeWritable(stream)) return writeToNode(stream, bytes, options);
  if (isWebWritable(stream)) return writeToWeb(stream, bytes, options);
  return Promise.reject(invalidType('sink', 'writable', stream));
}
