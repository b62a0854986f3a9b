/**
 * io-lite/bl: the interface of the `bl` package over an aggregate, for code that was written for it.
 *
 *   new BufferList(...)   append ... consume       bytes are copied into the window as they come in
 *   slice, copy, toString, get, read…              and out of it as they are asked for
 *   shallowSlice, duplicate, toAggregate           never in between
 */
/* eslint-disable @typescript-eslint/no-unsafe-declaration-merging -- Methods are made at the end. */
import { Duplex, type Readable } from 'node:stream';
import { inspect, type InspectOptions } from 'node:util';

import { adoptAggregate, Aggregate, HeldBytes } from './aggregate/aggregate';
import type { BytesSummary } from './aggregate/held-bytes';
import { onWindowClosed } from './leaks';
import { native } from './native';

const brand = Symbol.for('BufferList');
const bytesKey = Symbol('bytes');

/** A list of `bl` itself, or of another copy of this. */
export interface ForeignList {
  /** All bytes, in pieces. */
  getBuffers(): Uint8Array[];
}

/** What can be appended and prepended; nothing is appended for null and undefined. */
export type BufferListAcceptedTypes =
  | BufferList
  | HeldBytes
  | Uint8Array
  | string
  | number
  | ForeignList
  | readonly BufferListAcceptedTypes[]
  | null
  | undefined;

/** Whether `value` is a list of bytes of this module or of `bl`. */
export function isBufferList(value: unknown): value is BufferList {
  return value !== null && value !== undefined && Boolean((value as { [brand]?: unknown })[brand]);
}

// Why not the leak detector's: code that was written for bl releases nothing, and need not.
const giveBack = (handle: number): void => native.aggregateDispose(handle);
let forgotten = new FinalizationRegistry(giveBack);
onWindowClosed(() => (forgotten = new FinalizationRegistry(giveBack)));

/** The bytes of a list, whose handle the collector gives back if nobody else does. */
function newBytes(owner: object, handle: number): Aggregate {
  forgotten.register(owner, handle, owner);
  return adoptAggregate(handle, -1, false);
}

/** Calls `add` with each run of bytes of `value`, from first to last. */
function eachPart(
  value: BufferListAcceptedTypes,
  add: (part: HeldBytes | Uint8Array | string) => void,
): void {
  if (value === null || value === undefined) return;
  if (value instanceof HeldBytes) add(value);
  else if (isList(value)) add(value[bytesKey]);
  else if (Array.isArray(value)) for (const part of value as BufferListAcceptedTypes[]) eachPart(part, add);
  else if (isBufferList(value)) for (const part of (value as ForeignList).getBuffers()) add(part);
  else if (ArrayBuffer.isView(value)) add(viewOf(value));
  else if (typeof value === 'number') add(String(value));
  else add(typeof value === 'string' ? value : Buffer.from(value as never));
}

function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function isList(value: unknown): value is { readonly [bytesKey]: Aggregate } {
  return typeof value === 'object' && value !== null && bytesKey in value;
}

/** A place as bl understands one: negative ones count from the end, others end at the length. */
function placeOf(place: number | undefined, length: number, otherwise: number): number {
  if (typeof place !== 'number' || Number.isNaN(place)) return otherwise;
  const whole = Math.trunc(place);
  return Math.max(0, Math.min(length, whole < 0 ? whole + length : whole));
}

function needleOf(search: unknown, encoding: BufferEncoding | undefined): HeldBytes | Uint8Array {
  if (typeof search === 'function' || Array.isArray(search)) {
    throw new TypeError('The "value" argument must be a string, a number, bytes or a BufferList');
  }
  if (search instanceof HeldBytes) return search;
  if (isList(search)) return search[bytesKey];
  if (typeof search === 'number') return Buffer.from([search]);
  if (typeof search === 'string') return Buffer.from(search, encoding);
  if (isBufferList(search)) return (search as unknown as { slice(): Buffer }).slice();
  return ArrayBuffer.isView(search) ? viewOf(search) : Buffer.from(search as never);
}

type Read =
  | `read${'U' | ''}Int${'16' | '32'}${'BE' | 'LE'}`
  | `read${'U' | ''}Int8`
  | `read${'Float' | 'Double'}${'BE' | 'LE'}`
  | `readBig${'U' | ''}Int64${'BE' | 'LE'}`
  | `read${'U' | ''}Int${'BE' | 'LE'}`;

/** The reads of Node's Buffer, with its arguments and results. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface BufferList extends Pick<Buffer, Read> {}

/**
 * The class of the `bl` package, over an aggregate. Besides what that has, it takes aggregates and
 * buffers by reference, gives its bytes as one (`toAggregate`), and can be released (`dispose`, `using`);
 * if it is not, its bytes go back when it is collected.
 */
export class BufferList implements Disposable {
  readonly [brand] = true;
  /** @internal */
  readonly [bytesKey]: Aggregate = newBytes(this, native.aggregateEmpty());

  constructor(value?: BufferListAcceptedTypes) {
    if (value) this.append(value);
  }

  /** See {@link isBufferList}. */
  static isBufferList(value: unknown): value is BufferList {
    return isBufferList(value);
  }

  get length(): number {
    return this[bytesKey].byteLength;
  }

  /** Joins to the end. Aggregates and lists are shared; everything else is copied (reason `write`). */
  append(value: BufferListAcceptedTypes): this {
    const bytes = this[bytesKey];
    if (typeof value === 'string' || value instanceof HeldBytes) bytes.append(value);
    else eachPart(value, (part) => bytes.append(part));
    return this;
  }

  /** Puts before the first byte; of an array, the parts in their order. See {@link append}. */
  prepend(value: BufferListAcceptedTypes): this {
    using parts = Aggregate.empty();
    eachPart(value, (part) => parts.append(part));
    this[bytesKey].prepend(parts);
    return this;
  }

  /** The byte at `index`, or undefined. */
  get(index: number): number | undefined {
    return index >= 0 ? this[bytesKey].at(Math.trunc(index)) : undefined;
  }

  /** A copy of bytes `[start, end)`; negative places count from the end. */
  slice(start?: number, end?: number): Buffer {
    const { length } = this;
    return this[bytesKey].toBuffer(placeOf(start, length, 0), placeOf(end, length, length));
  }

  /** Bytes `[start, end)` as a list of their own; nothing is copied. */
  shallowSlice(start?: number, end?: number): BufferList {
    const { length } = this;
    const from = placeOf(start, length, 0);
    const to = Math.max(from, placeOf(end, length, length));
    using bytes = this[bytesKey].slice(from, to);
    return this._new(bytes);
  }

  /** Copies bytes `[sourceStart, sourceEnd)` to `target`, as many as fit; a new Buffer without one. */
  copy(target: Uint8Array | null, targetStart = 0, sourceStart = 0, sourceEnd = this.length): Uint8Array {
    const { length } = this;
    const from = Math.min(length, Math.max(0, sourceStart));
    const to = Math.min(length, Math.max(from, sourceEnd));
    if (!target) return this[bytesKey].toBuffer(from, to);
    this[bytesKey].copyTo(target, targetStart, from, to);
    return target;
  }

  /** The same bytes in a list of their own; nothing is copied. */
  duplicate(): BufferList {
    // Why by way of another: released bytes are refused before a list is made.
    using bytes = this.toAggregate();
    return this._new(bytes);
  }

  /** Drops the first `count` bytes, or all that there are. */
  consume(count: number): this {
    const whole = Math.trunc(count);
    if (whole > 0 && this.length > 0) this[bytesKey].consume(Math.min(whole, this.length));
    return this;
  }

  toString(encoding?: BufferEncoding, start?: number, end?: number): string {
    const { length } = this;
    const from = placeOf(start, length, 0);
    const to = placeOf(end, length, length);
    return this[bytesKey].toString(encoding ?? 'utf8', from, Math.max(from, to));
  }

  /** The first place at or after `offset` where `search` is, or -1. */
  indexOf(
    search: HeldBytes | BufferList | Uint8Array | string | number,
    offset?: number | BufferEncoding,
    encoding?: BufferEncoding,
  ): number {
    if (typeof offset === 'string') return this.indexOf(search, undefined, offset);
    const from = placeOf(Number(offset ?? 0), this.length, 0);
    return this[bytesKey].indexOf(needleOf(search, encoding), from);
  }

  /** A copy of each slice. */
  getBuffers(): Buffer[] {
    return this[bytesKey].slices().reduce<{ at: number; buffers: Buffer[] }>(
      ({ at, buffers }, { byteLength }) => {
        buffers.push(this[bytesKey].toBuffer(at, at + byteLength));
        return { at: at + byteLength, buffers };
      },
      { at: 0, buffers: [] },
    ).buffers;
  }

  /** The same bytes as an aggregate, which is yours to release; nothing is copied. */
  toAggregate(): Aggregate {
    return this[bytesKey].clone();
  }

  /** What `JSON.stringify` shows: a summary, not the bytes. For those, `toString('base64')`. */
  toJSON(): BytesSummary {
    return { ...this[bytesKey].toJSON(), type: this.constructor.name };
  }

  /** @internal What `console.log` shows; never throws. */
  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspect(this[bytesKey], { ...options, depth }).replace('Aggregate', this.constructor.name);
  }

  /** Gives the bytes back now. Idempotent. */
  dispose(): void {
    forgotten.unregister(this);
    this[bytesKey].dispose();
  }

  /** The same as {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal What bl itself reads of a list that is given to it. */
  get _bufs(): Buffer[] {
    return this.getBuffers();
  }

  /** @internal */
  protected _new(value?: BufferListAcceptedTypes): BufferList {
    return new BufferList(value);
  }
}

const reads: readonly Read[] = [
  'readDoubleBE', 'readDoubleLE', 'readFloatBE', 'readFloatLE', 'readBigInt64BE', 'readBigInt64LE',
  'readBigUInt64BE', 'readBigUInt64LE', 'readInt32BE', 'readInt32LE', 'readUInt32BE', 'readUInt32LE',
  'readInt16BE', 'readInt16LE', 'readUInt16BE', 'readUInt16LE', 'readInt8', 'readUInt8',
  'readIntBE', 'readIntLE', 'readUIntBE', 'readUIntLE',
];

for (const name of reads) {
  Object.defineProperty(BufferList.prototype, name, {
    configurable: true,
    writable: true,
    value: function (this: BufferList, offset = 0, byteLength?: number): number | bigint {
      const bytes = this[bytesKey] as unknown as Record<string, (...all: unknown[]) => number | bigint>;
      return byteLength === undefined ? bytes[name]!(offset) : bytes[name]!(offset, byteLength);
    },
  });
}

/** Is called with an error of the source, or with a copy of all bytes when the stream was ended. */
export type BufferListCallback = (error: Error | null, bytes?: Buffer) => void;

// The methods and reads of BufferList are copied below.
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface BufferListStream extends Omit<BufferList, typeof bytesKey | typeof brand> {}

/**
 * A {@link BufferList} that is a stream: what is written to it is appended, what is read from it is
 * consumed. With a callback it collects what is piped into it.
 */
export class BufferListStream extends Duplex {
  readonly [brand] = true;
  /** @internal */
  readonly [bytesKey]: Aggregate = newBytes(this, native.aggregateEmpty());
  #callback: BufferListCallback | undefined;

  constructor(value?: BufferListCallback | BufferListAcceptedTypes) {
    super();
    if (typeof value !== 'function') {
      if (value) this.append(value);
      return;
    }
    this.#callback = value;
    const onError = (error: Error): void => this.#answer(error);
    this.on('pipe', (source: Readable) => source.on('error', onError));
    this.on('unpipe', (source: Readable) => source.off('error', onError));
  }

  /** See {@link isBufferList}. */
  static isBufferList(value: unknown): value is BufferList {
    return isBufferList(value);
  }

  #answer(error: Error | null, bytes?: Buffer): void {
    const callback = this.#callback;
    this.#callback = undefined;
    if (error) callback?.(error);
    else callback?.(null, bytes);
  }

  /** Ends the writable side, and calls back with a copy of all bytes. */
  override end(...all: unknown[]): this {
    (super.end as (...all: unknown[]) => this)(...all);
    if (this.#callback) this.#answer(null, this.slice());
    return this;
  }

  /** @internal */
  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    let failure: Error | undefined;
    try {
      this.append(chunk);
    } catch (error) {
      failure = error as Error;
    }
    done(failure);
  }

  /** @internal */
  override _read(size: number): void {
    const length = Math.min(size, this.length);
    if (length === 0) return void this.push(null);
    const chunk = this.slice(0, length);
    this.consume(length);
    this.push(chunk);
  }

  /** @internal */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.consume(Infinity);
    done(error);
  }

  /** @internal */
  protected _new(value?: BufferListAcceptedTypes): BufferList {
    return new BufferListStream(value) as unknown as BufferList;
  }
}

const own = new Set<string | symbol>(['constructor', '_new']);
for (const name of Reflect.ownKeys(BufferList.prototype)) {
  if (own.has(name)) continue;
  const descriptor = Object.getOwnPropertyDescriptor(BufferList.prototype, name)!;
  Object.defineProperty(BufferListStream.prototype, name, descriptor);
}

// The one default export of the library, because bl has it, and what require() gives there: the class
// with the names in it.
export default BufferListStream;
Object.defineProperty(BufferListStream, '__esModule', { value: true });
module.exports = Object.assign(BufferListStream, exports) as unknown;
