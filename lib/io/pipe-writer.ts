/**
 * The writing end of a pipe that may be upgraded (pipe-link.ts): aggregates go by name as long as the reader
 * is of the same window and reads with `upgrade`, and as bytes otherwise.
 */
import { adoptAggregate, Aggregate } from '../aggregate/aggregate';
import type { Channel } from '../channel/channel';
import { isIolError } from '../errors';
import { onWindowClosed } from '../leaks';
import { native } from '../native';
import { handleOf } from '../resource';
import { Window } from '../window/window';
import { ioNotNow, ready } from './descriptor';
import {
  bytesInFlightMax, channelInFlight, isTurnDue, linkName, noPipe, PipeId, pipeIsBroken, turn, words,
} from './pipe-link';
import { inTurn } from './turns';

const { scratch } = native;

/**
 * How long a write waits for the reader to answer before it goes on with bytes, and how long after a
 * refusal it tries again.
 */
const patienceMs = 100;
const ringBytes = 16 << 10;
const slicesMax = 65_536;

const writers = new Map<number, PipeWriter>();

onWindowClosed(() => writers.clear());

/** Settles with `what`, but not later than {@link patienceMs}. */
async function withPatience(what: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)));
  await Promise.race([what, late]);
  clearTimeout(timer);
}

function isEnd(error: unknown): boolean {
  return isIolError(error) && (error.code === 'ERR_IOL_PEER_DEAD' || error.code === 'ERR_IOL_CLOSED');
}

async function writeBytes(fd: number, bytes: Aggregate): Promise<void> {
  for (let written = 0; written < bytes.byteLength;) {
    const moved = native.ioTryWrite(fd, handleOf(bytes), written, -1, 0, 0);
    if (moved === ioNotNow) await ready(fd, true, undefined);
    else written += moved;
  }
}

class PipeWriter {
  readonly #fd: number;
  readonly #id = new PipeId();
  #channel: Channel | undefined;
  #connecting: Promise<void> | undefined;
  #retryAt = 0;
  /** A channel that has ended, and what it had sent and nobody took: to be written before all else. */
  #ended: Channel | undefined;
  #untaken: Aggregate | undefined;
  /** Gives up waiting for room. */
  #sending: AbortController | undefined;
  /** Segments that the reader is known to have, and that it cannot have. */
  readonly #known = new Set<number>();
  readonly #refused = new Set<number>();
  /** What the reader was asked for and has not yet answered. */
  #asked: number[] | undefined;
  #onGo: (() => void) | undefined;

  /** Of the pipe that was just looked at. */
  constructor(fd: number) {
    this.#fd = fd;
    writers.set(fd, this);
    watchExit();
  }

  get id(): PipeId {
    return this.#id;
  }

  get isInFlight(): boolean {
    if (this.#ended !== undefined) return true;
    const channel = this.#channel;
    if (channel === undefined) return false;
    return (native.channelLook(handleOf(channel)) & channelInFlight) !== 0;
  }

  /**
   * In turn: whether they went by name. If not, they are to be written as bytes, now.
   *
   * @param inPipe bytes in the pipe, as just seen.
   */
  async write(bytes: Aggregate, inPipe: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#channel === undefined) {
      await this.#writeUntaken();
      await this.#tryConnect();
      if (this.#channel === undefined) return false;
      inPipe = this.#bytesInPipe();
    }
    if (bytes.sliceCount > slicesMax) return false;
    const unknown = this.#unknownOf(bytes);
    if (unknown === undefined) return false;
    const mustAsk = unknown.length > 0 || inPipe > 0;
    const channel = this.#channel;
    const isSent = (!mustAsk || (await this.#hasAnswer(channel, bytes, unknown))) &&
      channel === this.#channel && (await this.#isSent(channel, bytes, signal));
    if (!isSent) await this.#writeUntaken();
    return isSent;
  }

  /** Where in the bytes each segment begins that the reader was not yet seen to have; undefined: it never will. */
  #unknownOf(bytes: Aggregate): number[] | undefined {
    const count = native.aggregateSegments(handleOf(bytes));
    if (count === 0) return undefined;
    const unknown: number[] = [];
    for (let i = 0; i < count; i++) {
      const number = scratch[2 * i]!;
      if (this.#refused.has(number)) return undefined;
      if (!this.#known.has(number)) unknown.push(number, scratch[2 * i + 1]!);
    }
    return unknown;
  }

  /** The number is of something else now: what was sent is received. */
  forget(): void {
    if (writers.get(this.#fd) === this) writers.delete(this.#fd);
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.close();
    this.#onGo?.();
  }

  async #tryConnect(): Promise<void> {
    if (this.#connecting === undefined) {
      if (performance.now() < this.#retryAt || !native.pipePeer(this.#fd, false)) return;
      const [slot, epoch] = scratch;
      native.pipeMark(this.#fd, true, true);
      this.#connecting = this.#connect(slot!, epoch!).catch(() => {
        this.#connecting = undefined;
        this.#retryAt = performance.now() + patienceMs;
      });
      await withPatience(this.#connecting);
    }
  }

  async #connect(slot: number, epoch: number): Promise<void> {
    const channel = await Window.default().connect({ slot, epoch }, { name: linkName, ringBytes });
    channel.unref();
    try {
      native.channelKeep(handleOf(channel), bytesInFlightMax);
      await channel.send('', this.#id.text);
      using answer = await channel.receive();
      if (answer?.metadata.toString() !== words.yes) throw new Error('The pipe was refused');
    } catch (error) {
      channel.close();
      throw error;
    }
    this.#connecting = undefined;
    this.#known.clear();
    this.#asked = undefined;
    this.#channel = channel;
    void this.#listen(channel);
  }

  async #listen(channel: Channel): Promise<void> {
    try {
      for await (const message of channel) {
        const word = message.metadata.toString();
        message.dispose();
        if (word === words.go) {
          for (const number of this.#asked ?? []) this.#known.add(number);
          this.#asked = undefined;
          this.#onGo?.();
        }
        if (word === words.no) {
          for (const number of this.#asked ?? []) this.#refused.add(number);
          break;
        }
      }
    } catch {
      // The reader has ended.
    }
    if (this.#channel !== channel) return;
    this.#end(channel);
    // Who waits for a turn of his own is told why; here nobody waits.
    await inTurn(this.#fd, () => this.#writeUntaken()).catch(() => {});
  }

  #end(channel: Channel): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    this.#retryAt = Math.max(this.#retryAt, performance.now() + patienceMs);
    this.#ended = channel;
    if (!channel.isClosed) {
      this.#untaken = adoptAggregate(native.channelTakeBack(handleOf(channel)), scratch[0]!, false);
    }
    this.#onGo?.();
    this.#sending?.abort();
  }

  async #writeUntaken(): Promise<void> {
    const channel = this.#ended;
    if (channel === undefined) return;
    try {
      if (this.#untaken !== undefined) await writeBytes(this.#fd, this.#untaken);
    } finally {
      this.#untaken?.dispose();
      this.#untaken = undefined;
      this.#ended = undefined;
      // Why last: it tells the reader that everything is in the pipe.
      channel.close();
    }
  }

  #bytesInPipe(): number {
    native.pipeLook(this.#fd);
    return scratch[4]!;
  }

  /**
   * Asks the reader for the segments that it may not have, and to read what is in the pipe. Whether it has
   * answered in time, and the pipe is empty.
   */
  async #hasAnswer(channel: Channel, bytes: Aggregate, unknown: number[]): Promise<boolean> {
    if (this.#asked !== undefined) return false; // It takes its time.
    using samples = Aggregate.empty();
    const numbers: number[] = [];
    for (let i = 0; i < unknown.length; i += 2) {
      using sample = bytes.slice(unknown[i + 1], unknown[i + 1]! + 1);
      samples.append(sample);
      numbers.push(unknown[i]!);
    }
    try {
      if (!channel.trySend(samples, words.ask)) return false;
    } catch (error) {
      if (isEnd(error)) this.#end(channel);
      return false;
    }
    this.#asked = numbers;
    await withPatience(new Promise((resolve) => (this.#onGo = resolve)));
    this.#onGo = undefined;
    return numbers.every((number) => this.#known.has(number)) && this.#bytesInPipe() === 0;
  }

  async #isSent(channel: Channel, bytes: Aggregate, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      if (isTurnDue()) await turn();
      if (channel.trySend(bytes)) return true;
      return await this.#sendWhenRoom(channel, bytes, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      if (isEnd(error)) this.#end(channel);
      return false; // Whatever it was: as bytes it goes.
    }
  }

  async #sendWhenRoom(
    channel: Channel,
    bytes: Aggregate,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    // The channel does not tell that the reader has closed its descriptor.
    const timer = setInterval(() => this.#endIfBroken(channel), patienceMs);
    this.#sending = new AbortController();
    const own = this.#sending.signal;
    channel.ref();
    try {
      await channel.send(bytes, undefined, { signal: signal ? AbortSignal.any([signal, own]) : own });
      return true;
    } finally {
      clearInterval(timer);
      channel.unref();
    }
  }

  #endIfBroken(channel: Channel): void {
    let isOpen = false;
    try {
      const look = native.pipeLook(this.#fd);
      if (look !== noPipe && this.#id.isInScratch()) {
        isOpen = true;
        if ((look & pipeIsBroken) === 0) return;
      }
    } catch {
      // Closed here.
    }
    if (isOpen) this.#end(channel);
    else this.forget();
  }
}

/**
 * In turn: sends the bytes by name, if `fd` is a pipe, its reader is in the window and reads with
 * `upgrade`. False: they are to be written as bytes.
 */
export async function writeByName(
  fd: number,
  bytes: Aggregate,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const look = native.pipeLook(fd);
  const inPipe = scratch[4]!;
  let writer = writers.get(fd);
  if (writer !== undefined && (look === noPipe || !writer.id.isInScratch())) {
    writer.forget();
    writer = undefined;
  }
  if (look === noPipe) return false;
  if (writer === undefined) {
    if (!Window.default().isAttached) return false;
    native.pipeLook(fd);
    writer = new PipeWriter(fd);
  }
  if ((look & pipeIsBroken) !== 0) return false;
  return await writer.write(bytes, inPipe, signal);
}

let isWatchingExit = false;

/**
 * The process ends once everything was taken: what it forwards goes with it, and what is refused it
 * still has to write.
 */
function watchExit(): void {
  if (isWatchingExit) return;
  isWatchingExit = true;
  process.on('beforeExit', () => {
    for (const writer of writers.values()) {
      if (writer.isInFlight) return void setTimeout(() => {}, 1);
    }
  });
}
