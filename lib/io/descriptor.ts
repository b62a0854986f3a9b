/**
 * Descriptors as the verbs see them: what stands for one, and waiting until one can move bytes.
 */
import { abortedError } from '../abort';
import { closedError, IolError } from '../errors';
import { onWindowClosed } from '../leaks';
import { native } from '../native';
import { invalidType, validateInteger } from '../validate';

declare module '../native' {
  interface NativeAddon {
    /** An aggregate, or `ioEnd`, `ioNotNow`, `ioFile`. What is cached needs a position here. */
    ioTryRead: (pool: number, fd: number, size: number, position: number, cache: number) => number;
    /** Bytes written, or `ioNotNow`, `ioFile`. `sync`: 0, 1 (data) or 2 (all). */
    ioTryWrite: (
      fd: number,
      aggregate: number,
      from: number,
      position: number,
      sync: number,
      cache: number,
    ) => number;
    /** `taken`: 0; set to 1 to give up; the job sets it to 2 before it moves the own position. */
    ioReadFile: (
      pool: number,
      fd: number,
      size: number,
      position: number,
      cache: number,
      taken?: Uint8Array,
    ) => Promise<number>;
    ioReadFileSync: (
      pool: number,
      fd: number,
      size: number,
      position: number,
      cache: number,
    ) => number;
    ioWriteFile: (
      fd: number,
      aggregate: number,
      from: number,
      position: number,
      sync: number,
      cache: number,
    ) => Promise<number>;
    ioWriteFileSync: (
      fd: number,
      aggregate: number,
      from: number,
      position: number,
      sync: number,
      cache: number,
    ) => number;
    ioWaitSync: (fd: number, isWrite: boolean) => void;
    /** `isSame`: the number is still of the file that was waited for. */
    ioWait: (fd: number, isWrite: boolean, done: (isSame: boolean) => void) => number;
    /** Keeps hold of what `fd` is now. */
    ioPin: (fd: number) => number;
    /** Whether the number of that wait or pin is still of the same open file. */
    ioIsSame: (waitOrPin: number) => boolean;
    ioCancel: (waitOrPin: number) => void;
  }
}

/** Answers of ioTryRead and ioTryWrite that are no handle or number of bytes. */
export const ioEnd = 0;
export const ioNotNow = -1;
export const ioFile = -2;

/** A descriptor's number, or an object that has one (`FileHandle`). */
export type Descriptor = number | { readonly fd: number };

export function descriptorOf(value: unknown, name: string): number {
  const isObject = typeof value === 'object' && value !== null;
  const fd: unknown = isObject ? (value as { fd?: unknown }).fd : value;
  if (typeof fd !== 'number') throw invalidType(name, 'a descriptor or have one as its fd', value);
  // Why -1: a closed FileHandle has it; the system says what is wrong with that.
  validateInteger(fd, name, isObject ? -1 : 0, 0x7fff_ffff);
  return fd;
}

interface Waiting {
  readonly fd: number;
  readonly wait: number;
  readonly isWrite: boolean;
  readonly end: (error: IolError) => void;
}

const waits = new Set<Waiting>();

onWindowClosed(() => {
  for (const { end } of [...waits]) end(closedError('window'));
});

export function closedMeanwhileError(fd: number, syscall: string): IolError {
  const message = `EBADF: descriptor ${fd} was closed while it was waited for, ${syscall}`;
  return new IolError('ERR_IOL_SYSTEM', message, { errno: -9, syscall });
}

/** Ends the waits for what had this number before it was closed; whether there were any. */
export function endStaleWaits(fd: number): boolean {
  const stale = [...waits].filter((each) => each.fd === fd && !native.ioIsSame(each.wait));
  for (const { isWrite, end } of stale) end(closedMeanwhileError(fd, isWrite ? 'write' : 'read'));
  return stale.length > 0;
}

/**
 * Settles when an attempt on `fd` is worth while; rejects when the signal says so, when the window
 * is closed, and when `fd` was closed meanwhile, as far as that is ever known: the kernel tells
 * nobody, so it is seen when the file next can move bytes, or the number is used again.
 */
export function ready(fd: number, isWrite: boolean, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error: IolError): void => {
      native.ioCancel(wait);
      settled();
      reject(error);
    };
    const onAbort = (): void => end(abortedError(signal!));
    const settled = (): void => {
      waits.delete(waiting);
      signal?.removeEventListener('abort', onAbort);
    };
    const wait = native.ioWait(fd, isWrite, (isSame) => {
      settled();
      if (isSame) return resolve();
      reject(closedMeanwhileError(fd, isWrite ? 'write' : 'read'));
    });
    const waiting: Waiting = { fd, wait, isWrite, end };
    waits.add(waiting);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
