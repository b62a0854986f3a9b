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

export interface NativeAddon {
  version: () => string;
  scratch: Float64Array;
  setErrorFactory: (factory: typeof makeNativeError) => void;
  /** `places`: address and generation of each store that was undone. */
  setImmutableReporter: (report: (places: number[], handlerWasReplaced: boolean) => void) => void;

  /** Heals and reports now what the loop would have. */
  reportStores: () => void;

  windowConfigure: (maxBytes: number) => void;
  /** Gives up everything that has a handle; until windowReopen() nothing can be made. */
  windowClose: () => void;
  windowReopen: () => void;
  /** scratch: id (low 32 bits, high 32 bits), maxBytes, bytes committed. */
  windowStart: () => void;
  /** scratch: live holds, stores healed, aggregates, drafts, committed, then times, bytes per reason. */
  processStats: () => void;
  copyReasons: () => string[];
  poolCreate: (maxBytes: number, idleBytesMax: number, sealed: boolean) => number;
  poolClose: (pool: number) => void;
  poolTrim: (pool: number, keepBytes: number) => number;
  /** scratch: see `poolFigures` in pool.ts. */
  poolStats: (pool: number) => void;
  setStrict: (isStrict: boolean) => void;
  setPageBudget: (pages: number) => void;
  reinstallFaultHandler: () => boolean;

  draftAllocate: (pool: number, byteLength: number) => number;
  draftWrite: (draft: number, bytes: Uint8Array, at: number) => number;
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
  aggregateFromString: (pool: number, text: string, isLatin1: boolean) => number;
  aggregateFromBytes: (pool: number, bytes: Uint8Array) => number;
  /** Up to 16 parts. */
  aggregateConcat: (...parts: number[]) => number;
  aggregateAppend: (aggregate: number, other: number) => void;
  aggregateSlice: (aggregate: number, from: number, to: number) => number;
  aggregateByteLength: (aggregate: number) => number;
  aggregateSliceCount: (aggregate: number) => number;
  /** False when there is no such slice; scratch: byteLength, address, generation. */
  aggregateSliceAt: (aggregate: number, index: number) => boolean;
  /** scratch: byteLength, offset in the ArrayBuffer. */
  aggregateView: (aggregate: number, index: number, isUnsafe: boolean) => ArrayBuffer | undefined;
  aggregateLinearize: (aggregate: number, pool: number) => void;
  aggregateCopyTo: (
    aggregate: number,
    target: Uint8Array,
    targetStart: number,
    from: number,
    to: number,
  ) => number;
  aggregateToString: (aggregate: number, isLatin1: boolean, from: number, to: number) => string;
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

/** The version of the library; the addon's is the same, or loading would have failed. */
export const version: string = native.version();
