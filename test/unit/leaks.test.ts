// Forgetting: the net gives the memory back, and the detector says where it was forgotten.
import assert from 'node:assert/strict';

import { setLeakDetection } from 'io-lite';

import { runChild } from '../support/child';

const prelude = `
  const { Aggregate, Window, iolRead, FileCache, stats, setLeakDetection } = require('io-lite');
  const pool = Window.default().createPool();
  // Collects until \`isDone\`, which the watchdog of the test bounds.
  async function collectUntil(isDone) {
    while (!isDone()) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const warnings = [];
  process.on('warning', (warning) => { if (warning.code === 'IOL_LEAK') warnings.push(warning.message); });
`;
const options = { nodeOptions: ['--expose-gc'] };

describe('the leak detector', () => {
  const forgotten: Record<string, string> = {
    draft: 'pool.allocate(100)',
    'draft with bytes': 'new Uint8Array(pool.allocate(50000).bytes())[0] = 1',
    buffer: 'pool.allocate(100).seal()',
    aggregate: "Aggregate.from('abc')",
    slice: "{ const a = Aggregate.from('abc'); a.slice(1, 2); a.dispose(); }",
    pool: 'Window.default().createPool()',
    'file cache': 'new FileCache()',
  };
  for (const [name, make] of Object.entries(forgotten)) {
    it(`names the place where a forgotten ${name} was made, and the memory is given back`, async () => {
      const result = await runChild(`${prelude}
        function theCulprit() { ${make}; }
        theCulprit();
        (async () => {
          await collectUntil(() => warnings.length > 0);
          console.log(warnings.length, warnings[0].includes('theCulprit'), stats().liveHolds,
            stats().drafts, stats().leaks);
        })();
      `, { ...options, env: { IOL_LEAKS: 'paranoid' } });
      assert.equal(result.stdout, '1 true 0 0 1\n', result.stderr);
    });
  }

  it('says where in one of 128 cases by default, and how to see all', async () => {
    const result = await runChild(`${prelude}
      function theCulprit() { for (let i = 0; i < 1280; i++) pool.allocate(10); }
      theCulprit();
      (async () => {
        await collectUntil(() => stats().leaks >= 1280);
        await collectUntil(() => true);
        const sites = warnings.filter((message) => message.includes('theCulprit')).length;
        const hints = warnings.filter((message) => message.includes('IOL_LEAKS=paranoid')).length;
        console.log(sites > 0, sites <= 10, hints, stats().drafts);
      })();
    `, options);
    assert.equal(result.stdout, 'true true 1 0\n', result.stderr);
  });

  it('warns once of a place, with a count, and again when it is ten times as many', async () => {
    const result = await runChild(`${prelude}
      function theCulprit(count) { for (let i = 0; i < count; i++) pool.allocate(10); }
      function another() { pool.allocate(10).seal(); }
      const counts = () => warnings.map((message) => /^(An?|\\d+)/.exec(message)[0]).join(' ');
      (async () => {
        // Of at most so many forgotten at a time, however the collector takes them.
        theCulprit(1);
        await collectUntil(() => warnings.length === 1);
        for (let leaked = 1; leaked < 1000; leaked += 9) {
          (() => { for (let i = 0; i < 9; i++) theCulprit(1); })();
          await collectUntil(() => stats().leaks === leaked + 9);
        }
        console.log(warnings.length <= 4, warnings.every((message) => message.includes('theCulprit')));
        another();
        await collectUntil(() => stats().leaks === 1001);
        await collectUntil(() => warnings.at(-1).includes('another'));
        console.log(counts().startsWith('A '), counts().endsWith(' A'));
      })();
    `, { ...options, env: { IOL_LEAKS: 'paranoid' } });
    assert.equal(result.stdout, 'true true\ntrue true\n', result.stderr);
  });

  it('is silent when it is off, and the memory is given back all the same', async () => {
    const result = await runChild(`${prelude}
      setLeakDetection('off');
      (() => { for (let i = 0; i < 300; i++) pool.allocate(10); })();
      (async () => {
        await collectUntil(() => stats().drafts === 0);
        console.log(warnings.length, stats().leaks);
      })();
    `, options);
    assert.equal(result.stdout, '0 300\n', result.stderr);
  });

  it('says nothing of what was released, and nothing of files', async () => {
    const result = await runChild(`${prelude}
      (async () => {
        await (async () => {
          for (let i = 0; i < 300; i++) {
            using draft = pool.allocate(10);
            draft.seal().dispose();
            Aggregate.from('x').dispose();
          }
          const file = await FileCache.default().open('package.json');
          (await file.read()).dispose();
        })();
        let turns = 0;
        await collectUntil(() => ++turns > 5);
        console.log(warnings.length, stats().leaks);
      })();
    `.replace('using draft', 'const draft'), { ...options, env: { IOL_LEAKS: 'paranoid' } });
    assert.equal(result.stdout, '0 0\n', result.stderr);
  });

  it('refuses a level that it does not know', async () => {
    assert.throws(() => setLeakDetection('loud' as never), {
      name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE',
    });
    const result = await runChild("require('io-lite')", { env: { IOL_LEAKS: 'loud' } });
    assert.match(result.stderr, /ERR_INVALID_ARG_VALUE/);
  });
});

describe('a synchronous loop', () => {
  // Why bounded: Node 24 lets its own young generation grow by 150 MB over the first 2,000,000.
  const bounded = ['--max-semi-space-size=16'];
  // The long form: IOL_LONG=1.
  const rounds = process.env['IOL_LONG'] === '1' ? 10_000_000 : 1_000_000;
  for (const [name, step] of [
    ['allocates and disposes', 'pool.allocate(100).dispose()'],
    ['allocates, seals and disposes', 'pool.allocate(100).seal().dispose()'],
  ] as const) {
    it(`that ${name} ${rounds} times keeps the process as small as it was`, async function () {
      this.timeout(120_000);
      const result = await runChild(`${prelude}
        const round = (count) => { for (let i = 0; i < count; i++) ${step}; };
        round(1000000);  // Until the engine's own tables and spaces have grown to their size.
        const samples = [];
        for (let part = 0; part < 12; part++) {
          round(${rounds} / 10);
          samples.push(process.memoryUsage().rss);
        }
        // The least of the last against the least of the first: the collector's waves cancel out.
        const grown = Math.min(...samples.slice(-4)) - Math.min(...samples.slice(0, 4));
        console.log(JSON.stringify({ grown, liveHolds: stats().liveHolds }));
      `, { nodeOptions: bounded, watchdogMs: 110_000 });
      assert.equal(result.code, 0, result.stderr);
      const { grown, liveHolds } = JSON.parse(result.stdout) as { grown: number; liveHolds: number };
      assert.equal(liveHolds, 0);
      // Eight parts lie between: 60 bytes a round would be 48 MB.
      assert.ok(grown < 48 << 20, `grew by ${grown} bytes`);
    });
  }
});
