/// <reference types="node" preserve="true" />
/**
 * io-lite: bytes enter the window once, are sealed, and from then on only names of bytes move.
 */
import './channel/transfer';
export { Aggregate } from './aggregate/aggregate';
export { IolBuffer } from './aggregate/buffer';
export type { ByteReads } from './aggregate/byte-reads';
export type { ByteWrites } from './aggregate/byte-writes';
export { unsafeUint8Array, type ReadonlyBytes } from './aggregate/bytes';
export type { BytesLike, BytesParts } from './aggregate/bytes-like';
export type { CollectOptions } from './aggregate/collect';
export { Channel, type ChannelPeer, type DomainName } from './channel/channel';
export { Message } from './channel/message';
export type { Cursor } from './aggregate/cursor';
export { crc32c, internetChecksum, sha256, type DerivedStats } from './aggregate/derived';
export { DraftBuffer } from './aggregate/draft';
export { IolError, isIolError, type ErrorCode, type IolErrorOptions } from './errors';
export {
  CachedFile, FileCache, type FileCacheOptions, type FileCacheStats,
} from './io/file-cache';
export type { BytesSummary, HeldBytes, SliceInfo } from './aggregate/held-bytes';
export type { ImmutableEvent } from './window/immutable';
export {
  iolRead, iolReadSync, iolWrite, iolWriteSync,
  type Abortable, type Descriptor, type ReadOptions, type Sink, type Source, type WriteOptions,
} from './io/io';
export type { StreamSink, StreamSource } from './io/streams';
export { setLeakDetection, type LeakDetection } from './leaks';
export { MappedBytes, type ByteRange, type MapFileOptions, type MapOptions } from './io/mapped';
export { version } from './native';
export type { DomainInfo } from './channel/membership';
export type { AccessRule } from './window/access-list';
export { Pool, type PoolOptions, type PoolStats } from './window/pool';
export { toReadable, toReadableStream } from './aggregate/readable';
export type { Resource } from './resource';
export { stats, type CopyCount, type Stats, type StepCount } from './window/stats';
export type { LineOptions } from './aggregate/text';
export type { AggregateTransfer } from './channel/transfer';
export {
  Window, type AttachOptions, type ConnectOptions, type Domain, type DomainOptions, type WindowEvents,
  type WindowOptions, type WindowStats,
} from './window/window';
