// Byte ranges (RFC 9110 section 14). Other units and nonsense are answered as if nothing had been
// asked, which the RFC allows; so are more ranges than anybody needs.
//
// Why not the package range-parser: a suffix that is longer than the file is unsatisfiable to it,
// where the RFC wants the whole file.

export interface ByteRange {
  offset: number;
  length: number;
}

export const kRangesMax = 50;

const kRange = /^(\d*)-(\d*)$/;

// What is satisfiable, in the order in which it was asked for, at least one; ranges that overlap or
// touch are one.
export function parseRanges(
  text: string, byteLength: number,
): ByteRange[] | 'unsatisfiable' | 'ignored' {
  const specs = /^bytes=(.*)$/i.exec(text)?.[1]?.split(',', kRangesMax + 1) ?? [];
  if (specs.length > kRangesMax) return 'ignored';
  const ranges: ByteRange[] = [];
  let isAsked = false;
  for (const spec of specs) {
    const trimmed = spec.trim();
    if (trimmed === '') continue;  // Lists may have empty elements (section 5.6.1).
    const range = rangeOf(trimmed, byteLength);
    if (range === 'ignored') return 'ignored';
    isAsked = true;
    if (range !== 'unsatisfiable') ranges.push(range);
  }
  if (!isAsked) return 'ignored';
  return ranges.length === 0 ? 'unsatisfiable' : merged(ranges);
}

function rangeOf(spec: string, byteLength: number): ByteRange | 'unsatisfiable' | 'ignored' {
  const match = kRange.exec(spec);
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

// Each where the first of its ranges was asked for (section 15.3.7.2).
function merged(ranges: readonly ByteRange[]): ByteRange[] {
  if (ranges.length === 1) return [...ranges];
  const places = ranges
    .map((range, place) => ({ ...range, place }))
    .sort((a, b) => a.offset - b.offset);
  const result: typeof places = [];
  for (const next of places) {
    const last = result.at(-1);
    if (last === undefined || next.offset > last.offset + last.length) {
      result.push(next);
      continue;
    }
    last.length = Math.max(last.length, next.offset + next.length - last.offset);
    last.place = Math.min(last.place, next.place);
  }
  return result
    .sort((a, b) => a.place - b.place)
    .map(({ offset, length }) => ({ offset, length }));
}
