/**
 * Channels: queues of aggregates between two domains of a window, one each way.
 *
 * The addon calls in once a turn of the loop, with the channels that have something; messages are then
 * taken by calls into it, which cost a tenth.
 */
import { abortedError } from '../abort';
import { Aggregate, checkBytesLike, HeldBytes, type BytesLike } from '../aggregate/aggregate';
import { errorTable } from '../error-codes.generated';
import { closedError, IolError } from '../errors';
import { onWindowClosed, type Kind } from '../leaks';
import { native } from '../native';
import { handleOf, Resource } from '../resource';
import { illegalConstructor, validateAbortSignal, validateObject } from '../validate';
import { arrived, nextArrived, releaseArrived, type Message } from './message';
import { frameOut, keepMetadata, metadataOf } from './metadata';
import { enqueue, type Receiving, type Sending, type Waiter } from './waiters';

declare module '../native' {
  interface NativeAddon {
    /** See channel-metadata.ts. */
    channelMemory: Uint8Array;
    /** 1 sent, 0 not now, -1 closed, -2 the peer is dead. */
    channelSend: (channel: number, aggregate: number, metadata: Uint8Array | undefined) => number;
    /** The same with so many bytes of frameOut. */
    channelSendFrame: (channel: number, aggregate: number, bytes: number) => number;
    channelCork: (channel: number, isCorked: boolean) => void;
    /** The aggregate, or as channelSend; scratch: its length, bytes of metadata. */
    channelReceive: (channel: number) => number;
    /** How many messages were taken, which are in channelMemory; or as channelSend. */
    channelReceiveBatch: (channel: number) => number;
    /** 1 a message, 2 room, 4 keeps the loop alive, 8 a turn of the loop. */
    channelAwait: (channel: number, awaited: number) => void;
    channelClose: (channel: number) => void;
    /** scratch: bytes queued, ring's size; of the thread: rings, sleeps, wakes, spins in vain. */
    channelStats: (channel: number) => void;
  }
}

// Why constants: a call through one is inlined, through a property it is looked up.
const {
  aggregateConcat, aggregateDispose, channelAwait, channelClose, channelCork, channelReceive,
  channelReceiveBatch, channelSend, channelSendFrame, channelStats, scratch,
} = native;

const sent = 1;
const notNow = 0;
const peerDead = -2;

const awaitsMessage = 1;
const awaitsRoom = 2;
const keepsAlive = 4;
const awaitsTurn = 8;

/**
 * Operations that were done at once since the loop had its last turn with us. Why bounded: a loop of
 * awaits that are done at once would keep timers and sockets waiting for ever.
 */
const atOnceMax = 1024;
let atOnce = 0;

/** Names one domain for ever: a slot that is used again has another epoch. */
export interface DomainName {
  readonly slot: number;
  readonly epoch: number;
}

/**
 * The other end of a {@link Channel}. Process, user and group are what the kernel told the window's
 * host when it attached, whatever the peer says of itself; the label is its own word.
 */
export interface ChannelPeer extends DomainName {
  /** What it called itself when it attached; '' if nothing. */
  readonly label: string;
  /** As the host's PID namespace has it. A process of that number may be another one by now. */
  readonly pid: number;
  /** Its effective user at that time. */
  readonly uid: number;
  /** Its effective group at that time. */
  readonly gid: number;
}

const makers = Symbol('makers');

const channelKind: Kind = {
  subject: 'channel',
  release(handle) {
    releaseArrived(handle);
    channelClose(handle);
  },
};

/** Channels that somebody waits for, by handle. */
const awaited = new Map<number, Channel>();
let runTurn: (channel: Channel) => void;
let endAll: (channel: Channel) => void;

/** For io.ts: at most `size` (at least 1) bytes of the messages in their order; null at the end. */
export let readChannel: (
  channel: Channel,
  size: number,
  signal: AbortSignal | undefined,
) => Promise<Aggregate | null>;

/**
 * For pipe-reader.ts and the CGI code: calls `tell` once, when there may be something to receive, or
 * the end. It does not keep the process alive more than `channel` does.
 */
export let whenChannelReady: (channel: Channel, tell: () => void) => void;

/**
 * The next message as a handle, which is the caller's; its length is in scratch[0], the bytes of its
 * metadata in scratch[1]. 0: none now, -1: closed, -2: the peer is dead. For channels whose messages are
 * all taken so: receive() and its like take several at a time.
 *
 * @throws {IolError} as {@link Channel.receive}.
 */
export const takeFrame: (handle: number) => number = channelReceive;

/**
 * Sends an aggregate by its handle with the first `bytes` of {@link frameOut}, now or when there is
 * room. A channel that has ended takes it and tells nobody: its receiving side does.
 */
export let sendFrame: (channel: Channel, aggregate: number, bytes: number) => void;

/** For membership.ts: makes the object of a channel that was opened. */
export let adoptChannel: (handle: number, name: string, peer: ChannelPeer) => Channel;

/** The addon's call: `scratch` has the handles of `count` channels. */
export function onChannelsReady(count: number): void {
  atOnce = 0;
  // The usual case; what is called uses scratch.
  if (count === 1) return runTurnOf(scratch[0]!);
  for (const handle of Array.from(scratch.subarray(0, count))) runTurnOf(handle);
}

function runTurnOf(handle: number): void {
  const channel = awaited.get(handle);
  if (channel !== undefined) runTurn(channel);
}

onWindowClosed(() => {
  const channels = [...awaited.values()];
  awaited.clear();
  for (const channel of channels) endAll(channel);
});

function failure(code: 'ERR_IOL_PEER_DEAD' | 'ERR_IOL_CLOSED'): IolError {
  if (code === 'ERR_IOL_CLOSED') return closedError('channel');
  return new IolError(code, `channel: ${errorTable[code].message}`);
}

function signalOf(options: { signal?: AbortSignal | undefined }): AbortSignal | undefined {
  validateObject(options, 'options');
  validateAbortSignal(options.signal, 'options.signal');
  if (options.signal?.aborted) throw abortedError(options.signal);
  return options.signal;
}

const nothing = (): void => {};

/** A queue of aggregates to one other domain, and one from it. Made by `window.connect()`. */
export class Channel extends Resource {
  /** What the side that opened it called it. */
  readonly name: string;
  readonly peer: ChannelPeer;
  readonly #receivings: Receiving[] = [];
  readonly #sendings: Sending[] = [];
  /** Told of the next turn that has something. */
  #watchers: (() => void)[] = [];
  /** What iolRead has left of a message, and the last iolRead. */
  #rest: Aggregate | undefined;
  #reading: Promise<unknown> | undefined;
  #awaits = 0;
  #isReferenced = true;

  static {
    adoptChannel = (handle, name, peer) => new Channel(makers, handle, name, peer);
    runTurn = (channel) => channel.#turn();
    endAll = (channel) => channel.#endAll();
    whenChannelReady = (channel, tell) => {
      channel.#watchers.push(tell);
      channel.#update();
    };
    sendFrame = (channel, aggregate, bytes) => channel.#sendFrame(aggregate, bytes);
    readChannel = (channel, size, signal) => {
      const before = channel.#reading;
      const reading = channel.#read(before, size, signal);
      channel.#reading = reading.catch(() => {});
      return reading;
    };
  }

  private constructor(caller: symbol, handle: number, name: string, peer: ChannelPeer) {
    if (caller !== makers) throw illegalConstructor();
    super(channelKind, handle, true);
    this.name = name;
    this.peer = peer;
  }

  /** Whether it was closed on this side. */
  get isClosed(): boolean {
    return this.isDisposed;
  }

  /** Bytes of the ring that messages take which the other side has not yet received. */
  get bytesQueued(): number {
    channelStats(handleOf(this));
    return scratch[0]!;
  }

  /**
   * Sends the names of all bytes: none is copied, whatever their number; strings and arrays are
   * copied into the default pool first. Messages arrive in the order of the calls.
   *
   * The bytes stay yours, to be released whenever you like; they are kept until the other side has
   * taken them.
   *
   * @param metadata up to 1024 bytes beside them, which are copied.
   * @returns once the message is in the ring, which may have to wait until the other side reads.
   * @throws {IolError} `ERR_IOL_PEER_DEAD`, `ERR_IOL_CLOSED` by either side, `ERR_IOL_ABORTED` (not
   * sent then), `ERR_IOL_TOO_MANY_SLICES` above 65,536.
   */
  async send(
    bytes: BytesLike,
    metadata?: Uint8Array | string,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const handle = handleOf(this);
    const signal = signalOf(options);
    checkBytesLike(bytes, 'bytes');
    const extra = metadataOf(metadata);
    if (!(bytes instanceof HeldBytes)) {
      using copy = Aggregate.from(bytes);
      return await this.send(copy, extra, options);
    }
    if (this.#sendings.length === 0 && atOnce < atOnceMax) {
      atOnce++;
      if (this.#isSent(channelSend(handle, handleOf(bytes), extra))) return;
    }
    const aggregate = aggregateConcat(handleOf(bytes));
    const kept = keepMetadata(extra);
    await new Promise<void>((resolve, reject) => {
      const sending: Sending = { aggregate, metadata: kept, resolve, reject, settle: nothing };
      enqueue(this.#sendings, sending, signal, () => {
        aggregateDispose(aggregate);
        this.#update();
      });
      this.#update();
    });
  }

  /**
   * Sends if there is room, and nobody waits before: false if not. See {@link send}.
   *
   * Cost: under a microsecond; no system call while the other side is awake.
   */
  trySend(bytes: BytesLike, metadata?: Uint8Array | string): boolean {
    const handle = handleOf(this);
    const extra = metadataOf(metadata);
    if (this.#sendings.length > 0) return false;
    if (bytes instanceof HeldBytes) {
      return this.#isSent(channelSend(handle, handleOf(bytes), extra));
    }
    checkBytesLike(bytes, 'bytes');
    using copy = Aggregate.from(bytes);
    return this.#isSent(channelSend(handle, handleOf(copy), extra));
  }

  #sendFrame(bytes: number, length: number): void {
    if (this.isDisposed) return;
    const isFirst = this.#sendings.length === 0;
    if (isFirst && channelSendFrame(handleOf(this), bytes, length) !== notNow) return;
    const metadata = keepMetadata(frameOut.subarray(0, length));
    const aggregate = aggregateConcat(bytes);
    this.#sendings.push({ aggregate, metadata, resolve: nothing, reject: nothing, settle: nothing });
    this.#update();
  }

  /**
   * From now on a sleeping receiver is woken once for all that one turn of the event loop sends, at
   * its end, and not for each message: for programs that send many small ones. One that is awake
   * finds each message at once all the same. A turn that computes for long lets it sleep on.
   *
   * Cost: a wake-up is a system call here and a switch of processes; without it a message costs
   * under a microsecond.
   */
  cork(): this {
    channelCork(handleOf(this), true);
    return this;
  }

  /** Ends {@link cork}, and wakes the receiver for what was sent. */
  uncork(): this {
    channelCork(handleOf(this), false);
    return this;
  }

  /** Throws the end as an error. */
  #isSent(outcome: number): boolean {
    if (outcome === sent) return true;
    if (outcome === notNow) return false;
    throw failure(outcome === peerDead ? 'ERR_IOL_PEER_DEAD' : 'ERR_IOL_CLOSED');
  }

  /**
   * The next message, in the order in which they were sent; null once the other side has closed the
   * channel and everything was received. Closing this side ends waiting calls with null.
   *
   * @throws {IolError} `ERR_IOL_PEER_DEAD` when the other side ended without closing it and
   * everything was received. `ERR_IOL_STALE` or `ERR_IOL_ACCESS_DENIED` cost one message, whose bytes
   * were recycled after some sender's death, or are of a pool that this domain may not read: the next
   * call goes on. `ERR_IOL_BAD_DESCRIPTOR` when the other side sent rubbish: the channel is closed.
   * `ERR_IOL_ABORTED`: nothing was received.
   */
  async receive(options: { signal?: AbortSignal | undefined } = {}): Promise<Message | null> {
    handleOf(this);
    const signal = signalOf(options);
    const message = this.#takeAtOnce();
    if (message !== undefined) return message;
    return await new Promise<Message | null>((resolve, reject) => {
      const receiving: Receiving = { resolve, reject, settle: nothing };
      enqueue(this.#receivings, receiving, signal, () => this.#update());
      this.#update();
    });
  }

  /**
   * The next message if it is there and nobody waits for it; null at the end, undefined if there is
   * none now. See {@link receive}.
   */
  tryReceive(): Message | null | undefined {
    handleOf(this);
    return this.#receivings.length > 0 ? undefined : this.#take();
  }

  #take(): Message | null | undefined {
    const handle = handleOf(this);
    const next = nextArrived(handle);
    if (next !== undefined) return next;
    const count = channelReceiveBatch(handle);
    if (count > 0) return arrived(handle, count);
    if (count === notNow) return undefined;
    if (count === peerDead) throw failure('ERR_IOL_PEER_DEAD');
    return null;
  }

  /** What {@link receive} gives without waiting. */
  #takeAtOnce(): Message | null | undefined {
    if (this.#receivings.length > 0 || atOnce >= atOnceMax) return undefined;
    atOnce++;
    return this.#take();
  }

  /** All messages until the end. Each is yours to dispose. Leaving the loop does not close it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    while (!this.isDisposed) {
      let message = this.#takeAtOnce();
      if (message === undefined) message = await this.receive();
      if (message === null) return;
      yield message;
    }
  }

  async #read(
    before: Promise<unknown> | undefined,
    size: number,
    signal: AbortSignal | undefined,
  ): Promise<Aggregate | null> {
    await before;
    while (this.#rest === undefined) {
      const message = await this.receive({ signal });
      if (message === null) return null;
      if (message.aggregate.byteLength > 0) this.#rest = message.aggregate;
      else message.dispose();
    }
    const rest = this.#rest;
    if (rest.byteLength > size) return rest.split(size);
    this.#rest = undefined;
    return rest;
  }

  /** What became possible since the last turn. */
  #turn(): void {
    const watchers = this.#watchers;
    if (watchers.length > 0) this.#watchers = [];
    for (const tell of watchers) tell();
    while (this.#receivings.length > 0 && !this.isDisposed) {
      try {
        const message = this.#take();
        if (message === undefined) break;
        const receiving = this.#receivings.shift()!;
        receiving.settle();
        receiving.resolve(message);
      } catch (error) {
        this.#fail(this.#receivings, error);
      }
    }
    while (this.#sendings.length > 0 && !this.isDisposed) {
      const { aggregate, metadata } = this.#sendings[0]!;
      try {
        if (!this.#isSent(channelSend(handleOf(this), aggregate, metadata))) break;
        this.#endSending(this.#sendings.shift()!);
      } catch (error) {
        const sending = this.#sendings[0]!;
        this.#fail(this.#sendings, error);
        aggregateDispose(sending.aggregate);
      }
    }
    this.#update();
  }

  #endSending(sending: Sending): void {
    aggregateDispose(sending.aggregate);
    sending.settle();
    sending.resolve();
  }

  #fail(queue: Waiter[], error: unknown): void {
    const waiter = queue.shift()!;
    waiter.settle();
    waiter.reject(error);
  }

  /** Tells the addon what this channel is awaited for. */
  #update(): void {
    if (this.isDisposed) return;
    const isMessageAwaited = this.#receivings.length > 0 || this.#watchers.length > 0;
    let awaits = (isMessageAwaited ? awaitsMessage : 0) |
      (this.#sendings.length > 0 ? awaitsRoom : 0);
    if (awaits !== 0 && atOnce >= atOnceMax) awaits |= awaitsTurn;
    if (awaits !== 0 && this.#isReferenced) awaits |= keepsAlive;
    if (awaits === this.#awaits) return;
    this.#awaits = awaits;
    const handle = handleOf(this);
    if (awaits === 0) awaited.delete(handle);
    else awaited.set(handle, this);
    channelAwait(handle, awaits);
  }

  #endAll(): void {
    for (const tell of this.#watchers.splice(0)) tell();
    this.#rest?.dispose();
    this.#rest = undefined;
    for (const receiving of this.#receivings.splice(0)) {
      receiving.settle();
      receiving.resolve(null);
    }
    for (const sending of this.#sendings.splice(0)) {
      sending.settle();
      aggregateDispose(sending.aggregate);
      sending.reject(closedError('channel'));
    }
  }

  /**
   * Ends both directions. What was sent is still received by the other side, which then gets its end;
   * what it sends from now on is not received here, and its next send fails. Idempotent.
   */
  close(): void {
    this.dispose();
  }

  /** The same as {@link close}. */
  override dispose(): void {
    if (this.isDisposed) return;
    awaited.delete(handleOf(this));
    super.dispose();
    this.#endAll();
  }

  /** Waiting calls keep the process alive (the default). */
  ref(): this {
    this.#isReferenced = true;
    this.#update();
    return this;
  }

  /** Waiting calls do not keep the process alive. */
  unref(): this {
    this.#isReferenced = false;
    this.#update();
    return this;
  }

  protected override inspectFields(): Record<string, unknown> {
    const { name, peer, bytesQueued } = this;
    return { name, peer, bytesQueued };
  }
}

