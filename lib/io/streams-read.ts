/**
 * iolRead on Node's readable streams: sockets, files, requests, the output of a child.
 */
import type { Readable } from 'node:stream';

import { abortedError } from '../abort';
import type { Aggregate } from '../aggregate/aggregate';
import type { StreamReadOptions } from './streams';
import { streamClosedError, streamModeError, takeChunk } from './streams-pieces';

export function isNodeReadable(value: object): value is Readable {
  const { read, pipe, readableLength } = value as Partial<Readable>;
  return typeof read === 'function' && typeof pipe === 'function' && typeof readableLength === 'number';
}

/** Reads for themselves only: whoever else has the stream reads between two calls as he likes. */
function checkMode(stream: Readable): void {
  if (stream.readableObjectMode) throw streamModeError('is in object mode, it has no bytes');
  if (stream.readableEncoding !== null) {
    throw streamModeError(`has an encoding (${stream.readableEncoding}), it has text and no bytes`);
  }
  if (stream.readableFlowing === true || stream.listenerCount('data') > 0) {
    throw streamModeError("gives its bytes to a pipe or to listeners of 'data'");
  }
}

/** What is there, null at the end, or undefined when one has to wait. */
function tryRead(
  stream: Readable,
  size: number,
  { pool }: StreamReadOptions,
): Aggregate | null | undefined {
  if (stream.readableEnded) return null;
  checkMode(stream);
  if (stream.destroyed || stream.errored) throw stream.errored ?? streamClosedError();
  if (stream.readable === false) throw streamClosedError();
  // Why: it makes the stream fetch, or say that it has ended; nothing is taken.
  if (stream.readableLength === 0) stream.read(0);
  const length = Math.min(size, stream.readableLength);
  if (length === 0) return undefined;
  // Why not always with a length: one above the high-water mark would raise it.
  // Why not always without: since Node 26 that is one chunk, however many there are.
  const all = length === stream.readableLength && length > stream.readableHighWaterMark;
  const chunk = (all ? stream.read() : stream.read(length)) as Buffer | null;
  if (chunk === null) return undefined;
  try {
    return takeChunk(chunk, chunk.length, pool);
  } catch (error) {
    stream.unshift(chunk); // There was no room: the bytes are the next reader's.
    throw error;
  }
}

interface Read {
  readonly size: number;
  readonly options: StreamReadOptions;
  resolve: (bytes: Aggregate | null) => void;
  reject: (error: unknown) => void;
  onAbort: (() => void) | undefined;
}

/** The reads that wait for one stream, first come first served. It has our listeners meanwhile. */
class Reader {
  readonly #stream: Readable;
  readonly #waiting: Read[] = [];
  #error: Error | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
  }

  read(size: number, options: StreamReadOptions): Promise<Aggregate | null> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) {
        const bytes = tryRead(this.#stream, size, options);
        if (bytes !== undefined) return resolve(bytes);
        this.#listen();
      }
      const read: Read = { size, options, resolve, reject, onAbort: undefined };
      this.#waiting.push(read);
      const { signal } = options;
      if (signal === undefined) return;
      read.onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(read), 1);
        reject(abortedError(signal));
        if (this.#waiting.length === 0) this.#unlisten();
      };
      signal.addEventListener('abort', read.onAbort, { once: true });
    });
  }

  readonly #onEvent = (): void => {
    for (let head; (head = this.#waiting[0]) !== undefined; ) {
      try {
        if (this.#error !== undefined) throw this.#error;
        const bytes = tryRead(this.#stream, head.size, head.options);
        if (bytes === undefined) return;
        head.resolve(bytes);
      } catch (error) {
        head.reject(error);
      }
      this.#waiting.shift();
      if (head.onAbort) head.options.signal!.removeEventListener('abort', head.onAbort);
    }
    this.#unlisten();
  };

  readonly #onError = (error: Error | undefined): void => {
    this.#error = error ?? streamClosedError();
    this.#onEvent();
  };

  readonly #onClose = (): void => {
    if (!this.#stream.readableEnded) this.#error ??= this.#stream.errored ?? streamClosedError();
    this.#onEvent();
  };

  #listen(): void {
    const stream = this.#stream;
    stream.on('readable', this.#onEvent).on('end', this.#onEvent);
    stream.on('error', this.#onError).on('close', this.#onClose);
  }

  #unlisten(): void {
    this.#error = undefined;
    const stream = this.#stream;
    stream.off('readable', this.#onEvent).off('end', this.#onEvent);
    stream.off('error', this.#onError).off('close', this.#onClose);
  }
}

const readers = new WeakMap<Readable, Reader>();

export function readFromNode(
  stream: Readable,
  size: number,
  options: StreamReadOptions,
): Promise<Aggregate | null> {
  let reader = readers.get(stream);
  if (reader === undefined) readers.set(stream, (reader = new Reader(stream)));
  return reader.read(size, options);
}
