// The sending process: opens one subject's link, starts its receiver, and measures what it is told to.
import { execFileSync, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { valueAt } from './content.mjs';
import { portOf } from './ports.mjs';

const { file, scratch, cpus } = JSON.parse(process.argv[2]);
const RECEIVER = fileURLToPath(new URL('receiver.mjs', import.meta.url));
/** Warm-up: this share of the time. Before the first measurement of a kind memory is touched for the first time: as many messages at least. */
const WARM_SHARE = 0.3;
const WARM_MESSAGES = 6;
const warmed = new Set();

function pin(task, cpu, ...options) {
  if (cpu !== null) execFileSync('taskset', [...options, '-c', '-p', String(cpu), String(task)]);
}

let port;
const answers = [];
const waiting = [];
function answered() {
  return answers.length > 0 ? answers.shift() : new Promise((resolve) => waiting.push(resolve));
}

/** Starts the receiver; gives the port that links may use, too. */
async function start({ thread = false, serialization, env = process.env, args = [] }) {
  const channel = thread
    ? new Worker(RECEIVER, { workerData: { file, args } })
    : fork(RECEIVER, [JSON.stringify({ file, args })], { serialization, env });
  channel.on('error', (error) => { throw error; });
  channel.on('exit', (code) => { throw new Error(`the receiver ended with status ${code}`); });
  port = portOf(channel);
  port.on('message', ({ control }) => {
    if (control === undefined) return;
    if (waiting.length > 0) waiting.shift()(control);
    else answers.push(control);
  });
  const { task } = await answered();
  pin(task, cpus.receiver, ...(thread ? [] : ['-a']));
  return port;
}

async function ask(control) {
  port.post({ control });
  return answered();
}

let acks = 0;
let onAck = null;
function acked() {
  if (acks > 0) return void acks--;
  return new Promise((resolve) => { onAck = resolve; });
}

/** Sends for `ms`, and `least` messages; at most `depth` are under way. */
async function send(link, { size, row, depth, ackEvery }, ms, least) {
  const same = row === 'again' ? link.again(size, valueAt(0)) : null;
  const times = [];
  let underWay = 0;
  let sent = 0;
  const begin = performance.now();
  for (; sent < least || sent % ackEvery !== 0 || performance.now() - begin < ms; sent++) {
    const before = depth === 1 ? performance.now() : 0;
    const busy = same === null ? link.sendFresh(link.fresh(size, valueAt(sent))) : link.send(same);
    if (busy !== undefined) await busy;
    underWay++;
    while (underWay >= depth && underWay >= ackEvery) {
      await acked();
      underWay -= ackEvery;
    }
    if (depth === 1) times.push((performance.now() - before) * 1000);
  }
  for (; underWay > 0; underWay -= ackEvery) await acked();
  const seconds = (performance.now() - begin) / 1000;
  if (same !== null) link.release(same);
  return { times, sent, seconds };
}

async function measure(link, job) {
  const begin = { reads: job.row === 'read', ackEvery: job.ackEvery };
  await ask({ begin });
  const kind = `${job.size} ${job.row} ${job.depth}`;
  await send(link, job, job.ms * WARM_SHARE, warmed.has(kind) ? 1 : WARM_MESSAGES);
  warmed.add(kind);
  const waitsBefore = link.waits?.();
  await ask({ begin });
  const before = process.cpuUsage();
  const { times, sent, seconds } = await send(link, job, job.ms, 3);
  const { user, system } = process.cpuUsage(before);
  const { cpuUs } = await ask({ end: true });
  const waits = link.waits?.();
  const sorted = Float64Array.from(times).sort();
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
  return {
    sent,
    cpuUs: (user + system + cpuUs) / sent,
    perSecond: sent / seconds,
    ...(waits !== undefined && {
      rings: (waits.rings - waitsBefore.rings) / sent,
      sleeps: (waits.sleeps - waitsBefore.sleeps) / sent,
      spinsInVain: (waits.spinsInVain - waitsBefore.spinsInVain) / sent,
    }),
    ...(times.length > 0 && { p50Us: at(0.5), p99Us: at(0.99) }),
  };
}

process.on('disconnect', () => process.exit());
pin(process.pid, cpus.sender, '-a');
const { openClient } = await import(new URL(file, import.meta.url));
const link = await openClient({ start, scratch });
while (!(await answered()).isOpen);
link.listen(() => {
  if (onAck === null) return void acks++;
  const resolve = onAck;
  onAck = null;
  resolve();
}, () => valueAt(0));
process.on('message', (job) => measure(link, job).then((figures) => process.send({ figures })));
process.send({ isReady: true });
