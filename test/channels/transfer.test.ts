// Aggregates in messages: between threads, and between processes.
import assert from 'node:assert/strict';

import { left, nothing, startGuest, startHost, type Peer } from './world';

describe('a transfer', function () {
  this.timeout(20_000);
  let host: Peer;
  let guest: Peer;

  before(async () => {
    const started = await startHost();
    host = started.host;
    guest = await startGuest(started.address);
  });
  after(async () => {
    assert.equal(await guest.end(), '0', guest.stderr);
    assert.equal(await host.end(), '0', host.stderr);
  });

  it('is plain data, and brings the same bytes at the same address, once', async () => {
    const [transfer, address] = await guest.run<[object, number]>(`
      const bytes = $.own(io.Aggregate.from('from afar'));
      return [bytes.toTransfer(), bytes.slices()[0].address];
    `);
    const fetch = `io.Aggregate.fromTransfer(${JSON.stringify(transfer)})`;
    assert.deepEqual(
      await host.run(`const got = $.own(await ${fetch}); return [String(got), got.slices()[0].address];`),
      ['from afar', address],
    );
    await assert.rejects(host.run(`await ${fetch};`), { code: 'ERR_IOL_CLOSED' });
    for (const peer of [guest, host]) {
      await peer.run('await $.until(() => io.stats().liveHolds === 0);');
      assert.deepEqual(await left(peer), nothing);
    }
  });

  it('by postMessage to a worker, and several at once', async () => {
    const texts = await host.run(`
      const { Worker } = require('node:worker_threads');
      const worker = new Worker(\`
        const { parentPort } = require('node:worker_threads');
        const { Aggregate } = require('io-lite');
        parentPort.once('message', async (transfers) => {
          const all = await Promise.all(transfers.map((each) => Aggregate.fromTransfer(each)));
          parentPort.postMessage(all.map(String));
          for (const each of all) each.dispose();
        });
      \`, { eval: true });
      const parts = ['one', 'two', 'three'].map((text) => $.own(io.Aggregate.from(text)));
      worker.postMessage(parts.map((part) => part.toTransfer()));
      const texts = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await worker.terminate();
      return texts;
    `);
    assert.deepEqual(texts, ['one', 'two', 'three']);
  });

  it('is withdrawn, of another window, of nobody, or none', async () => {
    const codes = await host.run(`
      const bytes = $.own(io.Aggregate.from('x'));
      const transfer = bytes.toTransfer();
      const code = (that) => io.Aggregate.fromTransfer(that).catch((error) => error.code);
      return [
        io.Aggregate.withdrawTransfer(transfer), io.Aggregate.withdrawTransfer(transfer),
        await code(transfer), await code({ ...transfer, window: '0' }),
        await code({ ...transfer, slot: 99 }), await code(5), await code({ ...transfer, id: 'x' }),
      ];
    `);
    assert.deepEqual(codes, [
      true, false, 'ERR_IOL_CLOSED', 'ERR_IOL_NO_DOMAIN', 'ERR_IOL_NO_DOMAIN',
      'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE',
    ]);
  });
});
