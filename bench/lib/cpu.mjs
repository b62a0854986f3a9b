// Processors and processor time, from /proc: which to pin to, what a tree of processes used, what others used beside it.
import { readFileSync, readdirSync } from 'node:fs';

const TICKS_PER_SECOND = 100; // USER_HZ, the unit of /proc/stat; fixed in the kernel's ABI on x86-64 and arm64

function readOrNull(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // the process or thread ended
  }
}

/** `0-3,8` to `[0, 1, 2, 3, 8]`. */
export function parseCpuList(text) {
  return text.trim().split(',').filter(Boolean).flatMap((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** A processor for the server and another for the load, on different cores when there are any. */
export function chooseCpus() {
  const allowed = parseCpuList(/Cpus_allowed_list:\s*(.*)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const server = allowed[0];
  const siblings = parseCpuList(
    readOrNull(`/sys/devices/system/cpu/cpu${server}/topology/thread_siblings_list`) ?? String(server));
  const load = allowed.find((cpu) => !siblings.includes(cpu)) ?? allowed.find((cpu) => cpu !== server) ?? server;
  return { server, load };
}

/** Fields of /proc/PID/stat from the third on; the name before them may hold blanks and brackets. */
function statFields(pid) {
  const text = readOrNull(`/proc/${pid}/stat`);
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** The given processes and all they started, in no order; those that ended are left out. */
export function processTree(pids) {
  const children = new Map();
  const alive = new Set();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statFields(name);
    if (fields === null || fields[0] === 'Z') continue;
    alive.add(Number(name));
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = new Set();
  const visit = (pid) => {
    if (tree.has(pid) || !alive.has(pid)) return;
    tree.add(pid);
    (children.get(pid) ?? []).forEach(visit);
  };
  pids.forEach(visit);
  return [...tree];
}

/** When a process started, in ticks since boot: with its pid, its identity. `null` when it is gone. */
export function startTime(pid) {
  const fields = statFields(pid);
  return fields === null || fields[0] === 'Z' ? null : fields[19];
}

/** Nanoseconds on a processor of every thread of the tree: Map of `pid/tid` to number. */
export function sampleTree(pids) {
  const sample = new Map();
  for (const pid of processTree(pids)) {
    let threads;
    try {
      threads = readdirSync(`/proc/${pid}/task`);
    } catch {
      continue;
    }
    for (const tid of threads) {
      const text = readOrNull(`/proc/${pid}/task/${tid}/schedstat`);
      if (text !== null) sample.set(`${pid}/${tid}`, Number(text.split(' ')[0]));
    }
  }
  return sample;
}

/** What the tree used between two samples. `lost` counts threads that ended and took their time with them. */
export function usedBetween(before, after) {
  let ns = 0;
  for (const [thread, time] of after) ns += time - (before.get(thread) ?? 0);
  let lost = 0;
  for (const thread of before.keys()) if (!after.has(thread)) lost++;
  return { seconds: ns / 1e9, lost };
}

/** Seconds that one processor was not idle since boot, time stolen by the host included. */
export function busySeconds(cpu) {
  const line = new RegExp(`^cpu${cpu} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))[1];
  const [user, nice, system, , , irq, softirq, steal] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Seconds used by the children of this process that have ended and been waited for. */
export function endedChildrenSeconds() {
  const fields = statFields('self');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}
