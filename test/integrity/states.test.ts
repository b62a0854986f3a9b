// Every public method in every state: allowed, or blocked with its code and nothing changed.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

import {
  Aggregate, DraftBuffer, FileCache, IolBuffer, iolRead, iolReadSync, iolWrite,
  iolWriteSync, MappedBytes, Pool, stats, Window,
} from 'io-lite';

import { runChild } from '../support/child';
import { checkHolds } from '../support/holds';
import { movesOf } from './moves';
import { tables } from './rows';
import { classNames } from './rows-functions';
import { ownerOf, type Row, type Table } from './rows-kit';

const window: Window = Window.default();
const classes = { Aggregate, IolBuffer, DraftBuffer, MappedBytes, Pool, Window };

/** What is `protected` or `private`. */
const inner = [
  'constructor', 'inspectFields', 'forget', 'forgetSlices', 'writable', 'noteWrite', 'memory',
  'removeNet', 'seek', 'seekFar', 'replaceBy', 'edited', 'validateRange', 'check', 'target', 'done',
  'sealable', 'end', 'wholeView', 'newWholeView',
];
const innerOfObjects = [
  'cannotBeCloned', 'handle', 'kind', 'windowsClosed', 'net', 'known', 'knownLength', 'pool', 'heap',
  'heapBytes', 'inPlace', 'fills', 'isSealed', 'hasWrites', ...Reflect.ownKeys(new EventEmitter()).map(String),
];

/** Every public member of an object and of its class, as the rows name it. */
function membersOf(subject: object): string[] {
  const members = new Set<string>();
  // Node 20 has another name for the symbol that TypeScript's name for is this one.
  const nameOf = (key: string | symbol): string =>
    key === Symbol.dispose ? 'Symbol(Symbol.dispose)'
      : key === Symbol.asyncDispose ? 'Symbol(Symbol.asyncDispose)' : String(key);
  for (const key of Reflect.ownKeys(subject)) {
    if (!innerOfObjects.includes(String(key))) members.add(nameOf(key));
  }
  const last = [Object.prototype, Object.getPrototypeOf(Window.prototype) as object];
  let prototype = Object.getPrototypeOf(subject) as object;
  for (; !last.includes(prototype); prototype = Object.getPrototypeOf(prototype) as object) {
    for (const key of Reflect.ownKeys(prototype)) {
      if (!inner.includes(String(key))) members.add(nameOf(key));
    }
  }
  for (const key of Reflect.ownKeys(subject.constructor)) {
    if (!['length', 'name', 'prototype'].includes(String(key))) members.add(`static ${String(key)}`);
  }
  return [...members].sort();
}

/** Settles whatever `use` gives, so that throwing and rejecting are one. */
async function settled<T>(use: (subject: T) => unknown, subject: T): Promise<unknown> {
  return await use(subject);
}

function isCode(error: unknown, code: string): boolean {
  const { name, code: found } = error as { name: string; code?: string };
  return code === 'TypeError' ? name === 'TypeError' : found === code;
}

async function assertBlocked<T>(use: (subject: T) => unknown, subject: T, code: string): Promise<void> {
  await assert.rejects(settled(use, subject), (error) => {
    assert.ok(isCode(error, code), `${code} was expected: ${String(error)}`);
    return true;
  });
}

function describeRow(table: Table<object>, name: string, row: Row<object>): void {
  const moves = movesOf(table.name, name);
  it(`${name}: allowed while it is open, and moves ${moves.length === 0 ? 'no byte' : moves.join(', ')}`, async () => {
    const subject = await table.make();
    assert.deepEqual(await reasonsDuring(() => settled(row.use, subject)), moves);
    ownerOf(subject)[Symbol.dispose]();
  });
  if (row.wrong !== undefined && row.wrong.length > 0) {
    it(`${name}: each of ${row.wrong.length} wrong arguments is refused, and nothing is changed`, async () => {
      const subject = await table.make();
      try {
        const before = table.contents(subject);
        for (const [use, code] of row.wrong!) {
          await assertBlocked(use, subject, code);
          assert.deepEqual(table.contents(subject), before);
        }
      } finally {
        ownerOf(subject)[Symbol.dispose]();
      }
    });
  }
  if (table.name === 'Window') return; // Its end is played in a worker, see below.
  const isAllowed = row.allowed?.includes('released') === true;
  it(`${name}: ${isAllowed ? 'allowed' : 'blocked with ERR_IOL_CLOSED'} after its release`, async () => {
    const subject = await table.make();
    ownerOf(subject)[Symbol.dispose]();
    if (isAllowed) await settled(row.use, subject);
    else await assertBlocked(row.use, subject, 'ERR_IOL_CLOSED');
  });
}

/** Why payload was moved while `use` ran: the reasons for which anything was. */
async function reasonsDuring(use: () => unknown): Promise<string[]> {
  const before = stats().copies;
  await use();
  return Object.entries(stats().copies)
    .filter(([reason, { bytes }]) => bytes > before[reason]!.bytes)
    .map(([reason]) => reason);
}

describe('states', () => {
  // Its extents go before the holds are looked at.
  afterEach(() => FileCache.default().close());
  checkHolds();

  for (const table of tables) {
    describe(table.name, () => {
      it('has a row for every public member', async () => {
        const subject = await table.make();
        assert.deepEqual(table.members?.() ?? membersOf(subject), Object.keys(table.rows).sort());
        ownerOf(subject)[Symbol.dispose]();
      });
      for (const [name, row] of Object.entries(table.rows)) describeRow(table, name, row);
      if (table.name === 'Window') return;
      it('may be released any number of times', async () => {
        const subject = await table.make();
        for (let i = 0; i < 3; i++) ownerOf(subject)[Symbol.dispose]();
      });
      if (table.name === 'Cursor') return;
      it('is refused by structuredClone and postMessage', async () => {
        const subject = await table.make();
        assert.throws(() => structuredClone(subject), { name: 'DataCloneError' });
        ownerOf(subject)[Symbol.dispose]();
      });
    });
  }

  it('every class of the package has a table, here or in test/channels/states.test.ts', () => {
    const named = new Set([...tables.map(({ name }) => name.split(',')[0]), 'Channel', 'Message', 'IolError']);
    assert.deepEqual(classNames.filter((name) => !named.has(name)), []);
  });

  for (const table of tables.filter(({ rows }) => rows['seal'] !== undefined)) {
    it(`${table.name}: sealed once, and then nothing more`, async () => {
      for (const row of Object.values(table.rows)) {
        const draft = (await table.make()) as DraftBuffer | MappedBytes;
        using buffer = draft.seal();
        if (row.allowed?.includes('sealed')) await settled(row.use, draft);
        else await assertBlocked(row.use, draft, 'ERR_IOL_SEALED');
        draft.dispose();
        assert.equal(buffer.byteLength, draft.byteLength, 'that is nothing to the buffer');
        assert.ok(buffer.startsWith('draft'));
      }
    });
  }

  it('no other thing of the window can be made with new', () => {
    for (const [name, made] of Object.entries(classes)) {
      const make = made as unknown as new (...given: unknown[]) => unknown;
      for (const given of [[], [1, 2, true], [Symbol('makers'), 1, 2, 3]]) {
        assert.throws(() => new make(...given), {
          name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR',
        }, name);
      }
    }
  });

  it('the table holds in a worker, and with the window closed there', async function () {
    this.timeout(120_000);
    const worker = new Worker(path.join(__dirname, 'rows-worker.cjs'));
    const failures = await new Promise<string[]>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    assert.deepEqual(failures, []);
  });
});

describe('foreign and odd arguments', () => {
  checkHolds();
  // What looks like a resource, is none: nothing of it is taken for a handle.
  const fakes: unknown[] = [
    undefined, null, 5, true, {}, [5], Symbol('x'), () => {}, new Uint16Array(2), new ArrayBuffer(2),
    { handle: 1, byteLength: 3 }, Object.create(Aggregate.prototype), new Proxy({}, {}), 10n,
  ];
  const typeError = { name: 'TypeError' };

  it('are refused by every method that takes bytes, and the receiver is unchanged', async () => {
    using receiver = Aggregate.from('same');
    using draft = window.defaultPool.allocate(4);
    for (const fake of fakes as never[]) {
      assert.throws(() => Aggregate.from(fake), typeError);
      assert.throws(() => receiver.append(fake), typeError);
      assert.throws(() => draft.write(fake), typeError);
      assert.throws(() => iolWriteSync(1, fake), typeError);
      await assert.rejects(iolWrite(1, fake), typeError);
    }
    assert.equal(receiver.toString(), 'same');
  });

  it('are refused as options', () => {
    for (const fake of [null, 5, 'x', [], () => {}] as never[]) {
      assert.throws(() => window.createPool(fake), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => new FileCache(fake), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    assert.throws(() => new FileCache({ pool: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => window.createPool({ sealed: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => window.createPool({ name: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('are refused as descriptors', async () => {
    for (const fake of [undefined, null, {}, 'x', { fd: 'x' }, Symbol('x'), 10n] as never[]) {
      await assert.rejects(iolRead(fake, 1), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => iolReadSync(fake, 1), { code: 'ERR_INVALID_ARG_TYPE' });
      await assert.rejects(iolWrite(fake, 'x'), { code: 'ERR_INVALID_ARG_TYPE' });
      assert.throws(() => iolWriteSync(fake, 'x'), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const fd of [-1, 0.5, NaN, 2 ** 31]) {
      await assert.rejects(iolRead(fd, 1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
  });

  it('are refused as sizes and positions', async () => {
    for (const size of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
      assert.throws(() => window.defaultPool.allocate(size), range);
      await assert.rejects(iolRead(0, size), range);
      await assert.rejects(iolRead(0, 1, { position: size }), range);
      assert.throws(() => window.createPool({ maxBytes: size }), range);
      assert.throws(() => new FileCache({ maxBytes: size }), range);
    }
    assert.throws(() => window.defaultPool.allocate('5' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(iolRead(0, 1, { signal: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('are refused as paths', async () => {
    using cache = new FileCache();
    for (const path of [undefined, 5, Buffer.from('x')] as never[]) {
      assert.throws(() => cache.tryOpen(path), { code: 'ERR_INVALID_ARG_TYPE' });
      await assert.rejects(cache.open(path), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    for (const path of ['', 'a\0b']) {
      assert.throws(() => cache.tryOpen(path), { code: 'ERR_INVALID_ARG_VALUE' });
    }
  });

  it('a detached array counts as empty, and a bad encoding is refused', () => {
    const array = new Uint8Array(10);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    using empty = Aggregate.from(array);
    assert.equal(empty.byteLength, 0);
    assert.throws(() => empty.toString('klingon' as never), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  it('methods taken off their object do not touch another one\'s memory', () => {
    const slice = (fake: unknown): Aggregate => Aggregate.prototype.slice.call(fake as never, 0, 1);
    for (const fake of fakes) assert.throws(() => slice(fake), typeError);
  });
});

describe('in a worker', () => {
  it('every class works on its own, and shares nothing by accident', async () => {
    const result = await runChild(`
      const { Worker, isMainThread } = require('node:worker_threads');
      const work = async () => {
        const { Aggregate, Window, FileCache, iolReadSync, iolWriteSync, stats } = require('io-lite');
        const pool = Window.default().createPool();
        const draft = pool.allocate(20000);
        new Uint8Array(draft.bytes()).fill(isMainThread ? 1 : 2);
        const buffer = draft.seal();
        const file = await FileCache.default().open('package.json');
        const bytes = await file.read();
        const whole = Aggregate.from('x', buffer, bytes);
        const right = whole.byteLength === 20001 + file.byteLength
          && buffer.view().every((byte) => byte === (isMainThread ? 1 : 2));
        for (const owned of [buffer, bytes, whole, pool]) owned.dispose();
        FileCache.default().close();
        console.log(right, stats().liveHolds);
      };
      (async () => {
        await work();
        for (let i = 0; i < 2; i++) {
          const worker = new Worker('(' + (async (source) => {
            const isMainThread = false;
            await eval(source)();
          }) + ')(' + JSON.stringify('(' + work + ')') + ')', { eval: true });
          await new Promise((resolve) => worker.on('exit', resolve));
        }
      })();
    `);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.stdout, 'true 0\ntrue 0\ntrue 0\n');
  });
});

describe('the figures', () => {
  it('know nothing that is still held by these tests', () => {
    assert.equal(stats().drafts, 0);
  });
});
