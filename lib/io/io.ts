/**
 * The two verbs: iolRead and iolWrite, on whatever a file descriptor can be.
 *
 * A descriptor is tried at once; when nothing can move, the loop waits for it. Files are read and
 * written off the loop. Nothing here blocks the loop but the Sync forms.
 */
import { abortedError, orAborted } from '../abort';
import { adoptAggregate, Aggregate, checkBytesLike, HeldBytes, type BytesLike } from '../aggregate/aggregate';
import { Channel, readChannel } from '../channel/channel';
import { IolError, isIolError } from '../errors';
import { defaultPoolHandle, native } from '../native';
import { handleOf } from '../resource';
import {
  invalidType, invalidValue, validateAbortSignal, validateBoolean, validateInteger, validateObject,
} from '../validate';
import { Pool } from '../window/pool';
import { descriptorOf, ioEnd, ioFile, ioNotNow, ready, type Descriptor } from './descriptor';
import { FileCache, knownDefaultCache } from './file-cache';
import { isTurnDue } from './pipe-link';
import { isUpgraded, pipeReaderOf, type PipeReader } from './pipe-reader';
import { writeByName } from './pipe-writer';
import {
  isStream, readFromStream, writeToStream, type StreamSink, type StreamSource,
} from './streams';
import { checkIdle, inTurn, waitingReads } from './turns';

export type { Descriptor } from './descriptor';

const scratch = native.scratch;

/**
 * A stream that somebody else reads, too, is everybody's between two calls. A channel gives the bytes of
 * its messages, without their metadata.
 */
export type Source = Descriptor | StreamSource | Channel;
/**
 * A stream (`net.Socket`) is written to in the order of its own writes. To a channel the bytes go as
 * one message: by name, none is copied.
 */
export type Sink = Descriptor | StreamSink | Channel;

/** Where a read begins, and where its bytes go. */
export interface ReadOptions {
  /**
   * Where the bytes go. Default: for regular files the file cache, else the default pool. What
   * is cached in another pool, whose access list may be another one, is copied into this one
   * (`stats().copies.pool`), once for each read; what is not cached is read into it and stays uncached.
   */
  pool?: Pool | undefined;
  /** In a file; default: at the descriptor's own position, which then advances by what was read. */
  position?: number | null | undefined;
  /**
   * Of a pipe whose writer is in the same window and writes with `upgrade`: the bytes come by name, none
   * is copied; from any other writer, and of anything else, as they always do. It is said that nobody else
   * reads this pipe, and that this descriptor is read by iolRead alone until the end: what is asked for
   * may have come further than that. Default false; once said it is true of that pipe.
   */
  upgrade?: boolean | undefined;
}

/** Where and how bytes are written. */
export interface WriteOptions {
  /**
   * In a file; default: at the descriptor's own position, which then advances. A descriptor opened
   * for appending writes at the end of the file whatever is said here, as in `fs`.
   */
  position?: number | null | undefined;
  /**
   * Settle only when the bytes are on the device: `true` as fsync(2), `'data'` as fdatasync(2).
   * Anything but a file answers EINVAL, before a byte moves.
   */
  fsync?: boolean | 'data' | undefined;
  /**
   * To a pipe whose reader is in the same window and reads with `upgrade`: the bytes go by name, none is
   * copied; to any other reader, and to anything else, as they always do. Others may write to the pipe,
   * too, in this process or another. The process does not end by itself before the reader has taken
   * everything. Default false.
   */
  upgrade?: boolean | undefined;
}

/** What can be given up. */
export interface Abortable {
  /**
   * Gives the operation up: it rejects with `ERR_IOL_ABORTED`. A read that is given up has read
   * nothing; a write may have written a part (`bytesWritten` of the error), and one to a file that
   * has begun is finished all the same.
   */
  signal?: AbortSignal | undefined;
}

function positionOf(position: unknown): number {
  if (position === undefined || position === null) return -1;
  validateInteger(position, 'options.position');
  return position;
}

function refusePosition(position: number): void {
  if (position >= 0) throw invalidValue('options.position', 'is not for streams', position);
}

/** Of what is no file. */
function refuseSync(sync: number, fsync: unknown): void {
  if (sync !== 0) throw invalidValue('options.fsync', 'is not for streams', fsync);
}

function syncOf(fsync: unknown): number {
  if (fsync === undefined || fsync === false) return 0;
  if (fsync === 'data') return 1;
  if (fsync === true) return 2;
  throw invalidValue('options.fsync', "must be true, false or 'data'", fsync);
}

function upgradeOf(upgrade: unknown): boolean {
  if (upgrade === undefined) return false;
  validateBoolean(upgrade, 'options.upgrade');
  return upgrade;
}

interface Targets {
  readonly pool: number;
  /** The cache to look at, or 0. A pool that was asked for gets a copy of what is there. */
  readonly cache: number;
}

function targetsOf(pool: unknown): Targets {
  if (pool !== undefined && !(pool instanceof Pool)) {
    throw invalidType('options.pool', 'an instance of Pool', pool);
  }
  const handle = pool === undefined ? defaultPoolHandle : handleOf(pool);
  return { pool: handle, cache: cacheNow(handle) };
}

/** A cache of the default pool is made when it is needed; for another pool it is only looked at. */
const cacheNow = (pool: number): number =>
  pool === defaultPoolHandle ? handleOf(FileCache.default()) : knownDefaultCache();

/** An aggregate that stands for the end of a file becomes null. */
function orEnd(handle: number): Aggregate | null {
  const bytes = adoptAggregate(handle, -1);
  if (bytes.byteLength > 0) return bytes;
  bytes.dispose();
  return null;
}

/**
 * Reads at most `size` bytes: those that are there, or else those that come next.
 *
 * A read is a snapshot: its bytes never change, whatever happens to the file. Of a regular file all
 * of them are from one moment; an {@link iolWrite} of this process is in them whole or not at all.
 * Reads of a file at the descriptor's own position, and writes, follow each other in the order of
 * the calls, and so do reads of anything else; mixing them with plain `fs` reads at the own position while they are on their way reads
 * bytes twice.
 *
 * From a socket of datagrams or sequenced packets one message is read, whole: one that is longer
 * than `size` is `ERR_IOL_TOO_LARGE` and stays; one of no bytes is an empty aggregate. From an
 * eventfd, a timerfd or an inotify descriptor come the records of read(2), for which `size` must be
 * large enough (EINVAL). Files that the kernel makes on the way (`/proc`, `/sys`) give what one
 * read(2) gives, up to 64 KiB.
 *
 * A read into a pool that was asked for has at most 16 MiB of a file. When there is no room for so
 * much a read is short, too; `ERR_IOL_POOL_FULL` and its like mean that there
 * is none at all. A message is read whole or not at all.
 *
 * Cost: what is cached and asked for by position, two system calls and no copy; else one system call
 * (pipes, sockets) or two thread switches and the disk (files).
 *
 * @returns an aggregate of at least one byte (but see above), which may be short, or null at the
 * end. Yours to dispose.
 * @throws {IolError} `ERR_IOL_SYSTEM` (EBADF also for a descriptor that was closed while it was
 * waited for, EISDIR, ESPIPE for a position in what has none, …), `ERR_IOL_FILE_CHANGED` when
 * somebody else never lets the file rest, `ERR_IOL_ABORTED`, `ERR_IOL_CLOSED` when the window is
 * closed meanwhile, and those of {@link Pool.allocate}.
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
  const targets = targetsOf(options.pool);
  const isUpgrade = upgradeOf(options.upgrade);
  if (isUpgrade && options.pool !== undefined) {
    throw invalidValue('options.pool', 'is not for upgraded pipes', options.pool);
  }
  if (source instanceof Channel) {
    refusePosition(position);
    if (options.pool !== undefined) {
      throw invalidValue('options.pool', 'is not for channels', options.pool);
    }
    if (signal?.aborted) throw abortedError(signal);
    handleOf(source);
    return size === 0 ? Aggregate.empty() : await readChannel(source, size, signal);
  }
  if (isStream(source)) {
    refusePosition(position);
    if (signal?.aborted) throw abortedError(signal);
    if (size === 0) return Aggregate.empty();
    return await readFromStream(source, size, { pool: options.pool, signal });
  }
  const fd = descriptorOf(source, 'source');
  if (size === 0) return Aggregate.empty();
  if (signal?.aborted) throw abortedError(signal);
  const pipe = position >= 0 ? undefined : pipeReaderOf(fd, isUpgrade);
  if (pipe !== undefined) return await readPipe(pipe, fd, size, targets, signal);
  if (!waitingReads.isBusy(fd)) {
    const handle = native.ioTryRead(targets.pool, fd, size, position, targets.cache);
    if (handle === ioEnd) return null;
    if (handle === ioFile) return await readFile(fd, size, position, targets, signal);
    if (handle !== ioNotNow) return adoptAggregate(handle, scratch[0]!);
  } else if (position >= 0) {
    native.ioTryRead(targets.pool, fd, 0, position, targets.cache); // Fails: ESPIPE.
  }
  return await readWhenReady(fd, size, targets, signal);
}

async function readPipe(
  pipe: PipeReader,
  fd: number,
  size: number,
  { pool }: Targets,
  signal: AbortSignal | undefined,
): Promise<Aggregate | null> {
  if (!waitingReads.isBusy(fd) && !isTurnDue()) {
    const bytes = pipe.tryRead(size, pool);
    if (bytes !== undefined) return bytes;
  }
  let hasRead = false;
  const read = (): Promise<Aggregate | null> => pipe.read(size, pool, signal, () => (hasRead = true));
  return orAborted(waitingReads.inTurn(fd, read), signal, (late) => late?.dispose(), () => hasRead);
}

/** Of what is no file, after the reads that wait for it already. */
function readWhenReady(
  fd: number,
  size: number,
  { pool }: Targets,
  signal: AbortSignal | undefined,
): Promise<Aggregate | null> {
  let hasRead = false;
  const read = async (): Promise<Aggregate | null> => {
    for (;;) {
      if (signal?.aborted) throw abortedError(signal);
      await ready(fd, false, signal);
      if (signal?.aborted) throw abortedError(signal);
      const handle = native.ioTryRead(pool, fd, size, -1, 0);
      if (handle === ioNotNow) continue;
      // Why: given up from now on, its bytes would be lost.
      hasRead = true;
      return handle === ioEnd ? null : adoptAggregate(handle, scratch[0]!);
    }
  };
  return orAborted(waitingReads.inTurn(fd, read), signal, (late) => late?.dispose(), () => hasRead);
}

async function readFile(
  fd: number,
  size: number,
  position: number,
  { pool, cache }: Targets,
  signal: AbortSignal | undefined,
): Promise<Aggregate | null> {
  const taken = signal === undefined || position >= 0 ? undefined : new Uint8Array(1);
  const read = async (): Promise<number> => {
    // Why: who gave up while he waited for his turn has not read, the next one gets the bytes.
    if (signal?.aborted) throw abortedError(signal);
    // Why not the cache of the call: it may have been closed meanwhile.
    const now = cache === 0 ? 0 : cacheNow(pool);
    return native.ioReadFile(pool, fd, size, position, now, taken);
  };
  const isTooLate = (): boolean => {
    if (taken?.[0] === 2) return true;
    taken?.fill(1);
    return false;
  };
  const work = position < 0 ? inTurn(fd, read) : read();
  return orEnd(await orAborted(work, signal, (late) => native.aggregateDispose(late), isTooLate));
}

/**
 * Like {@link iolRead}, waiting on this thread. It goes before promised reads of a pipe or socket
 * that still wait.
 *
 * @throws {IolError} as iolRead; `ERR_IOL_BUSY` at the own position of a file while promised reads
 * or writes of the same descriptor are on their way: it would overtake them.
 */
export function iolReadSync(
  source: Descriptor,
  size: number,
  options: ReadOptions = {},
): Aggregate | null {
  validateInteger(size, 'size');
  validateObject(options, 'options');
  const position = positionOf(options.position);
  const { pool, cache } = targetsOf(options.pool);
  checkNoStream(source, 'source');
  const fd = descriptorOf(source, 'source');
  if (size === 0) return Aggregate.empty();
  if (upgradeOf(options.upgrade) || isUpgraded(fd)) {
    throw new IolError('ERR_IOL_UNSUPPORTED', 'An upgraded pipe cannot be waited for on this thread: use a promise');
  }
  for (;;) {
    const handle = native.ioTryRead(pool, fd, size, position, cache);
    if (handle === ioEnd) return null;
    if (handle === ioFile) {
      if (position < 0) checkIdle(fd);
      return orEnd(native.ioReadFileSync(pool, fd, size, position, cache));
    }
    if (handle !== ioNotNow) return adoptAggregate(handle, scratch[0]!);
    native.ioWaitSync(fd, false);
  }
}

function checkNoStream(value: unknown, name: string): void {
  const isChannel = value instanceof Channel;
  if (!isChannel && !isStream(value)) return;
  const message = `The ${name} is a ${isChannel ? 'channel' : 'stream'}, which cannot be waited for on this thread: use a promise`;
  throw new IolError('ERR_IOL_UNSUPPORTED', message);
}

/** Holds of its own on what is to be written, for as long as that takes. */
function heldFor(bytes: BytesLike): Aggregate {
  checkBytesLike(bytes, 'bytes');
  if (!(bytes instanceof HeldBytes)) return Aggregate.from(bytes);
  return adoptAggregate(native.aggregateConcat(handleOf(bytes)), scratch[0]!, false);
}

/** The same failure, with what had been written before it. */
function withBytesWritten(error: unknown, bytesWritten: number): unknown {
  if (bytesWritten === 0 || !isIolError(error) || error.bytesWritten !== undefined) return error;
  return Object.assign(error, { bytesWritten });
}

/**
 * Writes all bytes. Several writes to one descriptor follow each other in the order of the calls.
 *
 * To a regular file the slices take the place of what is cached there, by reference, and are then
 * written out: the next {@link iolRead} of them gives the same addresses. Reads of this process see
 * the whole write or nothing of it. When it fails, nothing of the file stays cached.
 *
 * To a socket of datagrams or sequenced packets all of it is one message, also when it is empty.
 *
 * @param bytes an aggregate or a buffer, sent where it lies; strings and arrays are copied first.
 * @returns the bytes written.
 * @throws {IolError} `ERR_IOL_SYSTEM` (EPIPE, ENOSPC, EDQUOT, EFBIG, EIO, …), `ERR_IOL_ABORTED`,
 * `ERR_IOL_CLOSED` when the window is closed meanwhile: with `bytesWritten` when a part of it was
 * written. `ERR_IOL_TOO_MANY_SLICES` for a message of more than 1024. A stream rejects with its own
 * error.
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
  const sync = syncOf(options.fsync);
  const isUpgrade = upgradeOf(options.upgrade);
  if (sink instanceof Channel) {
    refusePosition(position);
    refuseSync(sync, options.fsync);
    using held = heldFor(bytes);
    await sink.send(held, undefined, { signal });
    return held.byteLength;
  }
  if (isStream(sink)) {
    refusePosition(position);
    refuseSync(sync, options.fsync);
    using held = heldFor(bytes);
    if (signal?.aborted) throw abortedError(signal);
    return await writeToStream(sink, held, { signal });
  }
  const fd = descriptorOf(sink, 'sink');
  using held = heldFor(bytes);
  if (signal?.aborted) throw abortedError(signal);
  const job: WriteJob = { fd, bytes: held, position, sync, isUpgrade, signal, written: 0 };
  try {
    return await orAborted(inTurn(fd, () => writeAll(job)), signal, () => {});
  } catch (error) {
    throw withBytesWritten(error, job.written);
  }
}

interface WriteJob {
  readonly fd: number;
  readonly bytes: Aggregate;
  readonly position: number;
  readonly sync: number;
  readonly isUpgrade: boolean;
  readonly signal: AbortSignal | undefined;
  written: number;
}

async function writeAll(job: WriteJob): Promise<number> {
  const { fd, bytes, position, sync, signal } = job;
  // Why first: who gave up while he waited for his turn has let go of the bytes.
  if (signal?.aborted) throw abortedError(signal);
  const handle = handleOf(bytes);
  const { byteLength } = bytes;
  const isPlain = position >= 0 || sync !== 0 || byteLength === 0;
  if (job.isUpgrade && !isPlain && await writeByName(fd, bytes, signal)) {
    return (job.written = byteLength);
  }
  do {
    if (signal?.aborted) throw abortedError(signal);
    const moved = native.ioTryWrite(fd, handle, job.written, position, sync, 0);
    if (moved === ioFile) {
      const cache = handleOf(FileCache.default());
      return await native.ioWriteFile(fd, handle, 0, position, sync, cache);
    }
    if (moved === ioNotNow) await ready(fd, true, signal);
    else job.written += moved;
  } while (job.written < byteLength);
  return job.written;
}

/**
 * Like {@link iolWrite}, waiting on this thread. Not for streams.
 *
 * @throws {IolError} as iolWrite; `ERR_IOL_BUSY` while promised writes, or reads at the own position,
 * of the same descriptor are on their way: it would overtake them.
 */
export function iolWriteSync(
  sink: Descriptor,
  bytes: BytesLike,
  options: WriteOptions = {},
): number {
  validateObject(options, 'options');
  const position = positionOf(options.position);
  const sync = syncOf(options.fsync);
  upgradeOf(options.upgrade); // Only checked: without a turn of the loop no reader can be asked.
  checkNoStream(sink, 'sink');
  const fd = descriptorOf(sink, 'sink');
  using held = heldFor(bytes);
  checkIdle(fd);
  const handle = handleOf(held);
  const { byteLength } = held;
  let written = 0;
  try {
    do {
      const moved = native.ioTryWrite(fd, handle, written, position, sync, 0);
      if (moved === ioFile) {
        const cache = handleOf(FileCache.default());
        return native.ioWriteFileSync(fd, handle, 0, position, sync, cache);
      }
      if (moved === ioNotNow) native.ioWaitSync(fd, true);
      else written += moved;
    } while (written < byteLength);
  } catch (error) {
    throw withBytesWritten(error, written);
  }
  return written;
}
