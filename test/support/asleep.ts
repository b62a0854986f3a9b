// Whether a process sleeps, seen from outside: whoever asks it wakes it.
import { existsSync, readFileSync } from 'node:fs';

/** Not every kernel is built to tell. */
export const canSeeSleep = existsSync('/proc/self/syscall');

/** epoll_wait and epoll_pwait of x64, and epoll_pwait of arm64 (proc_pid_syscall(5)). */
const epollWaits: ReadonlySet<string> = new Set(
  process.arch === 'arm64' ? ['22'] : ['232', '281']);
// The engine's own timers are seconds, those of the library, if it had any here, at most 100 ms.
const longMs = 1000;

/** How often its main thread went to sleep, if it sleeps now, and no timer of the library will end that. */
function sleepsOf(pid: number): number | undefined {
  const [call = '', , , , timeout = ''] = readFileSync(`/proc/${pid}/syscall`, 'utf8').split(' ');
  // -1, for ever, is shown without its sign.
  if (!epollWaits.has(call) || !(Number(timeout) > longMs)) return undefined;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)![1]);
}

/**
 * Whether the main threads of all of them sleep at one moment, each until it is woken: then none of them
 * can wake another any more, and none looks at anything now and then.
 */
export function areAsleep(...pids: number[]): boolean {
  const before = pids.map(sleepsOf);
  const after = pids.map(sleepsOf);
  return before.every((sleeps, i) => sleeps !== undefined && sleeps === after[i]);
}
