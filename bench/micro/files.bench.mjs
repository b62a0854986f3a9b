// Reading files that are in memory already: our cache's, the kernel's page cache for `fs`.
import { mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { iolite } from './packages.mjs';
import { patterned } from './shapes.mjs';
import { suite } from './suite.mjs';

const { FileCache, iolRead, iolReadSync } = iolite;

const folder = mkdtempSync(path.join(tmpdir(), 'iol-bench-files-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

// Why so long: a loop that never turns gives the cache no chance to look at its files again.
const cache = new FileCache({ checkIntervalMs: 3_600_000 });
const cases = [];
for (const [name, byteLength] of [['1 KiB', 1 << 10], ['64 KiB', 64 << 10], ['1 MiB', 1 << 20]]) {
  const file = path.join(folder, name);
  writeFileSync(file, patterned(byteLength));
  const fd = openSync(file, 'r');
  const handle = await open(file, 'r');
  const target = Buffer.alloc(byteLength);
  const cached = await cache.open(file);
  (await cached.read()).dispose();
  const position = { position: 0 };
  cases.push(
    // What is compared is the length: `fs` leaves the bytes in a buffer of its caller's, which the next read overwrites.
    {
      name: `read by a CachedFile, ${name}`,
      ops: { 'io-lite': () => drop(cached.tryRead()), fs: () => readSync(fd, target, 0, byteLength, 0) },
    },
    {
      name: `open by path and read, ${name}`,
      ops: {
        'io-lite': () => {
          const again = cache.tryOpen(file);
          const length = drop(again.tryRead());
          again.close();
          return length;
        },
        fs: () => readFileSync(file).length,
      },
    },
    {
      name: `read a descriptor at a position, ${name}`,
      ops: {
        'io-lite': () => drop(iolReadSync(fd, byteLength, position)),
        fs: () => readSync(fd, target, 0, byteLength, 0),
      },
    },
    {
      name: `the same by promise, ${name}`,
      ops: {
        'io-lite': async () => drop(await iolRead(fd, byteLength, position)),
        fs: async () => (await handle.read(target, 0, byteLength, 0)).bytesRead,
      },
    },
    {
      name: `open by path and read by promise, ${name}`,
      ops: {
        'io-lite': async () => {
          const again = await cache.open(file);
          const length = drop(await again.read());
          again.close();
          return length;
        },
        fs: async () => (await readFile(file)).length,
      },
    },
  );
}

function drop(bytes) {
  const { byteLength } = bytes;
  bytes.dispose();
  return byteLength;
}

await suite('files', cases);
process.exit();
