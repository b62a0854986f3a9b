// ArrayBuffer.prototype.transfer() moves memory to a buffer that the library has never seen.
import assert from 'node:assert/strict';

import { runChild } from '../support/child';

// On by default since Node 21.
const flags = 'transfer' in ArrayBuffer.prototype ? [] : ['--harmony-rab-gsab-transfer'];

async function outputOf(program: string): Promise<string> {
  const { stdout, stderr, code } = await runChild(program, {
    nodeOptions: ['--expose-gc', ...flags],
  });
  assert.equal(code, 0, stderr);
  return stdout;
}

describe('memory that was transferred', () => {
  it('is not sealed, and not used again while it can be written', async () => {
    assert.match(await outputOf(`
      const { Window } = require('io-lite');
      const pool = Window.default().defaultPool;
      const draft = pool.allocate(100_000);
      let moved = draft.bytes().transfer();
      let code;
      try { draft.seal(); } catch (error) { code = error.code; }
      draft.dispose();
      const inUse = pool.stats().bytesInUse;
      const held = [];
      for (let i = 0; i < 20; i++) {
        const other = pool.allocate(100_000);
        other.write(Buffer.alloc(100_000, 1));
        held.push(other.seal());
      }
      new Uint8Array(moved).fill(2);
      const intact = held.every((buffer) => buffer.slice().toBuffer().every((byte) => byte === 1));
      for (const buffer of held) buffer.dispose();
      moved = undefined;
      const turn = () => new Promise(setImmediate);
      (async () => {
        // Until the collector has had the transferred buffer; the test's watchdog bounds it.
        while (pool.stats().bytesInUse > 0) { gc(); await turn(); }
        console.log(code, inUse > 0, intact);
      })();
    `), /^ERR_IOL_BUSY true true\n$/);
  });

  it('that a forgotten draft had is not used again while it can be written', async () => {
    assert.match(await outputOf(`
      const { Window, setLeakDetection } = require('io-lite');
      setLeakDetection('off');
      const pool = Window.default().defaultPool;
      let moved = (() => pool.allocate(100_000).bytes().transfer())();
      const turn = () => new Promise(setImmediate);
      (async () => {
        while (pool.stats().drafts > 0 && pool.stats().bytesInUse === 0) await turn();
        for (let i = 0; i < 50; i++) { gc(); await turn(); }
        const other = pool.allocate(100_000);
        other.write(Buffer.alloc(100_000, 1));
        const sealed = other.seal();
        new Uint8Array(moved).fill(2);
        console.log(sealed.slice().toBuffer().every((byte) => byte === 1));
      })();
    `), /^true\n$/);
  });

  it('of a view reads as zeros when its segment has gone, and new views are right', async () => {
    assert.match(await outputOf(`
      const { Aggregate, Window } = require('io-lite');
      const pool = Window.default().createPool({ name: 'brief' });
      const draft = pool.allocate(40 << 20);
      draft.write('seen');
      const buffer = draft.seal();
      const moved = buffer.view().buffer.transfer();
      const again = Buffer.from(buffer.view().subarray(0, 4)).toString();
      buffer.dispose();
      pool.trim(0);
      console.log(again, new Uint8Array(moved)[0], moved.byteLength > 0);
    `), /^seen 0 true\n$/);
  });

  it('of a view that is kept for the next walk: that walk gives new ones', async () => {
    assert.match(await outputOf(`
      const { Aggregate } = require('io-lite');
      const whole = Aggregate.empty();
      for (const piece of ['a', 'b', 'c']) {
        const part = Aggregate.from(piece.repeat(5000));
        whole.append(part);
        Aggregate.from('between'.repeat(10));
        part.dispose();
      }
      const text = () => Buffer.concat([...whole]).toString();
      const first = text();
      const moved = [...whole][1].buffer.transfer();
      console.log([...whole].length, text() === first, text() === first, moved.byteLength > 0);
    `), /^3 true true true\n$/);
  });
});
