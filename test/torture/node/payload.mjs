// What test/torture/native/payload.cc does, in JavaScript: messages that can be checked by whoever
// gets them, whichever side made their bytes.
const magic = 0x74727469;
const headingBytes = 40;
const partBytes = 16;
export const partsMax = 60;
export const strideBytes = 256;
export const strideLength = 200;
export const strides = 64;
export const bufferBytesMax = 300_000;

/** High 32 bits of a 32 by 32 bit product. */
function highOf(a, b) {
  const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
  const middle = a0 * b1 + a1 * b0 + Math.floor(a0 * b0 / 65536);
  return a1 * b1 + Math.floor(middle / 65536);
}

const cells = new Uint32Array(2 * (bufferBytesMax / 8 + 2));
const cellBytes = Buffer.from(cells.buffer);

/**
 * Bytes `[offset, offset + length)` of the buffer with that serial number, high and low half: a view
 * that is good until the next call.
 */
export function bytesOf(high, low, offset, length) {
  const first = offset >>> 3;
  const last = (offset + length + 7) >>> 3;
  for (let index = first, at = 0; index < last; index++) {
    const sum = low + index;
    let a = sum >>> 0;
    let b = (high + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
    // Times 0x9e3779b97f4a7c15, xor itself >> 29, times 0xbf58476d1ce4e5b9, xor the number.
    b = (highOf(a, 0x7f4a7c15) + Math.imul(a, 0x9e3779b9) + Math.imul(b, 0x7f4a7c15)) >>> 0;
    a = Math.imul(a, 0x7f4a7c15) >>> 0;
    a = (a ^ ((a >>> 29) | (b << 3))) >>> 0;
    b = (b ^ (b >>> 29)) >>> 0;
    b = (highOf(a, 0x1ce4e5b9) + Math.imul(a, 0xbf58476d) + Math.imul(b, 0x1ce4e5b9)) >>> 0;
    a = Math.imul(a, 0x1ce4e5b9) >>> 0;
    cells[at++] = a ^ low;
    cells[at++] = b ^ high;
  }
  const skipped = offset - 8 * first;
  return cellBytes.subarray(skipped, skipped + length);
}

function checksumOf(bytes) {
  let sum = 2166136261;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 16777619);
  return sum >>> 0;
}

export function metadataOf({ record, number, hops, strides: slices, parts }) {
  const bytes = Buffer.alloc(headingBytes + partBytes * parts.length);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(record, 4);
  bytes.writeBigUInt64LE(BigInt(number), 8);
  bytes.writeBigInt64LE(process.hrtime.bigint(), 16);
  bytes.writeUInt32LE(hops, 24);
  bytes.writeUInt32LE(parts.length, 28);
  bytes.writeUInt32LE(slices, 32);
  parts.forEach(({ high, low, offset, length }, index) => {
    const at = headingBytes + partBytes * index;
    bytes.writeUInt32LE(low, at);
    bytes.writeUInt32LE(high, at + 4);
    bytes.writeUInt32LE(offset, at + 8);
    bytes.writeUInt32LE(length, at + 12);
  });
  bytes.writeUInt32LE(checksumOf(bytes), 36);
  return bytes;
}

/** Throws what is wrong with it. */
export function contentsOf(metadata) {
  if (metadata.length < headingBytes) throw new Error(`metadata of ${metadata.length}`);
  if (metadata.readUInt32LE(0) !== magic) throw new Error('metadata without the magic');
  const count = metadata.readUInt32LE(28);
  if (metadata.length !== headingBytes + partBytes * count) throw new Error('metadata cut');
  const checksum = metadata.readUInt32LE(36);
  metadata.writeUInt32LE(0, 36);
  if (checksumOf(metadata) !== checksum) throw new Error('metadata with a wrong checksum');
  return {
    record: metadata.readUInt32LE(4),
    number: Number(metadata.readBigUInt64LE(8)),
    hops: metadata.readUInt32LE(24),
    strides: metadata.readUInt32LE(32),
    parts: Array.from({ length: count }, (_, index) => {
      const at = headingBytes + partBytes * index;
      return {
        low: metadata.readUInt32LE(at),
        high: metadata.readUInt32LE(at + 4),
        offset: metadata.readUInt32LE(at + 8),
        length: metadata.readUInt32LE(at + 12),
      };
    }),
  };
}

const got = Buffer.alloc(bufferBytesMax);

/** Throws where the first wrong byte is. */
export function checkPayload(aggregate, { parts, strides: slices }, when) {
  const all = [...parts];
  for (let index = 0; index < slices; index++) {
    all.push({ ...parts[0], offset: index % strides * strideBytes, length: strideLength });
  }
  let at = 0;
  for (const { high, low, offset, length } of all) {
    const copied = aggregate.copyTo(got, 0, at, Math.min(at + length, aggregate.byteLength));
    if (copied !== length) throw new Error(`${when}: payload too short`);
    at += length;
    const wanted = bytesOf(high, low, offset, length);
    if (wanted.equals(got.subarray(0, length))) continue;
    const wrong = wanted.findIndex((byte, index) => byte !== got[index]);
    throw new Error(`${when}: wrong byte at ${offset + wrong} of buffer ${high}:${low}`);
  }
  if (at !== aggregate.byteLength) throw new Error(`${when}: payload too long`);
}
