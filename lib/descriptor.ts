/**
 * Descriptors as the verbs see them: what stands for one, and waiting until one can move bytes.
 */
import { abortedError } from './abort';
import { closedError, IolError } from './errors';
import { onWindowClosed } from './leaks';
import { native } from './native';
import { invalidType, validateInteger } from './validate';

declare module './native' {
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
    ioCancel: (wait: number) => void;
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

/** Each ends one wait because the window was closed. */
const waits = new Set<() => void>();

onWindowClosed(() => {
  for (const end of [...waits]) end();
});

/**
 * Settles when an attempt on `fd` is worth while; rejects when the signal says so, when the window
 * is closed, and when `fd` was closed meanwhile, as far as that is ever known: the kernel tells
 * nobody, so it is seen when the file next can move bytes.
 */
export function ready(fd: number, isWrite: boolean, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error: IolError): void => {
      native.ioCancel(wait);
      settled();
      reject(error);
    };
    const onAbort = (): void => end(abortedError(signal!));
    const onClosed = (): void => end(closedError('window'));
    const settled = (): void => {
      waits.delete(onClosed);
      signal?.removeEventListener('abort', onAbort);
    };
    const wait = native.ioWait(fd, isWrite, (isSame) => {
      settled();
      if (isSame) return resolve();
      const syscall = isWrite ? 'write' : 'read';
      const message = `EBADF: descriptor ${fd} was closed while it was waited for, ${syscall}`;
      reject(new IolError('ERR_IOL_SYSTEM', message, { errno: -9, syscall }));
    });
    waits.add(onClosed);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
