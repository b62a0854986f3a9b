// Getting in: hosts, guests, workers, and what is said to those who do not.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { runChild } from '../support/child';
import { connect, Peer, startGuest, startHost } from './world';

describe('attaching', function () {
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

  it('by IOL_WINDOW alone, at the first use of memory: parent, child and grandchild are one window', async () => {
    const { host } = await startHost();
    keep(host);
    const answers = await host.run(`
      const { spawnSync, spawn } = require('node:child_process');
      const child = \`
        const { Aggregate, Window } = require('io-lite');
        const bytes = Aggregate.from('x');
        const { id, ownDomain: domain, isHost, isAttached } = Window.default();
        console.log(id, domain.slot, isHost, isAttached);
        bytes.dispose();
        if (process.argv[1] === 'child') {
          require('node:child_process').spawnSync(process.execPath, ['-e', process.argv[2], 'grandchild'], { stdio: 'inherit' });
        }
      \`;
      // Attaching does not wait for this thread, which waits for the child.
      const { stdout, stderr } = spawnSync(process.execPath, ['-e', child, 'child', child], {
        env: $.window.env(), encoding: 'utf8' });
      return [$.window.id, stdout.trim().split('\\n'), stderr];
    `);
    const [id, lines] = answers as [string, string[]];
    assert.deepEqual(lines, [`${id} 1 false true`, `${id} 2 false true`], JSON.stringify(answers));
  });

  it('tells the host who came and who left', async () => {
    const { host, address } = await startHost();
    keep(host);
    await host.run(`
      $.came = [];
      $.left = [];
      $.window.on('domainAttached', (domain) => $.came.push([domain.label, domain.pid]));
      $.window.on('domainGone', (domain, error) => $.left.push([domain.slot, error?.code]));
    `);
    const orderly = keep(await startGuest(address, 'orderly'));
    const killed = keep(await startGuest(address, 'killed'));
    await orderly.run('$.window.close();');
    await host.run('await $.until(() => $.left.length === 1);');
    await killed.kill();
    const [came, left] = await host.run<[unknown[][], unknown[][]]>(`
      await $.until(() => $.left.length === 2);
      return [$.came, $.left];
    `);
    const wanted = [['orderly', orderly.child.pid], ['killed', killed.child.pid]];
    assert.deepEqual(came.filter(([label]) => label !== 'host'), wanted);
    assert.deepEqual(left, [[1, null], [2, null]]);
  });

  it('at a path, which the next start takes over', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'iol-'));
    try {
      const socket = path.join(folder, 'window');
      const first = keep((await startHost(`{ address: '${socket}' }`)).host);
      await assert.rejects(startHost(`{ address: '${socket}' }`).then(({ host }) => keep(host)), {
        code: 'ERR_IOL_BUSY',
      });
      await first.kill();
      const { host, address } = await startHost(`{ address: '${socket}' }`);
      keep(host);
      assert.ok(address.startsWith(`${socket}#`));
      keep(await startGuest(address));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('nobody there, a wrong token, an address that is none, a host that does not answer', async () => {
    const { host, address } = await startHost();
    keep(host);
    const silent = await startHost(`{ address: '@io-lite-test-silent' }`);
    keep(silent.host).child.kill('SIGSTOP');
    const peer = keep(new Peer());
    const codes = await peer.run(`
      const code = (options) => io.Window.attach(options).catch((error) => error.code + ' ' + (error.path ?? ''));
      const token = '#' + '0'.repeat(32);
      return [
        await code({ address: '@io-lite-test-nobody' + token }),
        await code({ address: '${address.split('#')[0]}' + token }),
        await code({ address: '@x#12' }),
        await code({ address: 'x' + token }),
        await code({ address: '${silent.address}', timeoutMs: 50 }),
        await code(),
      ];
    `);
    assert.deepEqual(codes, [
      'ERR_IOL_SYSTEM @io-lite-test-nobody',
      `ERR_IOL_ACCESS_DENIED ${address.split('#')[0]}`,
      'ERR_IOL_BAD_DESCRIPTOR ',
      'ERR_IOL_BAD_DESCRIPTOR ',
      'ERR_IOL_TIMED_OUT @io-lite-test-silent',
      'ERR_INVALID_ARG_VALUE ',
    ]);
    // None of them has left anything behind that is in the way.
    await peer.run(`$.window = await io.Window.attach({ address: '${address}' });`);
  });

  it('IOL_WINDOW without a host is an error that names it, never a window of one\'s own', async () => {
    const env = { IOL_WINDOW: `@io-lite-test-nobody#${'0'.repeat(32)}` };
    const { stdout, code } = await runChild(`
      const { Aggregate, Window } = require('io-lite');
      for (const use of [() => Aggregate.from('x'), () => Window.default(), () => Window.default()]) {
        try { use(); } catch (error) { console.log(error.code, error.message); }
      }
    `, { env });
    assert.equal(code, 0);
    const line = 'ERR_IOL_SYSTEM ECONNREFUSED: connection refused, connect (IOL_WINDOW)\n';
    assert.equal(stdout, line.repeat(3));
  });

  it('is refused while this thread uses memory of another window', async () => {
    const { host, address } = await startHost();
    keep(host);
    const peer = keep(new Peer());
    const codes = await peer.run(`
      const attach = () => io.Window.attach({ address: '${address}' }).catch((error) => error.code);
      const bytes = io.Aggregate.from('x');
      const codes = [await attach()];
      bytes.dispose();
      const window = io.Window.default();
      codes.push(await attach());
      window.close();
      $.window = await attach();
      codes.push($.window.isAttached, await attach(), await io.Window.create().catch((error) => error.code));
      return codes;
    `);
    assert.deepEqual(codes, ['ERR_IOL_BUSY', 'ERR_IOL_BUSY', true, 'ERR_IOL_BUSY', 'ERR_IOL_BUSY']);
  });

  it('more domains than allowed', async () => {
    const { host, address } = await startHost('{ domainsMax: 2 }');
    keep(host);
    await host.run(`
      $.away = [];
      $.window.on('turnedAway', (pid, error) => $.away.push([pid, error.code]));
    `);
    keep(await startGuest(address));
    const peer = keep(new Peer());
    await assert.rejects(peer.run(`await io.Window.attach({ address: '${address}' });`), {
      code: 'ERR_IOL_WINDOW_FULL',
    });
    const away = await host.run('await $.until(() => $.away.length > 0); return $.away;');
    assert.deepEqual(away, [[peer.child.pid, 'ERR_IOL_WINDOW_FULL']]);
  });

  it('connecting to nobody, to somebody who does not listen, with a signal', async () => {
    const { host, address } = await startHost();
    keep(host);
    const guest = keep(await startGuest(address));
    await host.run(`$.window.removeAllListeners('channel');`);
    const codes = await guest.run<string[]>(`
      const code = (...to) => $.window.connect(...to).then((channel) => channel.name, (error) => error.code);
      return [
        await code('nobody'),
        await code({ slot: 77, epoch: 1 }),
        await code('host'),
        await code('host', { signal: AbortSignal.abort() }),
        await code('guest'),
      ];
    `);
    assert.deepEqual(codes.slice(0, 4), [
      'ERR_IOL_NO_DOMAIN', 'ERR_IOL_NO_DOMAIN', 'ERR_IOL_REFUSED', 'ERR_IOL_ABORTED',
    ]);
  });
});

describe('workers', function () {
  this.timeout(10_000);
  const worker = `
    const { parentPort, workerData } = require('node:worker_threads');
    const io = require('io-lite');
    (async () => {
      const window = workerData.label ? await io.Window.attach({ address: workerData.address, label: workerData.label }) : io.Window.default();
      parentPort.postMessage([window.id, window.ownDomain.slot, window.isHost, window.isAttached]);
      const channel = await window.connect('host', { name: 'worker' });
      const message = await channel.receive();
      await channel.send(message.aggregate, 'from the worker');
      message.dispose();
      await channel.receive().catch(() => {});
    })();
  `;
  for (const place of ['host', 'guest'] as const) {
    it(`of the ${place}'s process are domains of their own, and one's end is heard of`, async () => {
      const { host, address } = await startHost();
      const guest = await startGuest(address);
      try {
        const owner = place === 'host' ? host : guest;
        const facts = await owner.run<[string, unknown[]]>(`
          const { Worker } = require('node:worker_threads');
          $.worker = new Worker(${JSON.stringify(worker)}, { eval: true, workerData: {} });
          $.worker.on('error', (error) => { throw error; });
          return [$.window.id, await new Promise((resolve) => $.worker.once('message', resolve))];
        `);
        assert.deepEqual(facts[1], [facts[0], 2, false, true]);
        const got = await host.run(`
          const channel = await $.opened('worker');
          const bytes = $.own(io.Aggregate.from('to the worker'));
          await channel.send(bytes);
          $.message = await channel.receive();
          return [String($.message.metadata), $.message.aggregate.slices()[0].address === bytes.slices()[0].address];
        `);
        assert.deepEqual(got, ['from the worker', true]);
        await owner.run('await $.worker.terminate();');
        const end = await host.run(`
          const end = await $.channel.receive().catch((error) => error.code);
          const text = String($.message.aggregate);
          $.message.dispose();
          $.channel.close();
          return [end, text, io.stats().liveHolds];
        `);
        assert.deepEqual(end, ['ERR_IOL_PEER_DEAD', 'to the worker', 0]);
      } finally {
        assert.equal(await guest.end(), '0', guest.stderr);
        assert.equal(await host.end(), '0', host.stderr);
      }
    });
  }

  it('a host that closes its window with open channels ends in order', async () => {
    const { host, address } = await startHost();
    const guest = await startGuest(address);
    await connect(guest, host, 'host', 'c');
    await guest.run(`$.gone = new Promise((resolve) => $.window.on('hostGone', resolve));`);
    await host.run(`$.window.close(); $.window = io.Window.default(); $.window.close();`);
    assert.equal(await guest.run('await $.gone; return $.channel.receive();'), null);
    assert.equal(await host.end(), '0', host.stderr);
    assert.equal(await guest.end(), '0', guest.stderr);
  });
});
