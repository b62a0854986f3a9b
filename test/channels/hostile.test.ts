// A peer that writes rubbish where only it may write, seen from programs in JavaScript. What else a peer may do is in
// test/native: ring_test, host_hostile_test, doorbell_test.
import assert from 'node:assert/strict';

import { inspectWindows } from 'io-lite/inspect';

import { layouts } from '../../lib/layout.generated';
import { connect, left, nothing, startGuest, startHost, type Peer } from './world';

const [published] = layouts.SenderBlock.published;
const [channelId] = layouts.ChannelHeader.channelId;
const [consumed] = layouts.ReceiverBlock.consumed;

describe('a peer that writes rubbish', function () {
  this.timeout(20_000);
  let host: Peer;
  let good: Peer;
  let bad: Peer;

  beforeEach(async () => {
    const started = await startHost();
    host = started.host;
    good = await startGuest(started.address, 'good');
    bad = await startGuest(started.address, 'bad');
    await connect(good, host, 'host', 'good');
    await connect(bad, host, 'host', 'bad');
    // Its own side of channel "bad", the newest: through the mapping that the library writes it by.
    await bad.run(`
      const fs = require('node:fs');
      const memory = fs.openSync('/proc/self/mem', 'r+');
      const mapped = fs.readFileSync('/proc/self/maps', 'latin1').split('\\n')
        .filter((line) => / rw-s .*memfd:io-lite-channel/.test(line))
        .map((line) => {
          const at = parseInt(line, 16);
          const header = Buffer.alloc(64);
          fs.readSync(memory, header, 0, 64, at);
          return { at, isSender: header.toString('latin1', 1, 7) === 'iolsnd', id: header.readBigUInt64LE(${channelId}) };
        });
      const newest = (isSender) => mapped.filter((each) => each.isSender === isSender)
        .reduce((one, other) => (other.id >> 1n > one.id >> 1n ? other : one)).at;
      const write = (at, word) => {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64LE(word);
        fs.writeSync(memory, bytes, 0, 8, at);
      };
      $.jump = (words) => write(newest(true) + ${published}, BigInt(words));
      $.consume = (words) => write(newest(false) + ${consumed}, BigInt(words));
    `);
  });
  afterEach(async () => {
    for (const peer of [bad, good, host]) await peer.kill();
  });

  /** The channel of the good one goes on, in both directions, and nothing is held. */
  async function othersAreUntouched(): Promise<void> {
    await good.run(`$.bytes = io.Aggregate.from('still here'); await $.channel.send($.bytes);`);
    const got = await host.run(`
      const message = $.own(await $.channels.good.receive());
      await $.channels.good.send(message.aggregate);
      return String(message.aggregate);
    `);
    assert.equal(got, 'still here');
    assert.equal(await good.run('return String($.own(await $.channel.receive()).aggregate);'), got);
    await good.run('$.bytes.dispose();');
    for (const peer of [good, host]) {
      await peer.run('await $.until(() => io.stats().liveHolds === 0);');
      assert.deepEqual(await left(peer), nothing);
    }
  }

  const codeOf = (peer: Peer, use: string): Promise<unknown> =>
    peer.run(`try { return await (${use}); } catch (error) { return [error.code, error.message]; }`);

  it('a published index that jumps: that channel is closed with an error, and iol tells of it', async () => {
    await host.run(`$.receiving = $.channels.bad.receive().catch((error) => [error.code, error.message]);`);
    // Nobody is rung for that: another channel sees to it that the host looks.
    await bad.run(`
      $.jump(8 * 5000);
      const ring = await $.window.connect('host', { name: 'ring' });
      await ring.send($.own(io.Aggregate.from('x')));
    `);
    await host.run(`await $.opened('ring'); (await $.channel.receive()).dispose();`);
    const [code, message] = await host.run<[string, string]>('return await $.receiving;');
    assert.equal(code, 'ERR_IOL_BAD_DESCRIPTOR');
    assert.match(message, /published index.*40000/);
    assert.equal(await codeOf(host, '$.channels.bad.receive()'), null);
    assert.deepEqual((await codeOf(bad, `$.channel.send('x')`) as string[])[0], 'ERR_IOL_CLOSED');
    const incidents = inspectWindows({ address: await host.run<string>('return $.window.address;') })[0]!.incidents;
    const { slot, epoch } = await bad.run<{ slot: number; epoch: number }>('return $.window.ownDomain;');
    const [corrupt, ...more] = incidents.filter(({ kind }) => kind === 'corrupt');
    assert.deepEqual([corrupt?.domain, corrupt?.code], [`${slot}.${epoch}`, code]);
    assert.equal(more.length, 0);
    await othersAreUntouched();
  });

  it('a consumed index that jumps: nothing more is sent there, nothing is held for it', async () => {
    await host.run(`$.bytes = io.Aggregate.from('x'); while ($.channels.bad.trySend($.bytes, 'beside'));`);
    await bad.run('$.consume(8 * 5000);');
    assert.deepEqual((await codeOf(host, '$.channels.bad.trySend($.bytes)') as string[])[0], 'ERR_IOL_CLOSED');
    await host.run('$.bytes.dispose();');
    await othersAreUntouched();
  });
});
