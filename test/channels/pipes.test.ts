// Pipes between two programs: by name when both speak, as bytes otherwise; the right bytes, whoever dies.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { left, nothing, startGuest, startHost, type Peer } from './world';

/** In a peer: the pipe, and what becomes of it. */
const reading = `
  const fs = require('node:fs');
  $.fd = fs.openSync(PIPE, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  $.count = 0;
  $.read = async (size = 1 << 20) => {
    const bytes = await io.iolRead($.fd, size, { upgrade: true });
    if (bytes === null) return null;
    $.count++;
    const [{ address }] = bytes.slices();
    const text = bytes.toString();
    bytes.dispose();
    return { text, address };
  };
  $.readAll = async () => {
    let text = '';
    for (let piece; (piece = await $.read()) !== null;) text += piece.text;
    return text;
  };
`;
const writing = `
  const fs = require('node:fs');
  $.fd = fs.openSync(PIPE, fs.constants.O_WRONLY);
  $.write = (text) => {
    const bytes = io.Aggregate.from(text);
    const [{ address }] = bytes.slices();
    return io.iolWrite($.fd, bytes, { upgrade: true }).then(() => address).finally(() => bytes.dispose());
  };
`;

describe('pipes', function () {
  this.timeout(20_000);
  let folder: string;
  const peers: Peer[] = [];
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-pipes-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  afterEach(async () => {
    for (const peer of peers.splice(0).reverse()) if (peer.child.exitCode === null) await peer.kill();
  });

  let pipes = 0;
  /** Two domains of one window with the ends of a pipe of their own. */
  async function start(): Promise<{ writer: Peer; reader: Peer; address: string; pipe: string }> {
    const pipe = JSON.stringify(path.join(folder, `${pipes++}`));
    execFileSync('mkfifo', [JSON.parse(pipe) as string]);
    const { host: reader, address } = await startHost();
    peers.push(reader);
    const writer = await startGuest(address, 'writer');
    peers.push(writer);
    await reader.run(reading.replace('PIPE', pipe));
    await writer.run(writing.replace('PIPE', pipe));
    return { writer, reader, address, pipe };
  }

  /** Writes and reads one byte after the other until one comes by name: from then on all do. */
  async function upgrade(writer: Peer, reader: Peer): Promise<void> {
    for (;;) {
      const [got, sent] = await Promise.all([
        reader.run<{ address: number }>('return $.read();'),
        writer.run<number>(`return $.write('.');`),
      ]);
      if (got.address === sent) return;
    }
  }

  it('both speak: the same bytes at the same address, and none was copied on either side', async () => {
    const { writer, reader } = await start();
    await upgrade(writer, reader);
    const copied = `return Object.entries(io.stats().copies).map(([reason, { bytes }]) => reason + bytes).join();`;
    const before = await reader.run(copied);
    const write = `
      const bytes = $.bytes ??= io.Aggregate.from('x'.repeat(300_000) + 'y');
      const before = JSON.stringify(io.stats().copies);
      const [{ address }] = bytes.slices();
      await io.iolWrite($.fd, bytes, { upgrade: true });
      return [address, before === JSON.stringify(io.stats().copies)];
    `;
    const read = `
      const parts = [];
      for (let left = 300_001; left > 0;) {
        const size = left > 300_000 ? 100 : left > 299_900 ? 1 : left;
        const bytes = await io.iolRead($.fd, size, { upgrade: true });
        const [{ address }] = bytes.slices();
        parts.push([address, bytes.byteLength, String.fromCharCode(bytes.at(-1))]);
        left -= bytes.byteLength;
        bytes.dispose();
      }
      return parts;
    `;
    // On a machine that is busy the reader may answer too late, and get bytes.
    for (;;) {
      const [got, [address, isSame]] = await Promise.all([
        reader.run<[number, number, string][]>(read), writer.run<[number, boolean]>(write),
      ]);
      if (got[0]![0] !== address) continue;
      assert.equal(isSame, true);
      assert.deepEqual(got, [[address, 100, 'x'], [address + 100, 1, 'x'], [address + 101, 299_900, 'y']]);
      break;
    }
    assert.equal(await reader.run(copied), before);
    await writer.run(`$.bytes.dispose();`);
    await writer.run(`require('node:fs').closeSync($.fd)`);
    assert.equal(await reader.run('return $.read();'), null);
    assert.deepEqual([await left(writer), await left(reader)], [nothing, nothing]);
  });

  it('whoever else writes to the pipe, and however: everything in the order of the calls', async () => {
    const { writer, reader } = await start();
    await upgrade(writer, reader);
    const reads = reader.run<string>('return $.readAll();');
    await writer.run(`
      const fs = require('node:fs');
      const { execFileSync } = require('node:child_process');
      const plain = (text) => { const bytes = io.Aggregate.from(text); io.iolWriteSync($.fd, bytes); bytes.dispose(); };
      for (let i = 0; i < 300; i++) {
        await $.write(i + 'a ');
        if (i % 3 === 0) fs.writeSync($.fd, i + 'b ');
        if (i % 5 === 0) plain(i + 'c ');
        if (i % 7 === 0) await io.iolWrite($.fd, i + 'd ');
        if (i % 100 === 0) execFileSync('sh', ['-c', 'echo ' + i + 'e'], { stdio: ['ignore', $.fd, 'inherit'] });
      }
      fs.closeSync($.fd);
    `);
    let wanted = '';
    for (let i = 0; i < 300; i++) {
      wanted += `${i}a ${i % 3 === 0 ? `${i}b ` : ''}${i % 5 === 0 ? `${i}c ` : ''}`;
      wanted += `${i % 7 === 0 ? `${i}d ` : ''}${i % 100 === 0 ? `${i}e\n` : ''}`;
    }
    assert.equal(await reads, wanted);
  });

  it('several writes at a time, some given up: the others in their order', async () => {
    const { writer, reader } = await start();
    await upgrade(writer, reader);
    const given = await writer.run(`
      const given = new AbortController();
      // Two are in flight at most while each is so large: the third waits for the reader.
      const large = io.Aggregate.from('L'.repeat(1 << 20));
      const write = (signal) => io.iolWrite($.fd, large, { upgrade: true, signal });
      $.writes = Promise.all([write(), write(), write(given.signal).catch(({ code }) => code), $.write('end')]);
      await $.until(() => io.stats().aggregates > 0);
      given.abort();
      $.writes = $.writes.finally(() => large.dispose());
      return true;
    `);
    assert.equal(given, true);
    const text = await reader.run<[number, string]>(`
      let bytes = 0;
      for (;;) {
        const { text } = await $.read();
        if (text === 'end') return [bytes, text];
        bytes += text.length;
      }
    `);
    assert.deepEqual(text, [2 << 20, 'end']);
    assert.equal((await writer.run<unknown[]>('return $.writes;'))[2], 'ERR_IOL_ABORTED');
    assert.deepEqual(await left(writer), nothing);
  });

  it('a reader that is killed: EPIPE, and what it had not taken is released', async () => {
    const { writer, reader: host, address, pipe } = await start();
    const reader = await startGuest(address, 'reader');
    peers.push(reader);
    await reader.run(reading.replace('PIPE', pipe));
    await host.run(`require('node:fs').closeSync($.fd)`);
    await upgrade(writer, reader);
    await writer.run(`for (let i = 0; i < 10; i++) await $.write('unread');`);
    await reader.kill();
    const code = await writer.run(`
      for (;;) {
        const error = await $.write('more').then(() => undefined, (error) => error);
        if (error !== undefined) return error.message;
      }
    `);
    assert.match(String(code), /EPIPE/);
    await writer.run(`await $.until(async () => (await $.turn(), io.stats().liveHolds === 0));`);
    assert.deepEqual(await left(writer), nothing);
  });

  it('a reader that closes its descriptor while a write waits for it: EPIPE', async () => {
    const { writer, reader } = await start();
    await upgrade(writer, reader);
    await writer.run(`
      const large = io.Aggregate.from('L'.repeat(1 << 20));
      $.writes = Promise.allSettled([0, 1, 2, 3].map(() => io.iolWrite($.fd, large, { upgrade: true })));
      large.dispose();
      await $.turn();
    `);
    await reader.run(`require('node:fs').closeSync($.fd)`);
    const reasons = await writer.run<string[]>(`
      return (await $.writes).map(({ reason }) => reason && reason.message.split(':')[0]);
    `);
    assert.equal(reasons.at(-1), 'EPIPE');
  });

  it('a writer that is killed: all that it had written, then the end', async () => {
    const { writer, reader } = await start();
    await upgrade(writer, reader);
    await writer.run(`for (let i = 0; i < 50; i++) await $.write(i + ' ');`);
    await writer.kill();
    const text = await reader.run('return $.readAll();');
    assert.equal(text, Array.from({ length: 50 }, (_, i) => `${i} `).join(''));
    assert.deepEqual(await left(reader), nothing);
  });

  it('a writer that is killed while it writes: whole messages in their order, then the end', async () => {
    for (let round = 0; round < 2; round++) {
      const { writer, reader } = await start();
      await upgrade(writer, reader);
      const reads = reader.run<string>('return $.readAll();');
      await writer.run(`
        setImmediate(async () => {
          for (let i = 0;; i++) await $.write(i + ' '.repeat(i % 5000) + '\\n');
        });
      `);
      await reader.run(`await $.until(() => $.count > ${100 << round});`);
      await writer.kill();
      const lines = (await reads).split('\n');
      const last = lines.pop();
      lines.forEach((line, i) => assert.equal(line, i + ' '.repeat(i % 5000)));
      // By name it is whole or not there; the pipe may have had a part of one.
      assert.ok(`${lines.length}${' '.repeat(lines.length % 5000)}`.startsWith(last!));
    }
  });

  it('what the reader may not have comes as bytes, in its place', async () => {
    const { writer, reader } = await start();
    await upgrade(writer, reader);
    const reads = reader.run<string>('return $.readAll();');
    await writer.run(`
      const secret = $.window.createPool({ access: [{ label: 'nobody' }] });
      for (let i = 0; i < 20; i++) {
        await $.write(i + 'open ');
        const draft = secret.allocate(10);
        draft.fill('s');
        const bytes = draft.seal();
        await io.iolWrite($.fd, bytes, { upgrade: true });
        bytes.dispose();
      }
      require('node:fs').closeSync($.fd);
      await $.until(() => io.stats().liveHolds === 0);
    `);
    assert.equal(await reads, Array.from({ length: 20 }, (_, i) => `${i}open ssssssssss`).join(''));
  });

  it('a reader that leaves its window: the rest as bytes to whoever reads on, nothing twice', async () => {
    const { writer, reader } = await start();
    await upgrade(writer, reader);
    await writer.run(`for (let i = 0; i < 10; i++) await $.write(i + ' ');`);
    await reader.run(`
      $.first = (await $.read()).text + (await $.read()).text;
      $.window.close();
    `);
    const rest = reader.run<string>(`
      const { text } = require('node:stream/consumers');
      return $.first + await text(require('node:fs').createReadStream(null, { fd: await $.blocking() }));
    `.replace('await $.blocking()', '$.fd'));
    await writer.run(`
      for (let i = 10; i < 15; i++) await $.write(i + ' ');
      require('node:fs').closeSync($.fd);
    `);
    assert.equal(await rest, Array.from({ length: 15 }, (_, i) => `${i} `).join(''));
  });

  it('who is in the window but not at the pipe gets no word in, and no byte out', async () => {
    const { writer, reader, address, pipe } = await start();
    const stranger = await startGuest(address, 'stranger');
    peers.push(stranger);
    const reads = reader.run<string>('return $.readAll();');
    // It knows which pipe it is, but has no end of it.
    const hello = await reader.run<string>(`
      const { dev, ino } = require('node:fs').fstatSync($.fd, { bigint: true });
      return [dev & 0xffffffffn, dev >> 32n, ino & 0xffffffffn, ino >> 32n].join('.');
    `);
    const refused = `
      const channel = await $.window.connect('host', { name: 'iol.pipe' });
      await channel.send('', HELLO);
      try { for (let i = 0; i < 10; i++) channel.trySend('forged'); } catch {}
      const answer = await channel.receive().catch(({ code }) => code);
      channel.close();
      return answer;
    `;
    assert.equal(await stranger.run(refused.replace('HELLO', JSON.stringify(hello))), null);
    assert.equal(await stranger.run(refused.replace('HELLO', `'nonsense'`)), null);
    // It has the writing end, but somebody else is there already.
    await stranger.run(writing.replace('PIPE', pipe));
    await writer.run(`for (let i = 0; i < 10; i++) await $.write(i + ' ');`);
    await stranger.run(`await $.write('late '); require('node:fs').closeSync($.fd);`);
    await writer.run(`await $.write('last'); require('node:fs').closeSync($.fd);`);
    assert.equal(await reads, '0 1 2 3 4 5 6 7 8 9 late last');
  });

  it('both ends in one thread', async () => {
    const { writer, reader, pipe } = await start();
    await writer.run(`require('node:fs').closeSync($.fd)`);
    const text = await reader.run<string>(`
      const writing = require('node:fs').openSync(${pipe}, 'w');
      const text = $.readAll();
      for (let i = 0; i < 20; i++) await io.iolWrite(writing, i + ' ', { upgrade: true });
      require('node:fs').closeSync(writing);
      return text;
    `);
    assert.equal(text, Array.from({ length: 20 }, (_, i) => `${i} `).join(''));
    await reader.run('await $.until(() => io.stats().liveHolds === 0);');
  });

  it('bad options are refused; what is no pipe, or no window, is read and written as ever', async () => {
    const { reader } = await start();
    const codes = await reader.run(`
      const code = (work) => work.then(() => 'done', (error) => error.code);
      const pool = io.Window.default().defaultPool;
      const sync = (() => { try { io.iolReadSync($.fd, 1, { upgrade: true }); } catch (error) { return error.code; } })();
      return [
        await code(io.iolRead($.fd, 1, { upgrade: 1 })),
        await code(io.iolWrite($.fd, 'x', { upgrade: null })),
        await code(io.iolRead($.fd, 1, { upgrade: true, pool })),
        sync,
      ];
    `);
    assert.deepEqual(codes, ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_IOL_UNSUPPORTED']);
    assert.equal(await reader.run(`
      const fs = require('node:fs');
      const file = '/proc/self/cmdline';
      const fd = fs.openSync(file);
      const bytes = await io.iolRead(fd, 1000, { upgrade: true });
      fs.closeSync(fd);
      const isSame = bytes.equals(fs.readFileSync(file).subarray(0, 1000));
      bytes.dispose();
      return isSame;
    `), true);
  });

  describe('of a shell', () => {
    const write = `
      const io = require('io-lite');
      (async () => {
        for (let i = 0; i < 60; i++) {
          const bytes = io.Aggregate.from((i + ' ').repeat(1 + i * 500));
          await io.iolWrite(1, bytes, OPTIONS);
          bytes.dispose();
        }
      })();
    `;
    const forward = `
      const io = require('io-lite');
      (async () => {
        for (let bytes; (bytes = await io.iolRead(0, 1 << 20, { upgrade: true })) !== null;) {
          await io.iolWrite(1, bytes, { upgrade: true });
          bytes.dispose();
        }
      })();
    `;
    const wanted = Array.from({ length: 60 }, (_, i) => `${i} `.repeat(1 + i * 500)).join('');

    // One for all: what costs time here is the start of processes.
    let host: Peer;
    before(async () => {
      ({ host } = await startHost());
    });
    after(() => host.kill());

    /** What the pipeline prints; `$W` and so on are programs. */
    function run(line: string): Promise<string> {
      return host.run<string>(`
        const { text } = require('node:stream/consumers');
        const child = $.window.spawn('sh', ['-c', ${JSON.stringify(line)}], {
          env: {
            ...process.env,
            W: ${JSON.stringify(write.replace('OPTIONS', '{ upgrade: true }'))},
            P: ${JSON.stringify(write.replace('OPTIONS', '{}'))},
            R: ${JSON.stringify(forward)},
            NODE: process.execPath,
          },
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        return text(child.stdout);
      `);
    }

    const program = (name: string): string => `"$NODE" -e "$${name}"`;
    for (const [name, line, tail] of [
      ['three speak: what is forwarded goes by name, too', `${program('W')} | ${program('R')} | ${program('R')}`, ''],
      ['only the writer speaks', `${program('W')} | cat`, ''],
      ['only the reader speaks', `${program('P')} | ${program('R')}`, ''],
      ['the shell writes, too, and another writer comes after', `(echo first; ${program('W')}; echo then; ${program('W')}; echo last) | ${program('R')}`, 'more'],
    ] as const) {
      it(name, async () => {
        const all = tail === '' ? wanted : `first\n${wanted}then\n${wanted}last\n`;
        assert.equal(await run(line), all);
      });
    }

    it('a reader that has enough ends, and its writer with it', async () => {
      const first = `require('io-lite').iolRead(0, 1, { upgrade: true }).then((bytes) => console.log(bytes.toString()))`;
      const endless = `
        const io = require('io-lite');
        (async () => { for (;;) await io.iolWrite(1, '0123456789', { upgrade: true }); })()
          .catch((error) => console.error('writer: ' + error.message.split(':')[0]));
      `;
      const quote = (text: string): string => `'${text.replaceAll(`'`, `'\\''`)}'`;
      assert.equal(
        await run(`("$NODE" -e ${quote(endless)} | "$NODE" -e ${quote(first)}) 2>&1`),
        '0\nwriter: EPIPE\n',
      );
    });
  });
});
