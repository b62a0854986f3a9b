import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { FileCache } from 'io-lite';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('CachedFile', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'iol-files-'));
  const name = path.join(folder, 'file');
  let cache: FileCache;
  before(() => {
    writeFileSync(name, 'bytes');
    cache = new FileCache();
  });
  after(() => {
    cache.close();
    rmSync(folder, { recursive: true });
  });

  it('is open for who asked before its last user closed it', async () => {
    const first = await cache.open(name);
    const asked = cache.open(name);
    first.close();
    using second = await asked;
    using bytes = await second.read();
    assert.equal(bytes.toString(), 'bytes');
  });

  it('stays open when another object of it, forgotten unclosed, is collected', async () => {
    await (async () => void (await cache.open(name)))();
    await turn();
    collect();
    using file = cache.tryOpen(name)!;
    await turn();
    await turn();
    using bytes = await file.read();
    assert.equal(bytes.toString(), 'bytes');
  });
});
