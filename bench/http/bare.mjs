// The bare server, the yardstick; and the ways in which it can send large answers, for --send-paths.
import { readFileSync } from 'node:fs';
import { startServer } from '../lib/children.mjs';

const KEPT = String(128 << 10);

export function startBare({ root, host, place, native, mix }, more = []) {
  const args = ['--root', root, '--host', host, ...(mix ? ['--tags', '1'] : []), ...more];
  return startServer({ command: native.bareServer, args, place, ready: /ready (\d+)\n/ });
}

const way = (name, about, ...args) => ({
  name, about, available: async () => true, start: (options) => startBare(options, args),
});

async function areHugePagesReserved() {
  const free = Number(/^HugePages_Free: +(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]);
  return free > 0 || 'no huge pages are reserved (sysctl vm.nr_hugepages=64)';
}

/** How io-lite sends: `shared-lowat` is its rule, `sendfile-lowat` what it does with hot large buffers. */
export const sendPaths = [
  way('sndbuf', 'copied from the heap, SO_SNDBUF 128 KiB', '--sndbuf', KEPT),
  way('lowat', 'copied from the heap, TCP_NOTSENT_LOWAT 128 KiB', '--lowat', KEPT),
  way('shared-lowat', 'copied from a memfd, TCP_NOTSENT_LOWAT 128 KiB', '--memory', 'shared', '--lowat', KEPT),
  way('sendfile', 'head by send(MSG_MORE), body by sendfile from a memfd', '--memory', 'shared', '--way', 'sendfile'),
  way('sendfile-lowat', 'the same, TCP_NOTSENT_LOWAT 128 KiB', '--memory', 'shared', '--way', 'sendfile', '--lowat', KEPT),
  way('zerocopy', 'send(MSG_ZEROCOPY) from a memfd, completions read', '--memory', 'shared', '--way', 'zerocopy'),
  way('thp-lowat', 'as shared-lowat, with transparent huge pages', '--memory', 'thp', '--lowat', KEPT),
  way('thp-sendfile-lowat', 'as sendfile-lowat, with transparent huge pages', '--memory', 'thp', '--way', 'sendfile', '--lowat', KEPT),
  {
    ...way('hugetlb-lowat', 'as shared-lowat, with reserved huge pages', '--memory', 'hugetlb', '--lowat', KEPT),
    available: areHugePagesReserved,
  },
];
