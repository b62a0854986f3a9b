/**
 * What a CGI program answers: a head (RFC 3875 section 6) and a body.
 */
import { STATUS_CODES } from 'node:http';

import type { Aggregate } from '../aggregate/aggregate';

/** Of a program's answer; more is no head. */
export const headBytesMax = 64 << 10;

/** A head that says what to do. */
export interface CgiHead {
  readonly status: number;
  readonly reason: string;
  /** For the client, in their order: names and values. */
  readonly fields: readonly (readonly [string, string])[];
  readonly contentLength: number | undefined;
  /** A path and query to be answered in this one's place (section 6.2.2). */
  readonly localRedirect: string | undefined;
}

/** Why an answer is none. */
export class MalformedHead extends Error {}

/** Fields that are said by the connection, or were said to us. */
const dropped = new Set([
  'connection', 'content-length', 'date', 'keep-alive', 'proxy-connection', 'status', 'te',
  'trailer', 'transfer-encoding', 'upgrade',
]);

/** Where the head and its empty line end, or -1 while they do not. */
export function headEnd(output: Aggregate): number {
  const first = output.byteLength > 0 ? output.at(0) : undefined;
  if (first === 0x0a || first === 0x0d) throw new MalformedHead('it begins with an empty line');
  const bare = output.indexOf('\n\n');
  const full = output.indexOf('\n\r\n');
  if (bare < 0 && full < 0) {
    if (output.byteLength > headBytesMax) throw new MalformedHead('its head has no end');
    return -1;
  }
  const end = full < 0 || (bare >= 0 && bare < full) ? bare + 2 : full + 3;
  if (end > headBytesMax) throw new MalformedHead(`its head is longer than ${headBytesMax} bytes`);
  return end;
}

function fieldsOf(text: string): [string, string][] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  return lines.filter((line) => line !== '').map((line) => {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    // eslint-disable-next-line no-control-regex
    if (match === null || /[\0-\x08\x0a-\x1f\x7f]/.test(line)) {
      throw new MalformedHead(`its head has the line ${JSON.stringify(line.slice(0, 100))}`);
    }
    return [match[1]!, match[2]!];
  });
}

function onlyOne(fields: readonly [string, string][], name: string): string | undefined {
  const values = fields.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
  if (values.length > 1) throw new MalformedHead(`its head has ${values.length} ${name} fields`);
  return values[0];
}

function statusOf(value: string | undefined): { status: number; reason: string } | undefined {
  if (value === undefined) return undefined;
  const match = /^([2-5]\d\d)(?:[ \t]+(.*))?$/.exec(value);
  if (match === null) throw new MalformedHead(`its status is ${JSON.stringify(value.slice(0, 100))}`);
  const status = Number(match[1]);
  return { status, reason: match[2] ?? STATUS_CODES[status] ?? 'Unknown' };
}

/** The head in `text`, its empty line included. */
export function parseHead(text: string): CgiHead {
  const fields = fieldsOf(text);
  const location = onlyOne(fields, 'location');
  const given = statusOf(onlyOne(fields, 'status'));
  const hasType = onlyOne(fields, 'content-type') !== undefined;
  if (location === undefined && given === undefined && !hasType) {
    throw new MalformedHead('its head has no Content-Type, Location or Status');
  }
  const length = onlyOne(fields, 'content-length');
  if (length !== undefined && !/^\d{1,15}$/.test(length)) {
    throw new MalformedHead(`its Content-Length is ${JSON.stringify(length.slice(0, 100))}`);
  }
  // As everywhere: with a status of its own a location is the client's, even a path.
  const isLocal = location?.startsWith('/') === true && given === undefined;
  const usual = location === undefined
    ? { status: 200, reason: 'OK' } : { status: 302, reason: 'Found' };
  return {
    ...(given ?? usual),
    fields: fields.filter(([name]) => !dropped.has(name.toLowerCase())),
    contentLength: length === undefined ? undefined : Number(length),
    localRedirect: isLocal ? location : undefined,
  };
}

/** The answer's head for the client, without what says where the body ends; bytes as latin1. */
export function headText(head: CgiHead, extra: string): string {
  const lines = head.fields.map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${lines.join('')}${extra}`;
}

/** Whether such an answer has no body by its status. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}
