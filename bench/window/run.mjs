// bench:window: what a window of many domains costs each process: descriptors, mappings, table memory.
// See bench/README.md.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, machineBlock } from '../lib/machine.mjs';
import { iolite } from '../micro/packages.mjs';

const HELP = `bench:window: descriptors, mappings and table memory of a window with many domains

  npm run bench:window -- [options]

  --domains N         processes that share the window, the host included (default 64, at most 256)
  --segments N        segments that each guest has, of 64 MiB each (default 16: 63 GiB of window)
  --json              the figures as JSON
  --help              this text

Each guest has a channel to the host and sends it a message from each of its segments, all of which the host keeps.
`;
const SELF = fileURLToPath(import.meta.url);
const SEGMENT_MIB = 64;

/** Descriptors, mappings of shared memory, and the memory behind each kind of it. */
function figuresOf(pid) {
  const kinds = {};
  const names = readdirSync(`/proc/${pid}/fd`);
  for (const name of names) {
    let path;
    let stat;
    try {
      path = readlinkSync(`/proc/${pid}/fd/${name}`);
      stat = path.startsWith('/memfd:') ? statSync(`/proc/${pid}/fd/${name}`) : null;
    } catch {
      continue; // Closed since.
    }
    const kind = stat === null ? path.replace(/[:/[].*/, '') || 'file' : path.slice(7).replace(' (deleted)', '');
    const sum = (kinds[kind] ??= { descriptors: 0, inodes: new Set(), allocatedBytes: 0 });
    sum.descriptors++;
    if (stat === null || sum.inodes.has(stat.ino)) continue;
    sum.inodes.add(stat.ino);
    sum.allocatedBytes += stat.blocks * 512;
  }
  const maps = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').filter((line) => line.includes('/memfd:'));
  const span = (line) => { const [from, to] = line.split(' ')[0].split('-'); return Number(BigInt(`0x${to}`) - BigInt(`0x${from}`)); };
  const tables = readFileSync(`/proc/${pid}/smaps`, 'latin1').split(/^(?=[0-9a-f]+-)/m).filter((block) => block.includes('/memfd:io-lite-holds'));
  const rss = tables.reduce((sum, block) => sum + Number(/^Rss: +(\d+)/m.exec(block)[1]) * 1024, 0);
  return {
    descriptors: names.length,
    mappings: maps.length,
    mappedGiB: maps.reduce((sum, line) => sum + span(line), 0) / 2 ** 30,
    holdTables: tables.length,
    holdTablesResidentKiB: rss / 1024,
    kinds: Object.fromEntries(Object.entries(kinds).map(([name, { descriptors, allocatedBytes }]) => [name, { descriptors, allocatedKiB: allocatedBytes / 1024 }])),
  };
}

async function guest(number, segments) {
  const before = figuresOf(process.pid);
  const window = await iolite.Window.attach({ label: `guest-${number}` });
  const channel = await window.connect('host', { name: `c${number}` });
  const pools = Array.from({ length: segments }, (_, i) => window.createPool({ name: `p${i}` }));
  for (const pool of pools) {
    const bytes = pool.allocate(1000).seal();
    await channel.send(bytes);
    bytes.dispose();
  }
  await channel.receive();
  process.send({ before });
}

async function host({ domains, segments, json }) {
  const machine = await machineBlock(fileURLToPath(new URL('.', import.meta.url)));
  const before = figuresOf(process.pid);
  const window = await iolite.Window.create({ label: 'host', domainsMax: domains });
  const kept = [];
  const answers = [];
  window.on('channel', (channel) => answers.push((async () => {
    for (let count = 0; count < segments; count++) kept.push(await channel.receive());
    return channel;
  })()));
  const guests = Array.from({ length: domains - 1 }, (_, i) => fork(SELF, ['--guest', String(i), '--segments', String(segments)], { env: { ...process.env, ...window.env() } }));
  const ready = guests.map((child) => Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code, signal]) => { throw new Error(`a guest ended with ${signal ?? code}`); }),
  ]));
  const opened = Promise.all(ready);
  opened.catch(() => {});
  while (answers.length < guests.length) await Promise.race([new Promise((resolve) => setTimeout(resolve, 10)), opened]);
  const channels = await Promise.race([Promise.all(answers), opened.then(() => Promise.all(answers))]);
  for (const channel of channels) await channel.send('all there');
  const [[{ before: guestBefore }]] = await opened;
  const report = {
    domains,
    segments: segments * (domains - 1),
    windowGiB: (segments * (domains - 1) * SEGMENT_MIB) / 1024,
    host: { before, after: figuresOf(process.pid) },
    guest: { before: guestBefore, after: figuresOf(guests[0].pid) },
  };
  if (json) console.log(JSON.stringify({ machine, ...report }, null, 1));
  else print(machine, report);
  for (const child of guests) child.disconnect();
  await Promise.all(guests.map((child) => child.exitCode ?? once(child, 'exit')));
  for (const message of kept) message.dispose();
  window.close();
}

function print(machine, { domains, segments, windowGiB, ...processes }) {
  console.log(`${describeMachine(machine)}\n\n${domains} domains, ${segments} segments: ${windowGiB.toFixed(1)} GiB of window\n`);
  for (const [name, { before, after }] of Object.entries(processes)) {
    console.log(`${name}
  descriptors           ${after.descriptors} (${before.descriptors} before it joined)
  mappings of memfds    ${after.mappings}, ${after.mappedGiB.toFixed(1)} GiB of address space
  hold tables mapped    ${after.holdTables}, ${after.holdTablesResidentKiB} KiB resident`);
    for (const [kind, { descriptors, allocatedKiB }] of Object.entries(after.kinds)) {
      console.log(`    ${kind.padEnd(20)}${String(descriptors).padStart(6)} descriptors${allocatedKiB > 0 ? `, ${allocatedKiB} KiB allocated` : ''}`);
    }
    console.log('');
  }
}

const { values } = parseArgs({
  options: {
    domains: { type: 'string', default: '64' },
    segments: { type: 'string', default: '16' },
    guest: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const domains = Number(values.domains);
const segments = Number(values.segments);
if (values.help) {
  console.log(HELP);
} else if (!(Number.isInteger(domains) && domains >= 2 && domains <= 256 && Number.isInteger(segments) && segments >= 1 && segments <= 64)) {
  console.error('bench:window: --domains is a whole number from 2 to 256, --segments one from 1 to 64');
  process.exitCode = 2;
} else if (values.guest !== undefined) {
  process.on('disconnect', () => process.exit());
  await guest(values.guest, segments);
} else {
  await host({ domains, segments, json: values.json });
}
