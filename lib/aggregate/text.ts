/**
 * Text in parts: decoding bit by bit, and line by line.
 */
import { validateBoolean, validateInteger, validateObject, validateOneOf } from '../validate';
import type { Aggregate } from './aggregate';
import { encodingCode, nodes, utf16, utf8 } from './encodings';
import type { HeldBytes } from './held-bytes';

/** How lines are wanted. */
export interface LineOptions {
  /** Default `string`. */
  as?: 'string' | 'aggregate';
  /** Of lines as strings. Default `utf8`. */
  encoding?: BufferEncoding;
  /** Leave `\n` or `\r\n` at the end of each line. Default false. */
  keepEnds?: boolean;
  /** Leave the `\r` of `\r\n` at the end of each line, although `\n` goes. Default false. */
  keepCr?: boolean;
}

const groupBytes: Record<string, number> = { base64: 3, base64url: 3 };

/** How many bytes the character has that begins with `lead`, in UTF-8; 1 when none does. */
function utf8Bytes(lead: number): number {
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  if (lead >= 0xe0) return lead < 0xf0 ? 3 : 1;
  return lead >= 0xc2 ? 2 : 1;
}

/** The last place up to `to` that cuts no character of UTF-8. */
function utf8Cut(held: HeldBytes, to: number): number {
  for (let back = 1; back <= 3; back++) {
    const byte = held.at(to - back)!;
    if (byte < 0x80) return to;
    if (byte >= 0xc0) return utf8Bytes(byte) > back ? to - back : to;
  }
  return to;
}

function utf16Cut(held: HeldBytes, from: number, to: number): number {
  const even = to - ((to - from) % 2);
  const isHighSurrogate = (held.at(even - 1)! & 0xfc) === 0xd8;
  return isHighSurrogate && even - 2 > from ? even - 2 : even;
}

/** Where a part of the text from `from` on ends that has up to `maxBytes` bytes. */
function cutOf(held: HeldBytes, encoding: BufferEncoding, from: number, maxBytes: number): number {
  const to = from + maxBytes;
  if (to >= held.byteLength) return held.byteLength;
  const code = encodingCode(encoding);
  if (code === utf8) return utf8Cut(held, to);
  if (code === utf16) return utf16Cut(held, from, to);
  if (code !== nodes) return to;
  return to - ((to - from) % (groupBytes[encoding.toLowerCase()] ?? 1));
}

/** See `HeldBytes.decode`. */
export function decoded(
  held: HeldBytes,
  encoding: BufferEncoding,
  maxBytes: number,
): IterableIterator<string> {
  encodingCode(encoding);
  // The longest character has four bytes.
  validateInteger(maxBytes, 'maxBytes', 4);
  return parts();
  function* parts(): IterableIterator<string> {
    for (let from = 0; from < held.byteLength; ) {
      const to = cutOf(held, encoding, from, maxBytes);
      yield held.toString(encoding, from, to);
      from = to;
    }
  }
}

const newline = 10;
const carriageReturn = 13;

/** See `HeldBytes.lines`. */
export function linesOf(
  held: HeldBytes,
  options: LineOptions,
): IterableIterator<Aggregate | string> {
  validateObject(options, 'options');
  const { as = 'string', encoding = 'utf8', keepEnds = false, keepCr = false } = options;
  validateOneOf(as, 'options.as', ['string', 'aggregate']);
  encodingCode(encoding);
  validateBoolean(keepEnds, 'options.keepEnds');
  validateBoolean(keepCr, 'options.keepCr');
  return lines();
  function* lines(): IterableIterator<Aggregate | string> {
    for (let from = 0; from < held.byteLength; ) {
      const end = held.indexOf(newline, from);
      const next = end < 0 ? held.byteLength : end + 1;
      let to = end < 0 || keepEnds ? next : end;
      if (end > from && to === end && !keepCr && held.at(end - 1) === carriageReturn) to--;
      yield as === 'string' ? held.toString(encoding, from, to) : held.slice(from, to);
      from = next;
    }
  }
}
