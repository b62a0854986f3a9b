/**
 * The two verbs: iolRead and iolWrite, on whatever a file descriptor can be.
 *
 * A descriptor is tried at once; when nothing can move, the loop waits for it. Regular files are read
 * and written off the loop. Nothing here blocks the loop but the Sync forms.
 */
import { abortedError, orAborted } from './abort';
import {
  adoptAggregate, Aggregate, checkBytesLike, HeldBytes, type BytesLike,
} from './aggregate';
import { IolError } from './errors';
import { FileCache } from './file-cache';
import {
  isStream, readFromStream, writeToStream, type StreamSink, type StreamSource,
} from './io-streams';
import { defaultPoolHandle, ioEnd, ioNotNow, ioRegularFile, native } from './native';
import { Pool } from './pool';
import { handleOf } from './resource';
import {
  invalidType, invalidValue, validateAbortSignal, validateInteger, validateObject,
} from './validate';

const scratch = native.scratch;

/** A descriptor's number, or an object that has one (`FileHandle`). */
export type Descriptor = number | { readonly fd: number };
/** A stream that somebody else reads, too, is everybody's between two calls. */
export type Source = Descriptor | StreamSource;
/** A stream (`net.Socket`) is written to in the order of its own writes. */
export type Sink = Descriptor | StreamSink;

export interface ReadOptions {
  /** Where the bytes go. Default: for regular files the file cache, else the default pool. */
  pool?: Pool;
  /** In a regular file; default: at the descriptor's own position, which then advances. */
  position?: number | null;
}

export interface WriteOptions {
  /** In a regular file; default: at the descriptor's own position, which then advances. */
  position?: number | null;
}

export interface Abortable {
  /** Gives the operation up: it rejects with `ERR_IOL_ABORTED`. Bytes already moved have moved. */
  signal?: AbortSignal;
}

function descriptorOf(value: unknown, name: string): number {
  let fd = value;
  if (typeof value === 'object' && value !== null) {
    if (isStream(value)) {
      throw new IolError(
        'ERR_IOL_UNSUPPORTED',
        `The ${name} is a stream, which cannot be waited for on this thread: use a promise`,
      );
    }
    fd = (value as { fd?: unknown }).fd;
  }
  if (typeof fd !== 'number') throw invalidType(name, 'a descriptor or have one as its fd', value);
  validateInteger(fd, name, typeof value === 'object' ? -1 : 0, 0x7fff_ffff);
  return fd;
}

function positionOf(position: unknown): number {
  if (position === undefined || position === null) return -1;
  validateInteger(position, 'options.position');
  return position;
}

function refusePosition(position: number): void {
  if (position >= 0) throw invalidValue('options.position', 'is not for streams', position);
}

/** `pool` and `cache` handles: a pool that was asked for gets the bytes itself. */
function targetsOf(pool: unknown): { pool: number; isChosen: boolean } {
  if (pool === undefined) return { pool: defaultPoolHandle, isChosen: false };
  if (!(pool instanceof Pool)) throw invalidType('options.pool', 'an instance of Pool', pool);
  return { pool: handleOf(pool), isChosen: true };
}

/** Settles when an attempt on `fd` is worth while; rejects when the signal says so. */
function ready(fd: number, isWrite: boolean, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      native.ioCancel(wait);
      reject(abortedError(signal!));
    };
    const wait = native.ioWait(fd, isWrite, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Per descriptor the last of its writes and of its reads at its own position: they follow each other.
 * Reads of what is no regular file have no turn, for they may wait for a write.
 */
const turns = new Map<number, Promise<unknown>>();

/**
 * Starts `work` when all that was given before for the same descriptor has ended, whether its caller
 * still waits for it or not.
 */
function inTurn<T>(fd: number, work: () => Promise<T>): Promise<T> {
  const before = turns.get(fd);
  const working = before === undefined ? work() : before.then(work);
  const turn = working
    .catch(() => {})
    .then(() => {
      if (turns.get(fd) === turn) turns.delete(fd);
    });
  turns.set(fd, turn);
  return working;
}

/** An aggregate that stands for the end of a file becomes null. */
function orEnd(handle: number): Aggregate | null {
  const bytes = adoptAggregate(handle, -1);
  if (bytes.byteLength > 0) return bytes;
  bytes.dispose();
  return null;
}

/**
 * Reads at most `size` bytes: those that are there, or else those that come next. A read is a
 * snapshot: its bytes never change, whatever happens to the file. Reads of a regular file at the
 * descriptor's own position, and writes, follow each other in the order of the calls.
 *
 * @returns an aggregate of at least one byte, which may be short, or null at the end. Yours to
 * dispose.
 * @throws {IolError} `ERR_IOL_SYSTEM`, `ERR_IOL_FILE_CHANGED`, `ERR_IOL_ABORTED`, and those of
 * {@link Pool.allocate}.
 */
export async function iolRead(
  source: Source,
  size: number,
  options: ReadOptions & Abortable = {},
): Promise<Aggregate | null> {
  validateInteger(size, 'size');
  validateObject(options, 'options');
  const { signal } = options;
  validateAbortSignal(signal, 'options.signal');
  const position = positionOf(options.position);
  const { pool, isChosen } = targetsOf(options.pool);
  if (isStream(source)) {
    refusePosition(position);
    if (signal?.aborted) throw abortedError(signal);
    if (size === 0) return Aggregate.empty();
    return await readFromStream(source, size, { pool: options.pool, signal });
  }
  const fd = descriptorOf(source, 'source');
  if (size === 0) return Aggregate.empty();
  for (;;) {
    if (signal?.aborted) throw abortedError(signal);
    const handle = native.ioTryRead(pool, fd, size, position);
    if (handle === ioEnd) return null;
    if (handle === ioRegularFile) {
      const read = async (): Promise<number> => {
        // Why: who gave up while he waited for his turn has not read, the next one gets the bytes.
        if (signal?.aborted) throw abortedError(signal);
        const cache = isChosen ? 0 : handleOf(FileCache.default());
        return native.ioReadFile(pool, fd, size, position, cache);
      };
      const work = position < 0 ? inTurn(fd, read) : read();
      return orEnd(await orAborted(work, signal, (late) => native.aggregateDispose(late)));
    }
    if (handle !== ioNotNow) return adoptAggregate(handle, scratch[0]!);
    await ready(fd, false, signal);
  }
}

/** Like {@link iolRead}, waiting on this thread; before what is still on its way by a promise. */
export function iolReadSync(
  source: Source,
  size: number,
  options: ReadOptions = {},
): Aggregate | null {
  validateInteger(size, 'size');
  validateObject(options, 'options');
  const position = positionOf(options.position);
  const { pool, isChosen } = targetsOf(options.pool);
  const fd = descriptorOf(source, 'source');
  if (size === 0) return Aggregate.empty();
  for (;;) {
    const handle = native.ioTryRead(pool, fd, size, position);
    if (handle === ioEnd) return null;
    if (handle === ioRegularFile) {
      const cache = isChosen ? 0 : handleOf(FileCache.default());
      return orEnd(native.ioReadFileSync(pool, fd, size, position, cache));
    }
    if (handle !== ioNotNow) return adoptAggregate(handle, scratch[0]!);
    native.ioWaitSync(fd, false);
  }
}

/** Holds of its own on what is to be written, for as long as that takes. */
function heldFor(bytes: BytesLike): Aggregate {
  checkBytesLike(bytes, 'bytes');
  if (!(bytes instanceof HeldBytes)) return Aggregate.from(bytes);
  return adoptAggregate(native.aggregateConcat(handleOf(bytes)), scratch[0]!, false);
}

/**
 * Writes all bytes. Several writes to one descriptor follow each other in the order of the calls.
 *
 * @param bytes an aggregate or a buffer, sent where it lies; strings and arrays are copied first.
 * @returns the bytes written.
 * @throws {IolError} `ERR_IOL_SYSTEM` (EPIPE, ENOSPC, …), `ERR_IOL_ABORTED`. A stream rejects with
 * its own error.
 */
export async function iolWrite(
  sink: Sink,
  bytes: BytesLike,
  options: WriteOptions & Abortable = {},
): Promise<number> {
  validateObject(options, 'options');
  const { signal } = options;
  validateAbortSignal(signal, 'options.signal');
  const position = positionOf(options.position);
  const isToStream = isStream(sink);
  if (isToStream) refusePosition(position);
  const fd = isToStream ? -1 : descriptorOf(sink, 'sink');
  using held = heldFor(bytes);
  if (signal?.aborted) throw abortedError(signal);
  if (isToStream) return await writeToStream(sink, held, { signal });
  const work = inTurn(fd, () => writeAll(fd, held, position, signal));
  return await orAborted(work, signal, () => {});
}

async function writeAll(
  fd: number,
  bytes: Aggregate,
  position: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  // Why first: who gave up while he waited for his turn has let go of the bytes.
  if (signal?.aborted) throw abortedError(signal);
  const handle = handleOf(bytes);
  const { byteLength } = bytes;
  let written = 0;
  do {
    if (signal?.aborted) throw abortedError(signal);
    const moved = native.ioTryWrite(fd, handle, written, position);
    if (moved === ioRegularFile) return await native.ioWriteFile(fd, handle, written, position);
    if (moved === ioNotNow) await ready(fd, true, signal);
    else written += moved;
  } while (written < byteLength);
  return written;
}

/** Like {@link iolWrite}, waiting on this thread. Not for streams. */
export function iolWriteSync(
  sink: Descriptor,
  bytes: BytesLike,
  options: WriteOptions = {},
): number {
  validateObject(options, 'options');
  const position = positionOf(options.position);
  const fd = descriptorOf(sink, 'sink');
  using held = heldFor(bytes);
  const handle = handleOf(held);
  const { byteLength } = held;
  let written = 0;
  do {
    const moved = native.ioTryWrite(fd, handle, written, position);
    if (moved === ioRegularFile) return native.ioWriteFileSync(fd, handle, written, position);
    if (moved === ioNotNow) native.ioWaitSync(fd, true);
    else written += moved;
  } while (written < byteLength);
  return written;
}
