/** Who holds what: hold tables against the segments that they are about. */
import {
  kChunkBytes, kChunkEntriesOffset, kChunksMax, kHoldChunkCountBits, kHoldCountMax,
  kHoldRegionBytes, kHoldRegionsOffset, kHoldSlotCountsOffset,
} from '../layout.generated';
import { withMemory, type Memory, type ReadAt } from './memory';

/** What an observer knows of a segment. */
export interface SeenSegment {
  readonly memory: Memory;
  readonly owner: string;
  readonly pool: number;
  readonly ordinal: number;
  readonly unitBytes: number;
  readonly slots: number;
  readonly chunks: number;
  /** One bit per slot that somebody holds; made with the first hold. */
  held?: Uint8Array;
  /** Bytes of each buffer that starts in the chunk; read with the first hold. */
  bufferBytes?: Float64Array;
}

export interface SeenTable {
  readonly memory: Memory;
  readonly holder: string;
  readonly owner: string;
}

export interface HoldSum {
  buffers: number;
  bytes: number;
  holds: number;
  kernelVisible: number;
  oldestSeconds: number | null;
}

// A chunk word has so many bits of the second since when something of the chunk is held.
const sinceModulus = 2 ** (32 - kHoldChunkCountBits);

function readBufferBytes(segment: SeenSegment): Float64Array {
  const sizes = new Float64Array(segment.chunks);
  withMemory(segment.memory, (readAt) => {
    const entries = readAt(kChunkEntriesOffset, segment.chunks * 8);
    for (let chunk = 0; chunk < segment.chunks; chunk++) {
      sizes[chunk] = Number(entries.readBigUInt64LE(chunk * 8));
    }
  });
  return sizes;
}

function chunkWords(readAt: ReadAt, segment: SeenSegment): Uint32Array {
  const base = kHoldRegionsOffset + segment.ordinal * kHoldRegionBytes;
  const bytes = readAt(base, kChunksMax * 4);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, segment.chunks);
}

function sumSegment(readAt: ReadAt, segment: SeenSegment, now: number, sum: HoldSum): void {
  const words = chunkWords(readAt, segment);
  const first = words.findIndex((word) => word !== 0);
  if (first === -1) return;
  let last = words.length - 1;
  while (words[last] === 0) last--;
  segment.bufferBytes ??= readBufferBytes(segment);
  segment.held ??= new Uint8Array(Math.ceil(segment.slots / 8));
  const slotsPerChunk = segment.unitBytes === 0 ? 1 : kChunkBytes / segment.unitBytes;
  const base = kHoldRegionsOffset + segment.ordinal * kHoldRegionBytes + kHoldSlotCountsOffset;
  const bytes = readAt(base + first * slotsPerChunk * 4, (last - first + 1) * slotsPerChunk * 4);
  const counts = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let chunk = first; chunk <= last; chunk++) {
    if (words[chunk] === 0) continue;
    if (sum.oldestSeconds !== null) {
      const since = words[chunk]! >>> kHoldChunkCountBits;
      const age = (now - since + sinceModulus) % sinceModulus;
      // Its clock is read up to a tick late.
      sum.oldestSeconds = Math.max(sum.oldestSeconds, age === sinceModulus - 1 ? 0 : age);
    }
    for (let index = 0; index < slotsPerChunk; index++) {
      const word = counts[(chunk - first) * slotsPerChunk + index]!;
      if (word === 0) continue;
      const slot = chunk * slotsPerChunk + index;
      segment.held[slot >> 3]! |= 1 << (slot & 7);
      sum.buffers++;
      sum.bytes += segment.bufferBytes[chunk]!;
      sum.holds += word & kHoldCountMax;
      if (word >>> 31 === 1) sum.kernelVisible++;
    }
  }
}

/** By pool of the owner: what the table's domain holds; pools of which it holds nothing are left out. */
export function sumHolds(table: SeenTable, segments: readonly SeenSegment[]): Map<number, HoldSum> {
  const sums = new Map<number, HoldSum>();
  const now = Math.floor(Number(process.hrtime.bigint() / 1_000_000_000n)) % sinceModulus;
  withMemory(table.memory, (readAt) => {
    for (const segment of segments) {
      const sum = sums.get(segment.pool) ?? {
        buffers: 0, bytes: 0, holds: 0, kernelVisible: 0,
        oldestSeconds: table.holder === table.owner ? null : 0,
      };
      sumSegment(readAt, segment, now, sum);
      if (sum.buffers > 0) sums.set(segment.pool, sum);
    }
  });
  return sums;
}

const bitsOf = Uint8Array.from({ length: 256 }, (_, byte) => {
  let bits = 0;
  for (let rest = byte; rest > 0; rest >>= 1) bits += rest & 1;
  return bits;
});

/** Buffers of the segment that somebody holds. */
export function countHeld(segment: SeenSegment): number {
  let count = 0;
  for (const byte of segment.held ?? []) count += bitsOf[byte]!;
  return count;
}

