/**
 * Pipes whose two ends are in one window: what both ends agree on.
 *
 *   reader: marks its end                 a record lock on the pipe, which names the domain
 *   writer: finds the mark, marks its own end, connects to that domain
 *           -- channel "iol.pipe": which pipe -->  reader: is that end marked by this domain?  -- yes -->
 *           -- ask [a byte of each segment that is new to the reader] -->  it has them, and read the pipe empty -- go -->
 *   writer: pipe empty? the aggregate by name : its bytes into the pipe
 *   reader: the channel first; then a look at the pipe, the channel again, and only then the pipe's bytes
 *
 * Why no byte is out of order, whoever else writes to the pipe: a name is sent only while the pipe is
 * empty, so all that was written before it has been read; and as long as there are bytes in the pipe no name
 * is sent, so the reader that sees bytes first and then an empty channel has had everything that was sent
 * before them.
 *
 * Why none is lost: the sender keeps what was not taken when the channel ends, and writes it into the
 * pipe as bytes.
 */
import { native } from '../native';

declare module '../native' {
  interface NativeAddon {
    /** Flags, or noPipe. scratch: device, inode (low and high 32 bits), bytes in it. */
    pipeLook: (fd: number) => number;
    pipeMark: (fd: number, isWriting: boolean, isSet: boolean) => void;
    /** scratch: slot, epoch. */
    pipePeer: (fd: number, isWriting: boolean) => boolean;
    pipeIsPeer: (fd: number, isWriting: boolean, slot: number, epoch: number) => boolean;
    /** At most `bytesMax` are in flight, what is refused stays, what was not taken can be taken back. */
    channelKeep: (channel: number, bytesMax: number) => void;
    /** The aggregate of what was sent and not taken. */
    channelTakeBack: (channel: number) => number;
    /** Flags. */
    channelLook: (channel: number) => number;
    /** How many segments it lies in; 0: too many. scratch: number and place of the first byte of each. */
    aggregateSegments: (aggregate: number) => number;
  }
}

/** Answers of pipeLook: flags of what it is, or that it is none. */
export const noPipe = -1;
export const pipeHasData = 1;
export const pipeHasEnded = 2;
export const pipeIsBroken = 4;

/** Flags of channelLook. */
export const channelHasMessage = 1;
export const channelClosedByPeer = 2;
export const channelInFlight = 4;

export const linkName = 'iol.pipe';

/** What is said beside the bytes, as the metadata of an empty message. */
export const words = {
  /** Reader: the pipe is mine, and you have its other end. */
  yes: 'yes',
  /** Writer: tell me when you have what comes with this, and have read what is in the pipe now. */
  ask: 'ask',
  /** Reader: it was. */
  go: 'go',
  /** Reader: I cannot have what you send; send no more, and what I have not taken as bytes. */
  no: 'no',
} as const;

/** As much is named and not yet read as would be in a large pipe; but two messages always. */
export const bytesInFlightMax = 1 << 20;

/**
 * Names that were sent or taken since the last turn of the loop that we asked for. Why bounded: a loop of
 * awaits that are done at once would keep timers and sockets waiting for ever.
 */
const atOnceMax = 1024;
let atOnce = 0;

/** Whether a turn of the loop is due before the next name. */
export function isTurnDue(): boolean {
  return atOnce++ >= atOnceMax;
}

/** Waits for that turn. */
export function turn(): Promise<void> {
  atOnce = 0;
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Which pipe it is, of all on this machine. Made from what pipeLook has just left in scratch. */
export class PipeId {
  readonly #numbers = Array.from(native.scratch.subarray(0, 4));

  get text(): string {
    return this.#numbers.join('.');
  }

  /** Whether the pipe that was just looked at is this one. */
  isInScratch(): boolean {
    const { scratch } = native;
    return this.#numbers.every((number, at) => scratch[at] === number);
  }
}

