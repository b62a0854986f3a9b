/**
 * What io-lite/static tells its callers: errors with a status, a file's stats, small pages.
 */
import { statSync, type Stats } from 'node:fs';
import { STATUS_CODES, type ServerResponse } from 'node:http';

import { isIolError } from '../errors';
import type { CachedFile } from '../io/file-cache';

/** An error that is to be answered with `status`; in the shape of the package `http-errors`. */
export class StaticError extends Error {
  readonly status: number;
  readonly statusCode: number;
  /** Whether a client may read the message. */
  readonly expose: boolean;
  /** Of what failed: `ENOENT`, `ERR_IOL_FILE_CHANGED`. */
  declare readonly code?: string;
  declare readonly path?: string;
  /** That the answer should have: `Content-Range` of a 416. */
  declare readonly headers?: Readonly<Record<string, string>>;

  constructor(status: number, cause?: unknown) {
    const text = STATUS_CODES[status] ?? String(status);
    super(cause instanceof Error ? cause.message : text, cause === undefined ? undefined : { cause });
    this.name = `${text.replace(/[^A-Za-z]/g, '')}Error`.replace(/ErrorError$/, 'Error');
    this.status = status;
    this.statusCode = status;
    this.expose = status < 500 && !(cause instanceof Error);
    const { code, path, headers } = (cause ?? {}) as Pick<StaticError, 'code' | 'path' | 'headers'>;
    if (headers !== undefined) this.headers = headers;
    if (code !== undefined) this.code = isIolError(cause) ? systemNameOf(cause.message, code) : code;
    if (path !== undefined) this.path = path;
  }
}

/** `ENOENT` of `ENOENT: no such file or directory, …`. */
function systemNameOf(message: string, code: string): string {
  return code === 'ERR_IOL_SYSTEM' ? message.slice(0, message.indexOf(':')) : code;
}

/**
 * A file as its cache knows it, for listeners that were written for `fs.Stats`: size and mtime cost
 * nothing; any other figure asks the file system, once.
 */
export class CachedFileStats {
  readonly size: number;
  readonly mtimeMs: number;
  readonly #path: string;
  #stats: Stats | undefined;

  /** @internal */
  constructor(file: CachedFile) {
    this.size = file.byteLength;
    this.mtimeMs = file.mtimeMs;
    this.#path = file.path;
  }

  get mtime(): Date {
    return new Date(this.mtimeMs);
  }

  get ctime(): Date {
    return this.#asked.ctime;
  }

  get birthtime(): Date {
    return this.#asked.birthtime;
  }

  get mode(): number {
    return this.#asked.mode;
  }

  get ino(): number {
    return this.#asked.ino;
  }

  /** True: nothing else is cached. */
  isFile(): boolean {
    return true;
  }

  /** False. */
  isDirectory(): boolean {
    return false;
  }

  get #asked(): Stats {
    return (this.#stats ??= statSync(this.#path));
  }
}

const escapes: Record<string, string> = {
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;',
};

/** @internal A short page; of the headers that the response had, only those in `kept` stay. */
export function errorPage(
  response: ServerResponse, status: number, text: string, kept: readonly string[],
): void {
  const escaped = text.replace(/[&<>"']/g, (each) => escapes[each]!);
  const title = status < 400 ? 'Redirecting' : 'Error';
  const page = `<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${title}</title>\n` +
    `<pre>${escaped}</pre>\n</html>\n`;
  if (status >= 400) {
    const lower = kept.map((name) => name.toLowerCase());
    for (const name of response.getHeaderNames()) {
      if (!lower.includes(name)) response.removeHeader(name);
    }
  }
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/html; charset=UTF-8');
  response.setHeader('Content-Length', Buffer.byteLength(page));
  response.setHeader('Content-Security-Policy', 'default-src \'none\'');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.end(page);
}
