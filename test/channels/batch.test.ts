// Small messages are taken several at a time: in order, held until somebody asks for them or the channel ends.
import assert from 'node:assert/strict';

import { connect, left, nothing, startGuest, startHost, type Peer } from './world';

const cell = 64;

describe('messages taken several at a time', function () {
  this.timeout(20_000);
  let host: Peer;
  let guest: Peer;

  beforeEach(async () => {
    const started = await startHost();
    host = started.host;
    guest = await startGuest(started.address, 'guest', { nodeOptions: ['--expose-gc'] });
    await connect(host, guest, 'guest', 'batch');
    await host.run(`
      $.sendMany = async (count, byteLength) => {
        const bytes = $.own(io.Aggregate.from(Buffer.alloc(byteLength, 'x')));
        for (let i = 0; i < count; i++) if (!$.channel.trySend(bytes, String(i))) throw new Error('full');
      };
    `);
    // The first one brings the segment, and is taken alone.
    await host.run('await $.sendMany(1, 10);');
    await guest.run('(await $.channel.receive()).dispose();');
  });
  afterEach(async () => {
    for (const peer of [guest, host]) {
      if (peer.child.exitCode === null && peer.child.signalCode === null) await peer.kill();
    }
  });

  const held = (peer: Peer): Promise<number> => peer.run('return io.stats().liveHolds;');
  const queued = (): Promise<number> => host.run('return $.channel.bytesQueued;');

  it('as many as are there, up to 64; payload beyond 64 KiB waits in the ring', async () => {
    await host.run('await $.sendMany(100, 10);');
    await guest.run('$.channel.tryReceive().dispose();');
    assert.deepEqual([await queued(), await held(guest)], [36 * cell, 63]);
    await guest.run('for (let message; (message = $.channel.tryReceive()); ) message.dispose();');
    assert.deepEqual([await queued(), await left(guest)], [0, nothing]);
    for (const byteLength of [30_000, 200_000]) {
      await host.run(`await $.sendMany(1, ${byteLength});`);
      await guest.run('(await $.channel.receive()).dispose();');
    }
    await host.run('await $.sendMany(4, 30_000); await $.sendMany(4, 200_000);');
    const queues: number[] = [];
    for (let i = 0; i < 8; i++) {
      await guest.run('$.channel.tryReceive().dispose();');
      queues.push(await queued() / cell);
    }
    // Two of 30,000 at a time, then one by one.
    assert.deepEqual(queues, [6, 6, 4, 4, 3, 2, 1, 0]);
    assert.deepEqual(await left(guest), nothing);
  });

  it('in their order and with their metadata, however they are asked for', async () => {
    const count = 3000;
    const sending = host.run(`
      for (let i = 0; i < ${count}; i++) {
        const bytes = io.Aggregate.from(Buffer.alloc(i % 7 === 0 ? 0 : i % 50 === 3 ? 70_000 : i % 90, i % 251));
        const metadata = Buffer.alloc(i % 11 === 0 ? 0 : (i * 37) % 1025, i % 241);
        await $.channel.send(bytes, metadata);
        bytes.dispose();
      }
      $.channel.close();
    `);
    const wrong = await guest.run<string>(`
      let next = 0;
      const check = (message) => {
        const i = next++;
        const length = i % 7 === 0 ? 0 : i % 50 === 3 ? 70_000 : i % 90;
        const bytes = message.aggregate.toBuffer();
        const { metadata } = message;
        const isRight = bytes.length === length && bytes.every((byte) => byte === i % 251) &&
          metadata.length === (i % 11 === 0 ? 0 : (i * 37) % 1025) && metadata.every((byte) => byte === i % 241);
        message.dispose();
        if (!isRight) throw new Error('message ' + i);
      };
      for (let round = 0; ; round++) {
        if (round % 3 === 0) {
          for (let i = 0, message; i < 20 && (message = $.channel.tryReceive()); i++) check(message);
        } else if (round % 3 === 1) {
          const [one, two, three] = await Promise.all([$.channel.receive(), $.channel.receive(), $.channel.receive()]);
          for (const message of [one, two, three]) if (message !== null) check(message);
          if (three === null) break;
        } else {
          let i = 0;
          for await (const message of $.channel) {
            check(message);
            if (++i === 30) break;
          }
          if (i < 30) break;
        }
      }
      return next === ${count} ? 'nothing' : 'the end came after ' + next;
    `);
    await sending;
    assert.equal(wrong, 'nothing');
    assert.deepEqual(await left(guest), nothing);
  });

  it('what was taken and not asked for is held, and goes with the channel', async () => {
    await host.run('await $.sendMany(10, 10);');
    await guest.run('$.message = $.channel.tryReceive();');
    assert.equal(await held(guest), 10);
    await guest.run('$.channel.close();');
    assert.equal(await held(guest), 1, 'the one that was delivered');
    assert.equal(await guest.run('return String($.message.aggregate) + $.message.metadata;'), 'xxxxxxxxxx0');
    await guest.run('$.message.dispose();');
    assert.deepEqual(await left(guest), nothing);
  });

  it('... with a channel that was forgotten', async () => {
    await host.run('await $.sendMany(10, 10);');
    await guest.run('$.channel.tryReceive().dispose();');
    assert.equal(await held(guest), 9);
    await guest.run(`
      $.channel = undefined;
      $.channels = {};
      await $.until(() => (global.gc(), io.stats().liveHolds === 0));
    `);
    assert.deepEqual(await left(guest), nothing);
  });

  it('... and with the window', async () => {
    await host.run('await $.sendMany(10, 10);');
    await guest.run('$.channel.tryReceive().dispose(); $.window.close();');
    await host.run('await $.until(() => io.stats().liveHolds === 0);');
    assert.equal(await guest.run('return $.channel.isClosed;'), true);
  });

  it('a receiver that is killed with some of them: the sender holds nothing more', async () => {
    await host.run('await $.sendMany(100, 10);');
    await guest.run('$.channel.tryReceive();');
    await guest.kill();
    await host.run('await $.until(() => io.stats().liveHolds === 0);');
    assert.deepEqual(await left(host), nothing);
  });

  it('a sender that is killed: all that it sent, then its death', async () => {
    await host.run('await $.sendMany(200, 10);');
    await guest.run('$.first = $.channel.tryReceive();');
    await host.kill();
    const got = await guest.run(`
      let got = 1;
      $.first.dispose();
      try {
        for await (const message of $.channel) {
          if (String(message.aggregate) !== 'xxxxxxxxxx' || String(message.metadata) !== String(got++)) return 'wrong';
          message.dispose();
        }
      } catch (error) {
        return [got, error.code];
      }
    `);
    assert.deepEqual(got, [200, 'ERR_IOL_PEER_DEAD']);
    assert.deepEqual(await left(guest), nothing);
  });

  it('nobody rings or sleeps while both sides are busy', async () => {
    const figures = `
      const figures = () => {
        const [{ domains }] = require('io-lite/inspect').inspectWindows({ id: $.window.id });
        const { rings, sleeps } = domains.find(({ label }) => label === LABEL).doorbell;
        return [rings, sleeps];
      };
    `;
    const count = 20_000;
    const receiving = guest.run<number[]>(`
      ${figures.replace('LABEL', `'guest'`)}
      const before = figures();
      // From here on this thread does not come back to its loop.
      const nothing = io.Aggregate.empty(); // For which nobody has to be asked.
      if (!$.channel.trySend(nothing)) throw new Error('full');
      for (let got = 0; got < ${count}; ) {
        const message = $.channel.tryReceive();
        if (message === undefined) continue;
        got++;
        message.dispose();
      }
      const after = figures();
      nothing.dispose();
      return after.map((figure, i) => figure - before[i]);
    `);
    const sent = await host.run<number[]>(`
      ${figures.replace('LABEL', `'host'`)}
      (await $.channel.receive()).dispose();
      const bytes = $.own(io.Aggregate.from('x'));
      const before = figures();
      for (let sent = 0; sent < ${count}; ) if ($.channel.trySend(bytes)) sent++;
      return figures().map((figure, i) => figure - before[i]);
    `);
    assert.deepEqual(sent, [0, 0]);
    // Its first word may have met a sleeper.
    const [rings, sleeps] = await receiving;
    assert.ok(rings! <= 1 && sleeps === 0, `${rings} rings, ${sleeps} sleeps`);
  });
});
