// What a pathname stands for on disk. Everything here may wait for the disk and never runs for a
// request that the resource map can answer.

import { realpath, stat } from 'node:fs/promises';

import type { CachedFile, FileCache } from 'io-lite';

import { isMissing, isNotRegular } from './failures';
import { readListing, type Listing } from './listing';
import {
  decodePath, isServedBelow, isServedName, withoutDots, type DotfilePolicy, type SymlinkPolicy,
} from './paths';

export type Found =
  | { kind: 'file'; file: CachedFile }
  | { kind: 'directory' }                // Asked for without its slash.
  | { kind: 'moved'; pathname: string }  // Asked for by another spelling.
  | { kind: 'listing'; listing: Listing }
  | { kind: 'refused'; status: 400 | 403 | 404 };

export interface SiteOptions {
  root: string;  // Absolute. It may be a symbolic link that is moved to another tree while we serve.
  indexFiles: readonly string[];
  hasListing: boolean;
  dotfiles: DotfilePolicy;
  symlinks: SymlinkPolicy;
}

const kNotFound: Found = { kind: 'refused', status: 404 };

export class Site {
  readonly #prefix: string;

  constructor(readonly options: SiteOptions, readonly cache: FileCache) {
    this.#prefix = withoutSlash(options.root);
  }

  async find(pathname: string): Promise<Found> {
    const { dotfiles } = this.options;
    // Why told, and not served: a file has one spelling, by which rules and routes know it.
    const moved = withoutDots(pathname);
    if (moved !== undefined && typeof decodePath(moved, dotfiles) === 'string') {
      return { kind: 'moved', pathname: moved };
    }
    const decoded = decodePath(pathname, dotfiles);
    if (typeof decoded === 'number') return { kind: 'refused', status: decoded };
    const root = await realpath(this.options.root);
    if (!decoded.endsWith('/')) return this.#findFile(root, decoded);
    for (const name of this.options.indexFiles) {
      try {
        const index = await this.#findFile(root, decoded + name);
        if (index.kind === 'file') return index;
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    return this.#findDirectory(root, decoded);
  }

  // Another form of a file that is served, beside it.
  async findSibling(path: string): Promise<CachedFile | undefined> {
    await stat(path);  // Most have none.
    const root = await realpath(this.options.root);
    const found = await this.#findFile(root, path.slice(this.#prefix.length));
    return found.kind === 'file' ? found.file : undefined;
  }

  // The path of a file as clients would call it, decoded.
  nameOf(file: CachedFile): string {
    return file.path.slice(this.#prefix.length);
  }

  async #findFile(root: string, decoded: string): Promise<Found> {
    const path = this.#prefix + decoded;
    const real = await realpath(path);
    if (!this.#isServed(root, decoded, real)) return kNotFound;
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
    if (this.#isServed(root, decoded, realPathOf(file))) return { kind: 'file', file };
    file.close();
    return kNotFound;
  }

  // `real` is where `decoded`, below the root, leads.
  #isServed(root: string, decoded: string, real: string): boolean {
    const { symlinks, dotfiles } = this.options;
    if (symlinks === 'any') return true;
    if (symlinks === 'none') return real === (withoutSlash(root) + withoutSlash(decoded) || '/');
    return isServedBelow(root, real, dotfiles);
  }

  async #findDirectory(root: string, decoded: string): Promise<Found> {
    if (!this.options.hasListing) return kNotFound;
    const real = await realpath(this.#prefix + decoded);
    if (!this.#isServed(root, decoded, real)) return kNotFound;
    const listing = await readListing(`${withoutSlash(real)}/`, decoded, (name, target) =>
      isServedName(name, this.options.dotfiles) && this.#isServed(root, decoded + name, target));
    return { kind: 'listing', listing };
  }
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

function realPathOf(file: CachedFile): string {
  try {
    return file.realPath();
  } catch (error) {
    file.close();
    throw error;
  }
}
