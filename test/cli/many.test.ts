/** A window of several processes, looked at while they work, are stopped, misbehave and die. */
import { strict as assert } from 'node:assert';
import { inspectWindows, findLeaks, type WindowReport } from 'io-lite/inspect';
import { connect, Peer, startGuest, startHost } from '../channels/world';
import { iol, iolJson } from './world';

describe('iol: a window of several processes', function () {
  this.timeout(60_000);
  let host: Peer;
  let guest: Peer;
  let address: string;
  let socket: string;
  before(async () => {
    ({ host, address } = await startHost());
    socket = address.split('#')[0]!;
    guest = await startGuest(address, 'worker');
    await connect(guest, host, 'host', 'orders');
  });
  after(async () => {
    for (const peer of [guest, host]) {
      if (peer.child.exitCode === null && peer.child.signalCode === null) await peer.kill();
    }
  });

  const show = (): WindowReport => {
    const [report, ...more] = inspectWindows({ address });
    assert.ok(report);
    assert.equal(more.length, 0);
    return report;
  };
  // The host writes its table at the end of its turn, a moment after what it answered.
  async function until(isTrue: (report: WindowReport) => boolean): Promise<WindowReport> {
    for (;;) {
      const report = show();
      if (isTrue(report)) return report;
      await host.run('');
    }
  }

  it('lists who is in, by label and process, with and without the token', () => {
    const report = show();
    assert.equal(report.address, socket);
    assert.deepEqual([report.host?.pid, report.host?.state], [host.child.pid, 'running']);
    assert.deepEqual(
      report.domains.map(({ label, pid, membership, state }) => [label, pid, membership, state]),
      [['host', host.child.pid, 'attached', 'running'], ['worker', guest.child.pid, 'attached', 'running']],
    );
    assert.deepEqual(inspectWindows({ address: socket }).map(({ id }) => id), [report.id]);
    assert.deepEqual(iolJson<WindowReport[]>(['show'], { IOL_WINDOW: address }).map(({ id }) => id), [report.id]);
    const all = iol(['show', '--window', socket]).stdout;
    assert.ok(all.includes(socket) && all.includes('worker'));
    assert.ok(!all.includes(address.split('#')[1]!), 'the token is nobody\'s business');
  });

  it('shows both directions of a channel, and how full it is', async () => {
    const channels = show().channels.filter(({ label }) => label === 'orders');
    assert.deepEqual(channels.map(({ from, to, state, queuedMessages }) => [from, to, state, queuedMessages]), [
      ['0.1', '1.1', 'open', 0], ['1.1', '0.1', 'open', 0],
    ]);
    await guest.run(`
      for (const size of [5000, 100, 3]) {
        const bytes = io.Aggregate.from(Buffer.alloc(size, 1));
        await $.channel.send(bytes, 'some metadata');
        bytes.dispose();
      }
    `);
    const full = show().channels.find(({ from }) => from === '1.1');
    assert.deepEqual([full?.queuedMessages, full?.queuedBytes, full?.isBlocked], [3, 5103, false]);
    assert.equal(full?.queuedRingBytes, full?.ringBytesTotal);
    assert.match(iol(['channels', '--window', socket]).stdout, /worker \(1\.1\) +host \(0\.1\) +orders #\d+ +open +3 /);
  });

  it('shows who holds what of whom, and since when', async () => {
    await host.run('$.messages = []; for (let i = 0; i < 3; i++) $.messages.push(await $.channel.receive());');
    const report = show();
    assert.equal(report.channels.find(({ from }) => from === '1.1')?.queuedMessages, 0);
    const hold = report.holds.find(({ holder, owner }) => holder === '0.1' && owner === '1.1');
    assert.equal(hold?.buffers, 3);
    assert.equal(hold?.holds, 3);
    assert.ok(hold !== undefined && hold.bytes >= 5103 && hold.bytes < 16_384, String(hold?.bytes));
    assert.ok(hold.oldestSeconds !== null && hold.oldestSeconds < 60);
    assert.match(iol(['holds', '--window', socket]).stdout, /worker \(1\.1\) .*host \(0\.1\) +3 /);
  });

  it('sees a stopped process, and what it has', () => {
    process.kill(guest.child.pid!, 'SIGSTOP');
    try {
      const report = show();
      assert.equal(report.domains[1]?.state, 'stopped');
      assert.equal(report.holds.find(({ holder, owner }) => holder === '0.1' && owner === '1.1')?.buffers, 3);
      assert.match(iol(['domains', '--window', socket]).stdout, /1\.1 +worker .*stopped/);
    } finally {
      process.kill(guest.child.pid!, 'SIGCONT');
    }
  });

  it('sees a stopped host', () => {
    process.kill(host.child.pid!, 'SIGSTOP');
    try {
      assert.equal(show().host?.state, 'stopped');
    } finally {
      process.kill(host.child.pid!, 'SIGCONT');
    }
  });

  it('remembers whom the host turned away, and why', async () => {
    const wrong = `${socket}#${'0'.repeat(32)}`;
    const stranger = new Peer({ env: { IOL_WINDOW: wrong } });
    await assert.rejects(stranger.run('await io.Window.attach();'));
    await stranger.kill();
    const report = await until(({ incidents }) => incidents.length > 0);
    const [incident] = report.incidents;
    assert.deepEqual(
      [incident?.kind, incident?.by, incident?.domain, incident?.code],
      ['turned-away', 'host', null, 'ERR_IOL_ACCESS_DENIED'],
    );
    assert.match(incident?.message ?? '', /^token/);
    assert.equal(report.host?.counts.turnedAway, 1);
    assert.match(iol(['incidents', '--window', socket]).stdout, /turned-away .* ERR_IOL_ACCESS_DENIED token/);
  });

  it('sees a death, and what is held of the dead', async () => {
    await guest.kill();
    const report = await until(({ incidents }) => incidents.some(({ kind }) => kind === 'died'));
    const incident = report.incidents.find(({ kind }) => kind === 'died');
    assert.deepEqual([incident?.domain, incident?.label, incident?.pid], ['1.1', 'worker', guest.child.pid]);
    const dead = report.domains.find(({ name }) => name === '1.1');
    assert.deepEqual([dead?.state, dead?.membership, dead?.label], ['dead', 'ended', 'worker']);
    const [leak, ...more] = findLeaks(report, report);
    assert.deepEqual([leak?.kind, leak?.domain, leak?.pid, leak?.buffers, more.length], ['orphaned', '0.1', host.child.pid, 3, 0]);
    const { code, stdout } = iol(['leaks', '--window', socket, '--seconds', '0']);
    assert.equal(code, 3);
    assert.match(stdout, /orphaned +host \(0\.1\)/);
    assert.equal(iol(['leaks', '--window', socket, '--seconds', '0', '--pid', '1']).code, 0);
    await host.run('for (const each of $.messages) each.dispose(); $.channel.close();');
    assert.deepEqual(findLeaks(show(), show()), []);
    await until(({ domains }) => !domains.some(({ name }) => name === '1.1'));
  });

  it('sees a window whose host is dead', async () => {
    const left = await startGuest(address, 'left');
    await host.kill();
    const report = show();
    assert.equal(report.host, null);
    assert.equal(report.address, socket);
    assert.deepEqual(report.domains.filter(({ isVisible }) => isVisible).map(({ label, state }) => [label, state]), [['left', 'running']]);
    assert.match(iol(['show', '--window', socket]).stdout, /host +is gone/);
    await left.kill();
    assert.equal(iol(['show', '--window', socket]).code, 1);
  });
});
