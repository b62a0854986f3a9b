// Preconditions of a GET or HEAD (RFC 9110 section 13), evaluated against one version of a file.

import { parseHttpDate } from './http-date';

export interface Validators {
  etag: string;                      // Strong and quoted.
  lastModified: string | undefined;  // Absent when the file claims to come from the future.
}

export interface HeaderSource {
  header(name: string): string | undefined;
}

export type Verdict = 'send' | 'not-modified' | 'failed';

// In the order of section 13.2.2. A date counts only where the entity tag was not asked for.
export function evaluateConditions(request: HeaderSource, validators: Validators): Verdict {
  const ifMatch = request.header('if-match');
  if (ifMatch !== undefined) {
    if (!matchesAny(ifMatch, validators.etag, 'strong')) return 'failed';
  } else {
    const since = dateOf(request.header('if-unmodified-since'));
    const modified = dateOf(validators.lastModified);
    if (since !== undefined && modified !== undefined && modified > since) return 'failed';
  }
  const ifNoneMatch = request.header('if-none-match');
  if (ifNoneMatch !== undefined) {
    return matchesAny(ifNoneMatch, validators.etag, 'weak') ? 'not-modified' : 'send';
  }
  return isNotModifiedSince(request.header('if-modified-since'), validators.lastModified)
    ? 'not-modified' : 'send';
}

// Whether Range may be looked at: If-Range is absent or names exactly this version by its entity tag.
// Why never by a date: a file may be replaced twice within one second, so a date is a weak validator
// (section 8.8.2.2), and parts of two versions would be put together.
export function allowsRange(request: HeaderSource, validators: Validators): boolean {
  const ifRange = request.header('if-range');
  return ifRange === undefined || ifRange === validators.etag;
}

function isNotModifiedSince(since: string | undefined, lastModified: string | undefined): boolean {
  if (since === undefined || lastModified === undefined) return false;
  if (since === lastModified) return true;  // What browsers send: the date they were given.
  const sinceMs = parseHttpDate(since);
  return sinceMs !== undefined && (parseHttpDate(lastModified) as number) <= sinceMs;
}

function dateOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseHttpDate(text);
}

// Why white space is matched in one place only: two in a row take a time that is quadratic.
const kEntityTag = /[\t ]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[\t ]*)?(?:,|$)/y;

// `*`, or a list of entity tags; a list that is none matches nothing.
function matchesAny(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (list === etag || list.trim() === '*') return true;
  kEntityTag.lastIndex = 0;
  let isFound = false;
  while (kEntityTag.lastIndex < list.length) {
    const match = kEntityTag.exec(list);
    if (match === null) return false;
    if (match[2] === etag && (comparison === 'weak' || match[1] === undefined)) isFound = true;
  }
  return isFound;
}
