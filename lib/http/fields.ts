/**
 * Header lines as one object, joined as Node's `http` does it.
 */
import type { IncomingHttpHeaders } from 'node:http';

// Of these Node keeps the first one only.
const single = new Set([
  'age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host',
  'if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards',
  'proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent',
]);

/** From names and values in turn. The object has no prototype: every name in it was received. */
export function joinFields(rawHeaders: readonly string[]): IncomingHttpHeaders {
  const headers = Object.create(null) as IncomingHttpHeaders;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    const value = rawHeaders[i + 1]!;
    if (name === 'set-cookie') {
      (headers[name] ??= []).push(value);
      continue;
    }
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (!single.has(name)) headers[name] = `${before as string}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return headers;
}
