// Who may read a pool: by uid, gid, pid and label, among processes that the kernel tells apart.
import assert from 'node:assert/strict';

import { Window, type AccessRule } from 'io-lite';

import { connect, left, nothing, Peer, startGuest, startHost, type PeerOptions } from './world';

const isRoot = process.getuid!() === 0;
const denied = 'ERR_IOL_ACCESS_DENIED';

describe('access lists', function () {
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

  /** A host, and guests called 'a', 'b', … */
  async function world(...options: PeerOptions[]): Promise<Peer[]> {
    const { host, address } = await startHost();
    const started = [keep(host)];
    for (const [i, each] of options.entries()) {
      const label = String.fromCharCode(97 + i);
      started.push(keep(await startGuest(address, label, each)));
      await connect(host, started[i + 1]!, label, label);
      await host.run(`($.to ??= {}).${label} = $.channel;`);
    }
    return started;
  }

  /** Makes `$.secret` of a pool with that list; the inodes of the pool's memory. */
  const makeSecret = (owner: Peer, access: string): Promise<string[]> =>
    owner.run(`
      const inodes = () => new Set(require('node:fs').readFileSync('/proc/self/maps', 'latin1')
        .split('\\n').filter((line) => line.includes('memfd:')).map((line) => line.split(/ +/)[4]));
      const before = inodes();
      $.pool = $.window.createPool({ access: ${access} });
      const draft = $.pool.allocate(6);
      draft.write('secret');
      $.secret = draft.seal();
      return [...inodes()].filter((inode) => !before.has(inode));
    `);

  const sees = (peer: Peer, inodes: string[]): Promise<boolean> =>
    peer.run(`
      const maps = require('node:fs').readFileSync('/proc/self/maps', 'latin1').split('\\n');
      const inodes = ${JSON.stringify(inodes)};
      return maps.some((line) => inodes.includes(line.split(/ +/)[4]));
    `);

  const receive = (peer: Peer): Promise<string> =>
    peer.run(`
      try {
        const message = $.own(await $.channel.receive());
        return String(message.aggregate);
      } catch (error) {
        return error.code;
      }
    `);

  /** Sends the secret to `a`, who may read it, and to `b`, who may not, and then what all may. */
  async function check(access: string, [host, a, b]: Peer[]): Promise<void> {
    const inodes = await makeSecret(host!, access);
    assert.ok(inodes.length > 0);
    await b!.run(`$.denied = []; $.window.on('denied', (_, error) => $.denied.push(error.code));`);
    assert.equal(await sees(a!, inodes), false, 'nothing is granted before it is needed');
    await host!.run(`
      for (const channel of Object.values($.to)) {
        await channel.send($.secret);
        await channel.send($.secret);
        await channel.send('for all');
      }
    `);
    const got: string[][] = [];
    for (const peer of [a!, b!]) {
      got.push([await receive(peer), await receive(peer), await receive(peer)]);
    }
    assert.deepEqual(got, [['secret', 'secret', 'for all'], [denied, denied, 'for all']]);
    assert.equal(await sees(a!, inodes), true);
    assert.equal(await sees(b!, inodes), false, 'nothing of it is mapped');
    assert.deepEqual(await b!.run('return $.denied;'), [denied], 'the host is asked once');
    const open = await b!.run<string[]>(`
      const { readdirSync, statSync } = require('node:fs');
      return readdirSync('/proc/self/fd').map((fd) => {
        try { return String(statSync('/proc/self/fd/' + fd).ino); } catch { return ''; }
      });
    `);
    assert.ok(!open.some((inode) => inodes.includes(inode)), 'no descriptor either');
    await host!.run('for (const channel of Object.values($.to)) channel.close(); $.secret.dispose();');
    await host!.run('$.pool.dispose();');
    for (const peer of [host!, a!, b!]) assert.deepEqual(await left(peer), nothing);
  }

  it('who the peer is: the kernel\'s word to the host, not its own', async function () {
    if (!isRoot) this.skip();
    const [host, a] = await world({ uid: 61001, gid: 61101 });
    const { pid } = a!.child;
    const seen = await host!.run('return $.channel.peer;');
    const { slot, epoch } = await a!.run<{ slot: number; epoch: number }>('return $.window.ownDomain;');
    assert.deepEqual(seen, { slot, epoch, label: 'a', pid, uid: 61001, gid: 61101 });
    // Whoever opened it; and whoever it says it is meanwhile.
    await a!.run(`
      process.title = 'root';
      $.on = await $.window.connect('host', { name: 'on' });
    `);
    const opened = await host!.run(`await $.opened('on'); return $.channel.peer;`);
    assert.deepEqual(opened, seen);
    const { uid, gid, pid: hostPid, label } = await a!.run<Record<string, unknown>>('return $.on.peer;');
    assert.deepEqual([uid, gid, hostPid, label], [process.geteuid!(), process.getegid!(), host!.child.pid, 'host']);
  });

  it('by uid', async function () {
    if (!isRoot) this.skip();
    await check('[{ uid: 61001 }]', await world({ uid: 61001 }, { uid: 61002 }));
  });

  it('by gid', async function () {
    if (!isRoot) this.skip();
    await check('[{ gid: 61101 }]', await world({ uid: 61001, gid: 61101 }, { uid: 61001, gid: 61102 }));
  });

  it('by a supplementary group, of programs that gave up being root before they attached', async function () {
    if (!isRoot) this.skip();
    const { host, address } = await startHost();
    const started = [keep(host)];
    for (const [label, group] of [['a', 61201], ['b', 61202]] as const) {
      const guest = keep(new Peer({ env: { IOL_WINDOW: address } }));
      await guest.run(`
        process.setgroups([61299, ${group}]);
        process.setgid(61001);
        process.setuid(61001);
        $.window = await io.Window.attach({ label: '${label}' });
        $.window.on('channel', (channel) => ($.channel = channel));
        $.opened = () => $.until(() => $.channel);
      `);
      await connect(host, guest, label, label);
      await host.run(`($.to ??= {}).${label} = $.channel;`);
      started.push(guest);
    }
    await check('[{ gid: 61201 }]', started);
  });

  it('by pid', async () => {
    const started = await world({}, {});
    await check(`[{ uid: 4294967294 }, { pid: ${started[1]!.child.pid} }]`, started);
  });

  it('by label', async () => {
    await check(`[{ label: 'nobody' }, { label: 'a' }]`, await world({}, {}));
  });

  it('holds for bytes that are passed on, wherever they come from', async () => {
    const [host, a, b] = (await world({}, {})) as [Peer, Peer, Peer];
    const inodes = await makeSecret(host, `[{ label: 'a' }]`);
    await host.run('await $.to.a.send($.secret);');
    await a.run(`
      $.message = await $.channel.receive();
      $.on = await $.window.connect('b', { name: 'on' });
      await $.on.send(io.Aggregate.concat('before ', $.message.aggregate, ' after'));
      await $.on.send('more');
    `);
    await b.run(`await $.opened('on');`);
    assert.deepEqual([await receive(b), await receive(b)], [denied, 'more']);
    assert.equal(await sees(b, inodes), false);
    // Back to its owner, who may always.
    await a.run('await $.channel.send($.message.aggregate); $.message.dispose();');
    await host.run(`$.channel = $.to.a;`);
    assert.equal(await receive(host), 'secret');
  });

  it('holds for the host\'s process; what the owner copies into another pool is under that one\'s list', async () => {
    const [host, a, b] = (await world({}, {})) as [Peer, Peer, Peer];
    await makeSecret(a, `[{ label: 'b' }]`);
    await a.run(`
      await $.channel.send($.secret);
      await $.channel.send($.own(io.Aggregate.from($.secret.toBuffer())));
      $.on = await $.window.connect('b', { name: 'on' });
      await $.on.send($.secret);
    `);
    await host.run('$.channel = $.to.a;');
    await b.run(`await $.opened('on');`);
    assert.deepEqual([await receive(host), await receive(host), await receive(b)], [denied, 'secret', 'secret']);
  });

  it('says what is wrong with a list, and makes nothing', () => {
    const window = Window.default();
    const refused = (access: unknown, name: string, code: string): void => {
      const before = window.stats().bytesCommitted;
      assert.throws(() => window.createPool({ access: access as AccessRule[] }), (error: Error & { code: string }) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, /^The (value of )?"/);
        assert.ok(error.message.includes(`"${name}"`), error.message);
        return true;
      });
      assert.equal(window.stats().bytesCommitted, before);
    };
    const type = 'ERR_INVALID_ARG_TYPE';
    const value = 'ERR_INVALID_ARG_VALUE';
    const range = 'ERR_OUT_OF_RANGE';
    refused('root', 'options.access', type);
    refused({ uid: 0 }, 'options.access', type);
    refused([], 'options.access', value);
    refused(Array(17).fill({ uid: 0 }), 'options.access.length', range);
    refused([{ uid: 0 }, 0], 'options.access[1]', type);
    refused([{}], 'options.access[0]', value);
    refused([{ uid: 0, gid: 0 }], 'options.access[0]', value);
    refused([{ user: 0 }], 'options.access[0]', value);
    refused([{ uid: '0' }], 'options.access[0].uid', type);
    refused([{ uid: -1 }], 'options.access[0].uid', range);
    refused([{ uid: 2 ** 32 - 1 }], 'options.access[0].uid', range);
    refused([{ gid: 0.5 }], 'options.access[0].gid', range);
    refused([{ pid: 0 }], 'options.access[0].pid', range);
    refused([{ label: 7 }], 'options.access[0].label', type);
    refused([{ label: '' }], 'options.access[0].label', value);
    refused([{ label: 'two words' }], 'options.access[0].label', value);
    refused([{ label: 'ü' }], 'options.access[0].label', value);
    refused([{ label: 'x'.repeat(32) }], 'options.access[0].label', value);
    const longest: AccessRule[] = Array.from({ length: 15 }, (_, i) => ({ uid: i }));
    window.createPool({ access: [...longest, { label: 'x'.repeat(31) }] }).dispose();
  });
});
