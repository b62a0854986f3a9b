/**
 * iolWrite on Node's writable streams.
 *
 * A stream that is the end of the line (a socket, a file, an HTTP message on its way into a socket)
 * gets views of the bytes where they lie, held until it has called back for each: that is after the
 * system call that was given their addresses, or after its cancellation. Any other stream may keep a
 * chunk or pass it on, and gets a copy.
 */
import fs, { WriteStream } from 'node:fs';
import { OutgoingMessage, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

import { orAborted } from '../abort';
import type { Aggregate } from '../aggregate/aggregate';
import { closedError } from '../errors';
import { onWindowClosed } from '../leaks';
import { handleOf } from '../resource';
import type { StreamWriteOptions } from './streams';
import { chunksByReference, chunksByValue, streamClosedError } from './streams-pieces';

export function isNodeWritable(value: object): value is Writable {
  const { write, cork } = value as Partial<Writable>;
  return typeof write === 'function' && typeof cork === 'function';
}

const writingMethods = ['write', '_write', '_writev', '_writeGeneric', '_send', '_writeRaw'] as const;

/** Whether chunks go where Node's own class brings them: nobody has replaced a method. */
function isPlain(stream: object, { prototype }: { prototype: object }): boolean {
  return writingMethods.every((name) => Reflect.get(stream, name) === Reflect.get(prototype, name));
}

function hasNodeFs(stream: object): boolean {
  return Object.getOwnPropertySymbols(stream).some(
    (symbol) => symbol.description === 'kFs' && Reflect.get(stream, symbol) === fs,
  );
}

/** Whether the stream needs a chunk no more, and nobody behind it, when it calls back. */
function isEndOfTheLine(stream: object | null): boolean {
  if (stream instanceof Socket) return isPlain(stream, Socket);
  if (stream instanceof WriteStream) return isPlain(stream, WriteStream) && hasNodeFs(stream);
  if (stream instanceof OutgoingMessage) {
    return isPlain(stream, OutgoingMessage) && isEndOfTheLine(stream.socket);
  }
  return false;
}

/** The connection that an answer will leave by: its own only when those before it have left. */
function connectionOf(stream: Writable): Socket | null {
  if (!(stream instanceof OutgoingMessage)) return null;
  const { socket, req } = stream as OutgoingMessage & Partial<Pick<ServerResponse, 'req'>>;
  return socket ?? req?.socket ?? null;
}

/** @internal Whether chunks that were not called back for yet will never leave. */
export function isGone(stream: Writable): boolean {
  return stream.destroyed || connectionOf(stream)?.destroyed === true;
}

/** What Node calls the end of a stream that was destroyed without an error: it depends on the version. */
const plainEnds = ['ERR_STREAM_DESTROYED', 'ECANCELED'];

/** What iolWrite rejects with once the stream is over. */
function errorOf({ errored }: Writable): Error {
  const { code = '' } = (errored ?? {}) as { code?: string };
  return errored && !plainEnds.includes(code) ? errored : streamClosedError();
}

/** Those whose chunks are views, which the window takes along when it is closed. */
const writesByReference = new Set<Write>();

onWindowClosed(() => {
  for (const write of [...writesByReference]) write.cut(closedError('window'));
});

/** One iolWrite: over when the stream has called back for each chunk, or is closed. */
class Write {
  readonly #stream: Writable;
  readonly #held: Aggregate;
  readonly #settle: (error: Error | undefined) => void;
  readonly #watches: Watch[];
  /** Chunks that the stream has not called back for, and one more until it was given all. */
  #open = 1;
  #error: Error | undefined;

  constructor(stream: Writable, held: Aggregate, settle: (error: Error | undefined) => void) {
    this.#stream = stream;
    this.#held = held;
    this.#settle = settle;
    // Why the connection: it says nothing to an answer whose turn has not come when it closes.
    const connection = stream instanceof OutgoingMessage && !stream.socket ? connectionOf(stream) : null;
    this.#watches = [stream, ...(connection ? [connection] : [])].map(watchOf);
    for (const watch of this.#watches) watch.add(this);
  }

  /** Gives the stream everything at once: what is written to it later comes after all of it. */
  giveAll(): void {
    const stream = this.#stream;
    const { byteLength } = this.#held;
    const isByReference = isEndOfTheLine(stream);
    if (isByReference) writesByReference.add(this);
    const chunksOf = isByReference ? chunksByReference : chunksByValue;
    stream.cork();
    try {
      if (byteLength === 0) this.#give(Buffer.alloc(0));
      for (const chunk of chunksOf(handleOf(this.#held), byteLength)) this.#give(chunk);
    } catch (error) {
      this.#error = error as Error;
    }
    stream.uncork();
    if (!isByReference) this.#held.dispose();
    this.#onChunkDone(null);
  }

  #give(chunk: Buffer): void {
    this.#open++;
    try {
      this.#stream.write(chunk, this.#onChunkDone);
    } catch (error) {
      this.#open--;
      throw error;
    }
  }

  readonly #onChunkDone = (error: Error | null | undefined): void => {
    // Why: a socket that was destroyed calls back without an error for what it never sent.
    this.#error ??= isGone(this.#stream) ? errorOf(this.#stream) : (error ?? undefined);
    if (--this.#open === 0) this.end();
  };

  /** Ends the stream with it: a queued chunk would be sent as nothing, and the next one in its place. */
  cut(error: Error): void {
    this.#error ??= error;
    this.#stream.destroy(error);
  }

  /** The last chunk is done, or the stream is closed and will call back no more. */
  end(closed?: Error): void {
    if (this.#open < 0) return;
    this.#open = -1;
    const error = this.#error ?? closed;
    writesByReference.delete(this);
    this.#held.dispose();
    for (const watch of this.#watches) watch.remove(this, error !== undefined);
    this.#settle(error);
  }
}

/**
 * The writes that a stream is not done with, and our two listeners meanwhile. An error that comes
 * then is the writes' and reaches their callers; after one we listen until the stream is closed,
 * because the event follows the callbacks.
 */
class Watch {
  readonly #stream: Writable;
  readonly #writes = new Set<Write>();
  #isListening = false;
  #hasFailed = false;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  add(write: Write): void {
    this.#writes.add(write);
    if (this.#isListening) return;
    this.#isListening = true;
    this.#stream.on('error', this.#onError).on('close', this.#onClose);
  }

  remove(write: Write, hasFailed: boolean): void {
    this.#writes.delete(write);
    this.#hasFailed ||= hasFailed;
    if (this.#writes.size === 0 && !this.#hasFailed) this.#unlisten();
  }

  readonly #onError = (): void => {
    this.#hasFailed = true;
  };

  readonly #onClose = (): void => {
    for (const write of [...this.#writes]) write.end(errorOf(this.#stream));
    this.#unlisten();
  };

  #unlisten(): void {
    this.#isListening = false;
    this.#stream.off('error', this.#onError).off('close', this.#onClose);
  }
}

const watches = new WeakMap<Writable, Watch>();

function watchOf(stream: Writable): Watch {
  let watch = watches.get(stream);
  if (watch === undefined) watches.set(stream, (watch = new Watch(stream)));
  return watch;
}

export function writeToNode(
  stream: Writable,
  bytes: Aggregate,
  { signal }: StreamWriteOptions,
): Promise<number> {
  // Why here: a stream that was ended would emit an error, which ends the process if nobody listens.
  if (isGone(stream) || stream.writableEnded || stream.writable === false) {
    return Promise.reject(errorOf(stream));
  }
  const { byteLength } = bytes;
  const work = new Promise<number>((resolve, reject) => {
    const write = new Write(stream, bytes.clone(), (error) => {
      if (error === undefined) resolve(byteLength);
      else reject(error);
    });
    write.giveAll();
  });
  return orAborted(work, signal, () => {});
}
