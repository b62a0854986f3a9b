// The receiving process, or thread: answers every message, or every so many, and says what processor time it used.
import { readlinkSync } from 'node:fs';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { valueAt } from './content.mjs';
import { portOf } from './ports.mjs';

const { file, args } = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const port = portOf(isMainThread ? process : parentPort);
const { openServer } = await import(new URL(file, import.meta.url));

let ackEvery = 1;
let count = 0;
let cpu = process.cpuUsage();

/** Microseconds of this process; those of a thread are the sender's. */
function cpuUs() {
  if (!isMainThread) return 0;
  const { user, system } = process.cpuUsage(cpu);
  return user + system;
}

let link;
port.on('message', ({ control }) => {
  if (control === undefined) return;
  if (control.begin !== undefined) {
    ({ ackEvery } = control.begin);
    link.reads = control.begin.reads;
    count = 0;
    cpu = process.cpuUsage();
  }
  port.post({ control: { cpuUs: cpuUs() } });
});

if (isMainThread) process.on('disconnect', () => process.exit());
const opening = openServer({ port, args });
port.post({ control: { task: readlinkSync('/proc/thread-self').split('/').at(-1) } });
link = await opening;
link.listen(() => { if (++count % ackEvery === 0) link.ack(); }, () => valueAt(count));
port.post({ control: { isOpen: true } });
