/**
 * `send` of io-lite/static: one file as the answer to a request of Node's `http` server, from the file
 * cache. Options, events and methods are those of the package `send`; docs/static.md says what differs.
 */
import { Stream } from 'node:stream';
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { extname, join, normalize, resolve, sep } from 'node:path';

import { isIolError } from '../errors';
import { evaluateConditions, allowsRange, parseRange } from '../http/conditions';
import { formatHttpDate } from '../http/date';
import { contentTypeOf, giveBytes, removeContentFields } from '../http/reply';
import type { CachedFile } from '../io/file-cache';
import { invalidType, validateString } from '../validate';
import { CachedFileStats, errorPage, StaticError } from './answers';
import { checkSendOptions, type CheckedSendOptions, type SendOptions } from './options';

const upwards = /(?:^|[\\/])\.\.(?:[\\/]|$)/;
const bytesUnit = /^ *bytes=/;

/** In the words of `send`: status 404 of these, 500 of all others. */
const notFoundCodes = ['ENAMETOOLONG', 'ENOENT', 'ENOTDIR'];

/** The system's name of an error, as `fs` would give it. */
function systemCodeOf(error: unknown): string {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return code === 'ERR_IOL_SYSTEM' ? message.slice(0, message.indexOf(':')) : code;
}

/**
 * What {@link send} returns.
 *
 * Events: `'error'` ({@link StaticError}; without a listener the error is answered), `'directory'`
 * (response, path; without a listener: a redirect), `'file'` and `'headers'` ((path, stats) and
 * (response, path, stats)), `'end'` (the socket has taken everything).
 */
export class SendStream extends Stream {
  readonly req: IncomingMessage;
  /** As it was given: not decoded. */
  readonly path: string;
  readonly options: SendOptions;
  /** Once {@link pipe} was called. */
  res!: ServerResponse;
  readonly #checked: CheckedSendOptions;

  /** @internal */
  constructor(request: IncomingMessage, path: string, options: SendOptions) {
    super();
    validateString(path, 'path');
    this.req = request;
    this.path = path;
    this.options = options;
    this.#checked = checkSendOptions(options);
  }

  /** Answers by `response`; at once when the file is in memory and fresh. */
  override pipe<T extends NodeJS.WritableStream>(response: T): T {
    this.res = response as unknown as ServerResponse;
    const path = this.#resolve();
    if (path !== undefined) {
      this.#answer(path).catch((error: unknown) => this.#fail(error));
    }
    return response;
  }

  /** Answers `status` with a small page, or tells the `'error'` listeners. */
  error(status: number, cause?: unknown): void {
    if (this.listenerCount('error') > 0) {
      this.emit('error', new StaticError(status, cause));
      return;
    }
    errorPage(this.res, status, STATUS_CODES[status] ?? String(status),
      status === 416 ? ['Content-Range'] : []);
  }

  /** Whether the path names a directory. */
  hasTrailingSlash(): boolean {
    return this.path.endsWith('/');
  }

  /** Answers 301 to the path with a slash, or tells the `'directory'` listeners. */
  redirect(path: string): void {
    if (this.listenerCount('directory') > 0) {
      this.emit('directory', this.res, path);
      return;
    }
    if (this.hasTrailingSlash()) {
      this.error(403);
      return;
    }
    redirectTo(this.res, encodePath(`${this.path}/`.replace(/^\/{2,}/, '/')));
  }

  /** The file's path, or undefined after a refusal. */
  #resolve(): string | undefined {
    const { root, dotfiles } = this.#checked;
    let path: string;
    try {
      path = decodeURIComponent(this.path);
    } catch {
      return this.#refuse(400);
    }
    if (path.includes('\0')) return this.#refuse(400);
    if (root !== undefined && path !== '') path = normalize(`.${sep}${path}`);
    if (upwards.test(path)) return this.#refuse(403);
    const parts = (root === undefined ? normalize(path) : path).split(sep);
    path = root === undefined ? resolve(path) : normalize(join(root, path));
    if (dotfiles !== 'allow' && parts.some((part) => part.length > 1 && part.startsWith('.'))) {
      return this.#refuse(dotfiles === 'deny' ? 403 : 404);
    }
    return path;
  }

  #refuse(status: number): undefined {
    this.error(status);
  }

  async #answer(path: string): Promise<void> {
    const { index, extensions } = this.#checked;
    const isDirectory = this.hasTrailingSlash();
    let names = [path];
    if (isDirectory && index.length > 0) {
      names = index.map((name) => join(path, name));
    } else if (extname(path) === '' && !path.endsWith(sep)) {
      names.push(...extensions.map((extension) => `${path}.${extension}`));
    }
    let failure: Error | undefined;
    for (const [at, name] of names.entries()) {
      try {
        // Why asked first: a file that is fresh is answered in this turn of the loop.
        const file = this.#checked.cache.tryOpen(name) ?? await this.#checked.cache.open(name);
        return await this.#giveFile(file);
      } catch (error) {
        if (!isIolError(error) || this.res.headersSent) throw error;
        const code = systemCodeOf(error);
        const isGuess = at > 0 || (isDirectory && index.length > 0);
        if (code === 'EISDIR' && !isGuess) return this.redirect(path);
        if (!isGuess && code !== 'ENOENT') throw error;
        if (code !== 'EISDIR') failure = error;
      }
    }
    if (failure === undefined) this.error(404);
    else throw failure;
  }

  #fail(error: unknown): void {
    if (this.res.headersSent) {
      this.res.destroy();
      if (this.listenerCount('error') > 0) this.emit('error', new StaticError(500, error));
      return;
    }
    this.error(notFoundCodes.includes(systemCodeOf(error)) ? 404 : 500, error);
  }

  async #giveFile(file: CachedFile): Promise<void> {
    try {
      const stats = new CachedFileStats(file);
      this.emit('file', file.path, stats);
      if (this.res.headersSent) {
        return this.error(500, new Error('Can\'t set headers after they are sent.'));
      }
      this.#describe(file, stats);
      const selection = this.#select(file);
      if (selection === undefined) return;
      if (await giveBytes(this.res, file, selection)) this.emit('end');
    } finally {
      file.close();
    }
  }

  #describe(file: CachedFile, stats: CachedFileStats): void {
    const { res } = this;
    const { acceptRanges, cacheControl, etag, immutable, lastModified, maxAgeMs } = this.#checked;
    this.emit('headers', res, file.path, stats);
    const set = (name: string, value: string): void => {
      if (!res.getHeader(name)) res.setHeader(name, value);
    };
    if (acceptRanges) set('Accept-Ranges', 'bytes');
    if (cacheControl) {
      const age = `public, max-age=${Math.floor(maxAgeMs / 1000)}`;
      set('Cache-Control', immutable ? `${age}, immutable` : age);
    }
    if (lastModified) set('Last-Modified', formatHttpDate(file.mtimeMs));
    if (etag) set('ETag', file.etag);
    set('Content-Type', contentTypeOf(file.path));
  }

  /** What is to be sent; undefined when the request was answered without it. */
  #select(file: CachedFile): { offset: number; length: number } | undefined {
    const { res, req } = this;
    const { start, end, acceptRanges } = this.#checked;
    const header = (name: string): string | undefined => req.headers[name]?.toString();
    const validators = {
      etag: res.getHeader('ETag')?.toString(),
      lastModified: res.getHeader('Last-Modified')?.toString(),
    };
    const verdict = evaluateConditions(header, validators);
    if (verdict === 'failed') return this.#refuse(412);
    const isCacheable = (res.statusCode >= 200 && res.statusCode < 300) || res.statusCode === 304;
    if (verdict === 'not-modified' && isCacheable && !/no-cache/.test(header('cache-control') ?? '')) {
      removeContentFields(res);
      res.statusCode = 304;
      res.end();
      return undefined;
    }
    const last = Math.min(file.byteLength - 1, end);
    const whole = { offset: start, length: Math.max(0, last - start + 1) };
    const text = header('range');
    if (!acceptRanges || text === undefined || !bytesUnit.test(text)) return whole;
    if (!allowsRange(header, validators)) return whole;
    const asked = parseRange(text, whole.length);
    if (asked === 'unsatisfiable') {
      res.setHeader('Content-Range', `bytes */${whole.length}`);
      this.error(416, { headers: { 'Content-Range': `bytes */${whole.length}` } });
      return undefined;
    }
    if (asked === 'ignored' || asked.length > 1) return whole;
    const { offset, length } = asked[0]!;
    res.statusCode = 206;
    res.setHeader('Content-Range', `bytes ${offset}-${offset + length - 1}/${whole.length}`);
    return { offset: start + offset, length };
  }
}

/** @internal What may not stand in a Location as it is; escapes are left alone. */
export function encodePath(path: string): string {
  const unsafe = /%(?![\dA-Fa-f]{2})|[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7c\x7e]/gu;
  return path.replace(/\p{Surrogate}/gu, '\ufffd').replace(unsafe, encodeURIComponent);
}

/** @internal A permanent redirect with a page for those who see it. */
export function redirectTo(response: ServerResponse, location: string): void {
  response.setHeader('Location', location);
  errorPage(response, 301, `Redirecting to ${location}`, ['Location']);
}

/**
 * One file as the answer to a request, as the package `send` does it, from the file cache: in memory it
 * is opened and read by nobody, and its bytes go to the socket from where they lie.
 *
 * @param path of the request, still encoded; below `options.root` if there is one
 * @example
 * ```ts
 * send(request, new URL(request.url, 'http://host').pathname, { root: 'public' }).pipe(response);
 * ```
 */
export function send(
  request: IncomingMessage, path: string, options?: SendOptions | null,
): SendStream {
  if (typeof request !== 'object' || request === null) {
    throw invalidType('request', 'an instance of http.IncomingMessage', request);
  }
  return new SendStream(request, path, options ?? {});
}

