/**
 * The meta-variables of RFC 3875 section 4.1, from a request and the program it is for.
 */
import { isIP } from 'node:net';

import type { HttpRequest } from '../http/request';

/** Which program a request is for, and which part of its path is whose. */
export interface CgiTarget {
  /** The file to be executed: an absolute path. */
  readonly program: string;
  /** Its arguments. Default none; the query of a request never is one. */
  readonly arguments?: readonly string[];
  /** The part of the URL's path that names the program, decoded: `/cgi-bin/hello`. */
  readonly scriptName: string;
  /** What follows it, decoded: empty, or begins with a slash. */
  readonly pathInfo: string;
  /** Where PATH_INFO is below as a file (PATH_TRANSLATED). */
  readonly documentRoot?: string;
  /** More variables, or other values for those that RFC 3875 does not fix. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a request says, in whichever process. */
export type RequestFacts = Pick<
  HttpRequest, 'address' | 'header' | 'isSecure' | 'method' | 'rawHeaders' | 'target' | 'versionMinor'
>;

// Of one connection and not of the request, or dangerous: an HTTP_PROXY would be taken for the
// proxy of the program's own requests (CVE-2016-5385).
const withheld = new Set([
  'connection', 'content-length', 'content-type', 'expect', 'keep-alive', 'proxy',
  'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
]);

/** HTTP_* of all headers whose name says the same as a variable: an underscore could be a dash. */
function headerVariables(rawHeaders: readonly string[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (withheld.has(name) || !/^[a-z0-9-]+$/.test(name)) continue;
    const variable = `HTTP_${name.toUpperCase().replaceAll('-', '_')}`;
    const before = variables.get(variable);
    const separator = name === 'cookie' ? '; ' : ', ';
    const value = rawHeaders[i + 1]!;
    variables.set(variable, before === undefined ? value : `${before}${separator}${value}`);
  }
  return variables;
}

/** The host of a Host header, without its port. */
function hostOf(header: string | undefined, fallback: string): string {
  const match = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(header ?? '');
  const host = match?.[1] ?? '';
  if (host !== '') return host;
  return isIP(fallback) === 6 ? `[${fallback}]` : fallback;
}

/** UTF-8 as the bytes that an environment has. */
const bytesOf = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** What every program gets unless it is told otherwise. */
function defaults(target: CgiTarget, isSecure: boolean): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    ...(target.documentRoot === undefined ? {} : { DOCUMENT_ROOT: target.documentRoot }),
    REDIRECT_STATUS: '200',  // Without it php-cgi refuses to run.
    REQUEST_SCHEME: isSecure ? 'https' : 'http',
    ...(isSecure ? { HTTPS: 'on' } : {}),
    SCRIPT_FILENAME: target.program,
  };
}

/** What is to be said besides the request itself. */
export interface CgiFacts {
  /** Of the body without its transfer coding; undefined when there is none. */
  readonly length: number | undefined;
  /** Path and query after a local redirect. */
  readonly url: string | undefined;
  readonly software: string;
}

/** The environment as `NAME=VALUE`, bytes as latin1. */
export function environmentOf(
  request: RequestFacts, target: CgiTarget, { length, url, software }: CgiFacts,
): string[] {
  const rawHeaders = request.rawHeaders;
  const client = request.address('client');
  const server = request.address('server');
  const requestUri = url ?? request.target;
  const query = requestUri.indexOf('?');
  const isGet = url !== undefined && request.method !== 'HEAD';
  const fixed: Record<string, string | undefined> = {
    CONTENT_LENGTH: length?.toString(),
    CONTENT_TYPE: length === undefined ? undefined : request.header('content-type'),
    GATEWAY_INTERFACE: 'CGI/1.1',
    PATH_INFO: bytesOf(target.pathInfo),
    PATH_TRANSLATED: target.documentRoot === undefined || target.pathInfo === ''
      ? undefined : bytesOf(target.documentRoot + target.pathInfo),
    QUERY_STRING: query < 0 ? '' : requestUri.slice(query + 1),
    REMOTE_ADDR: client.address,
    REMOTE_HOST: client.address,
    REMOTE_PORT: `${client.port}`,
    REQUEST_METHOD: isGet ? 'GET' : request.method,
    REQUEST_URI: requestUri,
    SCRIPT_NAME: bytesOf(target.scriptName),
    SERVER_ADDR: server.address,
    SERVER_NAME: hostOf(request.header('host'), server.address),
    SERVER_PORT: `${server.port}`,
    SERVER_PROTOCOL: `HTTP/1.${request.versionMinor}`,
    SERVER_SOFTWARE: software,
  };
  const variables = new Map<string, string>();
  for (const [name, value] of Object.entries({ ...defaults(target, request.isSecure), ...target.environment })) {
    variables.set(bytesOf(name), bytesOf(value));
  }
  for (const [name, value] of Object.entries(fixed)) {
    if (value !== undefined) variables.set(name, value);
  }
  for (const [name, value] of headerVariables(rawHeaders)) variables.set(name, value);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}
