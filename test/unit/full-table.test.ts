// A thread has 4 Mi handles. What finds none of them left has done nothing.
import assert from 'node:assert/strict';

import { runChild } from '../support/child';

describe('when no handle is left', () => {
  it('every operation that needs one answers ERR_IOL_NO_MEMORY, and nothing is lost', async function () {
    this.timeout(120_000);
    const result = await runChild(`
      const assert = require('node:assert/strict');
      const fs = require('node:fs');
      const { Aggregate, MappedBytes, Window, iolRead, iolReadSync, iolWriteSync, stats } = require('io-lite');
      const { native } = require('./dist/native.js');
      const pool = Window.default().defaultPool;
      const full = { code: 'ERR_IOL_NO_MEMORY', message: /4194304/ };
      const drafts = [100, 100, 20000].map((byteLength) => pool.allocate(byteLength));
      drafts[0].write('written');
      new Uint8Array(drafts[1].bytes()).fill(1);
      new Uint8Array(drafts[2].bytes()).fill(2);
      const bytes = Aggregate.from('front', 'back');
      const map = MappedBytes.of(bytes);
      map.bytes()[0] = 70;
      const fifo = fs.mkdtempSync(require('node:os').tmpdir() + '/iol-full-') + '/file';
      fs.writeFileSync(fifo, 'in the file');
      const file = fs.openSync(fifo);
      const { execSync } = require('node:child_process');
      execSync('mkfifo ' + fifo + '.pipe');
      const pipe = fs.openSync(fifo + '.pipe', 'r+');
      iolWriteSync(pipe, 'in the pipe');
      const taken = [];
      while (stats().aggregates < 4194304) {
        for (let i = stats().aggregates; i < 4194304; i++) taken.push(native.aggregateEmpty());
      }
      const { liveHolds } = stats();
      (async () => {
        for (let round = 0; round < 2; round++) {
          for (const draft of drafts) assert.throws(() => draft.seal(), full);
          for (const draft of drafts) assert.throws(() => draft.sealCopy(), full);
          assert.throws(() => bytes.split(5), full);
          assert.throws(() => bytes.slice(5), full);
          assert.throws(() => bytes.clone(), full);
          assert.throws(() => bytes.prepend('x', 'y'), full);
          assert.throws(() => Aggregate.from('x'), full);
          assert.throws(() => map.seal(), full);
          assert.throws(() => iolReadSync(pipe, 100), full);
          assert.throws(() => iolReadSync(file, 100), full);
          await assert.rejects(iolRead(pipe, 100), full);
          await assert.rejects(iolRead(file, 100), full);
        }
        assert.equal(stats().liveHolds, liveHolds, 'nothing leaked');
        for (const handle of taken.splice(0)) native.aggregateDispose(handle);
        const [written, heap, inPlace] = drafts.map((draft) => draft.seal());
        assert.ok(written.startsWith('written'));
        assert.deepEqual(heap.toBuffer(), Buffer.alloc(100, 1));
        assert.deepEqual(inPlace.toBuffer(), Buffer.alloc(20000, 2));
        assert.equal(bytes.toString(), 'frontback');
        assert.equal(map.seal().toString(), 'Frontback');
        assert.equal(iolReadSync(pipe, 100).toString(), 'in the pipe');
        assert.equal(iolReadSync(file, 100).toString(), 'in the file');
        console.log('done');
      })();
    `, { env: { IOL_LEAKS: 'off' }, watchdogMs: 110_000 });
    assert.equal(result.stdout, 'done\n', result.stderr);
  });
});
