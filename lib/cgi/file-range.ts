/**
 * Which bytes of which file a worker asks for.
 */
import { outOfRange } from '../validate';

/** Checked as far as that can be done without the file. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  /** -1: to the end. */
  readonly length: number;
}

/** The range in a frame's text and length; undefined when they are malformed. */
export function parseFileRange(text: string, length: number): FileRange | undefined {
  const [, digits, bytes] = /^(\d{1,16}) (\/[^\0]*)$/.exec(text) ?? [];
  if (digits === undefined || bytes === undefined) return undefined;
  const offset = Number(digits);
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || length < -1) return undefined;
  return { path: Buffer.from(bytes, 'latin1').toString(), offset, length };
}

/** How many bytes of a file of `byteLength` bytes. */
export function bytesAsked({ path, offset, length }: FileRange, byteLength: number): number {
  if (offset > byteLength) {
    throw outOfRange('offset', `<= ${byteLength}, the length of '${path}'`, offset);
  }
  if (length > byteLength - offset) {
    throw outOfRange('length', `<= ${byteLength - offset}, the rest of '${path}'`, length);
  }
  return length < 0 ? byteLength - offset : length;
}
