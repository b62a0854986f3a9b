/**
 * A file of the server's, as a worker names it, and what the server says when it cannot be given.
 */
import { constants } from 'node:os';
import path from 'node:path';

import { errorTable } from '../error-codes.generated';
import { IolError, isIolError, type ErrorCode } from '../errors';
import { pathOf } from '../io/file-cache';
import { invalidValue } from '../validate';

const pathBytesMax = 4095;

const { EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR } = constants.errno;
const missing = [EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR].map((errno) => -errno);

/** The path's UTF-8, as the characters of latin1. */
export function pathText(name: unknown): string {
  const text = pathOf(name);
  if (!path.isAbsolute(text)) throw invalidValue('path', 'must be absolute', name);
  const bytes = Buffer.from(text);
  if (bytes.length > pathBytesMax) {
    throw invalidValue('path', `must be at most ${pathBytesMax} bytes long`, `${text.slice(0, 50)}...`);
  }
  return bytes.toString('latin1');
}

/** The error in the text of a FileRefused. */
export function fileError(text: string, errno: number): Error {
  const [code = '', syscall = '', ...rest] = Buffer.from(text, 'latin1').toString().split('\n');
  const message = rest.join('\n');
  if (Object.hasOwn(errorTable, code)) {
    const isSystem = code === 'ERR_IOL_SYSTEM';
    return new IolError(code as ErrorCode, message, isSystem ? { errno, syscall } : {});
  }
  if (code === 'ERR_OUT_OF_RANGE') return Object.assign(new RangeError(message), { code });
  return Object.assign(new Error(message), { code });
}

/** Whether there is no such file for those who ask. */
export function isMissingFile(error: Error): boolean {
  if (!isIolError(error)) return false;
  if (error.code === 'ERR_IOL_SYSTEM') return missing.includes(error.errno ?? 0);
  return error.code === 'ERR_IOL_REFUSED' || error.code === 'ERR_IOL_NOT_REGULAR';
}
