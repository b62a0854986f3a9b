/**
 * Writable views: all bytes of an aggregate or a file in one piece, for changes here and there.
 */
import { constants } from 'node:buffer';
import { fstat, type Stats } from 'node:fs';

import { adoptAggregate, Aggregate, HeldBytes } from '../aggregate/aggregate';
import { IolError } from '../errors';
import type { Kind } from '../leaks';
import { defaultPoolHandle, native } from '../native';
import { handleOf, Resource } from '../resource';
import {
  illegalConstructor, invalidType, validateAbortSignal, validateInteger, validateObject,
} from '../validate';
import { Pool } from '../window/pool';
import { CachedFile, FileCache } from './file-cache';
import { iolRead, type Abortable, type Descriptor } from './io';

declare module '../native' {
  interface NativeAddon {
    mappedCreate: (aggregate: number, bytesMax: number) => number;
    /** scratch: where the bytes begin in it. */
    mappedBytes: (mapped: number) => ArrayBuffer;
    mappedPrivateBytes: (mapped: number) => number;
    /** from, to, from, to, … */
    mappedChanges: (mapped: number) => number[];
    /** An aggregate; the last one ends the mapping. */
    mappedSnapshot: (mapped: number, pool: number, isLast: boolean) => number;
    mappedDispose: (mapped: number) => void;
  }
}

const { mappedBytes, mappedChanges, mappedCreate, mappedPrivateBytes, mappedSnapshot, scratch } =
  native;

/** Bytes `[from, to)`. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** Where changed pages of a {@link MappedBytes} go. */
export interface MapOptions {
  /** Where changed pages go when they are sealed. Default: the default pool. */
  pool?: Pool;
}

/** What of a file is mapped. */
export interface MapFileOptions extends MapOptions, Abortable {
  /** First byte of the file that is wanted. Default 0. */
  position?: number;
  /** At most so many bytes; default: to the end of the file as it is now. */
  byteLength?: number;
}

const mappedKind: Kind = {
  subject: 'mapping',
  release: (handle) => native.mappedDispose(handle),
};

const makers = Symbol('makers');

function checkPool(pool: unknown): asserts pool is Pool | undefined {
  if (pool !== undefined && !(pool instanceof Pool)) {
    throw invalidType('options.pool', 'an instance of Pool', pool);
  }
}

/** Of a descriptor that has none 1: the read that follows says what is wrong with it. */
function sizeOf(fd: number): Promise<number> {
  return new Promise((resolve) => {
    fstat(fd, (error, { size } = { size: 1 } as Stats) => resolve(error === null ? size : 1));
  });
}

/** What of the file is there, at most `byteLength` bytes; a read may be short before its end. */
async function readAll(
  source: Descriptor,
  position: number,
  byteLength: number,
  signal: AbortSignal | undefined,
): Promise<Aggregate> {
  const whole = Aggregate.empty();
  try {
    while (whole.byteLength < byteLength) {
      const at = position + whole.byteLength;
      using part = await iolRead(source, byteLength - whole.byteLength, {
        position: at,
        ...(signal && { signal }),
      });
      if (part === null) break;
      whole.append(part);
    }
    return whole;
  } catch (error) {
    whole.dispose();
    throw error;
  }
}

async function readFile(
  file: CachedFile,
  position: number,
  byteLength: number | undefined,
): Promise<Aggregate> {
  const most = Math.max(0, file.byteLength - position);
  return await file.read(position, Math.min(byteLength ?? most, most));
}

/**
 * A contiguous, writable view of immutable bytes: for many small changes scattered over much data,
 * where a new slice for each would cost more than they do.
 *
 * The bytes are mapped, not copied: making a view of 1 GiB takes a system call per slice, and
 * memory only for the pages (4 KiB) that are stored to. Nobody else sees a store: not the source, not
 * another view of it, not a snapshot made before.
 *
 * Copied when the view is made (reason `map`) are only pages that several slices share, slices
 * shorter than 16 KiB, and those whose bytes lie elsewhere in their pages than in the view.
 *
 * The view holds its source until it is sealed or disposed of.
 *
 * @example Scattered changes to a file, of which only the changed pages are written.
 * ```ts
 * using map = await MappedBytes.open('/data/table.bin');
 * map.bytes()[12_345_678] = 1;
 * const changes = map.changes();
 * using after = map.seal();
 * for (const { from, to } of changes) {
 *   using pages = after.slice(from, to);
 *   await iolWrite(handle, pages, { position: from });
 * }
 * ```
 *
 * Source: IO-Lite (OSDI '99), the third case of modified data, for which it keeps mmap; mmap(2),
 * MAP_PRIVATE.
 */
export class MappedBytes extends Resource {
  /** Length in bytes. */
  readonly byteLength: number;
  readonly #pool: Pool | undefined;
  #bytes: Uint8Array | undefined;
  #isSealed = false;

  private constructor(caller: symbol, source: HeldBytes, pool: Pool | undefined) {
    if (caller !== makers) throw illegalConstructor();
    const { byteLength } = source;
    super(mappedKind, mappedCreate(handleOf(source), constants.MAX_LENGTH), true);
    this.byteLength = byteLength;
    this.#pool = pool;
  }

  /**
   * A view of a buffer or an aggregate, which stays its owner's and may be changed or released.
   *
   * @throws {IolError} `ERR_IOL_TOO_LARGE` for more bytes than one `ArrayBuffer` can have
   * (`buffer.constants.MAX_LENGTH`); `ERR_IOL_TOO_MANY_SLICES` when the process has mapped a quarter
   * of `vm.max_map_count` slices; `ERR_IOL_NO_MEMORY` when there are no addresses (`RLIMIT_AS`) or no
   * memory for what must be copied.
   */
  static of(source: HeldBytes, options: MapOptions = {}): MappedBytes {
    if (!(source instanceof HeldBytes)) {
      throw invalidType('source', 'an instance of IolBuffer or Aggregate', source);
    }
    validateObject(options, 'options');
    const { pool } = options;
    checkPool(pool);
    return new MappedBytes(makers, source, pool);
  }

  /**
   * A view of a file: of the bytes that it has now, read through the file cache. What happens to the
   * file later does not show here, nor do stores show there.
   *
   * @param file a path, a {@link CachedFile}, or a descriptor of a regular file.
   * @throws {IolError} those of {@link MappedBytes.of}, {@link FileCache.open} and {@link iolRead}.
   */
  static async open(
    file: string | CachedFile | Descriptor,
    options: MapFileOptions = {},
  ): Promise<MappedBytes> {
    validateObject(options, 'options');
    const { pool, position = 0, byteLength, signal } = options;
    checkPool(pool);
    validateInteger(position, 'options.position');
    if (byteLength !== undefined) validateInteger(byteLength, 'options.byteLength');
    validateAbortSignal(signal, 'options.signal');
    using bytes = await MappedBytes.#read(file, position, byteLength, signal);
    return new MappedBytes(makers, bytes, pool);
  }

  static async #read(
    file: string | CachedFile | Descriptor,
    position: number,
    byteLength: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Aggregate> {
    if (file instanceof CachedFile) return await readFile(file, position, byteLength);
    if (typeof file === 'string') {
      using opened = await FileCache.default().open(file);
      return await readFile(opened, position, byteLength);
    }
    const fd = typeof file === 'number' ? file : file?.fd;
    if (typeof fd !== 'number') {
      throw invalidType('file', 'a path, an instance of CachedFile, or a descriptor', file);
    }
    validateInteger(fd, 'file', 0, 0x7fff_ffff);
    const length = byteLength ?? Math.max(0, (await sizeOf(fd)) - position);
    return await readAll(fd, position, length, signal);
  }

  /**
   * The bytes, to be read and written; the same array at each call. `seal()` and `dispose()` detach
   * it: what an asynchronous writer (`fs.read`, `zlib`) stores there later is lost.
   *
   * Its `buffer` may begin up to a page earlier, with zeros: use its `byteOffset`.
   *
   * @throws {IolError} `ERR_IOL_BUSY` when its ArrayBuffer was transferred.
   */
  bytes(): Uint8Array {
    const handle = this.#open();
    if (this.#bytes?.byteLength === this.byteLength) return this.#bytes;
    const buffer = mappedBytes(handle);
    this.#bytes = new Uint8Array(buffer, scratch[0], this.byteLength);
    // Why: whoever changes the bytes keeps the view, which would else be collected under them.
    owners.set(buffer, this);
    return this.#bytes;
  }

  /**
   * The ranges that differ from the source, by whole pages, in their order. Takes a look at each page
   * that was stored to.
   */
  changes(): ByteRange[] {
    const list = mappedChanges(this.#open());
    return Array.from({ length: list.length / 2 }, (_, i) => {
      return { from: list[2 * i]!, to: list[2 * i + 1]! };
    });
  }

  /** Bytes that {@link seal} would copy: the sum of {@link changes}. */
  get dirtyBytes(): number {
    return this.changes().reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /**
   * Memory that is this view's own: pages that were stored to, and those copied when it was made. It
   * counts neither against a pool nor against the window.
   */
  get privateBytes(): number {
    return mappedPrivateBytes(this.#open());
  }

  /**
   * The bytes as they are now; the view goes on. Pages that differ from the source are copied into
   * new buffers, neighbours into one (reason `mapSeal`); all others are the source's own, by address.
   *
   * @throws {IolError} those of {@link Pool.allocate}; nothing was taken then.
   */
  snapshot(): Aggregate {
    return this.#snapshot(this.#open(), false);
  }

  /**
   * Ends the view and gives its bytes as an aggregate, like {@link snapshot}.
   *
   * @throws {IolError} `ERR_IOL_BUSY` when the ArrayBuffer was transferred: somebody else may still
   * write. `ERR_IOL_SEALED` from this and every other method afterwards. The view is as it was when
   * this fails.
   */
  seal(): Aggregate {
    const sealed = this.#snapshot(this.#open(), true);
    this.#isSealed = true;
    this.#bytes = undefined;
    this.forget();
    return sealed;
  }

  /** Ends the view; what was stored to it is gone. */
  override dispose(): void {
    super.dispose();
    this.#bytes = undefined;
  }

  #snapshot(handle: number, isLast: boolean): Aggregate {
    const pool = this.#pool === undefined ? defaultPoolHandle : handleOf(this.#pool);
    return adoptAggregate(mappedSnapshot(handle, pool, isLast), this.byteLength);
  }

  #open(): number {
    if (this.#isSealed) {
      throw new IolError('ERR_IOL_SEALED', 'The mapping is sealed: its bytes never change again');
    }
    return handleOf(this);
  }

  protected override inspectFields(): Record<string, unknown> {
    return { byteLength: this.byteLength };
  }
}

/** The view of an ArrayBuffer from `bytes()`, kept alive by it. */
const owners = new WeakMap<ArrayBuffer, MappedBytes>();
