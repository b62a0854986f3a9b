// Making values: memory to write to, copies of strings and bytes, a whole put together of pieces.
import { BufferList, Uint8ArrayList, iolite } from './packages.mjs';
import { shapes } from './shapes.mjs';
import { suite } from './suite.mjs';

const { Aggregate, Window } = iolite;
const pool = Window.default().defaultPool;

/** Only the length is a result: the bytes are whatever they are. */
const allocate = ({ byteLength }) => ({
  'io-lite': () => {
    const sealed = pool.allocate(byteLength).seal();
    const length = sealed.byteLength;
    sealed.dispose();
    return length;
  },
  bl: () => new BufferList(Buffer.allocUnsafe(byteLength)).length,
  Buffer: () => Buffer.allocUnsafe(byteLength).length,
  uint8arraylist: Uint8ArrayList && (() => new Uint8ArrayList(Buffer.allocUnsafe(byteLength)).length),
});

/** A value of one's own: what the source does to its bytes later must not show. */
const fromBytes = ({ buffer }) => ({
  'io-lite': () => Aggregate.from(buffer),
  bl: () => new BufferList(Buffer.from(buffer)),
  Buffer: () => Buffer.from(buffer),
  uint8arraylist: Uint8ArrayList && (() => new Uint8ArrayList(Buffer.from(buffer))),
});

function fromString({ buffer }) {
  const text = buffer.toString();
  return {
    'io-lite': () => Aggregate.from(text),
    bl: () => new BufferList(text),
    Buffer: () => Buffer.from(text),
  };
}

/** The pieces are there already, each in its library's own form. */
function ofPieces({ pieces }) {
  const ours = pieces.map((piece) => Aggregate.from(piece));
  return {
    'io-lite': () => {
      const whole = Aggregate.from();
      for (const piece of ours) whole.append(piece);
      return whole;
    },
    bl: () => {
      const whole = new BufferList();
      for (const piece of pieces) whole.append(piece);
      return whole;
    },
    Buffer: () => Buffer.concat(pieces),
    uint8arraylist: Uint8ArrayList && (() => {
      const whole = new Uint8ArrayList();
      for (const piece of pieces) whole.append(piece);
      return whole;
    }),
  };
}

const casesOf = (opsByName, nameOf) => Object.entries(opsByName).flatMap(([name, opsOf]) =>
  shapes.map((shape) => ({ name: `${name}, ${nameOf(shape)}`, ops: opsOf(shape) })));

await suite('create', [
  ...casesOf(
    { 'allocate and seal': allocate, 'from bytes': fromBytes, 'from a string': fromString }, ({ size }) => size),
  ...casesOf({ 'of pieces': ofPieces }, ({ name }) => name),
]);
