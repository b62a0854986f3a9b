import assert from 'node:assert/strict';

import { Aggregate, stats, Window, type IolBuffer } from 'io-lite';

import { runChild } from '../support/child';
import { checkHolds } from '../support/holds';

describe('Pool', () => {
  checkHolds();

  it('counts what is in use, and gives it back', () => {
    using pool = Window.default().createPool({ name: 'counted', maxBytes: 8 << 20 });
    assert.equal(pool.stats().name, 'counted');
    const buffers = Array.from({ length: 10 }, () => pool.allocate(1000).seal());
    const draft = pool.allocate(1000);
    const full = pool.stats();
    assert.equal(full.buffers, 11);
    assert.equal(full.drafts, 1);
    assert.equal(full.requestedTotal, 11_000);
    assert.ok(full.bytesInUse >= 11_000 && full.bytesInUse <= 11_000 * 1.25);
    assert.ok(full.bytesInUse + full.bytesFree <= full.bytesCommitted);
    draft.dispose();
    for (const buffer of buffers) buffer.dispose();
    const empty = pool.stats();
    assert.equal(empty.buffers, 0);
    assert.equal(empty.bytesInUse, 0);
    assert.ok(stats().pools.some(({ name }) => name === 'counted'));
  });

  it('is full with a typed error that names the limit, and recovers', () => {
    using pool = Window.default().createPool({ name: 'small', maxBytes: 4 << 20 });
    const buffers: IolBuffer[] = [];
    assert.throws(
      () => {
        for (;;) buffers.push(pool.allocate(100_000).seal());
      },
      { name: 'IolError', code: 'ERR_IOL_POOL_FULL', message: /asked 100000, limit 4194304/ },
    );
    assert.ok(buffers.length >= 30, `${buffers.length} of at most 41 fitted`);
    const { bytesInUse } = pool.stats();
    assert.throws(() => pool.allocate(5 << 20), {
      code: 'ERR_IOL_POOL_FULL', message: /asked 5242880, limit 4194304/,
    });
    assert.equal(pool.stats().bytesInUse, bytesInUse, 'a refusal takes nothing');
    buffers.pop()!.dispose();
    pool.allocate(100_000).seal().dispose();
    for (const buffer of buffers) buffer.dispose();
    assert.equal(pool.stats().bytesInUse, 0);
  });

  it('gives free memory back to the system when it is trimmed', () => {
    using pool = Window.default().createPool({ name: 'trimmed' });
    const before = Window.default().stats().bytesCommitted;
    const big = pool.allocate(8 << 20).seal();
    assert.ok(Window.default().stats().bytesCommitted >= before + (8 << 20));
    big.dispose();
    pool.trim();
    assert.equal(pool.stats().bytesCommitted, 0);
  });

  it('may be closed before its buffers', () => {
    const pool = Window.default().createPool({ name: 'closed early' });
    const draft = pool.allocate(20_000);
    const buffer = pool.allocate(5).seal();
    pool.dispose();
    new Uint8Array(draft.bytes()).fill(7);
    const sealed = draft.seal();
    assert.equal(sealed.view()[19_999], 7);
    assert.throws(() => pool.allocate(1), { code: 'ERR_IOL_CLOSED' });
    sealed.dispose();
    buffer.dispose();
    assert.ok(stats().pools.every(({ name }) => name !== 'closed early'));
  });

  it('refuses what is larger than a buffer can be', () => {
    assert.throws(() => Window.default().defaultPool.allocate(2 ** 33), {
      code: 'ERR_IOL_TOO_LARGE', message: /8589934592/,
    });
  });

  it('the default pool is not closed by dispose()', () => {
    const { defaultPool } = Window.default();
    defaultPool.dispose();
    defaultPool.allocate(1).dispose();
  });

  it('sealed pools work the same', () => {
    using pool = Window.default().createPool({ name: 'sealed', sealed: true });
    const draft = pool.allocate(3);
    draft.write('abc');
    using buffer = draft.seal();
    using slice = buffer.slice();
    assert.equal(slice.toString(), 'abc');
  });
});

describe('Window', () => {
  it('has one id in all threads', async () => {
    const result = await runChild(`
      const { Worker } = require('node:worker_threads');
      const { Window } = require('io-lite');
      const worker = new Worker("require('node:worker_threads').parentPort.postMessage(" +
        "require('io-lite').Window.default().id)", { eval: true });
      worker.on('message', (id) => console.log(id === Window.default().id, /^[0-9a-f]{16}$/.test(id)));
    `);
    assert.equal(result.stdout, 'true true\n', result.stderr);
  });

  it('keeps its limit, with a typed error before the system is asked', async () => {
    const result = await runChild(`
      const { Window } = require('io-lite');
      (async () => {
        const home = await Window.create({ maxBytes: 16 << 20 });
        const buffers = [];
        try {
          for (;;) buffers.push(home.defaultPool.allocate(1 << 20).seal());
        } catch (error) {
          console.log(error.code, buffers.length >= 10 && buffers.length <= 16);
        }
        console.log(home.stats().bytesCommitted <= 16 << 20);
        buffers.pop().dispose();
        home.defaultPool.allocate(1 << 20).seal();
      })();
    `);
    assert.match(result.stdout, /^ERR_IOL_(WINDOW|POOL)_FULL true\ntrue\n$/, result.stderr);
    assert.equal(result.code, 0, result.stderr);
  });

  it('is busy for a second create(), and for another limit later', async () => {
    const result = await runChild(`
      const { Window } = require('io-lite');
      (async () => {
        const home = await Window.create();
        home.defaultPool.allocate(1).dispose();
        await Window.create().catch((error) => console.log(error.code));
        home.close();
        await Window.create({ maxBytes: 12345678 }).catch((error) => console.log(error.code));
        console.log((await Window.create()).isClosed);
      })();
    `);
    assert.equal(result.stdout, 'ERR_IOL_BUSY\nERR_IOL_BUSY\nfalse\n', result.stderr);
  });

  it('closing it releases everything that the thread has, and it can be opened anew', async () => {
    const result = await runChild(`
      const { Aggregate, Window, stats, FileCache } = require('io-lite');
      (async () => {
        const first = Window.default();
        const pool = first.createPool();
        const draft = pool.allocate(50000);
        const bytes = draft.bytes();
        const buffer = pool.allocate(100).seal();
        const view = buffer.view();
        const aggregate = Aggregate.from('x', buffer);
        const file = await FileCache.default().open('package.json');
        (await file.read()).dispose();
        first.close();
        first.close();
        console.log(bytes.byteLength, view.byteLength);
        const codes = [];
        for (const use of [
          () => draft.write('x'), () => draft.seal(), () => buffer.view(), () => aggregate.toString(),
          () => pool.allocate(1), () => first.createPool(), () => first.stats(),
          () => Aggregate.from('x'), () => file.tryRead(), () => file.isFresh,
        ]) {
          try { use(); codes.push('no error'); } catch (error) { codes.push(error.code); }
        }
        console.log(...new Set(codes));
        draft.dispose(); buffer.dispose(); aggregate.dispose(); pool.dispose(); file.close();
        const second = Window.default();
        console.log(second !== first, stats().liveHolds, Aggregate.from('again').toString());
        const again = await FileCache.default().open('package.json');
        console.log((await again.read()).byteLength === again.byteLength);
      })();
    `);
    assert.equal(result.stdout, '0 0\nERR_IOL_CLOSED\ntrue 0 again\ntrue\n', result.stderr);
    assert.equal(result.code, 0);
  });

  it('of a worker that ends in any way leaves nothing committed', async () => {
    const result = await runChild(`
      const { Worker } = require('node:worker_threads');
      const { Window, stats } = require('io-lite');
      const source = (end) => \`
        const { Aggregate, Window, FileCache } = require('io-lite');
        const pool = Window.default().createPool();
        globalThis.kept = [pool.allocate(3 << 20), pool.allocate(1 << 20).seal(), Aggregate.from('x')];
        kept[0].bytes(); kept[1].view();
        FileCache.default().open('package.json').then((file) => file.read()).then(() => {
          \${end}
        });\`;
      (async () => {
        const before = stats().windowBytes;
        for (const end of ['', 'process.exit(0)', 'throw new Error("end")',
          'require("node:worker_threads").parentPort.postMessage("end me"); setInterval(() => {}, 1e3)']) {
          const worker = new Worker(source(end), { eval: true });
          worker.on('error', () => {});
          worker.on('message', () => worker.terminate());
          await new Promise((resolve) => worker.on('exit', resolve));
        }
        console.log(stats().windowBytes - before);
      })();
    `);
    assert.equal(result.code, 0, `${result.signal} ${result.stderr}`);
    assert.equal(result.stdout, '0\n', result.stderr);
  });
});
