/**
 * The encodings of text: some the engine writes and reads itself, where the bytes lie; the others are
 * Node's work, on a copy.
 */
import { invalidType, invalidValue } from '../validate';

/** As in the addon (node/aggregate_call.h); what Node does is none of its numbers. */
export const utf8 = 0;
export const latin1 = 1;
export const utf16 = 2;
export const nodes = -1;

const codes = new Map<string, number>([
  ['utf8', utf8], ['utf-8', utf8], ['latin1', latin1], ['binary', latin1],
  ['ucs2', utf16], ['ucs-2', utf16], ['utf16le', utf16], ['utf-16le', utf16],
  ['ascii', nodes], ['hex', nodes], ['base64', nodes], ['base64url', nodes],
]);

/** The number of an encoding by any of Node's names for it. */
export function encodingCode(encoding: unknown): number {
  if (encoding === undefined || encoding === 'utf8') return utf8;
  if (typeof encoding !== 'string') throw invalidType('encoding', 'of type string', encoding);
  const code = codes.get(encoding) ?? codes.get(encoding.toLowerCase());
  if (code === undefined) {
    throw invalidValue('encoding', 'is not an encoding that Node knows', encoding);
  }
  return code;
}

/** The least characters that so many bytes become. */
export function charactersOf(encoding: BufferEncoding, byteLength: number): number {
  switch (encoding.toLowerCase()) {
    case 'hex': return byteLength * 2;
    case 'base64': return Math.ceil(byteLength / 3) * 4;
    case 'base64url': return Math.ceil((byteLength * 4) / 3);
    case 'latin1': case 'binary': case 'ascii': return byteLength;
    case 'utf8': case 'utf-8': return Math.ceil(byteLength / 3);
    default: return Math.floor(byteLength / 2);
  }
}
