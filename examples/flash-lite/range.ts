// One byte range (RFC 9110 section 14). Several ranges, other units and nonsense are answered as if
// nothing had been asked, which the RFC allows; multipart/byteranges comes later.

export interface ByteRange {
  offset: number;
  length: number;
}

const kOneRange = /^bytes=[\t ]*(\d*)-(\d*)[\t ]*$/i;

export function parseRange(
  text: string, byteLength: number,
): ByteRange | 'unsatisfiable' | 'ignored' {
  const match = kOneRange.exec(text);
  if (match === null) return 'ignored';
  const [first, last] = [match[1] as string, match[2] as string];
  if (first === '') {
    if (last === '') return 'ignored';
    const length = Math.min(Number(last), byteLength);
    if (Number(last) === 0) return 'unsatisfiable';
    return length === 0 ? 'ignored' : { offset: byteLength - length, length };
  }
  const offset = Number(first);
  if (last !== '' && Number(last) < offset) return 'ignored';
  if (offset >= byteLength) return 'unsatisfiable';
  const end = last === '' ? byteLength : Math.min(Number(last) + 1, byteLength);
  return { offset, length: end - offset };
}
