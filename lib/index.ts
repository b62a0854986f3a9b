/// <reference types="node" preserve="true" />
/**
 * io-lite: bytes enter the window once, are sealed, and from then on only names of bytes move.
 */
import './transfer';
export { Aggregate } from './aggregate';
export { IolBuffer } from './buffer';
export type { ByteReads } from './byte-reads';
export type { ByteWrites } from './byte-writes';
export { unsafeUint8Array, type ReadonlyBytes } from './bytes';
export type { BytesLike, BytesParts } from './bytes-like';
export type { CollectOptions } from './collect';
export { Channel, type ChannelPeer, type DomainName } from './channel';
export { Message } from './channel-message';
export type { Cursor } from './cursor';
export { crc32c, internetChecksum, sha256, type DerivedStats } from './derived';
export { DraftBuffer } from './draft';
export { IolError, isIolError, type ErrorCode, type IolErrorOptions } from './errors';
export {
  CachedFile, FileCache, type FileCacheOptions, type FileCacheStats,
} from './file-cache';
export type { BytesSummary, HeldBytes, SliceInfo } from './held-bytes';
export type { ImmutableEvent } from './immutable';
export {
  iolRead, iolReadSync, iolWrite, iolWriteSync,
  type Abortable, type Descriptor, type ReadOptions, type Sink, type Source, type WriteOptions,
} from './io';
export type { StreamSink, StreamSource } from './io-streams';
export { setLeakDetection, type LeakDetection } from './leaks';
export { MappedBytes, type ByteRange, type MapFileOptions, type MapOptions } from './mapped';
export { version } from './native';
export type { DomainInfo } from './membership';
export type { AccessRule } from './access-list';
export { Pool, type PoolOptions, type PoolStats } from './pool';
export { toReadable, toReadableStream } from './readable';
export type { Resource } from './resource';
export { stats, type CopyCount, type Stats, type StepCount } from './stats';
export type { LineOptions } from './text';
export type { AggregateTransfer } from './transfer';
export {
  Window, type AttachOptions, type ConnectOptions, type Domain, type DomainOptions, type WindowEvents,
  type WindowOptions, type WindowStats,
} from './window';
