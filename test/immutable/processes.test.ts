// I2 where a process may die or hang: each in a child with a watchdog.
import assert from 'node:assert/strict';

import { runChild, type ChildResult } from '../support/child';

const prelude = `
  const { Aggregate, Window, iolWriteSync, stats } = require('io-lite');
  const home = Window.default();
  function sealed(length) {
    const draft = home.defaultPool.allocate(length);
    if (length >= 16384) new Uint8Array(draft.bytes()).fill(97);
    else draft.write(Buffer.alloc(length, 'a'));
    return draft.seal();
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));
`;

// The smallest module with a memory access out of bounds: (module (memory 1) (func (export "f")
// (i32.store (i32.const 70000) (i32.const 1)))).
const trap = `
  const bytes = Uint8Array.from([0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,5,3,1,0,1,7,5,1,1,102,0,0,
    10,13,1,11,0,65,240,162,4,65,1,54,2,0,11]);
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  for (let i = 0; i < 3; i++) {
    try { f(); } catch (error) { console.log(error.name); }
  }
`;

function assertClean(result: ChildResult, stdout: RegExp): void {
  assert.ok(!result.hung, 'it did not hang');
  assert.equal(result.code, 0, `${result.signal} ${result.stderr}`);
  assert.match(result.stdout, stdout);
}

describe('a store into sealed bytes, in a process of its own', () => {
  it('is a process warning with address and advice', async () => {
    const result = await runChild(`${prelude}
      const buffer = sealed(100);
      process.on('warning', (warning) => console.log(warning.code, warning.name,
        warning.message.includes((buffer.address + 3).toString(16))));
      buffer.view()[3] = 1;
    `);
    assertClean(result, /^ERR_IOL_IMMUTABLE IolWarning true\n$/);
    assert.match(result.stderr, /sealed bytes never change/);
  });

  it('made 40,000 times all over the place: the process ends with our message or goes on', async () => {
    const result = await runChild(`${prelude}
      const buffer = sealed(200 << 20);
      const view = buffer.view();
      for (let i = 0; i < 40000; i++) view[i * 5000 + 17] = 88;
      const slice = buffer.slice();
      for (let i = 0; i < 40000; i++) if (view[i * 5000 + 17] !== 97) throw new Error('not healed');
      console.log('survived');
    `);
    assert.ok(!result.hung, 'it did not hang');
    if (result.code === 0) {
      assert.match(result.stdout, /survived/);
    } else {
      assert.equal(result.signal, 'SIGSEGV', result.stderr);
      assert.match(result.stderr, /io-lite: FATAL store into immutable bytes at 0x[0-9a-f]+ .*too many/);
    }
  });

  it('made 40,000 times with a turn between: the process goes on', async () => {
    const result = await runChild(`${prelude}
      process.removeAllListeners('warning');
      (async () => {
        const view = sealed(200 << 20).view();
        for (let i = 0; i < 40000; i++) {
          view[i * 5000 + 17] = 88;
          if (i % 1000 === 999) await turn();
        }
        await turn();
        for (let i = 0; i < 40000; i++) if (view[i * 5000 + 17] !== 97) throw new Error('not healed');
        console.log(stats().storesHealed);
      })();
    `);
    assertClean(result, /^40000\n$/);
  });

  for (const name of ['before', 'after'] as const) {
    it(`with a SIGSEGV listener installed ${name} the library's: no hang`, async () => {
      const listen = "process.on('SIGSEGV', () => {});";
      const result = await runChild(`${name === 'before' ? listen : ''}
        ${prelude}
        process.on('warning', (warning) => console.log(warning.code));
        (async () => {
          const buffer = sealed(100);
          const view = buffer.view();
          ${name === 'after' ? listen : ''}
          view[3] = 88;
          await turn();
          console.log(view[3], buffer.slice().toString() === 'a'.repeat(100));
          process.exit(0);
        })();
      `);
      assertClean(result, /^[^]*97 true\n$/);
      assert.match(result.stdout, /ERR_IOL_IMMUTABLE/);
      const told = result.stdout.match(/IOL_SIGSEGV_HANDLER/g)?.length ?? 0;
      assert.equal(told, name === 'after' ? 1 : 0, result.stdout);
    });
  }

  it('after a SIGSEGV listener came and went is undone all the same', async () => {
    const result = await runChild(`${prelude}
      (async () => {
        const view = sealed(100).view();
        const listener = () => {};
        process.on('SIGSEGV', listener);
        process.off('SIGSEGV', listener);
        view[3] = 88;
        await turn();
        console.log(view[3]);
      })();
    `);
    assertClean(result, /^97\n$/);
  });

  it('from a worker, on its own bytes, is undone and told there', async () => {
    const result = await runChild(`
      const { Worker } = require('node:worker_threads');
      const worker = new Worker(\`${prelude.replaceAll('\\', '\\\\')}
        const { parentPort } = require('node:worker_threads');
        const buffer = sealed(20000);
        const view = buffer.view();
        home.on('immutable', (event) => parentPort.postMessage(
          [event.address === buffer.address + 9, view[9], buffer.slice().view()[9]]));
        view[9] = 1;
        parentPort.on('message', () => process.exit(0));
        \`, { eval: true });
      worker.on('message', (told) => { console.log(...told); worker.postMessage('end'); });
      worker.on('exit', (code) => console.log('exit', code));
    `);
    assertClean(result, /^true 97 97\nexit 0\n$/);
  });

  it('by a thread of the pool that fills a view it was given is undone', async () => {
    const result = await runChild(`${prelude}
      const { randomFill } = require('node:crypto');
      const buffer = sealed(60000);
      home.on('immutable', () => {});
      randomFill(buffer.view(), async (error) => {
        await turn(); await turn();
        console.log(error, buffer.view().every((byte) => byte === 97));
      });
    `);
    assertClean(result, /^null true\n$/);
  });

  it('in an optimised loop that runs on and on while others heal: the bytes stay right', async () => {
    const result = await runChild(`${prelude}
      const buffer = sealed(20000);
      const view = buffer.view();
      const slice = buffer.slice();
      for (let rounds = 0; rounds < 300; rounds++) {
        for (let i = 0; i < view.length; i++) view[i] = rounds;
        if (slice.toString('latin1') !== 'a'.repeat(20000)) throw new Error('changed bytes');
      }
      console.log(stats().storesHealed > 0);
    `);
    assertClean(result, /^true\n$/);
  });

  for (const [how, options, strict] of [
    ['the window was opened strictly', {}, 'await Window.create({ strict: true });'],
    ['IOL_STRICT=1', { env: { IOL_STRICT: '1' } }, ''],
  ] as const) {
    it(`ends the process with the message when ${how}`, async () => {
      const result = await runChild(`
        const { Window } = require('io-lite');
        (async () => {
          ${strict}
          const view = Window.default().defaultPool.allocate(10).seal().view();
          console.log('before');
          view[0] = 1;
          console.log('after');
        })();
      `, options);
      assert.equal(result.signal, 'SIGSEGV');
      assert.equal(result.stdout, 'before\n');
      assert.match(result.stderr, /io-lite: FATAL store into immutable bytes at 0x[0-9a-f]+ .*strict mode/);
    });
  }
});

describe('the fault handler', () => {
  it('leaves a WebAssembly trap to Node: an error, not a crash', async () => {
    const result = await runChild(`${prelude} sealed(10).view()[0] = 1; ${trap}`);
    assertClean(result, /^(RuntimeError\n){3}$/);
  });

  for (const [end, how] of [['', 'ended by itself'], ['worker.terminate();', 'was terminated']]) {
    it(`does so when the addon was loaded only in a worker that ${how}`, async () => {
      const result = await runChild(`
        const { Worker } = require('node:worker_threads');
        const worker = new Worker(\`
          const { Window } = require('io-lite');
          const view = Window.default().defaultPool.allocate(10).seal().view();
          view[0] = 1;
          require('node:worker_threads').parentPort.postMessage('ready');
          ${end === '' ? '' : 'setInterval(() => {}, 1000);'}
        \`, { eval: true });
        worker.on('message', () => { ${end} });
        worker.on('exit', () => {
          ${trap}
        });
      `);
      assertClean(result, /^(RuntimeError\n){3}$/);
    });
  }

  it('lets a real fault kill the process, and says nothing', async () => {
    const result = await runChild(`${prelude}
      sealed(10).view()[0] = 1;
      process.kill(process.pid, 'SIGSEGV');
      setTimeout(() => {}, 5000);
    `);
    assert.ok(!result.hung);
    assert.equal(result.signal, 'SIGSEGV');
    assert.doesNotMatch(result.stderr, /FATAL/);
  });
});
