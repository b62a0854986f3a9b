// Connections that are held beside the load, and the memory that they cost.
import { readFileSync } from 'node:fs';
import { processTree } from '../lib/cpu.mjs';
import { grouped } from '../lib/format.mjs';

const SLOW_BYTES = 1 << 20;
const IDLE_BYTES = 1024;

/** What `--slow-readers`, `--idle` or `--slow-connections` ask for; null: nothing. `size`: of the file that they ask for. */
export function heldOf({ slowReaders = 0, idle = 0, slowConnections = 0 }) {
  if (slowReaders > 0) return { count: slowReaders, name: `${grouped(slowReaders)} slow readers`, kind: '--slow', size: SLOW_BYTES };
  if (idle > 0) return { count: idle, name: `${grouped(idle)} idle connections`, kind: '--idle', size: IDLE_BYTES };
  if (slowConnections === 0) return null;
  return { count: slowConnections, name: `${grouped(slowConnections)} slow heads`, kind: '--trickle', size: IDLE_BYTES };
}

const numberIn = (file, pattern) => Number(pattern.exec(readFileSync(file, 'utf8'))[1]);

/** A process may end while it is looked at. */
function residentBytes(pid) {
  try {
    return numberIn(`/proc/${pid}/smaps_rollup`, /^Pss: +(\d+)/m) * 1024;
  } catch {
    return 0;
  }
}

/** Bytes of the server's processes (PSS), of what sockets keep, and of the kernel's own structures; the last two of the whole machine. */
export function memoryOf(pids) {
  return {
    server: processTree(pids).reduce((sum, pid) => sum + residentBytes(pid), 0),
    sockets: numberIn('/proc/net/sockstat', /^TCP:.* mem (\d+)/m) * 4096,
    slab: numberIn('/proc/meminfo', /^Slab: +(\d+)/m) * 1024,
  };
}

/** What each of `count` connections has cost. */
export function memoryBetween(before, after, count) {
  return Object.fromEntries(Object.keys(before).map((key) => [key, (after[key] - before[key]) / count]));
}
