// Operations on structure. Each leaves what it started from as it was and makes a new value beside it.
import { BufferList, Uint8ArrayList, iolite } from './packages.mjs';
import { extra, shapes } from './shapes.mjs';
import { suite } from './suite.mjs';

const { Aggregate } = iolite;

function slice({ io, bl, buffer, list, byteLength }) {
  const [from, to] = [byteLength / 4, byteLength * 3 / 4];
  return {
    'io-lite': () => io.slice(from, to),
    bl: () => bl.shallowSlice(from, to),
    Buffer: () => buffer.subarray(from, to),
    uint8arraylist: list && (() => list.sublist(from, to)),
  };
}

function split({ io, bl, buffer, list, byteLength }) {
  const middle = byteLength / 2;
  return {
    'io-lite': () => {
      const rest = io.clone();
      return [rest.split(middle), rest];
    },
    bl: () => [bl.shallowSlice(0, middle), bl.shallowSlice(middle)],
    Buffer: () => [buffer.subarray(0, middle), buffer.subarray(middle)],
    uint8arraylist: list && (() => [list.sublist(0, middle), list.sublist(middle)]),
  };
}

const concat = ({ io, bl, buffer, list }) => ({
  'io-lite': () => Aggregate.concat(io, io),
  bl: () => new BufferList([bl, bl]),
  Buffer: () => Buffer.concat([buffer, buffer]),
  uint8arraylist: list && (() => new Uint8ArrayList(list, list)),
});

const clone = ({ io, bl, buffer, list }) => ({
  'io-lite': () => io.clone(),
  bl: () => bl.duplicate(),
  Buffer: () => buffer.subarray(),
  uint8arraylist: list && (() => list.sublist()),
});

const append = ({ io, bl, buffer, list }) => ({
  'io-lite': () => io.clone().append(extra.io),
  bl: () => bl.duplicate().append(extra.buffer),
  Buffer: () => Buffer.concat([buffer, extra.buffer]),
  uint8arraylist: list && (() => new Uint8ArrayList(list, extra.buffer)),
});

const prepend = ({ io, bl, buffer, list }) => ({
  'io-lite': () => io.clone().prepend(extra.io),
  bl: () => bl.duplicate().prepend(extra.buffer),
  Buffer: () => Buffer.concat([extra.buffer, buffer]),
  uint8arraylist: list && (() => new Uint8ArrayList(extra.buffer, list)),
});

function insert({ io, bl, buffer, list, byteLength }) {
  const at = byteLength / 2 + 7;
  return {
    'io-lite': () => io.clone().insert(at, extra.io),
    bl: () => new BufferList([bl.shallowSlice(0, at), extra.buffer, bl.shallowSlice(at)]),
    Buffer: () => Buffer.concat([buffer.subarray(0, at), extra.buffer, buffer.subarray(at)]),
    uint8arraylist: list && (() =>
      new Uint8ArrayList(list.sublist(0, at), extra.buffer, list.sublist(at))),
  };
}

function remove({ io, bl, buffer, list, byteLength }) {
  const [from, to] = [byteLength / 4 + 3, byteLength / 2 + 3];
  return {
    'io-lite': () => io.clone().remove(from, to),
    bl: () => new BufferList([bl.shallowSlice(0, from), bl.shallowSlice(to)]),
    Buffer: () => Buffer.concat([buffer.subarray(0, from), buffer.subarray(to)]),
    uint8arraylist: list && (() => new Uint8ArrayList(list.sublist(0, from), list.sublist(to))),
  };
}

/** In place, and for ever: 1 KiB in at the end, 1 KiB out at the front. */
function queue({ io, bl, buffer, list }) {
  const ours = io.clone();
  const theirs = bl.duplicate();
  const lists = list?.sublist();
  let whole = buffer;
  return {
    'io-lite': () => ours.append(extra.io).consume(extra.byteLength).byteLength,
    bl: () => theirs.append(extra.buffer).consume(extra.byteLength).length,
    Buffer: () => {
      whole = Buffer.concat([whole, extra.buffer]).subarray(extra.byteLength);
      return whole.length;
    },
    uint8arraylist: lists && (() => {
      lists.append(extra.buffer);
      lists.consume(extra.byteLength);
      return lists.length;
    }),
  };
}

await suite('edit', Object.entries({
  slice, split, concat, clone, append, prepend, insert, remove, 'append and consume': queue,
}).flatMap(([name, opsOf]) =>
  shapes.map((shape) => ({ name: `${name}, ${shape.name}`, ops: opsOf(shape) }))));
