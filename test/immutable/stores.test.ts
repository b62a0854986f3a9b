// I2: a store into sealed bytes changes nothing that the library reads or sends, kills nobody, is
// undone, and is told.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Aggregate, iolWriteSync, stats, Window, type ImmutableEvent, type IolBuffer } from 'io-lite';

const length = 3 * 4096;

function sealedBuffer(): IolBuffer {
  const draft = Window.default().defaultPool.allocate(length);
  draft.write(Buffer.alloc(length, 'a'));
  return draft.seal();
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Resolves with the events of the turns that `store` and its report take. */
async function eventsOf(store: () => void): Promise<ImmutableEvent[]> {
  const events: ImmutableEvent[] = [];
  const note = (event: ImmutableEvent): number => events.push(event);
  Window.default().on('immutable', note);
  store();
  for (let i = 0; i < 10 && events.length === 0; i++) await turn();
  Window.default().off('immutable', note);
  return events;
}

// `store` writes 'X' at 5 of the view, which has 'a' everywhere.
const stores: Record<string, (view: Uint8Array) => void> = {
  'an index': (view) => {
    view[5] = 88;
  },
  'an index of a Buffer': (view) => {
    Buffer.from(view.buffer, view.byteOffset, view.byteLength)[5] = 88;
  },
  'fill()': (view) => {
    view.fill(88, 5, 6);
  },
  'set()': (view) => {
    view.set([88], 5);
  },
  'copyWithin()': (view) => {
    view.subarray(4, 5).fill(88);
    view.copyWithin(5, 4, 5);
  },
  'reverse() and sort()': (view) => {
    view.set([88], 0);
    view.subarray(0, 11).reverse();
    view.subarray(0, 11).sort();
  },
  'being a target of Buffer.copy()': (view) => {
    Buffer.from('X').copy(view, 5);
  },
  'Buffer.write()': (view) => {
    Buffer.from(view.buffer, view.byteOffset, view.byteLength).write('X', 5, 'latin1');
  },
  'TextEncoder.encodeInto()': (view) => {
    new TextEncoder().encodeInto('X', view.subarray(5));
  },
  'a DataView': (view) => {
    new DataView(view.buffer, view.byteOffset).setFloat64(5, -3.5);
  },
  'a wider array over the same memory': (view) => {
    const aligned = (view.byteOffset + 5 + 7) & ~7;
    new BigUint64Array(view.buffer, aligned, 1)[0] = 88n;
  },
  'Atomics.store()': (view) => {
    Atomics.store(view, 5, 88);
  },
  'Atomics.compareExchange()': (view) => {
    Atomics.compareExchange(view, 5, 97, 88);
  },
  'crypto.randomFillSync()': (view) => {
    randomFillSync(view, 0, 100);
  },
  'being a target of copyTo()': (view) => {
    using other = Aggregate.from('X');
    other.copyTo(view, 5);
  },
  'a store across a page border': (view) => {
    const border = 4096 - (view.byteOffset % 4096);
    new DataView(view.buffer, view.byteOffset).setBigUint64(border - 4, 0xffff_ffff_ffffn);
  },
  'an optimised loop': (view) => {
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < view.length; i++) view[i] = round & 255;
    }
  },
};

describe('a store into sealed bytes', () => {
  // Thousands of warnings would hide what the tests say; processes.test.ts looks at them.
  const printers = process.listeners('warning');
  before(() => void process.removeAllListeners('warning'));
  after(() => printers.forEach((printer) => process.on('warning', printer)));

  for (const [name, store] of Object.entries(stores)) {
    it(`by ${name} changes nothing that the library reads, and is undone and told`, async () => {
      using buffer = sealedBuffer();
      const view = buffer.view() as Uint8Array;
      const before = stats().storesHealed;
      const events = await eventsOf(() => store(view));
      using slice = buffer.slice();
      assert.ok(slice.toString('latin1') === 'a'.repeat(length), 'the library reads what was sealed');
      assert.ok(view.every((byte) => byte === 97), 'the view shows it again');
      assert.ok(stats().storesHealed > before);
      const [event] = events;
      assert.ok(event !== undefined, 'it was told');
      assert.equal(event.code, 'ERR_IOL_IMMUTABLE');
      assert.equal(event.generation, buffer.generation);
      assert.ok(event.address >= buffer.address && event.address < buffer.address + length);
    });
  }

  it('through unsafeView() is undone, too', async () => {
    using buffer = sealedBuffer();
    const view = buffer.unsafeView() as Uint8Array;
    const [event] = await eventsOf(() => view.fill(0, 7, 9));
    assert.equal(event?.address, buffer.address + 7);
    assert.equal(event?.generation, buffer.generation);
    assert.equal(view[7], 97);
  });

  it('is undone again each time', async () => {
    using buffer = sealedBuffer();
    const view = buffer.view() as Uint8Array;
    for (let i = 0; i < 50; i++) {
      const events = await eventsOf(() => view.fill(i));
      assert.ok(events.length >= 3, 'each page that was stored to');
      assert.ok(view.every((byte) => byte === 97));
    }
  });

  it('at an odd place names the buffer that was hit, not its neighbours', async () => {
    const pool = Window.default().createPool({ name: 'neighbours' });
    const buffers = [5000, 5000, 5000, 300, 300].map((bytes) => pool.allocate(bytes).seal());
    for (const buffer of buffers) {
      // Raises the generation of that slot alone.
      const at = buffers.indexOf(buffer);
      buffer.dispose();
      buffers[at] = pool.allocate(buffer.byteLength).seal();
    }
    for (const buffer of buffers) {
      const [event] = await eventsOf(() => {
        (buffer.view() as Uint8Array)[buffer.byteLength - 1] = 1;
      });
      assert.equal(event?.address, buffer.address + buffer.byteLength - 1);
      assert.equal(event?.generation, buffer.generation);
    }
    for (const buffer of buffers) buffer.dispose();
    pool.dispose();
  });

  it('followed at once by iolWrite: the sealed bytes are written', () => {
    // A FIFO: of what is written to a file the cache would keep holds.
    const folder = mkdtempSync(path.join(tmpdir(), 'iol-immutable-'));
    const fifo = path.join(folder, 'out');
    execFileSync('mkfifo', [fifo]);
    try {
      using buffer = sealedBuffer();
      const view = buffer.view() as Uint8Array;
      const fd = openSync(fifo, 'r+');
      view.fill(88);
      assert.equal(view[0], 88, 'the store was let finish');
      assert.equal(iolWriteSync(fd, buffer), length);
      assert.equal(view[0], 97, 'every library call heals first');
      const read = Buffer.alloc(length);
      readSync(fd, read);
      closeSync(fd);
      assert.ok(read.toString('latin1') === 'a'.repeat(length));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('reaches no aggregate that shares the bytes, and no copy made of the view meanwhile', async () => {
    using buffer = sealedBuffer();
    using shared = Aggregate.from('start ', buffer);
    const view = buffer.view() as Uint8Array;
    view.fill(88);
    using copied = Aggregate.from(view);
    assert.ok(copied.toString('latin1') === 'a'.repeat(length), 'healed before it was read');
    assert.ok(shared.toString('latin1') === `start ${'a'.repeat(length)}`);
    await turn();
  });
});
