/**
 * The two verbs on streams: iolRead and iolWrite (io.ts) come here with whatever is one.
 */
import { WriteStream } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

import { orAborted } from './abort';
import type { Aggregate } from './aggregate';
import { unsafeUint8Array } from './bytes';
import { IolError } from './errors';
import type { Pool } from './pool';

/** What iolRead was given with it, checked. */
export interface StreamReadOptions {
  /** As a handle's owner, or undefined for the default pool. */
  readonly pool?: Pool | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What iolWrite was given with it, checked. */
export interface StreamWriteOptions {
  readonly signal?: AbortSignal | undefined;
}

export function isStream(value: unknown): value is Writable {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as Writable).write === 'function' && typeof (value as Writable).cork === 'function';
}

/** At most `size` (at least 1) bytes of what comes next, or null at the end. */
/* eslint-disable @typescript-eslint/no-unused-vars -- Nothing can be read from a stream yet. */
export function readFromStream(
  _stream: Writable,
  _size: number,
  _options: StreamReadOptions,
): Promise<Aggregate | null> {
  const message =
    'The source is a stream, which has bytes that its descriptor has no more: ' +
    'use its own methods, or give the descriptor before a stream is made of it';
  return Promise.reject(new IolError('ERR_IOL_UNSUPPORTED', message));
}
/* eslint-enable @typescript-eslint/no-unused-vars */

/** Whether the stream is done with a chunk when it says so: others may pass it on or keep it. */
function isEndOfTheLine(stream: Writable): boolean {
  return stream instanceof Socket || stream instanceof WriteStream;
}

/**
 * Through the stream's own ordering. A socket and a file get the bytes where they lie, held until it
 * says that it needs them no more; any other stream gets a copy.
 *
 * @param bytes the caller's, who may let go of them at once.
 */
export async function writeToStream(
  stream: Writable,
  bytes: Aggregate,
  options: StreamWriteOptions,
): Promise<number> {
  const { byteLength } = bytes;
  const held = bytes.clone();
  const work = new Promise<number>((resolve, reject) => {
    const done = (error?: Error | null): void => {
      held.dispose();
      if (error) reject(error);
      else resolve(byteLength);
    };
    stream.cork();
    const views = isEndOfTheLine(stream) ? [...held] : [held.toBuffer()];
    if (views.length === 0) stream.write(new Uint8Array(0), done);
    views.forEach((view, i) => {
      const isLast = i === views.length - 1;
      stream.write(unsafeUint8Array(view), isLast ? done : undefined);
    });
    stream.uncork();
  });
  return orAborted(work, options.signal, () => {});
}
