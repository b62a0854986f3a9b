// Reads for which there is not enough room are short: only when nothing fits do they fail.
import assert from 'node:assert/strict';

import { runChild } from '../support/child';

const prelude = `
  const assert = require('node:assert/strict');
  const fs = require('node:fs');
  const path = require('node:path');
  const { FileCache, Window, iolRead, iolReadSync, stats } = require('io-lite');
  const folder = fs.mkdtempSync(require('node:os').tmpdir() + '/iol-short-');
  process.on('exit', () => fs.rmSync(folder, { recursive: true }));
  const MiB = 1 << 20;
  const bytes = Buffer.alloc(100 * MiB);
  for (let i = 0; i < bytes.length; i += 4096) bytes.writeUInt32LE(i, i);
  fs.writeFileSync(path.join(folder, 'file'), bytes);
  const fd = fs.openSync(path.join(folder, 'file'));
  const isPart = (found, from) => found.equals(bytes.subarray(from, from + found.byteLength));
`;

describe('a read that there is no room for', () => {
  it('of a file larger than the window is short, and the next one goes on', async () => {
    const result = await runChild(`${prelude}
      (async () => {
        await Window.create({ maxBytes: 40 * MiB });
        for (const read of [iolRead, iolReadSync]) {
          for (let at = 0; at < bytes.length;) {
            const found = await read(fd, Number.MAX_SAFE_INTEGER, { position: at });
            assert.ok(found.byteLength >= MiB, 'it is no crumb');
            assert.ok(isPart(found, at));
            at += found.byteLength;
            found.dispose();
          }
        }
        const held = [];
        const failure = await (async () => {
          for (;;) held.push(await iolRead(fd, bytes.length));
        })().catch((error) => error);
        assert.match(failure.code, /^ERR_IOL_(WINDOW|POOL)_FULL$/, 'when all is held');
        const at = held.reduce((sum, { byteLength }) => sum + byteLength, 0);
        held.forEach((each) => each.dispose());
        const next = await iolRead(fd, 10 * MiB);
        assert.ok(isPart(next, at), 'what failed has not moved the position');
        next.dispose();
        FileCache.default().close();
        console.log(stats().liveHolds);
      })();
    `);
    assert.equal(result.stdout, '0\n', result.stderr);
  });

  it('in the pool that was asked for is short, too', async () => {
    const result = await runChild(`${prelude}
      (async () => {
        const pool = Window.default().createPool({ maxBytes: 2 * MiB });
        const found = await iolRead(fd, 10 * MiB, { position: 5 * MiB, pool });
        assert.equal(found.byteLength, 2 * MiB);
        assert.ok(isPart(found, 5 * MiB));
        for (const read of [iolRead, iolReadSync]) {
          await assert.rejects(async () => read(fd, 10 * MiB, { position: 0, pool }), { code: 'ERR_IOL_POOL_FULL' });
        }
        found.dispose();
        const small = Window.default().createPool({ maxBytes: 65_536 });
        const zeros = fs.openSync('/dev/zero');
        const maps = fs.openSync('/proc/self/maps');
        for (const source of [zeros, maps, fd]) {
          const few = await iolRead(source, 100_000, { pool: small });
          assert.ok(few.byteLength >= 64 && few.byteLength <= 65_536, String(few.byteLength));
          few.dispose();
        }
        console.log('done');
      })();
    `);
    assert.equal(result.stdout, 'done\n', result.stderr);
  });
});
