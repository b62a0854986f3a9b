/**
 * Aggregates: ordered lists of slices of immutable bytes. Editing one touches no byte.
 */
import type { AggregateTransfer } from '../channel/transfer';
import type { Kind } from '../leaks';
import { defaultPoolHandle, native } from '../native';
import { handleOf } from '../resource';
import { illegalConstructor, outOfRange, validateInteger } from '../validate';
import type { ReadonlyBytes } from './bytes';
import {
  appendPart, handleFromParts, handleFromText, isBytesLike, withParts, type BytesParts,
} from './bytes-like';
import { collectAsync, type CollectOptions } from './collect';
import { HeldBytes, setAggregateMaker } from './held-bytes';
import { viewAt } from './slice-views';

// For those who take bytes.
export { checkBytesLike, type BytesLike } from './bytes-like';
export { HeldBytes } from './held-bytes';

// Why constants: a call through one is inlined, through a property it is looked up.
const {
  aggregateByteLength, aggregateClone, aggregateDispose, aggregateEmpty,
  aggregateLinearize, aggregateRemove, aggregateReplace, aggregateSplit, scratch,
} = native;

const aggregateKind: Kind = {
  subject: 'aggregate',
  release: aggregateDispose,
};

/** Makes the object of a native aggregate, which it then owns. A length below 0 is asked for later. */
export let adoptAggregate: (handle: number, byteLength: number, isTracked?: boolean) => Aggregate;

/** What transfer.ts does, which is above this in the order of things. */
interface Transfers {
  offer(bytes: Aggregate): AggregateTransfer;
  fetch(transfer: AggregateTransfer): Promise<Aggregate>;
  withdraw(transfer: AggregateTransfer): boolean;
}
let transfers: Transfers;
export function setTransfers(those: Transfers): void {
  transfers = those;
}

const makers = Symbol('makers');

/** The end, wherever that is when the parts are known. */
const atEnd = Number.MAX_SAFE_INTEGER;

/**
 * An ordered, mutable list of slices of immutable bytes, passed by value: a clone shares the bytes,
 * never the list.
 *
 * Made by `from`, `fromText`, `fromAsync`, `concat` and `empty`. Parts are named or given: of an
 * `IolBuffer` or an aggregate the bytes are shared, and it stays its owner's, to be edited and released
 * as before; strings (as UTF-8) and arrays are copied into the default pool (reason `write`).
 *
 * An edit returns the aggregate itself. It is done as a whole or not at all: when a part is refused,
 * or there is no room, the aggregate is unchanged. Besides the errors of {@link HeldBytes} edits throw
 * `ERR_IOL_TOO_MANY_SLICES`, and for strings and arrays `ERR_IOL_POOL_FULL`, `ERR_IOL_WINDOW_FULL`,
 * `ERR_IOL_NO_MEMORY` and `ERR_IOL_TOO_LARGE`.
 */
export class Aggregate extends HeldBytes {
  /** Below 0 until it is asked for. */
  private knownLength: number;

  static {
    adoptAggregate = (handle, byteLength, isTracked = true) =>
      new Aggregate(makers, handle, byteLength, isTracked);
    setAggregateMaker(adoptAggregate);
  }

  private constructor(caller: symbol, handle: number, byteLength: number, isTracked: boolean) {
    if (caller !== makers) throw illegalConstructor();
    super(aggregateKind, handle, isTracked);
    this.knownLength = byteLength;
  }

  /**
   * The bytes of all parts in their order; a part may also be an array or another iterable of parts.
   */
  static from(...parts: BytesParts[]): Aggregate {
    return adoptAggregate(handleFromParts(parts, 'parts'), scratch[0]!);
  }

  /** The bytes of a text, in any encoding of Node. */
  static fromText(text: string, encoding: BufferEncoding = 'utf8'): Aggregate {
    return adoptAggregate(handleFromText(text, encoding), scratch[0]!);
  }

  /**
   * The bytes of all parts that a stream or another (async) iterable brings.
   *
   * @throws {IolError} `ERR_IOL_ABORTED`, `ERR_IOL_TOO_LARGE` beyond `maxBytes`, or what the source
   * throws. The source is ended and nothing is held then.
   */
  static fromAsync(
    source: AsyncIterable<BytesParts> | Iterable<BytesParts | Promise<BytesParts>>,
    options: CollectOptions = {},
  ): Promise<Aggregate> {
    return collectAsync(source, options);
  }

  /** All parts one after the other, or those of one array: the same as {@link Aggregate.from}. */
  static concat(...parts: BytesParts[]): Aggregate {
    return adoptAggregate(handleFromParts(parts, 'parts'), scratch[0]!);
  }

  /** An aggregate of no bytes. */
  static empty(): Aggregate {
    return adoptAggregate(aggregateEmpty(), 0);
  }

  /**
   * What stands for these bytes in a message to another thread or process of this window
   * (`postMessage`, `child.send`, JSON): {@link Aggregate.fromTransfer} makes an aggregate of it there,
   * once, without copying a byte.
   *
   * This domain holds the bytes until then, or until {@link Aggregate.withdrawTransfer}; the aggregate
   * itself stays yours. They are handed over by this thread's loop.
   *
   * @throws {IolError} `ERR_IOL_HOST_GONE` when the window has no host.
   */
  toTransfer(): AggregateTransfer {
    return transfers.offer(this);
  }

  /**
   * The aggregate that {@link Aggregate.toTransfer} of another domain (or this one) stands for.
   *
   * Cost: the first of a domain opens a channel to it; then one message each way.
   *
   * @throws {IolError} `ERR_IOL_CLOSED` when it was fetched or withdrawn before; `ERR_IOL_NO_DOMAIN` or
   * `ERR_IOL_PEER_DEAD` when its domain has ended; `ERR_IOL_ACCESS_DENIED` when its pool is not for us.
   */
  static async fromTransfer(transfer: AggregateTransfer): Promise<Aggregate> {
    return await transfers.fetch(transfer);
  }

  /** Lets go of what nobody is to fetch any more; false when it was fetched. */
  static withdrawTransfer(transfer: AggregateTransfer): boolean {
    return transfers.withdraw(transfer);
  }

  /** Length in bytes. */
  override get byteLength(): number {
    const handle = handleOf(this);
    if (this.knownLength < 0) this.knownLength = aggregateByteLength(handle);
    return this.knownLength;
  }

  private replaceBy(from: number, to: number, parts: BytesParts[]): this {
    handleOf(this);
    // Why the handle again: an iterable of parts may have released this meanwhile.
    withParts(parts, 'parts', (part) => aggregateReplace(handleOf(this), from, to, part));
    return this.edited();
  }

  private edited(): this {
    this.forgetSlices();
    this.knownLength = scratch[0]!;
    return this;
  }

  /** Joins the parts to the end. An aggregate may be appended to itself. */
  append(...parts: BytesParts[]): this {
    const handle = handleOf(this);
    const [first] = parts;
    if (parts.length === 1 && isBytesLike(first)) {
      appendPart(handle, first);
      return this.edited();
    }
    return this.replaceBy(atEnd, atEnd, parts);
  }

  /** Puts the parts before the first byte, in their order. */
  prepend(...parts: BytesParts[]): this {
    return this.replaceBy(0, 0, parts);
  }

  /** Puts the parts between the bytes before `at` and those from `at` on. */
  insert(at: number, ...parts: BytesParts[]): this {
    validateInteger(at, 'at', 0, this.byteLength);
    return this.replaceBy(at, at, parts);
  }

  /** Takes bytes `[from, to)` out. */
  remove(from: number, to: number = this.byteLength): this {
    const handle = handleOf(this);
    this.validateRange(from, to);
    aggregateRemove(handle, from, to);
    return this.edited();
  }

  /** Bytes `[from, to)` give way to the parts, which may have any length. */
  replace(from: number, to: number, ...parts: BytesParts[]): this {
    this.validateRange(from, to);
    return this.replaceBy(from, to, parts);
  }

  /** Takes the first `count` bytes out, and gives them as an aggregate, which is yours to release. */
  split(count: number): Aggregate {
    const handle = handleOf(this);
    const { byteLength } = this;
    validateInteger(count, 'count', 0, byteLength);
    const front = aggregateSplit(handle, count);
    this.forgetSlices();
    this.knownLength = byteLength - count;
    return adoptAggregate(front, scratch[0]!);
  }

  /** Drops the first `count` bytes. */
  consume(count: number): this {
    const handle = handleOf(this);
    validateInteger(count, 'count', 0, this.byteLength);
    aggregateRemove(handle, 0, count);
    return this.edited();
  }

  /** Drops all but the first `byteLength` bytes. */
  truncate(byteLength: number): this {
    const handle = handleOf(this);
    const before = this.byteLength;
    validateInteger(byteLength, 'byteLength', 0, before);
    aggregateRemove(handle, byteLength, before);
    return this.edited();
  }

  /** Drops all bytes. */
  clear(): this {
    return this.truncate(0);
  }

  /**
   * Puts all bytes into one slice. When they are in several, they are copied into one buffer of the
   * default pool (reason `linearize`), which this aggregate then has in their place.
   */
  linearize(): this {
    aggregateLinearize(handleOf(this), defaultPoolHandle);
    this.forgetSlices();
    return this;
  }

  /** All bytes in one piece, after {@link linearize}. See {@link HeldBytes.view}. */
  override view(): ReadonlyBytes {
    return viewAt(this.linearize(), 0, false);
  }

  /** The same bytes in a list of their own; nothing is copied. */
  override clone(): Aggregate {
    const handle = handleOf(this);
    return adoptAggregate(aggregateClone(handle), scratch[0]!);
  }

  /** `Aggregate`. */
  override get [Symbol.toStringTag](): string {
    return 'Aggregate';
  }

  private validateRange(from: number, to: number): void {
    const { byteLength } = this;
    validateInteger(from, 'from', 0, byteLength);
    validateInteger(to, 'to', 0, byteLength);
    if (from > to) throw outOfRange('to', `>= from (${from})`, to);
  }
}
