// What a pathname stands for on disk. Everything here may wait for the disk and never runs for a
// request that the resource map can answer.

import { realpath, stat } from 'node:fs/promises';

import type { CachedFile, FileCache } from 'io-lite';

import { isMissing, isNotRegular } from './failures';
import { renderListing } from './listing';
import { decodePath, isServedBelow } from './paths';

export type Found =
  | { kind: 'file'; file: CachedFile }
  | { kind: 'directory' }                // Asked for without its slash.
  | { kind: 'listing'; html: string }
  | { kind: 'refused'; status: 400 | 403 | 404 };

export const kIndexFile = 'index.html';

const kNotFound: Found = { kind: 'refused', status: 404 };

export class Site {
  readonly #prefix: string;

  // `root` is absolute. It may be a symbolic link that is moved to another tree while we serve.
  constructor(readonly root: string, readonly cache: FileCache, readonly hasListing: boolean) {
    this.#prefix = root === '/' ? '' : root;
  }

  async find(pathname: string): Promise<Found> {
    const decoded = decodePath(pathname);
    if (typeof decoded === 'number') return { kind: 'refused', status: decoded };
    const root = await realpath(this.root);
    const path = this.#prefix + decoded;
    if (!path.endsWith('/')) return this.#findFile(root, path);
    try {
      const index = await this.#findFile(root, path + kIndexFile);
      if (index.kind === 'file') return index;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return this.#findDirectory(root, path, decoded);
  }

  async #findFile(root: string, path: string): Promise<Found> {
    const real = await realpath(path);
    if (!isServedBelow(root, real)) return kNotFound;
    let file: CachedFile;
    try {
      // By this path and not by the real one: a link that is moved elsewhere makes the file stale.
      file = await this.cache.open(path);
    } catch (error) {
      if (!isNotRegular(error)) throw error;
      const isDirectory = (await stat(real)).isDirectory();
      return isDirectory ? { kind: 'directory' } : { kind: 'refused', status: 403 };
    }
    // Links may have been moved between the check and the opening, and back: ask the file itself.
    if (isServedBelow(root, realPathOf(file))) return { kind: 'file', file };
    file.close();
    return kNotFound;
  }

  async #findDirectory(root: string, path: string, title: string): Promise<Found> {
    if (!this.hasListing) return kNotFound;
    const real = await realpath(path);
    if (!isServedBelow(root, real)) return kNotFound;
    return { kind: 'listing', html: await renderListing(root, `${real}/`, title) };
  }
}

function realPathOf(file: CachedFile): string {
  try {
    return file.realPath();
  } catch (error) {
    file.close();
    throw error;
  }
}
