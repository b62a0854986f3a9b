/** Channels and their fill. Of a message its head and the lengths of its slices are looked at. */
import {
  kCellWords, kDescriptorWords, kIndexClosed, kMessageHeaderWords, kMessageListElsewhere, kRingOffset,
} from '../layout.generated';
import { Fields } from './fields';
import { withMemory, type Memory } from './memory';
import type { ChannelReport } from './report';

interface End {
  readonly memory: Memory;
  readonly channelId: bigint;
  readonly ringBytes: number;
  readonly writer: string;
  readonly peer: string;
}
export interface SenderEnd extends End {
  readonly label: string;
  readonly published: bigint;
  readonly waitsFor: bigint;
}
export interface ReceiverEnd extends End {
  readonly consumed: bigint;
  readonly isClosed: boolean;
}

function endOf(memory: Memory, header: Fields<'ChannelHeader'>): End {
  return {
    memory,
    channelId: header.big('channelId'),
    ringBytes: header.get('ringBytes'),
    writer: `${header.get('writerSlot')}.${header.get('writerEpoch')}`,
    peer: `${header.get('peerSlot')}.${header.get('peerEpoch')}`,
  };
}

export function senderEnd(memory: Memory, page: Buffer): SenderEnd {
  const block = new Fields('SenderBlock', page);
  return {
    ...endOf(memory, block.inner('header', 'ChannelHeader')),
    label: block.text('label'),
    published: block.big('published'),
    waitsFor: block.big('waitsFor'),
  };
}

export function receiverEnd(memory: Memory, page: Buffer): ReceiverEnd {
  const block = new Fields('ReceiverBlock', page);
  return {
    ...endOf(memory, block.inner('header', 'ChannelHeader')),
    consumed: block.big('consumed'),
    isClosed: block.big('closed') !== 0n,
  };
}

// Messages between two indices of the ring, and the payload that they name. What makes no sense
// (it is being overwritten, or its writer is broken) ends the counting.
function countQueued(ring: Buffer, from: number, words: number): { messages: number; bytes: number } {
  const ringWords = ring.length / 8;
  const half = (at: number, high: number): number => ring.readUInt32LE((at % ringWords) * 8 + high * 4);
  let messages = 0;
  let bytes = 0;
  for (let at = from, end = from + words; at < end;) {
    const length = half(at, 0);
    if (length === 0 || length % kCellWords !== 0 || at + length > end) break;
    const flags = half(at, 1) & 0xffff;
    const metadataWords = Math.ceil((half(at, 1) >>> 16) / 8);
    const isListElsewhere = (flags & kMessageListElsewhere) !== 0;
    const count = isListElsewhere ? 0 : half(at + 1, 0);
    const first = at + kMessageHeaderWords + metadataWords;
    if (first + count * kDescriptorWords > at + length) break;
    for (let index = 0; index < count; index++) bytes += half(first + index * kDescriptorWords + 2, 1);
    messages++;
    at += length;
  }
  return { messages, bytes };
}

export function channelOf(sender: SenderEnd, receiver: ReceiverEnd | undefined): ChannelReport {
  const published = Number(sender.published & ~kIndexClosed);
  const consumed = Number(receiver?.consumed ?? 0n);
  const ringWords = sender.ringBytes / 8;
  // The two were not read at one moment.
  const words = Math.min(Math.max(published - consumed, 0), ringWords);
  const queued =
    words === 0
      ? { messages: 0, bytes: 0 }
      : (withMemory(sender.memory, (readAt) =>
          countQueued(readAt(kRingOffset, sender.ringBytes), consumed, words),
        ) ?? { messages: 0, bytes: 0 });
  let state: ChannelReport['state'] = receiver === undefined ? 'half-open' : 'open';
  if ((sender.published & kIndexClosed) !== 0n) state = 'closed by sender';
  if (receiver?.isClosed === true) state = 'closed by receiver';
  return {
    from: sender.writer,
    to: sender.peer,
    label: sender.label,
    id: Number(sender.channelId >> 1n),
    openedBy: (sender.channelId & 1n) === 0n ? sender.writer : sender.peer,
    state,
    ringBytes: sender.ringBytes,
    queuedRingBytes: words * 8,
    queuedMessages: queued.messages,
    queuedBytes: queued.bytes,
    isBlocked: sender.waitsFor !== 0n,
    ringBytesTotal: published * 8,
  };
}
