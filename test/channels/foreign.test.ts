// Bytes of another process: their views end in time, stores into them change nothing, and whoever
// looks twice looks at a copy.
import assert from 'node:assert/strict';

import { connect, startGuest, startHost, type Peer } from './world';

describe('bytes of another process', function () {
  this.timeout(10_000);
  let host: Peer;
  let guest: Peer;

  before(async () => {
    const started = await startHost();
    host = started.host;
    guest = await startGuest(started.address);
    await connect(guest, host, 'host', 'foreign');
  });
  after(async () => {
    assert.equal(await guest.end(), '0', guest.stderr);
    assert.equal(await host.end(), '0', host.stderr);
  });

  const send = (text: string): Promise<unknown> =>
    guest.run(`const bytes = $.own(io.Aggregate.from(${text})); await $.channel.send(bytes);`);

  it('a late view of them has length 0, and so has its ArrayBuffer', async () => {
    await send(`'x'.repeat(1000)`);
    await send(`'y'.repeat(200_000)`);
    const [small, large] = await host.run<unknown[]>(`
      const lengths = [];
      for (let i = 0; i < 2; i++) {
        const message = await $.channel.receive();
        const view = message.aggregate.view();
        const text = String.fromCharCode(view[0], view[view.length - 1]);
        const before = view.length;
        message.dispose();
        lengths.push([text, before, view.length, view.buffer.byteLength]);
      }
      return lengths;
    `);
    assert.deepEqual(small, ['xx', 1000, 0, 0]);
    assert.deepEqual(large, ['yy', 200_000, 0, 0]);
  });

  it('a store into one is undone and reported, and its owner still has the right bytes', async () => {
    await guest.run(`$.bytes = io.Aggregate.from('immutable'); await $.channel.send($.bytes);`);
    const seen = await host.run(`
      const message = $.own(await $.channel.receive());
      const told = new Promise((resolve) => $.window.once('immutable', resolve));
      process.removeAllListeners('warning');
      message.aggregate.view()[0] = 0;
      const { code } = await told;
      return [code, String(message.aggregate)];
    `);
    assert.deepEqual(seen, ['ERR_IOL_IMMUTABLE', 'immutable']);
    assert.equal(await guest.run('const text = String($.bytes); $.bytes.dispose(); return text;'), 'immutable');
  });

  it('is copied to be a needle, and not to be looked through', async () => {
    await send(`'needle'`);
    await send(`'hay '.repeat(5000) + 'needle'`);
    const copied = await host.run(`
      const needle = $.own(await $.channel.receive()).aggregate;
      const hay = $.own(await $.channel.receive()).aggregate;
      const untrusted = () => io.stats().copies.untrusted.bytes;
      const before = untrusted();
      const places = [hay.indexOf('needle'), hay.indexOf(needle)];
      return [...places, untrusted() - before];
    `);
    assert.deepEqual(copied, [20_000, 20_000, 6]);
  });

  it('a view outlives an owner that was killed, and ends with the release', async () => {
    const address = await host.run<string>('return $.window.address;');
    const other = await startGuest(address);
    await connect(other, host, 'host', 'short-lived');
    await other.run(`$.bytes = io.Aggregate.from('last words'); await $.channel.send($.bytes); $.bytes.dispose();`);
    const text = await host.run(`
      $.message = await $.channel.receive();
      $.view = $.message.aggregate.view();
      return String($.message.aggregate) + $.view.length;
    `);
    assert.equal(text, 'last words10');
    await other.kill();
    const after = await host.run(`
      await $.channel.receive().catch(() => null);
      $.channel.close();
      const still = String.fromCharCode(...$.view);
      $.message.dispose();
      return [still, $.view.length];
    `);
    assert.deepEqual(after, ['last words', 0]);
  });
});
