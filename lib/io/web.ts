/**
 * iolRead and iolWrite on web streams. A lock is taken for one step at a time and given back: between
 * two calls the stream is everybody's, but for the rest of a chunk that was longer than a read.
 */
import type { ReadableStream, ReadableStreamDefaultReader, WritableStream } from 'node:stream/web';
import { types } from 'node:util';

import { abortedError, orAborted } from '../abort';
import type { Aggregate } from '../aggregate/aggregate';
import { handleOf } from '../resource';
import type { StreamReadOptions, StreamWriteOptions } from './streams';
import { chunksByValue, streamClosedError, streamModeError, takeChunk } from './streams-pieces';

export function isWebReadable(value: object): value is ReadableStream<Uint8Array> {
  return typeof (value as Partial<ReadableStream>).getReader === 'function';
}

export function isWebWritable(value: object): value is WritableStream<Uint8Array> {
  return typeof (value as Partial<WritableStream>).getWriter === 'function';
}

interface Read {
  readonly size: number;
  readonly options: StreamReadOptions;
  resolve: (bytes: Aggregate | null) => void;
  reject: (error: Error) => void;
}

/** The reads of one stream, first come first served, and what is left of a chunk that was too long. */
class WebReads {
  readonly #stream: ReadableStream<Uint8Array>;
  readonly #waiting: Read[] = [];
  #left = new Uint8Array(0);
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #isRunning = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#stream = stream;
  }

  read(size: number, options: StreamReadOptions): Promise<Aggregate | null> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const onAbort = (): void => {
        const index = this.#waiting.indexOf(read);
        if (index < 0) return;
        this.#waiting.splice(index, 1);
        reject(abortedError(signal!));
        // Why: what the stream was asked for stays in it.
        if (index === 0) this.#reader?.releaseLock();
      };
      const onEnd = (): void => signal?.removeEventListener('abort', onAbort);
      const read: Read = {
        size,
        options,
        resolve: (bytes) => (onEnd(), resolve(bytes)),
        reject: (error) => (onEnd(), reject(error)),
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(read);
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let head; (head = this.#waiting[0]) !== undefined; ) {
      try {
        const isEnd: boolean = this.#left.length === 0 && (await this.#fetch());
        // Why: it may have been given up meanwhile; then the next one gets what is left.
        if (this.#waiting[0] !== head) continue;
        if (isEnd) head.resolve(null);
        else if (this.#left.length === 0) continue;
        else head.resolve(this.#take(head));
      } catch (error) {
        if (this.#waiting[0] !== head) continue;
        head.reject(error as Error);
      }
      this.#waiting.shift();
    }
    this.#isRunning = false;
  }

  #take({ size, options }: Read): Aggregate {
    const length = Math.min(size, this.#left.length);
    const bytes = takeChunk(this.#left, length, options.pool);
    this.#left = this.#left.subarray(length);
    return bytes;
  }

  /** One chunk into `#left`; true at the end. */
  async #fetch(): Promise<boolean> {
    if (this.#stream.locked) throw streamModeError('is locked to another reader');
    // Why never a BYOB reader: at the end it waits for ever for a source that does not think of it.
    const reader = (this.#reader = this.#stream.getReader());
    try {
      const { done, value } = await reader.read();
      if (value !== undefined) this.#left = bytesOf(value);
      return done;
    } finally {
      reader.releaseLock();
      this.#reader = undefined;
    }
  }
}

function bytesOf(chunk: unknown): Uint8Array<ArrayBuffer> {
  if (types.isUint8Array(chunk)) return chunk as Uint8Array<ArrayBuffer>;
  if (types.isAnyArrayBuffer(chunk)) return new Uint8Array(chunk as ArrayBuffer);
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
  }
  throw streamModeError(`gave a chunk that is no bytes but of type ${typeof chunk}`);
}

const reads = new WeakMap<object, WebReads>();

export function readFromWeb(
  stream: ReadableStream<Uint8Array>,
  size: number,
  options: StreamReadOptions,
): Promise<Aggregate | null> {
  let waiting = reads.get(stream);
  if (waiting === undefined) reads.set(stream, (waiting = new WebReads(stream)));
  return waiting.read(size, options);
}

/** Settles when the sink has had all chunks, which are copies: it may keep them. */
export function writeToWeb(
  stream: WritableStream<Uint8Array>,
  bytes: Aggregate,
  { signal }: StreamWriteOptions,
): Promise<number> {
  if (stream.locked) return Promise.reject(streamModeError('is locked to another writer'));
  const { byteLength } = bytes;
  const writer = stream.getWriter();
  const writes: Promise<void>[] = [];
  try {
    for (const chunk of chunksByValue(handleOf(bytes), byteLength)) writes.push(writer.write(chunk));
  } catch {
    // Why: Node 20 throws an assertion of its own when the stream was closed.
    writes.push(Promise.reject(streamClosedError()));
  } finally {
    writer.releaseLock();
  }
  return orAborted(Promise.all(writes).then(() => byteLength), signal, () => {});
}
