// Several ranges as one body: multipart/byteranges (RFC 9110 section 14.6).

import { randomBytes } from 'node:crypto';

import type { ByteRange } from 'io-lite/http';

// A text, or bytes of what is being sent.
export type Piece = string | ByteRange;

export interface Multipart {
  contentType: string;
  pieces: Piece[];
  byteLength: number;
}

export function multipartOf(
  ranges: readonly ByteRange[], byteLength: number, contentType: string,
): Multipart {
  // What nobody can foresee is in no file.
  const boundary = `flash-lite-${randomBytes(15).toString('hex')}`;
  // Why an empty line before the first, too: others send one, and zsync takes no answer without.
  const pieces = ranges.flatMap((range): Piece[] => [
    `\r\n--${boundary}\r\nContent-Type: ${contentType}\r\n` +
    `Content-Range: ${contentRange(range, byteLength)}\r\n\r\n`, range,
  ]);
  pieces.push(`\r\n--${boundary}--\r\n`);
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    pieces,
    byteLength: pieces.reduce((sum, { length }) => sum + length, 0),
  };
}

export function contentRange({ offset, length }: ByteRange, byteLength: number): string {
  return `bytes ${offset}-${offset + length - 1}/${byteLength}`;
}
