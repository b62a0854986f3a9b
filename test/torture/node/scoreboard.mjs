// The scoreboard of test/torture/native/scoreboard.h as a file: each number is written by one process
// alone, and read and written whole.
import { readSync, writeSync } from 'node:fs';

const descriptor = 3;
const layout = JSON.parse(process.argv[2]);
const word = Buffer.alloc(8);

/** In the order of scoreboard.h, both. */
export const phases = { run: 0, quiet: 1, leave: 2 };
export const states = { starting: 1, attached: 2, alone: 3, quiet: 4, left: 5, failed: 6 };

export const ourSeat = layout.seat;
export const { seatsMax, seed } = layout;

function read32(at) {
  readSync(descriptor, word, 0, 4, at);
  return word.readUInt32LE(0);
}
function write32(at, value) {
  word.writeUInt32LE(value, 0);
  writeSync(descriptor, word, 0, 4, at);
}
function read64(at) {
  readSync(descriptor, word, 0, 8, at);
  return word.readBigUInt64LE(0);
}
function write64(at, value) {
  word.writeBigUInt64LE(BigInt(value), 0);
  writeSync(descriptor, word, 0, 8, at);
}
function writeText(at, bytes, text) {
  const room = Buffer.alloc(bytes);
  room.write(text, 0, bytes - 1);
  writeSync(descriptor, room, 0, bytes, at);
}

/** `phase`, `round`, `windowsMade` or `isHostAlive`. */
export const boardRead = (field) => read32(layout[field]);

export function hostAddress() {
  const text = Buffer.alloc(layout.addressBytes);
  readSync(descriptor, text, 0, text.length, layout.address);
  return text.toString('latin1', 0, text.indexOf(0));
}

const placeOf = (field, seat = ourSeat) =>
  layout.seats + seat * layout.seatBytes + layout[`seat_${field}`];
export const seatRead = (field) => read32(placeOf(field));
export const seatWrite = (field, value) => write32(placeOf(field), value);
export const seatAdd = (field) => write64(placeOf(field), read64(placeOf(field)) + 1n);
export const seatSay = (field, text) => writeText(placeOf(field), layout[`${field}Bytes`], text);

/** Who sits there, in which window; undefined for nobody. */
export function domainAt(seat) {
  const domain = read64(placeOf('domain', seat));
  if (domain === 0n) return undefined;
  const windowId = read64(placeOf('windowId', seat)).toString(16).padStart(16, '0');
  return { slot: Number(domain & 0xffff_ffffn), epoch: Number(domain >> 32n), windowId };
}

export function publishDomain(window) {
  if (window !== undefined) write64(placeOf('windowId'), BigInt(`0x${window.id}`));
  const { slot, epoch } = window?.ownDomain ?? { slot: 0, epoch: 0 };
  write64(placeOf('domain'), (BigInt(epoch) << 32n) | BigInt(slot));
}

let recordsTaken = 0;

/** The number of two records, for a channel to that seat; undefined when ours are used up. */
export function takeRecords(seat) {
  if (recordsTaken === layout.recordsEach) return undefined;
  const index = layout.firstRecord + recordsTaken;
  recordsTaken += 2;
  for (const [direction, sender, receiver] of [[0, ourSeat, seat], [1, seat, ourSeat]]) {
    const record = new Record(index + direction);
    for (const field of ['intended', 'sent', 'taken']) record.write(field, 0);
    record.write32('hasForeign', 0);
    record.write32('senderSeat', sender);
    record.write32('receiverSeat', receiver);
  }
  return index;
}

/** One direction of a channel. */
export class Record {
  #at;
  constructor(index) {
    this.#at = layout.records + index % layout.recordsMax * layout.recordBytes;
  }
  /** Of the place in the table, which is what counts: a number may have gone round. */
  isSame(index) {
    return this.#at === layout.records + index % layout.recordsMax * layout.recordBytes;
  }
  read(field) {
    return Number(read64(this.#at + layout[`record_${field}`]));
  }
  write(field, value) {
    write64(this.#at + layout[`record_${field}`], value);
  }
  write32(field, value) {
    write32(this.#at + layout[`record_${field}`], value);
  }
  read32(field) {
    return read32(this.#at + layout[`record_${field}`]);
  }
}
