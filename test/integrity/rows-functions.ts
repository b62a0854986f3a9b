// The state matrix: the functions of `io-lite`, with an aggregate that they may be given.
import { closeSync, openSync } from 'node:fs';
import { PassThrough } from 'node:stream';

import * as library from 'io-lite';
import {
  Aggregate, crc32c, internetChecksum, IolError, iolRead, iolReadSync, iolWrite, iolWriteSync, isIolError,
  setLeakDetection, sha256, stats, toReadable, toReadableStream, unsafeUint8Array, Window,
} from 'io-lite';

import {
  always, closed, drop, fakes, gone, range, refusing, takingNumber, type, value, type Row, type Table, type Wrong,
} from './rows-kit';

const isClass = (made: unknown): boolean =>
  typeof made === 'function' && Object.getOwnPropertyDescriptor(made, 'prototype')?.writable === false;

const namesOf = (wanted: (made: unknown) => boolean): string[] =>
  Object.entries(library).filter(([, made]) => wanted(made)).map(([name]) => name);

/** The classes of the package, by the name of their export. */
export const classNames = namesOf(isClass);

/** Calls `use` with a descriptor that is closed when its answer has settled. */
async function withFile<T>(path: string, flags: string, use: (fd: number) => T): Promise<Awaited<T>> {
  const fd = openSync(path, flags);
  try {
    return await use(fd);
  } finally {
    closeSync(fd);
  }
}

const here = <T>(use: (fd: number) => T): Promise<Awaited<T>> => withFile(__filename, 'r', use);
const nowhere = <T>(use: (fd: number) => T): Promise<Awaited<T>> => withFile('/dev/null', 'w', use);
const noOptions = [null, 5, 'x', []] as never[];

type Read = (fd: never, size: never, options?: never) => unknown;
type Write = (fd: never, bytes: never, options?: never) => unknown;

/** What is none of the descriptors, streams and channels. */
const noEnds: unknown[] = [undefined, null, true, {}, 'x', Symbol('x'), 10n, { fd: 'x' }];

function wrongEnds(call: (end: never) => unknown): Wrong<Aggregate>[] {
  return [
    ...noEnds.map((fake): Wrong<Aggregate> => [() => call(fake as never), type]),
    ...[-1, 0.5, NaN, 2 ** 31].map((fd): Wrong<Aggregate> => [() => call(fd as never), range]),
    [() => call(0x7fff_ffff as never), 'ERR_IOL_SYSTEM'],
  ];
}

function readRow(read: Read): Row<Aggregate> {
  const readHere = (size: number, options: object = {}): Promise<unknown> =>
    here((fd) => read(fd as never, size as never, options as never));
  return {
    use: async () => drop((await readHere(1, { position: 0 })) as Aggregate),
    allowed: ['released'],
    wrong: [
      ...wrongEnds((end) => read(end, 1 as never)),
      ...takingNumber((_: Aggregate, n) => readHere(n)),
      ...noOptions.map((fake): Wrong<Aggregate> => [() => readHere(1, fake), type]),
      ...[-1, 0.5, NaN, 2 ** 53].map((position): Wrong<Aggregate> => [() => readHere(1, { position }), range]),
      [() => readHere(1, { position: '0' }), type],
      [() => readHere(1, { pool: {} }), type],
      [() => readHere(1, { upgrade: 1 }), type],
      [() => nowhere((fd) => read(fd as never, 1 as never)), 'ERR_IOL_SYSTEM'],
      [() => withFile(__dirname, 'r', (fd) => read(fd as never, 1 as never)), 'ERR_IOL_SYSTEM'],
    ],
  };
}

function writeRow(write: Write): Row<Aggregate> {
  const writeThere = (bytes: unknown, options: object = {}): Promise<unknown> =>
    nowhere((fd) => write(fd as never, bytes as never, options as never));
  return {
    use: (a) => writeThere(a),
    wrong: [
      ...wrongEnds((end) => write(end, 'x' as never)),
      ...refusing((_: Aggregate, fake) => writeThere(fake)),
      [() => writeThere(gone()), closed],
      ...noOptions.map((fake): Wrong<Aggregate> => [() => writeThere('x', fake), type]),
      ...[-1, 0.5, NaN, 2 ** 53].map((position): Wrong<Aggregate> => [() => writeThere('x', { position }), range]),
      [() => writeThere('x', { position: 0 }), 'ERR_IOL_SYSTEM'],
      [() => writeThere('x', { fsync: 'all' }), value],
      [() => writeThere('x', { upgrade: 1 }), type],
      [() => here((fd) => write(fd as never, 'x' as never)), 'ERR_IOL_SYSTEM'],
    ],
  };
}

const aborted = { signal: AbortSignal.abort() };
const noSignals = [{}, 5, 'x', null].map((signal) => ({ signal }));

/** Of the promised forms: streams are ends, too, and any wait can be given up. */
const promised = (call: (end: never, options: never) => unknown): Wrong<Aggregate>[] => [
  ...noSignals.map((fake): Wrong<Aggregate> => [() => here((fd) => call(fd as never, fake as never)), type]),
  [() => here((fd) => call(fd as never, aborted as never)), 'ERR_IOL_ABORTED'],
  [() => call(new PassThrough() as never, aborted as never), 'ERR_IOL_ABORTED'],
  [() => call(new PassThrough() as never, { position: 0 } as never), value],
];

const refusesStreams = (call: (end: never) => unknown): Wrong<Aggregate>[] =>
  [[() => call(new PassThrough() as never), 'ERR_IOL_UNSUPPORTED']];

function summing(sum: (bytes: never) => unknown): Row<Aggregate> {
  return {
    use: (a) => sum(a as never),
    wrong: [...refusing((_: Aggregate, fake) => sum(fake)), [() => sum(gone() as never), closed]],
  };
}

const read = readRow(iolRead);
const readSync = readRow(iolReadSync);
const write = writeRow(iolWrite);
const writeSync = writeRow(iolWriteSync);

export const functionTable: Table<Aggregate> = {
  name: 'functions',
  make: () => Aggregate.from('given'),
  contents: (a) => [a.toString(), a.sliceCount],
  members: () => namesOf((made) => typeof made === 'function' && !isClass(made)).sort(),
  rows: {
    iolRead: { ...read, wrong: [...read.wrong!, ...promised((end, options) => iolRead(end, 1, options))] },
    iolReadSync: { ...readSync, wrong: [...readSync.wrong!, ...refusesStreams((end) => iolReadSync(end, 1))] },
    iolWrite: { ...write, wrong: [...write.wrong!, ...promised((end, options) => iolWrite(end, 'x', options))] },
    iolWriteSync: { ...writeSync, wrong: [...writeSync.wrong!, ...refusesStreams((end) => iolWriteSync(end, 'x'))] },
    crc32c: summing(crc32c),
    internetChecksum: summing(internetChecksum),
    sha256: summing(sha256),
    toReadable: {
      use: async (a) => {
        for await (const chunk of toReadable(a)) void chunk;
      },
      wrong: [...refusing((_: Aggregate, fake) => toReadable(fake)), [() => toReadable(gone()), closed]],
    },
    toReadableStream: {
      use: (a) => toReadableStream(a).cancel(),
      wrong: [...refusing((_: Aggregate, fake) => toReadableStream(fake)), [() => toReadableStream(gone()), closed]],
    },
    unsafeUint8Array: { use: (a) => unsafeUint8Array(a.view()) },
    isIolError: {
      use: () => [isIolError(new IolError('ERR_IOL_CLOSED', 'x')), ...fakes.map((fake) => isIolError(fake))],
      allowed: always,
    },
    stats: { use: () => [stats(), Window.default()], allowed: always },
    setLeakDetection: {
      use: () => setLeakDetection('simple'),
      allowed: always,
      wrong: [
        [() => setLeakDetection('loud' as never), value],
        [() => setLeakDetection(5 as never), value],
      ],
    },
  },
};
