/**
 * Messages that were received, and those that wait here: small ones are taken from the ring several at a
 * time, by one call into the addon.
 */
import { adoptAggregate, type Aggregate } from '../aggregate/aggregate';
import { onWindowClosed } from '../leaks';
import { native } from '../native';
import { illegalConstructor } from '../validate';
import { batched, batchedMetadata, batchMax, noMetadata } from './metadata';

const { aggregateDispose } = native;

const makers = Symbol('makers');

let makeMessage: (aggregate: Aggregate, metadata: Buffer) => Message;

/** What came through a `Channel`: yours to dispose, which disposes its aggregate. */
export class Message implements Disposable {
  /** The sender's bytes, where the sender has them. */
  readonly aggregate: Aggregate;
  /** A copy of what was sent beside them: at most 1024 bytes. */
  readonly metadata: Buffer;

  static {
    makeMessage = (aggregate, metadata) => new Message(makers, aggregate, metadata);
  }

  private constructor(caller: symbol, aggregate: Aggregate, metadata: Buffer) {
    if (caller !== makers) throw illegalConstructor();
    this.aggregate = aggregate;
    this.metadata = metadata;
  }

  /** Releases the bytes. Idempotent. */
  dispose(): void {
    this.aggregate.dispose();
  }

  /** The same as {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

const perMessage = 3;

/**
 * Messages of one channel that were taken and not yet asked for. They are no objects before that; what
 * is left goes with the channel.
 */
class Arrived {
  /** Of each: its aggregate's handle, bytes, bytes of metadata; as the addon told them. */
  private readonly entries = new Float64Array(perMessage * batchMax);
  private metadata = noMetadata;
  private metadataAt = 0;
  private at = 0;
  private end = 0;

  /** Takes over what the addon has just told. Nothing is left from before. */
  fill(count: number): void {
    this.entries.set(batched);
    this.at = 0;
    this.end = perMessage * count;
    let bytes = 0;
    for (let at = 2; at < this.end; at += perMessage) bytes += this.entries[at]!;
    this.metadata = bytes === 0 ? noMetadata : Buffer.from(batchedMetadata.subarray(0, bytes));
    this.metadataAt = 0;
  }

  next(): Message | undefined {
    const { at, entries } = this;
    if (at === this.end) return undefined;
    this.at = at + perMessage;
    const bytes = entries[at + 2]!;
    let metadata = noMetadata;
    if (bytes > 0) {
      metadata = this.metadata.subarray(this.metadataAt, this.metadataAt + bytes);
      this.metadataAt += bytes;
    }
    return makeMessage(adoptAggregate(entries[at]!, entries[at + 1]!), metadata);
  }

  release(): void {
    for (; this.at < this.end; this.at += perMessage) aggregateDispose(this.entries[this.at]!);
  }
}

/** By the channel's handle. Why not the channel's own: one that was forgotten has them released, too. */
const arrivedOf = new Map<number, Arrived>();

onWindowClosed(() => arrivedOf.clear());

/** The oldest of the messages that were taken before, and not yet asked for. */
export function nextArrived(channel: number): Message | undefined {
  return arrivedOf.get(channel)?.next();
}

/** The first of the `count` messages that the addon has just told of; the others wait. */
export function arrived(channel: number, count: number): Message {
  if (count === 1) {
    const bytes = batched[2]!;
    const metadata = bytes === 0 ? noMetadata : Buffer.from(batchedMetadata.subarray(0, bytes));
    return makeMessage(adoptAggregate(batched[0]!, batched[1]!), metadata);
  }
  let messages = arrivedOf.get(channel);
  if (messages === undefined) arrivedOf.set(channel, (messages = new Arrived()));
  messages.fill(count);
  return messages.next()!;
}

/** Of a channel that ends: what nobody has asked for. */
export function releaseArrived(channel: number): void {
  arrivedOf.get(channel)?.release();
  arrivedOf.delete(channel);
}
