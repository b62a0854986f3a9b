/**
 * Preconditions and ranges of GET and HEAD (RFC 9110 sections 13 and 14), for whoever answers them:
 * pure functions of header values and of what is there.
 */
import { validateInteger, validateString } from '../validate';
import { parseHttpDate } from './date';

/** What one version of a resource is told by. */
export interface Validators {
  /** Quoted, with `W/` before it when it is weak. */
  readonly etag?: string | undefined;
  /** An HTTP date. */
  readonly lastModified?: string | undefined;
}

/** The value of a header by its name in lower case; several of one name joined by `', '`. */
export type HeaderLookup = (name: string) => string | undefined;

/**
 * Whether to send the resource, to answer 304, or to answer 412: in the order of section 13.2.2. A date
 * counts only where the entity tag was not asked for, and one that is no HTTP date does not count.
 */
export function evaluateConditions(
  header: HeaderLookup, validators: Validators,
): 'send' | 'not-modified' | 'failed' {
  const { etag, lastModified } = validators;
  const modified = dateOf(lastModified);
  const ifMatch = header('if-match');
  if (ifMatch !== undefined) {
    if (!matchesAny(ifMatch, etag, true)) return 'failed';
  } else {
    const since = dateOf(header('if-unmodified-since'));
    if (since !== undefined && modified !== undefined && modified > since) return 'failed';
  }
  const ifNoneMatch = header('if-none-match');
  if (ifNoneMatch !== undefined) {
    return matchesAny(ifNoneMatch, etag, false) ? 'not-modified' : 'send';
  }
  const since = dateOf(header('if-modified-since'));
  const isOld = since !== undefined && modified !== undefined && modified <= since;
  return isOld ? 'not-modified' : 'send';
}

/**
 * Whether Range may be looked at: If-Range is absent or names exactly this version by a strong entity
 * tag. Never by a date: a file may be replaced twice within one second, so a date is a weak validator
 * (section 8.8.2.2), and the client would put parts of two versions together.
 */
export function allowsRange(header: HeaderLookup, { etag }: Validators): boolean {
  const ifRange = header('if-range');
  return ifRange === undefined || (ifRange === etag && !etag.startsWith('W/'));
}

function dateOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseHttpDate(text);
}

// Why white space is matched in one place only: two in a row take a time that is quadratic.
const entityTag = /[\t ]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[\t ]*)?(?:,|$)/y;

/** `*`, or a list of entity tags; a list that is none matches nothing. */
function matchesAny(list: string, etag: string | undefined, isStrong: boolean): boolean {
  if (list.trim() === '*') return true;
  if (etag === undefined) return false;
  const isWeak = etag.startsWith('W/');
  const opaque = isWeak ? etag.slice(2) : etag;
  if (isStrong && isWeak) return false;
  entityTag.lastIndex = 0;
  let isFound = false;
  while (entityTag.lastIndex < list.length) {
    const match = entityTag.exec(list);
    if (match === null) return false;
    if (match[2] === opaque && !(isStrong && match[1] !== undefined)) isFound = true;
  }
  return isFound;
}

/** A run of bytes of a resource. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** The same by where it begins and ends. */
interface Span {
  readonly offset: number;
  readonly end: number;
}

/**
 * More ranges than this in one request are nobody's need: the whole is sent. Who fetches what is new of a
 * large file asks for 20 at once (zsync). Each costs some 3 us, so that a request takes 200 us at most.
 */
const rangesMax = 64;
const rangeUnit = /^[\t ]*bytes=/i;
const blank = /^[\t ]*$/;
const oneRange = /^[\t ]*(\d*)-(\d*)[\t ]*$/;

/**
 * What a Range header asks for of `byteLength` bytes: the ranges in the order in which they were
 * asked for, those that overlap or touch joined in the place of their first; `'unsatisfiable'` (416); or
 * `'ignored'` for other units, rubbish, an empty resource and more than 64 list elements, which are
 * answered as if nothing had been asked.
 */
export function parseRange(
  text: string, byteLength: number,
): readonly ByteRange[] | 'unsatisfiable' | 'ignored' {
  validateString(text, 'text');
  validateInteger(byteLength, 'byteLength');
  const unit = rangeUnit.exec(text);
  if (unit === null) return 'ignored';
  const parts = text.slice(unit[0].length).split(',', rangesMax + 1);
  if (parts.length > rangesMax) return 'ignored';
  const spans: Span[] = [];
  let isUnsatisfiable = false;
  for (const part of parts) {
    // Section 5.6.1: a list may have empty elements, and they mean nothing.
    if (blank.test(part)) continue;
    const range = rangeOf(part, byteLength);
    if (range === 'ignored') return 'ignored';
    if (range === 'unsatisfiable') isUnsatisfiable = true;
    else spans.push(range);
  }
  if (spans.length === 0) return isUnsatisfiable ? 'unsatisfiable' : 'ignored';
  return joined(spans).map(({ offset, end }) => ({ offset, length: end - offset }));
}

/** Those that overlap or touch are one, in the place of their first. */
function joined(spans: readonly Span[]): Span[] {
  const byOffset = spans.map(({ offset, end }, place) => ({ offset, end, place }));
  const groups: typeof byOffset = [];
  for (const span of byOffset.sort((a, b) => a.offset - b.offset)) {
    const last = groups.at(-1);
    if (last === undefined || span.offset > last.end) {
      groups.push(span);
    } else {
      last.end = Math.max(last.end, span.end);
      last.place = Math.min(last.place, span.place);
    }
  }
  return groups.sort((a, b) => a.place - b.place);
}

function rangeOf(
  text: string, byteLength: number,
): Span | 'unsatisfiable' | 'ignored' {
  const match = oneRange.exec(text);
  if (match === null) return 'ignored';
  const [, first, last] = match as unknown as [string, string, string];
  if (first === '') {
    if (last === '') return 'ignored';
    if (Number(last) === 0) return 'unsatisfiable';
    if (byteLength === 0) return 'ignored';
    return { offset: Math.max(0, byteLength - Number(last)), end: byteLength };
  }
  const offset = Number(first);
  if (last !== '' && Number(last) < offset) return 'ignored';
  if (offset >= byteLength) return 'unsatisfiable';
  return { offset, end: last === '' ? byteLength : Math.min(Number(last) + 1, byteLength) };
}
