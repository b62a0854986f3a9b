// Every public member of Channel and Message: while open, after close(), after the window's close(),
// and with wrong arguments. Played by a guest, for this process has no window with a host.
import assert from 'node:assert/strict';

import { Channel, Message } from 'io-lite';

import { runChild } from '../support/child';
import { connect, left, nothing, startGuest, startHost, type Peer } from './world';

const type = 'ERR_INVALID_ARG_TYPE';
const range = 'ERR_OUT_OF_RANGE';

interface Row {
  /** An expression of `c`, the channel, or `m`, the message. */
  use: string;
  /** It answers after the end, too. */
  always?: true;
  wrong?: readonly (readonly [string, string])[];
}

const channelRows: Record<string, Row> = {
  isClosed: { use: 'c.isClosed', always: true },
  bytesQueued: { use: 'c.bytesQueued' },
  send: {
    use: `c.send('x')`,
    wrong: [
      ['c.send()', type],
      ['c.send(5)', type],
      [`c.send('x', 5)`, type],
      [`c.send('x', [1])`, type],
      [`c.send('x', 'y'.repeat(1025))`, range],
      [`c.send('x', '', 5)`, type],
      [`c.send('x', '', { signal: 5 })`, type],
      [`c.send($.gone)`, 'ERR_IOL_CLOSED'],
    ],
  },
  trySend: {
    use: `c.trySend('x')`,
    wrong: [
      ['c.trySend()', type],
      ['c.trySend(null)', type],
      [`c.trySend('x', 5)`, type],
      [`c.trySend('x', new Uint8Array(1025))`, range],
      [`c.trySend($.gone)`, 'ERR_IOL_CLOSED'],
    ],
  },
  receive: {
    use: 'Promise.race([c.receive(), $.turn()])',
    wrong: [['c.receive(5)', type], ['c.receive({ signal: 5 })', type]],
  },
  tryReceive: { use: 'c.tryReceive()' },
  // Its end is that of the loop.
  'Symbol(Symbol.asyncIterator)': { use: 'Promise.race([c[Symbol.asyncIterator]().next(), $.turn()])', always: true },
  cork: { use: 'c.cork()' },
  uncork: { use: 'c.uncork()' },
  close: { use: 'c.isClosed && c.close()', always: true },
  dispose: { use: 'c.isClosed && c.dispose()', always: true },
  ref: { use: 'c.ref()', always: true },
  unref: { use: 'c.unref()', always: true },
};

const messageRows: Record<string, Row> = {
  dispose: { use: 'm.dispose()', always: true },
  'Symbol(Symbol.dispose)': { use: 'm[Symbol.dispose]()', always: true },
};

function membersOf(prototype: object): string[] {
  const names = Reflect.ownKeys(prototype).map((key) =>
    key === Symbol.dispose ? 'Symbol(Symbol.dispose)' : String(key));
  return names.filter((name) => !['constructor', 'inspectFields'].includes(name)).sort();
}

describe('states of Channel and Message', function () {
  this.timeout(20_000);
  let host: Peer;
  let guest: Peer;

  before(async () => {
    const started = await startHost();
    host = started.host;
    guest = await startGuest(started.address);
    await guest.run(`$.gone = io.Aggregate.from('gone'); $.gone.dispose();`);
  });
  after(async () => {
    assert.deepEqual(await left(guest), nothing);
    assert.equal(await guest.end(), '0', guest.stderr);
    assert.equal(await host.end(), '0', host.stderr);
  });

  const codeOf = (use: string): Promise<unknown> =>
    guest.run(`
      const c = $.channel;
      const m = $.message;
      try { await (${use}); return 'ok'; } catch (error) { return error.code; }
    `);

  it('there is a row for every member', () => {
    assert.deepEqual(membersOf(Channel.prototype), Object.keys(channelRows).sort());
    assert.deepEqual(membersOf(Message.prototype), Object.keys(messageRows).sort());
  });

  it('Channel: open, with wrong arguments, and closed', async () => {
    await connect(guest, host, 'host', 'states');
    for (const [name, { use, wrong = [] }] of Object.entries(channelRows)) {
      assert.equal(await codeOf(use), 'ok', name);
      for (const [call, code] of wrong) assert.equal(await codeOf(call), code, call);
    }
    assert.equal(await host.run(`
      let got = 0;
      for (; got < 2; got++) (await $.channel.receive()).dispose();
      return $.channel.tryReceive() === undefined ? got : 'more';
    `), 2, 'send and trySend, and nothing of what was wrong');
    await guest.run('for (let i = 0; i < 3; i++) $.channel.close();');
    for (const [name, { use, always }] of Object.entries(channelRows)) {
      assert.equal(await codeOf(use), always ? 'ok' : 'ERR_IOL_CLOSED', name);
    }
    await host.run('$.channel.close();');
  });

  it('Message: open, and released', async () => {
    await connect(guest, host, 'host', 'message');
    await host.run(`await $.channel.send('x', 'y');`);
    await guest.run('$.message = await $.channel.receive();');
    assert.equal(await guest.run(`return $.message.aggregate.toString() + $.message.metadata;`), 'xy');
    for (let i = 0; i < 2; i++) {
      for (const { use } of Object.values(messageRows)) assert.equal(await codeOf(use), 'ok');
    }
    assert.equal(await codeOf('m.aggregate.toString()'), 'ERR_IOL_CLOSED');
    await guest.run('$.channel.close();');
    await host.run('$.channel.close();');
  });

  it('neither can be made by new, nor cloned', async () => {
    await connect(guest, host, 'host', 'clone');
    assert.equal(await codeOf('structuredClone(c)'), 25, 'DataCloneError');
    assert.equal(await codeOf('new io.Channel()'), 'ERR_ILLEGAL_CONSTRUCTOR');
    assert.equal(await codeOf('new io.Message()'), 'ERR_ILLEGAL_CONSTRUCTOR');
    await guest.run('$.channel.close();');
    await host.run('$.channel.close();');
  });

  it('a forgotten channel is closed and reported', async () => {
    const address = await host.run<string>('return $.window.address;');
    const { stderr, code } = await runChild(`
      const io = require('io-lite');
      (async () => {
        const home = await io.Window.attach();
        await (async () => { await home.connect('host', { name: 'forgotten' }); })();
        for (let i = 0; i < 20; i++) {
          await new Promise((resolve) => setImmediate(resolve));
          global.gc();
        }
        home.close();
      })();
    `, { env: { IOL_WINDOW: address, IOL_LEAKS: 'paranoid' }, nodeOptions: ['--expose-gc'] });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /channel/);
    assert.match(stderr, /not released/);
    assert.equal(await host.run(`
      const channel = await $.opened('forgotten');
      const end = await channel.receive();
      channel.close();
      return end;
    `), null);
  });

  it('closing the window ends them all', async () => {
    await connect(guest, host, 'host', 'window');
    const ends = await guest.run(`
      const receiving = $.channel.receive();
      const opening = $.window.connect('nobody').catch((error) => error.code);
      $.window.close();
      const ends = [await receiving, await opening, $.channel.isClosed];
      $.window = await io.Window.attach();
      return ends;
    `);
    assert.deepEqual(ends, [null, 'ERR_IOL_CLOSED', true]);
    for (const [name, { use, always }] of Object.entries(channelRows)) {
      assert.equal(await codeOf(use), always ? 'ok' : 'ERR_IOL_CLOSED', name);
    }
    await host.run('if (await $.channel.receive() !== null) throw new Error(); $.channel.close();');
  });
});
