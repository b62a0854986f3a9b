/**
 * `serveStatic` of io-lite/static: a folder as middleware of Express and Connect, with the options of
 * the package `serve-static`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { resolve } from 'node:path';

import type { CachedFileStats, StaticError } from './answers';
import { checkSendOptions, type SendOptions } from './options';
import { encodePath, redirectTo, send, type SendStream } from './send';

/** Options of {@link serveStatic}, as in the package `serve-static`. */
export interface ServeStaticOptions extends Omit<SendOptions, 'root'> {
  /** What is not there, and other methods, are the next handler's. Default true; false: 404, 405. */
  fallthrough?: boolean | undefined;
  /** A directory without its slash is redirected. Default true; false: 404. */
  redirect?: boolean | undefined;
  /** Called before the head is sent; must be synchronous. */
  setHeaders?: ((response: ServerResponse, path: string, stats: CachedFileStats) => void) | undefined;
}

/** A handler of Express or Connect. */
export type StaticHandler = (
  request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void,
) => void;

/** Path and rest of a URL of a request; an absolute one is taken apart, too. */
function partsOf(url = '/'): { pathname: string; rest: string } {
  const origin = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i.exec(url)?.[0] ?? '';
  const match = /^([^?#]*)(.*)$/s.exec(url.slice(origin.length))!;
  return { pathname: match[1] || (origin ? '/' : ''), rest: match[2]! };
}

/**
 * Serves what is below `root`.
 *
 * @example
 * ```ts
 * app.use(serveStatic('public', { maxAge: '1d', immutable: true }));
 * ```
 * @throws {TypeError} for a root that is no string, and wrong options.
 */
export function serveStatic(root: string, options?: ServeStaticOptions | null): StaticHandler {
  if (!root) throw new TypeError('root path required');
  if (typeof root !== 'string') throw new TypeError('root path must be a string');
  const { fallthrough = true, redirect = true, setHeaders } = options ?? {};
  if (setHeaders && typeof setHeaders !== 'function') {
    throw new TypeError('option setHeaders must be function');
  }
  const sendOptions: SendOptions = { ...options, root: resolve(root) };
  checkSendOptions(sendOptions);

  return function serve(request, response, next) {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      if (fallthrough) return next();
      response.statusCode = 405;
      response.setHeader('Allow', 'GET, HEAD');
      response.setHeader('Content-Length', '0');
      response.end();
      return;
    }
    const original = partsOf((request as { originalUrl?: string }).originalUrl ?? request.url);
    let path = partsOf(request.url).pathname;
    // Why: what is mounted at /a is asked for / when the client asked for /a.
    if (path === '/' && !original.pathname.endsWith('/')) path = '';
    let isForwarded = !fallthrough;
    const stream: SendStream = send(request, path, sendOptions);
    stream.on('directory', (res: ServerResponse) => {
      if (!redirect || stream.hasTrailingSlash()) return stream.error(404);
      const pathname = `${original.pathname}/`.replace(/^\/{2,}/, '/');
      redirectTo(res, encodePath(pathname + original.rest));
    });
    if (setHeaders) stream.on('headers', setHeaders);
    // Once there is a file, whatever goes wrong is an error.
    stream.on('file', () => (isForwarded = true));
    stream.on('error', (error: StaticError) => {
      if (isForwarded || error.statusCode >= 500) next(error);
      else next();
    });
    stream.pipe(response);
  };
}
