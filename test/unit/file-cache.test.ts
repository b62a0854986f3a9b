// What TypeScript adds to the cache; the cache itself is tested natively.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { FileCache, stats, Window } from 'io-lite';

import { runChild } from '../support/child';

let folder: string;
let files = 0;

function fileWith(content: string | Buffer): string {
  const name = path.join(folder, `file-${files++}`);
  writeFileSync(name, content);
  return name;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('FileCache', () => {
  let cache: FileCache;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'iol-cache-'));
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    cache = new FileCache({ checkIntervalMs: 60_000 });
  });
  afterEach(() => cache.close());

  it('knows a file after the first open(), and gives everybody the same object', async () => {
    const name = fileWith('content');
    assert.equal(cache.tryOpen(name), undefined);
    const [first, second] = await Promise.all([cache.open(name), cache.open(name)]);
    assert.equal(first, second);
    assert.equal(cache.tryOpen(name), first);
    assert.equal(first.path, name);
    assert.equal(first.byteLength, 7);
    assert.match(first.etag, /^"[\x21\x23-\x7e]+"$/);
    assert.ok(Math.abs(first.mtimeMs - Date.now()) < 60_000);
    assert.ok(first.isFresh);
  });

  it('reads from the disk once, then hands out the same bytes', async () => {
    const file = await cache.open(fileWith(Buffer.alloc(200_000, 'c')));
    assert.equal(file.tryRead(), undefined);
    using first = await file.read();
    using second = file.tryRead()!;
    using part = file.tryRead(100, 5)!;
    assert.equal(first.slices()[0]!.address, second.slices()[0]!.address);
    assert.equal(part.slices()[0]!.address, first.slices()[0]!.address + 100);
    assert.equal(part.toString(), 'ccccc');
    const { hits, misses, bytes } = cache.stats();
    assert.ok(misses >= 1 && hits >= 2);
    assert.equal(bytes, 200_000);
  });

  it('takes a file: URL for a path, and refuses what is neither', async () => {
    const name = fileWith('by URL');
    const file = await cache.open(pathToFileURL(name));
    assert.equal(file.path, name);
    assert.equal(cache.tryOpen(pathToFileURL(name)), file);
    assert.equal(await cache.open(name), file);
    await assert.rejects(cache.open(new URL('http://localhost/x')), { code: 'ERR_INVALID_URL_SCHEME' });
    await assert.rejects(cache.open(Buffer.from(name) as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => cache.tryOpen(5 as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('clamps to the file', async () => {
    const file = await cache.open(fileWith('0123456789'));
    using end = await file.read(8, 100);
    assert.equal(end.toString(), '89');
    using beyond = await file.read(10, 5);
    assert.equal(beyond.byteLength, 0);
    using empty = await (await cache.open(fileWith(''))).read();
    assert.equal(empty.byteLength, 0);
  });

  const changes: Record<string, (name: string) => void> = {
    appended: (name) => appendFileSync(name, ' and more'),
    replaced: (name) => renameSync(fileWith('another'), name),
    unlinked: (name) => unlinkSync(name),
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`hears at once of a file that was ${what}: another version is another object`, async () => {
      const name = fileWith('first version');
      const file = await cache.open(name);
      using before = await file.read();
      change(name);
      while (file.isFresh) await turn();
      assert.equal(cache.tryOpen(name), undefined);
      assert.equal(before.toString(), 'first version', 'what was read stays as it was');
      if (what === 'unlinked') {
        await assert.rejects(cache.open(name), { code: 'ERR_IOL_SYSTEM', errno: -2 });
      } else {
        const next = await cache.open(name);
        assert.notEqual(next, file);
        assert.notEqual(next.etag, file.etag);
      }
    });
  }

  it('asks at every open when the interval is 0', async () => {
    using careful = new FileCache({ checkIntervalMs: 0, watches: false });
    const name = fileWith('x');
    const file = await careful.open(name);
    assert.equal(careful.tryOpen(name), undefined);
    assert.equal(await careful.open(name), file, 'nothing has changed');
  });

  it('close() of a file gives back one open()', async () => {
    const name = fileWith('shared');
    const file = await cache.open(name);
    assert.equal(await cache.open(name), file);
    file.close();
    using bytes = await file.read();
    assert.equal(bytes.toString(), 'shared');
    file.close();
    file.close();
    assert.throws(() => file.tryRead(), { code: 'ERR_IOL_CLOSED' });
    const again = await cache.open(name);
    assert.notEqual(again, file);
    using other = await again.read();
    assert.equal(other.toString(), 'shared');
  });

  it('close() of the cache gives all memory back, and ends what is in flight with an error', async () => {
    const pool = Window.default().createPool({ name: 'cached' });
    const doomed = new FileCache({ pool });
    const file = await doomed.open(fileWith(Buffer.alloc(100_000)));
    (await file.read()).dispose();
    assert.ok(pool.stats().bytesInUse >= 100_000);
    const other = await doomed.open(fileWith('never read'));
    const reading = other.read();
    const opening = doomed.open(fileWith('never opened'));
    doomed.close();
    doomed.close();
    await assert.rejects(reading, { code: 'ERR_IOL_CLOSED' });
    await assert.rejects(opening, { code: 'ERR_IOL_CLOSED' });
    assert.equal(pool.stats().bytesInUse, 0);
    assert.throws(() => file.tryRead(), { code: 'ERR_IOL_CLOSED' });
    pool.dispose();
  });

  it('its pool may be closed first: it goes with the cache', async () => {
    const before = stats().windowBytes;
    const pool = Window.default().createPool({ name: 'closed first' });
    const orphan = new FileCache({ pool });
    pool.dispose();
    const file = await orphan.open(fileWith('still works'));
    using bytes = await file.read();
    assert.equal(bytes.toString(), 'still works');
    bytes.dispose();
    orphan.close();
    file.close();
    assert.ok(stats().windowBytes <= before);
  });

  it('of files that nobody has any more keeps no descriptor for ever', async () => {
    const result = await runChild(`
      const { FileCache } = require('io-lite');
      const { readdirSync, writeFileSync } = require('node:fs');
      const cache = new FileCache({ openFilesMax: 4 });
      const descriptors = () => readdirSync('/proc/self/fd').length;
      (async () => {
        const before = descriptors();
        await (async () => {
          for (let i = 0; i < 60; i++) {
            const name = ${JSON.stringify(folder)} + '/many-' + i;
            writeFileSync(name, 'x');
            (await (await cache.open(name)).read()).dispose();
          }
        })();
        while (descriptors() > before + 12) {
          gc();
          await new Promise((resolve) => setImmediate(resolve));
        }
        console.log('few');
      })();
    `, { nodeOptions: ['--expose-gc'] });
    assert.equal(result.stdout, 'few\n', result.stderr);
  });
});
