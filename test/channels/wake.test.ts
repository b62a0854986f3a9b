// Wake-ups that must not be lost, however many channels have one at once.
import assert from 'node:assert/strict';

import { Peer, startGuest, startHost } from './world';

describe('looking for messages before sleep (spinUs)', function () {
  this.timeout(20_000);
  const peers: Peer[] = [];
  afterEach(async () => {
    for (const peer of peers.splice(0)) await peer.kill();
  });

  /** Spins in vain and sleeps of a guest that answers `count` messages, each of which finds it asleep. */
  async function waits(spinUs: number | undefined, count: number): Promise<[spins: number, sleeps: number]> {
    const { host, address } = await startHost();
    const guest = new Peer({ env: { IOL_WINDOW: address } });
    peers.push(host, guest);
    await guest.run(`
      $.window = await io.Window.attach({ label: 'guest'${spinUs === undefined ? '' : `, spinUs: ${spinUs}`} });
      $.channel = await $.window.connect('host', { name: 'c' });
      $.answer = async () => {
        for await (const message of $.channel) {
          message.dispose();
          await $.channel.send('back');
        }
      };
    `);
    await host.run(`await $.opened('c');`);
    const look = `
      const { inspectWindows } = require('io-lite/inspect');
      const look = () => inspectWindows({ id: $.window.id })[0].domains.find(({ label }) => label === 'guest');
    `;
    // Without anybody who waits it never looks.
    await guest.run('for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 0));');
    assert.equal(await host.run(`${look} return look().doorbell.spinsInVain;`), 0);
    void guest.run('void $.answer();');
    const { spinsInVain, sleeps } = await host.run<{ spinsInVain: number; sleeps: number }>(`
      ${look}
      for (let i = 0; i < ${count}; i++) {
        while (!look().isAsleep) continue;
        await $.channel.send('there');
        (await $.channel.receive()).dispose();
      }
      while (!look().isAsleep) continue;
      return look().doorbell;
    `);
    return [spinsInVain, sleeps];
  }

  it('0: nobody looks, however often it sleeps', async () => {
    const [spins, sleeps] = await waits(0, 20);
    assert.equal(spins, 0);
    assert.ok(sleeps >= 20);
  });

  it('1: who looks in vain looks less and less often', async () => {
    const [spins, sleeps] = await waits(1, 20);
    assert.ok(spins >= 1 && spins < sleeps / 2, `${spins} of ${sleeps}`);
  });
});

describe('waiting for room', function () {
  this.timeout(30_000);
  let host: Peer;
  let guest: Peer;
  beforeEach(async () => {
    const started = await startHost();
    host = started.host;
    guest = await startGuest(started.address);
    // The host empties all rings at once when it is told to.
    await host.run(`
      $.wait = async (count) => {
        const go = await $.opened('go');
        await $.opened('c' + (count - 1));
        delete $.channels.go;
        const first = await $.channels.c0.receive(); // Which brings the segment.
        first.dispose();
        $.drained = (async () => {
          (await go.receive()).dispose();
          for (const channel of Object.values($.channels)) {
            for (let message; (message = channel.tryReceive()) !== undefined; ) message.dispose();
          }
        })();
      };
    `);
    await guest.run(`
      $.start = async (count) => {
        $.go = await $.window.connect('host', { name: 'go' });
        $.bytes = io.Aggregate.from('x');
        $.all = [];
        $.done = 0;
        for (let i = 0; i < count; i++) {
          const channel = await $.window.connect('host', { name: 'c' + i, ringBytes: 4096 });
          $.all.push(channel);
          while (channel.trySend($.bytes));
          channel.send($.bytes).then(() => $.done++);
        }
        await $.turn();
      };
      // From here to the loop's next sleep nobody is told of anything.
      $.goOn = async () => {
        await $.turn();
        $.go.trySend($.bytes);
        while ($.all.some((channel) => channel.bytesQueued > 0)) continue;
      };
    `);
  });
  afterEach(async () => {
    await guest.kill();
    await host.kill();
  });

  it('on 200 channels at once: each send ends', async () => {
    await guest.run('await $.start(200);');
    await host.run('await $.wait(200);');
    assert.equal(await guest.run('return $.done;'), 0, 'or nobody waits');
    await guest.run('await $.goOn();');
    await guest.run('await $.until(() => $.done === 200);');
  });

  it('while a receive begins in the same turn of the loop', async () => {
    await guest.run('await $.start(1);');
    await host.run('await $.wait(1);');
    // Its callback runs after the doorbell was asked, and before anybody is told.
    await guest.run(`
      await $.turn();
      require('node:fs').stat('/', () => { $.receiving = $.all[0].receive(); });
      await $.goOn();
    `);
    await guest.run('await $.until(() => $.done === 1);');
    await host.run(`await $.channels.c0.send('end');`);
    await guest.run('$.own(await $.receiving);');
  });
});
