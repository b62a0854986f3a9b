// What no good client sends: malformed, oversized and smuggling-shaped requests, and what must come
// of each. Every one ends its connection or asks for its end, so that one answer at most may come.
//
// The facts are those of RFC 9110 and 9112; the shapes are well known (request smuggling, desync).

export interface BadRequest {
  readonly name: string;
  readonly bytes: string;
  /** The answers that are right. Closing without one is right when `mayBeMute`. */
  readonly statuses: readonly number[];
  /** The answer may be lost to a reset: the server closes while the client still sends. */
  readonly mayBeMute?: boolean;
}

/** A request that must never be answered: it is in the body, or behind a head that was refused. */
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

const one = (name: string, bytes: string, ...statuses: number[]): BadRequest => ({ name, bytes, statuses });
const get = (name: string, target: string, fields: string, ...statuses: number[]): BadRequest =>
  one(name, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n`, ...statuses);
const post = (name: string, fields: string, body: string, ...statuses: number[]): BadRequest =>
  one(name, `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`, ...statuses);
const mute = (request: BadRequest): BadRequest => ({ ...request, mayBeMute: true });

const chunked = 'Transfer-Encoding: chunked\r\n';

export const badRequests: readonly BadRequest[] = [
  one('bare LF', `GET / HTTP/1.1\nHost: a\n\n${smuggled}`, 400),
  one('bare LF at the end of a field', `GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n${smuggled}`, 400),
  one('bare LF at the end of the head', `GET / HTTP/1.1\r\nHost: a\r\n\n${smuggled}`, 400),
  one('bare CR in a value', `GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: z\r\n\r\n${smuggled}`, 400),
  one('CR CR LF', `GET / HTTP/1.1\r\nHost: a\r\r\n\r\n${smuggled}`, 400),
  post('length and chunked', `Content-Length: 5\r\n${chunked}`, `0\r\n\r\n${smuggled}`, 400),
  post('chunked and length', `${chunked}Content-Length: 5\r\n`, `0\r\n\r\n${smuggled}`, 400),
  post('two lengths', 'Content-Length: 0\r\nContent-Length: 44\r\n', smuggled, 400),
  post('the same length twice', 'Content-Length: 0\r\nContent-Length: 0\r\n', smuggled, 400),
  post('a list of lengths', 'Content-Length: 0, 0\r\n', smuggled, 400),
  ...['+5', '-1', '0x5', '5 5', '18446744073709551616', '', '1e1', '5;', '\u00b2'].map((length) =>
    post(`length ${JSON.stringify(length)}`, `Content-Length: ${length}\r\n`, smuggled, 400)),
  post('a space before the colon of the length', 'Content-Length : 5\r\n', smuggled, 400),
  post('a tab before the colon of the coding', 'Transfer-Encoding\t: chunked\r\n', smuggled, 400),
  post('gzip, chunked', 'Transfer-Encoding: gzip, chunked\r\n', smuggled, 501),
  post('chunked, identity', 'Transfer-Encoding: chunked, identity\r\n', smuggled, 400, 501),
  post('xchunked', 'Transfer-Encoding: xchunked\r\n', smuggled, 400, 501),
  post('chunked twice', `${chunked}${chunked}`, `0\r\n\r\n${smuggled}`, 400),
  post('a vertical tab before chunked', 'Transfer-Encoding: \x0bchunked\r\n', smuggled, 400),
  post('chunked in quotes', 'Transfer-Encoding: "chunked"\r\n', smuggled, 400, 501),
  one('chunked in HTTP/1.0', `POST / HTTP/1.0\r\nHost: a\r\n${chunked}\r\n0\r\n\r\n${smuggled}`, 400),
  one('a folded line', `GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n${smuggled}`, 400),
  one('a first line of white space', `GET / HTTP/1.1\r\n Host: a\r\n\r\n${smuggled}`, 400),
  one('NUL in a value', `GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n${smuggled}`, 400),
  one('NUL in a name', `GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n${smuggled}`, 400),
  one('NUL in the target', `GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('a line without a colon', `GET / HTTP/1.1\r\nHost: a\r\nxyz\r\n\r\n${smuggled}`, 400),
  one('an empty name', `GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n${smuggled}`, 400),
  one('no Host', `GET / HTTP/1.1\r\n\r\n${smuggled}`, 400),
  one('two Hosts', `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${smuggled}`, 400),
  one('a Host with a path', `GET / HTTP/1.1\r\nHost: a/b\r\n\r\n${smuggled}`, 400),
  one('a Host with a user', `GET / HTTP/1.1\r\nHost: a@b\r\n\r\n${smuggled}`, 400),
  one('HTTP/2.0', `GET / HTTP/2.0\r\nHost: a\r\n\r\n${smuggled}`, 505),
  one('HTTP/1.2', `GET / HTTP/1.2\r\nHost: a\r\n\r\n${smuggled}`, 505),
  one('HTTP/1.10', `GET / HTTP/1.10\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('http/1.1', `GET / http/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('HTTP/0.9', `GET /\r\n\r\n${smuggled}`, 400),
  one('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 505),
  one('two spaces', `GET  / HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('a space in the target', `GET /a b HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('a fragment', `GET /#a HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('a byte above ASCII in the target', `GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('no slash', `GET a HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('a TLS hello', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n', 400),
  one('an endless method', `${'A'.repeat(200)} / HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400, 501),
  one('rubbish', '\xff\xfe\xfd\r\n\r\n', 400),
  mute(one('a header line of 100 kB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`, 431)),
  mute(one('a target of 20 kB', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414)),
  mute(one('500 fields', `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(500)}\r\n`, 431)),
  get('a bad escape', '/%zz', '', 400),
  get('half an escape', '/%4', '', 400),
  get('an encoded NUL', '/%00', '', 400),
  get('no UTF-8', '/%c0%ae%c0%ae/x', '', 400),
  get('a way out', '/../../etc/passwd', '', 400, 403, 404),
  get('an encoded way out', '/%2e%2e%2f%2e%2e%2fetc/passwd', '', 400, 403, 404),
  get('a way out with backslashes', '/..\\..\\etc', '', 400, 403, 404),
  one('absolute-form without a host', `GET http:///1 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('absolute-form with a user', `GET http://u:p@a/1 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('absolute-form of another scheme', `GET ftp://a/1 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('absolute-form with a bad port', `GET http://a:b/1 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400),
  one('absolute-form without Host', `GET http://a/1 HTTP/1.1\r\n\r\n${smuggled}`, 400),
  get('absolute-form with a bad escape', 'http://a/%zz', '', 400),
  get('absolute-form with a way out', 'http://a/../../etc/passwd', '', 400, 403, 404),
  get('absolute-form beside another Host', 'http://b/1', '', 200),
  get('absolute-form without a path', 'http://a?/1', '', 404),
  get('a range far out', '/1', 'Range: bytes=99999999999999999999-\r\n', 416),
  get('a thousand ranges', '/1', `Range: bytes=${'0-0,'.repeat(1000)}0-0\r\n`, 200, 206, 400, 416),
  get('overlapping ranges', '/1', `Range: bytes=${'0-,'.repeat(100)}0-\r\n`, 200, 206, 400, 416),
  get('a range of rubbish', '/1', 'Range: bytes=--\r\n', 200, 400, 416),
  get('an unknown expectation', '/1', 'Expect: miracles\r\n', 417),
  one('a length in a body', `GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`, 200, 400, 413),
  one('a tunnel', `CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, 400, 405, 501),
  one('a method of its own', 'BREW / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 405, 501),
  one('TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 405, 501),
  post('a chunk size of rubbish', `Connection: close\r\n${chunked}`, `zz\r\n${smuggled}`, 400, 405),
  post('a negative chunk size', `Connection: close\r\n${chunked}`, `-1\r\n${smuggled}`, 400, 405),
  post('a chunk size above 2^64', `Connection: close\r\n${chunked}`, `10000000000000000\r\n${smuggled}`, 400, 405, 413),
  post('a chunk that is longer than it says', `Connection: close\r\n${chunked}`, `1\r\nabc\r\n0\r\n\r\n${smuggled}`, 400, 405),
];
