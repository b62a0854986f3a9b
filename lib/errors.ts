/**
 * How the library fails: one class with a code. Argument errors are Node's own (validate.ts).
 */
import { getSystemErrorMap } from 'node:util';

import { errorTable } from './error-codes.generated';

/** Every code that an {@link IolError} can have: a `switch` over it is checked for completeness. */
export type ErrorCode = keyof typeof errorTable;

const brand = Symbol.for('io-lite.error');

/** What an {@link IolError} has beyond code and message. */
export interface IolErrorOptions {
  /** The system's (negative) error number, as in Node's own errors. */
  errno?: number | undefined;
  /** The system call that failed. */
  syscall?: string | undefined;
  path?: string | undefined;
  /** Of a write that failed: what it had written before. */
  bytesWritten?: number | undefined;
  /** Of a request head that was refused: the status that answers it. */
  status?: number | undefined;
  /** Of a request head that was refused: `BareLf`, `HostMissing`, ... */
  reason?: string | undefined;
  cause?: unknown;
}

/** What every operation of this library throws or rejects with. Match on `code`. */
export class IolError extends Error {
  readonly code: ErrorCode;
  // Declared only: an error has the ones that apply and no others.
  declare readonly errno?: number;
  declare readonly syscall?: string;
  declare readonly path?: string;
  declare readonly bytesWritten?: number;
  declare readonly status?: number;
  declare readonly reason?: string;

  constructor(code: ErrorCode, message: string, options: IolErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.errno !== undefined) this.errno = options.errno;
    if (options.syscall !== undefined) this.syscall = options.syscall;
    if (options.path !== undefined) this.path = options.path;
    if (options.bytesWritten !== undefined) this.bytesWritten = options.bytesWritten;
    if (options.status !== undefined) this.status = options.status;
    if (options.reason !== undefined) this.reason = options.reason;
  }

  override get name(): string {
    return 'IolError';
  }

  /** True for an error of any copy of this library in the process. */
  get [brand](): true {
    return true;
  }
}

/** Like `instanceof IolError`, also across two copies of the library. */
export function isIolError(value: unknown): value is IolError {
  return typeof value === 'object' && value !== null && brand in value;
}

/** The error of a closed or released object: `closedError('aggregate')`. */
export function closedError(subject: string): IolError {
  return new IolError('ERR_IOL_CLOSED', `The ${subject} ${errorTable.ERR_IOL_CLOSED.message}`);
}

function systemError(
  syscall: string,
  errno: number,
  path: string | undefined,
  bytes: number,
): IolError {
  const [name, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  const what = path === undefined ? syscall : `${syscall} '${path}'`;
  return new IolError('ERR_IOL_SYSTEM', `${name}: ${text}, ${what}`, {
    errno: -errno,
    syscall,
    path,
    bytesWritten: bytes > 0 ? bytes : undefined,
  });
}

/** Makes the error of a native status. The addon calls it; nothing else does. */
export function makeNativeError(
  code: ErrorCode,
  message: string,
  subject: string,
  value: number,
  limit: number,
  errno: number,
  path?: string,
): IolError {
  let error: IolError;
  if (code === 'ERR_IOL_SYSTEM') {
    error = systemError(subject, errno, path, value);
  } else if (code === 'ERR_IOL_CLOSED') {
    error = closedError(subject);
  } else {
    const name = path === undefined ? subject : `${subject} '${path}'`;
    const figures = limit > 0 ? ` (asked ${value}, limit ${limit})` : '';
    error = new IolError(code, `${name}: ${message}${figures}`, { path });
  }
  // Why: the stack begins where the library was called, not in here.
  Error.captureStackTrace(error, makeNativeError);
  return error;
}
