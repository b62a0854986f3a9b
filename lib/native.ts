/**
 * The one typed border to the addon. Everything crosses it as numbers: an object of the native side
 * is a handle (a small integer, 0 is none), and figures that do not fit one return value are in
 * `scratch`, valid until the next call. Arguments are checked before they get here.
 *
 * A module with natives of its own adds to the interface by declaration merging:
 * `declare module './native' { interface NativeAddon { … } }`.
 */
import { makeNativeError } from './errors';
import { loadAddon } from './load-addon';

export { launcherPath } from './load-addon';

export interface NativeAddon {
  version: () => string;
  scratch: Float64Array;
  setErrorFactory: (factory: typeof makeNativeError) => void;
  /** `places`: address and generation of each store that was undone. */
  setImmutableReporter: (report: (places: number[], handlerWasReplaced: boolean) => void) => void;

  /** Heals and reports now what the loop would have. */
  reportStores: () => void;

  /** What the first use of memory joins: IOL_WINDOW, or ''. */
  windowAddress: (address: string) => void;
  windowConfigure: (maxBytes: number) => void;
  /** Gives up everything that has a handle; until windowReopen() nothing can be made. */
  windowClose: () => void;
  windowReopen: () => void;
  /** scratch: id (low 32 bits, high 32 bits), maxBytes, bytes committed. */
  windowStart: () => void;
  /**
   * scratch: live holds, stores healed, aggregates, drafts, mappings, nodes, entries, released, then
   * times, bytes per reason.
   */
  processStats: () => void;
  copyReasons: () => string[];
  /** `access`: kind, value, kind, value, …; empty for everybody. */
  poolCreate: (
    maxBytes: number,
    idleBytesMax: number,
    sealed: boolean,
    access: (number | string)[],
    name: string,
  ) => number;
  poolClose: (pool: number) => void;
  poolTrim: (pool: number, keepBytes: number) => number;
  /** scratch: see `poolFigures` in pool.ts. */
  poolStats: (pool: number) => void;
  setStrict: (isStrict: boolean) => void;
  setPageBudget: (pages: number) => void;
  reinstallFaultHandler: () => boolean;

  draftAllocate: (pool: number, byteLength: number) => number;
  draftWrite: (draft: number, bytes: Uint8Array, at: number) => number;
  draftWriteString: (draft: number, text: string, at: number, encoding: number) => number;
  /** Up to 8 bytes of `valueBytes`. */
  draftPoke: (draft: number, at: number, count: number) => void;
  /** Repeats the bytes of an array, or one byte. */
  draftFill: (draft: number, pattern: Uint8Array | number, from: number, to: number) => void;
  draftBytes: (draft: number) => ArrayBuffer;
  draftCopyOut: (draft: number, target: ArrayBuffer) => void;
  /** Here and wherever an aggregate is made: scratch has byteLength; of a buffer address, generation. */
  draftSeal: (draft: number, byteLength: number, heap: ArrayBuffer | undefined) => number;
  draftSealCopy: (
    draft: number,
    byteLength: number,
    heap: ArrayBuffer | undefined,
    pool: number,
  ) => number;
  draftDispose: (draft: number) => void;
  detach: (buffer: ArrayBuffer) => void;

  aggregateEmpty: () => number;
  aggregateFromString: (pool: number, text: string, encoding: number) => number;
  aggregateFromBytes: (pool: number, bytes: Uint8Array) => number;
  /** Up to 16 parts. */
  aggregateConcat: (...parts: number[]) => number;
  aggregateClone: (aggregate: number) => number;
  aggregateSlice: (aggregate: number, from: number, to: number) => number;
  /** After each edit: scratch has byteLength; of split() that of the front, which it gives. */
  aggregateAppend: (aggregate: number, other: number) => void;
  aggregateAppendString: (aggregate: number, pool: number, text: string, encoding: number) => void;
  aggregateAppendBytes: (aggregate: number, pool: number, bytes: Uint8Array) => void;
  aggregateReplace: (aggregate: number, from: number, to: number, other: number) => void;
  aggregateRemove: (aggregate: number, from: number, to: number) => void;
  aggregateSplit: (aggregate: number, byteLength: number) => number;
  aggregateLinearize: (aggregate: number, pool: number) => void;
  aggregateByteLength: (aggregate: number) => number;
  aggregateSliceCount: (aggregate: number) => number;
  /** False when there is no such slice; scratch: byteLength, address, generation. */
  aggregateSliceAt: (aggregate: number, index: number) => boolean;
  /** Of the slice that has byte `at`; scratch: byteLength, offset in the ArrayBuffer, first place. */
  aggregateViewAt: (aggregate: number, at: number, isUnsafe: boolean) => ArrayBuffer | undefined;
  /**
   * Of the slice that has byte `at` and those behind it in the same ArrayBuffer; scratch: how many, up
   * to 24, the first one's first place, then byteLength and offset of each.
   */
  aggregateViewsFrom: (aggregate: number, at: number) => ArrayBuffer | undefined;
  /** Up to 8 bytes into `valueBytes`; scratch: first place of the slice of `at`, place behind it. */
  aggregatePeek: (aggregate: number, at: number, count: number) => void;
  aggregateCopyTo: (
    aggregate: number,
    target: Uint8Array,
    targetStart: number,
    from: number,
    to: number,
  ) => number;
  aggregateToString: (aggregate: number, encoding: number, from: number, to: number) => string;
  /** Here and below: a needle is a kind and a value, see bytes-like.ts. */
  aggregateIndexOf: (
    aggregate: number,
    kind: number,
    needle: string | Uint8Array | number,
    from: number,
    isLast: boolean,
  ) => number;
  aggregateMatches: (
    aggregate: number,
    kind: number,
    needle: string | Uint8Array | number,
    at: number,
    isEnd: boolean,
  ) => boolean;
  aggregateCompare: (aggregate: number, kind: number, other: string | Uint8Array | number) => number;
  aggregateEquals: (aggregate: number, kind: number, other: string | Uint8Array | number) => boolean;
  aggregateDispose: (aggregate: number) => void;

  fileCacheCreate: (
    pool: number,
    maxBytes: number,
    checkIntervalMs: number,
    openFilesMax: number,
    watches: boolean,
  ) => number;
  fileCacheClose: (cache: number) => void;
  fileCacheTryOpen: (cache: number, path: string) => number;
  fileCacheOpen: (cache: number, path: string) => Promise<number>;
  /** scratch: the figures of file-cache.ts. */
  fileCacheStats: (cache: number) => void;
  /** The etag; scratch: byteLength, mtimeMs. */
  fileInfo: (file: number) => string;
  fileRealPath: (file: number) => string;
  fileIsFresh: (file: number) => boolean;
  fileTryRead: (cache: number, file: number, offset: number, length: number) => number;
  fileRead: (cache: number, file: number, offset: number, length: number) => Promise<number>;
  fileRelease: (file: number) => void;
}

/** The handle of the environment's default pool. */
export const defaultPoolHandle = -1;

// Why a copy: V8 looks properties of an object literal up faster than those of the addon's exports.
export const native: NativeAddon = { ...(loadAddon() as NativeAddon) };
native.setErrorFactory(makeNativeError);
native.windowAddress(process.env['IOL_WINDOW'] ?? '');

/** The version of the library; the addon's is the same, or loading would have failed. */
export const version: string = native.version();
