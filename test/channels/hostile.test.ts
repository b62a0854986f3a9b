// A peer that writes rubbish where only it may write, seen from programs in JavaScript. What else a peer may do is in
// test/native: ring_test, host_hostile_test, doorbell_test.
import assert from 'node:assert/strict';

import { inspectWindows } from 'io-lite/inspect';

import { layouts } from '../../lib/layout.generated';
import { connect, left, nothing, startGuest, startHost, type Peer } from './world';

const [published] = layouts.SenderBlock.published;
const [channelId] = layouts.ChannelHeader.channelId;
const [consumed] = layouts.ReceiverBlock.consumed;
const [segmentNumber] = layouts.SegmentHeader.number;

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

  it('words that are none to the host: it is cut, an event and iol tell of it, and its channels live on', async () => {
    await host.run(`
      $.gone = [];
      $.window.on('domainGone', ({ slot }, error) => $.gone.push([slot, error?.code]));
    `);
    await bad.run(`
      const fs = require('node:fs');
      $.window.on('hostGone', () => ($.isAlone = true));
      // Its control socket, the only one of sequenced packets.
      const sequenced = new Set(fs.readFileSync('/proc/net/unix', 'latin1').split('\\n')
        .map((line) => line.trim().split(/ +/)).filter((fields) => fields[4] === '0005').map((fields) => fields[6]));
      const [control, ...more] = fs.readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return sequenced.has(/^socket:\\[(\\d+)\\]$/.exec(fs.readlinkSync('/proc/self/fd/' + fd))?.[1]);
        } catch {
          return false; // The folder's own.
        }
      });
      if (control === undefined || more.length > 0) throw new Error('which one is it?');
      fs.writeSync(Number(control), Buffer.alloc(100, 7));
      await $.until(() => $.isAlone);
    `);
    const { slot, epoch } = await bad.run<{ slot: number; epoch: number }>('return $.window.ownDomain;');
    const gone = await host.run('await $.until(() => $.gone.length > 0); return $.gone;');
    assert.deepEqual(gone, [[slot, 'ERR_IOL_BAD_DESCRIPTOR']]);
    const [report] = inspectWindows({ address: await host.run<string>('return $.window.address;') });
    const [cut, ...more] = report!.incidents.filter(({ kind }) => kind === 'cut');
    assert.deepEqual([cut?.domain, cut?.pid, cut?.code], [`${slot}.${epoch}`, bad.child.pid, 'ERR_IOL_BAD_DESCRIPTOR']);
    assert.equal(more.length, 0);
    // The host is on no channel.
    await bad.run(`await $.channel.send('', 'still here');`);
    assert.equal(await host.run('return String($.own(await $.channels.bad.receive()).metadata);'), 'still here');
    await host.run('$.channels.bad.close();');
    await othersAreUntouched();
  });

  it('bytes that are written again and again while they are parsed: what was checked is what was read', async () => {
    await bad.run(`
      const fs = require('node:fs');
      const { Worker } = require('node:worker_threads');
      const head = 'GET /target HTTP/1.1\\r\\nHost: x\\r\\nX-Value: aaaaaaaa\\r\\n\\r\\n';
      const bytes = $.own(io.Aggregate.from(head));
      const [{ address }] = bytes.slices();
      // The segment's mapping for writing, which only its owner has.
      const memory = fs.openSync('/proc/self/mem', 'r+');
      const mapped = fs.readFileSync('/proc/self/maps', 'latin1').split('\\n')
        .filter((line) => / rw-s .*memfd:io-lite-segment/.test(line)).map((line) => parseInt(line, 16))
        .find((at) => {
          const number = Buffer.alloc(4);
          fs.readSync(memory, number, 0, 4, at + ${segmentNumber});
          return number.readUInt32LE() === Math.floor(address / 2 ** 26);
        });
      const at = mapped + (address % 2 ** 26) + head.indexOf('aaaaaaaa') + 3;
      $.rewriter = new Worker(\`
        const fs = require('node:fs');
        const { memory, at } = require('node:worker_threads').workerData;
        for (let i = 0; ; i++) fs.writeSync(memory, i % 2 === 0 ? 'a' : String.fromCharCode(10), at, 'latin1');
      \`, { eval: true, workerData: { memory, at } });
      await $.channel.send(bytes);
    `);
    const [accepted, refused, wrong] = await host.run<number[]>(`
      const { HttpHeadParser } = require('io-lite/http');
      const message = $.own(await $.channels.bad.receive());
      const parser = new HttpHeadParser();
      let accepted = 0;
      let refused = 0;
      let wrong = 0;
      while (accepted < 200 || refused < 200) {
        const bytes = message.aggregate.clone();
        parser.reset();
        try {
          const { rawHeaders } = parser.parse(bytes);
          if (rawHeaders.length === 4 && rawHeaders[3] === 'aaaaaaaa') accepted++;
          else wrong++;
        } catch (error) {
          if (error.code !== 'ERR_IOL_BAD_HEAD') throw error;
          refused++;
        }
        bytes.dispose();
      }
      return [accepted, refused, wrong];
    `);
    assert.ok(accepted! >= 200 && refused! >= 200, 'or nothing was rewritten');
    assert.equal(wrong, 0);
    await bad.kill();
    await othersAreUntouched();
  });
});
