/**
 * Answers of Node's own `http` server, Express and Fastify, with bytes of the window.
 *
 *   replyWith(response, aggregate | cached file)
 *     conditions, range, head            like any file server
 *     parts of at most 1 MiB             views of the bytes where they lie, until the socket took them
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { ServerResponse as Response } from 'node:http';
import { extname } from 'node:path';

import { contentType } from 'mime-types';

import { HeldBytes, type Aggregate } from '../aggregate/aggregate';
import { CachedFile } from '../io/file-cache';
import { iolWrite } from '../io/io';
import { isGone } from '../io/streams-write';
import { invalidType, validateBoolean, validateInteger, validateObject } from '../validate';
import { allowsRange, evaluateConditions, parseRange, type ByteRange } from './conditions';
import { formatHttpDate } from './date';

/** What {@link replyWith} is told beside the bytes. */
export interface ReplyOptions {
  /** Default: what the response has, which is 200 at first. */
  status?: number | undefined;
  /** Header fields beside those that the response has; Node checks names and values. */
  headers?: OutgoingHttpHeaders | undefined;
  /** Answer If-Match, If-None-Match and their dates with 304 and 412. Default true. */
  conditions?: boolean | undefined;
  /** Answer Range with 206 and 416. Default true. */
  ranges?: boolean | undefined;
}

/** What a reply can be made of. */
export type ReplyBody = HeldBytes | CachedFile | null;

/** Read, and held for the socket, at a time. */
export const partBytesMax = 1 << 20;

/**
 * Answers a request of Node's `http` server. `Content-Length` is set; of a cached file also
 * `Content-Type`, `ETag`, `Last-Modified` and `Accept-Ranges`, unless the response or `headers` has
 * them. Conditions count where there is a validator, ranges where the status is 200 and the method
 * GET; several ranges that do not touch are answered with the whole. HEAD gets the head.
 *
 * Borrows the body until the promise settles: true when the socket has taken all of it, false when
 * the client left before. Rejects with what reading the file can answer (`ERR_IOL_FILE_CHANGED`, a
 * full pool), and with Node's errors for headers: before the head was given nothing was sent, and
 * later the connection is cut.
 *
 * @remarks No byte is copied in user space on a plain connection, but for slices below 2 KiB, which
 * are joined (`coalesce`). Under TLS, HTTP/2, and before a pipelined answer's turn, Node keeps
 * chunks: those are copies (`copyOut`). At most 1 MiB of a file is held at a time.
 */
export async function replyWith(
  response: ServerResponse, body: ReplyBody, options: ReplyOptions = {},
): Promise<boolean> {
  if (!(response instanceof Response)) {
    throw invalidType('response', 'an instance of http.ServerResponse', response);
  }
  if (body !== null && !(body instanceof HeldBytes) && !(body instanceof CachedFile)) {
    throw invalidType('body', 'an instance of Aggregate, IolBuffer or CachedFile, or null', body);
  }
  validateObject(options, 'options');
  const { status, headers = {}, conditions = true, ranges = true } = options;
  if (status !== undefined) validateInteger(status, 'options.status', 200, 599);
  validateObject(headers, 'options.headers');
  validateBoolean(conditions, 'options.conditions');
  validateBoolean(ranges, 'options.ranges');
  if (isGone(response)) return false;
  return orAsBefore(response, async () => {
    if (status !== undefined) response.statusCode = status;
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) response.setHeader(name, value);
    }
    if (body === null) {
      endWithout(response, hasBody(response.statusCode) ? 0 : undefined);
      return true;
    }
    if (body instanceof CachedFile) describeFile(response, body, ranges);
    return giveSelection(response, body, { conditions, ranges });
  });
}

/** @internal After a failure before the head was sent, the response is as it was: for an error page. */
export async function orAsBefore(
  response: ServerResponse, give: () => Promise<boolean>,
): Promise<boolean> {
  const { statusCode } = response;
  const before = response.getHeaders();
  try {
    return await give();
  } catch (error) {
    if (response.headersSent) {
      response.destroy();
    } else {
      response.statusCode = statusCode;
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      for (const [name, value] of Object.entries(before)) response.setHeader(name, value!);
    }
    throw error;
  }
}

/** The fields that say what a file is, as far as nobody has said it. */
function describeFile(response: ServerResponse, file: CachedFile, ranges: boolean): void {
  const set = (name: string, value: string): void => {
    if (!response.hasHeader(name)) response.setHeader(name, value);
  };
  set('Content-Type', contentTypeOf(file.path));
  set('ETag', file.etag);
  // A date after that of the response would be a lie (RFC 9110 section 8.8.2.1).
  if (file.mtimeMs <= Date.now()) set('Last-Modified', formatHttpDate(file.mtimeMs));
  if (ranges) set('Accept-Ranges', 'bytes');
}

/** @internal By the end of its name; bytes when that says nothing. */
export function contentTypeOf(path: string): string {
  return contentType(extname(path)) || 'application/octet-stream';
}

const hasBody = (status: number): boolean => status !== 204 && status !== 304;

function endWithout(response: ServerResponse, length: number | undefined): void {
  if (length === undefined) response.removeHeader('Content-Length');
  else response.setHeader('Content-Length', length);
  response.end();
}

const textOf = (value: number | string | string[] | undefined): string | undefined =>
  value === undefined ? undefined : String(value);

/** @internal Conditions and range of the request, then as much of the body as is to be sent. */
export async function giveSelection(
  response: ServerResponse, body: HeldBytes | CachedFile,
  { conditions, ranges }: { conditions: boolean; ranges: boolean },
): Promise<boolean> {
  const { headers, method } = response.req;
  const header = (name: string): string | undefined => textOf(headers[name]);
  const validators = {
    etag: textOf(response.getHeader('ETag')),
    lastModified: textOf(response.getHeader('Last-Modified')),
  };
  const isRead = method === 'GET' || method === 'HEAD';
  if (conditions && isRead && response.statusCode === 200) {
    const verdict = evaluateConditions(header, validators);
    if (verdict !== 'send') return endConditional(response, verdict);
  }
  let selection: ByteRange = { offset: 0, length: body.byteLength };
  const range = header('range');
  const mayRange = ranges && method === 'GET' && response.statusCode === 200;
  if (mayRange && range !== undefined && allowsRange(header, validators)) {
    const asked = parseRange(range, body.byteLength);
    if (asked === 'unsatisfiable') {
      response.statusCode = 416;
      removeContentFields(response);
      response.setHeader('Content-Range', `bytes */${body.byteLength}`);
      endWithout(response, 0);
      return true;
    }
    if (asked !== 'ignored' && asked.length === 1) {
      selection = asked[0]!;
      const last = selection.offset + selection.length - 1;
      response.statusCode = 206;
      response.setHeader('Content-Range', `bytes ${selection.offset}-${last}/${body.byteLength}`);
    }
  }
  return giveBytes(response, body, selection);
}

function endConditional(response: ServerResponse, verdict: 'not-modified' | 'failed'): boolean {
  response.statusCode = verdict === 'failed' ? 412 : 304;
  removeContentFields(response);
  endWithout(response, verdict === 'failed' ? 0 : undefined);
  return true;
}

/** @internal What describes a body that is not sent. */
export function removeContentFields(response: ServerResponse): void {
  for (const name of ['Encoding', 'Language', 'Length', 'Range', 'Type']) {
    response.removeHeader(`Content-${name}`);
  }
}

type Source = HeldBytes | CachedFile;

function readPart(body: Source, offset: number, length: number): Aggregate | Promise<Aggregate> {
  if (body instanceof HeldBytes) return body.slice(offset, offset + length);
  return body.tryRead(offset, length) ?? body.read(offset, length);
}

/** @internal The head as it is set, and bytes of the body. */
export async function giveBytes(
  response: ServerResponse, body: Source, { offset, length }: ByteRange,
): Promise<boolean> {
  if (!hasBody(response.statusCode)) {
    endWithout(response, undefined);
    return true;
  }
  if (response.req.method === 'HEAD' || length === 0) {
    endWithout(response, length);
    return true;
  }
  response.setHeader('Content-Length', length);
  const end = offset + length;
  for (let at = offset; at < end; at += partBytesMax) {
    const part = readPart(body, at, Math.min(partBytesMax, end - at));
    // Why asked: what is in memory leaves in this turn of the loop.
    using bytes = part instanceof Promise ? await part : part;
    if (isGone(response)) return false;
    const written = iolWrite(response, bytes);
    if (at + partBytesMax >= end) response.end();
    try {
      await written;
    } catch (error) {
      if (isGone(response)) return false;
      throw error;
    }
  }
  return true;
}
