// Programs that take part because of their environment alone: children, cluster workers, pipelines.
import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { left, nothing, startHost, type Peer } from './world';

describe('programs of one window', function () {
  this.timeout(10_000);
  const hosts: Peer[] = [];
  const start = async (): Promise<Peer> => {
    const { host } = await startHost();
    hosts.push(host);
    return host;
  };
  afterEach(async () => {
    for (const host of hosts.splice(0)) if (host.child.exitCode === null) await host.kill();
  });

  it('window.spawn() and fork(): children that attach, with the environment that they are given', async () => {
    const host = await start();
    const folder = mkdtempSync(path.join(tmpdir(), 'iol-'));
    try {
      const module = path.join(folder, 'module.cjs');
      writeFileSync(module, `process.send([process.env.IOL_WINDOW, process.env.X, process.env.PATH]); process.disconnect();`);
      const [address, spawned, forked, inherited] = await host.run<unknown[]>(`
        const { text } = require('node:stream/consumers');
        const program = "const { Window } = require('io-lite'); const { id, ownDomain: domain } = Window.default(); " +
          "console.log(id === process.argv[1], domain.slot > 0, process.env.X, process.env.PATH)";
        const child = $.window.spawn(process.execPath, ['-e', program, $.window.id], {
          env: { X: 'y', IOL_WINDOW: 'another' }, stdio: ['ignore', 'pipe', 'inherit'] });
        const spawned = await text(child.stdout);
        const fork = (options) => new Promise((resolve) =>
          $.window.fork(${JSON.stringify(module)}, [], options).on('message', resolve));
        return [$.window.address, spawned, await fork({ env: { X: 'z' } }), (await fork())[2] === process.env.PATH];
      `);
      assert.equal(spawned, 'true true y undefined\n');
      assert.deepEqual(forked, [address, 'z', null]);
      assert.equal(inherited, true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('cluster workers attach by IOL_WINDOW and pass aggregates on, without a copy', async () => {
    const host = await start();
    const worker = `
      const io = require('io-lite');
      (async () => {
        const window = await io.Window.attach({ label: process.env.LABEL });
        // Whoever waits for channels lives until told otherwise.
        process.once('disconnect', () => window.close());
        if (process.env.LABEL === 'first') {
          window.on('channel', async (channel) => {
            const message = await channel.receive();
            const onwards = await window.connect('host', { name: 'onwards' });
            const copied = () => Object.values(io.stats().copies).reduce((sum, each) => sum + each.bytes, 0);
            const before = copied();
            await onwards.send(message.aggregate, String(copied() - before));
            message.dispose();
            onwards.close();
            channel.close();
          });
        } else {
          const channel = await window.connect('first');
          const bytes = io.Aggregate.from('from one worker to the other, to the primary');
          await channel.send(bytes);
          process.send(bytes.slices()[0].address);
          bytes.dispose();
          await channel.receive();
          channel.close();
        }
        process.send('ready');
      })();
    `;
    const [text, isSame, copied] = await host.run<[string, boolean, string]>(`
      const cluster = require('node:cluster');
      cluster.setupPrimary({ exec: 'worker', execArgv: ['-e', ${JSON.stringify(worker)}] });
      const said = (worker) => new Promise((resolve) => worker.once('message', resolve));
      const first = cluster.fork($.window.env({ LABEL: 'first' }));
      await said(first);
      const second = cluster.fork($.window.env({ LABEL: 'second' }));
      const address = said(second);
      const channel = await $.opened('onwards');
      const message = await channel.receive();
      const [{ address: got }] = message.aggregate.slices();
      const result = [String(message.aggregate), got === await address, String(message.metadata)];
      message.dispose();
      channel.close();
      await new Promise((resolve) => cluster.disconnect(resolve));
      return result;
    `);
    assert.deepEqual([text, isSame, copied], ['from one worker to the other, to the primary', true, '0']);
    assert.deepEqual(await left(host), nothing);
  });

  it('a shell pipeline: both programs attach, the pipe says who the writer is, the bytes go by reference', async () => {
    const host = await start();
    const writer = `
      const io = require('io-lite');
      (async () => {
        const window = io.Window.default();
        const opened = new Promise((resolve) => window.once('channel', resolve));
        console.log(JSON.stringify(window.ownDomain));
        const channel = await opened;
        const line = io.Aggregate.from('x'.repeat(65535) + '\\n');
        for (let i = 0; i < 200; i++) await channel.send(line, String(i));
        line.dispose();
        channel.close();
        window.close();
      })();
    `;
    const reader = `
      const io = require('io-lite');
      const { text } = require('node:stream/consumers');
      (async () => {
        const window = io.Window.default();
        const domain = JSON.parse((await io.iolRead(0, 4096)).toString());
        const channel = await window.connect(domain);
        let bytes = 0, lines = 0, inOrder = true;
        for await (const message of channel) {
          inOrder = inOrder && String(message.metadata) === String(lines);
          bytes += message.aggregate.byteLength;
          if (message.aggregate.indexOf('\\n') === 65535) lines++;
          message.dispose();
        }
        console.log(lines, bytes, inOrder, io.stats().liveHolds > 1);
        channel.close();
      })();
    `;
    const { code, stdout } = await host.run<{ code: number; stdout: string }>(`
      const { text } = require('node:stream/consumers');
      const child = $.window.spawn('sh', ['-c', '"$NODE" -e "$WRITER" | "$NODE" -e "$READER"'], {
        env: { ...process.env, NODE: process.execPath, WRITER: ${JSON.stringify(writer)}, READER: ${JSON.stringify(reader)} },
        stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = new Promise((resolve) => child.on('exit', resolve));
      return { stdout: await text(child.stdout), code: await ended };
    `);
    assert.deepEqual([code, stdout], [0, `200 ${200 * 65536} true false\n`], host.stderr);
  });
});
