// What a domain may commit, and what others of its user may do to it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

import { until } from '../e2e/support/flash-lite';
import { areAsleep, canSeeSleep } from '../support/asleep';
import { connect, left, nothing, Peer, startGuest, startHost } from './world';

const isRoot = process.getuid!() === 0;
const MiB = 1024 * 1024;

describe('limits of domains', function () {
  this.timeout(10_000);
  const peers: Peer[] = [];
  const keep = (peer: Peer): Peer => {
    peers.push(peer);
    return peer;
  };
  afterEach(async () => {
    for (const peer of peers.splice(0)) {
      if (peer.child.exitCode === null && peer.child.signalCode === null) await peer.kill();
    }
  });

  const fill = (peer: Peer, pool: string, bytes: number): Promise<[string, string] | null> =>
    peer.run(`
      try {
        ($.filled ??= []).push(${pool}.allocate(${bytes}));
        return null;
      } catch (error) {
        return [error.code, error.message];
      }
    `);

  it('a pool\'s maxBytes, in a guest: the others of its pools go on', async () => {
    const { host, address } = await startHost();
    keep(host);
    const guest = keep(await startGuest(address));
    await guest.run(`
      $.small = $.window.createPool({ maxBytes: ${4 * MiB} });
      $.other = $.window.createPool({ maxBytes: ${4 * MiB} });
    `);
    assert.equal(await fill(guest, '$.small', 3 * MiB), null);
    const [code, message] = (await fill(guest, '$.small', 2 * MiB))!;
    assert.equal(code, 'ERR_IOL_POOL_FULL');
    assert.match(message, /^pool: .*4194304/);
    assert.equal(await fill(guest, '$.other', 3 * MiB), null);
    await guest.run('for (const draft of $.filled) draft.dispose();');
    assert.deepEqual(await left(guest), nothing);
  });

  it('domainMaxBytes bounds all pools of each domain together, the host\'s included', async () => {
    const { host, address } = await startHost(`{ domainMaxBytes: ${8 * MiB} }`);
    keep(host);
    const one = keep(await startGuest(address, 'one'));
    const other = keep(await startGuest(address, 'other'));
    for (const peer of [one, other, host]) {
      await peer.run('$.a = $.window.createPool(); $.b = $.window.createPool();');
      assert.equal(await fill(peer, '$.a', 5 * MiB), null);
      const [code, message] = (await fill(peer, '$.b', 5 * MiB))!;
      assert.equal(code, 'ERR_IOL_POOL_FULL');
      assert.match(message, /^domain: .*8388608/);
    }
    // Nothing was taken by the attempts; and what is given back may be taken by another pool.
    const [code, text] = await one.run<[string, string]>(`
      let code;
      try { io.Aggregate.from(Buffer.alloc(${6 * MiB})); } catch (error) { code = error.code; }
      const small = $.own(io.Aggregate.from('still here'));
      return [code, String(small)];
    `);
    assert.deepEqual([code, text], ['ERR_IOL_POOL_FULL', 'still here']);
    await one.run('for (const draft of $.filled.splice(0)) draft.dispose(); $.a.trim();');
    assert.equal(await fill(one, '$.b', 5 * MiB), null);
    await connect(one, other, 'other', 'c');
    await one.run(`await $.channel.send('both go on');`);
    const got = await other.run('return String($.own(await $.channel.receive()).aggregate);');
    assert.equal(got, 'both go on');
  });

  it('undumpable: no process of the same user reads or writes its memory, and everything else works', async function () {
    const yama = '/proc/sys/kernel/yama/ptrace_scope';
    const isRestricted = existsSync(yama) && readFileSync(yama, 'latin1').trim() !== '0';
    // Nothing is kept from root; with ptrace_scope nobody may to begin with.
    if (!isRoot || isRestricted) this.skip();
    const { host, address } = await startHost();
    keep(host);
    const open = await startGuest(address, 'open', { uid: 61001 });
    const shut = new Peer({ uid: 61001, env: { IOL_WINDOW: address } });
    await shut.run(`
      $.window = await io.Window.attach({ label: 'shut', undumpable: true });
      $.window.on('channel', (channel) => ($.channel = channel));
      $.opened = () => $.until(() => $.channel);
    `);
    const spy = new Peer({ uid: 61001 });
    [open, shut, spy].forEach(keep);
    const tryOpen = (peer: Peer, path: string): Promise<string> =>
      spy.run(`
        const fs = require('node:fs');
        try {
          const path = '/proc/${peer.child.pid}/${path}';
          fs.closeSync(fs.openSync(path, path.endsWith('mem') ? 'r+' : 'r'));
          return 'opened';
        } catch (error) {
          return error.code;
        }
      `);
    assert.equal(await tryOpen(open, 'mem'), 'opened', 'or this test shows nothing');
    assert.equal(await tryOpen(shut, 'mem'), 'EACCES');
    assert.equal(await tryOpen(shut, 'maps'), 'EACCES');
    assert.equal(await tryOpen(shut, 'fd'), 'EACCES');
    await connect(open, shut, 'shut', 'c');
    await open.run(`await $.channel.send('hello');`);
    const text = await shut.run(`
      const message = $.own(await $.channel.receive());
      await $.channel.send($.own(io.Aggregate.from('and back')));
      return String(message.aggregate);
    `);
    assert.equal(text, 'hello');
    assert.equal(await open.run('return String($.own(await $.channel.receive()).aggregate);'), 'and back');
  });

  it('a hundred idle channels, all of them awaited: neither side runs', async function () {
    if (!canSeeSleep) this.skip();
    const { host, address } = await startHost();
    keep(host);
    const guest = keep(await startGuest(address));
    await guest.run(`
      $.open = [];
      for (let i = 0; i < 100; i++) $.open.push(await $.window.connect('host', { name: 'n' + i }));
      for (const channel of $.open) channel.receive().catch(() => {});
    `);
    await host.run(`
      await $.until(() => Object.keys($.channels).length === 100);
      for (const channel of Object.values($.channels)) channel.receive().catch(() => {});
    `);
    await until('both to sleep', () => areAsleep(host.child.pid!, guest.child.pid!));
  });
});
