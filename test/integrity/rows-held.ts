// The state matrix: what has bytes that can be read.
import { Aggregate, Window, type Cursor, type HeldBytes, type IolBuffer } from 'io-lite';

import {
  always, badEncoding, chunks, closed, drop, fakes, gone, offline, owners,
  range, refusing, resourceRows, takingNumber, takingPlace, type, value, type Row, type Table, type Wrong,
} from './rows-kit';

/** The reads of a Buffer: `read` gives the method's arguments its offset. */
function numberRows(): Record<string, Row<HeldBytes>> {
  const rows: Record<string, Row<HeldBytes>> = {};
  for (const name of Object.getOwnPropertyNames(Buffer.prototype)) {
    if (!/^read/.test(name) || !(name in Aggregate.prototype)) continue;
    const isSized = /^read(U?)[Ii]nt(LE|BE)$/.test(name);
    const call = (held: HeldBytes, offset: number, byteLength = 3): unknown =>
      (held as never as Record<string, (...given: number[]) => unknown>)[name]!(
        ...(isSized ? [offset, byteLength] : [offset]),
      );
    rows[name] = {
      use: (held) => call(held, 1),
      wrong: [
        ...takingNumber(call),
        [(held) => call(held, /8$/.test(name) ? 16 : 15), range],
        ...(isSized ? takingNumber((held: HeldBytes, n: number) => call(held, 0, n)) : []),
        ...(isSized ? [[(held: HeldBytes) => call(held, 0, 7), range] as const] : []),
      ],
    };
  }
  return rows;
}

const heldRows: Record<string, Row<HeldBytes>> = {
  ...(resourceRows as never as Record<string, Row<HeldBytes>>),
  ...numberRows(),
  sliceCount: { use: (h) => h.sliceCount },
  slices: { use: (h) => h.slices() },
  'Symbol(Symbol.iterator)': { use: (h) => [...h] },
  bytes: { use: (h) => [...h.bytes()] },
  view: { use: (h) => h.view() },
  clone: { use: (h) => drop(h.clone()) },
  slice: {
    use: (h) => drop(h.slice(1, -1)),
    wrong: [
      ...takingPlace((h: HeldBytes, n) => h.slice(n)),
      ...takingPlace((h: HeldBytes, n) => h.slice(0, n)),
    ],
  },
  at: {
    use: (h) => h.at(-1),
    wrong: [
      [(h) => h.at(0.5), range], [(h) => h.at(NaN), range], [(h) => h.at('0' as never), type],
    ],
  },
  cursor: {
    use: (h) => h.cursor(3).readUInt8(),
    wrong: [...takingNumber((h: HeldBytes, n) => h.cursor(n)), [(h) => h.cursor(17), range]],
  },
  ...Object.fromEntries(
    (['indexOf', 'lastIndexOf', 'includes'] as const).map((name): [string, Row<HeldBytes>] => [
      name,
      {
        use: (h) => h[name]('h'),
        wrong: [
          ...refusing((h: HeldBytes, fake) => {
            if (fake === 5) throw new TypeError('a byte is no fake here');
            return h[name](fake);
          }),
          ...takingPlace((h: HeldBytes, n) => h[name]('h', n)),
          [(h) => h[name](256), range],
          [(h) => h[name](gone()), closed],
          [(h) => h[name]('h', badEncoding), value],
          [(h) => h[name]('h', 0, 7 as never), type],
        ],
      },
    ]),
  ),
  ...Object.fromEntries(
    (['startsWith', 'endsWith'] as const).map((name): [string, Row<HeldBytes>] => [
      name,
      {
        use: (h) => h[name]('h'),
        wrong: [
          ...refusing((h: HeldBytes, fake) => h[name](fake)),
          ...takingPlace((h: HeldBytes, n) => h[name]('h', n)),
          [(h) => h[name](gone()), closed],
          [(h) => h[name]('h', badEncoding), value],
        ],
      },
    ]),
  ),
  ...Object.fromEntries(
    (['equals', 'compare'] as const).map((name): [string, Row<HeldBytes>] => [
      name,
      {
        use: (h) => h[name]('h'),
        wrong: [
          ...refusing((h: HeldBytes, fake) => h[name](fake)),
          [(h: HeldBytes) => h[name](gone()), closed],
          [(h: HeldBytes) => h[name]('h', badEncoding), value],
        ],
      },
    ]),
  ),
  copyTo: {
    use: (h) => h.copyTo(new Uint8Array(1)),
    wrong: [
      ...refusing((h: HeldBytes, fake) => h.copyTo(fake)),
      ...takingNumber((h: HeldBytes, n) => h.copyTo(new Uint8Array(9), n)),
      ...takingPlace((h: HeldBytes, n) => h.copyTo(new Uint8Array(9), 0, n)),
      ...takingPlace((h: HeldBytes, n) => h.copyTo(new Uint8Array(9), 0, 0, n)),
    ],
  },
  toBuffer: { use: (h) => h.toBuffer(), wrong: takingPlace((h, n) => h.toBuffer(n)) },
  toString: {
    use: (h: HeldBytes) => h.toString(),
    wrong: [
      [(h: HeldBytes) => h.toString(badEncoding), value] as const,
      [(h: HeldBytes) => h.toString(5 as never), type] as const,
      ...takingPlace((h: HeldBytes, n) => h.toString('hex', n)),
      ...takingPlace((h: HeldBytes, n) => h.toString('utf8', 0, n)),
    ],
  },
  decode: {
    use: (h) => [...h.decode()],
    wrong: [
      [(h) => h.decode(badEncoding), value],
      ...takingNumber((h: HeldBytes, n) => h.decode('utf8', n)),
      [(h) => h.decode('utf8', 3), range],
    ],
  },
  lines: {
    use: (h) => [...h.lines()],
    wrong: [
      [(h) => h.lines(5 as never), type],
      [(h) => h.lines({ as: 'buffer' as never }), value],
      [(h) => h.lines({ encoding: badEncoding }), value],
      [(h) => h.lines({ keepEnds: 1 as never }), type],
      [(h) => h.lines({ keepCr: 1 as never }), type],
    ],
  },
  toJSON: { use: (h) => JSON.stringify(h), allowed: always },
  'Symbol(Symbol.toStringTag)': { use: (h) => h[Symbol.toStringTag as never], allowed: always },
};

/** What takes parts: none of them may be wrong, wherever it stands. */
function takingParts<T>(call: (subject: T, ...parts: never[]) => unknown): Wrong<T>[] {
  return [
    ...refusing<T>((subject, fake) => call(subject, fake)),
    ...refusing<T>((subject, fake) => call(subject, 'good' as never, fake)),
    ...refusing<T>((subject, fake) => call(subject, ['good', fake] as never)),
    [(subject) => call(subject, gone() as never), closed],
    [(subject) => call(subject, 'good' as never, gone() as never), closed],
    [(subject) => call(subject, [gone()] as never), closed],
  ];
}

function takingRange(call: (a: Aggregate, from: number, to: number) => unknown): Wrong<Aggregate>[] {
  return [
    ...takingNumber((a: Aggregate, n) => call(a, n, 16)),
    ...takingNumber((a: Aggregate, n) => call(a, 0, n)),
    [(a) => call(a, 3, 2), range],
    [(a) => call(a, 0, 17), range],
  ];
}

export const aggregateTable: Table<Aggregate> = {
  name: 'Aggregate',
  make: () => Aggregate.from('abc\ndef', 'ghijklmno'),
  contents: (a) => [a.toString(), a.sliceCount, a.byteLength],
  rows: {
    ...(heldRows as never as Record<string, Row<Aggregate>>),
    byteLength: { use: (a) => a.byteLength },
    append: { use: (a) => a.append('x'), wrong: takingParts((a, ...parts) => a.append(...parts)) },
    prepend: { use: (a) => a.prepend('x'), wrong: takingParts((a, ...parts) => a.prepend(...parts)) },
    insert: {
      use: (a) => a.insert(2, 'x'),
      wrong: [
        ...takingParts((a: Aggregate, ...parts) => a.insert(1, ...parts)),
        ...takingNumber((a: Aggregate, n) => a.insert(n, 'x')),
        [(a) => a.insert(17, 'x'), range],
      ],
    },
    replace: {
      use: (a) => a.replace(2, 4, 'x'),
      wrong: [
        ...takingParts((a: Aggregate, ...parts) => a.replace(1, 2, ...parts)),
        ...takingRange((a, from, to) => a.replace(from, to, 'x')),
      ],
    },
    remove: { use: (a) => a.remove(2, 4), wrong: takingRange((a, from, to) => a.remove(from, to)) },
    split: {
      use: (a) => drop(a.split(4)),
      wrong: [...takingNumber((a: Aggregate, n) => a.split(n)), [(a) => a.split(17), range]],
    },
    consume: {
      use: (a) => a.consume(4),
      wrong: [...takingNumber((a: Aggregate, n) => a.consume(n)), [(a) => a.consume(17), range]],
    },
    truncate: {
      use: (a) => a.truncate(4),
      wrong: [...takingNumber((a: Aggregate, n) => a.truncate(n)), [(a) => a.truncate(17), range]],
    },
    clear: { use: (a) => a.clear() },
    linearize: { use: (a) => a.linearize() },
    // This thread's window has no host: test/channels/transfer.test.ts has the rest.
    toTransfer: { use: (a) => offline(() => a.toTransfer()) },
    'static fromTransfer': {
      use: () => offline(() => Aggregate.fromTransfer({ window: '0', slot: 0, epoch: 1, id: 1 })),
      allowed: ['released'],
      wrong: [
        [() => Aggregate.fromTransfer(5 as never), type],
        [() => Aggregate.fromTransfer({ window: '0' } as never), type],
      ],
    },
    'static withdrawTransfer': {
      use: () => Aggregate.withdrawTransfer({ window: '0', slot: 0, epoch: 1, id: 1 }),
      allowed: always,
    },
    'static from': {
      use: (a) => drop(Aggregate.from(a)),
      wrong: takingParts((_, ...parts) => Aggregate.from(...parts)),
    },
    'static concat': {
      use: (a) => drop(Aggregate.concat('x', [a])),
      wrong: takingParts((_, ...parts) => Aggregate.concat(...parts)),
    },
    'static fromText': {
      use: () => drop(Aggregate.fromText('x')),
      allowed: ['released'],
      wrong: [
        [() => Aggregate.fromText(5 as never), type],
        [() => Aggregate.fromText('x', badEncoding), value],
      ],
    },
    'static fromAsync': {
      use: async (a) => drop(await Aggregate.fromAsync([a])),
      wrong: [
        ...fakes
          .filter((fake) => !Array.isArray(fake) && !ArrayBuffer.isView(fake))
          .map((fake): Wrong<Aggregate> => [() => Aggregate.fromAsync(fake as never), 'TypeError']),
        [() => Aggregate.fromAsync('text'), type],
        [() => Aggregate.fromAsync(chunks('good', 5 as never)), type],
        [() => Aggregate.fromAsync([gone()]), closed],
        [() => Aggregate.fromAsync([], { signal: {} as never }), type],
        [() => Aggregate.fromAsync([], { maxBytes: -1 }), range],
        [() => Aggregate.fromAsync(['ab'], { maxBytes: 1 }), 'ERR_IOL_TOO_LARGE'],
        [() => Aggregate.fromAsync([], 5 as never), type],
        [() => Aggregate.fromAsync(['x'], { signal: AbortSignal.abort() }), 'ERR_IOL_ABORTED'],
      ],
    },
    'static empty': { use: () => drop(Aggregate.empty()), allowed: ['released'] },
  },
};

export const bufferTable: Table<IolBuffer> = {
  name: 'IolBuffer',
  make: () => {
    const draft = Window.default().defaultPool.allocate(16);
    draft.write('abc\ndefghijklmno');
    return draft.seal();
  },
  contents: (b) => [b.toString(), b.sliceCount, b.byteLength, b.address, b.generation],
  rows: {
    ...(heldRows as never as Record<string, Row<IolBuffer>>),
    byteLength: { use: (b) => b.byteLength, allowed: always },
    address: { use: (b) => b.address, allowed: always },
    generation: { use: (b) => b.generation, allowed: always },
    unsafeView: { use: (b) => b.unsafeView() },
  },
};

function cursorRows(): Record<string, Row<Cursor>> {
  const rows: Record<string, Row<Cursor>> = {};
  for (const name of Object.keys(numberRows())) {
    const isSized = /^read(U?)[Ii]nt(LE|BE)$/.test(name);
    const call = (cursor: Cursor, byteLength = 3): unknown =>
      (cursor as never as Record<string, (...given: number[]) => unknown>)[name]!(
        ...(isSized ? [byteLength] : []),
      );
    rows[name] = {
      use: (cursor) => call(cursor),
      wrong: isSized ? takingNumber((cursor: Cursor, n) => call(cursor, n)) : [],
    };
  }
  return rows;
}

export const cursorTable: Table<Cursor> = {
  name: 'Cursor',
  make: () => {
    const owner = Aggregate.from('abc\ndef', 'ghijklmno');
    const cursor = owner.cursor(1);
    owners.set(cursor, owner);
    return cursor;
  },
  contents: (c) => [c.position, owners.get(c)!.toString()],
  rows: {
    ...cursorRows(),
    position: {
      use: (c) => (c.position += 0),
      wrong: takingNumber((c, n) => (c.position = n)),
    },
    remaining: { use: (c) => c.remaining },
    skip: {
      use: (c) => c.skip(1),
      wrong: [...takingNumber((c: Cursor, n) => c.skip(n)), [(c) => c.skip(16), range]],
    },
    slice: { use: (c) => drop(c.slice(1)), wrong: [...takingNumber((c: Cursor, n) => c.slice(n)), [(c) => c.slice(16), range]] },
    readString: {
      use: (c) => c.readString(1),
      wrong: [
        ...takingNumber((c: Cursor, n) => c.readString(n)),
        [(c) => c.readString(16), range],
        [(c) => c.readString(1, badEncoding), value],
      ],
    },
    copyTo: { use: (c) => c.copyTo(new Uint8Array(1)), wrong: refusing((c, fake) => c.copyTo(fake)) },
    skipIf: {
      use: (c) => c.skipIf('b'),
      wrong: [...refusing((c: Cursor, fake) => c.skipIf(fake)), [(c) => c.skipIf('b', badEncoding), value]],
    },
  },
};
