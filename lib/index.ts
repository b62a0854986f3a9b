/// <reference types="node" preserve="true" />
/**
 * io-lite: bytes enter the window once, are sealed, and from then on only names of bytes move.
 */
export { Aggregate, type BytesLike, type SliceInfo } from './aggregate';
export { DraftBuffer, IolBuffer } from './buffer';
export { unsafeUint8Array, type ReadonlyBytes } from './bytes';
export { crc32c, internetChecksum, sha256, type DerivedStats } from './derived';
export { IolError, isIolError, type ErrorCode, type IolErrorOptions } from './errors';
export {
  CachedFile, FileCache, type FileCacheOptions, type FileCacheStats,
} from './file-cache';
export type { ImmutableEvent } from './immutable';
export {
  iolRead, iolReadSync, iolWrite, iolWriteSync,
  type Abortable, type Descriptor, type ReadOptions, type Sink, type Source, type WriteOptions,
} from './io';
export { setLeakDetection, type LeakDetection } from './leaks';
export { MappedBytes, type ByteRange, type MapFileOptions, type MapOptions } from './mapped';
export { version } from './native';
export { Pool, type PoolOptions, type PoolStats } from './pool';
export { stats, type CopyCount, type Stats } from './stats';
export { Window, type WindowEvents, type WindowOptions, type WindowStats } from './window';
