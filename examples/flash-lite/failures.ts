// Which status answers an error of the library or of Node, and whether an operator should know.

import { getSystemErrorName } from 'node:util';

import { isIolError } from 'io-lite';

const kMissing = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EINVAL']);
const kForbidden = new Set(['EACCES', 'EPERM']);
const kShortOfMemory = new Set([
  'ENOMEM', 'ERR_IOL_POOL_FULL', 'ERR_IOL_WINDOW_FULL', 'ERR_IOL_NO_MEMORY',
]);
const kShortOfDescriptors = new Set(['EMFILE', 'ENFILE']);
const kBusy = new Set([
  ...kShortOfMemory, ...kShortOfDescriptors, 'EAGAIN', 'ERR_IOL_FILE_CHANGED',
]);

// `ENOENT` and the like for a failed system call, else the error's own code.
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { code, errno } = error as NodeJS.ErrnoException;
  if (isIolError(error) && code === 'ERR_IOL_SYSTEM' && typeof errno === 'number' && errno !== 0) {
    return getSystemErrorName(-Math.abs(errno));
  }
  return code ?? '';
}

export function statusOf(error: unknown): 403 | 404 | 500 | 503 {
  const reason = reasonOf(error);
  if (kMissing.has(reason)) return 404;
  if (kForbidden.has(reason)) return 403;
  return kBusy.has(reason) ? 503 : 500;
}

export function isMissing(error: unknown): boolean {
  return kMissing.has(reasonOf(error));
}

export function isNotRegular(error: unknown): boolean {
  const reason = reasonOf(error);
  return reason === 'ERR_IOL_NOT_REGULAR' || reason === 'EISDIR';
}

export function isShortOfDescriptors(error: unknown): boolean {
  return kShortOfDescriptors.has(reasonOf(error));
}

export function isShortOfMemory(error: unknown): boolean {
  return kShortOfMemory.has(reasonOf(error));
}

export function hasChanged(error: unknown): boolean {
  return reasonOf(error) === 'ERR_IOL_FILE_CHANGED';
}

// What is wrong with a setting, told by whoever knows where it was set.
export class SettingProblem extends Error {
  constructor(readonly setting: string, message: string) {
    super(message);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const kExplanations: Record<string, string> = {
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOENT: 'it does not exist',
  ENOTDIR: 'it does not exist',
};

// For an operator.
export function explain(error: unknown): string {
  const reason = reasonOf(error);
  const explanation = kExplanations[reason];
  return explanation === undefined ? messageOf(error) : `${explanation} (${reason})`;
}
