// Looking at bytes: search, comparison, typed reads, text, walks.
import { Uint8ArrayList } from './packages.mjs';
import { shapes } from './shapes.mjs';
import { suite } from './suite.mjs';

const utf8 = new TextEncoder();

function indexOfAbsent({ io, bl, buffer, list, byteLength }) {
  const bytes = utf8.encode('needle z');
  return {
    'io-lite': () => io.indexOf('needle z'),
    bl: () => bl.indexOf('needle z'),
    Buffer: () => buffer.indexOf('needle z'),
    // Not on a MiB: two seconds each, and minutes until there are samples enough.
    uint8arraylist: list && byteLength <= 65_536 && (() => list.indexOf(bytes)),
  };
}

/**
 * Memory that lies in step with nobody's. What it is copied to or compared with is otherwise a quarter slower for whose
 * bytes happen to begin at another place in their cache line: buffers of the heap all begin at the same.
 */
const outOfStep = (byteLength) => Buffer.allocUnsafeSlow(byteLength + 8).subarray(8);

function equals({ io, bl, buffer, list, pieces }) {
  const other = outOfStep(buffer.length);
  buffer.copy(other);
  const otherList = list && new Uint8ArrayList(...pieces.map((piece) => Uint8Array.from(piece)));
  return {
    'io-lite': () => io.equals(other),
    bl: () => bl.slice().equals(other),
    Buffer: () => buffer.equals(other),
    uint8arraylist: list && (() => list.equals(otherList)),
  };
}

function byteAt({ io, bl, buffer, list, byteLength }) {
  const at = byteLength / 2 + 1;
  return {
    'io-lite': () => io.at(at),
    bl: () => bl.get(at),
    Buffer: () => buffer[at],
    uint8arraylist: list && (() => list.get(at)),
  };
}

function word({ io, bl, buffer, list, byteLength }) {
  const at = byteLength / 2 + 1;
  return {
    'io-lite': () => io.readUInt32LE(at),
    bl: () => bl.readUInt32LE(at),
    Buffer: () => buffer.readUInt32LE(at),
    uint8arraylist: list && (() => list.getUint32(at, true)),
  };
}

/** The first bytes of each border or, in one piece, of a border's place. */
function words({ io, bl, buffer, list, byteLength }) {
  const step = Math.max(4, byteLength / 1024);
  const sum = (read) => {
    let total = 0;
    for (let at = 0; at <= byteLength - 4; at += step) total = (total + read(at)) >>> 0;
    return total;
  };
  return {
    'io-lite': () => sum((at) => io.readUInt32LE(at)),
    bl: () => sum((at) => bl.readUInt32LE(at)),
    Buffer: () => sum((at) => buffer.readUInt32LE(at)),
    uint8arraylist: list && (() => sum((at) => list.getUint32(at, true))),
  };
}

/** One after the other from the first byte, at most 4,096. */
function sequence({ io, bl, buffer, list, byteLength }) {
  const count = Math.min(4096, byteLength / 4);
  const sum = (read) => {
    let total = 0;
    for (let i = 0; i < count; i++) total = (total + read(4 * i)) >>> 0;
    return total;
  };
  return {
    'io-lite': () => {
      const cursor = io.cursor();
      return sum(() => cursor.readUInt32LE());
    },
    bl: () => sum((at) => bl.readUInt32LE(at)),
    Buffer: () => sum((at) => buffer.readUInt32LE(at)),
    uint8arraylist: list && (() => sum((at) => list.getUint32(at, true))),
  };
}

const toText = ({ io, bl, buffer, list }) => ({
  'io-lite': () => io.toString(),
  bl: () => bl.toString(),
  Buffer: () => buffer.toString(),
  uint8arraylist: list && (() => new TextDecoder().decode(list.subarray())),
});

function partToText({ io, bl, buffer, list, byteLength }) {
  const [from, to] = [byteLength / 2 - 10, byteLength / 2 + 10];
  return {
    'io-lite': () => io.toString('utf8', from, to),
    bl: () => bl.toString('utf8', from, to),
    Buffer: () => buffer.toString('utf8', from, to),
    uint8arraylist: list && (() => new TextDecoder().decode(list.subarray(from, to))),
  };
}

function walk({ io, bl, buffer, list }) {
  const sum = (views) => {
    let total = 0;
    for (const view of views) total += view[0] + view.length;
    return total;
  };
  return {
    'io-lite': () => sum(io),
    bl: () => sum(bl.getBuffers()),
    Buffer: list && list.byteLength > 65_536 ? undefined : () => sum([buffer]),
    uint8arraylist: list && (() => sum(list)),
  };
}

function copyOut({ io, bl, buffer, list, byteLength }) {
  const target = outOfStep(byteLength);
  const done = () => target[byteLength - 1];
  return {
    'io-lite': () => { io.copyTo(target); return done(); },
    bl: () => { bl.copy(target); return done(); },
    Buffer: () => { buffer.copy(target); return done(); },
    uint8arraylist: list && (() => {
      let at = 0;
      for (const piece of list) {
        target.set(piece, at);
        at += piece.byteLength;
      }
      return done();
    }),
  };
}

await suite('read', Object.entries({
  'indexOf, absent': indexOfAbsent, equals, 'byte in the middle': byteAt, 'readUInt32LE in the middle': word,
  'readUInt32LE, every 1,024th part': words, 'readUInt32LE, one after the other': sequence,
  toString: toText, 'toString of 20 bytes': partToText, 'walk over the pieces': walk, copyTo: copyOut,
}).flatMap(([name, opsOf]) =>
  shapes.map((shape) => ({ name: `${name}, ${shape.name}`, ops: opsOf(shape) }))));
