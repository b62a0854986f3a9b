// Channels between two processes of Node.
import assert from 'node:assert/strict';

import { until } from '../e2e/support/flash-lite';
import { areAsleep, canSeeSleep } from '../support/asleep';
import { connect, left, nothing, startGuest, startHost, type Peer } from './world';

describe('a channel between two processes', function () {
  this.timeout(10_000);
  let host: Peer;
  let guest: Peer;
  let count = 0;

  before(async () => {
    const started = await startHost();
    host = started.host;
    guest = await startGuest(started.address);
  });
  after(async () => {
    assert.equal(await guest.end(), '0', guest.stderr);
    assert.equal(await host.end(), '0', host.stderr);
  });
  beforeEach(() => connect(guest, host, 'host', `channel ${++count}`));
  afterEach(async () => {
    await guest.run('$.channel.close();');
    await host.run('$.channel.close();');
    for (const peer of [guest, host]) {
      // What is in flight goes when the other side has closed, too.
      await peer.run('await $.until(() => io.stats().liveHolds === 0);');
      assert.deepEqual(await left(peer), nothing);
    }
  });

  it('brings bytes and metadata, and knows name and peer', async () => {
    await guest.run(`const bytes = $.own(io.Aggregate.from('hello')); await $.channel.send(bytes, 'beside');`);
    const got = await host.run(`
      const message = $.own(await $.channel.receive());
      return [String(message.aggregate), String(message.metadata), $.channel.name, $.channel.peer.epoch];
    `);
    assert.deepEqual(got, ['hello', 'beside', `channel ${count}`, 1]);
    assert.equal(await guest.run('return $.channel.peer.label;'), 'host');
  });

  it('moves no byte: the same addresses on both sides, and no copy is counted', async () => {
    const make = `
      const draft = $.window.defaultPool.allocate(1 << 20);
      new Uint8Array(draft.bytes()).fill(97);
      $.bytes = draft.seal();
    `;
    await guest.run(make);
    const there = await guest.run(`
      const before = JSON.stringify(io.stats().copies);
      await $.channel.send($.bytes);
      $.same = before === JSON.stringify(io.stats().copies);
      return [$.bytes.address, $.bytes.generation];
    `);
    const here = await host.run(`
      const before = JSON.stringify(io.stats().copies);
      $.message = await $.channel.receive();
      $.same = before === JSON.stringify(io.stats().copies);
      const [slice] = $.message.aggregate.slices();
      return [slice.address, slice.generation];
    `);
    assert.deepEqual(here, there);
    assert.deepEqual([await guest.run('return $.same;'), await host.run('return $.same;')], [true, true]);
    // The sender lets go; the receiver still reads.
    await guest.run('$.bytes.dispose();');
    const text = await host.run(`
      const text = $.message.aggregate.toString('utf8', (1 << 20) - 3) + $.message.aggregate.view().length;
      $.message.dispose();
      return text;
    `);
    assert.equal(text, 'aaa1048576');
  });

  it('keeps order, loses nothing and brings nothing twice', async () => {
    const sending = guest.run(`
      for (let i = 0; i < 20_000; i++) {
        const bytes = $.own(io.Aggregate.from(String(i)));
        if (i % 3 !== 0 || !$.channel.trySend(bytes)) await $.channel.send(bytes);
      }
      $.channel.close();
    `);
    const wrong = await host.run(`
      let next = 0;
      for await (const message of $.channel) {
        if (String(message.aggregate) !== String(next++)) return next;
        message.dispose();
      }
      return next === 20_000 ? 'none' : next;
    `);
    await sending;
    assert.equal(wrong, 'none');
  });

  it('corked: wakes a sleeper at the end of the turn, or when uncorked, and loses nothing', async () => {
    const receive = (number: number): Promise<string[]> => host.run<string[]>(`
      const got = [];
      while (got.length < ${number}) {
        const message = await $.channel.receive();
        got.push(String(message.metadata));
        message.dispose();
      }
      return got;
    `);
    const receiving = receive(1030);
    await guest.run(`
      const bytes = $.own(io.Aggregate.from('x'));
      if ($.channel.cork() !== $.channel) throw new Error('not chained');
      for (let i = 0; i < 5; i++) if (!$.channel.trySend(bytes, String(i))) throw new Error('full');
      await new Promise(setImmediate);
      // More than the ring holds: the last ones wait for room.
      for (let i = 5; i < 1029; i++) void $.channel.send(bytes, String(i));
      await $.channel.send(bytes, '1029');
    `);
    assert.deepEqual(await receiving, Array.from({ length: 1030 }, (_, i) => `${i}`));
    const last = receive(1);
    await guest.run(`
      const bytes = $.own(io.Aggregate.from('x'));
      $.channel.trySend(bytes, 'uncorked');
      $.channel.uncork();
    `);
    assert.deepEqual(await last, ['uncorked']);
  });

  it('takes messages of no bytes and of more slices than a message has room for', async () => {
    await guest.run(`
      const none = $.own(io.Aggregate.empty());
      await $.channel.send(none);
      const many = $.own(io.Aggregate.empty());
      const part = $.own(io.Aggregate.from('0123456789'.repeat(40)));
      for (let i = 0; i < 1000; i++) {
        const slice = $.own(part.slice(i % 9, i % 9 + 200));
        many.append(slice);
      }
      $.slices = many.sliceCount;
      await $.channel.send(many);
    `);
    assert.equal(await guest.run('return $.slices;'), 1000);
    const got = await host.run(`
      const first = $.own(await $.channel.receive());
      const second = $.own(await $.channel.receive());
      return [first.aggregate.byteLength, second.aggregate.sliceCount, second.aggregate.toString('utf8', 198, 203)];
    `);
    assert.deepEqual(got, [0, 1000, '89123']);
  });

  it('back-pressure: a reader that stopped fills the ring, and nothing is lost', async () => {
    const sent = await guest.run<number>(`
      const bytes = $.own(io.Aggregate.from('x'));
      let sent = 0;
      while ($.channel.trySend(bytes, String(sent))) sent++;
      $.waiting = $.channel.send(bytes, 'waited');
      // In turn: nothing overtakes who waits.
      if ($.channel.trySend(bytes)) throw new Error('overtaken');
      return sent;
    `);
    assert.equal(sent, 1024, 'one cell of 64 bytes each');
    assert.ok((await guest.run<number>('return $.channel.bytesQueued;')) === 65_536);
    const got = await host.run<number>(`
      let got = 0;
      for (;;) {
        const message = $.own(await $.channel.receive());
        if (String(message.metadata) === 'waited') return got;
        if (String(message.metadata) !== String(got++)) throw new Error('order');
      }
    `);
    assert.equal(got, sent);
    await guest.run('await $.waiting;');
  });

  it('a thread whose reader has stopped sleeps', async function () {
    if (!canSeeSleep) this.skip();
    await guest.run(`const bytes = $.own(io.Aggregate.from('x')); while ($.channel.trySend(bytes));`);
    await until('it to sleep', () => areAsleep(host.child.pid!));
  });

  it('closing: the other side gets everything, then the end; sending there fails', async () => {
    await guest.run(`
      const bytes = $.own(io.Aggregate.from('last'));
      await $.channel.send(bytes);
      $.channel.close();
    `);
    const got = await host.run(`
      const message = $.own(await $.channel.receive());
      const end = [await $.channel.receive(), $.channel.tryReceive()];
      const bytes = $.own(io.Aggregate.from('too late'));
      const failed = await $.channel.send(bytes).catch((error) => error.code);
      return [String(message.aggregate), ...end, failed];
    `);
    assert.deepEqual(got, ['last', null, null, 'ERR_IOL_CLOSED']);
    assert.equal(await guest.run(`return $.channel.receive().catch((error) => error.code);`), 'ERR_IOL_CLOSED');
  });

  it('closing here ends a waiting receive with null, a waiting send with an error', async () => {
    const ends = await guest.run(`
      const bytes = $.own(io.Aggregate.from('x'));
      while ($.channel.trySend(bytes));
      const sending = $.channel.send(bytes).catch((error) => error.code);
      const receiving = $.channel.receive();
      await $.turn();
      $.channel.close();
      return [await receiving, await sending];
    `);
    assert.deepEqual(ends, [null, 'ERR_IOL_CLOSED']);
    await host.run('for await (const message of $.channel) message.dispose();');
  });

  it('a signal gives up what waits, and only that', async () => {
    const ends = await guest.run(`
      const give = new AbortController();
      const first = $.channel.receive({ signal: give.signal }).catch((error) => error.code);
      const second = $.channel.receive();
      const bytes = $.own(io.Aggregate.from('x'));
      let sent = 0;
      while ($.channel.trySend(bytes)) sent++;
      const sending = $.channel.send(bytes, '', { signal: give.signal }).catch((error) => error.code);
      await $.turn();
      give.abort();
      $.second = second;
      return [await first, await sending, await $.channel.receive({ signal: give.signal }).catch((e) => e.code)];
    `);
    assert.deepEqual(ends, Array(3).fill('ERR_IOL_ABORTED'));
    await host.run(`const bytes = $.own(io.Aggregate.from('for the second')); await $.channel.send(bytes);`);
    assert.equal(await guest.run(`const m = $.own(await $.second); return String(m.aggregate);`), 'for the second');
    const received = await host.run(`
      let received = 0;
      for (let message; (message = $.channel.tryReceive()); received++) message.dispose();
      return received;
    `);
    assert.equal(received, 1024);
  });

  it('iolRead and iolWrite: bytes in order across messages, null at the end', async () => {
    await guest.run(`
      await io.iolWrite($.channel, 'hello, ');
      const world = $.own(io.Aggregate.from('world'));
      if (await io.iolWrite($.channel, world) !== 5) throw new Error('length');
      $.channel.close();
    `);
    const got = await host.run(`
      const got = [];
      for (const size of [3, 100, 2, 100, 100]) {
        const bytes = $.own(await io.iolRead($.channel, size));
        got.push(bytes && String(bytes));
      }
      return got;
    `);
    assert.deepEqual(got, ['hel', 'lo, ', 'wo', 'rld', null]);
    for (const verb of [`io.iolReadSync($.channel, 1)`, `io.iolWriteSync($.channel, 'x')`]) {
      await assert.rejects(host.run(verb), { code: 'ERR_IOL_UNSUPPORTED' });
    }
  });

  it('metadata up to 1024 bytes', async () => {
    await guest.run(`
      const bytes = $.own(io.Aggregate.from('x'));
      await $.channel.send(bytes, Buffer.alloc(1024, 7));
    `);
    const got = await host.run(`
      const message = $.own(await $.channel.receive());
      return [message.metadata.length, message.metadata.every((byte) => byte === 7)];
    `);
    assert.deepEqual(got, [1024, true]);
    for (const send of ['send', 'trySend']) {
      await assert.rejects(guest.run(`await $.channel.${send}('x', Buffer.alloc(1025));`), {
        code: 'ERR_OUT_OF_RANGE',
      });
    }
  });

  it('opened 256 times over; the next one is refused', async () => {
    await guest.run(`
      $.many = [];
      for (let i = 1; i < 256; i++) $.many.push(await $.window.connect('host', { name: 'many' + i }));
      const failed = await $.window.connect('host').catch((error) => error.code);
      if (failed !== 'ERR_IOL_BUSY') throw new Error(failed);
      for (const [i, channel] of $.many.entries()) {
        const bytes = $.own(io.Aggregate.from(String(i)));
        await channel.send(bytes);
      }
    `);
    const sum = await host.run(`
      let sum = 0;
      for (let i = 1; i < 256; i++) {
        await $.until(() => $.channels['many' + i]);
        const message = $.own(await $.channels['many' + i].receive());
        sum += Number(message.aggregate.toString());
        $.channels['many' + i].close();
      }
      return sum;
    `);
    assert.equal(sum, (254 * 255) / 2);
    await guest.run('for (const channel of $.many) channel.close();');
  });
});
