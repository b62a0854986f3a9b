/**
 * The file cache: files are read once into the window, and served from there by reference.
 */
import { fileURLToPath } from 'node:url';

import { adoptAggregate, type Aggregate } from '../aggregate/aggregate';
import { isIolError } from '../errors';
import { onWindowClosed, type Kind } from '../leaks';
import { defaultPoolHandle, native } from '../native';
import { handleOf, Resource } from '../resource';
import {
  invalidType, invalidValue, validateBoolean, validateInteger, validateObject,
} from '../validate';
import { Pool } from '../window/pool';

const scratch = native.scratch;

/** Bounds of a {@link FileCache}. */
export interface FileCacheOptions {
  /** Limit of cached payload; 0 (the default): a quarter of the window. */
  maxBytes?: number;
  /** The longest time that an outside change may go unnoticed; 0: ask at every open. Default 1000. */
  checkIntervalMs?: number;
  /** Paths remembered, each with an open descriptor. Default 1024. */
  openFilesMax?: number;
  /** Ask the kernel to tell of changes, most of which are then noticed at once. Default true. */
  watches?: boolean;
  /** Where the bytes go. Default: the default pool. */
  pool?: Pool;
}

/** What a {@link FileCache} has and has done. */
export interface FileCacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly openFiles: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  readonly invalidations: number;
  /** Bytes that were in the page cache when they were read here, and stayed there. */
  readonly alsoInPageCacheBytes: number;
  readonly watches: number;
  readonly jobsInFlight: number;
  /** Disk reads, by the way in which they kept out of the page cache. */
  readonly reads: { readonly dontCache: number; readonly direct: number; readonly buffered: number };
}

const cacheKind: Kind = {
  subject: 'file cache',
  release: (handle) => native.fileCacheClose(handle),
};
const fileKind: Kind = { subject: 'cached file', release: (handle) => native.fileRelease(handle) };

/** The object of each handle, as long as somebody has it: files are shared by all who ask. */
let files = new Map<number, WeakRef<CachedFile>>();
/** No leak is reported: a file that nobody closed goes when nobody has it any more. */
let collected = new FinalizationRegistry<number>(onCollected);

function onCollected(handle: number): void {
  // Why: who asked after the collection and before this call has a new object of the same handle.
  if (files.get(handle)?.deref() !== undefined) return;
  files.delete(handle);
  native.fileRelease(handle);
}

let defaultCache: FileCache | undefined;

/** @internal Of the default cache, or 0 when nothing has used it yet. */
export const knownDefaultCache = (): number =>
  defaultCache === undefined || defaultCache.isDisposed ? 0 : handleOf(defaultCache);

onWindowClosed(() => {
  files = new Map();
  collected = new FinalizationRegistry<number>(onCollected);
  defaultCache = undefined;
});

let makeFile: (handle: number, cache: FileCache, path: string) => CachedFile;
let addUse: (file: CachedFile) => CachedFile;
/** @internal The handle of the cache that a file belongs to. */
export let cacheHandleOf: (file: CachedFile) => number;

function fileOf(handle: number, cache: FileCache, path: string): CachedFile {
  return addUse(files.get(handle)?.deref() ?? makeFile(handle, cache, path));
}

/** One version of one file. A later version of it is another object, from another `open()`. */
export class CachedFile extends Resource {
  readonly path: string;
  readonly byteLength: number;
  readonly mtimeMs: number;
  /** Strong and quoted. It changes with the bytes, as far as the file system's time stamps tell. */
  readonly etag: string;
  readonly #cache: FileCache;
  #uses = 0;

  static {
    makeFile = (handle, cache, path) => new CachedFile(handle, cache, path);
    cacheHandleOf = (file) => handleOf(file.#cache);
    addUse = (file) => {
      file.#uses++;
      return file;
    };
  }

  private constructor(handle: number, cache: FileCache, path: string) {
    super(fileKind, handle, false);
    this.path = path;
    this.etag = native.fileInfo(handle);
    this.byteLength = scratch[0]!;
    this.mtimeMs = scratch[1]!;
    this.#cache = cache;
    files.set(handle, new WeakRef(this));
    collected.register(this, handle, this);
  }

  /** False once a change is known, or the last look at the file is longer ago than the interval. */
  get isFresh(): boolean {
    return native.fileIsFresh(handleOf(this));
  }

  /**
   * Where the file that was opened is now, without symbolic links; with ` (deleted)` behind it when
   * it has no name any more. Unlike `fs.realpath(path)` it cannot be of another file.
   */
  realPath(): string {
    return native.fileRealPath(handleOf(this));
  }

  /**
   * Bytes `[offset, offset + length)`, as far as the file goes, when all of them are cached; else
   * undefined. Nothing is copied, and the disk is not asked.
   *
   * @throws {IolError} `ERR_IOL_FILE_CHANGED` when this version is gone and was not cached.
   */
  tryRead(offset = 0, length = this.byteLength): Aggregate | undefined {
    const handle = handleOf(this);
    validateInteger(offset, 'offset');
    validateInteger(length, 'length');
    const bytes = native.fileTryRead(handleOf(this.#cache), handle, offset, length);
    return bytes === 0 ? undefined : adoptAggregate(bytes, scratch[0]!);
  }

  /** The same, reading what is missing, off the loop. */
  async read(offset = 0, length = this.byteLength): Promise<Aggregate> {
    const handle = handleOf(this);
    validateInteger(offset, 'offset');
    validateInteger(length, 'length');
    const bytes = await native.fileRead(handleOf(this.#cache), handle, offset, length);
    return adoptAggregate(bytes, -1);
  }

  /**
   * Gives back one `open()` or `tryOpen()`: with the last of them the descriptor may go. A file that
   * nobody closes goes when it is collected.
   */
  close(): void {
    if (this.#uses > 0 && --this.#uses > 0) return;
    if (this.isDisposed) return;
    const handle = handleOf(this);
    files.delete(handle);
    collected.unregister(this);
    super.dispose();
  }

  /** The same as {@link close}. */
  override dispose(): void {
    this.close();
  }

  protected override inspectFields(): Record<string, unknown> {
    const { path, byteLength, etag } = this;
    return { path, byteLength, etag };
  }
}

/** @internal Why no Buffer: a path here is a string, which not every sequence of bytes is. */
export function pathOf(path: unknown): string {
  const text: unknown = path instanceof URL ? fileURLToPath(path) : path;
  if (typeof text !== 'string') throw invalidType('path', 'of type string or an instance of URL', path);
  if (text.length === 0 || text.includes('\0')) {
    throw invalidValue('path', 'must be a string without null bytes and not empty', path);
  }
  return text;
}

/** Extents of files in the window, found by path. */
export class FileCache extends Resource {
  constructor(options: FileCacheOptions = {}) {
    validateObject(options, 'options');
    const { maxBytes = 0, checkIntervalMs = 1000, openFilesMax = 1024, watches = true } = options;
    validateInteger(maxBytes, 'options.maxBytes');
    validateInteger(checkIntervalMs, 'options.checkIntervalMs', 0, 0xffff_ffff);
    validateInteger(openFilesMax, 'options.openFilesMax', 1, 0xffff_ffff);
    validateBoolean(watches, 'options.watches');
    const { pool } = options;
    if (pool !== undefined && !(pool instanceof Pool)) {
      throw invalidType('options.pool', 'an instance of Pool', pool);
    }
    const poolHandle = pool === undefined ? defaultPoolHandle : handleOf(pool);
    super(
      cacheKind,
      native.fileCacheCreate(poolHandle, maxBytes, checkIntervalMs, openFilesMax, watches),
      true,
    );
  }

  /** The cache that `iolRead` goes through. */
  static default(): FileCache {
    if (defaultCache === undefined || defaultCache.isDisposed) defaultCache = new FileCache();
    return defaultCache;
  }

  /** The file when it is known and still fresh; else undefined, and only `open()` can tell. */
  tryOpen(path: string | URL): CachedFile | undefined {
    const cache = handleOf(this);
    const name = pathOf(path);
    const handle = native.fileCacheTryOpen(cache, name);
    return handle === 0 ? undefined : fileOf(handle, this, name);
  }

  /**
   * The file, looked at off the loop when need be.
   *
   * @param path a string or a `file:` URL, whose errors are those of `url.fileURLToPath`.
   * @throws {IolError} `ERR_IOL_SYSTEM` with the system's `errno` (a directory is EISDIR),
   * `ERR_IOL_NOT_REGULAR` for what is neither file nor directory.
   */
  async open(path: string | URL): Promise<CachedFile> {
    const cache = handleOf(this);
    const name = pathOf(path);
    for (;;) {
      const handle = await native.fileCacheOpen(cache, name);
      try {
        return fileOf(handle, this, name);
      } catch (error) {
        // Its last user closed the file before this turn came: then it is asked for anew.
        if (this.isDisposed || !isIolError(error) || error.code !== 'ERR_IOL_CLOSED') throw error;
      }
    }
  }

  /** The figures as they are now. */
  stats(): FileCacheStats {
    native.fileCacheStats(handleOf(this));
    const [
      entries, bytes, maxBytes, openFiles, hits, misses, evictions, invalidations,
      alsoInPageCacheBytes, dontCache, direct, buffered, watches, jobsInFlight,
    ] = scratch as unknown as [
      number, number, number, number, number, number, number, number, number, number, number,
      number, number, number,
    ];
    return {
      entries, bytes, maxBytes, openFiles, hits, misses, evictions, invalidations,
      alsoInPageCacheBytes, watches, jobsInFlight, reads: { dontCache, direct, buffered },
    };
  }

  /** Drops all entries. What was read stays its readers'. Idempotent. */
  close(): void {
    this.dispose();
  }

  protected override inspectFields(): Record<string, unknown> {
    return { ...this.stats() };
  }
}
