/**
 * Files that workers name and the server sends, from its own file cache.
 */
import { realpathSync } from 'node:fs';
import path from 'node:path';

import type { Aggregate } from '../aggregate/aggregate';
import { IolError } from '../errors';
import type { HttpRequest } from '../http/request';
import { FileCache, type CachedFile } from '../io/file-cache';
import { invalidType, invalidValue, validateObject, validateString } from '../validate';

/** Which files workers may name ({@link CgiRequest.respondFile}). */
export interface CgiFilesOptions {
  /**
   * An absolute path. A file is given when it is below, wherever the links in its path lead to; links
   * in the root itself are followed once, when the workers are made.
   */
  root: string;
  /** Whose extents are sent. Default: the default cache. */
  cache?: FileCache;
}

/** Up to here a range is one aggregate; above, it is read and sent in parts of this size. */
export const filePartBytes = 1 << 20;

/** The part of the server's files that workers may name. */
export class WorkerFiles {
  readonly #root: string;
  readonly #cache: FileCache;

  constructor(options: CgiFilesOptions) {
    validateObject(options, 'options.files');
    const { root, cache } = options;
    validateString(root, 'options.files.root');
    if (!path.isAbsolute(root)) throw invalidValue('options.files.root', 'must be an absolute path', root);
    if (cache !== undefined && !(cache instanceof FileCache)) {
      throw invalidType('options.files.cache', 'an instance of FileCache', cache);
    }
    const real = realpathSync(root);
    this.#root = real === '/' ? real : `${real}/`;
    this.#cache = cache ?? FileCache.default();
  }

  /** The file when it is known and fresh, without asking the disk. It is the caller's to close. */
  tryOpen(name: string): CachedFile | undefined {
    const file = this.#cache.tryOpen(name);
    return file === undefined ? undefined : this.#checked(file);
  }

  async open(name: string): Promise<CachedFile> {
    return this.#checked(await this.#cache.open(name));
  }

  // Why not the path: links may lead out of the root, and be moved between a look and the opening.
  #checked(file: CachedFile): CachedFile {
    try {
      if (file.realPath().startsWith(this.#root)) return file;
      throw new IolError(
        'ERR_IOL_REFUSED', `'${file.path}' was refused by the server: it is outside of ${this.#root}`,
        { path: file.path });
    } catch (error) {
      file.close();
      throw error;
    }
  }
}

/**
 * The rest of an answer that was begun with bytes from `from` on: `first`, then parts up to `end`, each
 * read when the client has taken what was before it. What goes wrong cuts the connection.
 */
export async function streamFile(
  request: HttpRequest, file: CachedFile, first: Aggregate, from: number, end: number,
  log: (line: string) => void,
): Promise<void> {
  try {
    await request.write(first);
    for (let at = from + first.byteLength; at < end; at += filePartBytes) {
      using part = await file.read(at, Math.min(filePartBytes, end - at));
      await request.write(part);
    }
    request.end();
  } catch (error) {
    if (!request.isOpen) return;  // The client has left.
    log(`${file.path} was cut: ${(error as Error).message}`);
    request.abort();
  }
}
