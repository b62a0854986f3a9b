// Wake-ups that must not be lost, however many channels have one at once.
import assert from 'node:assert/strict';

import { Peer, startGuest, startHost } from './world';

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
