// The shapes of bytes that every operation is measured on, as each library holds them.
import { BufferList, Uint8ArrayList, iolite } from './packages.mjs';

const { Aggregate } = iolite;

/** Bytes that do not repeat soon, so that a wrong offset shows. */
export function patterned(byteLength, seed = 1) {
  const bytes = Buffer.allocUnsafe(byteLength);
  let state = seed;
  for (let i = 0; i < byteLength; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = 97 + (state >>> 24) % 25;  // a to y: a search for `z` finds nothing
  }
  return bytes;
}

const SHAPES = [
  { name: '64 B', size: '64 B', pieceBytes: 64, pieceCount: 1 },
  { name: '64 KiB', size: '64 KiB', pieceBytes: 64 << 10, pieceCount: 1 },
  { name: '1 MiB in 1 KiB pieces', size: '1 MiB', pieceBytes: 1024, pieceCount: 1024 },
];

/** Each piece in memory of its own, as it would come from a socket: no two are neighbours. */
function aggregateOf(pieces) {
  const whole = Aggregate.from();
  const apart = [];
  for (const piece of pieces) {
    const part = Aggregate.from(piece);
    whole.append(part);
    apart.push(part, Aggregate.from(Buffer.alloc(64)));
  }
  for (const each of apart) each.dispose();
  return whole;
}

/**
 * `[{ name, size, byteLength, pieces, io, bl, buffer, list }]`: the same bytes as an Aggregate, a BufferList, one Buffer
 * and a Uint8ArrayList (null when that is not installed).
 */
export const shapes = SHAPES.map(({ name, size, pieceBytes, pieceCount }) => {
  const buffer = patterned(pieceBytes * pieceCount);
  const pieces = Array.from({ length: pieceCount }, (_, i) =>
    Buffer.from(buffer.subarray(i * pieceBytes, (i + 1) * pieceBytes)));
  return {
    name,
    size,
    byteLength: buffer.length,
    pieces,
    buffer,
    io: aggregateOf(pieces),
    bl: new BufferList(pieces),
    list: Uint8ArrayList && new Uint8ArrayList(...pieces),
  };
});

/** What is put in: 1 KiB in memory of its own, as an Aggregate for us. */
const extraBytes = patterned(1024, 2);
export const extra = { byteLength: 1024, buffer: extraBytes, io: Aggregate.from(extraBytes) };
