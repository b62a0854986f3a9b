// Forwarding: a program writes into a FIFO, this process passes the bytes on to a TCP socket, another program
// takes them there. What counts is the processor time of this process, the kernel's work for it included.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { median, spread } from '../lib/format.mjs';
import { iolite } from './packages.mjs';

const { iolRead, iolWrite } = iolite;
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, case: { type: 'string', default: '' }, rows: { type: 'string' },
  },
});
const MIB = values.quick ? 64 : 1024;
const ROUNDS = values.quick ? 3 : 5;
const PIECE_BYTES = 64 << 10;
const CASE = '64 KiB pieces, FIFO to TCP socket';

// Takes everything into one buffer, says how much came, and ends.
const TAKER = `
  let total = 0;
  require('node:net').connect({
    port: Number(process.argv[1]), host: '127.0.0.1',
    onread: { buffer: Buffer.alloc(1 << 20), callback: (count) => { total += count; return true; } },
  }).on('end', () => console.log(total));
`;

async function forwardDescriptors(fd, socket) {
  const target = { fd: socket._handle.fd };
  for (;;) {
    const bytes = await iolRead(fd, PIECE_BYTES);
    if (bytes === null) break;
    await iolWrite(target, bytes);
    bytes.dispose();
  }
  closeSync(fd);
  socket.end();
}

async function forwardToSocket(fd, socket) {
  for (;;) {
    const bytes = await iolRead(fd, PIECE_BYTES);
    if (bytes === null) break;
    await iolWrite(socket, bytes);
    bytes.dispose();
  }
  closeSync(fd);
  socket.end();
}

const SUBJECTS = {
  'io-lite': forwardDescriptors,
  'io-lite to net.Socket': forwardToSocket,
  stream: (fd, socket) => pipeline(new Socket({ fd, readable: true, writable: false }), socket),
};

const folder = mkdtempSync(path.join(tmpdir(), 'iol-bench-forward-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const fifo = path.join(folder, 'fifo');
execFileSync('mkfifo', [fifo]);

/** One transfer: seconds and seconds of processor time for a GiB. */
async function transfer(forward) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const taker = spawn(process.execPath, ['-e', TAKER, server.address().port], { stdio: ['ignore', 'pipe', 'inherit'] });
  let taken = '';
  taker.stdout.on('data', (text) => { taken += text; });
  const takerEnded = once(taker, 'close');
  const [socket] = await connected;
  spawn('dd', ['if=/dev/zero', `of=${fifo}`, `bs=${PIECE_BYTES}`, `count=${MIB * 16}`, 'status=none'], { stdio: 'inherit' });
  const fd = openSync(fifo, 'r');  // Waits until dd has it open, too.

  const cpuBefore = process.cpuUsage();
  const started = process.hrtime.bigint();
  await forward(fd, socket);
  await takerEnded;
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const { user, system } = process.cpuUsage(cpuBefore);
  server.close();
  if (Number(taken) !== MIB << 20) throw new Error(`${Number(taken)} bytes arrived of ${MIB << 20}`);
  return { perSecond: (MIB * 16) / seconds, cpuMs: ((user + system) / 1e3) * (1024 / MIB) };
}

const subjects = CASE.includes(values.case) ? Object.entries(SUBJECTS) : [];
const samples = new Map(subjects.map(([name]) => [name, []]));
// A first round is not counted.
for (let round = -1; round < ROUNDS; round++) {
  for (let i = 0; i < subjects.length; i++) {
    const [name, forward] = subjects[(i + round + 1) % subjects.length];
    process.stderr.write(`  forward, ${round < 0 ? 'warm-up' : `round ${round + 1}/${ROUNDS}`}: ${name}\n`);
    const sample = await transfer(forward);
    if (round >= 0) samples.get(name).push(sample);
  }
}

const rows = [];
for (const [subject, runs] of samples) {
  const add = (metric, value, unit) => rows.push({
    bench: 'forward', case: CASE, subject, metric, value: Number(value.toPrecision(6)), unit,
  });
  const ofStream = samples.get('stream');
  add('ops/s', median(runs.map((run) => run.perSecond)), '1/s');
  add('cpu_ms_per_gib', median(runs.map((run) => run.cpuMs)), 'ms');
  add('cpu_ratio_to_stream', median(runs.map((run, i) => run.cpuMs / ofStream[i].cpuMs)), '1');
  add('cpu_spread', spread(runs.map((run) => run.cpuMs)), '1');
}
writeFileSync(values.rows ?? '/dev/stdout', JSON.stringify({ rows }));
process.exit();
