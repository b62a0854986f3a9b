// A pool of workers on one big data set that nobody changes: they all read the one copy that there is.
//
//   node --import=tsx examples/workers.mts [WORKERS [MIB]]
//
// Each worker reads all of it and counts what is its own to count. In the end it prints what the kernel says of the
// memory that the processes share: RSS counts a page for each mapping of it, PSS divides it among them, so that the
// sum of PSS is what there really is.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { Aggregate, type Channel, Window } from 'io-lite';

/** Bytes whose rest is `rest` when divided by `divisor`. */
function count(bytes: Aggregate, divisor: number, rest: number): number {
  let found = 0;
  for (const view of bytes) {
    for (let i = 0; i < view.length; i++) if (view[i]! % divisor === rest) found++;
  }
  return found;
}

/** Random bytes, in buffers of 1 MiB. */
function makeData(pool: Window['defaultPool'], mib: number): Aggregate {
  const data = Aggregate.empty();
  let state = 1;
  for (let i = 0; i < mib; i++) {
    const draft = pool.allocate(1 << 20);
    const bytes = new Uint8Array(draft.bytes());
    for (let at = 0; at < bytes.length; at++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      bytes[at] = state >>> 24;
    }
    using buffer = draft.seal();
    data.append(buffer);
  }
  return data;
}

/** Of the memory of a process that is shared memory: what it has, and its share of it, in bytes. */
async function sharedMemory(pid: number): Promise<{ rss: number; pss: number }> {
  const maps = await readFile(`/proc/${pid}/smaps`, 'utf8');
  const sum = { rss: 0, pss: 0 };
  let isOurs = false;
  for (const line of maps.split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isOurs = line.includes('/memfd:');
    const [, key, kib] = /^(Rss|Pss): +(\d+) kB$/.exec(line) ?? [];
    if (isOurs && key !== undefined) sum[key.toLowerCase() as 'rss' | 'pss'] += Number(kib) * 1024;
  }
  return sum;
}

async function parent(workers: number, mib: number): Promise<void> {
  await using window = await Window.create({ label: 'parent' });
  using data = makeData(window.defaultPool, mib);
  const channels: Channel[] = [];
  const attached = new Promise<void>((resolve) => {
    window.on('channel', (channel) => {
      if (channels.push(channel) === workers) resolve();
    });
  });
  const children = Array.from({ length: workers }, () =>
    window.spawn(process.execPath, ['--import=tsx', fileURLToPath(import.meta.url)], { stdio: 'inherit' }));
  await attached;

  let found = 0;
  await Promise.all(channels.map(async (channel, i) => {
    await channel.send(data, `${workers} ${i}`);
    using answer = await channel.receive();
    found += Number(answer!.metadata);
  }));
  const memory = await Promise.all([process.pid, ...children.map(({ pid }) => pid!)].map(sharedMemory));
  const copies = (key: 'rss' | 'pss'): string =>
    (memory.reduce((sum, each) => sum + each[key], 0) / data.byteLength).toFixed(2);
  console.log(`${workers} workers found ${found} of ${data.byteLength} bytes`);
  console.log(`sum of RSS: ${copies('rss')} copies, sum of PSS: ${copies('pss')} copies`);

  for (const channel of channels) channel.close();
  await Promise.all(children.map(async (child) => child.exitCode ?? (await once(child, 'exit'))));
}

async function worker(): Promise<void> {
  await using window = await Window.attach();
  const channel = await window.connect('parent');
  // Held until the parent has looked at the memory.
  const held: Aggregate[] = [];
  for await (const { aggregate, metadata } of channel) {
    held.push(aggregate);
    const [divisor, rest] = metadata.toString().split(' ').map(Number);
    await channel.send('', String(count(aggregate, divisor!, rest!)));
  }
  for (const aggregate of held) aggregate.dispose();
  channel.close();
}

if (process.env['IOL_WINDOW']) await worker();
else await parent(Number(process.argv[2] ?? 4), Number(process.argv[3] ?? 64));
