/**
 * The reading end of a pipe that may be upgraded (pipe-link.ts): its bytes, or what comes by name from a
 * writer of the same window, in their order.
 */
import { abortedError } from '../abort';
import { adoptAggregate, type Aggregate } from '../aggregate/aggregate';
import { whenChannelReady, type Channel } from '../channel/channel';
import type { Message } from '../channel/message';
import { isIolError, type IolError } from '../errors';
import { onWindowClosed } from '../leaks';
import { native } from '../native';
import { handleOf } from '../resource';
import { setChannelServer, Window } from '../window/window';
import { closedMeanwhileError, ioEnd, ioNotNow, ready } from './descriptor';
import {
  bytesInFlightMax, channelClosedByPeer, channelHasMessage, isTurnDue, linkName, noPipe, pipeHasData,
  pipeHasEnded, PipeId, pipeIsBroken, turn, words,
} from './pipe-link';

const { scratch } = native;

/** A writer that was let in. */
interface Link {
  readonly channel: Channel;
  isWatched: boolean;
  /** Why we read no more of it: the rest comes as bytes. */
  refusal?: IolError;
}

const readers = new Map<number, PipeReader>();

onWindowClosed(() => readers.clear());

/** Words of a writer that are taken at a time. */
const wordsMax = 64;

/** How long a look at a writer that owes us something is put off. */
const retryMs = 10;

function isRefusal(error: unknown): error is IolError {
  return isIolError(error) && (error.code === 'ERR_IOL_ACCESS_DENIED' || error.code === 'ERR_IOL_STALE');
}

function isEnd(error: unknown): boolean {
  return isIolError(error) && (error.code === 'ERR_IOL_PEER_DEAD' || error.code === 'ERR_IOL_CLOSED');
}

export class PipeReader {
  readonly #fd: number;
  readonly #id: PipeId;
  #link: Link | undefined;
  /** What was not asked for of a message. */
  #rest: Aggregate | undefined;
  /** Bytes of the pipe to be read before the writer is told to go on; below 0: it has not asked. */
  #owed = -1;
  #isReading = false;
  #wake: (() => void) | undefined;
  /** Waiting for the pipe goes on from one read to the next. */
  #waiting: AbortController | undefined;
  #waitFailure: unknown;

  /** Of the pipe that was just looked at. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#id = new PipeId();
    native.pipeMark(fd, false, true);
    readers.set(fd, this);
    setChannelServer(linkName, serve);
  }

  get id(): PipeId {
    return this.#id;
  }

  /** At most `size` bytes that are there now, null at the end, undefined when there are none now. */
  tryRead(size: number, pool: number): Aggregate | null | undefined {
    let look = this.#look();
    const named = this.#takeNamed(size);
    if (named !== undefined) return named;
    if ((look & (pipeHasData | pipeHasEnded)) === 0) return undefined;
    // Why again: what was sent before these bytes were written is in the channel by now.
    look = this.#look();
    const before = this.#takeNamed(size);
    if (before !== undefined) return before;
    if (this.#isOwedNames()) return undefined;
    if ((look & pipeHasData) === 0) return this.#endOfFile();
    const handle = native.ioTryRead(pool, this.#fd, size, -1, 0);
    if (handle === ioNotNow) return undefined;
    if (handle === ioEnd) return this.#endOfFile();
    const bytes = adoptAggregate(handle, scratch[0]!);
    if (this.#owed > 0) this.#tellIfRead((this.#owed = Math.max(0, this.#owed - bytes.byteLength)));
    return bytes;
  }

  /** The same, waiting. */
  async read(
    size: number,
    pool: number,
    signal: AbortSignal | undefined,
    onRead: () => void,
  ): Promise<Aggregate | null> {
    this.#isReading = true;
    try {
      if (isTurnDue()) await turn();
      for (;;) {
        if (signal?.aborted) throw abortedError(signal);
        const bytes = this.tryRead(size, pool);
        if (bytes !== undefined) {
          onRead();
          return bytes;
        }
        await this.#sleep(signal);
        if (this.#waitFailure !== undefined) throw this.#forgetWaitFailure();
      }
    } finally {
      this.#isReading = false;
      // Why not at once: the next read finds the wait as it is.
      if (this.#waiting !== undefined) setImmediate(() => this.#stopWaiting());
    }
  }

  /** A writer that has the other end of this pipe, and no other is before it. */
  accept(channel: Channel): boolean {
    if (this.#link?.refusal !== undefined && this.#isClosedByPeer(this.#link)) this.#drop(this.#link);
    if (this.#link !== undefined) return false;
    const { slot, epoch } = channel.peer;
    try {
      this.#look();
      if (!native.pipeIsPeer(this.#fd, true, slot, epoch)) return false;
      native.channelKeep(handleOf(channel), bytesInFlightMax);
      if (!channel.trySend('', words.yes)) return false;
    } catch {
      return false; // The descriptor was closed, or the writer has ended.
    }
    this.#link = { channel, isWatched: false };
    this.#owed = -1;
    this.#wake?.();
    return true;
  }

  /** Flags; the pipe must still be what the number was. */
  #look(): number {
    const look = native.pipeLook(this.#fd);
    if (look !== noPipe && this.#id.isInScratch()) return look;
    this.forget();
    throw closedMeanwhileError(this.#fd, 'read');
  }

  #takeNamed(size: number): Aggregate | undefined {
    const bytes = this.#rest ?? this.#nextNamed();
    this.#rest = undefined;
    if (bytes === undefined || bytes.byteLength <= size) return bytes;
    this.#rest = bytes;
    return bytes.split(size);
  }

  #nextNamed(): Aggregate | undefined {
    // Why bounded: a writer that talks all the time would keep everybody else here waiting.
    for (let i = 0; i < wordsMax; i++) {
      const link = this.#link;
      if (link === undefined || link.refusal !== undefined) return undefined;
      const message = this.#nextMessage(link);
      if (message === undefined) return undefined;
      if (message === null) {
        this.#drop(link);
        return undefined;
      }
      const isStream = message.metadata.length === 0 && message.aggregate.byteLength > 0;
      if (isStream) return message.aggregate;
      const word = message.metadata.toString();
      message.dispose();
      if (word === words.ask) {
        this.#look();
        this.#tellIfRead((this.#owed = scratch[4]!));
      }
    }
    return undefined;
  }

  #nextMessage(link: Link): Message | null | undefined {
    try {
      return link.channel.tryReceive();
    } catch (error) {
      if (isEnd(error)) return null;
      if (isRefusal(error) && this.#isTold(link, words.no)) {
        link.refusal = error;
        return undefined;
      }
      this.#drop(link);
      throw error;
    }
  }

  #tellIfRead(owed: number): void {
    if (owed > 0 || this.#link === undefined) return;
    this.#owed = -1;
    this.#isTold(this.#link, words.go);
  }

  #isTold(link: Link, word: string): boolean {
    try {
      return link.channel.trySend('', word);
    } catch {
      return false; // It has ended.
    }
  }

  #isClosedByPeer(link: Link): boolean {
    return (native.channelLook(handleOf(link.channel)) & channelClosedByPeer) !== 0;
  }

  /** Whether names come before what is in the pipe, or before its end. */
  #isOwedNames(): boolean {
    const link = this.#link;
    if (link === undefined || link.refusal !== undefined) return false;
    return (native.channelLook(handleOf(link.channel)) & channelHasMessage) !== 0;
  }

  #endOfFile(): null | undefined {
    const link = this.#link;
    if (link?.refusal !== undefined) {
      if (!this.#isClosedByPeer(link)) {
        if (this.#isTold(link, words.no)) return undefined;
        this.#drop(link); // It ended before it had written what we could not read.
        throw link.refusal;
      }
    }
    try {
      native.pipeMark(this.#fd, false, false);
    } finally {
      this.forget();
    }
    return null;
  }

  /** The number is of something else now, or the end was read. */
  forget(): void {
    if (readers.get(this.#fd) === this) readers.delete(this.#fd);
    if (this.#link !== undefined) this.#drop(this.#link);
    this.#rest?.dispose();
    this.#rest = undefined;
    this.#stopWaiting();
  }

  #drop(link: Link): void {
    this.#link = undefined;
    link.channel.close();
  }

  #sleep(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const wake = (): void => {
        this.#wake = undefined;
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#wake = wake;
      signal?.addEventListener('abort', wake, { once: true });
      this.#waitForLink();
      // Why not for the pipe: it is ready, and names come first.
      if ((native.pipeLook(this.#fd) & ~pipeIsBroken) > 0) timer = setTimeout(wake, retryMs);
      else this.#waitForPipe();
    });
  }

  #waitForLink(): void {
    const link = this.#link;
    if (link === undefined || link.isWatched || link.refusal !== undefined) return;
    link.isWatched = true;
    whenChannelReady(link.channel, () => {
      link.isWatched = false;
      this.#wake?.();
    });
  }

  #waitForPipe(): void {
    if (this.#waiting !== undefined) return;
    const waiting = new AbortController();
    this.#waiting = waiting;
    const settled = (failure?: unknown): void => {
      if (this.#waiting !== waiting) return;
      this.#waiting = undefined;
      this.#waitFailure = failure;
      this.#wake?.();
    };
    ready(this.#fd, false, waiting.signal).then(() => settled(), settled);
  }

  /** It keeps the process alive, which is for whoever reads. */
  #stopWaiting(): void {
    if (this.#isReading) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.abort();
  }

  #forgetWaitFailure(): unknown {
    const failure = this.#waitFailure;
    this.#waitFailure = undefined;
    this.forget();
    return failure;
  }
}

/** The reader of what `fd` is, if that was ever read with `upgrade`, or is to be and can be. */
export function pipeReaderOf(fd: number, isUpgrade: boolean): PipeReader | undefined {
  if (!isUpgrade && readers.size === 0) return undefined;
  const known = readers.get(fd);
  if (known === undefined && !isUpgrade) return undefined;
  const isPipe = native.pipeLook(fd) !== noPipe;
  if (isPipe && known?.id.isInScratch() === true) return known;
  known?.forget();
  if (!isPipe || !isUpgrade || !Window.default().isAttached) return undefined;
  native.pipeLook(fd);
  return new PipeReader(fd);
}

/** Whether plain reads would overtake what comes by name. */
export function isUpgraded(fd: number): boolean {
  return readers.size > 0 && pipeReaderOf(fd, false) !== undefined;
}

/** Whoever opens a channel says which pipe it means; the kernel says whether it has that pipe. */
async function serve(channel: Channel): Promise<void> {
  channel.unref();
  try {
    using hello = await channel.receive();
    const pipe = hello?.metadata.toString();
    for (const reader of readers.values()) {
      if (reader.id.text === pipe && reader.accept(channel)) return;
    }
  } catch {
    // It has ended.
  }
  channel.close();
}
