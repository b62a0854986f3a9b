// The state matrix: every public member of every class, what it does while its object is open, and
// what with arguments that are wrong. test/integrity/states.test.ts plays it in all states.
import path from 'node:path';

import {
  Aggregate, FileCache, MappedBytes, Window, type CachedFile, type DraftBuffer, type Pool,
} from 'io-lite';

import { functionTable } from './rows-functions';
import { aggregateTable, bufferTable, cursorTable } from './rows-held';
import {
  always, badEncoding, chunks, closed, drop, fakes, gone, range, refusing, resourceRows, takingNumber,
  takingPlace, type, value, type Row, type Table, type Wrong,
} from './rows-kit';

function writeRows(): Record<string, Row<DraftBuffer>> {
  const rows: Record<string, Row<DraftBuffer>> = {};
  for (const name of Object.getOwnPropertyNames(Buffer.prototype)) {
    if (!/^write[A-Z]/.test(name) || !/(8|LE|BE)$/.test(name)) continue;
    const isSized = /^write(U?)[Ii]nt(LE|BE)$/.test(name);
    const number = /Big/.test(name) ? 1n : 1;
    const call = (draft: DraftBuffer, what: unknown, offset: number, byteLength = 3): unknown =>
      (draft as never as Record<string, (...given: unknown[]) => unknown>)[name]!(
        what, offset, ...(isSized ? [byteLength] : []),
      );
    const isFloat = /Float|Double/.test(name);
    rows[name] = {
      use: (draft) => call(draft, number, 1),
      wrong: [
        ...takingNumber((draft: DraftBuffer, n) => call(draft, number, n)),
        [(draft) => call(draft, number, draft.byteLength), range],
        ...(isFloat ? [] : [[(d: DraftBuffer) => call(d, /Big/.test(name) ? 2n ** 64n : 2 ** 60, 0), range] as const]),
        ...(isSized ? takingNumber((d: DraftBuffer, n) => call(d, number, 0, n)) : []),
      ],
    };
  }
  return rows;
}

const draftRows: Record<string, Row<DraftBuffer>> = {
  ...(resourceRows as never as Record<string, Row<DraftBuffer>>),
  ...writeRows(),
  byteLength: { use: (d) => d.byteLength, allowed: always },
  write: {
    use: (d) => d.write('x'),
    wrong: [
      ...refusing((d: DraftBuffer, fake) => d.write(fake)),
      ...takingNumber((d: DraftBuffer, n) => d.write('x', n)),
      [(d) => d.write('x', d.byteLength), range],
      [(d) => d.write('x', 0, badEncoding), value],
      [(d) => d.write(new Uint8Array(d.byteLength + 1)), range],
    ],
  },
  fill: {
    use: (d) => d.fill(7, 0, 2),
    wrong: [
      ...fakes.filter((fake) => fake !== 5).map((fake): Wrong<DraftBuffer> => [(d) => d.fill(fake as never), type]),
      [(d) => d.fill(256), range],
      [(d) => d.fill(''), value],
      [(d) => d.fill('x', 0, 1, badEncoding), value],
      ...takingPlace((d: DraftBuffer, n) => d.fill(0, n)),
      ...takingPlace((d: DraftBuffer, n) => d.fill(0, 0, n)),
    ],
  },
  fillFrom: {
    use: (d) => d.fillFrom(chunks('x')),
    wrong: [
      ...refusing((d: DraftBuffer, fake) => d.fillFrom(fake)),
      ...takingNumber((d: DraftBuffer, n) => d.fillFrom(chunks('x'), n)),
    ],
  },
  bytes: { use: (d) => d.bytes() },
  seal: {
    use: (d) => drop(d.seal()),
    wrong: [...takingNumber((d: DraftBuffer, n) => d.seal(n)), [(d) => d.seal(d.byteLength + 1), range]],
  },
  sealCopy: { use: (d) => drop(d.sealCopy()), wrong: takingNumber((d, n) => d.sealCopy(n)) },
  toJSON: { use: (d) => JSON.stringify(d), allowed: always },
  'Symbol(Symbol.toStringTag)': { use: (d) => d[Symbol.toStringTag], allowed: always },
};

function draftTable(name: string, byteLength: number, hasBytes: boolean): Table<DraftBuffer> {
  return {
    name,
    make: () => {
      const draft = Window.default().defaultPool.allocate(byteLength);
      draft.fill('draft');
      if (hasBytes) draft.bytes();
      return draft;
    },
    contents: (d) => {
      using copy = d.sealCopy();
      return [copy.toString(), d.byteLength];
    },
    rows: draftRows,
  };
}

const poolTable: Table<Pool> = {
  name: 'Pool',
  make: () => Window.default().createPool({ name: 'row' }),
  contents: (p) => p.stats(),
  rows: {
    ...(resourceRows as never as Record<string, Row<Pool>>),
    name: { use: (p) => p.name, allowed: always },
    allocate: { use: (p) => drop(p.allocate(1)), wrong: takingNumber((p, n) => p.allocate(n)) },
    trim: { use: (p) => p.trim(), wrong: takingNumber((p, n) => p.trim(n)) },
    stats: { use: (p) => p.stats() },
  },
};

/** One per thread; its states are those of everything in it. */
const windowTable: Table<Window> = {
  name: 'Window',
  make: () => Window.default(),
  contents: (w) => [w.isClosed, w.id],
  rows: {
    id: { use: (w) => w.id, allowed: always },
    defaultPool: { use: (w) => w.defaultPool, allowed: always },
    isClosed: { use: (w) => w.isClosed, allowed: always },
    ownDomain: { use: (w) => w.ownDomain, allowed: always },
    isHost: { use: (w) => w.isHost, allowed: always },
    address: { use: (w) => w.address, allowed: always },
    isAttached: { use: (w) => w.isAttached, allowed: always },
    ref: { use: (w) => w.ref(), allowed: always },
    unref: { use: (w) => w.unref(), allowed: always },
    env: {
      use: (w) => w.env({ A: 'b' }),
      wrong: [[(w) => w.env(5 as never), type], [(w) => w.env(null as never), type]],
    },
    spawn: {
      use: (w) => w.spawn('true', [], { stdio: 'ignore' }).unref(),
      wrong: [[(w) => w.spawn('true', [], 5 as never), type], [(w) => w.spawn(5 as never), type]],
    },
    fork: {
      use: (w) => w.fork('/dev/null', [], { execArgv: [], stdio: 'ignore' }).disconnect(),
      wrong: [[(w) => w.fork('/dev/null', [], 5 as never), type], [(w) => w.fork(5 as never), type]],
    },
    connect: {
      use: (w) => w.connect('nobody').catch((error: Error & { code: string }) => {
        if (error.code !== 'ERR_IOL_NO_DOMAIN') throw error;
      }),
      wrong: [
        ...[undefined, 5, {}, { slot: 1 }].map((to): Wrong<Window> => [(w) => w.connect(to as never), type]),
        ...['', 'x'.repeat(32), 'ä'].map((to): Wrong<Window> => [(w) => w.connect(to), value]),
        [(w) => w.connect('x', 5 as never), type],
        [(w) => w.connect('x', { name: 5 as never }), type],
        [(w) => w.connect('x', { name: 'x'.repeat(24) }), value],
        [(w) => w.connect('x', { ringBytes: 2048 }), range],
        [(w) => w.connect('x', { ringBytes: 5000 }), value],
        [(w) => w.connect('x', { ringBytes: 512 * 1024 }), range],
        [(w) => w.connect('x', { signal: 5 as never }), type],
      ],
    },
    createPool: {
      use: (w) => drop(w.createPool()),
      wrong: [
        ...[null, 5, 'x', [], () => {}].map((o): Wrong<Window> => [(w) => w.createPool(o as never), type]),
        [(w) => w.createPool({ name: 1 as never }), type],
        [(w) => w.createPool({ sealed: 1 as never }), type],
        [(w) => w.createPool({ maxBytes: -1 }), range],
        [(w) => w.createPool({ idleBytesMax: 0.5 }), range],
      ],
    },
    stats: { use: (w) => w.stats() },
    close: { use: (w) => w.isClosed && w.close(), allowed: always },
    'Symbol(Symbol.dispose)': { use: (w) => w.isClosed && w[Symbol.dispose](), allowed: always },
    'Symbol(Symbol.asyncDispose)': { use: (w) => w.isClosed && w[Symbol.asyncDispose](), allowed: always },
    'static default': { use: () => Window.default(), allowed: always },
    'static create': {
      use: () => Window.create().catch((error: Error & { code: string }) => {
        if (error.code !== 'ERR_IOL_BUSY') throw error;
      }),
      allowed: always,
      wrong: [
        [() => Window.create(5 as never), type],
        [() => Window.create({ maxBytes: -1 }), range],
        [() => Window.create({ strict: 1 as never }), type],
        [() => Window.create({ label: 'x'.repeat(32) }), value],
        [() => Window.create({ label: 5 as never }), type],
        [() => Window.create({ address: 'x' }), value],
        [() => Window.create({ address: 5 as never }), type],
        [() => Window.create({ domainsMax: 0 }), range],
        [() => Window.create({ domainMaxBytes: -1 }), range],
        [() => Window.create({ spinUs: -1 }), range],
        [() => Window.create({ undumpable: 1 as never }), type],
      ],
    },
    'static attach': {
      use: () => Window.attach({ address: `@x#${'0'.repeat(32)}` }).catch((error: Error & { code: string }) => {
        if (!['ERR_IOL_BUSY', 'ERR_IOL_SYSTEM'].includes(error.code)) throw error;
      }),
      allowed: always,
      wrong: [
        [() => Window.attach(5 as never), type],
        [() => Window.attach({ address: 5 as never }), type],
        [() => Window.attach({ address: '' }), value],
        [() => Window.attach({ address: 'x', label: 'ä' }), value],
        [() => Window.attach({ address: 'x', timeoutMs: 0 }), range],
        [() => Window.attach({ address: 'x', maxBytes: -1 }), range],
        [() => Window.attach({ address: 'x', spinUs: 0.5 }), range],
      ],
    },
  },
};

const thisFile = path.join(__dirname, 'rows.ts');

const cacheTable: Table<FileCache> = {
  name: 'FileCache',
  make: () => new FileCache(),
  contents: (c) => c.stats().entries,
  rows: {
    ...(resourceRows as never as Record<string, Row<FileCache>>),
    tryOpen: {
      use: (c) => c.tryOpen(thisFile)?.close(),
      wrong: [
        [(c) => c.tryOpen(5 as never), type],
        [(c) => c.tryOpen(''), value],
        [(c) => c.tryOpen('a\0b'), value],
      ],
    },
    open: {
      use: async (c) => (await c.open(thisFile)).close(),
      wrong: [
        [(c) => c.open(5 as never), type],
        [(c) => c.open(''), value],
        [(c) => c.open(__dirname), 'ERR_IOL_SYSTEM'],
      ],
    },
    stats: { use: (c) => c.stats() },
    close: { use: (c) => c.close(), allowed: always },
    'static default': { use: () => FileCache.default(), allowed: ['released'] },
  },
};

const fileTable: Table<CachedFile> = {
  name: 'CachedFile',
  make: () => FileCache.default().open(thisFile),
  contents: (f) => [f.path, f.isFresh],
  rows: {
    ...(resourceRows as never as Record<string, Row<CachedFile>>),
    path: { use: (f) => f.path, allowed: always },
    byteLength: { use: (f) => f.byteLength, allowed: always },
    mtimeMs: { use: (f) => f.mtimeMs, allowed: always },
    etag: { use: (f) => f.etag, allowed: always },
    isFresh: { use: (f) => f.isFresh },
    realPath: { use: (f) => f.realPath() },
    tryRead: {
      use: (f) => f.tryRead()?.dispose(),
      wrong: [
        ...takingNumber((f: CachedFile, n) => f.tryRead(n)),
        ...takingNumber((f: CachedFile, n) => f.tryRead(0, n)),
      ],
    },
    read: {
      use: async (f) => (await f.read()).dispose(),
      wrong: [
        ...takingNumber((f: CachedFile, n) => f.read(n)),
        ...takingNumber((f: CachedFile, n) => f.read(0, n)),
      ],
    },
    close: { use: (f) => f.close(), allowed: always },
  },
};

const noOptions = [null, 5, 'x', [], () => {}] as never[];

/** Of more than a page, so that some of it is mapped and some copied. */
const mappedTable: Table<MappedBytes> = {
  name: 'MappedBytes',
  make: () => {
    using source = Aggregate.from('draft', Buffer.alloc(50_000, 'm'));
    return MappedBytes.of(source);
  },
  contents: (m) => [Buffer.from(m.bytes()).toString(), m.byteLength, m.changes(), m.privateBytes > 0],
  rows: {
    ...(resourceRows as never as Record<string, Row<MappedBytes>>),
    byteLength: { use: (m) => m.byteLength, allowed: always },
    bytes: { use: (m) => (m.bytes()[3] = 7) },
    changes: { use: (m) => m.changes() },
    dirtyBytes: { use: (m) => m.dirtyBytes },
    privateBytes: { use: (m) => m.privateBytes },
    snapshot: { use: (m) => drop(m.snapshot()) },
    seal: { use: (m) => drop(m.seal()) },
    'static of': {
      use: () => {
        using source = Aggregate.from('x');
        drop(MappedBytes.of(source));
      },
      allowed: ['released', 'sealed'],
      wrong: [
        ...refusing((_, fake) => MappedBytes.of(fake)),
        [(m) => MappedBytes.of(m as never), type],
        [() => MappedBytes.of(gone()), closed],
        ...noOptions.map((fake): Wrong<MappedBytes> => [() => MappedBytes.of(gone(), fake), type]),
        [() => MappedBytes.of(gone(), { pool: {} as never }), type],
      ],
    },
    'static open': {
      use: async () => drop(await MappedBytes.open(thisFile)),
      allowed: ['released', 'sealed'],
      wrong: [
        ...[undefined, null, true, {}, Symbol('x'), 10n].map(
          (fake): Wrong<MappedBytes> => [() => MappedBytes.open(fake as never), type],
        ),
        ...noOptions.map((fake): Wrong<MappedBytes> => [() => MappedBytes.open(thisFile, fake), type]),
        ...takingNumber((_: MappedBytes, n) => MappedBytes.open(thisFile, { position: n })),
        ...takingNumber((_: MappedBytes, n) => MappedBytes.open(thisFile, { byteLength: n })),
        [() => MappedBytes.open(thisFile, { signal: {} as never }), type],
        [() => MappedBytes.open(thisFile, { pool: {} as never }), type],
        [() => MappedBytes.open(-1), range],
        [() => MappedBytes.open(''), value],
        [() => MappedBytes.open(__dirname), 'ERR_IOL_SYSTEM'],
        [() => MappedBytes.open(0x7fff_ffff), 'ERR_IOL_SYSTEM'],
      ],
    },
  },
};

export const tables = [
  aggregateTable, bufferTable, cursorTable,
  draftTable('DraftBuffer', 16, false), draftTable('DraftBuffer, with bytes()', 16, true),
  draftTable('DraftBuffer, in place', 20_000, true),
  mappedTable, poolTable, windowTable, cacheTable, fileTable, functionTable,
] as unknown as Table<object>[];
