// Who is dead by what still works, with processes that are killed.
import assert from 'node:assert/strict';

import { connect, left, nothing, Peer, startGuest, startHost } from './world';

describe('death', function () {
  this.timeout(10_000);
  const peers: Peer[] = [];
  const keep = (peer: Peer): Peer => {
    peers.push(peer);
    return peer;
  };
  async function world(): Promise<{ host: Peer; address: string; guest: Peer }> {
    const { host, address } = await startHost();
    return { host: keep(host), address, guest: keep(await startGuest(address)) };
  }
  afterEach(async () => {
    for (const peer of peers.splice(0)) {
      if (peer.child.exitCode === null && peer.child.signalCode === null) await peer.kill();
    }
  });

  it('of the sender: what it had sent is received, unchanged, then ERR_IOL_PEER_DEAD', async () => {
    const { host, guest } = await world();
    await connect(guest, host, 'host', 'c');
    await guest.run(`
      $.window.createPool();
      for (let i = 0; i < 10; i++) {
        const bytes = $.own(io.Aggregate.from('message ' + i));
        await $.channel.send(bytes);
      }
    `);
    await guest.kill();
    const got = await host.run(`
      const got = [];
      try {
        for await (const message of $.channel) {
          got.push(String(message.aggregate));
          message.dispose();
        }
      } catch (error) {
        got.push(error.code);
      }
      const bytes = $.own(io.Aggregate.from('x'));
      return [...got, await $.channel.send(bytes).catch((error) => error.code)];
    `);
    const sent = Array.from({ length: 10 }, (_, i) => `message ${i}`);
    assert.deepEqual(got, [...sent, 'ERR_IOL_PEER_DEAD', 'ERR_IOL_PEER_DEAD']);
    await host.run('$.channel.close();');
    assert.deepEqual(await left(host), nothing);
  });

  it('of the receiver: what was in flight comes back, waiting sends fail', async () => {
    const { host, guest } = await world();
    await connect(guest, host, 'host', 'c');
    await guest.run(`
      const bytes = $.own(io.Aggregate.from('x'));
      while ($.channel.trySend(bytes));
      $.waiting = $.channel.send(bytes).catch((error) => error.code);
      $.receiving = $.channel.receive().catch((error) => error.code);
    `);
    // The host is the receiver: its end is also that of the grants.
    await host.kill();
    const ends = await guest.run(`return [await $.waiting, await $.receiving];`);
    assert.deepEqual(ends, ['ERR_IOL_PEER_DEAD', 'ERR_IOL_PEER_DEAD']);
    await guest.run('$.channel.close();');
    assert.deepEqual(await left(guest), nothing);
  });

  it('of a program that writes and ends at once: every message arrives', async () => {
    const { host, guest, address } = await world();
    assert.equal(await guest.end(), '0');
    for (const end of ['process.exit()', 'setImmediate(() => process.disconnect())']) {
      const writer = keep(await startGuest(address, 'writer'));
      await connect(writer, host, 'host', end.slice(0, 12));
      void writer.run(`
        for (let i = 0; i < 100; i++) await $.channel.send('part ' + i);
        ${end};
      `).catch(() => {});
      await writer.ended;
      const got = await host.run(`
        const got = [];
        try {
          for await (const message of $.channel) {
            got.push(String(message.aggregate));
            message.dispose();
          }
        } catch (error) {
          got.push(error.code);
        }
        $.channel.close();
        return [got.length, got[0], got[99], got[100]];
      `);
      assert.deepEqual(got, [101, 'part 0', 'part 99', 'ERR_IOL_PEER_DEAD'], end);
    }
    assert.deepEqual(await left(host), nothing);
  });

  it('of the host: channels and what was granted go on; nothing new does; attaching anew works', async () => {
    const { host, address } = await startHost();
    keep(host);
    const a = keep(await startGuest(address, 'a'));
    const b = keep(await startGuest(address, 'b'));
    await connect(a, b, 'b', 'c');
    // From here on `b` has been granted the segment.
    await a.run(`await $.channel.send('before');`);
    await b.run(`$.message = await $.channel.receive();`);
    await a.run(`$.gone = new Promise((resolve) => $.window.on('hostGone', () => resolve('gone')));`);
    await host.kill();
    assert.equal(await a.run('return $.gone;'), 'gone');
    await a.run(`await $.channel.send('after');`);
    const got = await b.run(`
      const message = $.own(await $.channel.receive());
      const both = [String($.message.aggregate), String(message.aggregate)];
      $.message.dispose();
      return both;
    `);
    assert.deepEqual(got, ['before', 'after']);
    const failed = await a.run(`
      const codes = [await $.window.connect('b').catch((error) => error.code), $.window.isAttached];
      $.channel.close();
      $.window.close();
      codes.push(await io.Window.attach().catch((error) => [error.code, error.message.includes('ECONNREFUSED')]));
      return codes;
    `);
    assert.deepEqual(failed, ['ERR_IOL_HOST_GONE', false, ['ERR_IOL_SYSTEM', true]]);
    const next = await startHost();
    keep(next.host);
    const label = await a.run(`
      $.window = await io.Window.attach({ address: ${JSON.stringify(next.address)}, label: 'again' });
      $.channel = await $.window.connect('host');
      await $.channel.send('hello');
      return $.window.ownDomain.label;
    `);
    assert.equal(label, 'again');
    await b.run('$.channel.close();');
    assert.deepEqual(await left(b), nothing);
  });

  it('of an owner in between: who was forwarded its bytes still reads them', async () => {
    const { host, address, guest } = await world();
    const third = keep(await startGuest(address, 'third'));
    await connect(guest, host, 'host', 'in');
    await connect(host, third, 'third', 'out');
    await guest.run(`await $.channel.send('from the first');`);
    await host.run(`
      const message = $.own(await $.channels.in.receive());
      $.addresses = message.aggregate.slices();
      await $.channel.send(message.aggregate);
    `);
    await guest.kill();
    const got = await third.run(`
      const message = $.own(await $.channel.receive());
      return [String(message.aggregate), message.aggregate.slices()];
    `);
    assert.deepEqual(got, ['from the first', await host.run('return $.addresses;')]);
  });
});
